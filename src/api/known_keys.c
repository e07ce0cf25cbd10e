/* known_keys.c - see known_keys.h. The keys of `model` are ptv3_config.c's, those of `data`
 * data_keys.c's. */
#include "known_keys.h"

#include "data_keys.h"
#include "ptv3_config.h"

#define COUNT(a) ((int64_t)(sizeof(a) / sizeof *(a)))

static const char *const root_keys[] = {
    "weight",         "resume",        "evaluate",
    "test_only",      "seed",          "save_path",
    "num_worker",     "batch_size",    "batch_size_val",
    "epoch",          "eval_epoch",    "batch_size_test",
    "clip_grad",      "sync_bn",       "enable_amp",
    "amp_dtype",      "empty_cache",   "empty_cache_per_epoch",
    "enable_wandb",   "wandb_project", "find_unused_parameters",
    "wandb_key",      "mix_prob",      "gradient_accumulation_steps",
    "param_dicts",    "hooks",         "train",
    "test",           "optimizer",     "scheduler",
    "custom_imports", "las_codes",     "learning_map"};

static void ignore(const struct pt_value *dict, const char *const *key, int64_t n) {
  for (int64_t i = 0; i < n; i++) pt_ignore(dict, key[i]);
}

void pt_warn_model_keys(struct ptv3_context *ctx, const struct ptv3_config *config) {
  const struct pt_value *model = pt_get(config->tree.root, "model");
  if (!pt_ptv3_know_keys(model)) return;
  pt_config_warn_unused(&ctx->env, model);
  pt_mark_used(model);
}

void pt_warn_root_keys(struct ptv3_context *ctx, const struct ptv3_config *config) {
  const struct pt_value *root = config->tree.root;
  ignore(root, root_keys, COUNT(root_keys));
  pt_ignore(root, "model");
  pt_data_keys_warn(&ctx->env, root, true);
  pt_config_warn_unused(&ctx->env, root);
  pt_mark_used(root);
}

void pt_warn_keys(struct ptv3_context *ctx, const struct ptv3_config *config) {
  const struct pt_value *root = config->tree.root;
  ignore(root, root_keys, COUNT(root_keys));
  pt_data_keys_warn(&ctx->env, root, false);
  pt_config_warn_unused(&ctx->env, root);
  pt_mark_used(root);
}
