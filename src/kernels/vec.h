/* vec.h - the few vector operations the CPU kernels are written in, for the instruction set
 * the file is compiled for: a vector pt_v has PT_VW floats (16 with AVX-512, 8 with AVX2,
 * else 4 by the compiler's own vectors, where pt_vfma rounds twice).
 *
 * Lane by lane everything gives the same bits with AVX2 and AVX-512. So do the reductions:
 * they are defined on groups of 16 lanes, PT_GROUP vectors, folded as 8, 4, 2, 1. */
#ifndef PT_VEC_H
#define PT_VEC_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__clang__)
#define PT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PT_UNROLL _Pragma("GCC unroll 16")
#endif
#define PT_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)

#define PT_VW 16
typedef __m512 pt_v;
PT_INLINE pt_v pt_vload(const float *p) { return _mm512_loadu_ps(p); }
PT_INLINE void pt_vstore(float *p, pt_v v) { _mm512_storeu_ps(p, v); }
PT_INLINE pt_v pt_vset1(float x) { return _mm512_set1_ps(x); }
PT_INLINE pt_v pt_vfma(pt_v a, pt_v b, pt_v c) { return _mm512_fmadd_ps(a, b, c); }
PT_INLINE pt_v pt_vadd(pt_v a, pt_v b) { return _mm512_add_ps(a, b); }
PT_INLINE pt_v pt_vsub(pt_v a, pt_v b) { return _mm512_sub_ps(a, b); }
PT_INLINE pt_v pt_vmul(pt_v a, pt_v b) { return _mm512_mul_ps(a, b); }
/* b where a lane is not a number. */
PT_INLINE pt_v pt_vmax(pt_v a, pt_v b) { return _mm512_max_ps(a, b); }
PT_INLINE pt_v pt_vmin(pt_v a, pt_v b) { return _mm512_min_ps(a, b); }
PT_INLINE pt_v pt_vabs(pt_v a) { return _mm512_abs_ps(a); }
PT_INLINE pt_v pt_vround(pt_v a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* 2^n for whole n in -127 .. 128; 0 for -127, infinity for 128. */
PT_INLINE pt_v pt_vpow2n(pt_v n) {
  __m512i i = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_castsi512_ps(_mm512_slli_epi32(i, 23));
}
/* y 2^n for whole n, where that is an ordinary number. */
PT_INLINE pt_v pt_vscale(pt_v y, pt_v n) { return _mm512_scalef_ps(y, n); }
/* The first n lanes, 0 <= n; the others are 0 and not read, or not written. */
PT_INLINE __mmask16 pt_vmask_(int n) { return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1); }
PT_INLINE pt_v pt_vload_n(const float *p, int n) {
  return _mm512_maskz_loadu_ps(pt_vmask_(n), p);
}
PT_INLINE void pt_vstore_n(float *p, pt_v v, int n) {
  _mm512_mask_storeu_ps(p, pt_vmask_(n), v);
}

#elif defined(__AVX2__)

