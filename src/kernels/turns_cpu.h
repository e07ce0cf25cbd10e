/* turns_cpu.h - how a backward op runs on many threads: sums over all rows, whose bits depend
 * on neither the number of threads nor the size of tiles. Included by *_cpu.c files only.
 *
 * The rows (or patches, or blocks: units) come in tiles, and tiles in turns, a tile a thread:
 *
 *   1. work(op, first, count, scratch): every thread works out its tile of the turn, leaves in
 *      its scratch what the sums need, and writes results that are a row's own (dx);
 *   2. barrier;
 *   3. add(op, turn): every thread adds ALL tiles of the turn, in order, to its share of every
 *      sum: pt_turn_outer for a product, pt_turn_sums and pt_turn_dots for sums of
 *      columns, pt_turn_share for anything else;
 *   4. barrier, next turn.
 *
 * A number of a sum is so one chain through all rows in ascending order. Sums start from what
 * is there (gradients are added to). An op's add looks like
 *
 *   static void add(const void *op, const struct pt_turn *t) {
 *     const struct pt_linear_grad *a = op;
 *     for (int i = 0; i < t->tiles; i++) {
 *       const struct lay l = lay_of(a, pt_turn_scratch(t, i));
 *       pt_turn_outer(t, pt_turn_count(t, i), l.g, l.x, a->c, a->in, a->dw, a->in);
 *       pt_turn_sums(t, pt_turn_count(t, i), l.g, a->c, a->db);
 *     }
 *   }
 *
 * and the op is pt_turns(x, n, tile, work, add, op). The scratch of a thread is x->scratch +
 * thread * x->scratch_stride, as ever; what work leaves there must lie at places that add
 * finds from the op, the tile's first unit and their count. */
#ifndef PT_TURNS_CPU_H
#define PT_TURNS_CPU_H

#include <omp.h>

#include "feature.h"
#include "kernels.h"
#include "outer.h"
#include "vec.h"

struct pt_turn {
  int64_t first, end; /* units of the turn: first .. end - 1 */
  int64_t tile;       /* units a tile; the last may have fewer */
  int tiles;          /* of the turn, 1 .. parts */
  const struct pt_exec *x;
  int part, parts; /* the calling thread and how many there are */
};

/* Tile i of a turn: its first unit, how many, and its thread's scratch. */
PT_INLINE int64_t pt_turn_first(const struct pt_turn *t, int i) {
  return t->first + i * t->tile;
}
PT_INLINE int64_t pt_turn_count(const struct pt_turn *t, int i) {
  const int64_t left = t->end - pt_turn_first(t, i);
  return left < t->tile ? left : t->tile;
}
PT_INLINE char *pt_turn_scratch(const struct pt_turn *t, int i) {
  return t->x->scratch + i * t->x->scratch_stride;
}

/* The calling thread's part, begin .. end - 1, of m numbers, in whole units. */
PT_INLINE void pt_turn_share(const struct pt_turn *t, int m, int unit, int *begin, int *end) {
  const int64_t units = ((int64_t)m + unit - 1) / unit;
  const int64_t b = units * t->part / t->parts * unit;
  const int64_t e = units * (t->part + 1) / t->parts * unit;
  *begin = (int)(b < m ? b : m);
  *end = (int)(e < m ? e : m);
}

typedef void pt_outer_fn_(int64_t, struct pt_src, struct pt_src, int, int, float *, int64_t);

PT_INLINE void pt_turn_outer_(const struct pt_turn *t, pt_outer_fn_ *outer, int64_t rows,
                              struct pt_src a, struct pt_src b, int m, int n, float *c,
                              int64_t ldc) {
  int begin, end;
  if (n > m && n / PT_PANEL >= t->parts) {
    pt_turn_share(t, n, PT_PANEL, &begin, &end);
    b.base = pt_at(b.base, b.type, begin);
    outer(rows, a, b, m, end - begin, c + begin, ldc);
  } else {
    pt_turn_share(t, m, 1, &begin, &end);
    a.base = pt_at(a.base, a.type, begin);
    outer(rows, a, b, end - begin, n, c + begin * ldc, ldc);
  }
}

/* The calling thread's share of C (m, n; rows ldc apart) += A^T B, see pt_outer: rows of C, or
 * columns where there are more of them and enough for all threads. */
PT_INLINE void pt_turn_outer(const struct pt_turn *t, int64_t rows, struct pt_src a,
                             struct pt_src b, int m, int n, float *c, int64_t ldc) {
  pt_turn_outer_(t, PT_FN(pt_outer), rows, a, b, m, n, c, ldc);
}

/* Rows of a tile that pt_turn_outer_pairs may be used for: at least so many. */
PT_INLINE int64_t pt_turn_rows(int64_t rows) {
  return (rows + PT_OUTER_ROWS - 1) / PT_OUTER_ROWS * PT_OUTER_ROWS;
}

/* The same with pt_outer_pairs, for ops whose tiles are of pt_turn_rows. */
PT_INLINE void pt_turn_outer_pairs(const struct pt_turn *t, int64_t rows, struct pt_src a,
                                   struct pt_src b, int m, int n, float *c, int64_t ldc) {
  pt_turn_outer_(t, PT_FN(pt_outer_pairs), rows, a, b, m, n, c, ldc);
}

/* The calling thread's share of sum[j] += column j of A [rows, m]. */
PT_INLINE void pt_turn_sums(const struct pt_turn *t, int64_t rows, struct pt_src a, int m,
                            float *sum) {
  int begin, end;
  pt_turn_share(t, m, PT_PANEL, &begin, &end);
  a.base = pt_at(a.base, a.type, begin);
  PT_FN(pt_column_sums)(rows, a, end - begin, sum + begin);
}

/* The calling thread's share of sum[j] += the sum over rows of A[r, j] B[r, j]. */
PT_INLINE void pt_turn_dots(const struct pt_turn *t, int64_t rows, struct pt_src a,
                            struct pt_src b, int m, float *sum) {
  int begin, end;
  pt_turn_share(t, m, PT_PANEL, &begin, &end);
  a.base = pt_at(a.base, a.type, begin);
  b.base = pt_at(b.base, b.type, begin);
  PT_FN(pt_column_dots)(rows, a, b, end - begin, sum + begin);
}

typedef void pt_turn_work(const void *op, int64_t first, int64_t count, char *scratch);
typedef void pt_turn_add(const void *op, const struct pt_turn *t);

/* All units 0 .. n - 1 in tiles of `tile`. Fewer threads than asked for are used where the
 * system gives fewer. */
PT_INLINE void pt_turns(const struct pt_exec *x, int64_t n, int64_t tile, pt_turn_work *work,
                        pt_turn_add *add, const void *op) {
#pragma omp parallel num_threads(x->threads)
  {
    struct pt_turn t = {.tile = tile, .x = x};
    t.part = omp_get_thread_num(), t.parts = omp_get_num_threads();
    for (t.first = 0; t.first < n; t.first = t.end) {
      t.end = n - t.first < t.parts * tile ? n : t.first + t.parts * tile;
      t.tiles = (int)((t.end - t.first + tile - 1) / tile);
      if (t.part < t.tiles)
        work(op, pt_turn_first(&t, t.part), pt_turn_count(&t, t.part),
             pt_turn_scratch(&t, t.part));
#pragma omp barrier
      add(op, &t);
#pragma omp barrier
    }
  }
}

#endif
