/* config_api.h - what a public configuration is inside. */
#ifndef PT_API_CONFIG_H
#define PT_API_CONFIG_H

#include "context.h"
#include "pyconfig.h"

struct ptv3_config {
  struct ptv3_context *ctx;
  struct pt_config tree;
  char *text; /* of the last ptv3_config_text */
};

#endif
