/* network.c - see network.h. Source: Pointcept PointTransformerV3.forward, Block,
 * SerializedPooling, SerializedUnpooling, DefaultSegmentorV2.forward. */
#include "network.h"

#include <math.h>
#include <stdio.h>

#include "builder.h"
#include "size.h"

struct build {
  struct pt_builder b;
  const struct pt_ptv3_weights *w;
};

/* A stage's features on their way through its blocks. */
struct flow {
  int x;    /* the features (the residual) */
  int conv; /* what the next convolution sees: x, or another tensor */
  int up;   /* a term still missing from x: up[cluster[r]], or -1 */
};

static int tensor(struct build *k, int64_t rows, int channels) {
  return pt_add_tensor(&k->b, rows, channels, k->b.cfg->type);
}

/* ---- the three parts of a block ---- */

static void add_cpe(struct build *k, const char *label, const struct pt_stage *t, int c,
                    const struct pt_block_weights *w, const struct flow *f, int out) {
  struct pt_step *s = pt_add_step(&k->b, PT_OP_cpe, label, out);
  struct pt_cpe *a = &s->a.cpe;
  a->type = k->b.cfg->type;
  a->vox = &t->vox;
  a->n = t->n;
  a->c = c;
  a->conv_w = w->conv_w, a->conv_bias = w->conv_bias;
  a->w = w->cpe_w, a->bias = w->cpe_bias;
  a->gamma = w->cpe_gamma, a->beta = w->cpe_beta;
  if (f->up >= 0) a->cluster = t->cluster;
  PT_BIND(s, cpe, in, f->conv);
  PT_BIND(s, cpe, res, f->x);
  PT_BIND(s, cpe, up, f->up);
  PT_BIND(s, cpe, out, out);
}

static void add_attention(struct build *k, const char *label, const struct pt_stage *t,
                          const struct pt_ptv3_stage *g, const struct pt_block_weights *w,
                          int order, int patch, int x) {
  struct pt_step *s = pt_add_step(&k->b, PT_OP_attention, label, x);
  struct pt_attention *a = &s->a.attention;
  a->type = k->b.cfg->type;
  a->n = t->n;
  a->c = g->channels, a->heads = g->heads;
  a->patch = patch;
  a->clouds = k->b.s->clouds, a->offset = t->offset;
  a->order = t->order[t->curve[order]];
  a->pre_norm = k->b.cfg->pre_norm;
  a->gamma = w->norm1_gamma, a->beta = w->norm1_beta;
  a->qkv = w->qkv, a->qkv_bias = w->qkv_bias;
  a->proj = w->proj, a->proj_bias = w->proj_bias;
  double d = g->channels / g->heads;
  a->scale = (float)(k->b.cfg->qk_scale != 0 ? k->b.cfg->qk_scale : 1 / sqrt(d));
  a->rpe = w->rpe;
  a->rpe_bound = pt_rpe_bound(g->patch);
  a->coord = t->coord;
  PT_BIND(s, attention, x, x);
}

static void add_mlp(struct build *k, const char *label, const struct pt_stage *t, int c,
                    const struct pt_block_weights *w, int x, int branch) {
  struct pt_step *s = pt_add_step(&k->b, PT_OP_mlp, label, x);
  struct pt_mlp *a = &s->a.mlp;
  a->type = k->b.cfg->type;
  a->n = t->n;
  a->c = c, a->hidden = (int)(c * k->b.cfg->mlp_ratio);
  a->pre_norm = k->b.cfg->pre_norm;
  a->gamma = w->norm2_gamma, a->beta = w->norm2_beta;
  a->w1 = w->fc1, a->b1 = w->fc1_bias;
  a->w2 = w->fc2, a->b2 = w->fc2_bias;
  PT_BIND(s, mlp, x, x);
  PT_BIND(s, mlp, branch, branch);
}

/* The blocks of a stage; returns the tensor with their result. patch is the size by which the
 * stage was cut when it was first met: Pointcept keeps the encoder's cut for the decoder. */
static int add_blocks(struct build *k, const char *side, int stage,
                      const struct pt_ptv3_stage *g, const struct pt_block_weights *w,
                      int patch, struct flow f) {
  /* When only sizes are wanted there are no weights; scratch depends on their type. */
  const enum pt_dtype m = k->b.cfg->mat;
  const struct pt_block_weights none = {.conv_w.type = m,
                                        .cpe_w.type = m,
                                        .qkv.type = m,
                                        .proj.type = m,
                                        .fc1.type = m,
                                        .fc2.type = m};
  const struct pt_stage *t = &k->b.s->stage[stage];
  for (int i = 0; i < g->depth; i++) {
    char label[32];
    snprintf(label, sizeof label, "%s%d.block%d", side, stage, i);
    int y = tensor(k, t->n, g->channels);
    bool last = i + 1 == g->depth;
    int branch = pt_conv_sees_branch(k->b.cfg) && !last ? tensor(k, t->n, g->channels) : -1;
    const struct pt_block_weights *bw = w ? &w[i] : &none;
    add_cpe(k, label, t, g->channels, bw, &f, y);
    add_attention(k, label, t, g, bw, i % k->b.cfg->orders, patch, y);
    add_mlp(k, label, t, g->channels, bw, y, branch);
    f = (struct flow){y, branch >= 0 ? branch : y, -1};
  }
  return f.x;
}

