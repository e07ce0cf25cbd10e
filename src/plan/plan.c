/* plan.c - building and running a plan; see plan.h. Offsets are found in layout.c, what parts
 * of steps touch in window.c. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "feature.h"
#include "size.h"
#include "window.h"

const char *pt_op_name(enum pt_op op) {
  static const char *const name[] = {
#define KERNEL(op) #op,
#include "kernels.def"
#undef KERNEL
  };
  return name[op];
}

void pt_plan_init(struct pt_plan *p, struct pt_mem *mem, const struct pt_kernels *kernels,
                  int threads, int tile) {
  *p = (struct pt_plan){.mem = mem, .kernels = kernels, .threads = threads, .tile = tile};
}

int pt_plan_tensor(struct pt_plan *p, int64_t rows, int channels, enum pt_dtype type,
                   struct ptv3_error *err) {
  int64_t bytes;
  if (!pt_mul(rows, pt_dtype(type)->bytes * channels, &bytes) || bytes > INT64_MAX / 2) {
    pt_fail(err, PTV3_BUDGET, "a tensor of %lld x %d numbers is larger than any memory",
            (long long)rows, channels);
    return -1;
  }
  if (pt_grow(p->mem, &p->tensor, &p->tensor_cap, p->tensors + 1, sizeof *p->tensor,
              PT_MEM_OTHER, err))
    return -1;
  p->tensor[p->tensors] = (struct pt_plan_tensor){.rows = rows,
                                                  .channels = channels,
                                                  .type = type,
                                                  .bytes = pt_round_up(bytes, 64),
                                                  .first = 0,
                                                  .last = -1};
  return (int)p->tensors++;
}

struct pt_step *pt_plan_step(struct pt_plan *p, enum pt_op op, const char *label,
                             struct ptv3_error *err) {
  if (pt_grow(p->mem, &p->step, &p->step_cap, p->steps + 1, sizeof *p->step, PT_MEM_OTHER, err))
    return NULL;
  struct pt_step *s = &p->step[p->steps++];
  memset(s, 0, sizeof *s);
  s->op = op;
  s->out = -1;
  snprintf(s->label, sizeof s->label, "%s", label);
  return s;
}

void pt_bind(struct pt_step *s, size_t field, int tensor) {
  if (tensor < 0) return;
  s->bind[s->binds].tensor = tensor;
  s->bind[s->binds++].field = field;
}

static void run_step(const struct pt_kernels *k, const struct pt_step *s,
                     const struct pt_exec *x) {
  switch (s->op) {
#define KERNEL(op)      \
  case PT_OP_##op:      \
    k->op(&s->a.op, x); \
    break;
#include "kernels.def"
#undef KERNEL
    case PT_OPS: break;
  }
}

/* ---- in parts ---- */

/* What a run needs to know. */
struct run {
  struct pt_plan *p;
  struct pt_env *env;
  char *arena;
  struct pt_exec exec;
  int64_t step; /* number of the step at hand */
};

/* Where a part ends that begins at unit `from`: as many groups as keep the window small
 * enough, `most` units at most. */
static int64_t cut(struct pt_window *w, int64_t window, int64_t from, int64_t units,
                   int64_t most) {
  const int64_t group = pt_op_group(w->step->op), end = pt_min(units, from + most);
  if (w->slots == 0) return end;
  pt_window_clear(w);
  for (int64_t to = from;;) {
    int64_t next = pt_min(end, to + group);
    pt_window_mark(w, to, next);
    if (to > from && pt_window_bytes(w) > window) return to;
    to = next;
    if (to == end) return to;
  }
}

/* For what is marked: starts reading what is not in memory, or gives back what is. */
static void fetch(const struct run *r, const struct pt_window *w) {
  for (int i = 0; i < w->slots; i++) {
    const struct pt_plan_tensor *t = &r->p->tensor[w->slot[i].tensor];
    if (t->first >= r->step) continue; /* nothing was written there yet */
    for (int64_t at = 0, from, to; pt_window_run(&w->slot[i], &at, &from, &to);)
      pt_spill_fetch(r->p->spill, t->offset + from * PT_SPILL_GRAIN,
                     (to - from) * PT_SPILL_GRAIN);
  }
}

