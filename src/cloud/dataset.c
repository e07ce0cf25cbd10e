/* dataset.c - see dataset.h. */
#include "dataset.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_int.h"
#include "file.h"
#include "label_maps.h"
#include "nearest.h"
#include "size.h"
#include "xyz.h"

/* How a type lays out its scenes below data_root/split, and what it calls them. */
struct layout {
  const char *type;
  int depth;             /* folders below the split: 1: split/scene */
  const char *prefix[2]; /* of each level's names */
  const char *segment;   /* column of the labels; NULL: by the usual names */
  const char *join;   /* between the last two parts of the path in the name; NULL: the last */
  bool labelled_only; /* scenes without segment.npy do not count */
};

static const struct layout layouts[] = {
    {"DefaultDataset", 1, {""}, NULL, NULL, false},
    {"S3DISDataset", 1, {""}, NULL, "-", false},
    {"ScanNetDataset", 1, {""}, "segment20", NULL, false},
    {"ScanNet200Dataset", 1, {""}, "segment200", NULL, false},
    {"ScanNetPPDataset", 1, {""}, NULL, NULL, false},
    {"HM3DDataset", 1, {""}, NULL, NULL, true},
    {"Structured3DDataset", 2, {"scene_", "room_"}, NULL, "_", false},
    {"WaymoDataset", 2, {"", ""}, NULL, "_", false},
};

static const struct layout *find_layout(const char *type) {
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
    if (!strcmp(layouts[i].type, type)) return &layouts[i];
  return NULL;
}

/* ---- lists of scenes ---- */

void pt_dataset_free(struct pt_dataset *d) {
  for (int64_t i = 0; i < d->count; i++) {
    pt_free(d->mem, d->scene[i].name);
    pt_free(d->mem, d->scene[i].path);
    pt_free(d->mem, d->scene[i].labels);
  }
  if (d->mem) {
    pt_free(d->mem, d->scene);
    pt_free(d->mem, d->to);
  }
  memset(d, 0, sizeof *d);
}

/* The last part of a path, and where it starts; a "/" at the end does not count. */
static int64_t last_part(const char *path, int64_t end, int64_t *start) {
  while (end > 1 && path[end - 1] == '/') end--;
  *start = end;
  while (*start > 0 && path[*start - 1] != '/') (*start)--;
  return end;
}

/* The scene's name: the last part of its path without the end of a file's name, with `join`
 * also the part before it. */
static char *name_of(struct pt_mem *mem, const char *path, const char *join,
                     struct ptv3_error *err) {
  char name[600];
  int64_t at, end = last_part(path, (int64_t)strlen(path), &at);
  if (!pt_is_dir(path))
    for (int64_t i = end - 1; i > at; i--)
      if (path[i] == '.') {
        end = i;
        break;
      }
  if (!join || at < 2) return pt_strndup(mem, path + at, end - at, err);
  int64_t from, to = last_part(path, at - 1, &from);
  snprintf(name, sizeof name, "%.*s%s%.*s", (int)pt_min(to - from, 255), path + from, join,
           (int)pt_min(end - at, 255), path + at);
  return pt_strdup(mem, name, err);
}

int pt_dataset_add(struct pt_dataset *d, char *path, char *name, char *labels,
                   struct ptv3_error *err) {
  int st = path && name ? PTV3_OK : pt_status(err);
  if (!st)
    st = pt_grow(d->mem, &d->scene, &d->cap, d->count + 1, sizeof *d->scene, PT_MEM_OTHER, err);
  if (!st) {
    d->scene[d->count++] = (struct pt_scene){name, path, labels};
    return PTV3_OK;
  }
  pt_free(d->mem, path);
  pt_free(d->mem, name);
  pt_free(d->mem, labels);
  return st;
}

/* Adds a scene by its path, which it takes. */
static int add_scene(struct pt_dataset *d, char *path, const char *join,
                     struct ptv3_error *err) {
  return pt_dataset_add(d, path, name_of(d->mem, path, join, err), NULL, err);
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct pt_scene *)a)->path, ((const struct pt_scene *)b)->path);
}

