/* mlp.h - the feed-forward half of a block, in place or from another tensor.
 *
 *   pre-norm:   x[r] = in[r] + drop(drop(gelu(LayerNorm(in[r]) W1 + b1)) W2 + b2)
 *   post-norm:  x[r] = LayerNorm(in[r] + drop(drop(gelu(in[r] W1 + b1)) W2 + b2))
 *
 * drop multiplies the numbers of a row by what drop.h says: those of the hidden layer by that
 * of proj, those of the branch by those of proj and path.
 *
 * With branch given (pre-norm alone), what is added to in is stored there as well: weights
 * trained by Pointcept 1.5.1 feed it to the next convolution.
 * GELU is exact: 0.5 v (1 + erf(v / sqrt 2)). LayerNorm eps 1e-5. The hidden layer lives in
 * the tile. Source: Pointcept MLP, Block; torch.nn.GELU(approximate='none'). */
#ifndef PT_MLP_H
#define PT_MLP_H

#include <stdbool.h>

#include "drop.h"
#include "mat.h"

struct pt_mlp {
  int64_t n;          /* rows */
  int c, hidden;      /* channels; hidden = int(c * mlp_ratio) */
  enum pt_dtype type; /* of in, x, branch: PT_F32 or PT_BF16 */
  const void *in;     /* [n, c], no part of x; NULL: rows are read from x */
  void *x;            /* [n, c] out */
  void *branch;       /* [n, c] or NULL */
  bool pre_norm;
  const float *gamma, *beta; /* [c] */
  struct pt_mat w1;          /* (c, hidden) */
  const float *b1;           /* [hidden] */
  struct pt_mat w2;          /* (hidden, c) */
  const float *b2;           /* [c] */
  struct pt_drop drop;       /* attn is not read */
};

/* Where rows are read from. */
static inline const void *pt_mlp_in(const struct pt_mlp *a) { return a->in ? a->in : a->x; }

#endif
