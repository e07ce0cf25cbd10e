/* test_pool_grad.c - the backward references of pooling and of rows read through a cluster map
 * against differences of the forward ones. */
#include "differences.h"

#include "kernels.h"
#include "ops_made.h"
#include "pool.h"
#include "pool_grad.h"
#include "unpool.h"
#include "up_grad.h"

enum { CELLS = 6, ROWS = 17, IN = 5, C = 7 };
static const int32_t start[CELLS + 1] = {0, 1, 4, 9, 10, 15, ROWS};
static const int32_t place[CELLS] = {2, 0, 5, 1, 4, 3};

struct numbers {
  float x[ROWS * IN], w[C * IN], bias[C];
};

struct made {
  struct numbers v;
  float out[CELLS * C], weigh[CELLS * C];
  struct pt_mat mat, mat_t;
};

#define RUN(op, args)                                                   \
  do {                                                                  \
    const struct pt_kernels *k_ = pt_kernel_table("ref");               \
    const int64_t stride_ = (k_->op##_scratch(args, 0) + 63) / 64 * 64; \
    struct pt_exec x_ = {.threads = 1, .scratch_stride = stride_};      \
    x_.scratch = made_room(stride_);                                    \
    k_->op(args, &x_);                                                  \
    free(x_.scratch);                                                   \
  } while (0)

static void fill(float *p, int n, float scale) {
  for (int i = 0; i < n; i++) p[i] = scale * made_float();
}

static void pack(struct made *m) {
  pt_mat_pack((void *)(uintptr_t)m->mat.data, PT_F32, m->v.w, IN, C, 1, IN);
  pt_mat_pack((void *)(uintptr_t)m->mat_t.data, PT_F32, m->v.w, C, IN, IN, 1);
}

static double weighed_maxima(void *user) {
  struct made *m = user;
  struct pt_pool a = {.n = ROWS, .m = CELLS, .in = IN, .c = C, .raw = true, .x = m->v.x};
  double sum = 0;
  pack(m);
  a.start = start, a.row = place, a.out = m->out, a.w = m->mat, a.bias = m->v.bias;
  RUN(pool, &a);
  for (int i = 0; i < CELLS * C; i++) sum += (double)m->weigh[i] * (double)m->out[i];
  return sum;
}

static void gradient(struct made *m, struct numbers *g) {
  struct pt_pool_grad a = {.n = ROWS, .m = CELLS, .in = IN, .c = C, .x = m->v.x, .add = true};
  pack(m);
  a.start = start, a.row = place, a.g = m->weigh, a.w = m->mat, a.bias = m->v.bias;
  a.wt = m->mat_t, a.dx = g->x, a.dw = g->w, a.db = g->bias;
  for (int i = 0; i < ROWS * IN; i++) g->x[i] = 2.0f; /* added to, all three */
  for (int i = 0; i < C * IN; i++) g->w[i] = -1.0f;
  for (int i = 0; i < C; i++) g->bias[i] = 3.0f;
  RUN(pool_grad, &a);
  for (int i = 0; i < ROWS * IN; i++) g->x[i] -= 2.0f;
  for (int i = 0; i < C * IN; i++) g->w[i] += 1.0f;
  for (int i = 0; i < C; i++) g->bias[i] -= 3.0f;
}

/* How far the maxima lie above the next rows, at least. */
static double least_gap(const struct numbers *v) {
  double gap = INFINITY;
  for (int s = 0; s < CELLS; s++)
    for (int j = 0; j < C; j++) {
      double best = -INFINITY, next = -INFINITY;
      for (int r = start[s]; r < start[s + 1]; r++) {
        double y = (double)v->bias[j];
        for (int i = 0; i < IN; i++) y += (double)v->x[r * IN + i] * (double)v->w[j * IN + i];
        next = fmax(next, fmin(best, y));
        best = fmax(best, y);
      }
      gap = fmin(gap, best - next);
    }
  return gap;
}

/* Steps of 2^-7 move no maximum to another row. */
static void test_pool(void **state) {
  (void)state;
  struct made m;
  struct numbers g;
  m.mat = (struct pt_mat){made_room(pt_mat_size(IN, C, PT_F32)), IN, C, PT_F32};
  m.mat_t = (struct pt_mat){made_room(pt_mat_size(C, IN, PT_F32)), C, IN, PT_F32};
  do {
    fill(m.v.x, ROWS * IN, 2.0f);
    fill(m.v.w, C * IN, 1.0f);
    fill(m.v.bias, C, 1.0f);
  } while (least_gap(&m.v) < 0.07);
  fill(m.weigh, CELLS * C, 1.0f);
  gradient(&m, &g);
  check_slopes("x", m.v.x, g.x, ROWS * IN, weighed_maxima, &m, 0x1p-7f, 1e-4);
  check_slopes("w", m.v.w, g.w, C * IN, weighed_maxima, &m, 0x1p-7f, 1e-4);
  check_slopes("bias", m.v.bias, g.bias, C, weighed_maxima, &m, 0x1p-7f, 1e-4);
  free((void *)(uintptr_t)m.mat.data), free((void *)(uintptr_t)m.mat_t.data);
}

/* Of equal rows the first gets all. */
static void test_equal_rows(void **state) {
  (void)state;
  int count;
  const struct pt_kernels *const *all = pt_kernel_tables(&count);
  const int32_t runs[3] = {0, 3, 5};
  const float x[5] = {1.0f, 2.0f, 2.0f, -1.0f, -1.0f}, one = 1.0f, zero = 0.0f, g[2] = {5, 7};
  float *w = made_room(64 * 2), dx[5], dw, db;
  pt_mat_pack(w, PT_F32, &one, 1, 1, 1, 1);
  for (int v = 0; v < count; v++) {
    struct pt_pool_grad a = {.n = 5, .m = 2, .in = 1, .c = 1, .x = x, .start = runs, .g = g};
    a.w = a.wt = (struct pt_mat){w, 1, 1, PT_F32};
    a.bias = &zero, a.dx = dx, a.dw = &dw, a.db = &db;
    dw = db = 0.0f;
    const int64_t stride = (all[v]->pool_grad_scratch(&a, 0) + 63) / 64 * 64;
    struct pt_exec e = {.threads = 1, .scratch = made_room(stride), .scratch_stride = stride};
    all[v]->pool_grad(&a, &e);
    free(e.scratch);
    const float want[5] = {0, 5, 0, 7, 0};
    for (int i = 0; i < 5; i++) assert_true(dx[i] == want[i]);
    assert_true(dw == 5 * 2 - 7 && db == 12);
  }
  free(w);
}

struct cluster {
  float x[ROWS * IN], up[CELLS * C], out[ROWS * C], weigh[ROWS * C], bias[C];
  int32_t of[ROWS];
  struct pt_mat mat;
};

static double weighed_sum(void *user) {
  struct cluster *m = user;
  struct pt_unpool a = {.n = ROWS, .in = IN, .c = C, .x = m->x, .up = m->up, .out = m->out};
  double sum = 0;
  a.cluster = m->of, a.w = m->mat, a.bias = m->bias;
  RUN(unpool, &a);
  for (int i = 0; i < ROWS * C; i++) sum += (double)m->weigh[i] * (double)m->out[i];
  return sum;
}

static void test_up(void **state) {
  (void)state;
  struct cluster m;
  float dx[CELLS * C];
  float *data;
  m.mat = made_mat(1, IN, C, &data);
  fill(m.x, ROWS * IN, 1.0f);
  fill(m.up, CELLS * C, 1.0f);
  fill(m.bias, C, 1.0f);
  fill(m.weigh, ROWS * C, 1.0f);
  for (int s = 0; s < CELLS; s++)
    for (int r = start[s]; r < start[s + 1]; r++) m.of[r] = place[s];
  struct pt_up_grad a = {.n = ROWS, .m = CELLS, .c = C, .g = m.weigh, .start = start};
  a.row = place, a.dx = dx;
  RUN(up_grad, &a);
  check_slopes("up", m.up, dx, CELLS * C, weighed_sum, &m, 0x1p-6f, 2e-5);
  free(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pool),
                                     cmocka_unit_test(test_equal_rows),
                                     cmocka_unit_test(test_up)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
