/* evaluate.h - scores of a model on a data set, by Pointcept's validation protocol: each scene
 * is predicted in one pass, carried back to its points, and counted.
 *
 * Source: pointcept/engines/hooks/evaluator.py, SemSegEvaluator (pred[inverse] against
 * origin_segment, counts summed over the scenes). It is not the test protocol with its votes
 * over augmented copies. */
#ifndef PT_EVALUATE_H
#define PT_EVALUATE_H

#include "dataset.h"
#include "metrics.h"
#include "predict.h"

struct pt_scene_score {
  char *name;     /* owned */
  int64_t points; /* with a label that counts */
  int64_t voxels;
  double miou;   /* over classes in labels or prediction of the scene */
  double macc;   /* over classes in the labels */
  double allacc; /* these three NaN when there is nothing to take a mean of */
  double loss;   /* NaN: not asked for, or no voxel has a label */
  double seconds;
};

struct pt_evaluate {
  const struct pt_model *model;
  const struct pt_dataset *set;
  const struct pt_load *load; /* the channels the pipeline needs */
  struct pt_predict predict;  /* sample is set for each scene: its number */
  /* Called after each scene, or NULL; another status than PTV3_OK (err filled) ends the run. */
  int (*done)(void *user, int64_t scene, const struct pt_scene_score *s,
              struct ptv3_error *err);
  void *user;
};

struct pt_evaluation {
  struct pt_mem *mem;
  struct pt_metrics total;
  double loss; /* mean over the scenes that have one; NaN: none has */
  int64_t scenes;
  struct pt_scene_score *scene; /* [scenes] */
};

/* Errors: what loading and predicting give; PTV3_DATA naming the scene where it has no labels
 * or one that is no class. On failure nothing is kept. Progress is of all scenes together. */
int pt_evaluate(struct pt_env *env, const struct pt_evaluate *job, struct pt_evaluation *out,
                struct ptv3_error *err);

void pt_evaluation_free(struct pt_evaluation *e); /* a zeroed one is allowed */

#endif
