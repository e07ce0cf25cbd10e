/* known_keys.c - see known_keys.h. The keys of `model` are ptv3_config.c's. */
#include "known_keys.h"

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

static const char *const data_keys[] = {"num_classes", "ignore_index", "names", "train",
                                        "test"};

static const char *const dataset_keys[] = {
    "type",       "split",         "data_root", "test_mode",       "test_cfg",
    "cache",      "loop",          "lr_file",   "ignore_index",    "learning_map",
    "la_file",    "sweeps",        "timestamp", "reference_label", "timing_embedding",
    "if_img",     "if_color",      "if_sweep",  "crop_h",          "crop_w",
    "use_camera", "interpolation", "patch_size"};

static void ignore(const struct pt_value *dict, const char *const *key, int64_t n) {
  for (int64_t i = 0; i < n; i++) pt_ignore(dict, key[i]);
}

void pt_warn_model_keys(struct ptv3_context *ctx, const struct ptv3_config *config) {
  const struct pt_value *model = pt_get(config->tree.root, "model");
  if (!pt_ptv3_know_keys(model)) return;
  pt_config_warn_unused(&ctx->env, model);
  pt_mark_used(model);
}

void pt_warn_train_keys(struct ptv3_context *ctx, const struct ptv3_config *config) {
  const struct pt_value *train = pt_get(pt_get(config->tree.root, "data"), "train");
  if (!pt_is_dict(train)) return;
  ignore(train, dataset_keys, COUNT(dataset_keys));
  pt_config_warn_unused(&ctx->env, train);
  pt_mark_used(train);
}

void pt_warn_root_keys(struct ptv3_context *ctx, const struct ptv3_config *config) {
  const struct pt_value *root = config->tree.root;
  ignore(root, root_keys, COUNT(root_keys));
  pt_ignore(root, "model");
  pt_ignore(root, "data");
  pt_config_warn_unused(&ctx->env, root);
  pt_mark_used(root);
}

void pt_warn_keys(struct ptv3_context *ctx, const struct ptv3_config *config) {
  const struct pt_value *root = config->tree.root, *data = pt_get(root, "data");
  ignore(root, root_keys, COUNT(root_keys));
  ignore(data, data_keys, COUNT(data_keys));
  ignore(pt_get(data, "val"), dataset_keys, COUNT(dataset_keys));
  pt_config_warn_unused(&ctx->env, root);
  pt_mark_used(root);
}
