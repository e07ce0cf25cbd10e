/* pool_cpu.c - pool.h by tiles of segments: the Linear of a few rows at a time goes to the
 * scratch, and the maximum of each segment is taken from there into one row, so a segment
 * may be longer than a tile. */
#include "pool.h"

#include "gemm.h"
#include "isa.h"
#include "rows_cpu.h"

enum { TILE_ROWS = 192 };

int64_t PT_FN(pt_pool_scratch)(const struct pt_pool *a, int tile);
void PT_FN(pt_pool)(const struct pt_pool *a, const struct pt_exec *x);

int64_t PT_FN(pt_pool_scratch)(const struct pt_pool *a, int tile) {
  int64_t rows = pt_rows_at_most(a->n, tile > 0 ? tile : TILE_ROWS);
  return (rows + 1) * pt_row_ld(a->c) * (int64_t)sizeof(float);
}

static void max_row(float *max, const float *x, int c) {
  int i = 0;
  for (; i + PT_VW <= c; i += PT_VW)
    pt_vstore(max + i, pt_vmax(pt_vload(x + i), pt_vload(max + i)));
  if (i < c)
    pt_vstore_n(max + i, pt_vmax(pt_vload_n(x + i, c - i), pt_vload_n(max + i, c - i)), c - i);
}

/* out = gelu(g * max + shift), or the maximum itself, numbers from `at` on. */
static void finish(const struct pt_pool *a, const float *max, int64_t at) {
  if (a->raw) {
    pt_narrow_row(pt_at_mut(a->out, a->type, at), a->type, max, a->c);
    return;
  }
  for (int i = 0; i < a->c; i += PT_VW) {
    const int n = a->c - i;
    pt_v v =
        pt_vfma(pt_vload_n(a->g + i, n), pt_vload_n(max + i, n), pt_vload_n(a->shift + i, n));
    pt_vput(a->out, a->type, at + i, pt_vgelu(v), n);
  }
}

/* Segments s .. end - 1, rows by rows, at most tile at a time. */
static void some_segments(const struct pt_pool *a, int64_t s, int64_t end, int64_t tile,
                          float *scratch) {
  const int64_t ld = pt_row_ld(a->c), last = a->start[end];
  float *max = scratch, *y = scratch + ld;
  for (int64_t first = a->start[s]; first < last; first += tile) {
    const int64_t rows = last - first < tile ? last - first : tile;
    PT_FN(pt_gemm)
    (rows, pt_src(pt_at(a->x, a->type, first * a->in), a->type, a->in), &a->w, pt_dst(y, ld),
     PT_GEMM_BIAS, a->bias);
    for (int64_t r = first; r < first + rows; r++) {
      const float *row = y + (r - first) * ld;
      if (r == a->start[s])
        memcpy(max, row, (size_t)a->c * sizeof *max);
      else
        max_row(max, row, a->c);
      if (r + 1 == a->start[s + 1]) {
        finish(a, max, (a->row ? a->row[s] : s) * a->c);
        s++;
      }
    }
  }
}

void PT_FN(pt_pool)(const struct pt_pool *a, const struct pt_exec *x) {
  const int64_t tile = x->tile > 0 ? x->tile : TILE_ROWS;
  /* Segments a turn: about a tile of rows each, the last of which may be a short one. */
  const int64_t end = pt_exec_to(x, a->m), rows = a->start[end] - a->start[x->from];
  int64_t many = rows > 0 ? pt_tile_rows(rows, 2 * tile, x) * (end - x->from) / rows : 1;
  if (many < 1) many = 1;
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t s = x->from; s < end; s += many)
    some_segments(a, s, end - s < many ? end : s + many, tile, (float *)pt_scratch(x));
}
