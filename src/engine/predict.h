/* predict.h - from a cloud to labels: the config's transforms, one pass of the network, and
 * every loaded point gets the answer of its voxel.
 *
 * This is Pointcept's validation protocol (engines/hooks/evaluator.py: one pass over the
 * voxels GridSample keeps, pred[inverse]), for scenes with and without labels. */
#ifndef PT_PREDICT_H
#define PT_PREDICT_H

#include "cloud.h"
#include "forward.h"
#include "pipeline.h"
#include "val_loss.h"

/* Which of two networks the weights are for (model/compat.h): asked of the first cloud. */
struct pt_compat_ask {
  bool choose; /* take the one that fits; else only warn when v1.5.1's fits clearly better */
  bool done;   /* asked; the next says what was found */
  bool old;
};

/* Asks, if that was not done before, and sets m->cfg.compat_151 where it is to be chosen. */
int pt_ask_compat(struct pt_env *env, struct pt_model *m, const struct pt_batch *batch,
                  struct pt_compat_ask *ask, struct ptv3_error *err);

struct pt_predict {
  const struct pt_pipeline *pipeline;
  uint64_t seed;        /* of the draws of the transforms (which point stands for a voxel) */
  uint64_t sample;      /* number of the scene: part of what its draws depend on */
  struct pt_draw *draw; /* where draws go on, in place of seed and sample; NULL: from there */
  double grid_size;     /* metres; where the network does not fit, a coarser one that would is
                           named; 0: none is looked for */
  bool shuffle_orders;  /* draw the orders of the curves from shuffle_seed, as Pointcept does */
  uint64_t shuffle_seed;
  struct pt_need *need; /* not NULL: only what it would take is worked out; see forward.h */
  double *seconds;      /* [PT_OPS + 1], see forward.h; or NULL */
  struct pt_compat_ask *compat; /* NULL: do not ask */
  struct pt_val_loss *loss; /* gets labels of voxels and logits, if there are labels; or NULL */
};

/* Answers by row of the network's input, a voxel a row. */
struct pt_answers {
  struct pt_mem *mem;
  int64_t n;
  int classes;
  int32_t *label;      /* [n], owned as the next two */
  float *confidence;   /* [n] probability of the label, NULL: not wanted */
  float *probability;  /* [n, classes], NULL: not wanted */
  struct pt_sample of; /* its inverse: the row of each point of the cloud as loaded; pointers
                          into the cloud */
};

/* The cloud is used up: transforms change it in place, and its channels are freed before
 * the network runs where the results do not need them. The caller still frees it, and the
 * answers; with p->need there are none. */
int pt_predict_rows(struct pt_env *env, const struct pt_model *model, struct pt_cloud *cloud,
                    const struct pt_predict *p, bool confidence, bool probability,
                    struct pt_answers *a, struct ptv3_error *err);
void pt_answers_free(struct pt_answers *a); /* a zeroed one is allowed */

/* What comes back, rows being the points of the cloud as loaded [cloud->n_origin]. */
struct pt_predicted {
  int64_t voxels;
  int32_t *label;     /* [n] */
  float *confidence;  /* [n] probability of the label, or NULL on entry: not wanted */
  float *probability; /* [n, classes], or NULL on entry */
};

/* The same, carried back to the points. */
int pt_predict_cloud(struct pt_env *env, const struct pt_model *model, struct pt_cloud *cloud,
                     const struct pt_predict *p, struct pt_predicted *out,
                     struct ptv3_error *err);

#endif
