/* attention_grad_block.h - the inner loops of attention_grad_cpu.c: one head of a patch, back.
 * Included by that file only.
 *
 * Blocks of LANES queries go over the keys once. The forward op has left the log of each
 * query's sum of weights, so a weight is made anew, divided by the sum, from its score alone;
 * and its output O, so that rowsum(P dP) = rowsum(dO O) is known before. For a block of keys,
 * whose P and dS lie in the first cache:
 *
 *   P = 2^(S - lse),  dP = dO V^T,  dS = P (dP - rowsum(dO O)),
 *   dQ += dS K (lanes: queries),  dV += P^T dO,  dK += dS^T Q (lanes: channels)
 *
 * Lanes without a query have P = 0 and so add nothing.
 *
 * With dropout dV is made from the weights that are kept, and dO is divided by the chance that
 * one is; dP counts for those alone, and rowsum(P dP) is still rowsum(dO O).
 * Source: FlashAttention-2 (Dao 2023), algorithm 2, with queries outside. */
#ifndef PT_ATTENTION_GRAD_BLOCK_H
#define PT_ATTENTION_GRAD_BLOCK_H

#include "attention_drop.h"
#include "attention_grad_places.h"
#include "rows_cpu.h"

#if PT_VW == 16
enum { MANY_KEYS = 12, SPREAD_KEYS = 12, SPREAD_V = 1, MANY_CHANNELS = 16 };
#else
enum { MANY_KEYS = KEYS, SPREAD_KEYS = 6, SPREAD_V = 2, MANY_CHANNELS = CHANNELS };
#endif
_Static_assert(BLOCK_KEYS % MANY_KEYS == 0 && BLOCK_KEYS % SPREAD_KEYS == 0, "whole steps");

/* One head of a patch. Arrays of queries: the last own places are read, or written. */
struct head {
  struct block b; /* of a block of queries: k, v, ld, d, keys, factor, table, bound, coord */
  const float *q; /* [keys, d], rows b.ld apart */
  int own;        /* the last own places are queries */
  float scale;
  const float *dout; /* [keys, d], rows dout_ld apart */
  int64_t dout_ld;
  const float *start; /* [keys] - lse */
  const float *along; /* [keys] - rowsum(dO O) */
  void *dq, *dk, *dv; /* [keys, d], rows dqkv_ld apart */
  int64_t dqkv_ld;
  enum pt_dtype dqkv_type;
  float *drpe;       /* [3, 2 bound + 1], or NULL */
  const int32_t *by; /* with drpe: [3, b.coord_ld], see count_places */
  float *room;       /* [room_of] */
};

/* Channels in whole steps of spread. */
static inline int64_t spread_row(int d) {
  return ((int64_t)d + SPREAD_V * PT_VW - 1) / (SPREAD_V * PT_VW) * (SPREAD_V * PT_VW);
}

/* Parts of the room. */
struct room {
  float *p;              /* [BLOCK_KEYS, LANES] weights, negative where they are left out */
  float *kept;           /* [BLOCK_KEYS, LANES] with dropout: those that are kept */
  float *ds;             /* [padded keys, LANES]; the first block alone without drpe */
  float *qt, *dot, *dqt; /* [d, LANES] q, dO and dQ */
  float *qr, *dor;       /* [LANES, spread_row] q times scale, dO */
  float *dk, *dv;        /* [padded keys, spread_row] */
  float *bins;           /* [3, 2 bound + 1, LANES] */
};

/* Lays out the room at `at`, or only counts its floats where that is NULL. */
static int64_t room_of(struct room *r, float *at, int d, int64_t padded, int bound) {
  const int64_t row = spread_row(d), lanes = (int64_t)d * LANES;
  int64_t n = 0;
#define PART(p, floats)          \
  do {                           \
    (r)->p = at ? at + n : NULL; \
    n += (floats);               \
  } while (0)
  PART(p, BLOCK_KEYS * LANES);
  PART(kept, BLOCK_KEYS * LANES);
  PART(ds, padded * LANES);
  PART(qt, lanes);
  PART(dot, lanes);
  PART(dqt, lanes);
  PART(qr, LANES * row);
  PART(dor, LANES * row);
  PART(dk, padded * row);
  PART(dv, padded * row);
  PART(bins, 3 * (2 * (int64_t)bound + 1) * LANES);
#undef PART
  return n;
}

