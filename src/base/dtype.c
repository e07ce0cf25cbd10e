/* dtype.c - see dtype.h. */
#include "dtype.h"

#include <math.h>
#include <string.h>

#include "half.h"

const struct pt_dtype_info *pt_dtype(enum pt_dtype t) {
  static const struct pt_dtype_info info[] = {
#define INFO(name, bytes, st, np) {bytes, st, np},
      PT_DTYPE_LIST(INFO)
#undef INFO
  };
  return &info[t];
}

/* 64-bit integers pass exactly between integer types; everything else goes by double. */
union any {
  double d;
  int64_t i;
  uint64_t u;
};
enum kind { KIND_D, KIND_I, KIND_U };

static enum kind kind_of(enum pt_dtype t) {
  switch (t) {
    case PT_I8:
    case PT_I16:
    case PT_I32:
    case PT_I64: return KIND_I;
    case PT_U8:
    case PT_U16:
    case PT_U32:
    case PT_U64:
    case PT_BOOL: return KIND_U;
    default: return KIND_D;
  }
}

#define GET(type, member)                                             \
  {                                                                   \
    type v;                                                           \
    memcpy(&v, (const char *)data + i * (int64_t)sizeof v, sizeof v); \
    a.member = v;                                                     \
    break;                                                            \
  }

static union any get(const void *data, enum pt_dtype t, int64_t i) {
  union any a = {0};
  uint16_t h;
  switch (t) {
    case PT_F32: GET(float, d)
    case PT_F64: GET(double, d)
    case PT_I8: GET(int8_t, i)
    case PT_I16: GET(int16_t, i)
    case PT_I32: GET(int32_t, i)
    case PT_I64: GET(int64_t, i)
    case PT_U8: GET(uint8_t, u)
    case PT_U16: GET(uint16_t, u)
    case PT_U32: GET(uint32_t, u)
    case PT_U64: GET(uint64_t, u)
    case PT_BOOL: a.u = ((const uint8_t *)data)[i] != 0; break;
    case PT_F16:
    case PT_BF16:
      memcpy(&h, (const char *)data + i * 2, 2);
      a.d = (double)(t == PT_F16 ? pt_half_float(h) : pt_bf16_float(h));
      break;
    default: break;
  }
  return a;
}

static double as_double(union any a, enum kind k) {
  return k == KIND_D ? a.d : k == KIND_I ? (double)a.i : (double)a.u;
}

double pt_load(const void *data, enum pt_dtype t, int64_t i) {
  return as_double(get(data, t, i), kind_of(t));
}

static int64_t as_i64(union any a, enum kind k) {
  if (k == KIND_I) return a.i;
  if (k == KIND_U) return a.u > INT64_MAX ? INT64_MAX : (int64_t)a.u;
  double r = rint(a.d);
  return !(r == r) ? 0 : r >= 0x1p63 ? INT64_MAX : r < -0x1p63 ? INT64_MIN : (int64_t)r;
}

static uint64_t as_u64(union any a, enum kind k) {
  if (k == KIND_U) return a.u;
  if (k == KIND_I) return a.i < 0 ? 0 : (uint64_t)a.i;
  double r = rint(a.d);
  return !(r > 0) ? 0 : r >= 0x1p64 ? UINT64_MAX : (uint64_t)r;
}

#define CLAMP(v, lo, hi) ((v) < (lo) ? (lo) : (v) > (hi) ? (hi) : (v))
#define ATMOST(v, hi) ((v) > (hi) ? (hi) : (v))
#define PUT(type, value)                                       \
  {                                                            \
    type v = (type)(value);                                    \
    memcpy((char *)dst + i * (int64_t)sizeof v, &v, sizeof v); \
    break;                                                     \
  }

static void put(void *dst, enum pt_dtype t, int64_t i, union any a, enum kind k) {
  switch (t) {
    case PT_F32: PUT(float, as_double(a, k))
    case PT_F64: PUT(double, as_double(a, k))
    case PT_F16: PUT(uint16_t, pt_float_half((float)as_double(a, k)))
    case PT_BF16: PUT(uint16_t, pt_float_bf16((float)as_double(a, k)))
    case PT_I8: PUT(int8_t, CLAMP(as_i64(a, k), INT8_MIN, INT8_MAX))
    case PT_I16: PUT(int16_t, CLAMP(as_i64(a, k), INT16_MIN, INT16_MAX))
    case PT_I32: PUT(int32_t, CLAMP(as_i64(a, k), INT32_MIN, INT32_MAX))
    case PT_I64: PUT(int64_t, as_i64(a, k))
    case PT_U8: PUT(uint8_t, ATMOST(as_u64(a, k), UINT8_MAX))
    case PT_U16: PUT(uint16_t, ATMOST(as_u64(a, k), UINT16_MAX))
    case PT_U32: PUT(uint32_t, ATMOST(as_u64(a, k), UINT32_MAX))
    case PT_U64: PUT(uint64_t, as_u64(a, k))
    case PT_BOOL: PUT(uint8_t, as_double(a, k) != 0)
    default: break;
  }
}

void pt_convert(void *dst, enum pt_dtype to, const void *src, enum pt_dtype from,
                int64_t count) {
  if (to == from) {
    memcpy(dst, src, (size_t)(count * pt_dtype(to)->bytes));
    return;
  }
  enum kind k = kind_of(from);
  for (int64_t i = 0; i < count; i++) put(dst, to, i, get(src, from, i), k);
}
