/* render.c - see render.h: what is painted how, and the layout of the picture. */
#include "render.h"

#include <math.h>
#include <string.h>

#include "palette.h"
#include "render_parts.h"

enum { CLASSES_MOST = 65536 };

static const uint8_t right_rgb[3] = {168, 190, 204}, wrong_rgb[3] = {206, 40, 46};

/* ---- which paint ---- */

static enum pt_paint resolve(const struct pt_render *s) {
  if (s->paint != PT_PAINT_AUTO) return s->paint;
  if (s->prediction) return PT_PAINT_PREDICTION;
  if (s->color) return PT_PAINT_COLOR;
  return s->label ? PT_PAINT_LABEL : PT_PAINT_HEIGHT;
}

static int check(const struct pt_render *s, enum pt_paint paint, struct ptv3_error *err) {
  if (s->width < 16 || s->height < 16 || s->width > PT_RENDER_MOST ||
      s->height > PT_RENDER_MOST)
    return pt_fail(err, PTV3_INVALID,
                   "a picture of %d x %d pixels: 16 to %d each way are offered", s->width,
                   s->height, PT_RENDER_MOST);
  if (!isfinite(s->azimuth) || !(s->elevation >= -90 && s->elevation <= 90))
    return pt_fail(err, PTV3_INVALID, "elevation %g: -90 to 90 degrees are offered",
                   s->elevation);
  if (!(s->point_size >= 0 && s->point_size <= 200))
    return pt_fail(err, PTV3_INVALID, "a point size of %g pixels: 0 to 200 are offered",
                   s->point_size);
  const char *lacks = NULL;
  if (paint == PT_PAINT_COLOR && !s->color) lacks = "colours";
  if ((paint == PT_PAINT_LABEL || paint == PT_PAINT_ERROR) && !s->label) lacks = "labels";
  if ((paint == PT_PAINT_PREDICTION || paint == PT_PAINT_ERROR) && !s->prediction)
    lacks = "predictions";
  if (!lacks) return PTV3_OK;
  return pt_fail(err, PTV3_DATA, "the cloud has no %s to draw: choose another way to colour it",
                 lacks);
}

static int count_classes(struct pt_env *env, const struct pt_render *s, struct pt_painting *p,
                         struct ptv3_error *err) {
  int32_t most = -1;
  for (int64_t i = 0; i < s->n; i++)
    if (p->label[i] > most) most = p->label[i];
  p->classes = most < CLASSES_MOST ? most + 1 : CLASSES_MOST;
  p->count = pt_zalloc(&env->mem, p->classes, sizeof *p->count, PT_MEM_OTHER, err);
  if (!p->count) return PTV3_BUDGET;
  for (int64_t i = 0; i < s->n; i++) {
    if (p->label[i] < 0)
      p->none++;
    else if (p->label[i] < p->classes)
      p->count[p->label[i]]++;
  }
  return PTV3_OK;
}

static int prepare(struct pt_env *env, const struct pt_render *s, struct pt_painting *p,
                   struct ptv3_error *err) {
  if (p->paint == PT_PAINT_HEIGHT) pt_render_range(s, 2, &p->low, &p->high);
  if (p->paint == PT_PAINT_LABEL) p->label = s->label;
  if (p->paint == PT_PAINT_PREDICTION) p->label = s->prediction;
  if (p->label && count_classes(env, s, p, err)) return err ? err->status : PTV3_BUDGET;
  if (p->paint != PT_PAINT_ERROR) return PTV3_OK;
  for (int64_t i = 0; i < s->n; i++) {
    bool none = s->label[i] < 0, right = s->label[i] == s->prediction[i];
    p->none += none;
    p->right += !none && right;
    p->wrong += !none && !right;
  }
  return PTV3_OK;
}

static const char *name_of(const struct pt_render *s, int32_t label) {
  return s->class_name && label >= 0 && label < s->classes ? s->class_name[label] : NULL;
}

void pt_render_point_color(const struct pt_render *s, const struct pt_painting *p, int64_t i,
                           uint8_t rgb[3]) {
  switch (p->paint) {
    case PT_PAINT_COLOR: memcpy(rgb, s->color + 3 * i, 3); return;
    case PT_PAINT_LABEL:
    case PT_PAINT_PREDICTION: pt_palette(p->label[i], name_of(s, p->label[i]), rgb); return;
    case PT_PAINT_ERROR:
      memcpy(rgb,
             s->label[i] < 0                   ? pt_palette_none
             : s->label[i] == s->prediction[i] ? right_rgb
                                               : wrong_rgb,
             3);
      return;
    default: {
      double span = p->high - p->low, z = (double)s->coord[3 * i + 2];
      pt_palette_height(span > 0 ? (z - p->low) / span : 0.5, rgb);
    }
  }
}

