/* render_parts.h - the parts a picture is made of; used by render*.c only. */
#ifndef PT_RENDER_PARTS_H
#define PT_RENDER_PARTS_H

#include "font.h"
#include "render.h"

/* What the legend says and how points are painted. */
struct pt_painting {
  enum pt_paint paint;  /* resolved: never PT_PAINT_AUTO */
  const int32_t *label; /* [n] classes shown, for LABEL and PREDICTION */
  int classes;          /* classes counted */
  int64_t *count;       /* [classes] points of each class */
  int64_t none;         /* points without a class */
  int64_t right, wrong; /* for ERROR */
  double low, high;     /* range of z, for HEIGHT */
};

/* The part of the picture the points may use, in pixels. */
struct pt_frame {
  int x, y, width, height;
};

/* The range of coordinate `axis` without stray points: where a few points stretch the range
 * to more than 1.5 times what 99.9 % of them use, those are left out. */
void pt_render_range(const struct pt_render *scene, int axis, double *low, double *high);

/* The colour of point i. */
void pt_render_point_color(const struct pt_render *scene, const struct pt_painting *p,
                           int64_t i, uint8_t rgb[3]);

/* Draws the points into frame of image, which is white already. *metre is the length of a
 * metre in pixels for the view from above, 0 for perspective. */
int pt_render_points(struct pt_env *env, const struct pt_render *scene,
                     const struct pt_painting *p, struct pt_frame frame, struct pt_image *image,
                     double *metre, struct ptv3_error *err);

/* Pixels of a font dot on a picture of this height. */
int pt_legend_scale(const struct pt_image *image);

/* Width in pixels the legend needs at the right edge. */
int pt_legend_width(const struct pt_render *scene, const struct pt_painting *p, int scale);
void pt_legend_draw(const struct pt_render *scene, const struct pt_painting *p,
                    struct pt_image *image, int x, int y, int scale);

/* A bar of a round length with its lower left corner at x, y. */
void pt_scale_bar(struct pt_image *image, int x, int y, int most, double metre, int scale);

#endif
