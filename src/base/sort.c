/* sort.c - see sort.h. */
#include "sort.h"

#include <string.h>

#define DIGIT 11
#define BINS (1 << DIGIT)

/* Turns counts into first positions; true if one bin holds all n. */
static int prefix(int64_t *bin, int64_t n) {
  int64_t sum = 0;
  for (int b = 0; b < BINS; b++) {
    int64_t c = bin[b];
    if (c == n) return 1;
    bin[b] = sum;
    sum += c;
  }
  return 0;
}

void pt_radix_sort(uint64_t *key, int32_t *row, uint64_t *spare_key, int32_t *spare_row,
                   int64_t n, int bits) {
  uint64_t *from = key, *to = spare_key;
  int32_t *from_row = row, *to_row = spare_row;
  for (int shift = 0; shift < bits; shift += DIGIT) {
    int64_t bin[BINS] = {0};
    for (int64_t i = 0; i < n; i++) bin[from[i] >> shift & (BINS - 1)]++;
    if (prefix(bin, n)) continue;
    for (int64_t i = 0; i < n; i++) {
      int64_t p = bin[from[i] >> shift & (BINS - 1)]++;
      to[p] = from[i];
      to_row[p] = from_row[i];
    }
    uint64_t *k = from;
    from = to, to = k;
    int32_t *r = from_row;
    from_row = to_row, to_row = r;
  }
  if (from == key) return;
  memcpy(key, from, (size_t)n * sizeof *key);
  memcpy(row, from_row, (size_t)n * sizeof *row);
}
