/* range.c - see range.h. */
#include "range.h"

#include <stdio.h>
#include <string.h>

#include "file.h"
#include "las.h"
#include "npy.h"
#include "ply.h"

enum { ARRAYS = 24 };

/* One array of a folder. */
struct array {
  char name[64];
  char *path;
  struct pt_npy_view view;
};

struct pt_range {
  struct pt_env *env;
  int64_t n;
  struct pt_las_reader *las; /* LAS and LAZ, else NULL */
  struct pt_map map;         /* PLY */
  struct pt_ply_rows ply;
  struct array array[ARRAYS]; /* [arrays] a folder's */
  int arrays;
};

/* ---- folders ---- */

static int fail_array(const struct array *a, const char *what, struct ptv3_error *err) {
  return pt_fail(err, PTV3_UNSUPPORTED, "'%s' %s", a->path, what);
}

/* Checks as pt_npy_column does, and that rows lie side by side. */
static int check_array(const struct pt_range *r, const struct array *a,
                       struct ptv3_error *err) {
  const struct pt_npy *v = &a->view.a;
  if (v->ndim < 1 || v->ndim > 2 || (v->ndim == 2 && v->shape[1] < 1) ||
      (v->ndim == 2 && v->shape[1] > INT32_MAX))
    return pt_fail(err, PTV3_DATA,
                   "'%s' is an array of %d dimensions (%lld numbers): a column of a cloud is "
                   "[n] or [n, k]",
                   a->path, v->ndim, (long long)v->count);
  if (v->fortran && v->ndim > 1) return fail_array(a, "is in Fortran order", err);
  if (v->shape[0] != r->n)
    return pt_fail(err, PTV3_DATA, "'%s' has %lld rows where the cloud has %lld points",
                   a->path, (long long)v->shape[0], (long long)r->n);
  return PTV3_OK;
}

static int open_array(struct pt_range *r, const char *folder, const char *name,
                      struct ptv3_error *err) {
  char file[80];
  struct ptv3_error e = {0};
  struct array *a = &r->array[r->arrays];
  if (strlen(name) >= sizeof a->name) return PTV3_OK; /* no file has such a column */
  snprintf(file, sizeof file, "%s.npy", name);
  char *path = pt_join(&r->env->mem, folder, file, &e);
  if (path && !pt_is_file(path)) {
    pt_free(&r->env->mem, path);
    return PTV3_OK;
  }
  if (path) {
    *a = (struct array){.path = path};
    snprintf(a->name, sizeof a->name, "%s", name);
    r->arrays++;
    if (pt_npy_open(&a->view, path, &e) == PTV3_OK) {
      if (r->arrays == 1) r->n = a->view.a.ndim > 0 ? a->view.a.shape[0] : 0;
      check_array(r, a, &e);
    }
  }
  if (e.status && err) *err = e;
  return e.status;
}

static int open_folder(struct pt_range *r, const char *folder, const char *const *names, int n,
                       struct ptv3_error *err) {
  for (int i = 0; i < n && r->arrays < ARRAYS; i++) {
    bool there = false;
    for (int k = 0; k < r->arrays; k++) there = there || !strcmp(r->array[k].name, names[i]);
    int status = there ? PTV3_OK : open_array(r, folder, names[i], err);
    if (status) return status;
    if (i == 0 && r->arrays == 0)
      return pt_fail(err, PTV3_DATA, "'%s' has no coord.npy, so it is not a scene folder",
                     folder);
  }
  return PTV3_OK;
}

static int read_folder(struct pt_range *r, int64_t first, int64_t count, struct pt_table *t,
                       struct ptv3_error *err) {
  pt_table_init(t, &r->env->mem, count);
  for (int i = 0; i < r->arrays; i++) {
    const struct array *a = &r->array[i];
    int status = pt_npy_column_part(t, a->name, &a->view.a, first, err);
    if (status) return status;
    const struct pt_column *c = &t->col[t->count - 1];
    int64_t row = c->width * pt_dtype(c->type)->bytes;
    const uint8_t *from = a->view.a.data + first * row;
    pt_map_drop(&a->view.map, from, from + count * row);
  }
  return PTV3_OK;
}

/* ---- files ---- */

static int read_ply(struct pt_range *r, int64_t first, int64_t count, struct pt_table *t,
                    struct ptv3_error *err) {
  const uint8_t *from = r->ply.data + first * r->ply.stride;
  int status = pt_ply_take(r->env, &r->ply, first, count, t, err);
  pt_map_drop(&r->map, from, from + count * r->ply.stride);
  return status;
}

static int open_file(struct pt_range *r, const char *path, const char *const *names, int n,
                     struct ptv3_error *err) {
  const struct pt_las_select select = {names, n};
  int status = pt_map_open(&r->map, path, err);
  if (status) return status;
  struct pt_cursor c = pt_cursor_of(&r->map);
  if (c.size >= 4 && memcmp(c.data, "LASF", 4) == 0) {
    pt_map_close(&r->map);
    status = pt_las_open(r->env, path, &select, &r->las, err);
    if (!status) r->n = pt_las_count(r->las);
  } else if (c.size >= 4 && memcmp(c.data, "ply", 3) == 0) {
    status = pt_ply_find(r->env, &c, &r->ply, err);
    r->n = r->ply.n;
  } else {
    status = pt_fail(err, PTV3_UNSUPPORTED,
                     "'%s' is none of the kinds that can be read a part at a time: LAS, LAZ, "
                     "binary PLY, a folder of .npy files",
                     path);
  }
  return status;
}

/* ---- either ---- */

int pt_range_open(struct pt_env *env, const char *path, const char *const *names, int n,
                  struct pt_range **out, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  *out = NULL;
  struct pt_range *r = pt_zalloc(&env->mem, 1, sizeof *r, PT_MEM_OTHER, &e);
  if (r) {
    r->env = env;
    if (pt_is_dir(path))
      open_folder(r, path, names, n, &e);
    else
      open_file(r, path, names, n, &e);
  }
  if (!e.status) {
    *out = r;
    return PTV3_OK;
  }
  pt_range_close(r);
  if (err) *err = e;
  return e.status;
}

void pt_range_close(struct pt_range *r) {
  if (!r) return;
  pt_las_close(r->las);
  pt_table_free(&r->ply.columns);
  pt_map_close(&r->map);
  for (int i = 0; i < r->arrays; i++) {
    pt_npy_close(&r->array[i].view);
    pt_free(&r->env->mem, r->array[i].path);
  }
  pt_free(&r->env->mem, r);
}

int64_t pt_range_rows(const struct pt_range *r) { return r->n; }

bool pt_range_folder(const struct pt_range *r) { return r->arrays > 0; }

int pt_range_read(struct pt_range *r, int64_t first, int64_t count, struct pt_table *t,
                  struct ptv3_error *err) {
  int status = r->las      ? pt_las_take(r->las, first, count, t, err)
               : r->arrays ? read_folder(r, first, count, t, err)
                           : read_ply(r, first, count, t, err);
  if (status) pt_table_free(t);
  return status;
}
