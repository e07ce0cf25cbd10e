/* fit.c - see fit.h. */
#include "fit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cost.h"
#include "size.h"
#include "window.h"

/* A tensor below this many grains is not worth a place in the file. */
enum { SMALLEST_SPILL = 4, TILES = 5 };

static const int tile_of[TILES] = {0, 128, 64, 32, PT_SMALLEST_TILE};

struct ladder {
  struct pt_env *env;
  struct pt_plan *p;
  int tile, threads;      /* the wish */
  int64_t scratch[TILES]; /* bytes a thread with each size of tile; [0]: the wish */
  double work;            /* seconds of one thread with the wish */
  int spills;             /* tensors that can be spilled */
};

/* ---- which tensors, in which order ---- */

static int64_t alive_in_arena(const struct pt_plan *p, int64_t step) {
  int64_t bytes = 0;
  for (int64_t t = 0; t < p->tensors; t++) {
    const struct pt_plan_tensor *x = &p->tensor[t];
    if (!x->spilled && x->first <= step && step <= x->last) bytes += x->bytes;
  }
  return bytes;
}

static int64_t fullest_step(const struct pt_plan *p) {
  int64_t at = 0, most = -1;
  for (int64_t s = 0; s < p->steps; s++) {
    int64_t bytes = alive_in_arena(p, s);
    if (bytes > most) most = bytes, at = s;
  }
  return at;
}

static bool touches(const struct pt_step *s, int64_t tensor) {
  for (int b = 0; b < s->binds; b++)
    if (s->bind[b].tensor == tensor) return true;
  return false;
}

/* What it costs to spill a tensor to make room at a step: steps that touch it, and more than
 * that if the step itself does. */
static int price(const struct pt_plan *p, int64_t tensor, int64_t step) {
  int touched = touches(&p->step[step], tensor) ? 1000 : 0;
  for (int64_t s = 0; s < p->steps; s++) touched += touches(&p->step[s], tensor);
  return touched;
}

/* The tensor to be spilled next; -1: none. */
static int64_t next_spill(const struct pt_plan *p) {
  const int64_t step = fullest_step(p);
  int64_t best = -1;
  int least = INT_MAX;
  for (int64_t t = 0; t < p->tensors; t++) {
    const struct pt_plan_tensor *x = &p->tensor[t];
    if (x->spilled || step < x->first || step > x->last) continue;
    if (x->bytes < SMALLEST_SPILL * PT_SPILL_GRAIN) continue;
    int cost = price(p, t, step);
    if (cost > least || (cost == least && x->bytes <= p->tensor[best].bytes)) continue;
    least = cost;
    best = t;
  }
  return best;
}

/* Numbers the tensors in the order in which they are spilled. */
static int rank_tensors(struct pt_plan *p) {
  int count = 0;
  for (int64_t t = 0; t < p->tensors; t++) {
    p->tensor[t].rank = INT_MAX;
    p->tensor[t].spilled = false;
  }
  for (int64_t t; (t = next_spill(p)) >= 0; count++) {
    p->tensor[t].rank = count;
    p->tensor[t].spilled = true;
  }
  return count;
}

/* Puts the first `count` of them in the file. */
static int spill_first(struct pt_plan *p, int count, struct ptv3_error *err) {
  for (int64_t t = 0; t < p->tensors; t++) p->tensor[t].spilled = p->tensor[t].rank < count;
  return pt_plan_place(p, err);
}

/* ---- ways to run ---- */

/* A plan for sizes alone has no structure behind it. */
static bool for_sizes(const struct pt_plan *p) {
  return p->step[0].op == PT_OP_embed && !p->step[0].a.embed.vox->start;
}

static int find_least(struct pt_env *env, struct pt_plan *p, struct ptv3_error *err) {
  if (for_sizes(p)) {
    pt_window_least(p, NULL);
    return PTV3_OK;
  }
  /* Small beside the arena, so that a budget that lacks room for it is refused anyway, but
   * with the number that would do. */
  const int64_t limit = env->mem.limit;
  env->mem.limit = INT64_MAX;
  uint32_t *words =
      pt_alloc(&env->mem, pt_window_words(p, true), sizeof *words, PT_MEM_OTHER, err);
  env->mem.limit = limit;
  if (!words) return PTV3_NO_MEMORY;
  pt_window_least(p, words);
  pt_free(&env->mem, words);
  return PTV3_OK;
}

