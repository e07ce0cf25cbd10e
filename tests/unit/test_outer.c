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

#include "cpu.h"
#include "unit/ops_made.h"

#define DECLARE(v)                                                                      \
  void pt_outer_##v(int64_t, struct pt_src, struct pt_src, int, int, float *, int64_t); \
  void pt_column_sums_##v(int64_t, struct pt_src, int, float *);                        \
  void pt_column_dots_##v(int64_t, struct pt_src, struct pt_src, int, float *);         \
  void pt_gemm_##v(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst,        \
                   enum pt_gemm_init, const float *);
DECLARE(generic)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
DECLARE(avx512bf16)
#endif

static const struct version {
  const char *name;
  void (*outer)(int64_t, struct pt_src, struct pt_src, int, int, float *, int64_t);
  void (*sums)(int64_t, struct pt_src, int, float *);
  void (*dots)(int64_t, struct pt_src, struct pt_src, int, float *);
  void (*gemm)(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst, enum pt_gemm_init,
               const float *);
  bool fused; /* one rounding per multiply-add */
} versions[] = {
#define VERSION(v, fused) \
  {#v, pt_outer_##v, pt_column_sums_##v, pt_column_dots_##v, pt_gemm_##v, fused},
    VERSION(generic, false)
#if defined(__x86_64__)
        VERSION(avx2, true) VERSION(avx512, true) VERSION(avx512bf16, true)
#endif
};

static int version_count(void) {
  struct pt_cpu cpu = pt_cpu_detect();
  return 1 + cpu.avx2 + cpu.avx512 + cpu.bf16;
}

/* One side of the product: exactly its rows, not-a-number between them. */
static struct pt_src side(int rows, int width, int room, enum pt_dtype type, bool list,
                          int32_t *row) {
  const int64_t ld = width + room, last = rows ? (rows - 1) * ld + width : 0;
  void *p = malloc((size_t)(last * pt_feature_bytes(type) + 1));
  assert_non_null(p);
  for (int64_t i = 0; i < last; i++) pt_put(p, type, i, i % ld < width ? made_float() : NAN);
  for (int i = 0; i < rows; i++) row[i] = (i * 7 + 3) % rows;
  return (struct pt_src){p, ld, list ? row : NULL, type};
}

static float number(const struct pt_src *s, int64_t r, int j) {
  return pt_get(s->base, s->type, (s->row ? s->row[r] : r) * s->ld + j);
}

struct shape {
  int rows, m, n, room;
  enum pt_dtype a, b;
  bool lists;
};

/* Some of the rows, some of the columns: added up in any way. */
static void in_parts(const struct version *v, const struct shape *s, struct pt_src a,
                     struct pt_src b, float *c, int64_t ldc) {
  const int rows[] = {0, s->rows / 3, s->rows}, m[] = {0, s->m / 2, s->m};
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
        v->outer(rows[r + 1] - rows[r], pa, pb, m[i + 1] - m[i], n[j + 1] - n[j],
                 c + m[i] * ldc + n[j], ldc);
      }
}

static void check(const struct version *v, struct shape s) {
  int32_t *row = malloc((size_t)(s.rows + 1) * sizeof *row);
  struct pt_src a = side(s.rows, s.m, s.room, s.a, s.lists, row);
  struct pt_src b = side(s.rows, s.n, s.room, s.b, s.lists, row);
  const int64_t ldc = s.n + 3, size = s.m * ldc;
  const size_t bytes = (size_t)size * sizeof(float);
  float *c = made_floats(size, 0.0f, 1.0f), *want = made_room((int64_t)bytes);
  float *parts = made_room((int64_t)bytes);
  memcpy(want, c, bytes), memcpy(parts, c, bytes);
  for (int i = 0; i < s.m; i++)
    for (int j = 0; j < s.n; j++)
      for (int r = 0; r < s.rows; r++) {
        const float x = number(&a, r, i), y = number(&b, r, j), sum = want[i * ldc + j];
        volatile float product = x * y;
        want[i * ldc + j] = v->fused ? fmaf(x, y, sum) : sum + product;
      }
  v->outer(s.rows, a, b, s.m, s.n, c, ldc);
  in_parts(v, &s, a, b, parts, ldc);
  if (memcmp(want, c, bytes) || memcmp(want, parts, bytes))
    fail_msg(
        "%s: rows %d m %d n %d room %d types %d %d lists %d%s: not the chain of "
        "multiply-adds, or other numbers touched",
        v->name, s.rows, s.m, s.n, s.room, (int)s.a, (int)s.b, s.lists,
        memcmp(want, c, bytes) ? "" : " in parts");
  free((void *)(uintptr_t)a.base), free((void *)(uintptr_t)b.base);
  free(row), free(c), free(want), free(parts);
}

