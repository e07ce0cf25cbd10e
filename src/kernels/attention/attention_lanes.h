/* attention_lanes.h - scores of queries that lie along the lanes of vectors: what
 * attention_block.h and the backward pass have in common. Included by *_cpu.c files only.
 *
 * A vector holds one number of PT_VW queries; scores are powers of two. */
#ifndef PT_ATTENTION_LANES_H
#define PT_ATTENTION_LANES_H

#include <math.h>
#include <stdbool.h>

#include "transpose.h"
#include "vec.h"

#define LOG2_E 1.44269504088896340736f
#define NOTHING (-1e30f) /* score of what is not there */

/* Queries are taken NV vectors at a time: a broadcast number of a key then serves NV
 * multiply-adds. KEYS x NV scores, and CHANNELS x NV outputs, are in the making at once: 8
 * chains of multiply-adds at least, as many as the registers hold at best. */
#if PT_VW == 16
enum { NV = 1, KEYS = 8, CHANNELS = 8 };
#else
enum { NV = 2, KEYS = 6, CHANNELS = 4 };
#endif
enum {
  LANES = NV * PT_VW,
  BLOCK_KEYS = 24, /* keys between two looks at the maximum, where outputs lie in memory */
  STEP = 12,       /* the same for attend_16, where they do not */
};
_Static_assert(BLOCK_KEYS % KEYS == 0 && BLOCK_KEYS % STEP == 0, "blocks are whole steps");

typedef uint32_t bits_v __attribute__((vector_size(4 * PT_VW)));
typedef int32_t int_v __attribute__((vector_size(4 * PT_VW)));

struct dropout;
struct block {
  const float *q;     /* [queries, d], rows ld apart */
  const float *k, *v; /* [keys, d], rows ld apart, finite up to a multiple of BLOCK_KEYS */
  int64_t ld;
  int d, keys, queries; /* queries <= LANES */
  float factor;         /* of q: scale and log2 e */
  const float *table;   /* [3, table_ld] rpe of the head times log2 e, or NULL */
  int64_t table_ld;     /* see table_row */
  int bound;            /* 2 bound + 1 numbers of a row of the table are the op's */
  const int32_t *coord; /* [3, coord_ld] grid coordinates of the keys, and 0 up to a
                         * multiple of BLOCK_KEYS */
  int64_t coord_ld;
  int first;                  /* the first query's place among the keys */
  const struct dropout *drop; /* of the weights, see attention_drop.h, or NULL */
  float *room;                /* [block_floats] */
  float *out;                 /* [queries, d], rows out_ld apart */
  int64_t out_ld;
  float *lse; /* [LANES] out: log2 of the sum of 2^score, or NULL */
};

enum { TABLE_LD = 64 };
/* Floats from axis to axis of the table: TABLE_LD where that is enough. */
static inline int64_t table_row(int bound) {
  int64_t n = 2 * (int64_t)bound + 1;
  return n <= TABLE_LD ? TABLE_LD : n;
}

/* 2^x for x <= 100, relative error below 2e-7 and exactly 1 for 0; x where x is not a number.
 * Where there is no instruction for the power it stays at 2^-120 below -120, which is nothing
 * beside the largest weight. The polynomial is our own minimax fit of 2^f on [0, 1] with
 * value 1 at 0 (relative error 9.4e-8 before rounding). */
