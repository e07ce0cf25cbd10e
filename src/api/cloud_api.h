/* cloud_api.h - what a public cloud is inside. */
#ifndef PT_API_CLOUD_H
#define PT_API_CLOUD_H

#include "cloud.h"
#include "context.h"
#include "dataset.h"
#include "load.h"
#include "ptv3.h"
#include "read.h"

struct ptv3_cloud {
  struct ptv3_context *ctx;
  struct pt_cloud points; /* the usable points; points.source maps them to input rows */
  char *path;             /* where it was read from; NULL: from the caller's arrays */
};

enum { PT_NORMAL_NEIGHBOURS = 16, PT_FILLS = 16 };

/* The library's own name of a public one. */
static inline enum pt_normal_side pt_normal_side_of(enum ptv3_normal_side side) {
  return side == PTV3_NORMAL_UP ? PT_NORMAL_UP : PT_NORMAL_INSIDE;
}

/* Reads the texts of a public options' fill. */
int pt_fills_parse(const char *const *text, int count, struct pt_fill fill[PT_FILLS],
                   struct ptv3_error *err);

/* How a file is to be read, by a caller's options; _end after a _begin that succeeded. */
struct pt_cloud_file {
  struct pt_fill fill[PT_FILLS];
  struct pt_dataset rules;
  struct pt_load load;
  struct pt_read_options read;
};
int pt_cloud_file_begin(struct pt_cloud_file *f, struct pt_env *env, const char *path,
                        const struct ptv3_cloud_options *o, struct ptv3_error *err);
void pt_cloud_file_end(struct pt_cloud_file *f);

/* The colours of the usable points as bytes, [c->n, 3]; *colors is NULL where the cloud has
 * none. *owned is what the caller frees with pt_free, NULL when the colours are the cloud's
 * own. */
int pt_cloud_colors(const struct pt_cloud *c, const uint8_t **colors, uint8_t **owned,
                    struct ptv3_error *err);

#endif
