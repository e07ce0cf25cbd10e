/* kitti.c - see kitti.h. */
#include "kitti.h"

#include <stdio.h>
#include <string.h>

#include "rows.h"

enum { MOST_FLOATS = 64 };

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

int pt_kitti_floats(const char *path) { return ends_with(path, ".pcd.bin") ? 5 : 4; }

static const char *column_name(int floats, int k, char buf[static 16]) {
  static const char *const xyz[] = {"x", "y", "z"};
  if (k < 3) return xyz[k];
  if (floats == 4) return "remission";
  if (floats == 5) return k == 3 ? "intensity" : "ring";
  snprintf(buf, 16, "field%d", k);
  return buf;
}

static bool host_big(void) {
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 0;
}

int pt_kitti_read(struct pt_env *env, struct pt_cursor *c, int floats, struct pt_table *t,
                  struct ptv3_error *err) {
  struct pt_field f[MOST_FLOATS];
  struct ptv3_error e = {0};
  *t = (struct pt_table){0};
  if (floats < 3 || floats > MOST_FLOATS)
    return pt_fail(err, PTV3_INVALID, "'%s': a point of %d floats; 3 to %d can be read",
                   c->name, floats, MOST_FLOATS);
  int64_t stride = 4 * floats, n = pt_left(c) / stride;
  if (pt_left(c) % stride)
    return pt_fail_at(
        err, PTV3_FORMAT, c->pos + n * stride,
        "'%s' has %lld bytes, not a whole number of points of %d floats: it is cut "
        "short, or its points have another number of floats",
        c->name, (long long)pt_left(c), floats);
  pt_table_init(t, &env->mem, n);
  for (int k = 0; k < floats && !e.status; k++) {
    char name[16];
    struct pt_column *col = pt_table_add(t, column_name(floats, k, name), PT_F32, 1, &e);
    if (col) f[k] = (struct pt_field){4 * k, 4, 1, col->data};
  }
  const uint8_t *rows = e.status ? NULL : pt_take(c, n * stride, "points", &e);
  if (rows) pt_rows_read(env, rows, n, stride, f, floats, host_big(), &e);
  if (!e.status) return PTV3_OK;
  pt_table_free(t);
  if (err) *err = e;
  return e.status;
}

int pt_kitti_names(const char *columns) {
  int n = 1;
  for (const char *p = columns; (p = strchr(p, ',')); p++) n++;
  return n;
}

int pt_kitti_rename(struct pt_table *t, const char *columns, const char *file,
                    struct ptv3_error *err) {
  int kept = 0, n = pt_kitti_names(columns);
  if (n != t->count)
    return pt_fail(err, PTV3_INVALID, "the columns '%s' are %d where a point of '%s' has %d",
                   columns, n, file, t->count);
  for (int k = 0; k < n; k++) {
    struct pt_column col = t->col[k];
    int length = (int)strcspn(columns, ",");
    snprintf(col.name, sizeof col.name, "%.*s", length < 63 ? length : 63, columns);
    columns += length + 1;
    if (strcmp(col.name, "_") == 0)
      pt_free(t->mem, col.data);
    else
      t->col[kept++] = col;
  }
  t->count = kept;
  return PTV3_OK;
}

/* Drops the columns from `count` on. */
static void drop(struct pt_table *t, int count) {
  while (t->count > count) pt_free(t->mem, t->col[--t->count].data);
}

int pt_kitti_labels(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                    struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_field f[2];
  int before = t->count;
  bool packed = pt_left(c) == 4 * t->n; /* no points: no matter */
  if (!packed && pt_left(c) != t->n)
    return pt_fail(err, PTV3_DATA,
                   "'%s' has %lld bytes: labels of %lld points have 4 (SemanticKITTI) or 1 "
                   "(nuScenes) each",
                   c->name, (long long)pt_left(c), (long long)t->n);
  enum pt_dtype type = packed ? PT_U16 : PT_U8;
  int bytes = (int)pt_dtype(type)->bytes, count = packed ? 2 : 1;
  for (int k = 0; k < count && !e.status; k++) {
    struct pt_column *col = pt_table_add(t, k ? "instance" : "semantic", type, 1, &e);
    if (col) f[k] = (struct pt_field){k * bytes, bytes, 1, col->data};
  }
  const uint8_t *rows = e.status ? NULL : pt_take(c, pt_left(c), "labels", &e);
  if (rows) pt_rows_read(env, rows, t->n, packed ? 4 : 1, f, count, host_big(), &e);
  if (!e.status) return PTV3_OK;
  drop(t, before);
  if (err) *err = e;
  return e.status;
}

char *pt_kitti_label_path(struct pt_mem *mem, const char *path, struct ptv3_error *err) {
  const char *slash = strrchr(path, '/');
  static const char from[] = "velodyne", to[] = "labels";
  if (!slash || !ends_with(slash, ".bin") || slash - path < (int64_t)sizeof from - 1)
    return NULL;
  const char *folder = slash - (sizeof from - 1);
  if (memcmp(folder, from, sizeof from - 1) != 0 || (folder > path && folder[-1] != '/'))
    return NULL;
  size_t size = strlen(path) + sizeof ".label";
  char *s = pt_alloc(mem, (int64_t)size, 1, PT_MEM_OTHER, err);
  int name = (int)(strlen(slash) - 4);
  if (s) snprintf(s, size, "%.*s%s%.*s.label", (int)(folder - path), path, to, name, slash);
  return s;
}
