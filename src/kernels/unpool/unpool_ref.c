/* unpool_ref.c - the definition of unpool.h: one row at a time, in double. */
#include "unpool.h"

#include "rows_ref.h"

int64_t pt_unpool_scratch_ref(const struct pt_unpool *a, int tile);
void pt_unpool_ref(const struct pt_unpool *a, const struct pt_exec *x);

int64_t pt_unpool_scratch_ref(const struct pt_unpool *a, int tile) {
  (void)tile;
  return ((int64_t)a->in + a->c) * (int64_t)sizeof(double);
}

static void one_row(const struct pt_unpool *a, int64_t r, double *scratch) {
  double *in = scratch, *out = scratch + a->in;
  const int64_t up = a->up ? (int64_t)a->cluster[r] * a->c : 0;
  pt_ref_row(in, a->x, a->type, r, a->in);
  pt_ref_linear(out, in, &a->w, a->bias);
  for (int j = 0; j < a->c; j++) {
    double v = a->raw ? out[j] : pt_ref_gelu(out[j]);
    if (a->up) v += (double)pt_get(a->up, a->type, up + j);
    pt_put(a->out, a->type, r * a->c + j, (float)v);
  }
}

void pt_unpool_ref(const struct pt_unpool *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads)
  for (int64_t r = x->from; r < pt_exec_to(x, a->n); r++) one_row(a, r, pt_ref_scratch(x));
}
