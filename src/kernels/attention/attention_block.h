/* attention_block.h - the inner loop of attention_cpu.c: LANES queries of one head against
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

#include "attention_drop.h"

#define LAG 16.0f

/* Queries, outputs [d, LANES] and scores [BLOCK_KEYS, LANES]. */
static inline int64_t block_floats(int d) { return (2 * (int64_t)d + BLOCK_KEYS) * LANES; }

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

PT_INLINE void give_outputs(const struct block *b, const float *ot, const int d) {
  for (int i = 0; i < b->queries; i++)
    for (int e = 0; e < d; e++) b->out[i * b->out_ld + e] = ot[e * LANES + i];
}

/* The running softmax of the lanes. */
struct softmax {
  pt_v m[NV], sum[NV]; /* reference and sum of weights */
};

/* Scores of a block into buf [BLOCK_KEYS, LANES], and their maximum. */
PT_INLINE void score_block(const struct block *b, const float *qt, const int32_t *g, int64_t j,
                           const int d, const int64_t ld, float *buf, pt_v top[NV]) {
  pt_v s[KEYS * NV];
  for (int v = 0; v < NV; v++) top[v] = pt_vset1(NOTHING);
  for (int i = 0; i < BLOCK_KEYS; i += KEYS) {
    score(b, qt, j + i, KEYS, d, ld, s);
    if (b->table) add_bias(b, g, j + i, KEYS, s);
    hide_padding(b, j + i, KEYS, s);
    PT_UNROLL for (int v = 0; v < NV; v++) top[v] = pt_vmax(top[v], top_of(s + v, KEYS, NV));
    PT_UNROLL for (int n = 0; n < KEYS * NV; n++) pt_vstore(buf + i * LANES + n * PT_VW, s[n]);
  }
}

/* Moves the reference where top is far above it. */
PT_INLINE void follow_top(struct softmax *x, const pt_v top[NV], float *ot, const int d) {
  for (int v = 0; v < NV; v++) {
    if (!any_above(top[v], pt_vadd(x->m[v], pt_vset1(LAG)))) continue;
    pt_v to = follow(x->m[v], top[v]), f = weight_of(pt_vsub(x->m[v], to));
    for (int e = 0; e < d; e++) {
      float *o = ot + e * LANES + v * PT_VW;
      pt_vstore(o, pt_vmul(f, pt_vload(o)));
    }
    x->sum[v] = pt_vmul(x->sum[v], f);
    x->m[v] = to;
  }
}

/* Scores of a block become weights, and are summed. */
PT_INLINE void weigh_block(struct softmax *x, float *buf) {
  for (int i = 0; i < BLOCK_KEYS; i += KEYS) {
    pt_v s[KEYS * NV];
    PT_UNROLL for (int n = 0; n < KEYS * NV; n++) {
      float *at = buf + i * LANES + n * PT_VW;
      s[n] = weight_of(pt_vsub(pt_vload(at), x->m[n % NV]));
      pt_vstore(at, s[n]);
    }
    PT_UNROLL for (int v = 0; v < NV; v++) x->sum[v] =
        pt_vadd(x->sum[v], sum_of(s + v, KEYS, NV));
  }
}

/* Any d and ld (constants for the usual d): outputs and a block's scores lie in memory. drop
 * says whether there is dropout. */
PT_INLINE void attend_any(const struct block *b, const int d, const int64_t ld,
                          const bool drop) {
  float *qt = b->room, *ot = qt + d * LANES, *buf = ot + d * LANES, inv[LANES];
  struct softmax x;
  for (int v = 0; v < NV; v++) x.m[v] = pt_vset1(NOTHING), x.sum[v] = pt_vset1(0.0f);
  int32_t g[3 * LANES];
  struct draws draws;
  take_queries(b, qt, d);
  if (b->table) take_places(b, g);
  if (drop) take_draws(b, &draws);
  memset(ot, 0, (size_t)d * LANES * sizeof *ot);
  for (int64_t j = 0; j < b->keys; j += BLOCK_KEYS) {
    pt_v top[NV];
    score_block(b, qt, g, j, d, ld, buf, top);
    follow_top(&x, top, ot, d);
    weigh_block(&x, buf);
    if (drop) leave_out(&draws, j, buf), keep_rest(buf, buf);
    const float *v = b->v + j * ld;
    int e = 0;
    for (; e + CHANNELS <= d; e += CHANNELS)
      gather_values(v + e, ld, ot + e * LANES, buf, CHANNELS);
    for (; e < d; e++) gather_values(v + e, ld, ot + e * LANES, buf, 1);
  }
  for (int v = 0; v < NV; v++) pt_vstore(inv + v * PT_VW, x.sum[v]);
  give_lse(b->lse, x.m, x.sum, NV);
  const float kept = kept_of(b);
  for (int i = 0; i < LANES; i++) inv[i] = 1.0f / (kept * inv[i]);
  for (int e = 0; e < d; e++)
    for (int i = 0; i < LANES; i++) ot[e * LANES + i] *= inv[i];
  give_outputs(b, ot, d);
}

