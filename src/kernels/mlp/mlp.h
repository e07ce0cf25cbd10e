/* mlp.h - the feed-forward half of a block, in place.
 *
 *   pre-norm:   x[r] += gelu(LayerNorm(x[r]) W1 + b1) W2 + b2
 *   post-norm:  x[r]  = LayerNorm(x[r] + gelu(x[r] W1 + b1) W2 + b2)
 *
 * With branch given, what is added to x (pre-norm; the norm's output in post-norm) is stored
 * there as well: weights trained by Pointcept 1.5.1 feed it to the next convolution.
 * GELU is exact: 0.5 v (1 + erf(v / sqrt 2)). LayerNorm eps 1e-5. The hidden layer lives in
 * the tile. Source: Pointcept MLP, Block; torch.nn.GELU(approximate='none'). */
#ifndef PT_MLP_H
#define PT_MLP_H

#include <stdbool.h>

#include "mat.h"

struct pt_mlp {
  int64_t n;          /* rows */
  int c, hidden;      /* channels; hidden = int(c * mlp_ratio) */
  enum pt_dtype type; /* of x, branch: PT_F32 or PT_BF16 */
  void *x;            /* [n, c] in and out */
  void *branch;       /* [n, c] or NULL */
  bool pre_norm;
  const float *gamma, *beta; /* [c] */
  struct pt_mat w1;          /* (c, hidden) */
  const float *b1;           /* [hidden] */
  struct pt_mat w2;          /* (hidden, c) */
  const float *b2;           /* [c] */
};

#endif
