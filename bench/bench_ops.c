/* bench_ops.c - how fast the parts are on this machine: the matrix product at the network's
 * shapes against the processor's peak and against oneDNN (where its library is found), and
 * each op but attention at the sizes of an S3DIS room. Prints; docs/speed.md has results.
 *
 *   build/bench/bench_ops [all|gemm|ops|mlp|cpe|embed|head|pool|unpool|cpe_grad|conv_grad]
 *                         [threads] [generic|avx2|avx512|avx512bf16|amx] [channels]
 *                         [tile] [fp32|bf16] */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <omp.h>
#include <stdio.h>
#include <time.h>

#include "conv_grad.h"
#include "cpe.h"
#include "cpe_grad.h"
#include "embed.h"
#include "gemm.h"
#include "head.h"
#include "kernels.h"
#include "mlp.h"
#include "pool.h"
#include "unit/ops_made.h"
#include "unpool.h"
#include "vec.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static int wall; /* time with several threads; else the thread's own, whatever else runs */

static double now(void) {
  struct timespec t;
  clock_gettime(wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the matrix product ---- */

typedef void gemm_fn(int64_t, struct pt_src, const struct pt_mat *, struct pt_dst,
                     enum pt_gemm_init, const float *);
#define GEMM(v) gemm_fn pt_gemm_##v;
PT_ISAS(GEMM)
#if defined(__x86_64__)

/* GFLOP/s of 16 independent chains of STEP, which takes `flops`: the most one core can do. */
#define PEAK(name, isa, flops, STEP)                                       \
  __attribute__((target(isa))) static double name(void) {                  \
    double best = 0.0;                                                     \
    for (int t = 0; t < 20; t++) {                                         \
      __m512 a[16], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f); \
      for (int i = 0; i < 16; i++) a[i] = _mm512_set1_ps((float)i);        \
      double start = now();                                                \
      for (int64_t n = 0; n < 200000; n++) PT_UNROLL                       \
      for (int i = 0; i < 16; i++) a[i] = STEP;                            \
      double rate = 200000.0 * 16 * (flops) / (now() - start) * 1e-9;      \
      for (int i = 1; i < 16; i++) a[0] = _mm512_add_ps(a[0], a[i]);       \
      volatile float sink = _mm512_cvtss_f32(a[0]);                        \
      (void)sink;                                                          \
      if (rate > best) best = rate;                                        \
    }                                                                      \
    return best;                                                           \
  }
PEAK(peak_avx512, "avx512f", 32, _mm512_fmadd_ps(a[i], x, y))
PEAK(peak_bf16, "avx512f,avx512bf16", 64, _mm512_dpbf16_ps(a[i], (__m512bh)x, (__m512bh)y))
#endif

typedef int dnnl_fn(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t,
                    const float *, int64_t, float, float *, int64_t);

static dnnl_fn *find_dnnl(void) {
  static const char *const names[] = {"libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"};
  for (int i = 0; i < 3; i++) {
    void *lib = dlopen(names[i], RTLD_NOW);
    void *f = lib ? dlsym(lib, "dnnl_sgemm") : NULL;
    dnnl_fn *g;
    memcpy(&g, &f, sizeof g);
    if (f) return g;
  }
  return NULL;
}

static int compare_times(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds a run: the quarter point of runs of about half a second in all. (The shortest is
 * at times shorter than can be, where other programs make the clock of a thread jump.) */
#define TYPICAL(seconds, statement)                           \
  do {                                                        \
    double took[400], total = 0.0;                            \
    int runs = 0;                                             \
    for (; runs < 400 && (runs < 4 || total < 0.5); runs++) { \
      const double start = now();                             \
      statement;                                              \
      took[runs] = now() - start;                             \
      total += took[runs];                                    \
    }                                                         \
    qsort(took, (size_t)runs, sizeof *took, compare_times);   \
    seconds = took[runs / 4];                                 \
  } while (0)

/* A and B stored as types a and b. */
static void bench_gemm(gemm_fn *gemm, enum pt_dtype at, enum pt_dtype bt) {
  static const int shape[][2] = {{32, 32},    {32, 96},    {32, 128},   {128, 32},
                                 {64, 256},   {256, 64},   {128, 512},  {512, 128},
                                 {256, 1024}, {1024, 256}, {512, 2048}, {2048, 512}};
  static const int rows[] = {48, 64, 128, 256, 512};
  dnnl_fn *dnnl = bt == PT_F32 && at == PT_F32 ? find_dnnl() : NULL;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    printf("peak of one core: %.0f GFLOP/s\n", peak_avx512());
  if (__builtin_cpu_supports("avx512bf16"))
    printf("peak of one core in bf16: %.0f GFLOP/s\n", peak_bf16());
#endif
  printf("GFLOP/s of one core, rows of A across%s\n   k     n", dnnl ? "; (dnnl_sgemm)" : "");
  for (int r = 0; r < 5; r++) printf("  %12d", rows[r]);
  printf("\n");
  for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
    const int k = shape[s][0], n = shape[s][1];
    void *w, *a = made_features(512 * k, 0, 1, at);
    float *plain = made_floats((int64_t)k * n, 0.0f, 1.0f);
    float *c = made_floats(512 * n, 0, 1), *bias = made_floats(n, 0, 1);
    struct pt_mat b = made_mats(1, k, n, bt, &w);
    printf("%4d  %4d", k, n);
    for (int r = 0; r < 5; r++) {
      double ours, theirs = 0.0, work = 2e-9 * rows[r] * k * n;
      const int times = 1 + (int)(2e-2 / work); /* a clock reading takes a while itself */
      TYPICAL(ours, for (int i = 0; i < times; i++)
                        gemm(rows[r], pt_src(a, at, k), &b, pt_dst(c, n), PT_GEMM_BIAS, bias));
      if (dnnl)
        TYPICAL(theirs, for (int i = 0; i < times; i++)
                            dnnl('N', 'N', rows[r], n, k, 1, a, k, plain, n, 0, c, n));
      printf("  %5.0f", times * work / ours);
      if (dnnl) printf(" (%4.0f)", times * work / theirs);
    }
    printf("\n");
    free(w), free(plain), free(a), free(c), free(bias);
  }
}

/* ---- the ops ---- */

struct level {
  struct made_cloud cloud;
  int32_t *start;   /* [m + 1] first child of each parent */
  int32_t *cluster; /* [n] parent */
  int64_t m;
};

/* Pools n voxels by 2: fills start and cluster of l, returns the parents' coordinates. */
static int32_t *halve(struct level *l) {
  const int64_t n = l->cloud.vox.n;
  int32_t *up = made_room(n * 12);
  l->start = made_room((n + 1) * 4);
  l->cluster = made_room(n * 4);
  l->m = 0;
  for (int64_t i = 0; i < n; i++) {
    const int32_t *at = l->cloud.coord + 3 * i;
    int32_t *last = up + 3 * (l->m - 1);
    if (!i || at[0] >> 1 != last[0] || at[1] >> 1 != last[1] || at[2] >> 1 != last[2]) {
      l->start[l->m++] = (int32_t)i;
      for (int a = 0; a < 3; a++) up[3 * (l->m - 1) + a] = at[a] >> 1;
    }
    l->cluster[i] = (int32_t)(l->m - 1);
  }
  l->start[l->m] = (int32_t)n;
  return up;
}

struct run {
  const char *only; /* one op, or NULL */
  const struct pt_kernels *k;
  int threads, tile;
  enum pt_dtype type; /* of features */
  char *scratch;
  int64_t room; /* bytes of it */
};

#define TIME(r, op, args, rows, flops) \
  if (!(r)->only || !strcmp((r)->only, #op)) TIME_(r, op, args, rows, flops)
#define TIME_(r, op, args, rows, flops)                                            \
  do {                                                                             \
    struct pt_exec exec = {                                                        \
        .threads = (r)->threads,                                                   \
        .tile = (r)->tile,                                                         \
        .scratch = (r)->scratch,                                                   \
        .scratch_stride = ((r)->k->op##_scratch(args, (r)->tile) + 63) / 64 * 64}; \
    if (exec.scratch_stride * exec.threads > (r)->room) abort();                   \
    double seconds;                                                                \
    TYPICAL(seconds, (r)->k->op(args, &exec));                                     \
    printf("%-9s n %7lld c %4d  %8.3f ms  %7.0f krows/s  %6.1f GFLOP/s\n", #op,    \
           (long long)(rows), c, 1e3 * seconds, 1e-3 * (double)(rows) / seconds,   \
           1e-9 * (double)(flops) / seconds);                                      \
  } while (0)

static int64_t pairs(const struct pt_voxels *v, int h) {
  int32_t table[12 * 12 * 12];
  const int side = 8 + 2 * h, size = 2 * h + 1;
  int64_t sum = 0;
  for (int64_t b = 0; b < v->blocks; b++) {
    pt_block_unfold(v, b, h, table);
    for (int32_t r = v->start[b]; r < v->start[b + 1]; r++)
      for (int k = 0; k < size * size * size; k++) {
        const int32_t *at = v->coord + 3 * (int64_t)r;
        sum += table[((at[0] & 7) + k / (size * size)) * side * side +
                     ((at[1] & 7) + k / size % size) * side + (at[2] & 7) + k % size] >= 0;
      }
  }
  return sum;
}

/* The backward pass of cpe, and of a convolution of `in` channels to c. p: pairs. */
static void bench_cpe_grad(const struct run *r, const struct level *l, int c, int64_t p) {
  const int64_t n = l->cloud.vox.n;
  const enum pt_dtype type = r->type, mats = pt_kernels_mat(r->k, type);
  void *conv, *w, *x = made_features(n * c, 0, 1, type), *g = made_features(n * c, 0, 1, type);
  void *dy = made_features(n * c, 0, 1, type);
  float *v = made_floats(c, 1, 0.1f), *sums = made_floats(3 * c, 0, 0);
  float *dw = made_floats((int64_t)c * c, 0, 0);
  struct pt_mat lin = made_mats(1, c, c, mats, &w);
  struct pt_cpe_grad cpe = {.vox = &l->cloud.vox,
                            .n = n,
                            .c = c,
                            .type = type,
                            .in = x,
                            .g = g,
                            .dy = dy,
                            .conv_w = made_mats(27, c, c, mats, &conv),
                            .conv_bias = v,
                            .w = lin,
                            .bias = v,
                            .gamma = v,
                            .wt = lin,
                            .dw = dw,
                            .dbias = sums,
                            .dgamma = sums + c,
                            .dbeta = sums + 2 * c};
  TIME(r, cpe_grad, &cpe, n, 2.0 * c * c * (double)(p + 3 * n));
  free(conv), free(w), free(x), free(g), free(dy), free(v), free(sums), free(dw);
}

static void bench_conv_grad(const struct run *r, const struct level *l, int size, int in, int c,
                            int64_t p) {
  const int64_t n = l->cloud.vox.n;
  const bool stem = size == 5;
  const enum pt_dtype type = r->type, mats = pt_kernels_mat(r->k, type);
  const int taps = size * size * size;
  void *wt, *x = made_features(n * in, 0, 1, stem ? PT_F32 : type);
  void *g = made_features(n * c, 0, 1, type), *dx = made_features(n * in, 0, 1, type);
  float *dw = made_floats((int64_t)taps * in * c, 0, 0), *dbias = made_floats(c, 0, 0);
  struct pt_conv_grad conv = {.vox = &l->cloud.vox,
                              .n = n,
                              .size = size,
                              .in = in,
                              .c = c,
                              .type = type,
                              .xtype = stem ? PT_F32 : type,
                              .x = x,
                              .g = g,
                              .dx = stem ? NULL : dx,
                              .add = true,
                              .wt = made_mats(taps, c, in, mats, &wt),
                              .dw = dw,
                              .dbias = stem ? NULL : dbias};
  TIME(r, conv_grad, &conv, n, (stem ? 2.0 : 4.0) * in * c * (double)p);
  free(wt), free(x), free(g), free(dx), free(dw), free(dbias);
}

static void bench_level(const struct run *r, const struct level *l, int c, int up_c) {
  const int64_t n = l->cloud.vox.n, m = l->m;
  const enum pt_dtype type = r->type, mats = pt_kernels_mat(r->k, type);
  void *w1, *w2, *conv, *x = made_features(n * c, 0, 1, type);
  void *y = made_features(n * c, 0, 1, type), *up = made_features(m * up_c, 0, 1, type);
  float *v = made_floats(4 * up_c, 1, 0.1f), *in = made_floats(n * 6, 0, 1);
  struct pt_mat a1 = made_mats(1, c, 4 * c, mats, &w1), a2 = made_mats(1, 4 * c, c, mats, &w2);
  struct pt_mlp mlp = {.n = n,
                       .c = c,
                       .type = type,
                       .hidden = 4 * c,
                       .x = x,
                       .pre_norm = true,
                       .gamma = v,
                       .beta = v,
                       .w1 = a1,
                       .b1 = v,
                       .w2 = a2,
                       .b2 = v};
  TIME(r, mlp, &mlp, n, 16.0 * (double)n * c * c);
  struct pt_mat lin = {w1, c, c, mats};
  struct pt_cpe cpe = {.vox = &l->cloud.vox,
                       .n = n,
                       .c = c,
                       .type = type,
                       .in = y,
                       .res = y,
                       .out = x,
                       .conv_w = made_mats(27, c, c, mats, &conv),
                       .conv_bias = v,
                       .w = lin,
                       .bias = v,
                       .gamma = v,
                       .beta = v};
  const bool convs = !r->only || !strcmp(r->only, "embed") || strstr(r->only, "cpe") ||
                     !strcmp(r->only, "conv_grad");
  const int64_t p3 = convs ? pairs(&l->cloud.vox, 1) : 0;
  TIME(r, cpe, &cpe, n, 2.0 * c * c * (double)(p3 + n));
  bench_cpe_grad(r, l, c, p3);
  bench_conv_grad(r, l, 3, c, c, p3);
  if (c == 32) {
    const int64_t p5 = convs ? pairs(&l->cloud.vox, 2) : 0;
    void *w5;
    struct pt_embed embed = {.vox = &l->cloud.vox,
                             .n = n,
                             .in = 6,
                             .c = c,
                             .type = type,
                             .x = in,
                             .w = made_mats(125, 6, c, PT_F32, &w5),
                             .bias = v,
                             .out = x};
    TIME(r, embed, &embed, n, 12.0 * c * (double)p5);
    bench_conv_grad(r, l, 5, 6, c, p5);
    if (convs)
      printf("        neighbours a voxel: %.1f of 27, %.1f of 125; voxels a block %.1f\n",
             (double)p3 / (double)n, (double)p5 / (double)n,
             (double)n / (double)l->cloud.vox.blocks);
    struct pt_head head = {.n = n, .sources = 1, .type = type, .classes = 13, .bias = v};
    head.out = made_room(n * 13 * (int64_t)sizeof(float));
    head.src[0].x = y;
    head.src[0].c = c;
    head.w = (struct pt_mat){w1, c, 13, mats};
    TIME(r, head, &head, n, 26.0 * (double)n * c);
    free(w5), free(head.out);
  }
  struct pt_mat grow = {w1, c, up_c, mats};
  struct pt_pool pool = {.n = n,
                         .m = m,
                         .in = c,
                         .c = up_c,
                         .type = type,
                         .x = y,
                         .start = l->start,
                         .out = up,
                         .w = grow,
                         .bias = v,
                         .g = v,
                         .shift = v};
  TIME(r, pool, &pool, n, 2.0 * (double)n * c * up_c);
  struct pt_unpool unpool = {.n = n,
                             .in = c,
                             .c = c,
                             .type = type,
                             .x = y,
                             .up = up,
                             .cluster = l->cluster,
                             .out = x,
                             .w = lin,
                             .bias = v};
  TIME(r, unpool, &unpool, n, 2.0 * (double)n * c * c);
  free(w1), free(w2), free(conv), free(x), free(y), free(up), free(v), free(in);
}

static void bench_ops(const struct pt_kernels *k, int threads, const char *only, int channels,
                      int tile, enum pt_dtype type) {
  enum { SIDE = 240, MOST = SIDE * SIDE * 4 };
  struct made_voxel *v = made_room(MOST * (int64_t)sizeof *v);
  int32_t *coord = made_room(MOST * 12);
  const int64_t room = (int64_t)threads << 25;
  struct run r = {only, k, threads, tile, type, made_room(room), room};
  int64_t offset[2] = {0, made_sort(v, made_surface(SIDE, v), coord)};
  free(v);
  printf("kernels %s, threads %d, features %s\n", k->name, threads,
         type == PT_BF16 ? "bf16" : "fp32");
  for (int c = 32; c <= 512; c *= 2) {
    struct level l;
    made_index(&l.cloud, coord, offset, 1);
    coord = halve(&l);
    if (!channels || c == channels) bench_level(&r, &l, c, c < 512 ? 2 * c : c);
    offset[1] = l.m;
    made_free(&l.cloud);
    free(l.start), free(l.cluster);
  }
  free(coord), free(r.scratch);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "all", *name = argc > 3 ? argv[3] : NULL;
  const int threads = argc > 2 ? atoi(argv[2]) : 1, channels = argc > 4 ? atoi(argv[4]) : 0;
  const int tile = argc > 5 ? atoi(argv[5]) : 0;
  const enum pt_dtype type = argc > 6 && !strcmp(argv[6], "bf16") ? PT_BF16 : PT_F32;
  const struct pt_kernels *k = pt_kernel_table(name);
  if (!k || threads < 1) return fprintf(stderr, "no such kernels or threads\n"), 1;
  gemm_fn *gemm = pt_gemm_generic;
#define CHOOSE(v) \
  if (!strcmp(k->name, #v)) gemm = pt_gemm_##v;
  PT_ISAS(CHOOSE)
  if (!strcmp(what, "gemm") || !strcmp(what, "all")) {
    omp_set_num_threads(1);
    bench_gemm(gemm, type, pt_kernels_mat(k, type));
  }
  wall = threads > 1;
  const bool all = !strcmp(what, "ops") || !strcmp(what, "all");
  if (strcmp(what, "gemm")) bench_ops(k, threads, all ? NULL : what, channels, tile, type);
  return 0;
}
