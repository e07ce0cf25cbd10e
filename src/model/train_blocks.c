/* train_blocks.c - see train_blocks.h. What an op's backward needs is named by struct pt_kept.
 */
#include "train_blocks.h"

#include <math.h>
#include <stdio.h>

double pt_drop_path_rate(const struct pt_ptv3 *cfg, bool decoder, int stage, int i) {
  const struct pt_ptv3_stage *side = decoder ? cfg->dec : cfg->enc;
  const int stages = decoder ? cfg->stages - 1 : cfg->stages;
  int all = 0, before = 0;
  for (int s = 0; s < stages; s++) {
    if (s < stage) before += side[s].depth;
    all += side[s].depth;
  }
  const int at = before + (decoder ? side[stage].depth - 1 - i : i);
  return all > 1 ? cfg->drop_path * at / (all - 1) : 0;
}

/* ---- one block forward ---- */

/* Features of the stage. */
static int stage_tensor(struct pt_train_build *k, const struct pt_side *d) {
  return pt_build_tensor(k, pt_build_rows(k, d->stage)->n, d->g->channels);
}

static const char *block_label(const struct pt_side *d, int i, char text[static 32]) {
  snprintf(text, 32, "%s%d.block%d", d->decoder ? "dec" : "enc", d->stage, i);
  return text;
}

static struct pt_drop drop_of(const struct pt_train_build *k, const struct pt_side *d, int i,
                              int which) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const uint64_t op =
      (uint64_t)(((d->decoder * PT_MAX_STAGES + d->stage) * PT_MAX_BLOCKS + i) * 2 + which);
  return (struct pt_drop){.path = (float)pt_drop_path_rate(cfg, d->decoder, d->stage, i),
                          .proj = (float)cfg->proj_drop,
                          .attn = which ? 0 : (float)cfg->attn_drop,
                          .seed = k->task->seed,
                          .stream = k->task->iteration << 16 | op};
}

static struct pt_attention attention_of(const struct pt_train_build *k, const struct pt_side *d,
                                        int i) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = pt_build_rows(k, d->stage);
  const struct pt_train_block *w = &d->w[i];
  const double width = d->g->channels / d->g->heads;
  return (struct pt_attention){
      .n = t->n,
      .c = d->g->channels,
      .heads = d->g->heads,
      .patch = k->patch[d->stage],
      .clouds = k->b.s->clouds,
      .offset = t->offset,
      .order = t->order[t->curve[i % cfg->orders]],
      .type = cfg->type,
      .pre_norm = cfg->pre_norm,
      .gamma = w->norm1.gamma,
      .beta = w->norm1.beta,
      .qkv = w->qkv.w,
      .qkv_bias = w->qkv.bias,
      .proj = w->proj.w,
      .proj_bias = w->proj.bias,
      .scale = (float)(cfg->qk_scale != 0 ? cfg->qk_scale : 1 / sqrt(width)),
      .rpe = w->rpe,
      .rpe_bound = pt_rpe_bound(d->g->patch),
      .coord = t->coord,
      .drop = drop_of(k, d, i, 0),
  };
}

static struct pt_mlp mlp_of(const struct pt_train_build *k, const struct pt_side *d, int i) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_block *w = &d->w[i];
  return (struct pt_mlp){
      .n = pt_build_rows(k, d->stage)->n,
      .c = d->g->channels,
      .hidden = (int)(d->g->channels * cfg->mlp_ratio),
      .type = cfg->type,
      .pre_norm = cfg->pre_norm,
      .gamma = w->norm2.gamma,
      .beta = w->norm2.beta,
      .w1 = w->fc1.w,
      .b1 = w->fc1.bias,
      .w2 = w->fc2.w,
      .b2 = w->fc2.bias,
      .drop = drop_of(k, d, i, 1),
  };
}

static void add_cpe(struct pt_train_build *k, const struct pt_side *d, int i, int out) {
  char label[32];
  const struct pt_stage *t = pt_build_rows(k, d->stage);
  const struct pt_train_block *w = &d->w[i];
  const struct pt_kept *e = &d->kept[i];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_cpe, block_label(d, i, label), out);
  s->a.cpe = (struct pt_cpe){.vox = &t->vox,
                             .n = t->n,
                             .c = d->g->channels,
                             .type = k->b.cfg->type,
                             .cluster = e->up >= 0 ? t->cluster : NULL,
                             .conv_w = w->conv.w,
                             .conv_bias = w->conv.bias,
                             .w = w->cpe.w,
                             .bias = w->cpe.bias,
                             .gamma = w->cpe_norm.gamma,
                             .beta = w->cpe_norm.beta};
  PT_BIND(s, cpe, in, e->conv);
  PT_BIND(s, cpe, res, e->x0);
  PT_BIND(s, cpe, up, e->up);
  PT_BIND(s, cpe, out, out);
}

