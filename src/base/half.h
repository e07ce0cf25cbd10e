/* half.h - IEEE half and bfloat16 to and from float, rounding to nearest even; NaN stays
 * NaN. The formulas are the format definitions; fast versions live in the kernels. */
#ifndef PT_HALF_H
#define PT_HALF_H

#include <stdint.h>
#include <string.h>

static inline float pt_bits_float(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}
static inline uint32_t pt_float_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

static inline float pt_bf16_float(uint16_t h) { return pt_bits_float((uint32_t)h << 16); }
static inline uint16_t pt_float_bf16(float f) {
  uint32_t u = pt_float_bits(f);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40); /* a quiet NaN */
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float pt_half_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3ff;
  if (exp == 31) return pt_bits_float(sign | 0x7f800000 | man << 13);
  if (exp) return pt_bits_float(sign | (exp + 112) << 23 | man << 13);
  float f = (float)man * 0x1p-24f; /* zero and subnormals, exact */
  return sign ? -f : f;
}
static inline uint16_t pt_float_half(float f) {
  uint32_t u = pt_float_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to infinity */
  if (a < 0x38800000) { /* subnormal: let the float adder round at 2^-24 */
    float s = pt_bits_float(a) + 0.5f;
    return (uint16_t)(sign | (pt_float_bits(s) - 0x3f000000));
  }
  a += 0xfff + (a >> 13 & 1);
  return (uint16_t)(sign | (a - 0x38000000) >> 13);
}

#endif
