/* cmd_plan.c - ptv3 plan: what a prediction would take, without weights and without running
 * it; with --suggest, which grid sizes and precisions fit the budget; with --train, what a
 * step of training would take (plan_train.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cloud.h"
#include "commands.h"
#include "model.h"
#include "plan_train.h"

struct request {
  struct common common;
  struct cloud_args cloud;
  struct arg_list options, fill;
  int64_t voxels;
  int precision; /* -1: not given */
  int compat;    /* enum ptv3_compat */
  struct normals_args normals;
  bool json, suggest, steps, train;
};

/* A model without weights, and its plan for one cloud (path NULL: for q->voxels). */
struct planned {
  struct ptv3_model *model;
  struct ptv3_plan *plan;
  struct ptv3_plan_info info;
};

static void close_plan(struct planned *p) {
  ptv3_plan_free(p->plan);
  ptv3_model_free(p->model);
  *p = (struct planned){0};
}

static int make_plan(struct session *s, const struct request *q, struct ptv3_config *config,
                     const char *path, int precision, double grid, struct planned *p) {
  struct ptv3_model_options how = {.compat = (enum ptv3_compat)q->compat,
                                   .precision = (enum ptv3_precision)precision,
                                   .grid_size = grid};
  *p = (struct planned){0};
  int failed = ptv3_model_create(s->ctx, config, NULL, &how, &p->model, &s->err);
  if (!failed && path) {
    struct ptv3_cloud_options options = cloud_options(&q->cloud);
    options.estimate_normals = normals_wanted(&q->normals);
    options.normal_side = normals_side(&q->normals);
    options.fill = q->fill.item;
    options.fill_count = q->fill.count;
    failed = ptv3_plan_file(p->model, path, &options, &p->plan, &s->err);
  } else if (!failed) {
    failed = ptv3_plan_create(p->model, NULL, q->voxels, &p->plan, &s->err);
  }
  if (failed) {
    close_plan(p);
    return session_fail(s);
  }
  ptv3_plan_get_info(p->plan, &p->info);
  progress_clear(&s->progress);
  return EXIT_FINE;
}

/* ---- one plan ---- */

static void print_rows(const struct ptv3_plan_info *i) {
  struct table t;
  table_init(&t, "lrr");
  table_cell(&t, "level");
  table_cell(&t, "rows");
  table_cell(&t, "of the one before");
  for (int l = 0; l < i->stages; l++) {
    table_cell(&t, "%d", l);
    table_cell(&t, "%lld", (long long)i->rows[l]);
    if (l)
      table_cell(&t, "%.0f %%", 100.0 * (double)i->rows[l] / (double)i->rows[l - 1]);
    else
      table_cell(&t, "%s", "");
  }
  table_print(&t, stdout);
  table_free(&t);
}

static void print_bytes(const struct ptv3_plan_info *i) {
  char bytes[24];
  struct table t;
  table_init(&t, "lrr");
  table_cell(&t, "while the network runs");
  table_cell(&t, "bytes");
  table_cell(&t, "a voxel");
  for (int p = 0; p < i->parts; p++) {
    if (i->part[p].bytes == 0) continue;
    table_cell(&t, "%s", i->part[p].name);
    table_cell(&t, "%s", term_bytes(i->part[p].bytes, bytes));
    table_cell(&t, "%.0f", (double)i->part[p].bytes / (double)i->voxels);
  }
  table_cell(&t, "  of the features: tensors");
  table_cell(&t, "%s", term_bytes(i->features, bytes));
  table_cell(&t, "%.0f", (double)i->features / (double)i->voxels);
  table_cell(&t, "  of the features: scratch");
  table_cell(&t, "%s", term_bytes(i->scratch, bytes));
  table_cell(&t, "%s", "");
  table_cell(&t, "peak of the whole");
  table_cell(&t, "%s", term_bytes(i->total, bytes));
  table_cell(&t, "%s", "");
  table_print(&t, stdout);
  table_free(&t);
}

