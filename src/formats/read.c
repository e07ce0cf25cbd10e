/* read.c - see read.h. */
#include "read.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "kitti.h"
#include "las.h"
#include "npy.h"
#include "pcd.h"
#include "ply.h"
#include "xyz.h"

enum format { UNKNOWN, PLY, LAS, NPY, PCD, BIN, TEXT, FOLDER };

static const char *const format_name[] = {
    "",           "a PLY file",  "a LAS file",  "a NumPy file",
    "a PCD file", "a .bin scan", "a text file", "a scene folder"};

/* ---- scene folders ---- */

struct list {
  char **name; /* [count], owned */
  int64_t count, cap;
  struct pt_mem *mem;
};

static void free_list(struct list *l) {
  for (int64_t i = 0; i < l->count; i++) pt_free(l->mem, l->name[i]);
  pt_free(l->mem, l->name);
}

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_npy(const char *name) {
  size_t n = strlen(name);
  return n > 4 && name[0] != '.' && strcmp(name + n - 4, ".npy") == 0;
}

/* The names of the arrays in a folder, sorted: the order of readdir is nobody's. */
static int list_arrays(struct list *l, const char *path, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  DIR *d = opendir(path);
  if (!d) return pt_fail(err, PTV3_IO, "cannot open '%s': %s", path, strerror(errno));
  for (struct dirent *f; !e.status && (f = readdir(d));) {
    if (!is_npy(f->d_name)) continue;
    if (pt_grow(l->mem, &l->name, &l->cap, l->count + 1, sizeof *l->name, PT_MEM_OTHER, &e))
      break;
    char *name = pt_strdup(l->mem, f->d_name, &e);
    if (name) l->name[l->count++] = name;
  }
  closedir(d);
  if (l->count) qsort(l->name, (size_t)l->count, sizeof *l->name, compare);
  if (e.status && err) *err = e;
  return e.status;
}

/* One array of the scene; the first one read gives the number of rows. */
static int add_array(struct pt_env *env, const char *folder, const char *file, bool first,
                     struct pt_table *t, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_npy_view v = {0};
  char *column = NULL, *path = pt_join(&env->mem, folder, file, &e);
  if (!path || pt_npy_open(&v, path, &e)) goto out;
  if (first) pt_table_init(t, &env->mem, v.a.ndim > 0 ? v.a.shape[0] : 0);
  column = pt_strndup(&env->mem, file, (int64_t)strlen(file) - 4, &e);
  if (column) pt_npy_column(t, column, &v.a, path, &e);
out:
  pt_npy_close(&v);
  pt_free(&env->mem, column);
  pt_free(&env->mem, path);
  if (e.status && err) *err = e;
  return e.status;
}

static int read_folder(struct pt_env *env, const char *path, struct pt_table *t,
                       struct ptv3_error *err) {
  static const char coord[] = "coord.npy";
  struct list l = {.mem = &env->mem};
  bool found = false;
  int status = list_arrays(&l, path, err);
  for (int64_t i = 0; i < l.count; i++) found = found || strcmp(l.name[i], coord) == 0;
  if (!status && !found)
    status =
        pt_fail(err, PTV3_DATA,
                "'%s' has no coord.npy: a scene folder holds coord.npy, color.npy, ...; name "
                "a file to read another format",
                path);
  if (!status) status = add_array(env, path, coord, true, t, err);
  for (int64_t i = 0; i < l.count && !status; i++) {
    if (strcmp(l.name[i], coord) == 0) continue;
    status = pt_progress(env, "reading the scene", i, l.count, err);
    if (!status) status = add_array(env, path, l.name[i], false, t, err);
  }
  free_list(&l);
  return status;
}

/* ---- files ---- */

static bool begins(const struct pt_cursor *c, const char *text, int64_t n) {
  return c->size >= n && memcmp(c->data, text, (size_t)n) == 0;
}

static enum format format_of(const struct pt_cursor *c) {
  static const struct {
    const char *extension;
    enum format format;
  } by_extension[] = {{"bin", BIN},    {"ply", PLY},  {"pcd", PCD},  {"las", LAS},
                      {"laz", LAS},    {"npy", NPY},  {"xyz", TEXT}, {"txt", TEXT},
                      {"csv", TEXT},   {"pts", TEXT}, {"asc", TEXT}, {"xyzn", TEXT},
                      {"xyzrgb", TEXT}};
  char ext[16];
  pt_extension(c->name, ext);
  if (strcmp(ext, "bin") == 0) return BIN; /* floats can look like anything */
  if (begins(c, "LASF", 4)) return LAS;
  if (begins(c, "\x93NUMPY", 6)) return NPY;
  if (begins(c, "ply\n", 4) || begins(c, "ply\r", 4)) return PLY;
  if (begins(c, "# .PCD", 6)) return PCD;
  for (size_t i = 0; i < sizeof by_extension / sizeof *by_extension; i++)
    if (strcmp(ext, by_extension[i].extension) == 0) return by_extension[i].format;
  return UNKNOWN;
}

