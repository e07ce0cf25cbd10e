/* train_network.h - a training step of the network as a plan: forward, loss, backward.
 *
 * Every op's backward recomputes what lies inside the op from the op's input, so inputs are
 * all that is kept: three a block, and what BatchNorm saw. Less is kept by computing the
 * inputs again:
 *
 *   PT_KEEP_INPUTS   inputs of cpe, attention and mlp of every block
 *   PT_KEEP_BLOCKS   the inputs of blocks; a block's other two are computed again before its
 *                    backward pass
 *   PT_KEEP_STAGES   the inputs of stages; those of its blocks are computed again
 *
 * Where a convolution sees the branch of the MLP before it (pt_conv_sees_branch), a block but
 * the first of its stage has two inputs: the sum and the branch.
 *
 * Gradients are added to those of the weights (struct pt_train_weights.grad). Bits of
 * gradients do not depend on what is kept. */
#ifndef PT_TRAIN_NETWORK_H
#define PT_TRAIN_NETWORK_H

#include "plan.h"
#include "structure.h"
#include "train_weights.h"

enum pt_keep { PT_KEEP_INPUTS, PT_KEEP_BLOCKS, PT_KEEP_STAGES, PT_KEEPS };

/* "inputs of ops", ... for reports. */
const char *pt_keep_text(enum pt_keep keep);

struct pt_train_task {
  const struct pt_ptv3 *cfg;
  const struct pt_train_weights *w; /* sizes only: NULL pointers inside, for planning */
  const struct pt_structure *s;
  const int32_t *label;       /* [n] in row order; read when the plan runs */
  const struct pt_loss *loss; /* its criteria and scale; the rest is filled in */
  double *value;              /* [1 + criteria] where the loss goes */
  int64_t *valid;             /* [criteria] rows that counted */
  uint64_t seed, iteration;   /* of what drop_path and dropout leave out */
  bool running;               /* running statistics are updated */
  const struct pt_kernels *kernels;
  int tile;
};

struct pt_train_network {
  struct pt_plan plan;
  int input;  /* tensor [n, in_channels], features in row order, to be filled in */
  int logits; /* tensor [n, classes] in row order */
};

int pt_train_network_build(struct pt_env *env, const struct pt_train_task *task,
                           enum pt_keep keep, struct pt_train_network *net,
                           struct ptv3_error *err);

void pt_train_network_free(struct pt_train_network *net); /* zeroed is allowed */

/* Rate of stochastic depth of block i of a stage: encoder blocks take linspace(0, drop_path,
 * all of the encoder) in order, a decoder stage its part of the decoder's, backwards.
 * Source: PointTransformerV3.__init__. */
double pt_drop_path_rate(const struct pt_ptv3 *cfg, bool decoder, int stage, int i);

#endif
