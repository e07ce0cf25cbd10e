/* attention_grad_tiles.h - one head of 16 channels of a patch in bf16, back, by the products of
 * tiles.h. Included by attention_grad_cpu.c only.
 *
 * As attention_grad_block.h, with a row for a key and vectors of 16 queries throughout:
 *   S^T = K Q^T - lse,  P^T = 2^(S^T),  dP^T = V dO^T - rowsum(dO O),  dS^T = P^T dP^T,
 *   dQ^T += K^T dS^T,  dV += P^T dO,  dK += dS^T Q
 * 32 keys and 32 queries at a time (the last two: 64 queries), for two blocks of 64 queries, so
 * that dK and dV are fetched once for both. q, k, v, dO, P and dS are rounded to bf16, sums are
 * single precision. Queries past the last have P = 0 and so add nothing. */
#ifndef PT_ATTENTION_GRAD_TILES_H
#define PT_ATTENTION_GRAD_TILES_H

#include "attention_grad_block.h"
#include "attention_tiles.h"

#if defined(PT_TILES)

enum {
  Q_BLOCK = 64,
  BLOCKS = 2,       /* of queries at a time */
  K_STEP = 32,      /* keys at a time */
  S_PANEL = 16 * 32 /* numbers of 16 queries' dS in pairs of keys */
};

/* Of one head; rows past the last are 0. */
struct tile_room {
  uint16_t *k, *v; /* [padded, 16] */
  uint16_t *kt;    /* [padded / 64, 16, 64] */
  float *dk, *dv;  /* [padded, 16] */
};

static int64_t tile_room_of(struct tile_room *r, char *at, int64_t padded) {
  int64_t bytes = 0;
#define PART(p, size)                                   \
  do {                                                  \
    (r)->p = at ? (void *)(at + bytes) : NULL;          \
    bytes += padded * (size) * (int64_t)sizeof *(r)->p; \
  } while (0)
  PART(k, HEAD);
  PART(v, HEAD);
  PART(kt, HEAD);
  PART(dk, HEAD);
  PART(dv, HEAD);
#undef PART
  return bytes;
}

/* A block of queries. [2, ...]: of 32 of them each; l and 16 + l of 32 are a pair. */
struct tile_queries {
  uint16_t q[Q_BLOCK * HEAD];          /* [2, 2, 8, 16, 2] q times scale and log2 e, in pairs of
                                          channels */
  uint16_t dout[Q_BLOCK * HEAD];       /* the same of dO */
  uint16_t q_pairs[Q_BLOCK * HEAD];    /* [2, 16, 16, 2] q times scale, in pairs of queries */
  uint16_t dout_pairs[Q_BLOCK * HEAD]; /* the same of dO */
  float start[Q_BLOCK];                /* - lse; NOTHING past the last */
  float along[Q_BLOCK];                /* - rowsum(dO O) */
  float dqt[2][HEAD * Q_WIDE];         /* [2, 16, 32] */
};

/* Rows [32, 16] of bf16 from floats, times a factor; 0 past the last. */
static void tile_take(uint16_t *to, const float *x, int64_t ld, int queries, float factor) {
  const pt_v f = pt_vset1(factor);
  for (int i = 0; i < Q_WIDE; i++)
    pt_vstore_bf16(to + i * HEAD,
                   i < queries ? pt_vmul(f, pt_vload(x + i * ld)) : pt_vset1(0.0f));
}

/* Rows [32, 16] in pairs [16, 16, 2]. */
static void tile_query_pairs(uint16_t *to, const uint16_t *rows) {
  for (int i = 0; i < 16; i++) {
    const __m256i *low = (const void *)(rows + i * HEAD), *high = low + 16;
    const __m512i a = _mm512_cvtepu16_epi32(_mm256_loadu_si256(low));
    const __m512i b = _mm512_cvtepu16_epi32(_mm256_loadu_si256(high));
    _mm512_storeu_si512(to + 32 * i, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
  }
}

/* From scores s and dP^T dp [32, 32] of 32 keys and 32 queries: P^T in pairs of queries p, dS^T
 * in pairs of queries dq and in pairs of keys dk [2, 16, 16, 2]. p and dq have their rows
 * Q_BLOCK apart. dS is rounded to nearest, ties away from 0. */
PT_INLINE void tile_weigh(const float *s, const float *dp, uint16_t *p, uint16_t *dk,
                          uint16_t *dq) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  for (int i = 0; i < K_STEP; i += 2, dk += 32) {
    __m512i ds[2][2];
    PT_UNROLL for (int j = 0; j < 2;
                   j++, s += Q_WIDE, dp += Q_WIDE, p += Q_BLOCK, dq += Q_BLOCK) {
      const __m512i low = power_to_cut(pt_vload(s)), high = power_to_cut(pt_vload(s + 16));
      _mm512_storeu_si512(p, pair_of(low, high));
      ds[j][0] = (__m512i)pt_vmul(cut(low), pt_vload(dp));
      ds[j][1] = (__m512i)pt_vmul(cut(high), pt_vload(dp + 16));
      ds[j][0] = _mm512_add_epi32(ds[j][0], half);
      ds[j][1] = _mm512_add_epi32(ds[j][1], half);
      _mm512_storeu_si512(dq, pair_of(ds[j][0], ds[j][1]));
    }
    _mm512_storeu_si512(dk, pair_of(ds[0][0], ds[1][0]));
    _mm512_storeu_si512(dk + S_PANEL, pair_of(ds[0][1], ds[1][1]));
  }
}

