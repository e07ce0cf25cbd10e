/* test_outer.c - C += A^T B is, bit by bit, the chain of multiply-adds it promises, for every
 * instruction set, size, view and type, in one call or in parts; and it touches nothing else.
 * With arguments it times the product: test_outer bench. */
#include "outer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "unit/ops_made.h"

#define DECLARE(v)                                                                            \
  void pt_outer_##v(int64_t, struct pt_src, struct pt_src, int, int, float *, int64_t);       \
  void pt_outer_pairs_##v(int64_t, struct pt_src, struct pt_src, int, int, float *, int64_t); \
  void pt_column_sums_##v(int64_t, struct pt_src, int, float *);                              \
  void pt_column_dots_##v(int64_t, struct pt_src, struct pt_src, int, float *);               \
  void pt_gemm_##v(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst,              \
                   enum pt_gemm_init, const float *);
PT_ISAS(DECLARE)
#if defined(__x86_64__)
void pt_transposed_amx(int64_t, struct pt_src, int, uint16_t *, int64_t);
void pt_outer_transposed_amx(int64_t, const uint16_t *, int64_t, struct pt_src, int, int,
                             float *, int64_t);
#endif

typedef void outer_fn(int64_t, struct pt_src, struct pt_src, int, int, float *, int64_t);

