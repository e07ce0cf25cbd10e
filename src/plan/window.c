/* window.c - see window.h. */
#include "window.h"

#include <string.h>

#include "feature.h"
#include "patch.h"
#include "size.h"

/* Grains that a group touches of a tensor, where the structure is not known: a few runs of
 * rows. */
enum { GUESS = 32 };

/* ---- units ---- */

int64_t pt_op_units(enum pt_op op, const void *args) {
  switch (op) {
    case PT_OP_embed: return ((const struct pt_embed *)args)->vox->blocks;
    case PT_OP_cpe: return ((const struct pt_cpe *)args)->vox->blocks;
    case PT_OP_attention: return pt_patch_find(args, false, 0, NULL);
    case PT_OP_mlp: return ((const struct pt_mlp *)args)->n;
    case PT_OP_pool: return ((const struct pt_pool *)args)->m;
    case PT_OP_unpool: return ((const struct pt_unpool *)args)->n;
    case PT_OP_head: return ((const struct pt_head *)args)->n;
    default: return 1;
  }
}

/* Of the forward pass alone: in training the other steps touch the whole of their tensors. */
static bool in_parts(enum pt_op op) {
  switch (op) {
    case PT_OP_embed:
    case PT_OP_cpe:
    case PT_OP_attention:
    case PT_OP_mlp:
    case PT_OP_pool:
    case PT_OP_unpool:
    case PT_OP_head: return true;
    default: return false;
  }
}

int64_t pt_op_group(enum pt_op op) {
  switch (op) {
    case PT_OP_mlp:
    case PT_OP_unpool:
    case PT_OP_head: return 256;
    case PT_OP_pool: return 64;
    default: return 1;
  }
}

/* Whether the integers are there that say what a unit touches (a plan for sizes alone has
 * none). */
static bool known(const struct pt_plan *p, const struct pt_step *s) {
  for (int b = 0; b < s->binds; b++) {
    const size_t field = s->bind[b].field;
    if (s->op == PT_OP_cpe && field == offsetof(struct pt_cpe, up) && !s->a.cpe.cluster)
      return false;
    if (s->op == PT_OP_unpool && field == offsetof(struct pt_unpool, up) &&
        !s->a.unpool.cluster)
      return false;
    for (int i = 0; s->op == PT_OP_head && i < s->a.head.sources; i++)
      if (field == offsetof(struct pt_head, src) + (size_t)i * sizeof s->a.head.src[0] &&
          !s->a.head.src[i].map && p->tensor[s->bind[b].tensor].rows != s->a.head.n)
        return false;
  }
  switch (s->op) {
    case PT_OP_embed: return s->a.embed.vox->start != NULL;
    case PT_OP_cpe: return s->a.cpe.vox->start != NULL;
    case PT_OP_attention: return s->a.attention.coord != NULL;
    case PT_OP_pool: return s->a.pool.start != NULL;
    default: return true;
  }
}

/* ---- marks ---- */

static void mark_grains(struct pt_window_slot *s, int64_t first, int64_t last) {
  for (int64_t g = first; g <= last; g++) {
    s->count += s->stamp[g] != s->now;
    s->stamp[g] = s->now;
  }
}

static void mark_rows(struct pt_window_slot *s, int64_t from, int64_t to) {
  if (to > from)
    mark_grains(s, from * s->row_bytes / PT_SPILL_GRAIN,
                (to * s->row_bytes - 1) / PT_SPILL_GRAIN);
}

/* Rows list[from .. to - 1], or from .. to - 1 where there is no list. */
static void mark_list(struct pt_window_slot *s, const int32_t *list, int64_t from, int64_t to) {
  if (!list) {
    mark_rows(s, from, to);
    return;
  }
  for (int64_t i = from; i < to;) {
    int64_t first = list[i], end = first + 1;
    for (i++; i < to && list[i] == end; i++) end++;
    mark_rows(s, first, end);
  }
}

/* Rows of blocks from .. to - 1 and of all blocks around them. */
static void mark_around(struct pt_window_slot *s, const struct pt_voxels *v, int64_t from,
                        int64_t to) {
  mark_rows(s, v->start[from], v->start[to]);
  for (int64_t b = from; b < to; b++) {
    const int32_t *at = v->coord + 3 * (int64_t)v->start[b];
    for (int d = 0; d < 27; d++) {
      if (d == 13) continue;
      int64_t o = pt_block_find(v, v->cloud[b], (at[0] >> PT_BLOCK_BITS) + d / 9 - 1,
                                (at[1] >> PT_BLOCK_BITS) + d / 3 % 3 - 1,
                                (at[2] >> PT_BLOCK_BITS) + d % 3 - 1);
      if (o >= 0) mark_rows(s, v->start[o], v->start[o + 1]);
    }
  }
}

