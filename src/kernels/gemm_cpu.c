/* gemm_cpu.c - the matrix product of gemm.h.
 *
 * A micro-kernel holds a block of C, a few rows by one to four panels, in registers and
 * walks down k: per step one row of each panel is loaded and one number of each row of A is
 * broadcast. With B in bf16 a step is two rows of B and two numbers of A. Panels go
 * outermost, then runs of k short enough that the block of B stays in the first cache while
 * all rows stream past it, then the rows. Between runs of k the sums rest in C, which does
 * not change them. Rows of bf16 that meet a B of float are widened, a few at a time, into a
 * buffer that serves all panels at hand. */
#include "gemm.h"

#include "feature.h"
#include "gemm_amx.h"
#include "vec.h"

#define MAX_ROWS 8
#define MAX_PANELS 4

#if PT_VW == 16
enum { PANELS = 4 }; /* 24 accumulators, 1 to 4 vectors of B, of 32 registers */
static const int rows_of[MAX_PANELS + 1] = {0, 8, 8, 8, 6};
#elif PT_VW == 8
enum { PANELS = 1 }; /* 12 accumulators, 2 vectors of B, a broadcast, of 16 registers */
static const int rows_of[MAX_PANELS + 1] = {0, 6, 0, 0, 0};
#else
enum { PANELS = 1 }; /* 12 accumulators, a vector of B, a broadcast, a product */
static const int rows_of[MAX_PANELS + 1] = {0, 3, 0, 0, 0};
#endif

enum {
  STEP_BYTES = PT_PANEL * 4,        /* of a panel: one row, or a pair in bf16 */
  RUN_BYTES = 32 << 10,             /* of B at a time: most of a first cache */
  MAX_RUN = RUN_BYTES / STEP_BYTES, /* steps */
};

struct block {
  int steps;      /* length of the run: rows of B, or pairs of them */
  bool last;      /* bf16: one more step follows with one number of A alone, ... */
  int shift;      /* ... in the low half of the pair (0) or in the high half (16) */
  const char *b;  /* first panel, at the run's first step */
  int64_t stride; /* bytes from panel to panel */
  enum pt_gemm_init init;
  const float *bias;       /* of the block's columns */
  const void *a[MAX_ROWS]; /* rows of A at the run's first column */
  float *c[MAX_ROWS];      /* rows of C at the block's first column */
};

PT_INLINE pt_v start_value(const struct block *t, int row, int col) {
  if (t->init == PT_GEMM_ZERO) return pt_vset1(0.0f);
  return pt_vload(t->init == PT_GEMM_BIAS ? t->bias + col : t->c[row] + col);
}

/* rows and panels are constants where these are called, so acc lives in registers. */
PT_INLINE void micro_f32(const struct block *t, const int rows, const int panels) {
  const int nv = panels * PT_GROUP;
  pt_v acc[MAX_ROWS * MAX_PANELS * PT_GROUP];
  const float *a[MAX_ROWS];
  PT_UNROLL for (int r = 0; r < rows; r++) {
    a[r] = t->a[r];
    PT_UNROLL for (int v = 0; v < nv; v++) acc[r * nv + v] = start_value(t, r, v * PT_VW);
  }
  const char *b = t->b;
  const int64_t stride = t->stride;
  for (int64_t k = 0; k < t->steps; k++, b += STEP_BYTES) {
    pt_v bv[MAX_PANELS * PT_GROUP];
    PT_UNROLL for (int v = 0; v < nv; v++) bv[v] = pt_vload(
        (const float *)(const void *)(b + v / PT_GROUP * stride) + v % PT_GROUP * PT_VW);
    PT_UNROLL for (int r = 0; r < rows; r++) {
      pt_v av = pt_vset1(a[r][k]);
      PT_UNROLL for (int v = 0; v < nv; v++) acc[r * nv + v] =
          pt_vfma(av, bv[v], acc[r * nv + v]);
    }
  }
  PT_UNROLL for (int r = 0; r < rows; r++) PT_UNROLL for (int v = 0; v < nv; v++)
      pt_vstore(t->c[r] + v * PT_VW, acc[r * nv + v]);
}

#if defined(__AVX512BF16__)
/* One step: pairs of A given as 32 bits a row. */
PT_INLINE void step_bf16(pt_v *acc, const char *b, int64_t stride, const uint32_t *pair,
                         const int rows, const int panels) {
  __m512bh bv[MAX_PANELS];
  PT_UNROLL for (int v = 0; v < panels; v++) bv[v] =
      (__m512bh)_mm512_loadu_si512(b + v * stride);
  PT_UNROLL for (int r = 0; r < rows; r++) {
    __m512bh av = (__m512bh)_mm512_set1_epi32((int)pair[r]);
    PT_UNROLL for (int v = 0; v < panels; v++) acc[r * panels + v] =
        _mm512_dpbf16_ps(acc[r * panels + v], bv[v], av);
  }
}

