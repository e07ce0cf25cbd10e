/* rows_ref.h - the row operations the reference kernels share: Linear, LayerNorm, GELU on
 * one row, in double precision. Not fast; the definition.
 * Source: torch.nn.Linear, LayerNorm (eps 1e-5, variance by n), GELU(approximate='none'). */
#ifndef PT_ROWS_REF_H
#define PT_ROWS_REF_H

#include <math.h>
#include <omp.h>
#include <stddef.h>

#include "feature.h"
#include "kernels.h"
#include "mat.h"

#define PT_LAYERNORM_EPS 1e-5

/* The calling thread's part of the scratch. */
static inline void *pt_ref_scratch(const struct pt_exec *x) {
  return x->scratch + omp_get_thread_num() * x->scratch_stride;
}

static inline double pt_ref_gelu(double v) {
  return 0.5 * v * (1.0 + erf(v * 0.70710678118654752));
}

/* Its derivative. */
static inline double pt_ref_gelu_grad(double v) {
  return 0.5 * (1.0 + erf(v * 0.70710678118654752)) +
         v * 0.39894228040143268 * exp(-0.5 * v * v);
}

/* Row r of a tensor [rows, c] as doubles. */
static inline void pt_ref_row(double *dst, const void *x, enum pt_dtype type, int64_t r,
                              int c) {
  for (int i = 0; i < c; i++) dst[i] = (double)pt_get(x, type, r * c + i);
}

/* y[0 .. n-1] = x[0 .. k-1] W + bias. */
static inline void pt_ref_linear(double *y, const double *x, const struct pt_mat *w,
                                 const float *bias) {
  for (int j = 0; j < w->n; j++) {
    double sum = bias ? (double)bias[j] : 0.0;
    for (int i = 0; i < w->k; i++) sum += x[i] * (double)pt_mat_at(w, i, j);
    y[j] = sum;
  }
}

/* y = (x - mean) / sqrt(var + eps) * gamma + beta over c channels; y may be x. */
static inline void pt_ref_layernorm(double *y, const double *x, int c, const float *gamma,
                                    const float *beta) {
  double mean = 0.0, var = 0.0;
  for (int i = 0; i < c; i++) mean += x[i];
  mean /= c;
  for (int i = 0; i < c; i++) var += (x[i] - mean) * (x[i] - mean);
  double inv = 1.0 / sqrt(var / c + PT_LAYERNORM_EPS);
  for (int i = 0; i < c; i++) y[i] = (x[i] - mean) * inv * (double)gamma[i] + (double)beta[i];
}

/* The backward pass of that for the same x: dy [c] becomes dx [c]; what gamma and beta get is
 * added to dgamma, dbeta [c]. */
static inline void pt_ref_layernorm_grad(double *dy, const double *x, int c, const float *gamma,
                                         double *dgamma, double *dbeta) {
  double mean = 0.0, var = 0.0, sum = 0.0, along = 0.0;
  for (int i = 0; i < c; i++) mean += x[i];
  mean /= c;
  for (int i = 0; i < c; i++) var += (x[i] - mean) * (x[i] - mean);
  const double inv = 1.0 / sqrt(var / c + PT_LAYERNORM_EPS);
  for (int i = 0; i < c; i++) {
    const double hat = (x[i] - mean) * inv;
    dgamma[i] += dy[i] * hat;
    dbeta[i] += dy[i];
    dy[i] *= (double)gamma[i];
    sum += dy[i];
    along += dy[i] * hat;
  }
  for (int i = 0; i < c; i++) dy[i] = inv * (dy[i] - sum / c - (x[i] - mean) * inv * along / c);
}

#endif
