/* conv_cpu.c - the submanifold convolution of conv.h.
 *
 * A block with its halo is unfolded into a table of row numbers (voxels.h). For each offset
 * all rows of the block are looked up in it and listed without a branch: whether there is a
 * neighbour decides only whether the place in the list is kept. */
#include "conv.h"

#include "gemm.h"
#include "rows_cpu.h"

static int64_t stride_of(int cap) { return (cap + 15) / 16 * 16 + 16; }

static int64_t head_bytes(void) {
  return pt_floats((int64_t)sizeof(struct pt_conv_lists) / (int64_t)sizeof(float));
}

int64_t PT_FN(pt_conv_scratch)(const struct pt_conv *v) {
  const int64_t side = PT_BLOCK + v->size - 1, offsets = v->size * v->size * v->size;
  return head_bytes() + pt_floats(side * side * side) +
         2 * pt_floats(offsets * stride_of(v->cap));
}

static struct pt_conv_lists *lay_out(const struct pt_conv *v, char *scratch) {
  const int64_t side = PT_BLOCK + v->size - 1, offsets = v->size * v->size * v->size;
  struct pt_conv_lists *l = (struct pt_conv_lists *)(void *)scratch;
  char *at = scratch + head_bytes();
  l->stride = stride_of(v->cap);
  l->table = (int32_t *)(void *)at;
  l->in = (int32_t *)(void *)(at += pt_floats(side * side * side));
  l->out = (int32_t *)(void *)(at + pt_floats(offsets * l->stride));
  memset(l->count, 0, sizeof l->count);
  return l;
}

/* Looks up the `size` offsets from k on, which differ in z alone, for each row of a block. */
PT_INLINE void list_column(struct pt_conv_lists *l, const int32_t *table, int k, int rows,
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
PT_INLINE void list_rows(struct pt_conv_lists *l, const struct pt_conv *v, int64_t row,
                         int rows, int32_t local, const int size) {
  const int32_t *at = v->vox->coord + 3 * row;
  const int side = PT_BLOCK + size - 1, inside = PT_BLOCK - 1;
  for (int i = 0; i < rows; i++, at += 3)
    l->cell[i] = ((at[0] & inside) * side + (at[1] & inside)) * side + (at[2] & inside);
  for (int k = 0; k < size * size; k++)
    list_column(l, l->table + (k / size * side + k % size) * side, k * size, rows, local, size);
}

/* Adds rows of block b, from row on, to the lists, of which `local` are filled, as far as the
 * block and a tile of `cap` rows reach; returns how many. The block is unfolded. */
static int list_block(struct pt_conv_lists *l, const struct pt_conv *v, int64_t b, int64_t row,
                      int local, int cap) {
  const int64_t left = v->vox->start[b + 1] - row;
  const int room = cap - local < PT_CONV_ROWS ? cap - local : PT_CONV_ROWS;
  const int take = left < room ? (int)left : room;
  if (v->size == 3)
    list_rows(l, v, row, take, local, 3);
  else
    list_rows(l, v, row, take, local, 5);
  return take;
}

struct pt_conv_lists *PT_FN(pt_conv_list)(const struct pt_conv *v, int64_t first, int rows,
                                          char *scratch) {
  struct pt_conv_lists *l = lay_out(v, scratch);
  int64_t b = pt_block_from(v->vox, first + 1) - 1, unfolded = -1;
  for (int have = 0; have < rows;) {
    if (b != unfolded) pt_block_unfold(v->vox, b, v->size / 2, l->table);
    unfolded = b;
    have += list_block(l, v, b, first + have, have, rows);
    if (first + have == v->vox->start[b + 1]) b++;
  }
  return l;
}

static struct pt_mat mat_of(const struct pt_conv *v, int offset) {
  const int last = v->size * v->size * v->size - 1;
  return pt_mat_tap(&v->w, v->mirror ? last - offset : offset);
}

void PT_FN(pt_conv_tile)(const struct pt_conv *v, const struct pt_conv_lists *l, int64_t first,
                         int rows, float *y, int64_t ld) {
  const int offsets = v->size * v->size * v->size, self = offsets / 2;
  struct pt_mat w = mat_of(v, self);
  PT_FN(pt_gemm)
  (rows, pt_src(pt_at(v->x, v->type, first * v->in), v->type, v->in), &w, pt_dst(y, ld),
   v->bias ? PT_GEMM_BIAS : PT_GEMM_ZERO, v->bias);
  for (int k = 0; k < offsets; k++) {
    if (k == self || l->count[k] == 0) continue;
    w = mat_of(v, k);
    struct pt_src in = {v->x, v->in, l->in + k * l->stride, v->type};
    struct pt_dst out = {y, ld, l->out + k * l->stride};
    PT_FN(pt_gemm)(l->count[k], in, &w, out, PT_GEMM_ADD, NULL);
  }
}

/* The products of a full tile, rows first .. first + rows - 1, and what follows. */
static void flush(struct pt_conv_lists *l, const struct pt_conv *v, int64_t first, int rows,
                  const struct pt_conv_sink *sink, char *rest) {
  float *y = sink->place(sink->op, first, rest);
  PT_FN(pt_conv_tile)(v, l, first, rows, y, sink->ld);
  memset(l->count, 0, sizeof l->count);
  sink->done(sink->op, first, rows, y, rest);
}

void PT_FN(pt_conv)(const struct pt_conv *v, int64_t begin, int64_t end,
                    const struct pt_conv_sink *sink, char *scratch, char *rest) {
  if (begin >= end) return;
  struct pt_conv_lists *l = lay_out(v, scratch);
  int64_t first = v->vox->start[begin];
  int have = 0;
  for (int64_t b = begin; b < end; b++) {
    pt_block_unfold(v->vox, b, v->size / 2, l->table);
    while (first + have < v->vox->start[b + 1]) {
      have += list_block(l, v, b, first + have, have, v->cap);
      if (have < v->cap) continue;
      flush(l, v, first, have, sink, rest);
      first += have;
      have = 0;
    }
  }
  if (have) flush(l, v, first, have, sink, rest);
}
