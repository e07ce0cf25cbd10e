/* ops_made.h - random numbers and made-up clouds for the tests of kernels. */
#ifndef TEST_OPS_MADE_H
#define TEST_OPS_MADE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "feature.h"
#include "mat.h"
#include "voxels.h"

static uint64_t made_seed = 1;

static inline uint64_t made_bits(void) {
  uint64_t z = (made_seed += 0x9E3779B97F4A7C15u);
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

/* Uniform in [-1, 1). */
static inline float made_float(void) {
  return (float)((double)(made_bits() >> 40) / 8388608.0 - 1.0);
}

static inline void *made_room(int64_t bytes) {
  void *p = aligned_alloc(64, (size_t)(bytes + 128) / 64 * 64);
  if (!p) abort();
  return p;
}

/* n numbers, uniform within +-scale around centre. */
static inline float *made_floats(int64_t n, float centre, float scale) {
  float *p = made_room(n * (int64_t)sizeof *p);
  for (int64_t i = 0; i < n; i++) p[i] = centre + scale * made_float();
  return p;
}

/* The same stored as features of a type. */
static inline void *made_features(int64_t n, float centre, float scale, enum pt_dtype type) {
  void *p = made_room(n * (int64_t)sizeof(float));
  for (int64_t i = 0; i < n; i++) pt_put(p, type, i, centre + scale * made_float());
  return p;
}

/* `count` packed matrices (k, n), entries of the usual size; *data is the caller's. */
static inline struct pt_mat made_mats(int count, int k, int n, enum pt_dtype type,
                                      void **data) {
  const float a = sqrtf(3.0f / (float)k);
  float *w = made_floats((int64_t)k * n, 0.0f, a);
  *data = made_room(count * pt_mat_size(k, n, type));
  const struct pt_mat first = {*data, k, n, type};
  for (int i = 0; i < count; i++) {
    for (int64_t j = 0; j < (int64_t)k * n; j++) w[j] = a * made_float();
    pt_mat_pack((void *)(uintptr_t)pt_mat_tap(&first, i).data, type, w, k, n, n, 1);
  }
  free(w);
  return first;
}

static inline struct pt_mat made_mat(int count, int k, int n, float **data) {
  void *p;
  struct pt_mat m = made_mats(count, k, n, PT_F32, &p);
  *data = p;
  return m;
}

struct made_voxel {
  uint64_t code; /* Z-order */
  int32_t at[3];
};

static inline int made_compare(const void *a, const void *b) {
  uint64_t x = ((const struct made_voxel *)a)->code, y = ((const struct made_voxel *)b)->code;
  return (x > y) - (x < y);
}

/* Sorts n voxels of one cloud by Z-order, drops doubles, writes them; returns how many. */
static inline int64_t made_sort(struct made_voxel *v, int64_t n, int32_t *coord) {
  for (int64_t i = 0; i < n; i++) {
    v[i].code = 0;
    for (int bit = 20; bit >= 0; bit--)
      for (int a = 0; a < 3; a++)
        v[i].code = v[i].code << 1 | (uint64_t)(v[i].at[a] >> bit & 1);
  }
  if (n) qsort(v, (size_t)n, sizeof *v, made_compare);
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++) {
    if (i && v[i].code == v[i - 1].code) continue;
    memcpy(coord + 3 * m++, v[i].at, sizeof v[i].at);
  }
  return m;
}

struct made_cloud {
  struct pt_voxels vox;
  int32_t *coord, *start, *cloud, *slot;
};

static inline void made_free(struct made_cloud *c) {
  free(c->coord), free(c->start), free(c->cloud), free(c->slot);
}

/* Indexes voxels already sorted cloud by cloud; takes coord. */
static inline void made_index(struct made_cloud *c, int32_t *coord, const int64_t *offset,
                              int clouds) {
  const int64_t n = offset[clouds], blocks = pt_block_count(coord, offset, clouds);
  const int64_t slots = pt_block_slots(blocks);
  c->coord = coord;
  c->start = made_room((blocks + 1) * 4);
  c->cloud = made_room(blocks * 4);
  c->slot = made_room(slots * 4);
  pt_block_build(coord, offset, clouds, blocks, c->start, c->cloud, c->slot, slots);
  c->vox = (struct pt_voxels){n, coord, blocks, c->start, c->cloud, c->slot, slots};
}

/* A room's surface: the walls and the floor of a box of side `side` voxels, a bump on the
 * floor, one voxel deep with a little noise; about 3.5 side^2 voxels. */
static inline int64_t made_surface(int side, struct made_voxel *v) {
  int64_t n = 0;
  for (int i = 0; i < side; i++)
    for (int j = 0; j < side; j++) {
      int bump =
          (i - side / 2) * (i - side / 2) + (j - side / 2) * (j - side / 2) < side * side / 16;
      int noise = made_bits() % 8 == 0;
      v[n++] = (struct made_voxel){0, {i, j, noise + (bump ? side / 8 : 0)}};
      v[n++] = (struct made_voxel){0, {i, noise, j}};
      v[n++] = (struct made_voxel){0, {noise, i, j}};
      if (noise) v[n++] = (struct made_voxel){0, {i, side - 1, j}};
    }
  return n;
}

#endif
