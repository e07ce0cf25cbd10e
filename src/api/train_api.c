/* train_api.c - the public training: ptv3_train.h's words turned into engine/trainer.h's. */
#include "ptv3_train.h"

#include "config_api.h"
#include "known_keys.h"
#include "trainer.h"

int ptv3_train(struct ptv3_context *ctx, const struct ptv3_config *config,
               const struct ptv3_train_options *options, struct ptv3_train_summary *summary,
               struct ptv3_error *err) {
  static const int precision[] = {-1, PT_F32, PT_BF16};
  if (summary) *summary = (struct ptv3_train_summary){0};
  if (!ctx || !config) return pt_api_null("ptv3_train", !ctx ? "ctx" : "config", err);
  const struct ptv3_train_options o = options ? *options : (struct ptv3_train_options){0};
  if (o.allow_missing_count < 0 || (o.allow_missing_count > 0 && !o.allow_missing))
    return pt_fail(err, PTV3_INVALID, "ptv3_train: %d patterns in allow_missing",
                   o.allow_missing_count);
  if (o.has_seed && o.seed < 0)
    return pt_fail(err, PTV3_INVALID, "ptv3_train: seed %lld is negative", (long long)o.seed);
  if ((int)o.precision < 0 || o.precision > PTV3_TRAIN_BF16)
    return pt_fail(err, PTV3_INVALID, "ptv3_train: no precision %d", (int)o.precision);
  if ((int)o.compat < 0 || o.compat > PTV3_COMPAT_AUTO)
    return pt_fail(err, PTV3_INVALID, "ptv3_train: no compat %d", (int)o.compat);
  const struct pt_train_options to = {.data_root = o.data_root,
                                      .save_path = o.save_path,
                                      .weight = o.weight,
                                      .resume = o.resume,
                                      .allow_missing = o.allow_missing,
                                      .allow_missing_count = o.allow_missing_count,
                                      .compat_151 = o.compat == PTV3_COMPAT_1_5_1,
                                      .compat_choose = o.compat == PTV3_COMPAT_AUTO,
                                      .precision = precision[o.precision],
                                      .seed = o.has_seed ? o.seed : -1,
                                      .skip_nan = o.skip_nan,
                                      .readers = o.readers > 0   ? o.readers
                                                 : o.readers < 0 ? 0
                                                                 : -1,
                                      .save_every = o.save_every,
                                      .stop_after = o.stop_after};
  struct pt_train_summary s;
  pt_warn_model_keys(ctx, config);
  pt_warn_root_keys(ctx, config);
  const int status = pt_train(&ctx->env, config->tree.root, &to, &s, err);
  if (summary)
    *summary = (struct ptv3_train_summary){s.steps,    s.epochs, s.skipped,    s.loss,
                                           s.miou,     s.best,   s.best_epoch, s.seconds,
                                           s.finished, s.saved,  s.unwritten};
  return status;
}
