/* ptv3_config.c - from a configuration's `model` dict to struct pt_ptv3; see ptv3_config.h.
 * Defaults are those of Pointcept's PointTransformerV3.__init__. */
#include "ptv3_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

static const char SEGMENTOR[] = "DefaultSegmentorV2", BACKBONE[] = "PT-v3m1";

int pt_rpe_bound(int patch) { return (int)(pow(4.0 * patch, 1.0 / 3.0) * 2); }

/* ---- per-stage tuples ---- */

struct tuple {
  int64_t v[PT_MAX_STAGES];
  int64_t n;
};

/* A tuple of `want` integers >= least (any length up to PT_MAX_STAGES if want is 0). */
static int get_tuple(const struct pt_value *d, const char *key, struct tuple def, int64_t want,
                     int64_t least, struct tuple *t, struct ptv3_error *err) {
  *t = def;
  int64_t n = 0;
  int status = pt_get_ints(d, key, 1, PT_MAX_STAGES, t->v, &n, err);
  if (status) return status;
  if (n) t->n = n;
  const struct pt_value *at = pt_get(d, key);
  if (!at) at = d;
  if (want && t->n != want)
    return pt_fail_value(err, at,
                         "'%s' has %lld entries, %lld are needed: enc_depths has %lld stages",
                         key, (long long)t->n, (long long)want,
                         (long long)(strncmp(key, "enc", 3) == 0 ? want : want + 1));
  for (int64_t i = 0; i < t->n; i++)
    if (t->v[i] < least || t->v[i] > 1 << 20)
      return pt_fail_value(err, at, "'%s' has %lld at place %lld, at least %lld is needed", key,
                           (long long)t->v[i], (long long)i, (long long)least);
  return PTV3_OK;
}

/* One side of the network: <side>_depths, _channels, _num_head, _patch_size. */
static int get_side(const struct pt_value *d, const char *side, const struct tuple def[4],
                    int64_t want, struct pt_ptv3_stage *stage, int64_t *stages,
                    struct ptv3_error *err) {
  static const char *const what[4] = {"depths", "channels", "num_head", "patch_size"};
  struct tuple t[4];
  for (int i = 0; i < 4; i++) {
    char key[32];
    snprintf(key, sizeof key, "%s_%s", side, what[i]);
    int status = get_tuple(d, key, def[i], want, i > 0, &t[i], err);
    if (status) return status;
    if (!want) want = t[i].n;
  }
  for (int64_t s = 0; s < want; s++) {
    stage[s] =
        (struct pt_ptv3_stage){(int)t[0].v[s], (int)t[1].v[s], (int)t[2].v[s], (int)t[3].v[s]};
    if (stage[s].channels % stage[s].heads)
      return pt_fail_value(err, d,
                           "stage %lld: %s_num_head = %d does not divide %s_channels = %d",
                           (long long)s, side, stage[s].heads, side, stage[s].channels);
  }
  *stages = want;
  return PTV3_OK;
}

static int get_stages(const struct pt_value *d, struct pt_ptv3 *cfg, struct ptv3_error *err) {
  static const struct tuple enc[4] = {{{2, 2, 2, 6, 2}, 5},
                                      {{32, 64, 128, 256, 512}, 5},
                                      {{2, 4, 8, 16, 32}, 5},
                                      {{48, 48, 48, 48, 48}, 5}},
                            dec[4] = {{{2, 2, 2, 2}, 4},
                                      {{64, 64, 128, 256}, 4},
                                      {{4, 4, 8, 16}, 4},
                                      {{48, 48, 48, 48}, 4}},
                            stride = {{2, 2, 2, 2}, 4};
  int64_t stages, n;
  int status = get_side(d, "enc", enc, 0, cfg->enc, &stages, err);
  if (status) return status;
  cfg->stages = (int)stages;
  if (!cfg->enc_mode && stages > 1)
    status = get_side(d, "dec", dec, stages - 1, cfg->dec, &n, err);
  struct tuple t = {{0}, 0};
  if (!status && stages > 1) status = get_tuple(d, "stride", stride, stages - 1, 1, &t, err);
  for (int64_t s = 0; s < t.n && !status; s++) {
    cfg->stride[s] = (int)t.v[s];
    if (t.v[s] & (t.v[s] - 1))
      status = pt_fail_value(err, pt_get(d, "stride"), "stride %d is not a power of two",
                             cfg->stride[s]);
  }
  return status;
}

/* ---- the rest ---- */

