/* trainer_log.c - what the trainer writes about itself: hands its numbers to train_log.h. */
#include <math.h>

#include "trainer_int.h"

/* A line on a terminal every few seconds is enough; the file has them all. */
enum { SECONDS_BETWEEN = 10 };

static void show_line(void *user, const char *text) {
  struct trainer *t = user;
  const double now = pt_seconds();
  const bool step = t->quiet;
  if (step && now - t->shown < SECONDS_BETWEEN) return;
  if (step) t->shown = now;
  pt_info(t->env, "%s", text);
}

static const char *name_of(const struct pt_criterion *c) {
  return c->kind == PT_LOVASZ ? "LovaszLoss" : "CrossEntropyLoss";
}

/* What Pointcept's trainer says first, as far as it has a meaning here. */
static int say_begin(struct trainer *t, struct ptv3_error *err) {
  const char *weight = t->o->weight ? t->o->weight : t->c.weight;
  int64_t params = 0;
  for (int64_t i = 0; i < t->w.params; i++)
    if (!t->w.param[i].buffer && !pt_train_frozen(&t->c, t->w.param[i].name))
      params += t->w.param[i].size;
  int status = pt_train_log_say(&t->log, err, "Save path: %s", t->path);
  if (!status) status = pt_train_log_say(&t->log, err, "Num params: %lld", (long long)params);
  if (!status && weight && !t->resumed)
    status = pt_train_log_say(&t->log, err, "Loading weight at: %s", weight);
  if (!status)
    status = pt_train_log_say(&t->log, err, ">>>>>>>>>>>>>>>> Start Training >>>>>>>>>>>>>>>>");
  return status;
}

int pt_trainer_log_begin(struct trainer *t, struct ptv3_error *err) {
  struct pt_train_log_setup s = {
      .folder = t->path,
      .title = t->path,
      .epochs = t->c.epochs,
      .batches = pt_loader_batches(t->loader),
      .budget = t->env->mem.limit == INT64_MAX ? 0 : t->env->mem.limit,
      .classes = t->c.cfg.classes,
      .name = t->c.class_name,
      .resume = t->resumed,
      .class_events = t->c.class_events,
      .warmup = t->c.warmup,
      .epoch = t->at.epoch,
      .batch = t->at.batch,
      .line = show_line,
      .user = t};
  for (int i = 0; i < t->c.criteria.count && i < PT_LOG_PARTS; i++)
    s.part[i] = name_of(&t->c.criteria.criterion[i]);
  t->quiet = true; /* that it goes on has been told */
  t->shown = pt_seconds();
  int status = pt_train_log_open(&t->log, t->env, &s, err);
  if (!status) status = say_begin(t, err);
  t->quiet = false;
  t->shown = 0;
  return status;
}

int pt_trainer_log_batch(struct trainer *t, const struct pt_train_batch *b, double seconds,
                         struct ptv3_error *err) {
  struct pt_loader_times times;
  pt_loader_times(t->loader, &times);
  struct pt_train_step s = {.epoch = b->epoch,
                            .batch = b->number,
                            .loss = t->result.value[0],
                            .lr = t->c.optim.group[0].lr,
                            .grad_norm = t->part || t->bad ? (double)NAN : t->norm,
                            .data_seconds = times.last_wait,
                            .seconds = seconds,
                            .memory = t->env->mem.peak};
  for (int i = 0; i < t->c.criteria.count && i < PT_LOG_PARTS; i++)
    s.part[i] = t->bad ? (double)NAN : t->result.value[1 + i];
  if (t->bad)
    s.loss = (double)NAN; /* left out */
  else
    t->sum.loss = s.loss;
  t->quiet = true;
  const int status = pt_train_log_step(&t->log, &s, err);
  t->quiet = false;
  return status;
}

int pt_trainer_log_epoch(struct trainer *t, struct ptv3_error *err) {
  return pt_train_log_epoch(&t->log, t->at.epoch - 1, err);
}

/* A scene of validation is done (pt_evaluate.done). */
int pt_trainer_log_scene(void *trainer, int64_t scene, const struct pt_scene_score *s,
                         struct ptv3_error *err) {
  struct trainer *t = trainer;
  t->quiet = true;
  const int status = pt_train_log_val_scene(&t->log, scene, t->val.set.count, s->loss, err);
  t->quiet = false;
  t->writing = status != PTV3_OK;
  return status;
}

int pt_trainer_log_saving(struct trainer *t, struct ptv3_error *err) {
  t->quiet = true;
  const int status =
      pt_train_log_say(&t->log, err, "Saving checkpoint to: %s/model/model_last.pth", t->path);
  t->quiet = false;
  return status;
}

int pt_trainer_log_best(struct trainer *t, struct ptv3_error *err) {
  if (isnan(t->sum.best)) return PTV3_OK;
  return pt_train_log_say(&t->log, err, "Best mIoU: %.4f", t->sum.best);
}

int pt_trainer_log_scores(struct trainer *t, const struct pt_evaluation *e,
                          struct ptv3_error *err) {
  int status = pt_train_log_val_end(&t->log, t->at.epoch - 1, &e->total, e->loss, err);
  if (!status)
    status = pt_train_log_best(&t->log, "mIoU", t->sum.miou,
                               isnan(t->sum.best) ? -1 : t->sum.best, err);
  return status;
}

void pt_trainer_log_end(struct trainer *t) { pt_train_log_close(&t->log, t->sum.finished); }
