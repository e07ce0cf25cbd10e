/* cmd_check.c - ptv3 check: what is wrong with the data of a configuration, before training. */
#include <string.h>

#include "commands.h"
#include "ptv3_check.h"
#include "session.h"

struct request {
  struct common common;
  struct arg_list options;
  const char *data_root;
  int64_t scenes;
  bool quick, json;
};

/* ---- tables ---- */

static void range_cell(struct table *t, const struct ptv3_check_range *r) {
  char a[24], b[24], c[24];
  if (r->max)
    table_cell(t, "%s / %s / %s", term_count((double)r->min, a), term_count(r->mean, b),
               term_count((double)r->max, c));
  else
    table_cell(t, "-");
}

static void print_splits(const struct ptv3_check_info *c) {
  static const char *const head[] = {
      "split", "scenes", "read", "times", "points: least / mean / most", "voxels"};
  struct table t;
  table_init(&t, "lrrrrr");
  for (int i = 0; i < 6; i++) table_cell(&t, "%s", head[i]);
  for (int s = 0; s < c->splits; s++) {
    const struct ptv3_check_split *k = &c->split[s];
    table_cell(&t, "%s", k->name);
    table_cell(&t, "%lld", (long long)k->scenes);
    table_cell(&t, "%lld", (long long)k->looked);
    table_cell(&t, "%lld", (long long)k->loop);
    range_cell(&t, &k->points);
    range_cell(&t, &k->voxels);
  }
  table_print(&t, stdout);
  table_free(&t);
}

static int64_t all_points(const struct ptv3_check_info *c, const struct ptv3_check_split *k) {
  int64_t sum = k->ignored + k->wrong;
  for (int i = 0; i < c->classes && k->labels; i++) sum += k->labels[i];
  return sum;
}

/* Points of row i of the labels: the classes, then the ignored ones, then those of no class. */
static int64_t row_of(const struct ptv3_check_info *c, const struct ptv3_check_split *k,
                      int i) {
  if (i < c->classes) return k->labels ? k->labels[i] : 0;
  return i == c->classes ? k->ignored : k->wrong;
}

static void print_label_row(struct table *t, const struct ptv3_check_info *c, int i) {
  if (i >= c->classes)
    table_cell(t, i == c->classes ? "ignored" : "of no class");
  else if (c->class_name)
    table_cell(t, "%d %s", i, c->class_name[i]);
  else
    table_cell(t, "%d", i);
  for (int s = 0; s < c->splits; s++) {
    int64_t n = row_of(c, &c->split[s], i), all = all_points(c, &c->split[s]);
    table_cell(t, "%lld", (long long)n);
    if (all)
      table_cell(t, "%.1f %%", 100 * (double)n / (double)all);
    else
      table_cell(t, "-");
  }
}

static void print_labels(const struct ptv3_check_info *c) {
  int64_t wrong = 0;
  struct table t;
  char align[16] = "l";
  for (int s = 0; s < c->splits; s++) {
    strcat(align, "rr");
    wrong += c->split[s].wrong;
  }
  table_init(&t, align);
  table_cell(&t, "class");
  for (int s = 0; s < c->splits; s++) {
    table_cell(&t, "%s", c->split[s].name);
    table_cell(&t, "share");
  }
  for (int i = 0; i < c->classes + 1 + (wrong > 0); i++) print_label_row(&t, c, i);
  table_print(&t, stdout);
  table_free(&t);
}

static void print_finding(const struct ptv3_finding *f) {
  const char *color = f->error ? term_red(stdout) : term_yellow(stdout);
  printf("%s%s%s data.%s: ", color, f->error ? "error:" : "warning:", term_plain(stdout),
         f->split);
  if (f->path && !strstr(f->text, f->path)) printf("'%s': ", f->path);
  printf("%s", f->text);
  if (f->scenes > 1)
    printf(" (and %lld scene%s more: %s)", (long long)f->scenes - 1, f->scenes > 2 ? "s" : "",
           f->also);
  printf("\n");
  if (*f->fix) printf("  %s\n", f->fix);
}

static void print_all(const struct ptv3_check_info *c) {
  int64_t looked = 0;
  for (int s = 0; s < c->splits; s++) looked += c->split[s].looked;
  print_splits(c);
  printf("\n");
  if (looked) print_labels(c);
  if (looked) printf("\n");
  for (int64_t i = 0; i < c->findings; i++) print_finding(&c->finding[i]);
  printf("%s%lld error%s, %lld warning%s\n", c->findings ? "\n" : "", (long long)c->errors,
         c->errors == 1 ? "" : "s", (long long)(c->findings - c->errors),
         c->findings - c->errors == 1 ? "" : "s");
}

