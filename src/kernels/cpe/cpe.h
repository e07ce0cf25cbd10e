/* cpe.h - conditional positional encoding (xCPE): 3x3x3 submanifold convolution, Linear,
 * LayerNorm, residual.
 *
 *   y[r]   = conv_bias + sum over k, j: in[j] W_k       j at coord[r] + k - 1, if there
 *   out[r] = (res[r] + up[cluster[r]]) + LayerNorm(y[r] W + b) * gamma + beta
 *
 * with k = (kx, ky, kz), offset index (kx*3 + ky)*3 + kz, eps 1e-5. The term up[cluster[r]]
 * is there only in the first block after an unpooling, where the convolution sees the skip
 * branch alone while the residual is the sum (Pointcept does not refresh the sparse tensor
 * after adding the upsampled features).
 * Source: PTv3 paper section 4.3; Pointcept Block.cpe; spconv SubMConv3d(kernel_size=3). */
#ifndef PT_CPE_H
#define PT_CPE_H

#include "dtype.h"
#include "mat.h"
#include "voxels.h"

struct pt_cpe {
  const struct pt_voxels *vox;
  int64_t n;              /* rows = vox->n */
  int c;                  /* channels */
  enum pt_dtype type;     /* of in, res, up, out: PT_F32 or PT_BF16 */
  const void *in;         /* [n, c] input of the convolution */
  const void *res;        /* [n, c] residual; in, or another buffer */
  const void *up;         /* [m, c] or NULL */
  const int32_t *cluster; /* [n] row of up, or NULL */
  void *out;              /* [n, c]; may be res, never in (neighbours are still to be read) */
  struct pt_mat conv_w;   /* (c, c), the first of 27 one after the other */
  const float *conv_bias; /* [c] */
  struct pt_mat w;        /* (c, c) */
  const float *bias;      /* [c] */
  const float *gamma, *beta; /* [c] */
};

#endif