PT_INLINE pt_v weight_of(pt_v x) {
#if PT_VW == 16
  pt_v f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
  const pt_v magic = pt_vset1(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
  x = pt_vmax(pt_vset1(-120.0f), x);
  pt_v t = pt_vadd(pt_vsub(x, pt_vset1(0.5f)), magic), f = pt_vsub(x, pt_vsub(t, magic));
#endif
  pt_v y = pt_vset1(0x1.e974fap-10f);
  y = pt_vfma(y, f, pt_vset1(0x1.277856p-7f));
  y = pt_vfma(y, f, pt_vset1(0x1.c91ce6p-5f));
  y = pt_vfma(y, f, pt_vset1(0x1.ebdb56p-3f));
  y = pt_vfma(y, f, pt_vset1(0x1.62e4bap-1f));
  y = pt_vfma(y, f, pt_vset1(1.0f));
#if PT_VW == 16
  return _mm512_scalef_ps(y, x);
#else
  return (pt_v)((bits_v)y + ((bits_v)t << 23)); /* the whole number is in t's low bits */
#endif
}

#if defined(__AVX512BF16__)
/* 2^s, to be rounded to bf16 by dropping the lower half: 2^-8, half the last place of the
 * numbers from 1 to 2, is in the constant term. The polynomial is our own minimax fit on
 * [0, 1], relative error 7.5e-5. */
PT_INLINE __m512i power_to_cut(pt_v s) {
  pt_v f = _mm512_reduce_ps(s, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  pt_v y = pt_vset1(0x1.3f96acp-4f);
  y = pt_vfma(y, f, pt_vset1(0x1.cefc50p-3f));
  y = pt_vfma(y, f, pt_vset1(0x1.64444ap-1f));
  y = pt_vfma(y, f, pt_vset1(0x1.fff634p-1f + 0x1p-8f));
  return (__m512i)_mm512_scalef_ps(y, s);
}

/* The upper halves of both, a's in the low half: two numbers of bf16 in 32 bits. */
PT_INLINE __m512i pair_of(__m512i a, __m512i b) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(a, 16), b);
}
#endif

/* Queries as [d, LANES], times factor; lanes past the last repeat it. */
PT_INLINE void take_queries(const struct block *b, float *qt, const int d) {
  for (int i = 0; i < LANES; i++) {
    const float *q = b->q + (i < b->queries ? i : b->queries - 1) * b->ld;
    for (int e = 0; e < d; e++) qt[e * LANES + i] = q[e] * b->factor;
  }
}

/* Grid coordinates of the queries, plus bound: g [3, LANES]. */
PT_INLINE void take_places(const struct block *b, int32_t *g) {
  for (int a = 0; a < 3; a++)
    for (int i = 0; i < LANES; i++)
      g[a * LANES + i] =
          b->coord[a * b->coord_ld + b->first + (i < b->queries ? i : b->queries - 1)] +
          b->bound;
}

