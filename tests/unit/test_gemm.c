/* test_gemm.c - the matrix product is, bit by bit, the chain of multiply-adds it promises,
 * for every instruction set, size, view and initial value; and it touches nothing else. */
#include "gemm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu.h"
#include "rows_cpu.h"

#define DECLARE(v)                                                               \
  void pt_gemm_##v(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst, \
                   enum pt_gemm_init, const float *);                            \
  void pt_gemm_part_##v(int64_t, struct pt_src, const struct pt_mat *, int, int, \
                        struct pt_dst, enum pt_gemm_init, const float *);
DECLARE(generic)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#endif

typedef void gemm_fn(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst,
                     enum pt_gemm_init, const float *);
typedef void part_fn(int64_t, struct pt_src, const struct pt_mat *, int, int, struct pt_dst,
                     enum pt_gemm_init, const float *);

struct version {
  const char *name;
  gemm_fn *gemm;
  part_fn *part;
  bool fused; /* one rounding per multiply-add */
};

static const struct version versions[] = {
    {"generic", pt_gemm_generic, pt_gemm_part_generic, false},
#if defined(__x86_64__)
    {"avx2", pt_gemm_avx2, pt_gemm_part_avx2, true},
    {"avx512", pt_gemm_avx512, pt_gemm_part_avx512, true},
#endif
};

static int version_count(void) {
  struct pt_cpu cpu = pt_cpu_detect();
  return 1 + cpu.avx2 + cpu.avx512;
}

static uint64_t seed;
static float uniform(void) {
  uint64_t z = (seed += 0x9E3779B97F4A7C15u);
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (float)((double)(z >> 40) / 8388608.0 - 1.0);
}

static float *some(int64_t n) {
  float *p = aligned_alloc(64, (size_t)(n + 16) / 16 * 64);
  assert_non_null(p);
  for (int64_t i = 0; i < n; i++) p[i] = uniform();
  return p;
}

static float one_output(const float *a, const struct pt_mat *b, int j, float start,
                        bool fused) {
  for (int k = 0; k < b->k; k++) {
    volatile float product = a[k] * pt_mat_at(b, k, j);
    start = fused ? fmaf(a[k], pt_mat_at(b, k, j), start) : start + product;
  }
  return start;
}

enum { ROOM = 5 }; /* numbers between the rows of C, which must stay as they are */

static void check(const struct version *v, int m, int k, int n, enum pt_gemm_init init,
                  bool lists) {
  const int lda = k + 3, ldc = n + ROOM, rows = m + 4;
  float *a = some((int64_t)rows * lda), *w = some((int64_t)k * n), *bias = some(n);
  float *packed = some(pt_mat_size(k, n, PT_F32) / 4), *c = some((int64_t)rows * ldc + 64);
  float *before = some((int64_t)rows * ldc + 64);
  int32_t *ai = malloc((size_t)(m + 1) * sizeof *ai),
          *ci = malloc((size_t)(m + 1) * sizeof *ci);
  for (int i = 0; i < m; i++) ai[i] = (i * 7 + 3) % rows;
  for (int i = 0; i < m; i++) ci[i] = rows - 1 - i;
  pt_mat_pack(packed, PT_F32, w, k, n, n, 1);
  memcpy(before, c, ((size_t)rows * (size_t)ldc + 64) * sizeof *c);
  struct pt_mat b = {packed, k, n, PT_F32};
  struct pt_src src = {a, lda, lists ? ai : NULL, PT_F32};
  struct pt_dst dst = {c, ldc, lists ? ci : NULL};
  if (k > 4 && m % 2) {
    v->part(m, src, &b, 0, k / 3, dst, init, bias);
    src.base = a + k / 3;
    v->part(m, src, &b, k / 3, k - k / 3, dst, PT_GEMM_ADD, NULL);
  } else {
    v->gemm(m, src, &b, dst, init, bias);
  }
  for (int i = 0; i < m; i++) {
    const float *ra = a + (lists ? ai[i] : i) * lda;
    float *rc = c + (lists ? ci[i] : i) * ldc, *rb = before + (rc - c);
    for (int j = 0; j < n; j++) {
      float start = init == PT_GEMM_ZERO ? 0.0f : init == PT_GEMM_BIAS ? bias[j] : rb[j];
      rb[j] = one_output(ra, &b, j, start, v->fused);
    }
  }
  if (memcmp(before, c, ((size_t)rows * (size_t)ldc + 64) * sizeof *c))
    fail_msg(
        "%s: m %d k %d n %d init %d lists %d: not the chain of multiply-adds, or other "
        "numbers touched",
        v->name, m, k, n, (int)init, lists);
  free(a), free(w), free(bias), free(packed), free(c), free(before), free(ai), free(ci);
}

static void test_chain(void **state) {
  (void)state;
  static const int ks[] = {0, 1, 6, 32, 200, 517},
                   ns[] = {1, 13, 16, 17, 32, 40, 48, 64, 96, 144};
  for (int v = 0; v < version_count(); v++)
    for (size_t k = 0; k < sizeof ks / sizeof *ks; k++)
      for (size_t n = 0; n < sizeof ns / sizeof *ns; n++)
        for (int m = 0; m<28; m += ks[k]> 100 ? 9 : 1)
          check(&versions[v], m, ks[k], ns[n], (enum pt_gemm_init)((m + (int)k) % 3),
                (m + (int)n) % 2);
}

static void test_long_k(void **state) {
  (void)state;
  for (int v = 0; v < version_count(); v++)
    check(&versions[v], 13, 2100, 70, PT_GEMM_BIAS, true);
}

/* The generic 2^x, over the whole range of its argument. (Those of the other instruction sets
 * are within GELU, which test_kernels_ops measures.) */
static void test_exp2(void **state) {
  (void)state;
  double worst = 0.0;
  for (double x = -126.0; x < 127.0; x += 0.00137) {
    float in[PT_VW], out[PT_VW];
    for (int i = 0; i < PT_VW; i++) in[i] = (float)x;
    pt_vstore(out, pt_vexp2_mid(pt_vload(in)));
    worst = fmax(worst, fabs((double)out[0] / exp2((double)in[0]) - 1.0));
  }
  printf("2^x: largest relative error %.2e\n", worst);
  assert_true(worst < 2e-7);
  float bad[PT_VW] = {NAN};
  pt_vstore(bad, pt_vexp2_mid(pt_vload(bad)));
  assert_true(isnan(bad[0]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chain),
      cmocka_unit_test(test_long_k),
      cmocka_unit_test(test_exp2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
