/* range.h - the rows of a cloud file a range at a time: what is larger than memory is read from
 * one end to the other, as often as need be.
 *
 * LAS, LAZ, binary PLY, and folders of .npy arrays. Columns are those that the readers of
 * whole files make of them (las.h, ply.h, npy.h). What was read no longer counts as memory in
 * use, although the files are mapped. */
#ifndef PT_RANGE_H
#define PT_RANGE_H

#include <stdbool.h>

#include "env.h"
#include "table.h"

struct pt_range; /* an opened file or folder */

/* names [n]: the columns in use, the first of them the coordinates'. A file may give others
 * too. path stays alive until the range is closed.
 * Errors: as the readers'; PTV3_UNSUPPORTED where the format cannot be read in ranges. */
int pt_range_open(struct pt_env *env, const char *path, const char *const *names, int n,
                  struct pt_range **out, struct ptv3_error *err);
void pt_range_close(struct pt_range *r); /* NULL allowed */

int64_t pt_range_rows(const struct pt_range *r);
bool pt_range_folder(const struct pt_range *r); /* a folder of .npy arrays */

/* Rows first .. first + count - 1, which are there, to a new table; empty on failure. Ranges
 * that ascend are quick in every format. */
int pt_range_read(struct pt_range *r, int64_t first, int64_t count, struct pt_table *t,
                  struct ptv3_error *err);

#endif
