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

#include <stdbool.h>
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

/* A run of rows of the file. */
struct pt_clean_rows {
  const struct pt_axis *xyz;           /* [3] */
  const struct pt_column *const *used; /* [n_used] columns whose NaN and infinite numbers
                                          also count */
  int n_used;
  int64_t first, n; /* row of the file that is row 0 of the columns; rows */
};

/* What is found, over all rows. The rows are looked at once from the first to the last, and
 * once or twice more where some lie far off: then what is kept depends on all of them. */
struct pt_clean {
  int64_t n, kept;
  int64_t not_finite, first_not_finite; /* how many, and the first row */
  char not_finite_channel[64];          /* where the first was found */
  int64_t far, first_far;
  double first_far_at[3];
  double min[3], max[3]; /* of the points kept, the file's unit (metres) */
  int looks;             /* how often all rows were looked at */
  bool undone;           /* the last look set points aside that stay after all */
  /* Its own. */
  struct pt_mem *mem;
  double grid_size;
  double *sample; /* [3, SAMPLE] while the first look lasts */
  int64_t samples;
  double median[3], reach, narrow; /* a point farther off than either is set aside */
  int64_t here, here_first;        /* set aside by this look for lying far off, and the first */
  double here_at[3];
  int64_t before; /* kept by the look before */
  double before_min[3], before_max[3];
};

/* n rows in all, PTV3_DATA for none; name is the file's, for messages. grid_size 0: not known.
 * pt_clean_free follows in any case. */
int pt_clean_begin(struct pt_clean *c, struct pt_mem *mem, const char *name, int64_t n,
                   double grid_size, struct ptv3_error *err);

/* The next rows; keep[rows->n] becomes 1 for those that can be used as far as is known. */
void pt_clean_look(struct pt_clean *c, const struct pt_clean_rows *rows, uint8_t *keep);

/* After the last row: whether all rows have to be looked at again, from the first on. */
bool pt_clean_again(struct pt_clean *c);

/* After that: PTV3_DATA when no point is left; warns once for each kind found. */
int pt_clean_end(const struct pt_clean *c, struct pt_env *env, const char *name,
                 struct ptv3_error *err);

/* Then any rows in any order: keep as it is in the end. */
void pt_clean_mark(const struct pt_clean *c, const struct pt_clean_rows *rows, uint8_t *keep);

void pt_clean_free(struct pt_clean *c);

#endif
