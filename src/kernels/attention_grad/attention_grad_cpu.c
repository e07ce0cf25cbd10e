/* attention_grad_cpu.c - attention's backward pass for processors. What it computes:
 * attention_grad.h.
 *
 * How: patches come in turns (turns_cpu.h), as many as there are threads, each with its rows
 * and what they become in the scratch of one thread. All threads work on all patches of the
 * turn: on tiles of rows (LayerNorm, the products of the Linear layers), on heads
 * (attention_grad_block.h; where features and weights are bf16, attention_grad_tiles.h), and on
 * shares of the sums over rows. Heads are taken in groups, so that only a group's q, k, v and
 * their gradients are there at a time.
 *
 * The patch that borrows rows adds to their g after the patch that owns them, which comes
 * earlier in the same turn or in one before. LayerNorm's backward pass is linear in the
 * gradient, so the two parts may be added after it. */
#include "attention_grad.h"

#include "attention_grad_block.h"
#include "attention_grad_tiles.h"
#include "gemm.h"
#include "patch.h"
#include "rows_cpu.h"
#include "turns_cpu.h"

enum {
  ROWS = 64,          /* of a tile, if not told otherwise */
  GROUP_CHANNELS = 64 /* of a group of heads, at least */
};

struct sizes {
  int64_t len, padded; /* of the longest patch; in whole blocks of keys */
  int d, group;        /* channels of a head, heads of a group */
  bool together;       /* q, k, v are columns of one buffer */
  int64_t ld, head;    /* numbers from row to row and from head to head of q, k, v */
  int64_t part;        /* numbers of q (and of k and of v) */
  int64_t row;         /* from row to row of the group's outputs */
  int64_t row3;        /* of dqkv */
  int64_t table;       /* numbers of a head's rpe gradient */
  int64_t rows;        /* of a tile */
};

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Whether attention_grad_tiles.h could be for these sizes. */
static bool may_tile(const struct pt_attention *f) {
#if defined(PT_TILES)
  return f->type == PT_BF16 && f->c == f->heads * HEAD && f->drop.attn <= 0.0f;
#else
  (void)f;
  return false;
#endif
}

/* Whether it is. */
static bool tiles(const struct pt_attention_grad *a) {
  return may_tile(&a->f) && a->f.qkv.type == PT_BF16 && a->f.proj.type == PT_BF16 &&
         a->qkv_t.type == PT_BF16 && a->proj_t.type == PT_BF16 && !a->f.rpe;
}

/* Weights are packed in panels of 16 columns, so a group's columns must begin at one. */
static struct sizes sizes_of(const struct pt_attention_grad *a, int tile) {
  const struct pt_attention *f = &a->f;
  struct sizes z = {.len = pt_patch_longest(f), .d = f->c / f->heads};
  z.padded = round_up(z.len, BLOCK_KEYS);
  z.table = 3 * (2 * (int64_t)f->rpe_bound + 1);
  z.rows = tile > 0 ? tile : ROWS;
  z.together = f->c % PT_PANEL != 0;
  if (z.together) {
    z.group = f->heads;
    z.ld = 3 * (int64_t)f->c;
    z.head = z.d;
    z.part = f->c;
  } else {
    int unit = 1; /* heads to a whole number of panels; it divides heads */
    while ((int64_t)unit * z.d % PT_PANEL) unit++;
    const int64_t units = z.d * unit < GROUP_CHANNELS ? GROUP_CHANNELS / (z.d * unit) : 1;
    z.group = (int)(units * unit < f->heads ? units * unit : f->heads);
    /* Every head a dense array of its own, or columns of an array. */
    const bool own = z.d % PT_PANEL == 0 && !tiles(a);
    z.ld = own ? z.d : (int64_t)z.group * z.d;
    z.head = own ? z.padded * z.d : z.d;
    z.part = z.padded * z.d * z.group;
  }
  z.row = pt_row_ld(z.group * z.d);
  z.row3 = pt_row_ld(3 * z.group * z.d);
  return z;
}

/* What is kept of a patch, in the scratch of one thread. Rows are places; `wide` says how many
 * numbers are from row to row. */
