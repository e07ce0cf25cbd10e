/* result.h - what was predicted for the points of a cloud, a block of the input's rows at a
 * time, to files. Where the labels and points come from - arrays, a cloud in memory, a file
 * that is read in parts - is the caller's. */
#ifndef PT_API_RESULT_H
#define PT_API_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "cloud.h"
#include "env.h"

enum { PT_RESULT_BLOCK = 16384 }; /* rows asked for at a time, at most */

struct pt_result {
  struct pt_env *env;
  int64_t n;          /* rows of the input */
  const char *source; /* the file it was read from; NULL: none */
  int classes;
  const char *const *class_name; /* [classes] or NULL */
  const uint8_t *code;           /* [classes] LAS classifications or NULL */
  bool confidence, color;        /* whether there are such */
  double lower[3];               /* corner of the usable points, metres */
  int64_t unusable;              /* rows */
  /* Rows first .. first + count - 1, in blocks that ascend: label [count], -1 for those that
   * cannot be used, and confidence [count] unless it is NULL. */
  int (*labels)(void *user, int64_t first, int64_t count, int32_t *label, float *confidence,
                struct ptv3_error *err);
  /* coord [count, 3] metres, NaN for those that cannot be used; color [count, 3] unless NULL.
   */
  int (*points)(void *user, int64_t first, int64_t count, double *coord, uint8_t *color,
                struct ptv3_error *err);
  /* p [count, classes], zeros for those that cannot be used; NULL: there are none. */
  int (*probabilities)(void *user, int64_t first, int64_t count, float *p,
                       struct ptv3_error *err);
  void *user;
};

/* By the extension of path; see ptv3_prediction_save. */
int pt_result_save(const struct pt_result *r, const char *path, struct ptv3_error *err);
int pt_result_save_probabilities(const struct pt_result *r, const char *path,
                                 struct ptv3_error *err);

/* count [classes + 1]: rows of each class, then those that cannot be used. */
int pt_result_count(const struct pt_result *r, int64_t *count, struct ptv3_error *err);

/* ---- for clouds in memory ---- */

/* The loaded point that is row `row` of the input, -1 if none is. *place: 0 at first; it makes
 * rows that ascend quick. */
int64_t pt_point_at(int64_t *place, const struct pt_cloud *c, int64_t row);

/* What pt_result.points does. */
struct pt_points_of {
  const struct pt_cloud *cloud;
  int64_t place; /* 0 at first */
};
int pt_points_of(struct pt_points_of *p, int64_t first, int64_t count, double *coord,
                 uint8_t *color, struct ptv3_error *err);

bool pt_has_colors(const struct pt_cloud *c);

#endif