static int get_orders(const struct pt_value *d, struct pt_ptv3 *cfg, struct ptv3_error *err) {
  const struct pt_value *v = pt_get(d, "order");
  int64_t n = pt_is_none(v) ? 2 : pt_is_seq(v) ? pt_len(v) : 1;
  if (n < 1 || n > PT_MAX_ORDERS)
    return pt_fail_value(err, v, "%lld orders: 1 to %d are possible", (long long)n,
                         PT_MAX_ORDERS);
  cfg->orders = (int)n;
  cfg->curve[0] = PT_Z, cfg->curve[1] = PT_Z_TRANS;
  for (int64_t i = 0; i < n && !pt_is_none(v); i++) {
    const char *name;
    int status = pt_as_str(pt_is_seq(v) ? pt_item(v, i) : v, &name, err);
    if (status) return status;
    cfg->curve[i] = pt_curve_by_name(name);
    if (cfg->curve[i] < 0)
      return pt_fail_value(err, v,
                           "order '%s' is not one of z, z-trans, hilbert, hilbert-trans", name);
  }
  return PTV3_OK;
}

static int get_flags(const struct pt_value *d, struct pt_ptv3 *cfg, struct ptv3_error *err) {
  bool upcast_attention, upcast_softmax, pdnorm_bn, pdnorm_ln;
  const struct {
    const char *key;
    bool def, *out;
  } flag[] = {{"qkv_bias", true, &cfg->qkv_bias},
              {"pre_norm", true, &cfg->pre_norm},
              {"shuffle_orders", true, &cfg->shuffle_orders},
              {"enable_rpe", false, &cfg->enable_rpe},
              {"enable_flash", true, &cfg->enable_flash},
              {"enc_mode", false, &cfg->enc_mode},
              {"upcast_attention", false, &upcast_attention},
              {"upcast_softmax", false, &upcast_softmax},
              {"pdnorm_bn", false, &pdnorm_bn},
              {"pdnorm_ln", false, &pdnorm_ln}};
  for (size_t i = 0; i < sizeof flag / sizeof *flag; i++) {
    int status = pt_get_bool(d, flag[i].key, flag[i].def, flag[i].out, err);
    if (status) return status;
  }
  if (pdnorm_bn || pdnorm_ln) {
    pt_fail_value(err, pt_get(d, pdnorm_bn ? "pdnorm_bn" : "pdnorm_ln"),
                  "PDNorm (models of Point Prompt Training) is not supported");
    return err->status = PTV3_UNSUPPORTED;
  }
  if (cfg->enable_flash && (cfg->enable_rpe || upcast_attention || upcast_softmax))
    return pt_fail_value(err, pt_get(d, "enable_flash"),
                         "enable_flash=True excludes enable_rpe, upcast_attention and "
                         "upcast_softmax: set them or enable_flash to False");
  return PTV3_OK;
}

bool pt_ptv3_know_keys(const struct pt_value *model) {
  static const char *const of_model[] = {"type", "num_classes", "backbone_out_channels",
                                         "criteria", "freeze_backbone"};
  static const char *const of_backbone[] = {"type",
                                            "in_channels",
                                            "order",
                                            "stride",
                                            "enc_depths",
                                            "enc_channels",
                                            "enc_num_head",
                                            "enc_patch_size",
                                            "dec_depths",
                                            "dec_channels",
                                            "dec_num_head",
                                            "dec_patch_size",
                                            "mlp_ratio",
                                            "qkv_bias",
                                            "qk_scale",
                                            "attn_drop",
                                            "proj_drop",
                                            "drop_path",
                                            "pre_norm",
                                            "shuffle_orders",
                                            "enable_rpe",
                                            "enable_flash",
                                            "upcast_attention",
                                            "upcast_softmax",
                                            "enc_mode",
                                            "pdnorm_bn",
                                            "pdnorm_ln",
                                            "pdnorm_decouple",
                                            "pdnorm_adaptive",
                                            "pdnorm_affine",
                                            "pdnorm_conditions"};
  const struct pt_value *backbone = pt_get(model, "backbone");
  const char *type, *of;
  if (pt_need_str(model, "type", &type, NULL) || strcmp(type, SEGMENTOR) != 0 ||
      pt_need_str(backbone, "type", &of, NULL) || strcmp(of, BACKBONE) != 0)
    return false;
  for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++) pt_ignore(model, of_model[i]);
  for (size_t i = 0; i < sizeof of_backbone / sizeof *of_backbone; i++)
    pt_ignore(backbone, of_backbone[i]);
  return true;
}

static int check_patches(const struct pt_value *d, const struct pt_ptv3 *cfg,
                         struct ptv3_error *err) {
  for (int s = 0; s < cfg->stages - 1 && !cfg->enc_mode && !cfg->enable_flash; s++)
    if (cfg->enc[s].depth && cfg->dec[s].depth && cfg->enc[s].patch != cfg->dec[s].patch)
      return pt_fail_value(
          err, d,
          "stage %d: enc_patch_size = %d and dec_patch_size = %d must be equal "
          "without flash attention (Pointcept cuts a stage once)",
          s, cfg->enc[s].patch, cfg->dec[s].patch);
  return PTV3_OK;
}