struct patch_room {
  void *u;              /* [len, c] what qkv multiplies, its type; at last hat */
  void *dy;             /* [len, c] gradient of the branch, proj_t's type; at last dx */
  float *du;            /* [len, c] gradient of u; before, in post-norm form, of the sum */
  float *q, *k, *v;     /* of the group */
  float *dout;          /* [len, row] of the group's outputs */
  float *start, *along; /* [group, len] - lse, - rowsum(dO O) */
  void *dqkv;           /* [len, row3] its gradients, qkv_t's type */
  float *drpe;          /* [group, table] */
  struct pt_norm *norm; /* [len] of x, or of the sum in post-norm form */
  int32_t *coord;       /* [3, padded] grid coordinates, with rpe */
  int32_t *by;          /* [3, padded] places sorted by them, with drpe */
};

/* A thread, and what it works on. */
struct crew {
  const struct pt_attention_grad *a;
  const struct pt_attention *f;
  struct sizes z;
  struct pt_turn t;
  int64_t wide;          /* numbers from row to row of u, dy, du */
  struct pt_patch p;     /* the patch at hand */
  struct patch_room l;   /* its rows */
  int first_head, heads; /* the group */
  /* its own */
  float *row[2]; /* [c] */
  float *room;   /* what a head needs */
  float *table;  /* [3, table_row] of a head, in powers of two */
};

/* Lays out a patch's part of a scratch at `at` (NULL: only counts), then the thread's own. */
static int64_t lay_patch(struct crew *w, char *at) {
  const struct sizes *z = &w->z;
  struct patch_room *l = &w->l;
  int64_t bytes = 0;
#define PLACE(p, n)                      \
  do {                                   \
    if (at) (p) = (void *)(at + bytes);  \
    bytes += round_up((int64_t)(n), 64); \
  } while (0)
  PLACE(l->u, pt_floats(z->len * w->wide));
  PLACE(l->dy, pt_floats(z->len * w->wide));
  PLACE(l->du, pt_floats(z->len * w->wide));
  PLACE(l->q, pt_floats(z->together ? z->padded * z->ld : 3 * z->part));
  PLACE(l->dout, pt_floats(z->len * z->row));
  PLACE(l->start, pt_floats(z->len * z->group));
  PLACE(l->along, pt_floats(z->len * z->group));
  PLACE(l->dqkv, pt_floats(z->len * z->row3));
  PLACE(l->drpe, pt_floats(z->group * z->table));
  PLACE(l->norm, z->len * (int64_t)sizeof *l->norm);
  PLACE(l->coord, 3 * z->padded * (int64_t)sizeof *l->coord);
  PLACE(l->by, 3 * z->padded * (int64_t)sizeof *l->by);
  if (at) l->k = l->q + z->part, l->v = l->k + z->part;
  return bytes;
}

/* Bytes that head_back, or tile_head_back, needs. */
static int64_t head_room(const struct crew *w) {
  struct room r;
  int64_t bytes = pt_floats(room_of(&r, NULL, w->z.d, w->z.padded, w->f->rpe_bound));
#if defined(PT_TILES)
  struct tile_room t;
  const int64_t tiles = may_tile(w->f) ? tile_room_of(&t, NULL, tile_padded(w->z.len)) : 0;
  if (tiles > bytes) bytes = tiles;
#endif
  return bytes;
}

static int64_t lay_own(struct crew *w, char *at) {
  int64_t bytes = 0;
  PLACE(w->row[0], pt_floats(w->wide));
  PLACE(w->row[1], pt_floats(w->wide));
  PLACE(w->table, pt_floats(3 * table_row(w->f->rpe_bound)));
  PLACE(w->room, head_room(w));
#undef PLACE
  return bytes;
}

static struct crew crew_of(const struct pt_attention_grad *a, int tile) {
  struct crew w = {.a = a, .f = &a->f, .z = sizes_of(a, tile)};
  w.wide = pt_row_ld(a->f.c);
  return w;
}

int64_t PT_FN(pt_attention_grad_scratch)(const struct pt_attention_grad *a, int tile) {
  struct crew w = crew_of(a, tile);
  const int64_t patch = lay_patch(&w, NULL);
  return patch + lay_own(&w, NULL);
}

/* ---- who does what ---- */

