/* ply.h - the vertices of a PLY file: ascii or binary of either byte order.
 *
 * Each scalar property of the element "vertex" becomes a column with the file's name and
 * type. List properties and other elements (faces, before or after) are skipped. Format:
 * Turk, "The PLY Polygon File Format" (1994), with the type names int8 .. float64 too. */
#ifndef PT_PLY_H
#define PT_PLY_H

#include "env.h"
#include "file.h"
#include "table.h"

/* Reads from the cursor, which is at the file's start. On failure the table is empty.
 * Errors: PTV3_FORMAT, PTV3_UNSUPPORTED, PTV3_CANCELLED, memory. */
int pt_ply_read(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                struct ptv3_error *err);

/* Writes a table as the vertices of a little-endian binary file. Each column keeps its type
 * where PLY has it; half floats become float, bool becomes uchar, and 64-bit integers int
 * (a value that does not fit is PTV3_DATA). A column c of width k > 1 becomes the
 * properties c_0 .. c_(k-1). */
int pt_ply_write(struct pt_mem *mem, const char *path, const struct pt_table *t,
                 struct ptv3_error *err);

#endif
