/* batchnorm.h - BatchNorm with the batch's own statistics, then GELU: what training puts
 * after the stem, after a pooling, and in the branches of an unpooling.
 *
 *   mean, var = over the n rows, var by n
 *   out[r]    = gelu((y[r] - mean) / sqrt(var + eps) * gamma + beta) + up[cluster[r]]
 *   running   = (1 - momentum) running + momentum (mean, var n / (n - 1))
 *
 * The term with up only where it is given. One row has no variance: running statistics then
 * stay as they are (torch refuses such a batch; so should the trainer). Sums are taken in a
 * fixed order, the same for any number of threads and any tile. Source: torch.nn.BatchNorm1d in
 * training mode; Pointcept uses eps 1e-3, momentum 0.01. */
#ifndef PT_BATCHNORM_H
#define PT_BATCHNORM_H

#include <stdint.h>

#include "dtype.h"

struct pt_batchnorm {
  int64_t n;                 /* rows, of all clouds together; at least 2 */
  int c;                     /* channels */
  enum pt_dtype type;        /* of y, up, out: PT_F32 or PT_BF16 */
  const void *y;             /* [n, c] */
  const void *up;            /* [m, c] or NULL */
  const int32_t *cluster;    /* [n] row of up, or NULL */
  void *out;                 /* [n, c], not y */
  const float *gamma, *beta; /* [c] */
  float eps, momentum;
  float *stats;       /* [2, c] out: mean, 1 / sqrt(var + eps), for the backward pass */
  float *running;     /* [c] running_mean, changed; NULL: left alone */
  float *running_var; /* [c], likewise */
};

#endif
