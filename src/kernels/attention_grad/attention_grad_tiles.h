/* attention_grad_tiles.h - one head of 16 channels of a patch in bf16, forward again and back,
 * by the products of tiles.h. Included by attention_grad_cpu.c only.
 *
 * Two blocks of 64 queries go over the keys twice. First as attention_tiles.h does, for outputs
 * and sums; the weights, not yet divided by their sum, are kept in pairs of queries. With the
 * sum known, dO is divided by it once and for all, and dP^T = V dO^T - rowsum(dO O),  dS^T =
 * P^T dP^T,  dQ^T += K^T dS^T, dV += P^T dO,  dK += dS^T Q 32 keys and 32 queries at a time
 * (the last two: 64 queries). q, k, v, dO, P and dS are rounded to bf16, sums are single
 * precision. Queries past the last have dO = 0 and so add nothing. Source: FlashAttention-2
 * (Dao 2023), algorithm 2, with queries outside. */
#ifndef PT_ATTENTION_GRAD_TILES_H
#define PT_ATTENTION_GRAD_TILES_H

#include "attention_grad_block.h"
#include "attention_tiles.h"

#if defined(PT_TILES)

enum {
  Q_BLOCK = 64,
  BLOCKS = 2,       /* of queries at a time: dK and dV are fetched once for both */
  K_STEP = 32,      /* keys at a time */
  S_PANEL = 16 * 32 /* numbers of 16 queries' dS in pairs of keys */
};

/* Of one head; rows past the last are 0. */
struct tile_room {
  uint16_t *k, *v;   /* [padded, 16] */
  uint16_t *kt, *vt; /* [padded / 64, 16, 64] */
  uint16_t *p;    /* [BLOCKS, padded, 2, 16, 2] weights; query l and 16 + l of 32 are a pair */
  float *dk, *dv; /* [padded, 16] */
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
  PART(vt, HEAD);
  PART(p, BLOCKS * Q_BLOCK);
  PART(dk, HEAD);
  PART(dv, HEAD);
#undef PART
  return bytes;
}

/* A block of queries. [2, ...]: of 32 of them each. */
struct tile_queries {
  uint16_t q_pairs[Q_BLOCK * HEAD];    /* [2, 16, 16, 2] q times scale, l and 16 + l of 32 */
  uint16_t dout_pairs[Q_BLOCK * HEAD]; /* the same of dO / sum */
  uint16_t dout[Q_BLOCK * HEAD];       /* [2, 2, 8, 16, 2] dO / sum in pairs of channels */
  float along[Q_BLOCK];                /* - rowsum(dO O) / sum */
  float dqt[2][HEAD * Q_WIDE];         /* [2, 16, 32] */
};

/* Rows [32, 16] of bf16 from floats, times a factor, or one for each row where `each` is given;
 * 0 past the last. */
static void tile_take(uint16_t *to, const float *x, int64_t ld, int queries, float factor,
                      const float *each) {
  for (int i = 0; i < Q_WIDE; i++) {
    pt_v row = pt_vset1(0.0f);
    if (i < queries) row = pt_vmul(pt_vset1(each ? each[i] : factor), pt_vload(x + i * ld));
    pt_vstore_bf16(to + i * HEAD, row);
  }
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

/* along [32] from dO / sum in panels, columns of outputs ot [16, 32] and what they are to be
 * multiplied by. */
static void tile_along(float *along, const uint16_t *dout, const float *ot, const float *inv) {
  for (int t = 0; t < 2; t++) {
    pt_v sum = pt_vset1(0.0f);
    for (int e = 0; e < HEAD; e++) {
      const __m512i pair = _mm512_loadu_si512(dout + t * Q_PANEL + e / 2 * 32);
      const pt_v g = e % 2 ? cut(pair) : (pt_v)_mm512_slli_epi32(pair, 16);
      const pt_v o = pt_vmul(pt_vload(ot + e * Q_WIDE + 16 * t), pt_vload(inv + 16 * t));
      sum = pt_vfma(g, o, sum);
    }
    pt_vstore(along + 16 * t, pt_vsub(pt_vset1(0.0f), sum));
  }
}

/* dS^T of 32 keys and 32 queries from dP^T [32, 32] and weights p [32, 16, 2]: in pairs of keys
 * dk [2, 16, 16, 2], and in pairs of queries dq. p and dq have their rows Q_BLOCK apart.
 * Rounded to nearest, ties away from 0. */
PT_INLINE void tile_ds(const float *dp, const uint16_t *p, uint16_t *dk, uint16_t *dq) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  for (int i = 0; i < K_STEP; i += 2, dk += 32) {
    __m512i s[2][2];
    PT_UNROLL for (int j = 0; j < 2; j++, dp += Q_WIDE, p += Q_BLOCK, dq += Q_BLOCK) {
      const __m512i w = _mm512_loadu_si512(p);
      const pt_v low = pt_vmul((pt_v)_mm512_slli_epi32(w, 16), pt_vload(dp));
      const pt_v high = pt_vmul(cut(w), pt_vload(dp + 16));
      s[j][0] = _mm512_add_epi32((__m512i)low, half);
      s[j][1] = _mm512_add_epi32((__m512i)high, half);
      _mm512_storeu_si512(dq, pair_of(s[j][0], s[j][1]));
    }
    _mm512_storeu_si512(dk, pair_of(s[0][0], s[1][0]));
    _mm512_storeu_si512(dk + S_PANEL, pair_of(s[0][1], s[1][1]));
  }
}

