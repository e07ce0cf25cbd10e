/* test_kernels_ops.c - each fast kernel against its reference on random data, odd sizes
 * included; its bits equal for all numbers of threads and tile sizes, and for AVX2,
 * AVX-512 and, in float, AVX-512 BF16; nothing written outside of the output and the scratch
 * asked for. Attention has a test of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "cpe.h"
#include "embed.h"
#include "head.h"
#include "kernels.h"
#include "mlp.h"
#include "ops_made.h"
#include "pool.h"
#include "unpool.h"

typedef void run_fn(const struct pt_kernels *, const void *, const struct pt_exec *);
typedef int64_t scratch_fn(const struct pt_kernels *, const void *, int);

struct versions {
  const char *name;
  run_fn *run;
  scratch_fn *scratch;
};

#define OP(op)                                                                               \
  static void run_##op(const struct pt_kernels *k, const void *a, const struct pt_exec *x) { \
    k->op(a, x);                                                                             \
  }                                                                                          \
  static int64_t scratch_##op(const struct pt_kernels *k, const void *a, int tile) {         \
    return k->op##_scratch(a, tile);                                                         \
  }                                                                                          \
  static const struct versions op_##op = {#op, run_##op, scratch_##op};
OP(embed)
OP(cpe)
OP(mlp)
OP(pool)
OP(unpool)
OP(head)

enum { CANARY = 64 };

/* The tables of this processor; [0] is the reference. */
static int version_count(void) {
  int count;
  pt_kernel_tables(&count);
  return count;
}

static const struct pt_kernels *version_at(int v) {
  int count;
  return pt_kernel_tables(&count)[v];
}

/* The output buffer of a case: `out` is inside the arguments, so it stays in place. */
struct output {
  float *out;          /* [n] and CANARY numbers behind */
  const float *before; /* [n] what it holds before a run, or NULL: not-a-numbers */
  int64_t n;
};

static void run_once(const struct versions *op, int version, const void *args, struct output *o,
                     int threads, int tile) {
  int64_t stride = (op->scratch(version_at(version), args, tile) + 63) / 64 * 64;
  char *scratch = made_room(stride * threads + CANARY);
  memset(scratch, 0xff, (size_t)(stride * threads + CANARY));
  for (int64_t i = 0; i < o->n + CANARY; i++) o->out[i] = i < o->n ? NAN : 7.0f;
  if (o->before) memcpy(o->out, o->before, (size_t)o->n * sizeof(float));
  struct pt_exec x = {
      .threads = threads, .tile = tile, .scratch = scratch, .scratch_stride = stride};
  op->run(version_at(version), args, &x);
  for (int i = 0; i < CANARY; i++) {
    if (o->out[o->n + i] != 7.0f) fail_msg("%s: wrote past its output", op->name);
    if (scratch[stride * threads + i] != (char)0xff)
      fail_msg("%s: wrote past its scratch", op->name);
  }
  free(scratch);
}

static void compare(const struct versions *op, int version, const float *want,
                    const struct output *o, double tolerance) {
  for (int64_t i = 0; i < o->n; i++) {
    double error = fabs((double)o->out[i] - (double)want[i]);
    if (!(error <= tolerance * (1.0 + fabs((double)want[i]))))
      fail_msg("%s version %d: number %lld is %.9g, not %.9g", op->name, version, (long long)i,
               (double)o->out[i], (double)want[i]);
  }
}

static void check_op(const struct versions *op, const void *args, struct output *o,
                     double tolerance) {
  static const int threads[] = {1, 2, 4}, tiles[] = {0, 1, 7, 64, 1000};
  const size_t bytes = (size_t)o->n * sizeof(float);
  float *want = made_room((int64_t)bytes), *first = made_room((int64_t)bytes);
  run_once(op, 0, args, o, 1, 0);
  memcpy(want, o->out, bytes);
  for (int64_t i = 0; i < o->n; i++) assert_true(isfinite(want[i]));
  for (int v = 0; v < version_count(); v++)
    for (int t = 0; t < 15; t += v == 0 || v > 3 ? 14 : 1) {
      run_once(op, v, args, o, threads[t % 3], tiles[t / 3]);
      compare(op, v, want, o, tolerance);
      bool fresh = t == 0 && v < 3; /* all with float must equal version 2 */
      if (!fresh && memcmp(first, o->out, bytes))
        fail_msg("%s version %d: other bits with %d threads, tile %d", op->name, v,
                 threads[t % 3], tiles[t / 3]);
      memcpy(first, o->out, bytes);
    }
  free(want), free(first);
}

