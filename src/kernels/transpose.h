/* transpose.h - 16 rows of 16 numbers of 32 bits become 16 columns. For AVX-512; included by
 * *_cpu.c files only. */
#ifndef PT_TRANSPOSE_H
#define PT_TRANSPOSE_H

#include "vec.h"

#if PT_VW == 16
/* In each of four steps rows i and i + s swap the halves of their runs of 2 s lanes. With
 * n = 8 rows, the same for each half of the lanes. */
PT_INLINE void pt_transpose(pt_v *r, const int n) {
  typedef int32_t lanes __attribute__((vector_size(64)));
  const lanes lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  PT_UNROLL for (int s = 1; s < n; s *= 2) {
    const lanes low = lane + (((lane & s) != 0) & (16 - s)), high = low + s;
    PT_UNROLL for (int i = 0; i < n; i++) {
      if (i & s) continue;
      pt_v a = r[i], b = r[i + s];
      r[i] = _mm512_permutex2var_ps(a, (__m512i)low, b);
      r[i + s] = _mm512_permutex2var_ps(a, (__m512i)high, b);
    }
  }
}
#endif

#endif
