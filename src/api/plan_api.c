/* plan_api.c - public plans: what a prediction would take. */
#include "cloud_api.h"
#include "model_api.h"
#include "predict.h"
#include "predict_file.h"

struct ptv3_plan {
  struct ptv3_context *ctx;
  struct pt_need need;
  bool estimated, in_parts;
  double grid_size, seconds;
  int64_t budget;
  struct ptv3_plan_part part[PT_MEM_COUNT];
  struct ptv3_plan_rung rung[PT_NEED_RUNGS];
  struct ptv3_plan_step *step; /* [need.steps] */
};

static int of_cloud(struct ptv3_model *m, const struct ptv3_cloud *cloud, struct ptv3_plan *p,
                    struct ptv3_error *err) {
  struct pt_env *env = &m->ctx->env;
  struct pt_predict how = {.pipeline = &m->pipeline, .need = &p->need};
  struct pt_predicted out = {0};
  struct pt_cloud work = {0}; /* the transforms work in place: what they change is copied */
  int status = pt_api_check_needs(m, cloud, err);
  pt_cloud_borrow(&work, &cloud->points);
  if (!status) status = pt_predict_cloud(env, &m->net, &work, &how, &out, err);
  pt_cloud_free(&work);
  return status;
}

static int copy_out(struct ptv3_plan *p, struct ptv3_error *err) {
  const struct pt_need *n = &p->need;
  for (int c = 0; c < PT_MEM_COUNT; c++)
    p->part[c] = (struct ptv3_plan_part){pt_memcat_text((enum pt_memcat)c), n->bytes[c]};
  p->step = pt_alloc(pt_ctx_mem(p->ctx), n->steps, sizeof *p->step, PT_MEM_OTHER, err);
  if (!p->step) return err->status;
  for (int i = 0; i < n->rungs; i++) {
    const struct pt_need_rung *r = &n->rung[i];
    p->rung[i] =
        (struct ptv3_plan_rung){r->total, r->disk, r->spilled, r->tile, r->threads, r->seconds};
  }
  for (int64_t i = 0; i < n->steps; i++) {
    const struct pt_need_step *s = &n->step[i];
    p->step[i] = (struct ptv3_plan_step){s->label,    pt_op_name(s->op), s->rows,
                                         s->channels, s->alive,          s->work};
  }
  return PTV3_OK;
}

/* ---- of a file ---- */

static int in_memory(struct ptv3_model *m, const char *path, const struct ptv3_cloud_options *o,
                     struct ptv3_plan *p, struct ptv3_error *err) {
  struct ptv3_cloud *cloud;
  int status = ptv3_cloud_load(m->ctx, path, o, &cloud, err);
  if (status) return status;
  status = of_cloud(m, cloud, p, err);
  ptv3_cloud_free(cloud);
  return status;
}

static int in_parts(struct ptv3_model *m, const char *path, const struct pt_cloud_file *f,
                    struct ptv3_plan *p, struct ptv3_error *err) {
  struct pt_env *env = &m->ctx->env;
  struct pt_stream stream;
  struct pt_cloud voxels = {0};
  struct pt_answers none;
  int status = pt_stream_open(&stream, env, path, &f->load, &m->pipeline, 0, err);
  if (status) return status;
  pt_need_free(&p->need);
  p->need.mem = &env->mem;
  env->mem.peak = env->mem.used; /* what was tried in vain counts for nothing */
  const struct pt_predict how = {.pipeline = &m->pipeline, .need = &p->need};
  status = pt_parts_predict(m, &stream, &how, false, &voxels, &none, err);
  p->in_parts = true;
  pt_answers_free(&none);
  pt_cloud_free(&voxels);
  pt_stream_close(&stream);
  return status;
}

/* As pt_predict_file chooses. */
static int of_file(struct ptv3_model *m, const char *path, const struct ptv3_cloud_options *o,
                   struct ptv3_plan *p, struct ptv3_error *err) {
  struct pt_cloud_file f;
  struct pt_parts_choice c;
  int status = pt_cloud_file_begin(&f, &m->ctx->env, path, o, err);
  if (status) return status;
  bool parts = pt_parts_decide(&c, m, path, &f);
  if (!parts) {
    status = in_memory(m, path, o, p, err);
    parts = status == PTV3_BUDGET || (!status && !p->need.fits);
  }
  if (parts && c.possible)
    status = in_parts(m, path, &f, p, err);
  else if (status == PTV3_BUDGET)
    status = pt_parts_refuse(&c, err);
  pt_cloud_file_end(&f);
  return status;
}

