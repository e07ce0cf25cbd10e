/* train_network.c - see train_network.h. The forward half is network.c's with BatchNorm of
 * the batch; what an op's backward needs is named there by struct kept. */
#include "train_network.h"

#include <math.h>
#include <stdio.h>

#include "builder.h"

enum { MAX_BLOCKS = PT_MAX_BLOCKS };

/* What a block's backward pass reads. */
struct kept {
  int x0, up; /* input of cpe; the upsampled rows that come in there, or -1 */
  int x1, x2; /* inputs of attention and of mlp; -1: to be computed again */
};

/* BatchNorm's input and statistics. */
struct normed {
  int y, stats, out;
};

struct stage_kept {
  struct kept enc[MAX_BLOCKS], dec[MAX_BLOCKS];
  struct normed in; /* after the stem or the pooling */
  int enc_out;      /* the encoder's result, which is the skip connection */
  int dec_above;    /* what the decoder takes from the stage above */
  struct normed up, skip;
};

struct build {
  struct pt_builder b;
  const struct pt_train_task *task;
  enum pt_keep keep;
  int patch[PT_MAX_STAGES];
  struct stage_kept stage[PT_MAX_STAGES];
};

/* The blocks of one side of a stage. */
struct side {
  bool decoder;
  int stage;
  const struct pt_ptv3_stage *g;
  const struct pt_train_block *w; /* [g->depth] */
  struct kept *kept;              /* [g->depth] */
};

const char *pt_keep_text(enum pt_keep keep) {
  static const char *const text[PT_KEEPS] = {"the inputs of operations", "the inputs of blocks",
                                             "the inputs of stages"};
  return text[keep];
}

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

static struct side side_of(struct build *k, bool decoder, int stage) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  struct stage_kept *s = &k->stage[stage];
  return decoder ? (struct side){true, stage, &cfg->dec[stage], w->dec[stage], s->dec}
                 : (struct side){false, stage, &cfg->enc[stage], w->enc[stage], s->enc};
}

static const struct pt_stage *rows_of(const struct build *k, int stage) {
  return &k->b.s->stage[stage];
}

static int tensor(struct build *k, int64_t rows, int channels) {
  return pt_add_tensor(&k->b, rows, channels, k->b.cfg->type);
}

/* ---- one block forward ---- */

static const char *block_label(const struct side *d, int i, char text[static 32]) {
  snprintf(text, 32, "%s%d.block%d", d->decoder ? "dec" : "enc", d->stage, i);
  return text;
}

static struct pt_drop drop_of(const struct build *k, const struct side *d, int i, int which) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const uint64_t op =
      (uint64_t)(((d->decoder * PT_MAX_STAGES + d->stage) * MAX_BLOCKS + i) * 2 + which);
  return (struct pt_drop){.path = (float)pt_drop_path_rate(cfg, d->decoder, d->stage, i),
                          .proj = (float)cfg->proj_drop,
                          .attn = which ? 0 : (float)cfg->attn_drop,
                          .seed = k->task->seed,
                          .stream = k->task->iteration << 16 | op};
}

static struct pt_attention attention_of(const struct build *k, const struct side *d, int i) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = rows_of(k, d->stage);
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

static struct pt_mlp mlp_of(const struct build *k, const struct side *d, int i) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_block *w = &d->w[i];
  return (struct pt_mlp){
      .n = rows_of(k, d->stage)->n,
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

static void add_cpe(struct build *k, const struct side *d, int i, int x, int up, int out) {
  char label[32];
  const struct pt_stage *t = rows_of(k, d->stage);
  const struct pt_train_block *w = &d->w[i];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_cpe, block_label(d, i, label), out);
  s->a.cpe = (struct pt_cpe){.vox = &t->vox,
                             .n = t->n,
                             .c = d->g->channels,
                             .type = k->b.cfg->type,
                             .cluster = up >= 0 ? t->cluster : NULL,
                             .conv_w = w->conv.w,
                             .conv_bias = w->conv.bias,
                             .w = w->cpe.w,
                             .bias = w->cpe.bias,
                             .gamma = w->cpe_norm.gamma,
                             .beta = w->cpe_norm.beta};
  PT_BIND(s, cpe, in, x);
  PT_BIND(s, cpe, res, x);
  PT_BIND(s, cpe, up, up);
  PT_BIND(s, cpe, out, out);
}

