/* mlp_grad_ref.c - the definition of mlp_grad.h: row by row on one thread, in double; sums are
 * kept in double until the last row. */
#include "mlp_grad.h"

#include "rows_ref.h"

int64_t pt_mlp_grad_scratch_ref(const struct pt_mlp_grad *a, int tile);
void pt_mlp_grad_ref(const struct pt_mlp_grad *a, const struct pt_exec *x);

/* A row's numbers, [c] or [hidden]; and the sums over rows. */
struct work {
  double *x, *u, *sum, *v, *h, *db, *dv, *du, *g;
  double *dgamma, *dbeta, *dw1, *db1, *dw2, *db2;
};

/* Lays out the work at p (NULL: sizes alone); returns numbers in all. */
static int64_t lay_out(const struct pt_mlp *f, struct work *w, double *p) {
  const int64_t c = f->c, h = f->hidden, m = c * h;
  const struct {
    double **at;
    int64_t count;
  } of[] = {{&w->x, c},     {&w->u, c},   {&w->sum, c}, {&w->v, h},   {&w->h, h},
            {&w->db, c},    {&w->dv, h},  {&w->du, c},  {&w->g, c},   {&w->dgamma, c},
            {&w->dbeta, c}, {&w->dw1, m}, {&w->db1, h}, {&w->dw2, m}, {&w->db2, c}};
  int64_t n = 0;
  for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
    if (p) *of[i].at = p + n;
    n += of[i].count;
  }
  return n;
}

int64_t pt_mlp_grad_scratch_ref(const struct pt_mlp_grad *a, int tile) {
  struct work w;
  (void)tile;
  return lay_out(&a->f, &w, NULL) * (int64_t)sizeof(double);
}

static double branch_drop(const struct pt_mlp *f, int64_t r, int i) {
  return (double)pt_drop_path(&f->drop, r) * (double)pt_drop_proj(&f->drop, r, f->c, i);
}

static double hidden_drop(const struct pt_mlp *f, int64_t r, int j) {
  return (double)pt_drop_hidden(&f->drop, r, f->hidden, j);
}

/* The forward pass of row r, as far as the backward pass needs it. */
static void forward(const struct pt_mlp_grad *a, int64_t r, struct work *w) {
  const struct pt_mlp *f = &a->f;
  pt_ref_row(w->x, a->x, f->type, r, f->c);
  if (f->pre_norm)
    pt_ref_layernorm(w->u, w->x, f->c, f->gamma, f->beta);
  else
    for (int i = 0; i < f->c; i++) w->u[i] = w->x[i];
  pt_ref_linear(w->v, w->u, &f->w1, f->b1);
  for (int j = 0; j < f->hidden; j++) w->h[j] = pt_ref_gelu(w->v[j]) * hidden_drop(f, r, j);
  pt_ref_linear(w->sum, w->h, &f->w2, f->b2);
  for (int i = 0; i < f->c; i++) w->sum[i] = w->x[i] + w->sum[i] * branch_drop(f, r, i);
}

/* dw [n, m] += dy^T x, db [n] += dy. */
static void add_outer(double *dw, double *db, const double *dy, int n, const double *x, int m) {
  for (int i = 0; i < n; i++) {
    db[i] += dy[i];
    for (int j = 0; j < m; j++) dw[(int64_t)i * m + j] += dy[i] * x[j];
  }
}

static void one_row(const struct pt_mlp_grad *a, int64_t r, struct work *w) {
  const struct pt_mlp *f = &a->f;
  const int c = f->c, hidden = f->hidden;
  forward(a, r, w);
  pt_ref_row(w->g, a->g, f->type, r, c);
  if (!f->pre_norm) pt_ref_layernorm_grad(w->g, w->sum, c, f->gamma, w->dgamma, w->dbeta);
  for (int i = 0; i < c; i++) {
    const double more = a->g_branch ? (double)pt_get(a->g_branch, f->type, r * c + i) : 0.0;
    w->db[i] = (w->g[i] + more) * branch_drop(f, r, i);
  }
  add_outer(w->dw2, w->db2, w->db, c, w->h, hidden);
  pt_ref_linear(w->dv, w->db, &a->w2_t, NULL);
  for (int j = 0; j < hidden; j++) w->dv[j] *= hidden_drop(f, r, j) * pt_ref_gelu_grad(w->v[j]);
  add_outer(w->dw1, w->db1, w->dv, hidden, w->u, c);
  pt_ref_linear(w->du, w->dv, &a->w1_t, NULL);
  if (f->pre_norm) pt_ref_layernorm_grad(w->du, w->x, c, f->gamma, w->dgamma, w->dbeta);
  for (int i = 0; i < c; i++) pt_put(a->g, f->type, r * c + i, (float)(w->g[i] + w->du[i]));
}

static void add_to(float *y, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = (float)((double)y[i] + x[i]);
}

void pt_mlp_grad_ref(const struct pt_mlp_grad *a, const struct pt_exec *x) {
  const int64_t c = a->f.c, hidden = a->f.hidden;
  struct work w;
  const int64_t n = lay_out(&a->f, &w, pt_ref_scratch(x));
  for (int64_t i = 0; i < n; i++) w.x[i] = 0.0;
  for (int64_t r = 0; r < a->f.n; r++) one_row(a, r, &w);
  add_to(a->dgamma, w.dgamma, c);
  add_to(a->dbeta, w.dbeta, c);
  add_to(a->dw1, w.dw1, c * hidden);
  add_to(a->db1, w.db1, hidden);
  add_to(a->dw2, w.dw2, c * hidden);
  add_to(a->db2, w.db2, c);
}
