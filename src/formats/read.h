/* read.h - a cloud from a path: which reader a file or folder wants. */
#ifndef PT_READ_H
#define PT_READ_H

#include "env.h"
#include "table.h"

/* What the path alone does not tell. Zeroed: nothing given. An option that the format has
 * no use for is PTV3_INVALID, not passed over. */
struct pt_read_options {
  const char *columns; /* text files: see xyz.h, .bin: as there; NULL: from the file */
  int floats;          /* .bin: floats a point; 0: from columns or the name (kitti.h) */
  const char *labels;  /* .bin: its file of labels; NULL: the one beside it where there is
                          one (kitti.h); "": none */
};

/* Reads a scene folder or a file into t; options NULL means none. Columns are those of the
 * readers: npy.h, ply.h, pcd.h, las.h, kitti.h, xyz.h. By content: PLY, LAS, LAZ, NumPy,
 * PCD; by extension: .bin, and text (.xyz .txt .csv .pts .asc .xyzn .xyzrgb).
 *
 * A scene folder is Pointcept's: each *.npy in it becomes a column with the file's name
 * without its end; coord.npy must be there, and all must have as many rows.
 *
 * On failure t is empty. */
int pt_table_read(struct pt_env *env, const char *path, const struct pt_read_options *options,
                  struct pt_table *t, struct ptv3_error *err);

#endif
