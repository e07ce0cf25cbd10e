/* cpe_cpu.c - cpe.h by tiles: the convolution of a tile (conv.h) lies in the scratch; the
 * Linear of a few of its rows at a time, LayerNorm and the residual follow while it is in
 * the cache. Wide stages take long tiles, because their 27 matrices are larger than any
 * cache and are read once per tile. With weights in bf16 a row of the convolution is rounded
 * for the Linear, in the front half of its float row. */
#include "cpe.h"

#include "conv.h"
#include "gemm.h"
#include "isa.h"
#include "rows_cpu.h"

enum { PART_ROWS = 48 }; /* of the Linear at a time */

int64_t PT_FN(pt_cpe_scratch)(const struct pt_cpe *a, int tile);
void PT_FN(pt_cpe)(const struct pt_cpe *a, const struct pt_exec *x);

static int wished_rows(const struct pt_cpe *a) { return a->c <= 256 ? 384 : 512; }

static struct pt_conv conv_of(const struct pt_cpe *a, int tile) {
  const int cap = (int)pt_rows_at_most(a->n, tile > 0 ? tile : wished_rows(a));
  return (struct pt_conv){a->vox,  3,         a->c,         a->c, a->in,
                          a->type, a->conv_w, a->conv_bias, cap,  false};
}

int64_t PT_FN(pt_cpe_scratch)(const struct pt_cpe *a, int tile) {
  const struct pt_conv v = conv_of(a, tile);
  return PT_FN(pt_conv_scratch)(&v) + pt_floats((v.cap + PART_ROWS) * pt_row_ld(a->c));
}

static float *place(const void *op, int64_t first, char *scratch) {
  const struct pt_cpe *a = op;
  (void)first;
  return (float *)scratch + PART_ROWS * pt_row_ld(a->c);
}

PT_INLINE void add_residual(const struct pt_cpe *a, int64_t r, const float *z,
                            const enum pt_dtype type) {
  const int64_t row = r * a->c, up = a->up ? (int64_t)a->cluster[r] * a->c : 0;
  for (int i = 0; i < a->c; i += PT_VW) {
    const int n = a->c - i;
    pt_v v = pt_vget(a->res, type, row + i, n);
    if (a->up) v = pt_vadd(v, pt_vget(a->up, type, up + i, n));
    pt_vput(a->out, type, row + i, pt_vadd(v, pt_vload_n(z + i, n)), n);
  }
}

/* out[r] = (res[r] + up[cluster[r]]) + LayerNorm(z). z is used up. */
static void finish_row(const struct pt_cpe *a, int64_t r, float *z) {
  pt_layernorm_row(z, PT_F32, z, a->c, a->gamma, a->beta);
  if (a->type == PT_BF16)
    add_residual(a, r, z, PT_BF16);
  else
    add_residual(a, r, z, PT_F32);
}

/* Rows of the convolution's result as the Linear reads them. */
static struct pt_src linear_input(const struct pt_cpe *a, int64_t rows, float *y) {
  const int64_t ld = pt_row_ld(a->c);
  if (a->w.type != PT_BF16) return pt_src(y, PT_F32, ld);
  for (int64_t i = 0; i < rows; i++) pt_narrow_row(y + i * ld, PT_BF16, y + i * ld, a->c);
  return pt_src(y, PT_BF16, 2 * ld);
}

static void done(const void *op, int64_t first, int rows, float *y, char *scratch) {
  const struct pt_cpe *a = op;
  const int64_t ld = pt_row_ld(a->c);
  float *z = (float *)scratch;
  for (int p = 0; p < rows; p += PART_ROWS) {
    const int part = rows - p < PART_ROWS ? rows - p : PART_ROWS;
    PT_FN(pt_gemm)
    (part, linear_input(a, part, y + p * ld), &a->w, pt_dst(z, ld), PT_GEMM_BIAS, a->bias);
    for (int i = 0; i < part; i++) finish_row(a, first + p + i, z + i * ld);
  }
}

void PT_FN(pt_cpe)(const struct pt_cpe *a, const struct pt_exec *x) {
  const struct pt_conv v = conv_of(a, x->tile);
  const struct pt_conv_sink sink = {place, done, a, pt_row_ld(a->c)};
  const int64_t end = pt_exec_to(x, a->vox->blocks);
  const int64_t first = a->vox->start[x->from], last = a->vox->start[end];
  const int64_t run = pt_conv_run(last - first, v.cap, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = first; r < last; r += run) {
    char *scratch = pt_scratch(x);
    const int64_t b = pt_block_from(a->vox, r), to = pt_block_from(a->vox, r + run);
    PT_FN(pt_conv)
    (&v, b, to < end ? to : end, &sink, scratch, scratch + PT_FN(pt_conv_scratch)(&v));
  }
}
