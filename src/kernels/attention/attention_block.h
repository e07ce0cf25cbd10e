/* attention_block.h - the inner loop of attention_cpu.c: PT_VW queries of one head against
 * all keys of a patch. Included by that file only.
 *
 * The softmax runs along: weights are 2^(s - m) with s the score in powers of two and m a
 * reference of the lane that follows its maximum, but only once that is more than LAG
 * ahead; then output and sum are scaled by 2^(m - m'), which is exactly 1 in the lanes whose
 * m stays. A weight is at most 2^LAG and the largest is at least 1, so nothing overflows,
 * and relative errors are those of an exact maximum. (Online softmax: Milakov and
 * Gimelshein 2018; blocks of keys: FlashAttention.) */
#ifndef PT_ATTENTION_BLOCK_H
#define PT_ATTENTION_BLOCK_H

#include <stdbool.h>

#include "vec.h"

#define LOG2_E 1.44269504088896340736f
#define LAG 16.0f
#define NOTHING (-1e30f) /* score of what is not there */

enum {
  KEYS = 8,        /* keys scored at once: so many chains of multiply-adds */
  BLOCK_KEYS = 32, /* keys between two looks at the maximum, where outputs lie in memory */
};

typedef uint32_t bits_v __attribute__((vector_size(4 * PT_VW)));
typedef int32_t int_v __attribute__((vector_size(4 * PT_VW)));

struct block {
  const float *q;     /* [queries, d], rows ld apart */
  const float *k, *v; /* [keys, d], rows ld apart, finite up to a multiple of BLOCK_KEYS */
  int64_t ld;
  int d, keys, queries;
  float factor;       /* of q: scale and log2 e */
  const float *table; /* [3, 2 bound + 1] rpe of the head times log2 e, or NULL */
  int bound;
  const int32_t *coord; /* [3, coord_ld] grid coordinates of the keys */
  int64_t coord_ld;
  int first;   /* the first query's place among the keys */
  float *room; /* [block_floats] */
  float *out;  /* [queries, d], rows out_ld apart */
  int64_t out_ld;
};

/* Queries, outputs [d, PT_VW] and scores [BLOCK_KEYS, PT_VW]. */
static inline int64_t block_floats(int d) { return (2 * (int64_t)d + BLOCK_KEYS) * PT_VW; }

/* 2^x for x <= 100, relative error below 1.2e-7 and exactly 1 for 0. Below -120 it stays at
 * 2^-120, nothing beside the largest weight. x where x is not a number. */
