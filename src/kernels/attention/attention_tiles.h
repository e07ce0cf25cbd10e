/* attention_tiles.h - one head of 16 channels of a patch in bf16 by the products of tiles.h:
 * what attention with AMX and the backward pass in bf16 have in common. Included by *_cpu.c
 * files only.
 *
 * Queries come 32 and keys 64 at a time, and a score's row is its key, so that a vector holds
 * 16 queries: S^T = K Q^T - m;   P^T = 2^(S^T);   O^T += V^T P^T Queries are multiplied by
 * scale and log2 e before they are rounded, so scores are powers of two. A weight is 2^s
 * rounded to bf16; output and the sum of weights, both single precision, are made from the same
 * rounded weights. Weights of two keys, one in the low and one in the high half of 32 bits, are
 * what the product with V^T reads.
 *
 * m is 0 while a bound on the scores, the sum of |q[e]| max |k[e]|, is at most BOUND: then the
 * weights of any patch fit a float as they are. Else it is each query's largest score, for
 * which all scores are computed once more. */
#ifndef PT_ATTENTION_TILES_H
#define PT_ATTENTION_TILES_H

#include "attention_lanes.h"
#include "tiles.h"

#if defined(PT_TILES)

enum {
  HEAD = 16,                 /* channels of a head */
  Q_WIDE = 32,               /* queries at a time: two vectors */
  K_BLOCK = 64,              /* keys at a time */
  Q_PANEL = 8 * 16 * 2,      /* numbers of 16 queries in pairs of channels */
  P_PANEL = K_BLOCK / 2 * 32 /* of 16 queries' weights in pairs of keys */
};
#define BOUND 64.0f

/* Keys in whole blocks. */
static inline int64_t tile_padded(int64_t n) { return (n + K_BLOCK - 1) / K_BLOCK * K_BLOCK; }

/* ---- layouts ---- */

/* Rows [16, 16] in pairs of channels [8, 16, 2]: lane i of pair e holds numbers 2 e and
 * 2 e + 1 of row i. Row i and row i + 8 share a register, so three of the four steps of a
 * transposition are left. */
static __attribute__((noinline, unused)) void tile_columns(uint16_t *to, const uint16_t *rows) {
  pt_v r[8];
  PT_UNROLL for (int i = 0; i < 8; i++) r[i] = (pt_v)_mm512_inserti64x4(
      _mm512_castsi256_si512(_mm256_loadu_si256((const void *)(rows + i * HEAD))),
      _mm256_loadu_si256((const void *)(rows + (i + 8) * HEAD)), 1);
  pt_transpose(r, 8);
  PT_UNROLL for (int e = 0; e < 8; e++) _mm512_storeu_ps(to + 32 * e, r[e]);
}

/* Rows [rows, 16] = x, ld apart, times a factor. */
static inline void tile_rows(uint16_t *to, const float *x, int64_t ld, int64_t rows,
                             float factor) {
  const pt_v f = pt_vset1(factor);
  for (int64_t i = 0; i < rows; i++)
    pt_vstore_bf16(to + i * HEAD, pt_vmul(f, pt_vload(x + i * ld)));
}

/* Queries as panels [2, 8, 16, 2], from rows [queries, 16]; 0 past the last. */
static inline void tile_panels(uint16_t *to, const uint16_t *rows, int queries) {
  uint16_t some[Q_WIDE * HEAD] = {0};
  if (queries < Q_WIDE) {
    if (queries > 0) memcpy(some, rows, (size_t)queries * HEAD * sizeof *some);
    rows = some;
  }
  tile_columns(to, rows);
  tile_columns(to + Q_PANEL, rows + 16 * HEAD);
}

/* 16 rows of 32 numbers, K_BLOCK apart, become the transpose of 32 rows [32, 16]. */
static __attribute__((noinline, unused)) void tile_transpose(uint16_t *to, const uint16_t *x) {
  const __m512i take =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                       6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0); /* two rows take turns */
  pt_v r[16];
  PT_UNROLL for (int i = 0; i < 16; i++) r[i] =
      (pt_v)_mm512_permutexvar_epi16(take, _mm512_loadu_si512(x + 32 * i));
  pt_transpose(r, 16);
  PT_UNROLL for (int e = 0; e < 16; e++) _mm512_storeu_si512(to + e * K_BLOCK, (__m512i)r[e]);
}

