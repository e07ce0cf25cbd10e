/* transform_height.c - HeightAboveLowest: how far a point is above the lowest points around it.
 * An addition of this project, for scans from the air: heights above sea level, or above the
 * lowest point of a tile, mean nothing on another tile.
 *
 *   dict(type="HeightAboveLowest", cell=20.0, quantile=0.02, limit=50.0, scale=1.0,
 * key="height")
 *
 * The plan is cut into squares of `cell` metres. A square's own low is the z that a share
 * `quantile` of its points lies below (so that a few echoes below the ground do not count), its
 * low the least of its own and its eight neighbours'. Between the centres of squares lows are
 * interpolated linearly. The channel `key` [n, 1] is z less that, kept within -limit .. limit
 * metres, times scale. Small squares follow slopes, large ones reach the ground beside large
 * roofs: use it twice, with keys "height" and "height_wide", where both occur. */
#include <math.h>
#include <string.h>

#include "size.h"
#include "sort.h"
#include "transform.h"

struct plan {
  double lo[2], cell;
  int64_t nx, ny;
  float *own, *low; /* [ny, nx]; NaN: no points */
};

static int height_parse(struct pt_transform *t, const struct pt_value *d,
                        struct ptv3_error *err) {
  int st = pt_get_double(d, "cell", 20, &t->u.height.cell, err);
  if (!st) st = pt_get_double(d, "quantile", 0.02, &t->u.height.quantile, err);
  if (!st) st = pt_get_double(d, "limit", 50, &t->u.height.limit, err);
  if (!st) st = pt_get_double(d, "scale", 1, &t->u.height.scale, err);
  if (!st) st = pt_get_str(d, "key", "height", &t->u.height.key, err);
  if (st) return st;
  if (strncmp(t->u.height.key, "height", 6) || strlen(t->u.height.key) > 31)
    return pt_fail_value(err, pt_get(d, "key"),
                         "must begin with 'height' and have at most 31 letters");
  if (!(t->u.height.cell > 0) || !isfinite(t->u.height.cell))
    return pt_fail_value(err, pt_get(d, "cell"), "must be a positive number of metres");
  if (!(t->u.height.quantile >= 0 && t->u.height.quantile <= 1))
    return pt_fail_value(err, pt_get(d, "quantile"), "must be within 0 and 1");
  if (!(t->u.height.limit > 0))
    return pt_fail_value(err, pt_get(d, "limit"), "must be greater than 0");
  return PTV3_OK;
}

static int64_t square_of(const struct plan *p, const struct pt_channel *coord, int64_t i) {
  int64_t x = (int64_t)((pt_channel_at(coord, i, 0) - p->lo[0]) / p->cell);
  int64_t y = (int64_t)((pt_channel_at(coord, i, 1) - p->lo[1]) / p->cell);
  return pt_min(y, p->ny - 1) * p->nx + pt_min(x, p->nx - 1);
}

static int make_plan(struct plan *p, const struct pt_channel *coord, struct pt_mem *mem,
                     struct ptv3_error *err) {
  double lo[3], hi[3], count[2];
  pt_channel_bounds(coord, lo, hi);
  for (int k = 0; k < 2; k++) {
    p->lo[k] = lo[k];
    count[k] = floor((hi[k] - lo[k]) / p->cell) + 1;
  }
  for (int64_t i = 0; i < 3 * coord->n; i++)
    if (!isfinite(pt_channel_at(coord, i / 3, (int)(i % 3))))
      return pt_fail(err, PTV3_DATA, "HeightAboveLowest: point %lld has no finite place",
                     (long long)(i / 3));
  if (!(count[0] * count[1] < (double)(1 << 28)))
    return pt_fail(
        err, PTV3_DATA,
        "HeightAboveLowest: the cloud covers %.0f x %.0f squares of %g m; use larger "
        "ones",
        count[0], count[1], p->cell);
  p->nx = (int64_t)count[0];
  p->ny = (int64_t)count[1];
  p->own = pt_alloc(mem, p->nx * p->ny, sizeof *p->own, PT_MEM_CLOUD, err);
  if (p->own) p->low = pt_alloc(mem, p->nx * p->ny, sizeof *p->low, PT_MEM_CLOUD, err);
  return p->low ? PTV3_OK : pt_status(err);
}

