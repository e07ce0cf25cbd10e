/* cmd_eval.c - ptv3 eval: scores of a model on a labelled data set. */
#include <stdlib.h>
#include <string.h>

#include "cloud.h"
#include "commands.h"
#include "model.h"

struct request {
  struct common common;
  struct model_args model;
  const char *json, *csv, *data_root;
  struct arg_list fill;
  int64_t seed;
  struct normals_args normals;
  bool scenes, confusion;
};

static void print_classes(const struct ptv3_scores *v) {
  struct table t;
  table_init(&t, "lrrr");
  table_cell(&t, "class");
  table_cell(&t, "points");
  table_cell(&t, "IoU");
  table_cell(&t, "accuracy");
  for (int c = 0; c < v->classes; c++) {
    const struct ptv3_class_score *k = &v->per_class[c];
    if (k->name)
      table_cell(&t, "%s", k->name);
    else
      table_cell(&t, "%d", c);
    table_cell(&t, "%lld", (long long)k->points);
    table_cell(&t, "%.4f", k->iou);
    table_cell(&t, "%.4f", k->accuracy);
  }
  table_print(&t, stdout);
  table_free(&t);
}

static void print_scenes(const struct ptv3_scores *v) {
  struct table t;
  table_init(&t, "lrrrrrr");
  static const char *const head[] = {"scene", "points", "voxels", "mIoU",
                                     "mAcc",  "allAcc", "seconds"};
  for (int i = 0; i < 7; i++) table_cell(&t, "%s", head[i]);
  for (int64_t i = 0; i < v->scenes; i++) {
    const struct ptv3_scene_score *k = &v->per_scene[i];
    table_cell(&t, "%s", k->name);
    table_cell(&t, "%lld", (long long)k->points);
    table_cell(&t, "%lld", (long long)k->voxels);
    table_cell(&t, "%.4f", k->miou);
    table_cell(&t, "%.4f", k->macc);
    table_cell(&t, "%.4f", k->allacc);
    table_cell(&t, "%.2f", k->seconds);
  }
  table_print(&t, stdout);
  table_free(&t);
}

static void print_confusion(const struct ptv3_scores *v) {
  char *align = malloc((size_t)v->classes + 2);
  if (!align) return;
  memset(align, 'r', (size_t)v->classes + 1);
  align[0] = 'l';
  align[v->classes + 1] = 0;
  struct table t;
  table_init(&t, align);
  table_cell(&t, "label \\ predicted");
  for (int c = 0; c < v->classes; c++) table_cell(&t, "%d", c);
  for (int i = 0; i < v->classes; i++) {
    const char *name = v->per_class[i].name;
    table_cell(&t, "%d %s", i, name ? name : "");
    for (int j = 0; j < v->classes; j++)
      table_cell(&t, "%lld", (long long)v->confusion[(int64_t)i * v->classes + j]);
  }
  table_print(&t, stdout);
  table_free(&t);
  free(align);
}

static void print_scores(const struct request *q, const struct ptv3_scores *v) {
  if (q->scenes) {
    print_scenes(v);
    printf("\n");
  }
  print_classes(v);
  if (q->confusion) {
    printf("\n");
    print_confusion(v);
  }
  printf("\nmIoU %.4f  mAcc %.4f  allAcc %.4f  over %lld scenes", v->miou, v->macc, v->allacc,
         (long long)v->scenes);
  printf("  (mIoU %.4f over the classes present)\n", v->miou_present);
}

static int report(struct session *s, const struct request *q,
                  const struct ptv3_evaluation *evaluation) {
  struct ptv3_scores v;
  ptv3_evaluation_scores(evaluation, &v);
  progress_clear(&s->progress);
  print_scores(q, &v);
  const char *files[] = {q->json, q->csv};
  for (int i = 0; i < 2; i++) {
    if (!files[i]) continue;
    if (ptv3_evaluation_save(evaluation, files[i], &s->err)) return session_fail_write(s);
    session_note(s, "wrote %s", files[i]);
  }
  return EXIT_FINE;
}

static bool ends(const char *path, const char *tail) {
  size_t n = strlen(path), k = strlen(tail);
  return n > k && strcmp(path + n - k, tail) == 0;
}

static int check(struct session *s, const struct request *q) {
  if (q->json && !ends(q->json, ".json"))
    session_say(s, "--json: the name is to end in .json");
  else if (q->csv && !ends(q->csv, ".csv"))
    session_say(s, "--csv: the name is to end in .csv");
  else
    return EXIT_FINE;
  return EXIT_USAGE;
}

static int run(struct session *s, void *request, const struct arg_list *words) {
  const struct request *q = request;
  struct model m;
  int code = check(s, q);
  if (code == EXIT_FINE) code = model_open(s, words->item[0], &q->model, &m);
  if (code != EXIT_FINE) return code;
  struct ptv3_eval_options options = {
      .predict = {.shuffle_orders = q->seed >= 0,
                  .shuffle_seed = q->seed >= 0 ? (uint64_t)q->seed : 0},
      .data_root = q->data_root,
      .fill = q->fill.item,
      .fill_count = q->fill.count,
      .estimate_normals = normals_wanted(&q->normals),
      .normal_side = normals_side(&q->normals)};
  struct ptv3_evaluation *evaluation;
  if (ptv3_evaluate(m.model, &options, &evaluation, &s->err)) {
    code = session_fail(s);
  } else {
    code = report(s, q, evaluation);
    ptv3_evaluation_free(evaluation);
  }
  model_close(&m);
  return code;
}

int cmd_eval(int argc, char **argv) {
  struct request q = {.seed = -1};
  const struct arg table[] = {
      MODEL_ARGS(&q.model),
      {"data-root", 0, ARG_TEXT, &q.data_root, "FOLDER", "the data set (data.val.data_root)",
       NULL, 0},
      {"json", 0, ARG_TEXT, &q.json, "FILE", "also write all numbers as JSON", NULL, 0},
      {"csv", 0, ARG_TEXT, &q.csv, "FILE", "also write all numbers as CSV", NULL, 0},
      {"scenes", 0, ARG_FLAG, &q.scenes, NULL, "show the scores of each scene", NULL, 0},
      {"confusion", 0, ARG_FLAG, &q.confusion, NULL, "show the confusion matrix", NULL, 0},
      {"fill", 0, ARG_LIST, &q.fill, "NAME=V[,V,V]",
       "for a feature the scenes lack, e.g.\ncolor=128,128,128; may be given again", NULL, 0},
      NORMALS_ARGS(&q.normals),
      {"shuffle-orders", 0, ARG_INT, &q.seed, "SEED",
       "draw the order of the curves, as Pointcept does", NULL, 0},
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {"eval",
                            "CONFIG --weight FILE [options]",
                            "Scores a model by Pointcept's validation protocol: each scene of "
                            "data.val is voxelised,\n"
                            "predicted once and carried back to its points. The numbers are "
                            "not those of Pointcept's\n"
                            "test protocol, which sums ten augmented passes.",
                            table,
                            1,
                            1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
