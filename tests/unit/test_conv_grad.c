/* test_conv_grad.c - conv_grad and cpe_grad against finite differences of the forward
 * references: of the sum of all outputs, each times a number of its own, by the inputs and by
 * the weights. The convolution is linear, so a wide step is exact but for rounding; cpe is
 * not, and its outputs are floats: a narrow step of 1/128 leaves errors of some 1e-4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "conv_grad.h"
#include "cpe.h"
#include "cpe_grad.h"
#include "embed.h"
#include "kernels.h"
#include "ops_made.h"

enum { SIDE = 5, TAPS = SIDE * SIDE * SIDE };

/* A small network of one convolution: everything in plain arrays. */
struct net {
  struct made_cloud cloud;
  int64_t n;
  int size, in, c;
  float *x;      /* [n, in] */
  float *w;      /* [c, size^3, in] */
  float *by;     /* [n, c] what outputs are multiplied by: the gradient of the output */
  float *out;    /* [n, c] */
  void *packed;  /* [125] forward matrices, zero outside of the kernel */
  char *scratch; /* of the reference kernels */
};

static struct made_cloud small_cloud(void) {
  struct made_voxel *v = made_room(500 * (int64_t)sizeof *v);
  int32_t *coord = made_room(1000 * 12);
  int64_t offset[3] = {0, 0, 0}, n = 0;
  struct made_cloud c;
  for (int i = 0; i < 60; i++) /* across blocks */
    v[n++] = (struct made_voxel){
        0,
        {5 + (int)(made_bits() % 6), 6 + (int)(made_bits() % 5), 7 + (int)(made_bits() % 3)}};
  offset[1] = made_sort(v, n, coord);
  for (n = 0; n < 25; n++)
    v[n] = (struct made_voxel){0, {5 + (int)n % 5, 6 + (int)(made_bits() % 4), 7}};
  offset[2] = offset[1] + made_sort(v, n, coord + 3 * offset[1]);
  made_index(&c, coord, offset, 2);
  free(v);
  return c;
}

static struct net open_net(int size, int in, int c) {
  struct net t = {.cloud = small_cloud(), .size = size, .in = in, .c = c};
  const int64_t taps = (int64_t)size * size * size;
  t.n = t.cloud.vox.n;
  t.x = made_floats(t.n * in, 0.0f, 1.0f);
  t.w = made_floats(c * taps * in, 0.0f, 0.5f);
  t.by = made_floats(t.n * c, 0.0f, 1.0f);
  t.out = made_room(t.n * c * 4);
  t.packed = made_room(TAPS * pt_mat_size(in, c, PT_F32));
  t.scratch = made_room(1 << 20);
  return t;
}

static void close_net(struct net *t) {
  free(t->x), free(t->w), free(t->by), free(t->out), free(t->packed), free(t->scratch);
  made_free(&t->cloud);
}

static struct pt_exec exec_of(struct net *t, int64_t scratch) {
  assert_true(scratch <= 1 << 20);
  return (struct pt_exec){.threads = 1, .scratch = t->scratch, .scratch_stride = 1 << 20};
}

/* The sum of out times by, with the stem's 5x5x5 convolution, whose outer taps are zero for a
 * smaller kernel. */
static double value(struct net *t) {
  const int taps = t->size * t->size * t->size, m = (SIDE - t->size) / 2;
  struct pt_mat first = {t->packed, t->in, t->c, PT_F32};
  memset(t->packed, 0, (size_t)(TAPS * pt_mat_size(t->in, t->c, PT_F32)));
  for (int k = 0; k < taps; k++) {
    const int x = k / (t->size * t->size) + m, y = k / t->size % t->size + m,
              z = k % t->size + m;
    const struct pt_mat tap = pt_mat_tap(&first, (x * SIDE + y) * SIDE + z);
    pt_mat_pack((void *)(uintptr_t)tap.data, PT_F32, t->w + (int64_t)k * t->in, t->in, t->c, 1,
                (int64_t)taps * t->in);
  }
  struct pt_embed a = {.vox = &t->cloud.vox,
                       .n = t->n,
                       .in = t->in,
                       .c = t->c,
                       .x = t->x,
                       .w = first,
                       .raw = true,
                       .out = t->out};
  const struct pt_kernels *ref = pt_kernel_table("ref");
  const struct pt_exec x = exec_of(t, ref->embed_scratch(&a, 0));
  ref->embed(&a, &x);
  double sum = 0;
  for (int64_t i = 0; i < t->n * t->c; i++) sum += (double)t->out[i] * (double)t->by[i];
  return sum;
}

static double slope(struct net *t, float *at) {
  const float was = *at;
  *at = was + 1.0f;
  const double high = value(t);
  *at = was - 1.0f;
  const double low = value(t);
  *at = was;
  return (high - low) / 2;
}

