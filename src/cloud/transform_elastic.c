/* transform_elastic.c - ElasticDistortion: smooth random displacement of the points.
 * Source: pointcept/datasets/transform.py, ElasticDistortion: normal noise on a coarse grid,
 * smoothed twice by a box of three along each axis, interpolated linearly at the points. */
#include <math.h>
#include <string.h>

#include "size.h"
#include "transform.h"

struct field {
  float *noise;          /* [dim[0], dim[1], dim[2], 3] */
  int64_t dim[3], count; /* nodes an axis; numbers in all */
  double start[3], step[3];
};

static int elastic_parse(struct pt_transform *t, const struct pt_value *d,
                         struct ptv3_error *err) {
  const struct pt_value *v = pt_get(d, "distortion_params");
  t->u.elastic.n = 2;
  t->u.elastic.granularity[0] = 0.2, t->u.elastic.magnitude[0] = 0.4;
  t->u.elastic.granularity[1] = 0.8, t->u.elastic.magnitude[1] = 1.6;
  if (pt_is_none(v)) return PTV3_OK;
  if (!pt_is_seq(v) || pt_len(v) > PT_ELASTIC)
    return pt_fail_value(err, v, "must be at most %d pairs (granularity, magnitude)",
                         PT_ELASTIC);
  t->u.elastic.n = (int)pt_len(v);
  for (int i = 0; i < t->u.elastic.n; i++) {
    const struct pt_value *pair = pt_item(v, i);
    if (pt_len(pair) != 2)
      return pt_fail_value(err, v, "must be pairs (granularity, magnitude)");
    int st = pt_as_double(pt_item(pair, 0), &t->u.elastic.granularity[i], err);
    if (!st) st = pt_as_double(pt_item(pair, 1), &t->u.elastic.magnitude[i], err);
    if (!st && !(t->u.elastic.granularity[i] > 0))
      return pt_fail_value(err, v, "a granularity must be greater than 0");
    if (st) return st;
  }
  return PTV3_OK;
}

/* The extent of the noise, as numpy's floor division gives it in the channel's type. */
static int place_field(struct field *f, const struct pt_channel *ch, double granularity,
                       struct ptv3_error *err) {
  double lo[3], hi[3];
  bool single = ch->type == PT_F32;
  pt_channel_bounds(ch, lo, hi);
  f->count = 3;
  for (int k = 0; k < 3; k++) {
    double extent = single ? (double)(float)(hi[k] - lo[k]) : hi[k] - lo[k];
    double g = single ? (double)(float)granularity : granularity;
    double cells = (extent - fmod(extent, g)) / g;
    if (!(cells < 1e6))
      return pt_fail(err, PTV3_DATA,
                     "ElasticDistortion: the cloud spans %g m "
                     "along %c, too much for noise every %g m",
                     extent, "xyz"[k], granularity);
    f->dim[k] = (int64_t)floor(cells + 0.5) + 3;
    if (!pt_mul(f->count, f->dim[k], &f->count)) f->count = INT64_MAX;
    f->start[k] = single ? (double)(float)(lo[k] - g) : lo[k] - g;
    double stop = lo[k] + granularity * (double)(f->dim[k] - 2);
    f->step[k] = (stop - f->start[k]) / (double)(f->dim[k] - 1);
  }
  return PTV3_OK;
}

/* Mean of three along an axis, zero outside; in place, a line at a time. */
static void smooth(struct field *f, int axis) {
  static const float third = 1.0f / 3;
  int64_t stride = 3;
  for (int k = 2; k > axis; k--) stride *= f->dim[k];
  int64_t n = f->dim[axis];
  for (int64_t line = 0; line < f->count / n; line++) {
    float *x = f->noise + line / stride * stride * n + line % stride;
    double before = 0;
    for (int64_t i = 0; i < n; i++) {
      double here = (double)x[i * stride];
      double after = i + 1 < n ? (double)x[(i + 1) * stride] : 0;
      x[i * stride] =
          (float)(before * (double)third + here * (double)third + after * (double)third);
      before = here;
    }
  }
}

/* Adds the field at each point, times magnitude. */
static void displace(const struct field *f, struct pt_channel *ch, double magnitude) {
  for (int64_t i = 0; i < ch->n; i++) {
    int64_t at[3];
    double part[3], sum[3] = {0};
    for (int k = 0; k < 3; k++) {
      double x = (pt_channel_at(ch, i, k) - f->start[k]) / f->step[k];
      at[k] = pt_max(0, pt_min((int64_t)x, f->dim[k] - 2));
      part[k] = x - (double)at[k];
    }
    for (int corner = 0; corner < 8; corner++) {
      int64_t row = 0;
      double weight = 1;
      for (int k = 0; k < 3; k++) {
        int up = corner >> k & 1;
        row = row * f->dim[k] + at[k] + up;
        weight *= up ? part[k] : 1 - part[k];
      }
      for (int k = 0; k < 3; k++) sum[k] += weight * (double)f->noise[row * 3 + k];
    }
    for (int k = 0; k < 3; k++)
      pt_channel_set(ch, i, k, pt_channel_at(ch, i, k) + sum[k] * magnitude);
  }
}

static int distort(struct pt_apply *a, struct pt_channel *ch, double granularity,
                   double magnitude, struct ptv3_error *err) {
  enum { RUN = 512 };
  struct field f = {0};
  double z[RUN];
  int st = place_field(&f, ch, granularity, err);
  if (st) return st;
  f.noise = pt_alloc(a->cloud->mem, f.count, sizeof *f.noise, PT_MEM_CLOUD, err);
  if (!f.noise) return pt_status(err);
  for (int64_t i = 0; !st && i < f.count; i += RUN) {
    int64_t n = pt_min(RUN, f.count - i);
    st = pt_draw_fill(a->draw, PT_DRAW_NORMAL, 0, 1, n, z, err);
    for (int64_t j = 0; !st && j < n; j++) f.noise[i + j] = (float)z[j];
  }
  for (int pass = 0; !st && pass < 6; pass++) smooth(&f, pass % 3);
  if (!st) displace(&f, ch, magnitude);
  pt_free(a->cloud->mem, f.noise);
  return st;
}

static int elastic_apply(const struct pt_transform *t, struct pt_apply *a,
                         struct ptv3_error *err) {
  bool yes;
  struct pt_channel *ch = pt_cloud_need(a->cloud, "coord", t->type->name, err);
  int st = ch ? pt_chance(a, 0.95, &yes, err) : pt_status(err);
  if (st || !yes) return st;
  st = pt_cloud_own(a->cloud, ch, err);
  for (int i = 0; !st && i < t->u.elastic.n; i++)
    st = distort(a, ch, t->u.elastic.granularity[i], t->u.elastic.magnitude[i], err);
  return st;
}

const struct pt_transform_type pt_transform_ElasticDistortion = {
    "ElasticDistortion", elastic_parse, elastic_apply, "distortion_params"};
