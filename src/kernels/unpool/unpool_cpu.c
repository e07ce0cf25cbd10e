/* unpool_cpu.c - unpool.h by tiles of rows: the product goes straight to the output, GELU
 * and the sum follow while the tile is in the cache. No scratch. */
#include "unpool.h"

#include "gemm.h"
#include "isa.h"
#include "rows_cpu.h"

enum { TILE_ROWS = 192 };

int64_t PT_FN(pt_unpool_scratch)(const struct pt_unpool *a, int tile);
void PT_FN(pt_unpool)(const struct pt_unpool *a, const struct pt_exec *x);

int64_t PT_FN(pt_unpool_scratch)(const struct pt_unpool *a, int tile) {
  (void)a;
  (void)tile;
  return 0;
}

static void one_tile(const struct pt_unpool *a, int64_t first, int64_t rows) {
  float *out = (float *)a->out + first * a->c;
  PT_FN(pt_gemm)
  (rows, pt_src(pt_at(a->x, a->type, first * a->in), a->type, a->in), &a->w, pt_dst(out, a->c),
   PT_GEMM_BIAS, a->bias);
  pt_gelu(out, rows * a->c);
  for (int64_t r = 0; a->up && r < rows; r++)
    pt_add_row(out + r * a->c, (const float *)a->up + (int64_t)a->cluster[first + r] * a->c,
               a->c);
}

void PT_FN(pt_unpool)(const struct pt_unpool *a, const struct pt_exec *x) {
  const int64_t tile = pt_tile_rows(a->n, TILE_ROWS, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = 0; r < a->n; r += tile) one_tile(a, r, a->n - r < tile ? a->n - r : tile);
}
