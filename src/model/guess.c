/* guess.c - see guess.h. */
#include "guess.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The tensor of this name if it has so many dimensions of sensible size. */
static const struct pt_tensor *get(const struct pt_tensors *t, int dims, const char *fmt, ...)
    PT_PRINTF(3, 4);
static const struct pt_tensor *get(const struct pt_tensors *t, int dims, const char *fmt, ...) {
  char name[96];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(name, sizeof name, fmt, ap);
  va_end(ap);
  const struct pt_tensor *x = pt_tensors_find(t, name);
  if (!x || x->ndim != dims) return NULL;
  for (int d = 0; d < dims; d++)
    if (x->shape[d] < 1 || x->shape[d] > 1 << 20) return NULL;
  return x;
}

/* Table rows of each axis are 2 b + 1; several patch sizes have the same b, and powers of two
 * are what people use. */
static int patch_of(int64_t rows) {
  for (int patch = 1; patch <= 1 << 20; patch *= 2)
    if (3 * (2 * (int64_t)pt_rpe_bound(patch) + 1) == rows) return patch;
  return 0;
}

/* The blocks of one stage; depth 0: there is none. */
static struct pt_ptv3_stage stage_of(const struct pt_tensors *t, const char *side, int s) {
  enum { MOST = 1000 };
  struct pt_ptv3_stage found = {0};
  const struct pt_tensor *x;
  while (found.depth < MOST && (x = get(t, 1, "backbone.%s.%s%d.block%d.norm1.0.weight", side,
                                        side, s, found.depth))) {
    found.channels = (int)x->shape[0];
    found.depth++;
  }
  x = get(t, 2, "backbone.%s.%s%d.block0.attn.rpe.rpe_table", side, side, s);
  if (x) found.heads = (int)x->shape[1];
  if (x) found.patch = patch_of(x->shape[0]);
  return found;
}

bool pt_guess(const struct pt_tensors *t, struct pt_ptv3 *cfg) {
  static const char first[] = "backbone.enc.enc0.block0";
  *cfg = (struct pt_ptv3){0};
  const struct pt_tensor *stem = get(t, 5, "backbone.embedding.stem.conv.weight");
  const struct pt_tensor *head = get(t, 2, "seg_head.weight");
  const struct pt_tensor *fc1 = get(t, 2, "%s.mlp.0.fc1.weight", first);
  if (!stem || !fc1) return false;
  cfg->in_channels = (int)stem->shape[4];
  if (head) cfg->classes = (int)head->shape[0];
  if (head) cfg->out_channels = (int)head->shape[1];
  while (cfg->stages < PT_MAX_STAGES) {
    struct pt_ptv3_stage s = stage_of(t, "enc", cfg->stages);
    if (!s.depth) break;
    cfg->enc[cfg->stages++] = s;
  }
  cfg->enc_mode = true;
  for (int s = 0; s < cfg->stages - 1; s++) {
    cfg->dec[s] = stage_of(t, "dec", s);
    if (cfg->dec[s].depth) cfg->enc_mode = false;
  }
  cfg->mlp_ratio = (double)fc1->shape[0] / (double)fc1->shape[1];
  cfg->qkv_bias = get(t, 1, "%s.attn.qkv.bias", first) != NULL;
  cfg->enable_rpe = get(t, 2, "%s.attn.rpe.rpe_table", first) != NULL;
  return cfg->stages > 0;
}
