/* attention_cpu.c - attention for processors. What it computes: attention.h.
 *
 * How: a patch is worked on by one thread, or by all of them where there are fewer patches
 * than threads. Heads are taken in groups whose q, k and v fit the second-level cache; they
 * are made by the matrix product from rows normalised in a small tile. Then blocks of
 * queries walk over the keys. A vector holds one number of PT_VW queries: scores of a key
 * are sums of q[e] * broadcast(k[e]), the output sums of weight * broadcast(v[e]); maximum
 * and sum of the softmax need no operation across lanes, and the weights are never stored
 * for more than one block of keys. Last comes the projection, from all heads.
 *
 * Features may be bf16; what the products read (rows, normalised, and the heads' outputs) is
 * stored in the type of the weights. With AVX-512 BF16 and weights in bf16 q, k, v and the
 * softmax's weights are bf16 as well where attention_dot.h, or attention_tiles.h with AMX, can
 * (heads of 16 channels, no relative positions, no dropout of weights); all other arithmetic is
 * single precision.
 *
 * A lane's chain of operations depends on its query and the patch only (blocks of keys are
 * counted from the patch's first), so tile and threads change no bit. */
#include "attention_block.h"
#if defined(PT_AMX)
#include "attention_tiles.h"
#else
#include "attention_dot.h"
#endif
#include "gemm.h"
#include "patch.h"
#include "rows_cpu.h"

enum {
  ROWS = 64,               /* of a tile in the Linear layers, if not told otherwise */
  GROUP_BYTES = 768 << 10, /* of q, k, v of a group of heads: three quarters of an L2 */
};

struct sizes {
  int64_t len;      /* of the longest patch */
  int64_t padded;   /* the same in whole blocks of keys */
  int d, group;     /* channels of a head, heads of a group */
  bool narrow;      /* q, k, v are bf16, every head's arrays its own */
  bool together;    /* q, k, v are columns of one buffer */
  int64_t ld, head; /* numbers from row to row and from head to head of q, k, v */
  int64_t part;     /* numbers of q (and of k and of v); 3c, where they are together */
  int tile;
};

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Whether q, k and v could be bf16 for these sizes. */
static bool may_narrow(const struct pt_attention *a) {
#if defined(__AVX512BF16__)
  return a->type == PT_BF16 && a->c == a->heads * NARROW_D && a->drop.attn <= 0.0f;
#else
  (void)a;
  return false;
#endif
}

/* Weights are packed in panels of 16 columns, so a group's columns must begin at one. */
static struct sizes sizes_of(const struct pt_attention *a, int tile, bool narrow) {
  struct sizes s = {.len = pt_patch_longest(a), .d = a->c / a->heads, .narrow = narrow};
  s.padded = round_up(s.len, narrow ? NARROW_KEYS : BLOCK_KEYS);
  s.tile = (int)(tile > 0 ? tile : ROWS);
  if (s.tile > s.len) s.tile = (int)(s.len > 0 ? s.len : 1);
  if (narrow) s.tile = (int)round_up(s.tile, NARROW_ROWS);
  if (a->c % PT_PANEL) {
    s.together = true;
    s.group = a->heads;
    s.ld = 3 * (int64_t)a->c;
    s.head = s.d;
    s.part = a->c;
    return s;
  }
  int unit = 1; /* heads to a whole number of panels */
  while (unit < a->heads && (int64_t)unit * s.d % PT_PANEL) unit++;
  int64_t bytes = (narrow ? 6 : 12) * s.padded * s.d * unit,
          units = bytes ? GROUP_BYTES / bytes : 1;
  int64_t most = a->heads / unit; /* unit divides heads: c is a multiple of the panel */
  units = units < 1 ? 1 : units > most ? most : units;
  s.group = (int)units * unit;
  bool own = s.d % PT_PANEL == 0; /* every head a dense array of its own */
  s.ld = own ? s.d : (int64_t)s.group * s.d;
  s.head = own ? s.padded * s.d : s.d;
  s.part = s.padded * s.d * s.group;
  return s;
}

/* One thread's view of the patch at hand. */
struct work {
  const struct pt_attention *a;
  struct sizes z;
  struct pt_patch p;
  int rank, size; /* this thread's, of those at work on the patch */
  /* shared by them */
  float *q, *k, *v;     /* of the group's heads: [padded rows], see sizes */
  uint16_t *narrow;     /* the same in bf16: q, k, v one after the other */
  float *attend;        /* [len, c] heads side by side; bf16 with narrow */
  int32_t *coord;       /* [3, padded] grid coordinates of the keys, with rpe */
  struct pt_norm *norm; /* [len] of the rows, kept from the first group of heads on */
  /* its own */
  float *rows;  /* [tile, c], or what a product reads, in its type */
  float *wide;  /* [c] a row of features as float */
  float *cols;  /* [tile, group's channels] of q, of k or of v, with narrow */
  void *room;   /* what narrow_begin needs */
  float *block; /* what attend_block needs */
  float *table; /* [3, table_row] of one head, with rpe */
};

