/* rows.c - see rows.h. Rows go in blocks that stay in the cache while each column takes its
 * numbers from them. */
#include "rows.h"

#include <string.h>

#include "size.h"

enum { BLOCK_BYTES = 1 << 16, GROUP_BYTES = 1 << 26 };

#define TAKE(type, turned)                                            \
  for (int64_t i = 0; i < n; i++, src += stride)                      \
    for (int w = 0; w < width; w++) {                                 \
      type v;                                                         \
      memcpy(&v, src + (size_t)w * sizeof v, sizeof v);               \
      v = (type)(turned);                                             \
      memcpy(dst + (size_t)(i * width + w) * sizeof v, &v, sizeof v); \
    }                                                                 \
  break

/* Numbers of one field of n rows; src is at the field in the first of them. */
static void take(uint8_t *dst, const uint8_t *src, int64_t n, int64_t stride, int bytes,
                 int width, bool swapped) {
  switch (swapped ? bytes + 16 : bytes) {
    case 1:
    case 17: TAKE(uint8_t, v);
    case 2: TAKE(uint16_t, v);
    case 4: TAKE(uint32_t, v);
    case 8: TAKE(uint64_t, v);
    case 18: TAKE(uint16_t, __builtin_bswap16(v));
    case 20: TAKE(uint32_t, __builtin_bswap32(v));
    case 24: TAKE(uint64_t, __builtin_bswap64(v));
    default: break;
  }
}

static void take_block(const uint8_t *src, int64_t first, int64_t n, int64_t stride,
                       const struct pt_field *field, int count, bool swapped) {
  for (int k = 0; k < count; k++) {
    const struct pt_field *f = &field[k];
    uint8_t *dst = (uint8_t *)f->data + first * f->width * f->bytes;
    take(dst, src + first * stride + f->offset, n, stride, f->bytes, f->width, swapped);
  }
}

void pt_rows_one(const uint8_t *row, int64_t i, const struct pt_field *field, int count,
                 bool swapped) {
  for (int k = 0; k < count; k++) {
    const struct pt_field *f = &field[k];
    take((uint8_t *)f->data + i * f->width * f->bytes, row + f->offset, 1, 0, f->bytes,
         f->width, swapped);
  }
}

int pt_rows_read(struct pt_env *env, const uint8_t *src, int64_t n, int64_t stride,
                 const struct pt_field *field, int count, bool swapped,
                 struct ptv3_error *err) {
  int64_t block = pt_max(BLOCK_BYTES / pt_max(stride, 1), 16);
  int64_t group = pt_max(GROUP_BYTES / (block * pt_max(stride, 1)), 1) * block;
  for (int64_t first = 0; first < n; first += group) {
    int status = n > group ? pt_progress(env, "reading points", first, n, err) : PTV3_OK;
    if (status) return status;
    int64_t last = pt_min(n, first + group);
#pragma omp parallel for schedule(dynamic) num_threads(env->threads) if (last - first > block)
    for (int64_t b = first; b < last; b += block)
      take_block(src, b, pt_min(block, last - b), stride, field, count, swapped);
  }
  return PTV3_OK;
}
