/* room.h - the memory a plan runs in: the arena, and the file of tensors that do not fit.
 *
 * A room can be used again: a plan that fits the memory of the one before takes no new memory,
 * so that a training does not give back and fetch the same pages at every step. */
#ifndef PT_ROOM_H
#define PT_ROOM_H

#include "plan.h"

/* Zeroed: none. */
struct pt_room {
  char *arena;
  int64_t bytes;         /* of the arena */
  int64_t window;        /* of the file, reserved in the budget */
  struct pt_spill spill; /* open where a plan had spilled tensors */
};

/* Whether a plan, as it is, fits the budget in place of what the room holds, leaving `spare`
 * bytes. */
bool pt_room_holds(const struct pt_env *env, const struct pt_room *room,
                   const struct pt_plan *p, int64_t spare);

/* Makes room for a plan, which is fitted to the budget (fit.h) where it has to be; where the
 * file cannot be had, without one if that does. After it p is ready to run in room->arena.
 * PTV3_BUDGET, PTV3_NO_MEMORY, PTV3_IO; the room is then empty. */
int pt_room_make(struct pt_env *env, struct pt_room *room, struct pt_plan *p,
                 struct ptv3_error *err);

/* The rows of the input, in the order of the structure: row r of tensor `input` becomes
 * feat[index[r]], [rows, channels]. */
void pt_room_fill(struct pt_env *env, const struct pt_room *room, const struct pt_plan *p,
                  int input, const float *feat, const int32_t *index);

void pt_room_free(struct pt_env *env, struct pt_room *room);

#endif
