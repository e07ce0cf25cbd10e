/* init.h - untrained values of a parameter, as PyTorch's layers start.
 *
 * Linear and SubMConv3d: weight and bias uniform in +-1/sqrt(fan_in) (torch.nn.Linear's
 * kaiming_uniform with a = sqrt 5; spconv's the same); norms: 1 and 0; running mean 0,
 * variance 1; rpe_table: normal, deviation 0.02, cut at +-2 (Pointcept RPE). Drawn from Philox
 * by (seed, name, index): the same on every machine. */
#ifndef PT_INIT_H
#define PT_INIT_H

#include "params.h"

/* fan_in of a bias is that of the weight of its layer: fan [count] as pt_param_fans gives. */
void pt_param_init(const struct pt_param *p, int64_t fan_in, uint64_t seed, float *dst);

/* The fan_in of parameter i of a list: its own, or for a bias that of the weight before it;
 * 0 for norms and statistics. */
int64_t pt_param_fan(const struct pt_param *param, int64_t i);

#endif
