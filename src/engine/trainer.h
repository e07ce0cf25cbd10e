/* trainer.h - training as Pointcept's tools/train.py does it: batches, steps, validation,
 * checkpoints, logs.
 *
 * What a step computes depends on the configuration, the seed and the number of the step
 * alone: not on threads, budget, or on whether the training was stopped in between. A run
 * that is stopped saves what the last whole step left; resumed, it goes on as if it had never
 * stopped. Validation runs in the same budget as training, whose arena it takes over.
 * Source: pointcept/engines/train.py and hooks/. */
#ifndef PT_TRAINER_H
#define PT_TRAINER_H

#include "dtype.h"
#include "env.h"
#include "value.h"

struct pt_train_options {
  const char *data_root; /* in place of the configuration's; NULL: as it says */
  const char *save_path; /* folder for checkpoints and logs; NULL: save_path of the config */
  const char *weight;    /* to start from; NULL: `weight` of the config */
  bool resume; /* go on from the last checkpoint in save_path; where there is none, from weight
                */
  const char *const *allow_missing; /* [count] patterns of weights that may be absent */
  int allow_missing_count;
  bool compat_151;    /* the network of Pointcept 1.5.1 is trained (model/compat.h) ... */
  bool compat_choose; /* ... or the one that fits the weights to start from */
  int precision;      /* enum pt_dtype: PT_F32, PT_BF16; -1: by enable_amp */
  int64_t seed;       /* -1: the configuration's, or 0 */
  bool skip_nan;      /* leave a batch out whose loss or gradient is not finite */
  int readers;        /* threads that read ahead; -1: one for every four threads, at least 1 */
  int64_t save_every; /* steps after which the last checkpoint is written again; 0: none,
                         epochs alone */
  int64_t stop_after; /* steps of this run after which it saves and ends; 0: none */
};

struct pt_train_summary {
  int64_t steps, epochs; /* done in all, earlier runs included */
  int64_t skipped;       /* batches left out because of --on-nan skip */
  double loss;           /* of the last batch of this run; NaN: none */
  double miou, best;     /* last and best validation, 0..1; NaN: none */
  int64_t best_epoch;
  double seconds;
  bool finished;  /* all epochs are done */
  bool saved;     /* it ended early, and what was done is in the last checkpoint */
  bool unwritten; /* it failed because a checkpoint or log could not be written */
};

/* root: the whole configuration; it must outlive the call. Errors: those of reading it, of the
 * data and of the budget; PTV3_CANCELLED after what was done has been saved; PTV3_DATA for a
 * loss that is not finite, naming step, scenes and operation. */
int pt_train(struct pt_env *env, const struct pt_value *root, const struct pt_train_options *o,
             struct pt_train_summary *out, struct ptv3_error *err);

#endif