/* The slot of the tensor that the pointer at `field` is; NULL: none, or not looked at. */
static struct pt_window_slot *slot_at(struct pt_window *w, size_t field) {
  for (int b = 0; b < w->step->binds; b++)
    for (int i = 0; i < w->slots && w->step->bind[b].field == field; i++)
      if (w->slot[i].tensor == w->step->bind[b].tensor) return &w->slot[i];
  return NULL;
}

#define SLOT(op, field) slot_at(w, offsetof(struct pt_##op, field))
#define ROWS(op, field, list, from, to)          \
  do {                                           \
    struct pt_window_slot *s_ = SLOT(op, field); \
    if (s_) mark_list(s_, (list), (from), (to)); \
  } while (0)

/* ---- by op ---- */

static void mark_embed(struct pt_window *w, int64_t from, int64_t to) {
  const struct pt_voxels *v = w->step->a.embed.vox;
  struct pt_window_slot *x = SLOT(embed, x);
  if (x) mark_around(x, v, from, to);
  ROWS(embed, out, NULL, v->start[from], v->start[to]);
}

static void mark_cpe(struct pt_window *w, int64_t from, int64_t to) {
  const struct pt_cpe *a = &w->step->a.cpe;
  const int64_t first = a->vox->start[from], last = a->vox->start[to];
  struct pt_window_slot *in = SLOT(cpe, in);
  if (in) mark_around(in, a->vox, from, to);
  ROWS(cpe, res, NULL, first, last);
  ROWS(cpe, up, a->cluster, first, last);
  ROWS(cpe, out, NULL, first, last);
}

/* The positions of patches that follow one another are a run; a borrowing patch is a part of
 * the last one's cloud. */
static void mark_attention(struct pt_window *w, int64_t from, int64_t to) {
  const struct pt_attention *a = &w->step->a.attention;
  struct pt_patch first = {0, 0, 0}, last = {0, 0, 0}, borrowing = {0, 0, 0};
  pt_patch_find(a, false, from, &first);
  pt_patch_find(a, false, to - 1, &last);
  int64_t borrowers = pt_patch_borrowers(a, to), end = last.first + last.len;
  if (borrowers > 0) pt_patch_find(a, true, borrowers - 1, &borrowing);
  end = pt_max(end, borrowing.first + borrowing.len);
  ROWS(attention, in, a->order, first.first, end);
  ROWS(attention, x, a->order, first.first, end);
  ROWS(attention, o, a->order, first.first, end);
  ROWS(attention, lse, a->order, first.first, end);
}

static void mark_pool(struct pt_window *w, int64_t from, int64_t to) {
  const struct pt_pool *a = &w->step->a.pool;
  ROWS(pool, x, NULL, a->start[from], a->start[to]);
  ROWS(pool, out, a->row, from, to);
}

static void mark_head(struct pt_window *w, int64_t from, int64_t to) {
  const struct pt_head *a = &w->step->a.head;
  struct pt_window_slot *out = SLOT(head, out); /* holds a part of the rows: see pt_plan.give */
  if (out) mark_grains(out, 0, out->grains - 1);
  for (int i = 0; i < a->sources; i++) {
    struct pt_window_slot *x =
        slot_at(w, offsetof(struct pt_head, src) + (size_t)i * sizeof a->src[0]);
    if (x) mark_list(x, a->src[i].map, from, to);
  }
}

void pt_window_mark(struct pt_window *w, int64_t from, int64_t to) {
  switch (w->step->op) {
    case PT_OP_embed: mark_embed(w, from, to); break;
    case PT_OP_cpe: mark_cpe(w, from, to); break;
    case PT_OP_attention: mark_attention(w, from, to); break;
    case PT_OP_mlp:
      ROWS(mlp, in, NULL, from, to);
      ROWS(mlp, x, NULL, from, to);
      ROWS(mlp, branch, NULL, from, to);
      break;
    case PT_OP_pool: mark_pool(w, from, to); break;
    case PT_OP_unpool:
      ROWS(unpool, x, NULL, from, to);
      ROWS(unpool, up, w->step->a.unpool.cluster, from, to);
      ROWS(unpool, out, NULL, from, to);
      break;
    case PT_OP_head: mark_head(w, from, to); break;
    default:
      for (int i = 0; i < w->slots; i++) mark_grains(&w->slot[i], 0, w->slot[i].grains - 1);
  }
}

/* ---- windows ---- */

