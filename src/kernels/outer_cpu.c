/* outer_cpu.c - the product of outer.h.
 *
 * A micro-kernel holds a block of C, up to MAX_M rows by one or two vectors, in registers and
 * walks down the rows of A and B: per step a vector or two of B are loaded and one number of A
 * is broadcast for each row of the block. Rows come in runs short enough that what a block
 * reads stays in the first cache; between runs the sums rest in C, which does not change
 * them. Rows that are bf16, are reached through a list, or do not fill their vectors are copied
 * first, a run at a time.
 *
 * With pairs of bf16 a step is two rows: what is copied is the numbers of both, side by side in
 * the 32 bits of one. */
#include "outer.h"

#include "feature.h"
#include "outer_amx.h"
#include "pairs.h"
#include "vec.h"

#if PT_VW == 16
enum { MAX_M = 12 }; /* 24 sums, 2 vectors of B, a broadcast, of 32 registers */
#else
enum { MAX_M = 6 }; /* 12 sums, 2 vectors of B, a broadcast (and a product), of 16 registers */
#endif
enum {
  MAX_V = 2,
  PANEL = MAX_V * PT_VW, /* columns of B at a time */
  BLOCK_M = 96,          /* columns of A at a time */
  RUN = 96,              /* rows at a time */
  MANY = 4               /* vectors of column sums at a time */
};

struct block {
  int64_t rows;   /* or pairs of them */
  const float *a; /* [rows, .] lda apart */
  int64_t lda;
  const float *b; /* [rows, .] ldb apart, whole vectors */
  int64_t ldb;
  float *c; /* ldc apart, whole vectors */
  int64_t ldc;
};

/* sum += a b; of pairs: the odd rows' products first, then the even rows', each rounded. */
PT_INLINE pt_v step(pt_v sum, pt_v a, pt_v b, const bool pairs) {
#if defined(__AVX512BF16__)
  if (pairs) return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#else
  (void)pairs;
#endif
  return pt_vfma(a, b, sum);
}

/* m, nv and pairs are constants where this is called, so acc lives in registers. */
PT_INLINE void micro(const struct block *t, const int m, const int nv, const bool pairs) {
  pt_v acc[MAX_M * MAX_V];
  PT_UNROLL for (int i = 0; i < m; i++) PT_UNROLL for (int v = 0; v < nv; v++) acc[i * nv + v] =
      pt_vload(t->c + i * t->ldc + v * PT_VW);
  const float *a = t->a, *b = t->b;
  const int64_t lda = t->lda, ldb = t->ldb;
  for (int64_t r = t->rows; r > 0; r--, a += lda, b += ldb) {
    pt_v bv[MAX_V];
    PT_UNROLL for (int v = 0; v < nv; v++) bv[v] = pt_vload(b + v * PT_VW);
    PT_UNROLL for (int i = 0; i < m; i++) {
      const pt_v av = pt_vset1(a[i]);
      PT_UNROLL for (int v = 0; v < nv; v++) acc[i * nv + v] =
          step(acc[i * nv + v], av, bv[v], pairs);
    }
  }
  PT_UNROLL for (int i = 0; i < m; i++) PT_UNROLL for (int v = 0; v < nv; v++)
      pt_vstore(t->c + i * t->ldc + v * PT_VW, acc[i * nv + v]);
}

#define MICRO(m, nv) \
  static void micro_##m##_##nv(const struct block *t) { micro(t, m, nv, false); }
#define MICRO_PAIRS(m, nv) \
  static void micro_pairs_##m##_##nv(const struct block *t) { micro(t, m, nv, true); }
#define ENTRY(m, nv) [nv][m] = micro_##m##_##nv,
#define ENTRY_PAIRS(m, nv) [nv][m] = micro_pairs_##m##_##nv,
#define TO_6(X, nv) X(1, nv) X(2, nv) X(3, nv) X(4, nv) X(5, nv) X(6, nv)
#if PT_VW == 16
#define TO_MAX(X, nv) TO_6(X, nv) X(7, nv) X(8, nv) X(9, nv) X(10, nv) X(11, nv) X(12, nv)
#else
#define TO_MAX(X, nv) TO_6(X, nv)
#endif

TO_MAX(MICRO, 1)
TO_MAX(MICRO, 2)
typedef void micro_fn(const struct block *);
static micro_fn *const micro_of[MAX_V + 1][MAX_M + 1] = {TO_MAX(ENTRY, 1) TO_MAX(ENTRY, 2)};
#if defined(__AVX512BF16__)
TO_MAX(MICRO_PAIRS, 1)
TO_MAX(MICRO_PAIRS, 2)
static micro_fn *const micro_pairs_of[MAX_V + 1][MAX_M + 1] = {TO_MAX(ENTRY_PAIRS, 1)
                                                                   TO_MAX(ENTRY_PAIRS, 2)};
#endif

static const void *row_at(const struct pt_src *s, int64_t r, int j) {
  return pt_at(s->base, s->type, (s->row ? s->row[r] : r) * s->ld + j);
}

