/* cloud_api.h - what a public cloud is inside. */
#ifndef PT_API_CLOUD_H
#define PT_API_CLOUD_H

#include "cloud.h"
#include "context.h"
#include "load.h"

struct ptv3_cloud {
  struct ptv3_context *ctx;
  struct pt_cloud points; /* the usable points; points.source maps them to input rows */
  char *path;             /* where it was read from; NULL: from the caller's arrays */
};

enum { PT_NORMAL_NEIGHBOURS = 16, PT_FILLS = 16 };

/* Reads the texts of a public options' fill. */
int pt_fills_parse(const char *const *text, int count, struct pt_fill fill[PT_FILLS],
                   struct ptv3_error *err);

/* The colours of the usable points as bytes, [c->n, 3]; *colors is NULL where the cloud has
 * none. *owned is what the caller frees with pt_free, NULL when the colours are the cloud's
 * own. */
int pt_cloud_colors(const struct pt_cloud *c, const uint8_t **colors, uint8_t **owned,
                    struct ptv3_error *err);

#endif
