/* cases.c - see cases.h. */
#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init.h"
#include "philox.h"

enum { MOST_VOXELS = 30000, MOST_CLOUDS = 3 };

struct dice {
  uint64_t seed, stream, index;
};

/* 0 .. n-1 */
static int below(struct dice *d, int n) {
  return (int)pt_philox_below(d->seed, d->stream, d->index++, (uint64_t)n);
}

static double uniform(struct dice *d) {
  return pt_philox_uniform(d->seed, d->stream, d->index++);
}

static bool coin(struct dice *d) { return below(d, 2) == 0; }

#define PICK(d, list) (list)[below((d), (int)(sizeof(list) / sizeof *(list)))]

void *case_alloc(int64_t count, int64_t size) {
  void *p = malloc((size_t)(count * size) + 1);
  if (!p) fprintf(stderr, "no memory for the inputs of a case\n"), exit(2);
  return p;
}

/* ---- the network ---- */

static struct pt_ptv3_stage draw_stage(struct dice *d, int64_t n) {
  static const int dim[] = {4, 8, 12, 16, 16, 32}, patch[] = {1, 16, 40, 48, 64, 128, 256};
  struct pt_ptv3_stage g = {.depth = below(d, 3), .heads = 1 + below(d, 3)};
  g.channels = g.heads * PICK(d, dim);
  g.patch = n < 3000 && below(d, 4) == 0 ? 1024 : PICK(d, patch);
  return g;
}

static void draw_network(struct dice *d, int64_t n, struct pt_ptv3 *cfg) {
  static const double ratio[] = {1, 2, 4, 1.5};
  *cfg = (struct pt_ptv3){.in_channels = 1 + below(d, 6),
                          .orders = 1 + below(d, 4),
                          .stages = 1 + below(d, 4),
                          .mlp_ratio = PICK(d, ratio),
                          .qkv_bias = coin(d),
                          .pre_norm = coin(d),
                          .enable_flash = coin(d),
                          .enc_mode = below(d, 4) == 0,
                          .compat_151 = below(d, 4) == 0,
                          .classes = 1 + below(d, 20)};
  cfg->enable_rpe = !cfg->enable_flash && coin(d);
  for (int o = 0; o < cfg->orders; o++) cfg->curve[o] = below(d, PT_CURVES);
  for (int s = 0; s < cfg->stages; s++) {
    cfg->enc[s] = draw_stage(d, n);
    cfg->out_channels += cfg->enc[s].channels;
    if (s + 1 < cfg->stages) cfg->stride[s] = below(d, 4) ? 2 : 4;
  }
  if (cfg->enc_mode || cfg->stages == 1) return;
  for (int s = 0; s + 1 < cfg->stages; s++) {
    cfg->dec[s] = draw_stage(d, n);
    if (!cfg->enable_flash) cfg->dec[s].patch = cfg->enc[s].patch;
  }
  cfg->out_channels = cfg->dec[0].channels;
}

/* The fastest kernels mostly, the slower ones for small clouds. */
static const struct pt_kernels *draw_kernels(struct dice *d, int64_t n) {
  int count;
  const struct pt_kernels *const *table = pt_kernel_tables(&count);
  int slower = below(d, count);
  if (n > 300 || !coin(d)) return table[count - 1];
  return table[slower];
}

static void draw_perm(struct dice *d, int stages, int orders, int *perm) {
  for (int s = 0; s < stages; s++, perm += orders)
    for (int o = 0; o < orders; o++) {
      int other = below(d, o + 1);
      perm[o] = perm[other];
      perm[other] = o;
    }
}

/* ---- the clouds ---- */

/* n voxels of a rolling floor and a wall, in a random sequence, no two at one place: cell i of
 * a grid of 2^k cells is i times an odd number, modulo 2^k. */
