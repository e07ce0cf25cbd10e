/* unpool.h - one branch of grid unpooling: Linear, BatchNorm, GELU, and the sum of branches.
 *
 *   out[r] = gelu(x[r] W + b) + up[cluster[r]]
 *
 * The second term only where up is given. BatchNorm with running statistics is folded into W
 * and b. Used for the coarse rows (no up), then for the skip rows: with up where the sum is
 * wanted, without where the next cpe adds it on the fly. With `raw`, what training puts
 * BatchNorm after (batchnorm.h): out[r] = x[r] W + b.
 * Source: Pointcept SerializedUnpooling (proj, proj_skip). */
#ifndef PT_UNPOOL_H
#define PT_UNPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "mat.h"

struct pt_unpool {
  int64_t n;              /* rows */
  int in, c;              /* channels in and out */
  enum pt_dtype type;     /* of x, up, out: PT_F32 or PT_BF16 */
  const void *x;          /* [n, in] */
  const void *up;         /* [m, c] or NULL */
  const int32_t *cluster; /* [n] or NULL */
  void *out;              /* [n, c], not x */
  struct pt_mat w;        /* (in, c) */
  const float *bias;      /* [c] */
  bool raw;               /* the Linear alone; up is NULL */
};

#endif
