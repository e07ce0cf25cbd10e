/* ptv3_config.h - the network's configuration, checked: backbone PT-v3m1 under
 * DefaultSegmentorV2. Names are Pointcept's. */
#ifndef PT_PTV3_CONFIG_H
#define PT_PTV3_CONFIG_H

#include <stdbool.h>

#include "dtype.h"
#include "structure.h"

struct pt_ptv3_stage {
  int depth; /* blocks */
  int channels;
  int heads;
  int patch; /* patch_size */
};

struct pt_ptv3 {
  int in_channels;
  int orders;
  int curve[PT_MAX_ORDERS]; /* enum pt_curve */
  int stages;
  int stride[PT_MAX_STAGES];               /* [stages - 1] */
  struct pt_ptv3_stage enc[PT_MAX_STAGES]; /* [stages] */
  struct pt_ptv3_stage dec[PT_MAX_STAGES]; /* [stages - 1], none with enc_mode */
  double mlp_ratio;
  bool qkv_bias, pre_norm, enable_rpe, enable_flash, enc_mode, shuffle_orders;
  bool freeze_backbone; /* training: its parameters stay, statistics of BatchNorm do not */
  double qk_scale;      /* 0: (channels / heads)^-0.5 */
  double drop_path, proj_drop, attn_drop; /* chances, of training alone */
  /* How it is computed, which is not the configuration's to say: */
  enum pt_dtype type; /* storage of features: PT_F32 or PT_BF16 */
  enum pt_dtype mat;  /* of weight matrices: what the kernels want for such features */
  bool compat_151;    /* weights of Pointcept 1.5.1: see docs/guide.md */
  int classes;
  int out_channels; /* backbone_out_channels: what the head takes */
};

/* Half the width of the relative position table: int((4 * patch_size)^(1/3) * 2) as Python
 * computes it in double, where the root of a perfect cube comes out just below: 1024 -> 31.
 * Source: Pointcept RPE.pos_bnd. */
int pt_rpe_bound(int patch);

/* Whether the convolution of a block sees the MLP's branch of the block before, not the sum:
 * in Pointcept 1.5.1 the sparse tensor keeps what was last put into it, which is the branch,
 * and with post-norm the sum after its norm. */
static inline bool pt_conv_sees_branch(const struct pt_ptv3 *cfg) {
  return cfg->compat_151 && cfg->pre_norm;
}

/* The stages that the head sees side by side: with enc_mode all of the encoder, else the finest
 * one; and how many channels it sees of a stage. */
static inline int pt_head_sources(const struct pt_ptv3 *cfg) {
  return cfg->enc_mode ? cfg->stages : 1;
}
static inline int pt_head_channels(const struct pt_ptv3 *cfg, int stage) {
  return cfg->enc_mode ? cfg->enc[stage].channels : cfg->out_channels;
}

struct pt_value;

/* Reads the `model` dict of a configuration: { type = "DefaultSegmentorV2", backbone = {type
 * = "PT-v3m1", ...}, num_classes, backbone_out_channels }. Fills in Pointcept's defaults,
 * checks lengths, divisibility and what is not supported.
 * Errors: PTV3_CONFIG, PTV3_UNSUPPORTED, each with the place in the file. */
int pt_ptv3_from_value(const struct pt_value *model, struct pt_ptv3 *cfg,
                       struct ptv3_error *err);

/* Marks the keys of `model` that Pointcept's classes take as used, those that only training
 * reads too; false: the types are not those above, and nothing is known of their keys. */
bool pt_ptv3_know_keys(const struct pt_value *model);

#endif
