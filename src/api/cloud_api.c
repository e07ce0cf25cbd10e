/* cloud_api.c - public clouds: from arrays, and what they hold. Files: cloud_file.c. */
#include "cloud_api.h"

#include <math.h>
#include <string.h>

/* Coordinates beyond this are no place on a map: 1e9 metres. */
static const double far_off = 1e9;

static double coord_at(const struct ptv3_points *p, int64_t i, int k) {
  return p->coord ? p->coord[3 * i + k] : (double)p->coord_f32[3 * i + k];
}

static bool usable(const struct ptv3_points *p, int64_t i) {
  for (int k = 0; k < 3; k++)
    if (!(fabs(coord_at(p, i, k)) < far_off)) return false; /* NaN compares false */
  return true;
}

/* Counts the usable points and takes the corner of their box, in whole metres, as offset. */
static int64_t survey(const struct ptv3_points *p, double offset[3]) {
  double low[3] = {INFINITY, INFINITY, INFINITY};
  int64_t n = 0;
  for (int64_t i = 0; i < p->n; i++) {
    if (!usable(p, i)) continue;
    for (int k = 0; k < 3; k++) low[k] = fmin(low[k], coord_at(p, i, k));
    n++;
  }
  /* Small coordinates stay as they are, so that 32-bit input is not changed. */
  for (int k = 0; k < 3; k++) offset[k] = n && fabs(low[k]) > 1000 ? floor(low[k]) : 0;
  return n;
}

static int set_source(struct pt_cloud *c, const struct ptv3_points *p, struct ptv3_error *err) {
  if (c->n == p->n) return PTV3_OK;
  c->source = pt_alloc(c->mem, c->n, sizeof *c->source, PT_MEM_CLOUD, err);
  if (!c->source) return pt_status(err);
  for (int64_t i = 0, at = 0; i < p->n; i++)
    if (usable(p, i)) c->source[at++] = i;
  return PTV3_OK;
}

static int64_t row(const struct pt_cloud *c, int64_t i) { return c->source ? c->source[i] : i; }

static int copy_coord(struct pt_cloud *c, const struct ptv3_points *p, struct ptv3_error *err) {
  struct pt_channel *ch = pt_cloud_add(c, "coord", PT_F32, 3, err);
  if (!ch) return pt_status(err);
  float *to = ch->data;
  for (int64_t i = 0; i < c->n; i++)
    for (int k = 0; k < 3; k++)
      to[3 * i + k] = (float)(coord_at(p, row(c, i), k) - c->offset[k]);
  return PTV3_OK;
}

static int copy_channel(struct pt_cloud *c, const char *name, enum pt_dtype type, int width,
                        const void *from, struct ptv3_error *err) {
  if (!from) return PTV3_OK;
  struct pt_channel *ch = pt_cloud_add(c, name, type, width, err);
  if (!ch) return pt_status(err);
  size_t size = (size_t)width * (size_t)pt_dtype(type)->bytes;
  if (!c->source) {
    memcpy(ch->data, from, (size_t)c->n * size);
    return PTV3_OK;
  }
  for (int64_t i = 0; i < c->n; i++)
    memcpy((char *)ch->data + (size_t)i * size,
           (const char *)from + (size_t)c->source[i] * size, size);
  return PTV3_OK;
}

static int fill(struct pt_cloud *c, const struct ptv3_points *p, struct ptv3_error *err) {
  int status = set_source(c, p, err);
  if (!status) status = copy_coord(c, p, err);
  if (!status) status = copy_channel(c, "color", PT_U8, 3, p->color, err);
  if (!status) status = copy_channel(c, "normal", PT_F32, 3, p->normal, err);
  if (!status) status = copy_channel(c, "strength", PT_F32, 1, p->strength, err);
  if (!status) status = copy_channel(c, "segment", PT_I32, 1, p->segment, err);
  return status;
}

int ptv3_cloud_create(struct ptv3_context *ctx, const struct ptv3_points *points,
                      struct ptv3_cloud **out, struct ptv3_error *err) {
  struct ptv3_error inner = {0};
  if (out) *out = NULL;
  if (!ctx || !points || !out)
    return pt_api_null("ptv3_cloud_create", !ctx ? "ctx" : !out ? "out" : "points", err);
  if (points->n < 1 || points->n > INT32_MAX)
    return pt_fail(err, PTV3_INVALID, "ptv3_cloud_create: %lld points; 1 to %d are offered",
                   (long long)points->n, INT32_MAX);
  if (!points->coord == !points->coord_f32)
    return pt_fail(err, PTV3_INVALID,
                   "ptv3_cloud_create: exactly one of 'coord' and 'coord_f32' is to be given");
  double offset[3];
  int64_t n = survey(points, offset);
  if (n == 0)
    return pt_fail(err, PTV3_DATA, "none of the %lld points has usable coordinates",
                   (long long)points->n);
  struct ptv3_cloud *cloud = pt_zalloc(pt_ctx_mem(ctx), 1, sizeof *cloud, PT_MEM_CLOUD, &inner);
  int status = cloud ? PTV3_OK : inner.status;
  if (cloud) {
    cloud->ctx = ctx;
    pt_cloud_init(&cloud->points, pt_ctx_mem(ctx), n);
    cloud->points.n_input = points->n;
    memcpy(cloud->points.offset, offset, sizeof offset);
    status = fill(&cloud->points, points, &inner);
  }
  if (status) {
    ptv3_cloud_free(cloud);
    if (err) *err = inner;
    return status;
  }
  *out = cloud;
  return PTV3_OK;
}

void ptv3_cloud_free(struct ptv3_cloud *cloud) {
  if (!cloud) return;
  struct pt_mem *mem = pt_ctx_mem(cloud->ctx);
  pt_cloud_free(&cloud->points);
  pt_free(mem, cloud->path);
  pt_free(mem, cloud);
}

void ptv3_cloud_get_info(const struct ptv3_cloud *cloud, struct ptv3_cloud_info *info) {
  const struct pt_cloud *c = &cloud->points;
  *info = (struct ptv3_cloud_info){.n = c->n_input,
                                   .unusable = c->n_input - c->n,
                                   .has_color = pt_cloud_find(c, "color") != NULL,
                                   .has_normal = pt_cloud_find(c, "normal") != NULL,
                                   .has_strength = pt_cloud_find(c, "strength") != NULL,
                                   .has_segment = pt_cloud_find(c, "segment") != NULL};
  const struct pt_channel *coord = pt_cloud_find(c, "coord");
  for (int k = 0; k < 3; k++) {
    info->offset[k] = c->offset[k];
    info->min[k] = INFINITY;
    info->max[k] = -INFINITY;
    for (int64_t i = 0; i < c->n; i++) {
      double v = pt_channel_at(coord, i, k) + c->offset[k];
      info->min[k] = fmin(info->min[k], v);
      info->max[k] = fmax(info->max[k], v);
    }
  }
}

void pt_cloud_spread_i32(const struct pt_cloud *c, const int32_t *in, int32_t none,
                         int32_t *out) {
  if (!c->source) {
    memcpy(out, in, (size_t)c->n_origin * sizeof *out);
    return;
  }
  for (int64_t i = 0; i < c->n_input; i++) out[i] = none;
  for (int64_t i = 0; i < c->n_origin; i++) out[c->source[i]] = in[i];
}
