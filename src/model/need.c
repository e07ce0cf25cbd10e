/* need.c - see need.h. */
#include "need.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cost.h"
#include "fit.h"
#include "size.h"

double pt_need_seconds(const struct pt_need *need, const struct pt_kernels *kernels,
                       enum pt_dtype type) {
  double seconds = need->work / (pt_kernels_rate(kernels, type) * need->threads);
  return seconds * pt_tile_slowdown(need->tile) +
         pt_traffic_seconds(need->traffic, need->threads);
}

/* ---- bytes ---- */

static int64_t alive_at(const struct pt_plan *p, int64_t step) {
  int64_t bytes = 0;
  for (int64_t t = 0; t < p->tensors; t++)
    if (p->tensor[t].first <= step && step <= p->tensor[t].last) bytes += p->tensor[t].bytes;
  return bytes;
}

static int fill_steps(const struct pt_plan *p, struct pt_need *need, struct ptv3_error *err) {
  need->step = pt_alloc(need->mem, p->steps, sizeof *need->step, PT_MEM_OTHER, err);
  if (!need->step) return PTV3_NO_MEMORY;
  need->steps = p->steps;
  for (int64_t i = 0; i < p->steps; i++) {
    const struct pt_step *s = &p->step[i];
    const struct pt_plan_tensor *t = &p->tensor[s->out];
    struct pt_need_step *n = &need->step[i];
    *n = (struct pt_need_step){.op = s->op,
                               .rows = pt_step_rows(p, s),
                               .channels = t->channels,
                               .alive = alive_at(p, i),
                               .work = pt_step_work(s)};
    snprintf(n->label, sizeof n->label, "%s", s->label);
    need->work += n->work;
  }
  return PTV3_OK;
}

static int64_t sum_of(const struct pt_need *need) {
  int64_t sum = 0;
  for (int c = 0; c < PT_MEM_COUNT; c++) sum += need->bytes[c];
  return sum;
}

/* The totals of the ways to run that fit.h has. */
static int fill_rungs(struct pt_env *env, struct pt_plan *p, struct pt_need *need,
                      struct ptv3_error *err) {
  struct pt_rung r[PT_RUNGS];
  int status = pt_fit_rungs(env, p, r, &need->rungs, err);
  for (int i = 0; i < need->rungs && !status; i++) {
    int64_t bytes = sum_of(need) + r[i].arena + r[i].window + PT_BLOCK_HEAD;
    need->rung[i] = (struct pt_need_rung){.tile = r[i].tile,
                                          .threads = r[i].threads,
                                          .spilled = r[i].spilled,
                                          .total = pt_max(need->before, bytes),
                                          .disk = r[i].file,
                                          .seconds = r[i].seconds};
  }
  return status;
}

/* What was refused is shown as it would be in memory. */
static int back_to_wish(struct pt_plan *p, int tile, int threads, struct ptv3_error *err) {
  for (int64_t t = 0; t < p->tensors; t++) p->tensor[t].spilled = false;
  int status = pt_plan_place(p, err);
  pt_plan_scratch(p, tile, threads);
  p->window = 0;
  return status;
}

int pt_need_fill(struct pt_env *env, struct pt_network *net, const struct pt_structure *s,
                 int64_t weights, struct pt_need *need, struct ptv3_error *err) {
  struct pt_plan *p = &net->plan;
  struct ptv3_error none;
  need->stages = s->stages;
  for (int i = 0; i < s->stages; i++) need->rows[i] = s->stage[i].n;
  need->before += env->mem.peak + weights;
  for (int c = 0; c < PT_MEM_COUNT; c++) need->bytes[c] += env->mem.cat[c];
  need->bytes[PT_MEM_WEIGHTS] += weights;
  int status = fill_steps(p, need, err);
  if (status) return status;

  status = fill_rungs(env, p, need, err);
  if (status) return status;
  const int64_t limit = env->mem.limit;
  if (limit < INT64_MAX) env->mem.limit = pt_max(0, limit - (sum_of(need) - env->mem.used));
  void (*info)(void *, const char *) = env->info;
  env->info = NULL; /* nothing is chosen here, it is only looked at */
  const int tile = p->tile, threads = p->threads;
  need->fits = pt_fit(env, p, true, &none) == PTV3_OK && need->before <= limit;
  env->info = info;
  env->mem.limit = limit;
  if (!need->fits) status = back_to_wish(p, tile, threads, err);

  need->tile = p->tile, need->threads = p->threads;
  need->features = p->features;
  need->scratch = p->arena - p->features;
  need->window = p->window, need->disk = p->file;
  need->traffic = pt_plan_traffic(p);
  for (int64_t t = 0; t < p->tensors; t++) need->spilled += p->tensor[t].spilled;
  need->bytes[PT_MEM_ARENA] = p->arena + p->window;
  need->total = pt_max(need->before, sum_of(need) + PT_BLOCK_HEAD);
  need->least = need->rung[need->rungs - 1].total;
  return status;
}

