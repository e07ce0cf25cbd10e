/* clean.h - which points of a file can be used: not those without a position, and not those
 * so far from the rest that the grid would have to be huge for them.
 *
 * A point is set aside when
 *  1. a coordinate, or a number of a channel in use, is NaN or infinite as a float32; or
 *  2. it is a far outlier: on some axis more than 100 times the cloud's size away from the
 *     median, where the size is the longest of the three axes' ranges that hold the middle
 *     90 % of the points (taken from up to 65536 points evenly spread over the file); or
 *  3. with a grid size known: the remaining points span more than 65534 cells on an axis (what
 *     the curve codes of the network can hold), and it is one of at most 1 % of the points that
 *     lie more than 32767 cells from the median.
 * Nothing else is removed: what is set aside is counted, and gets no label. */
#ifndef PT_CLEAN_H
#define PT_CLEAN_H

#include <stdint.h>

#include "env.h"
#include "table.h"

/* One axis: column and which of its numbers. */
struct pt_axis {
  const struct pt_column *col;
  int k;
};

static inline double pt_axis_at(const struct pt_axis *a, int64_t i) {
  int64_t at = i * a->col->width + a->k;
  if (a->col->type == PT_F32) return (double)((const float *)a->col->data)[at];
  if (a->col->type == PT_F64) return ((const double *)a->col->data)[at];
  return pt_load(a->col->data, a->col->type, at);
}

struct pt_clean {
  uint8_t *keep; /* [n] 1: the point is used; owned */
  int64_t n, kept;
  int64_t not_finite, first_not_finite; /* how many, and the first row */
  char not_finite_channel[64];          /* where the first was found */
  int64_t far, first_far;
  double min[3], max[3]; /* of the points kept, the file's unit (metres) */
};

/* Looks at n rows. used: columns whose NaN and infinite numbers also count. grid_size 0: not
 * known. PTV3_DATA when no point is left; name is the file's, for messages. Warns once for
 * each kind found. */
int pt_clean(struct pt_env *env, const char *name, const struct pt_axis xyz[3], int64_t n,
             const struct pt_column *const *used, int n_used, double grid_size,
             struct pt_clean *clean, struct ptv3_error *err);
void pt_clean_free(struct pt_clean *clean, struct pt_mem *mem);

#endif
