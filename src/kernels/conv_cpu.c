/* conv_cpu.c - the submanifold convolution of conv.h.
 *
 * A block with its halo is unfolded into a table of row numbers (voxels.h), and each column
 * of the table along z gets a bit mask of what is there, so that only present neighbours are
 * visited: a voxel looks at size^2 masks instead of size^3 cells. */
#include "conv.h"

#include "gemm.h"
#include "rows_cpu.h"

enum { MAX_SIDE = PT_BLOCK + 4, MAX_OFFSETS = 125 };

struct lists {
  int32_t *table;                     /* [side^3] row of each voxel around the block */
  uint32_t mask[MAX_SIDE * MAX_SIDE]; /* bit z: table[.. + z] >= 0 */
  int32_t *in;                        /* [offsets, stride] rows of x, by offset */
  int32_t *out;                       /* [offsets, stride] rows of the tile they go to */
  int64_t stride;                     /* past cap, and no multiple of a page's lines */
  int count[MAX_OFFSETS];
};

static int64_t stride_of(int cap) { return (cap + 15) / 16 * 16 + 16; }

int64_t PT_FN(pt_conv_scratch)(const struct pt_conv *v) {
  const int64_t side = PT_BLOCK + v->size - 1, offsets = v->size * v->size * v->size;
  return pt_floats(side * side * side) + 2 * pt_floats(offsets * stride_of(v->cap));
}

static void lay_out(struct lists *l, const struct pt_conv *v, char *scratch) {
  const int64_t side = PT_BLOCK + v->size - 1, offsets = v->size * v->size * v->size;
  l->stride = stride_of(v->cap);
  l->table = (int32_t *)scratch;
  l->in = (int32_t *)(scratch + pt_floats(side * side * side));
  l->out = l->in + pt_floats(offsets * l->stride) / (int64_t)sizeof *l->in;
  memset(l->count, 0, sizeof l->count);
}

static void unfold(struct lists *l, const struct pt_voxels *v, int64_t block, int size) {
  const int side = PT_BLOCK + size - 1;
  pt_block_unfold(v, block, size / 2, l->table);
  for (int i = 0; i < side * side; i++) {
    uint32_t m = 0;
    for (int z = 0; z < side; z++) m |= (uint32_t)(l->table[i * side + z] >= 0) << z;
    l->mask[i] = m;
  }
}

/* Adds the neighbours of row r, number `local` of the tile, to the lists. */
PT_INLINE void list_row(struct lists *l, const int32_t *at, int32_t local, const int size) {
  const int side = PT_BLOCK + size - 1, inside = PT_BLOCK - 1, z0 = at[2] & inside;
  for (int kx = 0; kx < size; kx++)
    for (int ky = 0; ky < size; ky++) {
      const int column = ((at[0] & inside) + kx) * side + (at[1] & inside) + ky;
      uint32_t m = l->mask[column] >> z0 & ((1u << size) - 1);
      for (; m; m &= m - 1) {
        const int kz = __builtin_ctz(m), k = (kx * size + ky) * size + kz;
        const int64_t slot = k * l->stride + l->count[k]++;
        l->in[slot] = l->table[column * side + z0 + kz];
        l->out[slot] = local;
      }
    }
}

static void list_rows(struct lists *l, const struct pt_conv *v, int64_t row, int rows,
                      int32_t local) {
  const int32_t *at = v->vox->coord + 3 * row;
  if (v->size == 3)
    for (int i = 0; i < rows; i++) list_row(l, at + (int64_t)3 * i, local + i, 3);
  else
    for (int i = 0; i < rows; i++) list_row(l, at + (int64_t)3 * i, local + i, 5);
}

/* The products of a full tile, rows first .. first + rows - 1, and what follows. */
static void flush(struct lists *l, const struct pt_conv *v, int64_t first, int rows,
                  const struct pt_conv_sink *sink, char *rest) {
  const int offsets = v->size * v->size * v->size, self = offsets / 2;
  const int64_t size = pt_mat_size(v->in, v->c);
  float *y = sink->place(sink->op, first, rest);
  struct pt_mat w = {v->w + self * size, v->in, v->c};
  PT_FN(pt_gemm)
  (rows, pt_src(v->x + first * v->in, v->in), &w, pt_dst(y, sink->ld), PT_GEMM_BIAS, v->bias);
  for (int k = 0; k < offsets; k++) {
    if (k == self || l->count[k] == 0) continue;
    w.data = v->w + k * size;
    struct pt_src in = {v->x, v->in, l->in + k * l->stride};
    struct pt_dst out = {y, sink->ld, l->out + k * l->stride};
    PT_FN(pt_gemm)(l->count[k], in, &w, out, PT_GEMM_ADD, NULL);
  }
  memset(l->count, 0, sizeof l->count);
  sink->done(sink->op, first, rows, y, rest);
}

void PT_FN(pt_conv)(const struct pt_conv *v, int64_t begin, int64_t end,
                    const struct pt_conv_sink *sink, char *scratch, char *rest) {
  struct lists l;
  lay_out(&l, v, scratch);
  if (begin >= end) return;
  int64_t first = v->vox->start[begin];
  int have = 0;
  for (int64_t b = begin; b < end; b++) {
    const int64_t stop = v->vox->start[b + 1];
    unfold(&l, v->vox, b, v->size);
    for (int64_t r = v->vox->start[b]; r < stop;) {
      const int take = stop - r < v->cap - have ? (int)(stop - r) : v->cap - have;
      list_rows(&l, v, r, take, have);
      r += take;
      have += take;
      if (have == v->cap) {
        flush(&l, v, first, have, sink, rest);
        first = r;
        have = 0;
      }
    }
  }
  if (have) flush(&l, v, first, have, sink, rest);
}
