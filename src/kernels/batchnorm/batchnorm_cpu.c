/* batchnorm_cpu.c - batchnorm.h in two passes over the rows: sums of all chunks (sums_cpu.h),
 * then the rows of each tile. Numbers are summed as differences from the first row, so that
 * the variance does not suffer where the mean is far from 0. Loads of whole vectors are written
 * apart from those of a row's rest: masked loads that miss the cache take six times as long. */
#include "batchnorm.h"

#include "isa.h"
#include "sums_cpu.h"

/* Rows a tile, and rows whose sums stay in registers. */
enum { TILE_ROWS = 192, SUM_ROWS = 16 };

int64_t PT_FN(pt_batchnorm_scratch)(const struct pt_batchnorm *a, int tile);
void PT_FN(pt_batchnorm)(const struct pt_batchnorm *a, const struct pt_exec *x);

int64_t PT_FN(pt_batchnorm_scratch)(const struct pt_batchnorm *a, int tile) {
  (void)tile;
  return pt_chunk_bytes(a->n, a->c);
}

/* ---- statistics ---- */

/* sum += d, square += d d for n channels of a few rows, d = y - first row. */
PT_INLINE void sum_few(const struct pt_batchnorm *a, const enum pt_dtype type, int64_t first,
                       int64_t rows, int i, const int n, double *sum, double *square) {
  const pt_v from = pt_vget(a->y, type, i, n);
  const pt_vd from_low = pt_vd_low(from), from_high = pt_vd_high(from);
  pt_vd s0 = pt_vd_load(sum), s1 = pt_vd_load(sum + PT_VDW);
  pt_vd q0 = pt_vd_load(square), q1 = pt_vd_load(square + PT_VDW);
  for (int64_t r = first; r < first + rows; r++) {
    const pt_v y = pt_vget(a->y, type, r * a->c + i, n);
    const pt_vd low = pt_vd_low(y) - from_low, high = pt_vd_high(y) - from_high;
    s0 += low, s1 += high;
    q0 += low * low, q1 += high * high;
  }
  pt_vd_store(sum, s0), pt_vd_store(sum + PT_VDW, s1);
  pt_vd_store(square, q0), pt_vd_store(square + PT_VDW, q1);
}

PT_INLINE void sum_chunk_(const struct pt_batchnorm *a, const enum pt_dtype type, int64_t first,
                          int64_t end, double *sum) {
  double *square = sum + pt_row_ld(a->c);
  for (int64_t r = first; r < end; r += SUM_ROWS) {
    const int64_t rows = end - r < SUM_ROWS ? end - r : SUM_ROWS;
    int i = 0;
    for (; i + PT_VW <= a->c; i += PT_VW)
      sum_few(a, type, r, rows, i, PT_VW, sum + i, square + i);
    if (i < a->c) sum_few(a, type, r, rows, i, a->c - i, sum + i, square + i);
  }
}

static void sum_chunk(const struct pt_batchnorm *a, int64_t first, int64_t end, double *sum) {
  memset(sum, 0, (size_t)(2 * pt_row_ld(a->c)) * sizeof *sum);
  if (a->type == PT_BF16)
    sum_chunk_(a, PT_BF16, first, end, sum);
  else
    sum_chunk_(a, PT_F32, first, end, sum);
}

/* sum [2, pt_row_ld]: of all rows. */
static void finish_stats(const struct pt_batchnorm *a, const double *sum) {
  const double n = (double)a->n, m = (double)a->momentum;
  for (int j = 0; j < a->c; j++) {
    const double d = sum[j] / n, mean = (double)pt_get(a->y, a->type, j) + d;
    double var = sum[pt_row_ld(a->c) + j] / n - d * d;
    if (var < 0.0) var = 0.0;
    a->stats[j] = (float)mean;
    a->stats[a->c + j] = (float)(1.0 / sqrt(var + (double)a->eps));
    if (!a->running || a->n < 2) continue;
    var *= n / (n - 1);
    a->running[j] = (float)((1 - m) * (double)a->running[j] + m * mean);
    a->running_var[j] = (float)((1 - m) * (double)a->running_var[j] + m * var);
  }
}

/* ---- rows ---- */

/* Channels i .. i + n - 1 of row r; up: the row's of the other branch, where sum says so. */
PT_INLINE void few_channels(const struct pt_batchnorm *a, const enum pt_dtype type, int64_t r,
                            int64_t up, int i, const int n, const bool sum) {
  const int64_t at = r * a->c + i;
  const pt_v d = pt_vsub(pt_vget(a->y, type, at, n), pt_vload_n(a->stats + i, n));
  const pt_v xhat = pt_vmul(d, pt_vload_n(a->stats + a->c + i, n));
  pt_v v = pt_vgelu(pt_vfma(xhat, pt_vload_n(a->gamma + i, n), pt_vload_n(a->beta + i, n)));
  if (sum) v = pt_vadd(v, pt_vget(a->up, type, up * a->c + i, n));
  pt_vput(a->out, type, at, v, n);
}

PT_INLINE void one_row(const struct pt_batchnorm *a, const enum pt_dtype type, int64_t r,
                       const bool sum) {
  const int64_t up = sum ? a->cluster[r] : 0;
  int i = 0;
  for (; i + PT_VW <= a->c; i += PT_VW) few_channels(a, type, r, up, i, PT_VW, sum);
  if (i < a->c) few_channels(a, type, r, up, i, a->c - i, sum);
}

PT_INLINE void some_rows(const struct pt_batchnorm *a, const enum pt_dtype type, int64_t first,
                         int64_t end) {
  if (a->up)
    for (int64_t r = first; r < end; r++) one_row(a, type, r, true);
  else
    for (int64_t r = first; r < end; r++) one_row(a, type, r, false);
}

static void one_tile(const struct pt_batchnorm *a, int64_t first, int64_t end) {
  if (a->type == PT_BF16)
    some_rows(a, PT_BF16, first, end);
  else
    some_rows(a, PT_F32, first, end);
}

void PT_FN(pt_batchnorm)(const struct pt_batchnorm *a, const struct pt_exec *x) {
  const int64_t chunk = pt_chunk_rows(a->n), tile = pt_tile_rows(a->n, TILE_ROWS, x);
  if (a->n == 0) {
    memset(a->stats, 0, 2 * (size_t)a->c * sizeof *a->stats);
    return;
  }
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = 0; r < a->n; r += chunk)
    sum_chunk(a, r, a->n - r < chunk ? a->n : r + chunk, pt_chunk_sums(x, r / chunk, a->c));
  finish_stats(a, pt_chunk_total(x, a->n, a->c));
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = 0; r < a->n; r += tile) one_tile(a, r, a->n - r < tile ? a->n : r + tile);
}
