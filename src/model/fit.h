/* fit.h - making a plan fit what the budget has left, or saying what it would take.
 *
 * Three things can give way: rows a tile, threads (each has scratch of its own), and tensors
 * that are put in a temporary file (spill.h), of which a step then has no more resident than a
 * window. Results depend on none of them. Tensors are spilled one after the other: always
 * one of those alive where the arena is fullest; idle ones (skips) before those at work, then
 * the one that the fewest steps touch. Of all combinations that fit, the one is taken that
 * should be done first (cost.h). */
#ifndef PT_FIT_H
#define PT_FIT_H

#include "plan.h"

#define PT_SMALLEST_TILE 16

/* The most that the allocator adds to a block (mem.c). */
#define PT_BLOCK_HEAD 128

/* A way to run a plan. */
struct pt_rung {
  int tile, threads;
  int spilled;    /* tensors in the file */
  int64_t arena;  /* bytes of memory, without the window */
  int64_t window; /* bytes of the file resident at once, at most */
  int64_t file;   /* bytes of disk */
  double seconds; /* a guess */
};

/* Makes the plan fit the budget on top of what is allocated now: p's tile and threads are the
 * wish; they, spilled tensors and p->window are set. Without `file` no tensor is spilled. The
 * choice is told through pt_info when it is not the wish.
 * PTV3_BUDGET when nothing fits: the message names the smallest budget that would do and the
 * largest contributors; the plan is then that of the least. */
int pt_fit(struct pt_env *env, struct pt_plan *p, bool file, struct ptv3_error *err);

/* Some ways to run a plan, whatever the budget: the wish, then down to 75, 50, 35 and 25 % of
 * its arena with tensors in a file, last the one that takes least. Returns how many, at most
 * PT_RUNGS; the plan is left as the first. */
#define PT_RUNGS 6
int pt_fit_rungs(struct pt_env *env, struct pt_plan *p, struct pt_rung *rung, int *count,
                 struct ptv3_error *err);

#endif
