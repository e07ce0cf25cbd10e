/* unpool_cpu.c - unpool.h by tiles of rows: the product goes straight to a float output, or to
 * the scratch before one in bf16; GELU and the sum follow while the tile is in the cache. */
#include "unpool.h"

#include "gemm.h"
#include "isa.h"
#include "rows_cpu.h"

enum { TILE_ROWS = 192 };

int64_t PT_FN(pt_unpool_scratch)(const struct pt_unpool *a, int tile);
void PT_FN(pt_unpool)(const struct pt_unpool *a, const struct pt_exec *x);

int64_t PT_FN(pt_unpool_scratch)(const struct pt_unpool *a, int tile) {
  if (a->type != PT_BF16) return 0;
  return pt_floats(pt_rows_at_most(a->n, tile > 0 ? tile : TILE_ROWS) * a->c);
}

static void one_tile(const struct pt_unpool *a, int64_t first, int64_t rows, float *scratch) {
  void *out = pt_at_mut(a->out, a->type, first * a->c);
  float *y = a->type == PT_BF16 ? scratch : out;
  const struct pt_src in = pt_src(pt_at(a->x, a->type, first * a->in), a->type, a->in);
  PT_FN(pt_gemm)(rows, in, &a->w, pt_dst(y, a->c), PT_GEMM_BIAS, a->bias);
  if (a->raw) {
    pt_narrow_row(out, a->type, y, rows * a->c);
    return;
  }
  if (!a->up) {
    pt_gelu(out, a->type, y, rows * a->c);
    return;
  }
  pt_gelu(y, PT_F32, y, rows * a->c);
  for (int64_t r = 0; r < rows; r++)
    pt_add_row(y + r * a->c, pt_at(a->up, a->type, (int64_t)a->cluster[first + r] * a->c),
               a->type, a->c);
  pt_narrow_row(out, a->type, y, rows * a->c);
}

void PT_FN(pt_unpool)(const struct pt_unpool *a, const struct pt_exec *x) {
  const int64_t end = pt_exec_to(x, a->n);
  const int64_t tile = pt_tile_rows(end - x->from, TILE_ROWS, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = x->from; r < end; r += tile)
    one_tile(a, r, end - r < tile ? end - r : tile, (float *)pt_scratch(x));
}
