/* trainer_eval.c - validation between epochs, by the code of `ptv3 eval` and in the budget of
 * the training: the arena of the last step is given back first. */
#include <math.h>
#include <string.h>

#include "evaluate.h"
#include "trainer_int.h"

int pt_trainer_fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err) {
  const struct pt_train_weights *w = user;
  for (int64_t i = 0; i < w->params; i++) {
    if (strcmp(w->param[i].name, p->name) != 0) continue;
    memcpy(dst, w->value + w->at[i], (size_t)p->size * sizeof *dst);
    return PTV3_OK;
  }
  return pt_fail(err, PTV3_INTERNAL, "no parameter '%s'", p->name);
}

struct pt_val_loss pt_trainer_val_loss(struct trainer *t) {
  return (struct pt_val_loss){
      .mem = &t->env->mem, .criteria = &t->c.criteria, .classes = t->c.cfg.classes};
}

int pt_trainer_validate(struct trainer *t, bool *better, struct ptv3_error *err) {
  struct pt_evaluation found = {0};
  struct pt_model model = {.cfg = t->c.cfg, .kernels = t->kernels};
  struct pt_val_loss loss = pt_trainer_val_loss(t);
  *better = false;
  int status = pt_train_log_val_begin(&t->log, err);
  if (status) return status;
  t->writing = false;
  pt_room_free(t->env, &t->room);
  status = pt_weights_build(t->env, &t->c.cfg, pt_trainer_fetch, &t->w, &model.w, err);
  if (status) return status;
  const struct pt_evaluate job = {.model = &model,
                                  .set = &t->val.set,
                                  .load = &t->val.load,
                                  .predict = {.pipeline = &t->val.pipeline, .loss = &loss},
                                  .done = pt_trainer_log_scene,
                                  .user = t};
  status = pt_evaluate(t->env, &job, &found, err);
  pt_val_loss_free(&loss);
  pt_weights_free(t->env, &model.w);
  if (status && status != PTV3_CANCELLED)
    return pt_prefix(err, "validation after epoch %lld", (long long)t->at.epoch);
  if (status) return status;
  const struct pt_scores scores = pt_metrics_scores(&found.total);
  t->sum.miou = scores.miou;
  *better = !(t->sum.miou <= t->sum.best);
  t->writing = true;
  status = pt_trainer_log_scores(t, &found, err);
  if (*better) {
    t->sum.best = t->sum.miou;
    t->sum.best_epoch = t->at.epoch;
  }
  pt_evaluation_free(&found);
  return status;
}
