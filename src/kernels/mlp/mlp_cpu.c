/* mlp_cpu.c - mlp.h by tiles of rows: the normalised rows, the hidden layer and the result
 * of a tile lie in the thread's scratch, sized to stay in a second-level cache; the two
 * products are gemm.h's. The residual is added last, once, as the separate layers would.
 * What the products read (the normalised rows, the hidden layer) is stored in the type of the
 * weights; sums are float. Hidden numbers in bf16 lie in the front half of their float row. */
#include "mlp.h"

#include "gemm.h"
#include "isa.h"
#include "rows_cpu.h"

enum { TILE_BYTES = 256 << 10, MIN_ROWS = 48, MAX_ROWS = 384 };

int64_t PT_FN(pt_mlp_scratch)(const struct pt_mlp *a, int tile);
void PT_FN(pt_mlp)(const struct pt_mlp *a, const struct pt_exec *x);

static int64_t wished_rows(const struct pt_mlp *a) {
  int64_t rows = TILE_BYTES / (4 * (pt_row_ld(a->hidden) + 2 * pt_row_ld(a->c)));
  rows = rows / 12 * 12;
  return rows < MIN_ROWS ? MIN_ROWS : rows > MAX_ROWS ? MAX_ROWS : rows;
}

int64_t PT_FN(pt_mlp_scratch)(const struct pt_mlp *a, int tile) {
  int64_t rows = pt_rows_at_most(a->n, tile > 0 ? tile : wished_rows(a));
  return rows * (pt_row_ld(a->hidden) + 2 * pt_row_ld(a->c)) * (int64_t)sizeof(float);
}

/* What follows the second product of row r: the residual, the norm, the copy for branch. */
static void finish_row(const struct pt_mlp *a, int64_t r, float *sum) {
  const void *in = pt_at(pt_mlp_in(a), a->type, r * a->c);
  void *row = pt_at_mut(a->x, a->type, r * a->c);
  pt_drop_row(&a->drop, r, sum, a->c);
  if (a->branch) pt_narrow_row(pt_at_mut(a->branch, a->type, r * a->c), a->type, sum, a->c);
  if (a->pre_norm) {
    pt_sum_row(row, in, a->type, sum, a->c);
    return;
  }
  pt_add_row(sum, in, a->type, a->c);
  pt_layernorm_row(row, a->type, sum, a->c, a->gamma, a->beta);
}

static struct pt_src normalised(const struct pt_mlp *a, int64_t first, int64_t rows,
                                float *norm, float *buf) {
  const enum pt_dtype type = a->w1.type;
  const int64_t ld = pt_row_ld(a->c);
  for (int64_t r = 0; r < rows; r++) {
    const float *x = pt_float_row(pt_mlp_in(a), a->type, first + r, a->c, buf);
    pt_layernorm_row(pt_at_mut(norm, type, r * ld), type, x, a->c, a->gamma, a->beta);
  }
  return pt_src(norm, type, ld);
}

/* Row r of the hidden layer, after GELU with some numbers left out, in place. */
static void drop_hidden(const struct pt_mlp *a, int64_t r, float *hidden) {
  pt_gelu(hidden, PT_F32, hidden, a->hidden);
  for (int j = 0; j < a->hidden; j++) hidden[j] *= pt_drop_hidden(&a->drop, r, a->hidden, j);
  pt_narrow_row(hidden, a->w2.type, hidden, a->hidden);
}

static struct pt_src activated(const struct pt_mlp *a, int64_t first, int64_t rows,
                               float *hidden) {
  const enum pt_dtype type = a->w2.type;
  const int64_t ld = pt_row_ld(a->hidden);
  for (int64_t r = 0; r < rows; r++)
    if (a->drop.proj > 0.0f)
      drop_hidden(a, first + r, hidden + r * ld);
    else
      pt_gelu(hidden + r * ld, type, hidden + r * ld, a->hidden);
  return pt_src(hidden, type, type == PT_BF16 ? 2 * ld : ld);
}

static void one_tile(const struct pt_mlp *a, int64_t first, int64_t rows, float *scratch) {
  const int64_t ldc = pt_row_ld(a->c), ldh = pt_row_ld(a->hidden);
  float *norm = scratch, *sum = norm + rows * ldc, *hidden = sum + rows * ldc;
  struct pt_src in = a->pre_norm
                         ? normalised(a, first, rows, norm, sum)
                         : pt_src(pt_at(pt_mlp_in(a), a->type, first * a->c), a->type, a->c);
  PT_FN(pt_gemm)(rows, in, &a->w1, pt_dst(hidden, ldh), PT_GEMM_BIAS, a->b1);
  in = activated(a, first, rows, hidden);
  PT_FN(pt_gemm)(rows, in, &a->w2, pt_dst(sum, ldc), PT_GEMM_BIAS, a->b2);
  for (int64_t r = 0; r < rows; r++) finish_row(a, first + r, sum + r * ldc);
}

void PT_FN(pt_mlp)(const struct pt_mlp *a, const struct pt_exec *x) {
  const int64_t end = pt_exec_to(x, a->n);
  const int64_t tile = pt_tile_rows(end - x->from, wished_rows(a), x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = x->from; r < end; r += tile)
    one_tile(a, r, end - r < tile ? end - r : tile, (float *)pt_scratch(x));
}