/* A vector of a row from number i on, of which n are there. */
PT_INLINE pt_v numbers(const void *row, enum pt_dtype type, int i, int n) {
  return type == PT_BF16 ? pt_vload_bf16_n((const uint16_t *)row + i, n)
                         : pt_vload_n((const float *)row + i, n);
}

/* Copies vectors of each row; whole: all of their numbers are there, else width of the one.
 * type, vectors and whole are constants where this is called. */
PT_INLINE void copy_(const struct pt_src *s, int64_t first, int64_t rows, int col, int width,
                     float *buf, int room, const enum pt_dtype type, const int vectors,
                     const bool whole) {
  for (int64_t r = first; r < first + rows; r++, buf += room) {
    const void *row = pt_at(s->base, type, (s->row ? s->row[r] : r) * s->ld + col);
    PT_UNROLL for (int v = 0; v < vectors; v++)
        pt_vstore(buf + v * PT_VW, numbers(row, type, v * PT_VW, whole ? PT_VW : width));
  }
}

PT_INLINE void copy(const struct pt_src *s, int64_t first, int64_t rows, int col, int width,
                    float *buf, int room, const enum pt_dtype type) {
  int i = 0;
  for (; i + PANEL <= width; i += PANEL)
    copy_(s, first, rows, col + i, PANEL, buf + i, room, type, MAX_V, true);
  for (; i + PT_VW <= width; i += PT_VW)
    copy_(s, first, rows, col + i, PT_VW, buf + i, room, type, 1, true);
  if (i < width) copy_(s, first, rows, col + i, width - i, buf + i, room, type, 1, false);
}

/* Columns col .. col + width - 1 of rows first .. first + rows - 1, as floats: where they lie,
 * or copied into buf, room numbers a row (whole vectors; zeros past the width). */
static const float *columns(const struct pt_src *s, int64_t first, int64_t rows, int col,
                            int width, int room, float *buf, int64_t *ld) {
  if (s->type != PT_BF16 && !s->row && width == room) {
    *ld = s->ld;
    return (const float *)s->base + first * s->ld + col;
  }
  if (s->type == PT_BF16)
    copy(s, first, rows, col, width, buf, room, PT_BF16);
  else
    copy(s, first, rows, col, width, buf, room, PT_F32);
  *ld = room;
  return buf;
}

/* A block of C whose last columns, width of them in all, do not fill a vector. */
static void partial(struct block *t, micro_fn *f, int m, int width) {
  float buf[MAX_M * PANEL] = {0.0f}, *c = t->c;
  const int64_t ldc = t->ldc;
  const size_t bytes = (size_t)width * sizeof *c;
  for (int i = 0; i < m; i++) memcpy(buf + i * PANEL, c + i * ldc, bytes);
  t->c = buf, t->ldc = PANEL;
  f(t);
  for (int i = 0; i < m; i++) memcpy(c + i * ldc, buf + i * PANEL, bytes);
  t->c = c, t->ldc = ldc;
}

/* All rows of C that t->a has, m of them, against a panel of width columns. Groups of rows are
 * of equal size (within one): a last group of one or two would wait for its chain. */
static void groups_of_rows(struct block t, int m, int width,
                           micro_fn *const table[][MAX_M + 1]) {
  const int nv = (width + PT_VW - 1) / PT_VW, groups = (m + MAX_M - 1) / MAX_M;
  const int few = m / groups, more = m % groups;
  for (int g = 0; g < groups; g++) {
    const int rows = few + (g < more);
    for (int r = rows; r < 2 * rows; r++) /* the next group's: a large C is far away */
      for (int j = 0; j < width; j += 16) __builtin_prefetch(t.c + r * t.ldc + j, 1);
    if (width < nv * PT_VW)
      partial(&t, table[nv][rows], rows, width);
    else
      table[nv][rows](&t);
    t.a += rows;
    t.c += rows * t.ldc;
  }
}

/* A run of rows against columns i .. i + mb - 1 of A. */
static void some_columns(int64_t first, int64_t rows, const struct pt_src *a,
                         const struct pt_src *b, int i, int mb, int n, float *c, int64_t ldc) {
  float abuf[RUN * BLOCK_M], bbuf[RUN * PANEL];
  struct block t = {.rows = rows, .ldc = ldc};
  const bool copied = a->type == PT_BF16 || a->row; /* else no vectors of A are read */
  const int room = copied ? (mb + PT_VW - 1) / PT_VW * PT_VW : mb;
  t.a = columns(a, first, rows, i, mb, room, abuf, &t.lda);
  for (int j = 0; j < n; j += PANEL) {
    const int width = n - j < PANEL ? n - j : PANEL;
    t.b = columns(b, first, rows, j, width, (width + PT_VW - 1) / PT_VW * PT_VW, bbuf, &t.ldb);
    t.c = c + i * ldc + j;
    groups_of_rows(t, mb, width, micro_of);
  }
}