static const struct version {
  const char *name;
  outer_fn *outer, *pairs;
  void (*sums)(int64_t, struct pt_src, int, float *);
  void (*dots)(int64_t, struct pt_src, struct pt_src, int, float *);
  void (*gemm)(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst, enum pt_gemm_init,
               const float *);
} versions[] = {
#define VERSION(v) \
  {#v, pt_outer_##v, pt_outer_pairs_##v, pt_column_sums_##v, pt_column_dots_##v, pt_gemm_##v},
    PT_ISAS(VERSION)};

static bool fused(const struct version *v) { return strcmp(v->name, "generic") != 0; }

/* How a number of C is summed: see outer.h. */
enum chain { ROUNDED, FUSED, PAIRS, STEPS };

static enum chain chain_of(const struct version *v, bool pairs) {
  if (pairs && strcmp(v->name, "amx") == 0) return STEPS;
  if (pairs && strcmp(v->name, "avx512bf16") == 0) return PAIRS;
  return fused(v) ? FUSED : ROUNDED;
}

/* One side of the product: exactly its rows, not-a-number between them. gaps: some of the list
 * are -1. */
static struct pt_src side(int count, int width, int room, enum pt_dtype type, bool list,
                          bool gaps, int32_t *row) {
  const int64_t ld = width + room, last = count ? (count - 1) * ld + width : 0;
  void *p = malloc((size_t)(last * pt_feature_bytes(type) + 1));
  assert_non_null(p);
  for (int64_t i = 0; i < last; i++) pt_put(p, type, i, i % ld < width ? made_float() : NAN);
  for (int i = 0; i < count; i++) row[i] = gaps && i % 5 == 1 ? -1 : (i * 7 + 3) % count;
  return (struct pt_src){p, ld, list ? row : NULL, type};
}

static float number(const struct pt_src *s, int64_t r, int j) {
  const int64_t at = s->row ? s->row[r] : r;
  return at < 0 ? 0.0f : pt_get(s->base, s->type, at * s->ld + j);
}

struct shape {
  int rows, m, n, room;
  enum pt_dtype a, b;
  bool lists;
};

/* Number i, j of C from `start` on. */
static float one_output(const struct shape *s, const struct pt_src *a, const struct pt_src *b,
                        int i, int j, float start, enum chain chain) {
  float even = 0.0f, odd = 0.0f;
  for (int r = 0; r < s->rows; r++) {
    const float x = number(a, r, i), y = number(b, r, j);
    const int q = r % 2 ? r - 1 : r + 1 < s->rows ? r + 1 : r; /* the other of the pair */
    volatile float product = x * y;
    if (chain == ROUNDED) start += product;
    if (chain == FUSED) start = fmaf(x, y, start);
    if (chain == PAIRS) start = fmaf(number(a, q, i), number(b, q, j), start);
    if (chain != STEPS) continue;
    if (r % 2)
      odd = fmaf(x, y, odd);
    else
      even = fmaf(x, y, even);
    if (r % PT_OUTER_ROWS < PT_OUTER_ROWS - 1 && r + 1 < s->rows) continue;
    start += even + odd;
    even = odd = 0.0f;
  }
  return start;
}

/* Some of the rows, some of the columns: added up in any way. */
static void in_parts(outer_fn *outer, const struct shape *s, int unit, struct pt_src a,
                     struct pt_src b, float *c, int64_t ldc) {
  const int rows[] = {0, s->rows / 3 / unit * unit, s->rows}, m[] = {0, s->m / 2, s->m};
  const int n[] = {0, s->n / 3, s->n};
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      for (int r = 0; r < 2; r++) {
        struct pt_src pa = a, pb = b;
        if (s->lists)
          pa.row += rows[r], pb.row += rows[r];
        else
          pa.base = pt_at(a.base, a.type, rows[r] * a.ld),
          pb.base = pt_at(b.base, b.type, rows[r] * b.ld);
        pa.base = pt_at(pa.base, a.type, m[i]);
        pb.base = pt_at(pb.base, b.type, n[j]);
        outer(rows[r + 1] - rows[r], pa, pb, m[i + 1] - m[i], n[j + 1] - n[j],
              c + m[i] * ldc + n[j], ldc);
      }
}

static void check(const struct version *v, struct shape s, bool pairs) {
  int32_t *row = malloc((size_t)(s.rows + 1) * sizeof *row);
  const enum chain chain = chain_of(v, pairs && s.a == PT_BF16 && s.b == PT_BF16);
  const bool gaps = chain == PAIRS || chain == STEPS;
  struct pt_src a = side(s.rows, s.m, s.room, s.a, s.lists, gaps, row);
  struct pt_src b = side(s.rows, s.n, s.room, s.b, s.lists, gaps, row);
  outer_fn *outer = pairs ? v->pairs : v->outer;
  const int64_t ldc = s.n + 3, size = s.m * ldc;
  const size_t bytes = (size_t)size * sizeof(float);
  float *c = made_floats(size, 0.0f, 1.0f), *want = made_room((int64_t)bytes);
  float *parts = made_room((int64_t)bytes);
  memcpy(want, c, bytes), memcpy(parts, c, bytes);
  for (int i = 0; i < s.m; i++)
    for (int j = 0; j < s.n; j++)
      want[i * ldc + j] = one_output(&s, &a, &b, i, j, want[i * ldc + j], chain);
  outer(s.rows, a, b, s.m, s.n, c, ldc);
  in_parts(outer, &s, pairs ? PT_OUTER_ROWS : 1, a, b, parts, ldc);
  if (memcmp(want, c, bytes) || memcmp(want, parts, bytes))
    fail_msg(
        "%s: rows %d m %d n %d room %d types %d %d lists %d pairs %d%s: not the chain of "
        "multiply-adds, or other numbers touched",
        v->name, s.rows, s.m, s.n, s.room, (int)s.a, (int)s.b, s.lists, pairs,
        memcmp(want, c, bytes) ? "" : " in parts");
  free((void *)(uintptr_t)a.base), free((void *)(uintptr_t)b.base);
  free(row), free(c), free(want), free(parts);
}

static const int sizes[][2] = {{1, 1},   {13, 64},  {6, 33},  {32, 32}, {16, 17},  {49, 15},
                               {97, 70}, {12, 128}, {25, 48}, {7, 300}, {50, 257}, {300, 9}};
enum { SIZES = sizeof sizes / sizeof *sizes };
static const int rows[] = {0, 1, 3, 64, 129, 300};

static void test_chain(void **state) {
  (void)state;
  for (int v = 0; v < pt_isa_count(); v++)
    for (int i = 0; i < SIZES; i++)
      for (int r = 0; r < 6; r++) {
        const int k = i + r;
        check(&versions[v],
              (struct shape){rows[r], sizes[i][0], sizes[i][1], k % 4 ? k % 5 : 0,
                             k % 3 == 1 ? PT_BF16 : PT_F32, k % 3 ? PT_F32 : PT_BF16, k % 2},
              false);
      }
}

static void test_pairs(void **state) {
  (void)state;
  for (int v = 0; v < pt_isa_count(); v++)
    for (int i = 0; i < SIZES; i++)
      for (int r = 0; r < 6; r++)
        check(&versions[v],
              (struct shape){rows[r], sizes[i][0], sizes[i][1], (i + r) % 3, PT_BF16,
                             (i + r) % 5 ? PT_BF16 : PT_F32, (i + r) % 2},
              true);
}

#if defined(__x86_64__)
/* A given as its transpose; rows of B that are not there. */
static void check_transposed(int count, int m, int n) {
  const int64_t ld = (count + 31) / 32 * 32 + 32, ldc = n + 3;
  int32_t *row = malloc((size_t)(count + 1) * sizeof *row);
  struct pt_src a = side(count, m, 2, PT_BF16, false, false, row);
  struct pt_src b = side(count, n, 1, PT_BF16, true, false, row);
  for (int r = 0; r < count; r++)
    if (r % 3 == 1 || r > 70) row[r] = -1;
  uint16_t *at = made_room((m + 15) / 16 * 16 * ld * 2);
  float *c = made_floats(m * ldc, 0.0f, 1.0f), *want = made_room(m * ldc * 4);
  memcpy(want, c, (size_t)(m * ldc) * sizeof *c);
  const struct shape s = {.rows = count};
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++)
      want[i * ldc + j] = one_output(&s, &a, &b, i, j, want[i * ldc + j], STEPS);
  pt_transposed_amx(count, a, m, at, ld);
  pt_outer_transposed_amx(count, at, ld, b, m, n, c, ldc);
  if (memcmp(want, c, (size_t)(m * ldc) * sizeof *c))
    fail_msg("transposed: rows %d m %d n %d: not the chain, or other numbers touched", count, m,
             n);
  free((void *)(uintptr_t)a.base), free((void *)(uintptr_t)b.base);
  free(row), free(at), free(c), free(want);
}

