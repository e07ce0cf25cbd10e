/* builder.c - see builder.h. */
#include "builder.h"

#include "size.h"

int pt_add_tensor(struct pt_builder *b, int64_t rows, int channels, enum pt_dtype type) {
  if (b->status) return -1;
  int t = pt_plan_tensor(b->plan, rows, channels, type, b->err);
  if (t < 0) b->status = b->err->status;
  return t;
}

struct pt_step *pt_add_step(struct pt_builder *b, enum pt_op op, const char *label, int out) {
  struct pt_step *s = b->status ? NULL : pt_plan_step(b->plan, op, label, b->err);
  if (!s) {
    if (!b->status) b->status = b->err->status;
    b->spare.binds = 0;
    return &b->spare;
  }
  s->out = out;
  return s;
}

struct pt_step *pt_add_head(struct pt_builder *b, const int *x, const struct pt_mat *w,
                            const float *bias, int out) {
  struct pt_step *s = pt_add_step(b, PT_OP_head, "seg_head", out);
  struct pt_head *a = &s->a.head;
  *a = (struct pt_head){.n = b->s->stage[0].n,
                        .sources = pt_head_sources(b->cfg),
                        .type = b->cfg->type,
                        .classes = b->cfg->classes,
                        .w = *w,
                        .bias = bias};
  for (int i = 0; i < a->sources; i++) {
    a->src[i].map = b->s->to[i];
    a->src[i].c = pt_head_channels(b->cfg, i);
    pt_bind(s, offsetof(struct pt_head, src) + (size_t)i * sizeof a->src[0], x[i]);
  }
  PT_BIND(s, head, out, out);
  return s;
}

static int64_t smallest_cloud(const struct pt_structure *s, const struct pt_stage *t) {
  int64_t least = INT64_MAX;
  for (int c = 0; c < s->clouds; c++) least = pt_min(least, t->offset[c + 1] - t->offset[c]);
  return least;
}

int pt_patch_of(const struct pt_ptv3 *cfg, const struct pt_structure *s, int stage) {
  const struct pt_ptv3_stage *enc = &cfg->enc[stage], *dec = &cfg->dec[stage];
  const bool own = enc->depth || stage == cfg->stages - 1 || cfg->enc_mode;
  const int patch = own ? enc->patch : dec->patch;
  if (cfg->enable_flash) return patch;
  return (int)pt_min(patch, smallest_cloud(s, &s->stage[stage]));
}