#if PT_VW == 16
/* The two that use it are not for inlining: their constants would take registers from the
 * loop over keys. */
static __attribute__((noinline)) void take_queries_16(const struct block *b, float *qt) {
  pt_v r[16], factor = pt_vset1(b->factor);
  PT_UNROLL for (int i = 0; i < 16; i++) r[i] =
      pt_vmul(factor, pt_vload(b->q + (i < b->queries ? i : b->queries - 1) * 16));
  pt_transpose(r, 16);
  PT_UNROLL for (int e = 0; e < 16; e++) pt_vstore(qt + e * 16, r[e]);
}

static __attribute__((noinline)) void give_outputs_16(const struct block *b, const float *ot) {
  pt_v r[16];
  PT_UNROLL for (int e = 0; e < 16; e++) r[e] = pt_vload(ot + e * 16);
  pt_transpose(r, 16);
  PT_UNROLL for (int i = 0; i < 16; i++) {
    if (i < b->queries) pt_vstore(b->out + i * b->out_ld, r[i]);
  }
}

/* d = 16 with 32 registers: outputs, scores and weights never leave them. */
PT_INLINE void attend_16(const struct block *b, const bool rpe) {
  enum { D = 16 };
  float *qt = b->room, *ot = qt + D * LANES;
  pt_v m = pt_vset1(NOTHING), sum = pt_vset1(0.0f), o[D];
  int32_t g[3 * LANES];
  take_queries_16(b, qt);
  if (rpe) take_places(b, g);
  PT_UNROLL for (int e = 0; e < D; e++) o[e] = sum;
  for (int64_t j = 0; j < b->keys; j += STEP) {
    pt_v s[STEP];
    score(b, qt, j, STEP, D, D, s);
    if (rpe) add_bias(b, g, j, STEP, s);
    hide_padding(b, j, STEP, s);
    pt_v top = top_of(s, STEP, 1);
    if (__builtin_expect(any_above(top, pt_vadd(m, pt_vset1(LAG))), 0)) {
      pt_v to = follow(m, top), f = weight_of(pt_vsub(m, to));
      PT_UNROLL for (int e = 0; e < D; e++) o[e] = pt_vmul(f, o[e]);
      sum = pt_vmul(sum, f);
      m = to;
    }
    PT_UNROLL for (int i = 0; i < STEP; i++) s[i] = weight_of(pt_vsub(s[i], m));
    sum = pt_vadd(sum, sum_of(s, STEP, 1));
    const float *v = b->v + j * D;
    PT_UNROLL for (int i = 0; i < STEP; i++) PT_UNROLL for (int e = 0; e < D; e++) o[e] =
        pt_vfma(s[i], pt_vset1(v[i * D + e]), o[e]);
  }
  pt_v inv = _mm512_div_ps(pt_vset1(1.0f), sum);
  PT_UNROLL for (int e = 0; e < D; e++) pt_vstore(ot + e * LANES, pt_vmul(inv, o[e]));
  give_outputs_16(b, ot);
  give_lse(b->lse, &m, &sum, 1);
}
#endif

static void attend_block(const struct block *b) {
  const bool usual = b->d == 16 && b->ld == 16;
#if PT_VW == 16
  if (usual && !b->drop) {
    if (b->table)
      attend_16(b, true);
    else
      attend_16(b, false);
    return;
  }
#endif
  if (b->drop)
    attend_any(b, b->d, b->ld, true);
  else if (usual)
    attend_any(b, 16, 16, false);
  else
    attend_any(b, b->d, b->ld, false);
}

#endif
