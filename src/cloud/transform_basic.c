/* transform_basic.c - the transforms without random numbers, GridSample and Collect.
 * Source: pointcept/datasets/transform.py, class of the same name. */
#include <math.h>
#include <string.h>

#include "transform.h"

/* ---- helpers ---- */

int pt_float_channel(struct pt_cloud *c, const char *name, struct pt_channel **ch,
                     struct ptv3_error *err) {
  *ch = pt_cloud_find(c, name);
  if (!*ch) return PTV3_OK;
  if ((*ch)->type == PT_F32 || (*ch)->type == PT_F64) return pt_cloud_own(c, *ch, err);
  return pt_cloud_convert(c, *ch, PT_F32, err);
}

void pt_channel_bounds(const struct pt_channel *ch, double lo[3], double hi[3]) {
  for (int a = 0; a < 3; a++) {
    lo[a] = INFINITY;
    hi[a] = -INFINITY;
  }
  const float *f = ch->type == PT_F32 ? ch->data : NULL;
  const double *d = ch->type == PT_F64 ? ch->data : NULL;
  for (int64_t i = 0; i < ch->n; i++)
    for (int a = 0; a < 3; a++) {
      int64_t at = i * ch->width + a;
      double v = f ? (double)f[at] : d ? d[at] : pt_channel_at(ch, i, a);
      lo[a] = v < lo[a] ? v : lo[a];
      hi[a] = v > hi[a] ? v : hi[a];
    }
}

void pt_channel_shift(struct pt_channel *ch, const double by[3]) {
  for (int64_t i = 0; i < ch->n; i++)
    for (int a = 0; a < 3; a++) pt_channel_set(ch, i, a, pt_channel_at(ch, i, a) + by[a]);
}

int pt_parse_keys(const struct pt_value *dict, const char *name, struct pt_keys *keys,
                  struct ptv3_error *err) {
  const struct pt_value *v = pt_get(dict, name);
  if (pt_is_none(v)) return PTV3_OK;
  if (v->kind == PT_V_STR) {
    keys->n = 1;
    return pt_as_str(v, &keys->key[0], err);
  }
  if (!pt_is_seq(v) || pt_len(v) > PT_KEYS)
    return pt_fail_value(err, v, "must be a name or a list of at most %d names", PT_KEYS);
  for (int64_t i = 0; i < pt_len(v); i++) {
    int st = pt_as_str(pt_item(v, i), &keys->key[keys->n++], err);
    if (st) return st;
  }
  return PTV3_OK;
}

/* To be written to. */
static struct pt_channel *coord_of(struct pt_apply *a, const struct pt_transform *t,
                                   struct ptv3_error *err) {
  struct pt_channel *ch = pt_cloud_need(a->cloud, "coord", t->type->name, err);
  return ch && pt_cloud_own(a->cloud, ch, err) ? NULL : ch;
}

/* ---- shifts and scalings ---- */

static int center_parse(struct pt_transform *t, const struct pt_value *d,
                        struct ptv3_error *err) {
  return pt_get_bool(d, "apply_z", true, &t->u.center.apply_z, err);
}

