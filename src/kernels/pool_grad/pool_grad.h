/* pool_grad.h - the backward pass of the Linear and the maximum of pool.h.
 *
 * The gradient g[dest(s)] of a channel goes to one row of segment s, the first that has the
 * maximum of x[r] W + b (recomputed here, as pool.h with `raw` computes it, bit by bit):
 *   dy[r, j] = g[dest(s), j] where r is that row, else 0
 *   dx[r] = [dx[r] +] dy[r] W;   dw += dy^T x;   db += sum over r of dy[r]
 * Source: Pointcept SerializedPooling; torch_scatter.segment_csr(reduce="max")'s backward. */
#ifndef PT_POOL_GRAD_H
#define PT_POOL_GRAD_H

#include <stdbool.h>
#include <stdint.h>

#include "mat.h"

struct pt_pool_grad {
  int64_t n;            /* rows in */
  int64_t m;            /* rows out */
  int in, c;            /* channels in and out */
  enum pt_dtype type;   /* of x, g, dx: PT_F32 or PT_BF16 */
  const void *x;        /* [n, in] */
  const int32_t *start; /* [m + 1] */
  const int32_t *row;   /* [m] or NULL */
  const void *g;        /* [m, c] gradient of the maximum */
  void *dx;             /* [n, in] */
  bool add;             /* dx is added to, else written */
  struct pt_mat w;      /* (in, c) */
  const float *bias;    /* [c] */
  struct pt_mat wt;     /* (c, in) */
  float *dw;            /* [c, in] added to */
  float *db;            /* [c] added to */
};

#endif
