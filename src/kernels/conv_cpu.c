/* conv_cpu.c - the submanifold convolution of conv.h.
 *
 * A block with its halo is unfolded into a table of row numbers (voxels.h), in which each
 * offset of all rows of the block is looked up; -1 is what is not there. For a product the rows
 * that have a neighbour are picked out, without a branch. */
#include "conv.h"

#include "conv_amx.h"
#include "gemm.h"
#include "rows_cpu.h"

static int64_t stride_of(int cap) { return (cap + 15) / 16 * 16 + 16; }

static int64_t head_bytes(void) {
  return pt_floats((int64_t)sizeof(struct pt_conv_tile) / (int64_t)sizeof(float));
}

int64_t PT_FN(pt_conv_scratch)(const struct pt_conv *v) {
  const int64_t side = PT_BLOCK + v->size - 1, offsets = v->size * v->size * v->size;
  return head_bytes() + pt_floats(side * side * side) +
         (offsets + 2) * pt_floats(stride_of(v->cap));
}

struct pt_conv_tile *PT_FN(pt_conv_empty)(const struct pt_conv *v, char *scratch) {
  const int64_t side = PT_BLOCK + v->size - 1, offsets = v->size * v->size * v->size;
  struct pt_conv_tile *t = (struct pt_conv_tile *)(void *)scratch;
  char *at = scratch + head_bytes();
  t->stride = stride_of(v->cap);
  t->table = (int32_t *)(void *)at;
  t->near = (int32_t *)(void *)(at + pt_floats(side * side * side));
  t->in = t->near + offsets * t->stride;
  t->out = t->in + t->stride;
  t->rows = 0;
  memset(t->count, 0, sizeof t->count);
  return t;
}

/* Looks up `size` offsets from k on, which differ in z alone, for the rows of a block. */
PT_INLINE void look_column(struct pt_conv_tile *t, const int32_t *table, int k, int rows,
                           const int size) {
  int32_t *near = t->near + k * t->stride + t->rows;
  int there[5] = {0};
#if PT_VW == 16
  for (int i = 0; i < rows; i += 16) {
    const __mmask16 mask = pt_vmask_(rows - i);
    const __m512i cell = _mm512_loadu_si512(t->cell + i), none = _mm512_set1_epi32(-1);
    PT_UNROLL for (int z = 0; z < size; z++) {
      const __m512i row = _mm512_mask_i32gather_epi32(none, mask, cell, table + z, 4);
      _mm512_mask_storeu_epi32(near + z * t->stride + i, mask, row);
      there[z] += __builtin_popcount(_mm512_mask_cmpge_epi32_mask(mask, row, (__m512i){0}));
    }
  }
#else
  for (int i = 0; i < rows; i++) {
    const int32_t *cell = table + t->cell[i];
    PT_UNROLL for (int z = 0; z < size; z++) {
      near[z * t->stride + i] = cell[z];
      there[z] += cell[z] >= 0;
    }
  }
#endif
  for (int z = 0; z < size; z++) t->count[k + z] += there[z];
}

/* Looks up the neighbours of `rows` rows of one block, from row on. */
PT_INLINE void look_rows(struct pt_conv_tile *t, const struct pt_conv *v, int64_t row, int rows,
                         const int size) {
  const int32_t *at = v->vox->coord + 3 * row;
  const int side = PT_BLOCK + size - 1, inside = PT_BLOCK - 1;
  for (int i = 0; i < rows; i++, at += 3)
    t->cell[i] = ((at[0] & inside) * side + (at[1] & inside)) * side + (at[2] & inside);
  for (int k = 0; k < size * size; k++)
    look_column(t, t->table + (k / size * side + k % size) * side, k * size, rows, size);
  t->rows += rows;
}

/* Adds rows of block b, from row on, to the tile, as far as the block and a tile of `cap` rows
 * reach; returns how many. The block is unfolded. */
static int look_block(struct pt_conv_tile *t, const struct pt_conv *v, int64_t b, int64_t row,
                      int cap) {
  const int64_t left = v->vox->start[b + 1] - row;
  const int room = cap - t->rows < PT_CONV_ROWS ? cap - t->rows : PT_CONV_ROWS;
  const int take = left < room ? (int)left : room;
  if (v->size == 3)
    look_rows(t, v, row, take, 3);
  else
    look_rows(t, v, row, take, 5);
  return take;
}

