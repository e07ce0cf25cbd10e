/* gridsample.h - voxels: which points share a cell of a regular grid, and which of them
 * stands for the cell.
 *
 * The meaning is Pointcept's GridSample (pointcept/datasets/transform.py): a point's cell is
 * floor(coord / grid_size) less the smallest of each axis, its key a hash of the cell, and
 * voxels are numbered by ascending unsigned key. float32 coordinates are divided in float32
 * by (float)grid_size, float64 ones in float64. Where upstream's sort leaves the order
 * inside a voxel open, ours is the order of the points.
 *
 * Memory while building: 24 bytes a point on top of what the result keeps (4 bytes a point
 * for order, 4 for inverse, 4 a voxel for start). */
#ifndef PT_GRIDSAMPLE_H
#define PT_GRIDSAMPLE_H

#include <stdint.h>

#include "cloud.h"
#include "draw.h"
#include "env.h"

/* Cells an axis may span: the fnv and ravel keys of all cells then differ. */
#define PT_GRID_SPAN (INT64_C(1) << 21)

enum pt_grid_key {
  PT_GRID_FNV,  /* h = 14695981039346656037; for x, y, z: h = h * 1099511628211 ^ cell */
  PT_GRID_RAVEL /* (x * (max_y + 1) + y) * (max_z + 1) + z */
};

struct pt_gridsample {
  struct pt_mem *mem;
  int64_t n;         /* points */
  int64_t m;         /* voxels */
  int64_t min[3];    /* floor(coord / grid_size): the smallest of each axis */
  int64_t max[3];    /* and the largest */
  int64_t max_count; /* points of the fullest voxel = fragments of test mode */
  double grid_size;  /* metres */
  int32_t *order;    /* [n] points by ascending key, points of a voxel in their own order */
  int32_t *start;    /* [m + 1] voxel v owns order[start[v] .. start[v + 1] - 1] */
  int32_t *inverse;  /* [n] voxel of each point */
};

/* Groups the points of a channel [n, 3] of type F32 or F64. Errors: PTV3_INVALID for a grid
 * size that is no positive number, PTV3_DATA for no point, for a coordinate that is no
 * number, and for a span of PT_GRID_SPAN cells or more, with the grid size that would do. */
int pt_gridsample_build(struct pt_gridsample *v, struct pt_env *env,
                        const struct pt_channel *coord, double grid_size, enum pt_grid_key key,
                        struct ptv3_error *err);
void pt_gridsample_free(struct pt_gridsample *v); /* a zeroed one is allowed */

/* ---- the same for points that come in runs (stream.h) ---- */

/* Only checks, and the bounds in cells; the arrays stay NULL and m 0. */
int pt_gridsample_begin(struct pt_gridsample *v, struct pt_env *env,
                        const struct pt_channel *coord, double grid_size,
                        struct ptv3_error *err);

/* Keys of points 0 .. n - 1 of a channel within those bounds. */
void pt_gridsample_keys(const struct pt_gridsample *v, const struct pt_channel *coord,
                        enum pt_grid_key key, int64_t n, int threads, uint64_t *out /* [n] */);

/* Which member stands for each of m voxels, by their points: member[v] holds the count of
 * voxel v and becomes draw % count, draw in [0, max_count). */
int pt_gridsample_members(int64_t max_count, int64_t m, struct pt_draw *draw, int32_t *member,
                          struct ptv3_error *err);

/* ---- choosing ---- */

/* Train mode: select[v] is member draw % count of voxel v, draw in [0, max_count). */
int pt_gridsample_pick(const struct pt_gridsample *v, struct pt_draw *draw,
                       int32_t *select /* [m] */, struct ptv3_error *err);

/* Test mode: fragment i (0 .. max_count - 1) has member i % count of every voxel. */
void pt_gridsample_fragment(const struct pt_gridsample *v, int64_t i,
                            int32_t *select /* [m] */);

/* Cells of chosen points, the smallest of each axis taken off: grid_coord [m, 3]. */
void pt_gridsample_grid(const struct pt_gridsample *v, const struct pt_channel *coord,
                        const int32_t *select /* [m] */, int64_t m, int32_t *grid_coord);

/* Where chosen points lie in their cells, -0.5 .. 0.5 from the centre: out [m, 3]; with normals
 * ([n, 3], F32 or F64) only the component along them: out [m, 1]. */
void pt_gridsample_displacement(const struct pt_gridsample *v, const struct pt_channel *coord,
                                const struct pt_channel *normal, const int32_t *select,
                                int64_t m, float *out);

#endif
