/* predict.c - see predict.h. */
#include "predict.h"

#include <math.h>
#include <string.h>

#include "compat.h"
#include "shuffle.h"

/* ---- from logits to answers ---- */

/* The index of the largest logit, the first of equals (torch.argmax), and its softmax
 * probability; prob [classes] all of them, NULL if not wanted. */
static int32_t answer(const float *logit, int classes, float *confidence, float *prob) {
  int best = 0;
  for (int k = 1; k < classes; k++)
    if (logit[k] > logit[best]) best = k;
  double sum = 0;
  for (int k = 0; k < classes; k++) sum += exp((double)logit[k] - (double)logit[best]);
  if (confidence) *confidence = (float)(1 / sum);
  for (int k = 0; k < classes && prob; k++)
    prob[k] = (float)(exp((double)logit[k] - (double)logit[best]) / sum);
  return best;
}

static int check_logits(const float *logits, int64_t n, struct ptv3_error *err) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(logits[i]))
      return pt_fail(err, PTV3_DATA,
                     "the network gave %g for a voxel: features or weights are out of range",
                     (double)logits[i]);
  return PTV3_OK;
}

/* Every loaded point takes the answer of its voxel. */
static void carry_back(struct pt_env *env, const struct pt_sample *s, const float *logits,
                       int classes, struct pt_predicted *out) {
#pragma omp parallel for num_threads(env->threads) schedule(static)
  for (int64_t i = 0; i < s->n_origin; i++) {
    const float *row = logits + (s->inverse ? s->inverse[i] : i) * classes;
    out->label[i] = answer(row, classes, out->confidence ? &out->confidence[i] : NULL,
                           out->probability ? out->probability + i * classes : NULL);
  }
}

/* ---- one cloud ---- */

static int check_channels(const struct pt_model *model, const struct pt_sample *s,
                          struct ptv3_error *err) {
  if (s->channels == model->cfg.in_channels) return PTV3_OK;
  return pt_fail(
      err, PTV3_CONFIG,
      "feat_keys give %d channels, the model's in_channels is %d: change one of them",
      s->channels, model->cfg.in_channels);
}

static int ask_compat(struct pt_env *env, struct pt_model *m, const struct pt_batch *batch,
                      struct pt_compat_ask *ask, struct ptv3_error *err) {
  if (!ask) return PTV3_OK;
  if (!ask->done && pt_compat_matters(&m->cfg)) {
    struct pt_compat found;
    int status = pt_compat_measure(env, m, batch, &found, err);
    /* a warning is not worth failing for */
    if (status == PTV3_BUDGET && !ask->choose) return PTV3_OK;
    if (status) return status;
    ask->old = pt_compat_is_old(&found);
    if (ask->choose)
      pt_info(env, "the weights are taken as Pointcept's %s",
              ask->old ? "of v1.5.1 (before 2024-03-26)" : "of today");
    else if (ask->old)
      pt_warn(env,
              "the weights look like Pointcept v1.5.1's (before 2024-03-26), which need "
              "compat 1.5.1: without it features are %.2g nats from BatchNorm's statistics, "
              "with it %.2g",
              found.current, found.old);
  }
  ask->done = true;
  if (ask->choose) m->cfg.compat_151 = ask->old;
  return PTV3_OK;
}

int pt_predict_cloud(struct pt_env *env, const struct pt_model *model, struct pt_cloud *cloud,
                     const struct pt_predict *p, struct pt_predicted *out,
                     struct ptv3_error *err) {
  struct ptv3_error unused;
  struct pt_sample s;
  int perm[PT_MAX_STAGES * PT_MAX_ORDERS];
  if (!err) err = &unused;
  struct pt_draw draw = pt_draw_of(p->seed, 0, p->sample);
  int status = pt_pipeline_apply(p->pipeline, env, cloud, &draw, true, err);
  if (!status) status = pt_sample_view(cloud, &s, err);
  if (!status) status = check_channels(model, &s, err);
  if (status) return status;
  int64_t offset[2] = {0, s.n};
  struct pt_batch batch = {s.n, s.grid_coord, s.feat, 1, offset};
  struct pt_forward opt = {.seconds = p->seconds, .need = p->need};
  if (p->shuffle_orders) {
    pt_shuffle_orders(model->cfg.stages, model->cfg.orders, p->shuffle_seed, perm);
    opt.perm = perm;
  }
  struct pt_model used = *model;
  if (!p->need) status = ask_compat(env, &used, &batch, p->compat, err);
  if (status) return status;
  float *logits = pt_alloc(&env->mem, s.n, model->cfg.classes * (int64_t)sizeof *logits,
                           PT_MEM_OUTPUT, err);
  if (!logits) return err->status;
  status = pt_forward(env, &used, &batch, &opt, logits, err);
  if (!status && p->need) goto out;
  if (!status) status = check_logits(logits, s.n * model->cfg.classes, err);
  if (!status) carry_back(env, &s, logits, model->cfg.classes, out);
out:
  out->voxels = s.n;
  pt_free(&env->mem, logits);
  return status;
}