/* in < 0: in place. */
static void add_attention(struct build *k, const struct side *d, int i, int in, int x) {
  char label[32];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_attention, block_label(d, i, label), x);
  s->a.attention = attention_of(k, d, i);
  PT_BIND(s, attention, in, in);
  PT_BIND(s, attention, x, x);
}

static void add_mlp(struct build *k, const struct side *d, int i, int in, int x) {
  char label[32];
  struct pt_step *s = pt_add_step(&k->b, PT_OP_mlp, block_label(d, i, label), x);
  s->a.mlp = mlp_of(k, d, i);
  PT_BIND(s, mlp, in, in);
  PT_BIND(s, mlp, x, x);
}

/* Computes and keeps the inputs of attention and mlp from that of the block. */
static void add_inputs(struct build *k, const struct side *d, int i) {
  const int64_t n = rows_of(k, d->stage)->n;
  struct kept *e = &d->kept[i];
  e->x1 = tensor(k, n, d->g->channels);
  add_cpe(k, d, i, e->x0, e->up, e->x1);
  e->x2 = tensor(k, n, d->g->channels);
  add_attention(k, d, i, e->x1, e->x2);
}

/* All blocks of a side from x [+ up]; keeps what the level says. Returns the result. */
static int add_blocks(struct build *k, const struct side *d, int x, int up, enum pt_keep keep) {
  const int64_t n = rows_of(k, d->stage)->n;
  const int c = d->g->channels;
  for (int i = 0; i < d->g->depth; i++, up = -1) {
    struct kept *e = &d->kept[i];
    *e = (struct kept){x, up, -1, -1};
    if (keep == PT_KEEP_INPUTS) {
      add_inputs(k, d, i);
      x = tensor(k, n, c);
      add_mlp(k, d, i, e->x2, x);
    } else { /* only x0 is named again later */
      const int y = tensor(k, n, c);
      add_cpe(k, d, i, x, up, y);
      add_attention(k, d, i, -1, y);
      add_mlp(k, d, i, -1, y);
      x = y;
    }
  }
  return x;
}

/* ---- one block backward: g is the gradient of its output, then of its input ---- */

static void add_mlp_grad(struct build *k, const struct side *d, int i, int x, int g) {
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
}

static void add_attention_grad(struct build *k, const struct side *d, int i, int x, int g) {
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
  PT_BIND(s, attention_grad, x, x);
  PT_BIND(s, attention_grad, g, g);
}

static void add_cpe_grad(struct build *k, const struct side *d, int i, int x, int g, int dy) {
  char label[32];
  const struct pt_stage *t = rows_of(k, d->stage);
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

static void add_conv_grad(struct build *k, const char *label, int stage, int size, int in,
                          int c, enum pt_dtype xtype, const struct pt_train_linear *w, int x,
                          int g, int dx) {
  const struct pt_stage *t = rows_of(k, stage);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_conv_grad, label, dx >= 0 ? dx : g);
  s->a.conv_grad = (struct pt_conv_grad){.vox = &t->vox,
                                         .n = t->n,
                                         .size = size,
                                         .in = in,
                                         .c = c,
                                         .type = k->b.cfg->type,
                                         .xtype = xtype,
                                         .wt = w->wt,
                                         .dw = w->dw,
                                         .dbias = w->dbias};
  PT_BIND(s, conv_grad, x, x);
  PT_BIND(s, conv_grad, g, g);
  PT_BIND(s, conv_grad, dx, dx);
}

