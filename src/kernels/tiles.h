/* tiles.h - products of blocks of 16 x 16 numbers, bf16 in and float out, for AMX and for
 * AVX-512 BF16:
 *
 *   C [16 mt, 16 nt] = start + A [16 mt, 2 pairs] B [2 pairs, 16 nt]
 *
 * A has its rows lda numbers apart. B is in pairs as mat.h packs PT_BF16: a panel of 16 columns
 * is [pairs, 16, 2], panels lie ldb numbers apart. mt and nt are 1 or 2; pairs is a multiple of
 * 16, or 8. Products of bf16 numbers are exact; numbers below 2^-126 count as 0.
 *
 * The sum of a number of C: AMX adds 16 pairs at a time, one chain of multiply-adds for the
 * even and one for the odd numbers from 0 on, then start + (even + odd); AVX-512 BF16 is one
 * chain from start on, each pair's odd number first. Neither depends on where in C it is.
 *
 * Included by *_cpu.c files only. Products come between pt_tiles_begin and pt_tiles_end, which
 * may be nested: an op that makes many small ones saves the time of setting up AMX for each.
 * The registers are given up at the end, as 8 KiB more for the system to save is not for
 * others. */
#ifndef PT_TILES_H
#define PT_TILES_H

#include <stdint.h>

#include "vec.h"

#if defined(__AVX512BF16__)
#define PT_TILES 1

/* Where a sum starts: at 0 (base NULL), or at numbers whose rows are ld apart (0: one row for
 * all of them). */
struct pt_start {
  const float *base;
  int64_t ld;
};

#if defined(PT_AMX)

/* Registers 0 to 3 hold C, 4 A, 6 B; 5 and 7 are A and B of 8 pairs. Written as text for the
 * assembler, because the compilers' own intrinsics do not say that a load reads memory. */
struct pt_tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t bytes[16]; /* of a row */
  uint8_t rows[16];
};

/* How deep the calling thread is in pairs of begin and end (tiles.c). */
extern _Thread_local int pt_tiles_depth __attribute__((tls_model("initial-exec")));

PT_INLINE void pt_tiles_begin(void) {
  if (pt_tiles_depth++) return;
  static const struct pt_tile_config config = {
      .palette = 1,
      .bytes = {64, 64, 64, 64, 64, 32, 64, 64},
      .rows = {16, 16, 16, 16, 16, 16, 16, 8},
  };
  __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory");
}
PT_INLINE void pt_tiles_end(void) {
  if (--pt_tiles_depth == 0) __asm__ volatile("tilerelease" ::: "memory");
}

#define PT_TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::: "memory")
#define PT_TILE_LOAD(t, p, stride)                                                  \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"((int64_t)(stride)) \
                   : "memor"                                                        \
                     "y")
#define PT_TILE_STORE(t, p, stride)                                                     \
  __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"((int64_t)(stride)) \
                   : "memory")
#define PT_TILE_DOT(c, a, b) \
  __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::: "memory")

#define PT_TILE_START(t, i, j)                                                \
  do {                                                                        \
    if (start.base)                                                           \
      PT_TILE_LOAD(t, start.base + (i)*16 * start.ld + (j)*16, start.ld * 4); \
    else                                                                      \
      PT_TILE_ZERO(t);                                                        \
  } while (0)
#define PT_TILE_GIVE(t, i, j) PT_TILE_STORE(t, c + (i)*16 * ldc + (j)*16, ldc * 4)

