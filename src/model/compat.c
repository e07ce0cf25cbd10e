/* compat.c - see compat.h. */
#include "compat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtype.h"
#include "size.h"

#define VOXELS 8192   /* looked at; more make it slower, not surer */
#define LEAST_ROWS 32 /* of a layer: fewer have no mean and variance to speak of */
#define LIFT 16       /* GELU leaves what is so far above 0 as it is */

bool pt_compat_matters(const struct pt_ptv3 *cfg) {
  bool blocks = false;
  for (int s = 0; s < cfg->stages - 1; s++) blocks = blocks || cfg->enc[s].depth > 1;
  return blocks && cfg->pre_norm;
}

/* ---- one network ---- */

struct watch {
  struct pt_env *env;
  const struct pt_model *model;
  double sum; /* of divergences */
  int64_t channels;
  int layers, passed; /* pooling layers compared, and met */
  struct ptv3_error err;
};

/* From N(0, 1) to the mean and variance of column j of z [n, c]. Bounded, so that one dead
 * channel does not decide. */
static double divergence(const struct pt_pool *a, int j) {
  double sum = 0, square = 0, n = (double)a->m;
  for (int64_t r = 0; r < a->m; r++) {
    double z = pt_load(a->out, a->type, r * a->c + j) - LIFT;
    sum += z;
    square += z * z;
  }
  double mean = sum / n, var = fmax(square / n - mean * mean, 1e-4);
  return fmin(0.5 * (var + mean * mean - 1 - log(var)), 10);
}

/* The layer once more, with a BatchNorm that standardises and lifts over the bend of GELU. */
static void look(struct watch *w, const struct pt_pool *layer,
                 const struct pt_linear_weights *norm) {
  struct pt_pool a = *layer;
  struct pt_mem *mem = &w->env->mem;
  int64_t bytes = pt_round_up(w->model->kernels->pool_scratch(&a, w->model->tile), 64);
  struct pt_exec x = {.threads = 1, .tile = w->model->tile, .scratch_stride = bytes};
  float *g = pt_alloc(mem, 2 * a.c, sizeof *g, PT_MEM_ARENA, &w->err);
  a.out = g ? pt_alloc(mem, a.m * a.c, sizeof *g, PT_MEM_ARENA, &w->err) : NULL;
  x.scratch = a.out ? pt_alloc(mem, bytes, 1, PT_MEM_ARENA, &w->err) : NULL;
  if (x.scratch) {
    for (int j = 0; j < a.c; j++) {
      g[j] = (float)(1 / sqrt((double)norm->var[j] + 1e-3));
      g[a.c + j] = LIFT - norm->mean[j] * g[j];
    }
    a.g = g, a.shift = g + a.c;
    w->model->kernels->pool(&a, &x);
    for (int j = 0; j < a.c; j++) w->sum += divergence(&a, j);
    w->channels += a.c;
    w->layers++;
  }
  pt_free(mem, x.scratch);
  pt_free(mem, a.out);
  pt_free(mem, g);
}

static void observe(void *user, const struct pt_step *step, const void *data,
                    enum pt_dtype type, int64_t rows, int channels) {
  struct watch *w = user;
  (void)data, (void)type, (void)channels;
  if (step->op != PT_OP_pool) return;
  w->passed++;
  if (rows < LEAST_ROWS || w->err.status) return;
  const struct pt_ptv3_weights *all = &w->model->w;
  for (int s = 1; s < w->model->cfg.stages; s++)
    if (all->down[s].g == step->a.pool.g) look(w, &step->a.pool, &all->down[s]);
}

/* Ends the pass after the last pooling layer: the decoder is not needed. */
static bool go_on(void *user, const char *what, int64_t done, int64_t total) {
  const struct watch *w = user;
  (void)what, (void)done, (void)total;
  return w->passed < w->model->cfg.stages - 1;
}

