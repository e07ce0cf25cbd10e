/* gemm_cpu.c - the matrix product of gemm.h.
 *
 * A micro-kernel holds a block of C, a few rows by one to four panels, in registers and
 * walks down k: per step one row of each panel is loaded and one number of each row of A is
 * broadcast. Panels go outermost, then runs of k short enough that the block of B stays in
 * the first cache while all rows stream past it, then the rows. Between runs of k the sums
 * rest in C, which does not change them. */
#include "gemm.h"

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

enum { RUN_BYTES = 32 << 10 }; /* of B at a time: most of a first-level cache */

struct block {
  int k;          /* length of the run */
  const float *b; /* first panel, at the run's first row */
  int64_t stride; /* floats from panel to panel */
  enum pt_gemm_init init;
  const float *bias;        /* of the block's columns */
  const float *a[MAX_ROWS]; /* rows of A at the run's first column */
  float *c[MAX_ROWS];       /* rows of C at the block's first column */
};

PT_INLINE pt_v start_value(const struct block *t, int row, int col) {
  if (t->init == PT_GEMM_ZERO) return pt_vset1(0.0f);
  return pt_vload(t->init == PT_GEMM_BIAS ? t->bias + col : t->c[row] + col);
}

/* rows and panels are constants where this is called, so acc lives in registers. */
PT_INLINE void micro(const struct block *t, const int rows, const int panels) {
  const int nv = panels * PT_GROUP;
  pt_v acc[MAX_ROWS * MAX_PANELS * PT_GROUP];
  const float *a[MAX_ROWS];
  PT_UNROLL for (int r = 0; r < rows; r++) {
    a[r] = t->a[r];
    PT_UNROLL for (int v = 0; v < nv; v++) acc[r * nv + v] = start_value(t, r, v * PT_VW);
  }
  const float *b = t->b;
  const int64_t stride = t->stride;
  for (int64_t k = 0; k < t->k; k++, b += PT_PANEL) {
    pt_v bv[MAX_PANELS * PT_GROUP];
    PT_UNROLL for (int v = 0; v < nv; v++) bv[v] =
        pt_vload(b + v / PT_GROUP * stride + v % PT_GROUP * PT_VW);
    PT_UNROLL for (int r = 0; r < rows; r++) {
      pt_v av = pt_vset1(a[r][k]);
      PT_UNROLL for (int v = 0; v < nv; v++) acc[r * nv + v] =
          pt_vfma(av, bv[v], acc[r * nv + v]);
    }
  }
  PT_UNROLL for (int r = 0; r < rows; r++) PT_UNROLL for (int v = 0; v < nv; v++)
      pt_vstore(t->c[r] + v * PT_VW, acc[r * nv + v]);
}

#define MICRO(r, p) \
  static void micro_##r##_##p(const struct block *t) { micro(t, r, p); }
#define TO_3(X, p) X(1, p) X(2, p) X(3, p)
#define TO_6(X, p) TO_3(X, p) X(4, p) X(5, p) X(6, p)
#define TO_8(X, p) TO_6(X, p) X(7, p) X(8, p)
#define ENTRY(r, p) [p][r] = micro_##r##_##p,

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

struct product {
  int64_t m;
  struct pt_src a;
  const struct pt_mat *b;
  struct pt_dst c;
  enum pt_gemm_init init;
  const float *bias;
};

/* Rows first .. first + rows - 1 of the views, at column k of A and column col of C. */
static void take_rows(struct block *t, const struct product *g, int64_t first, int rows, int k,
                      int col) {
  for (int i = 0; i < rows; i++) {
    int64_t r = first + i;
    t->a[i] = (const float *)g->a.base + (g->a.row ? g->a.row[r] : r) * g->a.ld + k;
    t->c[i] = g->c.base + (g->c.row ? g->c.row[r] : r) * g->c.ld + col;
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
static void group_of_rows(struct block *t, const struct product *g, int64_t first, int rows,
                          int k, int col, int panels, int step) {
  const float *b = t->b, *bias = t->bias;
  for (int p = 0; p < panels; p += step, col += step * PT_PANEL) {
    t->b = b + p * t->stride;
    t->bias = bias ? bias + p * PT_PANEL : 0;
    take_rows(t, g, first, rows, k, col);
    if (g->b->n - col < PT_PANEL)
      partial(t, micro_of[step][rows], rows, g->b->n - col);
    else
      micro_of[step][rows](t);
  }
  t->b = b;
  t->bias = bias;
}

/* All rows against one run of k of a group of panels. Groups of rows are of equal size
 * (within one): a last group of one or two rows would wait for its chain of additions. */
static void sweep(struct block *t, const struct product *g, int k, int col, int panels) {
  const int step = panels < PANELS ? panels : PANELS;
  const int64_t groups = (g->m + rows_of[step] - 1) / rows_of[step];
  if (groups == 0) return;
  const int64_t few = g->m / groups, more = g->m - few * groups;
  for (int64_t i = 0, first = 0, rows; i < groups; i++, first += rows) {
    rows = few + (i < more);
    group_of_rows(t, g, first, (int)rows, k, col, panels, step);
  }
}

void PT_FN(pt_gemm_part)(int64_t m, struct pt_src a, const struct pt_mat *b, int k, int count,
                         struct pt_dst c, enum pt_gemm_init init, const float *bias) {
  const struct product g = {m, a, b, c, init, bias};
  const int whole = b->n / PT_PANEL, all = (b->n + PT_PANEL - 1) / PT_PANEL;
  struct block t = {.stride = (int64_t)b->k * PT_PANEL};
  for (int p = 0, np; p < all; p += np) {
    np = p >= whole ? 1 : whole - p < MAX_PANELS ? whole - p : MAX_PANELS;
    const int run = RUN_BYTES / (np * PT_PANEL * 4);
    for (int i = 0; i == 0 || i < count; i += run) {
      t.k = count - i < run ? count - i : run;
      t.b = (const float *)b->data + p * t.stride + (int64_t)(k + i) * PT_PANEL;
      t.init = i ? PT_GEMM_ADD : init;
      t.bias = init == PT_GEMM_BIAS ? bias + p * PT_PANEL : 0;
      sweep(&t, &g, i, p * PT_PANEL, np);
    }
  }
}

void PT_FN(pt_gemm)(int64_t m, struct pt_src a, const struct pt_mat *b, struct pt_dst c,
                    enum pt_gemm_init init, const float *bias) {
  PT_FN(pt_gemm_part)(m, a, b, 0, b->k, c, init, bias);
}