/* Text that may be prose (README.txt) is a cloud where it looks like one; a file that cannot be
 * opened counts, so that reading it says why. */
static bool is_cloud_text(const char *path) {
  struct pt_map map;
  if (pt_map_open(&map, path, NULL)) return true;
  bool yes = pt_xyz_has_points(map.data, map.size);
  pt_map_close(&map);
  return yes;
}

static bool is_cloud_file(const char *path) {
  static const char known[] = "ply pcd las laz xyz pts bin xyzn xyzrgb",
                    texts[] = "txt csv asc";
  char ext[16];
  pt_extension(path, ext);
  return pt_is_word(ext, known) || (pt_is_word(ext, texts) && is_cloud_text(path));
}

/* Allocates nothing: where memory lacks, a scene must not be taken for none. */
static bool has_file(const char *folder, const char *name) {
  char path[4200]; /* longer ones cannot be opened */
  return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path &&
         pt_is_file(path);
}

static bool is_scene(const char *path, const struct layout *l) {
  if (!pt_is_dir(path)) return is_cloud_file(path);
  return has_file(path, l->labelled_only ? "segment.npy" : "coord.npy");
}

/* Adds the scenes `depth` levels below a folder. A folder that cannot be opened has none. */
static int list_folder(struct pt_dataset *d, const struct layout *l, const char *folder,
                       int level, struct ptv3_error *err) {
  DIR *dir = opendir(folder);
  if (!dir) return PTV3_OK;
  int st = PTV3_OK;
  const char *prefix = level < 2 ? l->prefix[level] : "";
  for (struct dirent *f; !st && (f = readdir(dir));) {
    if (f->d_name[0] == '.' || strncmp(f->d_name, prefix, strlen(prefix))) continue;
    char *path = pt_join(d->mem, folder, f->d_name, err);
    if (!path) {
      st = pt_status(err);
    } else if (level + 1 < l->depth) {
      st = list_folder(d, l, path, level + 1, err);
      pt_free(d->mem, path);
    } else if (is_scene(path, l)) {
      st = add_scene(d, path, l->join, err);
    } else {
      pt_free(d->mem, path);
    }
  }
  closedir(dir);
  return st;
}

/* ---- splits ---- */

/* A split that is a JSON file: a list of paths below data_root. */
static int list_json(struct pt_dataset *d, const struct layout *l, const char *root,
                     const char *file, struct ptv3_error *err) {
  json_error_t why;
  json_t *list = json_load_file(file, 0, &why), *item;
  if (!json_is_array(list)) {
    int st = pt_fail(err, PTV3_DATA, "'%s' is not a JSON list of scenes%s%s", file,
                     list ? "" : ": ", list ? "" : why.text);
    json_decref(list);
    return st;
  }
  int st =
      json_array_size(list) ? PTV3_OK : pt_fail(err, PTV3_DATA, "'%s' is an empty list", file);
  size_t i;
  json_array_foreach(list, i, item) {
    if (st) break;
    const char *name = json_string_value(item);
    if (!name) {
      st = pt_fail(err, PTV3_DATA, "'%s': entry %zu is not a path", file, i);
      break;
    }
    char *path = pt_join(d->mem, root, name, err);
    st = path ? add_scene(d, path, l->join, err) : pt_status(err);
    if (st) pt_prefix(err, "'%s', a list of scenes", file);
  }
  json_decref(list);
  return st;
}

static int list_split(struct pt_dataset *d, const struct layout *l, const char *root,
                      const char *split, struct ptv3_error *err) {
  int64_t before = d->count;
  char *path = pt_join(d->mem, root, split, err);
  if (!path) return pt_status(err);
  int st;
  if (is_scene(path, l)) {
    st = add_scene(d, path, l->join, err);
    path = NULL;
  } else if (pt_is_file(path)) {
    st = list_json(d, l, root, path, err);
  } else {
    st = list_folder(d, l, path, 0, err);
    if (!st && d->count == before)
      st = pt_fail(
          err, PTV3_DATA,
          "%s '%s': a scene is a folder with coord.npy or a cloud file. Check data_root "
          "and split",
          pt_is_dir(path) ? "no scenes in" : "there is no folder", path);
  }
  pt_free(d->mem, path);
  return st;
}