PT_INLINE pt_v weight_of(pt_v x) {
  const pt_v magic = pt_vset1(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
  x = pt_vmax(pt_vset1(-120.0f), x);
  pt_v t = pt_vadd(x, magic), f = pt_vsub(x, pt_vsub(t, magic));
  pt_v y = pt_vset1(0x1.470b4ap-13f);
  y = pt_vfma(y, f, pt_vset1(0x1.5f7276p-10f));
  y = pt_vfma(y, f, pt_vset1(0x1.3b270ep-7f));
  y = pt_vfma(y, f, pt_vset1(0x1.c6ae72p-5f));
  y = pt_vfma(y, f, pt_vset1(0x1.ebfbe2p-3f));
  y = pt_vfma(y, f, pt_vset1(0x1.62e432p-1f));
  y = pt_vfma(y, f, pt_vset1(1.0f));
  return (pt_v)((bits_v)y + ((bits_v)t << 23)); /* the whole number is in t's low bits */
}

/* Whether any lane of a is above b. */
PT_INLINE bool any_above(pt_v a, pt_v b) {
#if PT_VW == 16
  return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
#elif PT_VW == 8
  return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
#else
  int_v m = a > b;
  return (m[0] | m[1] | m[2] | m[3]) != 0;
#endif
}

/* The new reference: top in lanes where it is more than LAG above m. */
PT_INLINE pt_v follow(pt_v m, pt_v top) {
  int_v far = (int_v)(top > pt_vadd(m, pt_vset1(LAG)));
  return (pt_v)((far & (int_v)top) | (~far & (int_v)m));
}

/* Queries as [d, PT_VW], times factor; lanes past the last repeat it. */
PT_INLINE void take_queries(const struct block *b, float *qt, const int d) {
  for (int i = 0; i < PT_VW; i++) {
    const float *q = b->q + (i < b->queries ? i : b->queries - 1) * b->ld;
    for (int e = 0; e < d; e++) qt[e * PT_VW + i] = q[e] * b->factor;
  }
}

PT_INLINE void give_outputs(const struct block *b, const float *ot, const int d) {
  for (int i = 0; i < b->queries; i++)
    for (int e = 0; e < d; e++) b->out[i * b->out_ld + e] = ot[e * PT_VW + i];
}

/* Scores of keys j .. j + KEYS - 1. */
PT_INLINE void score(const struct block *b, const float *qt, int64_t j, const int d,
                     const int64_t ld, pt_v s[KEYS]) {
  const float *k = b->k + j * ld;
  PT_UNROLL for (int i = 0; i < KEYS; i++) s[i] = pt_vset1(0.0f);
  for (int e = 0; e < d; e++) {
    pt_v q = pt_vload(qt + e * PT_VW);
    PT_UNROLL for (int i = 0; i < KEYS; i++) s[i] = pt_vfma(q, pt_vset1(k[i * ld + e]), s[i]);
  }
}

PT_INLINE pt_v look_up(const float *table, int_v at) {
#if PT_VW == 16
  return _mm512_i32gather_ps((__m512i)at, table, 4);
#elif PT_VW == 8
  return _mm256_i32gather_ps(table, (__m256i)at, 4);
#else
  return (pt_v){table[at[0]], table[at[1]], table[at[2]], table[at[3]]};
#endif
}

/* Adds the relative position bias of KEYS keys from j on. */
static void add_bias(const struct block *b, int64_t j, pt_v s[KEYS]) {
  const int bound = b->bound;
  for (int a = 0; a < 3; a++) {
    int32_t g[PT_VW];
    for (int i = 0; i < PT_VW; i++)
      g[i] = b->coord[a * b->coord_ld + b->first + (i < b->queries ? i : b->queries - 1)];
    int_v query;
    memcpy(&query, g, sizeof query);
    for (int i = 0; i < KEYS && j + i < b->keys; i++) {
      int_v at = query - b->coord[a * b->coord_ld + j + i];
      int_v low = at<-bound, high = at> bound;
      at = (low & -bound) | (high & bound) | (~(low | high) & at);
      s[i] = pt_vadd(s[i], look_up(b->table + a * (2 * bound + 1), at + bound));
    }
  }
}

/* Keys past the last score NOTHING. */
PT_INLINE void hide_padding(const struct block *b, int64_t j, pt_v s[KEYS]) {
  if (j + KEYS <= b->keys) return;
  PT_UNROLL for (int i = 0; i < KEYS; i++) if (j + i >= b->keys) s[i] = pt_vset1(NOTHING);
}

PT_INLINE pt_v top_of(const pt_v s[KEYS]) {
  pt_v a = pt_vmax(s[0], s[1]), b = pt_vmax(s[2], s[3]);
  pt_v c = pt_vmax(s[4], s[5]), d = pt_vmax(s[6], s[7]);
  return pt_vmax(pt_vmax(a, b), pt_vmax(c, d));
}

PT_INLINE pt_v sum_of(const pt_v s[KEYS]) {
  pt_v a = pt_vadd(s[0], s[1]), b = pt_vadd(s[2], s[3]);
  pt_v c = pt_vadd(s[4], s[5]), d = pt_vadd(s[6], s[7]);
  return pt_vadd(pt_vadd(a, b), pt_vadd(c, d));
}

/* ot[e] += sum over keys of weight * v[e], for EB channels from e. */
PT_INLINE void gather_values(const struct block *b, float *ot, const float *s, int64_t j,
                             const int eb) {
  pt_v o[8];
  const float *v = b->v + j * b->ld;
  PT_UNROLL for (int e = 0; e < eb; e++) o[e] = pt_vload(ot + e * PT_VW);
  for (int i = 0; i < BLOCK_KEYS; i++, v += b->ld) {
    pt_v w = pt_vload(s + i * PT_VW);
    PT_UNROLL for (int e = 0; e < eb; e++) o[e] = pt_vfma(w, pt_vset1(v[e]), o[e]);
  }
  PT_UNROLL for (int e = 0; e < eb; e++) pt_vstore(ot + e * PT_VW, o[e]);
}

/* Any d: outputs and a block's scores lie in memory. */
PT_INLINE void attend_any(const struct block *b, const int d) {
  float *qt = b->room, *ot = qt + d * PT_VW, *buf = ot + d * PT_VW;
  pt_v m = pt_vset1(NOTHING), sum = pt_vset1(0.0f);
  take_queries(b, qt, d);
  for (int e = 0; e < d; e++) pt_vstore(ot + e * PT_VW, sum);
  for (int64_t j = 0; j < b->keys; j += BLOCK_KEYS) {
    pt_v s[KEYS], top = pt_vset1(NOTHING);
    for (int i = 0; i < BLOCK_KEYS; i += KEYS) {
      score(b, qt, j + i, d, b->ld, s);
      if (b->table) add_bias(b, j + i, s);
      hide_padding(b, j + i, s);
      top = pt_vmax(top, top_of(s));
      for (int n = 0; n < KEYS; n++) pt_vstore(buf + (i + n) * PT_VW, s[n]);
    }
    if (any_above(top, pt_vadd(m, pt_vset1(LAG)))) {
      pt_v to = follow(m, top), f = weight_of(pt_vsub(m, to));
      for (int e = 0; e < d; e++)
        pt_vstore(ot + e * PT_VW, pt_vmul(f, pt_vload(ot + e * PT_VW)));
      sum = pt_vmul(sum, f);
      m = to;
    }
    for (int i = 0; i < BLOCK_KEYS; i += KEYS) {
      for (int n = 0; n < KEYS; n++) {
        s[n] = weight_of(pt_vsub(pt_vload(buf + (i + n) * PT_VW), m));
        pt_vstore(buf + (i + n) * PT_VW, s[n]);
      }
      sum = pt_vadd(sum, sum_of(s));
    }
    int e = 0;
    struct block at = *b;
    for (; e + 8 <= d; e += 8, at.v += 8) gather_values(&at, ot + e * PT_VW, buf, j, 8);
    for (; e < d; e++, at.v++) gather_values(&at, ot + e * PT_VW, buf, j, 1);
  }
  float inv[PT_VW];
  pt_vstore(inv, sum);
  for (int i = 0; i < PT_VW; i++) inv[i] = 1.0f / inv[i];
  for (int e = 0; e < d; e++)
    pt_vstore(ot + e * PT_VW, pt_vmul(pt_vload(inv), pt_vload(ot + e * PT_VW)));
  give_outputs(b, ot, d);
}

#if PT_VW == 16
/* d = 16 with 32 registers: outputs, scores and weights never leave them. */
PT_INLINE void attend_16(const struct block *b, const bool rpe) {
  enum { D = 16 };
  float *qt = b->room, *ot = qt + D * PT_VW;
  pt_v m = pt_vset1(NOTHING), sum = pt_vset1(0.0f), o[D];
  take_queries(b, qt, D);
  PT_UNROLL for (int e = 0; e < D; e++) o[e] = sum;
  for (int64_t j = 0; j < b->keys; j += KEYS) {
    pt_v s[KEYS];
    score(b, qt, j, D, D, s);
    if (rpe) add_bias(b, j, s);
    hide_padding(b, j, s);
    pt_v top = top_of(s);
    if (__builtin_expect(any_above(top, pt_vadd(m, pt_vset1(LAG))), 0)) {
      pt_v to = follow(m, top), f = weight_of(pt_vsub(m, to));
      PT_UNROLL for (int e = 0; e < D; e++) o[e] = pt_vmul(f, o[e]);
      sum = pt_vmul(sum, f);
      m = to;
    }
    PT_UNROLL for (int i = 0; i < KEYS; i++) s[i] = weight_of(pt_vsub(s[i], m));
    sum = pt_vadd(sum, sum_of(s));
    const float *v = b->v + j * D;
    PT_UNROLL for (int i = 0; i < KEYS; i++) PT_UNROLL for (int e = 0; e < D; e++) o[e] =
        pt_vfma(s[i], pt_vset1(v[i * D + e]), o[e]);
  }
  pt_v inv = _mm512_div_ps(pt_vset1(1.0f), sum);
  PT_UNROLL for (int e = 0; e < D; e++) pt_vstore(ot + e * PT_VW, pt_vmul(inv, o[e]));
  give_outputs(b, ot, D);
}
#endif

static void attend_block(const struct block *b) {
#if PT_VW == 16
  if (b->d == 16 && b->ld == 16) {
    if (b->table)
      attend_16(b, true);
    else
      attend_16(b, false);
    return;
  }
#endif
  attend_any(b, b->d);
}

#endif
