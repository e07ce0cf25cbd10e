/* conv_grad_cpu.c - conv_grad.h by turns of tiles (turns_cpu.h).
 *
 * A thread looks up the neighbours of its tile once (conv.h), and they are used twice. dx of
 * the tile is the convolution of g by the opposite offsets' matrices. dw at an offset is the
 * product of the rows of g and x that are neighbours (outer.h), after the barrier: the threads
 * share the offsets and, within an offset, groups of rows of dw, by the number of pairs, and
 * each adds the tiles of the turn in order. So that a row of dw is long, the stem's few input
 * channels take the place of the output's, and dw is transposed on the way.
 *
 * Features in bf16 are taken two rows at a time where there are instructions for it. Which two
 * must not depend on the tile, so pairs are made even every 32 rows of it.
 *
 * With AMX and features in bf16 all rows of the tile take part at every offset, with zeros for
 * neighbours that are not there: tiles.h sums 32 rows at a time, and which those are must not
 * depend on the tile. And g is transposed once for all offsets. */
#include "conv_grad.h"

#include "conv.h"
#include "isa.h"
#include "rows_cpu.h"
#include "turns_cpu.h"

enum {
  TILE_ROWS = 512,
  UNIT = 16,               /* rows of dw that stay together */
  SHARE_NUMBERS = 1 << 16, /* of dw that tiles are added to at a time: a part of the cache */
  FEW = 16                 /* input channels below which dw is transposed */
};

int64_t PT_FN(pt_conv_grad_scratch)(const struct pt_conv_grad *a, int tile);
void PT_FN(pt_conv_grad)(const struct pt_conv_grad *a, const struct pt_exec *x);

/* dx as a convolution. */
static struct pt_conv conv_of(const struct pt_conv_grad *a, int tile) {
  const int cap = (int)pt_rows_at_most(a->n, pt_turn_rows(tile > 0 ? tile : TILE_ROWS));
  return (struct pt_conv){a->vox, a->size, a->c, a->in, a->g, a->type, a->wt, NULL, cap, true};
}

static bool both_bf16(const struct pt_conv_grad *a) {
  return a->type == PT_BF16 && a->xtype == PT_BF16;
}

/* Whether dw is summed 32 rows at a time. */
static bool in_tiles(const struct pt_conv_grad *a) {
#if defined(PT_AMX)
  return both_bf16(a);
#else
  (void)a;
  return false;
#endif
}

/* Whether dw is transposed. */
static bool few(const struct pt_conv_grad *a) { return a->in < FEW && !in_tiles(a); }

/* Whether dw is summed two rows at a time. */
static bool two_by_two(const struct pt_conv_grad *a) {
  return PT_OUTER_PAIRS && both_bf16(a) && !few(a);
}

/* Numbers from row to row of g's transpose: no multiple of a page's lines. */
static int64_t transpose_ld(int cap) { return pt_turn_rows(cap) + PT_OUTER_ROWS; }

/* A thread's scratch: the neighbours, then dx of a tile while it is worked out, and after that
 * g's transpose, or what is transposed of dw. */
static int64_t rest_bytes(const struct pt_conv_grad *a, int cap) {
  const int64_t dx = pt_floats(cap * pt_row_ld(a->in));
  const int64_t buf = few(a) ? pt_floats((int64_t)a->in * pt_row_ld(a->c)) : 0;
  const int64_t turned = in_tiles(a) ? pt_row_ld(a->c) * transpose_ld(cap) * 2 : 0;
  const int64_t more = dx > buf ? dx : buf;
  return more > turned ? more : turned;
}

int64_t PT_FN(pt_conv_grad_scratch)(const struct pt_conv_grad *a, int tile) {
  const struct pt_conv v = conv_of(a, tile);
  return PT_FN(pt_conv_scratch)(&v) + rest_bytes(a, v.cap);
}

struct work {
  const struct pt_conv_grad *a;
  struct pt_conv v;
  int64_t near; /* bytes of the neighbours */
};

/* Row r of dx from that of the tile. */
static void put_row(const struct pt_conv_grad *a, int64_t r, const float *y) {
  void *dx = pt_at_mut(a->dx, a->type, r * a->in);
  if (a->add)
    pt_add_to_row(dx, a->type, y, a->in);
  else
    pt_narrow_row(dx, a->type, y, a->in);
}

static void one_tile(const void *op, int64_t first, int64_t rows, char *scratch) {
  const struct work *w = op;
  const struct pt_conv_grad *a = w->a;
  const int64_t ld = pt_row_ld(a->in);
  float *y = (float *)(void *)(scratch + w->near);
  const struct pt_conv_tile *t = PT_FN(pt_conv_look)(&w->v, first, (int)rows, scratch);
  if (a->dx) {
    PT_FN(pt_conv_rows)(&w->v, t, first, y, ld);
    for (int64_t r = 0; r < rows; r++) put_row(a, first + r, y + r * ld);
  }
#if defined(PT_AMX)
  if (in_tiles(a)) PT_FN(pt_transposed)
  (rows, pt_src(pt_at(a->g, a->type, first * a->c), a->type, a->c), a->c, (uint16_t *)(void *)y,
   transpose_ld(w->v.cap));
#endif
}

static const struct pt_conv_tile *tile_of(const struct pt_turn *t, int i) {
  return (const struct pt_conv_tile *)(const void *)pt_turn_scratch(t, i);
}

/* The pairs of tile i at offset k, rows of g and x: their number. They lie in the calling
 * thread's own tile. With two_by_two some are of no rows. */
