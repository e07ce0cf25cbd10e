/* test_mlp_grad.c - the backward references of Linear and mlp against differences of their
 * forward references (the sum of outputs times fixed random numbers, at four points on either
 * side of an input or a weight; outputs are float, so a difference is right to about 1e-4);
 * and the vectors' derivative of GELU over floats of all exponents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "head.h"
#include "kernels.h"
#include "linear_grad.h"
#include "mlp_grad.h"
#include "ops_made.h"

/* ---- differences ---- */

/* What the sum depends on, its gradient, and the gradient when other numbers were there. */
struct part {
  const char *name;
  float *v, *g, *more;
  int count;
};

enum { MAX_PARTS = 8 };
struct made {
  struct part part[MAX_PARTS];
  int parts, rows, in, hidden, out;
  float *weigh, *y; /* [rows, out] */
  float *weigh_branch,
      *branch; /* [rows, out] of an mlp's branch; NULL: it counts for nothing */
  struct pt_mlp f;
  void *mat[4];
};

static float *new_part(struct made *m, const char *name, int count, float centre, float scale) {
  m->part[m->parts++] =
      (struct part){name, made_floats(count, centre, scale), made_floats(count, 0.0f, 0.0f),
                    made_floats(count, 0.75f, 0.0f), count};
  return m->part[m->parts - 1].v;
}

static void free_made(struct made *m) {
  for (int i = 0; i < m->parts; i++)
    free(m->part[i].v), free(m->part[i].g), free(m->part[i].more);
  for (int i = 0; i < 4; i++) free(m->mat[i]);
  free(m->weigh), free(m->y), free(m->weigh_branch), free(m->branch);
}

