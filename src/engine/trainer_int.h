/* trainer_int.h - what the files of the trainer share. */
#ifndef PT_TRAINER_INT_H
#define PT_TRAINER_INT_H

#include "checkpoint.h"
#include "evaluate.h"
#include "loader.h"
#include "schedule.h"
#include "split.h"
#include "train_config.h"
#include "train_log.h"
#include "train_step.h"
#include "trainer.h"

/* Where a training is. */
struct position {
  int64_t epoch, batch; /* the next batch */
  int64_t step;         /* optimiser steps done */
};

struct trainer {
  struct pt_env *env;
  const struct pt_value *root;
  const struct pt_train_options *o;
  struct pt_train_config c;
  const struct pt_kernels *kernels;
  const char *path; /* save_path */
  uint64_t seed;
  int64_t recipe; /* a mark of what else in the configuration settles a step */
  struct pt_split train, val;
  struct pt_loader *loader;
  struct pt_train_weights w;
  struct pt_schedule schedule;
  struct pt_scaler scaler; /* what checkpoints say of it; nothing here reads it */
  struct pt_room room;
  struct pt_train_result result; /* of the last batch */
  double norm;                   /* of the gradients of the last step */
  struct position at;            /* now */
  struct position whole;         /* when the last optimiser step was done: what is saved */
  float *buffers;                /* [w.numbers of buffers] running statistics at that time */
  int64_t part;                  /* batches since then */
  int64_t bad;                   /* batches left out one after the other, up to the last */
  struct pt_train_summary sum;
  struct pt_train_log log;
  int lock; /* the locked file of the folder; -1: none yet */
  bool resumed;
  bool compat_noted; /* the checkpoint said which network it is */
  bool sound;        /* what fails now leaves the state after the last step as it was */
  bool writing;      /* what fails now is something that could not be written */
  bool quiet;        /* the line being logged is one of many */
  double shown;      /* when one of those was last shown */
};

/* ---- trainer_step.c ---- */

/* Saves or puts back the running statistics. */
int64_t pt_trainer_buffers(const struct trainer *t); /* numbers in all */
void pt_trainer_keep(struct trainer *t);
void pt_trainer_put_back(struct trainer *t);

/* Forward, backward, and after every c.accumulate batches a step of the optimiser. */
int pt_trainer_batch(struct trainer *t, struct pt_train_batch *b, struct ptv3_error *err);

/* The names of a batch's scenes, the first of many: "a, b and 3 more". */
enum { PT_TRAINER_SCENES = 200 };
void pt_trainer_scenes(const struct pt_train_batch *b, char text[static PT_TRAINER_SCENES]);

/* ---- trainer_save.c ---- */

enum save { PT_SAVE_LAST, PT_SAVE_BEST, PT_SAVE_EPOCH };

/* Writes model_last.pth, model_best.pth, epoch_N.pth below t->path, whole or not at all: the
 * state after the last optimiser step. */
int pt_trainer_save(struct trainer *t, enum save what, struct ptv3_error *err);

/* The folder for everything the training writes. */
int pt_trainer_make_folder(struct trainer *t, struct ptv3_error *err);

/* With o->resume: takes state and position from the checkpoint. */
int pt_trainer_resume(struct trainer *t, struct ptv3_error *err);

/* ---- trainer_same.c ---- */

/* The notes of checkpoints: where in the epoch it is, and what has to be the same for the rest
 * of the training to be what it would have been. Returns how many. */
enum { PT_TRAINER_NOTES = 16 };
int pt_trainer_notes(const struct trainer *t,
                     struct pt_checkpoint_note note[static PT_TRAINER_NOTES]);

/* Sets t->recipe: of model, data.train.transform, mix_prob and clip_grad. */
int pt_trainer_mark_recipe(struct trainer *t, struct ptv3_error *err);

/* Compares them with this run, t->at and the schedule being the checkpoint's. Another seed,
 * other batches in the middle of an epoch, or more steps than its schedule has: PTV3_MISMATCH.
 * At the end of an epoch other batches are a warning. */
int pt_trainer_compare(struct trainer *t, const struct pt_notes *n, const char *path,
                       struct ptv3_error *err);

/* ---- trainer_lock.c ---- */

/* Takes the folder, where there is one, for this process alone; PTV3_IO when another training
 * has it. Taken already: nothing is done. */
int pt_trainer_lock(struct trainer *t, struct ptv3_error *err);
void pt_trainer_unlock(struct trainer *t);

/* ---- trainer_compat.c ---- */

/* The note in checkpoints that says which network is trained, and what is noted in the one that
 * is resumed (NULL: nothing) taken over. PTV3_MISMATCH where the other one was asked for. */
const char *pt_trainer_compat_text(const struct trainer *t);
int pt_trainer_take_compat(struct trainer *t, const char *noted, const char *path,
                           struct ptv3_error *err);

/* Where no checkpoint said it: sets c.cfg.compat_151 as asked for, or by what fits the weights
 * that were read; warns where others would. */
int pt_trainer_choose_compat(struct trainer *t, struct ptv3_error *err);

/* ---- trainer_log.c ---- */

int pt_trainer_log_begin(struct trainer *t, struct ptv3_error *err);
int pt_trainer_log_batch(struct trainer *t, const struct pt_train_batch *b, double seconds,
                         struct ptv3_error *err);
int pt_trainer_log_scene(void *trainer, int64_t scene, const struct pt_scene_score *s,
                         struct ptv3_error *err);
int pt_trainer_log_scores(struct trainer *t, const struct pt_evaluation *e,
                          struct ptv3_error *err);
/* "Saving checkpoint to: ...", before it is; "Best mIoU: ..." at the end of all. */
int pt_trainer_log_saving(struct trainer *t, struct ptv3_error *err);
int pt_trainer_log_best(struct trainer *t, struct ptv3_error *err);
int pt_trainer_log_epoch(struct trainer *t, struct ptv3_error *err);
void pt_trainer_log_end(struct trainer *t);

/* ---- trainer_eval.c ---- */

/* A pt_fetch over struct pt_train_weights: the parameters as they are now. */
int pt_trainer_fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err);

/* Scores the validation data with the weights as they are; sets sum.miou, best, best_epoch.
 * *better: it is the best so far. */
int pt_trainer_validate(struct trainer *t, bool *better, struct ptv3_error *err);

/* The criteria of the configuration, for a validation. */
struct pt_val_loss pt_trainer_val_loss(struct trainer *t);

/* ---- trainer_config.c ---- */

/* Writes <save_path>/config.py, unless this training, resumed, has one. */
int pt_trainer_keep_config(struct trainer *t, struct ptv3_error *err);

/* ---- trainer_fits.c ---- */

/* Whether the validation of every scene will fit the budget. PTV3_BUDGET names the scene that
 * needs most, and the least that would do for it. */
int pt_trainer_check_validation(struct trainer *t, struct ptv3_error *err);

#endif