static int64_t table_floats(const struct pt_attention *a) {
  return 3 * table_row(a->rpe_bound);
}

/* Lays out a thread's scratch; the shared arrays in `shared`, the rest in `own`. Either may
 * be NULL to count only. Returns the bytes. */
static int64_t lay_out(struct work *w, char *shared, char *own) {
  const struct sizes *z = &w->z;
  const struct pt_attention *a = w->a;
  int64_t at = 0;
#define PLACE(p, base, bytes)              \
  do {                                     \
    if (base) (p) = (void *)((base) + at); \
    at += round_up((bytes), 64);           \
  } while (0)
  if (z->narrow) {
    PLACE(w->narrow, shared, 3 * z->part * 2);
  } else {
    PLACE(w->q, shared, pt_floats(z->together ? z->padded * z->ld : 3 * z->part));
  }
  PLACE(w->attend, shared, z->len * a->c * (z->narrow ? 2 : 4));
  PLACE(w->coord, shared, 3 * z->padded * (int64_t)sizeof(int32_t));
  PLACE(w->norm, shared, z->len * (int64_t)sizeof *w->norm);
  PLACE(w->rows, own, pt_floats((int64_t)z->tile * pt_row_ld(a->c)));
  PLACE(w->wide, own, pt_floats(a->c));
  PLACE(w->cols, own, z->narrow ? pt_floats((int64_t)z->tile * z->group * NARROW_D) : 0);
  PLACE(w->room, own, z->narrow ? narrow_room(z->padded) : 0);
  PLACE(w->block, own, pt_floats(block_floats(z->d)));
  PLACE(w->table, own, pt_floats(table_floats(a)));
#undef PLACE
  if (shared && !z->narrow) w->k = w->q + z->part, w->v = w->k + z->part;
  return at;
}

int64_t PT_FN(pt_attention_scratch)(const struct pt_attention *a, int tile) {
  struct work w = {.a = a, .z = sizes_of(a, tile, false)};
  int64_t bytes = lay_out(&w, NULL, NULL);
  if (!may_narrow(a)) return bytes;
  /* Whether there are relative positions, and so which way it goes, is not known yet. */
  w.z = sizes_of(a, tile, true);
  int64_t narrow = lay_out(&w, NULL, NULL);
  return narrow > bytes ? narrow : bytes;
}

static void wait_for_all(const struct work *w) {
  if (w->size > 1) {
#pragma omp barrier
  }
}

/* This thread's share of n things: [*from, *to). */
static void share(const struct work *w, int64_t n, int64_t *from, int64_t *to) {
  *from = n * w->rank / w->size;
  *to = n * (w->rank + 1) / w->size;
}

/* Columns col .. col + n - 1 of xn Wqkv + b, for m rows, ld apart. */
static void columns(const struct work *w, int64_t m, struct pt_src src, int col, int n,
                    float *dst, int64_t ld) {
  const struct pt_attention *a = w->a;
  const int64_t at = col / PT_PANEL * pt_mat_panel(a->c, a->qkv.type);
  struct pt_mat b = {(const char *)a->qkv.data + at, a->c, n, a->qkv.type};
  const float *bias = a->qkv_bias ? a->qkv_bias + col : NULL;
  PT_FN(pt_gemm)(m, src, &b, pt_dst(dst, ld), bias ? PT_GEMM_BIAS : PT_GEMM_ZERO, bias);
}

/* q, k, v of the group's heads for places t .. t + m - 1 of the patch. */
static void qkv_rows(const struct work *w, int first_head, int heads, int64_t t, int64_t m,
                     struct pt_src src) {
  const struct sizes *z = &w->z;
  if (z->together) {
    columns(w, m, src, 0, 3 * w->a->c, w->q + t * z->ld, z->ld);
    return;
  }
  float *part[3] = {w->q, w->k, w->v};
  bool dense = z->ld == z->d;
  int calls = dense ? heads : 1, n = dense ? z->d : heads * z->d;
  for (int i = 0; i < 3; i++)
    for (int h = 0; h < calls; h++)
      columns(w, m, src, i * w->a->c + (first_head + h) * z->d, n,
              part[i] + h * z->head + t * z->ld, z->ld);
}