static struct output output_of(int64_t n, const float *before) {
  return (struct output){made_room((n + CANARY) * 4), before, n};
}

static const int odd[] = {1, 6, 8, 13, 24, 40, 64};
static const int64_t few[] = {0, 1, 2, 61, 300};

static void mlp_case(int64_t n, int c, int hidden, bool pre_norm, bool branch) {
  float *w1, *w2, *x = made_floats(n * c, 0.3f, 2.0f);
  float *b1 = made_floats(hidden, 0.0f, 0.2f), *b2 = made_floats(c, 0.0f, 0.2f);
  float *gamma = made_floats(c, 1.0f, 0.4f), *beta = made_floats(c, 0.0f, 0.2f);
  struct output o = output_of(n * c, x);
  struct pt_mlp a = {.n = n,
                     .c = c,
                     .hidden = hidden,
                     .x = o.out,
                     .pre_norm = pre_norm,
                     .gamma = gamma,
                     .beta = beta,
                     .b1 = b1,
                     .b2 = b2};
  a.w1 = made_mat(1, c, hidden, &w1);
  a.w2 = made_mat(1, hidden, c, &w2);
  float *side = made_floats((n + 1) * c, 0.0f, 1.0f);
  if (branch) a.branch = side;
  check_op(&op_mlp, &a, &o, 4e-6 + 2e-7 * sqrt((double)hidden)); /* a random walk */
  for (int64_t i = 0; branch && i < n * c; i++)
    if (!(fabsf(side[i] + x[i] - o.out[i]) <= 1e-6f))
      fail_msg("mlp: the branch is not what was added, at %lld", (long long)i);
  free(side);
  free(w1), free(w2), free(x), free(b1), free(b2), free(gamma), free(beta), free(o.out);
}

static void test_mlp(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
    for (size_t n = 0; n < sizeof few / sizeof *few; n++)
      mlp_case(few[n], odd[i], odd[i] * 4 - (int)(i % 2), (i + n) % 2,
               (i + n) % 2 && i % 3 == 0);
  mlp_case(70, 512, 2048, true, true);
}

static void unpool_case(int64_t n, int in, int c, bool with_up) {
  const int64_t m = n / 3 + 1;
  float *w, *x = made_floats(n * in, 0.0f, 2.0f), *up = made_floats(m * c, 0.0f, 1.0f);
  float *bias = made_floats(c, 0.0f, 0.2f);
  int32_t *cluster = made_room(n * 4);
  for (int64_t i = 0; i < n; i++) cluster[i] = (int32_t)(made_bits() % (uint64_t)m);
  struct output o = output_of(n * c, NULL);
  struct pt_unpool a = {.n = n,
                        .in = in,
                        .c = c,
                        .x = x,
                        .up = with_up ? up : NULL,
                        .cluster = with_up ? cluster : NULL,
                        .out = o.out,
                        .w = made_mat(1, in, c, &w),
                        .bias = bias};
  check_op(&op_unpool, &a, &o, 2e-6 + 2e-7 * sqrt((double)in));
  free(w), free(x), free(up), free(bias), free(cluster), free(o.out);
}

static void test_unpool(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
    for (size_t n = 0; n < sizeof few / sizeof *few; n++)
      unpool_case(few[n], odd[i] * 2, odd[i], (i + n) % 2);
  unpool_case(130, 512, 256, true);
}

