/* mlp_grad.h - the backward pass of mlp.h.
 *
 * The normalised rows and the hidden layer are recomputed a tile at a time from the op's
 * input x. g is the gradient of the output and becomes that of the input. Pre-norm, with
 * u = LayerNorm(x), v = u W1 + b1, h = e gelu(v), the branch b = h W2 + b2, and d and e what
 * drop.h scales branch and hidden layer by:
 *   db = (g [+ g_branch]) d;  dw2 += db^T h;  dh = db W2;  dv = dh e gelu'(v);
 *   dw1 += dv^T u;  du = dv W1
 *   g += LayerNorm's backward of du
 * Post-norm, with u = x and y = x + d b:
 *   dy = LayerNorm's backward of g;  db = dy d;  ... du as above;  g = dy + du
 * db1, db2, dgamma, dbeta += sums over rows of dv, db, and du or g (times the normalised row).
 * What meets weights in bf16 (u, h, db, dv) is rounded to bf16 first; sums are float. Sums over
 * rows run through all rows in ascending order. Source: Pointcept MLP, Block. */
#ifndef PT_MLP_GRAD_H
#define PT_MLP_GRAD_H

#include "mlp.h"

struct pt_mlp_grad {
  struct pt_mlp f;       /* the forward op; its x, in and branch are not read, drop is */
  const void *x;         /* [n, c] its input, type f.type */
  void *g;               /* [n, c] gradient of the output in, of the input out */
  const void *g_branch;  /* [n, c] gradient of f.branch, type f.type; NULL: nothing reads it */
  struct pt_mat w1_t;    /* (hidden, c) */
  struct pt_mat w2_t;    /* (c, hidden) */
  float *dgamma, *dbeta; /* [c]; all of these are added to */
  float *dw1;            /* [hidden, c] */
  float *db1;            /* [hidden] */
  float *dw2;            /* [c, hidden] */
  float *db2;            /* [c] */
};

#endif
