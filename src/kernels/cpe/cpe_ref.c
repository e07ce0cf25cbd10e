/* cpe_ref.c - the definition of cpe.h: one row at a time, in double; the neighbours come
 * from the unfolded block. */
#include "cpe.h"

#include "conv_ref.h"

int64_t pt_cpe_scratch_ref(const struct pt_cpe *a, int tile);
void pt_cpe_ref(const struct pt_cpe *a, const struct pt_exec *x);

int64_t pt_cpe_scratch_ref(const struct pt_cpe *a, int tile) {
  (void)tile;
  return (int64_t)2 * a->c * (int64_t)sizeof(double) + pt_ref_table(3);
}

static void one_row(const struct pt_cpe *a, int64_t r, const int32_t *table, double *y) {
  double *z = y + a->c;
  const int64_t up = a->up ? (int64_t)a->cluster[r] * a->c : 0;
  pt_ref_row(y, a->conv_bias, PT_F32, 0, a->c);
  pt_ref_conv_row(y, a->vox, r, table, 3, a->in, a->type, &a->conv_w, false);
  pt_ref_linear(z, y, &a->w, a->bias);
  pt_ref_layernorm(z, z, a->c, a->gamma, a->beta);
  for (int i = 0; i < a->c; i++) {
    double v = (double)pt_get(a->res, a->type, r * a->c + i) + z[i];
    if (a->up) v += (double)pt_get(a->up, a->type, up + i);
    pt_put(a->out, a->type, r * a->c + i, (float)v);
  }
}

void pt_cpe_ref(const struct pt_cpe *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t b = x->from; b < pt_exec_to(x, a->vox->blocks); b++) {
    double *y = pt_ref_scratch(x);
    int32_t *table = (int32_t *)(y + (int64_t)2 * a->c);
    pt_block_unfold(a->vox, b, 1, table);
    for (int64_t r = a->vox->start[b]; r < a->vox->start[b + 1]; r++) one_row(a, r, table, y);
  }
}
