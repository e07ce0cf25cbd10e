/* normals.h - normals for a cloud that has none. */
#ifndef PT_NORMALS_H
#define PT_NORMALS_H

#include "cloud.h"
#include "env.h"

/* Adds the channel "normal" [n, 3], F32, length 1.
 *
 * Direction: at each point the eigenvector of the smallest eigenvalue of the covariance of its
 * k nearest points (itself included); where those do not span a plane, (0, 0, 1).
 *
 * Sign: consistent over neighbours as in Hoppe et al., "Surface reconstruction from
 * unorganized points" (SIGGRAPH 1992), 3.3: the signs are carried along a minimum spanning tree
 * of the graph of the 8 nearest points whose edges weigh 1 - |cosine|; the tree's root, the
 * highest point of each connected piece, looks up (along +z).
 *
 * The same cloud gives the same normals on any number of threads. Coordinates are the cloud's
 * (metres). k: 3 .. 64, lowered to the number of points. Memory: about
 * 130 bytes a point besides the result. */
int pt_estimate_normals(struct pt_env *env, struct pt_cloud *c, int k, struct ptv3_error *err);

#endif
