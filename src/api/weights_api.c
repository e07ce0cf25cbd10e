/* weights_api.c - public weights: reading, looking, writing. Untrained ones are made in
 * weights_random.c. */
#include "weights_api.h"

#include <stdio.h>
#include <string.h>

#include "guess.h"

int ptv3_weights_load(struct ptv3_context *ctx, const char *path, struct ptv3_weights **out,
                      struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!ctx || !path || !out)
    return pt_api_null("ptv3_weights_load", !ctx ? "ctx" : !path ? "path" : "out", err);
  struct ptv3_error inner = {0};
  struct pt_mem *mem = pt_ctx_mem(ctx);
  struct ptv3_weights *w = pt_zalloc(mem, 1, sizeof *w, PT_MEM_WEIGHTS, &inner);
  int status = w ? pt_tensors_open(&w->set, mem, path, &inner) : inner.status;
  if (status) {
    pt_free(mem, w);
    if (err) *err = inner;
    return status;
  }
  w->ctx = ctx;
  *out = w;
  return PTV3_OK;
}

void ptv3_weights_free(struct ptv3_weights *weights) {
  if (!weights) return;
  struct pt_mem *mem = pt_ctx_mem(weights->ctx);
  pt_tensors_free(&weights->set);
  pt_free(mem, weights);
}

int64_t ptv3_weights_count(const struct ptv3_weights *weights) { return weights->set.count; }

bool ptv3_weights_tensor(const struct ptv3_weights *weights, int64_t index,
                         struct ptv3_tensor_info *info) {
  if (index < 0 || index >= weights->set.count) return false;
  const struct pt_tensor *t = &weights->set.item[index];
  *info = (struct ptv3_tensor_info){.name = t->name,
                                    .type = pt_dtype(t->type)->safetensors,
                                    .dims = t->ndim,
                                    .bytes = t->count * pt_dtype(t->type)->bytes};
  for (int d = 0; d < t->ndim && d < PTV3_MAX_DIMS; d++) info->shape[d] = t->shape[d];
  return true;
}
_Static_assert(PTV3_MAX_DIMS == PT_TENSOR_DIMS, "as many dimensions outside as inside");

static bool ends(const char *name, const char *tail) {
  size_t n = strlen(name), m = strlen(tail);
  return n >= m && strcmp(name + n - m, tail) == 0;
}

static bool is_buffer(const char *name) {
  return ends(name, ".running_mean") || ends(name, ".running_var") ||
         ends(name, ".num_batches_tracked");
}

void ptv3_weights_get_info(const struct ptv3_weights *weights, struct ptv3_weights_info *info) {
  const struct pt_tensors *t = &weights->set;
  *info = (struct ptv3_weights_info){.format = pt_tensors_format_text(t->format),
                                     .tensors = t->count,
                                     .has_epoch = t->has_epoch,
                                     .epoch = t->epoch,
                                     .has_best = t->has_best,
                                     .best = t->best};
  for (int64_t i = 0; i < t->count; i++)
    if (!is_buffer(t->item[i].name)) info->parameters += t->item[i].count;
}

bool ptv3_weights_guess(const struct ptv3_weights *weights, struct ptv3_model_guess *guess) {
  struct pt_ptv3 cfg;
  if (!pt_guess(&weights->set, &cfg)) return false;
  *guess = (struct ptv3_model_guess){.in_channels = cfg.in_channels,
                                     .classes = cfg.classes,
                                     .stages = cfg.stages,
                                     .mlp_ratio = cfg.mlp_ratio,
                                     .qkv_bias = cfg.qkv_bias,
                                     .enable_rpe = cfg.enable_rpe,
                                     .enc_mode = cfg.enc_mode};
  for (int s = 0; s < cfg.stages; s++) {
    guess->enc_depths[s] = cfg.enc[s].depth;
    guess->enc_channels[s] = cfg.enc[s].channels;
    guess->enc_num_head[s] = cfg.enc[s].heads;
    guess->dec_depths[s] = cfg.dec[s].depth;
    guess->dec_channels[s] = cfg.dec[s].channels;
    guess->dec_num_head[s] = cfg.dec[s].heads;
  }
  return true;
}
_Static_assert(PT_MAX_STAGES <= PTV3_MAX_STAGES, "as many stages outside as inside");

static int type_of(const char *type, struct pt_tensors_write *w, struct ptv3_error *err) {
  static const enum pt_dtype known[] = {PT_F32, PT_F16, PT_BF16, PT_F64};
  if (!type) return PTV3_OK;
  w->convert = true;
  for (int i = 0; i < 4; i++) {
    if (strcmp(pt_dtype(known[i])->safetensors, type) != 0) continue;
    w->type = known[i];
    return PTV3_OK;
  }
  return pt_fail(err, PTV3_INVALID, "weights cannot be stored as '%s': F32, F16, BF16 or F64",
                 type);
}

int ptv3_weights_save(struct ptv3_context *ctx, struct ptv3_weights *weights, const char *type,
                      const char *path, struct ptv3_error *err) {
  if (!ctx || !weights || !path)
    return pt_api_null("ptv3_weights_save", !ctx ? "ctx" : !weights ? "weights" : "path", err);
  struct pt_tensors_write how = {0};
  int status = type_of(type, &how, err);
  if (status) return status;
  char extension[16];
  pt_extension(path, extension);
  if (strcmp(extension, "safetensors") == 0)
    return pt_tensors_write_safetensors(&weights->set, path, &how, err);
  if (strcmp(extension, "pth") == 0 || strcmp(extension, "pt") == 0)
    return pt_tensors_write_pth(&weights->set, path, &how, err);
  return pt_fail(err, PTV3_UNSUPPORTED,
                 "cannot tell how to write '%s': name it .safetensors or .pth", path);
}
