/* pool_grad_ref.c - the definition of pool_grad.h: one parent cell at a time, in double. */
#include "pool_grad.h"

#include "rows_ref.h"

int64_t pt_pool_grad_scratch_ref(const struct pt_pool_grad *a, int tile);
void pt_pool_grad_ref(const struct pt_pool_grad *a, const struct pt_exec *x);

int64_t pt_pool_grad_scratch_ref(const struct pt_pool_grad *a, int tile) {
  (void)tile;
  return (2 * (int64_t)a->in + 3 * a->c + (int64_t)a->in * a->c) * (int64_t)sizeof(double);
}

struct room {
  double *x, *y, *max, *dx; /* [in], [c], [c], [in] */
  double *at;               /* [c] row of the maximum */
  double *dw;               /* [c, in] of all rows so far, with dx at first */
};

static void find_maxima(const struct pt_pool_grad *a, int64_t s, const struct room *k) {
  for (int j = 0; j < a->c; j++) k->max[j] = -INFINITY, k->at[j] = a->start[s];
  for (int64_t r = a->start[s]; r < a->start[s + 1]; r++) {
    pt_ref_row(k->x, a->x, a->type, r, a->in);
    pt_ref_linear(k->y, k->x, &a->w, a->bias);
    for (int j = 0; j < a->c; j++)
      if (k->y[j] > k->max[j]) k->max[j] = k->y[j], k->at[j] = (double)r;
  }
}

static void one_row(const struct pt_pool_grad *a, int64_t g, int64_t r, const struct room *k) {
  double *dy = k->y;
  pt_ref_row(dy, a->g, a->type, g, a->c);
  for (int j = 0; j < a->c; j++)
    if (k->at[j] != (double)r) dy[j] = 0.0;
  pt_ref_linear(k->dx, dy, &a->wt, NULL);
  for (int i = 0; i < a->in; i++) {
    const double before = a->add ? (double)pt_get(a->dx, a->type, r * a->in + i) : 0.0;
    pt_put(a->dx, a->type, r * a->in + i, (float)(before + k->dx[i]));
  }
  pt_ref_row(k->x, a->x, a->type, r, a->in);
  for (int j = 0; j < a->c; j++)
    for (int i = 0; i < a->in; i++) k->dw[(int64_t)j * a->in + i] += dy[j] * k->x[i];
}

void pt_pool_grad_ref(const struct pt_pool_grad *a, const struct pt_exec *x) {
  const int64_t weights = (int64_t)a->c * a->in;
  struct room k = {.x = (double *)(void *)x->scratch};
  k.dx = k.x + a->in, k.y = k.dx + a->in, k.max = k.y + a->c, k.at = k.max + a->c;
  k.dw = k.at + a->c;
  for (int64_t i = 0; i < weights; i++) k.dw[i] = 0.0;
  for (int64_t s = 0; s < a->m; s++) {
    const int64_t g = a->row ? a->row[s] : s;
    find_maxima(a, s, &k);
    for (int64_t r = a->start[s]; r < a->start[s + 1]; r++) one_row(a, g, r, &k);
  }
  for (int64_t i = 0; i < weights; i++) a->dw[i] = (float)((double)a->dw[i] + k.dw[i]);
  for (int j = 0; j < a->c; j++) {
    double sum = 0.0;
    for (int64_t s = 0; s < a->m; s++) sum += (double)pt_get(a->g, a->type, s * a->c + j);
    a->db[j] = (float)((double)a->db[j] + sum);
  }
}
