/* weights.c - see weights.h.
 *
 * The same functions walk the network twice: first with no memory, adding up sizes, then to
 * fetch, fold and pack. */
#include "weights.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "size.h"

struct build {
  const struct pt_ptv3 *cfg;
  const struct pt_param *param; /* [params] */
  int64_t params;
  pt_fetch *fetch;
  void *user;
  float *data;  /* NULL in the first walk */
  int64_t used; /* numbers handed out */
  float *temp;  /* room for the largest tensor */
  char prefix[48];
  int status;
  struct ptv3_error *err;
};

static float *take(struct build *b, int64_t n) {
  float *p = b->data ? b->data + b->used : NULL;
  b->used += pt_round_up(n, 16); /* keeps every array on a cache line */
  return p;
}

static void prefix(struct build *b, const char *fmt, ...) PT_PRINTF(2, 3);
static void prefix(struct build *b, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(b->prefix, sizeof b->prefix, fmt, ap);
  va_end(ap);
}

static const struct pt_param *find(struct build *b, const char *name, const char *what) {
  char full[PT_PARAM_NAME];
  snprintf(full, sizeof full, "%s%s%s%s", b->prefix, name, *what ? "." : "", what);
  for (int64_t i = 0; i < b->params; i++)
    if (strcmp(b->param[i].name, full) == 0) return &b->param[i];
  if (!b->status) b->status = pt_fail(b->err, PTV3_INTERNAL, "no parameter '%s'", full);
  return NULL;
}

/* Fetches a tensor to dst; nothing in the first walk. */
static void get(struct build *b, const char *name, const char *what, float *dst) {
  if (!dst || b->status) return;
  const struct pt_param *p = find(b, name, what);
  if (p) b->status = b->fetch(b->user, p, dst, b->err);
}

static const float *vector(struct build *b, const char *name, const char *what, int64_t n) {
  float *v = take(b, n);
  get(b, name, what, v);
  return v;
}

/* ---- BatchNorm with running statistics: y = x g + shift, eps 1e-3 ---- */

struct batchnorm {
  float *g, *shift;  /* [c] */
  float *mean, *var; /* [c] */
};

static struct batchnorm batchnorm(struct build *b, const char *name, int c) {
  struct batchnorm n = {take(b, c), take(b, c), take(b, c), take(b, c)};
  get(b, name, "weight", n.g);
  get(b, name, "bias", n.shift);
  get(b, name, "running_mean", n.mean);
  get(b, name, "running_var", n.var);
  for (int i = 0; i < c && b->data; i++) {
    double g = n.g[i] / sqrt((double)n.var[i] + 1e-3);
    n.shift[i] = (float)(n.shift[i] - n.mean[i] * g);
    n.g[i] = (float)g;
  }
  return n;
}

/* Scales row o of w [rows, row] by g[o]. */
static void fold_rows(const float *g, float *w, int rows, int64_t row) {
  for (int o = 0; o < rows; o++)
    for (int64_t i = 0; i < row; i++) w[o * row + i] = (float)((double)w[o * row + i] * g[o]);
}

/* ---- layers ---- */

/* Room for `count` matrices one after the other. */
static struct pt_mat mats(struct build *b, int count, int in, int out, enum pt_dtype type) {
  int64_t bytes = count * pt_mat_size(in, out, type);
  return (struct pt_mat){take(b, bytes / (int64_t)sizeof(float)), in, out, type};
}

static void pack(struct pt_mat m, const float *w, int64_t si, int64_t sj) {
  pt_mat_pack((void *)(uintptr_t)m.data, m.type, w, m.k, m.n, si, sj);
}

/* Linear (out, in) packed; with a BatchNorm folded in where norm is given. */
static struct pt_linear_weights linear(struct build *b, const char *name, int in, int out,
                                       bool bias, const char *norm) {
  struct pt_linear_weights l = {.w = mats(b, 1, in, out, b->cfg->mat)};
  float *v = bias || norm ? take(b, out) : NULL;
  l.bias = v;
  struct batchnorm n = {0};
  if (norm) n = batchnorm(b, norm, out);
  if (b->data) {
    get(b, name, "weight", b->temp);
    if (bias) get(b, name, "bias", v);
    if (norm) {
      fold_rows(n.g, b->temp, out, in);
      for (int o = 0; o < out; o++) v[o] = (float)((double)v[o] * n.g[o] + n.shift[o]);
    }
    pack(l.w, b->temp, 1, in);
  }
  return l;
}

/* Convolution (out, k, k, k, in) as k^3 packed matrices; scale [out] NULL or BatchNorm's g. */
static struct pt_mat conv(struct build *b, const char *name, int taps, int in, int out,
                          enum pt_dtype type, const float *scale) {
  struct pt_mat w = mats(b, taps, in, out, type);
  if (!b->data) return w;
  get(b, name, "weight", b->temp);
  int64_t row = (int64_t)taps * in;
  if (scale) fold_rows(scale, b->temp, out, row);
  for (int t = 0; t < taps; t++) pack(pt_mat_tap(&w, t), b->temp + t * in, 1, row);
  return w;
}

