/* evaluate_api.h - what a public evaluation is inside. */
#ifndef PT_API_EVALUATE_H
#define PT_API_EVALUATE_H

#include "context.h"
#include "evaluate.h"

struct ptv3_evaluation {
  struct ptv3_context *ctx;
  struct pt_evaluation found;
  struct ptv3_scene_score *per_scene; /* [scenes], names borrowed from found */
  struct ptv3_class_score *per_class; /* [classes], names owned */
};

#endif