static void take_patch(struct crew *w, int i) {
  w->p = pt_patch_at(w->f, w->t.first + i);
  lay_patch(w, pt_turn_scratch(&w->t, i));
}

/* This thread's share of n pieces of work. */
static void share(const struct crew *w, int64_t n, int64_t *from, int64_t *to) {
  *from = n * w->t.part / w->t.parts;
  *to = n * (w->t.part + 1) / w->t.parts;
}

/* Rows t .. t + m - 1 of the patch at hand. */
typedef void rows_fn(struct crew *w, int64_t t, int64_t m);

static void for_rows(struct crew *w, rows_fn *work) {
  const int64_t tiles = (w->z.len + w->z.rows - 1) / w->z.rows;
  int64_t from, to, had = -1;
  share(w, tiles * w->t.tiles, &from, &to);
  for (int64_t i = from; i < to; i++) {
    if (i / tiles != had) take_patch(w, (int)(had = i / tiles));
    const int64_t t = i % tiles * w->z.rows, left = w->p.len - t;
    if (left > 0) work(w, t, left < w->z.rows ? left : w->z.rows);
  }
}

static void wait_for_all(void) {
#pragma omp barrier
}

/* ---- tiles of rows ---- */

static int64_t row_at(const struct crew *w, int64_t place) {
  return pt_patch_row(w->f, w->p.first + place);
}
static bool owned(const struct crew *w, int64_t place) { return place >= w->p.len - w->p.own; }
static void *g_at(const struct crew *w, int64_t place) {
  return pt_at_mut(w->a->g, w->f->type, row_at(w, place) * w->f->c);
}
static const float *x_at(const struct crew *w, int64_t place, float *buf) {
  return pt_float_row(w->a->x, w->f->type, row_at(w, place), w->f->c, buf);
}

static struct pt_src rows_of(const void *base, enum pt_dtype type, int64_t t, int64_t ld) {
  return pt_src(pt_at(base, type, t * ld), type, ld);
}

/* dy of a place from the gradient of its sum [c], which is overwritten. */
static void give_dy(const struct crew *w, int64_t place, float *ds) {
  const enum pt_dtype type = w->a->proj_t.type;
  pt_drop_row(&w->f->drop, row_at(w, place), ds, w->f->c);
  pt_narrow_row(pt_at_mut(w->l.dy, type, place * w->wide), type, ds, w->f->c);
}

/* Whether the table of relative positions has a gradient. */
static bool counts_places(const struct crew *w) { return w->f->rpe && w->a->drpe; }

static void take_coord(const struct crew *w, int64_t place) {
  for (int d = 0; d < 3; d++)
    w->l.coord[d * w->z.padded + place] =
        place < w->p.len ? w->f->coord[3 * row_at(w, place) + d] : 0;
}

/* u and dy from x and g; in post-norm form u alone. */
static void take_rows(struct crew *w, int64_t t, int64_t m) {
  const struct pt_attention *f = w->f;
  const enum pt_dtype type = f->qkv.type;
  for (int64_t i = t; i < t + m; i++) {
    const float *x = x_at(w, i, w->row[0]);
    void *u = pt_at_mut(w->l.u, type, i * w->wide);
    if (f->pre_norm) {
      w->l.norm[i] = pt_row_norm(x, f->c);
      pt_normalise_row(u, type, x, f->c, f->gamma, f->beta, w->l.norm[i]);
      if (owned(w, i)) {
        pt_widen_row(w->row[1], g_at(w, i), f->type, f->c);
        give_dy(w, i, w->row[1]);
      }
    } else {
      pt_narrow_row(u, type, x, f->c);
    }
  }
  if (!f->rpe) return;
  const bool last = t + m == w->p.len;
  for (int64_t i = t; i < (last ? round_up(w->p.len, BLOCK_KEYS) : t + m); i++)
    take_coord(w, i);
}

/* Columns col .. col + n - 1 of A B + bias, for m rows. */
static void columns(int64_t m, struct pt_src src, const struct pt_mat *b, const float *bias,
                    int col, int n, float *dst, int64_t ld) {
  const int64_t at = col / PT_PANEL * pt_mat_panel(b->k, b->type);
  const struct pt_mat some = {(const char *)b->data + at, b->k, n, b->type};
  if (bias) bias += col;
  PT_FN(pt_gemm)(m, src, &some, pt_dst(dst, ld), bias ? PT_GEMM_BIAS : PT_GEMM_ZERO, bias);
}

