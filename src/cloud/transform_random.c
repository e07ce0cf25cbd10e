/* transform_random.c - the transforms that draw random numbers, all but ElasticDistortion.
 * Source: pointcept/datasets/transform.py, class of the same name. */
#include <math.h>
#include <string.h>

#include "size.h"
#include "sort.h"
#include "transform.h"

enum { RUN = 300 }; /* numbers drawn at a time; whole points */

int pt_chance(struct pt_apply *a, double p, bool *yes, struct ptv3_error *err) {
  double u;
  int st = pt_draw_fill(a->draw, PT_DRAW_CHANCE, 0, 1, 1, &u, err);
  *yes = !st && u < p;
  return st;
}

/* To be written to. */
static int coord_of(const struct pt_transform *t, struct pt_apply *a, struct pt_channel **ch,
                    struct ptv3_error *err) {
  *ch = pt_cloud_need(a->cloud, "coord", t->type->name, err);
  return *ch ? pt_cloud_own(a->cloud, *ch, err) : pt_status(err);
}

/* ---- rotations ---- */

static int rotate_parse_common(struct pt_transform *t, const struct pt_value *d, double p,
                               struct ptv3_error *err) {
  const char *axis;
  bool always;
  int64_t n;
  int st = pt_get_str(d, "axis", "z", &axis, err);
  if (!st) st = pt_get_double(d, "p", p, &t->u.rotate.p, err);
  if (!st) st = pt_get_bool(d, "always_apply", false, &always, err);
  if (!st) st = pt_get_doubles(d, "center", 3, 3, t->u.rotate.center, &n, err);
  if (st) return st;
  t->u.rotate.centered = n == 3;
  if (always) t->u.rotate.p = 1;
  if (strlen(axis) != 1 || axis[0] < 'x' || axis[0] > 'z')
    return pt_fail_value(err, pt_get(d, "axis"), "must be 'x', 'y' or 'z', not '%s'", axis);
  t->u.rotate.axis = axis[0] - 'x';
  return PTV3_OK;
}

static int rotate_parse(struct pt_transform *t, const struct pt_value *d,
                        struct ptv3_error *err) {
  int64_t n;
  t->u.rotate.angle[0] = -1;
  t->u.rotate.angle[1] = 1;
  t->u.rotate.n = 2;
  int st = pt_get_doubles(d, "angle", 2, 2, t->u.rotate.angle, &n, err);
  return st ? st : rotate_parse_common(t, d, 0.5, err);
}

static int target_parse(struct pt_transform *t, const struct pt_value *d,
                        struct ptv3_error *err) {
  int64_t n;
  const double def[] = {0.5, 1, 1.5};
  memcpy(t->u.rotate.angle, def, sizeof def);
  t->u.rotate.choice = true;
  int st = pt_get_doubles(d, "angle", 1, PT_ANGLES, t->u.rotate.angle, &n, err);
  t->u.rotate.n = n ? (int)n : 3;
  return st ? st : rotate_parse_common(t, d, 0.75, err);
}

/* The angle drawn, in radians. */
static int draw_angle(const struct pt_transform *t, struct pt_apply *a, double *angle,
                      struct ptv3_error *err) {
  const double *list = t->u.rotate.angle;
  double u;
  int st = t->u.rotate.choice
               ? pt_draw_fill(a->draw, PT_DRAW_INTEGER, 0, t->u.rotate.n, 1, &u, err)
               : pt_draw_fill(a->draw, PT_DRAW_UNIFORM, list[0], list[1], 1, &u, err);
  if (!st) *angle = (t->u.rotate.choice ? list[(int)u] : u) * 3.141592653589793;
  return st;
}

/* Rotates rows of a channel about an axis through the origin; the result is float64. */
static int rotate_channel(struct pt_cloud *c, struct pt_channel *ch, int axis, double angle,
                          struct ptv3_error *err) {
  int st = pt_cloud_convert(c, ch, PT_F64, err);
  if (st) return st;
  int u = (axis + 1) % 3, v = (axis + 2) % 3; /* turns u towards v */
  double co = cos(angle), si = sin(angle), *x = ch->data;
  for (int64_t i = 0; i < ch->n; i++, x += 3) {
    double p = x[u], q = x[v];
    x[u] = co * p - si * q;
    x[v] = si * p + co * q;
  }
  return PTV3_OK;
}

