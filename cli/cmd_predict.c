/* cmd_predict.c - ptv3 predict: classify clouds and write the result. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cloud.h"
#include "commands.h"
#include "model.h"
#include "predict_out.h"

struct request {
  struct common common;
  struct model_args model;
  const char *out, *format, *las_codes;
  struct cloud_args cloud;
  struct arg_list fill;
  int64_t seed; /* of the order of curves, -1: as configured */
  struct normals_args normals;
  bool probabilities;
  bool folder;
  uint8_t code[256];
  int codes;
};

/* Where the result of a cloud goes; the caller frees it. NULL: no memory. */
static char *result_path(const struct request *q, const char *cloud) {
  return out_path(q->out, q->folder, cloud, "", q->folder ? q->format : out_extension(q->out));
}

/* How many points each class got. */
static void print_shares(const struct model *m, int64_t n,
                         const int64_t *count /* [classes + 1] */) {
  struct table t;
  table_init(&t, "lrr");
  table_cell(&t, "class");
  table_cell(&t, "points");
  table_cell(&t, "share");
  for (int c = 0; c <= m->info.classes; c++) {
    if (c == m->info.classes && !count[c]) break;
    if (c == m->info.classes)
      table_cell(&t, "(unusable)");
    else if (m->info.class_name)
      table_cell(&t, "%s", m->info.class_name[c]);
    else
      table_cell(&t, "%d", c);
    table_cell(&t, "%lld", (long long)count[c]);
    table_cell(&t, "%.1f %%", 100.0 * (double)count[c] / (double)n);
  }
  table_print(&t, stdout);
  table_free(&t);
}

static int report(struct session *s, const struct request *q, const struct model *m,
                  const char *path, const struct ptv3_file_result *r, const int64_t *count,
                  double began) {
  struct ptv3_memory memory;
  char time[24], bytes[24];
  ptv3_context_memory(s->ctx, &memory);
  progress_clear(&s->progress);
  if (q->common.quiet) return EXIT_FINE;
  session_note(s, "%s: %lld points in %s, at most %s", path, (long long)r->n,
               term_time(term_now() - began, time), term_bytes(memory.peak, bytes));
  print_shares(m, r->n, count);
  return EXIT_FINE;
}

static int predict_file(struct session *s, const struct request *q, const struct model *m,
                        const char *path) {
  struct ptv3_file_options o = {
      .cloud = cloud_options(&q->cloud),
      .predict = {.shuffle_orders = q->seed >= 0,
                  .shuffle_seed = q->seed >= 0 ? (uint64_t)q->seed : 0},
      .code = q->codes ? q->code : NULL};
  o.cloud.estimate_normals = normals_wanted(&q->normals);
  o.cloud.normal_side = normals_side(&q->normals);
  o.cloud.fill = q->fill.item;
  o.cloud.fill_count = q->fill.count;
  struct ptv3_file_result result;
  double began = term_now();
  char *out = result_path(q, path);
  char *extra =
      q->probabilities ? out_path(q->out, q->folder, path, "_probabilities", "npy") : NULL;
  int64_t *count = calloc((size_t)m->info.classes + 1, sizeof *count);
  int code = EXIT_BUDGET;
  o.out = out;
  o.probabilities = extra;
  if (!out || !count || (q->probabilities && !extra))
    session_say(s, "the system has no more memory");
  else if (ptv3_predict_file(m->model, path, &o, count, &result, &s->err))
    code = result.writing ? session_fail_write(s) : session_fail(s);
  else
    code = report(s, q, m, path, &result, count, began);
  if (code == EXIT_FINE)
    session_note(s, "wrote %s%s%s", out, extra ? " and " : "", extra ? extra : "");
  free(out);
  free(extra);
  free(count);
  return code;
}

/* "2,5,6": a LAS classification a class. */
static bool read_codes(struct request *q) {
  const char *c = q->las_codes;
  while (c && *c) {
    char *end;
    long v = strtol(c, &end, 10);
    if (end == c || v < 0 || v > 255 || q->codes == 256 || (*end && *end != ',')) return false;
    q->code[q->codes++] = (uint8_t)v;
    c = *end ? end + 1 : end;
  }
  return true;
}

static const char *known_format(const char *extension) {
  static const char *const known[] = {"npy", "ply", "las", "laz"};
  for (int i = 0; i < 4; i++)
    if (strcmp(known[i], extension) == 0) return known[i];
  return NULL;
}

