/* linear_grad.h - the backward pass of a Linear layer y = x W^T + b.
 *
 *   dx[r] = [dx[r] +] g[r] W;   dw += g^T x;   db += sum over r of g[r]
 *
 * Sums over rows run through all rows in ascending order: bits depend on neither tiles nor
 * threads. Source: torch.nn.functional.linear's backward. */
#ifndef PT_LINEAR_GRAD_H
#define PT_LINEAR_GRAD_H

#include <stdbool.h>
#include <stdint.h>

#include "mat.h"

struct pt_linear_grad {
  int64_t n;           /* rows */
  int in, c;           /* channels of x and of y */
  enum pt_dtype type;  /* of x, dx: PT_F32 or PT_BF16 */
  enum pt_dtype gtype; /* of g: type, or PT_F32 (logits) */
  const void *x;       /* [n, in] */
  const void *g;       /* [n, c] gradient of y */
  void *dx;            /* [n, in] or NULL */
  bool add;            /* dx is added to, else written */
  struct pt_mat wt;    /* (c, in): W itself, for g W */
  float *dw;           /* [c, in] as the state_dict has it; added to */
  int64_t ldw;         /* numbers from row to row of dw: in, or more for columns of a weight */
  float *db;           /* [c] added to, or NULL */
};

#endif
