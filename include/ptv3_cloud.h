/* ptv3_cloud.h - point clouds: from files or from the caller's arrays, results to files,
 * and pictures of them.
 *
 * Part of the public interface; see ptv3.h for the context every call takes, and for the
 * rules on ownership and errors, which hold here too. */
#ifndef PTV3_CLOUD_H
#define PTV3_CLOUD_H

#include <stdbool.h>
#include <stdint.h>

#include "ptv3_error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ptv3_context;
struct ptv3_config;
struct ptv3_model;
struct ptv3_cloud;

/* The label of a point that has none; never counted in a score. */
#define PTV3_IGNORE (-1)

/* ---- from arrays ---- */

/* The caller's arrays, row i being point i. Exactly one of coord and coord_f32 is given;
 * every other pointer may be NULL. A struct of zeros, then filled, is the way to make one:
 * fields may be added in later versions. */
struct ptv3_points {
  int64_t n;              /* points */
  const double *coord;    /* [n, 3], metres; large map coordinates are fine */
  const float *coord_f32; /* [n, 3], metres */
  const uint8_t *color;   /* [n, 3], red green blue, 0-255 */
  const float *normal;    /* [n, 3], unit length */
  const float *strength;  /* [n], intensity or reflectance, 0-1 */
  const int32_t *segment; /* [n], true class of each point, PTV3_IGNORE where unknown */
};

/* Makes a cloud of copies of the arrays, in their order. Points that cannot be used (a number
 * that is not finite, or a place absurdly far from the rest; a warning counts them) keep
 * their row and get PTV3_IGNORE as prediction. While it works it holds the arrays twice.
 * Errors: PTV3_INVALID (no points, no or two coordinate arrays), PTV3_DATA (none usable),
 * PTV3_BUDGET. */
PTV3_API int ptv3_cloud_create(struct ptv3_context *ctx, const struct ptv3_points *points,
                               struct ptv3_cloud **out, struct ptv3_error *err);

/* ---- from files ---- */

/* The side that estimated normals point to. */
enum ptv3_normal_side {
  PTV3_NORMAL_INSIDE, /* towards the middle of the cloud: rooms, as their data sets have it */
  PTV3_NORMAL_UP      /* up, and alike for neighbours: scans from above */
};

struct ptv3_cloud_options {
  /* The model the cloud is for: features it needs must then be there, be estimated or be
   * filled, and nothing else is read. NULL: everything that is there. */
  const struct ptv3_model *model;
  /* The columns of a text file or of a scan without a header (.bin), one name for each, "_"
   * for one to leave out: "x,y,z,_,strength"; NULL: from the header line of text, or x y z
   * (red green blue); x y z intensity (ring) of scans. */
  const char *columns;
  int floats; /* of a point of a .bin scan; 0: as many as columns, 5 for .pcd.bin, else 4 */
  const char *labels; /* the labels of a .bin scan; NULL: SemanticKITTI's, where they lie beside
                         it; "": none */
  /* Labels are renumbered as for this configuration's data.val (learning_map, or what its type
   * of data set implies); NULL: they are classes as they are. Not looked at with a model,
   * for which labels are not read. */
  const struct ptv3_config *config;
  bool estimate_normals; /* from the 16 nearest points, where the file has none */
  enum ptv3_normal_side normal_side;
  const char *const *fill; /* [fill_count] "color=128,128,128": for features the file lacks */
  int fill_count;
};

/* Reads a cloud: LAS or LAZ, PLY, PCD, NPY, XYZ text, KITTI .bin, or a folder in
 * Pointcept's layout (coord.npy, color.npy, ...); told apart by contents first, then by
 * the file's extension. options NULL: defaults.
 * Errors: PTV3_IO, PTV3_FORMAT (with the offset in the file), PTV3_UNSUPPORTED, PTV3_DATA
 * (no usable point), PTV3_BUDGET. */
PTV3_API int ptv3_cloud_load(struct ptv3_context *ctx, const char *path,
                             const struct ptv3_cloud_options *options, struct ptv3_cloud **out,
                             struct ptv3_error *err);

PTV3_API void ptv3_cloud_free(struct ptv3_cloud *cloud); /* NULL allowed */

/* ---- looking ---- */

struct ptv3_cloud_info {
  int64_t n;        /* points, the unusable ones included */
  int64_t unusable; /* points with a coordinate that is not finite or far off */
  double min[3];    /* lower corner of the usable points, metres */
  double max[3];    /* upper corner */
  double offset[3]; /* taken off the coordinates before they became 32-bit floats */
  bool has_color;
  bool has_normal;
  bool has_strength;
  bool has_segment;
};

