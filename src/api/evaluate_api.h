/* evaluate_api.h - what a public evaluation is inside. */
#ifndef PT_API_EVALUATE_H
#define PT_API_EVALUATE_H

#include "context.h"
#include "metrics.h"

struct ptv3_evaluation {
  struct ptv3_context *ctx;
  struct pt_metrics total;
  struct pt_scores scores;
  int64_t scenes;                     /* evaluated so far */
  struct ptv3_scene_score *scene;     /* [scenes], names owned */
  struct ptv3_class_score *per_class; /* [classes], names owned */
};

#endif
