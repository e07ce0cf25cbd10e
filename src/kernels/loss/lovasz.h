/* lovasz.h - the Lovasz-softmax part of loss.h, for its own files. */
#ifndef PT_LOVASZ_H
#define PT_LOVASZ_H

#include "isa.h"
#include "kernels.h"
#include "loss.h"

/* Adds the gradient of criterion k by p, times its weight and the scale, to g, and returns its
 * value times its weight. Largest logits and sums of rows are there. */
double PT_FN(pt_lovasz)(const struct pt_loss *a, int k, const struct pt_exec *x);

/* Bytes of scratch a thread. */
int64_t PT_FN(pt_lovasz_scratch)(const struct pt_loss *a);

#endif
