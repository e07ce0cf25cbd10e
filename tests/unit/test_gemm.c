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

#include "feature.h"
#include "rows_cpu.h"

#define DECLARE(v)                                                               \
  void pt_gemm_##v(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst, \
                   enum pt_gemm_init, const float *);                            \
  void pt_gemm_part_##v(int64_t, struct pt_src, const struct pt_mat *, int, int, \
                        struct pt_dst, enum pt_gemm_init, const float *);
PT_ISAS(DECLARE)

typedef void gemm_fn(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst,
                     enum pt_gemm_init, const float *);
typedef void part_fn(int64_t, struct pt_src, const struct pt_mat *, int, int, struct pt_dst,
                     enum pt_gemm_init, const float *);

static const struct version {
  const char *name;
  gemm_fn *gemm;
  part_fn *part;
} versions[] = {
#define VERSION(v) {#v, pt_gemm_##v, pt_gemm_part_##v},
    PT_ISAS(VERSION)};

/* How a number of C is summed. */
enum chain { ROUNDED, FUSED, PAIRS, STEPS };

static enum chain chain_of(const struct version *v, enum pt_dtype b) {
  if (strcmp(v->name, "generic") == 0) return ROUNDED;
  if (b == PT_F32) return FUSED;
  return strcmp(v->name, "amx") == 0 ? STEPS : PAIRS;
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

/* Types of A and B. */
struct types {
  enum pt_dtype a, b;
};
static const struct types all_types[] = {
    {PT_F32, PT_F32}, {PT_BF16, PT_F32}, {PT_BF16, PT_BF16}};

/* Pairs of bf16 are added odd row first, then even row, each product exact and each sum
 * rounded: what VDPBF16PS is defined to do. TDPBF16PS takes 16 pairs, the odd rows' products in
 * one chain, the even rows' in another, and adds the sum of both. */
static float one_output(const float *a, const struct pt_mat *b, int j, float start,
                        enum chain chain) {
  float odd = 0.0f, even = 0.0f;
  for (int k = 0; k < b->k; k++) {
    const float x = pt_mat_at(b, k, j);
    int i = k % 2 ? k - 1 : k + 1 < b->k ? k + 1 : k;
    volatile float product = a[k] * x;
    if (chain == ROUNDED) start += product;
    if (chain == FUSED) start = fmaf(a[k], x, start);
    if (chain == PAIRS) start = fmaf(a[i], pt_mat_at(b, i, j), start);
    if (chain != STEPS) continue;
    if (k % 2)
      odd = fmaf(a[k], x, odd);
    else
      even = fmaf(a[k], x, even);
    if (k % 32 < 31 && k + 1 < b->k) continue;
    start += even + odd;
    even = odd = 0.0f;
  }
  return start;
}

/* A random matrix as numbers of a type, and as the floats they are. */
static void *some_as(enum pt_dtype type, int64_t n, float **floats) {
  float *f = *floats = some(n);
  void *p = some(n);
  for (int64_t i = 0; i < n; i++) {
    pt_put(p, type, i, f[i]);
    f[i] = pt_get(p, type, i);
  }
  return p;
}

enum { ROOM = 5 }; /* numbers between the rows of C, which must stay as they are */

struct shape {
  int m, k, n;
  enum pt_gemm_init init;
  bool lists;
};

/* In one call, or in two parts; those of pairs are cut between pairs, or between steps. */
static void multiply(const struct version *v, const struct shape *s, struct pt_src a,
                     const struct pt_mat *b, struct pt_dst c, const float *bias) {
  const int unit[] = {1, 1, 2, 32}, u = unit[chain_of(v, b->type)], cut = s->k / 3 / u * u;
  if (s->k <= 4 || s->m % 2 == 0) {
    v->gemm(s->m, a, b, c, s->init, bias);
    return;
  }
  v->part(s->m, a, b, 0, cut, c, s->init, bias);
  a.base = pt_at(a.base, a.type, cut);
  v->part(s->m, a, b, cut, s->k - cut, c, PT_GEMM_ADD, NULL);
}

static void check(const struct version *v, struct types t, struct shape s) {
  const int m = s.m, n = s.n, lda = s.k + 3, ldc = n + ROOM, rows = m + 4;
  const size_t bytes = ((size_t)rows * (size_t)ldc + 64) * sizeof(float);
  float *af, *w = some((int64_t)s.k * n), *bias = some(n), *c = some((int64_t)bytes / 4);
  void *a = some_as(t.a, (int64_t)rows * lda, &af);
  void *packed = some(pt_mat_size(s.k, n, t.b) / 4);
  float *before = some((int64_t)bytes / 4);
  int32_t *ai = malloc((size_t)(m + 1) * sizeof *ai);
  int32_t *ci = malloc((size_t)(m + 1) * sizeof *ci);
  for (int i = 0; i < m; i++) ai[i] = (i * 7 + 3) % rows;
  for (int i = 0; i < m; i++) ci[i] = rows - 1 - i;
  pt_mat_pack(packed, t.b, w, s.k, n, n, 1);
  memcpy(before, c, bytes);
  struct pt_mat b = {packed, s.k, n, t.b};
  multiply(v, &s, (struct pt_src){a, lda, s.lists ? ai : NULL, t.a}, &b,
           (struct pt_dst){c, ldc, s.lists ? ci : NULL}, bias);
  for (int i = 0; i < m; i++) {
    const float *ra = af + (s.lists ? ai[i] : i) * lda;
    float *rb = before + (s.lists ? ci[i] : i) * ldc;
    for (int j = 0; j < n; j++) {
      float start = s.init == PT_GEMM_ZERO ? 0.0f : s.init == PT_GEMM_BIAS ? bias[j] : rb[j];
      rb[j] = one_output(ra, &b, j, start, chain_of(v, t.b));
    }
  }
  if (memcmp(before, c, bytes))
    fail_msg(
        "%s: types %d %d m %d k %d n %d init %d lists %d: not the chain of multiply-adds, or "
        "other numbers touched",
        v->name, (int)t.a, (int)t.b, m, s.k, n, (int)s.init, s.lists);
  free(a), free(af), free(w), free(bias), free(packed), free(c), free(before), free(ai);
  free(ci);
}

static bool takes_pairs(const struct version *v) {
  return strcmp(v->name, "avx512bf16") == 0 || strcmp(v->name, "amx") == 0;
}

static void check_types(struct shape s) {
  for (int v = 0; v < pt_isa_count(); v++)
    for (int t = 0; t < 3; t++)
      if (all_types[t].b == PT_F32 || takes_pairs(&versions[v]))
        check(&versions[v], all_types[t], s);
}

static void test_chain(void **state) {
  (void)state;
  static const int ks[] = {0, 1, 6, 32, 200, 517},
                   ns[] = {1, 13, 16, 17, 32, 40, 48, 64, 96, 144};
  for (size_t k = 0; k < sizeof ks / sizeof *ks; k++)
    for (size_t n = 0; n < sizeof ns / sizeof *ns; n++)
      for (int m = 0; m<28; m += ks[k]> 100 ? 9 : 1)
        check_types((struct shape){m, ks[k], ns[n], (enum pt_gemm_init)((m + (int)k) % 3),
                                   (m + (int)n) % 2});
}

static void test_long_k(void **state) {
  (void)state;
  check_types((struct shape){13, 2100, 70, PT_GEMM_BIAS, true});
}

/* A part that begins within a pair of rows of B (the head's sources of odd width) rounds in
 * another order: the same but for that. */
static void half_pairs(const struct version *v) {
  enum { M = 9, K = 50, N = 18 };
  float *af, *w = some(K * N), *c = some(M * N);
  void *a = some_as(PT_BF16, M * K, &af), *packed = some(pt_mat_size(K, N, PT_BF16) / 4);
  pt_mat_pack(packed, PT_BF16, w, K, N, N, 1);
  struct pt_mat b = {packed, K, N, PT_BF16};
  for (int cut = 0; cut <= K; cut++) {
    v->part(M, pt_src(a, PT_BF16, K), &b, 0, cut, pt_dst(c, N), PT_GEMM_ZERO, NULL);
    v->part(M, pt_src(pt_at(a, PT_BF16, cut), PT_BF16, K), &b, cut, K - cut, pt_dst(c, N),
            PT_GEMM_ADD, NULL);
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++) {
        double want = 0;
        for (int k = 0; k < K; k++) want += (double)af[i * K + k] * (double)pt_mat_at(&b, k, j);
        if (!(fabs(want - (double)c[i * N + j]) < 1e-5))
          fail_msg("cut %d: %g, not %g", cut, (double)c[i * N + j], want);
      }
  }
  free(af), free(w), free(c), free(a), free(packed);
}

static void test_half_pairs(void **state) {
  (void)state;
  for (int v = 0; v < pt_isa_count(); v++)
    if (takes_pairs(&versions[v])) half_pairs(&versions[v]);
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
      cmocka_unit_test(test_half_pairs),
      cmocka_unit_test(test_exp2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