/* The last block of keys may pass the end of the patch: numbers there must be finite. */
static void clear_padding(const struct crew *w) {
  const struct sizes *z = &w->z;
  const int64_t from = w->p.len * z->ld, n = round_up(w->p.len, BLOCK_KEYS) * z->ld - from;
  if (z->together) {
    memset(w->l.q + from, 0, (size_t)n * sizeof(float));
    return;
  }
  for (int h = 0; h < (z->ld == z->d ? w->heads : 1); h++) {
    memset(w->l.k + h * z->head + from, 0, (size_t)n * sizeof(float));
    memset(w->l.v + h * z->head + from, 0, (size_t)n * sizeof(float));
  }
}

/* q, k, v of the group. */
static void qkv_rows(struct crew *w, int64_t t, int64_t m) {
  const struct pt_attention *f = w->f;
  const struct sizes *z = &w->z;
  const struct pt_src src = rows_of(w->l.u, f->qkv.type, t, w->wide);
  if (t + m == w->p.len) clear_padding(w);
  if (z->together) {
    columns(m, src, &f->qkv, f->qkv_bias, 0, 3 * f->c, w->l.q + t * z->ld, z->ld);
    return;
  }
  float *part[3] = {w->l.q, w->l.k, w->l.v};
  const bool dense = z->ld == z->d;
  const int calls = dense ? w->heads : 1, n = dense ? z->d : w->heads * z->d;
  for (int i = 0; i < 3; i++)
    for (int h = 0; h < calls; h++)
      columns(m, src, &f->qkv, f->qkv_bias, i * f->c + (w->first_head + h) * z->d, n,
              part[i] + h * z->head + t * z->ld, z->ld);
}

/* The own places of t .. t + m - 1. */
static int64_t own_rows(const struct crew *w, int64_t *t, int64_t m) {
  const int64_t skip = w->p.len - w->p.own - *t;
  if (skip <= 0) return m;
  *t += skip;
  return skip < m ? m - skip : 0;
}

/* The patch's places by coordinate, axis by axis; dqkv is not in use yet. */
static void sort_axes(const struct crew *w) {
  const int64_t ld = w->z.padded;
  for (int a = 0; a < 3 && counts_places(w); a++)
    sort_places(w->l.coord + a * ld, w->p.len, w->l.by + a * ld, w->l.dqkv);
}

/* - rowsum(dO O) of a head. */
static float along_of(const float *dout, const float *o, int d) {
  pt_v sum[PT_GROUP];
  for (int v = 0; v < PT_GROUP; v++) sum[v] = pt_vset1(0.0f);
  for (int e = 0; e < d; e += 16)
    for (int v = 0, i = e; v < PT_GROUP && i < d; v++, i += PT_VW)
      sum[v] = pt_vfma(pt_vload_n(dout + i, d - i), pt_vload_n(o + i, d - i), sum[v]);
  return -pt_vsum(sum);
}

/* What the forward pass left of place i, of the group's heads. */
static void take_outputs(const struct crew *w, int64_t i) {
  const struct pt_attention *f = w->f;
  const int64_t r = row_at(w, i), at = r * f->c + w->first_head * w->z.d;
  const int n = w->heads * w->z.d;
  const float *o = pt_at(w->a->o, f->type, at);
  if (f->type == PT_BF16) pt_widen_row(w->row[0], o, f->type, n), o = w->row[0];
  for (int h = 0; h < w->heads; h++) {
    const int64_t col = (int64_t)h * w->z.d, place = h * w->z.len + i;
    w->l.start[place] = -w->a->lse[r * f->heads + w->first_head + h];
    w->l.along[place] = along_of(w->l.dout + i * w->z.row + col, o + col, w->z.d);
  }
}