/* ---- between stages ---- */

static int add_embed(struct build *k, int input) {
  const struct pt_stage *t = &k->b.s->stage[0];
  int out = tensor(k, t->n, k->b.cfg->enc[0].channels);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_embed, "embedding", out);
  struct pt_embed *a = &s->a.embed;
  a->type = k->b.cfg->type;
  a->vox = &t->vox;
  a->n = t->n;
  a->in = k->b.cfg->in_channels, a->c = k->b.cfg->enc[0].channels;
  a->w = k->w->stem_w, a->bias = k->w->stem_bias;
  PT_BIND(s, embed, x, input);
  PT_BIND(s, embed, out, out);
  return out;
}

static int add_pool(struct build *k, int stage, int x) {
  const struct pt_stage *t = &k->b.s->stage[stage - 1], *u = &k->b.s->stage[stage];
  const struct pt_linear_weights *w = &k->w->down[stage];
  char label[32];
  snprintf(label, sizeof label, "enc%d.down", stage);
  int out = tensor(k, u->n, k->b.cfg->enc[stage].channels);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_pool, label, out);
  struct pt_pool *a = &s->a.pool;
  a->type = k->b.cfg->type;
  a->n = t->n, a->m = u->n;
  a->in = k->b.cfg->enc[stage - 1].channels, a->c = k->b.cfg->enc[stage].channels;
  a->start = t->start, a->row = t->row;
  a->w = w->w, a->bias = w->bias;
  a->g = w->g, a->shift = w->shift;
  PT_BIND(s, pool, x, x);
  PT_BIND(s, pool, out, out);
  return out;
}

/* gelu(x W + b) [+ up[cluster]] on the rows of stage t. */
static int add_branch(struct build *k, const char *label, const struct pt_stage *t, int in,
                      int c, const struct pt_linear_weights *w, int x, int up) {
  int out = tensor(k, t->n, c);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_unpool, label, out);
  struct pt_unpool *a = &s->a.unpool;
  a->type = k->b.cfg->type;
  a->n = t->n;
  a->in = in, a->c = c;
  a->w = w->w, a->bias = w->bias;
  if (up >= 0) a->cluster = t->cluster;
  PT_BIND(s, unpool, x, x);
  PT_BIND(s, unpool, up, up);
  PT_BIND(s, unpool, out, out);
  return out;
}

static struct flow add_unpool(struct build *k, int stage, int above, int x, int skip) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = &k->b.s->stage[stage];
  int c = cfg->dec[stage].channels;
  char label[32];
  snprintf(label, sizeof label, "dec%d.up", stage);
  int up = add_branch(k, label, t + 1, above, c, &k->w->up[stage], x, -1);
  bool later = cfg->dec[stage].depth > 0; /* the first cpe adds the two */
  int y = add_branch(k, label, t, cfg->enc[stage].channels, c, &k->w->skip[stage], skip,
                     later ? -1 : up);
  return (struct flow){y, y, later ? up : -1};
}

/* Some rows of the logits at a time. */
static int add_head(struct build *k, const int *x) {
  const int64_t n = k->b.s->stage[0].n;
  const int out = pt_add_tensor(&k->b, pt_min(n, PT_LOGIT_ROWS), k->b.cfg->classes, PT_F32);
  pt_add_head(&k->b, x, &k->w->head.w, k->w->head.bias, out)->rows = n;
  return out;
}

/* ---- all of it ---- */

static int add_all(struct build *k, int input) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  int skip[PT_MAX_STAGES], patch[PT_MAX_STAGES];
  int x = add_embed(k, input);
  for (int s = 0; s < cfg->stages; s++) {
    if (s > 0) x = add_pool(k, s, x);
    patch[s] = pt_patch_of(cfg, k->b.s, s);
    x = add_blocks(k, "enc", s, &cfg->enc[s], k->w->enc[s], patch[s], (struct flow){x, x, -1});
    skip[s] = x;
  }
  if (cfg->enc_mode) return add_head(k, skip);
  int above = cfg->enc[cfg->stages - 1].channels;
  for (int s = cfg->stages - 2; s >= 0; s--) {
    struct flow f = add_unpool(k, s, above, x, skip[s]);
    x = add_blocks(k, "dec", s, &cfg->dec[s], k->w->dec[s], patch[s], f);
    above = cfg->dec[s].channels;
  }
  return add_head(k, &x);
}

int pt_network_build(struct pt_env *env, const struct pt_ptv3 *cfg,
                     const struct pt_ptv3_weights *w, const struct pt_structure *s,
                     const struct pt_kernels *kernels, int tile, struct pt_network *net,
                     struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct build k = {.b = {.cfg = cfg, .s = s, .plan = &net->plan, .err = &e}, .w = w};
  pt_plan_init(&net->plan, &env->mem, kernels, env->threads, tile);
  net->input = pt_add_tensor(&k.b, s->stage[0].n, cfg->in_channels, PT_F32);
  net->logits = add_all(&k, net->input);
  if (!k.b.status) k.b.status = pt_plan_layout(&net->plan, net->logits, &e);
  if (!k.b.status) return PTV3_OK;
  pt_network_free(net);
  if (err) *err = e;
  return e.status;
}

void pt_network_free(struct pt_network *net) { pt_plan_free(&net->plan); }