/* Sequences of SemanticKITTI: data_root/dataset/sequences/NN/velodyne/NNNNNN.bin; "dataset"
 * may be left out. */
static int list_sequence(struct pt_dataset *d, const char *root, int sequence,
                         struct ptv3_error *err) {
  static const struct layout scans = {"SemanticKITTIDataset", 1, {""}, NULL, NULL, false};
  static const char *const above[] = {"dataset/sequences", "sequences"};
  int64_t before = d->count;
  for (int i = 0; i < 2 && d->count == before; i++) {
    char below[64];
    snprintf(below, sizeof below, "%s/%02d/velodyne", above[i], sequence);
    char *path = pt_join(d->mem, root, below, err);
    if (!path) return pt_status(err);
    int st = list_folder(d, &scans, path, 0, err);
    pt_free(d->mem, path);
    if (st) return st;
  }
  return PTV3_OK;
}

/* "08_000000" from .../08/velodyne/000000.bin. */
static int name_scan(struct pt_dataset *d, struct pt_scene *s, struct ptv3_error *err) {
  int64_t at, from;
  int64_t end = last_part(s->path, (int64_t)strlen(s->path), &at);
  int64_t to = last_part(s->path, at - 1, &from);
  to = last_part(s->path, from - 1, &from);
  char name[200];
  snprintf(name, sizeof name, "%.*s_%.*s", (int)pt_min(to - from, 90), s->path + from,
           (int)pt_min(end - at - 4, 90), s->path + at);
  char *copy = pt_strdup(d->mem, name, err);
  if (!copy) return pt_status(err);
  pt_free(d->mem, s->name);
  s->name = copy;
  return PTV3_OK;
}

static int list_kitti(struct pt_dataset *d, const char *root, const char *split,
                      struct ptv3_error *err) {
  static const int8_t train[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, -1}, val[] = {8, -1},
                      test[] = {11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, -1};
  const int8_t *list = !strcmp(split, "train")  ? train
                       : !strcmp(split, "val")  ? val
                       : !strcmp(split, "test") ? test
                                                : NULL;
  int8_t one[] = {-1, -1};
  if (!list && split[0] && strspn(split, "0123456789") == strlen(split) && strlen(split) < 3) {
    one[0] = (int8_t)atoi(split);
    list = one;
  }
  if (!list)
    return pt_fail(err, PTV3_CONFIG,
                   "SemanticKITTI has the splits train, val, test and single sequences ('08'), "
                   "not '%s'",
                   split);
  int64_t before = d->count;
  int st = PTV3_OK;
  for (int i = 0; !st && list[i] >= 0; i++) {
    int64_t count = d->count;
    st = list_sequence(d, root, list[i], err);
    size_t used = strlen(d->absent);
    if (!st && d->count == count && used + 8 < sizeof d->absent)
      snprintf(d->absent + used, sizeof d->absent - used, "%s%02d", used ? ", " : "", list[i]);
  }
  for (int64_t i = before; !st && i < d->count; i++) st = name_scan(d, &d->scene[i], err);
  if (st || d->count > before) return st;
  return pt_fail(err, PTV3_DATA,
                 "no scans of the split '%s' (sequences %02d%s) in '%s/dataset/sequences' or "
                 "'%s/sequences'",
                 split, list[0], list[1] < 0 ? "" : " ...", root, root);
}

/* ---- opening ---- */

/* Data sets with a layout of their own. */
enum native { NPY_FOLDERS, KITTI, NUSCENES };

static enum native native_of(const char *type) {
  return !strcmp(type, "SemanticKITTIDataset") ? KITTI
         : !strcmp(type, "NuScenesDataset")    ? NUSCENES
                                               : NPY_FOLDERS;
}

