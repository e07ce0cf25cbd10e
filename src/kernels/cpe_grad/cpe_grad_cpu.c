/* cpe_grad_cpu.c - cpe_grad.h by turns of tiles (turns_cpu.h). A tile's convolution (conv.h)
 * and Linear are computed again; its y, normalised z and dz stay in the scratch until the
 * threads have added them to the sums. With weights in bf16, y and dz are rounded for the
 * products, in the front half of their float rows, and the sums take what the products took.
 */
#include "cpe_grad.h"

#include "conv.h"
#include "isa.h"
#include "rows_cpu.h"
#include "turns_cpu.h"

int64_t PT_FN(pt_cpe_grad_scratch)(const struct pt_cpe_grad *a, int tile);
void PT_FN(pt_cpe_grad)(const struct pt_cpe_grad *a, const struct pt_exec *x);

static int wished_rows(const struct pt_cpe_grad *a) { return a->c <= 256 ? 384 : 512; }

static struct pt_conv conv_of(const struct pt_cpe_grad *a, int tile) {
  const int64_t rows = pt_turn_rows(tile > 0 ? tile : wished_rows(a));
  const int cap = (int)pt_rows_at_most(a->n, rows);
  return (struct pt_conv){a->vox,  3,         a->c,         a->c, a->in,
                          a->type, a->conv_w, a->conv_bias, cap,  false};
}

/* y, hat, dz, and before a dy in bf16 one in float. */
static int64_t tensors(const struct pt_cpe_grad *a) { return a->type == PT_BF16 ? 4 : 3; }

int64_t PT_FN(pt_cpe_grad_scratch)(const struct pt_cpe_grad *a, int tile) {
  const struct pt_conv v = conv_of(a, tile);
  return PT_FN(pt_conv_scratch)(&v) + tensors(a) * pt_floats(v.cap * pt_row_ld(a->c));
}

struct work {
  const struct pt_cpe_grad *a;
  struct pt_conv v;
  int64_t near; /* bytes of the neighbours */
};

struct tile {
  float *y, *hat, *dz, *dy; /* [cap, pt_row_ld(c)] */
};

static struct tile tile_of(const struct work *w, char *scratch) {
  float *at = (float *)(void *)(scratch + w->near);
  const int64_t one = w->v.cap * pt_row_ld(w->a->c);
  return (struct tile){at, at + one, at + 2 * one, at + 3 * one};
}

/* y or dz as the products read it. */
static struct pt_src operand(const struct pt_cpe_grad *a, const float *y) {
  const int64_t ld = pt_row_ld(a->c);
  return a->w.type == PT_BF16 ? pt_src(y, PT_BF16, 2 * ld) : pt_src(y, PT_F32, ld);
}

static void round_rows(const struct pt_cpe_grad *a, int64_t rows, float *y) {
  const int64_t ld = pt_row_ld(a->c);
  for (int64_t r = 0; r < rows && a->w.type == PT_BF16; r++)
    pt_narrow_row(y + r * ld, PT_BF16, y + r * ld, a->c);
}

/* hat and dz of a row from z, which lies where hat will. */
static void one_row(const struct pt_cpe_grad *a, int64_t r, float *hat, float *dz) {
  const struct pt_norm norm = pt_row_norm(hat, a->c);
  pt_hat_row(hat, hat, a->c, norm);
  const float *g = pt_float_row(a->g, a->type, r, a->c, dz);
  pt_layernorm_grad_row(dz, g, hat, a->c, a->gamma, norm.inv);
}

static void one_tile(const void *op, int64_t first, int64_t rows, char *scratch) {
  const struct work *w = op;
  const struct pt_cpe_grad *a = w->a;
  const struct tile t = tile_of(w, scratch);
  const int64_t ld = pt_row_ld(a->c);
  const struct pt_conv_tile *near = PT_FN(pt_conv_look)(&w->v, first, (int)rows, scratch);
  PT_FN(pt_conv_rows)(&w->v, near, first, t.y, ld);
  round_rows(a, rows, t.y);
  PT_FN(pt_gemm)(rows, operand(a, t.y), &a->w, pt_dst(t.hat, ld), PT_GEMM_BIAS, a->bias);
  for (int64_t r = 0; r < rows; r++) one_row(a, first + r, t.hat + r * ld, t.dz + r * ld);
  round_rows(a, rows, t.dz);
  const bool direct = a->type == PT_F32;
  const struct pt_dst dy =
      direct ? pt_dst((float *)a->dy + first * a->c, a->c) : pt_dst(t.dy, ld);
  PT_FN(pt_gemm)(rows, operand(a, t.dz), &a->wt, dy, PT_GEMM_ZERO, NULL);
  for (int64_t r = 0; r < rows && !direct; r++)
    pt_narrow_row(pt_at_mut(a->dy, a->type, (first + r) * a->c), a->type, t.dy + r * ld, a->c);
}

static void add(const void *op, const struct pt_turn *t) {
  const struct work *w = op;
  const struct pt_cpe_grad *a = w->a;
  const int64_t ld = pt_row_ld(a->c);
  for (int i = 0; i < t->tiles; i++) {
    const struct tile s = tile_of(w, pt_turn_scratch(t, i));
    const int64_t rows = pt_turn_count(t, i), first = pt_turn_first(t, i);
    const struct pt_src g = pt_src(pt_at(a->g, a->type, first * a->c), a->type, a->c);
    pt_turn_outer_pairs(t, rows, operand(a, s.dz), operand(a, s.y), a->c, a->c, a->dw, a->c);
    pt_turn_sums(t, rows, operand(a, s.dz), a->c, a->dbias);
    pt_turn_dots(t, rows, g, pt_src(s.hat, PT_F32, ld), a->c, a->dgamma);
    pt_turn_sums(t, rows, g, a->c, a->dbeta);
  }
}

void PT_FN(pt_cpe_grad)(const struct pt_cpe_grad *a, const struct pt_exec *x) {
  struct work w = {a, conv_of(a, x->tile), 0};
  w.near = PT_FN(pt_conv_scratch)(&w.v);
  pt_turns(x, a->n, pt_turn_rows(pt_tile_rows(a->n, w.v.cap, x)), one_tile, add, &w);
}