/* in < 0: in place. o and lse < 0: not left. */
static void add_attention(struct pt_train_build *k, const struct pt_side *d, int i, int in,
                          int x, int o, int lse) {
  char label[32];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_attention, block_label(d, i, label), x);
  s->a.attention = attention_of(k, d, i);
  PT_BIND(s, attention, in, in);
  PT_BIND(s, attention, x, x);
  PT_BIND(s, attention, o, o);
  PT_BIND(s, attention, lse, lse);
}

/* in < 0: in place. Returns the input of the next block. */
static struct pt_kept add_mlp(struct pt_train_build *k, const struct pt_side *d, int i, int in,
                              int x) {
  char label[32];
  const bool apart = pt_conv_sees_branch(k->b.cfg) && i + 1 < d->g->depth;
  const int branch = apart ? stage_tensor(k, d) : -1;
  struct pt_step *s = pt_add_step(&k->b, PT_OP_mlp, block_label(d, i, label), x);
  s->a.mlp = mlp_of(k, d, i);
  PT_BIND(s, mlp, in, in);
  PT_BIND(s, mlp, x, x);
  PT_BIND(s, mlp, branch, branch);
  return (struct pt_kept){.x0 = x, .up = -1, .conv = apart ? branch : x};
}

/* Computes and keeps what the ops' backward passes read from the input of the block. */
static void add_inputs(struct pt_train_build *k, const struct pt_side *d, int i) {
  struct pt_kept *e = &d->kept[i];
  e->x1 = stage_tensor(k, d);
  add_cpe(k, d, i, e->x1);
  e->x2 = stage_tensor(k, d);
  e->o = stage_tensor(k, d);
  e->lse = pt_add_tensor(&k->b, pt_build_rows(k, d->stage)->n, d->g->heads, PT_F32);
  add_attention(k, d, i, e->x1, e->x2, e->o, e->lse);
}

/* Computes the block from its input and keeps nothing; returns the input of the next. */
static struct pt_kept add_block(struct pt_train_build *k, const struct pt_side *d, int i) {
  const int y = stage_tensor(k, d);
  add_cpe(k, d, i, y);
  add_attention(k, d, i, -1, y, -1, -1);
  return add_mlp(k, d, i, -1, y);
}

int pt_add_blocks(struct pt_train_build *k, const struct pt_side *d, int x, int up) {
  struct pt_kept in = {.x0 = x, .up = up, .conv = x};
  for (int i = 0; i < d->g->depth; i++) {
    d->kept[i] = in;
    if (k->keep == PT_KEEP_INPUTS) {
      add_inputs(k, d, i);
      in = add_mlp(k, d, i, d->kept[i].x2, stage_tensor(k, d));
    } else {
      in = add_block(k, d, i);
    }
  }
  return in.x0;
}

/* ---- one block backward: g is the gradient of its output, then of its input ---- */

/* g_branch: the gradient of the branch by the convolution after it, or -1. */
static void add_mlp_grad(struct pt_train_build *k, const struct pt_side *d, int i, int x, int g,
                         int g_branch) {
  char label[32];
  const struct pt_train_block *w = &d->w[i];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_mlp_grad, block_label(d, i, label), g);
  s->a.mlp_grad = (struct pt_mlp_grad){.f = mlp_of(k, d, i),
                                       .w1_t = w->fc1.wt,
                                       .w2_t = w->fc2.wt,
                                       .dgamma = w->norm2.dgamma,
                                       .dbeta = w->norm2.dbeta,
                                       .dw1 = w->fc1.dw,
                                       .db1 = w->fc1.dbias,
                                       .dw2 = w->fc2.dw,
                                       .db2 = w->fc2.dbias};
  PT_BIND(s, mlp_grad, x, x);
  PT_BIND(s, mlp_grad, g, g);
  PT_BIND(s, mlp_grad, g_branch, g_branch);
}

static void add_attention_grad(struct pt_train_build *k, const struct pt_side *d, int i,
                               int g) {
  char label[32];
  const struct pt_train_block *w = &d->w[i];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_attention_grad, block_label(d, i, label), g);
  s->a.attention_grad = (struct pt_attention_grad){.f = attention_of(k, d, i),
                                                   .qkv_t = w->qkv.wt,
                                                   .proj_t = w->proj.wt,
                                                   .dgamma = w->norm1.dgamma,
                                                   .dbeta = w->norm1.dbeta,
                                                   .dqkv = w->qkv.dw,
                                                   .dqkv_bias = w->qkv.dbias,
                                                   .dproj = w->proj.dw,
                                                   .dproj_bias = w->proj.dbias,
                                                   .drpe = w->drpe};
  PT_BIND(s, attention_grad, x, d->kept[i].x1);
  PT_BIND(s, attention_grad, o, d->kept[i].o);
  PT_BIND(s, attention_grad, lse, d->kept[i].lse);
  PT_BIND(s, attention_grad, g, g);
}