/* What a block of queries and the keys from j on add to dQ, dK and dV; p: their weights. */
PT_INLINE void tile_back(const struct tile_room *r, int64_t j, const uint16_t *p,
                         struct tile_queries *b) {
  _Alignas(64) float dp[K_STEP * Q_WIDE];
  _Alignas(64) uint16_t dk[2 * S_PANEL], dq[K_STEP * Q_BLOCK];
  const uint16_t *kt = r->kt + j / K_BLOCK * K_BLOCK * HEAD + j % K_BLOCK;
  float *sum_k = r->dk + j * HEAD, *sum_v = r->dv + j * HEAD;
  for (int g = 0; g < 2; g++) {
    float *dqt = b->dqt[g];
    pt_tiles(dp, Q_WIDE, (struct pt_start){b->along + Q_WIDE * g, 0}, r->v + j * HEAD, HEAD,
             b->dout + g * 2 * Q_PANEL, Q_PANEL, 2, 2, 8);
    tile_ds(dp, p + Q_WIDE * g, dk, dq + Q_WIDE * g);
    pt_tiles(dqt, Q_WIDE, (struct pt_start){dqt, Q_WIDE}, kt, K_BLOCK, dk, S_PANEL, 1, 2, 16);
  }
  pt_tiles(sum_v, HEAD, (struct pt_start){sum_v, HEAD}, p, Q_BLOCK, b->dout_pairs, 0, 2, 1, 32);
  pt_tiles(sum_k, HEAD, (struct pt_start){sum_k, HEAD}, dq, Q_BLOCK, b->q_pairs, 0, 2, 1, 32);
}

/* Forward of 32 queries, the i-th place and those that follow; then what the way back needs. */
static void tile_forward(const struct head *h, const struct tile_head *t, int i, uint16_t *p,
                         struct tile_queries *b, int g) {
  _Alignas(64) uint16_t rows[Q_WIDE * HEAD], panels[2 * Q_PANEL];
  _Alignas(64) float ot[HEAD * Q_WIDE], inv[Q_WIDE];
  uint16_t *dout = b->dout + g * 2 * Q_PANEL;
  const int left = h->b.keys - i, queries = left < Q_WIDE ? left : Q_WIDE;
  const float *q = h->q + i * h->b.ld;
  tile_take(rows, q, h->b.ld, queries, h->b.factor, NULL);
  tile_panels(panels, rows, Q_WIDE);
  tile_attend(t, panels, p, Q_BLOCK, ot, inv);
  tile_give((uint16_t *)h->out + i * h->out_ld, h->out_ld, ot, inv, queries);
  if (!h->dq) return;
  tile_take(rows, q, h->b.ld, queries, h->scale, NULL);
  tile_query_pairs(b->q_pairs + g * Q_WIDE * HEAD, rows);
  tile_take(rows, h->dout + i * h->dout_ld, h->dout_ld, queries, 0.0f, inv);
  tile_query_pairs(b->dout_pairs + g * Q_WIDE * HEAD, rows);
  tile_panels(dout, rows, Q_WIDE);
  tile_along(b->along + g * Q_WIDE, dout, ot, inv);
}

/* The blocks of queries from place i on. */
static void tile_blocks(const struct head *h, const struct tile_head *t,
                        const struct tile_room *r, int i) {
  struct tile_queries b[BLOCKS];
  float factor[Q_WIDE];
  for (int l = 0; l < Q_WIDE; l++) factor[l] = h->scale;
  const int left = h->b.keys - i, wide = (left + Q_WIDE - 1) / Q_WIDE;
  const int halves = wide < 2 * BLOCKS ? wide : 2 * BLOCKS, blocks = (halves + 1) / 2;
  for (int g = 0; g < 2 * blocks; g++) {
    uint16_t *p = r->p + (g / 2 * t->padded * 2 + g % 2) * Q_WIDE;
    tile_forward(h, t, i + g * Q_WIDE, h->dq ? p : NULL, &b[g / 2], g % 2);
  }
  if (!h->dq) return;
  for (int k = 0; k < blocks; k++) memset(b[k].dqt, 0, sizeof b[k].dqt);
  for (int64_t j = 0; j < t->keys; j += K_STEP)
    for (int k = 0; k < blocks; k++)
      tile_back(r, j, r->p + (k * t->padded + j) * Q_BLOCK, &b[k]);
  for (int g = 0; g < halves; g++) {
    const int from = i + g * Q_WIDE;
    tile_give((uint16_t *)h->dq + from * h->dqkv_ld, h->dqkv_ld, b[g / 2].dqt[g % 2], factor,
              h->b.keys - from);
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
  float top[HEAD];
  const int64_t padded = tile_padded(h->b.keys);
  const size_t rest = (size_t)((padded - h->b.keys) * HEAD) * sizeof *r.k;
  const size_t sums = (size_t)(padded * HEAD) * sizeof *r.dk;
  tile_room_of(&r, (char *)h->room, padded);
  tile_rows(r.k, h->b.k, h->b.ld, h->b.keys, 1.0f);
  tile_rows(r.v, h->b.v, h->b.ld, h->b.keys, 1.0f);
  memset(r.k + h->b.keys * HEAD, 0, rest);
  memset(r.v + h->b.keys * HEAD, 0, rest);
  tile_transposes(r.kt, r.k, padded);
  tile_transposes(r.vt, r.v, padded);
  tile_top(r.k, h->b.keys, top);
  memset(r.dk, 0, sums);
  memset(r.dv, 0, sums);
  const struct tile_head t = {h->b.keys, padded, r.k, r.vt, top};
  pt_tiles_begin();
  for (int i = h->b.keys - h->own; i < h->b.keys; i += BLOCKS * Q_BLOCK)
    tile_blocks(h, &t, &r, i);
  pt_tiles_end();
  if (h->dq) tile_sums(h, &r);
}

#endif
#endif