/* s [keys, NV] += the products of t [d, LANES] with rows [keys, d]. */
PT_INLINE void dots(const float *rows, int64_t ld, const float *t, const int keys, const int d,
                    pt_v *s) {
  for (int e = 0; e < d; e++) {
    pt_v q[NV];
    PT_UNROLL for (int v = 0; v < NV; v++) q[v] = pt_vload(t + e * LANES + v * PT_VW);
    PT_UNROLL for (int i = 0; i < keys; i++) {
      const pt_v x = pt_vset1(rows[i * ld + e]);
      PT_UNROLL for (int v = 0; v < NV; v++) s[i * NV + v] = pt_vfma(q[v], x, s[i * NV + v]);
    }
  }
}

/* sum [n, LANES] += over a block of keys: weight [BLOCK_KEYS, LANES] times rows [., n]. */
PT_INLINE void gather_some(const float *rows, int64_t ld, float *sum, const float *weight,
                           const int n) {
  pt_v o[MANY_CHANNELS * NV];
  PT_UNROLL for (int i = 0; i < n * NV; i++) o[i] = pt_vload(sum + i * PT_VW);
  for (int i = 0; i < BLOCK_KEYS; i++, rows += ld, weight += LANES) {
    pt_v w[NV];
    PT_UNROLL for (int v = 0; v < NV; v++) w[v] = pt_vload(weight + v * PT_VW);
    PT_UNROLL for (int e = 0; e < n; e++) {
      const pt_v x = pt_vset1(rows[e]);
      PT_UNROLL for (int v = 0; v < NV; v++) o[e * NV + v] = pt_vfma(w[v], x, o[e * NV + v]);
    }
  }
  PT_UNROLL for (int i = 0; i < n * NV; i++) pt_vstore(sum + i * PT_VW, o[i]);
}

PT_INLINE void gather(const float *rows, int64_t ld, float *sum, const float *weight,
                      const int d) {
  int e = 0;
  for (; e + MANY_CHANNELS <= d; e += MANY_CHANNELS)
    gather_some(rows + e, ld, sum + e * LANES, weight, MANY_CHANNELS);
  for (; e < d; e++) gather_some(rows + e, ld, sum + e * LANES, weight, 1);
}

/* sum [BLOCK_KEYS, row] += weight [BLOCK_KEYS, LANES] times rows [LANES, row]: every number one
 * chain over the lanes. */
PT_INLINE void spread(float *sum, const float *weight, const float *rows, const int64_t row) {
  for (int64_t e = 0; e < row; e += SPREAD_V * PT_VW)
    for (int j = 0; j < BLOCK_KEYS; j += SPREAD_KEYS) {
      pt_v s[SPREAD_KEYS * SPREAD_V];
      float *at = sum + j * row + e;
      const float *w = weight + j * LANES;
      PT_UNROLL for (int i = 0; i < SPREAD_KEYS * SPREAD_V; i++) s[i] =
          pt_vload(at + i / SPREAD_V * row + i % SPREAD_V * PT_VW);
      for (int l = 0; l < LANES; l++) {
        pt_v x[SPREAD_V];
        PT_UNROLL for (int v = 0; v < SPREAD_V; v++) x[v] =
            pt_vload(rows + l * row + e + v * PT_VW);
        PT_UNROLL for (int i = 0; i < SPREAD_KEYS; i++) {
          const pt_v f = pt_vset1(w[i * LANES + l]);
          PT_UNROLL for (int v = 0; v < SPREAD_V; v++) s[i * SPREAD_V + v] =
              pt_vfma(f, x[v], s[i * SPREAD_V + v]);
        }
      }
      PT_UNROLL for (int i = 0; i < SPREAD_KEYS * SPREAD_V; i++)
          pt_vstore(at + i / SPREAD_V * row + i % SPREAD_V * PT_VW, s[i]);
    }
}

