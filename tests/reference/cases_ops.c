/* cases_ops.c - single operations, through the kernels that contain them.
 *
 * The kernels are fused, the recorded operations are not: a case feeds a kernel weights that
 * make the other parts the identity, or applies the missing part (LayerNorm, GELU) to the
 * recorded output in double. Both are smooth with slopes near 1 at most, so the tolerances
 * stay those of the operation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patch.h"
#include "refmodel.h"

/* ---- pieces in double ---- */

static double gelu(double v) { return 0.5 * v * (1 + erf(v / sqrt(2))); }

static void layernorm(double *x, int64_t n, int c, const float *gamma, const float *beta) {
  for (int64_t r = 0; r < n; r++, x += c) {
    double mean = 0, var = 0;
    for (int i = 0; i < c; i++) mean += x[i] / c;
    for (int i = 0; i < c; i++) var += (x[i] - mean) * (x[i] - mean) / c;
    for (int i = 0; i < c; i++)
      x[i] = (x[i] - mean) / sqrt(var + 1e-5) * (double)gamma[i] + (double)beta[i];
  }
}

/* BatchNorm as scale and shift; with rows given, from their statistics. */
static void batchnorm(struct refcase *c, const char *prefix, const double *x, int64_t n,
                      int channels, float *g, float *shift) {
  float *gamma = ref_f32(c, NULL, "%sweight", prefix);
  float *beta = ref_f32(c, NULL, "%sbias", prefix);
  double *mean = ref_alloc(c, channels, 8), *var = ref_alloc(c, channels, 8);
  for (int i = 0; i < channels; i++) {
    mean[i] = x ? 0 : ref_f64(c, NULL, "%srunning_mean", prefix)[i];
    var[i] = x ? 0 : ref_f64(c, NULL, "%srunning_var", prefix)[i];
  }
  for (int64_t r = 0; r < n && x; r++)
    for (int i = 0; i < channels; i++) mean[i] += x[r * channels + i] / (double)n;
  for (int64_t r = 0; r < n && x; r++)
    for (int i = 0; i < channels; i++)
      var[i] += pow(x[r * channels + i] - mean[i], 2) / (double)n;
  for (int i = 0; i < channels; i++) {
    double s = (double)gamma[i] / sqrt(var[i] + 1e-3);
    g[i] = (float)s;
    shift[i] = (float)((double)beta[i] - mean[i] * s);
  }
}

static double *linear(struct refcase *c, const float *x, int64_t n, int in, int out,
                      const float *w, const float *b) {
  double *y = ref_alloc(c, n * out, sizeof *y);
  for (int64_t r = 0; r < n; r++)
    for (int o = 0; o < out; o++) {
      double sum = (double)b[o];
      for (int i = 0; i < in; i++) sum += (double)x[r * in + i] * (double)w[o * in + i];
      y[r * out + o] = sum;
    }
  return y;
}

/* ---- weights ---- */

static struct pt_mat pack(struct refcase *c, const float *w, int in, int out) {
  void *p = ref_alloc(c, pt_mat_size(in, out, PT_F32), 1);
  pt_mat_pack(p, PT_F32, w, in, out, 1, in);
  return (struct pt_mat){p, in, out, PT_F32};
}

/* The matrix of a product with w (out, in) itself, for gradients. */
static struct pt_mat pack_back(struct refcase *c, const float *w, int in, int out) {
  void *p = ref_alloc(c, pt_mat_size(out, in, PT_F32), 1);
  pt_mat_pack(p, PT_F32, w, out, in, in, 1);
  return (struct pt_mat){p, out, in, PT_F32};
}

static struct pt_mat identity(struct refcase *c, int n) {
  float *w = ref_alloc(c, (int64_t)n * n, sizeof *w);
  for (int i = 0; i < n * n; i++) w[i] = i / n == i % n;
  return pack(c, w, n, n);
}

static float *filled(struct refcase *c, int64_t n, float v) {
  float *p = ref_alloc(c, n, sizeof *p);
  for (int64_t i = 0; i < n; i++) p[i] = v;
  return p;
}

/* Weight (out, k, k, k, in) as packed taps of a side-`side` kernel with k in its middle. */
static struct pt_mat pack_conv(struct refcase *c, const float *w, int k, int side, int in,
                               int out, const float *scale) {
  int64_t one = pt_mat_size(in, out, PT_F32), row = (int64_t)k * k * k * in;
  int m = (side - k) / 2;
  float *p = filled(c, side * side * side * one / (int64_t)sizeof *p, 0);
  struct pt_mat first = {p, in, out, PT_F32};
  float *tap = ref_alloc(c, (int64_t)in * out, sizeof *tap);
  for (int t = 0; t < k * k * k; t++) {
    int x = t / (k * k) + m, y = t / k % k + m, z = t % k + m;
    for (int o = 0; o < out; o++)
      for (int i = 0; i < in; i++)
        tap[o * in + i] = w[o * row + t * in + i] * (scale ? scale[o] : 1);
    struct pt_mat at = pt_mat_tap(&first, (x * side + y) * side + z);
    pt_mat_pack((void *)(uintptr_t)at.data, PT_F32, tap, in, out, 1, in);
  }
  return first;
}

/* A gradient against the recorded one of the same name. */
static void check_grad(struct refcase *c, const char *name, const float *got) {
  char path[80];
  int64_t n;
  const double *want = ref_f64(c, &n, "%s", name);
  snprintf(path, sizeof path, "float32_error|%s", name);
  ref_compare(c, name, got, want, n, path);
}

/* ---- running one kernel ---- */

static const struct pt_kernels *kernels(struct refcase *c) {
  return pt_kernel_table(c->kernels);
}

static struct pt_exec exec_for(struct refcase *c, int64_t scratch) {
  int64_t stride = (scratch + 63) / 64 * 64;
  return (struct pt_exec){
      .threads = 2, .scratch = ref_alloc(c, 2 * stride + 64, 1), .scratch_stride = stride};
}

