/* fit.h - making a plan fit what the budget has left, or saying what it would take. */
#ifndef PT_FIT_H
#define PT_FIT_H

#include "plan.h"

#define PT_SMALLEST_TILE 16

/* The most that the allocator adds to a block (mem.c). */
#define PT_BLOCK_HEAD 128

/* Chooses tile and threads so that the plan's arena, on top of what is allocated now, stays
 * within the budget: the plan as it is; smaller tiles; fewer threads (each has scratch of its
 * own). Results do not depend on either. The choice is told through pt_info when it is not
 * the first.
 * PTV3_BUDGET when nothing fits: the message names the smallest budget that would do and the
 * largest contributors. */
int pt_fit(struct pt_env *env, struct pt_plan *p, struct ptv3_error *err);

#endif
