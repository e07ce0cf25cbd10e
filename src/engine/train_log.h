/* train_log.h - what a training writes about itself, in its folder:
 *
 *   train.log     lines in the words of Pointcept's hooks, appended
 *   train.csv     a row a step: iteration, epoch, batch, loss and its parts, lr, grad_norm,
 *                 seconds, memory
 *   val.csv       a row an evaluation: loss, mIoU, mAcc, allAcc, mIoU_present (over the
 *                 classes that labels have), IoU of each class
 *   events.out.tfevents.ptv3   the same numbers for TensorBoard, under Pointcept's tags
 *   report.html   charts and a table of classes, written anew every few seconds; needs
 *                 nothing but a browser
 *
 * A training that goes on from a checkpoint goes on with these files: rows and events of steps
 * after the checkpoint, which will be taken again, are removed first, and what stays is read
 * back for the report and the means. train.log keeps everything and says where it goes on.
 *
 * Source of words and tags: pointcept/engines/hooks/{misc,evaluator}.py. */
#ifndef PT_TRAIN_LOG_H
#define PT_TRAIN_LOG_H

#include <stdio.h>

#include "chart.h"
#include "env.h"
#include "metrics.h"
#include "tfevents.h"

#define PT_LOG_PARTS 5 /* parts of a loss that are told apart */

struct pt_train_log_setup {
  const char *folder; /* exists */
  const char *title;  /* of the report: the configuration's name */
  int64_t epochs;     /* of the whole training */
  int64_t batches;    /* of one epoch */
  int64_t budget;     /* bytes the training may use, 0: no limit */
  int classes;
  const char *const *name;        /* [classes]; NULL, or NULL entries: numbers */
  const char *part[PT_LOG_PARTS]; /* names of the loss's parts (CrossEntropyLoss), NULL at
                                     the end; the sum is not one of them */
  bool class_events;              /* each class's IoU to TensorBoard (write_cls_iou) */
  int64_t warmup;                 /* means of times begin anew after batches 0..warmup of an
                                     epoch (IterationTimer's warmup_iter) */
  bool resume;                    /* go on with the folder's files: */
  int64_t epoch, batch;           /* after so many epochs and batches of the next */
  double report_seconds;          /* between reports; 0: 15 */
  void (*line)(void *user, const char *text); /* every line of train.log, NULL: no one */
  void *user;
};

/* What one step gave. */
struct pt_train_step {
  int64_t epoch, batch; /* from 0 */
  double loss, part[PT_LOG_PARTS];
  double lr;           /* of group 0 */
  double grad_norm;    /* before clipping; NaN: not known */
  double data_seconds; /* waiting for data */
  double seconds;      /* the whole step, with that */
  int64_t memory;      /* peak, bytes */
};

/* A mean since the last reset. */
struct pt_mean {
  double sum, last;
  int64_t n;
};

/* The numbers of one evaluation. */
struct pt_val_row {
  int64_t epoch, iteration; /* epochs and steps done */
  double loss, miou, macc, allacc;
  double miou_present; /* mean over the classes that labels have */
};

struct pt_train_log {
  struct pt_env *env;
  struct pt_train_log_setup setup; /* texts are the caller's */
  int parts;
  FILE *text, *steps, *vals;
  struct pt_tfevents events;
  struct pt_mean loss, part[PT_LOG_PARTS]; /* of this epoch */
  struct pt_mean data, batch;              /* seconds, of this epoch */
  int64_t remaining;                       /* steps */
  double left;                             /* seconds, as last said; < 0: not known */
  double reported;                         /* pt_seconds() of the last report */
  bool finished, stopped; /* the run has ended: with the training's end, or before it */
  struct pt_train_step now;
  /* For the report. */
  struct pt_series *series;     /* see PT_LOG_SERIES */
  int64_t vals_n;               /* evaluations */
  struct pt_val_row last, best; /* the last, and that of the highest mIoU */
  double *iou;                  /* [PT_LOG_IOUS, classes] */
};

