/* train_need.h - what a training step of a batch would take: bytes and time for each level of
 * what is kept for the backward pass, known before it is run.
 *
 * The plan is the real one (train_network.h), so that its bytes are those pt_train_step
 * allocates for a batch with these rows; seconds are guessed from its operations (cost.h).
 * Not here: weights, gradients, optimiser, the batch itself, which the caller adds up. */
#ifndef PT_TRAIN_NEED_H
#define PT_TRAIN_NEED_H

#include "train_network.h"

struct pt_train_way {
  int64_t features, scratch; /* bytes: tensors; working memory of all threads */
  int64_t arena;             /* both */
  int64_t total;             /* with everything else */
  double work;               /* floating point operations */
  double seconds;            /* a guess */
  bool fits;                 /* the budget as it is, with the wish of tile and threads */
};

struct pt_train_need {
  struct pt_train_way way[PT_KEEPS];
  int chosen;        /* the way that pt_train_step takes */
  bool fits;         /* it does in some way; if not, the rest is of the least */
  int tile, threads; /* of the way chosen: less than the wish where that alone fits */
  int spilled;       /* tensors in a temporary file, of the last way alone */
  int64_t disk;      /* bytes of it */
  int64_t window;    /* bytes of it in memory at a time */
  int64_t total;     /* of the way chosen, so run */
  int64_t least;     /* the smallest budget that would do */
};

/* others: bytes in use besides the arena while a step runs, all of them yet to be allocated.
 * task.s may be a structure of sizes only (rows, clouds, offsets); task.w without memory. */
int pt_train_need(struct pt_env *env, const struct pt_train_task *task, int64_t others,
                  struct pt_train_need *need, struct ptv3_error *err);

#endif