PT_INLINE void micro_bf16(const struct block *t, const int rows, const int panels) {
  pt_v acc[MAX_ROWS * MAX_PANELS];
  const char *a[MAX_ROWS], *b = t->b;
  uint32_t pair[MAX_ROWS];
  PT_UNROLL for (int r = 0; r < rows; r++) {
    a[r] = t->a[r];
    PT_UNROLL for (int v = 0; v < panels; v++) acc[r * panels + v] =
        start_value(t, r, v * PT_VW);
  }
  const int64_t stride = t->stride;
  int64_t k = 0;
  for (; k < t->steps; k++, b += STEP_BYTES) {
    PT_UNROLL for (int r = 0; r < rows; r++) memcpy(&pair[r], a[r] + 4 * k, 4);
    step_bf16(acc, b, stride, pair, rows, panels);
  }
  if (t->last) {
    PT_UNROLL for (int r = 0; r < rows; r++) {
      uint16_t one;
      memcpy(&one, a[r] + 4 * k, 2);
      pair[r] = (uint32_t)one << t->shift;
    }
    step_bf16(acc, b, stride, pair, rows, panels);
  }
  PT_UNROLL for (int r = 0; r < rows; r++) PT_UNROLL for (int v = 0; v < panels; v++)
      pt_vstore(t->c[r] + v * PT_VW, acc[r * panels + v]);
}
#endif

#define MICRO(r, p) \
  static void micro_f32_##r##_##p(const struct block *t) { micro_f32(t, r, p); }
#define MICRO_BF16(r, p) \
  static void micro_bf16_##r##_##p(const struct block *t) { micro_bf16(t, r, p); }
#define TO_3(X, p) X(1, p) X(2, p) X(3, p)
#define TO_6(X, p) TO_3(X, p) X(4, p) X(5, p) X(6, p)
#define TO_8(X, p) TO_6(X, p) X(7, p) X(8, p)
#define ENTRY(r, p) [p][r] = micro_f32_##r##_##p,
#define ENTRY_BF16(r, p) [p][r] = micro_bf16_##r##_##p,

#if PT_VW == 16
#define ALL(X) TO_8(X, 1) TO_8(X, 2) TO_8(X, 3) TO_6(X, 4)
#elif PT_VW == 8
#define ALL(X) TO_6(X, 1)
#else
#define ALL(X) TO_3(X, 1)
#endif

ALL(MICRO)
typedef void micro_fn(const struct block *);
static micro_fn *const micro_of[PANELS + 1][MAX_ROWS + 1] = {ALL(ENTRY)};
#if defined(__AVX512BF16__)
ALL(MICRO_BF16)
static micro_fn *const micro_bf16_of[PANELS + 1][MAX_ROWS + 1] = {ALL(ENTRY_BF16)};
#else
#define micro_bf16_of micro_of /* never asked for: see gemm.h */
#endif

/* Rows first .. first + rows - 1 of A at column k. */
static void take_rows(struct block *t, const struct pt_product *g, int64_t first, int rows,
                      int k) {
  const int64_t size = pt_feature_bytes(g->a.type), ld = g->a.ld * size;
  const char *base = (const char *)g->a.base + k * size;
  if (g->a.row)
    for (int i = 0; i < rows; i++) t->a[i] = base + g->a.row[first + i] * ld;
  else
    for (int i = 0; i < rows; i++) t->a[i] = base + (first + i) * ld;
}

/* Widens rows of bf16. */
static void widen(struct block *t, int rows, float (*buf)[MAX_RUN]) {
  for (int i = 0; i < rows; i++) {
    const uint16_t *a = t->a[i];
    int j = 0;
    for (; j + PT_VW <= t->steps; j += PT_VW) pt_vstore(&buf[i][j], pt_vload_bf16(a + j));
    for (; j < t->steps; j++) buf[i][j] = pt_bf16_float(a[j]);
    t->a[i] = buf[i];
  }
}

