/* fragments.c - see fragments.h. */
#include "fragments.h"

#include <string.h>

#include "transform.h"

/* ---- reading ---- */

static int parse_voxelize(struct pt_test *t, const struct pt_value *cfg,
                          struct ptv3_error *err) {
  const struct pt_value *dict = pt_need_dict(cfg, "voxelize", err);
  if (!dict) return pt_status(err);
  struct pt_value *item[] = {(struct pt_value *)(uintptr_t)dict};
  struct pt_value list = {.kind = PT_V_LIST, .at = dict->at, .n = 1};
  list.item = item;
  int st = pt_pipeline_parse(&t->voxelize, t->mem, &list, err);
  if (st) return st;
  const struct pt_transform *grid = t->voxelize.step;
  if (grid->type == &pt_transform_GridSample && grid->u.grid.test) return PTV3_OK;
  return pt_fail_value(err, dict, "must be a GridSample with mode='test'");
}

static int parse_augs(struct pt_test *t, const struct pt_value *cfg, struct ptv3_error *err) {
  const struct pt_value *list = pt_need_list(cfg, "aug_transform", err);
  if (!list) return pt_status(err);
  if (!pt_len(list)) return pt_fail_value(err, list, "has no augmentation; [[]] is none");
  t->aug = pt_zalloc(t->mem, pt_len(list), sizeof *t->aug, PT_MEM_OTHER, err);
  if (!t->aug) return pt_status(err);
  for (; t->n_aug < pt_len(list); t->n_aug++) {
    int st = pt_pipeline_parse(&t->aug[t->n_aug], t->mem, pt_item(list, t->n_aug), err);
    if (st) return st;
  }
  return PTV3_OK;
}

int pt_test_parse(struct pt_test *t, struct pt_mem *mem, const struct pt_value *config,
                  struct ptv3_error *err) {
  *t = (struct pt_test){.mem = mem};
  const struct pt_value *cfg = pt_need_dict(config, "test_cfg", err);
  int st = cfg ? PTV3_OK : pt_status(err);
  const struct pt_value *crop = pt_get(cfg, "crop");
  if (!st && !pt_is_none(crop)) st = pt_fail_value(err, crop, "a crop is not supported");
  if (!st) st = pt_pipeline_parse(&t->transform, mem, pt_get(config, "transform"), err);
  if (!st) st = parse_voxelize(t, cfg, err);
  if (!st) st = pt_pipeline_parse(&t->post, mem, pt_get(cfg, "post_transform"), err);
  if (!st) st = parse_augs(t, cfg, err);
  if (st) pt_test_free(t);
  return st;
}

void pt_test_free(struct pt_test *t) {
  pt_pipeline_free(&t->transform);
  pt_pipeline_free(&t->voxelize);
  pt_pipeline_free(&t->post);
  for (int64_t i = 0; i < t->n_aug; i++) pt_pipeline_free(&t->aug[i]);
  if (t->mem) pt_free(t->mem, t->aug);
  memset(t, 0, sizeof *t);
}

/* ---- running ---- */

int pt_test_begin(struct pt_test_run *r, const struct pt_test *test, struct pt_env *env,
                  const struct pt_cloud *c, int64_t a, struct pt_draw *draw,
                  struct ptv3_error *err) {
  memset(r, 0, sizeof *r);
  r->test = test;
  int st = pt_cloud_copy(&r->cloud, c, err);
  if (st) return st;
  pt_cloud_remove(&r->cloud, "inverse"); /* stays with c */
  /* labels go back by `index`, so that augmentations must keep the points as they are */
  st = pt_pipeline_apply(&test->aug[a], env, &r->cloud, draw, true, err);
  const struct pt_channel *coord =
      st ? NULL : pt_cloud_need(&r->cloud, "coord", "the test", err);
  const struct pt_transform *grid = test->voxelize.step;
  if (!st && !coord) st = pt_status(err);
  if (!st && pt_cloud_find(&r->cloud, "inverse"))
    st = pt_fail_pos(err, PTV3_CONFIG, &grid->at, "an augmentation may not have a GridSample");
  if (!st)
    st = pt_gridsample_build(&r->voxels, env, coord, grid->u.grid.grid_size, grid->u.grid.key,
                             err);
  if (st)
    pt_test_end(r);
  else
    r->fragments = r->voxels.max_count;
  return st;
}

void pt_test_end(struct pt_test_run *r) {
  pt_cloud_free(&r->cloud);
  pt_gridsample_free(&r->voxels);
  memset(r, 0, sizeof *r);
}

/* The chosen rows of every indexed channel, as a new cloud. */
static int take_rows(struct pt_cloud *out, const struct pt_cloud *c, const int32_t *select,
                     int64_t m, struct ptv3_error *err) {
  pt_cloud_init(out, c->mem, m);
  out->condition = c->condition;
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    const struct pt_channel *from = &c->channel[i];
    if (!from->data || !from->indexed) continue;
    struct pt_channel *to = pt_cloud_add(out, from->name, from->type, from->width, err);
    if (!to) return pt_status(err);
    int64_t size = from->width * pt_dtype(from->type)->bytes;
    for (int64_t j = 0; j < m; j++)
      memcpy((char *)to->data + j * size, (const char *)from->data + select[j] * size,
             (size_t)size);
  }
  return PTV3_OK;
}

int pt_test_fragment(const struct pt_test_run *r, struct pt_env *env, int64_t i,
                     struct pt_draw *draw, struct pt_cloud *out, struct ptv3_error *err) {
  const struct pt_transform *grid = r->test->voxelize.step;
  int64_t m = r->voxels.m;
  memset(out, 0, sizeof *out);
  int32_t *select = pt_alloc(&env->mem, m, sizeof *select, PT_MEM_CLOUD, err);
  if (!select) return pt_status(err);
  pt_gridsample_fragment(&r->voxels, i, select);
  int st = take_rows(out, &r->cloud, select, m, err);
  if (!st) st = pt_grid_extras(grid, &r->voxels, &r->cloud, out, select, err);
  pt_grid_follow(out);
  if (!st && pt_cloud_give(out, "index", PT_I32, 1, m, select, err))
    select = NULL;
  else if (!st)
    st = pt_status(err);
  pt_free(&env->mem, select);
  if (!st) st = pt_pipeline_apply(&r->test->post, env, out, draw, false, err);
  if (st) pt_cloud_free(out);
  return st;
}