#define RUN(c, op, args)                                                \
  do {                                                                  \
    struct pt_exec x_ = exec_for(c, kernels(c)->op##_scratch(args, 0)); \
    kernels(c)->op(args, &x_);                                          \
  } while (0)

/* ---- structure from `indices` (batch, x, y, z) ---- */

struct points {
  struct pt_structure s;
  int64_t n;
  int64_t *offset;
};

static struct points structure(struct refcase *c, int stages, const int *stride,
                               const char *const *orders, int order_count) {
  struct points p = {0};
  struct ptv3_error e;
  int64_t n4;
  int32_t *ind = ref_i32(c, &n4, "indices");
  p.n = n4 / 4;
  int32_t *coord = ref_alloc(c, 3 * p.n, 4), clouds = 0;
  p.offset = ref_alloc(c, p.n + 1, 8);
  for (int64_t i = 0; i < p.n; i++) {
    memcpy(coord + 3 * i, ind + 4 * i + 1, 12);
    while (clouds <= ind[4 * i]) p.offset[clouds++] = i;
  }
  p.offset[clouds] = p.n;
  int curve[PT_MAX_ORDERS];
  for (int i = 0; i < order_count; i++) curve[i] = pt_curve_by_name(orders[i]);
  struct pt_structure_in in = {.n = p.n,
                               .coord = coord,
                               .offset = p.offset,
                               .clouds = clouds,
                               .stages = stages,
                               .stride = stride,
                               .orders = order_count,
                               .curve = curve};
  if (pt_structure_build(c->env, &in, &p.s, &e)) {
    fprintf(stderr, "%s: %s\n", c->folder, e.message);
    exit(2);
  }
  return p;
}

static const char *const all_orders[4] = {"z", "z-trans", "hilbert", "hilbert-trans"};

/* Rows of x into our order, and back. */
static float *to_rows(struct refcase *c, const struct points *p, const float *x, int ch) {
  float *y = ref_alloc(c, p->n * ch, 4);
  for (int64_t r = 0; r < p->n; r++)
    memcpy(y + r * ch, x + (int64_t)p->s.input[r] * ch, (size_t)ch * 4);
  return y;
}
static float *from_rows(struct refcase *c, const struct points *p, const float *x, int ch) {
  float *y = ref_alloc(c, p->n * ch, 4);
  for (int64_t r = 0; r < p->n; r++)
    memcpy(y + (int64_t)p->s.input[r] * ch, x + r * ch, (size_t)ch * 4);
  return y;
}

/* ---- convolutions ---- */

static float *run_embed(struct refcase *c, const struct points *p, const float *x, int in,
                        int out, struct pt_mat w, const float *bias) {
  float *y = ref_alloc(c, p->n * out, 4);
  struct pt_embed a = {.vox = &p->s.stage[0].vox,
                       .n = p->n,
                       .in = in,
                       .c = out,
                       .x = to_rows(c, p, x, in),
                       .w = w,
                       .bias = bias,
                       .out = y};
  RUN(c, embed, &a);
  return from_rows(c, p, y, out);
}

/* Square 3x3x3 convolutions go through cpe too: LayerNorm(conv). */
static void conv_by_cpe(struct refcase *c, const struct points *p, const float *x, int ch,
                        const float *w, const float *bias, const double *want) {
  float *zero = filled(c, p->n * ch, 0), *one = filled(c, ch, 1),
        *y = ref_alloc(c, p->n * ch, 4);
  double *norm = ref_alloc(c, p->n * ch, 8);
  struct pt_cpe a = {.vox = &p->s.stage[0].vox,
                     .n = p->n,
                     .c = ch,
                     .in = to_rows(c, p, x, ch),
                     .res = zero,
                     .out = y,
                     .conv_w = pack_conv(c, w, 3, 3, ch, ch, NULL),
                     .conv_bias = bias,
                     .w = identity(c, ch),
                     .bias = zero,
                     .gamma = one,
                     .beta = zero};
  RUN(c, cpe, &a);
  memcpy(norm, want, (size_t)(p->n * ch) * 8);
  layernorm(norm, p->n, ch, one, zero);
  ref_compare(c, "LayerNorm(conv) by cpe", from_rows(c, p, y, ch), norm, p->n * ch,
              "float32_error|y");
}

/* The gradients of a convolution of x by w (out, k, k, k, in), in our order: dx is added to. */
static struct pt_conv_grad conv_grad(struct refcase *c, const struct points *p, const float *x,
                                     const float *g, const char *weight, float *dx) {
  const struct pt_tensor *wt = ref_tensor(c, weight);
  const float *w = ref_f32(c, NULL, "%s", weight);
  int out = (int)wt->shape[0], k = (int)wt->shape[1], in = (int)wt->shape[4];
  int64_t taps = (int64_t)k * k * k, one = pt_mat_size(out, in, PT_F32);
  struct pt_conv_grad a = {.vox = &p->s.stage[0].vox,
                           .n = p->n,
                           .size = k,
                           .in = in,
                           .c = out,
                           .x = x,
                           .g = g,
                           .dx = dx,
                           .add = true,
                           .wt = {ref_alloc(c, taps * one, 1), out, in, PT_F32},
                           .dw = filled(c, out * taps * in, 0),
                           .dbias = filled(c, out, 0)};
  for (int64_t t = 0; t < taps; t++)
    pt_mat_pack((void *)(uintptr_t)pt_mat_tap(&a.wt, t).data, PT_F32, w + t * in, out, in,
                taps * in, 1);
  RUN(c, conv_grad, &a);
  return a;
}

/* The recorded gradients of a convolution, given that of its output in the case's order. */
static void check_conv_grad(struct refcase *c, const struct points *p, const float *x,
                            const float *g, const char *weight, const char *grad) {
  const struct pt_tensor *wt = ref_tensor(c, weight);
  int out = (int)wt->shape[0], in = (int)wt->shape[4];
  float *dx = filled(c, p->n * in, 0);
  struct pt_conv_grad a =
      conv_grad(c, p, to_rows(c, p, x, in), to_rows(c, p, g, out), weight, dx);
  check_grad(c, "grad_x", from_rows(c, p, dx, in));
  check_grad(c, grad, a.dw);
  if (ref_has(c, "grad_bias")) check_grad(c, "grad_bias", a.dbias);
}

static void run_conv(struct refcase *c) {
  const struct pt_tensor *wt = ref_tensor(c, "weight");
  int out = (int)wt->shape[0], k = (int)wt->shape[1], in = (int)wt->shape[4];
  struct points p = structure(c, 1, NULL, all_orders, 1);
  float *x = ref_f32(c, NULL, "x"), *w = ref_f32(c, NULL, "weight");
  float *bias = ref_has(c, "bias") ? ref_f32(c, NULL, "bias") : filled(c, out, 0);
  double *want = ref_f64(c, NULL, "y"), *act = ref_f64(c, NULL, "y");
  for (int64_t i = 0; i < p.n * out; i++) act[i] = gelu(act[i]);
  float *y = run_embed(c, &p, x, in, out, pack_conv(c, w, k, 5, in, out, NULL), bias);
  ref_compare(c, "gelu(conv) by embed", y, act, p.n * out, "float32_error|y");
  if (k == 3 && in == out) conv_by_cpe(c, &p, x, in, w, bias, want);
  if (ref_has(c, "grad_out"))
    check_conv_grad(c, &p, x, ref_f32(c, NULL, "grad_out"), "weight", "grad_weight");
  ref_check(c, p.s.stage[0].n == p.n, "rows");
  pt_structure_free(c->env, &p.s);
}

/* The convolution before BatchNorm, in double, by comparing all pairs. */
static double *conv_double(struct refcase *c, const float *x, const float *w, int64_t n, int k,
                           int in, int out) {
  int32_t *ind = ref_i32(c, NULL, "indices");
  double *y = ref_alloc(c, n * out, 8);
  memset(y, 0, (size_t)(n * out) * 8);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      int d[3], far = ind[4 * i] != ind[4 * j];
      for (int a = 0; a < 3; a++) {
        d[a] = ind[4 * j + 1 + a] - ind[4 * i + 1 + a] + k / 2;
        far |= d[a] < 0 || d[a] >= k;
      }
      for (int o = 0; o < out && !far; o++)
        for (int q = 0; q < in; q++)
          y[i * out + o] +=
              (double)x[j * in + q] *
              (double)w[(((int64_t)(o * k + d[0]) * k + d[1]) * k + d[2]) * in + q];
    }
  return y;
}

/* The gradient of y [n, ch], given that of gelu(BatchNorm(y)), in double. */
static float *before_batchnorm(struct refcase *c, const char *prefix, const double *y,
                               const float *g, int64_t n, int ch) {
  float *gamma = ref_f32(c, NULL, "%sweight", prefix), *d = ref_alloc(c, n * ch, 4);
  float *beta = ref_f32(c, NULL, "%sbias", prefix);
  for (int i = 0; i < ch; i++) {
    double mean = 0, var = 0, sum = 0, dot = 0;
    for (int64_t r = 0; r < n; r++) mean += y[r * ch + i] / (double)n;
    for (int64_t r = 0; r < n; r++) var += pow(y[r * ch + i] - mean, 2) / (double)n;
    const double inv = 1 / sqrt(var + 1e-3);
    for (int pass = 0; pass < 2; pass++)
      for (int64_t r = 0; r < n; r++) {
        double hat = (y[r * ch + i] - mean) * inv;
        double v = hat * (double)gamma[i] + (double)beta[i];
        double slope = 0.5 * (1 + erf(v / sqrt(2))) + v * exp(-v * v / 2) / sqrt(8 * atan(1));
        double e = (double)g[r * ch + i] * slope * (double)gamma[i];
        if (pass == 0) sum += e / (double)n, dot += e * hat / (double)n;
        if (pass == 1) d[r * ch + i] = (float)((e - sum - hat * dot) * inv);
      }
  }
  return d;
}

static void run_embedding(struct refcase *c) {
  const struct pt_tensor *wt = ref_tensor(c, "w/stem.conv.weight");
  int out = (int)wt->shape[0], in = (int)wt->shape[4];
  struct points p = structure(c, 1, NULL, all_orders, 1);
  float *x = ref_f32(c, NULL, "x"), *w = ref_f32(c, NULL, "w/stem.conv.weight");
  float *g = ref_alloc(c, out, 4), *shift = ref_alloc(c, out, 4);
  double *conv = conv_double(c, x, w, p.n, 5, in, out);
  batchnorm(c, "w/stem.norm.", conv, p.n, out, g, shift);
  float *y = run_embed(c, &p, x, in, out, pack_conv(c, w, 5, 5, in, out, g), shift);
  ref_compare(c, "y", y, ref_f64(c, NULL, "y"), p.n * out, "float32_error|y");
  float *grad = ref_f32(c, NULL, "grad_out");
  grad = before_batchnorm(c, "w/stem.norm.", conv, grad, p.n, out);
  check_conv_grad(c, &p, x, grad, "w/stem.conv.weight", "grad/stem.conv.weight");
  ref_check(c, p.s.stage[0].n == p.n, "rows");
  pt_structure_free(c->env, &p.s);
}

/* ---- rows ---- */

