/* embed.h - the stem: 5x5x5 submanifold convolution, BatchNorm, GELU.
 *
 *   out[r] = gelu( bias + sum over k, j:  x[j] W_k )
 *
 * with k = (kx, ky, kz) in 0..4, offset index (kx*5 + ky)*5 + kz, and j the row of the same
 * cloud at coord[r] + k - 2, if there is one. BatchNorm with running statistics is folded:
 * W_k = conv weight[:, kx, ky, kz, :]^T * g, bias = beta - mean * g, g = gamma / sqrt(var +
 * eps). With `raw` (training, where batchnorm.h follows) out is the convolution alone: no bias,
 * no GELU. Source: Pointcept Embedding; spconv SubMConv3d(kernel_size=5, bias=False); GELU with
 * erf. */
#ifndef PT_EMBED_H
#define PT_EMBED_H

#include <stdbool.h>

#include "mat.h"
#include "voxels.h"

struct pt_embed {
  const struct pt_voxels *vox;
  int64_t n;          /* rows = vox->n */
  int in, c;          /* channels in and out */
  enum pt_dtype type; /* of out: PT_F32 or PT_BF16 */
  const float *x;     /* [n, in] */
  struct pt_mat w;    /* (in, c) of PT_F32, the first of 125 one after the other */
  const float *bias;  /* [c]; not read if raw */
  bool raw;           /* out = the sum over k, j */
  void *out;          /* [n, c] */
};

#endif