static void add_cpe_grad(struct pt_train_build *k, const struct pt_side *d, int i, int x, int g,
                         int dy) {
  char label[32];
  const struct pt_stage *t = pt_build_rows(k, d->stage);
  const struct pt_train_block *w = &d->w[i];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_cpe_grad, block_label(d, i, label), dy);
  s->a.cpe_grad = (struct pt_cpe_grad){.vox = &t->vox,
                                       .n = t->n,
                                       .c = d->g->channels,
                                       .type = k->b.cfg->type,
                                       .conv_w = w->conv.w,
                                       .conv_bias = w->conv.bias,
                                       .w = w->cpe.w,
                                       .bias = w->cpe.bias,
                                       .gamma = w->cpe_norm.gamma,
                                       .wt = w->cpe.wt,
                                       .dw = w->cpe.dw,
                                       .dbias = w->cpe.dbias,
                                       .dgamma = w->cpe_norm.dgamma,
                                       .dbeta = w->cpe_norm.dbeta};
  PT_BIND(s, cpe_grad, in, x);
  PT_BIND(s, cpe_grad, g, g);
  PT_BIND(s, cpe_grad, dy, dy);
}

void pt_add_conv_grad(struct pt_train_build *k, const char *label, int stage,
                      const struct pt_conv_grad *shape, const struct pt_train_linear *w, int x,
                      int g, int dx) {
  const struct pt_stage *t = pt_build_rows(k, stage);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_conv_grad, label, dx >= 0 ? dx : g);
  struct pt_conv_grad *a = &s->a.conv_grad;
  *a = *shape;
  a->vox = &t->vox, a->n = t->n;
  a->type = k->b.cfg->type;
  a->wt = w->wt, a->dw = w->dw, a->dbias = w->dbias;
  PT_BIND(s, conv_grad, x, x);
  PT_BIND(s, conv_grad, g, g);
  PT_BIND(s, conv_grad, dx, dx);
}

int pt_add_up_grad(struct pt_train_build *k, const char *label, int stage, int c,
                   enum pt_dtype type, int g) {
  const struct pt_stage *t = pt_build_rows(k, stage), *u = t + 1;
  const int dx = pt_add_tensor(&k->b, u->n, c, type);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_up_grad, label, dx);
  s->a.up_grad = (struct pt_up_grad){
      .n = t->n, .m = u->n, .c = c, .type = type, .start = t->start, .row = t->row};
  PT_BIND(s, up_grad, g, g);
  PT_BIND(s, up_grad, dx, dx);
  return dx;
}

/* The gradient of cpe: g, that of its result, becomes that of the block's input. Returns that
 * of what the convolution saw where this is another tensor, else -1. */
static int add_cpe_conv_grad(struct pt_train_build *k, const struct pt_side *d, int i, int g) {
  char label[32];
  const struct pt_kept *e = &d->kept[i];
  const int c = d->g->channels, dy = stage_tensor(k, d);
  const bool apart = e->conv != e->x0;
  const struct pt_conv_grad shape = {
      .size = 3, .in = c, .c = c, .xtype = k->b.cfg->type, .add = !apart};
  add_cpe_grad(k, d, i, e->conv, g, dy);
  const int branch = apart ? stage_tensor(k, d) : -1;
  pt_add_conv_grad(k, block_label(d, i, label), d->stage, &shape, &d->w[i].conv, e->conv, dy,
                   apart ? branch : g);
  return branch;
}

void pt_add_blocks_grad(struct pt_train_build *k, const struct pt_side *d, int g, int *up) {
  char label[32];
  int g_branch = -1;
  if (k->keep == PT_KEEP_STAGES) /* all inputs of blocks but the first's */
    for (int i = 0; i + 1 < d->g->depth; i++) d->kept[i + 1] = add_block(k, d, i);
  for (int i = d->g->depth - 1; i >= 0; i--) {
    const struct pt_kept *e = &d->kept[i];
    if (k->keep != PT_KEEP_INPUTS) add_inputs(k, d, i);
    add_mlp_grad(k, d, i, e->x2, g, g_branch);
    add_attention_grad(k, d, i, g);
    if (e->up >= 0)
      *up = pt_add_up_grad(k, block_label(d, i, label), d->stage, d->g->channels,
                           k->b.cfg->type, g);
    g_branch = add_cpe_conv_grad(k, d, i, g);
  }
}