static int rotate_apply(const struct pt_transform *t, struct pt_apply *a,
                        struct ptv3_error *err) {
  bool yes;
  double angle = 0, center[3], back[3];
  int st = pt_chance(a, t->u.rotate.p, &yes, err);
  if (st || !yes) return st;
  struct pt_channel *ch, *normal;
  st = draw_angle(t, a, &angle, err);
  if (!st) st = coord_of(t, a, &ch, err);
  if (st) return st;
  double lo[3], hi[3];
  if (!t->u.rotate.centered) pt_channel_bounds(ch, lo, hi);
  for (int k = 0; k < 3; k++) {
    center[k] = t->u.rotate.center[k];
    if (!t->u.rotate.centered) {
      double sum = lo[k] + hi[k];
      center[k] = (ch->type == PT_F32 ? (double)(float)sum : sum) / 2;
    }
    back[k] = -center[k];
  }
  pt_channel_shift(ch, back);
  if ((st = rotate_channel(a->cloud, ch, t->u.rotate.axis, angle, err))) return st;
  pt_channel_shift(ch, center);
  st = pt_float_channel(a->cloud, "normal", &normal, err);
  return st || !normal ? st : rotate_channel(a->cloud, normal, t->u.rotate.axis, angle, err);
}

const struct pt_transform_type pt_transform_RandomRotate = {
    "RandomRotate", rotate_parse, rotate_apply, "angle center axis always_apply p"};
const struct pt_transform_type pt_transform_RandomRotateTargetAngle = {
    "RandomRotateTargetAngle", target_parse, rotate_apply, "angle center axis always_apply p"};

/* ---- scale, flip, shift, jitter ---- */

static int scale_parse(struct pt_transform *t, const struct pt_value *d,
                       struct ptv3_error *err) {
  double range[2] = {0.95, 1.05};
  int64_t n;
  int st = pt_get_doubles(d, "scale", 2, 2, range, &n, err);
  t->u.scale.lo = range[0];
  t->u.scale.hi = range[1];
  return st ? st : pt_get_bool(d, "anisotropic", false, &t->u.scale.anisotropic, err);
}

