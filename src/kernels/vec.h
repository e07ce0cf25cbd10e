/* vec.h - the few vector operations the CPU kernels are written in, for the instruction set
 * the file is compiled for: a vector pt_v has PT_VW floats (16 with AVX-512, 8 with AVX2,
 * else 4 by the compiler's own vectors, where pt_vfma rounds twice).
 *
 * Lane by lane everything gives the same bits with AVX2 and AVX-512. So do sums
 * over lanes: they are defined on groups of 16, PT_GROUP vectors, folded as 8, 4, 2, 1. */
#ifndef PT_VEC_H
#define PT_VEC_H

#include <stdint.h>
#include <string.h>

#include "half.h"

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
/* bf16: loads widen, stores round to nearest even. */
PT_INLINE pt_v pt_vwide_(__m256i h) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
PT_INLINE __m256i pt_vnarrow_(pt_v v) {
#if defined(__AVX512BF16__)
  return (__m256i)_mm512_cvtneps_pbh(v); /* numbers below 2^-126 become 0 */
#else
  const __m512i u = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  r = _mm512_mask_or_epi32(r, nan, u, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
#endif
}
PT_INLINE pt_v pt_vload_bf16(const uint16_t *p) {
  return pt_vwide_(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
PT_INLINE void pt_vstore_bf16(uint16_t *p, pt_v v) {
  _mm256_storeu_si256((__m256i *)(void *)p, pt_vnarrow_(v));
}
PT_INLINE pt_v pt_vload_bf16_n(const uint16_t *p, int n) {
  return pt_vwide_(_mm256_maskz_loadu_epi16(pt_vmask_(n), p));
}
PT_INLINE void pt_vstore_bf16_n(uint16_t *p, pt_v v, int n) {
  _mm256_mask_storeu_epi16(p, pt_vmask_(n), pt_vnarrow_(v));
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
PT_INLINE pt_v pt_vscale(pt_v y, pt_v n) {
  __m256i shift = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), shift));
}
PT_INLINE __m256i pt_vmask_(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/* A masked load that misses the cache is several times as slow as a whole one. */
PT_INLINE pt_v pt_vload_n(const float *p, int n) {
  return n >= 8 ? pt_vload(p) : _mm256_maskload_ps(p, pt_vmask_(n));
}
PT_INLINE void pt_vstore_n(float *p, pt_v v, int n) {
  if (n >= 8)
    pt_vstore(p, v);
  else
    _mm256_maskstore_ps(p, pt_vmask_(n), v);
}
PT_INLINE pt_v pt_vload_bf16(const uint16_t *p) {
  const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)p);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
PT_INLINE void pt_vstore_bf16(uint16_t *p, pt_v v) {
  const __m256i u = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  __m256i r = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  r = _mm256_blendv_epi8(r, _mm256_or_si256(u, _mm256_set1_epi32(0x400000)), nan);
  r = _mm256_srli_epi32(r, 16);
  const __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
  _mm_storeu_si128((__m128i *)(void *)p, h);
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
PT_INLINE pt_v pt_vscale(pt_v y, pt_v n) {
  pt_vi_ whole = (pt_vi_)(n + pt_vset1(12582912.0f)); /* n in the low bits */
  return (pt_v)((pt_vi_)y + (whole << 23));
}
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
PT_INLINE pt_v pt_vload_bf16(const uint16_t *p) {
  return (pt_v){pt_bf16_float(p[0]), pt_bf16_float(p[1]), pt_bf16_float(p[2]),
                pt_bf16_float(p[3])};
}
PT_INLINE void pt_vstore_bf16(uint16_t *p, pt_v v) {
  for (int i = 0; i < 4; i++) p[i] = pt_float_bf16(v[i]);
}

#endif

#if PT_VW != 16
PT_INLINE pt_v pt_vload_bf16_n(const uint16_t *p, int n) {
  if (n >= PT_VW) return pt_vload_bf16(p);
  uint16_t t[PT_VW] = {0};
  for (int i = 0; i < n; i++) t[i] = p[i];
  return pt_vload_bf16(t);
}
PT_INLINE void pt_vstore_bf16_n(uint16_t *p, pt_v v, int n) {
  uint16_t t[PT_VW];
  if (n >= PT_VW) {
    pt_vstore_bf16(p, v);
    return;
  }
  pt_vstore_bf16(t, v);
  for (int i = 0; i < n; i++) p[i] = t[i];
}
#endif

#define PT_GROUP (16 / PT_VW)

/* The sum of a group's 16 lanes. */
PT_INLINE float pt_vsum(const pt_v g[PT_GROUP]) {
#if PT_VW == 4
  pt_v h = (g[0] + g[2]) + (g[1] + g[3]);
  h = h + (pt_v){h[2], h[3], h[2], h[3]};
  return h[0] + h[1];
#else
#if PT_VW == 16
  __m256 e = _mm256_add_ps(_mm512_castps512_ps256(g[0]), _mm512_extractf32x8_ps(g[0], 1));
#else
  __m256 e = _mm256_add_ps(g[0], g[1]);
#endif
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
#endif
}

/* 2^x for -126 <= x <= 127, relative error below 2e-7 (test_gemm); not a number where x is
 * not. A minimax fit of our own, relative error 2e-9 before rounding. */
PT_INLINE pt_v pt_vexp2_mid(pt_v x) {
  pt_v n = pt_vround(x), f = pt_vsub(x, n), f2 = pt_vmul(f, f);
  pt_v y01 = pt_vfma(pt_vset1(6.931472029e-1f), f, pt_vset1(1.0f));
  pt_v y23 = pt_vfma(pt_vset1(5.550332470e-2f), f, pt_vset1(2.402264791e-1f));
  pt_v y45 = pt_vfma(pt_vset1(1.339887484e-3f), f, pt_vset1(9.618437359e-3f));
  y45 = pt_vfma(pt_vset1(1.535336238e-4f), f2, y45);
  return pt_vscale(pt_vfma(pt_vfma(y45, f2, y23), f2, y01), n);
}

#endif
