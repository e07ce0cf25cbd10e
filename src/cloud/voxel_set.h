/* voxel_set.h - the distinct keys of a stream of points: a number for each, in the order they
 * come, and how many points have it.
 *
 * Open addressing over numbers, keys beside: a key takes 12 bytes, and its place in the table
 * 5 to 11. It grows by half, or for the table by two, and needs both sizes at once then. */
#ifndef PT_VOXEL_SET_H
#define PT_VOXEL_SET_H

#include <stdint.h>

#include "mem.h"

struct pt_voxel_set {
  struct pt_mem *mem;
  int64_t m;      /* keys */
  uint64_t *key;  /* [m] */
  int32_t *count; /* [m] points of each */
  int64_t key_cap, count_cap;
  int32_t *slot; /* [1 << bits] number of a key, or -1 */
  int bits;
};

/* The numbers of n more points to id[n]. */
int pt_voxel_set_add(struct pt_voxel_set *s, const uint64_t *key, int64_t n, int32_t *id,
                     struct ptv3_error *err);

/* A zeroed set with mem set is an empty one; a zeroed one may be freed. */
void pt_voxel_set_free(struct pt_voxel_set *s);

#endif
