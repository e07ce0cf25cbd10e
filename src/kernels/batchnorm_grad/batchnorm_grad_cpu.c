/* batchnorm_grad_cpu.c - batchnorm_grad.h in two passes over the rows: sums of all chunks
 * (sums_cpu.h), then the rows of each tile. Both work out dh: to store it in between would cost
 * as much time in memory, and in bf16 its digits. */
#include "batchnorm_grad.h"

#include "isa.h"
#include "sums_cpu.h"

/* Rows a tile, and rows whose sums stay in registers. */
enum { TILE_ROWS = 192, SUM_ROWS = 16 };

int64_t PT_FN(pt_batchnorm_grad_scratch)(const struct pt_batchnorm_grad *a, int tile);
void PT_FN(pt_batchnorm_grad)(const struct pt_batchnorm_grad *a, const struct pt_exec *x);

/* The sums of all chunks, then the two means over the rows. */
int64_t PT_FN(pt_batchnorm_grad_scratch)(const struct pt_batchnorm_grad *a, int tile) {
  (void)tile;
  return pt_chunk_bytes(a->n, a->c) + 2 * pt_row_ld(a->c) * (int64_t)sizeof(float);
}

/* What a vector of channels from i on needs to know. */
struct channels {
  pt_v mean, inv, gamma, beta;
  int i, n;
};

PT_INLINE struct channels channels(const struct pt_batchnorm_grad *a, int i, const int n) {
  return (struct channels){pt_vload_n(a->stats + i, n),
                           pt_vload_n(a->stats + a->c + i, n),
                           pt_vload_n(a->gamma + i, n),
                           pt_vload_n(a->beta + i, n),
                           i,
                           n};
}

/* dh of row r; *xhat is set. */
PT_INLINE pt_v grad_of(const struct pt_batchnorm_grad *a, const enum pt_dtype type, int64_t r,
                       const struct channels *k, pt_v *xhat) {
  const int64_t at = r * a->c + k->i;
  *xhat = pt_vmul(pt_vsub(pt_vget(a->y, type, at, k->n), k->mean), k->inv);
  const pt_v h = pt_vfma(*xhat, k->gamma, k->beta);
  pt_v slope;
  pt_vgelu_grad(h, &slope);
  return pt_vmul(pt_vget(a->g, type, at, k->n), slope);
}

/* ---- sums ---- */

/* sum += dh, product += dh xhat for a vector of channels of a few rows. */
PT_INLINE void sum_few(const struct pt_batchnorm_grad *a, const enum pt_dtype type,
                       int64_t first, int64_t rows, int i, const int n, double *sum,
                       double *product) {
  const struct channels k = channels(a, i, n);
  pt_vd s0 = pt_vd_load(sum), s1 = pt_vd_load(sum + PT_VDW);
  pt_vd p0 = pt_vd_load(product), p1 = pt_vd_load(product + PT_VDW);
  for (int64_t r = first; r < first + rows; r++) {
    pt_v xhat;
    const pt_v dh = grad_of(a, type, r, &k, &xhat);
    const pt_vd low = pt_vd_low(dh), high = pt_vd_high(dh);
    s0 += low, s1 += high;
    p0 += low * pt_vd_low(xhat), p1 += high * pt_vd_high(xhat);
  }
  pt_vd_store(sum, s0), pt_vd_store(sum + PT_VDW, s1);
  pt_vd_store(product, p0), pt_vd_store(product + PT_VDW, p1);
}

PT_INLINE void sum_chunk_(const struct pt_batchnorm_grad *a, const enum pt_dtype type,
                          int64_t first, int64_t end, double *sum) {
  double *product = sum + pt_row_ld(a->c);
  for (int64_t r = first; r < end; r += SUM_ROWS) {
    const int64_t rows = end - r < SUM_ROWS ? end - r : SUM_ROWS;
    int i = 0;
    for (; i + PT_VW <= a->c; i += PT_VW)
      sum_few(a, type, r, rows, i, PT_VW, sum + i, product + i);
    if (i < a->c) sum_few(a, type, r, rows, i, a->c - i, sum + i, product + i);
  }
}

static void sum_chunk(const struct pt_batchnorm_grad *a, int64_t first, int64_t end,
                      double *sum) {
  memset(sum, 0, (size_t)(2 * pt_row_ld(a->c)) * sizeof *sum);
  if (a->type == PT_BF16)
    sum_chunk_(a, PT_BF16, first, end, sum);
  else
    sum_chunk_(a, PT_F32, first, end, sum);
}

/* dgamma, dbeta, and the means over the rows: sum and mean are [2, pt_row_ld]. */
static void finish_sums(const struct pt_batchnorm_grad *a, const double *sum, float *mean) {
  const int64_t ld = pt_row_ld(a->c);
  for (int j = 0; j < a->c; j++) {
    a->dbeta[j] = (float)((double)a->dbeta[j] + sum[j]);
    a->dgamma[j] = (float)((double)a->dgamma[j] + sum[ld + j]);
  }
  for (int64_t j = 0; j < 2 * ld; j++) mean[j] = (float)(sum[j] / (double)a->n);
}

/* ---- rows ---- */

/* g = gamma inv (dh - mean(dh) - xhat mean(dh xhat)) for channels i .. i + n - 1 of row r;
 * mean [2, pt_row_ld]. */
PT_INLINE void few_channels(const struct pt_batchnorm_grad *a, const enum pt_dtype type,
                            int64_t r, int i, const int n, const float *mean) {
  const struct channels k = channels(a, i, n);
  pt_v xhat;
  pt_v d = grad_of(a, type, r, &k, &xhat);
  d = pt_vsub(d, pt_vload(mean + i));
  d = pt_vsub(d, pt_vmul(xhat, pt_vload(mean + pt_row_ld(a->c) + i)));
  pt_vput(a->g, type, r * a->c + i, pt_vmul(pt_vmul(k.gamma, k.inv), d), n);
}

PT_INLINE void some_rows(const struct pt_batchnorm_grad *a, const enum pt_dtype type,
                         int64_t first, int64_t end, const float *mean) {
  for (int64_t r = first; r < end; r++) {
    int i = 0;
    for (; i + PT_VW <= a->c; i += PT_VW) few_channels(a, type, r, i, PT_VW, mean);
    if (i < a->c) few_channels(a, type, r, i, a->c - i, mean);
  }
}

static void one_tile(const struct pt_batchnorm_grad *a, int64_t first, int64_t end,
                     const float *mean) {
  if (a->type == PT_BF16)
    some_rows(a, PT_BF16, first, end, mean);
  else
    some_rows(a, PT_F32, first, end, mean);
}

void PT_FN(pt_batchnorm_grad)(const struct pt_batchnorm_grad *a, const struct pt_exec *x) {
  const int64_t chunk = pt_chunk_rows(a->n), tile = pt_tile_rows(a->n, TILE_ROWS, x);
  if (a->n == 0) return;
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = 0; r < a->n; r += chunk)
    sum_chunk(a, r, a->n - r < chunk ? a->n : r + chunk, pt_chunk_sums(x, r / chunk, a->c));
  float *mean = (float *)(void *)(x->scratch + pt_chunk_bytes(a->n, a->c));
  finish_sums(a, pt_chunk_total(x, a->n, a->c), mean);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = 0; r < a->n; r += tile)
    one_tile(a, r, a->n - r < tile ? a->n : r + tile, mean);
}
