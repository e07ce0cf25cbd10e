/* trainer_eval.c - validation between epochs, by the code of `ptv3 eval` and in the budget of
 * the training: the arena of the last step is given back first. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "evaluate.h"
#include "file.h"
#include "size.h"
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

static struct pt_val_loss loss_of(struct trainer *t) {
  return (struct pt_val_loss){
      .mem = &t->env->mem, .criteria = &t->c.criteria, .classes = t->c.cfg.classes};
}

int pt_trainer_validate(struct trainer *t, bool *better, struct ptv3_error *err) {
  struct pt_evaluation found = {0};
  struct pt_model model = {.cfg = t->c.cfg, .kernels = t->kernels};
  struct pt_val_loss loss = loss_of(t);
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

/* ---- before training ---- */

/* Of the file, or of coord.npy in a folder; 0 where there is none, which loading will tell. */
static int bytes_of(struct pt_env *env, const char *path, int64_t *bytes,
                    struct ptv3_error *err) {
  struct stat st;
  *bytes = stat(path, &st) ? 0 : (int64_t)st.st_size;
  if (!pt_is_dir(path)) return PTV3_OK;
  char *coord = pt_join(&env->mem, path, "coord.npy", err);
  if (!coord) return err->status;
  *bytes = stat(coord, &st) ? 0 : (int64_t)st.st_size;
  pt_free(&env->mem, coord);
  return PTV3_OK;
}

static int largest_scene(struct trainer *t, int64_t *largest, struct ptv3_error *err) {
  int64_t most = -1;
  *largest = 0;
  for (int64_t i = 0; i < t->val.set.count; i++) {
    int64_t bytes;
    const int status = bytes_of(t->env, t->val.set.scene[i].path, &bytes, err);
    if (status) return status;
    if (bytes <= most) continue;
    most = bytes;
    *largest = i;
  }
  return PTV3_OK;
}

int pt_trainer_check_validation(struct trainer *t, struct ptv3_error *err) {
  struct pt_cloud cloud = {0};
  struct pt_need need = {.mem = &t->env->mem};
  struct pt_predicted out = {0};
  struct pt_model model = {.cfg = t->c.cfg, .kernels = t->kernels};
  struct pt_val_loss loss = loss_of(t);
  int64_t i;
  int status = largest_scene(t, &i, err);
  if (!status) status = pt_weights_sizes(t->env, &t->c.cfg, &model.w, err);
  if (status) return status;
  const struct pt_predict predict = {
      .pipeline = &t->val.pipeline, .sample = (uint64_t)i, .need = &need, .loss = &loss};
  status = pt_dataset_load(&t->val.set, t->env, i, &t->val.load, &cloud, err);
  if (!status) status = pt_predict_cloud(t->env, &model, &cloud, &predict, &out, err);
  if (!status && !need.fits) {
    char least[24], limit[24];
    status =
        pt_fail(err, PTV3_BUDGET,
                "validation of '%s' needs a memory budget of at least %s, has %s: training "
                "would stop at the end of its first epoch",
                t->val.set.scene[i].name, pt_bytes_text(need.least, least),
                pt_bytes_text(t->env->mem.limit, limit));
  }
  pt_val_loss_free(&loss);
  pt_need_free(&need);
  pt_cloud_free(&cloud);
  return status;
}
