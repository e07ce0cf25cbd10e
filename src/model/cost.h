/* cost.h - what a step costs: operations, and seconds by what the kernels do in practice. */
#ifndef PT_COST_H
#define PT_COST_H

#include "plan.h"

/* Floating point operations of a step's products, an exponential counted as 10. */
double pt_step_work(const struct pt_step *s);

/* Of all steps. */
double pt_plan_work(const struct pt_plan *p);

/* Operations a second of a thread (docs/speed.md): 200e9 with AVX-512 (300e9 in bf16, 340e9
 * with AMX), 95e9 with AVX2, 40e9 else, 0.5e9 for the reference. */
double pt_kernels_rate(const struct pt_kernels *kernels, enum pt_dtype type);

/* By how much tiles of so many rows (0: the kernels' own choice) slow a network down. */
double pt_tile_slowdown(int tile);

/* Bytes of spilled tensors that the steps touch, each as often as it is touched. */
double pt_plan_traffic(const struct pt_plan *p);

/* Seconds it takes to touch bytes of a file that were dropped: the system makes them
 * resident again page by page. */
double pt_traffic_seconds(double bytes, int threads);

#endif