static void compare(struct net *t, float *from, const float *grad, int64_t count,
                    const char *what) {
  for (int i = 0; i < 60; i++) {
    const int64_t at = (int64_t)(made_bits() % (uint64_t)count);
    const double want = slope(t, from + at);
    if (!(fabs((double)grad[at] - want) <= 2e-5 * (1 + fabs(want))))
      fail_msg("%d^3 %d -> %d: %s[%lld] is %.9g, the difference %.9g", t->size, t->in, t->c,
               what, (long long)at, (double)grad[at], want);
  }
}

static void grad_case(int size, int in, int c) {
  struct net t = open_net(size, in, c);
  const int64_t taps = (int64_t)size * size * size, one = pt_mat_size(c, in, PT_F32);
  float *dx = made_floats(t.n * in, 5.0f, 1.0f), *dw = made_floats(c * taps * in, 0.0f, 0.0f);
  float *dbias = made_floats(c, 0.0f, 0.0f);
  char *wt = made_room(taps * one);
  for (int64_t k = 0; k < taps; k++)
    pt_mat_pack(wt + k * one, PT_F32, t.w + k * in, c, in, taps * in, 1);
  struct pt_conv_grad a = {.vox = &t.cloud.vox,
                           .n = t.n,
                           .size = size,
                           .in = in,
                           .c = c,
                           .x = t.x,
                           .g = t.by,
                           .dx = dx,
                           .wt = {wt, c, in, PT_F32},
                           .dw = dw,
                           .dbias = dbias};
  const struct pt_kernels *ref = pt_kernel_table("ref");
  const struct pt_exec x = exec_of(&t, ref->conv_grad_scratch(&a, 0));
  ref->conv_grad(&a, &x);
  compare(&t, t.x, dx, t.n * in, "dx");
  compare(&t, t.w, dw, c * taps * in, "dw");
  for (int o = 0; o < c; o++) {
    double sum = 0;
    for (int64_t r = 0; r < t.n; r++) sum += (double)t.by[r * c + o];
    assert_true(fabs(sum - (double)dbias[o]) < 1e-5);
  }
  free(dx), free(dw), free(dbias), free(wt);
  close_net(&t);
}

static void test_conv(void **state) {
  (void)state;
  grad_case(3, 4, 6);
  grad_case(3, 17, 5);
  grad_case(5, 6, 8);
}

/* ---- cpe ---- */

enum { CPE_SCRATCH = 1 << 20 };

/* A cpe of c channels: parameters as a state_dict has them. */
struct cpe {
  struct made_cloud cloud;
  int64_t n;
  int c;
  float *in, *res, *by, *out;               /* [n, c] */
  float *conv_w, *conv_bias;                /* [c, 27, c], [c] */
  float *w, *bias, *gamma, *beta;           /* [c, c], [c] */
  void *conv_mats, *conv_back, *mat, *back; /* packed */
  float *dy, *dx, *dconv_w, *dconv_bias;    /* gradients */
  float *dw, *dbias, *dgamma, *dbeta;
  char *scratch;
};

static struct cpe open_cpe(int c) {
  struct cpe t = {.cloud = small_cloud(), .c = c};
  const int64_t n = t.n = t.cloud.vox.n, mat = pt_mat_size(c, c, PT_F32);
  t.in = made_floats(n * c, 0.0f, 1.0f), t.res = made_floats(n * c, 0.0f, 0.0f);
  t.by = made_floats(n * c, 0.0f, 1.0f), t.out = made_floats(n * c, 0.0f, 0.0f);
  t.conv_w = made_floats(27 * c * c, 0.0f, 0.3f), t.conv_bias = made_floats(c, 0.0f, 0.5f);
  t.w = made_floats((int64_t)c * c, 0.0f, 0.7f), t.bias = made_floats(c, 0.0f, 0.5f);
  t.gamma = made_floats(c, 1.0f, 0.5f), t.beta = made_floats(c, 0.0f, 0.5f);
  t.conv_mats = made_room(27 * mat), t.conv_back = made_room(27 * mat);
  t.mat = made_room(mat), t.back = made_room(mat);
  t.dy = made_floats(n * c, 0.0f, 0.0f), t.dx = made_floats(n * c, 0.0f, 0.0f);
  t.dconv_w = made_floats(27 * c * c, 0.0f, 0.0f), t.dconv_bias = made_floats(c, 0.0f, 0.0f);
  t.dw = made_floats((int64_t)c * c, 0.0f, 0.0f), t.dbias = made_floats(c, 0.0f, 0.0f);
  t.dgamma = made_floats(c, 0.0f, 0.0f), t.dbeta = made_floats(c, 0.0f, 0.0f);
  t.scratch = made_room(CPE_SCRATCH);
  return t;
}

static void close_cpe(struct cpe *t) {
  free(t->in), free(t->res), free(t->by), free(t->out), free(t->conv_w), free(t->conv_bias);
  free(t->w), free(t->bias), free(t->gamma), free(t->beta), free(t->conv_mats);
  free(t->conv_back), free(t->mat), free(t->back), free(t->dy), free(t->dx);
  free(t->dconv_w), free(t->dconv_bias), free(t->dw), free(t->dbias), free(t->dgamma);
  free(t->dbeta), free(t->scratch);
  made_free(&t->cloud);
}

