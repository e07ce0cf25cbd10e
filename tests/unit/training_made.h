/* training_made.h - a made-up training for the tests and the fuzzer of its checkpoints. */
#ifndef TRAINING_MADE_H
#define TRAINING_MADE_H

#include <math.h>
#include <string.h>

#include "checkpoint.h"
#include "pyconfig.h"

/* A training of three parameters and a buffer. It must not be moved. */
struct trial {
  struct pt_env env;
  struct pt_config config;
  struct pt_optim o;
  struct pt_schedule s;
  struct pt_checkpoint_tensor tensor[4];
  struct pt_checkpoint c;
  float a[6], b[3], w[5], grad[6];
  int64_t batches;
};

/* text: `o`, the optimizer, `d`, its param_dicts, and `s`, the scheduler of `total` steps.
 * limit as pt_env_init takes it; warn: NULL, or what warnings go to. */
static inline int made_training(struct trial *t, const char *text, int64_t total, int64_t limit,
                                void (*warn)(void *, const char *), struct ptv3_error *err) {
  *t = (struct trial){.b = {1, 2, 3}, .batches = 7};
  pt_env_init(&t->env, 1, limit);
  t->env.warn = warn;
  if (pt_config_parse(&t->env, text, (int64_t)strlen(text), "train.py", NULL, 0, &t->config,
                      err))
    return err->status;
  const struct pt_value *root = t->config.root;
  if (pt_optim_parse(&t->o, &t->env, pt_get(root, "o"), pt_get(root, "d"), err) ||
      pt_schedule_init(&t->s, pt_get(root, "s"), total, &t->o, err))
    return err->status;
  const struct pt_param_ref param[] = {{"enc.block0.weight", 6, t->a, t->grad},
                                       {"head.bias", 3, t->b, t->grad},
                                       {"dec.block0.weight", 5, t->w, t->grad}};
  if (pt_optim_bind(&t->o, &t->env, param, 3, err)) return err->status;
  t->tensor[0] = (struct pt_checkpoint_tensor){"enc.block0.weight", PT_F32, 2, {2, 3}, t->a};
  t->tensor[1] = (struct pt_checkpoint_tensor){"head.bias", PT_F32, 1, {3}, t->b};
  t->tensor[2] =
      (struct pt_checkpoint_tensor){"norm.num_batches_tracked", PT_I64, 0, {0}, &t->batches};
  t->tensor[3] = (struct pt_checkpoint_tensor){"dec.block0.weight", PT_F32, 1, {5}, t->w};
  t->c = (struct pt_checkpoint){
      .tensor = t->tensor, .tensors = 4, .optim = &t->o, .schedule = &t->s, .best = -INFINITY};
  return PTV3_OK;
}

#endif
