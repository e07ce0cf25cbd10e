/* params.c - see params.h. */
#include "params.h"

#include <stdarg.h>
#include <stdio.h>

struct list {
  struct pt_mem *mem;
  struct pt_param *param;
  int64_t count, cap;
  char prefix[48];
  int status;
  struct ptv3_error *err;
};

/* Appends prefix + name with the given dimensions. */
static void add(struct list *l, const char *name, int dims, ...) {
  if (l->status) return;
  l->status =
      pt_grow(l->mem, &l->param, &l->cap, l->count + 1, sizeof *l->param, PT_MEM_OTHER, l->err);
  if (l->status) return;
  struct pt_param *p = &l->param[l->count++];
  *p = (struct pt_param){.dims = dims, .size = 1};
  snprintf(p->name, sizeof p->name, "%s%s", l->prefix, name);
  va_list ap;
  va_start(ap, dims);
  for (int d = 0; d < dims; d++) p->size *= p->shape[d] = va_arg(ap, int);
  va_end(ap);
}

static void prefix(struct list *l, const char *fmt, ...) PT_PRINTF(2, 3);
static void prefix(struct list *l, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(l->prefix, sizeof l->prefix, fmt, ap);
  va_end(ap);
}

static void add_named(struct list *l, const char *name, const char *what, int dims, int a,
                      int b) {
  char text[40];
  snprintf(text, sizeof text, "%s.%s", name, what);
  add(l, text, dims, a, b);
}

static void add_linear(struct list *l, const char *name, int out, int in, bool bias) {
  add_named(l, name, "weight", 2, out, in);
  if (bias) add_named(l, name, "bias", 1, out, 0);
}

static void add_norm(struct list *l, const char *name, int c) {
  add_named(l, name, "weight", 1, c, 0);
  add_named(l, name, "bias", 1, c, 0);
}

static void add_batchnorm(struct list *l, const char *name, int c) {
  add_norm(l, name, c);
  int64_t first = l->count;
  add_named(l, name, "running_mean", 1, c, 0);
  add_named(l, name, "running_var", 1, c, 0);
  add_named(l, name, "num_batches_tracked", 0, 0, 0);
  for (int64_t i = first; i < l->count; i++) l->param[i].buffer = true;
}

static void add_block(struct list *l, const struct pt_ptv3 *cfg,
                      const struct pt_ptv3_stage *s) {
  int c = s->channels, hidden = (int)(c * cfg->mlp_ratio);
  add(l, "cpe.0.weight", 5, c, 3, 3, 3, c);
  add(l, "cpe.0.bias", 1, c);
  add_linear(l, "cpe.1", c, c, true);
  add_norm(l, "cpe.2", c);
  add_norm(l, "norm1.0", c);
  add_linear(l, "attn.qkv", 3 * c, c, cfg->qkv_bias);
  add_linear(l, "attn.proj", c, c, true);
  if (cfg->enable_rpe)
    add(l, "attn.rpe.rpe_table", 2, 3 * (2 * pt_rpe_bound(s->patch) + 1), s->heads);
  add_norm(l, "norm2.0", c);
  add_linear(l, "mlp.0.fc1", hidden, c, true);
  add_linear(l, "mlp.0.fc2", c, hidden, true);
}

static void add_blocks(struct list *l, const struct pt_ptv3 *cfg, const char *side, int s,
                       const struct pt_ptv3_stage *stage) {
  for (int b = 0; b < stage->depth; b++) {
    prefix(l, "backbone.%s.%s%d.block%d.", side, side, s, b);
    add_block(l, cfg, stage);
  }
}

int pt_ptv3_params(struct pt_mem *mem, const struct pt_ptv3 *cfg, struct pt_param **out,
                   int64_t *count, struct ptv3_error *err) {
  struct list l = {.mem = mem, .err = err};
  add_linear(&l, "seg_head", cfg->classes, cfg->out_channels, true);
  prefix(&l, "backbone.embedding.");
  add(&l, "stem.conv.weight", 5, cfg->enc[0].channels, 5, 5, 5, cfg->in_channels);
  add_batchnorm(&l, "stem.norm", cfg->enc[0].channels);
  for (int s = 0; s < cfg->stages; s++) {
    if (s > 0) {
      prefix(&l, "backbone.enc.enc%d.down.", s);
      add_linear(&l, "proj", cfg->enc[s].channels, cfg->enc[s - 1].channels, true);
      add_batchnorm(&l, "norm.0", cfg->enc[s].channels);
    }
    add_blocks(&l, cfg, "enc", s, &cfg->enc[s]);
  }
  for (int s = cfg->stages - 2; s >= 0 && !cfg->enc_mode; s--) {
    int above = s == cfg->stages - 2 ? cfg->enc[s + 1].channels : cfg->dec[s + 1].channels;
    prefix(&l, "backbone.dec.dec%d.up.", s);
    add_linear(&l, "proj.0", cfg->dec[s].channels, above, true);
    add_batchnorm(&l, "proj.1", cfg->dec[s].channels);
    add_linear(&l, "proj_skip.0", cfg->dec[s].channels, cfg->enc[s].channels, true);
    add_batchnorm(&l, "proj_skip.1", cfg->dec[s].channels);
    add_blocks(&l, cfg, "dec", s, &cfg->dec[s]);
  }
  if (l.status) {
    pt_free(mem, l.param);
    return l.status;
  }
  *out = l.param;
  *count = l.count;
  return PTV3_OK;
}
