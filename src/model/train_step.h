/* train_step.h - one batch of training: structure, plan, forward, loss, backward. Gradients
 * are added to those of the weights; nothing is learnt yet (engine/optim.h does that). */
#ifndef PT_TRAIN_STEP_H
#define PT_TRAIN_STEP_H

#include "criteria.h"
#include "forward.h"
#include "room.h"
#include "train_network.h"

struct pt_train_job {
  const struct pt_ptv3 *cfg;
  const struct pt_train_weights *w;
  const struct pt_kernels *kernels;
  int tile;
  const struct pt_batch *batch;
  const int32_t *label;       /* [n] in the batch's order */
  const struct pt_loss *loss; /* its criteria and scale */
  uint64_t seed, iteration;   /* of drop_path and dropout */
  const int *perm;            /* [stages, orders] shuffled orders, or NULL */
  int64_t spare;        /* bytes of the budget that others want: less is kept for them, but
                           nothing goes into a file */
  bool running;         /* BatchNorm's running statistics are updated */
  bool tell;            /* say through pt_info what was chosen to fit the budget */
  pt_observer *observe; /* after each step of the plan, or NULL */
  void *user;
  double *seconds; /* [PT_OPS + 1] as in forward.h, or NULL */
};

/* The criteria as job.loss wants them, scale 1. */
struct pt_loss pt_train_loss(const struct pt_criteria *c);

/* What came of it. */
struct pt_train_result {
  double value[1 + PT_MAX_CRITERIA]; /* the loss, and each criterion times its weight */
  int64_t valid[PT_MAX_CRITERIA];    /* rows that each criterion counted */
  enum pt_keep keep;                 /* how much was kept for the backward pass */
  int64_t arena; /* bytes of features, gradients of features, scratch, windows on the file */
  int64_t file;  /* bytes of features in a temporary file; 0: none */
};

/* room: what one step leaves to the next; the caller frees it. */
int pt_train_step(struct pt_env *env, const struct pt_train_job *job, struct pt_room *room,
                  struct pt_train_result *result, struct ptv3_error *err);

#endif
