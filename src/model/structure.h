/* structure.h - the integer pass: everything about a batch that does not depend on features.
 *
 * From the voxels' grid coordinates come, for every stage: the number of rows, their
 * coordinates in curve order, the order of every other curve, the blocks for neighbour
 * search, and which rows pool into which. Only integers are computed; after this the size
 * of every tensor of the network is known.
 *
 * Rows of a stage are sorted by its first curve, cloud by cloud. Only the finest stage is
 * sorted by radix sort: the code of a parent cell is the code of any of its voxels shifted
 * right, so the order of the next stage is the order of this one with repetitions removed.
 * Source: PTv3 paper sections 4.1, 4.2; Pointcept Point.serialization, SerializedPooling. */
#ifndef PT_STRUCTURE_H
#define PT_STRUCTURE_H

#include "curves.h"
#include "env.h"
#include "voxels.h"

#define PT_MAX_STAGES 8
#define PT_MAX_ORDERS 8

struct pt_stage {
  int64_t n;                 /* rows */
  int depth;                 /* bits an axis left */
  int shift;                 /* log2 of the pooling stride that led here, 0 for the first */
  int64_t *offset;           /* [clouds + 1] first row of each cloud */
  int32_t *coord;            /* [n, 3] */
  int32_t *order[PT_CURVES]; /* [n] row at each position of a curve; NULL: identity or unused */
  int curve[PT_MAX_ORDERS];  /* the curve of order index i, shuffled as asked */
  int32_t *start;   /* [next stage's n + 1] first row of each run that pools together */
  int32_t *row;     /* [next stage's n] row of the next stage a run becomes; NULL: its number */
  int32_t *cluster; /* [n] row of the next stage */
  struct pt_voxels vox;
};

struct pt_structure {
  int clouds, stages, orders;
  int32_t *input;             /* [stage[0].n] index of the input voxel at each row */
  int32_t *to[PT_MAX_STAGES]; /* [stage[0].n] row of stage s of each finest row, where asked
                                 for; to[0] is always NULL: the row itself */
  struct pt_stage stage[PT_MAX_STAGES];
};

struct pt_structure_in {
  int64_t n;             /* voxels of all clouds */
  const int32_t *coord;  /* [n, 3], >= 0 */
  const int64_t *offset; /* [clouds + 1], offset[0] = 0, offset[clouds] = n, no empty cloud */
  int clouds;
  int stages;        /* of the network */
  const int *stride; /* [stages - 1] powers of two */
  int orders;        /* 1 .. PT_MAX_ORDERS */
  const int *curve;  /* [orders] enum pt_curve */
  /* Shuffled orders: order i of stage s is order perm[s * orders + i] of the stage before
   * (of `curve` for s = 0). NULL: none are shuffled. */
  const int *perm; /* [stages, orders] */
  int compat_151;  /* depth as Pointcept 1.5.1 computed it */
  int maps;        /* fill structure.to (enc_mode needs it) */
};

/* Builds the structure; memory of category STRUCTURE. Errors: coordinates that are negative
 * or need more than 21 bits, two voxels of a cloud at one place, an empty cloud. */
int pt_structure_build(struct pt_env *env, const struct pt_structure_in *in,
                       struct pt_structure *s, struct ptv3_error *err);

void pt_structure_free(struct pt_env *env, struct pt_structure *s); /* zeroed is allowed */

#endif