/* Distances held to 0 .. top. */
PT_INLINE int_v held(int_v at, int32_t top) {
#if PT_VW == 16
  __m512i low = _mm512_max_epi32((__m512i)at, _mm512_setzero_si512());
  return (int_v)_mm512_min_epi32(low, _mm512_set1_epi32(top));
#elif PT_VW == 8
  __m256i low = _mm256_max_epi32((__m256i)at, _mm256_setzero_si256());
  return (int_v)_mm256_min_epi32(low, _mm256_set1_epi32(top));
#else
  int_v high = at > top;
  at = (high & top) | (~high & at);
  return at & (at > 0);
#endif
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

/* Adds the relative position bias of one axis to s [keys, NV] of the keys from j on; g is
 * the axis's [LANES] from take_places. */
PT_INLINE void add_axis(const struct block *b, const float *table, const int32_t *coord,
                        const int32_t *g, int64_t j, int keys, pt_v *s) {
  int_v query[NV];
  memcpy(query, g, sizeof query);
  for (int i = 0; i < keys && j + i < b->keys; i++)
    for (int v = 0; v < NV; v++)
      s[i * NV + v] =
          pt_vadd(s[i * NV + v], look_up(table, held(query[v] - coord[j + i], 2 * b->bound)));
}

#if PT_VW == 16
/* The same with an axis's table, 64 numbers, in four registers: a gather costs the
 * processor a load for every lane, a permutation of two registers one step. */
PT_INLINE void add_axis_64(const struct block *b, const float *table, const int32_t *coord,
                           const int32_t *g, int64_t j, int keys, pt_v *s) {
  const pt_v t0 = pt_vload(table), t1 = pt_vload(table + 16);
  const pt_v t2 = pt_vload(table + 32), t3 = pt_vload(table + 48);
  int_v query;
  memcpy(&query, g, sizeof query);
  for (int i = 0; i < keys; i++) {
    __m512i at = (__m512i)held(query - coord[j + i], 2 * b->bound);
    pt_v low = _mm512_permutex2var_ps(t0, at, t1), high = _mm512_permutex2var_ps(t2, at, t3);
    __mmask16 upper = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
    s[i] = pt_vadd(s[i], _mm512_mask_blend_ps(upper, low, high));
  }
}
#endif

static inline void add_bias(const struct block *b, const int32_t *g, int64_t j, int keys,
                            pt_v *s) {
  for (int a = 0; a < 3; a++) {
    const float *table = b->table + a * b->table_ld;
    const int32_t *coord = b->coord + a * b->coord_ld;
#if PT_VW == 16
    if (b->table_ld == TABLE_LD) {
      add_axis_64(b, table, coord, g + a * LANES, j, keys, s);
      continue;
    }
#endif
    add_axis(b, table, coord, g + a * LANES, j, keys, s);
  }
}

/* Keys past the last score NOTHING. */
PT_INLINE void hide_padding(const struct block *b, int64_t j, const int keys, pt_v *s) {
  if (j + keys <= b->keys) return;
  PT_UNROLL for (int i = 0; i < keys; i++) {
    if (j + i < b->keys) continue;
    PT_UNROLL for (int v = 0; v < NV; v++) s[i * NV + v] = pt_vset1(NOTHING);
  }
}

/* Maximum and sum of n vectors, stride apart, by a tree. */
PT_INLINE pt_v top_of(const pt_v *s, const int n, const int stride) {
  pt_v t[16];
  PT_UNROLL for (int i = 0; i < n; i++) t[i] = s[i * stride];
  PT_UNROLL for (int w = 1; w < n; w *= 2) PT_UNROLL for (int i = 0; i + w < n; i += 2 * w)
      t[i] = pt_vmax(t[i], t[i + w]);
  return t[0];
}

PT_INLINE pt_v sum_of(const pt_v *s, const int n, const int stride) {
  pt_v t[16];
  PT_UNROLL for (int i = 0; i < n; i++) t[i] = s[i * stride];
  PT_UNROLL for (int w = 1; w < n; w *= 2) PT_UNROLL for (int i = 0; i + w < n; i += 2 * w)
      t[i] = pt_vadd(t[i], t[i + w]);
  return t[0];
}

/* lse [16 or LANES] = log2 of sums of 2^score, from sums of 2^(score - m); or NULL. */
PT_INLINE void give_lse(float *lse, const pt_v *m, const pt_v *sum, const int vectors) {
  float top[LANES], all[LANES];
  if (!lse) return;
  for (int v = 0; v < vectors; v++) {
    pt_vstore(top + v * PT_VW, m[v]);
    pt_vstore(all + v * PT_VW, sum[v]);
  }
  for (int i = 0; i < vectors * PT_VW; i++) lse[i] = top[i] + log2f(all[i]);
}

/* s [keys, NV]: scores of keys j, j + 1, ... The loop over channels stays a loop: unrolled,
 * the compiler reorders it for the worse. */
PT_INLINE void score(const struct block *b, const float *qt, int64_t j, const int keys,
                     const int d, const int64_t ld, pt_v *s) {
  const float *k = b->k + j * ld;
  PT_UNROLL for (int i = 0; i < keys * NV; i++) s[i] = pt_vset1(0.0f);
  for (int e = 0; e < d; e++) {
    pt_v q[NV];
    PT_UNROLL for (int v = 0; v < NV; v++) q[v] = pt_vload(qt + e * LANES + v * PT_VW);
    PT_UNROLL for (int i = 0; i < keys; i++) {
      pt_v x = pt_vset1(k[i * ld + e]);
      PT_UNROLL for (int v = 0; v < NV; v++) s[i * NV + v] = pt_vfma(q[v], x, s[i * NV + v]);
    }
  }
}

/* ot[e] += sum over a block of keys of weight * v[e], for n channels. */
PT_INLINE void gather_values(const float *v, int64_t ld, float *ot, const float *s,
                             const int n) {
  pt_v o[CHANNELS * NV];
  PT_UNROLL for (int i = 0; i < n * NV; i++) o[i] = pt_vload(ot + i * PT_VW);
  for (int i = 0; i < BLOCK_KEYS; i++, v += ld, s += LANES) {
    pt_v w[NV];
    PT_UNROLL for (int u = 0; u < NV; u++) w[u] = pt_vload(s + u * PT_VW);
    PT_UNROLL for (int e = 0; e < n; e++) {
      pt_v x = pt_vset1(v[e]);
      PT_UNROLL for (int u = 0; u < NV; u++) o[e * NV + u] = pt_vfma(w[u], x, o[e * NV + u]);
    }
  }
  PT_UNROLL for (int i = 0; i < n * NV; i++) pt_vstore(ot + i * PT_VW, o[i]);
}

#endif
