/* voxel_set.c - see voxel_set.h. */
#include "voxel_set.h"

#include <string.h>

#include "cloud.h"
#include "size.h"

enum { FIRST_BITS = 12 };

/* Where a search for key starts: the top bits of a product (Knuth's multiplicative hash). */
static uint64_t start_of(const struct pt_voxel_set *s, uint64_t key) {
  return key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - s->bits);
}

/* The slot of the key, or the free one where it belongs. */
static int32_t *find(const struct pt_voxel_set *s, uint64_t key) {
  uint64_t mask = (UINT64_C(1) << s->bits) - 1;
  for (uint64_t at = start_of(s, key);; at = (at + 1) & mask) {
    int32_t id = s->slot[at];
    if (id < 0 || s->key[id] == key) return &s->slot[at];
  }
}

/* Room for more keys, the table at most three quarters full. */
static int make_room(struct pt_voxel_set *s, int64_t more, struct ptv3_error *err) {
  int bits = s->bits ? s->bits : FIRST_BITS;
  while ((s->m + more) * 4 > (INT64_C(3) << bits)) bits++;
  int status =
      pt_grow(s->mem, &s->key, &s->key_cap, s->m + more, sizeof *s->key, PT_MEM_CLOUD, err);
  if (!status)
    status = pt_grow(s->mem, &s->count, &s->count_cap, s->m + more, sizeof *s->count,
                     PT_MEM_CLOUD, err);
  if (status || bits == s->bits) return status;
  pt_free(s->mem, s->slot); /* numbers are found again from the keys */
  s->bits = 0;
  s->slot = pt_alloc(s->mem, INT64_C(1) << bits, sizeof *s->slot, PT_MEM_CLOUD, err);
  if (!s->slot) return pt_status(err);
  s->bits = bits;
  memset(s->slot, 0xff, sizeof *s->slot << bits);
  for (int64_t i = 0; i < s->m; i++) *find(s, s->key[i]) = (int32_t)i;
  return PTV3_OK;
}

int pt_voxel_set_add(struct pt_voxel_set *s, const uint64_t *key, int64_t n, int32_t *id,
                     struct ptv3_error *err) {
  enum { RUN = 4096 }; /* room is made for as many at a time, most of which are not new */
  for (int64_t i = 0; i < n; i++) {
    if (i % RUN == 0) {
      int status = s->m < INT32_MAX - 2 * RUN
                       ? make_room(s, pt_min(RUN, n - i), err)
                       : pt_fail(err, PTV3_UNSUPPORTED,
                                 "GridSample: more than %d voxels; use a larger grid size",
                                 INT32_MAX - 2 * RUN);
      if (status) return status;
    }
    if (i > 0 && key[i] == key[i - 1]) { /* scans come in rows */
      id[i] = id[i - 1];
    } else {
      int32_t *slot = find(s, key[i]);
      if (*slot < 0) {
        s->key[s->m] = key[i];
        s->count[s->m] = 0;
        *slot = (int32_t)s->m++;
      }
      id[i] = *slot;
    }
    if (s->count[id[i]] == INT32_MAX)
      return pt_fail(err, PTV3_UNSUPPORTED,
                     "GridSample: more than %d points in one voxel; use a smaller grid size",
                     INT32_MAX);
    s->count[id[i]]++;
  }
  return PTV3_OK;
}

void pt_voxel_set_free(struct pt_voxel_set *s) {
  if (s->mem) {
    pt_free(s->mem, s->key);
    pt_free(s->mem, s->count);
    pt_free(s->mem, s->slot);
  }
  *s = (struct pt_voxel_set){0};
}
