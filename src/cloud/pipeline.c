/* pipeline.c - see pipeline.h. The table of transforms is PT_TRANSFORM_LIST. */
#include "pipeline.h"

#include <math.h>
#include <string.h>

#include "nearest.h"
#include "transform.h"

static const struct pt_transform_type *const types[] = {
#define PT_TRANSFORM_ENTRY(type) &pt_transform_##type,
    PT_TRANSFORM_LIST(PT_TRANSFORM_ENTRY)
#undef PT_TRANSFORM_ENTRY
};

static const struct pt_transform_type *find_type(const char *name) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(types[i]->name, name)) return types[i];
  return NULL;
}

const char *pt_transform_keys(const char *name) {
  const struct pt_transform_type *t = find_type(name);
  return t ? t->keys : NULL;
}

static int fail_type(const struct pt_value *dict, const char *name, struct ptv3_error *err) {
  static const char names[] =
#define PT_TRANSFORM_NAME(type) #type " "
      PT_TRANSFORM_LIST(PT_TRANSFORM_NAME);
#undef PT_TRANSFORM_NAME
  char near[PT_WORD];
  bool found = pt_nearest_word(name, names, near);
  return pt_fail_value(err, dict, "the transform '%s' is not known here%s%s%s", name,
                       found ? "; is '" : "", found ? near : "", found ? "' meant?" : "");
}

static int parse_step(struct pt_transform *t, const struct pt_value *dict,
                      struct ptv3_error *err) {
  const char *name;
  if (!pt_is_dict(dict)) return pt_fail_value(err, dict, "a transform is a dict with a type");
  int st = pt_need_str(dict, "type", &name, err);
  if (st) return st;
  t->type = find_type(name);
  t->at = dict->at;
  if (!t->type) return fail_type(dict, name, err);
  return t->type->parse ? t->type->parse(t, dict, err) : PTV3_OK;
}

int pt_pipeline_parse(struct pt_pipeline *p, struct pt_mem *mem, const struct pt_value *list,
                      struct ptv3_error *err) {
  *p = (struct pt_pipeline){.mem = mem};
  if (pt_is_none(list)) return PTV3_OK;
  if (!pt_is_seq(list)) return pt_fail_value(err, list, "must be a list of transforms");
  p->step = pt_zalloc(mem, pt_len(list), sizeof *p->step, PT_MEM_OTHER, err);
  if (!p->step) return pt_status(err);
  p->count = pt_len(list);
  for (int64_t i = 0; i < p->count; i++) {
    int st = parse_step(&p->step[i], pt_item(list, i), err);
    if (!st) continue;
    pt_pipeline_free(p);
    return st;
  }
  return PTV3_OK;
}

void pt_pipeline_free(struct pt_pipeline *p) {
  if (p->mem) pt_free(p->mem, p->step);
  memset(p, 0, sizeof *p);
}

/* Whether it is a height that a HeightAboveLowest makes. */
static bool is_height(const struct pt_pipeline *p, const char *key) {
  for (int64_t i = 0; i < p->count; i++)
    if (p->step[i].type == &pt_transform_HeightAboveLowest &&
        !strcmp(p->step[i].u.height.key, key))
      return true;
  return false;
}

static bool makes_normals(const struct pt_pipeline *p) {
  for (int64_t i = 0; i < p->count; i++)
    if (p->step[i].type == &pt_transform_EstimateNormals) return true;
  return false;
}

/* Whether some transform makes this channel, or every cloud has it. */
static bool made_here(const struct pt_pipeline *p, const char *key) {
  static const char *const made[] = {"coord",     "grid_coord", "displacement",
                                     "min_coord", "inverse",    "index"};
  for (size_t i = 0; i < sizeof made / sizeof *made; i++)
    if (!strcmp(key, made[i])) return true;
  return is_height(p, key) || (!strcmp(key, "normal") && makes_normals(p));
}

static int add_need(const struct pt_pipeline *p, const char **name, int n, int max,
                    const char *key) {
  for (int i = 0; i < n; i++)
    if (!strcmp(name[i], key)) return n;
  if (n < max && !made_here(p, key)) name[n++] = key;
  return n;
}

int pt_pipeline_needs(const struct pt_pipeline *p, const char **name, int max) {
  int n = 0;
  for (int64_t i = 0; i < p->count; i++) {
    const struct pt_transform *t = &p->step[i];
    if (t->type == &pt_transform_Collect)
      for (int k = 0; k < t->u.collect.feat.n; k++)
        n = add_need(p, name, n, max, t->u.collect.feat.key[k]);
    if (t->type == &pt_transform_GridSample && t->u.grid.project)
      n = add_need(p, name, n, max, "normal");
  }
  return n;
}

static struct pt_transform *last_grid(const struct pt_pipeline *p) {
  for (int64_t i = p->count - 1; i >= 0; i--)
    if (p->step[i].type == &pt_transform_GridSample) return &p->step[i];
  return NULL;
}

/* Channels of a feature, 0: not known before a cloud is there. */
static int width_of(const struct pt_pipeline *p, const char *key) {
  static const struct {
    const char *key;
    int width;
  } known[] = {{"coord", 3}, {"color", 3}, {"normal", 3}, {"grid_coord", 3}, {"strength", 1}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(key, known[i].key)) return known[i].width;
  return is_height(p, key);
}