static int scale_apply(const struct pt_transform *t, struct pt_apply *a,
                       struct ptv3_error *err) {
  struct pt_channel *ch;
  double s[3];
  int st = coord_of(t, a, &ch, err);
  if (!st)
    st = pt_draw_fill(a->draw, PT_DRAW_UNIFORM, t->u.scale.lo, t->u.scale.hi,
                      t->u.scale.anisotropic ? 3 : 1, s, err);
  if (st) return st;
  if (!t->u.scale.anisotropic) s[1] = s[2] = s[0];
  for (int64_t i = 0; i < ch->n; i++)
    for (int k = 0; k < 3; k++) pt_channel_set(ch, i, k, pt_channel_at(ch, i, k) * s[k]);
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_RandomScale = {"RandomScale", scale_parse,
                                                           scale_apply, "scale anisotropic"};

static int flip_parse(struct pt_transform *t, const struct pt_value *d,
                      struct ptv3_error *err) {
  return pt_get_double(d, "p", 0.5, &t->u.chance.p, err);
}

static int flip_apply(const struct pt_transform *t, struct pt_apply *a,
                      struct ptv3_error *err) {
  struct pt_channel *ch[2];
  int st = coord_of(t, a, &ch[0], err);
  if (!st) st = pt_float_channel(a->cloud, "normal", &ch[1], err);
  for (int k = 0; !st && k < 2; k++) {
    bool yes;
    st = pt_chance(a, t->u.chance.p, &yes, err);
    for (int j = 0; yes && j < 2; j++)
      for (int64_t i = 0; ch[j] && i < ch[j]->n; i++)
        pt_channel_set(ch[j], i, k, -pt_channel_at(ch[j], i, k));
  }
  return st;
}

const struct pt_transform_type pt_transform_RandomFlip = {"RandomFlip", flip_parse, flip_apply,
                                                          "p"};

static int shift_parse(struct pt_transform *t, const struct pt_value *d,
                       struct ptv3_error *err) {
  static const double def[3] = {0.2, 0.2, 0};
  const struct pt_value *v = pt_get(d, "shift");
  if (!pt_is_none(v) && pt_len(v) != 3)
    return pt_fail_value(err, v, "must be three pairs of metres, one an axis");
  for (int k = 0; k < 3; k++) {
    t->u.box.lo[k] = -def[k];
    t->u.box.hi[k] = def[k];
    if (pt_is_none(v)) continue;
    const struct pt_value *pair = pt_item(v, k);
    if (pt_len(pair) != 2) return pt_fail_value(err, v, "must be three pairs, one an axis");
    int st = pt_as_double(pt_item(pair, 0), &t->u.box.lo[k], err);
    if (!st) st = pt_as_double(pt_item(pair, 1), &t->u.box.hi[k], err);
    if (st) return st;
  }
  return PTV3_OK;
}

static int shift_apply(const struct pt_transform *t, struct pt_apply *a,
                       struct ptv3_error *err) {
  struct pt_channel *ch;
  double by[3];
  int st = coord_of(t, a, &ch, err);
  for (int k = 0; !st && k < 3; k++)
    st = pt_draw_fill(a->draw, PT_DRAW_UNIFORM, t->u.box.lo[k], t->u.box.hi[k], 1, &by[k], err);
  if (!st) pt_channel_shift(ch, by);
  return st;
}

const struct pt_transform_type pt_transform_RandomShift = {"RandomShift", shift_parse,
                                                           shift_apply, "shift"};

/* Adds to every number of the first three columns a normal draw times `scale`, kept within
 * -limit .. limit, and keeps the result within lo .. hi. */
static int add_noise(struct pt_apply *a, struct pt_channel *ch, double scale, double limit,
                     double lo, double hi, struct ptv3_error *err) {
  double z[RUN];
  for (int64_t i = 0; i < ch->n; i += RUN / 3) {
    int64_t rows = pt_min(RUN / 3, ch->n - i);
    int st = pt_draw_fill(a->draw, PT_DRAW_NORMAL, 0, 1, rows * 3, z, err);
    if (st) return st;
    for (int64_t j = 0; j < rows * 3; j++) {
      double by = fmax(-limit, fmin(limit, z[j] * scale));
      double v = pt_channel_at(ch, i + j / 3, (int)(j % 3)) + by;
      pt_channel_set(ch, i + j / 3, (int)(j % 3), fmax(lo, fmin(hi, v)));
    }
  }
  return PTV3_OK;
}

static int jitter_parse(struct pt_transform *t, const struct pt_value *d,
                        struct ptv3_error *err) {
  int st = pt_get_double(d, "sigma", 0.01, &t->u.chance.a, err);
  if (!st) st = pt_get_double(d, "clip", 0.05, &t->u.chance.b, err);
  if (!st && !(t->u.chance.b > 0))
    return pt_fail_value(err, pt_get(d, "clip"), "must be greater than 0");
  return st;
}

static int jitter_apply(const struct pt_transform *t, struct pt_apply *a,
                        struct ptv3_error *err) {
  struct pt_channel *ch;
  int st = coord_of(t, a, &ch, err);
  return st ? st : add_noise(a, ch, t->u.chance.a, t->u.chance.b, -INFINITY, INFINITY, err);
}

const struct pt_transform_type pt_transform_RandomJitter = {"RandomJitter", jitter_parse,
                                                            jitter_apply, "sigma clip"};

/* ---- colours ---- */

/* The colours as floats if there are any and the transform's turn has come. */
static int color_turn(const struct pt_transform *t, struct pt_apply *a, struct pt_channel **ch,
                      struct ptv3_error *err) {
  bool yes;
  *ch = NULL;
  if (!pt_cloud_find(a->cloud, "color")) return PTV3_OK;
  int st = pt_chance(a, t->u.chance.p, &yes, err);
  if (st || !yes) return st;
  st = pt_float_channel(a->cloud, "color", ch, err);
  if (!st && (*ch)->width < 3)
    return pt_fail(err, PTV3_DATA, "%s: 'color' has %d columns, not 3", t->type->name,
                   (*ch)->width);
  return st;
}

static int contrast_parse(struct pt_transform *t, const struct pt_value *d,
                          struct ptv3_error *err) {
  int st = pt_get_double(d, "p", 0.2, &t->u.chance.p, err);
  return st ? st : pt_get_double(d, "blend_factor", -1, &t->u.chance.a, err);
}

/* Stretches each colour to 0..255 and mixes that with the old one. */
static int contrast_apply(const struct pt_transform *t, struct pt_apply *a,
                          struct ptv3_error *err) {
  struct pt_channel *ch;
  int st = color_turn(t, a, &ch, err);
  if (st || !ch) return st;
  double lo[3], hi[3], blend = t->u.chance.a;
  pt_channel_bounds(ch, lo, hi);
  if (!(hi[0] > lo[0] || hi[1] > lo[1] || hi[2] > lo[2])) return PTV3_OK;
  if (blend < 0) st = pt_draw_fill(a->draw, PT_DRAW_UNIFORM, 0, 1, 1, &blend, err);
  for (int64_t i = 0; !st && i < ch->n; i++)
    for (int k = 0; k < 3; k++) {
      double v = pt_channel_at(ch, i, k), scale = hi[k] > lo[k] ? 255 / (hi[k] - lo[k]) : 1;
      pt_channel_set(ch, i, k, (1 - blend) * v + blend * (v - lo[k]) * scale);
    }
  return st;
}

const struct pt_transform_type pt_transform_ChromaticAutoContrast = {
    "ChromaticAutoContrast", contrast_parse, contrast_apply, "p blend_factor"};

static int translation_parse(struct pt_transform *t, const struct pt_value *d,
                             struct ptv3_error *err) {
  int st = pt_get_double(d, "p", 0.95, &t->u.chance.p, err);
  return st ? st : pt_get_double(d, "ratio", 0.05, &t->u.chance.a, err);
}

static int translation_apply(const struct pt_transform *t, struct pt_apply *a,
                             struct ptv3_error *err) {
  struct pt_channel *ch;
  double by[3];
  int st = color_turn(t, a, &ch, err);
  if (st || !ch) return st;
  st = pt_draw_fill(a->draw, PT_DRAW_UNIFORM, 0, 1, 3, by, err);
  for (int k = 0; k < 3; k++) by[k] = (by[k] - 0.5) * 255 * 2 * t->u.chance.a;
  for (int64_t i = 0; !st && i < ch->n; i++)
    for (int k = 0; k < 3; k++)
      pt_channel_set(ch, i, k, fmax(0, fmin(255, pt_channel_at(ch, i, k) + by[k])));
  return st;
}

const struct pt_transform_type pt_transform_ChromaticTranslation = {
    "ChromaticTranslation", translation_parse, translation_apply, "p ratio"};

static int noise_parse(struct pt_transform *t, const struct pt_value *d,
                       struct ptv3_error *err) {
  int st = pt_get_double(d, "p", 0.95, &t->u.chance.p, err);
  return st ? st : pt_get_double(d, "std", 0.005, &t->u.chance.a, err);
}

static int noise_apply(const struct pt_transform *t, struct pt_apply *a,
                       struct ptv3_error *err) {
  struct pt_channel *ch;
  int st = color_turn(t, a, &ch, err);
  return st || !ch ? st : add_noise(a, ch, t->u.chance.a * 255, INFINITY, 0, 255, err);
}

const struct pt_transform_type pt_transform_ChromaticJitter = {"ChromaticJitter", noise_parse,
                                                               noise_apply, "p std"};

/* ---- fewer points, other orders ---- */

static int may_drop(const struct pt_transform *t, const struct pt_apply *a,
                    struct ptv3_error *err) {
  if (!a->keep_inverse) return PTV3_OK;
  return pt_fail_pos(
      err, PTV3_CONFIG, &t->at,
      "'%s' drops or reorders points, so labels could not go to every point; take "
      "it out of the validation and test transforms",
      t->type->name);
}

/* some of the n points in random order: (*index)[0 .. some-1] of a shuffle, the caller's. */
static int draw_points(struct pt_apply *a, int64_t some, int32_t **index,
                       struct ptv3_error *err) {
  struct pt_mem *mem = a->cloud->mem;
  int64_t n = a->cloud->n;
  int32_t *p = *index = pt_alloc(mem, n, sizeof *p, PT_MEM_CLOUD, err);
  if (!p) return pt_status(err);
  int st = PTV3_OK;
  for (int64_t i = 0; i < n; i++) p[i] = (int32_t)i;
  for (int64_t i = 0; !st && i < some; i++) {
    double u = 0;
    st = pt_draw_fill(a->draw, PT_DRAW_INTEGER, 0, (double)(n - i), 1, &u, err);
    int64_t j = i + (int64_t)u;
    int32_t swap = p[i];
    p[i] = p[j];
    p[j] = swap;
  }
  if (!st) return PTV3_OK;
  pt_free(mem, p);
  return st;
}

static int shuffle_keep(struct pt_apply *a, int64_t keep, struct ptv3_error *err) {
  int32_t *index;
  int st = draw_points(a, keep, &index, err);
  if (st) return st;
  st = pt_cloud_select(a->cloud, index, keep, err);
  pt_free(a->cloud->mem, index);
  return st;
}

static int drop_parse(struct pt_transform *t, const struct pt_value *d,
                      struct ptv3_error *err) {
  int st = pt_get_double(d, "drop_ratio", 0.2, &t->u.chance.a, err);
  if (!st) st = pt_get_double(d, "drop_application_ratio", 0.5, &t->u.chance.p, err);
  if (!st && !(t->u.chance.a >= 0 && t->u.chance.a <= 1))
    return pt_fail_value(err, pt_get(d, "drop_ratio"), "must be within 0 and 1");
  return st;
}

/* Sets a channel to 0 at a share of the points, with the configured chance; without the channel
 * nothing is drawn, as in Pointcept. */
static int drop_channel(const struct pt_transform *t, struct pt_apply *a, const char *name,
                        struct ptv3_error *err) {
  bool yes;
  struct pt_channel *ch;
  int32_t *index;
  if (!pt_cloud_find(a->cloud, name)) return PTV3_OK;
  int st = pt_chance(a, t->u.chance.p, &yes, err);
  if (st || !yes) return st;
  int64_t some = (int64_t)((double)a->cloud->n * t->u.chance.a);
  st = pt_float_channel(a->cloud, name, &ch, err);
  if (!st) st = draw_points(a, some, &index, err);
  if (st) return st;
  for (int64_t i = 0; i < some; i++)
    for (int k = 0; k < ch->width; k++) pt_channel_set(ch, index[i], k, 0);
  pt_free(a->cloud->mem, index);
  return PTV3_OK;
}

static int drop_color_apply(const struct pt_transform *t, struct pt_apply *a,
                            struct ptv3_error *err) {
  return drop_channel(t, a, "color", err);
}

static int drop_normal_apply(const struct pt_transform *t, struct pt_apply *a,
                             struct ptv3_error *err) {
  return drop_channel(t, a, "normal", err);
}

const struct pt_transform_type pt_transform_RandomDropColor = {
    "RandomDropColor", drop_parse, drop_color_apply, "drop_ratio drop_application_ratio"};
const struct pt_transform_type pt_transform_RandomDropNormal = {
    "RandomDropNormal", drop_parse, drop_normal_apply, "drop_ratio drop_application_ratio"};

static int dropout_parse(struct pt_transform *t, const struct pt_value *d,
                         struct ptv3_error *err) {
  int st = pt_get_double(d, "dropout_ratio", 0.2, &t->u.chance.a, err);
  if (!st) st = pt_get_double(d, "dropout_application_ratio", 0.5, &t->u.chance.p, err);
  if (!st && !(t->u.chance.a >= 0 && t->u.chance.a <= 1))
    return pt_fail_value(err, pt_get(d, "dropout_ratio"), "must be within 0 and 1");
  return st;
}

static int dropout_apply(const struct pt_transform *t, struct pt_apply *a,
                         struct ptv3_error *err) {
  bool yes = false;
  int st = may_drop(t, a, err);
  if (!st) st = pt_chance(a, t->u.chance.p, &yes, err);
  if (st || !yes) return st;
  return shuffle_keep(a, (int64_t)((double)a->cloud->n * (1 - t->u.chance.a)), err);
}

const struct pt_transform_type pt_transform_RandomDropout = {
    "RandomDropout", dropout_parse, dropout_apply, "dropout_ratio dropout_application_ratio"};

static int shuffle_apply(const struct pt_transform *t, struct pt_apply *a,
                         struct ptv3_error *err) {
  int st = may_drop(t, a, err);
  return st ? st : shuffle_keep(a, a->cloud->n, err);
}

const struct pt_transform_type pt_transform_ShufflePoint = {"ShufflePoint", NULL, shuffle_apply,
                                                            ""};

static int crop_parse(struct pt_transform *t, const struct pt_value *d,
                      struct ptv3_error *err) {
  const char *mode;
  int st = pt_get_int_in(d, "point_max", 80000, 1, INT32_MAX, &t->u.crop.point_max, err);
  if (!st) st = pt_get_double(d, "sample_rate", 0, &t->u.crop.sample_rate, err);
  if (!st) st = pt_get_str(d, "mode", "random", &mode, err);
  if (st) return st;
  t->u.crop.center = !strcmp(mode, "center");
  if (t->u.crop.center || !strcmp(mode, "random")) return PTV3_OK;
  const struct pt_value *v = pt_get(d, "mode");
  if (!strcmp(mode, "all"))
    return pt_fail_value(err, v,
                         "'all' (every part of a cloud, one after the other) is Pointcept's "
                         "test protocol, data.test.test_cfg.crop; a transform crops one part: "
                         "set 'random' or 'center', or take SphereCrop out");
  if (!strcmp(mode, "given"))
    return pt_fail_value(err, v,
                         "'given' crops about what images show, which is not read here; set "
                         "'random' or 'center'");
  return pt_fail_value(err, v, "must be 'random' or 'center', not '%s'", mode);
}

/* Squared distance as numpy computes it in the channel's type; bits of a non-negative
 * double sort like the number. */
static uint64_t distance_key(const struct pt_channel *ch, int64_t i, int64_t center) {
  double d[3];
  for (int k = 0; k < 3; k++) {
    d[k] = pt_channel_at(ch, i, k) - pt_channel_at(ch, center, k);
    if (ch->type == PT_F32)
      d[k] = (double)((float)d[k] * (float)d[k]);
    else
      d[k] *= d[k];
  }
  double sum = ch->type == PT_F32 ? (double)(((float)d[0] + (float)d[1]) + (float)d[2])
                                  : d[0] + d[1] + d[2];
  uint64_t key;
  memcpy(&key, &sum, sizeof key);
  return key;
}

static int crop_to(struct pt_apply *a, const struct pt_channel *ch, int64_t center,
                   int64_t keep, struct ptv3_error *err) {
  struct pt_cloud *c = a->cloud;
  uint64_t *key = pt_alloc(c->mem, c->n, sizeof *key, PT_MEM_CLOUD, err);
  int32_t *order = key ? pt_alloc(c->mem, c->n, sizeof *order, PT_MEM_CLOUD, err) : NULL;
  int st = order ? PTV3_OK : pt_status(err);
  for (int64_t i = 0; !st && i < c->n; i++) key[i] = distance_key(ch, i, center);
  if (!st) st = pt_sort64(a->env, key, order, c->n, err);
  pt_free(c->mem, key);
  if (!st) st = pt_cloud_select(c, order, keep, err);
  pt_free(c->mem, order);
  return st;
}

static int crop_apply(const struct pt_transform *t, struct pt_apply *a,
                      struct ptv3_error *err) {
  struct pt_channel *ch;
  int st = may_drop(t, a, err);
  if (!st) st = coord_of(t, a, &ch, err);
  if (st) return st;
  int64_t keep = t->u.crop.point_max;
  if (t->u.crop.sample_rate > 0) keep = (int64_t)(t->u.crop.sample_rate * (double)ch->n);
  if (ch->n <= keep) return PTV3_OK;
  double u = (double)(ch->n / 2);
  if (!t->u.crop.center)
    st = pt_draw_fill(a->draw, PT_DRAW_INTEGER, 0, (double)ch->n, 1, &u, err);
  return st ? st : crop_to(a, ch, (int64_t)u, keep, err);
}

const struct pt_transform_type pt_transform_SphereCrop = {"SphereCrop", crop_parse, crop_apply,
                                                          "point_max sample_rate mode"};
