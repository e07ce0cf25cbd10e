/* attention_grad_ref.c - the definition of attention's backward pass: plain loops in double,
 * one patch after the other on one thread. See attention_grad.h for the formula and its source,
 * patch.h for what a patch is.
 *
 * Gradients of weights are summed in double over all patches and added once. */
#include "attention_grad.h"

#include <string.h>

#include "patch.h"
#include "rows_ref.h"

/* The scratch. Rows of a patch: places, own or not. */
struct work {
  const struct pt_attention_grad *a;
  struct pt_patch p;
  double *u;          /* [len, c] what qkv multiplies */
  double *qkv, *dqkv; /* [len, 3c] */
  double *o;          /* [len, c] heads' outputs side by side */
  double *ds;         /* [len, c] gradient of the sum of input and branch; 0 if borrowed */
  double *weight;     /* [len] of one query: P */
  double *drop;       /* [len] D */
  double *dweight;    /* [len] dP */
  double *row[4];     /* [c] */
  /* summed over all patches, shapes as in attention_grad.h */
  double *sums; /* of all that follow */
  double *dgamma, *dbeta, *dqkv_w, *dqkv_bias, *dproj, *dproj_bias, *drpe;
};

static int64_t table_numbers(const struct pt_attention *f) {
  return 3 * (2 * (int64_t)f->rpe_bound + 1) * f->heads;
}

static int64_t sums_of(const struct pt_attention *f) {
  const int64_t c = f->c;
  return 4 * c * c + 6 * c + table_numbers(f);
}

static void lay_out(struct work *w, double *at) {
  const struct pt_attention *f = &w->a->f;
  const int64_t len = pt_patch_longest(f), c = f->c;
  w->u = at, at += len * c;
  w->qkv = at, at += len * 3 * c;
  w->dqkv = at, at += len * 3 * c;
  w->o = at, at += len * c;
  w->ds = at, at += len * c;
  w->weight = at, at += len;
  w->drop = at, at += len;
  w->dweight = at, at += len;
  for (int i = 0; i < 4; i++) w->row[i] = at, at += c;
  w->sums = at;
  w->dgamma = at, at += c;
  w->dbeta = at, at += c;
  w->dqkv_w = at, at += 3 * c * c;
  w->dqkv_bias = at, at += 3 * c;
  w->dproj = at, at += c * c;
  w->dproj_bias = at, at += c;
  w->drpe = at;
}

int64_t pt_attention_grad_scratch_ref(const struct pt_attention_grad *a, int tile) {
  (void)tile;
  const int64_t len = pt_patch_longest(&a->f), c = a->f.c;
  const int64_t doubles = len * (9 * c + 3) + 4 * c + sums_of(&a->f);
  return (doubles * (int64_t)sizeof(double) + 63) / 64 * 64;
}

/* Where the table of an axis is read for two rows. */
static int64_t table_at(const struct pt_attention *f, int64_t ri, int64_t rj, int axis) {
  const int64_t rel = (int64_t)f->coord[3 * ri + axis] - f->coord[3 * rj + axis];
  const int64_t b = f->rpe_bound;
  return (rel < -b ? -b : rel > b ? b : rel) + b + axis * (2 * b + 1);
}

/* The softmax of the query at place i for one head, into w->weight, and what its weights are
 * multiplied by, into w->drop. */
static void weigh(const struct work *w, int i, int head) {
  const struct pt_attention *f = &w->a->f;
  const int d = f->c / f->heads;
  const double *q = w->qkv + (int64_t)i * 3 * f->c + head * d;
  const int64_t softmax = pt_patch_row(f, w->p.first + i) * f->heads + head;
  double top = -INFINITY, sum = 0;
  for (int j = 0; j < w->p.len; j++) {
    const double *k = w->qkv + (int64_t)j * 3 * f->c + f->c + head * d;
    double s = 0;
    for (int e = 0; e < d; e++) s += q[e] * (double)f->scale * k[e];
    for (int axis = 0; f->rpe && axis < 3; axis++) {
      const int64_t at =
          table_at(f, pt_patch_row(f, w->p.first + i), pt_patch_row(f, w->p.first + j), axis);
      s += (double)f->rpe[at * f->heads + head];
    }
    w->weight[j] = s;
    if (s > top) top = s;
  }
  for (int j = 0; j < w->p.len; j++) sum += w->weight[j] = exp(w->weight[j] - top);
  for (int j = 0; j < w->p.len; j++) {
    w->weight[j] /= sum;
    w->drop[j] = (double)pt_drop_attn(&f->drop, softmax, j);
  }
}

