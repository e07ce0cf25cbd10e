/* batchnorm_grad.h - the backward pass of batchnorm.h, in place.
 *
 * With xhat = (y - mean) inv, h = xhat gamma + beta, and g the gradient of gelu(h):
 *   dh = g gelu'(h);  dgamma += sum dh xhat;  dbeta += sum dh
 *   g  = gamma inv (dh - mean(dh) - xhat mean(dh xhat))        sums and means over the rows
 * (What `up` receives is up_grad's.) Source: torch.nn.functional.batch_norm's backward. */
#ifndef PT_BATCHNORM_GRAD_H
#define PT_BATCHNORM_GRAD_H

#include <stdint.h>

#include "dtype.h"

struct pt_batchnorm_grad {
  int64_t n;                 /* rows */
  int c;                     /* channels */
  enum pt_dtype type;        /* of y, g: PT_F32 or PT_BF16 */
  const void *y;             /* [n, c] as batchnorm had it */
  const float *stats;        /* [2, c] as batchnorm left them */
  const float *gamma, *beta; /* [c] */
  void *g;                   /* [n, c] gradient of the output in, of y out */
  float *dgamma, *dbeta;     /* [c] added to */
};

#endif
