/* builder.h - appending tensors and steps to a plan without a check after every line: after
 * the first failure nothing more is appended and `status` tells. Inside model/ only. */
#ifndef PT_BUILDER_H
#define PT_BUILDER_H

#include "plan.h"
#include "ptv3_config.h"

struct pt_builder {
  const struct pt_ptv3 *cfg;
  const struct pt_structure *s;
  struct pt_plan *plan;
  int status;
  struct ptv3_error *err;
  struct pt_step spare; /* what pt_add_step gives after a failure */
};

/* A tensor's number, -1 after a failure. */
int pt_add_tensor(struct pt_builder *b, int64_t rows, int channels, enum pt_dtype type);

/* A step to be filled in; out: the tensor with its result. Never NULL. */
struct pt_step *pt_add_step(struct pt_builder *b, enum pt_op op, const char *label, int out);

#define PT_BIND(s, op, field, t) pt_bind(s, offsetof(struct pt_##op, field), t)

/* The head over x [pt_head_sources], the results of the stages it sees; out holds all rows of
 * the logits, or some at a time (pt_step.rows). */
struct pt_step *pt_add_head(struct pt_builder *b, const int *x, const struct pt_mat *w,
                            const float *bias, int out);

/* K at a stage: the configured patch size; without flash attention no more than the smallest
 * cloud has (SerializedAttention.forward). */
int pt_patch_of(const struct pt_ptv3 *cfg, const struct pt_structure *s, int stage);

#endif
