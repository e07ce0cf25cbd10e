/* mlp_ref.c - the definition of mlp.h: one row at a time, in double. */
#include "mlp.h"

#include "rows_ref.h"

int64_t pt_mlp_scratch_ref(const struct pt_mlp *a, int tile);
void pt_mlp_ref(const struct pt_mlp *a, const struct pt_exec *x);

int64_t pt_mlp_scratch_ref(const struct pt_mlp *a, int tile) {
  (void)tile;
  return ((int64_t)3 * a->c + a->hidden) * (int64_t)sizeof(double);
}

static void one_row(const struct pt_mlp *a, int64_t r, double *scratch) {
  float *row = a->x + r * a->c, *branch = a->branch ? a->branch + r * a->c : NULL;
  double *in = scratch, *norm = in + a->c, *sum = norm + a->c, *hidden = sum + a->c;
  pt_ref_widen(in, row, a->c);
  if (a->pre_norm) pt_ref_layernorm(norm, in, a->c, a->gamma, a->beta);
  pt_ref_linear(hidden, a->pre_norm ? norm : in, &a->w1, a->b1);
  for (int j = 0; j < a->hidden; j++) hidden[j] = pt_ref_gelu(hidden[j]);
  pt_ref_linear(sum, hidden, &a->w2, a->b2);
  for (int i = 0; branch && i < a->c; i++) branch[i] = (float)sum[i];
  for (int i = 0; i < a->c; i++) sum[i] += in[i];
  if (!a->pre_norm) pt_ref_layernorm(sum, sum, a->c, a->gamma, a->beta);
  for (int i = 0; branch && !a->pre_norm && i < a->c; i++) branch[i] = (float)sum[i];
  for (int i = 0; i < a->c; i++) row[i] = (float)sum[i];
}

void pt_mlp_ref(const struct pt_mlp *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads)
  for (int64_t r = 0; r < a->n; r++) one_row(a, r, pt_ref_scratch(x));
}
