/* ply.h - the vertices of a PLY file: ascii or binary of either byte order.
 *
 * Each scalar property of the element "vertex" becomes a column with the file's name and
 * type. List properties and other elements (faces, before or after) are skipped. Format:
 * Turk, "The PLY Polygon File Format" (1994), with the type names int8 .. float64 too. */
#ifndef PT_PLY_H
#define PT_PLY_H

#include <stdbool.h>

#include "env.h"
#include "file.h"
#include "table.h"

/* Reads from the cursor, which is at the file's start. On failure the table is empty.
 * Errors: PTV3_FORMAT, PTV3_UNSUPPORTED, PTV3_CANCELLED, memory. */
int pt_ply_read(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                struct ptv3_error *err);

/* Where the vertices of a binary file are whose rows all take as many bytes. */
struct pt_ply_rows {
  int64_t n, stride;       /* rows; bytes of each */
  const uint8_t *data;     /* [n * stride], in the cursor's bytes */
  bool swapped;            /* the file's byte order is not this machine's */
  struct pt_table columns; /* names and types, without rows; freed by pt_table_free */
};

/* Finds them; ascii files and vertices with lists are PTV3_UNSUPPORTED. */
int pt_ply_find(struct pt_env *env, struct pt_cursor *c, struct pt_ply_rows *r,
                struct ptv3_error *err);

/* Rows first .. first + count - 1, which are there, to a new table. */
int pt_ply_take(struct pt_env *env, const struct pt_ply_rows *r, int64_t first, int64_t count,
                struct pt_table *t, struct ptv3_error *err);

/* Writes a table as the vertices of a little-endian binary file. Each column keeps its type
 * where PLY has it; half floats become float, bool becomes uchar, and 64-bit integers int
 * (a value that does not fit is PTV3_DATA). A column c of width k > 1 becomes the
 * properties c_0 .. c_(k-1). */
int pt_ply_write(struct pt_mem *mem, const char *path, const struct pt_table *t,
                 struct ptv3_error *err);

/* The same a block of rows at a time: n rows in all, and each block a table of columns with the
 * names, types and widths of `columns`. Once begun, pt_ply_end follows, whether or not all
 * went well: it gives the file its name, or with ok false throws it away. */
struct pt_ply_writer {
  struct pt_out out;
  struct pt_mem *mem;
  uint8_t *buf; /* [block, stride] */
  int64_t block, stride;
};
int pt_ply_begin(struct pt_ply_writer *w, struct pt_mem *mem, const char *path, int64_t n,
                 const struct pt_table *columns, struct ptv3_error *err);
int pt_ply_put(struct pt_ply_writer *w, const struct pt_table *block, struct ptv3_error *err);
int pt_ply_end(struct pt_ply_writer *w, bool ok, struct ptv3_error *err);

#endif