PTV3_API void ptv3_cloud_get_info(const struct ptv3_cloud *cloud, struct ptv3_cloud_info *info);

/* Reads n labels, one a point, from a NPY file of integers, a SemanticKITTI .label or nuScenes
 * lidarseg .bin file, or the label column of a LAS, PLY or PCD file ("classification",
 * "prediction", "label", "segment", "class"). Errors: as ptv3_cloud_load; PTV3_DATA when the
 * file does not hold exactly n. */
PTV3_API int ptv3_labels_load(struct ptv3_context *ctx, const char *path, int64_t n,
                              int32_t *label /* [n] */, struct ptv3_error *err);

/* ---- results to files ---- */

/* What was predicted, row i for point i of the cloud. Only label is needed. */
struct ptv3_prediction {
  const int32_t *label;     /* [n], 0 to classes - 1, or PTV3_IGNORE */
  const float *confidence;  /* [n], 0-1, or NULL */
  const float *probability; /* [n, classes], or NULL */
  int classes;
  const char *const *class_name; /* [classes] or NULL */
  const uint8_t *code;           /* [classes] LAS classification of each class, or NULL: by
                                    class name where the ASPRS list has it, else the class's
                                    number */
};

/* Writes a prediction next to the cloud's points, in the cloud's order, by the extension
 * of path:
 *   .npy  labels as int32 [n]
 *   .ply  coordinates, colour by class, label, confidence
 *   .las  the input file's points with classification set and the confidence as an extra
 *         dimension, every other dimension byte for byte; for clouds that were not read
 *         from LAS, a new LAS 1.4 file with coordinates and colour (points that cannot be
 *         used stand at the lower corner then)
 * The file appears under its name only when it is complete.
 * Errors: PTV3_UNSUPPORTED (another extension), PTV3_IO, PTV3_BUDGET. */
PTV3_API int ptv3_prediction_save(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                                  const struct ptv3_prediction *prediction, const char *path,
                                  struct ptv3_error *err);

/* Writes [rows, columns] floats as a NPY file; for probabilities. */
PTV3_API int ptv3_save_f32(struct ptv3_context *ctx, const float *data, int64_t rows,
                           int64_t columns, const char *path, struct ptv3_error *err);

/* ---- pictures ---- */

enum ptv3_view {
  PTV3_VIEW_TOP,        /* orthographic, from above, north up */
  PTV3_VIEW_PERSPECTIVE /* from azimuth and elevation, fitted to the picture */
};

/* What gives a point its colour. */
enum ptv3_paint {
  PTV3_PAINT_AUTO,       /* prediction if given, else colour, else label, else height */
  PTV3_PAINT_COLOR,      /* the cloud's colours */
  PTV3_PAINT_HEIGHT,     /* low to high */
  PTV3_PAINT_LABEL,      /* the true class */
  PTV3_PAINT_PREDICTION, /* the predicted class */
  PTV3_PAINT_ERROR       /* right, wrong, or no label */
};

/* Zeros mean the defaults in brackets. */
struct ptv3_render_options {
  int width;             /* pixels [1280], 16 to 16384 */
  int height;            /* pixels [960] */
  enum ptv3_view view;   /* [top] */
  enum ptv3_paint paint; /* [auto] */
  double azimuth;        /* degrees; 0: the viewer stands south and looks north [30 when
                            both angles are 0] */
  double elevation;      /* degrees above the horizon, -90 to 90 [40] */
  double point_size;     /* pixels across; 0: from the density of the cloud */
  bool no_legend;
  bool no_shading;               /* flat colours, without the depth cue at edges */
  const char *title;             /* UTF-8, NULL: none */
  const int32_t *prediction;     /* [n], for prediction and error */
  int classes;                   /* in class_name */
  const char *const *class_name; /* [classes] or NULL: numbers are shown */
};

/* Renders into a picture the caller owns: rgb [height, width, 3], top row first.
 * options->width and height must be given here.
 * Errors: PTV3_INVALID, PTV3_DATA (the cloud lacks what paint needs), PTV3_BUDGET. */
PTV3_API int ptv3_render_rgb(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                             const struct ptv3_render_options *options, uint8_t *rgb,
                             struct ptv3_error *err);

/* The same into a PNG file. */
PTV3_API int ptv3_render_png(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                             const struct ptv3_render_options *options, const char *path,
                             struct ptv3_error *err);

/* The colour this library paints a class in: by its name where S3DIS, ScanNet, the driving
 * data sets or ASPRS know it, else from a list of well-separated colours. name may be
 * NULL. */
PTV3_API void ptv3_class_color(int index, const char *name, uint8_t rgb[3]);

#ifdef __cplusplus
}
#endif
#endif