static int add_up_grad(struct build *k, const char *label, int stage, int c, int g) {
  const struct pt_stage *t = rows_of(k, stage), *u = t + 1;
  const int dx = tensor(k, u->n, c);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_up_grad, label, dx);
  s->a.up_grad = (struct pt_up_grad){
      .n = t->n, .m = u->n, .c = c, .type = k->b.cfg->type, .start = t->start, .row = t->row};
  PT_BIND(s, up_grad, g, g);
  PT_BIND(s, up_grad, dx, dx);
  return dx;
}

/* All blocks of a side backwards. Where the first adds upsampled rows, *up becomes the
 * tensor with their gradient. */
static void add_blocks_grad(struct build *k, const struct side *d, int g, int *up) {
  const int64_t n = rows_of(k, d->stage)->n;
  const int c = d->g->channels;
  char label[32];
  if (k->keep == PT_KEEP_STAGES && d->g->depth > 0) /* all inputs of blocks but the first's */
    for (int i = 0; i + 1 < d->g->depth; i++) {
      const struct kept *e = &d->kept[i];
      const int y = tensor(k, n, c);
      add_cpe(k, d, i, e->x0, e->up, y);
      add_attention(k, d, i, -1, y);
      add_mlp(k, d, i, -1, y);
      d->kept[i + 1].x0 = y;
    }
  for (int i = d->g->depth - 1; i >= 0; i--) {
    struct kept *e = &d->kept[i];
    if (k->keep != PT_KEEP_INPUTS) add_inputs(k, d, i);
    add_mlp_grad(k, d, i, e->x2, g);
    add_attention_grad(k, d, i, e->x1, g);
    if (e->up >= 0) *up = add_up_grad(k, block_label(d, i, label), d->stage, c, g);
    const int dy = tensor(k, n, c);
    add_cpe_grad(k, d, i, e->x0, g, dy);
    add_conv_grad(k, block_label(d, i, label), d->stage, 3, c, c, k->b.cfg->type, &d->w[i].conv,
                  e->x0, dy, g);
  }
}

/* ---- BatchNorm, Linear ---- */

static struct normed add_batchnorm(struct build *k, const char *label, int64_t n, int c,
                                   const struct pt_train_norm *w, int y, int up,
                                   const int32_t *cluster) {
  struct normed m = {y, pt_add_tensor(&k->b, 2, c, PT_F32), tensor(k, n, c)};
  struct pt_step *s = pt_add_step(&k->b, PT_OP_batchnorm, label, m.out);
  s->a.batchnorm = (struct pt_batchnorm){.n = n,
                                         .c = c,
                                         .type = k->b.cfg->type,
                                         .cluster = up >= 0 ? cluster : NULL,
                                         .gamma = w->gamma,
                                         .beta = w->beta,
                                         .eps = 1e-3f,
                                         .momentum = 0.01f,
                                         .running = k->task->running ? w->mean : NULL,
                                         .running_var = k->task->running ? w->var : NULL};
  PT_BIND(s, batchnorm, y, y);
  PT_BIND(s, batchnorm, up, up);
  PT_BIND(s, batchnorm, out, m.out);
  PT_BIND(s, batchnorm, stats, m.stats);
  return m;
}

static void add_batchnorm_grad(struct build *k, const char *label, int64_t n, int c,
                               const struct pt_train_norm *w, const struct normed *m, int g) {
  struct pt_step *s = pt_add_step(&k->b, PT_OP_batchnorm_grad, label, g);
  s->a.batchnorm_grad = (struct pt_batchnorm_grad){.n = n,
                                                   .c = c,
                                                   .type = k->b.cfg->type,
                                                   .gamma = w->gamma,
                                                   .beta = w->beta,
                                                   .dgamma = w->dgamma,
                                                   .dbeta = w->dbeta};
  PT_BIND(s, batchnorm_grad, y, m->y);
  PT_BIND(s, batchnorm_grad, stats, m->stats);
  PT_BIND(s, batchnorm_grad, g, g);
}

