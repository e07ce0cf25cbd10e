/* guess.h - what network a set of weights is for, from the names and shapes of its tensors.
 *
 * Names are those that params.h lists. What leaves no trace in the weights (patch sizes,
 * orders, strides, and heads where there is no table of relative positions) cannot be told. */
#ifndef PT_GUESS_H
#define PT_GUESS_H

#include "ptv3_config.h"
#include "tensors.h"

/* Fills in_channels, classes and out_channels (0: no head), stages, depth, channels, heads
 * (0: not known) and patch (0: not known) of the stages, mlp_ratio, qkv_bias, enable_rpe and
 * enc_mode. False when the weights are not of a PT-v3m1. */
bool pt_guess(const struct pt_tensors *t, struct pt_ptv3 *cfg);

#endif
