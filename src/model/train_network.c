/* train_network.c - see train_network.h. The forward half is network.c's with BatchNorm of
 * the batch; what backward steps need is named by struct stage_kept. */
#include "train_network.h"

#include <stdio.h>

#include "train_blocks.h"

/* BatchNorm's input and statistics. */
struct normed {
  int y, stats, out;
};

struct stage_kept {
  struct pt_kept enc[PT_MAX_BLOCKS], dec[PT_MAX_BLOCKS];
  struct normed in; /* after the stem or the pooling */
  int enc_out;      /* the encoder's result: the skip connection, or what the head sees */
  int dec_above;    /* what the decoder takes from the stage above */
  struct normed up, skip;
};

const char *pt_keep_text(enum pt_keep keep) {
  static const char *const text[PT_KEEPS] = {"the inputs of operations", "the inputs of blocks",
                                             "the inputs of stages"};
  return text[keep];
}

static struct pt_side side_of(struct pt_train_build *k, bool decoder, int stage) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  struct stage_kept *s = &k->stage[stage];
  return decoder ? (struct pt_side){true, stage, &cfg->dec[stage], w->dec[stage], s->dec}
                 : (struct pt_side){false, stage, &cfg->enc[stage], w->enc[stage], s->enc};
}

/* ---- BatchNorm, Linear ---- */

