/* mat.h - weight matrices as the kernels read them.
 *
 * A Linear layer's weight W (out, in) multiplies rows x (in) to y = x W^T + b (out). It is
 * stored as B = W^T in panels of PT_PANEL columns: panel p holds columns 16p .. 16p+15 of
 * all k = in rows, one row of 16 numbers after the other, columns past n filled with 0.
 *
 *      panel 0            panel 1
 *   [k0: c0..c15]      [k0: c16..c31]
 *   [k1: c0..c15]      [k1: c16..c31]     ...
 *
 * so that a product streams through memory, and every instruction set reads the same
 * bytes (a panel row is one AVX-512 register, two AVX2 registers, four SSE/NEON ones). */
#ifndef PT_MAT_H
#define PT_MAT_H

#include <stdint.h>

#define PT_PANEL 16

struct pt_mat {
  const float *data; /* [ceil(n/16), k, 16], 64-byte aligned */
  int k;             /* rows of B: the layer's inputs */
  int n;             /* columns of B: the layer's outputs */
};

/* Numbers (not bytes) a packed matrix takes. */
static inline int64_t pt_mat_size(int k, int n) {
  return (int64_t)((n + PT_PANEL - 1) / PT_PANEL) * k * PT_PANEL;
}

/* Packs B (k, n) given as B[i, j] = src[i * si + j * sj]: for W (out, in) in C order
 * si = 1, sj = in. */
void pt_mat_pack(float *dst, const float *src, int k, int n, int64_t si, int64_t sj);

/* B[i, j] of a packed matrix: what the reference kernels read. */
static inline float pt_mat_at(const struct pt_mat *m, int i, int j) {
  return m->data[((int64_t)(j / PT_PANEL) * m->k + i) * PT_PANEL + j % PT_PANEL];
}

#endif
