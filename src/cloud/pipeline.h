/* pipeline.h - a config's list of transforms, read once and applied to clouds, and the
 * network's input that comes out of it. */
#ifndef PT_PIPELINE_H
#define PT_PIPELINE_H

#include <stdbool.h>

#include "cloud.h"
#include "draw.h"
#include "env.h"
#include "value.h"

struct pt_transform;

struct pt_pipeline {
  struct pt_mem *mem;
  struct pt_transform *step; /* [count], owned; its strings belong to the config tree */
  int64_t count;
};

/* Reads a list of dict(type=..., ...), such as data.val.transform; None and absent (NULL)
 * are an empty pipeline. The tree must outlive the pipeline. Errors name file and line:
 * a transform that is not known, a wrong parameter. */
int pt_pipeline_parse(struct pt_pipeline *p, struct pt_mem *mem, const struct pt_value *list,
                      struct ptv3_error *err);
void pt_pipeline_free(struct pt_pipeline *p); /* a zeroed one is allowed */

/* The channels besides "coord" that a cloud must bring for the pipeline's features: those
 * that Collect asks for and no transform makes. Pointers into the config tree to name[max];
 * the count is returned. */
int pt_pipeline_needs(const struct pt_pipeline *p, const char **name, int max);

/* Fails, naming the place of Collect, when its feat_keys surely give another number of
 * channels than the network takes. A feature of unknown width is left to the run. */
int pt_pipeline_check_width(const struct pt_pipeline *p, int in_channels,
                            struct ptv3_error *err);

/* Grid size of the pipeline's last GridSample, metres; 0 if it has none. */
double pt_pipeline_grid_size(const struct pt_pipeline *p);
void pt_pipeline_set_grid_size(struct pt_pipeline *p, double grid_size);

/* Where a cloud that comes in runs of points (stream.h) can be cut: *at becomes the first
 * GridSample's step, and every step before it treats a point by itself and by the box around
 * all coordinates, whose order along each axis it keeps. Else PTV3_UNSUPPORTED, naming the
 * step that is in the way. */
int pt_pipeline_cut(const struct pt_pipeline *p, int64_t *at, struct ptv3_error *err);

/* Applies the steps in order. With keep_inverse the channel "inverse" is made whether or
 * not the config asks for it, joined over several GridSamples, and a step that drops points
 * is an error: then every loaded point gets a label. Before each step env's progress may ask to
 * stop. On failure the cloud may only be freed. */
int pt_pipeline_apply(const struct pt_pipeline *p, struct pt_env *env, struct pt_cloud *c,
                      struct pt_draw *draw, bool keep_inverse, struct ptv3_error *err);

/* What Collect left, as the network wants it. All pointers into the cloud. */
struct pt_sample {
  int64_t n;                     /* rows: voxels */
  int64_t n_origin;              /* points labels go to */
  int channels;                  /* of feat */
  const float *coord;            /* [n, 3] metres */
  const int32_t *grid_coord;     /* [n, 3] cells */
  const float *feat;             /* [n, channels] */
  const int32_t *segment;        /* [n], NULL without labels */
  const int32_t *origin_segment; /* [n_origin], NULL without labels */
  const int32_t *inverse;        /* [n_origin] row of each point; NULL: the identity */
  const int32_t *index;          /* [n] point of each row, in fragments; NULL elsewhere */
  const char *condition;         /* data set name for prompt training; NULL if none */
};

/* Fails when the pipeline has left no coord, grid_coord or feat. */
int pt_sample_view(const struct pt_cloud *c, struct pt_sample *s, struct ptv3_error *err);

#endif