/* What can be wrong is found before any work is done. */
static int check(struct session *s, struct request *q, const struct arg_list *words) {
  if (!q->out) {
    session_say(s, "-o OUT is missing");
    return EXIT_USAGE;
  }
  if (!read_codes(q)) {
    session_say(s, "--las-codes: '%s' is not a list of numbers 0 to 255", q->las_codes);
    return EXIT_USAGE;
  }
  q->folder = words->count > 2 || out_is_folder(q->out);
  if (!known_format(q->folder ? q->format : out_extension(q->out))) {
    session_say(s, q->folder ? "--format: one of npy, ply, las, laz"
                             : "-o: the name is to end in .npy, .ply, .las or .laz");
    return EXIT_USAGE;
  }
  if (q->folder && mkdir(q->out, 0777) != 0 && errno != EEXIST) {
    session_say(s, "cannot create the folder '%s': %s", q->out, strerror(errno));
    return EXIT_FAILED;
  }
  return EXIT_FINE;
}

/* One file: the same device and number. */
static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A result may neither replace a cloud that is read nor another result. */
static int check_results(struct session *s, const struct request *q,
                         const struct arg_list *words) {
  int code = EXIT_FINE;
  for (int i = 1; i < words->count && code == EXIT_FINE; i++) {
    char *one = result_path(q, words->item[i]);
    for (int j = 1; one && j < words->count && code == EXIT_FINE; j++) {
      char *other = j < i ? result_path(q, words->item[j]) : NULL;
      bool twice = other && strcmp(one, other) == 0, over = same_file(one, words->item[j]);
      if (twice) session_say(s, "two clouds would both be written to '%s'", one);
      if (over) session_say(s, "'%s' is a cloud to be read: write elsewhere", one);
      if (twice || over) code = EXIT_USAGE;
      free(other);
    }
    free(one);
  }
  return code;
}

static int run(struct session *s, void *request, const struct arg_list *words) {
  struct request *q = request;
  struct model m;
  int code = check(s, q, words);
  if (code == EXIT_FINE) code = check_results(s, q, words);
  if (code != EXIT_FINE) return code;
  code = model_open(s, words->item[0], &q->model, &m);
  if (code != EXIT_FINE) return code;
  if (q->codes && q->codes != m.info.classes) {
    session_say(s, "--las-codes: %d codes for %d classes", q->codes, m.info.classes);
    code = EXIT_USAGE;
  }
  for (int i = 1; i < words->count && code == EXIT_FINE; i++)
    code = predict_file(s, q, &m, words->item[i]);
  model_close(&m);
  return code;
}

int cmd_predict(int argc, char **argv) {
  struct request q = {.seed = -1, .format = "las"};
  const struct arg table[] = {
      MODEL_ARGS(&q.model),
      {"output", 'o', ARG_TEXT, &q.out, "OUT",
       ".npy, .ply, .las or .laz; a folder for several\nclouds", NULL, 0},
      {"format", 0, ARG_TEXT, &q.format, "EXT", "what to write into a folder (las)", NULL, 0},
      {"probabilities", 0, ARG_FLAG, &q.probabilities, NULL,
       "also write OUT_probabilities.npy [points, classes]", NULL, 0},
      {"las-codes", 0, ARG_TEXT, &q.las_codes, "A,B,...",
       "LAS classification of each class (by name)", NULL, 0},
      CLOUD_ARGS(&q.cloud),
      {"fill", 0, ARG_LIST, &q.fill, "NAME=V[,V,V]",
       "for a feature the clouds lack, e.g.\ncolor=128,128,128; may be given again", NULL, 0},
      NORMALS_ARGS(&q.normals),
      {"shuffle-orders", 0, ARG_INT, &q.seed, "SEED",
       "draw the order of the curves, as Pointcept does", NULL, 0},
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "predict",
      "CONFIG --weight FILE CLOUD... -o OUT [options]",
      "Classifies every point of clouds. CONFIG is a configuration of Pointcept; CLOUD is "
      "LAS,\n"
      "LAZ, PLY, PCD, NPY, XYZ, KITTI .bin or a folder of .npy files. What is written has the\n"
      "input's points in the input's order; LAS input keeps its other dimensions.",
      table,
      2,
      -1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
