/* cpe_cpu.c - cpe.h by tiles: the convolution of a tile (conv.h) lies in the scratch; the
 * Linear of a few of its rows at a time, LayerNorm and the residual follow while it is in
 * the cache. Wide stages take long tiles, because their 27 matrices are larger than any
 * cache and are read once per tile. */
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
  return (struct pt_conv){a->vox, 3, a->c, a->c, a->in, a->type, a->conv_w, a->conv_bias, cap};
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

/* out[r] = (res[r] + up[cluster[r]]) + LayerNorm(z). z is used up. */
static void finish_row(const struct pt_cpe *a, int64_t r, float *z) {
  const float *res = (const float *)a->res + r * a->c;
  const float *up = a->up ? (const float *)a->up + (int64_t)a->cluster[r] * a->c : NULL;
  float *out = (float *)a->out + r * a->c;
  pt_layernorm_row(z, z, a->c, a->gamma, a->beta);
  for (int i = 0; i < a->c; i += PT_VW) {
    const int n = a->c - i;
    pt_v v = pt_vload_n(res + i, n);
    if (up) v = pt_vadd(v, pt_vload_n(up + i, n));
    pt_vstore_n(out + i, pt_vadd(v, pt_vload_n(z + i, n)), n);
  }
}

static void done(const void *op, int64_t first, int rows, float *y, char *scratch) {
  const struct pt_cpe *a = op;
  const int64_t ld = pt_row_ld(a->c);
  float *z = (float *)scratch;
  for (int p = 0; p < rows; p += PART_ROWS) {
    const int part = rows - p < PART_ROWS ? rows - p : PART_ROWS;
    PT_FN(pt_gemm)
    (part, pt_src(y + p * ld, PT_F32, ld), &a->w, pt_dst(z, ld), PT_GEMM_BIAS, a->bias);
    for (int i = 0; i < part; i++) finish_row(a, first + p + i, z + i * ld);
  }
}

void PT_FN(pt_cpe)(const struct pt_cpe *a, const struct pt_exec *x) {
  const struct pt_conv v = conv_of(a, x->tile);
  const struct pt_conv_sink sink = {place, done, a, pt_row_ld(a->c)};
  const int64_t run = pt_conv_run(a->n, v.cap, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = 0; r < a->n; r += run) {
    char *scratch = pt_scratch(x);
    PT_FN(pt_conv)
    (&v, pt_block_from(a->vox, r), pt_block_from(a->vox, r + run), &sink, scratch,
     scratch + PT_FN(pt_conv_scratch)(&v));
  }
}