static float *run_unpool(struct refcase *c, const float *x, int64_t n, struct pt_mat w,
                         const float *bias, const float *up, const int32_t *cluster) {
  float *y = ref_alloc(c, n * w.n, 4);
  struct pt_unpool a = {.n = n,
                        .in = w.k,
                        .c = w.n,
                        .x = x,
                        .up = up,
                        .cluster = cluster,
                        .out = y,
                        .w = w,
                        .bias = bias};
  RUN(c, unpool, &a);
  return y;
}

/* One row of one channel through mlp: v is x (all of it the bias), dh the gradient given, so
 * that the bias's gradient is GELU's. */
static void check_gelu_grad(struct refcase *c, const float *x, int n) {
  float *one = filled(c, 1, 1), *zero = filled(c, n, 0), *got = filled(c, n, 0);
  struct pt_mlp_grad a = {.x = filled(c, 1, 0), .g = filled(c, 1, 1)};
  a.f = (struct pt_mlp){.n = 1, .c = 1, .hidden = n, .pre_norm = true, .b1 = x};
  a.f.gamma = one, a.f.beta = one;
  a.f.w1 = pack(c, zero, 1, n), a.w1_t = pack_back(c, zero, 1, n);
  a.f.w2 = pack(c, zero, n, 1), a.f.b2 = one;
  a.w2_t = pack_back(c, ref_f32(c, NULL, "grad_out"), n, 1);
  a.dgamma = filled(c, 1, 0), a.dbeta = filled(c, 1, 0), a.dw1 = filled(c, n, 0), a.db1 = got;
  a.dw2 = filled(c, n, 0), a.db2 = filled(c, 1, 0);
  RUN(c, mlp_grad, &a);
  check_grad(c, "grad_x", got);
}

static void run_gelu(struct refcase *c) {
  int64_t n;
  float *x = ref_f32(c, &n, "x");
  float *y = run_unpool(c, x, n, identity(c, 1), filled(c, 1, 0), NULL, NULL);
  ref_compare(c, "y", y, ref_f64(c, NULL, "y"), n, "float32_error|y");
  ref_check(c, n > 0, "empty");
  if (ref_has(c, "grad_out")) check_gelu_grad(c, x, (int)n);
}

static void run_batchnorm_eval(struct refcase *c) {
  int ch = (int)ref_tensor(c, "x")->shape[1];
  int64_t n;
  float *x = ref_f32(c, &n, "x"), *g = ref_alloc(c, ch, 4), *shift = ref_alloc(c, ch, 4);
  double *want = ref_f64(c, NULL, "y");
  batchnorm(c, "", NULL, 0, ch, g, shift);
  float *w = filled(c, (int64_t)ch * ch, 0);
  for (int i = 0; i < ch; i++) w[i * ch + i] = g[i];
  float *y = run_unpool(c, x, n / ch, pack(c, w, ch, ch), shift, NULL, NULL);
  for (int64_t i = 0; i < n; i++) want[i] = gelu(want[i]);
  ref_compare(c, "gelu(y)", y, want, n, "float32_error|y");
  ref_check(c, n > 0, "empty");
}

/* BatchNorm with the statistics of n rows of y, then GELU; stats [2, c] are left for the
 * backward pass. name: of the layer, with its dot. */
static float *run_batchnorm(struct refcase *c, const char *name, const float *y, int64_t n,
                            int ch, float *stats) {
  struct pt_batchnorm a = {.n = n, .c = ch, .y = y, .out = ref_alloc(c, n * ch, 4)};
  a.gamma = ref_f32(c, NULL, "%sweight", name), a.beta = ref_f32(c, NULL, "%sbias", name);
  a.running = ref_f32(c, NULL, "%srunning_mean", name);
  a.running_var = ref_f32(c, NULL, "%srunning_var", name);
  a.eps = 1e-3f, a.momentum = 0.01f, a.stats = stats;
  RUN(c, batchnorm, &a);
  const char *bare = strncmp(name, "w/", 2) == 0 ? name + 2 : NULL;
  char mean[60] = "running_mean_after", var[60] = "running_var_after", error[80];
  if (bare) snprintf(mean, sizeof mean, "after/%srunning_mean", bare);
  if (bare) snprintf(var, sizeof var, "after/%srunning_var", bare);
  snprintf(error, sizeof error, "float32_error|%s", mean);
  ref_compare(c, mean, a.running, ref_f64(c, NULL, "%s", mean), ch, error);
  snprintf(error, sizeof error, "float32_error|%s", var);
  ref_compare(c, var, a.running_var, ref_f64(c, NULL, "%s", var), ch, error);
  return a.out;
}

/* The recorded layer has no GELU. With 30 added to beta GELU is the identity with slope 1, and
 * neither the statistics nor the gradients know of beta otherwise. */
static void run_batchnorm_train(struct refcase *c) {
  const int ch = (int)ref_tensor(c, "x")->shape[1];
  int64_t n;
  float *x = ref_f32(c, &n, "x"), *g = ref_f32(c, NULL, "grad_out");
  float *beta = ref_f32(c, NULL, "bias"), *stats = ref_alloc(c, 2 * ch, 4);
  double *want = ref_f64(c, NULL, "y");
  for (int64_t i = 0; i < n; i++) want[i] = gelu(want[i]);
  float *y = run_batchnorm(c, "", x, n / ch, ch, stats);
  ref_compare(c, "gelu(y)", y, want, n, "float32_error|y");
  for (int i = 0; i < ch; i++) beta[i] += 30.0f;
  struct pt_batchnorm_grad a = {.n = n / ch, .c = ch, .y = x, .stats = stats, .g = g};
  a.gamma = ref_f32(c, NULL, "weight"), a.beta = beta;
  a.dgamma = filled(c, ch, 0), a.dbeta = filled(c, ch, 0);
  RUN(c, batchnorm_grad, &a);
  ref_compare(c, "grad_x", g, ref_f64(c, NULL, "grad_x"), n, "float32_error|grad_x");
  ref_compare(c, "grad_weight", a.dgamma, ref_f64(c, NULL, "grad_weight"), ch,
              "float32_error|grad_weight");
  ref_compare(c, "grad_bias", a.dbeta, ref_f64(c, NULL, "grad_bias"), ch,
              "float32_error|grad_bias");
}

/* A pre-norm mlp whose hidden layer is where GELU has slope 1 and whose weights' gradients pass
 * by identities: it adds LayerNorm's gradient to the one given. */
static void check_layernorm_grad(struct refcase *c, const float *x, int64_t n, int ch) {
  float *none = filled(c, (int64_t)ch * ch, 0), *g = ref_f32(c, NULL, "grad_out");
  double *want = ref_f64(c, NULL, "grad_x");
  for (int64_t i = 0; i < n * ch; i++) want[i] += (double)g[i];
  struct pt_mlp_grad a = {.x = x, .g = g, .w1_t = identity(c, ch), .w2_t = identity(c, ch)};
  a.f = (struct pt_mlp){.n = n, .c = ch, .hidden = ch, .pre_norm = true, .b2 = none};
  a.f.gamma = ref_f32(c, NULL, "weight"), a.f.beta = ref_f32(c, NULL, "bias");
  a.f.w1 = a.f.w2 = pack(c, none, ch, ch), a.f.b1 = filled(c, ch, 30);
  a.dgamma = filled(c, ch, 0), a.dbeta = filled(c, ch, 0), a.dw1 = filled(c, ch * ch, 0);
  a.db1 = filled(c, ch, 0), a.dw2 = filled(c, ch * ch, 0), a.db2 = filled(c, ch, 0);
  RUN(c, mlp_grad, &a);
  ref_compare(c, "grad_x + grad_out", g, want, n * ch, "float32_error|grad_x");
  check_grad(c, "grad_weight", a.dgamma);
  check_grad(c, "grad_bias", a.dbeta);
}

static void run_layernorm(struct refcase *c) {
  int ch = (int)ref_tensor(c, "x")->shape[1];
  int64_t n;
  float *x = ref_f32(c, &n, "x"), *zero = filled(c, (int64_t)ch * ch, 0);
  struct pt_mat none = pack(c, zero, ch, ch);
  struct pt_mlp a = {.n = n / ch,
                     .c = ch,
                     .hidden = ch,
                     .x = x,
                     .gamma = ref_f32(c, NULL, "weight"),
                     .beta = ref_f32(c, NULL, "bias"),
                     .w1 = none,
                     .b1 = zero,
                     .w2 = none,
                     .b2 = zero};
  if (ref_has(c, "grad_out"))
    check_layernorm_grad(c, x, n / ch, ch); /* before x is overwritten */
  RUN(c, mlp, &a);
  ref_compare(c, "y", x, ref_f64(c, NULL, "y"), n, "float32_error|y");
  ref_check(c, n > 0, "empty");
}

