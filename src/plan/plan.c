/* plan.c - building and running a plan; see plan.h. Offsets are found in layout.c. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "feature.h"
#include "size.h"

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

static void resolve(const struct pt_plan *p, struct pt_step *s, char *arena) {
  for (int b = 0; b < s->binds; b++) {
    void *t = arena + p->tensor[s->bind[b].tensor].offset;
    memcpy((char *)&s->a + s->bind[b].field, &t, sizeof t);
  }
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

/* The head, as many rows at a time as its tensor has, each part given away. */
static int run_head(struct pt_plan *p, const struct pt_step *s, const struct pt_exec *x,
                    struct ptv3_error *err) {
  const int64_t n = s->a.head.n, rows = p->tensor[s->out].rows;
  struct pt_step part = *s;
  int status = PTV3_OK;
  for (int64_t r = 0; r < n && !status; r += rows) {
    part.a.head = head_rows(&s->a.head, r, pt_min(rows, n - r));
    run_step(p->kernels, &part, x);
    if (p->give) status = p->give(p->give_user, r, part.a.head.n, part.a.head.out, err);
  }
  return status;
}

int pt_plan_run(struct pt_plan *p, struct pt_env *env, char *arena, pt_observer *observe,
                void *user, struct ptv3_error *err) {
  struct pt_exec x = {p->threads, p->tile, arena + p->features, p->scratch};
  for (int64_t i = 0; i < p->steps; i++) {
    struct pt_step *s = &p->step[i];
    int status = pt_progress(env, "network", i, p->steps, err);
    if (status) return status;
    resolve(p, s, arena);
    double start = pt_seconds();
    if (s->rows)
      status = run_head(p, s, &x, err);
    else
      run_step(p->kernels, s, &x);
    p->seconds[s->op] += pt_seconds() - start;
    if (status) return status;
    if (observe && s->out >= 0) {
      const struct pt_plan_tensor *t = &p->tensor[s->out];
      observe(user, s, s->rows ? NULL : arena + t->offset, t->type, pt_step_rows(p, s),
              t->channels);
    }
  }
  return pt_progress(env, "network", p->steps, p->steps, err);
}

void pt_plan_free(struct pt_plan *p) {
  if (!p->mem) return;
  pt_free(p->mem, p->step);
  pt_free(p->mem, p->tensor);
  *p = (struct pt_plan){0};
}
