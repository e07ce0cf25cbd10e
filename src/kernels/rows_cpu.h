/* rows_cpu.h - LayerNorm and GELU on rows, for the CPU kernels of every instruction set, and
 * where a thread finds its scratch. Included by *_cpu.c files only. */
#ifndef PT_ROWS_CPU_H
#define PT_ROWS_CPU_H

#include <math.h>
#include <omp.h>

#include "feature.h"
#include "kernels.h"
#include "vec.h"

#define PT_LAYERNORM_EPS_F 1e-5f

/* The calling thread's part of the scratch. */
PT_INLINE char *pt_scratch(const struct pt_exec *x) {
  return x->scratch + omp_get_thread_num() * x->scratch_stride;
}

/* Bytes of n floats, rounded up so that the next array begins on a cache line. */
PT_INLINE int64_t pt_floats(int64_t n) { return (n * (int64_t)sizeof(float) + 63) / 64 * 64; }

/* Numbers of a row in the scratch: whole cache lines, so that no row shares one. */
PT_INLINE int64_t pt_row_ld(int c) { return ((int64_t)c + 15) / 16 * 16; }

/* Rows of scratch for tiles of `rows`: no more than there are. */
PT_INLINE int64_t pt_rows_at_most(int64_t n, int64_t rows) {
  return rows < n ? rows : n > 0 ? n : 1;
}

/* The size, at most `rows`, of equal parts of n rows. */
PT_INLINE int64_t pt_even(int64_t n, int64_t rows) {
  if (n <= rows) return n > 0 ? n : 1;
  const int64_t parts = (n + rows - 1) / rows;
  return (n + parts - 1) / parts;
}

/* Rows a tile: the one asked for, or wish; less where n rows would not busy all threads. */
PT_INLINE int64_t pt_tile_rows(int64_t n, int64_t wish, const struct pt_exec *x) {
  const int64_t share = (n + x->threads - 1) / x->threads;
  const int64_t rows = x->tile > 0 ? x->tile : wish;
  return rows < share ? rows : share > 0 ? share : 1;
}

/* Rows of blocks a turn of a convolution with tiles of `cap` rows: a few tiles, so that most
 * are full, but at least a few turns a thread. */
PT_INLINE int64_t pt_conv_run(int64_t n, int64_t cap, const struct pt_exec *x) {
  int64_t run = n / (8 * (int64_t)x->threads);
  if (run > 4 * cap) run = 4 * cap;
  if (run < cap) run = pt_even((n + x->threads - 1) / x->threads, cap);
  return run;
}

/* gelu(x) = max(x, 0) - |x| Q(|x|), Q(t) = erfc(t / sqrt 2) / 2 = 2^P(t). P is a minimax
 * polynomial of our own for [0, 7]; beyond, Q is taken at 7 (1e-12). The error is below
 * 1.2e-7 |x| against erf in double (measured over floats of all exponents by
 * test_kernels_ops). Polynomials are summed in pairs (Estrin): a chain of multiply-adds one
 * after the other would mostly wait. */
PT_INLINE pt_v pt_vgelu(pt_v x) {
  pt_v t = pt_vmin(pt_vset1(7.0f), pt_vabs(x)), t2 = pt_vmul(t, t), t4 = pt_vmul(t2, t2);
  pt_v p01 = pt_vfma(pt_vset1(-1.151106358f), t, pt_vset1(-1.0f));
  pt_v p23 = pt_vfma(pt_vset1(-5.251227319e-2f), t, pt_vset1(-4.592006803e-1f));
  pt_v p45 = pt_vfma(pt_vset1(-1.227563480e-4f), t, pt_vset1(7.071216125e-3f));
  pt_v p67 = pt_vfma(pt_vset1(5.050022082e-5f), t, pt_vset1(-2.071854979e-4f));
  pt_v p89 = pt_vfma(pt_vset1(2.375715837e-7f), t, pt_vset1(-5.486984264e-6f));
  pt_v high = pt_vfma(p89, t4, pt_vfma(p67, t2, p45));
  pt_v p = pt_vfma(high, t4, pt_vfma(p23, t2, p01));
  return pt_vsub(pt_vmax(pt_vset1(0.0f), x), pt_vmul(t, pt_vexp2_mid(p)));
}

