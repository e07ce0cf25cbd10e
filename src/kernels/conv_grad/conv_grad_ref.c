/* conv_grad_ref.c - the definition of conv_grad.h: dx a row at a time, dw a kernel offset at a
 * time, in double. */
#include "conv_grad.h"

#include "conv_ref.h"

int64_t pt_conv_grad_scratch_ref(const struct pt_conv_grad *a, int tile);
void pt_conv_grad_ref(const struct pt_conv_grad *a, const struct pt_exec *x);

int64_t pt_conv_grad_scratch_ref(const struct pt_conv_grad *a, int tile) {
  (void)tile;
  return (int64_t)a->in * a->c * (int64_t)sizeof(double) + pt_ref_table(a->size);
}

/* dx of the rows of block b. */
static void one_block(const struct pt_conv_grad *a, int64_t b, double *y) {
  int32_t *table = (int32_t *)(y + (int64_t)a->in * a->c);
  pt_block_unfold(a->vox, b, a->size / 2, table);
  for (int64_t r = a->vox->start[b]; r < a->vox->start[b + 1]; r++) {
    for (int i = 0; i < a->in; i++)
      y[i] = a->add ? (double)pt_get(a->dx, a->type, r * a->in + i) : 0.0;
    pt_ref_conv_row(y, a->vox, r, table, a->size, a->g, a->type, &a->wt, true);
    for (int i = 0; i < a->in; i++) pt_put(a->dx, a->type, r * a->in + i, (float)y[i]);
  }
}

static void add_outer(const struct pt_conv_grad *a, int64_t r, int64_t j, double *sum) {
  for (int o = 0; o < a->c; o++) {
    const double g = (double)pt_get(a->g, a->type, r * a->c + o);
    for (int i = 0; i < a->in; i++)
      sum[o * a->in + i] += g * (double)pt_get(a->x, a->xtype, j * a->in + i);
  }
}

/* dw at kernel offset k. */
static void one_offset(const struct pt_conv_grad *a, int k, double *sum) {
  const int64_t ld = (int64_t)a->size * a->size * a->size * a->in;
  int32_t *table = (int32_t *)(sum + (int64_t)a->in * a->c);
  float *dw = a->dw + (int64_t)k * a->in;
  for (int o = 0; o < a->c; o++)
    for (int i = 0; i < a->in; i++) sum[o * a->in + i] = (double)dw[o * ld + i];
  for (int64_t b = 0; b < a->vox->blocks; b++) {
    pt_block_unfold(a->vox, b, a->size / 2, table);
    for (int64_t r = a->vox->start[b]; r < a->vox->start[b + 1]; r++) {
      const int32_t j = pt_ref_neighbour(a->vox, r, table, a->size, k);
      if (j >= 0) add_outer(a, r, j, sum);
    }
  }
  for (int o = 0; o < a->c; o++)
    for (int i = 0; i < a->in; i++) dw[o * ld + i] = (float)sum[o * a->in + i];
}

void pt_conv_grad_ref(const struct pt_conv_grad *a, const struct pt_exec *x) {
  const int offsets = a->size * a->size * a->size;
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t b = 0; b < (a->dx ? a->vox->blocks : 0); b++) one_block(a, b, pt_ref_scratch(x));
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int k = 0; k < offsets; k++) one_offset(a, k, pt_ref_scratch(x));
  for (int o = 0; a->dbias && o < a->c; o++) {
    double sum = (double)a->dbias[o];
    for (int64_t r = 0; r < a->n; r++) sum += (double)pt_get(a->g, a->type, r * a->c + o);
    a->dbias[o] = (float)sum;
  }
}
