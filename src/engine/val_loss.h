/* val_loss.h - the criteria of training on a scene of validation: values alone, while its
 * logits come a part at a time.
 *
 * Cross entropy is a sum over rows. Lovasz-softmax wants the errors of a class in descending
 * order; here they are counted by their nearest multiple of 1 / PT_VAL_STEPS in place of being
 * kept and sorted. The loss is monotone in the errors and grows by d where all grow by d, so
 * that it is within 1 / (2 PT_VAL_STEPS) = 1.3e-4 of loss.h's at the most (times loss_weight);
 * as errors are rounded up as often as down, mostly much nearer. It takes 32 KiB for a class
 * that the scene has, whatever the number of voxels.
 *
 * Source: loss.h; Pointcept's engines/hooks/evaluator.py has the model's loss a scene. */
#ifndef PT_VAL_LOSS_H
#define PT_VAL_LOSS_H

#include "criteria.h"

enum { PT_VAL_STEPS = 4095 };

/* A cloud is one image; per_image changes nothing. */
struct pt_val_loss {
  struct pt_mem *mem;
  const struct pt_criteria *criteria;
  int classes;
  const int32_t *label; /* [rows] of the scene at hand; NULL: none, there is no loss */
  double sum[PT_MAX_CRITERIA], weight[PT_MAX_CRITERIA]; /* of cross entropy */
  int64_t valid[PT_MAX_CRITERIA];
  uint32_t *bin; /* [slots, PT_VAL_STEPS + 1, 2] rows without, with the class */
  int *slot;     /* [criteria, classes] its bins; -1: the class does not enter */
  int slots;     /* bins of how many classes, all criteria together */
};

/* For rows with these labels [n], which stay the caller's. What the last scene took is given
 * back. Errors: PTV3_NO_MEMORY, PTV3_BUDGET. */
int pt_val_loss_begin(struct pt_val_loss *l, const int32_t *label, int64_t n,
                      struct ptv3_error *err);

/* Row i of logits [rows, classes] is row index[i] of the scene. Allocates nothing. */
void pt_val_loss_rows(struct pt_val_loss *l, const int32_t *index, int64_t rows,
                      const float *logits);

/* The sum of the criteria, each times its weight; NaN where no row counts. */
double pt_val_loss_end(const struct pt_val_loss *l);

void pt_val_loss_free(struct pt_val_loss *l); /* a zeroed one is allowed */

#endif
