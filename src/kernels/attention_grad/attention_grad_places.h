/* attention_grad_places.h - the gradient of the table of relative positions: dS summed by the
 * distance of query and key along each axis. Included by attention_grad_block.h only.
 *
 * The distance is another in every lane, so what a key adds goes to as many places of the table
 * as there are lanes. But a patch is near together: its keys share few coordinates on an axis.
 * Where they are sorted by them, dS of all keys that share one is first summed, a vector at a
 * time, and only the sums are spread over the table. */
#ifndef PT_ATTENTION_GRAD_PLACES_H
#define PT_ATTENTION_GRAD_PLACES_H

#include "attention_lanes.h"

/* Places 0 .. n - 1 sorted by coordinate, stable, into by [n]; spare [n] is overwritten. Radix
 * sort of 8 bits a pass, as many as the range of the coordinates takes. */
static void sort_places(const int32_t *coord, int n, int32_t *by, int32_t *spare) {
  int32_t low = coord[0], high = coord[0];
  for (int i = 0; i < n; i++) {
    by[i] = i;
    low = coord[i] < low ? coord[i] : low;
    high = coord[i] > high ? coord[i] : high;
  }
  const uint32_t range = (uint32_t)high - (uint32_t)low;
  for (int shift = 0; shift < 32 && range >> shift; shift += 8) {
    int end[256] = {0}, sum = 0;
    for (int i = 0; i < n; i++) end[((uint32_t)coord[by[i]] - (uint32_t)low) >> shift & 255]++;
    for (int i = 0; i < 256; i++) sum = end[i] += sum;
    for (int i = n - 1; i >= 0; i--)
      spare[--end[((uint32_t)coord[by[i]] - (uint32_t)low) >> shift & 255]] = by[i];
    memcpy(by, spare, (size_t)n * sizeof *by);
  }
}

/* Adds dS of keys at a coordinate to bins [2 bound + 1, LANES] of an axis, each lane where its
 * query has it; g [LANES] from take_places. */
static void spread_sum(const struct block *b, const int32_t *g, int32_t key, const pt_v sum[NV],
                       float *bins) {
  int32_t at[LANES];
  float of[LANES];
  for (int v = 0; v < NV; v++) {
    int_v query;
    memcpy(&query, g + v * PT_VW, sizeof query);
    query = held(query - key, 2 * b->bound);
    memcpy(at + v * PT_VW, &query, sizeof query);
    pt_vstore(of + v * PT_VW, sum[v]);
  }
  for (int l = 0; l < LANES; l++) bins[at[l] * LANES + l] += of[l];
}

/* Adds dS [keys, LANES] of a block of queries to bins [3, 2 bound + 1, LANES]. g [3, LANES]
 * from take_places; by [3, coord_ld]: places of the keys sorted by coordinate. */
static void count_places(const struct block *b, const int32_t *g, const int32_t *by,
                         const float *ds, float *bins) {
  for (int a = 0; a < 3; a++) {
    const int32_t *coord = b->coord + a * b->coord_ld, *place = by + a * b->coord_ld;
    for (int i = 0; i < b->keys;) {
      const int32_t key = coord[place[i]];
      pt_v sum[NV];
      for (int v = 0; v < NV; v++) sum[v] = pt_vset1(0.0f);
      for (; i < b->keys && coord[place[i]] == key; i++)
        for (int v = 0; v < NV; v++)
          sum[v] = pt_vadd(sum[v], pt_vload(ds + (int64_t)place[i] * LANES + v * PT_VW));
      spread_sum(b, g + a * LANES, key, sum, bins + a * (2 * b->bound + 1) * LANES);
    }
  }
}

#endif
