/* train_need.c - see train_need.h. */
#include "train_need.h"

#include "cost.h"
#include "fit.h"
#include "size.h"

static double seconds_of(const struct pt_plan *p, enum pt_dtype type, double work) {
  return work / (pt_kernels_rate(p->kernels, type) * p->threads) * pt_tile_slowdown(p->tile);
}

/* others: bytes besides the arena, the plan's own included. */
static void fill_way(const struct pt_env *env, const struct pt_plan *p, enum pt_dtype type,
                     int64_t others, struct pt_train_way *way) {
  *way = (struct pt_train_way){.features = p->features,
                               .scratch = p->arena - p->features,
                               .arena = p->arena,
                               .total = others + p->arena + PT_BLOCK_HEAD,
                               .work = pt_plan_work(p)};
  way->seconds = seconds_of(p, type, way->work);
  way->fits = way->total <= env->mem.limit;
}

/* The plan that is chosen: where it does not fit, some of it in a file, smaller tiles, fewer
 * threads. */
static void choose(struct pt_env *env, struct pt_plan *p, int64_t others,
                   struct pt_train_need *need) {
  struct ptv3_error none;
  const int64_t limit = env->mem.limit;
  void (*info)(void *, const char *) = env->info;
  if (limit < INT64_MAX) env->mem.limit = pt_max(0, limit - (others - env->mem.used));
  env->info = NULL; /* nothing is chosen here, it is only looked at */
  need->fits = pt_fit(env, p, true, &none) == PTV3_OK;
  env->info = info;
  env->mem.limit = limit;
  need->tile = p->tile, need->threads = p->threads;
  for (int64_t t = 0; t < p->tensors; t++) need->spilled += p->tensor[t].spilled;
  need->disk = p->file, need->window = p->window;
  need->total = others + p->arena + p->window + PT_BLOCK_HEAD;
}

/* The least that a plan which is laid out takes. */
static int find_least(struct pt_env *env, struct pt_plan *p, int64_t others, int64_t *least,
                      struct ptv3_error *err) {
  struct pt_rung rung[PT_RUNGS];
  int rungs;
  int status = pt_fit_rungs(env, p, rung, &rungs, err);
  if (status) return status;
  *least = others + rung[rungs - 1].arena + rung[rungs - 1].window + PT_BLOCK_HEAD;
  return PTV3_OK;
}

int pt_train_need(struct pt_env *env, const struct pt_train_task *task, int64_t others,
                  struct pt_train_need *need, struct ptv3_error *err) {
  const int64_t before = env->mem.used;
  *need = (struct pt_train_need){.chosen = -1};
  for (int k = 0; k < PT_KEEPS; k++) {
    struct pt_train_network net = {0};
    int status = pt_train_network_build(env, task, (enum pt_keep)k, &net, err);
    if (status) return status;
    struct pt_plan *p = &net.plan;
    const bool last = k + 1 == PT_KEEPS;
    const int64_t all = others + (env->mem.used - before); /* with the plan's own */
    fill_way(env, p, task->cfg->type, all, &need->way[k]);
    if (last) status = find_least(env, p, all, &need->least, err);
    if (need->chosen < 0 && (need->way[k].fits || last)) {
      need->chosen = k;
      choose(env, p, all, need);
    }
    pt_train_network_free(&net);
    if (status) return status;
  }
  return PTV3_OK;
}
