/* weights_api.h - what public weights are inside. */
#ifndef PT_API_WEIGHTS_H
#define PT_API_WEIGHTS_H

#include "context.h"
#include "tensors.h"

struct ptv3_weights {
  struct ptv3_context *ctx;
  struct pt_tensors set;
};

#endif