static void test_chain(void **state) {
  (void)state;
  static const int sizes[][2] = {{1, 1},   {13, 64},  {6, 33},  {32, 32}, {16, 17},  {49, 15},
                                 {97, 70}, {12, 128}, {25, 48}, {7, 300}, {50, 257}, {300, 9}};
  static const int rows[] = {0, 1, 3, 64, 129, 300};
  for (int v = 0; v < version_count(); v++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (int r = 0; r < 6; r++) {
        const int k = (int)i + r;
        check(&versions[v],
              (struct shape){rows[r], sizes[i][0], sizes[i][1], k % 4 ? k % 5 : 0,
                             k % 3 == 1 ? PT_BF16 : PT_F32, k % 3 ? PT_F32 : PT_BF16, k % 2});
      }
}

static void check_sums(const struct version *v, struct pt_src a, struct pt_src b, int rows,
                       int m) {
  float sum[132], dot[132], want[132], want_dot[132];
  for (int j = 0; j < 132; j++) sum[j] = dot[j] = want[j] = want_dot[j] = made_float();
  for (int j = 0; j < m; j++)
    for (int r = 0; r < rows; r++) {
      const float x = number(&a, r, j), y = number(&b, r, j);
      volatile float product = x * y;
      want[j] += x;
      want_dot[j] = v->fused ? fmaf(x, y, want_dot[j]) : want_dot[j] + product;
    }
  v->sums(rows, a, m, sum);
  v->dots(rows, a, b, m, dot);
  assert_memory_equal(want, sum, sizeof sum);
  assert_memory_equal(want_dot, dot, sizeof dot);
}

static void test_sums(void **state) {
  (void)state;
  static const int width[] = {1, 15, 16, 67, 131};
  for (int v = 0; v < version_count(); v++)
    for (int i = 0; i < 20; i++) {
      const int m = width[i % 5], rows = 37 * i % 150;
      int32_t row[150];
      struct pt_src a = side(rows, m, i % 3, i % 2 ? PT_BF16 : PT_F32, i % 4 > 1, row);
      struct pt_src b = side(rows, m, i % 2, i % 3 ? PT_BF16 : PT_F32, i % 4 > 1, row);
      check_sums(&versions[v], a, b, rows, m);
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

static void time_one(const struct version *v, int rows, int m, int n, enum pt_dtype type,
                     bool lists) {
  int32_t *row = malloc((size_t)rows * sizeof *row);
  struct pt_src a = side(rows, m, 0, type, lists, row), b = side(rows, n, 0, type, lists, row);
  float *c = made_floats((int64_t)m * n, 0.0f, 1.0f), *d = made_floats((int64_t)rows * n, 0, 1);
  void *packed;
  struct pt_mat w = made_mats(1, m, n, PT_F32, &packed);
  double best[2] = {1e9, 1e9};
  const int times = 1 + (int)(2e8 / (2.0 * rows * m * n));
  for (int i = 0; i < 7; i++) {
    double t0 = now();
    for (int k = 0; k < times; k++) v->outer(rows, a, b, m, n, c, n);
    double t1 = now();
    for (int k = 0; k < times; k++) v->gemm(rows, a, &w, pt_dst(d, n), PT_GEMM_ZERO, NULL);
    best[0] = fmin(best[0], (t1 - t0) / times);
    best[1] = fmin(best[1], (now() - t1) / times);
  }
  const double flop = 2e-9 * rows * m * n;
  printf("%-11s rows %4d m %4d n %4d %s%s  outer %6.1f GFLOP/s, gemm (m inputs) %6.1f\n",
         v->name, rows, m, n, type == PT_BF16 ? "bf16" : "fp32", lists ? " lists" : "",
         flop / best[0], flop / best[1]);
  free((void *)(uintptr_t)a.base), free((void *)(uintptr_t)b.base);
  free(row), free(c), free(d), free(packed);
}

static void bench(void) {
  static const int of[][3] = {{384, 32, 32},   {384, 128, 32},  {384, 32, 128},  {192, 64, 256},
                              {192, 256, 64},  {192, 64, 64},   {96, 128, 512},  {96, 512, 128},
                              {96, 1024, 256}, {192, 512, 512}, {96, 512, 2048}, {384, 13, 64},
                              {384, 32, 6}};
  for (int v = 0; v < version_count(); v++)
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
      cmocka_unit_test(test_sums),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
