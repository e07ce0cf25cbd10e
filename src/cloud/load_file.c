/* load_file.c - clouds from paths. Only the columns in use are read where the format allows
 * it (folders of arrays, LAS); a LAS point has up to twenty. */
#include <stdio.h>
#include <string.h>

#include "channels.h"
#include "file.h"
#include "las.h"
#include "load.h"
#include "npy.h"

enum { NAMES = 96 };

/* The column names that may hold what is wanted. */
struct wish {
  const char *name[NAMES];
  int n;
};

static struct wish wishes(const struct pt_load *opt) {
  struct wish w = {.n = 0};
  pt_column_wish(&w.n, w.name, NAMES, "coord");
  for (int i = 0; i < opt->n_want; i++) pt_column_wish(&w.n, w.name, NAMES, opt->want[i]);
  for (int i = 0; i < opt->n_also; i++) pt_column_wish(&w.n, w.name, NAMES, opt->also[i]);
  if (opt->labels && opt->segment && w.n < NAMES)
    w.name[w.n++] = opt->segment;
  else if (opt->labels)
    pt_column_wish(&w.n, w.name, NAMES, "segment");
  if (opt->labels && opt->scannet) {
    pt_column_wish(&w.n, w.name, NAMES, "segment20");
    pt_column_wish(&w.n, w.name, NAMES, "segment200");
  }
  return w;
}

int pt_load_columns(const struct pt_load *opt, const char **name, int max) {
  struct wish w = wishes(opt);
  int n = w.n < max ? w.n : max;
  memcpy(name, w.name, (size_t)n * sizeof *name);
  return n;
}

/* ---- Pointcept's folders ---- */

/* Adds folder/name.npy to the table if there is such a file; the first gives the rows. */
static int add_array(struct pt_env *env, const char *folder, const char *name,
                     struct pt_table *t, struct ptv3_error *err) {
  char file[80];
  struct pt_npy_view v = {0};
  snprintf(file, sizeof file, "%s.npy", name);
  char *path = pt_join(&env->mem, folder, file, err);
  if (!path) return pt_status(err);
  int st = PTV3_OK;
  if (pt_is_file(path)) {
    st = pt_npy_open(&v, path, err);
    if (!st && !t->mem) pt_table_init(t, &env->mem, v.a.ndim > 0 ? v.a.shape[0] : 0);
    if (!st) st = pt_npy_column(t, name, &v.a, path, err);
    pt_npy_close(&v);
  }
  pt_free(&env->mem, path);
  return st;
}

static int read_folder(struct pt_env *env, const char *folder, const struct wish *w,
                       struct pt_table *t, struct ptv3_error *err) {
  for (int i = 0; i < w->n; i++) {
    if (t->mem && pt_table_find(t, w->name[i])) continue;
    int st = add_array(env, folder, w->name[i], t, err);
    if (st) return st;
    if (i == 0 && !t->mem)
      return pt_fail(err, PTV3_DATA, "'%s' has no coord.npy, so it is not a scene folder",
                     folder);
  }
  return PTV3_OK;
}

/* ---- all of it ---- */

static bool is_las(const char *path) {
  char ext[16];
  pt_extension(path, ext);
  return !strcmp(ext, "las") || !strcmp(ext, "laz");
}

/* Whether an option is given that is not for folders or LAS: pt_table_read refuses it. */
static bool given(const struct pt_read_options *r) {
  return r && ((r->columns && r->columns[0]) || r->floats || (r->labels && r->labels[0]));
}

int pt_cloud_load(struct pt_env *env, const char *path, const struct pt_read_options *read,
                  const struct pt_load *opt, struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_table t = {0};
  struct wish w = wishes(opt);
  bool folder = pt_is_dir(path);
  int st;
  memset(c, 0, sizeof *c);
  if (folder && !given(read)) {
    st = read_folder(env, path, &w, &t, err);
  } else if (is_las(path) && !given(read)) {
    const struct pt_las_select select = {w.name, w.n};
    st = pt_las_read_file(env, path, &select, &t, err);
  } else {
    st = pt_table_read(env, path, read, &t, err);
  }
  if (!st) return pt_cloud_from_table(env, &t, path, folder, opt, c, err);
  pt_table_free(&t);
  return st;
}