/* ---- JSON ---- */

static void json_text(const char *name, const char *text, const char *after) {
  printf("\"%s\": ", name);
  if (!text) {
    printf("null%s", after);
    return;
  }
  putchar('"');
  for (const char *c = text; *c; c++)
    if (*c == '"' || *c == '\\')
      printf("\\%c", *c);
    else if ((unsigned char)*c < ' ')
      printf("\\u%04x", (unsigned)*c);
    else
      putchar(*c);
  printf("\"%s", after);
}

static void json_range(const char *name, const struct ptv3_check_range *r) {
  printf("\"%s\": [%lld, %.1f, %lld], ", name, (long long)r->min, r->mean, (long long)r->max);
}

static void print_json(const struct ptv3_check_info *c) {
  printf("{\"errors\": %lld, \"warnings\": %lld,\n \"splits\": [", (long long)c->errors,
         (long long)(c->findings - c->errors));
  for (int s = 0; s < c->splits; s++) {
    const struct ptv3_check_split *k = &c->split[s];
    printf("%s\n  {", s ? "," : "");
    json_text("split", k->name, ", ");
    printf("\"scenes\": %lld, \"read\": %lld, \"loop\": %lld, ", (long long)k->scenes,
           (long long)k->looked, (long long)k->loop);
    json_range("points", &k->points);
    json_range("voxels", &k->voxels);
    printf("\"ignored\": %lld, \"of_no_class\": %lld, \"labels\": [", (long long)k->ignored,
           (long long)k->wrong);
    for (int i = 0; i < c->classes; i++)
      printf("%s%lld", i ? ", " : "", (long long)row_of(c, k, i));
    printf("]}");
  }
  printf("],\n \"findings\": [");
  for (int64_t i = 0; i < c->findings; i++) {
    const struct ptv3_finding *f = &c->finding[i];
    printf("%s\n  {\"error\": %s, \"scenes\": %lld, ", i ? "," : "",
           f->error ? "true" : "false", (long long)f->scenes);
    json_text("kind", f->kind, ", ");
    json_text("split", f->split, ", ");
    json_text("path", f->path, ", ");
    json_text("also", f->also, ", ");
    json_text("text", f->text, ", ");
    json_text("fix", f->fix, "}");
  }
  printf("]}\n");
}

/* ---- the command ---- */

static int run(struct session *s, void *request, const struct arg_list *words) {
  const struct request *q = request;
  struct ptv3_config *config;
  struct ptv3_check *check;
  struct ptv3_check_info info;
  if (ptv3_config_load(s->ctx, words->item[0], q->options.item, q->options.count, &config,
                       &s->err))
    return session_fail(s);
  const struct ptv3_check_options o = {
      .scenes = q->scenes, .quick = q->quick, .data_root = q->data_root};
  int code = EXIT_FINE;
  if (ptv3_check_create(s->ctx, config, &o, &check, &s->err)) {
    code = session_fail(s);
  } else {
    ptv3_check_get_info(check, &info);
    progress_clear(&s->progress);
    if (q->json)
      print_json(&info);
    else
      print_all(&info);
    if (info.errors) code = EXIT_INPUT;
    ptv3_check_free(check);
  }
  ptv3_config_free(config);
  return code;
}

int cmd_check(int argc, char **argv) {
  struct request q = {0};
  const struct arg table[] = {
      {"options", 0, ARG_PAIRS, &q.options, "KEY=VALUE...",
       "changes to CONFIG, as Pointcept takes them", NULL, 0},
      {"data-root", 0, ARG_TEXT, &q.data_root, "FOLDER",
       "the data set, in place of the data_root of every\nsplit", NULL, 0},
      {"scenes", 0, ARG_INT, &q.scenes, "N", "read at most N scenes of each split (all)", NULL,
       1},
      {"quick", 0, ARG_FLAG, &q.quick, NULL,
       "files, channels and labels only; do not apply\nthe transforms", NULL, 0},
      {"json", 0, ARG_FLAG, &q.json, NULL, "print everything as JSON", NULL, 0},
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "check",
      "CONFIG [options]",
      "Looks at the data of a configuration before anything is trained on them: every split\n"
      "it names, every scene: what is missing, damaged, of the wrong shape or out of range,\n"
      "how many points, voxels and labels there are. Ends with status 4 when there is an "
      "error.",
      table,
      1,
      1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
