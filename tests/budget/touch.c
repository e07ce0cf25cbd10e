/* touch.c - see touch.h. The system is asked through /proc/self/pagemap. */
#include "touch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "philox.h"
#include "size.h"
#include "window.h"

struct touch {
  struct pt_env *env;
  struct budget_case *c;
  struct pt_structure s;
  struct pt_network net;
  struct pt_spill spill;
  char *arena;
  uint32_t *words;
  int pagemap;
  int64_t drawn;
  char *text;
  size_t size;
};

static int say(struct touch *t, const struct pt_step *s, const char *what, long long number) {
  snprintf(t->text, t->size, "%s %s: %s (%lld)", s ? s->label : "",
           s ? pt_op_name(s->op) : "touch", what, number);
  return -1;
}

static int prepare(struct touch *t) {
  const struct pt_model *m = &t->c->model;
  const int *perm = t->c->shuffled ? t->c->perm : NULL;
  struct ptv3_error e = {0};
  struct pt_plan *p = &t->net.plan;
  if (pt_batch_structure(t->env, &m->cfg, &t->c->batch, perm, &t->s, &e))
    return say(t, NULL, e.message, 0);
  if (pt_network_build(t->env, &m->cfg, &m->w, &t->s, m->kernels, m->tile, &t->net, &e))
    return say(t, NULL, e.message, 0);
  for (int64_t i = 0; i < p->tensors; i++) p->tensor[i].spilled = i != t->net.logits;
  if (pt_plan_place(p, &e)) return say(t, NULL, e.message, 0);
  t->words = pt_alloc(&t->env->mem, pt_window_words(p, true), 4, PT_MEM_OTHER, &e);
  t->arena = t->words ? pt_alloc(&t->env->mem, p->arena, 1, PT_MEM_ARENA, &e) : NULL;
  if (!t->arena || pt_spill_open(&t->spill, "/var/tmp", p->file, &e))
    return say(t, NULL, e.message, 0);
  pt_window_least(p, t->words);
  return 0;
}

/* The first resident page of the file that is in no marked grain; -1: none. */
static int64_t stray_page(struct touch *t, const struct pt_window *w) {
  const int64_t page = sysconf(_SC_PAGESIZE), pages = t->spill.size / page;
  uint64_t entry[512];
  for (int64_t i = 0; i < pages; i += 512) {
    const int64_t n = pt_min(512, pages - i);
    const off_t at = (off_t)(((uintptr_t)t->spill.data / (uintptr_t)page + (uintptr_t)i) * 8);
    if (pread(t->pagemap, entry, (size_t)n * 8, at) != n * 8) return i;
    for (int64_t k = 0; k < n; k++) {
      if (!(entry[k] >> 63)) continue;
      bool marked = false;
      for (int s = 0; s < w->slots && !marked; s++) {
        int64_t from = t->net.plan.tensor[w->slot[s].tensor].offset;
        int64_t g = ((i + k) * page - from) / PT_SPILL_GRAIN;
        marked = (i + k) * page >= from && g < w->slot[s].grains &&
                 w->slot[s].stamp[g] == w->slot[s].now;
      }
      if (!marked) return i + k;
    }
  }
  return -1;
}

static void run_op(const struct pt_kernels *k, const struct pt_step *s,
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

static void resolve(struct touch *t, struct pt_step *s) {
  for (int b = 0; b < s->binds; b++) {
    const struct pt_plan_tensor *x = &t->net.plan.tensor[s->bind[b].tensor];
    void *at = (x->spilled ? t->spill.data : t->arena) + x->offset;
    memcpy((char *)&s->a + s->bind[b].field, &at, sizeof at);
  }
}

/* Marks of one group against what was found to be the most. */
static bool above_least(const struct pt_window *w) {
  for (int i = 0; i < w->slots; i++)
    for (int b = 0; b < w->step->binds; b++)
      if (w->step->bind[b].tensor == w->slot[i].tensor &&
          w->slot[i].count > w->step->bind[b].least)
        return true;
  return false;
}

static int check_step(struct touch *t, struct pt_step *s) {
  struct pt_plan *p = &t->net.plan;
  struct pt_window w;
  struct pt_exec x = {.threads = t->c->threads[1],
                      .tile = p->tile,
                      .scratch = t->arena + p->features,
                      .scratch_stride = p->scratch};
  resolve(t, s);
  if (s->rows > p->tensor[s->out].rows) return 0; /* its logits have no room in one go */
  pt_window_open(&w, p, s, false, t->words);
  const int64_t units = pt_op_units(s->op, &s->a), group = pt_op_group(s->op);
  const int64_t most = pt_max(1, units / group / 8);
  for (int64_t from = 0; from < units; from = x.to) {
    int64_t groups =
        (int64_t)pt_philox_below(t->c->seed, 99, (uint64_t)t->drawn++, (uint64_t)most) + 1;
    x.from = from;
    x.to = pt_min(units, from + groups * group);
    pt_window_clear(&w);
    pt_window_mark(&w, x.from, x.to);
    if (groups == 1 && above_least(&w))
      return say(t, s, "a group marks more than the least", from);
    run_op(p->kernels, s, &x);
    int64_t page = stray_page(t, &w);
    if (page >= 0) return say(t, s, "a page outside of the window is resident", page);
    pt_spill_drop(&t->spill, 0, t->spill.size);
  }
  for (int b = 0; b < s->binds; b++)
    if (s->bind[b].least < 1) return say(t, s, "a tensor is never touched", b);
  return 0;
}

int touch_check(struct pt_env *env, struct budget_case *c, char *text, size_t size) {
  struct touch t = {.env = env, .c = c, .text = text, .size = size};
  t.pagemap = open("/proc/self/pagemap", O_RDONLY);
  if (t.pagemap < 0) return 1;
  env->threads = c->threads[1];
  int wrong = prepare(&t);
  for (int64_t i = 0; i < t.net.plan.steps && !wrong; i++)
    wrong = check_step(&t, &t.net.plan.step[i]);
  pt_spill_close(&t.spill);
  pt_free(&env->mem, t.arena);
  pt_free(&env->mem, t.words);
  pt_network_free(&t.net);
  pt_structure_free(env, &t.s);
  close(t.pagemap);
  return wrong;
}