static int open_map(struct pt_dataset *d, const struct pt_value *config, enum native native,
                    struct ptv3_error *err) {
  const struct pt_value *map = pt_get(config, "learning_map");
  if (native == NPY_FOLDERS && pt_is_none(map)) return PTV3_OK;
  enum { LABELS = 65536 };
  d->to = pt_alloc(d->mem, LABELS, sizeof *d->to, PT_MEM_OTHER, err);
  if (!d->to) return pt_status(err);
  d->mapped = true;
  if (pt_is_none(map) && native == KITTI) {
    d->map = (struct pt_label_map){"SemanticKITTI", PT_KITTI_LABELS, d->to, PT_LABEL_UNKNOWN};
    pt_kitti_map(d->to, d->ignore);
    return PTV3_OK;
  }
  if (pt_is_none(map)) {
    d->map = (struct pt_label_map){"nuScenes", PT_NUSCENES_LABELS, d->to, PT_LABEL_UNKNOWN};
    pt_nuscenes_map(d->to, d->ignore);
    return PTV3_OK;
  }
  if (!pt_is_dict(map)) return pt_fail_value(err, map, "must be a dict {label: class}");
  d->map = (struct pt_label_map){"learning_map", LABELS, d->to, d->ignore};
  for (int i = 0; i < LABELS; i++) d->to[i] = d->ignore;
  for (int64_t i = 0; i < map->n; i++) {
    int64_t from, to;
    int st = pt_as_int(map->entry[i].key, &from, err);
    if (!st) st = pt_as_int(map->entry[i].value, &to, err);
    if (st) return st;
    if (from < 0 || from >= LABELS || to < INT16_MIN || to > INT16_MAX)
      return pt_fail_value(err, map, "%lld: %lld is out of range", (long long)from,
                           (long long)to);
    d->to[from] = (int32_t)to;
    map->entry[i].used = true;
  }
  return PTV3_OK;
}

static int list_one(struct pt_dataset *d, const char *type, const struct pt_value *config,
                    const char *root, const char *split, struct ptv3_error *err) {
  int64_t sweeps;
  switch (native_of(type)) {
    case KITTI: return list_kitti(d, root, split, err);
    case NPY_FOLDERS: return list_split(d, find_layout(type), root, split, err);
    default: break;
  }
  int st = pt_get_int_in(config, "sweeps", 10, 1, 1000, &sweeps, err);
  return st ? st : pt_list_nuscenes(d, root, split, sweeps, err);
}

static int list_all(struct pt_dataset *d, const char *type, const struct pt_value *config,
                    const char *root, struct ptv3_error *err) {
  const struct pt_value *split = pt_get(config, "split");
  int64_t n = pt_is_seq(split) ? pt_len(split) : 1;
  for (int64_t i = 0; i < n; i++) {
    const char *name = "train"; /* Pointcept's default */
    const struct pt_value *one = pt_is_seq(split) ? pt_item(split, i) : split;
    int st = pt_is_none(split) ? PTV3_OK : pt_as_str(one, &name, err);
    if (!st) st = list_one(d, type, config, root, name, err);
    if (st) return st;
  }
  return d->count
             ? PTV3_OK
             : pt_fail_value(err, split,
                             "names no scenes: it may be a folder, a JSON list, a scene below "
                             "data_root, or a list of such");
}

/* Waymo's frames joined by their poses: other clouds than those that are read here. */
static int refuse_joined(const struct pt_value *config, struct ptv3_error *err) {
  const struct pt_value *v = pt_get(config, "timestamp");
  if (pt_is_none(v)) return PTV3_OK;
  int64_t first = 1;
  if (pt_len(v) == 1 && !pt_as_int(pt_item(v, 0), &first, NULL) && !first) return PTV3_OK;
  return pt_fail_value(
      err, v,
      "joins other frames to each one, which is not done here: only the frame "
      "itself is read; set timestamp=(0,), or write the joined frames as scenes "
      "and read them as DefaultDataset");
}

