/* loss.h - the criteria of training, values and the gradient of the logits.
 *
 * With p = softmax of a row's logits, y its label, w the class weights (1 if not given), e the
 * smoothing and C classes; rows whose label is ignored are left out:
 *
 *   cross entropy:  sum over rows of -(1 - e) w[y] log p[y] - e / C sum over c of w[c] log
 * p[c], with reduction "mean" divided by the sum over rows of w[y] Lovasz-softmax: mean over
 * classes c of sum over k >= 1 of err[k] (J[k] - J[k-1]), where err = |[y = c] - p[c]| in
 * descending order, equal ones by row, J[0] = 0 and J[k] = 1 - (rows of c not among the first
 * k) / (rows of c or among them)
 *
 * The total is the sum of loss_weight times each. J is a constant for the gradient, which is
 * exact but where errors are equal. Sums are taken in double and in a fixed order, sorting is
 * exact and stable, so bits depend on neither tiles nor threads.
 *
 * Where no row is left (all labels ignored), a criterion is 0 with gradient 0. torch's cross
 * entropy gives not-a-number there, which a step would put into every weight, and Pointcept's
 * Lovasz loss fails; `valid` tells a trainer that such a batch has nothing to learn from.
 *
 * Memory: O(n) besides the gradient. One class is sorted at a time, by all threads: several
 * classes side by side would take 16 bytes a row and thread.
 *
 * Source: torch.nn.CrossEntropyLoss; Berman et al., "The Lovasz-Softmax loss", CVPR 2018,
 * algorithm 1; Pointcept models/losses/lovasz.py (multiclass). Pointcept's per_image takes
 * every point for an image and fails on ignored ones; here an image is a cloud, as meant. */
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
  bool per_image;   /* a loss a cloud, then the mean over clouds that have valid rows */
  const bool *seen; /* [classes] class_seen, or NULL: all */
};

struct pt_loss {
  int64_t n; /* rows */
  int classes;
  int clouds;
  const int64_t *offset; /* [clouds + 1] first row of each cloud; read with per_image */
  const float *logits;   /* [n, classes] */
  const int32_t *label;  /* [n] a class or the ignored label; others are ignored as well */
  float *g;              /* [n, classes] gradient of the total, written */
  int criteria;
  struct pt_criterion criterion[PT_MAX_CRITERIA];
  double *value;  /* [1 + criteria] the total, then each times its weight */
  int64_t *valid; /* [criteria] rows that were not ignored */
  float scale;    /* the gradient is multiplied by it (1 / accumulated steps) */
  void *work;     /* [pt_loss_work] bytes, 64-byte aligned */
};

/* Bytes of work that the criteria need for n rows and the classes. */
int64_t pt_loss_work(const struct pt_loss *a);

#endif