static void block(struct build *b, const struct pt_ptv3_stage *s, struct pt_block_weights *w) {
  int c = s->channels, hidden = (int)(c * b->cfg->mlp_ratio);
  w->conv_w = conv(b, "cpe.0", 27, c, c, b->cfg->mat, NULL);
  w->conv_bias = vector(b, "cpe.0", "bias", c);
  struct pt_linear_weights l = linear(b, "cpe.1", c, c, true, NULL);
  w->cpe_w = l.w, w->cpe_bias = l.bias;
  w->cpe_gamma = vector(b, "cpe.2", "weight", c);
  w->cpe_beta = vector(b, "cpe.2", "bias", c);
  w->norm1_gamma = vector(b, "norm1.0", "weight", c);
  w->norm1_beta = vector(b, "norm1.0", "bias", c);
  l = linear(b, "attn.qkv", c, 3 * c, b->cfg->qkv_bias, NULL);
  w->qkv = l.w, w->qkv_bias = l.bias;
  l = linear(b, "attn.proj", c, c, true, NULL);
  w->proj = l.w, w->proj_bias = l.bias;
  if (b->cfg->enable_rpe)
    w->rpe = vector(b, "attn.rpe", "rpe_table",
                    3 * (2 * (int64_t)pt_rpe_bound(s->patch) + 1) * s->heads);
  w->norm2_gamma = vector(b, "norm2.0", "weight", c);
  w->norm2_beta = vector(b, "norm2.0", "bias", c);
  l = linear(b, "mlp.0.fc1", c, hidden, true, NULL);
  w->fc1 = l.w, w->fc1_bias = l.bias;
  l = linear(b, "mlp.0.fc2", hidden, c, true, NULL);
  w->fc2 = l.w, w->fc2_bias = l.bias;
}

/* The blocks of a stage; their array of structs lies in the block of memory too. */
static struct pt_block_weights *blocks(struct build *b, const char *side, int s,
                                       const struct pt_ptv3_stage *stage) {
  struct pt_block_weights none = {0}, *w;
  int64_t bytes = stage->depth * (int64_t)sizeof *w;
  w = (struct pt_block_weights *)(void *)take(b, pt_div_up(bytes, sizeof(float)));
  for (int i = 0; i < stage->depth; i++) {
    prefix(b, "backbone.%s.%s%d.block%d.", side, side, s, i);
    if (w) memset(&w[i], 0, sizeof *w);
    block(b, stage, w ? &w[i] : &none);
  }
  return w;
}

static void network(struct build *b, struct pt_ptv3_weights *w) {
  const struct pt_ptv3 *cfg = b->cfg;
  prefix(b, "backbone.embedding.");
  struct batchnorm n = batchnorm(b, "stem.norm", cfg->enc[0].channels);
  w->stem_w = conv(b, "stem.conv", 125, cfg->in_channels, cfg->enc[0].channels, PT_F32, n.g);
  w->stem_bias = n.shift;
  for (int s = 0; s < cfg->stages; s++) {
    if (s > 0) {
      prefix(b, "backbone.enc.enc%d.down.", s);
      w->down[s] =
          linear(b, "proj", cfg->enc[s - 1].channels, cfg->enc[s].channels, true, NULL);
      n = batchnorm(b, "norm.0", cfg->enc[s].channels);
      w->down[s].g = n.g, w->down[s].shift = n.shift;
      w->down[s].mean = n.mean, w->down[s].var = n.var;
    }
    w->enc[s] = blocks(b, "enc", s, &cfg->enc[s]);
  }
  for (int s = cfg->stages - 2; s >= 0 && !cfg->enc_mode; s--) {
    int above = s == cfg->stages - 2 ? cfg->enc[s + 1].channels : cfg->dec[s + 1].channels;
    prefix(b, "backbone.dec.dec%d.up.", s);
    w->up[s] = linear(b, "proj.0", above, cfg->dec[s].channels, true, "proj.1");
    w->skip[s] = linear(b, "proj_skip.0", cfg->enc[s].channels, cfg->dec[s].channels, true,
                        "proj_skip.1");
    w->dec[s] = blocks(b, "dec", s, &cfg->dec[s]);
  }
  prefix(b, "%s", "");
  w->head = linear(b, "seg_head", cfg->out_channels, cfg->classes, true, NULL);
}

static int64_t largest(const struct pt_param *p, int64_t n) {
  int64_t size = 1;
  for (int64_t i = 0; i < n; i++) size = pt_max(size, p[i].size);
  return size;
}

int pt_weights_build(struct pt_env *env, const struct pt_ptv3 *cfg, pt_fetch *fetch, void *user,
                     struct pt_ptv3_weights *w, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_param *param = NULL;
  struct build b = {.cfg = cfg, .fetch = fetch, .user = user, .err = &e};
  *w = (struct pt_ptv3_weights){0};
  b.status = pt_ptv3_params(&env->mem, cfg, &param, &b.params, &e);
  if (b.status) goto out;
  b.param = param;
  network(&b, w);
  w->size = b.used;
  b.temp = pt_alloc(&env->mem, largest(param, b.params), sizeof(float), PT_MEM_WEIGHTS, &e);
  w->data = b.temp ? pt_alloc(&env->mem, w->size, sizeof(float), PT_MEM_WEIGHTS, &e) : NULL;
  if (!w->data) goto out;
  b.data = w->data;
  b.used = 0;
  network(&b, w);
out:
  pt_free(&env->mem, b.temp);
  pt_free(&env->mem, param);
  if (!e.status) return PTV3_OK;
  pt_weights_free(env, w);
  if (err) *err = e;
  return e.status;
}

int pt_weights_sizes(struct pt_env *env, const struct pt_ptv3 *cfg, struct pt_ptv3_weights *w,
                     struct ptv3_error *err) {
  struct pt_param *param = NULL;
  struct build b = {.cfg = cfg, .err = err};
  *w = (struct pt_ptv3_weights){0};
  int status = pt_ptv3_params(&env->mem, cfg, &param, &b.params, err);
  if (status) return status;
  b.param = param;
  network(&b, w);
  w->size = b.used;
  pt_free(&env->mem, param);
  return b.status;
}

void pt_weights_free(struct pt_env *env, struct pt_ptv3_weights *w) {
  pt_free(&env->mem, w->data);
  *w = (struct pt_ptv3_weights){0};
}