/* Bits that sort like the float. */
static uint32_t sortable(float z) {
  uint32_t bits;
  memcpy(&bits, &z, sizeof bits);
  return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

/* own of every square, from the points sorted by square and z. */
static int find_own(struct plan *p, struct pt_apply *a, const struct pt_channel *coord,
                    double quantile, struct ptv3_error *err) {
  struct pt_mem *mem = a->cloud->mem;
  int64_t n = coord->n;
  uint64_t *key = pt_alloc(mem, n, sizeof *key, PT_MEM_CLOUD, err);
  int32_t *order = key ? pt_alloc(mem, n, sizeof *order, PT_MEM_CLOUD, err) : NULL;
  int st = order ? PTV3_OK : pt_status(err);
  for (int64_t i = 0; !st && i < n; i++)
    key[i] =
        (uint64_t)square_of(p, coord, i) << 32 | sortable((float)pt_channel_at(coord, i, 2));
  if (!st) st = pt_sort64(a->env, key, order, n, err);
  for (int64_t i = 0; !st && i < p->nx * p->ny; i++) p->own[i] = NAN;
  for (int64_t i = 0, end; !st && i < n; i = end) {
    for (end = i + 1; end < n && key[end] >> 32 == key[i] >> 32;) end++;
    int64_t at = i + (int64_t)(quantile * (double)(end - i - 1));
    p->own[key[i] >> 32] = (float)pt_channel_at(coord, order[at], 2);
  }
  pt_free(mem, order);
  pt_free(mem, key);
  return st;
}

static void find_low(struct plan *p) {
  for (int64_t y = 0; y < p->ny; y++)
    for (int64_t x = 0; x < p->nx; x++) {
      float low = NAN; /* fminf leaves NaN out */
      for (int64_t v = pt_max(0, y - 1); v <= pt_min(p->ny - 1, y + 1); v++)
        for (int64_t u = pt_max(0, x - 1); u <= pt_min(p->nx - 1, x + 1); u++)
          low = fminf(low, p->own[v * p->nx + u]);
      p->low[y * p->nx + x] = low;
    }
}

/* The low under a place, from the four nearest centres that have one. The square the place is
 * in has one, and is among them. */
static double low_at(const struct plan *p, double x, double y) {
  const double at[2] = {(x - p->lo[0]) / p->cell - 0.5, (y - p->lo[1]) / p->cell - 0.5};
  const int64_t n[2] = {p->nx, p->ny};
  int64_t first[2];
  double part[2], sum = 0, weights = 0;
  for (int k = 0; k < 2; k++) {
    first[k] = (int64_t)floor(at[k]);
    part[k] = at[k] - (double)first[k];
  }
  for (int corner = 0; corner < 4; corner++) {
    int64_t c[2];
    double weight = 1;
    for (int k = 0; k < 2; k++) {
      int up = corner >> k & 1;
      weight *= up ? part[k] : 1 - part[k];
      c[k] = pt_max(0, pt_min(n[k] - 1, first[k] + up));
    }
    float low = p->low[c[1] * p->nx + c[0]];
    if (isnan(low)) continue;
    sum += weight * (double)low;
    weights += weight;
  }
  return sum / weights;
}

static int height_apply(const struct pt_transform *t, struct pt_apply *a,
                        struct ptv3_error *err) {
  struct pt_cloud *c = a->cloud;
  struct plan p = {.cell = t->u.height.cell};
  const struct pt_channel *coord = pt_cloud_need(c, "coord", t->type->name, err);
  if (!coord) return pt_status(err);
  int st = make_plan(&p, coord, c->mem, err);
  if (!st) st = find_own(&p, a, coord, t->u.height.quantile, err);
  struct pt_channel *out = st ? NULL : pt_cloud_add(c, t->u.height.key, PT_F32, 1, err);
  if (!st && !out) st = pt_status(err);
  if (!st) {
    find_low(&p);
    out->indexed = true;
    coord = pt_cloud_find(c, "coord");
    double limit = t->u.height.limit;
    for (int64_t i = 0; i < c->n; i++) {
      double h = pt_channel_at(coord, i, 2) -
                 low_at(&p, pt_channel_at(coord, i, 0), pt_channel_at(coord, i, 1));
      pt_channel_set(out, i, 0, fmax(-limit, fmin(limit, h)) * t->u.height.scale);
    }
  }
  pt_free(c->mem, p.low);
  pt_free(c->mem, p.own);
  return st;
}

const struct pt_transform_type pt_transform_HeightAboveLowest = {
    "HeightAboveLowest", height_parse, height_apply, "cell quantile limit scale key"};
