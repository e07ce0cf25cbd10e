/* loss_cpu.c - loss.h: softmax and cross entropy of all rows, then the classes of Lovasz losses
 * (lovasz_cpu.c), which leave the gradient of p in g, then the gradient of the logits. A row's
 * largest logit and 1 / sum are kept, its exponentials worked out again. */
#include "loss_work.h"

#include "isa.h"
#include "lovasz.h"
#include "softmax_cpu.h"

int64_t PT_FN(pt_loss_scratch)(const struct pt_loss *a, int tile);
void PT_FN(pt_loss)(const struct pt_loss *a, const struct pt_exec *x);

int64_t PT_FN(pt_loss_scratch)(const struct pt_loss *a, int tile) {
  (void)tile;
  const int64_t rows = 2 * pt_floats(a->classes), sort = PT_FN(pt_lovasz_scratch)(a);
  return rows > sort ? rows : sort;
}

/* p = exp(l - top), c numbers. */
PT_INLINE void exp_row(float *p, const float *l, int c, float top) {
  for (int i = 0; i < c; i += PT_VW)
    pt_vstore_n(p + i, pt_vexp_below(pt_vsub(pt_vload_n(l + i, c - i), pt_vset1(top))), c - i);
}

static float largest(const float *l, int c) {
  float m[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
  int i = 0;
  for (; i + 4 <= c; i += 4)
    for (int j = 0; j < 4; j++) m[j] = l[i + j] > m[j] ? l[i + j] : m[j];
  for (; i < c; i++) m[0] = l[i] > m[0] ? l[i] : m[0];
  m[0] = m[1] > m[0] ? m[1] : m[0];
  m[2] = m[3] > m[2] ? m[3] : m[2];
  return m[2] > m[0] ? m[2] : m[0];
}

/* ---- values ---- */

/* Adds row r's part of cross entropy k: log of p is (logit - top) - log_sum. */
static void entropy_of(const struct pt_loss *a, int k, int64_t r, float top, double log_sum,
                       struct pt_loss_block *b) {
  const struct pt_criterion *q = &a->criterion[k];
  const float *l = a->logits + r * a->classes;
  const int32_t y = a->label[r];
  const double own = (double)(l[y] - top) - log_sum, w = pt_class_weight(q, y);
  b->weight[k] += w;
  b->value[k] -= (1.0 - (double)q->smoothing) * w * own;
  if (q->smoothing <= 0.0f) return;
  double all = 0.0;
  for (int c = 0; c < a->classes; c++)
    all += pt_class_weight(q, c) * ((double)(l[c] - top) - log_sum);
  b->value[k] -= (double)q->smoothing / a->classes * all;
}

/* Softmax of a block's rows, sums of cross entropy; g is cleared for what Lovasz losses add. */
static void one_block(const struct pt_loss *a, const struct pt_loss_parts *w, int64_t at,
                      float *p) {
  struct pt_loss_block *b = &w->block[at];
  const int64_t first = at * PT_LOSS_ROWS;
  const int64_t end = a->n - first < PT_LOSS_ROWS ? a->n : first + PT_LOSS_ROWS;
  *b = (struct pt_loss_block){0};
  if (w->key[0])
    memset(a->g + first * a->classes, 0, (size_t)((end - first) * a->classes) * sizeof *a->g);
  for (int64_t r = first; r < end; r++) {
    const float *l = a->logits + r * a->classes, top = largest(l, a->classes);
    exp_row(p, l, a->classes, top);
    const float sum = pt_row_moment(p, a->classes, 0.0f, 1);
    w->top[r] = top, w->inv[r] = 1.0f / sum;
    double log_sum = 0.0;
    for (int k = 0, know = 0; k < a->criteria; k++) {
      if (!pt_loss_counts(a, k, r)) continue;
      b->valid[k]++;
      if (a->criterion[k].kind != PT_CROSS_ENTROPY) continue;
      if (!know++) log_sum = log((double)sum);
      entropy_of(a, k, r, top, log_sum, b);
    }
  }
}

/* The blocks' sums in order; scale [criteria]: what a row's gradient is multiplied by. */
static void finish_values(const struct pt_loss *a, const struct pt_loss_parts *w,
                          double *scale) {
  const int64_t blocks = (a->n + PT_LOSS_ROWS - 1) / PT_LOSS_ROWS;
  for (int k = 0; k < a->criteria; k++) {
    const struct pt_criterion *q = &a->criterion[k];
    double value = 0.0, weight = 0.0;
    a->valid[k] = 0;
    for (int64_t i = 0; i < blocks; i++) {
      value += w->block[i].value[k];
      weight += w->block[i].weight[k];
      a->valid[k] += w->block[i].valid[k];
    }
    const double by = q->sum ? 1.0 : weight;
    const bool none = by == 0.0;
    a->value[1 + k] = none ? 0.0 : (double)q->loss_weight * value / by;
    scale[k] = none ? 0.0 : (double)q->loss_weight * (double)a->scale / by;
  }
}

/* ---- gradient ---- */

/* g = p (both + g - sum of g p) - own [c = y] - smooth w[c], row r; p has room for two. */
static void one_row(const struct pt_loss *a, const struct pt_loss_parts *w, const double *scale,
                    const double *weights, int64_t r, float *p) {
  const int n = a->classes;
  const int32_t y = a->label[r];
  float *g = a->g + r * n, *gp = p + pt_row_ld(n);
  double both = 0.0, own = 0.0;
  for (int k = 0; k < a->criteria; k++) {
    const struct pt_criterion *q = &a->criterion[k];
    if (q->kind != PT_CROSS_ENTROPY || !pt_loss_counts(a, k, r)) continue;
    const double mine = scale[k] * (1.0 - (double)q->smoothing) * pt_class_weight(q, y);
    own += mine;
    both += mine + scale[k] * (double)q->smoothing / n * weights[k];
  }
  exp_row(p, a->logits + r * n, n, w->top[r]);
  const pt_v inv = pt_vset1(w->inv[r]);
  float sum = 0.0f;
  if (w->key[0]) {
    for (int i = 0; i < n; i += PT_VW) {
      const pt_v v = pt_vmul(pt_vload_n(p + i, n - i), inv);
      pt_vstore_n(gp + i, pt_vmul(v, pt_vload_n(g + i, n - i)), n - i);
    }
    sum = pt_row_moment(gp, n, 0.0f, 1);
  }
  const pt_v less = pt_vset1((float)(both - (double)sum));
  for (int i = 0; i < n; i += PT_VW) {
    const pt_v v = pt_vmul(pt_vload_n(p + i, n - i), inv);
    const pt_v add = w->key[0] ? pt_vload_n(g + i, n - i) : pt_vset1(0.0f);
    pt_vstore_n(g + i, pt_vmul(v, pt_vadd(less, add)), n - i);
  }
  if (own != 0.0) g[y] -= (float)own;
  for (int k = 0; k < a->criteria; k++) {
    const struct pt_criterion *q = &a->criterion[k];
    if (q->kind != PT_CROSS_ENTROPY || q->smoothing <= 0.0f || !pt_loss_counts(a, k, r))
      continue;
    const double smooth = scale[k] * (double)q->smoothing / n;
    for (int c = 0; c < n; c++) g[c] -= (float)(smooth * pt_class_weight(q, c));
  }
}

void PT_FN(pt_loss)(const struct pt_loss *a, const struct pt_exec *x) {
  const struct pt_loss_parts w = pt_loss_parts(a);
  const int64_t blocks = (a->n + PT_LOSS_ROWS - 1) / PT_LOSS_ROWS;
  double scale[PT_MAX_CRITERIA] = {0}, weights[PT_MAX_CRITERIA] = {0};
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t i = 0; i < blocks; i++) one_block(a, &w, i, (float *)(void *)pt_scratch(x));
  finish_values(a, &w, scale);
  a->value[0] = 0.0;
  for (int k = 0; k < a->criteria; k++) {
    weights[k] = pt_class_weights(&a->criterion[k], a->classes);
    if (a->criterion[k].kind == PT_LOVASZ) a->value[1 + k] = PT_FN(pt_lovasz)(a, k, x);
    a->value[0] += a->value[1 + k];
  }
  const int64_t tile = pt_tile_rows(a->n, PT_LOSS_ROWS, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t first = 0; first < a->n; first += tile)
    for (int64_t r = first; r < a->n && r < first + tile; r++)
      one_row(a, &w, scale, weights, r, (float *)(void *)pt_scratch(x));
}