static int open_ladder(struct ladder *l, struct pt_env *env, struct pt_plan *p, bool file,
                       struct ptv3_error *err) {
  *l = (struct ladder){.env = env, .p = p, .tile = p->tile, .threads = p->threads};
  for (int i = 0; i < TILES; i++) {
    pt_plan_scratch(p, i ? tile_of[i] : l->tile, 1);
    l->scratch[i] = p->scratch;
  }
  pt_plan_scratch(p, l->tile, l->threads);
  const enum pt_dtype type = p->tensor[p->step[0].out].type;
  l->work = pt_plan_work(p) / pt_kernels_rate(p->kernels, type) * pt_tile_slowdown(l->tile);
  if (!file) return spill_first(p, 0, err);
  l->spills = rank_tensors(p);
  return find_least(env, p, err);
}

static int tile_at(const struct ladder *l, int i) { return i ? tile_of[i] : l->tile; }

/* The plan as it is placed, with tile number i, so many threads and bytes of window at most.
 * Parts of few units keep threads waiting and read weights again: by how much with the smallest
 * window is a guess. */
static struct pt_rung rung_of(const struct ladder *l, int spilled, int i, int threads,
                              int64_t room) {
  const struct pt_plan *p = l->p;
  int64_t need = pt_window_need(p), all = pt_window_all(p);
  struct pt_rung r = {.tile = tile_at(l, i),
                      .threads = threads,
                      .spilled = spilled,
                      .arena = p->features + p->stamps + threads * l->scratch[i],
                      .window = pt_max(need, pt_min(room, all)),
                      .file = p->file};
  r.seconds = l->work / threads * pt_tile_slowdown(r.tile) / pt_tile_slowdown(l->tile);
  if (r.window < all) r.seconds *= 1 + 0.3 * (double)need / (double)r.window;
  if (spilled) r.seconds += pt_traffic_seconds(pt_plan_traffic(p), threads);
  return r;
}

static int64_t total(const struct pt_env *env, const struct pt_rung *r) {
  return env->mem.used + r->arena + r->window + PT_BLOCK_HEAD;
}

static int fewer(int threads) { return threads > 1 ? threads - threads / 2 : 0; }

/* The quickest way that fits and the one that takes least. Returns whether any fits. */
static int search(struct ladder *l, bool *fits, struct pt_rung *best, struct pt_rung *least,
                  struct ptv3_error *err) {
  *fits = false;
  for (int k = 0; k <= l->spills; k++) {
    int status = spill_first(l->p, k, err);
    if (status) return status;
    struct pt_rung small = rung_of(l, k, TILES - 1, 1, 0);
    if (k == 0 || total(l->env, &small) < total(l->env, least)) *least = small;
    for (int threads = l->threads; threads >= 1; threads = fewer(threads))
      for (int i = 0; i < TILES; i++) {
        struct pt_rung r = rung_of(l, k, i, threads, 0);
        int64_t room = l->env->mem.limit - (total(l->env, &r) - r.window);
        if (room < r.window) continue;
        r = rung_of(l, k, i, threads, room);
        if (!*fits || r.seconds < best->seconds) *best = r;
        *fits = true;
      }
  }
  return PTV3_OK;
}

static int take(struct pt_plan *p, const struct pt_rung *r, struct ptv3_error *err) {
  int status = spill_first(p, r->spilled, err);
  if (status) return status;
  pt_plan_scratch(p, r->tile, r->threads);
  p->window = r->window;
  return PTV3_OK;
}

/* ---- what is said ---- */

/* As pt_bytes_text, but rounded up: who grants what the text says must have granted enough. */
static const char *text_up(int64_t bytes, char buf[static 24]) {
  int64_t unit = 1;
  while (bytes / unit >= 1024) unit *= 1024;
  return pt_bytes_text(bytes + (unit > 1 ? unit / 200 + 1 : 0), buf);
}

