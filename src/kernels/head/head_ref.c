/* head_ref.c - the definition of head.h: one row at a time, in double. */
#include "head.h"

#include "rows_ref.h"

int64_t pt_head_scratch_ref(const struct pt_head *a, int tile);
void pt_head_ref(const struct pt_head *a, const struct pt_exec *x);

int64_t pt_head_scratch_ref(const struct pt_head *a, int tile) {
  (void)tile;
  return ((int64_t)a->w.k + a->classes) * (int64_t)sizeof(double);
}

static void one_row(const struct pt_head *a, int64_t r, double *scratch) {
  double *in = scratch, *out = scratch + a->w.k;
  for (int s = 0, at = 0; s < a->sources; at += a->src[s++].c) {
    int64_t row = a->src[s].map ? a->src[s].map[r] : r;
    pt_ref_row(in + at, a->src[s].x, a->type, row, a->src[s].c);
  }
  pt_ref_linear(out, in, &a->w, a->bias);
  for (int j = 0; j < a->classes; j++) a->out[r * a->classes + j] = (float)out[j];
}

void pt_head_ref(const struct pt_head *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads)
  for (int64_t r = x->from; r < pt_exec_to(x, a->n); r++) one_row(a, r, pt_ref_scratch(x));
}
