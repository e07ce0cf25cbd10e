/* weights.h - a network's weights as the kernels read them: packed, BatchNorm folded.
 *
 * All of it is one block of memory (category WEIGHTS). Where the numbers come from is the
 * caller's business: a fetch function is asked for one named tensor at a time. */
#ifndef PT_WEIGHTS_H
#define PT_WEIGHTS_H

#include "env.h"
#include "mat.h"
#include "params.h"

#define PT_MAX_BLOCKS 64 /* blocks a stage */

struct pt_block_weights {
  struct pt_mat conv_w; /* the first of 27 */
  const float *conv_bias;
  struct pt_mat cpe_w;
  const float *cpe_bias, *cpe_gamma, *cpe_beta;
  const float *norm1_gamma, *norm1_beta;
  struct pt_mat qkv, proj;
  const float *qkv_bias, *proj_bias; /* qkv_bias NULL with qkv_bias=False */
  const float *rpe;                  /* NULL without enable_rpe */
  const float *norm2_gamma, *norm2_beta;
  struct pt_mat fc1, fc2;
  const float *fc1_bias, *fc2_bias;
};

struct pt_linear_weights {
  struct pt_mat w;
  const float *bias;
  const float *g, *shift;  /* BatchNorm where it is not folded into w and bias, else NULL */
  const float *mean, *var; /* its running statistics, NULL likewise */
};

struct pt_ptv3_weights {
  float *data;          /* everything below points into this */
  int64_t size;         /* numbers */
  struct pt_mat stem_w; /* the first of 125 */
  const float *stem_bias;
  struct pt_block_weights *enc[PT_MAX_STAGES], *dec[PT_MAX_STAGES]; /* [depth] */
  struct pt_linear_weights down[PT_MAX_STAGES]; /* [stages], from stage s-1 to s */
  struct pt_linear_weights up[PT_MAX_STAGES], skip[PT_MAX_STAGES]; /* [stages - 1] */
  struct pt_linear_weights head;
};

/* Writes p->size numbers of the tensor p->name, in C order of p->shape, to dst. */
typedef int pt_fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err);

int pt_weights_build(struct pt_env *env, const struct pt_ptv3 *cfg, pt_fetch *fetch, void *user,
                     struct pt_ptv3_weights *w, struct ptv3_error *err);

/* Sizes and shapes only: every pointer is NULL. For planning. */
int pt_weights_sizes(struct pt_env *env, const struct pt_ptv3 *cfg, struct pt_ptv3_weights *w,
                     struct ptv3_error *err);

static inline int64_t pt_weights_bytes(const struct pt_ptv3_weights *w) {
  return w->size * (int64_t)sizeof *w->data;
}

void pt_weights_free(struct pt_env *env, struct pt_ptv3_weights *w); /* zeroed is allowed */

#endif
