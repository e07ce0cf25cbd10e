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
  bool resume; /* go on from <save_path>/model/model_last.pth as if the training had never been
                  stopped; weight is not read again. Where the folder has no such checkpoint
                  yet, weight is one to go on from */
  const char *const *allow_missing; /* [count] as in ptv3_model_options: a head to be learnt
                                       anew, for other classes */
  int allow_missing_count;
  enum ptv3_compat compat; /* of the weights to start from, and so of the network that is
                              trained and validated, as in ptv3_model_options. A training that
                              is resumed stays what it was begun as; PTV3_COMPAT_1_5_1 for one
                              that was begun as the current one is refused */
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
  double loss;           /* of the last batch of this run; NaN: none */
  double miou, best;     /* last and best validation, 0 .. 1; NaN: none yet */
  int64_t best_epoch;    /* counted from 1 */
  double seconds;        /* of this run */
  bool finished;         /* all epochs are done */
  bool saved; /* it ended early, and what was done is in the last checkpoint, to be resumed */
  bool unwritten; /* it failed because a checkpoint or log could not be written */
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

/* ---- planning ---- */

enum { PTV3_TRAIN_WAYS = 3, PTV3_TRAIN_LEVELS = 8 };

struct ptv3_train_plan_options {
  enum ptv3_train_precision precision;
  enum ptv3_compat compat; /* there are no weights to look at: AUTO is as CURRENT */
  int64_t voxels; /* of a batch; 0: batch_size times the point_max that data.train crops to */
  const struct ptv3_plan *const *cloud; /* [clouds] a batch of these clouds, as planned for
                                           prediction, whole, in place of voxels; or NULL */
  int clouds;
};

/* A way to run a step: less is kept for the backward pass, more is computed again. */
struct ptv3_train_way {
  const char *kept;          /* "the inputs of operations" */
  int64_t features, scratch; /* bytes: features and their gradients; working memory */
  int64_t total;             /* with everything else */
  double work;               /* floating point operations */
  double seconds;            /* a guess */
  bool fits;
};

/* What a step of training takes. Not counted: reading clouds before they are cropped, and
 * validation, which takes over the memory of the steps. */
struct ptv3_train_plan {
  bool estimated;    /* rows are a guess: no clouds were given */
  int64_t voxels;    /* of the batch */
  int64_t clouds;    /* of the batch: batch_size, where none were given */
  int64_t point_max; /* the crop that voxels was worked out from; 0: it was not */
  bool bf16;
  int stages;
  int64_t rows[PTV3_TRAIN_LEVELS]; /* [stages] */
  int64_t parameters;
  /* Bytes. */
  int64_t weights;   /* master copies in float32, packed ones, running statistics */
  int64_t gradients; /* of the weights */
  int64_t optimiser; /* its state */
  int64_t structure;
  int64_t loader; /* the batch in use and one for each reading thread, as many as there
                     are unless told otherwise */
  struct ptv3_train_way way[PTV3_TRAIN_WAYS]; /* the one that keeps most first */
  int chosen;                                 /* the first of them that fits, or the last */
  bool fits;         /* the chosen way does; the last if need be with some of what it keeps in a
                        temporary file, smaller tiles and fewer threads */
  int tile, threads; /* of it; tile 0: each operation's own choice */
  int spilled;       /* tensors in the file */
  int64_t disk;      /* bytes of it */
  int64_t window;    /* bytes of it in memory at a time */
  int64_t total;     /* bytes of it, so run */
  int64_t least;     /* the smallest budget that would do */
  int64_t budget;    /* the context's */
};

/* Works out what a training step of a batch takes, before there is data or a weight. That it
 * does not fit the budget is an answer here, not an error.
 * Errors: PTV3_CONFIG, PTV3_UNSUPPORTED, PTV3_INVALID, PTV3_DATA (a level of one voxel). */
PTV3_API int ptv3_plan_train(struct ptv3_context *ctx, const struct ptv3_config *config,
                             const struct ptv3_train_plan_options *options,
                             struct ptv3_train_plan *plan, struct ptv3_error *err);

#ifdef __cplusplus
}
#endif

#endif