/* The backward pass of a Linear: x is [n, in]. */
static void check_linear_grad(struct refcase *c, const float *x, int64_t n, int in, int out) {
  struct pt_linear_grad a = {.n = n, .in = in, .c = out, .ldw = in, .x = x};
  a.g = ref_f32(c, NULL, "grad_out"), a.dx = ref_alloc(c, n * in, 4);
  a.wt = pack_back(c, ref_f32(c, NULL, "weight"), in, out);
  a.dw = filled(c, (int64_t)in * out, 0), a.db = filled(c, out, 0);
  RUN(c, linear_grad, &a);
  check_grad(c, "grad_x", a.dx);
  check_grad(c, "grad_weight", a.dw);
  check_grad(c, "grad_bias", a.db);
}

static void run_linear(struct refcase *c) {
  const struct pt_tensor *wt = ref_tensor(c, "weight");
  int out = (int)wt->shape[0], in = (int)wt->shape[1];
  int64_t n;
  float *x = ref_f32(c, &n, "x");
  n /= in;
  float *y = ref_alloc(c, n * out, 4);
  struct pt_head a = {.n = n,
                      .sources = 1,
                      .classes = out,
                      .w = pack(c, ref_f32(c, NULL, "weight"), in, out),
                      .bias = ref_f32(c, NULL, "bias"),
                      .out = y};
  a.src[0].x = x, a.src[0].c = in;
  RUN(c, head, &a);
  ref_compare(c, "y", y, ref_f64(c, NULL, "y"), n * out, "float32_error|y");
  ref_check(c, n > 0, "empty");
  if (ref_has(c, "grad_out")) check_linear_grad(c, x, n, in, out);
}

/* x + want, then LayerNorm without scale: what a post-norm op makes of an operation. */
static double *residual_norm(struct refcase *c, const float *x, const double *want, int64_t n,
                             int ch) {
  double *y = ref_alloc(c, n * ch, 8);
  for (int64_t i = 0; i < n * ch; i++) y[i] = (double)x[i] + want[i];
  layernorm(y, n, ch, filled(c, ch, 1), filled(c, ch, 0));
  return y;
}

/* Rows [n, 2 ch + 2] that LayerNorm leaves as long as they were: x, -x, and what is missing to
 * one length for all; gamma is set to undo the norm's scale, which is returned. */
static double padded_rows(const float *x, int64_t n, int ch, float *rows, float *gamma) {
  const int wide = 2 * ch + 2;
  double most = 0;
  for (int64_t r = 0; r < n; r++) {
    double sum = 0;
    for (int i = 0; i < ch; i++) sum += (double)x[r * ch + i] * (double)x[r * ch + i];
    if (sum > most) most = sum;
  }
  for (int64_t r = 0; r < n; r++) {
    double left = most;
    float *row = rows + r * wide;
    for (int i = 0; i < ch; i++) {
      row[i] = x[r * ch + i], row[ch + i] = -row[i];
      left -= (double)row[i] * (double)row[i];
    }
    row[2 * ch] = (float)sqrt(left > 0 ? left : 0), row[2 * ch + 1] = -row[2 * ch];
  }
  const double inv = 1 / sqrt(2 * most / wide + 1e-5);
  for (int i = 0; i < wide; i++) gamma[i] = (float)(1 / inv);
  return inv;
}

/* LayerNorm's backward pass for those rows, with d the recorded gradient of the first ch. */
static double *padded_grad(struct refcase *c, const float *rows, int64_t n, int ch, double inv,
                           const double *d) {
  const int wide = 2 * ch + 2;
  double *out = ref_alloc(c, n * wide, 8);
  for (int64_t r = 0; r < n; r++) {
    const float *row = rows + r * wide;
    double mean = 0, along = 0;
    for (int i = 0; i < ch; i++) mean += d[r * ch + i] / wide;
    for (int i = 0; i < ch; i++) along += d[r * ch + i] * inv * (double)row[i] / wide;
    for (int i = 0; i < wide; i++) /* gamma inv is 1 */
      out[r * wide + i] = (i < ch ? d[r * ch + i] : 0) - mean - inv * (double)row[i] * along;
  }
  return out;
}

/* Matrix w [m, n] with zeros around it, [mm, nn]; and back. */
static float *pad_mat(struct refcase *c, const float *w, int m, int n, int mm, int nn) {
  float *p = filled(c, (int64_t)mm * nn, 0);
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) p[i * nn + j] = w[i * n + j];
  return p;
}
static float *unpad_mat(struct refcase *c, const float *w, int m, int n, int nn) {
  float *p = filled(c, (int64_t)m * n, 0);
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) p[i * n + j] = w[i * nn + j];
  return p;
}

static void check_mlp_grad(struct refcase *c, const float *x, int64_t n, int ch, int hidden) {
  const int wide = 2 * ch + 2, m = wide * hidden;
  float *rows = filled(c, n * wide, 0), *gamma = filled(c, wide, 0);
  float *g = pad_mat(c, ref_f32(c, NULL, "grad_out"), (int)n, ch, (int)n, wide);
  float *w1 = pad_mat(c, ref_f32(c, NULL, "w/fc1.weight"), hidden, ch, hidden, wide);
  float *w2 = pad_mat(c, ref_f32(c, NULL, "w/fc2.weight"), ch, hidden, wide, hidden);
  const double inv = padded_rows(x, n, ch, rows, gamma);
  double *want = padded_grad(c, rows, n, ch, inv, ref_f64(c, NULL, "grad_x"));
  for (int64_t i = 0; i < n * wide; i++) want[i] += (double)g[i];
  struct pt_mlp_grad a = {.x = rows, .g = g};
  a.f = (struct pt_mlp){.n = n, .c = wide, .hidden = hidden, .pre_norm = true, .gamma = gamma};
  a.f.beta = filled(c, wide, 0), a.f.b2 = filled(c, wide, 0);
  a.f.b1 = ref_f32(c, NULL, "w/fc1.bias");
  a.f.w1 = pack(c, w1, wide, hidden), a.w1_t = pack_back(c, w1, wide, hidden);
  a.f.w2 = pack(c, w2, hidden, wide), a.w2_t = pack_back(c, w2, hidden, wide);
  a.dgamma = filled(c, wide, 0), a.dbeta = filled(c, wide, 0), a.dw1 = filled(c, m, 0);
  a.db1 = filled(c, hidden, 0), a.dw2 = filled(c, m, 0), a.db2 = filled(c, wide, 0);
  RUN(c, mlp_grad, &a);
  ref_compare(c, "LayerNorm'(grad_x) + grad_out", g, want, n * wide, "float32_error|grad_x");
  check_grad(c, "grad/fc1.weight", unpad_mat(c, a.dw1, hidden, ch, wide));
  check_grad(c, "grad/fc1.bias", a.db1);
  check_grad(c, "grad/fc2.weight", unpad_mat(c, a.dw2, ch, hidden, hidden));
  check_grad(c, "grad/fc2.bias", unpad_mat(c, a.db2, 1, ch, wide));
}

static void run_mlp(struct refcase *c) {
  const struct pt_tensor *wt = ref_tensor(c, "w/fc1.weight");
  int hidden = (int)wt->shape[0], ch = (int)wt->shape[1];
  int64_t n;
  float *x = ref_f32(c, &n, "x");
  n /= ch;
  double *want = residual_norm(c, x, ref_f64(c, NULL, "y"), n, ch);
  struct pt_mlp a = {.n = n,
                     .c = ch,
                     .hidden = hidden,
                     .x = x,
                     .gamma = filled(c, ch, 1),
                     .beta = filled(c, ch, 0),
                     .w1 = pack(c, ref_f32(c, NULL, "w/fc1.weight"), ch, hidden),
                     .b1 = ref_f32(c, NULL, "w/fc1.bias"),
                     .w2 = pack(c, ref_f32(c, NULL, "w/fc2.weight"), hidden, ch),
                     .b2 = ref_f32(c, NULL, "w/fc2.bias")};
  if (ref_has(c, "grad_out")) check_mlp_grad(c, x, n, ch, hidden); /* before x is overwritten */
  RUN(c, mlp, &a);
  ref_compare(c, "LayerNorm(x + y)", x, want, n * ch, "float32_error|y");
  ref_check(c, n > 0, "empty");
}

/* ---- attention and blocks ---- */