static void group_rows(struct crew *w, int64_t t, int64_t m) {
  const struct sizes *z = &w->z;
  qkv_rows(w, t, m);
  if (w->first_head == 0 && t == 0) sort_axes(w);
  if ((m = own_rows(w, &t, m)) == 0) return;
  columns(m, rows_of(w->l.dy, w->a->proj_t.type, t, w->wide), &w->a->proj_t, NULL,
          w->first_head * z->d, w->heads * z->d, w->l.dout + t * z->row, z->row);
  for (int64_t i = t; i < t + m; i++) take_outputs(w, i);
}

/* The heads' outputs of places from t on, columns col ... */
static struct pt_src outputs(const struct crew *w, int64_t t, int64_t col) {
  const struct pt_attention *f = w->f;
  const int64_t first = w->p.first + t;
  if (f->order)
    return (struct pt_src){pt_at(w->a->o, f->type, col), f->c, f->order + first, f->type};
  return pt_src(pt_at(w->a->o, f->type, first * f->c + col), f->type, f->c);
}

/* Post-norm form: du = the branch. */
static void branch_rows(struct crew *w, int64_t t, int64_t m) {
  if ((m = own_rows(w, &t, m)) == 0) return;
  PT_FN(pt_gemm)
  (m, outputs(w, t, 0), &w->f->proj, pt_dst(w->l.du + t * w->wide, w->wide), PT_GEMM_BIAS,
   w->f->proj_bias);
}

/* Post-norm form: du becomes the gradient of the sum of x and branch, dy that sum's hat. */
static void sum_rows(struct crew *w, int64_t t, int64_t m) {
  const struct pt_attention *f = w->f;
  branch_rows(w, t, m);
  for (int64_t i = t; i < t + m; i++) {
    float *sum = w->l.du + i * w->wide, *hat = (float *)w->l.dy + i * w->wide;
    if (!owned(w, i)) {
      memset(sum, 0, (size_t)f->c * sizeof *sum);
      continue;
    }
    pt_drop_row(&f->drop, row_at(w, i), sum, f->c);
    pt_add_row(sum, pt_at(w->a->x, f->type, row_at(w, i) * f->c), f->type, f->c);
    const struct pt_norm norm = pt_row_norm(sum, f->c);
    pt_hat_row(hat, sum, f->c, norm);
    const float *g = pt_float_row(w->a->g, f->type, row_at(w, i), f->c, w->row[0]);
    pt_layernorm_grad_row(sum, g, hat, f->c, f->gamma, norm.inv);
  }
}

static void branch_back(struct crew *w, int64_t t, int64_t m) {
  for (int64_t i = t; i < t + m; i++) {
    if (!owned(w, i)) continue;
    memcpy(w->row[0], w->l.du + i * w->wide, (size_t)w->f->c * sizeof(float));
    give_dy(w, i, w->row[0]);
  }
}

/* du += the group's dqkv Wqkv. */
static void du_rows(struct crew *w, int64_t t, int64_t m) {
  const struct pt_mat *b = &w->a->qkv_t;
  const struct pt_dst du = pt_dst(w->l.du + t * w->wide, w->wide);
  const int c = w->f->c, n = w->heads * w->z.d;
  const bool first = w->f->pre_norm && w->first_head == 0;
  struct pt_src src = rows_of(w->l.dqkv, b->type, t, w->z.row3);
  if (w->z.together) {
    PT_FN(pt_gemm)(m, src, b, du, first ? PT_GEMM_ZERO : PT_GEMM_ADD, NULL);
    return;
  }
  for (int i = 0; i < 3; i++) {
    PT_FN(pt_gemm_part)
    (m, src, b, i * c + w->first_head * w->z.d, n, du,
     first && i == 0 ? PT_GEMM_ZERO : PT_GEMM_ADD, NULL);
    src.base = pt_at(src.base, src.type, n);
  }
}

/* The gradient of x, into g where the row is the patch's own. Pre-norm form leaves hat in u and
 * the others' gradient in dy. */
static void give_rows(struct crew *w, int64_t t, int64_t m) {
  const struct pt_attention *f = w->f;
  for (int64_t i = t; i < t + m; i++) {
    const float *du = w->l.du + i * w->wide;
    float *hat = (float *)w->l.u + i * w->wide, *dx = (float *)w->l.dy + i * w->wide;
    if (f->pre_norm) {
      pt_hat_row(hat, x_at(w, i, w->row[0]), f->c, w->l.norm[i]);
      pt_layernorm_grad_row(dx, du, hat, f->c, f->gamma, w->l.norm[i].inv);
      if (owned(w, i)) pt_add_to_row(g_at(w, i), f->type, dx, f->c);
    } else if (owned(w, i)) {
      pt_narrow_row(g_at(w, i), f->type, du, f->c);
    }
  }
}

