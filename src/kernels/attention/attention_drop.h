/* attention_drop.h - dropout of the softmax's weights where queries lie along the lanes: what
 * attention_block.h and the backward pass have in common. Included by *_cpu.c files only.
 *
 * The draws are pt_drop_attn's (drop.h), a query a lane. A weight that is left out becomes
 * negative: the sum and the backward pass need its size as well. Philox multiplies 32 bits by
 * 32 bits, so even and odd lanes are drawn apart, each word in the lower half of a lane of 64
 * bits; what is in the upper half is not read. */
#ifndef PT_ATTENTION_DROP_H
#define PT_ATTENTION_DROP_H

#include "attention.h"
#include "attention_lanes.h"

typedef uint64_t wide_v __attribute__((vector_size(4 * PT_VW)));

/* Whose weights they are. */
struct dropout {
  const struct pt_drop *d;
  const int32_t *order; /* row at each place of the patch, or NULL: first, first + 1, ... */
  int64_t first;
  int heads, head;
};

static inline struct dropout dropout_of(const struct pt_attention *a, int64_t first, int head) {
  return (struct dropout){&a->drop, a->order ? a->order + first : NULL, first, a->heads, head};
}

/* The chance that a weight is kept. */
static inline float kept_of(const struct block *b) {
  return b->drop ? pt_drop_attn_kept(b->drop->d) : 1.0f;
}

enum { PHILOX_ROUNDS = 10 };

/* What the draws of a block of queries have in common. */
struct draws {
  wide_v index[NV][2];            /* of the first keys, of even and odd lanes */
  uint64_t key[PHILOX_ROUNDS][2]; /* of each round */
  uint64_t stream;
  uint32_t chance; /* times PT_DROP_ONE */
};

static void take_draws(const struct block *b, struct draws *t) {
  const struct dropout *x = b->drop;
  uint32_t key[2] = {(uint32_t)x->d->seed, (uint32_t)(x->d->seed >> 32)};
  for (int l = 0; l < LANES; l++) {
    const int64_t place = b->first + (l < b->queries ? l : b->queries - 1);
    const int64_t row = x->order ? x->order[place] : x->first + place;
    t->index[l / PT_VW][l % 2][l % PT_VW / 2] =
        pt_drop_attn_index((uint64_t)(row * x->heads + x->head), 0);
  }
  for (int r = 0; r < PHILOX_ROUNDS; r++, key[0] += 0x9E3779B9u, key[1] += 0xBB67AE85u)
    t->key[r][0] = key[0], t->key[r][1] = key[1];
  t->stream = pt_drop_attn_stream(x->d);
  t->chance = pt_drop_attn_chance(x->d);
}

/* Products of lower halves with m. */
PT_INLINE wide_v times(wide_v a, uint32_t m) {
#if PT_VW == 16
  return (wide_v)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(m));
#elif PT_VW == 8
  return (wide_v)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(m));
#else
  return (wide_v){(a[0] & UINT32_MAX) * m, (a[1] & UINT32_MAX) * m};
#endif
}

/* pt_philox of philox.h, lane by lane. */
PT_INLINE void philox(const struct draws *t, wide_v index, wide_v out[4]) {
  wide_v c0 = index, c1 = index >> 32;
  wide_v c2 = (wide_v){0} + t->stream, c3 = c2 >> 32;
  PT_UNROLL for (int r = 0; r < PHILOX_ROUNDS; r++) {
    const wide_v a = times(c0, 0xD2511F53u), b = times(c2, 0xCD9E8D57u);
    c0 = (b >> 32) ^ c1 ^ t->key[r][0];
    c2 = (a >> 32) ^ c3 ^ t->key[r][1];
    c1 = b;
    c3 = a;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* Makes those of the weights p [BLOCK_KEYS, LANES] of keys j, j + 1, ... negative that are left
 * out. */
static void leave_out(const struct draws *t, int64_t j, float *p) {
  for (int i = 0; i < BLOCK_KEYS * NV; i += PT_DROP_PLACES) {
    const int v = i / BLOCK_KEYS, from = i % BLOCK_KEYS;
    const uint64_t group = (uint64_t)(j + from) / PT_DROP_PLACES;
    wide_v even[4], odd[4];
    philox(t, t->index[v][0] + pt_drop_attn_index(0, group), even);
    philox(t, t->index[v][1] + pt_drop_attn_index(0, group), odd);
    PT_UNROLL for (int k = 0; k < PT_DROP_PLACES; k++) {
      float *at = p + (from + k) * LANES + v * PT_VW;
      const bits_v two = (bits_v)((even[k / 2] & UINT32_MAX) | odd[k / 2] << 32);
      const bits_v number = k % 2 ? two >> 16 : two & 0xffff;
      const bits_v sign = (number - t->chance) & 0x80000000u;
      pt_vstore(at, (pt_v)((bits_v)pt_vload(at) ^ sign));
    }
  }
}

/* kept [BLOCK_KEYS, LANES] = the weights p, 0 where they are left out. */
PT_INLINE void keep_rest(float *kept, const float *p) {
  for (int i = 0; i < BLOCK_KEYS * LANES; i += PT_VW)
    pt_vstore(kept + i, pt_vmax(pt_vload(p + i), pt_vset1(0.0f)));
}

#endif
