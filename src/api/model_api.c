/* model_api.c - public models: a configuration's network with the weights in it, and the
 * transforms that clouds go through on their way in. */
#include "model_api.h"

#include <stdio.h>
#include <string.h>

#include "config_api.h"
#include "known_keys.h"
#include "match.h"
#include "weights_api.h"

/* ---- what the configuration says besides the network ---- */

/* data.names: a name a class, or none at all. */
static int read_names(struct ptv3_model *m, struct ptv3_error *err) {
  const struct pt_value *data = pt_get(m->root, "data"), *list = pt_get(data, "names");
  int64_t classes;
  int st = pt_get_int(data, "num_classes", m->net.cfg.classes, &classes, err);
  if (st) return st;
  if (classes != m->net.cfg.classes)
    return pt_fail_value(err, pt_get(data, "num_classes"),
                         "is %lld, but model.num_classes is %d: make them equal",
                         (long long)classes, m->net.cfg.classes);
  if (!list || pt_is_none(list)) return PTV3_OK;
  if (pt_len(list) != m->net.cfg.classes)
    return pt_fail_value(err, list,
                         "has %lld names, but model.num_classes is %d: one name a class",
                         (long long)pt_len(list), m->net.cfg.classes);
  m->class_name = pt_zalloc(pt_ctx_mem(m->ctx), m->net.cfg.classes, sizeof *m->class_name,
                            PT_MEM_OTHER, err);
  if (!m->class_name) return err->status;
  for (int c = 0; c < m->net.cfg.classes; c++) {
    int status = pt_as_str(pt_item(list, c), &m->class_name[c], err);
    if (status) return status;
  }
  return PTV3_OK;
}

static int read_las_codes(struct ptv3_model *m, struct ptv3_error *err) {
  const struct pt_value *list = pt_get(m->root, "las_codes");
  if (!list || pt_is_none(list)) return PTV3_OK;
  if (pt_len(list) != m->net.cfg.classes)
    return pt_fail_value(err, list, "is to be a list of %d numbers, one a class",
                         m->net.cfg.classes);
  m->las_code = pt_alloc(pt_ctx_mem(m->ctx), m->net.cfg.classes, 1, PT_MEM_OTHER, err);
  if (!m->las_code) return err->status;
  for (int c = 0; c < m->net.cfg.classes; c++) {
    int64_t code;
    int status = pt_as_int(pt_item(list, c), &code, err);
    if (status) return status;
    if (code < 0 || code > 255)
      return pt_fail_value(err, pt_item(list, c), "a LAS classification is 0 to 255");
    m->las_code[c] = (uint8_t)code;
  }
  return PTV3_OK;
}

static void write_needs(struct ptv3_model *m) {
  size_t used = 0;
  for (int i = 0; i < m->needs && used < sizeof m->needs_text; i++)
    used += (size_t)snprintf(m->needs_text + used, sizeof m->needs_text - used, "%s%s",
                             i ? "," : "", m->need[i]);
}

static int read_transforms(struct ptv3_model *m, struct ptv3_error *err) {
  const struct pt_value *data = pt_need_dict(m->root, "data", err);
  if (!data) return err->status;
  const struct pt_value *val = pt_need_dict(data, "val", err);
  if (!val) return err->status;
  int status =
      pt_pipeline_parse(&m->pipeline, pt_ctx_mem(m->ctx), pt_get(val, "transform"), err);
  if (!status) status = pt_pipeline_check_width(&m->pipeline, m->net.cfg.in_channels, err);
  if (status) return status;
  m->needs = pt_pipeline_needs(&m->pipeline, m->need, PT_NEEDS);
  if (m->needs > PT_NEEDS) m->needs = PT_NEEDS;
  write_needs(m);
  return PTV3_OK;
}

/* ---- the network ---- */

static int load_weights(struct ptv3_model *m, const struct ptv3_weights *weights,
                        const struct ptv3_model_options *o, struct ptv3_error *err) {
  struct pt_env *env = &m->ctx->env;
  struct pt_match match = {0};
  int status = pt_match_build(env, &m->net.cfg, &weights->set, o->allow_missing,
                              o->allow_missing_count, &match, err);
  if (!status)
    status = pt_weights_build(env, &m->net.cfg, pt_match_fetch, &match, &m->net.w, err);
  for (int64_t i = 0; !status && i < match.params; i++)
    if (!match.param[i].buffer) m->parameters += match.param[i].size;
  pt_match_free(&match);
  return status;
}

