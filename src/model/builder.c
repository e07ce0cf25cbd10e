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