/* Options that are meant for another format. */
static int check_options(enum format f, const char *path, const struct pt_read_options *o,
                         struct ptv3_error *err) {
  const char *wrong = NULL;
  if (f != TEXT && f != BIN && o->columns && o->columns[0]) wrong = "columns";
  if (f != BIN && o->labels && o->labels[0]) wrong = "a file of labels";
  if (f != BIN && o->floats) wrong = "a number of floats a point";
  if (!wrong) return PTV3_OK;
  return pt_fail(err, PTV3_INVALID, "%s cannot be given for '%s', which is %s", wrong, path,
                 format_name[f]);
}

static int add_labels(struct pt_env *env, const char *path, struct pt_table *t,
                      struct ptv3_error *err) {
  struct pt_map map = {0};
  int status = pt_map_open(&map, path, err);
  struct pt_cursor c = pt_cursor_of(&map);
  if (!status) status = pt_kitti_labels(env, &c, t, err);
  pt_map_close(&map);
  return status;
}

static int read_bin(struct pt_env *env, struct pt_cursor *c, const struct pt_read_options *o,
                    struct pt_table *t, struct ptv3_error *err) {
  bool named = o->columns && o->columns[0];
  int floats = o->floats ? o->floats
               : named   ? pt_kitti_names(o->columns)
                         : pt_kitti_floats(c->name);
  int status = pt_kitti_read(env, c, floats, t, err);
  if (!status && named) status = pt_kitti_rename(t, o->columns, c->name, err);
  if (status || (o->labels && !o->labels[0])) return status;
  if (o->labels) return add_labels(env, o->labels, t, err);
  struct ptv3_error e = {0};
  char *beside = pt_kitti_label_path(&env->mem, c->name, &e);
  if (beside && pt_is_file(beside)) add_labels(env, beside, t, &e);
  pt_free(&env->mem, beside);
  if (e.status && err) *err = e;
  return e.status;
}

/* The file's name without folders and end, for the column of a lone array. */
static int read_npy(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                    struct ptv3_error *err) {
  const char *slash = strrchr(c->name, '/'), *base = slash ? slash + 1 : c->name;
  const char *dot = strrchr(base, '.');
  struct ptv3_error e;
  int64_t n = dot && dot > base ? dot - base : (int64_t)strlen(base);
  char *name = pt_strndup(&env->mem, base, n, &e);
  if (!name) {
    if (err) *err = e;
    return e.status;
  }
  int status = pt_npy_table(&env->mem, c, name, t, err);
  pt_free(&env->mem, name);
  return status;
}

static int read_file(struct pt_env *env, const char *path, const struct pt_read_options *o,
                     struct pt_table *t, struct ptv3_error *err) {
  struct pt_map map;
  int status = pt_map_open(&map, path, err);
  if (status) return status;
  struct pt_cursor c = pt_cursor_of(&map);
  enum format f = format_of(&c);
  if (f == UNKNOWN)
    status = pt_fail(err, PTV3_UNSUPPORTED,
                     "'%s' is of no known kind: a cloud is .ply, .pcd, .las, .laz, .bin, .npy, "
                     ".xyz, .txt, .csv, .pts or a folder with coord.npy",
                     path);
  if (!status) status = check_options(f, path, o, err);
  if (!status) switch (f) {
      case PLY: status = pt_ply_read(env, &c, t, err); break;
      case PCD: status = pt_pcd_read(env, &c, t, err); break;
      case NPY: status = read_npy(env, &c, t, err); break;
      case BIN: status = read_bin(env, &c, o, t, err); break;
      case LAS: status = pt_las_read_file(env, path, NULL, t, err); break;
      default: status = pt_xyz_read(env, &c, o->columns, t, err); break;
    }
  pt_map_close(&map);
  return status;
}

int pt_table_read(struct pt_env *env, const char *path, const struct pt_read_options *options,
                  struct pt_table *t, struct ptv3_error *err) {
  static const struct pt_read_options none;
  const struct pt_read_options *o = options ? options : &none;
  int status;
  *t = (struct pt_table){0};
  if (pt_is_dir(path)) {
    status = check_options(FOLDER, path, o, err);
    if (!status) status = read_folder(env, path, t, err);
  } else {
    status = read_file(env, path, o, t, err);
  }
  if (status) pt_table_free(t);
  return status;
}