#if defined(__AVX512BF16__)
/* The same in bf16; t is a multiple of NARROW_ROWS. */
static void narrow_qkv_rows(const struct work *w, int first_head, int heads, int64_t t,
                            int64_t m, struct pt_src src) {
  const struct sizes *z = &w->z;
  const float factor = w->a->scale * LOG2_E;
  const int n = heads * NARROW_D;
  for (int i = 0; i < 3; i++) {
    columns(w, m, src, i * w->a->c + first_head * NARROW_D, n, w->cols, n);
    for (int h = 0; h < heads; h++)
      narrow_store(w->narrow + i * z->part + h * z->head + t * NARROW_D, w->cols + h * NARROW_D,
                   n, m, i == 0 ? factor : 1.0f, i == 2);
  }
}
#endif

/* Rows of the patch from place t as the matrix product reads them: in the tile, normalised
 * in pre-norm form, or where they lie. */
static struct pt_src input_rows(const struct work *w, bool first_time, int64_t t, int64_t m) {
  const struct pt_attention *a = w->a;
  const void *in = pt_attention_in(a);
  const enum pt_dtype type = a->qkv.type;
  int64_t first = w->p.first + t, ld = pt_row_ld(a->c);
  if (!a->pre_norm && (a->type == type || type == PT_F32)) {
    if (a->order) return (struct pt_src){in, a->c, a->order + first, a->type};
    return pt_src(pt_at(in, a->type, first * a->c), a->type, a->c);
  }
  for (int64_t i = 0; i < m; i++) {
    const float *x = pt_float_row(in, a->type, pt_patch_row(a, first + i), a->c, w->wide);
    void *row = pt_at_mut(w->rows, type, i * ld);
    if (!a->pre_norm) {
      pt_narrow_row(row, type, x, a->c);
      continue;
    }
    if (first_time) w->norm[t + i] = pt_row_norm(x, a->c);
    pt_normalise_row(row, type, x, a->c, a->gamma, a->beta, w->norm[t + i]);
  }
  return pt_src(w->rows, type, ld);
}

/* The last block of keys may pass the end of the patch: numbers there must be finite. */
static void clear_padding(const struct work *w) {
  const struct sizes *z = &w->z;
  int64_t from = w->p.len * z->ld, n = round_up(w->p.len, BLOCK_KEYS) * z->ld - from;
  if (w->rank != 0) return;
  if (z->narrow) {
    from = round_up(w->p.len, NARROW_ROWS) * NARROW_D;
    n = round_up(w->p.len, NARROW_KEYS) * NARROW_D - from;
    for (int i = 0; i < 3; i++)
      for (int h = 0; h < z->group; h++)
        memset(w->narrow + i * z->part + h * z->head + from, 0, (size_t)n * sizeof(uint16_t));
    return;
  }
  if (z->together) {
    memset(w->q + from, 0, (size_t)n * sizeof(float));
    return;
  }
  for (int h = 0; h < (z->ld == z->d ? z->group : 1); h++) {
    memset(w->k + h * z->head + from, 0, (size_t)n * sizeof(float));
    memset(w->v + h * z->head + from, 0, (size_t)n * sizeof(float));
  }
}

static void make_qkv(const struct work *w, int first_head, int heads) {
  int64_t from, to, unit = w->z.narrow ? NARROW_ROWS : 1;
  share(w, (w->p.len + unit - 1) / unit, &from, &to);
  from *= unit, to *= unit;
  if (to > w->p.len) to = w->p.len;
  for (int64_t t = from; t < to; t += w->z.tile) {
    int64_t m = to - t < w->z.tile ? to - t : w->z.tile;
    struct pt_src src = input_rows(w, first_head == 0, t, m);
#if defined(__AVX512BF16__)
    if (w->z.narrow) {
      narrow_qkv_rows(w, first_head, heads, t, m, src);
      continue;
    }
#endif
    qkv_rows(w, first_head, heads, t, m, src);
  }
  clear_padding(w);
}

/* The table of one head, in powers of two like the scores. */
static void take_table(const struct work *w, int head) {
  const struct pt_attention *a = w->a;
  if (!a->rpe) return;
  int64_t ld = table_row(a->rpe_bound), n = 2 * (int64_t)a->rpe_bound + 1;
  for (int64_t i = 0; i < 3 * ld; i++)
    w->table[i] = i % ld < n ? a->rpe[(i / ld * n + i % ld) * a->heads + head] * LOG2_E : 0.0f;
}

