/* params.h - the parameters and buffers of a network: names, shapes, and what each is.
 *
 * Names and order are those of Pointcept's state_dict (DefaultSegmentorV2 over PT-v3m1),
 * without "module.". */
#ifndef PT_PARAMS_H
#define PT_PARAMS_H

#include "ptv3_config.h"

#define PT_PARAM_NAME 80

struct pt_param {
  char name[PT_PARAM_NAME];
  int dims; /* 0: a scalar (num_batches_tracked) */
  int64_t shape[5];
  int64_t size; /* numbers in all */
  bool buffer;  /* a running statistic, not learnt */
};

/* The list; *out [*count] is the caller's (pt_free). */
int pt_ptv3_params(struct pt_mem *mem, const struct pt_ptv3 *cfg, struct pt_param **out,
                   int64_t *count, struct ptv3_error *err);

#endif
