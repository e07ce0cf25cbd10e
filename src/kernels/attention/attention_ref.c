/* attention_ref.c - the definition of attention: plain loops, double accumulation.
 * See attention.h for the formula and its source; patch.h for what a patch is.
 *
 * Scratch of a thread, in doubles: q, k, v of a patch [len, 3c], a row [c], scores [len]. */
#include <math.h>
#include <omp.h>

#include "feature.h"
#include "kernels.h"
#include "patch.h"

static void layer_norm(double *y, const double *x, const float *gamma, const float *beta,
                       int c) {
  double mean = 0, var = 0;
  for (int j = 0; j < c; j++) mean += x[j];
  mean /= c;
  for (int j = 0; j < c; j++) var += (x[j] - mean) * (x[j] - mean);
  double r = 1 / sqrt(var / c + 1e-5);
  for (int j = 0; j < c; j++) y[j] = (x[j] - mean) * r * (double)gamma[j] + (double)beta[j];
}

/* y[n] = x[k] B + bias */
static void linear(double *y, const double *x, const struct pt_mat *m, const float *bias) {
  for (int j = 0; j < m->n; j++) {
    double s = bias ? (double)bias[j] : 0;
    for (int i = 0; i < m->k; i++) s += x[i] * (double)pt_mat_at(m, i, j);
    y[j] = s;
  }
}

static double rpe_bias(const struct pt_attention *a, int64_t ri, int64_t rj, int head) {
  double s = 0;
  for (int d = 0; d < 3; d++) {
    int64_t rel = (int64_t)a->coord[3 * ri + d] - a->coord[3 * rj + d], b = a->rpe_bound;
    int64_t at = (rel < -b ? -b : rel > b ? b : rel) + b + d * (2 * b + 1);
    s += (double)a->rpe[at * a->heads + head];
  }
  return s;
}

/* out[d] of one head for the query at place i of the patch; score [len] is overwritten. */
static void attend(const struct pt_attention *a, struct pt_patch p, const double *qkv,
                   double *score, int i, int head, double *out) {
  int d = a->c / a->heads;
  const double *q = qkv + (int64_t)i * 3 * a->c + head * d;
  const int64_t softmax = pt_patch_row(a, p.first + i) * a->heads + head;
  double top = -INFINITY, sum = 0;
  for (int j = 0; j < p.len; j++) {
    const double *k = qkv + (int64_t)j * 3 * a->c + a->c + head * d;
    double s = 0;
    for (int e = 0; e < d; e++) s += q[e] * (double)a->scale * k[e];
    if (a->rpe)
      s += rpe_bias(a, pt_patch_row(a, p.first + i), pt_patch_row(a, p.first + j), head);
    score[j] = s;
    if (s > top) top = s;
  }
  for (int e = 0; e < d; e++) out[e] = 0;
  for (int j = 0; j < p.len; j++) {
    const double *v = qkv + (int64_t)j * 3 * a->c + 2 * a->c + head * d;
    double w = exp(score[j] - top);
    sum += w;
    w *= (double)pt_drop_attn(&a->drop, softmax, j);
    for (int e = 0; e < d; e++) out[e] += w * v[e];
  }
  for (int e = 0; e < d; e++) out[e] /= sum;
  if (a->lse) a->lse[softmax] = (float)((top + log(sum)) * 1.44269504088896340736);
}

/* scratch: see above. Reads all rows of the patch first, then writes its own. */
static void patch_ref(const struct pt_attention *a, struct pt_patch p, double *scratch) {
  const void *in = pt_attention_in(a);
  int c = a->c;
  double *qkv = scratch, *row = qkv + (int64_t)p.len * 3 * c, *out = row + c, *score = out + c;
  for (int j = 0; j < p.len; j++) {
    int64_t x = pt_patch_row(a, p.first + j) * c;
    for (int e = 0; e < c; e++) row[e] = (double)pt_get(in, a->type, x + e);
    if (a->pre_norm) layer_norm(row, row, a->gamma, a->beta, c);
    linear(qkv + (int64_t)j * 3 * c, row, &a->qkv, a->qkv_bias);
  }
  for (int i = p.len - p.own; i < p.len; i++) {
    int64_t r = pt_patch_row(a, p.first + i), x = r * c;
    for (int h = 0; h < a->heads; h++) attend(a, p, qkv, score, i, h, row + h * (c / a->heads));
    for (int e = 0; a->o && e < c; e++) pt_put(a->o, a->type, x + e, (float)row[e]);
    linear(out, row, &a->proj, a->proj_bias);
    for (int e = 0; e < c; e++) {
      out[e] *= (double)pt_drop_path(&a->drop, r) * (double)pt_drop_proj(&a->drop, r, c, e);
      out[e] += (double)pt_get(in, a->type, x + e);
    }
    if (!a->pre_norm) layer_norm(out, out, a->gamma, a->beta, c);
    for (int e = 0; e < c; e++) pt_put(a->x, a->type, x + e, (float)out[e]);
  }
}

void pt_attention_ref(const struct pt_attention *a, const struct pt_exec *ex) {
  int64_t from = ex->from, to = pt_exec_to(ex, pt_patch_find(a, false, 0, NULL));
  int64_t first = pt_patch_borrowers(a, from), last = pt_patch_borrowers(a, to);
#pragma omp parallel num_threads(ex->threads)
  {
    double *scratch =
        (double *)(void *)(ex->scratch + omp_get_thread_num() * ex->scratch_stride);
    /* Borrowing patches first: the rows they borrow are still as they came in. */
#pragma omp for schedule(dynamic)
    for (int64_t i = first; i < last; i++) {
      struct pt_patch p = {0, 0, 0};
      pt_patch_find(a, true, i, &p);
      patch_ref(a, p, scratch);
    }
#pragma omp for schedule(dynamic)
    for (int64_t i = from; i < to; i++) {
      struct pt_patch p = {0, 0, 0};
      pt_patch_find(a, false, i, &p);
      patch_ref(a, p, scratch);
    }
  }
}

int64_t pt_attention_scratch_ref(const struct pt_attention *a, int tile) {
  (void)tile;
  int64_t len = pt_patch_longest(a);
  int64_t doubles = len * 3 * a->c + 2 * (int64_t)a->c + len;
  return (doubles * (int64_t)sizeof(double) + 63) / 64 * 64;
}
