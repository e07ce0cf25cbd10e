/* cloud_api.c - public clouds: from arrays, and what they hold. Files: cloud_file.c. */
#include "cloud_api.h"

#include <math.h>
#include <string.h>

#include "load.h"

/* ---- from arrays: a table of copies, then what every file goes through ---- */

static int add(struct pt_table *t, const char *name, enum pt_dtype type, int width,
               const void *from, struct ptv3_error *err) {
  if (!from) return PTV3_OK;
  struct pt_column *c = pt_table_add(t, name, type, width, err);
  if (!c) return err->status;
  memcpy(c->data, from, (size_t)t->n * (size_t)width * (size_t)pt_dtype(type)->bytes);
  return PTV3_OK;
}

static int fill(struct pt_table *t, const struct ptv3_points *p, struct ptv3_error *err) {
  int status = add(t, "coord", PT_F64, 3, p->coord, err);
  if (!status) status = add(t, "coord", PT_F32, 3, p->coord_f32, err);
  if (!status) status = add(t, "color", PT_U8, 3, p->color, err);
  if (!status) status = add(t, "normal", PT_F32, 3, p->normal, err);
  if (!status) status = add(t, "strength", PT_F32, 1, p->strength, err);
  if (!status) status = add(t, "segment", PT_I32, 1, p->segment, err);
  return status;
}

static int from_arrays(struct ptv3_context *ctx, const struct ptv3_points *p,
                       struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_table t;
  const char *want[3];
  struct pt_load load = {.want = want, .labels = p->segment != NULL};
  if (p->color) want[load.n_want++] = "color";
  if (p->normal) want[load.n_want++] = "normal";
  if (p->strength) want[load.n_want++] = "strength";
  pt_table_init(&t, pt_ctx_mem(ctx), p->n);
  int status = fill(&t, p, err);
  if (!status)
    return pt_cloud_from_table(&ctx->env, &t, "the given points", false, &load, c, err);
  pt_table_free(&t);
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
  struct ptv3_cloud *cloud = pt_zalloc(pt_ctx_mem(ctx), 1, sizeof *cloud, PT_MEM_CLOUD, &inner);
  int status = inner.status;
  if (cloud) {
    cloud->ctx = ctx;
    status = from_arrays(ctx, points, &cloud->points, &inner);
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

int pt_cloud_colors(const struct pt_cloud *c, const uint8_t **colors, uint8_t **owned,
                    struct ptv3_error *err) {
  const struct pt_channel *ch = pt_cloud_find(c, "color");
  *colors = *owned = NULL;
  if (!ch || ch->width != 3) return PTV3_OK;
  if (ch->type != PT_U8) {
    *owned = pt_alloc(c->mem, 3 * c->n, 1, PT_MEM_OTHER, err);
    if (!*owned) return err->status;
    pt_convert(*owned, PT_U8, ch->data, ch->type, 3 * c->n); /* rounds and saturates */
  }
  *colors = *owned ? *owned : ch->data;
  return PTV3_OK;
}