/* The transpose of each block of rows [padded, 16]: [padded / K_BLOCK, 16, K_BLOCK]. */
static inline void tile_transposes(uint16_t *to, const uint16_t *rows, int64_t padded) {
  for (int64_t j = 0; j < padded; j += 32)
    tile_transpose(to + j / K_BLOCK * K_BLOCK * HEAD + j % K_BLOCK, rows + j * HEAD);
}

/* top [16] = max |k[e]| over rows [keys, 16], which are 0 up to a whole block. Of bf16 numbers
 * without sign the larger has the larger bits; NaN is largest. */
static inline void tile_top(const uint16_t *k, int64_t keys, float *top) {
  const __m512i number = _mm512_set1_epi16(0x7fff);
  __m512i t = _mm512_setzero_si512();
  for (int64_t j = 0; j < keys; j += 2)
    t = _mm512_max_epu16(t, _mm512_and_si512(number, _mm512_loadu_si512(k + j * HEAD)));
  const __m256i half =
      _mm256_max_epu16(_mm512_castsi512_si256(t), _mm512_extracti64x4_epi64(t, 1));
  pt_vstore(top, pt_vwide_(half));
}

/* ---- weights ---- */

/* The upper half of each number: what a pair keeps of it. */
PT_INLINE pt_v cut(__m512i a) {
  return (pt_v)_mm512_and_si512(a, _mm512_set1_epi32((int)0xffff0000));
}

/* A head's keys and values as the products read them. */
struct tile_head {
  int keys;
  int64_t padded;     /* keys in whole blocks */
  const uint16_t *k;  /* [padded, 16], 0 past the last key */
  const uint16_t *vt; /* [padded / 64, 16, 64], likewise */
  const float *top;   /* [16] max |k[e]| */
};

/* S^T [64, 32] of the keys from j on, from start on ([32], or NULL: 0). Keys past the last
 * score NOTHING. */
PT_INLINE void tile_scores(const struct tile_head *h, const uint16_t *q, int64_t j,
                           const float *start, float *s) {
  const struct pt_start from = {start, 0};
  for (int i = 0; i < K_BLOCK; i += 32)
    pt_tiles(s + i * Q_WIDE, Q_WIDE, from, h->k + (j + i) * HEAD, HEAD, q, Q_PANEL, 2, 2, 8);
  for (int64_t i = h->keys - j; i < K_BLOCK; i++) {
    pt_vstore(s + i * Q_WIDE, pt_vset1(NOTHING));
    pt_vstore(s + i * Q_WIDE + 16, pt_vset1(NOTHING));
  }
}

/* start [32] = -m of each query; returns NULL where all m are 0. */
static __attribute__((noinline, unused)) const float *tile_start(const struct tile_head *h,
                                                                 const uint16_t *q, float *s,
                                                                 float *start) {
  pt_v top[2];
  bool bounded = true;
  for (int t = 0; t < 2; t++) {
    pt_v sum = pt_vset1(0.0f);
    for (int e = 0; e < HEAD; e++) {
      const __m512i pair = _mm512_loadu_si512(q + t * Q_PANEL + e / 2 * 32);
      const pt_v x = e % 2 ? cut(pair) : (pt_v)_mm512_slli_epi32(pair, 16);
      sum = pt_vfma(pt_vabs(x), pt_vset1(h->top[e]), sum);
    }
    bounded &= _mm512_cmp_ps_mask(sum, pt_vset1(BOUND), _CMP_LE_OQ) == 0xffff;
    top[t] = pt_vset1(NOTHING);
  }
  if (bounded) return NULL;
  for (int64_t j = 0; j < h->keys; j += K_BLOCK) {
    tile_scores(h, q, j, NULL, s);
    for (int i = 0; i < K_BLOCK; i++)
      for (int t = 0; t < 2; t++) top[t] = pt_vmax(pt_vload(s + i * Q_WIDE + 16 * t), top[t]);
  }
  for (int t = 0; t < 2; t++) pt_vstore(start + 16 * t, pt_vsub(pt_vset1(0.0f), top[t]));
  return start;
}

/* Weights of a block of keys, from scores [64, 32], in pairs of keys pk [2, 32, 16, 2]; sum +=
 * them. */