/* ---- ranges ---- */

static bool usable(const float c[3]) {
  return isfinite(c[0]) && isfinite(c[1]) && isfinite(c[2]);
}

/* Where the middle 99.9 % of the values in [low, high] lie, to a bin's width. */
static void middle(const struct pt_render *s, int axis, double low, double high, double *a,
                   double *b) {
  enum { BINS = 1024 };
  int64_t bin[BINS] = {0}, total = 0, sum = 0;
  double scale = BINS / (high - low);
  for (int64_t i = 0; i < s->n; i++) {
    double v = (double)s->coord[3 * i + axis];
    if (!usable(s->coord + 3 * i) || v < low || v > high) continue;
    int k = (int)((v - low) * scale);
    bin[k < BINS ? k : BINS - 1]++;
    total++;
  }
  int first = 0, last = BINS - 1;
  int64_t cut = total / 2000;
  for (sum = bin[first]; sum <= cut && first < BINS - 1; sum += bin[first]) first++;
  for (sum = bin[last]; sum <= cut && last > first; sum += bin[last]) last--;
  *a = low + first / scale;
  *b = low + (last + 1) / scale;
}

void pt_render_range(const struct pt_render *s, int axis, double *low, double *high) {
  *low = INFINITY;
  *high = -INFINITY;
  for (int64_t i = 0; i < s->n; i++) {
    if (!usable(s->coord + 3 * i)) continue;
    double v = (double)s->coord[3 * i + axis];
    *low = fmin(*low, v);
    *high = fmax(*high, v);
  }
  /* A stray point far away makes the bins too wide to see the rest: look again inside. */
  for (int pass = 0; pass < 6 && *high - *low > 1e-6; pass++) {
    double a, b;
    middle(s, axis, *low, *high, &a, &b);
    if (*high - *low <= 1.5 * (b - a)) return;
    double edge = 0.05 * (b - a);
    *low = fmax(*low, a - edge);
    *high = fmin(*high, b + edge);
  }
}

/* ---- layout ---- */

static void draw_words(const struct pt_render *s, const struct pt_painting *p,
                       struct pt_image *image, int legend_x, int top, int scale, double metre) {
  static const uint8_t ink[3] = {40, 40, 44};
  int margin = 6 * scale;
  if (s->title) pt_text(image, margin, margin, scale, ink, s->title);
  if (!s->legend) return;
  if (legend_x < image->width) pt_legend_draw(s, p, image, legend_x, top, scale);
  if (metre > 0)
    pt_scale_bar(image, margin, image->height - margin, image->width / 4, metre, scale);
}

static int draw(struct pt_env *env, const struct pt_render *s, const struct pt_painting *p,
                struct pt_image *image, struct ptv3_error *err) {
  int scale = pt_legend_scale(image), margin = 6 * scale;
  int panel = s->legend ? pt_legend_width(s, p, scale) : 0;
  if (panel > image->width / 2) panel = 0; /* no room: the picture goes first */
  int top = s->title ? margin + 14 * scale : margin;
  int bottom = s->legend && s->view == PT_VIEW_TOP ? margin + 16 * scale : margin;
  struct pt_frame frame = {margin, top, image->width - 2 * margin - panel,
                           image->height - top - bottom};
  if (frame.width < 8 || frame.height < 8)
    frame = (struct pt_frame){0, 0, image->width, image->height};
  double metre = 0;
  int status = pt_render_points(env, s, p, frame, image, &metre, err);
  if (status) return status;
  draw_words(s, p, image, panel ? image->width - panel : image->width, top, scale, metre);
  return PTV3_OK;
}

int pt_render(struct pt_env *env, const struct pt_render *scene, uint8_t *rgb,
              struct ptv3_error *err) {
  struct ptv3_error inner = {0};
  struct pt_painting p = {.paint = resolve(scene)};
  int status = check(scene, p.paint, &inner);
  int64_t there = 0;
  for (int64_t i = 0; i < scene->n; i++) there += usable(scene->coord + 3 * i);
  if (!status && there == 0)
    status = pt_fail(&inner, PTV3_DATA, "the cloud has no point that could be drawn");
  if (!status) status = prepare(env, scene, &p, &inner);
  if (!status) {
    struct pt_image image = {rgb, scene->width, scene->height};
    memset(rgb, 255, (size_t)scene->width * (size_t)scene->height * 3);
    status = draw(env, scene, &p, &image, &inner);
  }
  pt_free(&env->mem, p.count);
  if (status && err) *err = inner;
  return status;
}
