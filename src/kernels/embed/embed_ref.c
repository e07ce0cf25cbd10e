/* embed_ref.c - the definition of embed.h: one row at a time, in double; the neighbours
 * come from the unfolded block. */
#include "embed.h"

#include "conv_ref.h"

int64_t pt_embed_scratch_ref(const struct pt_embed *a, int tile);
void pt_embed_ref(const struct pt_embed *a, const struct pt_exec *x);

int64_t pt_embed_scratch_ref(const struct pt_embed *a, int tile) {
  (void)tile;
  return a->c * (int64_t)sizeof(double) + pt_ref_table(5);
}

static void one_row(const struct pt_embed *a, int64_t r, const int32_t *table, double *y) {
  for (int o = 0; o < a->c; o++) y[o] = a->raw ? 0.0 : (double)a->bias[o];
  pt_ref_conv_row(y, a->vox, r, table, 5, a->x, PT_F32, &a->w, false);
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
