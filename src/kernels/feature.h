/* feature.h - numbers of feature tensors, which are stored as float or bf16.
 *
 * An op's struct names the type of its tensors once; tensors are void pointers, and an index
 * counts numbers. All arithmetic is wider than bf16; a result is rounded once, to nearest
 * even, where it is stored. */
#ifndef PT_FEATURE_H
#define PT_FEATURE_H

#include <stdint.h>

#include "dtype.h"
#include "half.h"

/* Bytes of a number: type is PT_F32 or PT_BF16. */
static inline int64_t pt_feature_bytes(enum pt_dtype type) { return type == PT_BF16 ? 2 : 4; }

/* Where number i of a tensor lies. */
static inline const void *pt_at(const void *x, enum pt_dtype type, int64_t i) {
  return (const char *)x + i * pt_feature_bytes(type);
}
static inline void *pt_at_mut(void *x, enum pt_dtype type, int64_t i) {
  return (char *)x + i * pt_feature_bytes(type);
}

static inline float pt_get(const void *x, enum pt_dtype type, int64_t i) {
  return type == PT_BF16 ? pt_bf16_float(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}
static inline void pt_put(void *x, enum pt_dtype type, int64_t i, float value) {
  if (type == PT_BF16)
    ((uint16_t *)x)[i] = pt_float_bf16(value);
  else
    ((float *)x)[i] = value;
}

#endif