static void print_steps(const struct ptv3_plan_info *i) {
  char bytes[24];
  struct table t;
  table_init(&t, "llrrrr");
  static const char *const head[] = {"step", "op", "rows", "channels", "alive", "GFLOP"};
  for (int c = 0; c < 6; c++) table_cell(&t, "%s", head[c]);
  for (int k = 0; k < i->steps; k++) {
    const struct ptv3_plan_step *s = &i->step[k];
    table_cell(&t, "%s", s->label);
    table_cell(&t, "%s", s->op);
    table_cell(&t, "%lld", (long long)s->rows);
    table_cell(&t, "%d", s->channels);
    table_cell(&t, "%s", term_bytes(s->alive, bytes));
    table_cell(&t, "%.2f", s->work * 1e-9);
  }
  table_print(&t, stdout);
  table_free(&t);
}

static void print_rungs(const struct ptv3_plan_info *i) {
  char bytes[24], time[24];
  struct table t;
  table_init(&t, "rrrrrr");
  static const char *const head[] = {"memory", "on disk", "tensors there",
                                     "tile",   "threads", "time"};
  for (int c = 0; c < 6; c++) table_cell(&t, "%s", head[c]);
  for (int k = 0; k < i->rungs; k++) {
    const struct ptv3_plan_rung *r = &i->rung[k];
    table_cell(&t, "%s", term_bytes(r->memory, bytes));
    table_cell(&t, "%s", r->disk ? term_bytes(r->disk, bytes) : "-");
    table_cell(&t, "%d", r->spilled);
    if (r->tile)
      table_cell(&t, "%d", r->tile);
    else
      table_cell(&t, "%s", "own");
    table_cell(&t, "%d", r->threads);
    table_cell(&t, "%s", term_time(r->seconds, time));
  }
  printf("ways to run it:\n");
  table_print(&t, stdout);
  table_free(&t);
}

static void print_verdict(const struct ptv3_plan_info *i) {
  char budget[24], least[24], time[24], disk[24], window[24];
  if (!i->fits) {
    printf("does not fit the budget of %s%s; the least that would do is %s\n",
           term_bytes(i->budget, budget), i->in_parts ? ", the file read in parts" : "",
           term_bytes(i->least, least));
    return;
  }
  printf("fits the budget of %s", term_bytes(i->budget, budget));
  if (i->in_parts) printf(" with the file read in parts");
  if (i->tile) printf(" with tiles of %d rows", i->tile);
  if (i->spilled)
    printf(" with %d tensors in a temporary file of %s, %s of it in memory at a time,",
           i->spilled, term_bytes(i->disk, disk), term_bytes(i->window, window));
  printf(" on %d thread%s; about %s for the network (a guess from its operations)\n",
         i->threads, i->threads == 1 ? "" : "s", term_time(i->seconds, time));
}

static void print_json(const char *name, const struct ptv3_plan_info *i) {
  printf("{\"cloud\": \"");
  for (const char *c = name; *c; c++)
    if (*c == '"' || *c == '\\')
      printf("\\%c", *c);
    else if ((unsigned char)*c < ' ')
      printf("\\u%04x", (unsigned)*c);
    else
      putchar(*c);
  printf(
      "\", \"estimated\": %s, \"in_parts\": %s, \"voxels\": %lld, \"grid_size\": %.9g,\n "
      "\"rows\": [",
      i->estimated ? "true" : "false", i->in_parts ? "true" : "false", (long long)i->voxels,
      i->grid_size);
  for (int l = 0; l < i->stages; l++) printf("%s%lld", l ? ", " : "", (long long)i->rows[l]);
  printf("],\n \"bytes\": {");
  for (int p = 0; p < i->parts; p++)
    printf("%s\"%s\": %lld", p ? ", " : "", i->part[p].name, (long long)i->part[p].bytes);
  printf("},\n \"tensors\": %lld, \"scratch\": %lld, \"before\": %lld, \"total\": %lld,\n",
         (long long)i->features, (long long)i->scratch, (long long)i->before,
         (long long)i->total);
  printf(
      " \"budget\": %lld, \"least\": %lld, \"fits\": %s, \"tile\": %d, \"threads\": %d, "
      "\"seconds\": %.3g,\n \"spilled\": %d, \"disk\": %lld, \"window\": %lld,\n \"rungs\": [",
      (long long)i->budget, (long long)i->least, i->fits ? "true" : "false", i->tile,
      i->threads, i->seconds, i->spilled, (long long)i->disk, (long long)i->window);
  for (int k = 0; k < i->rungs; k++)
    printf(
        "%s\n  {\"memory\": %lld, \"disk\": %lld, \"spilled\": %d, \"tile\": %d, "
        "\"threads\": %d, \"seconds\": %.3g}",
        k ? "," : "", (long long)i->rung[k].memory, (long long)i->rung[k].disk,
        i->rung[k].spilled, i->rung[k].tile, i->rung[k].threads, i->rung[k].seconds);
  printf("],\n \"steps\": [");
  for (int k = 0; k < i->steps; k++)
    printf(
        "%s\n  {\"step\": \"%s\", \"op\": \"%s\", \"rows\": %lld, \"channels\": %d, "
        "\"alive\": %lld, \"flop\": %.6g}",
        k ? "," : "", i->step[k].label, i->step[k].op, (long long)i->step[k].rows,
        i->step[k].channels, (long long)i->step[k].alive, i->step[k].work);
  printf("]}\n");
}

