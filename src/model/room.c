/* room.c - see room.h. */
#include "room.h"

#include <string.h>

#include "fit.h"
#include "size.h"

/* Bytes in use that a room gives back. */
static int64_t held(const struct pt_room *room) {
  return room->arena ? room->bytes + PT_BLOCK_HEAD + room->window : 0;
}

bool pt_room_holds(const struct pt_env *env, const struct pt_room *room,
                   const struct pt_plan *p, int64_t spare) {
  return env->mem.used - held(room) + p->arena + PT_BLOCK_HEAD <= env->mem.limit - spare;
}

static void free_memory(struct pt_env *env, struct pt_room *room) {
  pt_free(&env->mem, room->arena);
  pt_mem_give_back(&env->mem, room->window, PT_MEM_ARENA);
  room->arena = NULL;
  room->bytes = room->window = 0;
}

void pt_room_free(struct pt_env *env, struct pt_room *room) {
  free_memory(env, room);
  pt_spill_close(&room->spill);
}

/* A file of p->file bytes at least. */
static int open_file(struct pt_env *env, struct pt_room *room, const struct pt_plan *p,
                     struct ptv3_error *err) {
  if (room->spill.data && room->spill.size >= p->file) return PTV3_OK;
  pt_spill_close(&room->spill);
  return pt_spill_open(&room->spill, env->tmp, p->file, err);
}

/* Fits the plan and opens the file it asks for. Where the file cannot be had a plan without
 * one may still fit; if not, what is wrong with the file is the message. */
static int fit(struct pt_env *env, struct pt_room *room, struct pt_plan *p,
               struct ptv3_error *err) {
  struct ptv3_error other;
  const int tile = p->tile, threads = p->threads;
  int status = pt_fit(env, p, true, err);
  if (status || !p->file) return status;
  status = open_file(env, room, p, err);
  if (status != PTV3_IO) return status;
  pt_plan_scratch(p, tile, threads);
  return pt_fit(env, p, false, &other) ? status : PTV3_OK;
}

int pt_room_make(struct pt_env *env, struct pt_room *room, struct pt_plan *p,
                 struct ptv3_error *err) {
  struct ptv3_error e = {0};
  if (!p->file && p->arena <= room->bytes) return PTV3_OK;
  free_memory(env, room);
  int status = fit(env, room, p, &e);
  if (!status && p->file) status = pt_mem_reserve(&env->mem, p->window, PT_MEM_ARENA, &e);
  if (!status) {
    room->window = p->file ? p->window : 0;
    room->bytes = p->arena;
    room->arena = pt_alloc(&env->mem, p->arena, 1, PT_MEM_ARENA, &e);
  }
  p->spill = p->file ? &room->spill : NULL;
  if (e.status) pt_room_free(env, room);
  if (e.status && err) *err = e;
  return e.status;
}

/* dst[r] = src[index[r]]; rows of c floats. */
static void permute_in(float *dst, const float *src, const int32_t *index, int64_t n, int c,
                       int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t r = 0; r < n; r++)
    memcpy(dst + r * c, src + (int64_t)index[r] * c, (size_t)c * sizeof *dst);
}

/* Where the tensor is spilled, a window at a time. */
void pt_room_fill(struct pt_env *env, const struct pt_room *room, const struct pt_plan *p,
                  int input, const float *feat, const int32_t *index) {
  const struct pt_plan_tensor *t = &p->tensor[input];
  const int64_t row = t->channels * (int64_t)sizeof(float);
  const int64_t rows = t->spilled ? pt_max(1, p->window / 2 / row) : t->rows;
  char *to = (t->spilled ? p->spill->data : room->arena) + t->offset;
  for (int64_t r = 0; r < t->rows; r += rows) {
    const int64_t n = pt_min(rows, t->rows - r);
    permute_in((float *)(void *)(to + r * row), feat, index + r, n, t->channels, env->threads);
    if (t->spilled) pt_spill_drop(p->spill, t->offset, (r + n) * row);
  }
  if (t->spilled) pt_spill_drop(p->spill, t->offset, pt_round_up(t->bytes, PT_SPILL_GRAIN));
}
