/* checkpoint.h - checkpoints of a training: weights, optimiser, schedule and where it was, as
 * the .pth that Pointcept's CheckpointSaver writes.
 *
 *   epoch               epochs done
 *   state_dict          every parameter and buffer
 *   optimizer           torch's: {state: {i: {step, exp_avg, exp_avg_sq}}, param_groups}
 *   scheduler           what the scheduler's state_dict() is
 *   scaler              with enable_amp the state of torch's GradScaler, which Pointcept's
 *                       trainer wants there to go on; None without. No loss is scaled here:
 *                       what a file has is handed on, and a new training gets torch's defaults
 *   best_metric_value
 *   ptv3                notes of our own: numbers and texts (batches done in the epoch, seeds)
 *
 * The file loads with torch.load(weights_only=True), and torch's optimisers and schedulers
 * take up their part of it; a file of torch and Pointcept is read alike, without notes.
 * Nothing here knows a network: tensors come as arrays of name, shape and pointer. */
#ifndef PT_CHECKPOINT_H
#define PT_CHECKPOINT_H

#include "schedule.h"
#include "tensors.h"

/* A parameter or buffer; data [product of shape] are the caller's. */
struct pt_checkpoint_tensor {
  const char *name; /* as in the state_dict, without "module." */
  enum pt_dtype type;
  int ndim;
  int64_t shape[PT_TENSOR_DIMS];
  void *data;
};

/* Something to be kept with the checkpoint: a text of at most 90 printable characters
 * without quotes, or, where text is NULL, a number. */
struct pt_checkpoint_note {
  const char *key;
  const char *text;
  int64_t number;
};

/* The state of torch.amp.GradScaler, by the names of its state_dict(). */
struct pt_scaler {
  bool on; /* enable_amp: it is written, and taken from a file that has one */
  double scale, growth_factor, backoff_factor;
  int64_t growth_interval, growth_tracker;
};

/* What GradScaler() begins with, not on. */
static inline struct pt_scaler pt_scaler_new(void) {
  return (struct pt_scaler){false, 65536, 2, 0.5, 2000, 0};
}

/* A training: what is written, and what reading fills. */
struct pt_checkpoint {
  const struct pt_checkpoint_tensor *tensor; /* [tensors], in the order of the state_dict */
  int64_t tensors;
  struct pt_optim *optim; /* bound; each of its parameters is among the tensors */
  struct pt_schedule *schedule;
  int64_t epoch; /* epochs done */
  int64_t step;  /* steps taken: the schedule's last_epoch */
  double best;   /* best_metric_value; -INFINITY: none yet */
  struct pt_scaler scaler;
};

/* Writes the file whole or not at all. The groups of c->optim are first given the numbers of
 * the step to come, c->step, which is where torch's schedulers stand after as many steps. */
int pt_checkpoint_write(const struct pt_checkpoint *c, const struct pt_checkpoint_note *note,
                        int64_t notes, struct pt_env *env, const char *path,
                        struct ptv3_error *err);

/* The notes of a file. */
struct pt_notes {
  struct pt_tensors part; /* private */
};

/* Reads a checkpoint into what c points to, and c's epoch, step, best and (if on) scaler. As in
 * torch the numbers of the groups and of the schedule are then the file's; where they differ
 * from the configuration's a warning says so. Tensors that c does not have are warned about;
 * those that the file lacks, other shapes, another optimiser or schedule are PTV3_MISMATCH, a
 * file without optimiser PTV3_DATA. On failure nothing that c points to is changed. notes may
 * be NULL. */
int pt_checkpoint_read(struct pt_checkpoint *c, struct pt_notes *notes, struct pt_env *env,
                       const char *path, struct ptv3_error *err);

/* A note; def where the file has none, or one of the other kind. The text goes into buf, which
 * is returned (or def). */
int64_t pt_notes_number(const struct pt_notes *n, const char *key, int64_t def);
const char *pt_notes_text(const struct pt_notes *n, const char *key, char buf[static 100],
                          const char *def);
void pt_notes_free(struct pt_notes *n); /* zeroed ones are allowed */

/* Copies a file whole or not at all: model_last.pth to model_best.pth. */
int pt_checkpoint_copy(struct pt_mem *mem, const char *from, const char *to,
                       struct ptv3_error *err);

#endif