static void test_transposed(void **state) {
  (void)state;
  if (strcmp(versions[pt_isa_count() - 1].name, "amx")) skip();
  for (int i = 0; i < SIZES; i++)
    for (int r = 0; r < 6; r++) check_transposed(rows[r], sizes[i][0], sizes[i][1]);
}
#endif

static void check_sums(const struct version *v, struct pt_src a, struct pt_src b, int count,
                       int m) {
  float sum[132], dot[132], want[132], want_dot[132];
  for (int j = 0; j < 132; j++) sum[j] = dot[j] = want[j] = want_dot[j] = made_float();
  for (int j = 0; j < m; j++)
    for (int r = 0; r < count; r++) {
      const float x = number(&a, r, j), y = number(&b, r, j);
      volatile float product = x * y;
      want[j] += x;
      want_dot[j] = fused(v) ? fmaf(x, y, want_dot[j]) : want_dot[j] + product;
    }
  v->sums(count, a, m, sum);
  v->dots(count, a, b, m, dot);
  assert_memory_equal(want, sum, sizeof sum);
  assert_memory_equal(want_dot, dot, sizeof dot);
}

static void test_sums(void **state) {
  (void)state;
  static const int width[] = {1, 15, 16, 67, 131};
  for (int v = 0; v < pt_isa_count(); v++)
    for (int i = 0; i < 20; i++) {
      const int m = width[i % 5], count = 37 * i % 150;
      int32_t row[150];
      struct pt_src a = side(count, m, i % 3, i % 2 ? PT_BF16 : PT_F32, i % 4 > 1, false, row);
      struct pt_src b = side(count, m, i % 2, i % 3 ? PT_BF16 : PT_F32, i % 4 > 1, false, row);
      check_sums(&versions[v], a, b, count, m);
      free((void *)(uintptr_t)b.base);
      free((void *)(uintptr_t)a.base);
    }
}

/* ---- timing ---- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void time_one(const struct version *v, int count, int m, int n, enum pt_dtype type,
                     bool lists) {
  int32_t *row = malloc((size_t)count * sizeof *row);
  struct pt_src a = side(count, m, 0, type, lists, false, row),
                b = side(count, n, 0, type, lists, false, row);
  float *c = made_floats((int64_t)m * n, 0.0f, 1.0f),
        *d = made_floats((int64_t)count * n, 0, 1);
  void *packed;
  struct pt_mat w = made_mats(1, m, n, PT_F32, &packed);
  double best[2] = {1e9, 1e9};
  const int times = 1 + (int)(2e8 / (2.0 * count * m * n));
  for (int i = 0; i < 7; i++) {
    double t0 = now();
    for (int k = 0; k < times; k++) v->pairs(count, a, b, m, n, c, n);
    double t1 = now();
    for (int k = 0; k < times; k++) v->gemm(count, a, &w, pt_dst(d, n), PT_GEMM_ZERO, NULL);
    best[0] = fmin(best[0], (t1 - t0) / times);
    best[1] = fmin(best[1], (now() - t1) / times);
  }
  const double flop = 2e-9 * count * m * n;
  printf("%-11s rows %4d m %4d n %4d %s%s  outer %6.1f GFLOP/s, gemm (m inputs) %6.1f\n",
         v->name, count, m, n, type == PT_BF16 ? "bf16" : "fp32", lists ? " lists" : "",
         flop / best[0], flop / best[1]);
  free((void *)(uintptr_t)a.base), free((void *)(uintptr_t)b.base);
  free(row), free(c), free(d), free(packed);
}

static void bench(void) {
  static const int of[][3] = {{384, 32, 32},   {384, 128, 32},  {384, 32, 128},  {192, 64, 256},
                              {192, 256, 64},  {192, 64, 64},   {96, 128, 512},  {96, 512, 128},
                              {96, 1024, 256}, {192, 512, 512}, {96, 512, 2048}, {384, 13, 64},
                              {384, 32, 6}};
  for (int v = 0; v < pt_isa_count(); v++)
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
      time_one(&versions[v], of[i][0], of[i][1], of[i][2], PT_F32, false);
      if (i % 4 == 1) time_one(&versions[v], of[i][0], of[i][1], of[i][2], PT_BF16, false);
      if (i % 4 == 1) time_one(&versions[v], of[i][0], of[i][1], of[i][2], PT_F32, true);
    }
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) return bench(), 0;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_chain),
    cmocka_unit_test(test_pairs),
#if defined(__x86_64__)
    cmocka_unit_test(test_transposed),
#endif
    cmocka_unit_test(test_sums),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