static struct normed add_batchnorm(struct pt_train_build *k, const char *label, int64_t n,
                                   int c, const struct pt_train_norm *w, int y, int up,
                                   const int32_t *cluster) {
  struct normed m = {y, pt_add_tensor(&k->b, 2, c, PT_F32), pt_build_tensor(k, n, c)};
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

static void add_batchnorm_grad(struct pt_train_build *k, const char *label, int64_t n, int c,
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

static int add_linear(struct pt_train_build *k, const char *label, int64_t n, int in, int c,
                      const struct pt_train_linear *w, int x) {
  const int out = pt_build_tensor(k, n, c);
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

/* The gradient of a Linear layer whose n, in, c, gtype and ldw `shape` gives. It is added to
 * dx, or, where that is -1, is a new tensor; returns it. */
static int add_linear_grad(struct pt_train_build *k, const char *label,
                           const struct pt_linear_grad *shape, const struct pt_train_linear *w,
                           int x, int g, int dx) {
  const bool add = dx >= 0;
  if (!add) dx = pt_build_tensor(k, shape->n, shape->in);
  struct pt_step *s = pt_add_step(&k->b, PT_OP_linear_grad, label, dx);
  struct pt_linear_grad *a = &s->a.linear_grad;
  *a = *shape;
  a->type = k->b.cfg->type;
  a->add = add;
  a->wt = w->wt, a->dw = w->dw, a->db = w->dbias;
  PT_BIND(s, linear_grad, x, x);
  PT_BIND(s, linear_grad, g, g);
  PT_BIND(s, linear_grad, dx, dx);
  return dx;
}

/* ---- between stages, forward ---- */

static void add_embed(struct pt_train_build *k, int input) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = pt_build_rows(k, 0);
  const int c = cfg->enc[0].channels, y = pt_build_tensor(k, t->n, c);
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

static void add_pool(struct pt_train_build *k, int stage, int x) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = pt_build_rows(k, stage - 1), *u = pt_build_rows(k, stage);
  const struct pt_train_linear *w = &k->task->w->down[stage];
  const int c = cfg->enc[stage].channels, y = pt_build_tensor(k, u->n, c);
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
static int add_decoder(struct pt_train_build *k, int stage, int above) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  const struct pt_stage *t = pt_build_rows(k, stage), *u = pt_build_rows(k, stage + 1);
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
  const struct pt_side d = side_of(k, true, stage);
  return pt_add_blocks(k, &d, e->skip.out, later ? e->up.out : -1);
}

/* ---- the same, backward ---- */

/* The gradient of a branch's Linear layer. */
static int add_branch_grad(struct pt_train_build *k, const char *label, int64_t n, int in,
                           int c, const struct pt_train_linear *w, int x, int g) {
  const struct pt_linear_grad shape = {
      .n = n, .in = in, .c = c, .gtype = k->b.cfg->type, .ldw = in};
  return add_linear_grad(k, label, &shape, w, x, g, -1);
}

/* From the gradient of the decoder's output of a stage to those of the stage above (returned)
 * and of the encoder's output (*skip). */
static int add_decoder_grad(struct pt_train_build *k, int stage, int g, int *skip) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  const struct pt_stage *t = pt_build_rows(k, stage), *u = pt_build_rows(k, stage + 1);
  const struct stage_kept *e = &k->stage[stage];
  const struct pt_side d = side_of(k, true, stage);
  const int c = d.g->channels;
  const int deeper =
      stage == cfg->stages - 2 ? cfg->enc[stage + 1].channels : cfg->dec[stage + 1].channels;
  char label[32];
  snprintf(label, sizeof label, "dec%d.up", stage);
  int up = -1;
  pt_add_blocks_grad(k, &d, g, &up);
  if (up < 0) up = pt_add_up_grad(k, label, stage, c, cfg->type, g);
  add_batchnorm_grad(k, label, t->n, c, &w->skip_norm[stage], &e->skip, g);
  *skip = add_branch_grad(k, label, t->n, cfg->enc[stage].channels, c, &w->skip[stage],
                          e->enc_out, g);
  add_batchnorm_grad(k, label, u->n, c, &w->up_norm[stage], &e->up, up);
  return add_branch_grad(k, label, u->n, deeper, c, &w->up[stage], e->dec_above, up);
}

/* g: gradient of what pooling gave; into that of the finer stage's features, dx (added to
 * where it is there already). */
static int add_pool_grad(struct pt_train_build *k, int stage, int g, int dx) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = pt_build_rows(k, stage - 1), *u = pt_build_rows(k, stage);
  const struct pt_train_linear *w = &k->task->w->down[stage];
  const int c = cfg->enc[stage].channels, in = cfg->enc[stage - 1].channels;
  char label[32];
  snprintf(label, sizeof label, "enc%d.down", stage);
  add_batchnorm_grad(k, label, u->n, c, &k->task->w->down_norm[stage], &k->stage[stage].in, g);
  const bool add = dx >= 0;
  if (!add) dx = pt_build_tensor(k, t->n, in);
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

static int add_head(struct pt_train_build *k, const int *x) {
  const struct pt_train_head *w = &k->task->w->head;
  const int out = pt_add_tensor(&k->b, pt_build_rows(k, 0)->n, k->b.cfg->classes, PT_F32);
  pt_add_head(&k->b, x, &w->w, w->bias, out);
  return out;
}

/* What a row of a stage does for the logits it does for each of the finest rows below it: the
 * gradients of their logits are summed up, stage by stage, before they meet the weight.
 * sum [pt_head_sources]: tensors [rows of the stage, classes]. */
static void add_head_sums(struct pt_train_build *k, int g_logits, int *sum) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  sum[0] = g_logits;
  for (int s = 1; s < pt_head_sources(cfg); s++)
    sum[s] = pt_add_up_grad(k, "seg_head", s - 1, cfg->classes, PT_F32, sum[s - 1]);
}

/* The gradient of a stage's result x by the head, added to g, or a new tensor; returns it. */
static int add_head_grad(struct pt_train_build *k, int stage, int x, const int *sum, int g) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_linear_grad shape = {.n = pt_build_rows(k, stage)->n,
                                       .in = pt_head_channels(cfg, stage),
                                       .c = cfg->classes,
                                       .gtype = PT_F32,
                                       .ldw = cfg->out_channels};
  return add_linear_grad(k, "seg_head", &shape, &k->task->w->head.stage[stage], x, sum[stage],
                         g);
}

static int add_loss(struct pt_train_build *k, int logits) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_stage *t = pt_build_rows(k, 0);
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

