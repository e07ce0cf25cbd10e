/* transform_color.c - the transforms that turn, fade and mix colours (0-255).
 * Source: pointcept/datasets/transform.py, class of the same name; RandomColorJitter is
 * torchvision's ColorJitter on points. */
#include <math.h>

#include "size.h"
#include "transform.h"

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE };

/* The colours as floats, NULL where there are none. */
static int colors_of(const struct pt_transform *t, struct pt_apply *a, struct pt_channel **ch,
                     struct ptv3_error *err) {
  int st = pt_float_channel(a->cloud, "color", ch, err);
  if (!st && *ch && (*ch)->width < 3)
    return pt_fail(err, PTV3_DATA, "%s: 'color' has %d columns, not 3", t->type->name,
                   (*ch)->width);
  return st;
}

static void get(const struct pt_channel *ch, int64_t i, double rgb[3]) {
  for (int k = 0; k < 3; k++) rgb[k] = pt_channel_at(ch, i, k);
}

static void put(struct pt_channel *ch, int64_t i, const double rgb[3]) {
  for (int k = 0; k < 3; k++) pt_channel_set(ch, i, k, rgb[k]);
}

/* Luma (ITU-R BT.601), rounded to the channel's type. */
static double gray_of(const struct pt_channel *ch, const double rgb[3]) {
  double v = 0.2989 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
  return ch->type == PT_F32 ? (double)(float)v : v;
}

/* The hue's place on the circle, 0..1. */
static double wrapped(double h) { return h - floor(h); }

/* Hue and saturation within 0..1, value the largest of the three. */
static void to_hsv(const double rgb[3], double hsv[3]) {
  double hi = fmax(rgb[0], fmax(rgb[1], rgb[2])), lo = fmin(rgb[0], fmin(rgb[1], rgb[2]));
  double d = hi - lo, h = 0;
  if (d > 0) {
    if (rgb[0] == hi)
      h = (rgb[1] - rgb[2]) / d;
    else if (rgb[1] == hi)
      h = 2 + (rgb[2] - rgb[0]) / d;
    else
      h = 4 + (rgb[0] - rgb[1]) / d;
  }
  hsv[0] = wrapped(h / 6);
  hsv[1] = d > 0 ? d / hi : 0;
  hsv[2] = hi;
}

static void to_rgb(const double hsv[3], double rgb[3]) {
  double h = hsv[0] * 6, s = hsv[1], v = hsv[2], f = h - floor(h);
  double p = v * (1 - s), q = v * (1 - s * f), u = v * (1 - s * (1 - f));
  const double sector[6][3] = {{v, u, p}, {q, v, p}, {p, v, u},
                               {p, q, v}, {u, p, v}, {v, p, q}};
  int i = (int)floor(h) % 6;
  for (int k = 0; k < 3; k++) rgb[k] = sector[i][k];
}

/* ---- HueSaturationTranslation ---- */

static int translation_parse(struct pt_transform *t, const struct pt_value *d,
                             struct ptv3_error *err) {
  int st = pt_get_double(d, "hue_max", 0.5, &t->u.chance.a, err);
  return st ? st : pt_get_double(d, "saturation_max", 0.2, &t->u.chance.b, err);
}

/* Turns all hues by one draw and scales all saturations by another; what comes out are whole
 * numbers, cut off. */
