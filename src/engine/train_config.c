/* train_config.c - see train_config.h. */
#include "train_config.h"

#include <string.h>

static int read_numbers(const struct pt_value *root, struct pt_train_config *c,
                        struct ptv3_error *err) {
  int64_t epoch;
  const struct {
    const char *key;
    int64_t def, lo, *out;
  } whole[] = {{"batch_size", 16, 1, &c->batch_size},
               {"epoch", 100, 1, &epoch},
               {"eval_epoch", 100, 1, &c->epochs},
               {"gradient_accumulation_steps", 1, 1, &c->accumulate}};
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    int status = pt_get_int_in(root, whole[i].key, whole[i].def, whole[i].lo, INT32_MAX,
                               whole[i].out, err);
    if (status) return status;
  }
  c->seed = -1;
  int status = PTV3_OK;
  if (!pt_is_none(pt_get(root, "seed")))
    status = pt_get_int_in(root, "seed", -1, 0, INT64_MAX, &c->seed, err);
  if (!status && !pt_is_none(pt_get(root, "clip_grad")))
    status = pt_get_double(root, "clip_grad", 0, &c->clip_grad, err);
  if (!status) status = pt_get_double(root, "mix_prob", 0, &c->mix_prob, err);
  if (status) return status;
  if (!(c->clip_grad >= 0))
    return pt_fail_value(err, pt_get(root, "clip_grad"), "clip_grad = %g is no norm",
                         c->clip_grad);
  if (!(c->mix_prob >= 0 && c->mix_prob <= 1))
    return pt_fail_value(err, pt_get(root, "mix_prob"), "mix_prob = %g is no probability",
                         c->mix_prob);
  return PTV3_OK;
}

static int read_words(const struct pt_value *root, struct pt_train_config *c,
                      struct ptv3_error *err) {
  const struct pt_value *weight = pt_get(root, "weight"), *path = pt_get(root, "save_path"),
                        *amp = pt_get(root, "amp_dtype");
  int status = pt_get_bool(root, "evaluate", true, &c->evaluate, err);
  if (!status) status = pt_get_bool(root, "resume", false, &c->resume, err);
  if (!status) status = pt_get_bool(root, "enable_amp", false, &c->amp, err);
  if (!status && weight && !pt_is_none(weight)) status = pt_as_str(weight, &c->weight, err);
  c->save_path = "exp/default";
  if (!status && path && !pt_is_none(path)) status = pt_as_str(path, &c->save_path, err);
  c->amp_dtype = "float16";
  if (!status && amp && !pt_is_none(amp)) status = pt_as_str(amp, &c->amp_dtype, err);
  if (!status && strcmp(c->amp_dtype, "float16") != 0 && strcmp(c->amp_dtype, "bfloat16") != 0)
    return pt_fail_value(err, amp, "amp_dtype '%s': float16 and bfloat16 are possible",
                         c->amp_dtype);
  return status;
}

/* train.type: what is not the usual trainer goes through the data in another way. */
static int read_trainer(const struct pt_value *root, struct ptv3_error *err) {
  const char *type;
  const struct pt_value *train = pt_get(root, "train");
  if (!pt_is_dict(train)) return PTV3_OK;
  const int status = pt_get_str(train, "type", "DefaultTrainer", &type, err);
  if (status || strcmp(type, "DefaultTrainer") == 0) return status;
  return pt_fail_value(err, pt_get(train, "type"), "'%.60s': DefaultTrainer is what is here",
                       type);
}

bool pt_train_frozen(const struct pt_train_config *c, const char *name) {
  return c->cfg.freeze_backbone && strncmp(name, "backbone.", 9) == 0;
}

/* data.names, a name a class; data.num_classes is compared with the model's. */
static int read_names(struct pt_env *env, const struct pt_value *root,
                      struct pt_train_config *c, struct ptv3_error *err) {
  const struct pt_value *data = pt_need_dict(root, "data", err);
  if (!data) return err->status;
  const struct pt_value *list = pt_get(data, "names");
  int64_t classes;
  int status = pt_get_int(data, "num_classes", c->cfg.classes, &classes, err);
  if (status) return status;
  if (classes != c->cfg.classes)
    return pt_fail_value(err, pt_get(data, "num_classes"),
                         "is %lld, but model.num_classes is %d: make them equal",
                         (long long)classes, c->cfg.classes);
  if (!list || pt_is_none(list)) return PTV3_OK;
  if (pt_len(list) != c->cfg.classes)
    return pt_fail_value(err, list,
                         "has %lld names, but model.num_classes is %d: one name a class",
                         (long long)pt_len(list), c->cfg.classes);
  c->class_name =
      pt_zalloc(&env->mem, c->cfg.classes, sizeof *c->class_name, PT_MEM_OTHER, err);
  if (!c->class_name) return err->status;
  for (int k = 0; k < c->cfg.classes && !status; k++)
    status = pt_as_str(pt_item(list, k), &c->class_name[k], err);
  return status;
}

static int read(struct pt_env *env, const struct pt_value *root, struct pt_train_config *c,
                struct ptv3_error *err) {
  const struct pt_value *model = pt_need_dict(root, "model", err);
  if (!model) return err->status;
  int status = pt_ptv3_from_value(model, &c->cfg, err);
  if (!status) status = pt_criteria_parse(&env->mem, model, c->cfg.classes, &c->criteria, err);
  if (!status) status = read_numbers(root, c, err);
  if (!status) status = read_words(root, c, err);
  if (!status) status = pt_train_hooks_read(root, c, err);
  if (!status) status = read_trainer(root, err);
  if (!status) status = read_names(env, root, c, err);
  if (!status)
    status = pt_optim_parse(&c->optim, env, pt_get(root, "optimizer"),
                            pt_get(root, "param_dicts"), err);
  c->scheduler = pt_get(root, "scheduler");
  c->grouped = !pt_is_none(pt_get(root, "param_dicts"));
  return status;
}

int pt_train_config_read(struct pt_env *env, const struct pt_value *root,
                         struct pt_train_config *c, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  *c = (struct pt_train_config){0};
  if (!read(env, root, c, &e)) return PTV3_OK;
  pt_train_config_free(env, c);
  if (err) *err = e;
  return e.status;
}

void pt_train_config_free(struct pt_env *env, struct pt_train_config *c) {
  pt_criteria_free(&c->criteria);
  pt_optim_free(&c->optim);
  pt_free(&env->mem, c->class_name);
  *c = (struct pt_train_config){0};
}
