/* metrics.c - see metrics.h. */
#include "metrics.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

int pt_metrics_init(struct pt_metrics *m, struct pt_mem *mem, int classes, int32_t ignore,
                    struct ptv3_error *err) {
  memset(m, 0, sizeof *m);
  if (classes < 1 || classes > 65535)
    return pt_fail(err, PTV3_INVALID, "%d classes; metrics need 1 to 65535", classes);
  int64_t k = classes;
  int64_t *counts = pt_zalloc(mem, k * k + k, sizeof *counts, PT_MEM_OTHER, err);
  if (!counts) return err ? err->status : PTV3_NO_MEMORY;
  *m = (struct pt_metrics){.mem = mem, .classes = classes, .ignore = ignore};
  m->confusion = counts;
  m->unpredicted = counts + k * k;
  return PTV3_OK;
}

void pt_metrics_free(struct pt_metrics *m) {
  if (m->mem) pt_free(m->mem, m->confusion);
  memset(m, 0, sizeof *m);
}

void pt_metrics_clear(struct pt_metrics *m) {
  int64_t k = m->classes;
  memset(m->confusion, 0, (size_t)(k * k + k) * sizeof *m->confusion);
  m->ignored = m->out_of_range = 0;
  m->out_of_range_label = 0;
}

void pt_metrics_add(struct pt_metrics *m, const int32_t *pred, const int32_t *target,
                    int64_t n) {
  const int32_t k = m->classes;
  for (int64_t i = 0; i < n; i++) {
    int32_t t = target[i], p = pred[i];
    if (t == m->ignore) {
      m->ignored++;
    } else if (t < 0 || t >= k) {
      if (!m->out_of_range++) m->out_of_range_label = t;
    } else if (p < 0 || p >= k) {
      m->unpredicted[t]++;
    } else {
      m->confusion[(int64_t)t * k + p]++;
    }
  }
}

void pt_metrics_merge(struct pt_metrics *m, const struct pt_metrics *other) {
  int64_t k = m->classes;
  for (int64_t i = 0; i < k * k + k; i++) m->confusion[i] += other->confusion[i];
  if (!m->out_of_range) m->out_of_range_label = other->out_of_range_label;
  m->out_of_range += other->out_of_range;
  m->ignored += other->ignored;
}

int64_t pt_metrics_intersection(const struct pt_metrics *m, int k) {
  return m->confusion[(int64_t)k * m->classes + k];
}

int64_t pt_metrics_target(const struct pt_metrics *m, int k) {
  int64_t sum = m->unpredicted[k];
  for (int j = 0; j < m->classes; j++) sum += m->confusion[(int64_t)k * m->classes + j];
  return sum;
}

int64_t pt_metrics_union(const struct pt_metrics *m, int k) {
  int64_t sum = pt_metrics_target(m, k) - pt_metrics_intersection(m, k);
  for (int i = 0; i < m->classes; i++) sum += m->confusion[(int64_t)i * m->classes + k];
  return sum;
}

double pt_metrics_iou(const struct pt_metrics *m, int k) {
  return (double)pt_metrics_intersection(m, k) / ((double)pt_metrics_union(m, k) + 1e-10);
}

double pt_metrics_accuracy(const struct pt_metrics *m, int k) {
  return (double)pt_metrics_intersection(m, k) / ((double)pt_metrics_target(m, k) + 1e-10);
}

struct pt_scores pt_metrics_scores(const struct pt_metrics *m) {
  struct pt_scores s = {0};
  int64_t hit = 0, all = 0;
  for (int k = 0; k < m->classes; k++) {
    double iou = pt_metrics_iou(m, k), acc = pt_metrics_accuracy(m, k);
    bool labelled = pt_metrics_target(m, k) > 0;
    hit += pt_metrics_intersection(m, k);
    all += pt_metrics_target(m, k);
    s.miou += iou; /* a class that is not present has IoU 0 */
    s.macc += acc;
    s.present += pt_metrics_union(m, k) > 0;
    s.labelled += labelled;
    s.miou_labelled += labelled ? iou : 0;
  }
  s.miou_present = s.present ? s.miou / s.present : (double)NAN;
  s.miou_labelled = s.labelled ? s.miou_labelled / s.labelled : (double)NAN;
  s.macc_labelled = s.labelled ? s.macc / s.labelled : (double)NAN;
  s.miou /= m->classes;
  s.macc /= m->classes;
  s.allacc = (double)hit / ((double)all + 1e-10);
  return s;
}
