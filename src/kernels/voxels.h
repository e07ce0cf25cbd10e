/* voxels.h - the voxels of one stage, as the convolutions see them, and how a voxel finds
 * its neighbours.
 *
 * Rows are sorted by a space-filling curve whose codes are octree codes (Z-order and
 * Hilbert both are: the code of a voxel, shifted right by 3, is the code of its parent
 * cell). So all voxels of an aligned 8 x 8 x 8 block are consecutive rows. A hash finds a
 * block by its coordinate; a block with the halo of its neighbours is unfolded into a small
 * dense table of row numbers; every neighbour of its voxels is then one load away. Nothing
 * is stored per voxel but its coordinate: no kernel map. */
#ifndef PT_VOXELS_H
#define PT_VOXELS_H

#include <stdint.h>

#define PT_BLOCK_BITS 3
#define PT_BLOCK (1 << PT_BLOCK_BITS)

struct pt_voxels {
  int64_t n; /* rows, below 2^31 */
  const int32_t
      *coord;     /* [n, 3] grid coordinate, 0 .. 2^21-1, in curve order, cloud by cloud */
  int64_t blocks; /* blocks */
  const int32_t *start; /* [blocks + 1] first row of each block; start[blocks] = n */
  const int32_t *cloud; /* [blocks] index of the block's cloud in the batch */
  const int32_t *slot;  /* [slots] block + 1, 0 where empty: open addressing, linear probing */
  int64_t slots;        /* a power of two, > blocks */
};

/* The slot where the search for block (x, y, z) of a cloud begins (before masking). */
static inline uint64_t pt_block_hash(int32_t cloud, int32_t x, int32_t y, int32_t z) {
  uint64_t h = (uint64_t)(uint32_t)x * 0x9E3779B97F4A7C15u;
  h = (h ^ (uint64_t)(uint32_t)y) * 0xBF58476D1CE4E5B9u;
  h = (h ^ (uint64_t)(uint32_t)z) * 0x94D049BB133111EBu;
  h = (h ^ (uint64_t)(uint32_t)cloud) * 0x9E3779B97F4A7C15u;
  return h ^ h >> 29;
}

/* Slots for a number of blocks: at most a third full, because most searches are for
 * neighbours that are not there and end at an empty slot. */
int64_t pt_block_slots(int64_t blocks);

/* Counts the blocks of n sorted rows. offset [clouds + 1] are the first rows of clouds. */
int64_t pt_block_count(const int32_t *coord, const int64_t *offset, int clouds);

/* Fills start [blocks + 1], cloud [blocks] and slot [slots] from sorted rows. */
void pt_block_build(const int32_t *coord, const int64_t *offset, int clouds, int64_t blocks,
                    int32_t *start, int32_t *cloud, int32_t *slot, int64_t slots);

/* The first block that begins at row r or later; blocks if there is none. */
int64_t pt_block_from(const struct pt_voxels *v, int64_t r);

/* The block at block coordinate (x, y, z) of a cloud, -1 if it is empty. */
int64_t pt_block_find(const struct pt_voxels *v, int32_t cloud, int32_t x, int32_t y,
                      int32_t z);

/* Unfolds block b with a halo of h voxels (1 or 2) on every side: table[(8+2h)^3] gets the
 * row of each voxel, -1 where there is none. Index of local (i, j, k), each in -h .. 7+h:
 * ((i + h) * S + (j + h)) * S + (k + h), S = 8 + 2h. */
void pt_block_unfold(const struct pt_voxels *v, int64_t b, int h, int32_t *table);

#endif