/* Grid coordinates by place; 0 from the last to the end of its block of keys. */
static void take_coords(const struct work *w) {
  const struct pt_attention *a = w->a;
  int64_t end = round_up(w->p.len, BLOCK_KEYS);
  for (int64_t i = 0; a->rpe && i < end; i++)
    for (int d = 0; d < 3; d++)
      w->coord[d * w->z.padded + i] =
          i < w->p.len ? a->coord[3 * pt_patch_row(a, w->p.first + i) + d] : 0;
}

/* Hands on what a block of queries from place i on says of head `head`. */
static void give_sums(const struct work *w, int head, int i, int queries, const float *lse) {
  for (int l = 0; w->a->lse && l < queries; l++)
    w->a->lse[pt_patch_row(w->a, w->p.first + i + l) * w->a->heads + head] = lse[l];
}

/* Attention of head h of the group, which is number `head` of all, for the queries from
 * place i on. */
static void attend_floats(const struct work *w, int h, int head, int i) {
  const struct sizes *z = &w->z;
  const struct dropout drop = dropout_of(w->a, w->p.first, head);
  float lse[LANES];
  struct block b = {
      .q = w->q + h * z->head + i * z->ld,
      .k = w->k + h * z->head,
      .v = w->v + h * z->head,
      .ld = z->ld,
      .d = z->d,
      .keys = w->p.len,
      .queries = w->p.len - i < LANES ? w->p.len - i : LANES,
      .factor = w->a->scale * LOG2_E,
      .table_ld = table_row(w->a->rpe_bound),
      .bound = w->a->rpe_bound,
      .table = w->a->rpe ? w->table : NULL,
      .coord = w->coord,
      .coord_ld = z->padded,
      .first = i,
      .drop = w->a->drop.attn > 0.0f ? &drop : NULL,
      .room = w->block,
      .out = w->attend + (int64_t)i * w->a->c + head * z->d,
      .out_ld = w->a->c,
      .lse = w->a->lse ? lse : NULL,
  };
  attend_block(&b);
  give_sums(w, head, i, b.queries, lse);
}

#if defined(__AVX512BF16__)
static void attend_narrow(const struct work *w, const struct narrow_head *n, int h, int head,
                          int i) {
  const int left = w->p.len - i, queries = left < NARROW_QUERIES ? left : NARROW_QUERIES;
  uint16_t *out = (uint16_t *)(void *)w->attend + (int64_t)i * w->a->c + head * NARROW_D;
  float lse[NARROW_QUERIES];
  narrow_attend(n, w->narrow + h * w->z.head + i * NARROW_D, queries, out, w->a->c,
                w->a->lse ? lse : NULL);
  give_sums(w, head, i, queries, lse);
}
#endif

/* Attention of the group's heads, shared out in blocks of queries, head by head. */
static void attend_heads(const struct work *w, int first_head, int heads) {
#if defined(__AVX512BF16__)
  struct narrow_head narrow; /* of head `had` */
#endif
  const int lanes = w->z.narrow ? NARROW_QUERIES : LANES;
  int first = w->p.len - w->p.own, blocks = (w->p.own + lanes - 1) / lanes, had = -1;
  int64_t from, to;
  share(w, (int64_t)heads * blocks, &from, &to);
  for (int64_t u = from; u < to; u++) {
    int h = (int)(u / blocks), i = first + (int)(u % blocks) * lanes;
#if defined(__AVX512BF16__)
    if (w->z.narrow) {
      const uint16_t *k = w->narrow + w->z.part + h * w->z.head;
      if (h != had) narrow_begin(&narrow, k, k + w->z.part, w->p.len, w->room);
      had = h;
      attend_narrow(w, &narrow, h, first_head + h, i);
      continue;
    }
#endif
    if (h != had) take_table(w, first_head + h);
    had = h;
    attend_floats(w, h, first_head + h, i);
  }
}

/* The heads' outputs of places t .. t + m - 1 as the projection reads them. Rounded ones lie
 * in the front half of their row. */
static struct pt_src attended_rows(const struct work *w, int64_t t, int64_t m) {
  const int64_t c = w->a->c;
  if (w->z.narrow) return pt_src(pt_at(w->attend, PT_BF16, t * c), PT_BF16, c);
  float *rows = w->attend + t * c;
  if (w->a->proj.type != PT_BF16) return pt_src(rows, PT_F32, c);
  for (int64_t i = 0; i < m; i++) pt_narrow_row(rows + i * c, PT_BF16, rows + i * c, c);
  return pt_src(rows, PT_BF16, 2 * c);
}

