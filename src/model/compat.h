/* compat.h - which network a checkpoint was trained as: Pointcept's of today, or v1.5.1's.
 *
 * In v1.5.1 (before 2024-03-26) a block's convolution saw the branch of the MLP before it, not
 * the sum; names and shapes of the weights are the same. What tells is BatchNorm: its running
 * mean and variance are those of the features it met in training. So both networks are run
 * over a part of a cloud, and at each pooling layer, the BatchNorms past the first blocks, the
 * features' own mean and variance are compared with the running ones. */
#ifndef PT_COMPAT_H
#define PT_COMPAT_H

#include "forward.h"

/* Mean over the channels of all pooling layers of the Kullback-Leibler divergence, in nats,
 * from the running statistics to those of the batch; 0: the same. */
struct pt_compat {
  double current, old; /* of the network of today, and of v1.5.1's */
  int layers;          /* pooling layers that were compared; 0: nothing can be said */
};

/* Whether the two networks differ: pre_norm, and two blocks in some stage of the encoder. */
bool pt_compat_matters(const struct pt_ptv3 *cfg);

/* Runs both on the middle of the first cloud of a batch, at most about 8000 voxels. */
int pt_compat_measure(struct pt_env *env, const struct pt_model *model,
                      const struct pt_batch *batch, struct pt_compat *out,
                      struct ptv3_error *err);

/* Whether the weights look like v1.5.1's. */
bool pt_compat_is_old(const struct pt_compat *c);

#endif
