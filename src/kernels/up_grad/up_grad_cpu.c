/* up_grad_cpu.c - up_grad.h by tiles of sums: a sum is made where it goes, or in the scratch
 * before it is stored in bf16. */
#include "up_grad.h"

#include "isa.h"
#include "rows_cpu.h"

enum { TILE_ROWS = 64 };

int64_t PT_FN(pt_up_grad_scratch)(const struct pt_up_grad *a, int tile);
void PT_FN(pt_up_grad)(const struct pt_up_grad *a, const struct pt_exec *x);

int64_t PT_FN(pt_up_grad_scratch)(const struct pt_up_grad *a, int tile) {
  (void)tile;
  return a->type == PT_BF16 ? pt_floats(a->c) : 0;
}

static void one_sum(const struct pt_up_grad *a, int64_t s, float *buf) {
  void *dx = pt_at_mut(a->dx, a->type, (a->row ? a->row[s] : s) * a->c);
  float *sum = a->type == PT_BF16 ? buf : dx;
  memset(sum, 0, (size_t)a->c * sizeof *sum);
  for (int64_t r = a->start[s]; r < a->start[s + 1]; r++)
    pt_add_row(sum, pt_at(a->g, a->type, r * a->c), a->type, a->c);
  pt_narrow_row(dx, a->type, sum, a->c);
}

void PT_FN(pt_up_grad)(const struct pt_up_grad *a, const struct pt_exec *x) {
  const int64_t tile = pt_tile_rows(a->m, TILE_ROWS, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t first = 0; first < a->m; first += tile)
    for (int64_t s = first; s < a->m && s < first + tile; s++)
      one_sum(a, s, (float *)(void *)pt_scratch(x));
}
