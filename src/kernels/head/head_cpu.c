/* head_cpu.c - head.h by tiles of rows: one product per source, each with its rows of W and
 * its own row numbers, summed in the output; nothing is put side by side. No scratch. */
#include "head.h"

#include "gemm.h"
#include "isa.h"
#include "rows_cpu.h"

enum { TILE_ROWS = 192 };

int64_t PT_FN(pt_head_scratch)(const struct pt_head *a, int tile);
void PT_FN(pt_head)(const struct pt_head *a, const struct pt_exec *x);

int64_t PT_FN(pt_head_scratch)(const struct pt_head *a, int tile) {
  (void)a;
  (void)tile;
  return 0;
}

static void one_tile(const struct pt_head *a, int64_t first, int64_t rows) {
  struct pt_dst out = pt_dst(a->out + first * a->classes, a->classes);
  for (int s = 0, k = 0; s < a->sources; k += a->src[s++].c) {
    const int c = a->src[s].c;
    const int32_t *map = a->src[s].map;
    struct pt_src in = {pt_at(a->src[s].x, a->type, map ? 0 : first * c), c,
                        map ? map + first : NULL, a->type};
    PT_FN(pt_gemm_part)(rows, in, &a->w, k, c, out, s ? PT_GEMM_ADD : PT_GEMM_BIAS, a->bias);
  }
}

void PT_FN(pt_head)(const struct pt_head *a, const struct pt_exec *x) {
  const int64_t end = pt_exec_to(x, a->n);
  const int64_t tile = pt_tile_rows(end - x->from, TILE_ROWS, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = x->from; r < end; r += tile) one_tile(a, r, end - r < tile ? end - r : tile);
}
