/* kitti.h - LiDAR scans of floats without a header: SemanticKITTI's velodyne .bin with its
 * .label, nuScenes' .pcd.bin with its lidarseg .bin.
 *
 * Sources: Behley et al., "SemanticKITTI" (ICCV 2019) and its API; the nuScenes devkit. */
#ifndef PT_KITTI_H
#define PT_KITTI_H

#include "env.h"
#include "file.h"
#include "table.h"

/* Floats a point as the file's name tells: 5 for .pcd.bin (nuScenes), else 4. */
int pt_kitti_floats(const char *path);

/* Little-endian float32, `floats` a point. 3: x y z; 4: x y z remission; 5: x y z intensity
 * ring; 6 and more: x y z field3 field4 ... All columns are F32. A size that is not a whole
 * number of points is PTV3_FORMAT. On failure the table is empty. */
int pt_kitti_read(struct pt_env *env, struct pt_cursor *c, int floats, struct pt_table *t,
                  struct ptv3_error *err);

/* How many names there are in "x,y,z,intensity,_". */
int pt_kitti_names(const char *columns);

/* Renames the columns of a scan by such a list, and drops those named "_". Another number of
 * names than of columns is PTV3_INVALID. */
int pt_kitti_rename(struct pt_table *t, const char *columns, const char *file,
                    struct ptv3_error *err);

/* Adds the labels of t->n points: uint32 each (SemanticKITTI: columns semantic, the lower 16
 * bits, and instance, the upper 16, both U16) or uint8 each (nuScenes lidarseg: column
 * semantic, U8). Which of them, the file's size tells; another size is PTV3_DATA. On failure
 * the table is as it was. */
int pt_kitti_labels(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                    struct ptv3_error *err);

/* The label file beside a SemanticKITTI scan: .../velodyne/NAME.bin has
 * .../labels/NAME.label. NULL without an error when path is not such a scan; the caller frees
 * the string. */
char *pt_kitti_label_path(struct pt_mem *mem, const char *path, struct ptv3_error *err);

#endif