PT_INLINE void tile_weights(const float *s, uint16_t *pk, pt_v sum[2]) {
  for (int i = 0; i < K_BLOCK; i += 2, s += 2 * Q_WIDE, pk += 32)
    PT_UNROLL for (int t = 0; t < 2; t++) {
      const __m512i a = power_to_cut(pt_vload(s + 16 * t));
      const __m512i b = power_to_cut(pt_vload(s + Q_WIDE + 16 * t));
      sum[t] = pt_vadd(sum[t], pt_vadd(cut(a), cut(b)));
      _mm512_storeu_si512(pk + t * P_PANEL, pair_of(a, b));
    }
}

/* ot [16, 32] = sums of values times weights of queries q [2, 8, 16, 2], inv [32] = 1 / sums of
 * weights, lse [32] as in attention.h, or NULL. */
PT_INLINE void tile_attend(const struct tile_head *h, const uint16_t *q, float *ot, float *inv,
                           float *lse) {
  _Alignas(64) float s[K_BLOCK * Q_WIDE], room[Q_WIDE];
  _Alignas(64) uint16_t pk[2 * P_PANEL];
  pt_v sum[2] = {pt_vset1(0.0f), pt_vset1(0.0f)};
  const float *start = tile_start(h, q, s, room);
  memset(ot, 0, HEAD * Q_WIDE * sizeof *ot);
  for (int64_t j = 0; j < h->keys; j += K_BLOCK) {
    tile_scores(h, q, j, start, s);
    tile_weights(s, pk, sum);
    pt_tiles(ot, Q_WIDE, (struct pt_start){ot, Q_WIDE}, h->vt + j * HEAD, K_BLOCK, pk, P_PANEL,
             1, 2, K_BLOCK / 2);
  }
  for (int t = 0; t < 2; t++) {
    pt_vstore(inv + 16 * t, _mm512_div_ps(pt_vset1(1.0f), sum[t]));
    const pt_v m = start ? pt_vsub(pt_vset1(0.0f), pt_vload(start + 16 * t)) : pt_vset1(0.0f);
    give_lse(lse ? lse + 16 * t : NULL, &m, &sum[t], 1);
  }
}

/* Rows of bf16, to [queries, 16], ld apart, from columns x [16, 32] times a factor a query. */
static inline void tile_give(uint16_t *to, int64_t ld, const float *x, const float *factor,
                             int queries) {
  for (int t = 0; t < Q_WIDE; t += 16) {
    pt_v r[16];
    const pt_v f = pt_vload(factor + t);
    PT_UNROLL for (int e = 0; e < HEAD; e++) r[e] = pt_vmul(f, pt_vload(x + e * Q_WIDE + t));
    pt_transpose(r, 16);
    PT_UNROLL for (int i = 0; i < 16; i++) {
      if (t + i < queries) pt_vstore_bf16(to + (t + i) * ld, r[i]);
    }
  }
}

/* ---- attention_cpu.c's view: see attention_dot.h ---- */

enum { NARROW_D = HEAD, NARROW_QUERIES = Q_WIDE, NARROW_KEYS = K_BLOCK, NARROW_ROWS = 1 };

struct narrow_head {
  struct tile_head h;
  float top[HEAD];
};

PT_INLINE int64_t narrow_room(int64_t padded) { return padded * HEAD * 2; }

PT_INLINE void narrow_store(uint16_t *dst, const float *x, int64_t ld, int64_t m, float factor,
                            bool values) {
  (void)values;
  tile_rows(dst, x, ld, m, factor);
}

PT_INLINE void narrow_begin(struct narrow_head *n, const uint16_t *k, const uint16_t *v,
                            int keys, void *room) {
  const int64_t padded = tile_padded(keys);
  n->h = (struct tile_head){keys, padded, k, room, n->top};
  tile_top(k, keys, n->top);
  tile_transposes(room, v, padded);
}

PT_INLINE void narrow_attend(const struct narrow_head *n, const uint16_t *q, int queries,
                             uint16_t *out, int64_t out_ld, float *lse) {
  _Alignas(64) uint16_t panels[2 * Q_PANEL];
  _Alignas(64) float ot[HEAD * Q_WIDE], inv[Q_WIDE];
  tile_panels(panels, q, queries);
  pt_tiles_begin();
  tile_attend(&n->h, panels, ot, inv, lse);
  pt_tiles_end();
  tile_give(out, out_ld, ot, inv, queries);
}

#endif
#endif