/* ---- the calls ---- */

/* One of cloud and path, or neither. */
static int create(struct ptv3_model *model, const struct ptv3_cloud *cloud, const char *path,
                  const struct ptv3_cloud_options *options, int64_t voxels,
                  struct ptv3_plan **out, struct ptv3_error *err) {
  struct ptv3_error inner = {0};
  struct pt_env *env = &model->ctx->env;
  struct ptv3_plan *p = pt_zalloc(&env->mem, 1, sizeof *p, PT_MEM_OTHER, &inner);
  int status = inner.status;
  if (p) {
    p->ctx = model->ctx;
    p->need.mem = &env->mem;
    p->estimated = !cloud && !path;
    p->grid_size = pt_pipeline_grid_size(&model->pipeline);
    p->budget = env->mem.limit;
    status = cloud  ? of_cloud(model, cloud, p, &inner)
             : path ? of_file(model, path, options, p, &inner)
                    : pt_need_estimate(env, &model->net.cfg, &model->net.w, model->net.kernels,
                                       voxels, false, &p->need, &inner);
    p->seconds = pt_need_seconds(&p->need, model->net.kernels, model->net.cfg.type);
  }
  if (!status) status = copy_out(p, &inner);
  if (status) {
    ptv3_plan_free(p);
    if (err) *err = inner;
    return status;
  }
  *out = p;
  return PTV3_OK;
}

int ptv3_plan_create(struct ptv3_model *model, const struct ptv3_cloud *cloud, int64_t voxels,
                     struct ptv3_plan **out, struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!model || !out) return pt_api_null("ptv3_plan_create", !model ? "model" : "out", err);
  if (!cloud && (voxels < 1 || voxels >= INT32_MAX))
    return pt_fail(err, PTV3_INVALID,
                   "ptv3_plan_create: %lld voxels; 1 to 2^31 - 2 are possible",
                   (long long)voxels);
  return create(model, cloud, NULL, NULL, voxels, out, err);
}

int ptv3_plan_file(struct ptv3_model *model, const char *path,
                   const struct ptv3_cloud_options *options, struct ptv3_plan **out,
                   struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!model || !path || !out)
    return pt_api_null("ptv3_plan_file", !model ? "model" : !path ? "path" : "out", err);
  struct ptv3_cloud_options o = options ? *options : (struct ptv3_cloud_options){0};
  o.model = model;
  return create(model, NULL, path, &o, 0, out, err);
}

void ptv3_plan_free(struct ptv3_plan *plan) {
  if (!plan) return;
  struct pt_mem *mem = pt_ctx_mem(plan->ctx);
  pt_need_free(&plan->need);
  pt_free(mem, plan->step);
  pt_free(mem, plan);
}

void ptv3_plan_get_info(const struct ptv3_plan *plan, struct ptv3_plan_info *info) {
  const struct pt_need *n = &plan->need;
  *info = (struct ptv3_plan_info){.estimated = plan->estimated,
                                  .in_parts = plan->in_parts,
                                  .voxels = n->rows[0],
                                  .grid_size = plan->grid_size,
                                  .stages = n->stages,
                                  .rows = n->rows,
                                  .parts = PT_MEM_COUNT,
                                  .part = plan->part,
                                  .features = n->features,
                                  .scratch = n->scratch,
                                  .before = n->before,
                                  .total = n->total,
                                  .budget = plan->budget,
                                  .least = n->least,
                                  .fits = n->fits,
                                  .tile = n->tile,
                                  .threads = n->threads,
                                  .spilled = n->spilled,
                                  .disk = n->disk,
                                  .window = n->window,
                                  .seconds = plan->seconds,
                                  .rungs = n->rungs,
                                  .rung = plan->rung,
                                  .steps = (int)n->steps,
                                  .step = plan->step};
}
