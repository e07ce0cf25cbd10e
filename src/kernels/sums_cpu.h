/* sums_cpu.h - sums over rows in double, channel by channel, for the CPU kernels of BatchNorm.
 * Included by *_cpu.c files only.
 *
 * Rows are cut into chunks whose size depends on their number alone. A chunk is summed row
 * after row by one thread, the chunks' sums are added in order: bits depend on neither
 * threads nor tiles, nor on the instruction set. The sums lie at the front of the scratch,
 * which is one piece: a part that suffices for all chunks is there for any number of threads.
 */
#ifndef PT_SUMS_CPU_H
#define PT_SUMS_CPU_H

#include "rows_cpu.h"

/* At most so many chunks, and no shorter ones: sums of 64 channels take 64 KiB. */
enum { PT_CHUNKS = 64, PT_CHUNK_LEAST = 256 };

PT_INLINE int64_t pt_chunk_rows(int64_t n) {
  const int64_t rows = (n + PT_CHUNKS - 1) / PT_CHUNKS;
  return rows < PT_CHUNK_LEAST ? PT_CHUNK_LEAST : rows;
}
PT_INLINE int64_t pt_chunk_count(int64_t n) {
  return (n + pt_chunk_rows(n) - 1) / pt_chunk_rows(n);
}

/* Bytes of two sums a channel for every chunk, and where those of one begin: [2, pt_row_ld]. */
PT_INLINE int64_t pt_chunk_bytes(int64_t n, int c) {
  return pt_chunk_count(n) * 2 * pt_row_ld(c) * (int64_t)sizeof(double);
}
PT_INLINE double *pt_chunk_sums(const struct pt_exec *x, int64_t chunk, int c) {
  return (double *)(void *)x->scratch + chunk * 2 * pt_row_ld(c);
}

/* The sums of all chunks, added to those of the first. */
PT_INLINE double *pt_chunk_total(const struct pt_exec *x, int64_t n, int c) {
  const int64_t count = pt_chunk_count(n), numbers = 2 * pt_row_ld(c);
  double *sum = pt_chunk_sums(x, 0, c);
  for (int64_t k = 1; k < count; k++) {
    const double *more = pt_chunk_sums(x, k, c);
    for (int64_t i = 0; i < numbers; i++) sum[i] += more[i];
  }
  return sum;
}

/* Half as many doubles as a vector has floats; +, - and * are the compiler's own. */
enum { PT_VDW = PT_VW / 2 };
#if PT_VW == 16
typedef __m512d pt_vd;
PT_INLINE pt_vd pt_vd_low(pt_v v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v)); }
PT_INLINE pt_vd pt_vd_high(pt_v v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)); }
#elif PT_VW == 8
typedef __m256d pt_vd;
PT_INLINE pt_vd pt_vd_low(pt_v v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
PT_INLINE pt_vd pt_vd_high(pt_v v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }
#else
typedef double pt_vd __attribute__((vector_size(16)));
PT_INLINE pt_vd pt_vd_low(pt_v v) { return (pt_vd){(double)v[0], (double)v[1]}; }
PT_INLINE pt_vd pt_vd_high(pt_v v) { return (pt_vd){(double)v[2], (double)v[3]}; }
#endif

PT_INLINE pt_vd pt_vd_load(const double *p) {
  pt_vd v;
  memcpy(&v, p, sizeof v);
  return v;
}
PT_INLINE void pt_vd_store(double *p, pt_vd v) { memcpy(p, &v, sizeof v); }

#endif
