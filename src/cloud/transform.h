/* transform.h - one transform of a pipeline: its name, its parameters, how it is read and
 * applied. Inside cloud/ only; pipeline.h is what others use.
 *
 * Meaning: pointcept/datasets/transform.py, class of the same name. Where numpy would make
 * float64 of a float32 channel (rotations, PointClip) so do we, because GridSample divides in
 * the type it is given. */
#ifndef PT_TRANSFORM_H
#define PT_TRANSFORM_H

#include "cloud.h"
#include "draw.h"
#include "env.h"
#include "gridsample.h"
#include "normals.h"
#include "value.h"

enum { PT_KEYS = 16, PT_ANGLES = 16, PT_ELASTIC = 4 };

/* Names of channels; the strings belong to the config tree. */
struct pt_keys {
  int n;
  const char *key[PT_KEYS]; /* [n] */
};

struct pt_transform_type;

struct pt_transform {
  const struct pt_transform_type *type;
  struct pt_pos at; /* where the config has it */
  union {
    struct {
      bool apply_z;
    } center;
    struct {
      struct pt_keys from, to;
    } copy;
    struct {
      const char *condition;
    } update;
    struct {
      double grid_size; /* metres */
      enum pt_grid_key key;
      bool test, inverse, grid_coord, min_coord, displacement, project;
    } grid;
    struct {
      struct pt_keys keys, feat;
    } collect;
    struct {
      double lo[3], hi[3]; /* metres */
    } box;
    struct {
      double p, angle[PT_ANGLES]; /* in half turns */
      int n, axis;
      bool choice, centered; /* one of the angles, or between the two; about center */
      double center[3];
    } rotate;
    struct {
      double lo, hi;
      bool anisotropic;
    } scale;
    struct {
      double p, a, b; /* chance, and the transform's own numbers */
    } chance;
    struct {
      double p, lo[4], hi[4]; /* of brightness, contrast, saturation, hue */
      bool on[4];
    } color;
    struct {
      int64_t point_max;
      double sample_rate; /* 0: point_max holds */
      bool center;
    } crop;
    struct {
      int n;
      double granularity[PT_ELASTIC], magnitude[PT_ELASTIC];
    } elastic;
    struct {
      double cell, quantile, limit, scale; /* transform_height.c */
      const char *key;
    } height;
    struct {
      int neighbours;
      enum pt_normal_side side;
    } normals;
  } u;
};

/* What a transform works on. */
struct pt_apply {
  struct pt_env *env;
  struct pt_cloud *cloud;
  struct pt_draw *draw;
  bool keep_inverse; /* labels must be carried back to all points */
};

struct pt_transform_type {
  const char *name;
  /* Reads the parameters of t from its dict; NULL: there are none. */
  int (*parse)(struct pt_transform *t, const struct pt_value *dict, struct ptv3_error *err);
  int (*apply)(const struct pt_transform *t, struct pt_apply *a, struct ptv3_error *err);
  const char *keys; /* that it knows besides "type", a blank between two */
};

/* X(type): all transforms. */
#define PT_TRANSFORM_LIST(X)  \
  X(CenterShift)              \
  X(ChromaticAutoContrast)    \
  X(ChromaticJitter)          \
  X(ChromaticTranslation)     \
  X(Collect)                  \
  X(Copy)                     \
  X(ElasticDistortion)        \
  X(EstimateNormals)          \
  X(GridSample)               \
  X(HeightAboveLowest)        \
  X(HueSaturationTranslation) \
  X(NormalizeColor)           \
  X(NormalizeCoord)           \
  X(PointClip)                \
  X(PositiveShift)            \
  X(RandomColorGrayScale)     \
  X(RandomColorJitter)        \
  X(RandomDropColor)          \
  X(RandomDropNormal)         \
  X(RandomDropout)            \
  X(RandomFlip)               \
  X(RandomJitter)             \
  X(RandomRotate)             \
  X(RandomRotateTargetAngle)  \
  X(RandomScale)              \
  X(RandomShift)              \
  X(ShufflePoint)             \
  X(SphereCrop)               \
  X(ToTensor)                 \
  X(Update)

#define PT_TRANSFORM_DECLARE(type) extern const struct pt_transform_type pt_transform_##type;
PT_TRANSFORM_LIST(PT_TRANSFORM_DECLARE)
#undef PT_TRANSFORM_DECLARE

/* The keys of the transform of this name; NULL: there is none such. */
const char *pt_transform_keys(const char *name);

/* ---- helpers of the transforms ---- */

/* "color" as F32 or F64 to be written to, NULL if there is none (then nothing is to be done).
 */
int pt_float_channel(struct pt_cloud *c, const char *name, struct pt_channel **ch,
                     struct ptv3_error *err);

/* Stores v as number k of row i, rounded to the channel's type (F32 or F64). */
static inline void pt_channel_set(struct pt_channel *ch, int64_t i, int k, double v) {
  int64_t at = i * ch->width + k;
  if (ch->type == PT_F64)
    ((double *)ch->data)[at] = v;
  else
    ((float *)ch->data)[at] = (float)v;
}

/* Smallest and largest of each of the first three columns of a channel. */
void pt_channel_bounds(const struct pt_channel *ch, double lo[3], double hi[3]);

/* coord += by, in the channel's type. */
void pt_channel_shift(struct pt_channel *ch, const double by[3]);

/* What a GridSample adds for the chosen points (grid_coord, displacement, min_coord), computed
 * from `points`, into `to`, which may be the same cloud. The new channels are not indexed yet,
 * since their rows are voxels; pt_grid_follow makes them so once the points are selected. */
int pt_grid_extras(const struct pt_transform *t, const struct pt_gridsample *v,
                   const struct pt_cloud *points, struct pt_cloud *to,
                   const int32_t *select /* [v->m] */, struct ptv3_error *err);
void pt_grid_follow(struct pt_cloud *c);

/* True with probability p; one draw. */
int pt_chance(struct pt_apply *a, double p, bool *yes, struct ptv3_error *err);

/* Reads a key name or a list of them. */
int pt_parse_keys(const struct pt_value *dict, const char *name, struct pt_keys *keys,
                  struct ptv3_error *err);

#endif