static int check_hidden(const struct pt_value *d, const struct pt_ptv3 *cfg,
                        struct ptv3_error *err) {
  for (int s = 0; s < cfg->stages; s++)
    if (cfg->enc[s].channels * cfg->mlp_ratio < 1 || cfg->mlp_ratio > 1024)
      return pt_fail_value(err, d, "mlp_ratio = %g leaves no hidden channels or far too many",
                           cfg->mlp_ratio);
  return PTV3_OK;
}

static int get_drops(const struct pt_value *d, struct pt_ptv3 *cfg, struct ptv3_error *err) {
  const struct {
    const char *key;
    double def, *out;
  } drop[] = {{"drop_path", 0.3, &cfg->drop_path},
              {"proj_drop", 0, &cfg->proj_drop},
              {"attn_drop", 0, &cfg->attn_drop}};
  for (size_t i = 0; i < sizeof drop / sizeof *drop; i++) {
    int status = pt_get_double(d, drop[i].key, drop[i].def, drop[i].out, err);
    if (status) return status;
    if (!(*drop[i].out >= 0 && *drop[i].out < 1))
      return pt_fail_value(err, pt_get(d, drop[i].key),
                           "%s = %g is no chance from 0 to below 1", drop[i].key, *drop[i].out);
  }
  return PTV3_OK;
}

static int get_backbone(const struct pt_value *d, struct pt_ptv3 *cfg, struct ptv3_error *err) {
  const char *type;
  int64_t in;
  int status = pt_need_str(d, "type", &type, err);
  if (status) return status;
  if (strcmp(type, BACKBONE) != 0) {
    pt_fail_value(err, pt_get(d, "type"), "backbone '%s' is not supported: PT-v3m1 is", type);
    return err->status = PTV3_UNSUPPORTED;
  }
  if ((status = pt_get_int_in(d, "in_channels", 6, 1, 4096, &in, err)) ||
      (status = get_orders(d, cfg, err)) || (status = get_flags(d, cfg, err)) ||
      (status = get_stages(d, cfg, err)) ||
      (status = pt_get_double(d, "mlp_ratio", 4, &cfg->mlp_ratio, err)) ||
      (status = pt_get_double(d, "qk_scale", 0, &cfg->qk_scale, err)) ||
      (status = get_drops(d, cfg, err)) || (status = check_patches(d, cfg, err)))
    return status;
  cfg->in_channels = (int)in;
  return check_hidden(d, cfg, err);
}

int pt_ptv3_from_value(const struct pt_value *model, struct pt_ptv3 *cfg,
                       struct ptv3_error *err) {
  struct ptv3_error unused;
  const char *type;
  int64_t classes, out;
  if (!err) err = &unused;
  *cfg = (struct pt_ptv3){0};
  int status = pt_need_str(model, "type", &type, err);
  if (status) return status;
  if (strcmp(type, SEGMENTOR) != 0) {
    pt_fail_value(err, pt_get(model, "type"),
                  "model '%s' is not supported: DefaultSegmentorV2 is", type);
    return err->status = PTV3_UNSUPPORTED;
  }
  const struct pt_value *backbone = pt_need_dict(model, "backbone", err);
  if (!backbone) return err->status;
  if ((status = get_backbone(backbone, cfg, err)) ||
      (status = pt_need_int(model, "num_classes", &classes, err)) ||
      (status = pt_need_int(model, "backbone_out_channels", &out, err)) ||
      (status = pt_get_bool(model, "freeze_backbone", false, &cfg->freeze_backbone, err)))
    return status;
  if (classes < 1 || classes > 65535)
    return pt_fail_value(err, pt_get(model, "num_classes"), "num_classes = %lld: 1 to 65535",
                         (long long)classes);
  cfg->classes = (int)classes;
  int want = cfg->enc_mode || cfg->stages == 1 ? 0 : cfg->dec[0].channels;
  for (int s = 0; s < cfg->stages && (cfg->enc_mode || cfg->stages == 1); s++)
    want += cfg->enc[s].channels;
  if (out != want)
    return pt_fail_value(err, pt_get(model, "backbone_out_channels"),
                         "backbone_out_channels = %lld, but the backbone gives %d%s",
                         (long long)out, want, cfg->enc_mode ? " (enc_mode: all stages)" : "");
  cfg->out_channels = want;
  pt_ptv3_know_keys(model);
  return PTV3_OK;
}