static void head_case(int64_t n, int sources, int classes) {
  float *w, *x[PT_HEAD_SOURCES], *bias = made_floats(classes, 0.0f, 0.2f);
  int32_t *map = made_room(n * 4);
  struct output o = output_of(n * classes, NULL);
  struct pt_head a = {
      .n = n, .sources = sources, .classes = classes, .bias = bias, .out = o.out};
  const int64_t m = n / 2 + 1;
  int k = 0;
  for (int64_t i = 0; i < n; i++) map[i] = (int32_t)(made_bits() % (uint64_t)m);
  for (int s = 0; s < sources; s++) {
    int c = 5 + 13 * s;
    x[s] = made_floats((n + 1) * c, 0.0f, 2.0f);
    a.src[s].x = x[s];
    a.src[s].map = s || sources == 2 ? map : NULL;
    a.src[s].c = c;
    k += c;
  }
  a.w = made_mat(1, k, classes, &w);
  check_op(&op_head, &a, &o, 2e-6);
  for (int s = 0; s < sources; s++) free(x[s]);
  free(w), free(map), free(bias), free(o.out);
}

static void test_head(void **state) {
  (void)state;
  for (size_t n = 0; n < sizeof few / sizeof *few; n++)
    for (int s = 1; s <= PT_HEAD_SOURCES; s += 1 + s / 3)
      head_case(few[n], s, 13 + 7 * (s - 1));
}

/* Segments of 1 .. 8 rows, and one far longer than a tile. */
static void pool_case(int64_t m, int in, int c, bool permuted) {
  int32_t *start = made_room((m + 1) * 4), *row = made_room(m * 4);
  start[0] = 0;
  for (int64_t s = 0; s < m; s++) {
    start[s + 1] = start[s] + (s == 1 ? 333 : 1 + (int32_t)(made_bits() % 8));
    row[s] = (int32_t)((s * 7 + 5) % m);
  }
  while (permuted && m % 7 == 0) permuted = false; /* 7 s + 5 would repeat */
  const int64_t n = start[m];
  float *w, *x = made_floats(n * in, 0.0f, 2.0f), *bias = made_floats(c, 0.0f, 0.2f);
  float *g = made_floats(c, 0.0f, 1.5f), *shift = made_floats(c, 0.0f, 0.2f);
  struct output o = output_of(m * c, NULL);
  struct pt_pool a = {.n = n,
                      .m = m,
                      .in = in,
                      .c = c,
                      .x = x,
                      .start = start,
                      .row = permuted ? row : NULL,
                      .out = o.out,
                      .bias = bias,
                      .g = g,
                      .shift = shift};
  a.w = made_mat(1, in, c, &w);
  check_op(&op_pool, &a, &o, 2e-6);
  free(w), free(x), free(bias), free(g), free(shift), free(start), free(row), free(o.out);
}

static void test_pool(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
    for (size_t n = 0; n < sizeof few / sizeof *few; n++)
      pool_case(few[n], odd[i], odd[i] * 2, (i + n) % 2);
}

/* Two clouds over the same coordinates, so that a neighbour in the wrong one would be
 * noticed: a surface, and a full cube of 9^3 with far single voxels. */
static struct made_cloud cloud_of(int kind) {
  struct made_voxel *v = made_room(8000 * (int64_t)sizeof *v);
  int32_t *coord = made_room(8000 * 12);
  int64_t offset[3] = {0, 0, 0}, n = 0;
  struct made_cloud c;
  if (kind >= 2) offset[1] = made_sort(v, made_surface(kind == 2 ? 10 : 21, v), coord);
  if (kind == 1) v[n++] = (struct made_voxel){0, {5, 6, 7}};
  for (int i = 0; kind == 3 && i < 729; i++)
    v[n++] = (struct made_voxel){0, {i / 81, i / 9 % 9, i % 9}};
  for (int i = 0; kind >= 2 && i < 20; i++)
    v[n++] = (struct made_voxel){0, {40 * i, 3000 + i, (1 << 21) - 1 - i * (i % 3)}};
  offset[2] = offset[1] + made_sort(v, n, coord + 3 * offset[1]);
  made_index(&c, coord, offset, 2);
  free(v);
  return c;
}

