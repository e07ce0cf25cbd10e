/* attention_dot.h - the inner loop of attention_cpu.c in bf16: 16 queries of one head of 16
 * channels against all keys of a patch, by the dot product of pairs of AVX-512 BF16. Included
 * by that file only. For other heads and for relative positions see attention_block.h.
 *
 * Scores sum pairs of channels, outputs pairs of keys: a pair is one broadcast of 32 bits.
 * Queries are multiplied by scale and log2 e before they are rounded, so scores are powers of
 * two. A weight is 2^s rounded to bf16; output and the sum of weights, both single precision,
 * are made from the same rounded weights. Products of bf16 numbers are exact; numbers below
 * 2^-126 count as 0 (as the instruction has it).
 *
 * A bound on the scores of a query is the sum of |q[e]| max |k[e]|. While it is at most BOUND
 * the weights of any patch fit a float as they are, and no maximum is needed; else it runs
 * along as in attention_block.h. */
#ifndef PT_ATTENTION_DOT_H
#define PT_ATTENTION_DOT_H

#include "attention_block.h"

enum { DOT_D = 16, DOT_PAIRS = DOT_D / 2 };
#define BOUND 64.0f

#if defined(__AVX512BF16__)

struct dot_block {
  const uint16_t *q;   /* [queries, 16], times scale and log2 e */
  const uint16_t *k;   /* [keys, 16] */
  const uint16_t *v;   /* [keys / 2, 16, 2]: two keys take turns */
  const uint16_t *top; /* [16] max |k[e]| */
  int keys, queries;   /* k and v are finite up to a multiple of STEP; queries <= 16 */
  uint16_t *out;       /* [queries, 16], rows out_ld apart */
  int64_t out_ld;
  float *lse; /* [16] out: log2 of the sum of 2^score, or NULL */
};

/* c + a[0] b[0] + a[1] b[1] of the pairs in each lane. */
PT_INLINE pt_v dot_pairs(pt_v c, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}

PT_INLINE __m512i broadcast_pair(const uint16_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return _mm512_set1_epi32(x);
}

/* Rows t, t + 1 of m, 16 numbers each, ld apart; zeros for row m. */
PT_INLINE void two_rows(const float *x, int64_t ld, int64_t t, int64_t m, pt_v *a, pt_v *b) {
  *a = pt_vload(x + t * ld);
  *b = t + 1 < m ? pt_vload(x + (t + 1) * ld) : pt_vset1(0.0f);
}

/* dst [m rounded up to even, 16] = x times factor. */
static void narrow_rows(uint16_t *dst, const float *x, int64_t ld, int64_t m, float factor) {
  for (int64_t t = 0; t < m; t += 2) {
    pt_v a, b, f = pt_vset1(factor);
    two_rows(x, ld, t, m, &a, &b);
    _mm512_storeu_si512(dst + t * DOT_D,
                        (__m512i)_mm512_cvtne2ps_pbh(pt_vmul(b, f), pt_vmul(a, f)));
  }
}

/* dst [m / 2 rounded up, 16, 2] = x. */
static void narrow_pairs(uint16_t *dst, const float *x, int64_t ld, int64_t m) {
  for (int64_t t = 0; t < m; t += 2) {
    pt_v a, b;
    two_rows(x, ld, t, m, &a, &b);
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(a));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(b));
    _mm512_storeu_si512(dst + t * DOT_D, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}

/* top [16] = max |k[e]| over the keys, and what follows an odd last one, which is 0. Of bf16
 * numbers without sign the larger has the larger bits; NaN is largest. */
static void top_of_keys(const uint16_t *k, int keys, uint16_t *top) {
  const __m512i number = _mm512_set1_epi16(0x7fff);
  __m512i t = _mm512_setzero_si512();
  for (int64_t j = 0; j < keys; j += 2)
    t = _mm512_max_epu16(t, _mm512_and_si512(number, _mm512_loadu_si512(k + j * DOT_D)));
  __m256i half = _mm256_max_epu16(_mm512_castsi512_si256(t), _mm512_extracti64x4_epi64(t, 1));
  _mm256_storeu_si256((__m256i *)(void *)top, half);
}

/* Queries as pairs qt [8, 16]; lanes past the last repeat it. Row i and row i + 8 share a
 * register, so three of the four steps of a transposition are left. */
static __attribute__((noinline)) void take_pairs(const struct dot_block *b, uint16_t *qt) {
  pt_v r[DOT_PAIRS];
  const int last = b->queries - 1;
  PT_UNROLL for (int i = 0; i < DOT_PAIRS; i++) {
    const uint16_t *low = b->q + (i < last ? i : last) * DOT_D;
    const uint16_t *high = b->q + (i + 8 < last ? i + 8 : last) * DOT_D;
    r[i] = (pt_v)_mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)low)),
        _mm256_loadu_si256((const __m256i *)(const void *)high), 1);
  }
  pt_transpose(r, DOT_PAIRS);
  PT_UNROLL for (int e = 0; e < DOT_PAIRS; e++) _mm512_storeu_ps(qt + e * 32, r[e]);
}

static __attribute__((noinline)) void give_narrow(const struct dot_block *b, const float *ot) {
  pt_v r[DOT_D];
  PT_UNROLL for (int e = 0; e < DOT_D; e++) r[e] = pt_vload(ot + e * 16);
  pt_transpose(r, DOT_D);
  PT_UNROLL for (int i = 0; i < DOT_D; i++) {
    if (i < b->queries) pt_vstore_bf16(b->out + i * b->out_ld, r[i]);
  }
}