static int add_linear(struct build *k, const char *label, int64_t n, int in, int c,
                      const struct pt_train_linear *w, int x) {
  const int out = tensor(k, n, c);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_unpool, label, out);
  s->a.unpool = (struct pt_unpool){.n = n,
                                   .in = in,
                                   .c = c,
                                   .type = k->b.cfg->type,
                                   .raw = true,
                                   .w = w->w,
                                   .bias = w->bias};
  PT_BIND(s, unpool, x, x);
  PT_BIND(s, unpool, out, out);
  return out;
}

static int add_linear_grad(struct build *k, const char *label, int64_t n, int in, int c,
                           enum pt_dtype gtype, const struct pt_train_linear *w, int x, int g) {
  const int dx = tensor(k, n, in);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_linear_grad, label, dx);
  s->a.linear_grad = (struct pt_linear_grad){.n = n,
                                             .in = in,
                                             .c = c,
                                             .type = k->b.cfg->type,
                                             .gtype = gtype,
                                             .wt = w->wt,
                                             .dw = w->dw,
                                             .db = w->dbias};
  PT_BIND(s, linear_grad, x, x);
  PT_BIND(s, linear_grad, g, g);
  PT_BIND(s, linear_grad, dx, dx);
  return dx;
}

/* ---- between stages, forward ---- */

static void add_embed(struct build *k, int input) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = rows_of(k, 0);
  const int c = cfg->enc[0].channels, y = tensor(k, t->n, c);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_embed, "embedding", y);
  s->a.embed = (struct pt_embed){.vox = &t->vox,
                                 .n = t->n,
                                 .in = cfg->in_channels,
                                 .c = c,
                                 .type = cfg->type,
                                 .raw = true,
                                 .w = k->task->w->stem.w};
  PT_BIND(s, embed, x, input);
  PT_BIND(s, embed, out, y);
  k->stage[0].in = add_batchnorm(k, "embedding", t->n, c, &k->task->w->stem_norm, y, -1, NULL);
}

static void add_pool(struct build *k, int stage, int x) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = rows_of(k, stage - 1), *u = rows_of(k, stage);
  const struct pt_train_linear *w = &k->task->w->down[stage];
  const int c = cfg->enc[stage].channels, y = tensor(k, u->n, c);
  char label[32];
  snprintf(label, sizeof label, "enc%d.down", stage);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_pool, label, y);
  s->a.pool = (struct pt_pool){.n = t->n,
                               .m = u->n,
                               .in = cfg->enc[stage - 1].channels,
                               .c = c,
                               .type = cfg->type,
                               .raw = true,
                               .start = t->start,
                               .row = t->row,
                               .w = w->w,
                               .bias = w->bias};
  PT_BIND(s, pool, x, x);
  PT_BIND(s, pool, out, y);
  k->stage[stage].in =
      add_batchnorm(k, label, u->n, c, &k->task->w->down_norm[stage], y, -1, NULL);
}

/* Both branches of an unpooling, and the decoder's blocks of the stage. */
static int add_decoder(struct build *k, int stage, int above) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  const struct pt_stage *t = rows_of(k, stage), *u = rows_of(k, stage + 1);
  struct stage_kept *e = &k->stage[stage];
  const int c = cfg->dec[stage].channels;
  const int deeper =
      stage == cfg->stages - 2 ? cfg->enc[stage + 1].channels : cfg->dec[stage + 1].channels;
  const bool later = cfg->dec[stage].depth > 0; /* the first cpe adds the two */
  char label[32];
  snprintf(label, sizeof label, "dec%d.up", stage);
  e->dec_above = above;
  int y = add_linear(k, label, u->n, deeper, c, &w->up[stage], above);
  e->up = add_batchnorm(k, label, u->n, c, &w->up_norm[stage], y, -1, NULL);
  y = add_linear(k, label, t->n, cfg->enc[stage].channels, c, &w->skip[stage], e->enc_out);
  e->skip = add_batchnorm(k, label, t->n, c, &w->skip_norm[stage], y, later ? -1 : e->up.out,
                          t->cluster);
  const struct side d = side_of(k, true, stage);
  return add_blocks(k, &d, e->skip.out, later ? e->up.out : -1, k->keep);
}