static int patch_for(struct refcase *c, const struct points *p) {
  const char *layout = json_string_value(ref_meta(c, "layout"));
  int64_t k = (int64_t)ref_number(c, "patch_size_max", 0);
  if (layout && strncmp(layout, "flash", 5) == 0) return (int)k;
  for (int i = 0; i < p->s.clouds; i++)
    if (p->offset[i + 1] - p->offset[i] < k) k = p->offset[i + 1] - p->offset[i];
  return (int)k;
}

/* An attention step over the first stage of p with weights named w/<prefix>qkv.weight ... */
static struct pt_attention attention(struct refcase *c, const struct points *p, float *x,
                                     const char *prefix, int order) {
  const struct pt_stage *t = &p->s.stage[0];
  char name[60];
  snprintf(name, sizeof name, "w/%sproj.weight", prefix);
  int ch = (int)ref_tensor(c, name)->shape[0];
  struct pt_attention a = {
      .n = p->n,
      .c = ch,
      .heads = (int)ref_number(c, "heads", 1),
      .patch = patch_for(c, p),
      .clouds = p->s.clouds,
      .offset = t->offset,
      .order = t->order[t->curve[order]],
      .x = x,
      .qkv = pack(c, ref_f32(c, NULL, "w/%sqkv.weight", prefix), ch, 3 * ch),
      .proj = pack(c, ref_f32(c, NULL, "w/%sproj.weight", prefix), ch, ch),
      .proj_bias = ref_f32(c, NULL, "w/%sproj.bias", prefix),
      .coord = t->coord};
  if (ref_has(c, "w/%sqkv.bias", prefix)) a.qkv_bias = ref_f32(c, NULL, "w/%sqkv.bias", prefix);
  a.scale = (float)(1 / sqrt((double)(ch / a.heads)));
  if (ref_has(c, "w/%srpe.rpe_table", prefix)) {
    a.rpe = ref_f32(c, NULL, "w/%srpe.rpe_table", prefix);
    a.rpe_bound = pt_rpe_bound((int)ref_number(c, "patch_size_max", 0));
  }
  return a;
}

/* The keys of every patch, as a set, and its own positions, against the padding tables. */
static void check_patches(struct refcase *c, const struct pt_attention *a) {
  int64_t slots, bad = 0, total = pt_patch_total(a);
  int32_t *slot = ref_i32(c, &slots, "cu_seqlens"), *pad = ref_i32(c, NULL, "pad");
  int32_t *unpad = ref_i32(c, NULL, "unpad"), *seen = ref_alloc(c, a->n, sizeof *seen);
  ref_check(c, total == slots - 1, "%lld patches", (long long)total);
  memset(seen, 0, (size_t)a->n * sizeof *seen);
  for (int32_t p = 0; p < total && total == slots - 1; p++) {
    struct pt_patch q = pt_patch_at(a, p);
    bad += q.len != slot[p + 1] - slot[p];
    for (int32_t s = slot[p]; s < slot[p + 1]; s++) seen[pad[s]] = p + 1;
    for (int64_t j = q.first; j < q.first + q.len; j++) bad += seen[j] != p + 1;
    for (int64_t j = q.first + q.len - q.own; j < q.first + q.len; j++)
      bad += unpad[j] < slot[p] || unpad[j] >= slot[p + 1];
  }
  ref_check(c, !bad, "%lld places of patches differ", (long long)bad);
}

/* Columns 0 .. cols - 1 of rows from the i-th group of `step` rows, `rows` of each. */
static float *corner(struct refcase *c, const float *w, int ld, int groups, int step, int rows,
                     int cols) {
  float *y = ref_alloc(c, (int64_t)groups * rows * cols, 4);
  for (int i = 0; i < groups * rows; i++)
    memcpy(y + (int64_t)i * cols, w + (int64_t)(i / rows * step + i % rows) * ld,
           (size_t)cols * 4);
  return y;
}

/* The other way: rows of w [groups * rows, cols] into zeros. */
static float *widened(struct refcase *c, const float *w, int ld, int groups, int step, int rows,
                      int cols) {
  float *y = filled(c, (int64_t)groups * step * ld, 0);
  for (int i = 0; i < groups * rows; i++)
    memcpy(y + (int64_t)(i / rows * step + i % rows) * ld, w + (int64_t)i * cols,
           (size_t)cols * 4);
  return y;
}

/* Gradients of a LayerNorm's output that give t at its input s [n, ch], which is possible
 * where t has neither a mean nor a part along s: the last numbers of t are made so. */
static void before_norm(float *g, const double *s, const float *t, int64_t n, int ch, int few) {
  for (int64_t r = 0; r < n; r++, s += ch, g += ch, t += few) {
    double mean = 0, var = 0, sum = 0, along = 0, all = 0, one = 0, two = 0;
    for (int i = 0; i < ch; i++) mean += s[i] / ch;
    for (int i = 0; i < ch; i++) var += (s[i] - mean) * (s[i] - mean) / ch;
    for (int i = 0; i < few; i++) sum += (double)t[i], along += (double)t[i] * (s[i] - mean);
    for (int i = few; i < ch; i++)
      all += 1, one += s[i] - mean, two += (s[i] - mean) * (s[i] - mean);
    /* a + b (s - mean) in the last ones: all a + one b = -sum, one a + two b = -along */
    const double det = all * two - one * one;
    const double a = (-sum * two + along * one) / det, b = (-along * all + sum * one) / det;
    for (int i = 0; i < ch; i++)
      g[i] = (float)(sqrt(var + 1e-5) * (i < few ? (double)t[i] : a + b * (s[i] - mean)));
  }
}

/* What the forward op leaves for the one back. */
static void leave(struct refcase *c, struct pt_attention_grad *a) {
  struct pt_attention f = a->f;
  f.in = a->x;
  f.x = ref_alloc(c, f.n * f.c, 4);
  a->o = f.o = ref_alloc(c, f.n * f.c, 4);
  a->lse = f.lse = ref_alloc(c, f.n * f.heads, 4);
  RUN(c, attention, &f);
}

/* The recorded gradients of an attention without norm and residual. In post-norm form, with a
 * head more, whose channels go nowhere: they take what LayerNorm does not let through. */
static void check_attention_grad(struct refcase *c, const struct points *p,
                                 const struct pt_attention *f, const float *x) {
  const int d = f->c / f->heads, ch = f->c + d, few = f->c, heads = f->heads + 1;
  const int64_t table = f->rpe ? 3 * (2 * (int64_t)f->rpe_bound + 1) : 0;
  float *out = ref_f32(c, NULL, "grad_out"), *t = to_rows(c, p, out, few);
  float *wide = widened(c, to_rows(c, p, x, few), ch, 1, (int)p->n, (int)p->n, few);
  float *sum = ref_f32(c, NULL, "y"), *g = ref_alloc(c, p->n * ch, 4);
  sum = widened(c, to_rows(c, p, sum, few), ch, 1, (int)p->n, (int)p->n, few);
  double *s = ref_alloc(c, p->n * ch, 8);
  for (int64_t r = 0; r < p->n; r++)
    for (int i = few; i < ch; i++) wide[r * ch + i] = i % 2 ? 2.0f : -2.0f;
  for (int64_t i = 0; i < p->n * ch; i++) s[i] = (double)wide[i] + (double)sum[i];
  before_norm(g, s, t, p->n, ch, few);
  float *qkv = widened(c, ref_f32(c, NULL, "w/qkv.weight"), ch, 3, ch, few, few);
  float *proj = widened(c, ref_f32(c, NULL, "w/proj.weight"), ch, 1, ch, few, few);
  struct pt_attention_grad a = {.f = *f, .x = wide, .g = g};
  a.f.c = ch, a.f.heads = heads, a.f.x = NULL;
  a.f.gamma = filled(c, ch, 1), a.f.beta = filled(c, ch, 0);
  a.f.qkv = pack(c, qkv, ch, 3 * ch), a.qkv_t = pack_back(c, qkv, ch, 3 * ch);
  a.f.proj = pack(c, proj, ch, ch), a.proj_t = pack_back(c, proj, ch, ch);
  a.f.proj_bias = widened(c, f->proj_bias, ch, 1, 1, 1, few);
  if (f->qkv_bias) a.f.qkv_bias = widened(c, f->qkv_bias, 1, 3, ch, few, 1);
  if (f->rpe) a.f.rpe = widened(c, f->rpe, heads, 1, (int)table, (int)table, heads - 1);
  a.dgamma = filled(c, ch, 0), a.dbeta = filled(c, ch, 0);
  a.dqkv = filled(c, 3 * ch * ch, 0), a.dproj = filled(c, ch * ch, 0);
  a.dproj_bias = filled(c, ch, 0);
  if (f->qkv_bias) a.dqkv_bias = filled(c, 3 * ch, 0);
  if (f->rpe) a.drpe = filled(c, table * heads, 0);
  leave(c, &a);
  RUN(c, attention_grad, &a);
  g = corner(c, g, ch, 1, (int)p->n, (int)p->n, few);
  for (int64_t i = 0; i < p->n * few; i++) g[i] -= t[i]; /* the residual's */
  check_grad(c, "grad_x", from_rows(c, p, g, few));
  check_grad(c, "grad/qkv.weight", corner(c, a.dqkv, ch, 3, ch, few, few));
  check_grad(c, "grad/proj.weight", corner(c, a.dproj, ch, 1, ch, few, few));
  check_grad(c, "grad/proj.bias", a.dproj_bias);
  if (a.dqkv_bias) check_grad(c, "grad/qkv.bias", corner(c, a.dqkv_bias, 1, 3, ch, few, 1));
  if (a.drpe)
    check_grad(c, "grad/rpe.rpe_table",
               corner(c, a.drpe, heads, 1, (int)table, (int)table, heads - 1));
}