/* u, q, k, v of all rows and the heads' outputs of its own. */
static void forward(const struct work *w) {
  const struct pt_attention *f = &w->a->f;
  const int c = f->c, d = c / f->heads;
  for (int j = 0; j < w->p.len; j++) {
    double *u = w->u + (int64_t)j * c;
    pt_ref_row(u, w->a->x, f->type, pt_patch_row(f, w->p.first + j), c);
    if (f->pre_norm) pt_ref_layernorm(u, u, c, f->gamma, f->beta);
    pt_ref_linear(w->qkv + (int64_t)j * 3 * c, u, &f->qkv, f->qkv_bias);
  }
  for (int i = w->p.len - w->p.own; i < w->p.len; i++)
    for (int h = 0; h < f->heads; h++) {
      weigh(w, i, h);
      for (int e = 0; e < d; e++) {
        double sum = 0;
        for (int j = 0; j < w->p.len; j++)
          sum += w->weight[j] * w->drop[j] * w->qkv[(int64_t)j * 3 * c + 2 * c + h * d + e];
        w->o[(int64_t)i * c + h * d + e] = sum;
      }
    }
}

/* LayerNorm's backward pass for one row: dy becomes the gradient of x; gamma's and beta's are
 * added up. */
static void norm_back(const struct work *w, const double *x, double *dy) {
  const float *gamma = w->a->f.gamma;
  const int c = w->a->f.c;
  double mean = 0, var = 0, sum = 0, along = 0;
  for (int e = 0; e < c; e++) mean += x[e] / c;
  for (int e = 0; e < c; e++) var += (x[e] - mean) * (x[e] - mean) / c;
  const double inv = 1 / sqrt(var + PT_LAYERNORM_EPS);
  for (int e = 0; e < c; e++) {
    const double unit = (x[e] - mean) * inv;
    w->dgamma[e] += dy[e] * unit;
    w->dbeta[e] += dy[e];
    sum += dy[e] * (double)gamma[e] / c;
    along += dy[e] * (double)gamma[e] * unit / c;
  }
  for (int e = 0; e < c; e++)
    dy[e] = inv * (dy[e] * (double)gamma[e] - sum - (x[e] - mean) * inv * along);
}

/* ds of place i from the gradient of its output. */
static void sum_back(const struct work *w, int i) {
  const struct pt_attention *f = &w->a->f;
  const int64_t r = pt_patch_row(f, w->p.first + i);
  const int c = f->c;
  double *ds = w->ds + (int64_t)i * c, *x = w->row[0], *s = w->row[1];
  pt_ref_row(ds, w->a->g, f->type, r, c);
  if (f->pre_norm) return;
  pt_ref_row(x, w->a->x, f->type, r, c);
  pt_ref_linear(s, w->o + (int64_t)i * c, &f->proj, f->proj_bias);
  for (int e = 0; e < c; e++)
    s[e] = x[e] +
           s[e] * (double)pt_drop_path(&f->drop, r) * (double)pt_drop_proj(&f->drop, r, c, e);
  norm_back(w, s, ds);
}

/* dq of the query at place i, what it adds to dk and dv of all, for one head. dout [c]: of the
 * heads' outputs. */
static void head_back(const struct work *w, int i, int h, const double *dout) {
  const struct pt_attention *f = &w->a->f;
  const int d = f->c / f->heads, c = f->c;
  const double scale = (double)f->scale, *q = w->qkv + (int64_t)i * 3 * c + h * d;
  double *dq = w->dqkv + (int64_t)i * 3 * c + h * d, along = 0;
  weigh(w, i, h);
  for (int j = 0; j < w->p.len; j++) {
    const double *v = w->qkv + (int64_t)j * 3 * c + 2 * c + h * d;
    w->dweight[j] = 0;
    for (int e = 0; e < d; e++) w->dweight[j] += w->drop[j] * dout[h * d + e] * v[e];
    along += w->weight[j] * w->dweight[j];
  }
  for (int j = 0; j < w->p.len; j++) {
    const double *k = w->qkv + (int64_t)j * 3 * c + c + h * d;
    double *dk = w->dqkv + (int64_t)j * 3 * c + c + h * d, *dv = dk + c;
    const double p = w->weight[j], dscore = p * (w->dweight[j] - along);
    for (int e = 0; e < d; e++) {
      dq[e] += scale * dscore * k[e];
      dk[e] += scale * dscore * q[e];
      dv[e] += p * w->drop[j] * dout[h * d + e];
    }
    for (int axis = 0; f->rpe && w->a->drpe && axis < 3; axis++)
      w->drpe[table_at(f, pt_patch_row(f, w->p.first + i), pt_patch_row(f, w->p.first + j),
                       axis) *
                  f->heads +
              h] += dscore;
  }
}

