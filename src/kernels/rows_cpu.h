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

/* Q(t) = erfc(t / sqrt 2) / 2 = 2^P(t) for 0 <= t <= 7. P is a minimax polynomial of our own,
 * summed in pairs (Estrin): a chain of multiply-adds one after the other would mostly wait. */
PT_INLINE pt_v pt_vtail_(pt_v t) {
  pt_v t2 = pt_vmul(t, t), t4 = pt_vmul(t2, t2);
  pt_v p01 = pt_vfma(pt_vset1(-1.151106358f), t, pt_vset1(-1.0f));
  pt_v p23 = pt_vfma(pt_vset1(-5.251227319e-2f), t, pt_vset1(-4.592006803e-1f));
  pt_v p45 = pt_vfma(pt_vset1(-1.227563480e-4f), t, pt_vset1(7.071216125e-3f));
  pt_v p67 = pt_vfma(pt_vset1(5.050022082e-5f), t, pt_vset1(-2.071854979e-4f));
  pt_v p89 = pt_vfma(pt_vset1(2.375715837e-7f), t, pt_vset1(-5.486984264e-6f));
  pt_v high = pt_vfma(p89, t4, pt_vfma(p67, t2, p45));
  return pt_vexp2_mid(pt_vfma(high, t4, pt_vfma(p23, t2, p01)));
}

/* gelu(x) = max(x, 0) - |x| Q(|x|); beyond 7, |x| Q(|x|) is taken at 7 (1e-11). The error is
 * below 1.2e-7 |x| against erf in double (measured over floats of all exponents by
 * test_kernels_ops). */
PT_INLINE pt_v pt_vgelu(pt_v x) {
  pt_v t = pt_vmin(pt_vset1(7.0f), pt_vabs(x));
  return pt_vsub(pt_vmax(pt_vset1(0.0f), x), pt_vmul(t, pt_vtail_(t)));
}

/* gelu(x), the same bits as above, and its derivative Phi(x) + x phi(x), phi the density of
 * the normal distribution: h = Q(|x|) - |x| phi(|x|) below 0, 1 - h above. The derivative's
 * error is below 2e-7 against double, over floats of all exponents (test_kernels_grad). */