static void run_attention(struct refcase *c) {
  struct points p = structure(c, 1, NULL, all_orders, 4);
  float *x = ref_f32(c, NULL, "x"), *rows;
  const char *order = json_string_value(ref_meta(c, "order"));
  int o = 0;
  while (o < 3 && strcmp(all_orders[o], order) != 0) o++;
  struct pt_attention a = attention(c, &p, NULL, "", o);
  a.x = rows = to_rows(c, &p, x, a.c);
  a.gamma = filled(c, a.c, 1), a.beta = filled(c, a.c, 0);
  RUN(c, attention, &a);
  ref_compare(c, "LayerNorm(x + y)", from_rows(c, &p, rows, a.c),
              residual_norm(c, x, ref_f64(c, NULL, "y"), p.n, a.c), p.n * a.c,
              "float32_error|y");
  ref_check(c, a.patch == (int)ref_number(c, "patch_size_used", 0), "patch size %d", a.patch);
  check_patches(c, &a);
  if (ref_has(c, "grad_out")) check_attention_grad(c, &p, &a, x);
  pt_structure_free(c->env, &p.s);
}

/* The recorded gradients of a block's cpe, given that of its output. */
static void check_cpe_grad(struct refcase *c, const struct points *p, const struct pt_cpe *f,
                           float *g) {
  const int ch = f->c;
  float *dy = ref_alloc(c, p->n * ch, 4);
  struct pt_cpe_grad a = {.vox = f->vox,
                          .n = p->n,
                          .c = ch,
                          .in = f->in,
                          .g = g,
                          .dy = dy,
                          .conv_w = f->conv_w,
                          .conv_bias = f->conv_bias,
                          .w = f->w,
                          .bias = f->bias,
                          .gamma = f->gamma,
                          .wt = pack_back(c, ref_f32(c, NULL, "w/cpe.1.weight"), ch, ch),
                          .dw = filled(c, ch * ch, 0),
                          .dbias = filled(c, ch, 0),
                          .dgamma = filled(c, ch, 0),
                          .dbeta = filled(c, ch, 0)};
  RUN(c, cpe_grad, &a);
  struct pt_conv_grad b = conv_grad(c, p, f->in, dy, "w/cpe.0.weight", g);
  check_grad(c, "grad/cpe.0.weight", b.dw);
  check_grad(c, "grad/cpe.0.bias", b.dbias);
  check_grad(c, "grad/cpe.1.weight", a.dw);
  check_grad(c, "grad/cpe.1.bias", a.dbias);
  check_grad(c, "grad/cpe.2.weight", a.dgamma);
  check_grad(c, "grad/cpe.2.bias", a.dbeta);
  check_grad(c, "grad_x", from_rows(c, p, g, ch));
}

/* The recorded gradients of a block's mlp and attention, from the rows before each; returns
 * the gradient of those before attention, in our order. */
static float *check_block_grad(struct refcase *c, const struct points *p,
                               const struct pt_mlp *m, const float *between,
                               const struct pt_attention *f, const float *before) {
  const int ch = m->c, hidden = m->hidden;
  float *g = to_rows(c, p, ref_f32(c, NULL, "grad_out"), ch);
  struct pt_mlp_grad b = {.f = *m, .x = between, .g = g};
  b.w1_t = pack_back(c, ref_f32(c, NULL, "w/mlp.0.fc1.weight"), ch, hidden);
  b.w2_t = pack_back(c, ref_f32(c, NULL, "w/mlp.0.fc2.weight"), hidden, ch);
  b.dgamma = filled(c, ch, 0), b.dbeta = filled(c, ch, 0);
  b.dw1 = filled(c, hidden * ch, 0), b.db1 = filled(c, hidden, 0);
  b.dw2 = filled(c, hidden * ch, 0), b.db2 = filled(c, ch, 0);
  RUN(c, mlp_grad, &b);
  struct pt_attention_grad a = {.f = *f, .x = before, .g = g};
  const int64_t table = f->rpe ? 3 * (2 * (int64_t)f->rpe_bound + 1) * f->heads : 0;
  a.qkv_t = pack_back(c, ref_f32(c, NULL, "w/attn.qkv.weight"), ch, 3 * ch);
  a.proj_t = pack_back(c, ref_f32(c, NULL, "w/attn.proj.weight"), ch, ch);
  a.dgamma = filled(c, ch, 0), a.dbeta = filled(c, ch, 0);
  a.dqkv = filled(c, 3 * ch * ch, 0), a.dproj = filled(c, ch * ch, 0);
  a.dproj_bias = filled(c, ch, 0);
  if (f->qkv_bias) a.dqkv_bias = filled(c, 3 * ch, 0);
  if (f->rpe) a.drpe = filled(c, table, 0);
  leave(c, &a);
  RUN(c, attention_grad, &a);
  check_grad(c, "grad/norm2.0.weight", b.dgamma);
  check_grad(c, "grad/norm2.0.bias", b.dbeta);
  check_grad(c, "grad/mlp.0.fc1.weight", b.dw1);
  check_grad(c, "grad/mlp.0.fc1.bias", b.db1);
  check_grad(c, "grad/mlp.0.fc2.weight", b.dw2);
  check_grad(c, "grad/mlp.0.fc2.bias", b.db2);
  check_grad(c, "grad/norm1.0.weight", a.dgamma);
  check_grad(c, "grad/norm1.0.bias", a.dbeta);
  check_grad(c, "grad/attn.qkv.weight", a.dqkv);
  check_grad(c, "grad/attn.proj.weight", a.dproj);
  check_grad(c, "grad/attn.proj.bias", a.dproj_bias);
  if (a.dqkv_bias) check_grad(c, "grad/attn.qkv.bias", a.dqkv_bias);
  if (a.drpe) check_grad(c, "grad/attn.rpe.rpe_table", a.drpe);
  return g;
}

static float *copied(struct refcase *c, const float *x, int64_t n) {
  float *y = ref_alloc(c, n, 4);
  memcpy(y, x, (size_t)n * 4);
  return y;
}

static void run_block(struct refcase *c) {
  struct points p = structure(c, 1, NULL, all_orders, 4);
  int ch = (int)ref_number(c, "channels", 0);
  int hidden = (int)(ch * ref_number(c, "mlp_ratio", 4));
  bool pre = json_is_true(ref_meta(c, "pre_norm"));
  float *x = to_rows(c, &p, ref_f32(c, NULL, "x"), ch), *y = ref_alloc(c, p.n * ch, 4);
  struct pt_cpe cpe = {
      .vox = &p.s.stage[0].vox,
      .n = p.n,
      .c = ch,
      .in = x,
      .res = x,
      .out = y,
      .conv_w = pack_conv(c, ref_f32(c, NULL, "w/cpe.0.weight"), 3, 3, ch, ch, NULL),
      .conv_bias = ref_f32(c, NULL, "w/cpe.0.bias"),
      .w = pack(c, ref_f32(c, NULL, "w/cpe.1.weight"), ch, ch),
      .bias = ref_f32(c, NULL, "w/cpe.1.bias"),
      .gamma = ref_f32(c, NULL, "w/cpe.2.weight"),
      .beta = ref_f32(c, NULL, "w/cpe.2.bias")};
  RUN(c, cpe, &cpe);
  struct pt_attention att = attention(c, &p, y, "attn.", (int)ref_number(c, "order_index", 0));
  att.pre_norm = pre;
  att.gamma = ref_f32(c, NULL, "w/norm1.0.weight"),
  att.beta = ref_f32(c, NULL, "w/norm1.0.bias");
  float *before = copied(c, y, p.n * ch);
  RUN(c, attention, &att);
  float *between = copied(c, y, p.n * ch);
  struct pt_mlp mlp = {.n = p.n,
                       .c = ch,
                       .hidden = hidden,
                       .x = y,
                       .pre_norm = pre,
                       .gamma = ref_f32(c, NULL, "w/norm2.0.weight"),
                       .beta = ref_f32(c, NULL, "w/norm2.0.bias"),
                       .w1 = pack(c, ref_f32(c, NULL, "w/mlp.0.fc1.weight"), ch, hidden),
                       .b1 = ref_f32(c, NULL, "w/mlp.0.fc1.bias"),
                       .w2 = pack(c, ref_f32(c, NULL, "w/mlp.0.fc2.weight"), hidden, ch),
                       .b2 = ref_f32(c, NULL, "w/mlp.0.fc2.bias")};
  RUN(c, mlp, &mlp);
  ref_compare(c, "y", from_rows(c, &p, y, ch), ref_f64(c, NULL, "y"), p.n * ch,
              "float32_error|y");
  check_cpe_grad(c, &p, &cpe, check_block_grad(c, &p, &mlp, between, &att, before));
  ref_check(c, p.s.stage[0].n == p.n, "rows");
  pt_structure_free(c->env, &p.s);
}