#define PT_VW 8
typedef __m256 pt_v;
PT_INLINE pt_v pt_vload(const float *p) { return _mm256_loadu_ps(p); }
PT_INLINE void pt_vstore(float *p, pt_v v) { _mm256_storeu_ps(p, v); }
PT_INLINE pt_v pt_vset1(float x) { return _mm256_set1_ps(x); }
PT_INLINE pt_v pt_vfma(pt_v a, pt_v b, pt_v c) { return _mm256_fmadd_ps(a, b, c); }
PT_INLINE pt_v pt_vadd(pt_v a, pt_v b) { return _mm256_add_ps(a, b); }
PT_INLINE pt_v pt_vsub(pt_v a, pt_v b) { return _mm256_sub_ps(a, b); }
PT_INLINE pt_v pt_vmul(pt_v a, pt_v b) { return _mm256_mul_ps(a, b); }
PT_INLINE pt_v pt_vmax(pt_v a, pt_v b) { return _mm256_max_ps(a, b); }
PT_INLINE pt_v pt_vmin(pt_v a, pt_v b) { return _mm256_min_ps(a, b); }
PT_INLINE pt_v pt_vabs(pt_v a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
PT_INLINE pt_v pt_vround(pt_v a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
PT_INLINE pt_v pt_vpow2n(pt_v n) {
  __m256i i = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(i, 23));
}
PT_INLINE pt_v pt_vscale(pt_v y, pt_v n) {
  __m256i shift = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), shift));
}
PT_INLINE __m256i pt_vmask_(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
PT_INLINE pt_v pt_vload_n(const float *p, int n) { return _mm256_maskload_ps(p, pt_vmask_(n)); }
PT_INLINE void pt_vstore_n(float *p, pt_v v, int n) {
  if (n >= 8)
    pt_vstore(p, v);
  else
    _mm256_maskstore_ps(p, pt_vmask_(n), v);
}

#else

#define PT_VW 4
typedef float pt_v __attribute__((vector_size(16)));
typedef int32_t pt_vi_ __attribute__((vector_size(16)));
PT_INLINE pt_v pt_vload(const float *p) {
  pt_v v;
  memcpy(&v, p, sizeof v);
  return v;
}
PT_INLINE void pt_vstore(float *p, pt_v v) { memcpy(p, &v, sizeof v); }
PT_INLINE pt_v pt_vset1(float x) { return (pt_v){x, x, x, x}; }
PT_INLINE pt_v pt_vfma(pt_v a, pt_v b, pt_v c) { return a * b + c; }
PT_INLINE pt_v pt_vadd(pt_v a, pt_v b) { return a + b; }
PT_INLINE pt_v pt_vsub(pt_v a, pt_v b) { return a - b; }
PT_INLINE pt_v pt_vmul(pt_v a, pt_v b) { return a * b; }
PT_INLINE pt_v pt_vselect_(pt_vi_ m, pt_v a, pt_v b) {
  return (pt_v)((m & (pt_vi_)a) | (~m & (pt_vi_)b));
}
PT_INLINE pt_v pt_vmax(pt_v a, pt_v b) { return pt_vselect_((pt_vi_)(a > b), a, b); }
PT_INLINE pt_v pt_vmin(pt_v a, pt_v b) { return pt_vselect_((pt_vi_)(a < b), a, b); }
PT_INLINE pt_v pt_vabs(pt_v a) {
  return (pt_v)((pt_vi_)a & (pt_vi_){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
}
/* To the nearest, ties to even, for |a| < 2^22: the addition drops the fraction. */
PT_INLINE pt_v pt_vround(pt_v a) {
  pt_v big = pt_vset1(12582912.0f);
  return (a + big) - big;
}
PT_INLINE pt_v pt_vpow2n(pt_v n) {
  pt_vi_ i = (pt_vi_)(n + pt_vset1(12582912.0f + 127.0f)); /* n + 127 in the low bits */
  return (pt_v)(i << 23);
}
PT_INLINE pt_v pt_vscale(pt_v y, pt_v n) { return y * pt_vpow2n(n); }
PT_INLINE pt_v pt_vload_n(const float *p, int n) {
  if (n >= 4) return pt_vload(p);
  float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = 0; i < n; i++) t[i] = p[i];
  return pt_vload(t);
}
PT_INLINE void pt_vstore_n(float *p, pt_v v, int n) {
  if (n >= 4) pt_vstore(p, v);
  for (int i = 0; n < 4 && i < n; i++) p[i] = v[i];
}

#endif

#define PT_GROUP (16 / PT_VW)

/* The sum, or the maximum, of a group's 16 lanes, always folded in the same way. */
#if PT_VW == 4
#define PT_VFOLD_(name, op)                          \
  PT_INLINE float name(const pt_v g[PT_GROUP]) {     \
    pt_v h = op(op(g[0], g[2]), op(g[1], g[3]));     \
    h = op(h, (pt_v){h[2], h[3], h[2], h[3]});       \
    return op(h, (pt_v){h[1], h[1], h[1], h[1]})[0]; \
  }
PT_VFOLD_(pt_vsum, pt_vadd)
PT_VFOLD_(pt_vtop, pt_vmax)
#else
#if PT_VW == 16
#define PT_VHALF_(g, op8) op8(_mm512_castps512_ps256((g)[0]), _mm512_extractf32x8_ps((g)[0], 1))
#else
#define PT_VHALF_(g, op8) op8((g)[0], (g)[1])
#endif
#define PT_VFOLD_(name, op)                                                           \
  PT_INLINE float name(const pt_v g[PT_GROUP]) {                                      \
    __m256 e = PT_VHALF_(g, _mm256_##op##_ps);                                        \
    __m128 q = _mm_##op##_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1)); \
    q = _mm_##op##_ps(q, _mm_movehl_ps(q, q));                                        \
    return _mm_cvtss_f32(_mm_##op##_ss(q, _mm_movehdup_ps(q)));                       \
  }
PT_VFOLD_(pt_vsum, add)
PT_VFOLD_(pt_vtop, max)
#endif

/* 2^x for -126 <= x <= 127, relative error below 2e-7; not a number where x is not. The
 * polynomials here are our own minimax fits (relative error 2e-9 before rounding). */
PT_INLINE pt_v pt_vexp2_mid(pt_v x) {
  pt_v n = pt_vround(x), f = pt_vsub(x, n), f2 = pt_vmul(f, f);
  pt_v y01 = pt_vfma(pt_vset1(6.931472029e-1f), f, pt_vset1(1.0f));
  pt_v y23 = pt_vfma(pt_vset1(5.550332470e-2f), f, pt_vset1(2.402264791e-1f));
  pt_v y45 = pt_vfma(pt_vset1(1.339887484e-3f), f, pt_vset1(9.618437359e-3f));
  y45 = pt_vfma(pt_vset1(1.535336238e-4f), f2, y45);
  return pt_vscale(pt_vfma(pt_vfma(y45, f2, y23), f2, y01), n);
}

/* e^x, relative error below 2e-7; 0 below -87.7, infinity from 88.4. The remainder
 * x - n ln 2 is taken in two steps (Cody and Waite), so the error does not grow with |x|. */
PT_INLINE pt_v pt_vexp(pt_v x) {
  x = pt_vmax(pt_vset1(-88.0296919f), pt_vmin(pt_vset1(88.7228391f), x));
  pt_v n = pt_vround(pt_vmul(x, pt_vset1(1.44269504f)));
  pt_v f = pt_vfma(n, pt_vset1(-0.693359375f), x);
  f = pt_vfma(n, pt_vset1(2.12194440e-4f), f);
  pt_v y = pt_vset1(1.384364456e-3f);
  y = pt_vfma(y, f, pt_vset1(8.374163640e-3f));
  y = pt_vfma(y, f, pt_vset1(4.166800258e-2f));
  y = pt_vfma(y, f, pt_vset1(1.666643117e-1f));
  y = pt_vfma(y, f, pt_vset1(4.999999421e-1f));
  y = pt_vfma(y, f, pt_vset1(1.000000032f));
  y = pt_vfma(y, f, pt_vset1(1.0f));
  return pt_vmul(y, pt_vpow2n(n));
}

#endif