static int pairs_of(const struct pt_conv_grad *a, const struct pt_turn *t, int i, int k,
                    struct pt_src *g, struct pt_src *x) {
  const struct pt_conv_tile *own = tile_of(t, t->part);
  const struct pt_conv_tile *tile = tile_of(t, i);
  const int n = two_by_two(a)
                    ? PT_FN(pt_conv_even_pairs)(tile, k, PT_OUTER_ROWS, own->in, own->out)
                    : PT_FN(pt_conv_pairs)(tile, k, own->in, own->out);
  *g = (struct pt_src){pt_at(a->g, a->type, pt_turn_first(t, i) * a->c), a->c, own->out,
                       a->type};
  *x = (struct pt_src){a->x, a->in, own->in, a->xtype};
  return n;
}

/* Rows begin .. end - 1 of dw at offset k += the pairs of the turn. */
static void add_rows(const struct work *w, const struct pt_turn *t, int k, int begin, int end) {
  const struct pt_conv_grad *a = w->a;
  const int64_t ld = (int64_t)a->size * a->size * a->size * a->in;
  float *dw = a->dw + begin * ld + (int64_t)k * a->in;
  for (int i = 0; i < t->tiles; i++) {
    struct pt_src g, x;
#if defined(PT_AMX)
    const struct pt_conv_tile *tile = tile_of(t, i);
    if (in_tiles(a)) {
      const int64_t turned = transpose_ld(w->v.cap);
      const uint16_t *gt = (const uint16_t *)(const void *)(pt_turn_scratch(t, i) + w->near);
      x = (struct pt_src){a->x, a->in, tile->near + k * tile->stride, a->xtype};
      PT_FN(pt_outer_transposed)
      (tile->rows, gt + begin * turned, turned, x, end - begin, a->in, dw, ld);
      continue;
    }
#endif
    const int n = pairs_of(a, t, i, k, &g, &x);
    g.base = pt_at(g.base, g.type, begin);
    if (two_by_two(a))
      PT_FN(pt_outer_pairs)(n, g, x, end - begin, a->in, dw, ld);
    else
      PT_FN(pt_outer)(n, g, x, end - begin, a->in, dw, ld);
  }
}

/* The same, all rows, by way of the transpose in buf [in, ldt]. */
static void add_transposed(const struct pt_conv_grad *a, const struct pt_turn *t, int k,
                           float *buf) {
  const int64_t ld = (int64_t)a->size * a->size * a->size * a->in, ldt = pt_row_ld(a->c);
  float *dw = a->dw + (int64_t)k * a->in;
  for (int o = 0; o < a->c; o++)
    for (int i = 0; i < a->in; i++) buf[i * ldt + o] = dw[o * ld + i];
  for (int i = 0; i < t->tiles; i++) {
    struct pt_src g, x;
    const int n = pairs_of(a, t, i, k, &g, &x);
    PT_FN(pt_outer)(n, x, g, a->in, a->c, buf, ldt);
  }
  for (int o = 0; o < a->c; o++)
    for (int i = 0; i < a->in; i++) dw[o * ld + i] = buf[i * ldt + o];
}

static int64_t pairs_at(const struct pt_turn *t, int k) {
  int64_t pairs = 0;
  for (int i = 0; i < t->tiles; i++) pairs += tile_of(t, i)->count[k];
  return pairs;
}

/* How many of `units`, which begin at from, from + size ... , begin before `place`. */
static int units_before(int64_t place, int64_t from, int64_t size, int units) {
  if (place <= from) return 0;
  const int64_t u = (place - from + size - 1) / size;
  return u < units ? (int)u : units;
}

/* The calling thread's part of offset k: rows begin .. end - 1 of dw. */
static void one_offset(const struct work *w, const struct pt_turn *t, int k, int begin,
                       int end) {
  int some = SHARE_NUMBERS / w->a->in / UNIT * UNIT;
  if (some < UNIT) some = UNIT;
  for (int o = begin; o < end; o += some) add_rows(w, t, k, o, end - o < some ? end : o + some);
}

/* The threads take equal parts of the line of all units, each as long as it has pairs. */
static void add(const void *op, const struct pt_turn *t) {
  const struct work *w = op;
  const struct pt_conv_grad *a = w->a;
  const int offsets = a->size * a->size * a->size;
  const int units = few(a) ? 1 : (a->c + UNIT - 1) / UNIT;
  int64_t total = 0, from = 0;
  if (t->part >= t->tiles) PT_FN(pt_conv_empty)(&w->v, pt_turn_scratch(t, t->part));
  for (int k = 0; k < offsets; k++) total += pairs_at(t, k) * units;
  const int64_t low = total * t->part / t->parts, high = total * (t->part + 1) / t->parts;
  for (int k = 0; k < offsets && from < high; k++) {
    const int64_t pairs = pairs_at(t, k);
    if (pairs == 0) continue;
    const int b = units_before(low, from, pairs, units) * UNIT;
    const int e = units_before(high, from, pairs, units) * UNIT;
    if (few(a) && b < e)
      add_transposed(a, t, k, (float *)(void *)(pt_turn_scratch(t, t->part) + w->near));
    else if (b < e)
      one_offset(w, t, k, b, e < a->c ? e : a->c);
    from += pairs * units;
  }
  if (a->dbias)
    pt_turn_sums(t, t->end - t->first,
                 pt_src(pt_at(a->g, a->type, t->first * a->c), a->type, a->c), a->c, a->dbias);
}

void PT_FN(pt_conv_grad)(const struct pt_conv_grad *a, const struct pt_exec *x) {
  struct work w = {a, conv_of(a, x->tile), 0};
  w.near = PT_FN(pt_conv_scratch)(&w.v);
  pt_turns(x, a->n, pt_turn_rows(pt_tile_rows(a->n, w.v.cap, x)), one_tile, add, &w);
}
