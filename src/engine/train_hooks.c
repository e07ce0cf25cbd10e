/* train_hooks.c - the hooks of a configuration: those that say something about a training are
 * read, those whose work is done in any case are left alone, and those that would change what
 * comes out, and are not here, are refused. Source: pointcept/engines/hooks/. */
#include <string.h>

#include "config_keys.h"
#include "train_config.h"

typedef int read_fn(const struct pt_value *hook, struct pt_train_config *c,
                    struct ptv3_error *err);

static int read_saver(const struct pt_value *h, struct pt_train_config *c,
                      struct ptv3_error *err) {
  if (pt_is_none(pt_get(h, "save_freq"))) return PTV3_OK;
  return pt_get_int_in(h, "save_freq", 0, 1, INT32_MAX, &c->save_freq, err);
}

static int read_loader(const struct pt_value *h, struct pt_train_config *c,
                       struct ptv3_error *err) {
  int status = pt_get_str(h, "keywords", "", &c->rename_from, err);
  if (!status) status = pt_get_str(h, "replacement", c->rename_from, &c->rename_to, err);
  if (!status) status = pt_get_bool(h, "strict", false, &c->strict, err);
  return status;
}

static int read_timer(const struct pt_value *h, struct pt_train_config *c,
                      struct ptv3_error *err) {
  return pt_get_int_in(h, "warmup_iter", 1, 0, INT32_MAX, &c->warmup, err);
}

static int read_evaluator(const struct pt_value *h, struct pt_train_config *c,
                          struct ptv3_error *err) {
  return pt_get_bool(h, "write_cls_iou", false, &c->class_events, err);
}

static int read_precise(const struct pt_value *h, struct pt_train_config *c,
                        struct ptv3_error *err) {
  bool last;
  c->precise = true;
  return pt_get_bool(h, "test_last", false, &last, err);
}

static int refuse_decay(const struct pt_value *h, struct pt_train_config *c,
                        struct ptv3_error *err) {
  (void)c;
  return pt_fail_value(err, pt_get(h, "type"),
                       "a weight decay that changes with the steps is not computed here: leave "
                       "the hook out, weight_decay of the optimizer then holds throughout");
}

static int refuse_task(const struct pt_value *h, struct pt_train_config *c,
                       struct ptv3_error *err) {
  const char *type = "";
  (void)c;
  pt_get_str(h, "type", "", &type, NULL);
  return pt_fail_value(err, pt_get(h, "type"),
                       "'%.60s' scores another task; semantic segmentation is scored here, by "
                       "SemSegEvaluator",
                       type);
}

static const struct {
  const char *type, *keys;
  read_fn *read; /* NULL: nothing to do */
} hooks[] = {
    {"CheckpointLoader", "type keywords replacement strict ", read_loader},
    {"CheckpointSaver", "type save_freq ", read_saver},
    {"SemSegEvaluator", "type write_cls_iou ", read_evaluator},
    {"IterationTimer", "type warmup_iter ", read_timer},
    {"PreciseEvaluator", "type test_last ", read_precise},
    {"ModelHook", "type ", NULL},
    {"InformationWriter", "type ", NULL},
    {"GarbageHandler", "type interval disable_auto empty_cache ", NULL},
    {"DataCacheOperator", "type data_root split ", NULL},
    {"RuntimeProfiler", "type forward backward interrupt warm_up sort_by row_limit ", NULL},
    {"RuntimeProfilerV2", "type interrupt wait warmup active repeat sort_by row_limit ", NULL},
    {"WeightDecaySchedular", "type base_value final_value ", refuse_decay},
    {"ClsEvaluator", NULL, refuse_task},
    {"InsSegEvaluator", NULL, refuse_task},
    {"ShapeNetPartSegEvaluator", NULL, refuse_task},
    {"PartNetEPartSegEvaluator", NULL, refuse_task},
};
#define HOOKS (sizeof hooks / sizeof *hooks)

static int read_hook(const struct pt_value *h, struct pt_train_config *c,
                     struct ptv3_error *err) {
  const char *type;
  if (!pt_is_dict(h)) return pt_fail_value(err, h, "a dict with a 'type' is wanted");
  int status = pt_need_str(h, "type", &type, err);
  if (status) return status;
  for (size_t k = 0; k < HOOKS; k++) {
    if (strcmp(hooks[k].type, type) != 0) continue;
    if (hooks[k].keys) status = pt_check_keys(h, type, hooks[k].keys, err);
    return status || !hooks[k].read ? status : hooks[k].read(h, c, err);
  }
  return pt_fail_value(err, pt_get(h, "type"),
                       "'%.60s': no hook that is known here, and what it would do is not done: "
                       "leave it out",
                       type);
}

int pt_train_hooks_read(const struct pt_value *root, struct pt_train_config *c,
                        struct ptv3_error *err) {
  const struct pt_value *list = pt_get(root, "hooks");
  int status = PTV3_OK;
  c->warmup = 1;
  c->rename_from = c->rename_to = "";
  if (pt_is_none(list)) return PTV3_OK;
  if (!pt_is_seq(list)) return pt_fail_value(err, list, "a list of dicts is wanted");
  for (int64_t i = 0; i < pt_len(list) && !status; i++)
    status = read_hook(pt_item(list, i), c, err);
  return status;
}