void PT_FN(pt_outer)(int64_t rows, struct pt_src a, struct pt_src b, int m, int n, float *c,
                     int64_t ldc) {
  for (int64_t first = 0; first < rows; first += RUN) {
    const int64_t run = rows - first < RUN ? rows - first : RUN;
    for (int i = 0; i < m; i += BLOCK_M)
      some_columns(first, run, &a, &b, i, m - i < BLOCK_M ? m - i : BLOCK_M, n, c, ldc);
  }
}

#if defined(__AVX512BF16__)
/* Columns col .. col + width - 1 of pairs of rows, whole vectors. */
static void copy_pairs(const struct pt_src *s, int64_t first, int64_t rows, int col, int width,
                       float *buf, int room) {
  const int64_t end = first + rows;
  const __mmask16 rest = pt_vmask_(width % 16);
  for (int64_t r = first; r < end; r += 2, buf += room) {
    const uint16_t *even = pt_pair_row(s, r, end, col), *odd = pt_pair_row(s, r + 1, end, col);
    int i = 0;
    for (; i + 16 <= width; i += 16)
      _mm512_store_si512(buf + i, pt_pair(even + i, odd + i, 0xffff));
    if (rest) _mm512_store_si512(buf + i, pt_pair(even + i, odd + i, rest));
  }
}

/* some_columns, two rows at a step. */
static void some_columns_pairs(int64_t first, int64_t rows, const struct pt_src *a,
                               const struct pt_src *b, int i, int mb, int n, float *c,
                               int64_t ldc) {
  _Alignas(64) float abuf[RUN * BLOCK_M], bbuf[RUN * PANEL];
  struct block t = {.rows = (rows + 1) / 2, .a = abuf, .b = bbuf, .ldc = ldc};
  t.lda = (mb + 15) / 16 * 16;
  copy_pairs(a, first, rows, i, mb, abuf, (int)t.lda);
  for (int j = 0; j < n; j += PANEL) {
    const int width = n - j < PANEL ? n - j : PANEL;
    t.ldb = (width + 15) / 16 * 16;
    copy_pairs(b, first, rows, j, width, bbuf, (int)t.ldb);
    t.c = c + i * ldc + j;
    groups_of_rows(t, mb, width, micro_pairs_of);
  }
}

void PT_FN(pt_outer_pairs)(int64_t rows, struct pt_src a, struct pt_src b, int m, int n,
                           float *c, int64_t ldc) {
  if (a.type != PT_BF16 || b.type != PT_BF16) {
    PT_FN(pt_outer)(rows, a, b, m, n, c, ldc);
    return;
  }
#if defined(PT_AMX)
  amx_outer(rows, &a, &b, m, n, c, ldc);
  return;
#endif
  for (int64_t first = 0; first < rows; first += 2 * RUN) {
    const int64_t run = rows - first < 2 * RUN ? rows - first : 2 * RUN;
    for (int i = 0; i < m; i += BLOCK_M)
      some_columns_pairs(first, run, &a, &b, i, m - i < BLOCK_M ? m - i : BLOCK_M, n, c, ldc);
  }
}
#else
void PT_FN(pt_outer_pairs)(int64_t rows, struct pt_src a, struct pt_src b, int m, int n,
                           float *c, int64_t ldc) {
  PT_FN(pt_outer)(rows, a, b, m, n, c, ldc);
}
#endif

/* Columns j .. j + n - 1 of so many vectors: n at most what they have. b: NULL for sums. */
PT_INLINE void some_sums(int64_t rows, const struct pt_src *a, const struct pt_src *b, int j,
                         int n, float *sum, const int vectors) {
  pt_v acc[MANY];
  PT_UNROLL for (int v = 0; v < vectors; v++) acc[v] =
      pt_vload_n(sum + j + v * PT_VW, n - v * PT_VW);
  for (int64_t r = 0; r < rows; r++) {
    const void *ra = row_at(a, r, j), *rb = b ? row_at(b, r, j) : NULL;
    PT_UNROLL for (int v = 0; v < vectors; v++) {
      const pt_v x = numbers(ra, a->type, v * PT_VW, n - v * PT_VW);
      acc[v] = b ? pt_vfma(x, numbers(rb, b->type, v * PT_VW, n - v * PT_VW), acc[v])
                 : pt_vadd(acc[v], x);
    }
  }
  PT_UNROLL for (int v = 0; v < vectors; v++)
      pt_vstore_n(sum + j + v * PT_VW, acc[v], n - v * PT_VW);
}

PT_INLINE void all_sums(int64_t rows, const struct pt_src *a, const struct pt_src *b, int m,
                        float *sum) {
  int j = 0;
  for (; j + MANY * PT_VW <= m; j += MANY * PT_VW)
    some_sums(rows, a, b, j, MANY * PT_VW, sum, MANY);
  for (; j < m; j += PT_VW) some_sums(rows, a, b, j, m - j < PT_VW ? m - j : PT_VW, sum, 1);
}

void PT_FN(pt_column_sums)(int64_t rows, struct pt_src a, int m, float *sum) {
  all_sums(rows, &a, NULL, m, sum);
}

void PT_FN(pt_column_dots)(int64_t rows, struct pt_src a, struct pt_src b, int m, float *sum) {
  all_sums(rows, &a, &b, m, sum);
}
