/* attention.h - serialized patch attention with its norm and residual, in place or from
 * another tensor.
 *
 *   pre-norm:   x[r] = in[r] + drop(proj(attend(LayerNorm(in))))[r]
 *   post-norm:  x[r] = LayerNorm(in[r] + drop(proj(attend(in)))[r])
 *
 * drop multiplies the numbers of a row by what drop.h says (path and proj).
 *
 * Rows are taken in the order of a space-filling curve: position p of a cloud is row
 * order[p]. A cloud of n positions is cut into patches:
 *   n <= K: one patch of n positions.
 *   n >  K: ceil(n / K) patches of K. If n mod K = s > 0, the last patch holds the last s
 *           positions followed by positions s .. K-1 of the patch before it; these borrowed
 *           ones act as keys and values only. They are read before any row is updated.
 * Within a patch, for each head h with d = c / heads channels:
 *   q, k, v = columns [h*d, (h+1)*d) of the three thirds of xn Wqkv + bqkv
 *   S[i, j] = (q_i * scale) . k_j + rpe[i, j, h]
 *   attend = D softmax_j(S) v, heads side by side
 *   rpe[i, j, h] = sum over axes a of table[clamp(g_i[a] - g_j[a], -B, B) + B + a (2B+1)][h]
 * with g the grid coordinates. D is the dropout of weights (drop.h's attn): each is multiplied
 * by 0 or 1 / (1 - attn), drawn for the query's row, the head and the key's place in the patch,
 * and the softmax's sum is that of all weights. LayerNorm eps 1e-5. Source: PTv3 paper
 * section 4.2; Pointcept SerializedAttention, RPE, get_padding_and_inverse; D:
 * torch.nn.Dropout, or dropout_p of flash-attn. (K with and without flash attention: see
 * model/.) */
#ifndef PT_ATTENTION_H
#define PT_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "drop.h"
#include "mat.h"

struct pt_attention {
  int64_t n;    /* rows of all clouds */
  int c, heads; /* channels, heads; heads divides c */
  int patch;    /* K */
  int clouds;
  const int64_t *offset; /* [clouds + 1] first position (= first row) of each cloud */
  const int32_t *order;  /* [n] row at each position, or NULL: position p is row p */
  enum pt_dtype type;    /* of in and x: PT_F32 or PT_BF16 */
  const void *in;        /* [n, c], no part of x; NULL: rows are read from x */
  void *x;               /* [n, c] out */
  bool pre_norm;
  const float *gamma, *beta; /* [c] */
  struct pt_mat qkv;         /* (c, 3c) */
  const float *qkv_bias;     /* [3c] or NULL */
  struct pt_mat proj;        /* (c, c) */
  const float *proj_bias;    /* [c] */
  float scale;               /* d^-0.5 unless the configuration says otherwise */
  const float *rpe;          /* [3 (2B+1), heads] or NULL */
  int rpe_bound;             /* B */
  const int32_t *coord;      /* [n, 3] by row; only read with rpe */
  struct pt_drop drop;       /* all zero but in training */
  /* Out, for the backward pass; both NULL where there is none. */
  void *o;    /* [n, c] attend, before the projection, type */
  float *lse; /* [n, heads] log2 of the sum over j of 2^(S[i, j] log2 e) */
};

/* Where rows are read from. */
static inline const void *pt_attention_in(const struct pt_attention *a) {
  return a->in ? a->in : a->x;
}

/* Patches of a cloud of n positions. */
static inline int64_t pt_patch_count(int64_t n, int patch) { return (n + patch - 1) / patch; }

#endif
