/* attention_grad_block.h - the inner loops of attention_grad_cpu.c: one head of a patch,
 * forward again and back. Included by that file only.
 *
 * Blocks of LANES queries go over the keys three times. First scores, kept for all keys
 * [keys, LANES], and their maximum. Then weights 2^(s - top), not yet divided by their sum,
 * and outputs. With the sum known, dO is divided by it once and for all, and
 *   dP = dO V^T,  dS = P (dP - rowsum(dO O)),  dQ += dS K       (lanes: queries)
 *   dV += P^T dO,  dK += dS^T Q                                 (lanes: channels)
 * a block of keys at a time, whose P and dS are then in the first cache. Nothing is computed
 * twice: six products for one head. Lanes without a query have dO = 0 and so add nothing.
 *
 * With dropout O and dV are made from the weights that are kept, and dO is divided by the
 * chance that one is as well; dP counts for those alone, and rowsum(P dP) is still rowsum(dO
 * O). Source: FlashAttention-2 (Dao 2023), algorithm 2, with queries outside. */
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

struct head {
  struct block b; /* of a block of queries: k, v, ld, d, keys, factor, table, bound, coord */
  const float *q; /* [keys, d], rows b.ld apart */
  int own;        /* the last own places are queries */
  float scale;
  const float *dout; /* [keys, d], rows dout_ld apart; those of the own places are read */
  int64_t dout_ld;
  void *out; /* [keys, d], rows out_ld apart; those of the own places are written */
  int64_t out_ld;
  enum pt_dtype out_type;
  void *dq, *dk, *dv; /* [keys, d], rows dqkv_ld apart; NULL: only out is wanted */
  int64_t dqkv_ld;
  enum pt_dtype dqkv_type;
  float *drpe;       /* [3, 2 bound + 1], or NULL */
  const int32_t *by; /* with drpe: [3, b.coord_ld], see count_places */
  float *room;       /* [head_floats] */
};

/* Channels in whole steps of spread. */
static inline int64_t spread_row(int d) {
  return ((int64_t)d + SPREAD_V * PT_VW - 1) / (SPREAD_V * PT_VW) * (SPREAD_V * PT_VW);
}