static int refuse(struct pt_env *env, const struct pt_rung *least, struct ptv3_error *err) {
  char need[24], have[24], disk[24], part[PT_MEM_COUNT][24], list[200] = "", file[64] = "";
  size_t at = 0;
  for (int c = 0; c < PT_MEM_COUNT; c++) {
    int64_t bytes = env->mem.cat[c];
    if (c == PT_MEM_ARENA) bytes += least->arena + least->window;
    if (bytes * 20 < total(env, least)) continue; /* below a twentieth: not what matters */
    at += (size_t)snprintf(list + at, sizeof list - at, "%s%s %s", at ? ", " : "",
                           pt_memcat_text((enum pt_memcat)c), pt_bytes_text(bytes, part[c]));
    if (at >= sizeof list) break;
  }
  if (least->file)
    snprintf(file, sizeof file, ", with %s in a temporary file",
             pt_bytes_text(least->file, disk));
  return pt_fail(err, PTV3_BUDGET, "needs a memory budget of at least %s%s, has %s (%s)",
                 text_up(total(env, least), need), file, pt_bytes_text(env->mem.limit, have),
                 list);
}

static void tell(struct pt_env *env, const struct ladder *l, const struct pt_rung *r) {
  char tiles[40] = "", file[24], window[24];
  if (r->tile != l->tile) snprintf(tiles, sizeof tiles, "tiles of %d rows, ", r->tile);
  if (r->spilled)
    pt_info(
        env,
        "to fit the budget: %s%d thread%s, %d tensors in a temporary file of %s in '%s', %s "
        "of it in memory at a time",
        tiles, r->threads, r->threads == 1 ? "" : "s", r->spilled, pt_bytes_text(r->file, file),
        pt_spill_folder(env->tmp), pt_bytes_text(r->window, window));
  else
    pt_info(env, "to fit the budget: %s%d thread%s", tiles, r->threads,
            r->threads == 1 ? "" : "s");
}

/* ---- the calls ---- */

int pt_fit(struct pt_env *env, struct pt_plan *p, bool file, struct ptv3_error *err) {
  struct ladder l;
  struct pt_rung best, least;
  bool fits;
  struct pt_rung wish = {.arena = p->arena};
  if (!p->file && total(env, &wish) <= env->mem.limit) return PTV3_OK;
  int status = open_ladder(&l, env, p, file, err);
  if (!status) status = search(&l, &fits, &best, &least, err);
  if (!status) status = take(p, fits ? &best : &least, err);
  if (status) return status;
  if (!fits) return refuse(env, &least, err);
  tell(env, &l, &best);
  return PTV3_OK;
}

int pt_fit_rungs(struct pt_env *env, struct pt_plan *p, struct pt_rung *rung, int *count,
                 struct ptv3_error *err) {
  static const double share[] = {0.75, 0.5, 0.35, 0.25};
  struct ladder l;
  struct pt_rung least = {0};
  int status = open_ladder(&l, env, p, true, err), goal = 0, n = 0;
  for (int k = 0; k <= l.spills && !status; k++) {
    status = spill_first(p, k, err);
    if (status) break;
    struct pt_rung small = rung_of(&l, k, TILES - 1, 1, 0),
                   r = rung_of(&l, k, 0, l.threads, 8 * pt_window_need(p));
    if (k == 0 || small.arena + small.window < least.arena + least.window) least = small;
    if (k == 0) rung[n++] = r;
    bool reached = false;
    while (k && goal < 4 &&
           (double)(r.arena + r.window) <= share[goal] * (double)(rung[0].arena)) {
      reached = true;
      goal++;
    }
    if (reached) rung[n++] = r;
  }
  if (!status) status = spill_first(p, 0, err);
  if (status) return status;
  pt_plan_scratch(p, l.tile, l.threads);
  p->window = 0;
  rung[n++] = least;
  *count = n;
  return PTV3_OK;
}
