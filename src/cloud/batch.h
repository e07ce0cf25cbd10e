/* batch.h - some clouds side by side, as the network takes them in training.
 *
 * Rows of all clouds one after the other, and where each cloud begins (Pointcept's offset).
 *
 * Mix3D (Nekrasov et al., 3DV 2021; Pointcept's point_collate_fn): clouds 0 and 1 become one,
 * 2 and 3, and so on; the last of an odd number stays alone. Their grid coordinates stay what
 * they are, each cloud's from 0.
 * Where both have a voxel in the same cell, one of the two is kept, each with probability 1/2:
 * what GridSample in train mode does with the points of a cell, and what the paper does, which
 * mixes before it voxelises. Pointcept mixes after it and keeps both rows; its convolution then
 * sees one of them from outside, whichever was entered into its hash table last. Here no two
 * voxels of a cloud are at one place. */
#ifndef PT_BATCH_H
#define PT_BATCH_H

#include "env.h"
#include "pipeline.h"

/* What one sample of a batch is. */
struct pt_batch_part {
  int64_t scene;      /* its number in the data set */
  int64_t occurrence; /* which time in this epoch, 0 .. loop - 1 */
  const char *name;   /* of the scene; belongs to the data set */
  int64_t points;     /* as loaded */
  int64_t rows;       /* voxels it brings to the batch */
};

struct pt_train_batch {
  struct pt_mem *mem;
  int64_t n;                  /* voxels of all clouds */
  int clouds, channels;       /* clouds: less than parts when mixed */
  float *coord;               /* [n, 3] metres */
  int32_t *grid_coord;        /* [n, 3] cells, >= 0 */
  float *feat;                /* [n, channels] */
  int32_t *segment;           /* [n] class or the data set's ignored label */
  int64_t *offset;            /* [clouds + 1] first row of each cloud, offset[0] = 0 */
  const char *condition;      /* of the first sample, NULL: none */
  int64_t parts;              /* samples */
  struct pt_batch_part *part; /* [parts] in the order of their rows */
  bool mixed;
  int64_t dropped;       /* voxels left out because two clouds had one in the same cell */
  int64_t epoch, number; /* which batch of which epoch, from 0 */
  double seconds;        /* it took to make */
};

/* Joins clouds that a pipeline's Collect has been applied to; frees each of them, on failure
 * too. part [count] is copied, its rows filled in. mix: as above, drawing from `draw`. Errors:
 * PTV3_DATA naming the sample for one without voxels, labels or with another number of
 * channels. */
int pt_batch_join(struct pt_train_batch *b, struct pt_mem *mem,
                  struct pt_cloud *cloud /* [count] */, const struct pt_batch_part *part,
                  int64_t count, bool mix, struct pt_draw *draw, struct ptv3_error *err);

void pt_batch_free(struct pt_train_batch *b); /* a zeroed one is allowed */

#endif
