/* mat.c - see mat.h. */
#include "mat.h"

#include "half.h"

static void pack_f32(float *dst, const float *src, int k, int n, int64_t si, int64_t sj) {
  for (int p = 0; p < n; p += PT_PANEL)
    for (int i = 0; i < k; i++)
      for (int j = p; j < p + PT_PANEL; j++) *dst++ = j < n ? src[i * si + j * sj] : 0.0f;
}

static void pack_bf16(uint16_t *dst, const float *src, int k, int n, int64_t si, int64_t sj) {
  for (int p = 0; p < n; p += PT_PANEL)
    for (int i = 0; i < k; i += 2)
      for (int j = p; j < p + PT_PANEL; j++)
        for (int h = i; h < i + 2; h++)
          *dst++ = j < n && h < k ? pt_float_bf16(src[h * si + j * sj]) : 0;
}

void pt_mat_pack(void *dst, enum pt_dtype type, const float *src, int k, int n, int64_t si,
                 int64_t sj) {
  if (type == PT_BF16)
    pack_bf16(dst, src, k, n, si, sj);
  else
    pack_f32(dst, src, k, n, si, sj);
}
