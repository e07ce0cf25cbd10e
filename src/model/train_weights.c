/* train_weights.c - see train_weights.h.
 *
 * The parameters are taken one after the other in the order of pt_ptv3_params. The network is
 * walked twice: first without memory, adding up what the packed copies take. */
#include "train_weights.h"

#include <string.h>

#include "size.h"

struct pt_pack {
  void *dst;
  enum pt_dtype type;
  const float *src;
  int k, n;
  int64_t si, sj;
};

struct walk {
  const struct pt_ptv3 *cfg;
  struct pt_train_weights *w;
  int64_t next;  /* parameter */
  int64_t bytes; /* of packed copies so far */
  int64_t packs;
};

static const struct pt_param *next(struct walk *k, const float **value, float **grad) {
  const int64_t i = k->next++;
  *value = k->w->value ? k->w->value + k->w->at[i] : NULL;
  *grad = k->w->grad ? k->w->grad + k->w->at[i] : NULL;
  return &k->w->param[i];
}

/* Room for `count` packed matrices (rows, cols), the i-th read from src + i * step. */
static struct pt_mat mats(struct walk *k, int count, int rows, int cols, enum pt_dtype type,
                          const float *src, int64_t step, int64_t si, int64_t sj) {
  const int64_t size = pt_mat_size(rows, cols, type);
  char *data = k->w->packed ? k->w->packed + k->bytes : NULL;
  k->bytes += count * size;
  for (int i = 0; i < count; i++, k->packs++)
    if (data)
      k->w->pack[k->packs] =
          (struct pt_pack){data + i * size, type, src + i * step, rows, cols, si, sj};
  return (struct pt_mat){data, rows, cols, type};
}

/* (out, taps, in): taps is 1 for a Linear layer. */
static struct pt_train_linear layer(struct walk *k, int taps, int in, int out, bool bias,
                                    enum pt_dtype type) {
  struct pt_train_linear l = {0};
  const float *w;
  next(k, &w, &l.dw);
  if (bias) next(k, &l.bias, &l.dbias);
  const int64_t row = (int64_t)taps * in;
  l.w = mats(k, taps, in, out, type, w, in, 1, row);
  l.wt = mats(k, taps, out, in, k->cfg->mat, w, in, row, 1);
  return l;
}

static struct pt_train_linear linear(struct walk *k, int in, int out, bool bias) {
  return layer(k, 1, in, out, bias, k->cfg->mat);
}

static struct pt_train_norm norm(struct walk *k) {
  struct pt_train_norm n = {0};
  next(k, &n.gamma, &n.dgamma);
  next(k, &n.beta, &n.dbeta);
  return n;
}

static struct pt_train_norm batchnorm(struct walk *k) {
  struct pt_train_norm n = norm(k);
  float *unused;
  const float *mean, *var, *tracked;
  next(k, &mean, &unused);
  next(k, &var, &unused);
  next(k, &tracked, &unused);
  /* Buffers are part of the values and may be changed; they are learnt by averaging. */
  n.mean = mean ? k->w->value + (mean - k->w->value) : NULL;
  n.var = var ? k->w->value + (var - k->w->value) : NULL;
  return n;
}

static void block(struct walk *k, const struct pt_ptv3_stage *s, struct pt_train_block *b) {
  const int c = s->channels, hidden = (int)(c * k->cfg->mlp_ratio);
  b->conv = layer(k, 27, c, c, true, k->cfg->mat);
  b->cpe = linear(k, c, c, true);
  b->cpe_norm = norm(k);
  b->norm1 = norm(k);
  b->qkv = linear(k, c, 3 * c, k->cfg->qkv_bias);
  b->proj = linear(k, c, c, true);
  if (k->cfg->enable_rpe) next(k, &b->rpe, &b->drpe);
  b->norm2 = norm(k);
  b->fc1 = linear(k, c, hidden, true);
  b->fc2 = linear(k, hidden, c, true);
}

static struct pt_train_head head(struct walk *k) {
  const int in = k->cfg->out_channels, out = k->cfg->classes;
  const enum pt_dtype type = k->cfg->mat;
  struct pt_train_head h = {0};
  const float *w;
  float *dw, *dbias;
  next(k, &w, &dw);
  next(k, &h.bias, &dbias);
  h.w = mats(k, 1, in, out, type, w, 0, 1, in);
  for (int s = 0, at = 0; s < pt_head_sources(k->cfg); s++) {
    const int c = pt_head_channels(k->cfg, s);
    h.stage[s].wt = mats(k, 1, out, c, type, w ? w + at : NULL, 0, in, 1);
    h.stage[s].dw = dw ? dw + at : NULL;
    h.stage[s].dbias = s == 0 ? dbias : NULL;
    at += c;
  }
  return h;
}