/* ---- pooling ---- */

/* Our pooled row of each of the case's, through `cluster` and the input order. */
static int32_t *match_pooled(struct refcase *c, const struct points *p) {
  const struct pt_stage *t = &p->s.stage[0];
  int32_t *cluster = ref_i32(c, NULL, "cluster"), bad = 0;
  int32_t *ours = ref_alloc(c, p->s.stage[1].n + 1, 4);
  memset(ours, -1, (size_t)(p->s.stage[1].n + 1) * 4);
  for (int64_t r = 0; r < p->n; r++) {
    int32_t theirs = cluster[p->s.input[r]];
    if (ours[theirs] < 0) ours[theirs] = t->cluster[r];
    bad += ours[theirs] != t->cluster[r];
  }
  ref_check(c, !bad, "%d rows pool elsewhere", bad);
  return ours;
}

/* The backward pass of a BatchNorm w/<name>: g [n, ch], of its output in, of y out. */
static void check_batchnorm_grad(struct refcase *c, const char *name, const float *y,
                                 const float *stats, float *g, int64_t n, int ch) {
  char text[60];
  struct pt_batchnorm_grad a = {.n = n, .c = ch, .y = y, .stats = stats, .g = g};
  a.gamma = ref_f32(c, NULL, "w/%sweight", name), a.beta = ref_f32(c, NULL, "w/%sbias", name);
  a.dgamma = filled(c, ch, 0), a.dbeta = filled(c, ch, 0);
  RUN(c, batchnorm_grad, &a);
  snprintf(text, sizeof text, "grad/%sweight", name);
  check_grad(c, text, a.dgamma);
  snprintf(text, sizeof text, "grad/%sbias", name);
  check_grad(c, text, a.dbeta);
}

/* The same as training computes it, forward and backward; a: the op of evaluation. */
static void check_pooling_train(struct refcase *c, const struct points *p, struct pt_pool a,
                                const int32_t *ours, const float *w) {
  float *y = ref_alloc(c, a.m * a.c, 4), *stats = ref_alloc(c, 2 * a.c, 4);
  float *back = ref_alloc(c, a.m * a.c, 4), *g = ref_alloc(c, a.m * a.c, 4);
  const float *grad = ref_f32(c, NULL, "grad_out");
  const size_t row = (size_t)a.c * 4;
  a.raw = true, a.g = a.shift = NULL, a.out = y;
  RUN(c, pool, &a);
  const float *out = run_batchnorm(c, "w/norm.0.", y, a.m, a.c, stats);
  for (int64_t i = 0; i < a.m; i++) {
    memcpy(back + i * a.c, out + (int64_t)ours[i] * a.c, row);
    memcpy(g + (int64_t)ours[i] * a.c, grad + i * a.c, row);
  }
  ref_compare(c, "y in training", back, ref_f64(c, NULL, "y"), a.m * a.c, "float32_error|y");
  check_batchnorm_grad(c, "norm.0.", y, stats, g, a.m, a.c);
  struct pt_pool_grad b = {.n = a.n, .m = a.m, .in = a.in, .c = a.c, .x = a.x, .g = g};
  b.start = a.start, b.row = a.row, b.w = a.w, b.bias = a.bias;
  b.wt = pack_back(c, w, a.in, a.c), b.dx = ref_alloc(c, a.n * a.in, 4);
  b.dw = filled(c, (int64_t)a.in * a.c, 0), b.db = filled(c, a.c, 0);
  RUN(c, pool_grad, &b);
  check_grad(c, "grad_x", from_rows(c, p, b.dx, a.in));
  check_grad(c, "grad/proj.weight", b.dw);
  check_grad(c, "grad/proj.bias", b.db);
}

static void run_pooling(struct refcase *c) {
  const char *orders[PT_MAX_ORDERS];
  json_t *list = ref_meta(c, "orders");
  int count = (int)json_array_size(list), stride = (int)ref_number(c, "stride", 2);
  for (int i = 0; i < count; i++)
    orders[i] = json_string_value(json_array_get(list, (size_t)i));
  struct points p = structure(c, 2, &stride, orders, count);
  const struct pt_tensor *wt = ref_tensor(c, "w/proj.weight");
  int out = (int)wt->shape[0], in = (int)wt->shape[1];
  const struct pt_stage *t = &p.s.stage[0], *u = &p.s.stage[1];
  int64_t m;
  int32_t *want_coord = ref_i32(c, &m, "out_grid_coord");
  m /= 3;
  ref_check(c, m == u->n, "%lld pooled rows", (long long)u->n);
  int32_t *ours = match_pooled(c, &p);
  float *x = ref_f32(c, NULL, "x"), *w = ref_f32(c, NULL, "w/proj.weight");
  float *b = ref_f32(c, NULL, "w/proj.bias");
  double *y = linear(c, to_rows(c, &p, x, in), p.n, in, out, w, b);
  double *most = ref_alloc(c, m * out, 8);
  for (int64_t i = 0; i < m * out; i++) most[i] = -INFINITY;
  for (int64_t r = 0; r < p.n; r++)
    for (int o = 0; o < out; o++)
      most[t->cluster[r] * out + o] = fmax(most[t->cluster[r] * out + o], y[r * out + o]);
  float *g = ref_alloc(c, out, 4), *shift = ref_alloc(c, out, 4),
        *got = ref_alloc(c, m * out, 4);
  batchnorm(c, "w/norm.0.", most, m, out, g, shift);
  struct pt_pool a = {.n = p.n,
                      .m = m,
                      .in = in,
                      .c = out,
                      .x = to_rows(c, &p, x, in),
                      .start = t->start,
                      .row = t->row,
                      .out = got,
                      .w = pack(c, w, in, out),
                      .bias = b,
                      .g = g,
                      .shift = shift};
  RUN(c, pool, &a);
  float *back = ref_alloc(c, m * out, 4);
  int64_t coord_bad = 0;
  for (int64_t i = 0; i < m; i++) {
    memcpy(back + i * out, got + (int64_t)ours[i] * out, (size_t)out * 4);
    coord_bad += memcmp(want_coord + 3 * i, u->coord + 3 * (int64_t)ours[i], 12) != 0;
  }
  ref_check(c, !coord_bad, "%lld pooled coordinates differ", (long long)coord_bad);
  ref_compare(c, "y", back, ref_f64(c, NULL, "y"), m * out, "float32_error|y");
  if (ref_has(c, "grad_out")) check_pooling_train(c, &p, a, ours, w);
  pt_structure_free(c->env, &p.s);
}

static struct pt_mat folded(struct refcase *c, const char *name, const float *x, int64_t n,
                            float **bias) {
  char weight[60], norm[60];
  snprintf(weight, sizeof weight, "w/%s.0.weight", name);
  snprintf(norm, sizeof norm, "w/%s.1.", name);
  int out = (int)ref_tensor(c, weight)->shape[0], in = (int)ref_tensor(c, weight)->shape[1];
  float *w = ref_f32(c, NULL, "%s", weight), *b = ref_f32(c, NULL, "w/%s.0.bias", name);
  float *g = ref_alloc(c, out, 4), *shift = ref_alloc(c, out, 4);
  batchnorm(c, norm, linear(c, x, n, in, out, w, b), n, out, g, shift);
  for (int o = 0; o < out; o++) {
    for (int i = 0; i < in; i++) w[o * in + i] *= g[o];
    b[o] = b[o] * g[o] + shift[o];
  }
  *bias = b;
  return pack(c, w, in, out);
}