static void cpe_case(const struct made_cloud *cloud, int c, int mode) {
  const int64_t n = cloud->vox.n;
  float *w, *conv_w, *in = made_floats(n * c, 0.0f, 1.5f),
                     *res = made_floats(n * c, 0.0f, 1.5f);
  float *up = made_floats((n / 4 + 1) * c, 0.0f, 1.0f), *cb = made_floats(c, 0.0f, 0.2f);
  float *bias = made_floats(c, 0.0f, 0.2f), *gamma = made_floats(c, 1.0f, 0.4f);
  float *beta = made_floats(c, 0.0f, 0.2f);
  int32_t *cluster = made_room(n * 4);
  for (int64_t i = 0; i < n; i++) cluster[i] = (int32_t)(i / 4);
  struct output o = output_of(n * c, mode == 1 ? res : NULL);
  struct pt_cpe a = {.vox = &cloud->vox,
                     .n = n,
                     .c = c,
                     .in = in,
                     .out = o.out,
                     .res = mode == 1   ? o.out
                            : mode == 0 ? in
                                        : res,
                     .up = mode ? up : NULL,
                     .cluster = cluster,
                     .conv_w = made_mat(27, c, c, &conv_w),
                     .conv_bias = cb,
                     .bias = bias,
                     .gamma = gamma,
                     .beta = beta};
  a.w = made_mat(1, c, c, &w);
  /* LayerNorm over one or few channels divides by almost nothing. */
  check_op(&op_cpe, &a, &o, c < 8 ? 3e-4 : 2e-5);
  free(w), free(conv_w), free(in), free(res), free(up), free(cb), free(bias), free(gamma);
  free(beta), free(cluster), free(o.out);
}

static void test_cpe(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    struct made_cloud cloud = cloud_of(kind);
    for (int i = 0; i < (kind == 3 ? 4 : 7); i++) cpe_case(&cloud, odd[i], (i + kind) % 3);
    made_free(&cloud);
  }
}

static void embed_case(const struct made_cloud *cloud, int in, int c) {
  const int64_t n = cloud->vox.n;
  float *w, *x = made_floats(n * in, 0.0f, 1.0f), *bias = made_floats(c, 0.0f, 0.2f);
  struct output o = output_of(n * c, NULL);
  struct pt_embed a = {.vox = &cloud->vox,
                       .n = n,
                       .in = in,
                       .c = c,
                       .x = x,
                       .w = made_mat(125, in, c, &w),
                       .bias = bias,
                       .out = o.out};
  check_op(&op_embed, &a, &o, 1e-5);
  free(w), free(x), free(bias), free(o.out);
}

static void test_embed(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    struct made_cloud cloud = cloud_of(kind);
    embed_case(&cloud, 4, 13);
    embed_case(&cloud, 6, 32);
    if (kind < 3) embed_case(&cloud, 9, 48);
    if (kind < 3) embed_case(&cloud, 1, 1);
    made_free(&cloud);
  }
}

/* 700 rows at one place, which no grid sampling gives: the lists must still hold them. */
static void test_same_place(void **state) {
  (void)state;
  enum { N = 700, C = 8 };
  const int64_t offset[2] = {0, N};
  struct made_cloud cloud;
  made_index(&cloud, memset(made_room(N * 12), 0, N * 12), offset, 1);
  float *w, *x = made_floats(N * C, 0.0f, 1.0f), *bias = made_floats(C, 0.0f, 0.2f);
  struct output o = output_of(N * C, NULL);
  struct pt_embed a = {.vox = &cloud.vox,
                       .n = N,
                       .in = C,
                       .c = C,
                       .x = x,
                       .w = made_mat(125, C, C, &w),
                       .bias = bias,
                       .out = o.out};
  for (int v = 1; v < version_count(); v++) {
    run_once(&op_embed, v, &a, &o, 2, 1000);
    for (int i = 0; i < N * C; i++) assert_true(isfinite(o.out[i]));
  }
  free(w), free(x), free(bias), free(o.out);
  made_free(&cloud);
}

