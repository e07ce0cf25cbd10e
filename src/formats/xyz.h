/* xyz.h - points as lines of text: XYZ, TXT, CSV, PTS, ASC.
 *
 * Fields are separated by commas, semicolons, or spaces and tabs, whichever the first line
 * of points has. Lines that start with # or // are comments, empty lines do not count. Names
 * of the columns come from the caller, from a header line (with or without # or // before
 * it), or, for the common files without one, from the number of fields: 3 are x y z, 6 are
 * x y z red green blue (x y z nx ny nz in a file *.xyzn). Any other number without names is
 * an error. A first line with nothing but the number of points (PTS) is checked and left out.
 */
#ifndef PT_XYZ_H
#define PT_XYZ_H

#include "env.h"
#include "file.h"
#include "table.h"

/* columns: names separated by commas, one for each field, "_" for one to leave out
 * ("x,y,z,_,label"); NULL or "": from the file. All columns are F64. On failure the table is
 * empty. Errors: PTV3_FORMAT with line and column, PTV3_DATA where names are missing,
 * PTV3_INVALID for a wrong list of columns, PTV3_CANCELLED, memory. */
int pt_xyz_read(struct pt_env *env, struct pt_cursor *c, const char *columns,
                struct pt_table *t, struct ptv3_error *err);

/* Whether the start of a text may be that of a cloud rather than of prose: one of the lines
 * within its first 16 KiB has at least three numbers, which are at least half of its fields. An
 * empty text counts too: that it has no points is for pt_xyz_read to say. */
bool pt_xyz_has_points(const uint8_t *text, int64_t n);

#endif
