/* loss.h - the criteria of training, values and the gradient of the logits.
 *
 * Cross entropy (torch.nn.CrossEntropyLoss: class weights, ignored label, label smoothing,
 * reduction mean or sum) and Lovasz-softmax (Pointcept models/losses/lovasz.py, multiclass:
 * classes present or all or given, per_image, ignored label). The total is the sum of
 * loss_weight times each. Sums are taken in double and in a fixed order; sorting is exact and
 * stable, so bits depend on neither tiles nor threads. Memory: O(n) a class at a time. */
#ifndef PT_LOSS_H
#define PT_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#define PT_MAX_CRITERIA 4

enum pt_criterion_kind { PT_CROSS_ENTROPY, PT_LOVASZ };

struct pt_criterion {
  enum pt_criterion_kind kind;
  float loss_weight;
  int32_t ignore; /* label that does not count */
  /* cross entropy */
  const float *weight; /* [classes] or NULL: all 1 */
  float smoothing;     /* label_smoothing, 0 .. 1 */
  bool sum;            /* reduction "sum", else "mean" (over the weights of the rows) */
  /* Lovasz-softmax */
  bool all;         /* classes "all": also those that no row has; else "present" */
  bool per_image;   /* a loss a cloud, then the mean */
  const bool *seen; /* [classes] class_seen, or NULL: all */
};

struct pt_loss {
  int64_t n; /* rows */
  int classes;
  int clouds;
  const int64_t *offset; /* [clouds + 1] first row of each cloud; read with per_image */
  const float *logits;   /* [n, classes] */
  const int32_t *label;  /* [n] a class or the ignored label */
  float *g;              /* [n, classes] gradient of the total, written */
  int criteria;
  struct pt_criterion criterion[PT_MAX_CRITERIA];
  double *value; /* [1 + criteria] the total, then each times its weight */
  float scale;   /* the gradient is multiplied by it (1 / accumulated steps) */
  void *work;    /* [pt_loss_work] bytes, 64-byte aligned */
};

/* Bytes of work that the criteria need for n rows. */
int64_t pt_loss_work(const struct pt_loss *a);

#endif
