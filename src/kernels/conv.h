/* conv.h - the submanifold convolution of a run of blocks, which embed and cpe share.
 *
 *   y[r] = bias + sum over kernel offsets and present neighbours j: x[j] W_offset
 *
 * Rows come in tiles of at most `cap`. For a tile, the neighbours of all its voxels are
 * listed by kernel offset; then each offset is one product (gemm.h) that gathers rows of x
 * and accumulates into rows of y. Order of the sum: the bias, the voxel itself, then the
 * other offsets from first to last, whatever the tile. */
#ifndef PT_CONV_H
#define PT_CONV_H

#include <stdint.h>

#include "isa.h"
#include "mat.h"
#include "voxels.h"

struct pt_conv {
  const struct pt_voxels *vox;
  int size;           /* 3 or 5 */
  int in, c;          /* channels in and out */
  const void *x;      /* [n, in] */
  enum pt_dtype type; /* of x */
  struct pt_mat w;    /* (in, c), the first of size^3 one after the other */
  const float *bias;  /* [c], or NULL: 0 */
  int cap;            /* rows a tile */
};

/* What happens with a tile: where y goes ([rows, ld] for rows first ..), and what follows
 * once it is there. op and scratch are passed on. */
struct pt_conv_sink {
  float *(*place)(const void *op, int64_t first, char *scratch);
  void (*done)(const void *op, int64_t first, int rows, float *y, char *scratch);
  const void *op;
  int64_t ld; /* floats from row to row of y */
};

/* Bytes of scratch: size and cap are read. */
int64_t PT_FN(pt_conv_scratch)(const struct pt_conv *v);

/* All tiles of blocks begin .. end - 1, on the calling thread. scratch: 64-byte aligned;
 * rest is passed to the sink. */
void PT_FN(pt_conv)(const struct pt_conv *v, int64_t begin, int64_t end,
                    const struct pt_conv_sink *sink, char *scratch, char *rest);

#endif
