/* ptv3_train.h - training: what Pointcept's tools/train.py does, from the same configuration,
 * on the processor and within the context's budget. */
#ifndef PTV3_TRAIN_H
#define PTV3_TRAIN_H

#include "ptv3.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ptv3_train_precision {
  PTV3_TRAIN_AS_CONFIGURED, /* bf16 with enable_amp = True, else float32 */
  PTV3_TRAIN_F32,
  PTV3_TRAIN_BF16 /* features and products; weights, their gradients, statistics and losses
                     stay float32 */
};

struct ptv3_train_options {
  const char *data_root; /* of both data.train and data.val; NULL: as configured */
  const char *save_path; /* folder for checkpoints and logs; NULL: as configured */
  const char *weight;    /* weights to start from; NULL: as configured, or untrained */
  bool resume; /* go on from <save_path>/model/model_last.pth (or from weight) as if the
                  training had never been stopped */
  const char *const *allow_missing; /* [count] as in ptv3_model_options: a head to be learnt
                                       anew, for other classes */
  int allow_missing_count;
  enum ptv3_train_precision precision;
  bool has_seed;
  int64_t seed;       /* >= 0, with has_seed; otherwise the configuration's, or 0 */
  bool skip_nan;      /* leave out a batch whose loss or gradient is not finite */
  int readers;        /* threads that read batches ahead; 0: one for every four of the context;
                         negative: none */
  int64_t save_every; /* steps after which model_last.pth is written again; 0: after epochs */
  int64_t stop_after; /* steps after which this run saves and ends; 0: it goes to the end */
};

struct ptv3_train_summary {
  int64_t steps, epochs; /* done in all, earlier runs included */
  int64_t skipped;       /* batches left out with skip_nan */
  double loss;           /* of the last batch */
  double miou, best;     /* last and best validation, 0 .. 1; NaN: none yet */
  int64_t best_epoch;    /* counted from 1 */
  double seconds;        /* of this run */
  bool finished;         /* all epochs are done */
};

/* Trains the model of a configuration on its data.train, scoring it on data.val as
 * ptv3_evaluate does. Writes model_last.pth, model_best.pth (and epoch_N.pth by the hooks'
 * save_freq) into <save_path>/model: checkpoints that PyTorch and Pointcept load and could go
 * on from.
 *
 * The result depends on configuration, data and seed, not on threads, budget or interruptions.
 * When the context's progress callback asks to stop, the state after the last whole step is
 * saved and PTV3_CANCELLED returned. summary may be NULL; it is filled in any case.
 * Errors: PTV3_CONFIG, PTV3_UNSUPPORTED, PTV3_DATA (also for a loss that is not finite: step,
 * scenes and operation are named), PTV3_MISMATCH, PTV3_BUDGET, PTV3_IO, PTV3_CANCELLED. */
PTV3_API int ptv3_train(struct ptv3_context *ctx, const struct ptv3_config *config,
                        const struct ptv3_train_options *options,
                        struct ptv3_train_summary *summary, struct ptv3_error *err);

#ifdef __cplusplus
}
#endif

#endif