/* The last columns of C, width < 16 of them, by way of a buffer of whole panels. */
static void partial(struct block *t, micro_fn *f, int rows, int width) {
  float buf[MAX_ROWS][PT_PANEL] = {{0.0f}}, bias[PT_PANEL] = {0.0f}, *c[MAX_ROWS];
  const float *given = t->bias;
  const size_t bytes = (size_t)width * sizeof(float);
  if (t->init == PT_GEMM_BIAS) memcpy(bias, given, bytes);
  for (int i = 0; i < rows; i++) {
    c[i] = t->c[i];
    if (t->init == PT_GEMM_ADD) memcpy(buf[i], c[i], bytes);
    t->c[i] = buf[i];
  }
  t->bias = bias;
  f(t);
  t->bias = given;
  for (int i = 0; i < rows; i++) memcpy(c[i], buf[i], bytes);
}

/* Some rows against one run of k of a group of panels: `panels` at a time, so that the rows
 * of A stay in the first cache for all of them. */
static void group_of_rows(struct block *t, const struct pt_product *g, int64_t first, int rows,
                          int col, int panels, int step) {
  const char *b = t->b;
  const float *bias = t->bias;
  micro_fn *f = g->b->type == PT_BF16 ? micro_bf16_of[step][rows] : micro_of[step][rows];
  for (int p = 0; p < panels; p += step, col += step * PT_PANEL) {
    t->b = b + p * t->stride;
    t->bias = bias ? bias + p * PT_PANEL : 0;
    for (int i = 0; i < rows; i++)
      t->c[i] = g->c.base + (g->c.row ? g->c.row[first + i] : first + i) * g->c.ld + col;
    if (g->b->n - col < PT_PANEL)
      partial(t, f, rows, g->b->n - col);
    else
      f(t);
  }
  t->b = b;
  t->bias = bias;
}

/* All rows against one run of k, from column k of A, of a group of panels. Groups of rows are
 * of equal size (within one): a last group of one or two rows would wait for its chain of
 * additions. */
static void sweep(struct block *t, const struct pt_product *g, int k, int col, int panels) {
  float buf[MAX_ROWS][MAX_RUN];
  const bool wide = g->a.type == PT_BF16 && g->b->type == PT_F32;
  const int step = panels < PANELS ? panels : PANELS;
  const int64_t groups = (g->m + rows_of[step] - 1) / rows_of[step];
  if (groups == 0) return;
  const int64_t few = g->m / groups, more = g->m - few * groups;
  for (int64_t i = 0, first = 0, rows; i < groups; i++, first += rows) {
    rows = few + (i < more);
    take_rows(t, g, first, (int)rows, k);
    if (wide) widen(t, (int)rows, buf);
    group_of_rows(t, g, first, (int)rows, col, panels, step);
  }
}

/* Columns from panel p on, np panels: rows k .. k + count - 1 of B in runs. In bf16 the first
 * of an odd k, and the last of an odd end, is half a pair. */
static void some_panels(const struct pt_product *g, int k, int count, int p, int np) {
  const bool pairs = g->b->type == PT_BF16;
  const int run = MAX_RUN / np, size = pairs ? 2 : 1;
  const int64_t stride = pt_mat_panel(g->b->k, g->b->type);
  struct block t = {.stride = stride, .init = g->init};
  if (g->init == PT_GEMM_BIAS) t.bias = g->bias + p * PT_PANEL;
  int done = 0;
  do {
    const int at = k + done, left = count - done;
    const bool odd = pairs && at % 2 && left;
    t.steps = odd ? 0 : left / size < run ? left / size : run;
    t.last = pairs && (odd || t.steps * 2 + 1 == left);
    t.shift = odd ? 16 : 0;
    t.b = (const char *)g->b->data + p * stride + (int64_t)(at / size) * STEP_BYTES;
    sweep(&t, g, done, p * PT_PANEL, np);
    done += t.steps * size + t.last;
    t.init = PT_GEMM_ADD;
  } while (done < count);
}

void PT_FN(pt_gemm_part)(int64_t m, struct pt_src a, const struct pt_mat *b, int k, int count,
                         struct pt_dst c, enum pt_gemm_init init, const float *bias) {
  const struct pt_product g = {m, a, b, c, init, bias};
#if defined(PT_AMX)
  if (b->type == PT_BF16 && k % 2 == 0) {
    amx_part(&g, k, count);
    return;
  }
#endif
  const int whole = b->n / PT_PANEL, all = (b->n + PT_PANEL - 1) / PT_PANEL;
  for (int p = 0, np; p < all; p += np) {
    np = p >= whole ? 1 : whole - p < MAX_PANELS ? whole - p : MAX_PANELS;
    some_panels(&g, k, count, p, np);
  }
}

void PT_FN(pt_gemm)(int64_t m, struct pt_src a, const struct pt_mat *b, struct pt_dst c,
                    enum pt_gemm_init init, const float *bias) {
  PT_FN(pt_gemm_part)(m, a, b, 0, b->k, c, init, bias);
}
