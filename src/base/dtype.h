/* dtype.h - element types of tensors and columns. */
#ifndef PT_DTYPE_H
#define PT_DTYPE_H

#include <stdint.h>

/* X(NAME, bytes, safetensors name, numpy kind and size) */
#define PT_DTYPE_LIST(X) \
  X(F32, 4, "F32", "f4") \
  X(F64, 8, "F64", "f8") \
  X(F16, 2, "F16", "f2") \
  X(BF16, 2, "BF16", "") \
  X(I8, 1, "I8", "i1")   \
  X(U8, 1, "U8", "u1")   \
  X(I16, 2, "I16", "i2") \
  X(U16, 2, "U16", "u2") \
  X(I32, 4, "I32", "i4") \
  X(U32, 4, "U32", "u4") \
  X(I64, 8, "I64", "i8") \
  X(U64, 8, "U64", "u8") \
  X(BOOL, 1, "BOOL", "b1")

enum pt_dtype {
#define PT_DTYPE_ENUM(name, bytes, st, np) PT_##name,
  PT_DTYPE_LIST(PT_DTYPE_ENUM)
#undef PT_DTYPE_ENUM
      PT_DTYPE_COUNT
};

struct pt_dtype_info {
  int64_t bytes;
  const char *safetensors; /* "F32" */
  const char *numpy;       /* "f4"; "" where numpy has none */
};

const struct pt_dtype_info *pt_dtype(enum pt_dtype t);

/* Element i of an array of type t, as a double (64-bit integers round). */
double pt_load(const void *data, enum pt_dtype t, int64_t i);

/* count elements of type `from` at src into dst as type `to`; the arrays do not overlap.
 * Floats convert to integers by rounding to nearest and saturating, NaN to 0. */
void pt_convert(void *dst, enum pt_dtype to, const void *src, enum pt_dtype from,
                int64_t count);

#endif