/* Parts of the room. */
struct room {
  float *p;                   /* [padded keys, LANES] scores, then weights */
  float *ds;                  /* [BLOCK_KEYS, LANES]; in the end in the place of p, with drpe */
  float *qt, *ot, *dot, *dqt; /* [d, LANES] q, O, dO / sum and dQ */
  float *qr, *dor;            /* [LANES, spread_row] q times scale, dO / sum */
  float *dk, *dv;             /* [padded keys, spread_row] */
  float *bins;                /* [3, 2 bound + 1, LANES] */
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
  PART(p, padded * LANES);
  PART(ds, BLOCK_KEYS * LANES);
  PART(qt, lanes);
  PART(ot, lanes);
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

/* Scores of all keys into r->p, and the largest of each lane. */
PT_INLINE void all_scores(const struct block *b, const struct room *r, const int d,
                          const int64_t ld, pt_v top[NV]) {
  int32_t g[3 * LANES];
  take_queries(b, r->qt, d);
  if (b->table) take_places(b, g);
  for (int v = 0; v < NV; v++) top[v] = pt_vset1(NOTHING);
  for (int64_t j = 0; j < b->keys; j += BLOCK_KEYS)
    for (int i = 0; i < BLOCK_KEYS; i += MANY_KEYS) {
      pt_v s[MANY_KEYS * NV];
      float *to = r->p + (j + i) * LANES;
      score(b, r->qt, j + i, MANY_KEYS, d, ld, s);
      if (b->table) add_bias(b, g, j + i, MANY_KEYS, s);
      hide_padding(b, j + i, MANY_KEYS, s);
      PT_UNROLL for (int v = 0; v < NV; v++) top[v] =
          pt_vmax(top[v], top_of(s + v, MANY_KEYS, NV));
      PT_UNROLL for (int n = 0; n < MANY_KEYS * NV; n++) pt_vstore(to + n * PT_VW, s[n]);
    }
}

/* The weights of a block of keys without those that are left out; may lie in r->ds. */
PT_INLINE const float *kept_weights(const struct block *b, const struct room *r,
                                    const float *p) {
  if (!b->drop) return p;
  keep_rest(r->ds, p);
  return r->ds;
}

/* Scores become weights, negative where they are left out; their sum, and the sum of values
 * times those that are kept in r->ot. */
PT_INLINE void all_weights(const struct block *b, const struct room *r, const int d,
                           const int64_t ld, const pt_v top[NV], pt_v sum[NV]) {
  struct draws draws;
  if (b->drop) take_draws(b, &draws);
  memset(r->ot, 0, (size_t)d * LANES * sizeof *r->ot);
  for (int v = 0; v < NV; v++) sum[v] = pt_vset1(0.0f);
  for (int64_t j = 0; j < b->keys; j += BLOCK_KEYS) {
    float *p = r->p + j * LANES;
    for (int i = 0; i < BLOCK_KEYS; i += MANY_KEYS) {
      pt_v s[MANY_KEYS * NV];
      PT_UNROLL for (int n = 0; n < MANY_KEYS * NV; n++) {
        float *at = p + i * LANES + n * PT_VW;
        s[n] = weight_of(pt_vsub(pt_vload(at), top[n % NV]));
        pt_vstore(at, s[n]);
      }
      PT_UNROLL for (int v = 0; v < NV; v++) sum[v] =
          pt_vadd(sum[v], sum_of(s + v, MANY_KEYS, NV));
    }
    if (b->drop) leave_out(&draws, j, p);
    gather(b->v + j * ld, ld, r->ot, kept_weights(b, r, p), d);
  }
}

/* Divides O by the sums and gives it out; places from b->first on. */
PT_INLINE void give_out(const struct head *h, const struct block *b, const struct room *r,
                        const int d, const float *inv) {
  for (int e = 0; e < d; e++)
    for (int l = 0; l < LANES; l++) r->ot[e * LANES + l] *= inv[l];
  for (int l = 0; l < b->queries; l++)
    for (int e = 0; e < d; e++)
      pt_put(h->out, h->out_type, (b->first + l) * h->out_ld + e, r->ot[e * LANES + l]);
}

/* dO / (kept sum) both ways, q times scale by rows, and rowsum(dO O) / sum. */
PT_INLINE void take_back(const struct head *h, const struct block *b, const struct room *r,
                         const int d, const float *inv, pt_v along[NV]) {
  const int64_t row = spread_row(d);
  for (int l = 0; l < LANES; l++) {
    const bool there = l < b->queries;
    const float *g = h->dout + (b->first + (there ? l : 0)) * h->dout_ld;
    const float *q = b->q + (there ? l : 0) * b->ld;
    for (int e = 0; e < row; e++) {
      const bool number = there && e < d;
      r->dor[l * row + e] = number ? g[e] * inv[l] : 0.0f;
      r->qr[l * row + e] = number ? q[e] * h->scale : 0.0f;
    }
  }
  for (int e = 0; e < d; e++)
    for (int l = 0; l < LANES; l++) r->dot[e * LANES + l] = r->dor[l * row + e];
  for (int v = 0; v < NV; v++) along[v] = pt_vset1(0.0f);
  for (int e = 0; e < d; e++)
    for (int v = 0; v < NV; v++)
      along[v] = pt_vfma(pt_vload(r->dot + e * LANES + v * PT_VW),
                         pt_vload(r->ot + e * LANES + v * PT_VW), along[v]);
  for (int v = 0; v < NV; v++) along[v] = pt_vmul(along[v], pt_vset1(kept_of(b)));
}

/* dS of a block of keys, where dO V^T counts for nothing in weights that are left out. */
PT_INLINE void leave_out_back(float *ds, const float *p, const pt_v along[NV]) {
  for (int n = 0; n < BLOCK_KEYS * NV; n++) {
    const pt_v weight = pt_vload(p + n * PT_VW), had = pt_vload(ds + n * PT_VW);
    const int_v left = (int_v)(weight < pt_vset1(0.0f));
    const int_v to = (left & (int_v)pt_vmul(weight, along[n % NV])) | (~left & (int_v)had);
    pt_vstore(ds + n * PT_VW, (pt_v)to);
  }
}

/* dQ of the block of queries, and what it adds to dK and dV. */
PT_INLINE void all_back(const struct head *h, const struct block *b, const struct room *r,
                        const int d, const int64_t ld, const pt_v along[NV]) {
  const int64_t row = spread_row(d);
  memset(r->dqt, 0, (size_t)d * LANES * sizeof *r->dqt);
  for (int64_t j = 0; j < b->keys; j += BLOCK_KEYS) {
    float *p = r->p + j * LANES;
    spread(r->dv + j * row, kept_weights(b, r, p), r->dor, row);
    for (int i = 0; i < BLOCK_KEYS; i += MANY_KEYS) {
      pt_v s[MANY_KEYS * NV];
      PT_UNROLL for (int n = 0; n < MANY_KEYS * NV; n++) s[n] =
          pt_vsub(pt_vset1(0.0f), along[n % NV]);
      dots(b->v + (j + i) * ld, ld, r->dot, MANY_KEYS, d, s);
      PT_UNROLL for (int n = 0; n < MANY_KEYS * NV; n++) {
        const int64_t at = i * LANES + n * PT_VW;
        pt_vstore(r->ds + at, pt_vmul(pt_vload(p + at), s[n]));
      }
    }
    if (b->drop) leave_out_back(r->ds, p, along);
    gather(b->k + j * ld, ld, r->dqt, r->ds, d);
    spread(r->dk + j * row, r->ds, r->qr, row);
    if (h->drpe) memcpy(p, r->ds, BLOCK_KEYS * LANES * sizeof *p);
  }
  if (h->drpe) count_places(b, h->by, r->p, r->bins);
  for (int l = 0; l < b->queries; l++)
    for (int e = 0; e < d; e++)
      pt_put(h->dq, h->dqkv_type, (b->first + l) * h->dqkv_ld + e,
             r->dqt[e * LANES + l] * h->scale);
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

/* d and ld are constants for the usual d. */
PT_INLINE void back_any(const struct head *h, const struct room *r, const int d,
                        const int64_t ld) {
  for (int i = h->b.keys - h->own; i < h->b.keys; i += LANES) {
    struct block b = h->b;
    pt_v top[NV], sum[NV], along[NV];
    float inv[LANES];
    b.q = h->q + i * ld;
    b.first = i;
    b.queries = h->b.keys - i < LANES ? h->b.keys - i : LANES;
    all_scores(&b, r, d, ld, top);
    all_weights(&b, r, d, ld, top, sum);
    for (int v = 0; v < NV; v++) pt_vstore(inv + v * PT_VW, sum[v]);
    for (int l = 0; l < LANES; l++) inv[l] = 1.0f / (kept_of(&b) * inv[l]);
    give_out(h, &b, r, d, inv);
    if (!h->dq) continue;
    take_back(h, &b, r, d, inv, along);
    all_back(h, &b, r, d, ld, along);
  }
}

static void head_back(const struct head *h) {
  struct room r;
  const int64_t padded = (h->b.keys + BLOCK_KEYS - 1) / BLOCK_KEYS * BLOCK_KEYS;
  const int64_t sums = padded * spread_row(h->b.d);
  room_of(&r, h->room, h->b.d, padded, h->b.bound);
  if (h->dq) {
    memset(r.dk, 0, (size_t)sums * sizeof *r.dk);
    memset(r.dv, 0, (size_t)sums * sizeof *r.dv);
  }
  if (h->drpe) memset(r.bins, 0, 3 * (size_t)(2 * h->b.bound + 1) * LANES * sizeof *r.bins);
  if (h->b.d == 16 && h->b.ld == 16)
    back_any(h, &r, 16, 16);
  else
    back_any(h, &r, h->b.d, h->b.ld);
  if (h->dq) give_sums(h, &r);
}

#endif
