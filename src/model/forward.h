/* forward.h - voxels and features in, logits out: structure, plan, run. */
#ifndef PT_FORWARD_H
#define PT_FORWARD_H

#include "need.h"

struct pt_model {
  struct pt_ptv3 cfg;
  struct pt_ptv3_weights w;
  const struct pt_kernels *kernels;
  int tile; /* rows a tile, 0: the kernels' own choice */
};

struct pt_batch {
  int64_t n;            /* voxels of all clouds */
  const int32_t *coord; /* [n, 3] grid coordinates, >= 0, no two alike within a cloud */
  const float *feat;    /* [n, in_channels] */
  int clouds;
  const int64_t *offset; /* [clouds + 1], offset[0] = 0 */
};

/* The integers of a batch as a network wants them; perm [stages, orders] or NULL as in
 * structure.h. */
int pt_batch_structure(struct pt_env *env, const struct pt_ptv3 *cfg,
                       const struct pt_batch *batch, const int *perm, struct pt_structure *s,
                       struct ptv3_error *err);

/* Takes the logits of some voxels, once they are known: row i of logits [rows, classes] is
 * voxel index[i] of the batch. Every voxel comes once; calls follow one another, on the
 * calling thread. Must not allocate from the budget, which is sealed by then. A status other
 * than PTV3_OK (err filled) ends the run. */
typedef int pt_logit_sink(void *user, const int32_t *index, int64_t rows, const float *logits,
                          struct ptv3_error *err);

struct pt_forward {
  const int *perm;      /* [stages, orders] shuffled orders, or NULL; see structure.h */
  pt_observer *observe; /* called after each step with features in row order, or NULL */
  /* Called before the first step with the structure the observer's rows refer to, or NULL. */
  void (*begin)(void *user, const struct pt_structure *s);
  void *user;
  pt_logit_sink *sink; /* gets the logits with sink_user, or NULL */
  void *sink_user;
  struct pt_need *need; /* not NULL: nothing is run, this is filled in (see need.h) */
  double *seconds; /* [PT_OPS + 1] time by op is added here, the integer pass last; or NULL */
};

/* logits [n, classes] in the batch's own order; NULL: not wanted, or for opt->sink alone. opt
 * may be NULL. */
int pt_forward(struct pt_env *env, const struct pt_model *model, const struct pt_batch *batch,
               const struct pt_forward *opt, float *logits, struct ptv3_error *err);

#endif
