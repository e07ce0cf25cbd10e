/* conv_grad.h - the backward pass of a submanifold convolution (embed.h, cpe.h).
 *
 * With g the gradient of y[i] = bias + sum over k of W_k x[j], j at coord[i] + k - size/2:
 *   dx[j] = [dx[j] +] sum over k: W_k^T g[i], i at coord[j] - (k - size/2), if there
 *   dw_k  += sum over i: g[i] x[j]^T;   dbias += sum over i of g[i]
 * dx is again a submanifold convolution, of g, with the offsets mirrored and the matrices
 * transposed. Sums over rows run through all rows in ascending order.
 * Source: spconv SubMConv3d's backward. */
#ifndef PT_CONV_GRAD_H
#define PT_CONV_GRAD_H

#include <stdbool.h>

#include "mat.h"
#include "voxels.h"

struct pt_conv_grad {
  const struct pt_voxels *vox;
  int64_t n;           /* rows = vox->n */
  int size;            /* 3 or 5 */
  int in, c;           /* channels of x and of y */
  enum pt_dtype type;  /* of g, dx: PT_F32 or PT_BF16 */
  enum pt_dtype xtype; /* of x: type, or PT_F32 (the stem's input) */
  const void *x;       /* [n, in] */
  const void *g;       /* [n, c] gradient of y; not dx */
  void *dx;            /* [n, in] or NULL: not wanted */
  bool add;            /* dx is added to, else written */
  struct pt_mat wt;    /* (c, in), the first of size^3 in the order of the forward taps */
  float *dw;           /* [c, size^3, in] as the state_dict has it; added to */
  float *dbias;        /* [c] added to, or NULL */
};

#endif
