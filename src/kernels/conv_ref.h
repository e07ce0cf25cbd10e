/* conv_ref.h - the submanifold convolution of one row, in double: what the reference kernels
 * share. The neighbours come from the unfolded block (voxels.h). */
#ifndef PT_CONV_REF_H
#define PT_CONV_REF_H

#include "rows_ref.h"
#include "voxels.h"

/* Bytes of a table for kernels of a size. */
static inline int64_t pt_ref_table(int size) {
  const int64_t side = PT_BLOCK + size - 1;
  return side * side * side * (int64_t)sizeof(int32_t);
}

/* The neighbour of row r at kernel offset k, -1: none. The block of r is unfolded in table. */
static inline int32_t pt_ref_neighbour(const struct pt_voxels *v, int64_t r,
                                       const int32_t *table, int size, int k) {
  const int32_t *at = v->coord + 3 * r;
  const int mask = PT_BLOCK - 1, side = PT_BLOCK + size - 1;
  return table[((at[0] & mask) + k / (size * size)) * side * side +
               ((at[1] & mask) + k / size % size) * side + (at[2] & mask) + k % size];
}

/* y += the sum over the neighbours j of row r: x[j] W_offset. x [n, w->k] is stored as type;
 * w is the first of size^3 matrices. With mirror, the matrix is that of the opposite offset.
 */
static inline void pt_ref_conv_row(double *y, const struct pt_voxels *v, int64_t r,
                                   const int32_t *table, int size, const void *x,
                                   enum pt_dtype type, const struct pt_mat *w, bool mirror) {
  const int offsets = size * size * size;
  for (int k = 0; k < offsets; k++) {
    const int32_t j = pt_ref_neighbour(v, r, table, size, k);
    if (j < 0) continue;
    const struct pt_mat tap = pt_mat_tap(w, mirror ? offsets - 1 - k : k);
    for (int i = 0; i < w->k; i++) {
      const double xi = (double)pt_get(x, type, (int64_t)j * w->k + i);
      for (int o = 0; o < w->n; o++) y[o] += xi * (double)pt_mat_at(&tap, i, o);
    }
  }
}

#endif