/* x and y: middle of the bounds, the sum rounded to the channel's type; z: the bottom. */
static int center_apply(const struct pt_transform *t, struct pt_apply *a,
                        struct ptv3_error *err) {
  struct pt_channel *ch = coord_of(a, t, err);
  if (!ch) return pt_status(err);
  double lo[3], hi[3], by[3];
  pt_channel_bounds(ch, lo, hi);
  for (int k = 0; k < 2; k++) {
    double sum = lo[k] + hi[k];
    by[k] = -(ch->type == PT_F32 ? (double)(float)sum : sum) / 2;
  }
  by[2] = t->u.center.apply_z ? -lo[2] : 0;
  pt_channel_shift(ch, by);
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_CenterShift = {"CenterShift", center_parse,
                                                           center_apply, "apply_z"};

static int positive_apply(const struct pt_transform *t, struct pt_apply *a,
                          struct ptv3_error *err) {
  struct pt_channel *ch = coord_of(a, t, err);
  if (!ch) return pt_status(err);
  double lo[3], hi[3];
  pt_channel_bounds(ch, lo, hi);
  const double by[3] = {-lo[0], -lo[1], -lo[2]};
  pt_channel_shift(ch, by);
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_PositiveShift = {"PositiveShift", NULL,
                                                             positive_apply, ""};

static int color_apply(const struct pt_transform *t, struct pt_apply *a,
                       struct ptv3_error *err) {
  struct pt_channel *ch;
  (void)t;
  int st = pt_float_channel(a->cloud, "color", &ch, err);
  if (st || !ch) return st;
  for (int64_t i = 0; i < ch->n; i++)
    for (int k = 0; k < ch->width; k++) pt_channel_set(ch, i, k, pt_channel_at(ch, i, k) / 255);
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_NormalizeColor = {"NormalizeColor", NULL,
                                                              color_apply, ""};

/* Rounds to the channel's type: numpy keeps float32 sums in float32. */
static double rounded(const struct pt_channel *ch, double v) {
  return ch->type == PT_F32 ? (double)(float)v : v;
}

/* Into the unit ball about the centroid. */
static int coord_apply(const struct pt_transform *t, struct pt_apply *a,
                       struct ptv3_error *err) {
  struct pt_channel *ch = coord_of(a, t, err);
  if (!ch) return pt_status(err);
  double sum[3] = {0}, far = 0;
  for (int64_t i = 0; i < ch->n; i++)
    for (int k = 0; k < 3; k++) sum[k] = rounded(ch, sum[k] + pt_channel_at(ch, i, k));
  for (int k = 0; k < 3; k++) sum[k] = -rounded(ch, sum[k] / (double)ch->n);
  pt_channel_shift(ch, sum);
  for (int64_t i = 0; i < ch->n; i++) {
    double r = 0;
    for (int k = 0; k < 3; k++) r += pt_channel_at(ch, i, k) * pt_channel_at(ch, i, k);
    far = r > far ? r : far;
  }
  far = rounded(ch, sqrt(far));
  if (!(far > 0)) return pt_fail(err, PTV3_DATA, "NormalizeCoord: all points coincide");
  for (int64_t i = 0; i < ch->n; i++)
    for (int k = 0; k < 3; k++) pt_channel_set(ch, i, k, pt_channel_at(ch, i, k) / far);
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_NormalizeCoord = {"NormalizeCoord", NULL,
                                                              coord_apply, ""};

static int clip_parse(struct pt_transform *t, const struct pt_value *d,
                      struct ptv3_error *err) {
  double r[6] = {-80, -80, -3, 80, 80, 1};
  int64_t n;
  int st = pt_get_doubles(d, "point_cloud_range", 6, 6, r, &n, err);
  memcpy(t->u.box.lo, r, sizeof t->u.box.lo);
  memcpy(t->u.box.hi, r + 3, sizeof t->u.box.hi);
  return st;
}

/* Points outside are moved to the box's face, not dropped; the result is float64. */
static int clip_apply(const struct pt_transform *t, struct pt_apply *a,
                      struct ptv3_error *err) {
  struct pt_channel *ch = coord_of(a, t, err);
  int st = ch ? pt_cloud_convert(a->cloud, ch, PT_F64, err) : pt_status(err);
  for (int64_t i = 0; !st && i < ch->n; i++)
    for (int k = 0; k < 3; k++) {
      double v = pt_channel_at(ch, i, k);
      v = v < t->u.box.lo[k] ? t->u.box.lo[k] : v;
      pt_channel_set(ch, i, k, v > t->u.box.hi[k] ? t->u.box.hi[k] : v);
    }
  return st;
}

const struct pt_transform_type pt_transform_PointClip = {"PointClip", clip_parse, clip_apply,
                                                         "point_cloud_range"};

/* ---- bookkeeping ---- */

/* Labels may be absent: then there is nothing to copy or collect. */
static bool is_label(const char *key) {
  return !strcmp(key, "segment") || !strcmp(key, "origin_segment") ||
         !strcmp(key, "instance") || !strcmp(key, "origin_instance");
}

static int copy_parse(struct pt_transform *t, const struct pt_value *d,
                      struct ptv3_error *err) {
  const struct pt_value *v = pt_get(d, "keys_dict");
  struct pt_keys *from = &t->u.copy.from, *to = &t->u.copy.to;
  if (pt_is_none(v)) {
    *from = (struct pt_keys){2, {"coord", "segment"}};
    *to = (struct pt_keys){2, {"origin_coord", "origin_segment"}};
    return PTV3_OK;
  }
  if (!pt_is_dict(v) || v->n > PT_KEYS)
    return pt_fail_value(err, v, "must be a dict of at most %d names", PT_KEYS);
  for (int64_t i = 0; i < v->n; i++) {
    int st = pt_as_str(v->entry[i].key, &from->key[i], err);
    if (!st) st = pt_as_str(v->entry[i].value, &to->key[i], err);
    if (st) return st;
    v->entry[i].used = true;
  }
  from->n = to->n = (int)v->n;
  return PTV3_OK;
}

static int copy_apply(const struct pt_transform *t, struct pt_apply *a,
                      struct ptv3_error *err) {
  for (int i = 0; i < t->u.copy.from.n; i++) {
    const char *from = t->u.copy.from.key[i];
    if (!pt_cloud_find(a->cloud, from) && is_label(from)) continue;
    int st = pt_cloud_copy_channel(a->cloud, from, t->u.copy.to.key[i], err);
    if (st) return st;
  }
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_Copy = {"Copy", copy_parse, copy_apply,
                                                    "keys_dict"};

static int update_parse(struct pt_transform *t, const struct pt_value *d,
                        struct ptv3_error *err) {
  const struct pt_value *v = pt_get(d, "keys_dict");
  for (int64_t i = 0; pt_is_dict(v) && i < v->n; i++) {
    const char *key;
    int st = pt_as_str(v->entry[i].key, &key, err);
    if (st) return st;
    if (strcmp(key, "condition"))
      return pt_fail_value(err, v->entry[i].value, "Update can set 'condition' here, not '%s'",
                           key);
    if ((st = pt_get_str(v, "condition", NULL, &t->u.update.condition, err))) return st;
  }
  return PTV3_OK;
}

static int update_apply(const struct pt_transform *t, struct pt_apply *a,
                        struct ptv3_error *err) {
  (void)err;
  if (t->u.update.condition) a->cloud->condition = t->u.update.condition;
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_Update = {"Update", update_parse, update_apply,
                                                      "keys_dict"};

/* Types are settled in Collect. */
static int tensor_apply(const struct pt_transform *t, struct pt_apply *a,
                        struct ptv3_error *err) {
  (void)t, (void)a, (void)err;
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_ToTensor = {"ToTensor", NULL, tensor_apply, ""};

/* ---- GridSample ---- */

static int grid_parse(struct pt_transform *t, const struct pt_value *d,
                      struct ptv3_error *err) {
  const char *hash, *mode;
  int st = pt_get_double(d, "grid_size", 0.05, &t->u.grid.grid_size, err);
  if (!st) st = pt_get_str(d, "hash_type", "fnv", &hash, err);
  if (!st) st = pt_get_str(d, "mode", "train", &mode, err);
  if (!st) st = pt_get_bool(d, "return_inverse", false, &t->u.grid.inverse, err);
  if (!st) st = pt_get_bool(d, "return_grid_coord", false, &t->u.grid.grid_coord, err);
  if (!st) st = pt_get_bool(d, "return_min_coord", false, &t->u.grid.min_coord, err);
  if (!st) st = pt_get_bool(d, "return_displacement", false, &t->u.grid.displacement, err);
  if (!st) st = pt_get_bool(d, "project_displacement", false, &t->u.grid.project, err);
  if (st) return st;
  if (!(t->u.grid.grid_size > 0) || !isfinite(t->u.grid.grid_size))
    return pt_fail_value(err, pt_get(d, "grid_size"), "must be a positive number of metres");
  if (strcmp(mode, "train") && strcmp(mode, "test"))
    return pt_fail_value(err, pt_get(d, "mode"), "must be 'train' or 'test', not '%s'", mode);
  t->u.grid.key = strcmp(hash, "fnv") ? PT_GRID_RAVEL : PT_GRID_FNV; /* as upstream reads it */
  t->u.grid.test = !strcmp(mode, "test");
  t->u.grid.project = t->u.grid.project && t->u.grid.displacement;
  return PTV3_OK;
}

int pt_grid_extras(const struct pt_transform *t, const struct pt_gridsample *v,
                   const struct pt_cloud *points, struct pt_cloud *to, const int32_t *select,
                   struct ptv3_error *err) {
  const struct pt_channel *coord = pt_cloud_find(points, "coord"), *normal = NULL;
  struct pt_channel *out;
  if (t->u.grid.project && !(normal = pt_cloud_need(points, "normal", "GridSample", err)))
    return pt_status(err);
  if (t->u.grid.grid_coord) {
    if (!(out = pt_cloud_add_rows(to, "grid_coord", PT_I32, 3, v->m, err)))
      return pt_status(err);
    pt_gridsample_grid(v, coord, select, v->m, out->data);
  }
  if (t->u.grid.displacement) {
    int width = normal ? 1 : 3;
    if (!(out = pt_cloud_add_rows(to, "displacement", PT_F32, width, v->m, err)))
      return pt_status(err);
    pt_gridsample_displacement(v, coord, normal, select, v->m, out->data);
  }
  if (t->u.grid.min_coord) {
    if (!(out = pt_cloud_add_rows(to, "min_coord", PT_F32, 3, 1, err))) return pt_status(err);
    for (int a = 0; a < 3; a++)
      ((float *)out->data)[a] = (float)((double)v->min[a] * v->grid_size);
  }
  return PTV3_OK;
}

void pt_grid_follow(struct pt_cloud *c) {
  static const char *const added[] = {"grid_coord", "displacement"};
  for (int i = 0; i < 2; i++) {
    struct pt_channel *ch = pt_cloud_find(c, added[i]);
    if (ch) ch->indexed = true;
  }
}

/* Gives v's inverse to the cloud, joined with that of an earlier GridSample if labels are
 * to be carried through both. */
static int grid_inverse(struct pt_gridsample *v, struct pt_apply *a, struct ptv3_error *err) {
  struct pt_channel *old = a->keep_inverse ? pt_cloud_find(a->cloud, "inverse") : NULL;
  if (old) {
    int32_t *row = old->data;
    for (int64_t i = 0; i < old->n; i++) row[i] = v->inverse[row[i]];
    return PTV3_OK;
  }
  if (!pt_cloud_give(a->cloud, "inverse", PT_I32, 1, v->n, v->inverse, err))
    return pt_status(err);
  v->inverse = NULL;
  return PTV3_OK;
}

static int grid_apply(const struct pt_transform *t, struct pt_apply *a,
                      struct ptv3_error *err) {
  struct pt_cloud *c = a->cloud;
  const struct pt_channel *coord = pt_cloud_need(c, "coord", "GridSample", err);
  if (!coord) return pt_status(err);
  if (t->u.grid.test)
    return pt_fail_pos(
        err, PTV3_CONFIG, &t->at,
        "GridSample in test mode belongs in test_cfg.voxelize, not in a transform");
  struct pt_gridsample v;
  int st = pt_gridsample_build(&v, a->env, coord, t->u.grid.grid_size, t->u.grid.key, err);
  if (st) return st;
  int32_t *select = pt_alloc(c->mem, v.m, sizeof *select, PT_MEM_CLOUD, err);
  st = select ? pt_gridsample_pick(&v, a->draw, select, err) : pt_status(err);
  if (!st) {
    pt_cloud_remove(c, "grid_coord"); /* of an earlier GridSample */
    pt_cloud_remove(c, "displacement");
    st = pt_grid_extras(t, &v, c, c, select, err);
  }
  if (!st && (t->u.grid.inverse || a->keep_inverse)) st = grid_inverse(&v, a, err);
  int64_t m = v.m;
  pt_gridsample_free(&v);
  if (!st) st = pt_cloud_select(c, select, m, err);
  if (!st) pt_grid_follow(c);
  pt_free(c->mem, select);
  return st;
}

const struct pt_transform_type pt_transform_GridSample = {
    "GridSample", grid_parse, grid_apply,
    "grid_size hash_type mode return_inverse return_grid_coord return_min_coord "
    "return_displacement project_displacement"};

/* ---- Collect ---- */

static int collect_parse(struct pt_transform *t, const struct pt_value *d,
                         struct ptv3_error *err) {
  int st = pt_parse_keys(d, "keys", &t->u.collect.keys, err);
  if (!st) st = pt_parse_keys(d, "feat_keys", &t->u.collect.feat, err);
  pt_ignore(d, "offset_keys_dict"); /* the batch makes its own offsets */
  return st;
}

static bool has_key(const struct pt_keys *k, const char *name) {
  for (int i = 0; i < k->n; i++)
    if (!strcmp(k->key[i], name)) return true;
  return false;
}

/* feat [n, C]: the feature channels side by side, as float32. */
static int collect_feat(const struct pt_keys *keys, struct pt_cloud *c,
                        struct ptv3_error *err) {
  int width = 0;
  for (int i = 0; i < keys->n; i++) {
    const struct pt_channel *ch = pt_cloud_need(c, keys->key[i], "Collect (feat_keys)", err);
    if (!ch) return pt_status(err);
    if (ch->n != c->n)
      return pt_fail(err, PTV3_CONFIG,
                     "Collect: the feature '%s' has %lld rows, the cloud %lld", ch->name,
                     (long long)ch->n, (long long)c->n);
    width += ch->width;
  }
  if (!width) return PTV3_OK;
  struct pt_channel *feat = pt_cloud_add(c, "feat", PT_F32, width, err);
  if (!feat) return pt_status(err);
  float *row = feat->data;
  for (int i = 0, at = 0; i < keys->n; i++) {
    const struct pt_channel *ch = pt_cloud_find(c, keys->key[i]);
    for (int64_t j = 0; j < c->n; j++)
      for (int k = 0; k < ch->width; k++)
        row[j * width + at + k] = (float)pt_channel_at(ch, j, k);
    at += ch->width;
  }
  return PTV3_OK;
}

static int collect_apply(const struct pt_transform *t, struct pt_apply *a,
                         struct ptv3_error *err) {
  struct pt_cloud *c = a->cloud;
  const struct pt_keys *keys = &t->u.collect.keys;
  for (int i = 0; i < keys->n; i++) {
    const char *key = keys->key[i];
    bool given = pt_cloud_find(c, key) || is_label(key) || !strcmp(key, "condition");
    if (!given && !pt_cloud_need(c, key, "Collect (keys)", err)) return pt_status(err);
  }
  int st = collect_feat(&t->u.collect.feat, c, err);
  for (int i = 0; !st && i < PT_CLOUD_CHANNELS; i++) {
    struct pt_channel *ch = &c->channel[i];
    if (!ch->data || !strcmp(ch->name, "feat")) continue;
    bool keep = has_key(keys, ch->name) ||
                (a->keep_inverse && (!strcmp(ch->name, "inverse") || is_label(ch->name)));
    if (!keep)
      pt_cloud_remove(c, ch->name);
    else if (ch->type == PT_F64)
      st = pt_cloud_convert(c, ch, PT_F32, err);
  }
  return st;
}

const struct pt_transform_type pt_transform_Collect = {"Collect", collect_parse, collect_apply,
                                                       "keys feat_keys offset_keys_dict"};