static int build(struct ptv3_model *m, const struct ptv3_config *config,
                 const struct ptv3_weights *weights, const struct ptv3_model_options *o,
                 struct ptv3_error *err) {
  const struct pt_value *model = pt_need_dict(m->root, "model", err);
  if (!model) return err->status;
  int status = pt_ptv3_from_value(model, &m->net.cfg, err);
  if (status) return status;
  m->net.cfg.compat_151 = o->compat == PTV3_COMPAT_1_5_1;
  m->compat.done = o->compat == PTV3_COMPAT_1_5_1;
  m->compat.choose = o->compat == PTV3_COMPAT_AUTO;
  m->net.kernels = pt_kernel_table(NULL);
  if (!m->net.kernels)
    return pt_fail(err, PTV3_INVALID,
                   "PTV3_KERNELS names kernels that this build or processor does not have");
  m->net.cfg.type = o->precision == PTV3_PRECISION_BF16 ? PT_BF16 : PT_F32;
  m->net.cfg.mat = pt_kernels_mat(m->net.kernels, m->net.cfg.type);
  status = read_transforms(m, err);
  if (!status) status = read_names(m, err);
  if (!status) status = read_las_codes(m, err);
  if (o->grid_size > 0) pt_pipeline_set_grid_size(&m->pipeline, o->grid_size);
  if (!status) pt_warn_keys(m->ctx, config);
  if (!status && !weights)
    status = pt_weights_sizes(&m->ctx->env, &m->net.cfg, &m->net.w, err);
  else if (!status)
    status = load_weights(m, weights, o, err);
  return status;
}

int ptv3_model_create(struct ptv3_context *ctx, const struct ptv3_config *config,
                      const struct ptv3_weights *weights,
                      const struct ptv3_model_options *options, struct ptv3_model **out,
                      struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!ctx || !config || !out)
    return pt_api_null("ptv3_model_create", !ctx ? "ctx" : !config ? "config" : "out", err);
  struct ptv3_error inner = {0};
  struct ptv3_model_options o = options ? *options : (struct ptv3_model_options){0};
  if (o.allow_missing_count < 0 || (o.allow_missing_count > 0 && !o.allow_missing))
    return pt_fail(err, PTV3_INVALID, "ptv3_model_create: %d patterns in allow_missing",
                   o.allow_missing_count);
  if (o.compat != PTV3_COMPAT_CURRENT && o.compat != PTV3_COMPAT_1_5_1 &&
      o.compat != PTV3_COMPAT_AUTO)
    return pt_fail(err, PTV3_INVALID, "ptv3_model_create: no compat %d", (int)o.compat);
  struct ptv3_model *m = pt_zalloc(pt_ctx_mem(ctx), 1, sizeof *m, PT_MEM_WEIGHTS, &inner);
  int status = inner.status;
  if (m) {
    m->ctx = ctx;
    m->root = config->tree.root;
    pt_warn_model_keys(ctx, config);
    status = build(m, config, weights, &o, &inner);
  }
  if (status) {
    ptv3_model_free(m);
    if (err) *err = inner;
    return status;
  }
  *out = m;
  return PTV3_OK;
}

void ptv3_model_free(struct ptv3_model *model) {
  if (!model) return;
  struct pt_mem *mem = pt_ctx_mem(model->ctx);
  pt_weights_free(&model->ctx->env, &model->net.w);
  pt_pipeline_free(&model->pipeline);
  pt_free(mem, model->class_name);
  pt_free(mem, model->las_code);
  pt_free(mem, model);
}

void ptv3_model_get_info(const struct ptv3_model *model, struct ptv3_model_info *info) {
  const struct pt_ptv3 *cfg = &model->net.cfg;
  *info = (struct ptv3_model_info){.classes = cfg->classes,
                                   .channels = cfg->in_channels,
                                   .stages = cfg->stages,
                                   .parameters = model->parameters,
                                   .grid_size = pt_pipeline_grid_size(&model->pipeline),
                                   .needs = model->needs_text,
                                   .class_name = (const char *const *)model->class_name,
                                   .las_code = model->las_code};
}
