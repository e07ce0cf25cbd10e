/* up_grad_ref.c - the definition of up_grad.h: one row of dx at a time, in double. */
#include "up_grad.h"

#include "rows_ref.h"

int64_t pt_up_grad_scratch_ref(const struct pt_up_grad *a, int tile);
void pt_up_grad_ref(const struct pt_up_grad *a, const struct pt_exec *x);

int64_t pt_up_grad_scratch_ref(const struct pt_up_grad *a, int tile) {
  (void)a;
  (void)tile;
  return 0;
}

void pt_up_grad_ref(const struct pt_up_grad *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads)
  for (int64_t s = 0; s < a->m; s++)
    for (int j = 0; j < a->c; j++) {
      double sum = 0.0;
      for (int64_t r = a->start[s]; r < a->start[s + 1]; r++)
        sum += (double)pt_get(a->g, a->type, r * a->c + j);
      pt_put(a->dx, a->type, (a->row ? a->row[s] : s) * a->c + j, (float)sum);
    }
}
