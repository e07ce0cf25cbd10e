/* pcd.h - the Point Cloud Library's PCD files, versions .5 to .7: ascii, binary and
 * binary_compressed.
 *
 * Each field becomes a column with the file's name and type, as wide as its COUNT; padding
 * ("_") is left out. A field rgb or rgba of four bytes stays as it is, and its bytes are
 * added as columns red, green, blue (U8) where the file has no columns of these names. */
#ifndef PT_PCD_H
#define PT_PCD_H

#include "env.h"
#include "file.h"
#include "table.h"

/* Reads from the cursor, which is at the file's start. On failure the table is empty.
 * Errors: PTV3_FORMAT, PTV3_UNSUPPORTED, PTV3_CANCELLED, memory. */
int pt_pcd_read(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                struct ptv3_error *err);

#endif
