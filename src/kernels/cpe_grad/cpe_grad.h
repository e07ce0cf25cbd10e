/* cpe_grad.h - the backward pass of cpe.h up to its convolution.
 *
 * Recomputes y = conv(in) and z = y W + b, and with g the gradient of
 * out = res + up[cluster] + LayerNorm(z) gamma + beta gives
 *   dgamma += sum g zhat;  dbeta += sum g;  dz = LayerNorm's backward of g gamma
 *   dw += dz^T y;  dbias += sum dz;  dy = dz W
 * dy is what conv_grad.h takes; the gradient of the residual is g itself and stays as it is.
 * Source: Pointcept Block.cpe; torch.nn.functional.layer_norm's backward. */
#ifndef PT_CPE_GRAD_H
#define PT_CPE_GRAD_H

#include "mat.h"
#include "voxels.h"

struct pt_cpe_grad {
  const struct pt_voxels *vox;
  int64_t n;              /* rows = vox->n */
  int c;                  /* channels */
  enum pt_dtype type;     /* of in, g, dy: PT_F32 or PT_BF16 */
  const void *in;         /* [n, c] input of the convolution */
  const void *g;          /* [n, c] gradient of out */
  void *dy;               /* [n, c] gradient of the convolution's output, written */
  struct pt_mat conv_w;   /* (c, c), the first of 27 */
  const float *conv_bias; /* [c] */
  struct pt_mat w;        /* (c, c) */
  const float *bias;      /* [c] */
  const float *gamma;     /* [c] */
  struct pt_mat wt;       /* (c, c): dz W */
  float *dw;              /* [c, c] (out, in), added to */
  float *dbias;           /* [c] added to */
  float *dgamma, *dbeta;  /* [c] added to */
};

#endif
