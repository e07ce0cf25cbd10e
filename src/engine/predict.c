/* predict.c - see predict.h. */
#include "predict.h"

#include <math.h>
#include <string.h>

#include "coarser.h"
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

/* Where logits go. */
struct taker {
  struct pt_answers *a;
  struct pt_val_loss *loss; /* or NULL */
};

/* Takes some rows' logits (pt_logit_sink). */
static int take(void *user, const int32_t *index, int64_t rows, const float *logits,
                struct ptv3_error *err) {
  const struct taker *t = user;
  struct pt_answers *a = t->a;
  int64_t numbers = rows * a->classes;
  for (int64_t i = 0; i < numbers; i++)
    if (!isfinite(logits[i]))
      return pt_fail(err, PTV3_DATA,
                     "the network gave %g for a voxel: features or weights are out of range",
                     (double)logits[i]);
  for (int64_t r = 0; r < rows; r++) {
    int64_t i = index[r];
    a->label[i] =
        answer(logits + r * a->classes, a->classes, a->confidence ? &a->confidence[i] : NULL,
               a->probability ? a->probability + i * a->classes : NULL);
  }
  if (t->loss) pt_val_loss_rows(t->loss, index, rows, logits);
  return PTV3_OK;
}

/* Every loaded point takes the answer of its voxel. */
static void carry_back(struct pt_env *env, const struct pt_answers *a,
                       struct pt_predicted *out) {
  size_t row = (size_t)a->classes * sizeof(float);
#pragma omp parallel for num_threads(env->threads) schedule(static)
  for (int64_t i = 0; i < a->of.n_origin; i++) {
    int64_t r = a->of.inverse ? a->of.inverse[i] : i;
    out->label[i] = a->label[r];
    if (out->confidence) out->confidence[i] = a->confidence[r];
    if (out->probability)
      memcpy(out->probability + i * a->classes, a->probability + r * a->classes, row);
  }
}

static int make_answers(struct pt_env *env, int64_t n, int classes, bool confidence,
                        bool probability, struct pt_answers *a, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  a->mem = &env->mem;
  a->n = n;
  a->classes = classes;
  a->label = pt_alloc(a->mem, n, sizeof *a->label, PT_MEM_OUTPUT, &e);
  if (!e.status && confidence)
    a->confidence = pt_alloc(a->mem, n, sizeof *a->confidence, PT_MEM_OUTPUT, &e);
  if (!e.status && probability)
    a->probability =
        pt_alloc(a->mem, n, classes * (int64_t)sizeof *a->probability, PT_MEM_OUTPUT, &e);
  if (e.status && err) *err = e;
  return e.status;
}

void pt_answers_free(struct pt_answers *a) {
  if (a->mem) {
    pt_free(a->mem, a->label);
    pt_free(a->mem, a->confidence);
    pt_free(a->mem, a->probability);
  }
  *a = (struct pt_answers){0};
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

int pt_ask_compat(struct pt_env *env, struct pt_model *m, const struct pt_batch *batch,
                  struct pt_compat_ask *ask, struct ptv3_error *err) {
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

static int run(struct pt_env *env, const struct pt_model *model, const struct pt_predict *p,
               struct pt_answers *a, struct ptv3_error *err) {
  int perm[PT_MAX_STAGES * PT_MAX_ORDERS];
  const struct pt_sample *s = &a->of;
  int64_t offset[2] = {0, s->n};
  struct pt_batch batch = {s->n, s->grid_coord, s->feat, 1, offset};
  struct taker taker = {a, p->loss};
  struct pt_forward opt = {
      .sink = take, .sink_user = &taker, .seconds = p->seconds, .need = p->need};
  if (p->shuffle_orders) {
    pt_shuffle_orders(model->cfg.stages, model->cfg.orders, p->shuffle_seed, perm);
    opt.perm = perm;
  }
  struct pt_model used = *model;
  int status =
      p->need || !p->compat ? PTV3_OK : pt_ask_compat(env, &used, &batch, p->compat, err);
  if (!status) status = pt_forward(env, &used, &batch, &opt, NULL, err);
  if (status == PTV3_BUDGET) pt_say_coarser(env, &used, &batch, p->grid_size, err);
  return status;
}

int pt_predict_rows(struct pt_env *env, const struct pt_model *model, struct pt_cloud *cloud,
                    const struct pt_predict *p, bool confidence, bool probability,
                    struct pt_answers *a, struct ptv3_error *err) {
  struct ptv3_error unused;
  if (!err) err = &unused;
  *a = (struct pt_answers){0};
  struct pt_draw own = pt_draw_of(p->seed, 0, p->sample);
  int status = pt_pipeline_apply(p->pipeline, env, cloud, p->draw ? p->draw : &own, true, err);
  if (!status) status = pt_sample_view(cloud, &a->of, err);
  if (!status) status = check_channels(model, &a->of, err);
  if (!status)
    status = make_answers(env, a->of.n, model->cfg.classes, confidence, probability, a, err);
  if (!status && p->loss) status = pt_val_loss_begin(p->loss, a->of.segment, a->of.n, err);
  if (!status) status = run(env, model, p, a, err);
  if (status) pt_answers_free(a);
  return status;
}

int pt_predict_cloud(struct pt_env *env, const struct pt_model *model, struct pt_cloud *cloud,
                     const struct pt_predict *p, struct pt_predicted *out,
                     struct ptv3_error *err) {
  struct pt_answers a;
  int status = pt_predict_rows(env, model, cloud, p, p->need || out->confidence,
                               out->probability != NULL, &a, err);
  if (status) return status;
  if (!p->need) carry_back(env, &a, out);
  out->voxels = a.n;
  pt_answers_free(&a);
  return PTV3_OK;
}