/* A block of queries: what is the same for all keys. */
struct queries {
  struct block b;
  pt_v start[NV], along[NV]; /* start: NOTHING where there is no query */
  int32_t g[3 * LANES];      /* with relative positions: see take_places */
  struct draws draws;        /* with dropout */
};

/* The queries from place i on: theirs, dO both ways and q times scale by rows. */
PT_INLINE void take_block(const struct head *h, const struct room *r, int i, const int d,
                          struct queries *q) {
  const int64_t row = spread_row(d);
  const float inv = 1.0f / kept_of(&h->b);
  float start[LANES], along[LANES];
  struct block *b = &q->b;
  *b = h->b;
  b->q = h->q + i * b->ld;
  b->first = i;
  b->queries = b->keys - i < LANES ? b->keys - i : LANES;
  for (int l = 0; l < LANES; l++) {
    const bool there = l < b->queries;
    const float *g = h->dout + (i + (there ? l : 0)) * h->dout_ld;
    const float *x = b->q + (there ? l : 0) * b->ld;
    start[l] = there ? h->start[i + l] : NOTHING;
    along[l] = there ? h->along[i + l] : 0.0f;
    for (int e = 0; e < row; e++) {
      const bool number = there && e < d;
      r->dor[l * row + e] = number ? g[e] * inv : 0.0f;
      r->qr[l * row + e] = number ? x[e] * h->scale : 0.0f;
    }
  }
  for (int e = 0; e < d; e++)
    for (int l = 0; l < LANES; l++) r->dot[e * LANES + l] = r->dor[l * row + e];
  for (int v = 0; v < NV; v++) {
    q->start[v] = pt_vload(start + v * PT_VW);
    q->along[v] = pt_vload(along + v * PT_VW);
  }
  take_queries(b, r->qt, d);
  if (b->table) take_places(b, q->g);
  if (b->drop) take_draws(b, &q->draws);
}

/* Weights of the keys from j on into r->p. */
PT_INLINE void weigh(const struct queries *q, const struct room *r, int64_t j, const int d,
                     const int64_t ld) {
  const struct block *b = &q->b;
  for (int i = 0; i < BLOCK_KEYS; i += MANY_KEYS) {
    pt_v s[MANY_KEYS * NV];
    score(b, r->qt, j + i, MANY_KEYS, d, ld, s);
    if (b->table) add_bias(b, q->g, j + i, MANY_KEYS, s);
    hide_padding(b, j + i, MANY_KEYS, s);
    PT_UNROLL for (int n = 0; n < MANY_KEYS * NV; n++)
        pt_vstore(r->p + i * LANES + n * PT_VW, weight_of(pt_vadd(s[n], q->start[n % NV])));
  }
  if (b->drop) leave_out(&q->draws, j, r->p), keep_rest(r->kept, r->p);
}

/* dS of a block of keys, where dO V^T counts for nothing in weights that are left out. */
PT_INLINE void leave_out_back(float *ds, const float *p, const pt_v along[NV]) {
  for (int n = 0; n < BLOCK_KEYS * NV; n++) {
    const pt_v weight = pt_vload(p + n * PT_VW), had = pt_vload(ds + n * PT_VW);
    const int_v left = (int_v)(weight < pt_vset1(0.0f));
    const pt_v none = pt_vmul(pt_vsub(pt_vset1(0.0f), weight), along[n % NV]);
    const int_v to = (left & (int_v)none) | (~left & (int_v)had);
    pt_vstore(ds + n * PT_VW, (pt_v)to);
  }
}

