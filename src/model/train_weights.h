/* train_weights.h - a network's parameters while they are learnt: the numbers, their
 * gradients, and packed copies of the matrices for the forward and the backward pass.
 *
 * Numbers and gradients lie as the state_dict has them, parameter after parameter, in
 * float32. Packed copies are made from them anew after every change (pt_train_weights_pack).
 * BatchNorm is not folded: training computes it from the batch. */
#ifndef PT_TRAIN_WEIGHTS_H
#define PT_TRAIN_WEIGHTS_H

#include "env.h"
#include "mat.h"
#include "params.h"
#include "weights.h"

/* A Linear layer or a convolution: W (out, in) or (out, k, k, k, in). */
struct pt_train_linear {
  struct pt_mat w;  /* (in, out): x W^T; of a convolution the first of k^3 */
  struct pt_mat wt; /* (out, in): g W */
  const float *bias;
  float *dw, *dbias; /* as the state_dict has them */
};

struct pt_train_norm {
  const float *gamma, *beta;
  float *dgamma, *dbeta;
  float *mean, *var; /* running statistics; NULL for LayerNorm */
};

struct pt_train_block {
  struct pt_train_linear conv, cpe, qkv, proj, fc1, fc2;
  struct pt_train_norm cpe_norm, norm1, norm2;
  const float *rpe; /* NULL without enable_rpe */
  float *drpe;
};

/* The head: a Linear layer whose inputs are the results of several stages side by side. */
struct pt_train_head {
  struct pt_mat w; /* (out_channels, classes) */
  const float *bias;
  struct pt_train_linear stage[PT_MAX_STAGES]; /* [pt_head_sources] the columns of the weight
                                                  that a stage's result meets: wt, dw (rows
                                                  out_channels apart); dbias with the first */
};

struct pt_pack; /* a matrix to be packed */

struct pt_train_weights {
  struct pt_param *param; /* [params], owned */
  int64_t params;
  int64_t *at;     /* [params] where each begins in value and grad, owned */
  int64_t numbers; /* of value and grad; each parameter takes whole cache lines */
  float *value;    /* [numbers], NULL where only sizes were asked for */
  float *grad;     /* [numbers], of buffers unused */
  char *packed;    /* [packed_bytes] */
  int64_t packed_bytes;
  struct pt_pack *pack; /* [packs] */
  int64_t packs;
  struct pt_train_block *block; /* of all stages, owned */
  struct pt_train_head head;
  struct pt_train_linear stem;
  struct pt_train_norm stem_norm;
  struct pt_train_block *enc[PT_MAX_STAGES], *dec[PT_MAX_STAGES]; /* [depth] */
  struct pt_train_linear down[PT_MAX_STAGES], up[PT_MAX_STAGES], skip[PT_MAX_STAGES];
  struct pt_train_norm down_norm[PT_MAX_STAGES], up_norm[PT_MAX_STAGES],
      skip_norm[PT_MAX_STAGES];
};

/* Fetches every parameter and packs. Memory of categories WEIGHTS and GRADIENTS. With fetch
 * NULL: sizes and shapes only, for planning. */
int pt_train_weights_build(struct pt_env *env, const struct pt_ptv3 *cfg, pt_fetch *fetch,
                           void *user, struct pt_train_weights *w, struct ptv3_error *err);

/* All gradients become 0. */
void pt_train_weights_clear(const struct pt_train_weights *w, int threads);

/* Packs all matrices again, after the values have changed. */
void pt_train_weights_pack(const struct pt_train_weights *w, int threads);

/* Bytes of values, gradients and packed copies. */
int64_t pt_train_weights_bytes(const struct pt_train_weights *w);

void pt_train_weights_free(struct pt_env *env, struct pt_train_weights *w);

#endif