struct pt_conv_tile *PT_FN(pt_conv_look)(const struct pt_conv *v, int64_t first, int rows,
                                         char *scratch) {
  struct pt_conv_tile *t = PT_FN(pt_conv_empty)(v, scratch);
  int64_t b = pt_block_from(v->vox, first + 1) - 1, unfolded = -1;
  while (t->rows < rows) {
    if (b != unfolded) pt_block_unfold(v->vox, b, v->size / 2, t->table);
    unfolded = b;
    look_block(t, v, b, first + t->rows, rows);
    if (first + t->rows == v->vox->start[b + 1]) b++;
  }
  return t;
}

/* The pairs of rows begin .. end - 1, begin a multiple of 16. */
PT_INLINE int some_pairs(const int32_t *near, int begin, int end, int32_t *in, int32_t *out) {
  int n = 0;
#if PT_VW == 16
  const __m512i to_15 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int i = begin; i < end; i += 16) {
    const __m512i row = _mm512_loadu_si512(near + i);
    const __m512i at = _mm512_add_epi32(to_15, _mm512_set1_epi32(i));
    const __mmask16 mask = _mm512_mask_cmpge_epi32_mask(pt_vmask_(end - i), row, (__m512i){0});
    _mm512_storeu_si512(in + n, _mm512_maskz_compress_epi32(mask, row));
    _mm512_storeu_si512(out + n, _mm512_maskz_compress_epi32(mask, at));
    n += __builtin_popcount(mask);
  }
#else
  for (int i = begin; i < end; i++) {
    in[n] = near[i];
    out[n] = i;
    n += near[i] >= 0;
  }
#endif
  return n;
}

int PT_FN(pt_conv_pairs)(const struct pt_conv_tile *t, int k, int32_t *in, int32_t *out) {
  return some_pairs(t->near + k * t->stride, 0, t->rows, in, out);
}

int PT_FN(pt_conv_even_pairs)(const struct pt_conv_tile *t, int k, int unit, int32_t *in,
                              int32_t *out) {
  int n = 0;
  for (int i = 0; i < t->rows; i += unit) {
    const int end = t->rows - i < unit ? t->rows : i + unit;
    n += some_pairs(t->near + k * t->stride, i, end, in + n, out + n);
    if (n % 2) in[n] = out[n] = -1, n++;
  }
  return n;
}

void PT_FN(pt_conv_rows)(const struct pt_conv *v, const struct pt_conv_tile *t, int64_t first,
                         float *y, int64_t ld) {
#if defined(PT_AMX)
  if (amx_keeps(v)) {
    amx_rows(v, t, y, ld);
    return;
  }
#endif
  const int offsets = v->size * v->size * v->size, self = offsets / 2;
  struct pt_mat w = pt_conv_mat(v, self);
  PT_FN(pt_gemm)
  (t->rows, pt_src(pt_at(v->x, v->type, first * v->in), v->type, v->in), &w, pt_dst(y, ld),
   v->bias ? PT_GEMM_BIAS : PT_GEMM_ZERO, v->bias);
  for (int k = 0; k < offsets; k++) {
    if (k == self || t->count[k] == 0) continue;
    const int n = PT_FN(pt_conv_pairs)(t, k, t->in, t->out);
    w = pt_conv_mat(v, k);
    PT_FN(pt_gemm)
    (n, (struct pt_src){v->x, v->in, t->in, v->type}, &w, (struct pt_dst){y, ld, t->out},
     PT_GEMM_ADD, NULL);
  }
}

/* The products of a full tile, whose first row is `first`, and what follows. */
static void flush(struct pt_conv_tile *t, const struct pt_conv *v, int64_t first,
                  const struct pt_conv_sink *sink, char *rest) {
  float *y = sink->place(sink->op, first, rest);
  PT_FN(pt_conv_rows)(v, t, first, y, sink->ld);
  sink->done(sink->op, first, t->rows, y, rest);
  memset(t->count, 0, sizeof t->count);
  t->rows = 0;
}

void PT_FN(pt_conv)(const struct pt_conv *v, int64_t begin, int64_t end,
                    const struct pt_conv_sink *sink, char *scratch, char *rest) {
  if (begin >= end) return;
  struct pt_conv_tile *t = PT_FN(pt_conv_empty)(v, scratch);
  int64_t first = v->vox->start[begin];
  for (int64_t b = begin; b < end; b++) {
    pt_block_unfold(v->vox, b, v->size / 2, t->table);
    while (first + t->rows < v->vox->start[b + 1]) {
      look_block(t, v, b, first + t->rows, v->cap);
      if (t->rows < v->cap) continue;
      const int64_t done = first + t->rows;
      flush(t, v, first, sink, rest);
      first = done;
    }
  }
  if (t->rows) flush(t, v, first, sink, rest);
}
