/* dataset_nuscenes.c - see pt_list_nuscenes in dataset_int.h. */
#include <stdio.h>
#include <string.h>

#include "dataset_int.h"
#include "file.h"
#include "pickle.h"

/* root/raw/<text under key of dict>; NULL without err touched when there is no such text. */
static char *raw_path(struct pt_mem *mem, const struct pt_pickle *p, pt_pref dict,
                      const char *key, const char *root, struct ptv3_error *err) {
  pt_pref v;
  if (!pt_pickle_get(p, dict, key, &v) || pt_pnode(p, v)->kind != PT_PK_STR) return NULL;
  char *below = pt_strndup(mem, pt_pnode(p, v)->str.s, pt_pnode(p, v)->str.n, err);
  char *raw = below ? pt_join(mem, root, "raw", err) : NULL;
  char *path = raw ? pt_join(mem, raw, below, err) : NULL;
  pt_free(mem, raw);
  pt_free(mem, below);
  return path;
}

static int add_scan(struct pt_dataset *d, const struct pt_pickle *p, pt_pref dict,
                    const char *root, const char *file, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  pt_pref token;
  char *name = NULL, *labels = NULL;
  char *path = raw_path(d->mem, p, dict, "lidar_path", root, &e);
  bool named =
      pt_pickle_get(p, dict, "lidar_token", &token) && pt_pnode(p, token)->kind == PT_PK_STR;
  if (path && named) {
    labels = raw_path(d->mem, p, dict, "gt_segment_path", root, &e);
    if (!e.status)
      name = pt_strndup(d->mem, pt_pnode(p, token)->str.s, pt_pnode(p, token)->str.n, &e);
  } else if (!e.status) {
    pt_fail(&e, PTV3_DATA, "'%s': an entry has no lidar_path or lidar_token", file);
  }
  if (e.status && err) *err = e;
  int st = pt_dataset_add(d, path, name, labels, err);
  return e.status ? e.status : st;
}

static int add_scans(struct pt_dataset *d, const struct pt_pickle *p, const char *root,
                     const char *file, struct ptv3_error *err) {
  const struct pt_pnode *list = pt_pnode(p, p->root);
  if (list->kind != PT_PK_LIST && list->kind != PT_PK_TUPLE)
    return pt_fail(err, PTV3_DATA, "'%s' does not hold a list of scans", file);
  if (!list->o.items.count) return pt_fail(err, PTV3_DATA, "'%s' lists no scans", file);
  uint32_t cell = list->o.items.first;
  for (uint32_t i = 0; i < list->o.items.count; i++, cell = p->cell[cell].next) {
    int st = add_scan(d, p, p->cell[cell].value, root, file, err);
    if (st) return st;
  }
  return PTV3_OK;
}

int pt_list_nuscenes(struct pt_dataset *d, const char *root, const char *split, int64_t sweeps,
                     struct ptv3_error *err) {
  char below[200];
  struct pt_map map = {0};
  struct pt_pickle p = {0};
  snprintf(below, sizeof below, "info/nuscenes_infos_%lldsweeps_%.60s.pkl", (long long)sweeps,
           split);
  char *path = pt_join(d->mem, root, below, err);
  if (!path) return pt_status(err);
  int st = pt_map_open(&map, path, err);
  if (st) {
    pt_prefix(err, "nuScenes' list of the scans of '%s'", split);
    pt_free(d->mem, path);
    return st;
  }
  struct pt_cursor c = pt_cursor_of(&map);
  st = pt_pickle_read(&p, d->mem, &c, err);
  if (!st) st = add_scans(d, &p, root, path, err);
  if (st && err && !strstr(err->message, path)) pt_prefix(err, "'%s', a list of scans", path);
  pt_pickle_free(&p);
  pt_map_close(&map);
  pt_free(d->mem, path);
  return st;
}
