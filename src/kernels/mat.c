/* mat.c - see mat.h. */
#include "mat.h"

void pt_mat_pack(float *dst, const float *src, int k, int n, int64_t si, int64_t sj) {
  for (int p = 0; p < n; p += PT_PANEL)
    for (int i = 0; i < k; i++)
      for (int j = p; j < p + PT_PANEL; j++) *dst++ = j < n ? src[i * si + j * sj] : 0.0f;
}