/* ---- the same, backward ---- */

/* From the gradient of the decoder's output of a stage to those of the stage above (returned)
 * and of the encoder's output (*skip). */
static int add_decoder_grad(struct build *k, int stage, int g, int *skip) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  const struct pt_stage *t = rows_of(k, stage), *u = rows_of(k, stage + 1);
  const struct stage_kept *e = &k->stage[stage];
  const struct side d = side_of(k, true, stage);
  const int c = d.g->channels;
  const int deeper =
      stage == cfg->stages - 2 ? cfg->enc[stage + 1].channels : cfg->dec[stage + 1].channels;
  char label[32];
  snprintf(label, sizeof label, "dec%d.up", stage);
  int up = -1;
  add_blocks_grad(k, &d, g, &up);
  if (up < 0) up = add_up_grad(k, label, stage, c, g);
  add_batchnorm_grad(k, label, t->n, c, &w->skip_norm[stage], &e->skip, g);
  *skip = add_linear_grad(k, label, t->n, cfg->enc[stage].channels, c, cfg->type,
                          &w->skip[stage], e->enc_out, g);
  add_batchnorm_grad(k, label, u->n, c, &w->up_norm[stage], &e->up, up);
  return add_linear_grad(k, label, u->n, deeper, c, cfg->type, &w->up[stage], e->dec_above, up);
}

/* g: gradient of what pooling gave; into that of the finer stage's features, dx (added to
 * where it is there already). */
static int add_pool_grad(struct build *k, int stage, int g, int dx) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = rows_of(k, stage - 1), *u = rows_of(k, stage);
  const struct pt_train_linear *w = &k->task->w->down[stage];
  const int c = cfg->enc[stage].channels, in = cfg->enc[stage - 1].channels;
  char label[32];
  snprintf(label, sizeof label, "enc%d.down", stage);
  add_batchnorm_grad(k, label, u->n, c, &k->task->w->down_norm[stage], &k->stage[stage].in, g);
  const bool add = dx >= 0;
  if (!add) dx = tensor(k, t->n, in);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_pool_grad, label, dx);
  s->a.pool_grad = (struct pt_pool_grad){.n = t->n,
                                         .m = u->n,
                                         .in = in,
                                         .c = c,
                                         .type = cfg->type,
                                         .start = t->start,
                                         .row = t->row,
                                         .add = add,
                                         .w = w->w,
                                         .bias = w->bias,
                                         .wt = w->wt,
                                         .dw = w->dw,
                                         .db = w->dbias};
  PT_BIND(s, pool_grad, x, k->stage[stage - 1].enc_out);
  PT_BIND(s, pool_grad, g, g);
  PT_BIND(s, pool_grad, dx, dx);
  return dx;
}

/* ---- head and loss ---- */

static int add_head(struct build *k, int x, int c) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const int64_t n = rows_of(k, 0)->n;
  const int out = pt_add_tensor(&k->b, n, cfg->classes, PT_F32);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_head, "seg_head", out);
  s->a.head = (struct pt_head){.n = n,
                               .sources = 1,
                               .type = cfg->type,
                               .src[0].c = c,
                               .classes = cfg->classes,
                               .w = k->task->w->head.w,
                               .bias = k->task->w->head.bias};
  PT_BIND(s, head, src[0].x, x);
  PT_BIND(s, head, out, out);
  return out;
}