PT_INLINE void pt_tiles(float *c, int64_t ldc, struct pt_start start, const uint16_t *a,
                        int64_t lda, const uint16_t *b, int64_t ldb, const int mt, const int nt,
                        const int pairs) {
  const int64_t a1 = 16 * lda;
  PT_TILE_START(0, 0, 0);
  if (nt > 1) PT_TILE_START(1, 0, 1);
  if (mt > 1) PT_TILE_START(2, 1, 0);
  if (mt > 1 && nt > 1) PT_TILE_START(3, 1, 1);
  if (pairs == 8) {
    PT_TILE_LOAD(5, a, lda * 2);
    PT_TILE_LOAD(7, b, 64);
    PT_TILE_DOT(0, 5, 7);
    if (mt > 1) PT_TILE_LOAD(5, a + a1, lda * 2);
    if (mt > 1) PT_TILE_DOT(2, 5, 7);
    if (nt > 1) PT_TILE_LOAD(7, b + ldb, 64);
    if (mt > 1 && nt > 1) PT_TILE_DOT(3, 5, 7);
    if (mt > 1 && nt > 1) PT_TILE_LOAD(5, a, lda * 2);
    if (nt > 1) PT_TILE_DOT(1, 5, 7);
  } else {
    for (int k = 0; k < pairs; k += 16, a += 32, b += 512) {
      PT_TILE_LOAD(4, a, lda * 2);
      PT_TILE_LOAD(6, b, 64);
      PT_TILE_DOT(0, 4, 6);
      if (mt > 1) PT_TILE_LOAD(4, a + a1, lda * 2);
      if (mt > 1) PT_TILE_DOT(2, 4, 6);
      if (nt > 1) PT_TILE_LOAD(6, b + ldb, 64);
      if (mt > 1 && nt > 1) PT_TILE_DOT(3, 4, 6);
      if (mt > 1 && nt > 1) PT_TILE_LOAD(4, a, lda * 2);
      if (nt > 1) PT_TILE_DOT(1, 4, 6);
    }
  }
  /* In the order in which they are done. */
  PT_TILE_GIVE(0, 0, 0);
  if (mt > 1) PT_TILE_GIVE(2, 1, 0);
  if (mt > 1 && nt > 1) PT_TILE_GIVE(3, 1, 1);
  if (nt > 1) PT_TILE_GIVE(1, 0, 1);
}

#else

PT_INLINE void pt_tiles_begin(void) {}
PT_INLINE void pt_tiles_end(void) {}

/* So many rows of C, 16 accumulators in all. */
PT_INLINE void pt_tile_rows_(float *c, int64_t ldc, struct pt_start start, const uint16_t *a,
                             int64_t lda, const uint16_t *b, int64_t ldb, const int rows,
                             const int nt, const int pairs) {
  pt_v acc[16];
  PT_UNROLL for (int i = 0; i < 16; i++) acc[i] =
      start.base ? pt_vload(start.base + i / nt * start.ld + i % nt * 16) : pt_vset1(0.0f);
  for (int k = 0; k < pairs; k++) {
    __m512bh bv[2];
    PT_UNROLL for (int j = 0; j < nt; j++) bv[j] =
        (__m512bh)_mm512_loadu_si512(b + j * ldb + 32 * k);
    PT_UNROLL for (int i = 0; i < rows; i++) {
      int32_t pair;
      memcpy(&pair, a + i * lda + 2 * k, sizeof pair);
      const __m512bh av = (__m512bh)_mm512_set1_epi32(pair);
      PT_UNROLL for (int j = 0; j < nt; j++) acc[i * nt + j] =
          _mm512_dpbf16_ps(acc[i * nt + j], bv[j], av);
    }
  }
  PT_UNROLL for (int i = 0; i < 16; i++) pt_vstore(c + i / nt * ldc + i % nt * 16, acc[i]);
}

PT_INLINE void pt_tiles(float *c, int64_t ldc, struct pt_start start, const uint16_t *a,
                        int64_t lda, const uint16_t *b, int64_t ldb, const int mt, const int nt,
                        const int pairs) {
  const int rows = 16 / nt;
  for (int i = 0; i < 16 * mt; i += rows) {
    struct pt_start s = {start.base ? start.base + i * start.ld : NULL, start.ld};
    pt_tile_rows_(c + i * ldc, ldc, s, a + i * lda, lda, b, ldb, rows, nt, pairs);
  }
}

#endif
#endif
#endif