int pt_dataset_rules(struct pt_dataset *d, struct pt_env *env, const struct pt_value *config,
                     struct ptv3_error *err) {
  const char *type;
  int64_t ignore;
  *d = (struct pt_dataset){.mem = &env->mem, .ignore = -1};
  if (!pt_is_dict(config)) return PTV3_OK;
  int st = pt_get_str(config, "type", "", &type, err);
  if (!st) st = pt_get_int_in(config, "ignore_index", -1, INT32_MIN, INT32_MAX, &ignore, err);
  if (st) return st;
  struct ptv3_error joined;
  if (refuse_joined(config, &joined)) pt_warn(env, "%s", joined.message);
  const struct layout *l = find_layout(type);
  enum native native = native_of(type);
  d->segment = l ? l->segment : NULL;
  d->ignore = (int32_t)ignore;
  if (native == NUSCENES) d->floats = 5, d->strength = 1.0 / 255;
  st = open_map(d, config, native, err);
  if (st) pt_dataset_free(d);
  return st;
}

static int fail_type(const struct pt_value *config, const char *type, struct ptv3_error *err) {
  char names[400] = "SemanticKITTIDataset NuScenesDataset", near[PT_WORD], meant[100] = "";
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, " %s", layouts[i].type);
  }
  if (pt_nearest_word(type, names, near))
    snprintf(meant, sizeof meant, "is '%s' meant? Otherwise ", near);
  return pt_fail_pos(
      err, PTV3_UNSUPPORTED, &config->at,
      "the data set type '%s' is not known; %sfolders of .npy files and cloud files "
      "can be read as DefaultDataset",
      type, meant);
}

int pt_dataset_open(struct pt_dataset *d, struct pt_env *env, const struct pt_value *config,
                    const char *data_root, struct ptv3_error *err) {
  const char *type, *root;
  *d = (struct pt_dataset){0};
  int st = pt_need_str(config, "type", &type, err);
  if (!st) st = pt_get_str(config, "data_root", "data/dataset", &root, err);
  if (st) return st;
  const struct layout *l = find_layout(type);
  enum native native = native_of(type);
  if (!l && native == NPY_FOLDERS) return fail_type(config, type, err);
  static const char *const elsewhere[] = {"transform", "test_mode", "test_cfg", "cache",
                                          "loop"};
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
    (void)pt_get(config, elsewhere[i]);                      /* read by others */
  static const char *const fewer[] = {"lr_file", "la_file"}; /* would train on other data */
  for (size_t i = 0; i < sizeof fewer / sizeof *fewer; i++)
    if (!pt_is_none(pt_get(config, fewer[i])))
      return pt_fail_value(err, pt_get(config, fewer[i]),
                           "the data-efficient lists of ScanNet are not read; name the scenes "
                           "in a JSON list and make that the split");
  st = refuse_joined(config, err);
  if (!st) st = pt_dataset_rules(d, env, config, err);
  if (!st) st = list_all(d, type, config, data_root ? data_root : root, err);
  if (!st && *d->absent)
    pt_warn(env, "'%s' has no scans of the sequences %s", data_root ? data_root : root,
            d->absent);
  if (st)
    pt_dataset_free(d);
  else
    qsort(d->scene, (size_t)d->count, sizeof *d->scene, by_path);
  return st;
}

int pt_dataset_of_path(struct pt_dataset *d, struct pt_env *env, const char *path,
                       struct ptv3_error *err) {
  *d = (struct pt_dataset){.mem = &env->mem, .ignore = -1};
  const struct layout *l = &layouts[0];
  int st;
  if (pt_is_file(path) || is_scene(path, l)) {
    char *copy = pt_strdup(d->mem, path, err);
    st = copy ? add_scene(d, copy, NULL, err) : pt_status(err);
  } else {
    st = list_split(d, l, "", path, err);
  }
  if (st)
    pt_dataset_free(d);
  else
    qsort(d->scene, (size_t)d->count, sizeof *d->scene, by_path);
  return st;
}

int pt_dataset_load(const struct pt_dataset *d, struct pt_env *env, int64_t i,
                    const struct pt_load *opt, struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_load with = *opt;
  with.labels = true;
  with.segment = d->segment;
  with.map = d->mapped ? &d->map : NULL;
  with.strength = d->strength;
  const struct pt_scene *s = &d->scene[i];
  const struct pt_read_options read = {.floats = d->floats,
                                       .labels = s->labels ? s->labels : ""};
  return pt_cloud_load(env, s->path, d->floats ? &read : NULL, &with, c, err);
}