/* x [pt_head_sources]: what the head sees. */
static void add_forward(struct pt_train_build *k, int input, int *x) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  int last = -1;
  for (int s = 0; s < cfg->stages; s++) {
    k->patch[s] = pt_patch_of(cfg, k->b.s, s);
    if (s == 0)
      add_embed(k, input);
    else
      add_pool(k, s, last);
    const struct pt_side d = side_of(k, false, s);
    last = pt_add_blocks(k, &d, k->stage[s].in.out, -1);
    k->stage[s].enc_out = last;
  }
  for (int s = cfg->stages - 2; s >= 0 && !cfg->enc_mode; s--) last = add_decoder(k, s, last);
  for (int s = 0; s < pt_head_sources(cfg); s++)
    x[s] = cfg->enc_mode ? k->stage[s].enc_out : last;
}

/* From the gradients of the head's input to those of the encoder's results: that of the last
 * stage is returned, those of the others go to skip, -1 where the head alone has a part. */
static int add_decoders_grad(struct pt_train_build *k, const int *x, const int *sum,
                             int *skip) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  for (int s = 0; s < cfg->stages; s++) skip[s] = -1;
  if (cfg->enc_mode) return -1;
  int g = add_head_grad(k, 0, x[0], sum, -1);
  for (int s = 0; s + 1 < cfg->stages; s++) g = add_decoder_grad(k, s, g, &skip[s]);
  return g;
}

static void add_backward(struct pt_train_build *k, int input, const int *x, int g_logits) {
  const struct pt_ptv3 *cfg = k->b.cfg;
  const struct pt_train_weights *w = k->task->w;
  int sum[PT_MAX_STAGES], skip[PT_MAX_STAGES], none = -1;
  add_head_sums(k, g_logits, sum);
  if (cfg->freeze_backbone) { /* nothing below the head takes a step */
    for (int s = 0; s < pt_head_sources(cfg); s++) add_head_grad(k, s, x[s], sum, -1);
    return;
  }
  int g = add_decoders_grad(k, x, sum, skip);
  for (int s = cfg->stages - 1; s >= 0; s--) {
    const struct pt_side d = side_of(k, false, s);
    if (cfg->enc_mode) g = add_head_grad(k, s, x[s], sum, g);
    pt_add_blocks_grad(k, &d, g, &none);
    if (s > 0) g = add_pool_grad(k, s, g, skip[s - 1]);
  }
  add_batchnorm_grad(k, "embedding", pt_build_rows(k, 0)->n, cfg->enc[0].channels,
                     &w->stem_norm, &k->stage[0].in, g);
  const struct pt_conv_grad stem = {
      .size = 5, .in = cfg->in_channels, .c = cfg->enc[0].channels, .xtype = PT_F32};
  pt_add_conv_grad(k, "embedding", 0, &stem, &w->stem, input, g, -1);
}

static int check(const struct pt_train_task *task, struct ptv3_error *err) {
  for (int s = 0; s < task->cfg->stages; s++)
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
  struct stage_kept stage[PT_MAX_STAGES] = {0};
  struct pt_train_build k = {
      .b = {.cfg = task->cfg, .s = task->s, .plan = &net->plan, .err = &e},
      .task = task,
      .keep = keep,
      .stage = stage};
  pt_plan_init(&net->plan, &env->mem, task->kernels, env->threads, task->tile);
  k.b.status = check(task, &e);
  net->input = pt_add_tensor(&k.b, pt_build_rows(&k, 0)->n, task->cfg->in_channels, PT_F32);
  int x[PT_MAX_STAGES];
  add_forward(&k, net->input, x);
  net->logits = add_head(&k, x);
  add_backward(&k, net->input, x, add_loss(&k, net->logits));
  if (!k.b.status) k.b.status = pt_plan_layout(&net->plan, net->logits, &e);
  if (!k.b.status) return PTV3_OK;
  pt_train_network_free(net);
  if (err) *err = e;
  return e.status;
}

void pt_train_network_free(struct pt_train_network *net) { pt_plan_free(&net->plan); }
