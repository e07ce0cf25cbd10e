/* rows.h - binary rows taken apart into columns: the points of a PLY, PCD or .bin file. */
#ifndef PT_ROWS_H
#define PT_ROWS_H

#include <stdbool.h>

#include "env.h"

/* One field of a row and the column it goes to. */
struct pt_field {
  int64_t offset; /* bytes from the start of the row */
  int bytes;      /* of one number: 1, 2, 4 or 8 */
  int width;      /* numbers, side by side */
  void *data;     /* [n, width] */
};

/* n rows of stride bytes at src into the columns; swapped: the file's byte order is not this
 * machine's. Rows are read once, by env->threads threads. PTV3_CANCELLED or success. */
int pt_rows_read(struct pt_env *env, const uint8_t *src, int64_t n, int64_t stride,
                 const struct pt_field *field, int count, bool swapped, struct ptv3_error *err);

/* One row of a file whose rows differ in length: row i of the columns. */
void pt_rows_one(const uint8_t *row, int64_t i, const struct pt_field *field, int count,
                 bool swapped);

#endif
