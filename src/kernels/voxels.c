/* voxels.c - see voxels.h. */
#include "voxels.h"

#include <stdbool.h>
#include <string.h>

int64_t pt_block_slots(int64_t blocks) {
  int64_t slots = 4;
  while (slots < 3 * (blocks + 1)) slots *= 2;
  return slots;
}

static bool same_block(const int32_t *a, const int32_t *b) {
  return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2])) >> PT_BLOCK_BITS == 0;
}

int64_t pt_block_count(const int32_t *coord, const int64_t *offset, int clouds) {
  int64_t blocks = 0;
  for (int c = 0; c < clouds; c++)
    for (int64_t r = offset[c]; r < offset[c + 1]; r++)
      blocks += r == offset[c] || !same_block(coord + 3 * r, coord + 3 * r - 3);
  return blocks;
}

static void insert(const int32_t *first, int32_t cloud, int32_t block, int32_t *slot,
                   int64_t slots) {
  uint64_t mask = (uint64_t)slots - 1;
  uint64_t s = pt_block_hash(cloud, first[0] >> PT_BLOCK_BITS, first[1] >> PT_BLOCK_BITS,
                             first[2] >> PT_BLOCK_BITS);
  while (slot[s & mask]) s++;
  slot[s & mask] = block + 1;
}

void pt_block_build(const int32_t *coord, const int64_t *offset, int clouds, int64_t blocks,
                    int32_t *start, int32_t *cloud, int32_t *slot, int64_t slots) {
  int32_t b = 0;
  memset(slot, 0, (size_t)slots * sizeof *slot);
  for (int c = 0; c < clouds; c++)
    for (int64_t r = offset[c]; r < offset[c + 1]; r++) {
      if (r != offset[c] && same_block(coord + 3 * r, coord + 3 * r - 3)) continue;
      start[b] = (int32_t)r;
      cloud[b] = c;
      insert(coord + 3 * r, c, b++, slot, slots);
    }
  start[blocks] = (int32_t)offset[clouds];
}

int64_t pt_block_from(const struct pt_voxels *v, int64_t r) {
  int64_t low = 0, high = v->blocks;
  while (low < high) {
    int64_t mid = (low + high) / 2;
    if (v->start[mid] < r)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

int64_t pt_block_find(const struct pt_voxels *v, int32_t cloud, int32_t x, int32_t y,
                      int32_t z) {
  uint64_t mask = (uint64_t)v->slots - 1;
  for (uint64_t s = pt_block_hash(cloud, x, y, z);; s++) {
    int32_t b = v->slot[s & mask] - 1;
    if (b < 0) return -1;
    const int32_t *c = v->coord + 3 * (int64_t)v->start[b];
    if (v->cloud[b] == cloud && c[0] >> PT_BLOCK_BITS == x && c[1] >> PT_BLOCK_BITS == y &&
        c[2] >> PT_BLOCK_BITS == z)
      return b;
  }
}

/* Puts the rows of block b that lie within the table of the block at origin into it. Which
 * do is hard to predict, so the others are stored as well, elsewhere. */
static void unfold_one(const struct pt_voxels *v, int64_t b, const int32_t origin[3], int h,
                       int32_t *table) {
  const unsigned side = (unsigned)(PT_BLOCK + 2 * h);
  int32_t elsewhere;
  for (int32_t r = v->start[b]; r < v->start[b + 1]; r++) {
    const int32_t *c = v->coord + 3 * (int64_t)r;
    unsigned i = (unsigned)(c[0] - origin[0] + h), j = (unsigned)(c[1] - origin[1] + h),
             k = (unsigned)(c[2] - origin[2] + h);
    int in = (i < side) & (j < side) & (k < side);
    *(in ? table + (i * side + j) * side + k : &elsewhere) = r;
  }
}

void pt_block_unfold(const struct pt_voxels *v, int64_t b, int h, int32_t *table) {
  int side = PT_BLOCK + 2 * h;
  const int32_t *first = v->coord + 3 * (int64_t)v->start[b];
  int32_t at[3], origin[3];
  for (int a = 0; a < 3; a++) {
    at[a] = first[a] >> PT_BLOCK_BITS;
    origin[a] = at[a] << PT_BLOCK_BITS;
  }
  memset(table, -1, (size_t)(side * side * side) * sizeof *table);
  for (int d = 0; d < 27; d++) {
    int x = d / 9 - 1, y = d / 3 % 3 - 1, z = d % 3 - 1;
    int64_t o = d == 13 ? b : pt_block_find(v, v->cloud[b], at[0] + x, at[1] + y, at[2] + z);
    if (o >= 0) unfold_one(v, o, origin, h, table);
  }
}