static int measure(struct pt_env *env, struct pt_model *m, const struct pt_batch *b, bool old,
                   double *score, int *layers, struct ptv3_error *err) {
  struct watch w = {.env = env, .model = m};
  struct pt_forward opt = {.observe = observe, .user = &w};
  m->cfg.compat_151 = old;
  env->user = &w;
  int status = pt_forward(env, m, b, &opt, NULL, err);
  if (status == PTV3_CANCELLED) {
    *err = w.err;
    status = w.err.status;
  }
  *score = w.channels ? w.sum / (double)w.channels : 0;
  *layers = w.layers;
  return status;
}

/* Nothing is reported meanwhile: how a part fits the budget says nothing about the whole. */
static int measure_both(struct pt_env *env, struct pt_model *m, const struct pt_batch *b,
                        struct pt_compat *out, struct ptv3_error *err) {
  bool (*progress)(void *, const char *, int64_t, int64_t) = env->progress;
  void (*warn)(void *, const char *) = env->warn;
  void (*info)(void *, const char *) = env->info;
  void *user = env->user;
  env->progress = go_on;
  env->warn = env->info = NULL;
  int status = measure(env, m, b, false, &out->current, &out->layers, err);
  if (!status) status = measure(env, m, b, true, &out->old, &out->layers, err);
  env->progress = progress;
  env->warn = warn;
  env->info = info;
  env->user = user;
  return status;
}

/* ---- the part of the cloud ---- */

/* How far voxel i is from the middle, sideways: columns stay whole. */
static int64_t distance(const int32_t *xyz, const int64_t middle[2]) {
  int64_t x = llabs(xyz[0] - middle[0]), y = llabs(xyz[1] - middle[1]);
  return pt_max(x, y);
}

/* The distance within which about VOXELS of the n voxels lie, by halving. */
static int64_t radius(const int32_t *coord, int64_t n, const int64_t middle[2]) {
  int64_t lo = 0, hi = INT32_MAX;
  while (lo < hi) {
    int64_t r = lo + (hi - lo) / 2, count = 0;
    for (int64_t i = 0; i < n; i++) count += distance(coord + 3 * i, middle) <= r;
    if (count >= pt_min(n, VOXELS))
      hi = r;
    else
      lo = r + 1;
  }
  return lo;
}

static int64_t choose(const struct pt_batch *b, int channels, int32_t *coord, float *feat) {
  int64_t n = b->offset[1], middle[2] = {0, 0}, kept = 0;
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < 2; a++) middle[a] += b->coord[3 * i + a];
  for (int a = 0; a < 2; a++) middle[a] /= n;
  int64_t r = radius(b->coord, n, middle);
  for (int64_t i = 0; i < n && kept < VOXELS; i++) {
    if (distance(b->coord + 3 * i, middle) > r) continue;
    memcpy(coord + 3 * kept, b->coord + 3 * i, 3 * sizeof *coord);
    memcpy(feat + channels * kept, b->feat + channels * i, (size_t)channels * sizeof *feat);
    kept++;
  }
  return kept;
}

int pt_compat_measure(struct pt_env *env, const struct pt_model *model,
                      const struct pt_batch *batch, struct pt_compat *out,
                      struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_model m = *model;
  int64_t most = pt_min(batch->offset[1], VOXELS);
  int channels = m.cfg.in_channels;
  *out = (struct pt_compat){0};
  int32_t *coord = pt_alloc(&env->mem, most, 3 * sizeof *coord, PT_MEM_ARENA, &e);
  float *feat = coord ? pt_alloc(&env->mem, most, channels * 4, PT_MEM_ARENA, &e) : NULL;
  int status = e.status;
  if (!status) {
    int64_t n = choose(batch, channels, coord, feat), offset[2] = {0, n};
    struct pt_batch part = {n, coord, feat, 1, offset};
    status = measure_both(env, &m, &part, out, &e);
  }
  pt_free(&env->mem, feat);
  pt_free(&env->mem, coord);
  if (status && err) *err = e;
  return status;
}

bool pt_compat_is_old(const struct pt_compat *c) {
  return c->layers > 0 && c->old < c->current / 1.5 && c->current - c->old > 0.05;
}
