/* net_rates.h - the most multiply-adds a second this machine's threads can do, which is what
 * the floors of bench_net are counted in; and clocks.
 *
 * Each thread runs independent chains of multiply-adds, as many as its registers hold, all
 * threads at the same time. Rates are by each thread's own CPU time, so that other programs on
 * the machine do not lower them; the median of several runs, because such a clock can jump. */
#ifndef BENCH_NET_RATES_H
#define BENCH_NET_RATES_H

#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static double clock_of(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* User and system seconds of all threads so far. */
static inline double cpu_seconds(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static int compare_doubles(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

enum { PEAK_LOOPS = 100000, PEAK_RUNS = 15 };

#define PEAK_BODY(type, set1, fma, lanes, chains)                                     \
  type a[chains], x = set1(0.999f), y = set1(1e-3f);                                  \
  for (int i = 0; i < chains; i++) a[i] = set1((float)i);                             \
  const double start = clock_of(CLOCK_THREAD_CPUTIME_ID);                             \
  for (int n = 0; n < PEAK_LOOPS; n++)                                                \
    _Pragma("GCC unroll 16") for (int i = 0; i < chains; i++) a[i] = fma(a[i], x, y); \
  const double took = clock_of(CLOCK_THREAD_CPUTIME_ID) - start;                      \
  float out[lanes];                                                                   \
  for (int i = 0; i < chains; i++) {                                                  \
    memcpy(out, &a[i], sizeof out);                                                   \
    *(volatile float *)sink = out[0];                                                 \
  }                                                                                   \
  return 2.0 * (chains) * (lanes)*PEAK_LOOPS / took

typedef float v4 __attribute__((vector_size(16)));
#define V4_SET1(f) ((v4){f, f, f, f})
#define V4_FMA(a, x, y) ((a) * (x) + (y))
static double peak_generic(float *sink) { PEAK_BODY(v4, V4_SET1, V4_FMA, 4, 13); }

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static double peak_avx2(float *sink) {
  PEAK_BODY(__m256, _mm256_set1_ps, _mm256_fmadd_ps, 8, 12);
}
__attribute__((target("avx512f"))) static double peak_avx512(float *sink) {
  PEAK_BODY(__m512, _mm512_set1_ps, _mm512_fmadd_ps, 16, 16);
}
/* Products of bf16 pairs: twice the multiply-adds an instruction. */
#define DOT_BF16(a, x, y) _mm512_dpbf16_ps(a, (__m512bh)(x), (__m512bh)(y))
__attribute__((target("avx512f,avx512bf16"))) static double peak_avx512bf16(float *sink) {
  PEAK_BODY(__m512, _mm512_set1_ps, DOT_BF16, 32, 16);
}

/* AMX: four blocks of 16 x 16 += 16 x 32 times 32 x 16, all of zeros. */
static double peak_amx(void) {
  static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } config = {
      .palette = 1, .bytes = {64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16}};
  __asm__ volatile(
      "ldtilecfg %0; tilezero %%tmm0; tilezero %%tmm1; tilezero %%tmm2; tilezero %%tmm3;"
      "tilezero %%tmm4; tilezero %%tmm5" ::"m"(config));
  const double start = clock_of(CLOCK_THREAD_CPUTIME_ID);
  for (int n = 0; n < PEAK_LOOPS; n++)
    __asm__ volatile(
        "tdpbf16ps %tmm5, %tmm4, %tmm0; tdpbf16ps %tmm5, %tmm4, %tmm1;"
        "tdpbf16ps %tmm5, %tmm4, %tmm2; tdpbf16ps %tmm5, %tmm4, %tmm3");
  const double took = clock_of(CLOCK_THREAD_CPUTIME_ID) - start;
  __asm__ volatile("tilerelease");
  return 4 * 2.0 * 16 * 16 * 32 * PEAK_LOOPS / took;
}
#endif

static double peak_once(const char *kernels, bool bf16) {
  float sink = 0;
#if defined(__x86_64__)
  const bool amx = !strcmp(kernels, "amx");
  if (bf16) return amx ? peak_amx() : peak_avx512bf16(&sink);
  if (amx || !strncmp(kernels, "avx512", 6)) return peak_avx512(&sink);
  if (!strcmp(kernels, "avx2")) return peak_avx2(&sink);
#endif
  (void)kernels, (void)bf16;
  return peak_generic(&sink);
}

/* FLOP/s of all threads together, with the vectors of these kernels, or with their products of
 * bf16 pairs. */
static inline double peak_rate(const char *kernels, bool bf16, int threads) {
  double runs[PEAK_RUNS];
  for (int r = 0; r < PEAK_RUNS; r++) {
    double sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    sum += peak_once(kernels, bf16);
    runs[r] = sum;
  }
  qsort(runs, PEAK_RUNS, sizeof *runs, compare_doubles);
  return runs[PEAK_RUNS / 2];
}

#endif
