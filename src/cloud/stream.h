/* stream.h - a cloud that stays in its file: the voxels that GridSample makes of it, without
 * all of its points in memory.
 *
 * The file is read from one end to the other three times or more: to find what holds for all
 * points (load.h, pt_scan), to number voxels, and to take the channels of the point that stands
 * for each. Which voxel a point lies in goes to a temporary file, 4 bytes a row. What comes out
 * is, bit for bit, what the transforms up to GridSample make of the cloud in memory.
 *
 * The transforms before GridSample may depend on the box around all coordinates and on nothing
 * else of other points (pt_pipeline_cut). They are applied to runs of rows with two rows behind
 * them, the corners of that box: a run then has the same box as the whole.
 *
 * Memory: 30 bytes a voxel while they are numbered, then 8 and the channels; besides, some 100
 * bytes a row of a run. */
#ifndef PT_STREAM_H
#define PT_STREAM_H

#include "gridsample.h"
#include "load.h"
#include "pipeline.h"
#include "range.h"
#include "spill.h"

struct pt_stream {
  struct pt_env *env;
  const char *path; /* the caller's, as are the next two */
  const struct pt_load *opt;
  const struct pt_pipeline *pipeline;
  int64_t rows;   /* of the input */
  int64_t voxels; /* known once they are numbered */
  struct pt_scan scan;
  /* Its own. */
  struct pt_range *range;
  int64_t run;   /* rows of one */
  int64_t cut;   /* step of the pipeline that is the GridSample */
  uint8_t *keep; /* [run] scratch */
  int32_t *id;   /* [run] scratch */
  struct pt_gridsample grid;
  int64_t max_count;
  struct pt_spill ids;     /* [rows] number of each row's voxel as they came, -1: set aside */
  struct pt_spill numbers; /* [voxels] row of the cloud of each number */
};

enum { PT_STREAM_RUN = 1 << 18 };

/* Opens; little is read. run: rows of one, 0: by what the budget has left, at most
 * PT_STREAM_RUN. The path, opt and pipeline stay
 * alive as long as the stream.
 * PTV3_UNSUPPORTED where the format, a transform, or normals that are to be estimated need all
 * points at once; the message says which. */
int pt_stream_open(struct pt_stream *s, struct pt_env *env, const char *path,
                   const struct pt_load *opt, const struct pt_pipeline *pipeline, int64_t run,
                   struct ptv3_error *err);
void pt_stream_close(struct pt_stream *s); /* a zeroed one is allowed */

/* Reads the file. out: a cloud of one point a voxel, as GridSample leaves it; its "inverse" is
 * each voxel itself, so that the rest of the pipeline (pt_stream_rest) with keep_inverse says
 * which row of the network's input is whose. Channels of all points (origin_coord) are there in
 * name, without rows. */
int pt_stream_voxels(struct pt_stream *s, struct pt_draw *draw, struct pt_cloud *out,
                     struct ptv3_error *err);

/* The steps behind the GridSample; nothing of it is owned. */
struct pt_pipeline pt_stream_rest(const struct pt_stream *s);

/* After that. The row in out of each voxel number, [voxels]; the caller's to pt_free. */
int pt_stream_numbers(struct pt_stream *s, int32_t **row, struct ptv3_error *err);

/* The voxel number of rows first .. first + count - 1 of the input, -1: set aside. */
void pt_stream_ids(struct pt_stream *s, int64_t first, int64_t count, int32_t *id);

/* The same rows as a cloud as loaded, before any transform; at most a run. */
int pt_stream_points(struct pt_stream *s, int64_t first, int64_t count, struct pt_cloud *c,
                     struct ptv3_error *err);

#endif
