/* fragments.h - Pointcept's precise test (data.test): the cloud under several augmentations,
 * each cut into fragments that have one point of every voxel, so that every point is seen.
 *
 * The protocol (pointcept/datasets/defaults.py, prepare_test_data): transform; for each
 * augmentation: a copy of the cloud, augmented; test_cfg.voxelize numbers its voxels; fragment
 * i is member i mod count of each; post_transform makes the network's input of it. Fragments
 * are made one at a time. Adding up the network's answers is the engine's. */
#ifndef PT_FRAGMENTS_H
#define PT_FRAGMENTS_H

#include "gridsample.h"
#include "pipeline.h"

struct pt_test {
  struct pt_mem *mem;
  struct pt_pipeline transform, voxelize, post;
  struct pt_pipeline *aug; /* [n_aug] */
  int64_t n_aug;
};

/* Reads data.test with its test_cfg. The tree must outlive it. A crop is not supported. */
int pt_test_parse(struct pt_test *t, struct pt_mem *mem, const struct pt_value *config,
                  struct ptv3_error *err);
void pt_test_free(struct pt_test *t); /* a zeroed one is allowed */

/* The cloud under one augmentation. */
struct pt_test_run {
  const struct pt_test *test;
  struct pt_cloud cloud;       /* the augmented copy */
  struct pt_gridsample voxels; /* of it; m is the size of every fragment */
  int64_t fragments;
};

/* Prepares augmentation a of a cloud to which test->transform has been applied. */
int pt_test_begin(struct pt_test_run *r, const struct pt_test *test, struct pt_env *env,
                  const struct pt_cloud *c, int64_t a, struct pt_draw *draw,
                  struct ptv3_error *err);
void pt_test_end(struct pt_test_run *r); /* a zeroed one is allowed */

/* Fragment i as the network's input: see pt_sample_view; its `index` says which points of
 * the cloud given to pt_test_begin the rows are. The caller frees out. */
int pt_test_fragment(const struct pt_test_run *r, struct pt_env *env, int64_t i,
                     struct pt_draw *draw, struct pt_cloud *out, struct ptv3_error *err);

#endif