/* Adds to rows of the patch before. */
static void lend_rows(struct crew *w, int64_t t, int64_t m) {
  const float *dx = w->f->pre_norm ? w->l.dy : w->l.du;
  for (int64_t i = t; i < t + m && !owned(w, i); i++)
    pt_add_to_row(g_at(w, i), w->f->type, dx + i * w->wide, w->f->c);
}

/* ---- heads ---- */

/* The table of one head, in powers of two like the scores. */
static void take_table(const struct crew *w, int head) {
  const struct pt_attention *f = w->f;
  const int64_t ld = table_row(f->rpe_bound), n = 2 * (int64_t)f->rpe_bound + 1;
  for (int64_t i = 0; i < 3 * ld; i++)
    w->table[i] = i % ld < n ? f->rpe[(i / ld * n + i % ld) * f->heads + head] * LOG2_E : 0.0f;
}

static void back(const struct crew *w, const struct head *s) {
#if defined(PT_TILES)
  if (tiles(w->a)) {
    tile_head_back(s);
    return;
  }
#endif
  (void)w;
  head_back(s);
}

static void one_head(const struct crew *w, int h) {
  const struct pt_attention *f = w->f;
  const struct sizes *z = &w->z;
  const struct patch_room *l = &w->l;
  const enum pt_dtype type = w->a->qkv_t.type;
  const int64_t at = h * z->head, col = (int64_t)h * z->d, n = (int64_t)w->heads * z->d;
  struct head s = {.q = l->q + at, .own = w->p.own, .scale = f->scale, .room = w->room};
  s.b = (struct block){.k = l->k + at, .v = l->v + at, .ld = z->ld, .d = z->d};
  s.b.keys = w->p.len, s.b.factor = f->scale * LOG2_E;
  s.b.table_ld = table_row(f->rpe_bound), s.b.bound = f->rpe_bound;
  s.b.coord = l->coord, s.b.coord_ld = z->padded;
  if (f->rpe) take_table(w, w->first_head + h), s.b.table = w->table;
  const struct dropout drop = dropout_of(f, w->p.first, w->first_head + h);
  if (f->drop.attn > 0.0f) s.b.drop = &drop;
  s.dout = l->dout + col, s.dout_ld = z->row;
  s.start = l->start + h * z->len, s.along = l->along + h * z->len;
  s.dq = pt_at_mut(l->dqkv, type, col);
  s.dk = pt_at_mut(l->dqkv, type, n + col);
  s.dv = pt_at_mut(l->dqkv, type, 2 * n + col);
  s.dqkv_ld = z->row3, s.dqkv_type = type;
  if (counts_places(w)) s.drpe = l->drpe + h * z->table, s.by = l->by;
  back(w, &s);
}

static void for_heads(struct crew *w) {
  int64_t from, to, had = -1;
  share(w, (int64_t)w->heads * w->t.tiles, &from, &to);
  for (int64_t i = from; i < to; i++) {
    if (i / w->heads != had) take_patch(w, (int)(had = i / w->heads));
    one_head(w, (int)(i % w->heads));
  }
}

/* ---- sums over rows ---- */

/* The share of one patch's rows in what the group's gradients give. A patch is a call whatever
 * the turn, so pairs of rows are the same. */