static void drop(const struct run *r, const struct pt_window *w) {
  for (int i = 0; i < w->slots; i++) {
    const struct pt_plan_tensor *t = &r->p->tensor[w->slot[i].tensor];
    for (int64_t at = 0, from, to; pt_window_run(&w->slot[i], &at, &from, &to);)
      pt_spill_drop(r->p->spill, t->offset + from * PT_SPILL_GRAIN,
                    (to - from) * PT_SPILL_GRAIN);
  }
}

/* The head of rows first .. first + rows - 1 alone; the first of them goes to out[0]. */
static struct pt_head head_rows(const struct pt_head *a, int64_t first, int64_t rows) {
  struct pt_head h = *a;
  h.n = rows;
  for (int s = 0; s < h.sources; s++)
    if (h.src[s].map)
      h.src[s].map += first;
    else
      h.src[s].x = pt_at(h.src[s].x, h.type, first * h.src[s].c);
  return h;
}

/* One part of a step. The head gives it away. */
static int run_part(struct run *r, const struct pt_step *s, int64_t from, int64_t to,
                    struct ptv3_error *err) {
  r->exec.from = from;
  r->exec.to = to;
  if (!s->rows) {
    run_step(r->p->kernels, s, &r->exec);
    return PTV3_OK;
  }
  struct pt_step part = *s;
  part.a.head = head_rows(&s->a.head, from, to - from);
  r->exec.from = r->exec.to = 0;
  run_step(r->p->kernels, &part, &r->exec);
  if (!r->p->give) return PTV3_OK;
  return r->p->give(r->p->give_user, from, to - from, part.a.head.out, err);
}

static int run_parts(struct run *r, const struct pt_step *s, struct ptv3_error *err) {
  struct pt_plan *p = r->p;
  struct pt_window w;
  pt_window_open(&w, p, s, false, (uint32_t *)(void *)(r->arena + p->arena - p->stamps));
  const int64_t most = s->rows ? p->tensor[s->out].rows : INT64_MAX / 2;
  if (w.slots == 0 && !s->rows) return run_part(r, s, 0, 0, err);
  const int64_t units = pt_op_units(s->op, &s->a);
  for (int64_t from = 0, to; from < units; from = to) {
    int status = from ? pt_progress(r->env, "network", r->step, p->steps, err) : PTV3_OK;
    if (status) return status;
    to = cut(&w, p->window, from, units, most);
    fetch(r, &w);
    status = run_part(r, s, from, to, err);
    drop(r, &w);
    if (status) return status;
  }
  return PTV3_OK;
}

/* ---- run ---- */

static void *place_of(const struct run *r, const struct pt_plan_tensor *t) {
  return (t->spilled ? r->p->spill->data : r->arena) + t->offset;
}

static void resolve(const struct run *r, struct pt_step *s) {
  for (int b = 0; b < s->binds; b++) {
    void *t = place_of(r, &r->p->tensor[s->bind[b].tensor]);
    memcpy((char *)&s->a + s->bind[b].field, &t, sizeof t);
  }
}

static void show(const struct run *r, const struct pt_step *s, pt_observer *observe,
                 void *user) {
  if (!observe || s->out < 0) return;
  const struct pt_plan_tensor *t = &r->p->tensor[s->out];
  observe(user, s, s->rows ? NULL : place_of(r, t), t->type, pt_step_rows(r->p, s),
          t->channels);
  if (t->spilled) pt_spill_drop(r->p->spill, t->offset, pt_round_up(t->bytes, PT_SPILL_GRAIN));
}

int pt_plan_run(struct pt_plan *p, struct pt_env *env, char *arena, pt_observer *observe,
                void *user, struct ptv3_error *err) {
  struct run r = {.p = p, .env = env, .arena = arena};
  r.exec = (struct pt_exec){.threads = p->threads,
                            .tile = p->tile,
                            .scratch = arena + p->features,
                            .scratch_stride = p->scratch};
  for (r.step = 0; r.step < p->steps; r.step++) {
    struct pt_step *s = &p->step[r.step];
    int status = pt_progress(env, "network", r.step, p->steps, err);
    if (status) return status;
    resolve(&r, s);
    double start = pt_seconds();
    status = run_parts(&r, s, err);
    p->seconds[s->op] += pt_seconds() - start;
    if (status) return status;
    show(&r, s, observe, user);
  }
  return pt_progress(env, "network", p->steps, p->steps, err);
}

void pt_plan_free(struct pt_plan *p) {
  if (!p->mem) return;
  pt_free(p->mem, p->step);
  pt_free(p->mem, p->tensor);
  *p = (struct pt_plan){0};
}
