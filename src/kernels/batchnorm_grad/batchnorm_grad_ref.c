/* batchnorm_grad_ref.c - the definition of batchnorm_grad.h: a channel at a time, in double. */
#include "batchnorm_grad.h"

#include "rows_ref.h"

int64_t pt_batchnorm_grad_scratch_ref(const struct pt_batchnorm_grad *a, int tile);
void pt_batchnorm_grad_ref(const struct pt_batchnorm_grad *a, const struct pt_exec *x);

int64_t pt_batchnorm_grad_scratch_ref(const struct pt_batchnorm_grad *a, int tile) {
  (void)a;
  (void)tile;
  return 0;
}

/* xhat and dh of channel j in row r. */
static void one_number(const struct pt_batchnorm_grad *a, int64_t r, int j, double *xhat,
                       double *dh) {
  const int64_t at = r * a->c + j;
  *xhat =
      ((double)pt_get(a->y, a->type, at) - (double)a->stats[j]) * (double)a->stats[a->c + j];
  *dh = (double)pt_get(a->g, a->type, at) *
        pt_ref_gelu_grad(*xhat * (double)a->gamma[j] + (double)a->beta[j]);
}

static void one_channel(const struct pt_batchnorm_grad *a, int j) {
  double sum = 0.0, product = 0.0, xhat, dh;
  for (int64_t r = 0; r < a->n; r++) {
    one_number(a, r, j, &xhat, &dh);
    sum += dh;
    product += dh * xhat;
  }
  const double n = (double)a->n, scale = (double)a->gamma[j] * (double)a->stats[a->c + j];
  for (int64_t r = 0; r < a->n; r++) {
    one_number(a, r, j, &xhat, &dh);
    pt_put(a->g, a->type, r * a->c + j, (float)(scale * (dh - sum / n - xhat * product / n)));
  }
  a->dgamma[j] = (float)((double)a->dgamma[j] + product);
  a->dbeta[j] = (float)((double)a->dbeta[j] + sum);
}

void pt_batchnorm_grad_ref(const struct pt_batchnorm_grad *a, const struct pt_exec *x) {
#pragma omp parallel for num_threads(x->threads)
  for (int j = 0; j < a->c; j++) one_channel(a, j);
}
