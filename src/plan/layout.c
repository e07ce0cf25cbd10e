/* layout.c - from steps to lifetimes, offsets and the size of the arena. See plan.h. */
#include <stdbool.h>
#include <stdlib.h>

#include "plan.h"
#include "size.h"
#include "window.h"

static void find_lifetimes(struct pt_plan *p, int keep) {
  for (int64_t i = 0; i < p->tensors; i++) p->tensor[i].first = (int)p->steps;
  for (int64_t s = 0; s < p->steps; s++)
    for (int b = 0; b < p->step[s].binds; b++) {
      struct pt_plan_tensor *t = &p->tensor[p->step[s].bind[b].tensor];
      t->first = (int)pt_min(t->first, s);
      t->last = (int)s;
    }
  if (keep >= 0) p->tensor[keep].last = (int)p->steps;
}

static bool together(const struct pt_plan_tensor *a, const struct pt_plan_tensor *b) {
  return a->first <= b->last && b->first <= a->last;
}

static int by_size(const void *a, const void *b) {
  const struct pt_plan_tensor *x = *(const struct pt_plan_tensor *const *)a,
                              *y = *(const struct pt_plan_tensor *const *)b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x < y ? -1 : x > y; /* declaration order: the result is the same everywhere */
}

/* What a tensor takes where it lies: in the file whole grains, so that no two share one. */
static int64_t room_of(const struct pt_plan_tensor *t) {
  return t->spilled ? pt_round_up(t->bytes, PT_SPILL_GRAIN) : t->bytes;
}

/* The lowest offset at which t overlaps none of the placed tensors alive with it. */
static int64_t lowest_place(struct pt_plan_tensor *const *placed, int64_t count,
                            const struct pt_plan_tensor *t) {
  int64_t at = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int64_t i = 0; i < count; i++) {
      const struct pt_plan_tensor *o = placed[i];
      if (o->spilled != t->spilled || !together(o, t)) continue;
      if (at + room_of(t) <= o->offset || o->offset + room_of(o) <= at) continue;
      at = o->offset + room_of(o);
      moved = true;
    }
  }
  return at;
}

static int64_t scratch_of(const struct pt_kernels *k, const struct pt_step *s, int tile) {
  switch (s->op) {
#define KERNEL(op) \
  case PT_OP_##op: \
    return k->op##_scratch(&s->a.op, tile);
#include "kernels.def"
#undef KERNEL
    case PT_OPS: break;
  }
  return 0;
}

int pt_plan_place(struct pt_plan *p, struct ptv3_error *err) {
  struct pt_plan_tensor **list =
      pt_alloc(p->mem, p->tensors, sizeof(void *), PT_MEM_OTHER, err);
  if (!list) return PTV3_NO_MEMORY;
  for (int64_t i = 0; i < p->tensors; i++) list[i] = &p->tensor[i];
  qsort(list, (size_t)p->tensors, sizeof *list, by_size);
  p->features = p->file = 0;
  for (int64_t i = 0; i < p->tensors; i++) {
    list[i]->offset = lowest_place(list, i, list[i]);
    int64_t *size = list[i]->spilled ? &p->file : &p->features;
    *size = pt_max(*size, list[i]->offset + room_of(list[i]));
  }
  pt_free(p->mem, list);
  p->stamps = pt_round_up(4 * pt_window_words(p, false), 64);
  p->arena = p->features + p->threads * p->scratch + p->stamps;
  return PTV3_OK;
}

int pt_plan_layout(struct pt_plan *p, int keep, struct ptv3_error *err) {
  find_lifetimes(p, keep);
  int status = pt_plan_place(p, err);
  if (!status) pt_plan_scratch(p, p->tile, p->threads);
  return status;
}

void pt_plan_scratch(struct pt_plan *p, int tile, int threads) {
  p->tile = tile;
  p->threads = threads;
  p->scratch = 0;
  for (int64_t s = 0; s < p->steps; s++)
    p->scratch = pt_max(p->scratch, scratch_of(p->kernels, &p->step[s], tile));
  p->scratch = pt_round_up(p->scratch, 64);
  p->arena = p->features + threads * p->scratch + p->stamps;
}
