/* prediction_api.c - the public calls that write what was predicted, from arrays of it. */
#include <string.h>

#include "cloud_api.h"
#include "npy.h"
#include "result.h"

int ptv3_save_f32(struct ptv3_context *ctx, const float *data, int64_t rows, int64_t columns,
                  const char *path, struct ptv3_error *err) {
  if (!ctx || !data || !path)
    return pt_api_null("ptv3_save_f32", !ctx ? "ctx" : !data ? "data" : "path", err);
  if (rows < 0 || columns < 0)
    return pt_fail(err, PTV3_INVALID, "ptv3_save_f32: %lld x %lld numbers", (long long)rows,
                   (long long)columns);
  int64_t shape[2] = {rows, columns};
  return pt_npy_write(pt_ctx_mem(ctx), path, PT_F32, 2, shape, data, err);
}

struct arrays {
  const struct ptv3_prediction *p;
  struct pt_points_of points;
};

static int labels(void *user, int64_t first, int64_t count, int32_t *label, float *confidence,
                  struct ptv3_error *err) {
  const struct arrays *a = user;
  (void)err;
  memcpy(label, a->p->label + first, (size_t)count * sizeof *label);
  if (confidence)
    memcpy(confidence, a->p->confidence + first, (size_t)count * sizeof *confidence);
  return PTV3_OK;
}

static int points(void *user, int64_t first, int64_t count, double *coord, uint8_t *color,
                  struct ptv3_error *err) {
  struct arrays *a = user;
  return pt_points_of(&a->points, first, count, coord, color, err);
}

int ptv3_prediction_save(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                         const struct ptv3_prediction *prediction, const char *path,
                         struct ptv3_error *err) {
  if (!ctx || !cloud || !prediction || !path)
    return pt_api_null("ptv3_prediction_save",
                       !ctx     ? "ctx"
                       : !cloud ? "cloud"
                       : !path  ? "path"
                                : "prediction",
                       err);
  if (!prediction->label) return pt_api_null("ptv3_prediction_save", "prediction->label", err);
  struct ptv3_error inner = {0};
  struct ptv3_cloud_info info;
  struct arrays a = {prediction, {&cloud->points, 0}};
  ptv3_cloud_get_info(cloud, &info);
  struct pt_result r = {.env = &ctx->env,
                        .n = info.n,
                        .source = cloud->path,
                        .classes = prediction->classes,
                        .class_name = prediction->class_name,
                        .code = prediction->code,
                        .confidence = prediction->confidence != NULL,
                        .color = pt_has_colors(&cloud->points),
                        .unusable = info.unusable,
                        .labels = labels,
                        .points = points,
                        .user = &a};
  memcpy(r.lower, info.min, sizeof r.lower);
  int status = pt_result_save(&r, path, &inner);
  if (status && err) *err = inner;
  return status;
}
