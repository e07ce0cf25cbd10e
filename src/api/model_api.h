/* model_api.h - what a public model is inside. */
#ifndef PT_API_MODEL_H
#define PT_API_MODEL_H

#include "context.h"
#include "forward.h"
#include "pipeline.h"
#include "predict.h"

enum { PT_NEEDS = 16 };

struct ptv3_model {
  struct ptv3_context *ctx;
  const struct pt_value *root; /* of the configuration, which outlives the model */
  struct pt_model net;
  struct pt_compat_ask compat; /* not asked when compat is 1.5.1 */
  struct pt_pipeline pipeline; /* data.val.transform */
  const char *need[PT_NEEDS];  /* [needs] channels a cloud must bring */
  int needs;
  char needs_text[256];
  const char **class_name; /* [classes] or NULL */
  uint8_t *las_code;       /* [classes] or NULL */
  int64_t parameters;
};

struct ptv3_cloud;

/* PTV3_DATA when the cloud lacks a channel that the model's features are made of. */
int pt_api_check_needs(const struct ptv3_model *m, const struct ptv3_cloud *cloud,
                       struct ptv3_error *err);

#endif
