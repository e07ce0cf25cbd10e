/* attention_grad.h - the backward pass of attention.h.
 *
 * Besides the op's input x it reads what the op left behind: its heads' outputs and the logs of
 * the softmax's sums. Everything else inside is recomputed a patch at a time. g is the gradient
 * of the output and becomes that of the input. With a = attend, o = its output side by side, P
 * the softmax and D its dropout (all D[i, j] are 1 without one), per head: dO = (g drop) Wproj;
 * dV = (P D)^T dO;  dP = D (dO V^T);  dS = P (dP - rowsum(P dP)) dQ = scale dS K;  dK = scale
 * dS^T Q;  drpe[clamp(..)] += dS and then through the product of qkv, LayerNorm (pre-norm: at
 * the input; post-norm: at the output) and the residual. Positions a last patch borrows receive
 * gradient as keys and values from both patches; their outputs there were thrown away and give
 * none. Sums over rows run through patches, and rows of a patch, in ascending order. (The
 * reference works out o and lse once more: it reads x alone.) Source: FlashAttention-2 (Dao
 * 2023) section 3.1; Pointcept SerializedAttention. */
#ifndef PT_ATTENTION_GRAD_H
#define PT_ATTENTION_GRAD_H

#include "attention.h"

struct pt_attention_grad {
  struct pt_attention f; /* the forward op; its x, in, o and lse are not read, drop is */
  const void *x;         /* [n, c] its input, type f.type */
  const void *o;         /* [n, c] its f.o */
  const float *lse;      /* [n, heads] its f.lse */
  void *g;               /* [n, c] gradient of the output in, of the input out */
  struct pt_mat qkv_t;   /* (3c, c) */
  struct pt_mat proj_t;  /* (c, c) */
  float *dgamma, *dbeta; /* [c]; all of these are added to */
  float *dqkv;           /* [3c, c] */
  float *dqkv_bias;      /* [3c] or NULL */
  float *dproj;          /* [c, c] */
  float *dproj_bias;     /* [c] */
  float *drpe;           /* [3 (2B+1), heads] or NULL */
};

#endif
