/* mlp_ref.c - the definition of mlp.h: one row at a time, in double. */
#include "mlp.h"

#include "rows_ref.h"

int64_t pt_mlp_scratch_ref(const struct pt_mlp *a, int tile);
void pt_mlp_ref(const struct pt_mlp *a, const struct pt_exec *x);

int64_t pt_mlp_scratch_ref(const struct pt_mlp *a, int tile) {
  (void)tile;
  return ((int64_t)3 * a->c + a->hidden) * (int64_t)sizeof(double);
}

static void store(const struct pt_mlp *a, void *x, int64_t r, const double *row) {
  for (int i = 0; i < a->c; i++) pt_put(x, a->type, r * a->c + i, (float)row[i]);
}

static void one_row(const struct pt_mlp *a, int64_t r, double *scratch) {
  double *in = scratch, *norm = in + a->c, *sum = norm + a->c, *hidden = sum + a->c;
  pt_ref_row(in, pt_mlp_in(a), a->type, r, a->c);
  if (a->pre_norm) pt_ref_layernorm(norm, in, a->c, a->gamma, a->beta);
  pt_ref_linear(hidden, a->pre_norm ? norm : in, &a->w1, a->b1);
  for (int j = 0; j < a->hidden; j++)
    hidden[j] = pt_ref_gelu(hidden[j]) * (double)pt_drop_hidden(&a->drop, r, a->hidden, j);
  pt_ref_linear(sum, hidden, &a->w2, a->b2);
  for (int i = 0; i < a->c; i++)
    sum[i] *= (double)pt_drop_path(&a->drop, r) * (double)pt_drop_proj(&a->drop, r, a->c, i);
  if (a->branch) store(a, a->branch, r, sum);
  for (int i = 0; i < a->c; i++) sum[i] += in[i];
  if (!a->pre_norm) pt_ref_layernorm(sum, sum, a->c, a->gamma, a->beta);
  store(a, a->x, r, sum);
}

void pt_mlp_ref(const struct pt_mlp *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads)
  for (int64_t r = x->from; r < pt_exec_to(x, a->n); r++) one_row(a, r, pt_ref_scratch(x));
}