/* Rows of pt_train_log.iou: of the last evaluation, of the best, the highest of all. */
enum { PT_LOG_IOU_LAST, PT_LOG_IOU_BEST, PT_LOG_IOU_TOP, PT_LOG_IOUS };

/* Series of pt_train_log.series, over iterations, but for the last over epochs. */
enum {
  PT_LOG_LOSS,
  PT_LOG_PART,
  PT_LOG_VAL_LOSS = PT_LOG_PART + PT_LOG_PARTS,
  PT_LOG_LR,
  PT_LOG_NORM,
  PT_LOG_DATA,
  PT_LOG_SECONDS,
  PT_LOG_MEMORY,
  PT_LOG_MIOU,
  PT_LOG_MACC,
  PT_LOG_ALLACC,
  PT_LOG_SERIES
};

/* Opens the files. On failure log is zeroed and closed. */
int pt_train_log_open(struct pt_train_log *log, struct pt_env *env,
                      const struct pt_train_log_setup *setup, struct ptv3_error *err);

/* What an open log takes, in bytes. */
int64_t pt_train_log_bytes(int classes);

/* One more line of train.log. */
int pt_train_log_say(struct pt_train_log *log, struct ptv3_error *err, const char *fmt, ...)
    PT_PRINTF(3, 4);

/* After a step: "Train: [1/100][5/50] Data 0.003 (0.004) Batch ...", a row, events. */
int pt_train_log_step(struct pt_train_log *log, const struct pt_train_step *step,
                      struct ptv3_error *err);

/* After the last step of an epoch: "Train result: loss: ...". */
int pt_train_log_epoch(struct pt_train_log *log, int64_t epoch, struct ptv3_error *err);

/* Around and within an evaluation: its first line, "Test: [3/68] Loss ...", and its results:
 * lines a class, a row, events, the report. epoch: the one that has ended, from 0. */
int pt_train_log_val_begin(struct pt_train_log *log, struct ptv3_error *err);
int pt_train_log_val_scene(struct pt_train_log *log, int64_t scene, int64_t scenes, double loss,
                           struct ptv3_error *err);
int pt_train_log_val_end(struct pt_train_log *log, int64_t epoch, const struct pt_metrics *m,
                         double loss, struct ptv3_error *err);

/* "Best validation mIoU updated to: ..." if current is better than best, "Currently Best
 * mIoU: ...". */
int pt_train_log_best(struct pt_train_log *log, const char *metric, double current, double best,
                      struct ptv3_error *err);

/* Writes report.html now. */
int pt_train_log_report(struct pt_train_log *log, struct ptv3_error *err);

/* Writes the last report, which no longer reloads itself, and closes. finished: the training
 * has come to its end; otherwise the report says that it was stopped. A failure to write the
 * report is not told. */
void pt_train_log_close(struct pt_train_log *log, bool finished);

/* ---- between train_log.c, train_csv.c and train_report.c ---- */

/* The class's name, or its number in buf. */
const char *pt_log_class(const struct pt_train_log *log, int k, char buf[static 16]);
void pt_log_path(const struct pt_train_log *log, const char *name, char out[static 1024]);
/* "00:12:33" */
const char *pt_log_clock(double seconds, char buf[static 32]);

/* Opens the two tables; on resume reads back the rows that stay. */
int pt_log_tables_open(struct pt_train_log *log, struct ptv3_error *err);
int pt_log_put_step(struct pt_train_log *log, const struct pt_train_step *step,
                    struct ptv3_error *err);
int pt_log_put_val(struct pt_train_log *log, const struct pt_val_row *row, const double *iou,
                   struct ptv3_error *err);
/* Takes a step or an evaluation into the report's numbers. */
void pt_log_take_step(struct pt_train_log *log, const struct pt_train_step *step);
void pt_log_take_val(struct pt_train_log *log, const struct pt_val_row *row, const double *iou);

#endif