static int show(struct session *s, const struct request *q, struct ptv3_config *config,
                const char *path) {
  struct planned p;
  int code = make_plan(s, q, config, path, q->precision > 0, 0, &p);
  if (code != EXIT_FINE) return code;
  const struct ptv3_plan_info *i = &p.info;
  if (q->json) {
    print_json(path ? path : "", i);
  } else {
    if (path)
      printf("%s: %lld voxels of %g m\n\n", path, (long long)i->voxels, i->grid_size);
    else
      printf("%lld voxels; the rows of the levels are guessed\n\n", (long long)i->voxels);
    print_rows(i);
    putchar('\n');
    print_bytes(i);
    putchar('\n');
    print_rungs(i);
    putchar('\n');
    if (q->steps) print_steps(i);
    if (q->steps) putchar('\n');
    print_verdict(i);
  }
  if (!i->fits) code = EXIT_BUDGET;
  close_plan(&p);
  return code;
}

/* ---- what would fit ---- */

/* A size with two digits, so that the table reads well. */
static double round2(double v) {
  double unit = pow(10, floor(log10(v)) - 1);
  return round(v / unit) * unit;
}

/* Smallest loss of detail first: the configured grid, then coarser ones, each in both
 * precisions, until one row fits comfortably. Returns EXIT_BUDGET when none does. */
static int suggest(struct session *s, const struct request *q, struct ptv3_config *config,
                   const char *path) {
  static const double factor[] = {1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 8};
  char bytes[24], time[24];
  struct table t;
  struct planned p;
  int code = EXIT_FINE, found = 0;
  double grid = 0;
  table_init(&t, "rrlrrl");
  static const char *const head[] = {"grid size", "voxels", "precision", "peak", "time", ""};
  for (int c = 0; c < 6; c++) table_cell(&t, "%s", head[c]);
  for (size_t f = 0; f < sizeof factor / sizeof *factor && !found && code == EXIT_FINE; f++)
    for (int precision = 0; precision < 2 && code == EXIT_FINE; precision++) {
      code =
          make_plan(s, q, config, path, precision, grid > 0 ? round2(grid * factor[f]) : 0, &p);
      if (code != EXIT_FINE) break;
      if (grid == 0) grid = p.info.grid_size;
      table_cell(&t, "%g m", p.info.grid_size);
      table_cell(&t, "%lld", (long long)p.info.voxels);
      table_cell(&t, "%s", model_precision_names[precision]);
      table_cell(&t, "%s", term_bytes(p.info.total, bytes));
      table_cell(&t, "%s", term_time(p.info.seconds, time));
      table_cell(&t, "%s", p.info.fits ? "fits" : "too large");
      found += p.info.fits;
      close_plan(&p);
      if (!(grid > 0)) break;
    }
  if (code == EXIT_FINE) {
    table_print(&t, stdout);
    if (!found) code = EXIT_BUDGET;
  }
  table_free(&t);
  return code;
}

/* ---- training ---- */

/* A batch of the clouds, as data.val's transforms make voxels of them; without any, of as many
 * voxels as were asked for or as the configuration says. */
