/* npy.h - NumPy's array files, versions 1.0 to 3.0.
 *
 * Numbers only: bool, integers of 1 to 8 bytes, floats of 2, 4 and 8 bytes, either byte
 * order, C or Fortran order. Structured, complex, text and pickled object arrays are
 * refused by name. Format: numpy.lib.format (NEP 1). */
#ifndef PT_NPY_H
#define PT_NPY_H

#include <stdbool.h>

#include "file.h"
#include "table.h"

enum { PT_NPY_DIMS = 32 };

/* An array as it lies in the file's bytes: no copy. */
struct pt_npy {
  enum pt_dtype type;
  bool swapped; /* the bytes of an element are in the other order than this machine's */
  bool fortran; /* the first index runs fastest */
  int ndim;     /* 0 .. PT_NPY_DIMS */
  int64_t shape[PT_NPY_DIMS]; /* [ndim] */
  int64_t count;              /* product of shape; 1 for ndim 0 */
  const uint8_t *data;        /* count elements, in the bytes of the cursor; may be unaligned */
};

/* Reads the header at the cursor and moves behind the data. a->data points into the
 * cursor's bytes and lives as long as they do. Errors: PTV3_FORMAT, PTV3_UNSUPPORTED. */
int pt_npy_parse(struct pt_cursor *c, struct pt_npy *a, struct ptv3_error *err);

/* Whether a->data may be used as it is: this machine's byte order, C order, aligned. */
bool pt_npy_plain(const struct pt_npy *a);

/* The elements in C order and this machine's byte order into dst, [count] of a->type. */
void pt_npy_copy(const struct pt_npy *a, void *dst);

/* A mapped file and its array: gigabytes cost no memory. */
struct pt_npy_view {
  struct pt_map map;
  struct pt_npy a;
};

/* path must stay alive while the view is open. */
int pt_npy_open(struct pt_npy_view *v, const char *path, struct ptv3_error *err);
void pt_npy_close(struct pt_npy_view *v); /* a zeroed view is allowed */

/* A copy of a file's array in C order. */
struct pt_npy_array {
  enum pt_dtype type;
  int ndim;
  int64_t shape[PT_NPY_DIMS]; /* [ndim] */
  int64_t count;
  void *data; /* [count] of type; the caller frees it with pt_free */
};

int pt_npy_read(struct pt_mem *mem, const char *path, enum pt_memcat cat,
                struct pt_npy_array *out, struct ptv3_error *err);

/* Adds the array to a table as one column: [n] is a column of width 1, [n, k] of width k.
 * n must be the table's rows. Other shapes are an error. file names it in messages. */
int pt_npy_column(struct pt_table *t, const char *name, const struct pt_npy *a,
                  const char *file, struct ptv3_error *err);

/* The same of rows first .. first + t->n - 1, which are there, of an array that has them
 * side by side (C order). */
int pt_npy_column_part(struct pt_table *t, const char *name, const struct pt_npy *a,
                       int64_t first, struct ptv3_error *err);

/* A table of one column from the bytes at the cursor. On failure the table is empty. */
int pt_npy_table(struct pt_mem *mem, struct pt_cursor *c, const char *name, struct pt_table *t,
                 struct ptv3_error *err);

/* Writes data, C order, version 1.0. type has a NumPy name (not BF16). shape is [ndim],
 * data is [product of shape]. */
int pt_npy_write(struct pt_mem *mem, const char *path, enum pt_dtype type, int ndim,
                 const int64_t *shape, const void *data, struct ptv3_error *err);

/* The same with the data still to come, through pt_write: opens out and writes the header. */
int pt_npy_begin(struct pt_out *out, struct pt_mem *mem, const char *path, enum pt_dtype type,
                 int ndim, const int64_t *shape, struct ptv3_error *err);

#endif