/* ds of the keys from j on. */
PT_INLINE void weigh_back(const struct queries *q, const struct room *r, int64_t j, const int d,
                          const int64_t ld, float *ds) {
  for (int i = 0; i < BLOCK_KEYS; i += MANY_KEYS) {
    pt_v s[MANY_KEYS * NV];
    PT_UNROLL for (int n = 0; n < MANY_KEYS * NV; n++) s[n] = q->along[n % NV];
    dots(q->b.v + (j + i) * ld, ld, r->dot, MANY_KEYS, d, s);
    PT_UNROLL for (int n = 0; n < MANY_KEYS * NV; n++) {
      const int64_t at = i * LANES + n * PT_VW;
      pt_vstore(ds + at, pt_vmul(pt_vload(r->p + at), s[n]));
    }
  }
  if (q->b.drop) leave_out_back(ds, r->p, q->along);
}

/* dQ of a block of queries, and what it adds to dK and dV. d and ld are constants for the usual
 * d. */
PT_INLINE void block_back(const struct head *h, const struct room *r, int at, const int d,
                          const int64_t ld) {
  const int64_t row = spread_row(d);
  struct queries q;
  take_block(h, r, at, d, &q);
  const struct block *b = &q.b;
  memset(r->dqt, 0, (size_t)d * LANES * sizeof *r->dqt);
  for (int64_t j = 0; j < b->keys; j += BLOCK_KEYS) {
    float *ds = h->drpe ? r->ds + j * LANES : r->ds;
    weigh(&q, r, j, d, ld);
    spread(r->dv + j * row, b->drop ? r->kept : r->p, r->dor, row);
    weigh_back(&q, r, j, d, ld, ds);
    gather(b->k + j * ld, ld, r->dqt, ds, d);
    spread(r->dk + j * row, ds, r->qr, row);
  }
  if (h->drpe) count_places(b, q.g, h->by, r->ds, r->bins);
  for (int l = 0; l < b->queries; l++)
    for (int e = 0; e < d; e++)
      pt_put(h->dq, h->dqkv_type, (at + l) * h->dqkv_ld + e, r->dqt[e * LANES + l] * h->scale);
}

/* What was summed over all queries; dQ of places that are not own. */
static void give_sums(const struct head *h, const struct room *r) {
  const int64_t row = spread_row(h->b.d), bins = 3 * (2 * (int64_t)h->b.bound + 1);
  const enum pt_dtype type = h->dqkv_type;
  const size_t bytes = (size_t)(h->b.d * pt_feature_bytes(type));
  for (int64_t j = 0; j < h->b.keys; j++) {
    pt_narrow_row(pt_at_mut(h->dk, type, j * h->dqkv_ld), type, r->dk + j * row, h->b.d);
    pt_narrow_row(pt_at_mut(h->dv, type, j * h->dqkv_ld), type, r->dv + j * row, h->b.d);
    if (j < h->b.keys - h->own) memset(pt_at_mut(h->dq, type, j * h->dqkv_ld), 0, bytes);
  }
  for (int64_t i = 0; h->drpe && i < bins; i++) {
    float sum = 0.0f;
    for (int l = 0; l < LANES; l++) sum += r->bins[i * LANES + l];
    h->drpe[i] = sum;
  }
}

static void head_back(const struct head *h) {
  struct room r;
  const int d = h->b.d;
  const int64_t padded = (h->b.keys + BLOCK_KEYS - 1) / BLOCK_KEYS * BLOCK_KEYS;
  const size_t sums = (size_t)(padded * spread_row(d)) * sizeof(float);
  room_of(&r, h->room, d, padded, h->b.bound);
  memset(r.dk, 0, sums);
  memset(r.dv, 0, sums);
  if (h->drpe) memset(r.bins, 0, 3 * (size_t)(2 * h->b.bound + 1) * LANES * sizeof *r.bins);
  for (int i = h->b.keys - h->own; i < h->b.keys; i += LANES)
    if (d == 16 && h->b.ld == 16)
      block_back(h, &r, i, 16, 16);
    else
      block_back(h, &r, i, d, h->b.ld);
  give_sums(h, &r);
}

#endif