/* x = gelu(x), n numbers in a run: a row, or rows that lie side by side. */
PT_INLINE void pt_gelu(float *x, int64_t n) {
  int64_t i = 0;
  for (; i + PT_VW <= n; i += PT_VW) pt_vstore(x + i, pt_vgelu(pt_vload(x + i)));
  if (i < n) pt_vstore_n(x + i, pt_vgelu(pt_vload_n(x + i, (int)(n - i))), (int)(n - i));
}

/* The same on rows of n numbers, ld apart. */
PT_INLINE void pt_gelu_rows(float *x, int64_t rows, int n, int64_t ld) {
  if (n == ld)
    pt_gelu(x, rows * n);
  else
    for (int64_t r = 0; r < rows; r++) pt_gelu(x + r * ld, n);
}

/* Sum of (x[i] - mean)^power over c channels, power 1 or 2, folded as vec.h says. */
PT_INLINE float pt_row_moment(const float *x, int c, float mean, int power) {
  pt_v sum[PT_GROUP], m = pt_vset1(mean);
  for (int v = 0; v < PT_GROUP; v++) sum[v] = pt_vset1(0.0f);
  int i = 0;
  for (; i + 16 <= c; i += 16)
    for (int v = 0; v < PT_GROUP; v++) {
      pt_v d = pt_vload(x + i + v * PT_VW);
      if (power == 2) d = pt_vsub(d, m);
      sum[v] = power == 2 ? pt_vfma(d, d, sum[v]) : pt_vadd(sum[v], d);
    }
  if (i < c) {
    float rest[16];
    for (int j = 0; j < 16; j++) rest[j] = i + j < c ? x[i + j] : (power == 2 ? mean : 0.0f);
    for (int v = 0; v < PT_GROUP; v++) {
      pt_v d = pt_vload(rest + v * PT_VW);
      if (power == 2) d = pt_vsub(d, m);
      sum[v] = power == 2 ? pt_vfma(d, d, sum[v]) : pt_vadd(sum[v], d);
    }
  }
  return pt_vsum(sum);
}

/* What LayerNorm needs to know of a row: mean and 1 / sqrt(variance + eps). */
struct pt_norm {
  float mean, inv;
};

PT_INLINE struct pt_norm pt_row_norm(const float *x, int c) {
  float mean = pt_row_moment(x, c, 0.0f, 1) / (float)c;
  float var = pt_row_moment(x, c, mean, 2) / (float)c;
  return (struct pt_norm){mean, 1.0f / sqrtf(var + PT_LAYERNORM_EPS_F)};
}

/* y = (x - mean) * inv * gamma + beta over c channels; y may be x. */
PT_INLINE void pt_normalise_row(float *y, const float *x, int c, const float *gamma,
                                const float *beta, struct pt_norm norm) {
  pt_v m = pt_vset1(norm.mean), inv = pt_vset1(norm.inv);
  int i = 0;
  for (; i + PT_VW <= c; i += PT_VW) {
    pt_v d = pt_vmul(pt_vsub(pt_vload(x + i), m), inv);
    pt_vstore(y + i, pt_vfma(d, pt_vload(gamma + i), pt_vload(beta + i)));
  }
  if (i < c) {
    int n = c - i;
    pt_v d = pt_vmul(pt_vsub(pt_vload_n(x + i, n), m), inv);
    pt_vstore_n(y + i, pt_vfma(d, pt_vload_n(gamma + i, n), pt_vload_n(beta + i, n)), n);
  }
}

PT_INLINE void pt_layernorm_row(float *y, const float *x, int c, const float *gamma,
                                const float *beta) {
  pt_normalise_row(y, x, c, gamma, beta, pt_row_norm(x, c));
}

/* y += x over c channels. */
PT_INLINE void pt_add_row(float *y, const float *x, int c) {
  int i = 0;
  for (; i + PT_VW <= c; i += PT_VW)
    pt_vstore(y + i, pt_vadd(pt_vload(y + i), pt_vload(x + i)));
  if (i < c)
    pt_vstore_n(y + i, pt_vadd(pt_vload_n(y + i, c - i), pt_vload_n(x + i, c - i)), c - i);
}

#endif
