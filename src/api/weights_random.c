/* weights_random.c - untrained weights for the network of a configuration, as tensors in
 * memory. What each starts as is model/init.h's. */
#include "config_api.h"
#include "init.h"
#include "known_keys.h"
#include "params.h"
#include "weights_api.h"

static int add_param(struct ptv3_weights *w, const struct pt_param *param, int64_t i,
                     uint64_t seed, struct ptv3_error *err) {
  const struct pt_param *p = &param[i];
  if (p->dims == 0) return PTV3_OK; /* num_batches_tracked: may always be absent */
  float *data = pt_alloc(w->set.mem, p->size, sizeof *data, PT_MEM_WEIGHTS, err);
  if (!data) return err->status;
  int status = pt_tensors_own(&w->set, data, err);
  if (status) return status; /* data is freed by then */
  pt_param_init(p, pt_param_fan(param, i), seed, data);
  return pt_tensors_add(&w->set, p->name, PT_F32, p->dims, p->shape, data, err);
}

static int fill(struct ptv3_weights *w, const struct ptv3_config *config, uint64_t seed,
                struct ptv3_error *err) {
  struct pt_ptv3 cfg;
  struct pt_param *param = NULL;
  int64_t count = 0;
  const struct pt_value *model = pt_need_dict(config->tree.root, "model", err);
  if (!model) return err->status;
  int status = pt_ptv3_from_value(model, &cfg, err);
  if (!status) status = pt_ptv3_params(w->set.mem, &cfg, &param, &count, err);
  for (int64_t i = 0; !status && i < count; i++) status = add_param(w, param, i, seed, err);
  pt_free(w->set.mem, param);
  return status;
}

int ptv3_weights_random(struct ptv3_context *ctx, const struct ptv3_config *config,
                        uint64_t seed, struct ptv3_weights **out, struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!ctx || !config || !out)
    return pt_api_null("ptv3_weights_random", !ctx ? "ctx" : !config ? "config" : "out", err);
  struct ptv3_error inner = {0};
  struct pt_mem *mem = pt_ctx_mem(ctx);
  struct ptv3_weights *w = pt_zalloc(mem, 1, sizeof *w, PT_MEM_WEIGHTS, &inner);
  int status = inner.status;
  if (w) {
    w->ctx = ctx;
    pt_warn_model_keys(ctx, config);
    pt_tensors_init(&w->set, mem);
    status = fill(w, config, seed, &inner);
  }
  if (status) {
    ptv3_weights_free(w);
    if (err) *err = inner;
    return status;
  }
  *out = w;
  return PTV3_OK;
}