static void add_group(const struct crew *w) {
  const struct pt_attention_grad *a = w->a;
  const int c = w->f->c, n = w->heads * w->z.d, col = w->first_head * w->z.d;
  const int64_t len = w->p.len, from = len - w->p.own;
  const struct pt_src u = rows_of(w->l.u, w->f->qkv.type, 0, w->wide);
  const struct pt_src dy = rows_of(w->l.dy, a->proj_t.type, from, w->wide);
  struct pt_src dqkv = rows_of(w->l.dqkv, a->qkv_t.type, 0, w->z.row3);
  for (int i = 0; i < 3; i++) {
    const int64_t at = i * c + col;
    pt_turn_outer_pairs(&w->t, len, dqkv, u, n, c, a->dqkv + at * c, c);
    if (a->dqkv_bias) pt_turn_sums(&w->t, len, dqkv, n, a->dqkv_bias + at);
    dqkv.base = pt_at(dqkv.base, dqkv.type, n);
  }
  pt_turn_outer_pairs(&w->t, w->p.own, dy, outputs(w, from, col), c, n, a->dproj + col, c);
  if (w->first_head == 0) pt_turn_sums(&w->t, w->p.own, dy, c, a->dproj_bias);
}

/* The relative positions' table, heads shared out. */
static void add_table(const struct crew *w) {
  int begin, end;
  if (!counts_places(w)) return;
  pt_turn_share(&w->t, w->heads, 1, &begin, &end);
  for (int h = begin; h < end; h++)
    for (int64_t i = 0; i < w->z.table; i++)
      w->a->drpe[i * w->f->heads + w->first_head + h] += w->l.drpe[h * w->z.table + i];
}

/* gamma and beta: of du and hat (pre-norm), or of g and hat. */
static void add_norm(const struct crew *w) {
  const struct pt_attention *f = w->f;
  const int64_t len = w->p.len, from = len - w->p.own;
  if (f->pre_norm) {
    const struct pt_src du = pt_src(w->l.du, PT_F32, w->wide);
    pt_turn_dots(&w->t, len, du, pt_src(w->l.u, PT_F32, w->wide), f->c, w->a->dgamma);
    pt_turn_sums(&w->t, len, du, f->c, w->a->dbeta);
    return;
  }
  struct pt_src g = pt_src(w->a->g, f->type, f->c);
  if (f->order)
    g.row = f->order + w->p.first + from;
  else
    g.base = pt_at(g.base, g.type, (w->p.first + from) * f->c);
  pt_turn_dots(&w->t, w->p.own, g, rows_of(w->l.dy, PT_F32, from, w->wide), f->c, w->a->dgamma);
  pt_turn_sums(&w->t, w->p.own, g, f->c, w->a->dbeta);
}

/* ---- a turn ---- */

static void for_patches(struct crew *w, void (*add)(const struct crew *)) {
  for (int i = 0; i < w->t.tiles; i++) {
    take_patch(w, i);
    add(w);
  }
}

static void run_groups(struct crew *w) {
  for (int h = 0; h < w->f->heads; h += w->z.group) {
    w->first_head = h;
    w->heads = w->f->heads - h < w->z.group ? w->f->heads - h : w->z.group;
    for_rows(w, group_rows);
    wait_for_all();
    for_heads(w);
    wait_for_all();
    for_rows(w, du_rows);
    for_patches(w, add_group);
    for_patches(w, add_table);
    wait_for_all();
  }
}

static void run_turn(struct crew *w) {
  for_rows(w, take_rows);
  wait_for_all();
  if (!w->f->pre_norm) {
    for_rows(w, sum_rows);
    wait_for_all();
    for_patches(w, add_norm);
    wait_for_all();
    for_rows(w, branch_back);
    wait_for_all();
  }
  run_groups(w);
  for_rows(w, give_rows);
  wait_for_all();
  if (w->f->pre_norm) for_patches(w, add_norm);
  for_rows(w, lend_rows);
  wait_for_all();
}

void PT_FN(pt_attention_grad)(const struct pt_attention_grad *a, const struct pt_exec *ex) {
  const int64_t total = pt_patch_total(&a->f);
#pragma omp parallel num_threads(ex->threads)
  {
    struct crew w = crew_of(a, ex->tile);
    lay_own(&w, pt_scratch(ex) + lay_patch(&w, NULL));
    w.t = (struct pt_turn){.tile = 1, .x = ex};
    w.t.part = omp_get_thread_num(), w.t.parts = omp_get_num_threads();
    for (w.t.first = 0; w.t.first < total; w.t.first = w.t.end) {
      w.t.end = total - w.t.first < w.t.parts ? total : w.t.first + w.t.parts;
      w.t.tiles = (int)(w.t.end - w.t.first);
      run_turn(&w);
    }
  }
}
