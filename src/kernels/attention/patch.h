/* patch.h - where the patches of a batch lie.
 *
 * A patch is a run of positions of one cloud. Its last `own` positions are its queries, and
 * all of them are keys. For most patches all positions are own; the last patch of a cloud
 * whose size K does not divide holds the last n mod K positions and borrows those right
 * before them, so it too is one run: the last K positions of the cloud. (Pointcept lists the
 * borrowed ones after the own ones; the softmax does not see the order of keys.) */
#ifndef PT_PATCH_H
#define PT_PATCH_H

#include "attention.h"

struct pt_patch {
  int64_t first; /* first position, counted over all clouds */
  int len;       /* positions: keys */
  int own;       /* the last own positions are queries; own < len: this patch borrows */
};

/* Patch i of a cloud with n positions that begins at position base. */
static inline struct pt_patch pt_patch_of(int64_t base, int64_t n, int patch, int64_t i) {
  int64_t first = i * patch, end = first + patch;
  if (n <= patch) return (struct pt_patch){base, (int)n, (int)n};
  if (end <= n) return (struct pt_patch){base + first, patch, patch};
  return (struct pt_patch){base + n - patch, patch, (int)(n - first)};
}

/* Patches of all clouds together. */
static inline int64_t pt_patch_total(const struct pt_attention *a) {
  int64_t total = 0;
  for (int b = 0; b < a->clouds; b++)
    total += pt_patch_count(a->offset[b + 1] - a->offset[b], a->patch);
  return total;
}

/* Patch number index, 0 .. pt_patch_total - 1, cloud by cloud. */
static inline struct pt_patch pt_patch_at(const struct pt_attention *a, int64_t index) {
  for (int b = 0; b < a->clouds; b++) {
    int64_t n = a->offset[b + 1] - a->offset[b], count = pt_patch_count(n, a->patch);
    if (index < count) return pt_patch_of(a->offset[b], n, a->patch, index);
    index -= count;
  }
  return (struct pt_patch){0, 0, 0};
}

/* The patches that borrow, or those that do not, cloud by cloud: how many there are, and
 * which is number i (p may be NULL). */
static inline int64_t pt_patch_find(const struct pt_attention *a, bool borrowing, int64_t i,
                                    struct pt_patch *p) {
  int64_t total = 0;
  for (int b = 0; b < a->clouds; b++) {
    int64_t base = a->offset[b], n = a->offset[b + 1] - base;
    int64_t whole = n <= a->patch ? n > 0 : n / a->patch;
    int64_t here = borrowing ? n > a->patch && n % a->patch : whole;
    if (p && i >= total && i < total + here)
      *p = pt_patch_of(base, n, a->patch, borrowing ? whole : i - total);
    total += here;
  }
  return total;
}

/* How many patches borrow from one that comes before number `whole` of those that do not: a
 * patch borrows from the last of its cloud. */
static inline int64_t pt_patch_borrowers(const struct pt_attention *a, int64_t whole) {
  int64_t total = 0, seen = 0;
  for (int b = 0; b < a->clouds; b++) {
    int64_t n = a->offset[b + 1] - a->offset[b];
    seen += n <= a->patch ? n > 0 : n / a->patch;
    if (seen > whole) break;
    total += n > a->patch && n % a->patch;
  }
  return total;
}

/* Longest patch there can be: sizes only. */
static inline int64_t pt_patch_longest(const struct pt_attention *a) {
  return a->n < a->patch ? a->n : a->patch;
}

static inline int64_t pt_patch_row(const struct pt_attention *a, int64_t position) {
  return a->order ? a->order[position] : position;
}

#endif
