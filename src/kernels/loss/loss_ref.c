/* loss_ref.c - the definition of loss.h: in double, one thread, softmax worked out wherever it
 * is wanted. */
#include "loss_work.h"
#include "rows_ref.h"

int64_t pt_loss_scratch_ref(const struct pt_loss *a, int tile);
void pt_loss_ref(const struct pt_loss *a, const struct pt_exec *x);

int64_t pt_loss_scratch_ref(const struct pt_loss *a, int tile) {
  (void)tile;
  return a->classes * (int64_t)sizeof(double);
}

/* p [classes] = softmax of row r; returns log of the sum of exp(logit). */
static double softmax(const struct pt_loss *a, int64_t r, double *p) {
  const float *l = a->logits + r * a->classes;
  double top = -INFINITY, sum = 0.0;
  for (int c = 0; c < a->classes; c++) top = (double)l[c] > top ? (double)l[c] : top;
  for (int c = 0; c < a->classes; c++) sum += p[c] = exp((double)l[c] - top);
  for (int c = 0; c < a->classes; c++) p[c] /= sum;
  return top + log(sum);
}

/* ---- cross entropy ---- */

static double cross_entropy(const struct pt_loss *a, int k, double *p) {
  const struct pt_criterion *q = &a->criterion[k];
  const double smooth = (double)q->smoothing / a->classes, part = 1.0 - (double)q->smoothing;
  const double all = pt_class_weights(q, a->classes);
  double value = 0.0, weight = 0.0;
  for (int64_t r = 0; r < a->n; r++) {
    if (!pt_loss_counts(a, k, r)) continue;
    const float *l = a->logits + r * a->classes;
    const double log_sum = softmax(a, r, p);
    weight += pt_class_weight(q, a->label[r]);
    for (int c = 0; c < a->classes; c++) {
      const double share = (c == a->label[r] ? part : 0.0) + smooth;
      if (share > 0.0) value -= share * pt_class_weight(q, c) * ((double)l[c] - log_sum);
    }
  }
  if (!q->sum && weight == 0.0) return 0.0;
  const double by = q->sum ? 1.0 : weight;
  const double scale = (double)q->loss_weight * (double)a->scale / by;
  for (int64_t r = 0; r < a->n; r++) {
    if (!pt_loss_counts(a, k, r)) continue;
    const double own = part * pt_class_weight(q, a->label[r]);
    softmax(a, r, p);
    for (int c = 0; c < a->classes; c++)
      a->g[r * a->classes + c] +=
          (float)(scale * (p[c] * (own + smooth * all) - (c == a->label[r] ? own : 0.0) -
                           smooth * pt_class_weight(q, c)));
  }
  return value / by;
}

/* ---- Lovasz-softmax ---- */

struct item {
  double error;
  int64_t row;
};

static bool before(struct item x, struct item y) {
  return x.error > y.error || (x.error == y.error && x.row < y.row);
}

/* Heap sort: no memory besides. */
static void sink(struct item *v, int64_t i, int64_t n) {
  for (int64_t j; (j = 2 * i + 1) < n; i = j) {
    if (j + 1 < n && before(v[j], v[j + 1])) j++;
    if (!before(v[i], v[j])) return;
    const struct item t = v[i];
    v[i] = v[j], v[j] = t;
  }
}

static void sort(struct item *v, int64_t n) {
  for (int64_t i = n / 2 - 1; i >= 0; i--) sink(v, i, n);
  for (int64_t m = n - 1; m > 0; m--) {
    const struct item t = v[0];
    v[0] = v[m], v[m] = t;
    sink(v, 0, m);
  }
}

/* Value of class c, which `of` of rows first .. end - 1 have. weigh: what its gradient is
 * multiplied by. v has room for the rows. */
static double one_class(const struct pt_loss *a, int k, int64_t first, int64_t end, int c,
                        int64_t of, double weigh, struct item *v, double *p) {
  int64_t m = 0, hits = 0;
  double value = 0.0;
  for (int64_t r = first; r < end; r++) {
    if (!pt_loss_counts(a, k, r)) continue;
    softmax(a, r, p);
    v[m++] = (struct item){fabs((a->label[r] == c ? 1.0 : 0.0) - p[c]), r};
  }
  sort(v, m);
  for (int64_t i = 0; i < m; i++) {
    const bool hit = a->label[v[i].row] == c;
    const double step = pt_jaccard_step(of, hits, i - hits, hit);
    hits += hit;
    value += v[i].error * step;
    softmax(a, v[i].row, p);
    for (int j = 0; j < a->classes; j++)
      a->g[v[i].row * a->classes + j] +=
          (float)(weigh * (hit ? -step : step) * p[c] * ((j == c ? 1.0 : 0.0) - p[j]));
  }
  return value;
}

static double lovasz(const struct pt_loss *a, int k, double *p) {
  const struct pt_loss_parts w = pt_loss_parts(a);
  struct item *v = (struct item *)(void *)w.key[0]; /* 16 bytes a row lie there */
  const int images = pt_loss_images(a, k);
  int counted = 0;
  double value = 0.0;
  for (int i = 0; i < images; i++)
    counted +=
        pt_loss_count(a, k, pt_loss_first(a, k, i), pt_loss_first(a, k, i + 1), w.count) > 0;
  for (int i = 0; i < images; i++) {
    const int64_t first = pt_loss_first(a, k, i), end = pt_loss_first(a, k, i + 1);
    if (pt_loss_count(a, k, first, end, w.count) == 0) continue;
    const double terms = (double)counted * pt_loss_classes(a, k, w.count);
    const double weigh = (double)a->criterion[k].loss_weight * (double)a->scale / terms;
    for (int c = 0; c < a->classes; c++)
      if (pt_loss_class(&a->criterion[k], w.count, c))
        value += one_class(a, k, first, end, c, w.count[c], weigh, v, p) / terms;
  }
  return value;
}

void pt_loss_ref(const struct pt_loss *a, const struct pt_exec *x) {
  double *p = (double *)(void *)x->scratch;
  for (int64_t i = 0; i < a->n * a->classes; i++) a->g[i] = 0.0f;
  a->value[0] = 0.0;
  for (int k = 0; k < a->criteria; k++) {
    const bool ce = a->criterion[k].kind == PT_CROSS_ENTROPY;
    const double value = ce ? cross_entropy(a, k, p) : lovasz(a, k, p);
    a->value[1 + k] = (double)a->criterion[k].loss_weight * value;
    a->value[0] += a->value[1 + k];
    a->valid[k] = 0;
    for (int64_t r = 0; r < a->n; r++) a->valid[k] += pt_loss_counts(a, k, r);
  }
}