/* The table of a block against a search through all voxels. */
static void test_unfold(void **state) {
  (void)state;
  struct made_cloud c = cloud_of(3);
  const struct pt_voxels *v = &c.vox;
  int32_t table[12 * 12 * 12];
  for (int h = 1; h <= 2; h++)
    for (int64_t b = 0; b < v->blocks; b += 3) {
      const int side = 8 + 2 * h;
      const int32_t *at = v->coord + 3 * (int64_t)v->start[b];
      int64_t there = 0, found = 0;
      pt_block_unfold(v, b, h, table);
      for (int i = 0; i < side * side * side; i++) there += table[i] >= 0;
      for (int64_t o = 0; o < v->blocks; o++)
        for (int64_t r = v->start[o]; v->cloud[o] == v->cloud[b] && r < v->start[o + 1]; r++) {
          int index = 0, in = 1;
          for (int a = 0; a < 3; a++) {
            int d = v->coord[3 * r + a] - at[a] / 8 * 8 + h;
            in &= d >= 0 && d < side;
            index = index * side + d;
          }
          if (!in) continue;
          assert_int_equal(table[index], r);
          found++;
        }
      assert_int_equal(found, there);
    }
  made_free(&c);
}

/* unpool with one channel and W = 1 is GELU itself: every exponent, both signs. */
static void test_gelu(void **state) {
  (void)state;
  enum { N = 1 << 18 };
  float *x = made_room(N * 4), w[16] __attribute__((aligned(64))) = {1.0f}, zero = 0.0f;
  struct output o = output_of(N, NULL);
  struct pt_unpool a = {
      .n = N, .in = 1, .c = 1, .x = x, .out = o.out, .w = {w, 1, 1, PT_F32}, .bias = &zero};
  for (int i = 0; i < N; i++) {
    uint32_t bits = (uint32_t)i << 14 | (made_bits() & 0x3fff);
    memcpy(x + i, &bits, 4);
    if (!isfinite(x[i])) x[i] = 0.0f;
  }
  for (int v = 1; v < version_count(); v++) {
    double worst = 0.0;
    run_once(&op_unpool, v, &a, &o, 1, 0);
    for (int i = 0; i < N; i++) {
      double d = (double)x[i], want = 0.5 * d * erfc(-d * 0.70710678118654752);
      double error = fabs((double)o.out[i] - want) / fmax(fabs(d), 1e-38);
      if (error > worst) worst = error;
    }
    printf("gelu version %d: largest error %.2e |x|\n", v, worst);
    assert_true(worst < 1.2e-7);
  }
  free(x), free(o.out);
}

/* GELU of a number above 8 is the number, so unpool with W = 1 shows how bf16 is stored: to
 * nearest even, and what is not a number stays so. */
static void test_rounding(void **state) {
  (void)state;
  enum { N = 1 << 16, C = 24 };
  float *w = made_room(pt_mat_size(1, C, PT_F32)), gain[C], zero[C] = {0};
  uint16_t *x = made_room(N * 2), *out = made_room((N + CANARY) * C * 2);
  for (int i = 0; i < N; i++) x[i] = (uint16_t)i;
  for (int i = 0; i < C; i++) gain[i] = 1.0f + (float)(i % 9) / 256.0f; /* ties among them */
  pt_mat_pack(w, PT_F32, gain, 1, C, C, 1);
  struct pt_unpool a = {.n = N, .in = 1, .c = C, .type = PT_BF16, .x = x, .out = out};
  a.w = (struct pt_mat){w, 1, C, PT_F32};
  a.bias = zero;
  for (int v = 0; v < version_count(); v++) {
    int64_t stride = (op_unpool.scratch(version_at(v), &a, 0) + 63) / 64 * 64;
    struct pt_exec e = {.threads = 1, .scratch = made_room(stride), .scratch_stride = stride};
    op_unpool.run(version_at(v), &a, &e);
    for (int i = 0; i < N * C; i++) {
      const float in = pt_bf16_float(x[i / C]), want = in * gain[i % C];
      if (isnan(in) ? !isnan(pt_bf16_float(out[i]))
                    : in > 8.0f && isfinite(want) && out[i] != pt_float_bf16(want))
        fail_msg("version %d: %g is stored as %04x", v, (double)want, out[i]);
    }
    free(e.scratch);
  }
  free(w), free(x), free(out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unfold), cmocka_unit_test(test_same_place),
      cmocka_unit_test(test_gelu),   cmocka_unit_test(test_mlp),
      cmocka_unit_test(test_unpool), cmocka_unit_test(test_head),
      cmocka_unit_test(test_pool),   cmocka_unit_test(test_cpe),
      cmocka_unit_test(test_embed),  cmocka_unit_test(test_rounding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