/* One branch of an unpooling in training: x W + b, its BatchNorm and GELU. */
struct branch {
  const char *name; /* "proj" */
  int64_t n;
  int in, out;
  const float *x;
  float *y, *stats;
};

static float *branch_forward(struct refcase *c, struct branch *b, const char *name,
                             const float *x, int64_t n, const float *up,
                             const int32_t *cluster) {
  const struct pt_tensor *wt;
  char text[60];
  snprintf(text, sizeof text, "w/%s.0.weight", name);
  wt = ref_tensor(c, text);
  *b = (struct branch){name, n, (int)wt->shape[1], (int)wt->shape[0], x, NULL, NULL};
  b->y = ref_alloc(c, n * b->out, 4), b->stats = ref_alloc(c, 2 * b->out, 4);
  struct pt_unpool a = {.n = n, .in = b->in, .c = b->out, .x = x, .out = b->y, .raw = true};
  a.w = pack(c, ref_f32(c, NULL, "w/%s.0.weight", name), b->in, b->out);
  a.bias = ref_f32(c, NULL, "w/%s.0.bias", name);
  RUN(c, unpool, &a);
  snprintf(text, sizeof text, "w/%s.1.", name);
  float *out = run_batchnorm(c, text, b->y, n, b->out, b->stats);
  if (!up) return out;
  struct pt_batchnorm s = {.n = n, .c = b->out, .y = b->y, .up = up, .cluster = cluster};
  s.gamma = ref_f32(c, NULL, "w/%s.1.weight", name);
  s.beta = ref_f32(c, NULL, "w/%s.1.bias", name);
  s.eps = 1e-3f, s.stats = b->stats, s.out = out;
  RUN(c, batchnorm, &s);
  return out;
}

/* g: gradient of the branch's output; returns that of x. */
static float *branch_backward(struct refcase *c, const struct branch *b, float *g) {
  char text[60];
  snprintf(text, sizeof text, "%s.1.", b->name);
  check_batchnorm_grad(c, text, b->y, b->stats, g, b->n, b->out);
  struct pt_linear_grad a = {.n = b->n, .in = b->in, .c = b->out, .x = b->x, .g = g};
  a.ldw = b->in;
  a.wt = pack_back(c, ref_f32(c, NULL, "w/%s.0.weight", b->name), b->in, b->out);
  a.dx = ref_alloc(c, b->n * b->in, 4);
  a.dw = filled(c, (int64_t)b->in * b->out, 0), a.db = filled(c, b->out, 0);
  RUN(c, linear_grad, &a);
  snprintf(text, sizeof text, "grad/%s.0.weight", b->name);
  check_grad(c, text, a.dw);
  snprintf(text, sizeof text, "grad/%s.0.bias", b->name);
  check_grad(c, text, a.db);
  return a.dx;
}

/* Rows of x [n, ch] by place: y[i] = x[place[i]], or back again. */
static float *by_place(struct refcase *c, const float *x, int64_t n, int ch,
                       const int32_t *place, bool back) {
  float *y = ref_alloc(c, n * ch, 4);
  for (int64_t i = 0; i < n; i++)
    memcpy(y + (back ? place[i] : i) * ch, x + (back ? i : place[i]) * ch, (size_t)ch * 4);
  return y;
}

/* As training computes it. Rows are put in the order of their clusters, as ours lie. */
static void check_unpooling_train(struct refcase *c, const float *skip, int64_t n,
                                  const float *coarse, int64_t m, const int32_t *cluster) {
  int32_t *place = ref_alloc(c, n, 4), *sorted = ref_alloc(c, n, 4);
  int32_t *start = ref_alloc(c, m + 1, 4), at = 0;
  for (int32_t s = 0; s < m; s++) {
    start[s] = at;
    for (int32_t r = 0; r < n; r++)
      if (cluster[r] == s) sorted[at] = s, place[at++] = r;
  }
  start[m] = at;
  struct branch up, own;
  const int in = (int)ref_tensor(c, "x_skip")->shape[1];
  const float *x_up = branch_forward(c, &up, "proj", coarse, m, NULL, NULL);
  const float *x = by_place(c, skip, n, in, place, false);
  const float *y = branch_forward(c, &own, "proj_skip", x, n, x_up, sorted);
  ref_compare(c, "y in training", by_place(c, y, n, own.out, place, true),
              ref_f64(c, NULL, "y"), n * own.out, "float32_error|y");
  float *g = by_place(c, ref_f32(c, NULL, "grad_out"), n, own.out, place, false);
  struct pt_up_grad a = {.n = n, .m = m, .c = own.out, .g = g, .start = start};
  float *g_up = a.dx = ref_alloc(c, m * own.out, 4);
  RUN(c, up_grad, &a);
  check_grad(c, "grad_x_coarse", branch_backward(c, &up, g_up));
  check_grad(c, "grad_x_skip", by_place(c, branch_backward(c, &own, g), n, in, place, true));
}

static void run_unpooling(struct refcase *c) {
  const struct pt_tensor *ts = ref_tensor(c, "x_skip"), *tc = ref_tensor(c, "x_coarse");
  float *skip = ref_f32(c, NULL, "x_skip"), *coarse = ref_f32(c, NULL, "x_coarse"), *b;
  int32_t *cluster = ref_i32(c, NULL, "cluster");
  struct pt_mat w = folded(c, "proj", coarse, tc->shape[0], &b);
  float *up = run_unpool(c, coarse, tc->shape[0], w, b, NULL, NULL);
  w = folded(c, "proj_skip", skip, ts->shape[0], &b);
  int64_t n = ts->shape[0] * w.n;
  ref_compare(c, "y", run_unpool(c, skip, ts->shape[0], w, b, up, cluster),
              ref_f64(c, NULL, "y"), n, "float32_error|y");
  ref_compare(c, "sparse_conv_feat", run_unpool(c, skip, ts->shape[0], w, b, NULL, NULL),
              ref_f64(c, NULL, "sparse_conv_feat"), n, "float32_error|y");
  if (ref_has(c, "grad_out"))
    check_unpooling_train(c, skip, ts->shape[0], coarse, tc->shape[0], cluster);
}

/* ---- curves ---- */

static void check_codes(struct refcase *c, const char *set, int depth) {
  int64_t n;
  int32_t *coord = ref_i32(c, &n, "%s/grid_coord", set),
          *batch = ref_i32(c, NULL, "%s/batch", set);
  n /= 3;
  int64_t *got = ref_alloc(c, n, 8);
  for (int o = 0; o < 4; o++) {
    int64_t *want = ref_i64(c, NULL, "%s/code/%s", set, all_orders[o]);
    for (int64_t i = 0; i < n; i++)
      got[i] = (int64_t)((uint64_t)batch[i] << 3 * depth |
                         pt_curve_code((enum pt_curve)o, coord + 3 * i, depth));
    ref_compare_i64(c, all_orders[o], got, want, n);
  }
}

static void run_serialization(struct refcase *c) {
  for (int64_t i = 0; i < c->data.count; i++) {
    char set[100];
    int depth;
    const char *name = c->data.item[i].name, *cut = strstr(name, "/grid_coord");
    if (!cut || cut - name > 90) continue;
    snprintf(set, sizeof set, "%.*s", (int)(cut - name), name);
    if (sscanf(set, "random/d%d", &depth) == 1 || sscanf(set, "structured/d%d", &depth) == 1)
      check_codes(c, set, depth);
  }
  size_t i;
  json_t *pair;
  json_array_foreach(ref_meta(c, "depth_rule_max_coord_to_depth"), i, pair) {
    int64_t max = json_integer_value(json_array_get(pair, 0));
    int want = (int)json_integer_value(json_array_get(pair, 1));
    ref_check(c, pt_curve_depth(max, 0) == want, "depth of %lld", (long long)max);
  }
}

const struct refkind refkinds_ops[] = {
    {"space-filling-curve codes", run_serialization},
    {"SubMConv3d forward", run_conv},
    {"Embedding:", run_embedding},
    {"GELU", run_gelu},
    {"BatchNorm1d eval", run_batchnorm_eval},
    {"BatchNorm1d train", run_batchnorm_train},
    {"LayerNorm", run_layernorm},
    {"Linear y", run_linear},
    {"MLP", run_mlp},
    {"SerializedAttention", run_attention},
    {"Block:", run_block},
    {"SerializedPooling", run_pooling},
    {"SerializedUnpooling", run_unpooling},
    {NULL, NULL},
};