static int add_loss(struct build *k, int logits) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = rows_of(k, 0);
  struct pt_loss a = *k->task->loss;
  a.n = t->n;
  a.classes = cfg->classes;
  a.clouds = k->b.s->clouds;
  a.offset = t->offset;
  a.label = k->task->label;
  a.value = k->task->value;
  a.valid = k->task->valid;
  const int g = pt_add_tensor(&k->b, t->n, cfg->classes, PT_F32);
  const int work = pt_add_tensor(&k->b, (pt_loss_work(&a) + 3) / 4, 1, PT_F32);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_loss, "loss", g);
  s->a.loss = a;
  PT_BIND(s, loss, logits, logits);
  PT_BIND(s, loss, g, g);
  PT_BIND(s, loss, work, work);
  return g;
}

/* ---- all of it ---- */

static int add_forward(struct build *k, int input) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  int x = -1;
  for (int s = 0; s < cfg->stages; s++) {
    k->patch[s] = pt_patch_of(cfg, k->b.s, s);
    if (s == 0)
      add_embed(k, input);
    else
      add_pool(k, s, x);
    const struct side d = side_of(k, false, s);
    x = add_blocks(k, &d, k->stage[s].in.out, -1, k->keep);
    k->stage[s].enc_out = x;
  }
  for (int s = cfg->stages - 2; s >= 0; s--) x = add_decoder(k, s, x);
  return x;
}

static void add_backward(struct build *k, int input, int x, int g_logits) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  int skip[PT_MAX_STAGES], none = -1;
  int g = add_linear_grad(k, "seg_head", rows_of(k, 0)->n, cfg->out_channels, cfg->classes,
                          PT_F32, &w->head, x, g_logits);
  for (int s = 0; s + 1 < cfg->stages; s++) g = add_decoder_grad(k, s, g, &skip[s]);
  for (int s = cfg->stages - 1; s >= 0; s--) {
    const struct side d = side_of(k, false, s);
    add_blocks_grad(k, &d, g, &none);
    if (s > 0) g = add_pool_grad(k, s, g, skip[s - 1]);
  }
  add_batchnorm_grad(k, "embedding", rows_of(k, 0)->n, cfg->enc[0].channels, &w->stem_norm,
                     &k->stage[0].in, g);
  add_conv_grad(k, "embedding", 0, 5, cfg->in_channels, cfg->enc[0].channels, PT_F32, &w->stem,
                input, g, -1);
}

static int check(const struct pt_train_task *task, struct ptv3_error *err) {
  const struct pt_ptv3 *cfg = task->cfg;
  if (cfg->compat_151)
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "training in the way of Pointcept 1.5.1 is not "
                   "supported: train without compat");
  for (int s = 0; s < cfg->stages; s++)
    if (task->s->stage[s].n < 2)
      return pt_fail(err, PTV3_DATA,
                     "stage %d has a single voxel: BatchNorm has no statistics of one row; use "
                     "larger clouds or batches",
                     s);
  return PTV3_OK;
}

int pt_train_network_build(struct pt_env *env, const struct pt_train_task *task,
                           enum pt_keep keep, struct pt_train_network *net,
                           struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct build k = {.b = {.cfg = task->cfg, .s = task->s, .plan = &net->plan, .err = &e},
                    .task = task,
                    .keep = keep};
  pt_plan_init(&net->plan, &env->mem, task->kernels, env->threads, task->tile);
  k.b.status = check(task, &e);
  net->input = pt_add_tensor(&k.b, rows_of(&k, 0)->n, task->cfg->in_channels, PT_F32);
  const int x = add_forward(&k, net->input);
  net->logits = add_head(&k, x, task->cfg->out_channels);
  add_backward(&k, net->input, x, add_loss(&k, net->logits));
  if (!k.b.status) k.b.status = pt_plan_layout(&net->plan, net->logits, &e);
  if (!k.b.status) return PTV3_OK;
  pt_train_network_free(net);
  if (err) *err = e;
  return e.status;
}

void pt_train_network_free(struct pt_train_network *net) { pt_plan_free(&net->plan); }