PT_INLINE pt_v pt_vgelu_grad(pt_v x, pt_v *slope) {
  const pt_v one = pt_vset1(1.0f), half = pt_vset1(0.5f);
  pt_v t = pt_vmin(pt_vset1(7.0f), pt_vabs(x)), q = pt_vtail_(t);
  pt_v e = pt_vexp2_mid(pt_vmul(pt_vmul(t, t), pt_vset1(-0.7213475204f))); /* exp(-t^2/2) */
  pt_v h = pt_vsub(q, pt_vmul(pt_vmul(t, pt_vset1(0.3989422804f)), e));
  pt_v sign = pt_vmul(x, pt_vset1(0x1p126f)); /* within +-1 where h is 1/2 */
  sign = pt_vmax(pt_vset1(-1.0f), pt_vmin(one, sign));
  *slope = pt_vsub(pt_vfma(sign, half, half), pt_vmul(sign, h));
  return pt_vsub(pt_vmax(pt_vset1(0.0f), x), pt_vmul(t, q));
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

/* n lanes from number i on of a row of features; n may be more than a vector has. type is a
 * constant where these are called in loops. */
PT_INLINE pt_v pt_vget(const void *x, enum pt_dtype type, int64_t i, int n) {
  return type == PT_BF16 ? pt_vload_bf16_n((const uint16_t *)x + i, n)
                         : pt_vload_n((const float *)x + i, n);
}
PT_INLINE void pt_vput(void *x, enum pt_dtype type, int64_t i, pt_v v, int n) {
  if (type == PT_BF16)
    pt_vstore_bf16_n((uint16_t *)x + i, v, n);
  else
    pt_vstore_n((float *)x + i, v, n);
}

PT_INLINE void pt_copy_row_(void *y, const enum pt_dtype to, const void *x,
                            const enum pt_dtype from, int64_t c) {
  int64_t i = 0;
  for (; i + PT_VW <= c; i += PT_VW) pt_vput(y, to, i, pt_vget(x, from, i, PT_VW), PT_VW);
  if (i < c) pt_vput(y, to, i, pt_vget(x, from, i, (int)(c - i)), (int)(c - i));
}

/* dst = src, c numbers; src is stored as type. */
PT_INLINE void pt_widen_row(float *dst, const void *src, enum pt_dtype type, int64_t c) {
  if (type == PT_BF16)
    pt_copy_row_(dst, PT_F32, src, PT_BF16, c);
  else
    memcpy(dst, src, (size_t)c * sizeof *dst);
}

/* dst = src, c numbers; dst is stored as type. dst may begin where src does: a number is
 * written after those at and before its place were read. */
PT_INLINE void pt_narrow_row(void *dst, enum pt_dtype type, const float *src, int64_t c) {
  if (type == PT_BF16)
    pt_copy_row_(dst, PT_BF16, src, PT_F32, c);
  else if (dst != (const void *)src)
    memcpy(dst, src, (size_t)c * sizeof *src);
}

/* Row r of a tensor [rows, c] as float: where it lies, or widened into buf [c]. */
PT_INLINE const float *pt_float_row(const void *x, enum pt_dtype type, int64_t r, int c,
                                    float *buf) {
  const void *row = pt_at(x, type, r * c);
  if (type != PT_BF16) return row;
  pt_widen_row(buf, row, type, c);
  return buf;
}

PT_INLINE void pt_gelu_(void *y, const enum pt_dtype type, const float *x, int64_t n) {
  int64_t i = 0;
  for (; i + PT_VW <= n; i += PT_VW) pt_vput(y, type, i, pt_vgelu(pt_vload(x + i)), PT_VW);
  if (i < n) pt_vput(y, type, i, pt_vgelu(pt_vload_n(x + i, (int)(n - i))), (int)(n - i));
}

/* y = gelu(x), n numbers in a run: a row, or rows that lie side by side. y is stored as type
 * and may begin where x does. */
PT_INLINE void pt_gelu(void *y, enum pt_dtype type, const float *x, int64_t n) {
  if (type == PT_BF16)
    pt_gelu_(y, PT_BF16, x, n);
  else
    pt_gelu_(y, PT_F32, x, n);
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

PT_INLINE void pt_normalise_row_(void *y, const enum pt_dtype type, const float *x, int c,
                                 const float *gamma, const float *beta, struct pt_norm norm) {
  pt_v m = pt_vset1(norm.mean), inv = pt_vset1(norm.inv);
  int i = 0;
  for (; i + PT_VW <= c; i += PT_VW) {
    pt_v d = pt_vmul(pt_vsub(pt_vload(x + i), m), inv);
    pt_vput(y, type, i, pt_vfma(d, pt_vload(gamma + i), pt_vload(beta + i)), PT_VW);
  }
  if (i < c) {
    int n = c - i;
    pt_v d = pt_vmul(pt_vsub(pt_vload_n(x + i, n), m), inv);
    pt_vput(y, type, i, pt_vfma(d, pt_vload_n(gamma + i, n), pt_vload_n(beta + i, n)), n);
  }
}

/* y = (x - mean) * inv * gamma + beta over c channels, x float, y stored as type; y may be x.
 */
PT_INLINE void pt_normalise_row(void *y, enum pt_dtype type, const float *x, int c,
                                const float *gamma, const float *beta, struct pt_norm norm) {
  if (type == PT_BF16)
    pt_normalise_row_(y, PT_BF16, x, c, gamma, beta, norm);
  else
    pt_normalise_row_(y, PT_F32, x, c, gamma, beta, norm);
}

PT_INLINE void pt_layernorm_row(void *y, enum pt_dtype type, const float *x, int c,
                                const float *gamma, const float *beta) {
  pt_normalise_row(y, type, x, c, gamma, beta, pt_row_norm(x, c));
}

PT_INLINE void pt_sum_row_(void *y, const enum pt_dtype to, const void *a,
                           const enum pt_dtype from, const float *b, int c) {
  int i = 0;
  for (; i + PT_VW <= c; i += PT_VW)
    pt_vput(y, to, i, pt_vadd(pt_vget(a, from, i, PT_VW), pt_vload(b + i)), PT_VW);
  if (i < c)
    pt_vput(y, to, i, pt_vadd(pt_vget(a, from, i, c - i), pt_vload_n(b + i, c - i)), c - i);
}

/* y = a + b over c channels, a and y stored as type, b float; rounded once. y may be a. */
PT_INLINE void pt_sum_row(void *y, const void *a, enum pt_dtype type, const float *b, int c) {
  if (type == PT_BF16)
    pt_sum_row_(y, PT_BF16, a, PT_BF16, b, c);
  else
    pt_sum_row_(y, PT_F32, a, PT_F32, b, c);
}

/* y += x over c channels, x float, y stored as type and rounded once. */
PT_INLINE void pt_add_to_row(void *y, enum pt_dtype type, const float *x, int c) {
  if (type == PT_BF16)
    pt_sum_row_(y, PT_BF16, y, PT_BF16, x, c);
  else
    pt_sum_row_(y, PT_F32, y, PT_F32, x, c);
}

/* y += x over c channels, y float, x stored as type. */
PT_INLINE void pt_add_row(float *y, const void *x, enum pt_dtype type, int c) {
  if (type == PT_BF16)
    pt_sum_row_(y, PT_F32, x, PT_BF16, y, c);
  else
    pt_sum_row_(y, PT_F32, x, PT_F32, y, c);
}

/* ---- the backward pass ---- */

/* h = gelu(v), stored as type; slope = gelu'(v): n numbers in a run. h or slope may begin
 * where v does. */
PT_INLINE void pt_gelu_grad_(void *h, const enum pt_dtype type, float *slope, const float *v,
                             int64_t n) {
  pt_v d, y;
  int64_t i = 0;
  for (; i + PT_VW <= n; i += PT_VW) {
    y = pt_vgelu_grad(pt_vload(v + i), &d);
    pt_vstore(slope + i, d);
    pt_vput(h, type, i, y, PT_VW);
  }
  if (i == n) return;
  y = pt_vgelu_grad(pt_vload_n(v + i, (int)(n - i)), &d);
  pt_vstore_n(slope + i, d, (int)(n - i));
  pt_vput(h, type, i, y, (int)(n - i));
}
PT_INLINE void pt_gelu_grad(void *h, enum pt_dtype type, float *slope, const float *v,
                            int64_t n) {
  if (type == PT_BF16)
    pt_gelu_grad_(h, PT_BF16, slope, v, n);
  else
    pt_gelu_grad_(h, PT_F32, slope, v, n);
}

/* hat = (x - mean) * inv, c channels. pt_affine_row makes of it what pt_normalise_row makes
 * of x, bit by bit. hat may be x. */
PT_INLINE void pt_hat_row(float *hat, const float *x, int c, struct pt_norm norm) {
  const pt_v m = pt_vset1(norm.mean), inv = pt_vset1(norm.inv);
  for (int i = 0; i < c; i += PT_VW)
    pt_vstore_n(hat + i, pt_vmul(pt_vsub(pt_vload_n(x + i, c - i), m), inv), c - i);
}

/* y = hat * gamma + beta, y stored as type. */
PT_INLINE void pt_affine_row(void *y, enum pt_dtype type, const float *hat, int c,
                             const float *gamma, const float *beta) {
  const struct pt_norm as_it_is = {0.0f, 1.0f};
  pt_normalise_row(y, type, hat, c, gamma, beta, as_it_is);
}

/* LayerNorm's backward: with y = hat gamma + beta and dy its gradient,
 *   dx = inv (d - mean(d) - hat mean(d hat)),  d = dy gamma
 * over c channels. dx may be dy, or hat. (dgamma = sum of dy hat, dbeta = sum of dy over the
 * rows: pt_turn_dots, pt_turn_sums.) */
PT_INLINE void pt_layernorm_grad_row(float *dx, const float *dy, const float *hat, int c,
                                     const float *gamma, float inv) {
  pt_v sum[PT_GROUP], dot[PT_GROUP];
  for (int v = 0; v < PT_GROUP; v++) sum[v] = dot[v] = pt_vset1(0.0f);
  for (int i = 0; i < c; i += 16)
    for (int v = 0, j = i; v < PT_GROUP && j < c; v++, j += PT_VW) {
      const pt_v d = pt_vmul(pt_vload_n(dy + j, c - j), pt_vload_n(gamma + j, c - j));
      sum[v] = pt_vadd(sum[v], d);
      dot[v] = pt_vfma(d, pt_vload_n(hat + j, c - j), dot[v]);
    }
  const pt_v mean = pt_vset1(pt_vsum(sum) / (float)c),
             along = pt_vset1(pt_vsum(dot) / (float)c);
  for (int i = 0; i < c; i += PT_VW) {
    const int n = c - i;
    pt_v d = pt_vmul(pt_vload_n(dy + i, n), pt_vload_n(gamma + i, n));
    d = pt_vsub(pt_vsub(d, mean), pt_vmul(pt_vload_n(hat + i, n), along));
    pt_vstore_n(dx + i, pt_vmul(d, pt_vset1(inv)), n);
  }
}

#endif
