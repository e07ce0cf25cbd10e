/* render.h - a picture of a point cloud: from above or in perspective, by colour, height,
 * class or error, with a legend and a scale bar, on white.
 *
 * Points are drawn as discs into a depth buffer at twice the resolution; edges in depth are
 * darkened (the idea of eye-dome lighting: Boucheny, "Interactive scientific visualization
 * of large datasets", 2009), then the picture is reduced and the legend drawn. The same
 * input gives the same bytes. */
#ifndef PT_RENDER_H
#define PT_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "env.h"

enum pt_view { PT_VIEW_TOP, PT_VIEW_PERSPECTIVE };
enum pt_paint {
  PT_PAINT_AUTO,
  PT_PAINT_COLOR,
  PT_PAINT_HEIGHT,
  PT_PAINT_LABEL,
  PT_PAINT_PREDICTION,
  PT_PAINT_ERROR
};

struct pt_render {
  int64_t n;                     /* points */
  const float *coord;            /* [n, 3], metres; points that are not finite are left out */
  double offset_z;               /* metres to add to z in the legend */
  const uint8_t *color;          /* [n, 3] or NULL */
  const int32_t *label;          /* [n] true classes or NULL; < 0: none */
  const int32_t *prediction;     /* [n] or NULL; < 0: none */
  int classes;                   /* in class_name */
  const char *const *class_name; /* [classes] or NULL */

  int width, height; /* pixels, 16 to PT_RENDER_MOST */
  enum pt_view view;
  enum pt_paint paint;
  double azimuth;    /* degrees; 0 looks north */
  double elevation;  /* degrees above the horizon */
  double point_size; /* pixels across, 0: from the density */
  bool legend;
  bool shading;
  const char *title; /* UTF-8 or NULL */
};

enum { PT_RENDER_MOST = 16384 };

/* Draws into rgb [height, width, 3], top row first. Errors: PTV3_INVALID for sizes and
 * angles, PTV3_DATA when paint needs an array that is not there or no point is finite,
 * PTV3_BUDGET, PTV3_CANCELLED. */
int pt_render(struct pt_env *env, const struct pt_render *scene, uint8_t *rgb,
              struct ptv3_error *err);

#endif
