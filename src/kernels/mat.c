/* mat.c - see mat.h. All weights are packed after every step of training, so bf16 is made a
 * block of 16 columns and 32 rows at a time, in loops that the compiler can vectorise. */
#include "mat.h"

#include <stdbool.h>
#include <string.h>

#include "half.h"

enum { PAIRS = 16 };

static void pack_f32(float *dst, const float *src, int k, int n, int64_t si, int64_t sj) {
  if (sj == 1 && n % PT_PANEL == 0) {
    for (int i = 0; i < k; i++)
      for (int p = 0; p < n; p += PT_PANEL)
        memcpy(dst + ((int64_t)p * k + i * PT_PANEL), src + i * si + p, PT_PANEL * sizeof *dst);
    return;
  }
  for (int p = 0; p < n; p += PT_PANEL)
    for (int i = 0; i < k; i++)
      for (int j = p; j < p + PT_PANEL; j++) *dst++ = j < n ? src[i * si + j * sj] : 0.0f;
}

/* pt_float_bf16 without a branch, in the upper half. */
static inline uint32_t rounded(float f) {
  const uint32_t u = pt_float_bits(f), up = u + 0x7fff + (u >> 16 & 1);
  return (u & 0x7fffffff) > 0x7f800000 ? u | 0x400000 : up;
}

static inline uint32_t pair_of(float low, float high) {
  return rounded(low) >> 16 | (rounded(high) & 0xffff0000);
}

/* A whole block where a column's numbers follow one another. */
static void take_columns(uint32_t block[PAIRS][PT_PANEL], const float *src, int64_t sj) {
  for (int j = 0; j < PT_PANEL; j++) {
    uint32_t column[PAIRS];
    for (int i = 0; i < PAIRS; i++)
      column[i] = pair_of(src[j * sj + 2 * i], src[j * sj + 2 * i + 1]);
    for (int i = 0; i < PAIRS; i++) block[i][j] = column[i];
  }
}

/* The same where a row's do. */
static void take_rows(uint32_t block[PAIRS][PT_PANEL], const float *src, int64_t si) {
  for (int i = 0; i < PAIRS; i++) {
    const float *low = src + 2 * i * si, *high = low + si;
    for (int j = 0; j < PT_PANEL; j++) block[i][j] = pair_of(low[j], high[j]);
  }
}

/* Any strides, k rows and n columns of a block; zeros for the others. */
static void take_some(uint32_t block[PAIRS][PT_PANEL], const float *src, int k, int n,
                      int64_t si, int64_t sj) {
  for (int i = 0; i < PAIRS; i++)
    for (int j = 0; j < PT_PANEL; j++) {
      const float *at = src + 2 * i * si + j * sj;
      const float low = j < n && 2 * i < k ? at[0] : 0.0f;
      const float high = j < n && 2 * i + 1 < k ? at[si] : 0.0f;
      block[i][j] = pair_of(low, high);
    }
}

/* Rows i .. of panel p, at most a block. */
static void pack_block(uint16_t *dst, const float *src, int i, int p, int k, int n, int64_t si,
                       int64_t sj) {
  uint32_t block[PAIRS][PT_PANEL];
  const int rows = k - i < 2 * PAIRS ? k - i : 2 * PAIRS;
  const bool whole = rows == 2 * PAIRS && p + PT_PANEL <= n;
  src += i * si + p * sj;
  if (whole && si == 1)
    take_columns(block, src, sj);
  else if (whole && sj == 1)
    take_rows(block, src, si);
  else
    take_some(block, src, rows, n - p, si, sj);
  dst += p / PT_PANEL * (pt_mat_panel(k, PT_BF16) / 2) + i * PT_PANEL;
  memcpy(dst, block, (size_t)((rows + 1) / 2) * sizeof block[0]);
}

/* The source is read along its rows, or its columns. */
static void pack_bf16(uint16_t *dst, const float *src, int k, int n, int64_t si, int64_t sj) {
  if (si == 1)
    for (int p = 0; p < n; p += PT_PANEL)
      for (int i = 0; i < k; i += 2 * PAIRS) pack_block(dst, src, i, p, k, n, si, sj);
  else
    for (int i = 0; i < k; i += 2 * PAIRS)
      for (int p = 0; p < n; p += PT_PANEL) pack_block(dst, src, i, p, k, n, si, sj);
}

void pt_mat_pack(void *dst, enum pt_dtype type, const float *src, int k, int n, int64_t si,
                 int64_t sj) {
  if (type == PT_BF16)
    pack_bf16(dst, src, k, n, si, sj);
  else
    pack_f32(dst, src, k, n, si, sj);
}