static void draw_cloud(struct dice *d, int64_t n, int32_t *coord) {
  int bits = 1; /* of an edge of the floor */
  while ((INT64_C(1) << 2 * bits) < n) bits++;
  uint64_t edge = UINT64_C(1) << bits, odd = 2 * (uint64_t)below(d, 1 << 20) + 1;
  double wave = 0.02 + 0.3 * uniform(d), high = 20 * uniform(d);
  int walls = 2 + below(d, 3); /* every how many-th voxel is one of the wall */
  int32_t origin[3];
  for (int k = 0; k < 3; k++) origin[k] = below(d, 1 << below(d, 20));
  for (int64_t i = 0; i < n; i++) {
    uint64_t cell = (uint64_t)i * odd % (edge * edge);
    int32_t u = (int32_t)(cell % edge), v = (int32_t)(cell / edge);
    int32_t z = (int32_t)(high * (2 + sin(wave * u) + cos(wave * v)));
    bool wall = i % walls == 0;
    coord[3 * i] = origin[0] + (wall ? 0 : u + 1);
    coord[3 * i + 1] = origin[1] + v;
    coord[3 * i + 2] = origin[2] + (wall ? u : z);
  }
}

static void draw_batch(struct dice *d, int64_t n, int in_channels, struct pt_batch *b) {
  int clouds = 1 + below(d, n < MOST_CLOUDS ? (int)n : MOST_CLOUDS);
  int64_t *offset = case_alloc(clouds + 1, sizeof *offset);
  int32_t *coord = case_alloc(3 * n, sizeof *coord);
  float *feat = case_alloc(n * in_channels, sizeof *feat);
  offset[0] = 0;
  for (int c = 0; c < clouds; c++) { /* each cloud leaves one voxel at least for the others */
    int64_t left = n - offset[c] - (clouds - c - 1);
    offset[c + 1] = offset[c] + (c + 1 < clouds ? 1 + below(d, (int)left) : left);
    draw_cloud(d, offset[c + 1] - offset[c], coord + 3 * offset[c]);
  }
  for (int64_t i = 0; i < n * in_channels; i++) feat[i] = (float)(2 * uniform(d) - 1);
  *b = (struct pt_batch){n, coord, feat, clouds, offset};
}

void case_make(struct budget_case *c, uint64_t seed, uint64_t number) {
  struct dice d = {seed, number, 0};
  int64_t n = (int64_t)exp(uniform(&d) * log(MOST_VOXELS + 1.0)); /* as many small as large */
  *c = (struct budget_case){.seed = seed};
  struct pt_model *m = &c->model;
  draw_network(&d, n, &m->cfg);
  m->kernels = draw_kernels(&d, n);
  m->cfg.type = coin(&d) ? PT_F32 : PT_BF16;
  m->cfg.mat = pt_kernels_mat(m->kernels, m->cfg.type);
  m->tile = below(&d, 4) ? 0 : 16 + below(&d, 500);
  c->shuffled = coin(&d);
  draw_perm(&d, m->cfg.stages, m->cfg.orders, c->perm);
  c->threads[0] = 1 + below(&d, 4);
  c->threads[1] = 1 + below(&d, 4);
  c->share = 0.3 + 1.2 * uniform(&d);
  draw_batch(&d, n, m->cfg.in_channels, &c->batch);
}

static void drop(const void *p) { free((void *)(uintptr_t)p); }

void case_free(struct budget_case *c) {
  drop(c->batch.coord);
  drop(c->batch.feat);
  drop(c->batch.offset);
}

/* ---- weights ---- */

struct source {
  struct pt_param *param;
  int64_t params;
  uint64_t seed;
};

static int fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err) {
  const struct source *s = user;
  for (int64_t i = 0; i < s->params; i++)
    if (!strcmp(s->param[i].name, p->name)) {
      pt_param_init(p, pt_param_fan(s->param, i), s->seed, dst);
      return PTV3_OK;
    }
  return pt_fail(err, PTV3_INTERNAL, "no parameter '%s'", p->name);
}

int case_weights(struct pt_env *env, struct budget_case *c, struct ptv3_error *err) {
  struct source s = {.seed = c->seed};
  int status = pt_ptv3_params(&env->mem, &c->model.cfg, &s.param, &s.params, err);
  if (!status) status = pt_weights_build(env, &c->model.cfg, fetch, &s, &c->model.w, err);
  pt_free(&env->mem, s.param);
  return status;
}