/* Hands on the heads' outputs of places t .. t + m - 1. */
static void give_attended(const struct work *w, int64_t t, int64_t m, struct pt_src rows) {
  const struct pt_attention *a = w->a;
  for (int64_t i = 0; a->o && i < m; i++) {
    void *o = pt_at_mut(a->o, a->type, pt_patch_row(a, w->p.first + t + i) * a->c);
    const void *row = pt_at(rows.base, rows.type, i * rows.ld);
    if (rows.type == a->type)
      memcpy(o, row, (size_t)(a->c * pt_feature_bytes(a->type)));
    else
      pt_narrow_row(o, a->type, row, a->c);
  }
}

/* Projection, residual and, in post-norm form, the norm of the patch's own rows. */
static void project(const struct work *w) {
  const struct pt_attention *a = w->a;
  int64_t from, to, ld = pt_row_ld(a->c), first = w->p.len - w->p.own;
  share(w, w->p.own, &from, &to);
  for (int64_t t = first + from; t < first + to; t += w->z.tile) {
    int64_t m = first + to - t < w->z.tile ? first + to - t : w->z.tile;
    const struct pt_src rows = attended_rows(w, t, m);
    give_attended(w, t, m, rows);
    PT_FN(pt_gemm)(m, rows, &a->proj, pt_dst(w->rows, ld), PT_GEMM_BIAS, a->proj_bias);
    for (int64_t i = 0; i < m; i++) {
      const int64_t r = pt_patch_row(a, w->p.first + t + i);
      const void *in = pt_at(pt_attention_in(a), a->type, r * a->c);
      void *x = pt_at_mut(a->x, a->type, r * a->c);
      float *sum = w->rows + i * ld;
      pt_drop_row(&a->drop, r, sum, a->c);
      if (a->pre_norm) {
        pt_sum_row(x, in, a->type, sum, a->c);
        continue;
      }
      pt_add_row(sum, in, a->type, a->c);
      pt_layernorm_row(x, a->type, sum, a->c, a->gamma, a->beta);
    }
  }
}

static void run_patch(struct work *w, struct pt_patch p) {
  w->p = p;
  if (w->rank == 0) take_coords(w);
  for (int h = 0; h < w->a->heads; h += w->z.group) {
    int heads = w->a->heads - h < w->z.group ? w->a->heads - h : w->z.group;
    make_qkv(w, h, heads);
    wait_for_all(w);
    attend_heads(w, h, heads);
    wait_for_all(w);
  }
  project(w);
  wait_for_all(w);
}

/* Patches from .. to - 1 of those that borrow, or of those that do not. One thread a patch
 * while there are enough of them; the rest, if it would leave many threads without work, one
 * patch after the other by all threads. */
static void run_patches(struct work *alone, struct work *team, bool borrowing, int64_t from,
                        int64_t to) {
  const struct pt_attention *a = alone->a;
  int64_t rest = (to - from) % team->size;
  if (rest * 4 > 3 * (int64_t)team->size) rest = 0;
  struct pt_patch p = {0, 0, 0};
#pragma omp for schedule(dynamic)
  for (int64_t i = from; i < to - rest; i++) {
    pt_patch_find(a, borrowing, i, &p);
    run_patch(alone, p);
  }
  for (int64_t i = to - rest; i < to; i++) {
    pt_patch_find(a, borrowing, i, &p);
    run_patch(team, p);
  }
}

void PT_FN(pt_attention)(const struct pt_attention *a, const struct pt_exec *ex) {
  bool narrow = a->qkv.type == PT_BF16 && a->proj.type == PT_BF16;
  struct sizes z = sizes_of(a, ex->tile, may_narrow(a) && narrow && !a->rpe);
  const int64_t from = ex->from, to = pt_exec_to(ex, pt_patch_find(a, false, 0, NULL));
#pragma omp parallel num_threads(ex->threads)
  {
    char *own = pt_scratch(ex);
    struct work alone = {.a = a, .z = z, .rank = 0, .size = 1};
    struct work team = {.a = a, .z = z, .rank = omp_get_thread_num()};
    team.size = omp_get_num_threads();
    lay_out(&alone, own, own);
    lay_out(&team, ex->scratch, own);
    /* Borrowing patches first: the rows they borrow are still as they came in. */
    run_patches(&alone, &team, true, pt_patch_borrowers(a, from), pt_patch_borrowers(a, to));
    run_patches(&alone, &team, false, from, to);
  }
}