/* W (out, in) for x W^T, or for g W. */
static struct pt_mat linear_mat(void *dst, const float *w, int c, bool back) {
  pt_mat_pack(dst, PT_F32, w, c, c, back ? c : 1, back ? 1 : c);
  return (struct pt_mat){dst, c, c, PT_F32};
}

static struct pt_mat conv_mats(char *dst, const float *w, int c, bool back) {
  const int64_t one = pt_mat_size(c, c, PT_F32), row = (int64_t)27 * c;
  for (int64_t k = 0; k < 27; k++)
    pt_mat_pack(dst + k * one, PT_F32, w + k * c, c, c, back ? row : 1, back ? 1 : row);
  return (struct pt_mat){dst, c, c, PT_F32};
}

static struct pt_exec cpe_exec(struct cpe *t, int64_t scratch) {
  assert_true(scratch <= CPE_SCRATCH);
  return (struct pt_exec){.threads = 1, .scratch = t->scratch, .scratch_stride = CPE_SCRATCH};
}

static double cpe_value(struct cpe *t) {
  const struct pt_kernels *ref = pt_kernel_table("ref");
  struct pt_cpe a = {.vox = &t->cloud.vox,
                     .n = t->n,
                     .c = t->c,
                     .in = t->in,
                     .res = t->res,
                     .out = t->out,
                     .conv_w = conv_mats(t->conv_mats, t->conv_w, t->c, false),
                     .conv_bias = t->conv_bias,
                     .w = linear_mat(t->mat, t->w, t->c, false),
                     .bias = t->bias,
                     .gamma = t->gamma,
                     .beta = t->beta};
  const struct pt_exec x = cpe_exec(t, ref->cpe_scratch(&a, 0));
  ref->cpe(&a, &x);
  double sum = 0;
  for (int64_t i = 0; i < t->n * t->c; i++) sum += (double)t->out[i] * (double)t->by[i];
  return sum;
}

static void cpe_backward(struct cpe *t) {
  const struct pt_kernels *ref = pt_kernel_table("ref");
  struct pt_cpe_grad a = {.vox = &t->cloud.vox,
                          .n = t->n,
                          .c = t->c,
                          .in = t->in,
                          .g = t->by,
                          .dy = t->dy,
                          .conv_w = conv_mats(t->conv_mats, t->conv_w, t->c, false),
                          .conv_bias = t->conv_bias,
                          .w = linear_mat(t->mat, t->w, t->c, false),
                          .bias = t->bias,
                          .gamma = t->gamma,
                          .wt = linear_mat(t->back, t->w, t->c, true),
                          .dw = t->dw,
                          .dbias = t->dbias,
                          .dgamma = t->dgamma,
                          .dbeta = t->dbeta};
  struct pt_conv_grad b = {.vox = &t->cloud.vox,
                           .n = t->n,
                           .size = 3,
                           .in = t->c,
                           .c = t->c,
                           .x = t->in,
                           .g = t->dy,
                           .dx = t->dx,
                           .wt = conv_mats(t->conv_back, t->conv_w, t->c, true),
                           .dw = t->dconv_w,
                           .dbias = t->dconv_bias};
  struct pt_exec x = cpe_exec(t, ref->cpe_grad_scratch(&a, 0));
  ref->cpe_grad(&a, &x);
  x = cpe_exec(t, ref->conv_grad_scratch(&b, 0));
  ref->conv_grad(&b, &x);
}

static void compare_cpe(struct cpe *t, float *from, const float *grad, int64_t count,
                        const char *what) {
  for (int i = 0; i < 40; i++) {
    const int64_t at = (int64_t)(made_bits() % (uint64_t)count);
    const float was = from[at], step = 1.0f / 128;
    from[at] = was + step;
    const double high = cpe_value(t), up = (double)from[at];
    from[at] = was - step;
    const double want = (high - cpe_value(t)) / (up - (double)from[at]);
    from[at] = was;
    if (!(fabs((double)grad[at] - want) <= 1e-3 * (1 + fabs(want))))
      fail_msg("c = %d: %s[%lld] is %.9g, the difference %.9g", t->c, what, (long long)at,
               (double)grad[at], want);
  }
}

static void test_cpe(void **state) {
  (void)state;
  for (int c = 6; c <= 17; c += 11) {
    struct cpe t = open_cpe(c);
    cpe_backward(&t);
    compare_cpe(&t, t.in, t.dx, t.n * c, "dx");
    compare_cpe(&t, t.conv_w, t.dconv_w, 27 * c * c, "dw of the convolution");
    compare_cpe(&t, t.conv_bias, t.dconv_bias, c, "dbias of the convolution");
    compare_cpe(&t, t.w, t.dw, (int64_t)c * c, "dw");
    compare_cpe(&t, t.bias, t.dbias, c, "dbias");
    compare_cpe(&t, t.gamma, t.dgamma, c, "dgamma");
    compare_cpe(&t, t.beta, t.dbeta, c, "dbeta");
    close_cpe(&t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_conv), cmocka_unit_test(test_cpe)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
