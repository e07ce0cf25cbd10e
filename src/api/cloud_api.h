/* cloud_api.h - what a public cloud is inside. */
#ifndef PT_API_CLOUD_H
#define PT_API_CLOUD_H

#include "cloud.h"
#include "context.h"

struct ptv3_cloud {
  struct ptv3_context *ctx;
  struct pt_cloud points; /* the usable points; points.source maps them to input rows */
  char *path;             /* where it was read from; NULL: from the caller's arrays */
};

/* Spreads values of the usable points over all input rows: out[source[i]] = in[i], other
 * rows get `none`. */
void pt_cloud_spread_i32(const struct pt_cloud *c, const int32_t *in /* [c->n_origin] */,
                         int32_t none, int32_t *out /* [c->n_input] */);

#endif
