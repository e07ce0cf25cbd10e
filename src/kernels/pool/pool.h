/* pool.h - grid pooling: Linear, maximum over the voxels of each parent cell, BatchNorm, GELU.
 *
 *   out[dest(s)] = gelu( g * max over r in start[s] .. start[s+1]-1 of (x[r] W + b) + shift )
 *
 * The children of a parent cell are consecutive rows. dest(s) = row[s], or s where row is
 * NULL. BatchNorm with running statistics: g = gamma / sqrt(var + eps), shift = beta - mean g
 * (not folded into W: g may be negative and the maximum comes first). With `raw`, what
 * training puts BatchNorm after (batchnorm.h): out[dest(s)] = max over r of (x[r] W + b).
 * Source: PTv3 paper section 4.1 (GridPool); Pointcept SerializedPooling. */
#ifndef PT_POOL_H
#define PT_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "mat.h"

struct pt_pool {
  int64_t n;              /* rows in */
  int64_t m;              /* rows out */
  int in, c;              /* channels in and out */
  enum pt_dtype type;     /* of x, out: PT_F32 or PT_BF16 */
  const void *x;          /* [n, in] */
  const int32_t *start;   /* [m + 1] */
  const int32_t *row;     /* [m] or NULL */
  void *out;              /* [m, c] */
  struct pt_mat w;        /* (in, c) */
  const float *bias;      /* [c] */
  const float *g, *shift; /* [c], not read with raw */
  bool raw;               /* the maximum alone */
};

#endif