static int check_collect(const struct pt_pipeline *p, const struct pt_transform *t,
                         int in_channels, struct ptv3_error *err) {
  const struct pt_keys *feat = &t->u.collect.feat;
  int width = 0;
  for (int k = 0; k < feat->n; k++) {
    if (!width_of(p, feat->key[k])) return PTV3_OK;
    width += width_of(p, feat->key[k]);
  }
  if (!width || width == in_channels) return PTV3_OK;
  return pt_fail_pos(err, PTV3_CONFIG, &t->at,
                     "Collect: feat_keys give %d channels, model.backbone.in_channels is %d: "
                     "change one of them",
                     width, in_channels);
}

int pt_pipeline_check_width(const struct pt_pipeline *p, int in_channels,
                            struct ptv3_error *err) {
  for (int64_t i = 0; i < p->count; i++)
    if (p->step[i].type == &pt_transform_Collect) {
      int st = check_collect(p, &p->step[i], in_channels, err);
      if (st) return st;
    }
  return PTV3_OK;
}

double pt_pipeline_grid_size(const struct pt_pipeline *p) {
  const struct pt_transform *t = last_grid(p);
  return t ? t->u.grid.grid_size : 0;
}

void pt_pipeline_set_grid_size(struct pt_pipeline *p, double grid_size) {
  struct pt_transform *t = last_grid(p);
  if (t) t->u.grid.grid_size = grid_size;
}

int pt_pipeline_cut(const struct pt_pipeline *p, int64_t *at, struct ptv3_error *err) {
  static const struct pt_transform_type *const pointwise[] = {
      &pt_transform_CenterShift,   &pt_transform_Copy,     &pt_transform_NormalizeColor,
      &pt_transform_PositiveShift, &pt_transform_ToTensor, &pt_transform_Update,
      &pt_transform_PointClip};
  for (*at = 0; *at < p->count; ++*at) {
    const struct pt_transform *t = &p->step[*at];
    if (t->type == &pt_transform_GridSample && !t->u.grid.test) return PTV3_OK;
    bool by_point = false;
    for (size_t i = 0; i < sizeof pointwise / sizeof *pointwise; i++)
      by_point = by_point || t->type == pointwise[i];
    for (int k = 0; t->type == &pt_transform_Copy && k < t->u.copy.to.n; k++)
      by_point = by_point && strcmp(t->u.copy.to.key[k], "coord");
    if (!by_point)
      return pt_fail_pos(err, PTV3_UNSUPPORTED, &t->at,
                         "the transform '%s' stands before GridSample and needs all points at "
                         "once",
                         t->type->name);
  }
  return pt_fail(err, PTV3_UNSUPPORTED, "the transforms have no GridSample");
}

int pt_pipeline_apply(const struct pt_pipeline *p, struct pt_env *env, struct pt_cloud *c,
                      struct pt_draw *draw, bool keep_inverse, struct ptv3_error *err) {
  struct pt_apply a = {.env = env, .cloud = c, .draw = draw, .keep_inverse = keep_inverse};
  for (int64_t i = 0; i < p->count; i++) {
    const struct pt_transform *t = &p->step[i];
    if (c->n < 1)
      return pt_fail(err, PTV3_DATA, "the cloud has no points left for '%s'", t->type->name);
    int st = pt_progress(env, "preparing", i, p->count, err);
    if (!st) st = t->type->apply(t, &a, err);
    if (st) return st;
  }
  return PTV3_OK;
}

/* Data of a channel of the given type and width, NULL if there is none such. */
static const void *view(const struct pt_cloud *c, const char *name, enum pt_dtype type,
                        int width, int64_t n) {
  const struct pt_channel *ch = pt_cloud_find(c, name);
  return ch && ch->type == type && ch->width == width && ch->n == n ? ch->data : NULL;
}

int pt_sample_view(const struct pt_cloud *c, struct pt_sample *s, struct ptv3_error *err) {
  memset(s, 0, sizeof *s);
  const struct pt_channel *feat = pt_cloud_need(c, "feat", "the network", err);
  if (!feat) return pt_status(err);
  s->n = c->n;
  s->channels = feat->width;
  s->feat = feat->type == PT_F32 && feat->n == c->n ? feat->data : NULL;
  s->coord = view(c, "coord", PT_F32, 3, c->n);
  s->grid_coord = view(c, "grid_coord", PT_I32, 3, c->n);
  if (!s->feat || !s->coord || !s->grid_coord)
    return pt_fail(err, PTV3_CONFIG,
                   "the transforms leave no '%s': GridSample needs return_grid_coord=True, and "
                   "Collect needs coord and grid_coord among its keys and feat_keys",
                   !s->coord        ? "coord"
                   : !s->grid_coord ? "grid_coord"
                                    : "feat");
  const struct pt_channel *inverse = pt_cloud_find(c, "inverse");
  s->n_origin = inverse ? inverse->n : c->n;
  s->inverse = view(c, "inverse", PT_I32, 1, s->n_origin);
  s->segment = view(c, "segment", PT_I32, 1, c->n);
  s->origin_segment = view(c, "origin_segment", PT_I32, 1, s->n_origin);
  s->index = view(c, "index", PT_I32, 1, c->n);
  s->condition = c->condition;
  return PTV3_OK;
}