/* From the gradient of the output of place i to dqkv. */
static void query_back(const struct work *w, int i) {
  const struct pt_attention *f = &w->a->f;
  const int64_t r = pt_patch_row(f, w->p.first + i);
  const int c = f->c;
  double *dy = w->row[0], *dout = w->row[1];
  sum_back(w, i);
  for (int e = 0; e < c; e++)
    dy[e] = w->ds[(int64_t)i * c + e] * (double)pt_drop_path(&f->drop, r) *
            (double)pt_drop_proj(&f->drop, r, c, e);
  for (int y = 0; y < c; y++) {
    w->dproj_bias[y] += dy[y];
    for (int e = 0; e < c; e++)
      w->dproj[(int64_t)y * c + e] += dy[y] * w->o[(int64_t)i * c + e];
  }
  pt_ref_linear(dout, dy, &w->a->proj_t, NULL);
  for (int h = 0; h < f->heads; h++) head_back(w, i, h, dout);
}

/* From dqkv of place j to g. */
static void row_back(const struct work *w, int j) {
  const struct pt_attention *f = &w->a->f;
  const int c = f->c;
  const int64_t r = pt_patch_row(f, w->p.first + j);
  const double *dqkv = w->dqkv + (int64_t)j * 3 * c, *u = w->u + (int64_t)j * c;
  double *du = w->row[0], *x = w->row[1], *had = w->row[2];
  for (int y = 0; y < 3 * c; y++) {
    w->dqkv_bias[y] += dqkv[y];
    for (int e = 0; e < c; e++) w->dqkv_w[(int64_t)y * c + e] += dqkv[y] * u[e];
  }
  pt_ref_linear(du, dqkv, &w->a->qkv_t, NULL);
  if (f->pre_norm) {
    pt_ref_row(x, w->a->x, f->type, r, c);
    norm_back(w, x, du);
  }
  if (j < w->p.len - w->p.own)
    pt_ref_row(had, w->a->g, f->type, r, c); /* from the patch before it */
  else
    memcpy(had, w->ds + (int64_t)j * c, (size_t)c * sizeof *had);
  for (int e = 0; e < c; e++) pt_put(w->a->g, f->type, r * c + e, (float)(had[e] + du[e]));
}

static void add_sum(float *to, const double *sum, int64_t n) {
  for (int64_t i = 0; to && i < n; i++) to[i] = (float)((double)to[i] + sum[i]);
}

void pt_attention_grad_ref(const struct pt_attention_grad *a, const struct pt_exec *ex) {
  const int64_t c = a->f.c, total = pt_patch_total(&a->f);
  struct work w = {.a = a};
  lay_out(&w, (double *)(void *)ex->scratch);
  memset(w.sums, 0, (size_t)sums_of(&a->f) * sizeof *w.sums);
  for (int64_t i = 0; i < total; i++) {
    w.p = pt_patch_at(&a->f, i);
    forward(&w);
    memset(w.dqkv, 0, (size_t)(w.p.len * 3 * c) * sizeof *w.dqkv);
    for (int j = w.p.len - w.p.own; j < w.p.len; j++) query_back(&w, j);
    for (int j = 0; j < w.p.len; j++) row_back(&w, j);
  }
  add_sum(a->dgamma, w.dgamma, c);
  add_sum(a->dbeta, w.dbeta, c);
  add_sum(a->dqkv, w.dqkv_w, 3 * c * c);
  add_sum(a->dqkv_bias, w.dqkv_bias, 3 * c);
  add_sum(a->dproj, w.dproj, c * c);
  add_sum(a->dproj_bias, w.dproj_bias, c);
  if (a->f.rpe) add_sum(a->drpe, w.drpe, table_numbers(&a->f));
}
