/* up_grad.h - the gradient of rows that were read through a cluster map: sums over runs.
 *
 *   dx[dest(s)] = sum over r in start[s] .. start[s+1]-1 of g[r],  dest(s) = row[s] or s
 *
 * One chain in ascending r. Source: the backward pass of point.feat[inverse] in Pointcept's
 * SerializedUnpooling. */
#ifndef PT_UP_GRAD_H
#define PT_UP_GRAD_H

#include <stdint.h>

#include "dtype.h"

struct pt_up_grad {
  int64_t n;            /* rows of g */
  int64_t m;            /* rows of dx */
  int c;                /* channels */
  enum pt_dtype type;   /* of g, dx: PT_F32 or PT_BF16 */
  const void *g;        /* [n, c] */
  const int32_t *start; /* [m + 1] */
  const int32_t *row;   /* [m] or NULL */
  void *dx;             /* [m, c] written */
};

#endif