#define RUN(op, a)                                                  \
  do {                                                              \
    const struct pt_kernels *k_ = pt_kernel_table("ref");           \
    const int64_t bytes_ = (k_->op##_scratch(a, 0) + 63) / 64 * 64; \
    struct pt_exec x_ = {.threads = 1, .scratch_stride = bytes_};   \
    x_.scratch = made_room(bytes_);                                 \
    k_->op(a, &x_);                                                 \
    free(x_.scratch);                                               \
  } while (0)

/* Part p holds W (out, in): as it multiplies rows, or (back) their gradients. */
static struct pt_mat packed(struct made *m, int at, int p, int out, int in, bool back) {
  if (!m->mat[at]) m->mat[at] = made_room(64 + pt_mat_size(in + out, in + out, PT_F32));
  pt_mat_pack(m->mat[at], PT_F32, m->part[p].v, back ? out : in, back ? in : out, back ? in : 1,
              back ? 1 : in);
  return (struct pt_mat){m->mat[at], back ? out : in, back ? in : out, PT_F32};
}

typedef void forward_fn(struct made *m);

static double sum_of(struct made *m, forward_fn *forward) {
  double sum = 0;
  forward(m);
  for (int i = 0; i < m->rows * m->out; i++) sum += (double)m->weigh[i] * (double)m->y[i];
  for (int i = 0; m->branch && i < m->rows * m->out; i++)
    sum += (double)m->weigh_branch[i] * (double)m->branch[i];
  return sum;
}

/* Fourth-order difference with respect to *at. */
static double difference(struct made *m, forward_fn *forward, float *at) {
  static const int step[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1};
  const float had = *at, h = 0.015625f;
  double sum = 0;
  for (int i = 0; i < 4; i++) {
    *at = had + (float)step[i] * h;
    sum += weight[i] * sum_of(m, forward);
  }
  *at = had;
  return sum / (12 * (double)h);
}

/* The first part's gradient is written, those of the others are added to what is there. */
static void compare(struct made *m, forward_fn *forward, const char *what) {
  for (int p = 0; p < m->parts; p++) {
    const struct part *part = &m->part[p];
    double worst = 0, most = 0;
    for (int i = 0; i < part->count; i++) {
      const double want = difference(m, forward, part->v + i);
      worst = fmax(worst, fabs(want - (double)part->g[i]));
      most = fmax(most, fabs(want));
      assert_true(fabs((double)part->more[i] - (double)part->g[i] - (p ? 0.75 : 0)) < 1e-5);
    }
    if (worst > 1e-4 * fmax(1.0, most) || most < 0.05)
      fail_msg("%s, %s: differences up to %g, off by %g", what, part->name, most, worst);
  }
}

/* ---- Linear: x, W, b ---- */

static void linear_forward(struct made *m) {
  struct pt_head a = {.n = m->rows, .sources = 1, .type = PT_F32, .classes = m->out};
  a.src[0].x = m->part[0].v, a.src[0].c = m->in;
  a.w = packed(m, 0, 1, m->out, m->in, false), a.bias = m->part[2].v, a.out = m->y;
  RUN(head, &a);
}

static void test_linear(void **state) {
  (void)state;
  struct made m = {.rows = 13, .in = 6, .out = 5};
  new_part(&m, "x", m.rows * m.in, 0.0f, 1.0f);
  new_part(&m, "weight", m.in * m.out, 0.0f, 0.5f);
  new_part(&m, "bias", m.out, 0.0f, 0.5f);
  m.weigh = made_floats(m.rows * m.out, 0.0f, 1.0f), m.y = made_floats(m.rows * m.out, 0, 0);
  struct pt_linear_grad a = {.n = m.rows, .in = m.in, .c = m.out, .ldw = m.in, .type = PT_F32};
  a.gtype = PT_F32, a.x = m.part[0].v, a.g = m.weigh;
  a.wt = packed(&m, 1, 1, m.out, m.in, true);
  a.dx = m.part[0].g, a.dw = m.part[1].g, a.db = m.part[2].g;
  RUN(linear_grad, &a);
  a.dx = m.part[0].more, a.dw = m.part[1].more, a.db = m.part[2].more;
  RUN(linear_grad, &a);
  compare(&m, linear_forward, "linear");
  memcpy(m.part[0].more, m.weigh, 4); /* dx is added to where asked for */
  const float had = m.part[0].more[0];
  a.add = true;
  RUN(linear_grad, &a);
  assert_true(fabsf(m.part[0].more[0] - had - m.part[0].g[0]) < 1e-5f);
  free_made(&m);
}

/* ---- mlp: x, gamma, beta, W1, b1, W2, b2 ---- */

static void mlp_forward(struct made *m) {
  m->f.in = m->part[0].v, m->f.x = m->y, m->f.branch = m->branch;
  m->f.w1 = packed(m, 0, 3, m->hidden, m->in, false);
  m->f.w2 = packed(m, 1, 5, m->in, m->hidden, false);
  RUN(mlp, &m->f);
}

static void mlp_backward(struct made *m, bool more) {
  float *to[MAX_PARTS];
  for (int p = 0; p < m->parts; p++) to[p] = more ? m->part[p].more : m->part[p].g;
  memcpy(to[0], m->weigh, (size_t)(m->rows * m->in) * sizeof(float));
  mlp_forward(m);
  struct pt_mlp_grad a = {.f = m->f, .x = m->part[0].v, .g = to[0]};
  a.f.in = NULL, a.f.x = NULL, a.f.branch = NULL;
  a.g_branch = m->weigh_branch;
  a.w1_t = packed(m, 2, 3, m->hidden, m->in, true);
  a.w2_t = packed(m, 3, 5, m->in, m->hidden, true);
  a.dgamma = to[1], a.dbeta = to[2], a.dw1 = to[3], a.db1 = to[4], a.dw2 = to[5];
  a.db2 = to[6];
  RUN(mlp_grad, &a);
}

static void check_mlp(bool pre_norm, bool branch, float path, float proj) {
  char what[80];
  struct made m = {.rows = 11, .in = 7, .hidden = 13, .out = 7};
  snprintf(what, sizeof what, "mlp pre-norm %d, branch %d, drop %g %g", pre_norm, branch,
           (double)path, (double)proj);
  new_part(&m, "x", m.rows * m.in, 0.0f, 1.0f);
  m.f.gamma = new_part(&m, "gamma", m.in, 1.0f, 0.4f);
  m.f.beta = new_part(&m, "beta", m.in, 0.0f, 0.4f);
  new_part(&m, "w1", m.hidden * m.in, 0.0f, 0.6f);
  m.f.b1 = new_part(&m, "b1", m.hidden, 0.0f, 0.4f);
  new_part(&m, "w2", m.hidden * m.in, 0.0f, 0.6f);
  m.f.b2 = new_part(&m, "b2", m.in, 0.0f, 0.4f);
  m.weigh = made_floats(m.rows * m.in, 0.0f, 1.0f), m.y = made_floats(m.rows * m.in, 0, 0);
  if (branch) m.weigh_branch = made_floats(m.rows * m.in, 0.0f, 1.0f);
  if (branch) m.branch = made_floats(m.rows * m.in, 0, 0);
  m.f.n = m.rows, m.f.c = m.in, m.f.hidden = m.hidden, m.f.type = PT_F32;
  m.f.pre_norm = pre_norm;
  m.f.drop = (struct pt_drop){.path = path, .proj = proj, .seed = 3, .stream = 8};
  mlp_backward(&m, false);
  mlp_backward(&m, true);
  compare(&m, mlp_forward, what);
  free_made(&m);
}

static void test_mlp(void **state) {
  (void)state;
  static const struct {
    bool pre_norm, branch;
  } of[] = {{false, false}, {true, false}, {true, true}};
  for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
    check_mlp(of[i].pre_norm, of[i].branch, 0.0f, 0.0f);
    check_mlp(of[i].pre_norm, of[i].branch, 0.3f, 0.0f);
    check_mlp(of[i].pre_norm, of[i].branch, 0.2f, 0.2f);
  }
}

