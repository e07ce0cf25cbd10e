/* evaluate_api.c - the public evaluation: what engine/evaluate.c counts, in public words.
 * Writing the numbers to files: evaluate_report.c. */
#include "evaluate_api.h"

#include <string.h>

#include "cloud_api.h"
#include "model_api.h"

/* ---- the data set ---- */

struct request {
  struct pt_dataset set;
  struct pt_fill fill[PT_FILLS];
  struct pt_load load;
};

static int open_request(struct ptv3_model *m, const struct ptv3_eval_options *o,
                        struct request *q, struct ptv3_error *err) {
  int status = pt_fills_parse(o->fill, o->fill_count, q->fill, err);
  if (status) return status;
  q->load = (struct pt_load){.want = m->need,
                             .n_want = m->needs,
                             .fill = q->fill,
                             .n_fill = o->fill_count,
                             .normals = o->estimate_normals ? PT_NORMAL_NEIGHBOURS : 0,
                             .normal_side = pt_normal_side_of(o->normal_side),
                             .grid_size = pt_pipeline_grid_size(&m->pipeline)};
  const struct pt_value *data = pt_need_dict(m->root, "data", err);
  const struct pt_value *val = data ? pt_need_dict(data, "val", err) : NULL;
  if (!val) return err->status;
  return pt_dataset_open(&q->set, &m->ctx->env, val, o->data_root, err);
}

/* ---- the scores ---- */

static int write_classes(struct ptv3_evaluation *e, const struct ptv3_model *m,
                         struct ptv3_error *err) {
  struct pt_mem *mem = pt_ctx_mem(e->ctx);
  const struct pt_metrics *total = &e->found.total;
  e->per_class = pt_zalloc(mem, total->classes, sizeof *e->per_class, PT_MEM_OUTPUT, err);
  if (!e->per_class) return err->status;
  for (int k = 0; k < total->classes; k++) {
    struct ptv3_class_score *c = &e->per_class[k];
    c->points = pt_metrics_target(total, k);
    c->iou = pt_metrics_iou(total, k);
    c->accuracy = pt_metrics_accuracy(total, k);
    if (!m->class_name) continue;
    c->name = pt_strdup(mem, m->class_name[k], err);
    if (!c->name) return err->status;
  }
  return PTV3_OK;
}

static int write_scenes(struct ptv3_evaluation *e, struct ptv3_error *err) {
  e->per_scene =
      pt_zalloc(pt_ctx_mem(e->ctx), e->found.scenes, sizeof *e->per_scene, PT_MEM_OUTPUT, err);
  if (!e->per_scene) return err->status;
  for (int64_t i = 0; i < e->found.scenes; i++) {
    const struct pt_scene_score *s = &e->found.scene[i];
    e->per_scene[i] = (struct ptv3_scene_score){s->name, s->points, s->voxels, s->miou,
                                                s->macc, s->allacc, s->seconds};
  }
  return PTV3_OK;
}

static int evaluate(struct ptv3_model *m, const struct ptv3_eval_options *o,
                    struct ptv3_evaluation *e, struct ptv3_error *err) {
  struct request q = {0};
  int status = open_request(m, o, &q, err);
  struct pt_evaluate job = {.model = &m->net,
                            .set = &q.set,
                            .load = &q.load,
                            .predict = {.pipeline = &m->pipeline,
                                        .seed = o->predict.seed,
                                        .shuffle_orders = o->predict.shuffle_orders,
                                        .shuffle_seed = o->predict.shuffle_seed,
                                        .compat = &m->compat}};
  if (!status) status = pt_evaluate(&m->ctx->env, &job, &e->found, err);
  pt_dataset_free(&q.set);
  if (!status) status = write_classes(e, m, err);
  return status ? status : write_scenes(e, err);
}

int ptv3_evaluate(struct ptv3_model *model, const struct ptv3_eval_options *options,
                  struct ptv3_evaluation **out, struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!model || !out) return pt_api_null("ptv3_evaluate", !model ? "model" : "out", err);
  if (!model->net.w.data) return pt_fail(err, PTV3_INVALID, "the model has no weights");
  struct ptv3_error inner = {0};
  struct ptv3_eval_options o = options ? *options : (struct ptv3_eval_options){0};
  struct ptv3_evaluation *e =
      pt_zalloc(pt_ctx_mem(model->ctx), 1, sizeof *e, PT_MEM_OUTPUT, &inner);
  int status = inner.status;
  if (e) {
    e->ctx = model->ctx;
    status = evaluate(model, &o, e, &inner);
  }
  if (status) {
    ptv3_evaluation_free(e);
    if (err) *err = inner;
    return status;
  }
  *out = e;
  return PTV3_OK;
}

void ptv3_evaluation_free(struct ptv3_evaluation *e) {
  if (!e) return;
  struct pt_mem *mem = pt_ctx_mem(e->ctx);
  for (int k = 0; e->per_class && k < e->found.total.classes; k++)
    pt_free(mem, (void *)(uintptr_t)e->per_class[k].name);
  pt_free(mem, e->per_class);
  pt_free(mem, e->per_scene);
  pt_evaluation_free(&e->found);
  pt_free(mem, e);
}

void ptv3_evaluation_scores(const struct ptv3_evaluation *e, struct ptv3_scores *scores) {
  struct pt_scores v = pt_metrics_scores(&e->found.total);
  *scores = (struct ptv3_scores){.classes = e->found.total.classes,
                                 .scenes = e->found.scenes,
                                 .miou = v.miou,
                                 .macc = v.macc,
                                 .allacc = v.allacc,
                                 .miou_present = v.miou_labelled,
                                 .per_class = e->per_class,
                                 .per_scene = e->per_scene,
                                 .confusion = e->found.total.confusion};
}
