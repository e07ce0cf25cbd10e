/* predict_file.h - predicting, or planning to, for a file whose points do not fit the budget at
 * once. */
#ifndef PT_API_PREDICT_FILE_H
#define PT_API_PREDICT_FILE_H

#include "cloud_api.h"
#include "model_api.h"
#include "stream.h"

/* What is known of a file before it is read. */
struct pt_parts_choice {
  bool possible;         /* it can be read in parts */
  struct ptv3_error why; /* why not */
  int64_t rows;          /* points, where it can */
  int64_t least;         /* bytes that all of them surely take at once */
};

/* Fills *c; true when the points surely do not fit at once, and need not be tried. */
bool pt_parts_decide(struct pt_parts_choice *c, struct ptv3_model *m, const char *path,
                     const struct pt_cloud_file *f);

/* Adds to an error of memory that reading in parts is not possible, and why. */
int pt_parts_refuse(const struct pt_parts_choice *c, struct ptv3_error *err);

/* Says that the file is read in parts. */
void pt_parts_tell(struct pt_env *env, const struct pt_parts_choice *c, const char *path);

/* Voxels of an opened stream, and the network on them; both are the caller's to free. With
 * p->need only what that would take. */
int pt_parts_predict(struct ptv3_model *model, struct pt_stream *stream,
                     const struct pt_predict *p, bool probability, struct pt_cloud *voxels,
                     struct pt_answers *a, struct ptv3_error *err);

/* As ptv3_predict_file, its arguments checked; parts: the file is read in parts even where it
 * would fit. */
int pt_predict_file(struct ptv3_model *model, const char *path,
                    const struct ptv3_file_options *options, bool parts, int64_t *count,
                    struct ptv3_file_result *result, struct ptv3_error *err);

#endif
