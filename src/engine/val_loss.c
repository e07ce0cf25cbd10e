/* val_loss.c - see val_loss.h. */
#include "val_loss.h"

#include <math.h>
#include <string.h>

#include "cloud.h"
#include "err.h"

static bool counts(const struct pt_val_loss *l, const struct pt_criterion *k, int32_t y) {
  return y >= 0 && y < l->classes && y != k->ignore;
}

static double class_weight(const struct pt_criterion *k, int c) {
  return k->weight ? (double)k->weight[c] : 1.0;
}

void pt_val_loss_free(struct pt_val_loss *l) {
  if (!l->mem) return;
  pt_free(l->mem, l->bin);
  pt_free(l->mem, l->slot);
  l->bin = NULL;
  l->slot = NULL;
  l->label = NULL;
  l->slots = 0;
}

/* ---- the scene's classes ---- */

/* Gives each class that enters criterion k's mean a slot. */
static void find_slots(struct pt_val_loss *l, int k, int64_t n) {
  const struct pt_criterion *q = &l->criteria->criterion[k];
  int *slot = l->slot + k * l->classes;
  for (int c = 0; c < l->classes; c++) slot[c] = q->all ? 0 : -1;
  for (int64_t r = 0; r < n; r++) {
    if (!counts(l, q, l->label[r])) continue;
    l->valid[k]++;
    slot[l->label[r]] = 0;
  }
  if (q->kind != PT_LOVASZ) return;
  for (int c = 0; c < l->classes; c++)
    slot[c] = slot[c] == 0 && (!q->seen || q->seen[c]) ? l->slots++ : -1;
}

int pt_val_loss_begin(struct pt_val_loss *l, const int32_t *label, int64_t n,
                      struct ptv3_error *err) {
  const int count = l->criteria->count;
  pt_val_loss_free(l);
  memset(l->sum, 0, sizeof l->sum);
  memset(l->weight, 0, sizeof l->weight);
  memset(l->valid, 0, sizeof l->valid);
  if (!label) return PTV3_OK;
  l->slot = pt_alloc(l->mem, (int64_t)count * l->classes, sizeof *l->slot, PT_MEM_OUTPUT, err);
  if (!l->slot) return pt_status(err);
  l->label = label;
  for (int k = 0; k < count; k++) find_slots(l, k, n);
  if (l->slots == 0) return PTV3_OK;
  l->bin = pt_zalloc(l->mem, (int64_t)l->slots * (PT_VAL_STEPS + 1), 2 * sizeof *l->bin,
                     PT_MEM_OUTPUT, err);
  if (l->bin) return PTV3_OK;
  pt_val_loss_free(l);
  return pt_status(err);
}

/* ---- rows ---- */

static uint32_t *bins_of(const struct pt_val_loss *l, int s) {
  return l->bin + (int64_t)s * (PT_VAL_STEPS + 1) * 2;
}

static void add_entropy(struct pt_val_loss *l, int k, int32_t y, const float *logit,
                        double log_sum) {
  const struct pt_criterion *q = &l->criteria->criterion[k];
  const double smooth = (double)q->smoothing / l->classes, part = 1.0 - (double)q->smoothing;
  l->weight[k] += class_weight(q, y);
  l->sum[k] -= part * class_weight(q, y) * ((double)logit[y] - log_sum);
  for (int c = 0; c < l->classes && smooth > 0; c++)
    l->sum[k] -= smooth * class_weight(q, c) * ((double)logit[c] - log_sum);
}

static void add_errors(struct pt_val_loss *l, int k, int32_t y, const float *logit,
                       double log_sum) {
  for (int c = 0; c < l->classes; c++) {
    const int s = l->slot[k * l->classes + c];
    if (s < 0) continue;
    const double p = exp((double)logit[c] - log_sum), error = c == y ? 1.0 - p : p;
    const int bin = (int)(fmin(fmax(error, 0.0), 1.0) * PT_VAL_STEPS + 0.5);
    bins_of(l, s)[2 * bin + (c == y)]++;
  }
}

void pt_val_loss_rows(struct pt_val_loss *l, const int32_t *index, int64_t rows,
                      const float *logits) {
  for (int64_t r = 0; r < rows && l->label; r++) {
    const float *logit = logits + r * l->classes;
    const int32_t y = l->label[index[r]];
    double top = (double)logit[0], sum = 0;
    for (int c = 1; c < l->classes; c++) top = fmax(top, (double)logit[c]);
    for (int c = 0; c < l->classes; c++) sum += exp((double)logit[c] - top);
    const double log_sum = top + log(sum);
    for (int k = 0; k < l->criteria->count; k++) {
      const struct pt_criterion *q = &l->criteria->criterion[k];
      if (!counts(l, q, y)) continue;
      if (q->kind == PT_LOVASZ)
        add_errors(l, k, y, logit, log_sum);
      else
        add_entropy(l, k, y, logit, log_sum);
    }
  }
}

/* ---- the value ---- */

/* Sum over errors in descending order of each times what it adds to the Jaccard loss; all of a
 * bin have one error, so that the loss at the bin's two ends is enough. */
static double class_value(const uint32_t *bin) {
  int64_t of = 0, hits = 0, others = 0;
  double value = 0, before = 0;
  for (int b = 0; b <= PT_VAL_STEPS; b++) of += bin[2 * b + 1];
  for (int b = PT_VAL_STEPS; b >= 0; b--) {
    if (!bin[2 * b] && !bin[2 * b + 1]) continue;
    others += bin[2 * b];
    hits += bin[2 * b + 1];
    const double now = 1.0 - (double)(of - hits) / (double)(of + others);
    value += (double)b / PT_VAL_STEPS * (now - before);
    before = now;
  }
  return value;
}

static double lovasz(const struct pt_val_loss *l, int k) {
  double sum = 0;
  int classes = 0;
  for (int c = 0; c < l->classes; c++) {
    const int s = l->slot[k * l->classes + c];
    if (s < 0) continue;
    sum += class_value(bins_of(l, s));
    classes++;
  }
  return classes ? sum / classes : 0;
}

double pt_val_loss_end(const struct pt_val_loss *l) {
  double value = 0;
  bool any = false;
  for (int k = 0; k < l->criteria->count && l->label; k++) {
    const struct pt_criterion *q = &l->criteria->criterion[k];
    if (!l->valid[k]) continue;
    any = true;
    if (q->kind == PT_LOVASZ)
      value += (double)q->loss_weight * lovasz(l, k);
    else if (q->sum || l->weight[k] > 0)
      value += (double)q->loss_weight * l->sum[k] / (q->sum ? 1.0 : l->weight[k]);
  }
  return any ? value : (double)NAN;
}
