/* test_batchnorm.c - BatchNorm in training: the backward reference against differences of the
 * forward one, and every version on rows that are hard to take statistics of: a mean far from
 * 0, numbers that are all equal, a single row, many chunks. */
#include "differences.h"

#include "batchnorm.h"
#include "batchnorm_grad.h"
#include "kernels.h"
#include "ops_made.h"

/* Runs an op of a table with two threads. */
#define RUN(k, op, args)                                                 \
  do {                                                                   \
    const int64_t stride_ = ((k)->op##_scratch(args, 0) + 63) / 64 * 64; \
    struct pt_exec x_ = {.threads = 2, .scratch_stride = stride_};       \
    x_.scratch = made_room(2 * stride_);                                 \
    (k)->op(args, &x_);                                                  \
    free(x_.scratch);                                                    \
  } while (0)

static const struct pt_kernels *ref(void) { return pt_kernel_table("ref"); }

/* ---- differences ---- */

enum { N = 23, C = 5 };

struct made {
  float y[N * C], gamma[C], beta[C], out[N * C], stats[2 * C], weigh[N * C];
};

static double weighed_sum(void *user) {
  struct made *m = user;
  struct pt_batchnorm a = {.n = N, .c = C, .type = PT_F32, .y = m->y, .out = m->out};
  double sum = 0;
  a.gamma = m->gamma, a.beta = m->beta, a.stats = m->stats, a.eps = 1e-3f;
  RUN(ref(), batchnorm, &a);
  for (int i = 0; i < N * C; i++) sum += (double)m->weigh[i] * (double)m->out[i];
  return sum;
}

static void fill(float *p, int n, float centre, float scale) {
  for (int i = 0; i < n; i++) p[i] = centre + scale * made_float();
}

static void test_differences(void **state) {
  (void)state;
  struct made m;
  float g[N * C], dgamma[C], dbeta[C];
  fill(m.y, N * C, 0.5f, 2.0f);
  fill(m.gamma, C, 0.0f, 1.5f);
  fill(m.beta, C, 0.0f, 0.8f);
  fill(m.weigh, N * C, 0.0f, 1.0f);
  weighed_sum(&m);
  memcpy(g, m.weigh, sizeof g);
  for (int j = 0; j < C; j++) dgamma[j] = 3.0f, dbeta[j] = -2.0f; /* added to */
  struct pt_batchnorm_grad a = {.n = N, .c = C, .type = PT_F32, .y = m.y, .stats = m.stats};
  float stats[2 * C];
  memcpy(stats, m.stats, sizeof stats);
  a.stats = stats, a.gamma = m.gamma, a.beta = m.beta;
  a.g = g, a.dgamma = dgamma, a.dbeta = dbeta;
  RUN(ref(), batchnorm_grad, &a);
  for (int j = 0; j < C; j++) dgamma[j] -= 3.0f, dbeta[j] += 2.0f;
  check_slopes("y", m.y, g, N * C, weighed_sum, &m, 0x1p-6f, 1e-4);
  check_slopes("gamma", m.gamma, dgamma, C, weighed_sum, &m, 0x1p-5f, 1e-4);
  check_slopes("beta", m.beta, dbeta, C, weighed_sum, &m, 0x1p-5f, 1e-4);
}

/* ---- statistics that are hard ---- */

struct columns {
  int64_t n;
  int c;
  enum pt_dtype type;
  void *y, *out;
  float *gamma, *beta, *stats, *mean, *var;
};

static struct columns columns(int64_t n, int c, enum pt_dtype type) {
  struct columns k = {.n = n, .c = c, .type = type};
  k.y = made_features(n * c, 0.0f, 1.0f, type);
  k.out = made_features(n * c, 0.0f, 1.0f, type);
  k.gamma = made_floats(c, 1.0f, 0.0f), k.beta = made_floats(c, 0.0f, 0.0f);
  k.stats = made_floats(2 * c, NAN, 0.0f);
  k.mean = made_floats(c, 0.0f, 0.0f), k.var = made_floats(c, 0.0f, 0.0f);
  return k;
}

static void run(struct columns *k, const struct pt_kernels *version) {
  struct pt_batchnorm a = {.n = k->n, .c = k->c, .type = k->type, .y = k->y, .out = k->out};
  for (int j = 0; j < k->c; j++) k->mean[j] = 0.0f, k->var[j] = 0.0f;
  a.gamma = k->gamma, a.beta = k->beta, a.stats = k->stats, a.eps = 1e-3f, a.momentum = 1.0f;
  a.running = k->mean, a.running_var = k->var;
  RUN(version, batchnorm, &a);
}

static void columns_free(struct columns *k) {
  free(k->y), free(k->out), free(k->gamma), free(k->beta), free(k->stats);
  free(k->mean), free(k->var);
}

#define EACH_VERSION(k)                                             \
  int count_;                                                       \
  const struct pt_kernels *const *all_ = pt_kernel_tables(&count_); \
  for (int v_ = 0; v_ < count_ && ((k) = all_[v_]); v_++)

/* Column j is 1e4 j + noise; 70000 rows are more than 64 x 256. Statistics in double. */
static void test_far_mean(void **state) {
  (void)state;
  const struct pt_kernels *k;
  struct columns a = columns(70000, 19, PT_F32);
  float *y = a.y;
  for (int64_t i = 0; i < a.n * a.c; i++) y[i] += 1e4f * (float)(i % a.c);
  double mean[19] = {0}, var[19] = {0};
  for (int64_t i = 0; i < a.n * a.c; i++) mean[i % a.c] += (double)y[i] / (double)a.n;
  for (int64_t i = 0; i < a.n * a.c; i++) {
    const double d = (double)y[i] - mean[i % a.c];
    var[i % a.c] += d * d / (double)a.n;
  }
  EACH_VERSION(k) {
    run(&a, k);
    for (int j = 0; j < a.c; j++) {
      if (!(fabs((double)a.stats[j] - mean[j]) <= 0x1p-24 * mean[j] + 1e-9))
        fail_msg("%s: mean %.9g, not %.9g", k->name, (double)a.stats[j], mean[j]);
      const double inv = 1 / sqrt(var[j] + (double)1e-3f);
      if (!(fabs((double)a.stats[a.c + j] / inv - 1) < 1e-7))
        fail_msg("%s: 1 / sigma %.9g, not %.9g", k->name, (double)a.stats[a.c + j], inv);
      const double unbiased = var[j] * (double)a.n / (double)(a.n - 1);
      if (a.mean[j] != a.stats[j] || !(fabs((double)a.var[j] / unbiased - 1) < 1e-7))
        fail_msg("%s: running %.9g, %.9g", k->name, (double)a.mean[j], (double)a.var[j]);
    }
  }
  columns_free(&a);
}

/* Equal numbers have variance 0, exactly; their outputs are gelu(beta). */
static void test_constant(void **state) {
  (void)state;
  const struct pt_kernels *k;
  for (int type = 0; type < 2; type++) {
    struct columns a = columns(300, 17, type ? PT_BF16 : PT_F32);
    for (int64_t i = 0; i < a.n * a.c; i++) pt_put(a.y, a.type, i, 0.1f + (float)(i % a.c));
    EACH_VERSION(k) {
      run(&a, k);
      for (int j = 0; j < a.c; j++) {
        assert_true(a.stats[j] == pt_get(a.y, a.type, j));
        assert_true(a.stats[a.c + j] == (float)(1 / sqrt((double)1e-3f)));
        assert_true(a.var[j] == 0.0f);
      }
      for (int64_t i = 0; i < a.n * a.c; i++) assert_true(pt_get(a.out, a.type, i) == 0.0f);
    }
    columns_free(&a);
  }
}

/* One row, and none: no division by 0, running statistics as they were. */
static void test_one_row(void **state) {
  (void)state;
  const struct pt_kernels *k;
  for (int n = 0; n < 2; n++) {
    struct columns a = columns(n, 17, PT_F32);
    EACH_VERSION(k) {
      run(&a, k);
      for (int j = 0; j < a.c; j++) {
        assert_true(isfinite(a.stats[j]) && isfinite(a.stats[a.c + j]));
        assert_true(a.mean[j] == 0.0f && a.var[j] == 0.0f);
      }
      for (int64_t i = 0; i < a.n * a.c; i++) assert_true(((float *)a.out)[i] == 0.0f);
    }
    columns_free(&a);
  }
}

/* A number that is none spoils its channel and no other. */
static void test_not_a_number(void **state) {
  (void)state;
  const struct pt_kernels *k;
  struct columns a = columns(300, 17, PT_F32);
  ((float *)a.y)[290 * 17 + 3] = NAN;
  EACH_VERSION(k) {
    run(&a, k);
    for (int64_t i = 0; i < a.n * a.c; i++)
      assert_true(isnan(((float *)a.out)[i]) == (i % 17 == 3));
  }
  columns_free(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_differences),  cmocka_unit_test(test_far_mean),
      cmocka_unit_test(test_constant),     cmocka_unit_test(test_one_row),
      cmocka_unit_test(test_not_a_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
