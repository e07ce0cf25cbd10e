/* render_api.c - the public calls that draw. */
#include <string.h>

#include "cloud_api.h"
#include "palette.h"
#include "png.h"
#include "render.h"

/* What was asked for, with the defaults in place of zeros. */
static struct pt_render scene_of(const struct ptv3_cloud *cloud,
                                 const struct ptv3_render_options *o) {
  const struct pt_cloud *c = &cloud->points;
  const struct pt_channel *segment = pt_cloud_find(c, "segment");
  bool angles = o->azimuth != 0 || o->elevation != 0;
  return (struct pt_render){
      .n = c->n,
      .coord = pt_cloud_find(c, "coord")->data,
      .offset_z = c->offset[2],
      .label = segment && segment->type == PT_I32 ? segment->data : NULL,
      .prediction = o->prediction,
      .classes = o->classes,
      .class_name = o->class_name,
      .width = o->width ? o->width : 1280,
      .height = o->height ? o->height : 960,
      .view = o->view == PTV3_VIEW_PERSPECTIVE ? PT_VIEW_PERSPECTIVE : PT_VIEW_TOP,
      .paint = (enum pt_paint)o->paint, /* same order, see the assertion below */
      .azimuth = angles ? o->azimuth : 30,
      .elevation = angles ? o->elevation : 40,
      .point_size = o->point_size,
      .legend = !o->no_legend,
      .shading = !o->no_shading,
      .title = o->title,
  };
}
_Static_assert((int)PTV3_PAINT_ERROR == (int)PT_PAINT_ERROR, "the two lists are one");

/* The prediction of the usable points: the caller's rows are those of the input. */
static int gather(const struct ptv3_cloud *cloud, struct pt_render *scene, int32_t **owned,
                  struct ptv3_error *err) {
  const struct pt_cloud *c = &cloud->points;
  if (!scene->prediction || !c->source) return PTV3_OK;
  int32_t *p = pt_alloc(c->mem, c->n, sizeof *p, PT_MEM_OTHER, err);
  if (!p) return pt_status(err);
  for (int64_t i = 0; i < c->n; i++) p[i] = scene->prediction[c->source[i]];
  scene->prediction = *owned = p;
  return PTV3_OK;
}

static int render(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                  struct pt_render *scene, uint8_t *rgb, struct ptv3_error *err) {
  int32_t *labels = NULL;
  uint8_t *colors = NULL;
  int status = gather(cloud, scene, &labels, err);
  if (!status) status = pt_cloud_colors(&cloud->points, &scene->color, &colors, err);
  if (!status) status = pt_render(&ctx->env, scene, rgb, err);
  pt_free(pt_ctx_mem(ctx), colors);
  pt_free(pt_ctx_mem(ctx), labels);
  return status;
}

int ptv3_render_rgb(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                    const struct ptv3_render_options *options, uint8_t *rgb,
                    struct ptv3_error *err) {
  if (!ctx || !cloud || !options || !rgb)
    return pt_api_null("ptv3_render_rgb",
                       !ctx     ? "ctx"
                       : !cloud ? "cloud"
                       : !rgb   ? "rgb"
                                : "options",
                       err);
  if (options->width == 0 || options->height == 0)
    return pt_fail(err, PTV3_INVALID, "ptv3_render_rgb: 'width' and 'height' are to be given");
  struct ptv3_error inner = {0};
  struct pt_render scene = scene_of(cloud, options);
  int status = render(ctx, cloud, &scene, rgb, &inner);
  if (status && err) *err = inner;
  return status;
}

int ptv3_render_png(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                    const struct ptv3_render_options *options, const char *path,
                    struct ptv3_error *err) {
  if (!ctx || !cloud || !path)
    return pt_api_null("ptv3_render_png", !ctx ? "ctx" : !cloud ? "cloud" : "path", err);
  struct ptv3_render_options none = {0};
  struct pt_render scene = scene_of(cloud, options ? options : &none);
  if (scene.width < 16 || scene.height < 16 || scene.width > PT_RENDER_MOST ||
      scene.height > PT_RENDER_MOST)
    return pt_fail(err, PTV3_INVALID,
                   "a picture of %d x %d pixels: 16 to %d each way are offered", scene.width,
                   scene.height, PT_RENDER_MOST);
  struct ptv3_error inner = {0};
  uint8_t *rgb =
      pt_alloc(pt_ctx_mem(ctx), (int64_t)scene.width * scene.height, 3, PT_MEM_OTHER, &inner);
  int status = rgb ? render(ctx, cloud, &scene, rgb, &inner) : inner.status;
  if (!status)
    status = pt_png_write(pt_ctx_mem(ctx), path, rgb, scene.width, scene.height, &inner);
  pt_free(pt_ctx_mem(ctx), rgb);
  if (status && err) *err = inner;
  return status;
}

void ptv3_class_color(int index, const char *name, uint8_t rgb[3]) {
  pt_palette(index, name, rgb);
}
