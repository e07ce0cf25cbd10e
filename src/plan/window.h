/* window.h - which bytes of its tensors a part of a step touches.
 *
 * A step is run in parts of whole units (kernels.h) where tensors are spilled. Rows are in
 * curve order, so that a part touches few runs of rows of each tensor, and which they are
 * follows from integers alone: blocks and their neighbours, orders, runs of rows that pool
 * together. A window marks the grains (PT_SPILL_GRAIN bytes) those rows lie in: no others
 * become resident. */
#ifndef PT_WINDOW_H
#define PT_WINDOW_H

#include "plan.h"
#include "spill.h"

/* Units of an op (its arguments); 1 where it cannot be run in parts. */
int64_t pt_op_units(enum pt_op op, const void *args);

/* Units that stay together in a part: about a grain's worth of rows, one patch, one block. */
int64_t pt_op_group(enum pt_op op);

struct pt_window {
  const struct pt_step *step;
  int slots; /* tensors that are looked at */
  struct pt_window_slot {
    int tensor;
    int64_t row_bytes;
    int64_t grains;  /* of the tensor */
    int64_t count;   /* marked */
    uint32_t *stamp; /* [grains] `now` where marked */
    uint32_t now;
  } slot[PT_STEP_BINDS];
};

/* 32-bit words that pt_window_open needs for any step of the plan: of spilled tensors, or of
 * all. */
int64_t pt_window_words(const struct pt_plan *p, bool all);

/* A window on a step's spilled tensors, or on all of its tensors; nothing is marked. */
void pt_window_open(struct pt_window *w, const struct pt_plan *p, const struct pt_step *s,
                    bool all, uint32_t *words);

void pt_window_clear(struct pt_window *w);

/* Marks what units from .. to - 1 touch. */
void pt_window_mark(struct pt_window *w, int64_t from, int64_t to);

/* Bytes of the marked grains. */
int64_t pt_window_bytes(const struct pt_window *w);

/* The next run of marked grains of a slot from grain *at on, [*from, *to); false: no more. */
bool pt_window_run(const struct pt_window_slot *s, int64_t *at, int64_t *from, int64_t *to);

/* For every bind of every step: the most grains that one group touches (bind.least). words:
 * pt_window_words(p, true). Steps whose structure is not known get a guess; all do without
 * words. */
void pt_window_least(struct pt_plan *p, uint32_t *words);

/* Bytes of spilled tensors that must be resident at once for some group, at most. */
int64_t pt_window_need(const struct pt_plan *p);

/* The same where every step is run as a whole. */
int64_t pt_window_all(const struct pt_plan *p);

#endif
