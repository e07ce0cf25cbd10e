/* pool_ref.c - the definition of pool.h: one parent cell at a time, in double. */
#include "pool.h"

#include "rows_ref.h"

int64_t pt_pool_scratch_ref(const struct pt_pool *a, int tile);
void pt_pool_ref(const struct pt_pool *a, const struct pt_exec *x);

int64_t pt_pool_scratch_ref(const struct pt_pool *a, int tile) {
  (void)tile;
  return ((int64_t)a->in + 2 * a->c) * (int64_t)sizeof(double);
}

static void one_segment(const struct pt_pool *a, int64_t s, double *scratch) {
  double *in = scratch, *y = in + a->in, *max = y + a->c;
  const int64_t out = (a->row ? a->row[s] : s) * a->c;
  for (int j = 0; j < a->c; j++) max[j] = -INFINITY;
  for (int64_t r = a->start[s]; r < a->start[s + 1]; r++) {
    pt_ref_row(in, a->x, a->type, r, a->in);
    pt_ref_linear(y, in, &a->w, a->bias);
    for (int j = 0; j < a->c; j++) max[j] = y[j] > max[j] ? y[j] : max[j];
  }
  for (int j = 0; j < a->c; j++) {
    if (!a->raw) max[j] = pt_ref_gelu((double)a->g[j] * max[j] + (double)a->shift[j]);
    pt_put(a->out, a->type, out + j, (float)max[j]);
  }
}

void pt_pool_ref(const struct pt_pool *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads)
  for (int64_t s = x->from; s < pt_exec_to(x, a->m); s++) one_segment(a, s, pt_ref_scratch(x));
}