/* ---- GELU ---- */

/* One row of one channel: v is b1, dh is 1, so that db1 is the derivative and dw2 GELU. */
static void slopes(const struct pt_kernels *k, int n, const float *v, float *slope, float *h) {
  float one = 1.0f, zero = 0.0f, g = 1.0f, sink[3] = {0};
  float *none = made_floats(n + 16, 0.0f, 0.0f), *dw1 = made_floats(n, 0.0f, 0.0f);
  float *w2 = made_room(pt_mat_size(1, n, PT_F32)), *ones = made_floats(n, 1.0f, 0.0f);
  float *tall = made_floats(16 * (int64_t)n, 0.0f, 0.0f);
  pt_mat_pack(w2, PT_F32, ones, 1, n, n, 1);
  struct pt_mlp_grad a = {.x = &zero, .g = &g, .dgamma = sink, .dbeta = sink + 1};
  a.f = (struct pt_mlp){.n = 1, .c = 1, .hidden = n, .type = PT_F32, .pre_norm = true};
  a.f.gamma = &one, a.f.beta = &zero, a.f.b1 = v, a.f.b2 = &zero;
  a.f.w1 = (struct pt_mat){none, 1, n, PT_F32};
  a.f.w2 = a.w1_t = (struct pt_mat){tall, n, 1, PT_F32};
  a.w2_t = (struct pt_mat){w2, 1, n, PT_F32};
  a.dw1 = dw1, a.db1 = slope, a.dw2 = h, a.db2 = sink + 2;
  const int64_t bytes = (k->mlp_grad_scratch(&a, 0) + 63) / 64 * 64;
  struct pt_exec x = {.threads = 1, .scratch = made_room(bytes), .scratch_stride = bytes};
  memset(slope, 0, (size_t)n * sizeof *slope), memset(h, 0, (size_t)n * sizeof *h);
  k->mlp_grad(&a, &x);
  free(x.scratch), free(none), free(dw1), free(w2), free(ones), free(tall);
}

static void test_gelu(void **state) {
  (void)state;
  enum { N = 1 << 16 };
  static float v[N], slope[N], h[N];
  int count;
  const struct pt_kernels *const *k = pt_kernel_tables(&count);
  for (uint32_t i = 0; i < N; i++) {
    const uint32_t bits = i << 16 | (uint32_t)(made_bits() & 0xffff);
    memcpy(v + i, &bits, 4);
    if (!isfinite(v[i]) || fabsf(v[i]) > 1e30f) v[i] = 0.0f;
  }
  for (int t = 0; t < count; t++) {
    double worst = 0, worst_h = 0;
    slopes(k[t], N, v, slope, h);
    for (int i = 0; i < N; i++) {
      const double x = (double)v[i], phi = exp(-0.5 * x * x) * 0.3989422804014327;
      const double cdf = 0.5 * erfc(-x * 0.70710678118654752);
      worst = fmax(worst, fabs((double)slope[i] - (cdf + x * phi)));
      worst_h = fmax(worst_h, fabs((double)h[i] - x * cdf) / fmax(fabs(x), 1e-38));
      if (!(worst < 2e-7 && worst_h < 1.2e-7)) fail_msg("%s at %g", k[t]->name, x);
    }
    printf("gelu' %s: largest error %.2e; gelu %.2e |x|\n", k[t]->name, worst, worst_h);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_linear),
      cmocka_unit_test(test_mlp),
      cmocka_unit_test(test_gelu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
