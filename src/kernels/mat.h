/* mat.h - weight matrices as the kernels read them.
 *
 * A Linear layer's weight W (out, in) multiplies rows x (in) to y = x W^T + b (out). It is
 * stored as B = W^T in panels of PT_PANEL columns: panel p holds columns 16p .. 16p+15 of
 * all k = in rows, one row of 16 numbers after the other, columns past n filled with 0.
 *
 *   PT_F32                                  PT_BF16
 *      panel 0            panel 1              panel 0
 *   [k0: c0..c15]      [k0: c16..c31]       [k0 k1: c0 c0 c1 c1 .. c15 c15]
 *   [k1: c0..c15]      [k1: c16..c31]       [k2 k3: c0 c0 c1 c1 .. c15 c15]      ...
 *
 * so that a product streams through memory, and every instruction set reads the same
 * bytes (a panel row is one AVX-512 register, two AVX2 registers, four SSE/NEON ones). In
 * bf16 two rows take turns, number by number, which is what the dot product of pairs of
 * AVX-512 BF16 reads; a row past an odd k is 0. */
#ifndef PT_MAT_H
#define PT_MAT_H

#include <stdint.h>

#include "dtype.h"
#include "half.h"

#define PT_PANEL 16

struct pt_mat {
  const void *data;   /* float [ceil(n/16), k, 16] or bf16 [ceil(n/16), ceil(k/2), 16, 2],
                       * 64-byte aligned */
  int k;              /* rows of B: the layer's inputs */
  int n;              /* columns of B: the layer's outputs */
  enum pt_dtype type; /* PT_F32 or PT_BF16 */
};

/* Bytes from panel to panel. */
static inline int64_t pt_mat_panel(int k, enum pt_dtype type) {
  return 64 * (type == PT_BF16 ? ((int64_t)k + 1) / 2 : (int64_t)k);
}

/* Bytes a packed matrix takes, a multiple of 64. */
static inline int64_t pt_mat_size(int k, int n, enum pt_dtype type) {
  return ((int64_t)n + PT_PANEL - 1) / PT_PANEL * pt_mat_panel(k, type);
}

/* Packs B (k, n) given as B[i, j] = src[i * si + j * sj]: for W (out, in) in C order
 * si = 1, sj = in. bf16 is rounded to nearest even. */
void pt_mat_pack(void *dst, enum pt_dtype type, const float *src, int k, int n, int64_t si,
                 int64_t sj);

/* Matrix t of equal ones packed one after the other, of which m is the first (the taps of a
 * convolution). */
static inline struct pt_mat pt_mat_tap(const struct pt_mat *m, int64_t t) {
  struct pt_mat tap = *m;
  tap.data = (const char *)m->data + t * pt_mat_size(m->k, m->n, m->type);
  return tap;
}

/* B[i, j] of a packed matrix: what the reference kernels read. */
static inline float pt_mat_at(const struct pt_mat *m, int i, int j) {
  const int64_t panel = j / PT_PANEL, col = j % PT_PANEL;
  if (m->type == PT_BF16) {
    const int64_t pairs = ((int64_t)m->k + 1) / 2;
    const uint16_t *b = m->data;
    return pt_bf16_float(b[((panel * pairs + i / 2) * PT_PANEL + col) * 2 + i % 2]);
  }
  return ((const float *)m->data)[(panel * m->k + i) * PT_PANEL + col];
}

#endif
