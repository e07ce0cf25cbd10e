/* cpe_grad_ref.c - the definition of cpe_grad.h: one row after the other, in double, with all
 * sums over rows in double too. */
#include "cpe_grad.h"

#include <string.h>

#include "conv_ref.h"

int64_t pt_cpe_grad_scratch_ref(const struct pt_cpe_grad *a, int tile);
void pt_cpe_grad_ref(const struct pt_cpe_grad *a, const struct pt_exec *x);

/* Sums over the rows, then what belongs to one row. */
struct row {
  double *dw;                     /* [c, c] */
  double *dbias, *dgamma, *dbeta; /* [c] */
  double *y, *hat, *dz, *dy;      /* [c] */
  int32_t *table;
};

int64_t pt_cpe_grad_scratch_ref(const struct pt_cpe_grad *a, int tile) {
  (void)tile;
  return ((int64_t)a->c + 7) * a->c * (int64_t)sizeof(double) + pt_ref_table(3);
}

static struct row lay_out(const struct pt_cpe_grad *a, double *at) {
  struct row w = {.dw = at};
  double **const part[] = {&w.dbias, &w.dgamma, &w.dbeta, &w.y, &w.hat, &w.dz, &w.dy};
  at += (int64_t)a->c * a->c;
  for (int i = 0; i < 7; i++, at += a->c) *part[i] = at;
  w.table = (int32_t *)at;
  return w;
}

/* y, hat = the normalised y W + b; returns 1 / sqrt(variance + eps). */
static double forward(const struct pt_cpe_grad *a, int64_t r, const struct row *w) {
  double mean = 0.0, var = 0.0;
  pt_ref_row(w->y, a->conv_bias, PT_F32, 0, a->c);
  pt_ref_conv_row(w->y, a->vox, r, w->table, 3, a->in, a->type, &a->conv_w, false);
  pt_ref_linear(w->hat, w->y, &a->w, a->bias);
  for (int i = 0; i < a->c; i++) mean += w->hat[i] / a->c;
  for (int i = 0; i < a->c; i++) var += (w->hat[i] - mean) * (w->hat[i] - mean) / a->c;
  const double inv = 1.0 / sqrt(var + PT_LAYERNORM_EPS);
  for (int i = 0; i < a->c; i++) w->hat[i] = (w->hat[i] - mean) * inv;
  return inv;
}

/* dgamma, dbeta, and dz: with d = g gamma, dz = inv (d - mean(d) - hat mean(d hat)). */
static void norm_backward(const struct pt_cpe_grad *a, int64_t r, const struct row *w,
                          double inv) {
  double mean = 0.0, along = 0.0;
  for (int i = 0; i < a->c; i++) {
    const double g = (double)pt_get(a->g, a->type, r * a->c + i);
    w->dgamma[i] += g * w->hat[i];
    w->dbeta[i] += g;
    w->dz[i] = g * (double)a->gamma[i];
    mean += w->dz[i] / a->c;
    along += w->dz[i] * w->hat[i] / a->c;
  }
  for (int i = 0; i < a->c; i++) w->dz[i] = inv * (w->dz[i] - mean - w->hat[i] * along);
}

static void one_row(const struct pt_cpe_grad *a, int64_t r, const struct row *w) {
  norm_backward(a, r, w, forward(a, r, w));
  for (int o = 0; o < a->c; o++) {
    w->dbias[o] += w->dz[o];
    for (int i = 0; i < a->c; i++) w->dw[(int64_t)o * a->c + i] += w->dz[o] * w->y[i];
  }
  pt_ref_linear(w->dy, w->dz, &a->wt, NULL);
  for (int i = 0; i < a->c; i++) pt_put(a->dy, a->type, r * a->c + i, (float)w->dy[i]);
}

static void load(double *sum, const float *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) sum[i] = (double)from[i];
}
static void store(float *to, const double *sum, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = (float)sum[i];
}

void pt_cpe_grad_ref(const struct pt_cpe_grad *a, const struct pt_exec *x) {
  const struct row w = lay_out(a, (double *)(void *)x->scratch);
  load(w.dw, a->dw, (int64_t)a->c * a->c);
  load(w.dbias, a->dbias, a->c);
  load(w.dgamma, a->dgamma, a->c);
  load(w.dbeta, a->dbeta, a->c);
  for (int64_t b = 0; b < a->vox->blocks; b++) {
    pt_block_unfold(a->vox, b, 1, w.table);
    for (int64_t r = a->vox->start[b]; r < a->vox->start[b + 1]; r++) one_row(a, r, &w);
  }
  store(a->dw, w.dw, (int64_t)a->c * a->c);
  store(a->dbias, w.dbias, a->c);
  store(a->dgamma, w.dgamma, a->c);
  store(a->dbeta, w.dbeta, a->c);
}
