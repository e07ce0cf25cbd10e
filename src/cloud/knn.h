/* knn.h - the k nearest points of points: a balanced kd-tree held in two arrays, the node of a
 * run of points being the point in its middle (Bentley 1975). Exact; equal distances go to the
 * point that comes first, so the answer is one. */
#ifndef PT_KNN_H
#define PT_KNN_H

#include <stdint.h>

#include "env.h"

enum { PT_KNN_MAX = 64 };

struct pt_tree {
  struct pt_mem *mem;
  int64_t n;
  int32_t *order; /* [n] point at each place of the tree */
  float *xyz;     /* [n, 3] coordinates in tree order */
  uint8_t *axis;  /* [n] axis its node splits */
};

/* A tree over coord [n, 3], n <= INT32_MAX. 17 bytes a point. */
int pt_tree_build(struct pt_tree *t, struct pt_env *env, const float *coord, int64_t n,
                  struct ptv3_error *err);
void pt_tree_free(struct pt_tree *t); /* a zeroed one is allowed */

/* The k nearest points of the point at a place of the tree, itself among them, near ones first:
 * near[k] are their places. k <= min(n, PT_KNN_MAX). */
void pt_tree_nearest(const struct pt_tree *t, int64_t place, int k, int32_t *near);

#endif
