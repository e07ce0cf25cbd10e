/* forward.c - see forward.h. */
#include "forward.h"

#include <string.h>

#include "room.h"
#include "size.h"

int pt_batch_structure(struct pt_env *env, const struct pt_ptv3 *cfg,
                       const struct pt_batch *batch, const int *perm, struct pt_structure *s,
                       struct ptv3_error *err) {
  const struct pt_structure_in in = {
      .n = batch->n,
      .coord = batch->coord,
      .offset = batch->offset,
      .clouds = batch->clouds,
      .stages = cfg->stages,
      .stride = cfg->stride,
      .orders = cfg->orders,
      .curve = cfg->curve,
      .perm = perm,
      .compat_151 = cfg->compat_151,
      .maps = cfg->enc_mode,
  };
  return pt_structure_build(env, &in, s, err);
}

/* Where logits go: the array, the sink, or both. */
struct output {
  const struct pt_structure *s;
  const struct pt_forward *opt;
  float *logits; /* [n, c] or NULL */
  int c, threads;
};

static int give(void *user, int64_t first, int64_t rows, const float *data,
                struct ptv3_error *err) {
  const struct output *o = user;
  const int32_t *index = o->s->input + first;
  if (o->logits) {
#pragma omp parallel for num_threads(o->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
      memcpy(o->logits + (int64_t)index[r] * o->c, data + r * o->c,
             (size_t)o->c * sizeof *data);
  }
  return o->opt->sink ? o->opt->sink(o->opt->sink_user, index, rows, data, err) : PTV3_OK;
}

static int run(struct pt_env *env, const struct pt_model *m, const struct pt_batch *batch,
               const struct pt_structure *s, struct pt_network *net,
               const struct pt_forward *opt, float *logits, struct ptv3_error *err) {
  struct pt_plan *p = &net->plan;
  struct pt_room room = {0};
  int status = pt_room_make(env, &room, p, err);
  if (status) return status;
  struct output out = {s, opt, logits, m->cfg.classes, env->threads};
  p->give = give;
  p->give_user = &out;
  pt_room_fill(env, &room, p, net->input, batch->feat, s->input);
  if (opt->begin) opt->begin(opt->user, s);
  env->mem.sealed =
      !opt->observe; /* all there is to allocate is allocated, save by observers */
  status = pt_plan_run(p, env, room.arena, opt->observe, opt->user, err);
  env->mem.sealed = false;
  for (int op = 0; op < PT_OPS && opt->seconds; op++) opt->seconds[op] += p->seconds[op];
  pt_room_free(env, &room);
  return status;
}

/* Not even the integers fit: says so with a guess of what the whole takes. */
static int refuse_early(struct pt_env *env, const struct pt_model *m,
                        const struct pt_batch *batch, struct ptv3_error *err) {
  char text[24], have[24], message[sizeof err->message];
  struct pt_need need = {.mem = &env->mem};
  struct ptv3_error none;
  memcpy(message, err->message, sizeof message);
  const int64_t peak = env->mem.peak;
  env->mem.peak = env->mem.used; /* what was tried in vain counts for nothing */
  if (pt_need_estimate(env, &m->cfg, &m->w, m->kernels, batch->n, true, &need, &none) ==
      PTV3_OK)
    pt_fail(err, PTV3_BUDGET, "needs a memory budget of about %s for %lld voxels, has %s: %s",
            pt_bytes_text(need.least, text), (long long)batch->n,
            pt_bytes_text(env->mem.limit, have), message);
  pt_need_free(&need);
  env->mem.peak = pt_max(peak, env->mem.peak);
  return PTV3_BUDGET;
}

int pt_forward(struct pt_env *env, const struct pt_model *model, const struct pt_batch *batch,
               const struct pt_forward *opt, float *logits, struct ptv3_error *err) {
  static const struct pt_forward none;
  struct ptv3_error e = {0};
  struct pt_structure s = {0};
  struct pt_network net = {0};
  if (!opt) opt = &none;
  double start = pt_seconds();
  int status = pt_batch_structure(env, &model->cfg, batch, opt->perm, &s, &e);
  if (opt->seconds) opt->seconds[PT_OPS] += pt_seconds() - start;
  if (status == PTV3_BUDGET) status = refuse_early(env, model, batch, &e);
  if (!status)
    status = pt_network_build(env, &model->cfg, &model->w, &s, model->kernels, model->tile,
                              &net, &e);
  if (!status && opt->need)
    status = pt_need_fill(env, &net, &s, model->w.data ? 0 : pt_weights_bytes(&model->w),
                          opt->need, &e);
  else if (!status)
    status = run(env, model, batch, &s, &net, opt, logits, &e);
  pt_network_free(&net);
  pt_structure_free(env, &s);
  if (status && err) *err = e;
  return status;
}
