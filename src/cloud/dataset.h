/* dataset.h - the scenes of a config's data set (data.val, data.test): where they are, what
 * they are called, how their labels are numbered. Reading one is load.h.
 *
 * Known types, after pointcept/datasets/: DefaultDataset, S3DISDataset, ScanNetDataset,
 * ScanNet200Dataset, ScanNetPPDataset, Structured3DDataset, HM3DDataset, WaymoDataset (single
 * frames), SemanticKITTIDataset, NuScenesDataset. A scene is a folder with coord.npy or, beyond
 * Pointcept, a file of any format that read.h knows; a .txt, .csv or .asc file that looks like
 * prose (pt_xyz_has_points) is none. Scenes are sorted by path.
 *
 * A split is the name of a folder below data_root, a JSON file there with a list of paths, or a
 * list of such; beyond Pointcept also a scene itself ("tile_7.laz") and a single sequence of
 * SemanticKITTI ("07").
 *
 * Beyond Pointcept, a data set may have learning_map = {label of the file: class}; labels
 * that it does not list become ignore_index. */
#ifndef PT_DATASET_H
#define PT_DATASET_H

#include <stdbool.h>

#include "env.h"
#include "load.h"
#include "value.h"

struct pt_scene {
  char *name;   /* as Pointcept names it: "Area_5-office_1", "08_000000" */
  char *path;   /* folder or file */
  char *labels; /* file of the labels; NULL: they are with the scene, if anywhere */
};

struct pt_dataset {
  struct pt_mem *mem;
  int64_t count, cap;
  struct pt_scene *scene; /* [count] */
  const char *segment;    /* column of the labels; NULL: by the usual names */
  bool mapped;            /* map is in use */
  struct pt_label_map map;
  int32_t *to;      /* what map.to points to, owned */
  int32_t ignore;   /* ignore_index */
  int floats;       /* of a point of a .bin scan; 0: as its name tells */
  double strength;  /* what strengths are multiplied by; 0: nothing */
  char absent[120]; /* sequences that the split names and the folder lacks: "01, 03" */
};

/* Lists the scenes of a dict(type=..., split=..., data_root=...). data_root: in place of the
 * config's; NULL: the config's. Errors: PTV3_CONFIG with file and line for what the config
 * has wrong, PTV3_DATA with the path looked at when there is no scene, PTV3_UNSUPPORTED
 * for data sets that need what is not read here. */
int pt_dataset_open(struct pt_dataset *d, struct pt_env *env, const struct pt_value *config,
                    const char *data_root, struct ptv3_error *err);

/* The same without looking for scenes: d says how a scene of such a data set is read. Its type
 * need not be known, and config may be NULL: labels are classes then. Where the data set joins
 * frames (Waymo's timestamp), a warning says that a scene is read as it is. */
int pt_dataset_rules(struct pt_dataset *d, struct pt_env *env, const struct pt_value *config,
                     struct ptv3_error *err);

/* The scenes at a path: a scene folder, a file, or a folder of either. */
int pt_dataset_of_path(struct pt_dataset *d, struct pt_env *env, const char *path,
                       struct ptv3_error *err);

void pt_dataset_free(struct pt_dataset *d); /* a zeroed one is allowed */

/* Loads scene i with its labels; opt's labels, segment and map are set from d. */
int pt_dataset_load(const struct pt_dataset *d, struct pt_env *env, int64_t i,
                    const struct pt_load *opt, struct pt_cloud *c, struct ptv3_error *err);

#endif
