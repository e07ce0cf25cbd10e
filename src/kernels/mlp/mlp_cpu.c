/* mlp_cpu.c - mlp.h by tiles of rows: the normalised rows, the hidden layer and the result
 * of a tile lie in the thread's scratch, sized to stay in a second-level cache; the two
 * products are gemm.h's. The residual is added last, once, as the separate layers would. */
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
static void finish_row(const struct pt_mlp *a, int64_t r, const float *sum) {
  float *row = (float *)a->x + r * a->c, *branch = (float *)a->branch + r * a->c;
  const size_t bytes = (size_t)a->c * sizeof *row;
  if (a->branch && a->pre_norm) memcpy(branch, sum, bytes);
  pt_add_row(row, sum, a->c);
  if (!a->pre_norm) pt_layernorm_row(row, row, a->c, a->gamma, a->beta);
  if (a->branch && !a->pre_norm) memcpy(branch, row, bytes);
}

static void one_tile(const struct pt_mlp *a, int64_t first, int64_t rows, float *scratch) {
  const int64_t ldc = pt_row_ld(a->c), ldh = pt_row_ld(a->hidden);
  float *x = (float *)a->x + first * a->c;
  float *norm = scratch, *sum = norm + rows * ldc, *hidden = sum + rows * ldc;
  struct pt_src in = pt_src(x, PT_F32, a->c);
  if (a->pre_norm) {
    for (int64_t r = 0; r < rows; r++)
      pt_layernorm_row(norm + r * ldc, x + r * a->c, a->c, a->gamma, a->beta);
    in = pt_src(norm, PT_F32, ldc);
  }
  PT_FN(pt_gemm)(rows, in, &a->w1, pt_dst(hidden, ldh), PT_GEMM_BIAS, a->b1);
  pt_gelu_rows(hidden, rows, a->hidden, ldh);
  PT_FN(pt_gemm)
  (rows, pt_src(hidden, PT_F32, ldh), &a->w2, pt_dst(sum, ldc), PT_GEMM_BIAS, a->b2);
  for (int64_t r = 0; r < rows; r++) finish_row(a, first + r, sum + r * ldc);
}

void PT_FN(pt_mlp)(const struct pt_mlp *a, const struct pt_exec *x) {
  const int64_t tile = pt_tile_rows(a->n, wished_rows(a), x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = 0; r < a->n; r += tile)
    one_tile(a, r, a->n - r < tile ? a->n - r : tile, (float *)pt_scratch(x));
}
