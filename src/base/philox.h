/* philox.h - counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random
 * Numbers: As Easy as 1, 2, 3", SC 2011). A draw depends only on (seed, stream, index):
 * no state, so threads and resumed runs draw the same. */
#ifndef PT_PHILOX_H
#define PT_PHILOX_H

#include <stdint.h>

static inline void pt_philox(uint64_t key, uint64_t stream, uint64_t index, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
  uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
  for (int r = 0; r < 10; r++) {
    uint64_t a = (uint64_t)c0 * 0xD2511F53u, b = (uint64_t)c2 * 0xCD9E8D57u;
    uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)b;
    c3 = (uint32_t)a;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

static inline uint64_t pt_philox_u64(uint64_t seed, uint64_t stream, uint64_t index) {
  uint32_t r[4];
  pt_philox(seed, stream, index, r);
  return (uint64_t)r[0] << 32 | r[1];
}

/* Uniform in [0, 1), 53 bits. */
static inline double pt_philox_uniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return (double)(pt_philox_u64(seed, stream, index) >> 11) * 0x1p-53;
}

/* Uniform in 0 .. n-1 (n > 0): multiply-shift of 64 bits, bias below n / 2^64. */
static inline uint64_t pt_philox_below(uint64_t seed, uint64_t stream, uint64_t index,
                                       uint64_t n) {
  return (uint64_t)(((unsigned __int128)pt_philox_u64(seed, stream, index) * n) >> 64);
}

#endif
