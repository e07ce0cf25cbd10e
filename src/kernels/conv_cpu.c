/* conv_cpu.c - the submanifold convolution of conv.h.
 *
 * A block with its halo is unfolded into a table of row numbers (voxels.h). For each offset
 * all rows of the block are looked up in it and listed without a branch: whether there is a
 * neighbour decides only whether the place in the list is kept. */
#include "conv.h"

#include "gemm.h"
#include "rows_cpu.h"

enum { BLOCK_ROWS = PT_BLOCK * PT_BLOCK * PT_BLOCK, MAX_OFFSETS = 125 };

struct lists {
  int32_t *table;           /* [side^3] row of each voxel around the block */
  int32_t cell[BLOCK_ROWS]; /* first cell of the kernel around each row of a block */
  int32_t *in;              /* [offsets, stride] rows of x, by offset */
  int32_t *out;             /* [offsets, stride] rows of the tile they go to */
  int64_t stride;           /* past cap, and no multiple of a page's lines */
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

/* Looks up the `size` offsets from k on, which differ in z alone, for each row of a block. */
PT_INLINE void list_column(struct lists *l, const int32_t *table, int k, int rows,
                           int32_t local, const int size) {
  int64_t at[5];
  for (int z = 0; z < size; z++) at[z] = (k + z) * l->stride + l->count[k + z];
  for (int i = 0; i < rows; i++) {
    const int32_t *cell = table + l->cell[i];
    PT_UNROLL for (int z = 0; z < size; z++) {
      l->in[at[z]] = cell[z];
      l->out[at[z]] = local + i;
      at[z] += cell[z] >= 0;
    }
  }
  for (int z = 0; z < size; z++) l->count[k + z] = (int)(at[z] - (k + z) * l->stride);
}

/* Adds the neighbours of `rows` rows of one block, from row on, to the lists; the first is
 * number `local` of the tile. */
PT_INLINE void list_rows(struct lists *l, const struct pt_conv *v, int64_t row, int rows,
                         int32_t local, const int size) {
  const int32_t *at = v->vox->coord + 3 * row;
  const int side = PT_BLOCK + size - 1, inside = PT_BLOCK - 1;
  for (int i = 0; i < rows; i++, at += 3)
    l->cell[i] = ((at[0] & inside) * side + (at[1] & inside)) * side + (at[2] & inside);
  for (int k = 0; k < size * size; k++)
    list_column(l, l->table + (k / size * side + k % size) * side, k * size, rows, local, size);
}

/* The products of a full tile, rows first .. first + rows - 1, and what follows. */
static void flush(struct lists *l, const struct pt_conv *v, int64_t first, int rows,
                  const struct pt_conv_sink *sink, char *rest) {
  const int offsets = v->size * v->size * v->size, self = offsets / 2;
  float *y = sink->place(sink->op, first, rest);
  struct pt_mat w = pt_mat_tap(&v->w, self);
  PT_FN(pt_gemm)
  (rows, pt_src(pt_at(v->x, v->type, first * v->in), v->type, v->in), &w, pt_dst(y, sink->ld),
   v->bias ? PT_GEMM_BIAS : PT_GEMM_ZERO, v->bias);
  for (int k = 0; k < offsets; k++) {
    if (k == self || l->count[k] == 0) continue;
    w = pt_mat_tap(&v->w, k);
    struct pt_src in = {v->x, v->in, l->in + k * l->stride, v->type};
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
    pt_block_unfold(v->vox, b, v->size / 2, l.table);
    for (int64_t r = v->vox->start[b]; r < stop;) {
      const int room = v->cap - have < BLOCK_ROWS ? v->cap - have : BLOCK_ROWS;
      const int take = stop - r < room ? (int)(stop - r) : room;
      if (v->size == 3)
        list_rows(&l, v, r, take, have, 3);
      else
        list_rows(&l, v, r, take, have, 5);
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