static void network(struct walk *k) {
  const struct pt_ptv3 *cfg = k->cfg;
  struct pt_train_weights *w = k->w;
  struct pt_train_block *b = w->block;
  w->head = head(k);
  w->stem = layer(k, 125, cfg->in_channels, cfg->enc[0].channels, false, PT_F32);
  w->stem_norm = batchnorm(k);
  for (int s = 0; s < cfg->stages; s++) {
    if (s > 0) {
      w->down[s] = linear(k, cfg->enc[s - 1].channels, cfg->enc[s].channels, true);
      w->down_norm[s] = batchnorm(k);
    }
    w->enc[s] = b;
    for (int i = 0; i < cfg->enc[s].depth; i++) block(k, &cfg->enc[s], b++);
  }
  for (int s = cfg->stages - 2; s >= 0 && !cfg->enc_mode; s--) {
    const int above =
        s == cfg->stages - 2 ? cfg->enc[s + 1].channels : cfg->dec[s + 1].channels;
    w->up[s] = linear(k, above, cfg->dec[s].channels, true);
    w->up_norm[s] = batchnorm(k);
    w->skip[s] = linear(k, cfg->enc[s].channels, cfg->dec[s].channels, true);
    w->skip_norm[s] = batchnorm(k);
    w->dec[s] = b;
    for (int i = 0; i < cfg->dec[s].depth; i++) block(k, &cfg->dec[s], b++);
  }
}

static int64_t blocks_of(const struct pt_ptv3 *cfg) {
  int64_t n = 0;
  for (int s = 0; s < cfg->stages; s++)
    n += cfg->enc[s].depth + (s + 1 < cfg->stages ? cfg->dec[s].depth : 0);
  return n;
}

/* The list of parameters, where each begins, and the blocks' structs. */
static int list(struct pt_env *env, const struct pt_ptv3 *cfg, struct pt_train_weights *w,
                struct ptv3_error *err) {
  int status = pt_ptv3_params(&env->mem, cfg, &w->param, &w->params, err);
  if (status) return status;
  w->at = pt_alloc(&env->mem, w->params, sizeof *w->at, PT_MEM_OTHER, err);
  if (!w->at) return PTV3_NO_MEMORY;
  for (int64_t i = 0; i < w->params; i++) {
    w->at[i] = w->numbers;
    w->numbers += pt_round_up(w->param[i].size, 16);
  }
  w->block = pt_zalloc(&env->mem, blocks_of(cfg), sizeof *w->block, PT_MEM_OTHER, err);
  return w->block ? PTV3_OK : PTV3_NO_MEMORY;
}

static int fill(struct pt_env *env, pt_fetch *fetch, void *user, struct pt_train_weights *w,
                struct ptv3_error *err) {
  struct pt_mem *m = &env->mem;
  if (!(w->value = pt_zalloc(m, w->numbers, sizeof(float), PT_MEM_WEIGHTS, err)) ||
      !(w->grad = pt_zalloc(m, w->numbers, sizeof(float), PT_MEM_GRADIENTS, err)) ||
      !(w->packed = pt_alloc(m, w->packed_bytes, 1, PT_MEM_WEIGHTS, err)) ||
      !(w->pack = pt_alloc(m, w->packs, sizeof *w->pack, PT_MEM_OTHER, err)))
    return PTV3_NO_MEMORY;
  for (int64_t i = 0; i < w->params; i++) {
    int status = fetch(user, &w->param[i], w->value + w->at[i], err);
    if (status) return status;
  }
  return PTV3_OK;
}

int pt_train_weights_build(struct pt_env *env, const struct pt_ptv3 *cfg, pt_fetch *fetch,
                           void *user, struct pt_train_weights *w, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  *w = (struct pt_train_weights){0};
  int status = list(env, cfg, w, &e);
  struct walk sizes = {.cfg = cfg, .w = w}, real = sizes;
  if (!status) {
    network(&sizes);
    w->packed_bytes = sizes.bytes;
    w->packs = sizes.packs;
  }
  if (!status && fetch) {
    status = fill(env, fetch, user, w, &e);
    if (!status) network(&real);
    if (!status) pt_train_weights_pack(w, env->threads);
  }
  if (!status) return PTV3_OK;
  pt_train_weights_free(env, w);
  if (err) *err = e;
  return e.status;
}

void pt_train_weights_clear(const struct pt_train_weights *w, int threads) {
  const int64_t run = INT64_C(1) << 18;
#pragma omp parallel for num_threads(threads)
  for (int64_t i = 0; i < w->numbers; i += run)
    memset(w->grad + i, 0, (size_t)pt_min(run, w->numbers - i) * sizeof *w->grad);
}

void pt_train_weights_pack(const struct pt_train_weights *w, int threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t i = 0; i < w->packs; i++) {
    const struct pt_pack *p = &w->pack[i];
    pt_mat_pack(p->dst, p->type, p->src, p->k, p->n, p->si, p->sj);
  }
}

int64_t pt_train_weights_bytes(const struct pt_train_weights *w) {
  return 2 * w->numbers * (int64_t)sizeof(float) + w->packed_bytes;
}

void pt_train_weights_free(struct pt_env *env, struct pt_train_weights *w) {
  struct pt_mem *m = &env->mem;
  pt_free(m, w->param);
  pt_free(m, w->at);
  pt_free(m, w->value);
  pt_free(m, w->grad);
  pt_free(m, w->packed);
  pt_free(m, w->pack);
  pt_free(m, w->block);
  *w = (struct pt_train_weights){0};
}