static int translation_apply(const struct pt_transform *t, struct pt_apply *a,
                             struct ptv3_error *err) {
  struct pt_channel *ch;
  double u[2], rgb[3], hsv[3];
  int st = colors_of(t, a, &ch, err);
  if (st || !ch) return st;
  if ((st = pt_draw_fill(a->draw, PT_DRAW_UNIFORM, 0, 1, 2, u, err))) return st;
  double turn = (u[0] - 0.5) * 2 * t->u.chance.a, scale = 1 + (u[1] - 0.5) * 2 * t->u.chance.b;
  for (int64_t i = 0; i < ch->n; i++) {
    get(ch, i, rgb);
    to_hsv(rgb, hsv);
    hsv[0] = wrapped(hsv[0] + turn);
    hsv[1] = fmax(0, fmin(1, hsv[1] * scale));
    to_rgb(hsv, rgb);
    for (int k = 0; k < 3; k++) rgb[k] = fmax(0, fmin(255, trunc(rgb[k])));
    put(ch, i, rgb);
  }
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_HueSaturationTranslation = {
    "HueSaturationTranslation", translation_parse, translation_apply, "hue_max saturation_max"};

/* ---- RandomColorGrayScale ---- */

static int gray_parse(struct pt_transform *t, const struct pt_value *d,
                      struct ptv3_error *err) {
  if (pt_is_none(pt_get(d, "p"))) /* Pointcept has no default either */
    return pt_fail_value(err, d, "RandomColorGrayScale needs p, the chance that it is applied");
  return pt_get_double(d, "p", 0, &t->u.chance.p, err);
}

static int gray_apply(const struct pt_transform *t, struct pt_apply *a,
                      struct ptv3_error *err) {
  struct pt_channel *ch;
  bool yes;
  double rgb[3];
  int st = pt_chance(a, t->u.chance.p, &yes, err);
  if (!st && yes) st = colors_of(t, a, &ch, err);
  if (st || !yes || !ch) return st;
  for (int64_t i = 0; i < ch->n; i++) {
    get(ch, i, rgb);
    rgb[0] = rgb[1] = rgb[2] = gray_of(ch, rgb);
    put(ch, i, rgb);
  }
  return PTV3_OK;
}

const struct pt_transform_type pt_transform_RandomColorGrayScale = {
    "RandomColorGrayScale", gray_parse, gray_apply, "p"};

/* ---- RandomColorJitter ---- */

/* A number v: within v of the centre, and not below 0 but for the hue; or a pair. */
static int range_parse(struct pt_transform *t, const struct pt_value *d, const char *key,
                       int which, struct ptv3_error *err) {
  const struct pt_value *v = pt_get(d, key);
  double r[2] = {0, 0}, center = which == HUE ? 0 : 1;
  double least = which == HUE ? -0.5 : 0, most = which == HUE ? 0.5 : INFINITY;
  int64_t n = 0;
  int st = pt_is_seq(v) ? pt_get_doubles(d, key, 2, 2, r, &n, err)
                        : pt_get_double(d, key, 0, &r[1], err);
  if (st) return st;
  if (!n && !(r[1] >= 0)) return pt_fail_value(err, v, "must not be negative");
  if (!n) {
    r[0] = which == HUE ? -r[1] : fmax(0, center - r[1]);
    r[1] = center + r[1];
  }
  if (!(r[0] >= least && r[0] <= r[1] && r[1] <= most))
    return pt_fail_value(err, v,
                         which == HUE ? "must lie within -0.5 and 0.5, the lower first"
                                      : "must be at least 0, the lower first");
  t->u.color.lo[which] = r[0];
  t->u.color.hi[which] = r[1];
  t->u.color.on[which] = !(r[0] == center && r[1] == center);
  return PTV3_OK;
}

static int jitter_parse(struct pt_transform *t, const struct pt_value *d,
                        struct ptv3_error *err) {
  static const char *const key[] = {"brightness", "contrast", "saturation", "hue"};
  int st = pt_get_double(d, "p", 0.95, &t->u.color.p, err);
  for (int k = 0; !st && k < 4; k++) st = range_parse(t, d, key[k], k, err);
  return st;
}

/* The mean of all points' luma. */
static double mean_gray(const struct pt_channel *ch) {
  double sum = 0, rgb[3];
  for (int64_t i = 0; i < ch->n; i++) {
    get(ch, i, rgb);
    sum += gray_of(ch, rgb);
  }
  return sum / (double)ch->n;
}

static void adjust(struct pt_channel *ch, int which, double by) {
  double rgb[3], hsv[3], with = which == CONTRAST ? mean_gray(ch) : 0;
  for (int64_t i = 0; i < ch->n; i++) {
    get(ch, i, rgb);
    if (which == HUE) {
      to_hsv(rgb, hsv);
      hsv[0] = wrapped(hsv[0] + by);
      to_rgb(hsv, rgb);
    } else {
      if (which == SATURATION) with = gray_of(ch, rgb);
      for (int k = 0; k < 3; k++) rgb[k] = fmax(0, fmin(255, by * rgb[k] + (1 - by) * with));
    }
    put(ch, i, rgb);
  }
}

/* The four in a random order, each with probability p by a factor of its own. */
static int jitter_apply(const struct pt_transform *t, struct pt_apply *a,
                        struct ptv3_error *err) {
  struct pt_channel *ch;
  int order[4] = {0, 1, 2, 3};
  double by[4] = {0}, u;
  int st = colors_of(t, a, &ch, err);
  if (st || !ch) return st;
  for (int k = 3; k > 0 && !st; k--) {
    st = pt_draw_fill(a->draw, PT_DRAW_INTEGER, 0, k + 1, 1, &u, err);
    int j = st ? k : (int)u, swap = order[k];
    order[k] = order[j];
    order[j] = swap;
  }
  for (int k = 0; k < 4 && !st; k++)
    st = pt_draw_fill(a->draw, PT_DRAW_UNIFORM, t->u.color.lo[k], t->u.color.hi[k], 1, &by[k],
                      err);
  for (int k = 0; k < 4 && !st; k++) {
    bool yes = false;
    if (t->u.color.on[order[k]]) st = pt_chance(a, t->u.color.p, &yes, err);
    if (!st && yes) adjust(ch, order[k], by[order[k]]);
  }
  return st;
}

const struct pt_transform_type pt_transform_RandomColorJitter = {
    "RandomColorJitter", jitter_parse, jitter_apply, "brightness contrast saturation hue p"};
