/* pairs.h - rows of bf16 two by two, as products of pairs read them: the numbers of a column
 * side by side in 32 bits, the first row's in the lower 16. Included by *_cpu.c files only. */
#ifndef PT_PAIRS_H
#define PT_PAIRS_H

#include "gemm.h"
#include "vec.h"

#if defined(__AVX512BF16__)

enum { PT_PAIR_COLUMNS = 128 }; /* at most, of what pt_pair_row is read for */

/* Row r from number col on, or zeros: from row `end` on, and where its number is -1. */
PT_INLINE const uint16_t *pt_pair_row(const struct pt_src *s, int64_t r, int64_t end, int col) {
  static const uint16_t zeros[PT_PAIR_COLUMNS];
  const int64_t at = r >= end ? -1 : s->row ? s->row[r] : r;
  return at < 0 ? zeros : (const uint16_t *)s->base + at * s->ld + col;
}

/* Two rows, 16 numbers of each: [16, 2]. */
PT_INLINE __m512i pt_pair(const uint16_t *even, const uint16_t *odd, __mmask16 mask) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, even));
  const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, odd));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

#endif
#endif
