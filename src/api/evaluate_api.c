/* evaluate_api.c - the public evaluation: Pointcept's validation protocol over a data set.
 *
 * Source: pointcept/engines/hooks/evaluator.py (SemSegEvaluator): one pass over the voxels
 * of a scene, pred[inverse] against origin_segment, counts summed over the scenes. Writing
 * the numbers to files: evaluate_report.c. */
#include "evaluate_api.h"

#include <string.h>
#include <time.h>

#include "dataset.h"
#include "model_api.h"
#include "predict.h"

enum { NEIGHBOURS = 16, FILLS = 16 };

struct job {
  struct ptv3_model *model;
  struct pt_env *env;
  struct pt_dataset set;
  struct pt_load load;
  struct pt_fill fill[FILLS];
  struct pt_predict how;
  struct ptv3_evaluation *out;
  struct pt_metrics scene; /* of the one at hand */
  int32_t *label, *target; /* [points of the scene at hand] */
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one scene ---- */

/* The labels as they were read, one a point: the transforms take theirs apart. */
static int keep_target(struct job *j, const struct pt_cloud *c, const char *name,
                       struct ptv3_error *err) {
  int classes = j->model->net.cfg.classes;
  const struct pt_channel *segment = pt_cloud_find(c, "segment");
  if (!segment)
    return pt_fail(err, PTV3_DATA, "'%s' has no labels, which an evaluation needs", name);
  int status = pt_cloud_check_labels(c, "segment", classes, j->set.ignore, name, err);
  if (status) return status;
  j->label = pt_alloc(&j->env->mem, c->n, sizeof *j->label, PT_MEM_OUTPUT, err);
  if (j->label) j->target = pt_alloc(&j->env->mem, c->n, sizeof *j->target, PT_MEM_OUTPUT, err);
  if (!j->target) return err->status;
  memcpy(j->target, segment->data, (size_t)c->n * sizeof *j->target);
  return PTV3_OK;
}

static int64_t labelled(const struct pt_metrics *m) {
  int64_t n = 0;
  for (int k = 0; k < m->classes; k++) n += pt_metrics_target(m, k);
  return n;
}

static int note(struct job *j, const char *name, int64_t voxels, double seconds,
                struct ptv3_error *err) {
  struct ptv3_scene_score *s = &j->out->scene[j->out->scenes];
  struct pt_scores v = pt_metrics_scores(&j->scene);
  s->name = pt_strdup(&j->env->mem, name, err);
  if (!s->name) return err->status;
  s->points = labelled(&j->scene);
  s->voxels = voxels;
  s->miou = v.miou_present;
  s->macc = v.macc_labelled;
  s->allacc = v.allacc;
  s->seconds = seconds;
  j->out->scenes++;
  return PTV3_OK;
}

static int predict_scene(struct job *j, int64_t i, struct pt_cloud *c, struct ptv3_error *err) {
  const char *name = j->set.scene[i].name;
  double began = now();
  int status = keep_target(j, c, j->set.scene[i].path, err);
  if (status) return status;
  int64_t n = c->n;
  struct pt_predicted out = {.label = j->label};
  j->how.sample = (uint64_t)i;
  status = pt_predict_cloud(j->env, &j->model->net, c, &j->how, &out, err);
  if (status) {
    pt_prefix(err, "'%s'", name);
    return status;
  }
  pt_metrics_clear(&j->scene);
  pt_metrics_add(&j->scene, j->label, j->target, n);
  pt_metrics_merge(&j->out->total, &j->scene);
  return note(j, name, out.voxels, now() - began, err);
}

static int evaluate_scene(struct job *j, int64_t i, struct ptv3_error *err) {
  struct pt_cloud c = {0};
  int status = pt_dataset_load(&j->set, j->env, i, &j->load, &c, err);
  if (!status) status = predict_scene(j, i, &c, err);
  pt_cloud_free(&c);
  pt_free(&j->env->mem, j->label);
  pt_free(&j->env->mem, j->target);
  j->label = j->target = NULL;
  return status;
}

/* ---- all scenes ---- */

static int prepare(struct job *j, const struct ptv3_eval_options *o, struct ptv3_error *err) {
  if (o->fill_count < 0 || o->fill_count > FILLS)
    return pt_fail(err, PTV3_INVALID, "%d features to fill; up to %d are offered",
                   o->fill_count, FILLS);
  for (int i = 0; i < o->fill_count; i++) {
    int status = pt_fill_parse(o->fill[i], &j->fill[i], err);
    if (status) return status;
  }
  j->load = (struct pt_load){.want = j->model->need,
                             .n_want = j->model->needs,
                             .fill = j->fill,
                             .n_fill = o->fill_count,
                             .normals = o->estimate_normals ? NEIGHBOURS : 0,
                             .grid_size = pt_pipeline_grid_size(&j->model->pipeline)};
  j->how = (struct pt_predict){.pipeline = &j->model->pipeline,
                               .seed = o->predict.seed,
                               .shuffle_orders = o->predict.shuffle_orders,
                               .shuffle_seed = o->predict.shuffle_seed};
  const struct pt_value *data = pt_need_dict(j->model->root, "data", err);
  const struct pt_value *val = data ? pt_need_dict(data, "val", err) : NULL;
  if (!val) return err->status;
  return pt_dataset_open(&j->set, j->env, val, o->data_root, err);
}

static int finish(struct job *j, struct ptv3_error *err) {
  struct ptv3_evaluation *e = j->out;
  e->scores = pt_metrics_scores(&e->total);
  for (int k = 0; k < e->total.classes; k++) {
    struct ptv3_class_score *c = &e->per_class[k];
    c->points = pt_metrics_target(&e->total, k);
    c->iou = pt_metrics_iou(&e->total, k);
    c->accuracy = pt_metrics_accuracy(&e->total, k);
    if (!j->model->class_name) continue;
    c->name = pt_strdup(&j->env->mem, j->model->class_name[k], err);
    if (!c->name) return err->status;
  }
  return PTV3_OK;
}

static int run(struct job *j, const struct ptv3_eval_options *o, struct ptv3_error *err) {
  struct pt_mem *mem = &j->env->mem;
  int classes = j->model->net.cfg.classes;
  struct ptv3_evaluation *e = j->out;
  int status = prepare(j, o, err);
  if (!status) status = pt_metrics_init(&e->total, mem, classes, j->set.ignore, err);
  if (!status) status = pt_metrics_init(&j->scene, mem, classes, j->set.ignore, err);
  if (status) return status;
  e->scene = pt_zalloc(mem, j->set.count, sizeof *e->scene, PT_MEM_OUTPUT, err);
  if (!e->scene) return err->status;
  e->per_class = pt_zalloc(mem, classes, sizeof *e->per_class, PT_MEM_OUTPUT, err);
  if (!e->per_class) return err->status;
  for (int64_t i = 0; !status && i < j->set.count; i++) {
    status = pt_progress(j->env, "scenes", i, j->set.count, err);
    if (!status) status = evaluate_scene(j, i, err);
  }
  return status ? status : finish(j, err);
}

int ptv3_evaluate(struct ptv3_model *model, const struct ptv3_eval_options *options,
                  struct ptv3_evaluation **out, struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!model || !out) return pt_api_null("ptv3_evaluate", !model ? "model" : "out", err);
  struct ptv3_error inner = {0};
  struct ptv3_eval_options o = options ? *options : (struct ptv3_eval_options){0};
  struct job j = {.model = model, .env = &model->ctx->env};
  j.out = pt_zalloc(&j.env->mem, 1, sizeof *j.out, PT_MEM_OUTPUT, &inner);
  int status = inner.status;
  if (j.out) {
    j.out->ctx = model->ctx;
    status = run(&j, &o, &inner);
  }
  pt_metrics_free(&j.scene);
  pt_dataset_free(&j.set);
  if (status) {
    ptv3_evaluation_free(j.out);
    if (err) *err = inner;
    return status;
  }
  *out = j.out;
  return PTV3_OK;
}

void ptv3_evaluation_free(struct ptv3_evaluation *e) {
  if (!e) return;
  struct pt_mem *mem = pt_ctx_mem(e->ctx);
  for (int64_t i = 0; i < e->scenes; i++) pt_free(mem, (void *)(uintptr_t)e->scene[i].name);
  for (int k = 0; e->per_class && k < e->total.classes; k++)
    pt_free(mem, (void *)(uintptr_t)e->per_class[k].name);
  pt_metrics_free(&e->total);
  pt_free(mem, e->scene);
  pt_free(mem, e->per_class);
  pt_free(mem, e);
}

void ptv3_evaluation_scores(const struct ptv3_evaluation *e, struct ptv3_scores *scores) {
  *scores = (struct ptv3_scores){.classes = e->total.classes,
                                 .scenes = e->scenes,
                                 .miou = e->scores.miou,
                                 .macc = e->scores.macc,
                                 .allacc = e->scores.allacc,
                                 .miou_present = e->scores.miou_labelled,
                                 .per_class = e->per_class,
                                 .per_scene = e->scene,
                                 .confusion = e->total.confusion};
}
