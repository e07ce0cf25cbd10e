/* embed_ref.c - the definition of embed.h: one row at a time, in double; the neighbours
 * come from the unfolded block. */
#include "embed.h"

#include "rows_ref.h"

enum { SIDE = PT_BLOCK + 4, CELLS = SIDE * SIDE * SIDE };

int64_t pt_embed_scratch_ref(const struct pt_embed *a, int tile);
void pt_embed_ref(const struct pt_embed *a, const struct pt_exec *x);

int64_t pt_embed_scratch_ref(const struct pt_embed *a, int tile) {
  (void)tile;
  return a->c * (int64_t)sizeof(double) + CELLS * (int64_t)sizeof(int32_t);
}

static void one_row(const struct pt_embed *a, int64_t r, const int32_t *table, double *y) {
  const int32_t *at = a->vox->coord + 3 * r;
  const int mask = PT_BLOCK - 1;
  for (int o = 0; o < a->c; o++) y[o] = a->raw ? 0.0 : (double)a->bias[o];
  for (int k = 0; k < 125; k++) {
    int32_t j = table[((at[0] & mask) + k / 25) * SIDE * SIDE +
                      ((at[1] & mask) + k / 5 % 5) * SIDE + (at[2] & mask) + k % 5];
    if (j < 0) continue;
    struct pt_mat w = pt_mat_tap(&a->w, k);
    for (int o = 0; o < a->c; o++)
      for (int i = 0; i < a->in; i++)
        y[o] += (double)a->x[(int64_t)j * a->in + i] * (double)pt_mat_at(&w, i, o);
  }
  for (int o = 0; o < a->c; o++)
    pt_put(a->out, a->type, r * a->c + o, (float)(a->raw ? y[o] : pt_ref_gelu(y[o])));
}

void pt_embed_ref(const struct pt_embed *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t b = x->from; b < pt_exec_to(x, a->vox->blocks); b++) {
    double *y = pt_ref_scratch(x);
    int32_t *table = (int32_t *)(y + a->c);
    pt_block_unfold(a->vox, b, 2, table);
    for (int64_t r = a->vox->start[b]; r < a->vox->start[b + 1]; r++) one_row(a, r, table, y);
  }
}
