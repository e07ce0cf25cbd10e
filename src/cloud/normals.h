/* normals.h - normals for a cloud that has none. */
#ifndef PT_NORMALS_H
#define PT_NORMALS_H

#include "cloud.h"
#include "env.h"

/* The side a normal points to; a plane does not tell. */
enum pt_normal_side {
  /* Towards the middle of the cloud, as the surfaces of a room that was scanned from inside:
   * what data sets of rooms have. The middle is half way between the coordinates that 1 % and
   * 99 % of the points lie below, along each axis, so that what is seen through a window does
   * not move it. Each point by itself: the back of a chair points the wrong way. */
  PT_NORMAL_INSIDE,
  /* Up, and consistent over neighbours, as in Hoppe et al., "Surface reconstruction from
   * unorganized points" (SIGGRAPH 1992), 3.3: the signs are carried along a minimum spanning
   * tree of the graph of the 8 nearest points whose edges weigh 1 - |cosine|; the tree's root,
   * the highest point of each connected piece, looks up (along +z). For scans from above. */
  PT_NORMAL_UP
};

/* Adds the channel "normal" [n, 3], F32, length 1, in place of one that is there.
 *
 * Direction: at each point the eigenvector of the smallest eigenvalue of the covariance of its
 * k nearest points (itself included); where those do not span a plane, (0, 0, 1), whatever the
 * side.
 *
 * The same cloud gives the same normals on any number of threads. Coordinates are the cloud's
 * (metres; computed with as F32, left as they are). k: 3 .. 64, lowered to the number of
 * points. Memory besides the result: about 130 bytes a point for PT_NORMAL_UP, 50 for
 * PT_NORMAL_INSIDE. */
int pt_estimate_normals(struct pt_env *env, struct pt_cloud *c, int k, enum pt_normal_side side,
                        struct ptv3_error *err);

#endif