static bool looked_at(const struct pt_plan *p, int tensor, bool all) {
  return all || p->tensor[tensor].spilled;
}

/* The slots of a step, without their stamps; returns how many these are. */
static int64_t find_slots(struct pt_window *w, const struct pt_plan *p, const struct pt_step *s,
                          bool all) {
  int64_t words = 0;
  *w = (struct pt_window){.step = s};
  for (int b = 0; b < s->binds; b++) {
    const int t = s->bind[b].tensor;
    bool had = !looked_at(p, t, all);
    for (int i = 0; i < w->slots; i++) had |= w->slot[i].tensor == t;
    if (had) continue;
    const struct pt_plan_tensor *x = &p->tensor[t];
    struct pt_window_slot *slot = &w->slot[w->slots++];
    *slot = (struct pt_window_slot){
        .tensor = t,
        .row_bytes = x->channels * pt_feature_bytes(x->type),
        .grains = pt_div_up(x->bytes, PT_SPILL_GRAIN),
    };
    words += slot->grains;
  }
  return words;
}

int64_t pt_window_words(const struct pt_plan *p, bool all) {
  int64_t most = 0;
  struct pt_window w;
  for (int64_t i = 0; i < p->steps; i++)
    most = pt_max(most, find_slots(&w, p, &p->step[i], all));
  return most;
}

void pt_window_clear(struct pt_window *w) {
  for (int i = 0; i < w->slots; i++) {
    w->slot[i].count = 0;
    w->slot[i].now++;
  }
}

void pt_window_open(struct pt_window *w, const struct pt_plan *p, const struct pt_step *s,
                    bool all, uint32_t *words) {
  int64_t count = find_slots(w, p, s, all);
  memset(words, 0, (size_t)count * sizeof *words);
  for (int i = 0; i < w->slots; i++) {
    w->slot[i].stamp = words;
    w->slot[i].now = 1;
    words += w->slot[i].grains;
  }
}

int64_t pt_window_bytes(const struct pt_window *w) {
  int64_t grains = 0;
  for (int i = 0; i < w->slots; i++) grains += w->slot[i].count;
  return grains * PT_SPILL_GRAIN;
}

bool pt_window_run(const struct pt_window_slot *s, int64_t *at, int64_t *from, int64_t *to) {
  int64_t g = *at;
  while (g < s->grains && s->stamp[g] != s->now) g++;
  *from = g;
  while (g < s->grains && s->stamp[g] == s->now) g++;
  *to = *at = g;
  return *from < g;
}

/* ---- the least ---- */

static void keep_most(const struct pt_window *w, struct pt_step *s, bool guess) {
  for (int b = 0; b < s->binds; b++)
    for (int i = 0; i < w->slots; i++) {
      const struct pt_window_slot *slot = &w->slot[i];
      if (slot->tensor != s->bind[b].tensor) continue;
      int64_t count = slot->count;
      if (!in_parts(s->op))
        count = slot->grains;
      else if (guess)
        count = pt_min(slot->grains, GUESS);
      s->bind[b].least = pt_max(s->bind[b].least, count);
    }
}

void pt_window_least(struct pt_plan *p, uint32_t *words) {
  struct pt_window w;
  for (int64_t i = 0; i < p->steps; i++) {
    struct pt_step *s = &p->step[i];
    if (!words || !known(p, s)) {
      find_slots(&w, p, s, true);
      keep_most(&w, s, true);
      continue;
    }
    pt_window_open(&w, p, s, true, words);
    const int64_t units = pt_op_units(s->op, &s->a), group = pt_op_group(s->op);
    for (int64_t u = 0; u < units; u += group) {
      pt_window_mark(&w, u, pt_min(units, u + group));
      keep_most(&w, s, false);
      pt_window_clear(&w);
    }
  }
}

static int64_t most_grains(const struct pt_plan *p, bool whole) {
  int64_t most = 0;
  struct pt_window w;
  for (int64_t i = 0; i < p->steps; i++) {
    const struct pt_step *s = &p->step[i];
    int64_t grains = 0;
    find_slots(&w, p, s, false);
    for (int k = 0; k < w.slots; k++)
      for (int b = 0; b < s->binds; b++)
        if (s->bind[b].tensor == w.slot[k].tensor) {
          grains += whole ? w.slot[k].grains : s->bind[b].least;
          break;
        }
    most = pt_max(most, grains);
  }
  return most * PT_SPILL_GRAIN;
}

int64_t pt_window_need(const struct pt_plan *p) { return most_grains(p, false); }

int64_t pt_window_all(const struct pt_plan *p) { return most_grains(p, true); }