static bool scores_bounded(const struct dot_block *b, const uint16_t *qt) {
  const __m512i number = _mm512_set1_epi16(0x7fff);
  pt_v sum = pt_vset1(0.0f);
  for (int e = 0; e < DOT_PAIRS; e++)
    sum = dot_pairs(sum, _mm512_and_si512(number, _mm512_loadu_si512(qt + e * 32)),
                    broadcast_pair(b->top + 2 * e));
  return _mm512_cmp_ps_mask(sum, pt_vset1(BOUND), _CMP_LE_OQ) == 0xffff;
}

/* Weights of two keys as pairs. */
PT_INLINE __m512i weight_pair(pt_v s0, pt_v s1) {
  return pair_of(power_to_cut(s0), power_to_cut(s1));
}

/* s [STEP]: scores of keys j, j + 1, ... */
PT_INLINE void score_pairs(const struct dot_block *b, const uint16_t *qt, int64_t j, pt_v *s) {
  const uint16_t *k = b->k + j * DOT_D;
  PT_UNROLL for (int i = 0; i < STEP; i++) s[i] = pt_vset1(0.0f);
  for (int e = 0; e < DOT_PAIRS; e++) {
    __m512i q = _mm512_loadu_si512(qt + e * 32);
    PT_UNROLL for (int i = 0; i < STEP; i++) s[i] =
        dot_pairs(s[i], q, broadcast_pair(k + i * DOT_D + 2 * e));
  }
  if (j + STEP <= b->keys) return;
  PT_UNROLL for (int i = 0; i < STEP; i++) {
    if (j + i >= b->keys) s[i] = pt_vset1(NOTHING);
  }
}

/* Scores, outputs and the sum of weights never leave the registers. */
PT_INLINE void attend_pairs(const struct dot_block *b, const uint16_t *qt, const bool bounded) {
  pt_v m = pt_vset1(NOTHING), sum = pt_vset1(0.0f), o[DOT_D];
  const __m512i ones = _mm512_set1_epi16(0x3f80);
  PT_UNROLL for (int e = 0; e < DOT_D; e++) o[e] = sum;
  for (int64_t j = 0; j < b->keys; j += STEP) {
    pt_v s[STEP];
    __m512i p[STEP / 2];
    score_pairs(b, qt, j, s);
    if (!bounded) {
      pt_v top = top_of(s, STEP, 1);
      if (__builtin_expect(any_above(top, pt_vadd(m, pt_vset1(LAG))), 0)) {
        pt_v to = follow(m, top), f = weight_of(pt_vsub(m, to));
        PT_UNROLL for (int e = 0; e < DOT_D; e++) o[e] = pt_vmul(f, o[e]);
        sum = pt_vmul(sum, f);
        m = to;
      }
      PT_UNROLL for (int i = 0; i < STEP; i++) s[i] = pt_vsub(s[i], m);
    }
    PT_UNROLL for (int i = 0; i < STEP / 2; i++) p[i] = weight_pair(s[2 * i], s[2 * i + 1]);
    const uint16_t *v = b->v + j * DOT_D;
    PT_UNROLL for (int i = 0; i < STEP / 2; i++) {
      PT_UNROLL for (int e = 0; e < DOT_D; e++) o[e] =
          dot_pairs(o[e], p[i], broadcast_pair(v + (i * DOT_D + e) * 2));
      sum = dot_pairs(sum, p[i], ones);
    }
  }
  float ot[DOT_D * 16];
  pt_v inv = _mm512_div_ps(pt_vset1(1.0f), sum);
  PT_UNROLL for (int e = 0; e < DOT_D; e++) pt_vstore(ot + e * 16, pt_vmul(inv, o[e]));
  give_narrow(b, ot);
  const pt_v zero = pt_vset1(0.0f);
  give_lse(b->lse, bounded ? &zero : &m, &sum, 1);
}

static void attend_dot(const struct dot_block *b) {
  uint16_t qt[DOT_PAIRS * 32];
  take_pairs(b, qt);
  if (scores_bounded(b, qt))
    attend_pairs(b, qt, true);
  else
    attend_pairs(b, qt, false);
}

/* ---- attention_cpu.c's view ---- */

/* One head of a patch, for all blocks of queries of a thread. */
struct narrow_head {
  const uint16_t *k, *v;
  int keys;
  uint16_t top[DOT_D];
};

/* q, k or v of m rows, to dst [rows, 16] at an even row. */
static void narrow_store(uint16_t *dst, const float *x, int64_t ld, int64_t m, float factor,
                         bool values) {
  if (values)
    narrow_pairs(dst, x, ld, m);
  else
    narrow_rows(dst, x, ld, m, factor);
}

static void narrow_begin(struct narrow_head *n, const uint16_t *k, const uint16_t *v, int keys,
                         void *room) {
  (void)room;
  n->k = k, n->v = v, n->keys = keys;
  top_of_keys(k, keys, n->top);
}

static void narrow_attend(const struct narrow_head *n, const uint16_t *q, int queries,
                          uint16_t *out, int64_t out_ld, float *lse) {
  const struct dot_block b = {q, n->k, n->v, n->top, n->keys, queries, out, out_ld, lse};
  attend_dot(&b);
}

#endif
/* Queries of a block; rows that q, k and v are filled up to, with zeros; rows that have to be
 * stored together; bytes of room that narrow_begin wants. */
enum { NARROW_D = DOT_D, NARROW_QUERIES = 16, NARROW_KEYS = BLOCK_KEYS, NARROW_ROWS = 2 };
static inline int64_t narrow_room(int64_t padded) { return 0 * padded; }

#endif
