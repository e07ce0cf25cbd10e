/* curves.c - see curves.h. */
#include "curves.h"

#include <string.h>

static const char *const names[PT_CURVES] = {"z", "z-trans", "hilbert", "hilbert-trans"};

int pt_curve_by_name(const char *name) {
  for (int c = 0; c < PT_CURVES; c++)
    if (strcmp(name, names[c]) == 0) return c;
  return -1;
}

const char *pt_curve_name(enum pt_curve c) { return names[c]; }

int pt_curve_depth(int64_t max, int compat_151) {
  int64_t v = compat_151 ? max : max + 1;
  int bits = 0;
  for (; v > 0; v >>= 1) bits++;
  return bits;
}

/* Spreads the low 21 bits of v three apart: bit i goes to bit 3i. */
static uint64_t spread(uint64_t v) {
  v &= 0x1fffff;
  v = (v | v << 32) & 0x001f00000000ffff;
  v = (v | v << 16) & 0x001f0000ff0000ff;
  v = (v | v << 8) & 0x100f00f00f00f00f;
  v = (v | v << 4) & 0x10c30c30c30c30c3;
  v = (v | v << 2) & 0x1249249249249249;
  return v;
}

static uint64_t morton(uint32_t x, uint32_t y, uint32_t z) {
  return spread(x) << 2 | spread(y) << 1 | spread(z);
}

/* Skilling's AxestoTranspose for three axes, without branches on the data. */
static uint64_t hilbert(uint32_t x, uint32_t y, uint32_t z, int depth) {
  uint32_t a[3] = {x, y, z};
  for (int b = depth - 1; b > 0; b--) {
    uint32_t low = (1u << b) - 1;
    for (int i = 0; i < 3; i++) {
      uint32_t set = 0u - (a[i] >> b & 1); /* all ones if the bit is set */
      uint32_t t = (a[0] ^ a[i]) & low & ~set;
      a[0] ^= (low & set) | t; /* set: invert; clear: exchange with axis 0 */
      a[i] ^= t;
    }
  }
  a[1] ^= a[0]; /* Gray encode */
  a[2] ^= a[1];
  uint32_t t = 0;
  for (int b = depth - 1; b > 0; b--) t ^= ((1u << b) - 1) & (0u - (a[2] >> b & 1));
  return morton(a[0] ^ t, a[1] ^ t, a[2] ^ t);
}

uint64_t pt_curve_code(enum pt_curve c, const int32_t xyz[3], int depth) {
  uint32_t x = (uint32_t)xyz[0], y = (uint32_t)xyz[1], z = (uint32_t)xyz[2];
  switch (c) {
    case PT_Z: return morton(x, y, z);
    case PT_Z_TRANS: return morton(y, x, z);
    case PT_HILBERT: return hilbert(x, y, z, depth);
    default: return hilbert(y, x, z, depth);
  }
}