static int train(struct session *s, const struct request *q, struct ptv3_config *config,
                 const struct arg_list *words) {
  const int clouds = words->count - 1;
  struct ptv3_train_plan_options o = {
      .precision = (enum ptv3_train_precision)(q->precision + 1),
      .compat = (enum ptv3_compat)q->compat,
      .voxels = q->voxels};
  if (!clouds) return plan_train_show(s, config, &o, q->json);
  struct planned *p = calloc((size_t)clouds, sizeof *p);
  const struct ptv3_plan **plan = calloc((size_t)clouds, sizeof *plan);
  int code = p && plan ? EXIT_FINE : EXIT_FAILED;
  if (code != EXIT_FINE) session_say(s, "out of memory");
  for (int i = 0; i < clouds && code == EXIT_FINE; i++) {
    code = make_plan(s, q, config, words->item[i + 1], 0, 0, &p[i]);
    plan[i] = p[i].plan;
  }
  o.cloud = plan;
  o.clouds = clouds;
  if (code == EXIT_FINE) code = plan_train_show(s, config, &o, q->json);
  for (int i = 0; p && i < clouds; i++) close_plan(&p[i]);
  free(plan);
  free(p);
  return code;
}

/* ---- the command ---- */

static int run(struct session *s, void *request, const struct arg_list *words) {
  const struct request *q = request;
  struct ptv3_config *config;
  if (q->train && (q->suggest || q->steps)) {
    session_say(s, "--train goes with neither --suggest nor --steps");
    return EXIT_USAGE;
  }
  if (!q->train && words->count < 2 && q->voxels < 1) {
    session_say(s, "a CLOUD or --points N is missing");
    return EXIT_USAGE;
  }
  if (q->suggest && words->count < 2) {
    session_say(s, "--suggest needs a CLOUD: voxels are counted at each grid size");
    return EXIT_USAGE;
  }
  if (ptv3_config_load(s->ctx, words->item[0], q->options.item, q->options.count, &config,
                       &s->err))
    return session_fail(s);
  int code = q->train ? train(s, q, config, words) : EXIT_FINE;
  for (int i = 1; !q->train && (i < words->count || i == 1) && code == EXIT_FINE; i++) {
    const char *path = words->count > 1 ? words->item[i] : NULL;
    code = q->suggest ? suggest(s, q, config, path) : show(s, q, config, path);
  }
  ptv3_config_free(config);
  return code;
}

int cmd_plan(int argc, char **argv) {
  static const char *const compat[] = {"current", "1.5.1", NULL};
  struct request q = {.precision = -1};
  const struct arg table[] = {
      {"points", 0, ARG_INT, &q.voxels, "N", "plan for N voxels where there is no cloud", NULL,
       1},
      {"train", 0, ARG_FLAG, &q.train, NULL,
       "for a step of training: a batch of N voxels, of\nall CLOUDs, or as large as CONFIG "
       "makes one",
       NULL, 0},
      {"precision", 0, ARG_CHOICE, &q.precision, "TYPE",
       "fp32 or bf16 (fp32; with --train by enable_amp)", model_precision_names, 0},
      {"compat", 0, ARG_CHOICE, &q.compat, "VERSION",
       "current, or 1.5.1 for weights of Pointcept\nbefore 2024-03-26 (current)", compat, 0},
      {"suggest", 0, ARG_FLAG, &q.suggest, NULL,
       "which grid sizes and precisions fit, least\nloss of detail first", NULL, 0},
      {"steps", 0, ARG_FLAG, &q.steps, NULL, "also every step of the network", NULL, 0},
      {"json", 0, ARG_FLAG, &q.json, NULL, "print JSON, every step included", NULL, 0},
      {"options", 0, ARG_PAIRS, &q.options, "KEY=VALUE...",
       "changes to CONFIG, as Pointcept takes them", NULL, 0},
      CLOUD_ARGS(&q.cloud),
      {"fill", 0, ARG_LIST, &q.fill, "NAME=V[,V,V]", "as for predict", NULL, 0},
      NORMALS_ARGS(&q.normals),
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "plan",
      "CONFIG [CLOUD...] [--points N] [--memory SIZE] [options]",
      "Shows what ptv3 predict would take, or with --train a step of ptv3 train: the rows of\n"
      "every level, bytes by category and by step, and a guess of the time. No weights are\n"
      "needed and no feature is computed. Exit status 3 says that it would not fit the budget.",
      table,
      1,
      -1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
