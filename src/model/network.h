/* network.h - the network as a plan: the steps of PT-v3m1 and the head for one batch. */
#ifndef PT_NETWORK_H
#define PT_NETWORK_H

#include "plan.h"
#include "structure.h"
#include "weights.h"

#define PT_LOGIT_ROWS 4096

struct pt_network {
  struct pt_plan plan;
  int input;  /* tensor [n, in_channels]: features in row order, to be filled in */
  int logits; /* tensor [PT_LOGIT_ROWS or fewer, classes]: some rows of the result at a time,
                 given away through plan.give */
};

/* Appends all steps for a batch whose structure is known and lays the tensors out. The
 * weights may be those of the first walk (no data) when only sizes are wanted. */
int pt_network_build(struct pt_env *env, const struct pt_ptv3 *cfg,
                     const struct pt_ptv3_weights *w, const struct pt_structure *s,
                     const struct pt_kernels *kernels, int tile, struct pt_network *net,
                     struct ptv3_error *err);

void pt_network_free(struct pt_network *net); /* zeroed is allowed */

#endif