/* What a block of queries and the keys from j on add to dQ, dK and dV. */
PT_INLINE void tile_back(const struct tile_room *r, int64_t j, struct tile_queries *b) {
  _Alignas(64) float s[K_STEP * Q_WIDE], dp[K_STEP * Q_WIDE];
  _Alignas(64) uint16_t p[K_STEP * Q_BLOCK], dk[2 * S_PANEL], dq[K_STEP * Q_BLOCK];
  const uint16_t *kt = r->kt + j / K_BLOCK * K_BLOCK * HEAD + j % K_BLOCK;
  float *sum_k = r->dk + j * HEAD, *sum_v = r->dv + j * HEAD;
  for (int g = 0; g < 2; g++) {
    const int64_t panels = g * 2 * Q_PANEL;
    float *dqt = b->dqt[g];
    pt_tiles(s, Q_WIDE, (struct pt_start){b->start + Q_WIDE * g, 0}, r->k + j * HEAD, HEAD,
             b->q + panels, Q_PANEL, 2, 2, 8);
    pt_tiles(dp, Q_WIDE, (struct pt_start){b->along + Q_WIDE * g, 0}, r->v + j * HEAD, HEAD,
             b->dout + panels, Q_PANEL, 2, 2, 8);
    tile_weigh(s, dp, p + Q_WIDE * g, dk, dq + Q_WIDE * g);
    pt_tiles(dqt, Q_WIDE, (struct pt_start){dqt, Q_WIDE}, kt, K_BLOCK, dk, S_PANEL, 1, 2, 16);
  }
  pt_tiles(sum_v, HEAD, (struct pt_start){sum_v, HEAD}, p, Q_BLOCK, b->dout_pairs, 0, 2, 1, 32);
  pt_tiles(sum_k, HEAD, (struct pt_start){sum_k, HEAD}, dq, Q_BLOCK, b->q_pairs, 0, 2, 1, 32);
}

/* The block of queries from place i on. */
static void tile_queries_of(const struct head *h, int i, struct tile_queries *b) {
  _Alignas(64) uint16_t rows[Q_WIDE * HEAD];
  for (int g = 0; g < 2; g++, i += Q_WIDE) {
    const int left = h->b.keys - i, queries = left < Q_WIDE ? left : Q_WIDE;
    const int64_t at = g * Q_WIDE * HEAD;
    const float *q = h->q + i * h->b.ld, *dout = h->dout + i * h->dout_ld;
    tile_take(rows, q, h->b.ld, queries, h->b.factor);
    tile_panels(b->q + at, rows, Q_WIDE);
    tile_take(rows, q, h->b.ld, queries, h->scale);
    tile_query_pairs(b->q_pairs + at, rows);
    tile_take(rows, dout, h->dout_ld, queries, 1.0f);
    tile_panels(b->dout + at, rows, Q_WIDE);
    tile_query_pairs(b->dout_pairs + at, rows);
    for (int l = 0; l < Q_WIDE; l++) {
      b->start[g * Q_WIDE + l] = l < queries ? h->start[i + l] : NOTHING;
      b->along[g * Q_WIDE + l] = l < queries ? h->along[i + l] : 0.0f;
    }
  }
  memset(b->dqt, 0, sizeof b->dqt);
}

/* The blocks of queries from place i on. */
static void tile_blocks(const struct head *h, const struct tile_room *r, int i) {
  struct tile_queries b[BLOCKS];
  float factor[Q_WIDE];
  for (int l = 0; l < Q_WIDE; l++) factor[l] = h->scale;
  const int left = h->b.keys - i, more = left > Q_BLOCK ? BLOCKS : 1;
  for (int k = 0; k < more; k++) tile_queries_of(h, i + k * Q_BLOCK, &b[k]);
  for (int64_t j = 0; j < h->b.keys; j += K_STEP)
    for (int k = 0; k < more; k++) tile_back(r, j, &b[k]);
  for (int g = 0; g < 2 * more; g++) {
    const int64_t at = i + g * Q_WIDE;
    tile_give((uint16_t *)h->dq + at * h->dqkv_ld, h->dqkv_ld, b[g / 2].dqt[g % 2], factor,
              left - g * Q_WIDE);
  }
}

/* What was summed over all queries; dQ of places that are not own. */
static void tile_sums(const struct head *h, const struct tile_room *r) {
  uint16_t *dq = h->dq, *dk = h->dk, *dv = h->dv;
  for (int64_t j = 0; j < h->b.keys; j++) {
    pt_vstore_bf16(dk + j * h->dqkv_ld, pt_vload(r->dk + j * HEAD));
    pt_vstore_bf16(dv + j * h->dqkv_ld, pt_vload(r->dv + j * HEAD));
    if (j < h->b.keys - h->own) memset(dq + j * h->dqkv_ld, 0, HEAD * sizeof *dq);
  }
}

static void tile_head_back(const struct head *h) {
  struct tile_room r;
  const int64_t padded = tile_padded(h->b.keys);
  const size_t rest = (size_t)((padded - h->b.keys) * HEAD) * sizeof *r.k;
  const size_t sums = (size_t)(padded * HEAD) * sizeof *r.dk;
  tile_room_of(&r, (char *)h->room, padded);
  tile_rows(r.k, h->b.k, h->b.ld, h->b.keys, 1.0f);
  tile_rows(r.v, h->b.v, h->b.ld, h->b.keys, 1.0f);
  memset(r.k + h->b.keys * HEAD, 0, rest);
  memset(r.v + h->b.keys * HEAD, 0, rest);
  tile_transposes(r.kt, r.k, padded);
  memset(r.dk, 0, sums);
  memset(r.dv, 0, sums);
  pt_tiles_begin();
  for (int i = h->b.keys - h->own; i < h->b.keys; i += BLOCKS * Q_BLOCK) tile_blocks(h, &r, i);
  pt_tiles_end();
  tile_sums(h, &r);
}

#endif
#endif
