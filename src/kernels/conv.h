/* conv.h - the submanifold convolution of a run of blocks, which embed and cpe share, and the
 * neighbours it is made of.
 *
 *   y[r] = bias + sum over kernel offsets and present neighbours j: x[j] W_offset
 *
 * Rows come in tiles of at most `cap`. For a tile, the neighbours of all its voxels are looked
 * up by kernel offset; then each offset is one product (gemm.h) that gathers rows of x and
 * accumulates into rows of y. Order of the sum: the bias, the voxel itself, then the
 * other offsets from first to last, whatever the tile. */
#ifndef PT_CONV_H
#define PT_CONV_H

#include <stdbool.h>
#include <stdint.h>

#include "isa.h"
#include "mat.h"
#include "voxels.h"

enum { PT_CONV_ROWS = PT_BLOCK * PT_BLOCK * PT_BLOCK, PT_CONV_OFFSETS = 125 };

struct pt_conv {
  const struct pt_voxels *vox;
  int size;           /* 3 or 5 */
  int in, c;          /* channels in and out */
  const void *x;      /* [n, in] */
  enum pt_dtype type; /* of x */
  struct pt_mat w;    /* (in, c), the first of size^3 one after the other */
  const float *bias;  /* [c], or NULL: 0 */
  int cap;            /* rows a tile */
  bool mirror;        /* W_offset is that of the opposite offset: the last for the first */
};

/* The matrix of an offset. */
static inline struct pt_mat pt_conv_mat(const struct pt_conv *v, int offset) {
  const int last = v->size * v->size * v->size - 1;
  return pt_mat_tap(&v->w, v->mirror ? last - offset : offset);
}

/* The neighbours of a tile's rows first, first + 1, ... : at offset k, near[k * stride + i] is
 * the row of the stage that is neighbour of row first + i, or -1. At the middle offset that is
 * the row itself. */
struct pt_conv_tile {
  int32_t *near;  /* [size^3, stride] */
  int64_t stride; /* past cap, and no multiple of a page's lines */
  int rows;
  int count[PT_CONV_OFFSETS]; /* of neighbours that are there */
  int32_t *in, *out;          /* [stride] of the last offset that pt_conv_pairs was asked for */
  int32_t *table;             /* [side^3] row of each voxel around a block */
  int32_t cell[PT_CONV_ROWS]; /* first cell of the kernel around each row of a block */
};

/* Bytes of scratch: size and cap are read. */
int64_t PT_FN(pt_conv_scratch)(const struct pt_conv *v);

/* A tile without rows, at the front of the scratch, where another thread finds it too. */
struct pt_conv_tile *PT_FN(pt_conv_empty)(const struct pt_conv *v, char *scratch);

/* The same with the neighbours of rows first .. first + rows - 1, at most cap. */
struct pt_conv_tile *PT_FN(pt_conv_look)(const struct pt_conv *v, int64_t first, int rows,
                                         char *scratch);

/* The pairs at offset k: number i says that row out[i] of the tile has the neighbour in[i], a
 * row of the stage. Rows of the tile ascend. Returns how many there are. in and out: [stride].
 */
int PT_FN(pt_conv_pairs)(const struct pt_conv_tile *t, int k, int32_t *in, int32_t *out);

/* The same with an even number from every `unit` rows of the tile, a multiple of 32: after an
 * odd one comes the pair of -1 and -1. What follows two by two does not depend on the tile. */
int PT_FN(pt_conv_even_pairs)(const struct pt_conv_tile *t, int k, int unit, int32_t *in,
                              int32_t *out);

/* y = the convolution of the tile, whose first row is `first`; ld floats from row to row. */
void PT_FN(pt_conv_rows)(const struct pt_conv *v, const struct pt_conv_tile *t, int64_t first,
                         float *y, int64_t ld);

/* What happens with a tile: where y goes ([rows, ld] for rows first ..), and what follows
 * once it is there. op and scratch are passed on. */
struct pt_conv_sink {
  float *(*place)(const void *op, int64_t first, char *scratch);
  void (*done)(const void *op, int64_t first, int rows, float *y, char *scratch);
  const void *op;
  int64_t ld; /* floats from row to row of y */
};

/* All tiles of blocks begin .. end - 1, on the calling thread. scratch: 64-byte aligned;
 * rest is passed to the sink. */
void PT_FN(pt_conv)(const struct pt_conv *v, int64_t begin, int64_t end,
                    const struct pt_conv_sink *sink, char *scratch, char *rest);

#endif
