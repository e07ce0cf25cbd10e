/* linear_grad_ref.c - the definition of linear_grad.h, in double. */
#include "linear_grad.h"

#include "rows_ref.h"

int64_t pt_linear_grad_scratch_ref(const struct pt_linear_grad *a, int tile);
void pt_linear_grad_ref(const struct pt_linear_grad *a, const struct pt_exec *x);

int64_t pt_linear_grad_scratch_ref(const struct pt_linear_grad *a, int tile) {
  (void)tile;
  return ((int64_t)a->in + a->c) * (int64_t)sizeof(double);
}

static void one_row(const struct pt_linear_grad *a, int64_t r, double *g) {
  double *dx = g + a->c;
  pt_ref_row(g, a->g, a->gtype, r, a->c);
  pt_ref_linear(dx, g, &a->wt, NULL);
  for (int i = 0; i < a->in; i++) {
    const int64_t at = r * a->in + i;
    const double before = a->add ? (double)pt_get(a->dx, a->type, at) : 0.0;
    pt_put(a->dx, a->type, at, (float)(before + dx[i]));
  }
}

static void one_output(const struct pt_linear_grad *a, int o, double *dw) {
  double db = 0.0;
  for (int i = 0; i < a->in; i++) dw[i] = 0.0;
  for (int64_t r = 0; r < a->n; r++) {
    const double g = (double)pt_get(a->g, a->gtype, r * a->c + o);
    db += g;
    for (int i = 0; i < a->in; i++) dw[i] += g * (double)pt_get(a->x, a->type, r * a->in + i);
  }
  for (int i = 0; i < a->in; i++) {
    float *at = a->dw + o * a->ldw + i;
    *at = (float)((double)*at + dw[i]);
  }
  if (a->db) a->db[o] = (float)((double)a->db[o] + db);
}

void pt_linear_grad_ref(const struct pt_linear_grad *a, const struct pt_exec *x) {
#pragma omp parallel num_threads(x->threads)
  {
    if (a->dx) {
#pragma omp for
      for (int64_t r = 0; r < a->n; r++) one_row(a, r, pt_ref_scratch(x));
    }
#pragma omp for
    for (int o = 0; o < a->c; o++) one_output(a, o, pt_ref_scratch(x));
  }
}
