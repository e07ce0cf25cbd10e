/* batchnorm_ref.c - the definition of batchnorm.h: a channel at a time, in double. */
#include "batchnorm.h"

#include "rows_ref.h"

int64_t pt_batchnorm_scratch_ref(const struct pt_batchnorm *a, int tile);
void pt_batchnorm_ref(const struct pt_batchnorm *a, const struct pt_exec *x);

int64_t pt_batchnorm_scratch_ref(const struct pt_batchnorm *a, int tile) {
  (void)a;
  (void)tile;
  return 0;
}

static void running(const struct pt_batchnorm *a, int j, double mean, double var) {
  const double m = (double)a->momentum;
  if (!a->running || a->n < 2) return;
  var *= (double)a->n / (double)(a->n - 1);
  a->running[j] = (float)((1 - m) * (double)a->running[j] + m * mean);
  a->running_var[j] = (float)((1 - m) * (double)a->running_var[j] + m * var);
}

static void one_channel(const struct pt_batchnorm *a, int j) {
  const int64_t c = a->c;
  double mean = 0.0, var = 0.0;
  for (int64_t r = 0; r < a->n; r++) mean += (double)pt_get(a->y, a->type, r * c + j);
  mean /= (double)(a->n > 0 ? a->n : 1);
  for (int64_t r = 0; r < a->n; r++) {
    const double d = (double)pt_get(a->y, a->type, r * c + j) - mean;
    var += d * d;
  }
  var /= (double)(a->n > 0 ? a->n : 1);
  const double inv = 1.0 / sqrt(var + (double)a->eps);
  for (int64_t r = 0; r < a->n; r++) {
    const double d = (double)pt_get(a->y, a->type, r * c + j) - mean;
    double v = pt_ref_gelu(d * inv * (double)a->gamma[j] + (double)a->beta[j]);
    if (a->up) v += (double)pt_get(a->up, a->type, (int64_t)a->cluster[r] * c + j);
    pt_put(a->out, a->type, r * c + j, (float)v);
  }
  a->stats[j] = (float)mean;
  a->stats[c + j] = (float)inv;
  running(a, j, mean, var);
}

void pt_batchnorm_ref(const struct pt_batchnorm *a, const struct pt_exec *x) {
  if (a->n == 0) {
    for (int j = 0; j < 2 * a->c; j++) a->stats[j] = 0.0f;
    return;
  }
#pragma omp parallel for num_threads(x->threads)
  for (int j = 0; j < a->c; j++) one_channel(a, j);
}
