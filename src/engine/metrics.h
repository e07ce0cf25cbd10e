/* metrics.h - how well predicted labels match: one confusion matrix and what follows from it.
 *
 * The scores are Pointcept's evaluator's (pointcept/utils/misc.py, intersection_and_union;
 * pointcept/engines/hooks/evaluator.py): counts are summed over all scenes first, then
 * IoU = intersection / (union + 1e-10), accuracy = intersection / (target + 1e-10), and the
 * means go over all classes, absent ones counting 0. */
#ifndef PT_METRICS_H
#define PT_METRICS_H

#include <stdint.h>

#include "mem.h"

struct pt_metrics {
  struct pt_mem *mem;
  int classes;          /* K */
  int32_t ignore;       /* points with this target label do not count */
  int64_t *confusion;   /* [K, K] points by target (row) and prediction (column) */
  int64_t *unpredicted; /* [K] points of a target whose prediction is no class (set aside) */
  int64_t ignored;      /* points with the ignored label */
  int64_t out_of_range; /* points whose target is neither a class nor ignored; not counted */
  int32_t out_of_range_label; /* the first such label */
};

/* classes: 1 .. 65535. */
int pt_metrics_init(struct pt_metrics *m, struct pt_mem *mem, int classes, int32_t ignore,
                    struct ptv3_error *err);
void pt_metrics_free(struct pt_metrics *m); /* a zeroed one is allowed */
void pt_metrics_clear(struct pt_metrics *m);

/* Counts n points: predicted and true labels. */
void pt_metrics_add(struct pt_metrics *m, const int32_t *pred, const int32_t *target,
                    int64_t n);

/* Adds the counts of another with the same number of classes. */
void pt_metrics_merge(struct pt_metrics *m, const struct pt_metrics *other);

/* Of class k, in points. */
int64_t pt_metrics_intersection(const struct pt_metrics *m, int k);
int64_t pt_metrics_target(const struct pt_metrics *m, int k);
int64_t pt_metrics_union(const struct pt_metrics *m, int k);
double pt_metrics_iou(const struct pt_metrics *m, int k);
double pt_metrics_accuracy(const struct pt_metrics *m, int k);

struct pt_scores {
  double miou, macc, allacc;           /* means over all K classes; all points */
  int present;                         /* classes that occur in targets or predictions */
  double miou_present;                 /* mean over those; NaN when there are none */
  int labelled;                        /* classes that occur in the targets */
  double miou_labelled, macc_labelled; /* means over those; NaN when there are none */
};

struct pt_scores pt_metrics_scores(const struct pt_metrics *m);

#endif