/* ---- without a cloud ---- */

#define CHILD_SHARE 0.3
#define CLOUD_BYTES 40
#define SORT_BYTES 50 /* of the structure at its largest, while a curve is sorted */

/* Of one stage: coordinates, cluster, runs of the next stage, blocks, and the orders of all
 * curves but the first. */
static int64_t structure_bytes(const struct pt_ptv3 *cfg, int64_t n) {
  bool used[PT_CURVES] = {false};
  int64_t curves = 0;
  for (int o = 0; o < cfg->orders; o++) {
    curves += !used[cfg->curve[o]];
    used[cfg->curve[o]] = true;
  }
  return n * (12 + 4 + 1 + 1 + 4 * (curves - 1));
}

void pt_need_guess_rows(const struct pt_ptv3 *cfg, int64_t n, int64_t rows[PT_MAX_STAGES]) {
  double r = (double)n;
  for (int i = 0; i < cfg->stages; i++) {
    if (i) r *= pow(CHILD_SHARE, log2(cfg->stride[i - 1]));
    rows[i] = pt_max(1, (int64_t)r);
  }
}

int64_t pt_need_guess_structure(const struct pt_ptv3 *cfg, const int64_t rows[PT_MAX_STAGES]) {
  int64_t bytes = 4 * rows[0]; /* the rows' place in the input */
  for (int i = 0; i < cfg->stages; i++) bytes += structure_bytes(cfg, rows[i]);
  if (cfg->enc_mode) bytes += 4 * rows[0] * (cfg->stages - 1); /* pt_structure.to */
  return bytes;
}

/* For rows that are given, where nothing else is known. */
static int need_of_rows(struct pt_env *env, const struct pt_ptv3 *cfg,
                        const struct pt_ptv3_weights *w, const struct pt_kernels *kernels,
                        const int64_t *rows, struct pt_need *need, struct ptv3_error *err) {
  struct pt_structure s = {.clouds = 1, .stages = cfg->stages, .orders = cfg->orders};
  struct pt_network net = {0};
  int64_t offset[PT_MAX_STAGES][2];
  const int64_t structure = pt_need_guess_structure(cfg, rows);
  for (int i = 0; i < cfg->stages; i++) {
    s.stage[i].n = rows[i];
    offset[i][0] = 0, offset[i][1] = rows[i];
    s.stage[i].offset = offset[i];
  }
  int status = pt_network_build(env, cfg, w, &s, kernels, 0, &net, err);
  if (status) return status;
  need->bytes[PT_MEM_STRUCTURE] += structure;
  need->before += pt_max(structure, SORT_BYTES * rows[0]);
  status = pt_need_fill(env, &net, &s, w->data ? 0 : pt_weights_bytes(w), need, err);
  pt_network_free(&net);
  return status;
}

/* A cloud that takes so many bytes, and a label and a confidence of each voxel. */
static void count_cloud(struct pt_need *need, int64_t n, int64_t bytes) {
  need->bytes[PT_MEM_CLOUD] += bytes;
  need->bytes[PT_MEM_OUTPUT] += n * (int64_t)(sizeof(int32_t) + sizeof(float));
  need->before += bytes;
}

int pt_need_estimate(struct pt_env *env, const struct pt_ptv3 *cfg,
                     const struct pt_ptv3_weights *w, const struct pt_kernels *kernels,
                     int64_t n, bool loaded, struct pt_need *need, struct ptv3_error *err) {
  int64_t rows[PT_MAX_STAGES] = {0};
  pt_need_guess_rows(cfg, n, rows);
  if (!loaded) count_cloud(need, n, CLOUD_BYTES * n);
  return need_of_rows(env, cfg, w, kernels, rows, need, err);
}

int pt_need_at_most(struct pt_env *env, const struct pt_ptv3 *cfg,
                    const struct pt_ptv3_weights *w, const struct pt_kernels *kernels,
                    int64_t n, int64_t cloud, struct pt_need *need, struct ptv3_error *err) {
  int64_t rows[PT_MAX_STAGES] = {0};
  for (int i = 0; i < cfg->stages; i++) rows[i] = n;
  count_cloud(need, n, cloud);
  return need_of_rows(env, cfg, w, kernels, rows, need, err);
}

void pt_need_free(struct pt_need *need) {
  if (need->mem) pt_free(need->mem, need->step);
  *need = (struct pt_need){0};
}
