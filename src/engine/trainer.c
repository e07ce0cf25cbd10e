/* trainer.c - see trainer.h. Building it, and the loop over epochs and batches. What is done
 * with a batch is in trainer_step.c, validation in trainer_eval.c, files in trainer_save.c. */
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "match.h"
#include "size.h"
#include "tensors.h"
#include "trainer_int.h"

/* ---- building ---- */

/* Renames the weights as CheckpointLoader does: "module." stands before each name, and seven
 * characters are taken off after keywords has once become replacement. */
static int rename_weights(struct trainer *t, struct pt_tensors *set, const char *path,
                          struct ptv3_error *err) {
  const char *from = t->c.rename_from, *to = t->c.rename_to;
  int64_t renamed = 0;
  if (strcmp(from, to) == 0) return PTV3_OK;
  for (int64_t i = 0; i < set->count; i++) {
    char name[1024], with[2048];
    if (snprintf(name, sizeof name, "module.%s", set->item[i].name) >= (int)sizeof name)
      continue;
    const char *at = strstr(name, from);
    if (!at) continue;
    snprintf(with, sizeof with, "%.*s%.1000s%s", (int)(at - name), name, to, at + strlen(from));
    char *copy = pt_strdup(set->mem, strlen(with) > 7 ? with + 7 : "", err);
    if (!copy) return err->status;
    const int status = pt_tensors_own(set, copy, err);
    if (status) return status;
    set->item[i].name = copy;
    renamed++;
  }
  if (!renamed)
    pt_warn(t->env, "CheckpointLoader: '%s' is in no name of the weights", from);
  else
    pt_info(t->env, "CheckpointLoader: '%s' becomes '%s' in the names of %lld weights", from,
            to, (long long)renamed);
  return pt_tensors_index(set, path, err);
}

static int refuse_extras(const struct pt_match *m, const char *weight, struct ptv3_error *err) {
  if (!m->count[PT_UNEXPECTED]) return PTV3_OK;
  return pt_fail(err, PTV3_MISMATCH,
                 "'%s' has %lld weights that the model does not have, and CheckpointLoader is "
                 "strict: strict=False leaves them out",
                 weight, (long long)m->count[PT_UNEXPECTED]);
}

/* From a checkpoint, or untrained values drawn from the seed; what a checkpoint to resume from
 * holds replaces them later. */
static int build_weights(struct trainer *t, struct ptv3_error *err) {
  static const char *const any[] = {"*"};
  const char *weight = t->o->weight ? t->o->weight : t->c.weight;
  struct pt_env *env = t->env;
  struct pt_tensors set = {0};
  struct pt_match match = {0};
  int status;
  if (weight && !t->o->resume && !t->c.resume) {
    status = pt_tensors_open(&set, &env->mem, weight, err);
    if (status) return status;
    status = rename_weights(t, &set, weight, err);
    if (!status)
      status = pt_match_build(env, &t->c.cfg, &set, t->o->allow_missing,
                              t->o->allow_missing_count, &match, err);
    if (!status && t->c.strict) status = refuse_extras(&match, weight, err);
  } else {
    status = pt_match_build(env, &t->c.cfg, &set, any, 1, &match, err);
  }
  match.seed = t->seed;
  if (!status)
    status = pt_train_weights_build(env, &t->c.cfg, pt_match_fetch, &match, &t->w, err);
  pt_match_free(&match);
  if (set.mem) pt_tensors_free(&set);
  return status;
}

static int build_optimiser(struct trainer *t, struct ptv3_error *err) {
  struct pt_mem *mem = &t->env->mem;
  const int64_t total =
      pt_schedule_steps(pt_loader_batches(t->loader), t->c.epochs, t->c.accumulate);
  if (total < 1)
    return pt_fail(err, PTV3_CONFIG,
                   "%lld batches in all are fewer than gradient_accumulation_steps = %lld",
                   (long long)(pt_loader_batches(t->loader) * t->c.epochs),
                   (long long)t->c.accumulate);
  int status = pt_schedule_init(&t->schedule, t->c.scheduler, total, &t->c.optim, err);
  if (status) return status;
  struct pt_param_ref *ref = pt_alloc(mem, t->w.params, sizeof *ref, PT_MEM_OTHER, err);
  if (!ref) return err->status;
  int64_t count = 0;
  for (int64_t i = 0; i < t->w.params; i++) {
    const struct pt_param *p = &t->w.param[i];
    const bool frozen = pt_train_frozen(&t->c, p->name);
    if (p->buffer || (frozen && t->c.grouped)) continue; /* as Pointcept's build_optimizer */
    ref[count++] = (struct pt_param_ref){p->name, p->size, t->w.value + t->w.at[i],
                                         frozen ? NULL : t->w.grad + t->w.at[i]};
  }
  status = pt_optim_bind(&t->c.optim, t->env, ref, count, err);
  pt_free(mem, ref);
  return status;
}

/* A budget too small for what is there all the time: says what that takes. */
static int name_least(struct trainer *t, struct ptv3_error *err) {
  struct pt_mem *mem = &t->env->mem;
  struct ptv3_error e = {0};
  char least[24], has[24], bytes[24];
  pt_train_weights_free(t->env, &t->w);
  t->w = (struct pt_train_weights){0};
  if (pt_train_weights_build(t->env, &t->c.cfg, NULL, NULL, &t->w, &e)) return err->status;
  int64_t sum = pt_train_weights_bytes(&t->w);
  for (int64_t i = 0; i < t->w.params; i++) {
    const struct pt_param *p = &t->w.param[i];
    const int32_t group = pt_optim_group_of(&t->c.optim, p->name);
    if (!p->buffer && !pt_train_frozen(&t->c, p->name))
      sum += pt_optim_state_bytes(&t->c.optim, group, p->size);
  }
  const int64_t all = mem->used + sum;
  return pt_fail(err, PTV3_BUDGET,
                 "needs a memory budget of at least %s, has %s: weights, gradients and "
                 "optimiser take %s, and a batch comes on top of that",
                 pt_bytes_text(all + all / 100, least), pt_bytes_text(mem->limit, has),
                 pt_bytes_text(sum, bytes));
}

static int open_loader(struct trainer *t, struct ptv3_error *err) {
  const int readers = t->o->readers >= 0 ? t->o->readers : (t->env->threads + 3) / 4;
  const struct pt_loader_options o = {
      .split = &t->train,
      .seed = t->seed,
      .batch_size = t->c.batch_size,
      .mix_prob = t->c.mix_prob,
      .shuffle = true,
      .drop_last = pt_loader_drop_last(&t->train, t->c.batch_size),
      .classes = t->c.cfg.classes,
      .threads = readers};
  return pt_loader_open(&t->loader, t->env, &o, err);
}

static void choose_precision(struct trainer *t) {
  const int wish = t->o->precision;
  t->c.cfg.type = wish == PT_BF16 || (wish < 0 && t->c.amp) ? PT_BF16 : PT_F32;
  t->c.cfg.mat = pt_kernels_mat(t->kernels, t->c.cfg.type);
  if (wish < 0 && t->c.amp && strcmp(t->c.amp_dtype, "float16") == 0)
    pt_info(t->env, "amp_dtype float16 is computed as bfloat16, which needs no loss scaling");
}

/* Some scenes of each split: what is wrong is better told now than in the last epoch. */
static int look_at_data(struct trainer *t, struct ptv3_error *err) {
  const struct pt_check_options o = {.classes = t->c.cfg.classes,
                                     .in_channels = t->c.cfg.in_channels,
                                     .scenes = 32,
                                     .data_root = t->o->data_root};
  return pt_check_before_training(t->env, t->root, &o, err);
}

/* What is wrong with files is told with the key that names them. */
static int open_split(struct trainer *t, struct pt_split *s, const char *which,
                      struct ptv3_error *err) {
  int status = pt_split_open(s, t->env, t->root, which, t->o->data_root, err);
  if (status == PTV3_DATA || status == PTV3_IO) return pt_prefix(err, "data.%s", which);
  return status;
}

static int open_val(struct trainer *t, struct ptv3_error *err) {
  const struct pt_value *data = pt_get(t->root, "data");
  if (pt_is_none(pt_get(data, "val")))
    return pt_fail_value(
        err, data,
        "has no 'val', which evaluate=True scores after each epoch: add it, or "
        "set evaluate=False");
  int status = open_split(t, &t->val, "val", err);
  if (status == PTV3_DATA || status == PTV3_IO)
    pt_prefix(err, "evaluate=True needs data.val (evaluate=False trains without it)");
  return status;
}

static int open_data(struct trainer *t, struct ptv3_error *err) {
  int status = open_split(t, &t->train, "train", err);
  if (!status && t->c.evaluate) status = open_val(t, err);
  if (!status) status = pt_pipeline_check_width(&t->train.pipeline, t->c.cfg.in_channels, err);
  if (!status) status = look_at_data(t, err);
  return status ? status : open_loader(t, err);
}

static int build(struct trainer *t, struct ptv3_error *err) {
  int status = pt_train_config_read(t->env, t->root, &t->c, err);
  if (status) return status;
  t->kernels = pt_kernel_table(NULL);
  if (!t->kernels)
    return pt_fail(err, PTV3_INVALID,
                   "PTV3_KERNELS names kernels that this build or processor does not have");
  t->seed = (uint64_t)pt_max(0, t->o->seed >= 0 ? t->o->seed : t->c.seed);
  t->path = t->o->save_path ? t->o->save_path : t->c.save_path;
  choose_precision(t);
  if (t->c.precise)
    pt_info(t->env,
            "PreciseEvaluator's test after the training is not run here: ptv3 eval "
            "scores its checkpoints");
  t->scaler = pt_scaler_new();
  t->scaler.on = t->c.amp;
  t->writing = true;
  if ((status = pt_trainer_lock(t, err))) return status;
  t->writing = false;
  if ((status = open_data(t, err))) return status;
  if ((status = pt_trainer_mark_recipe(t, err))) return status;
  status = build_weights(t, err);
  if (!status) status = build_optimiser(t, err);
  if (status == PTV3_BUDGET) return name_least(t, err);
  if (status) return status;
  t->buffers =
      pt_alloc(&t->env->mem, pt_trainer_buffers(t), sizeof *t->buffers, PT_MEM_WEIGHTS, err);
  return t->buffers ? PTV3_OK : err->status;
}

static void release(struct trainer *t) {
  pt_trainer_unlock(t);
  pt_loader_close(t->loader);
  pt_room_free(t->env, &t->room);
  pt_free(&t->env->mem, t->buffers);
  pt_train_config_free(t->env, &t->c);
  pt_train_weights_free(t->env, &t->w);
  pt_split_free(&t->train);
  pt_split_free(&t->val);
}

/* ---- the loop ---- */

/* The caller sees the whole training's progress in place of a step's; NULL: of what is done. */
static void show(struct trainer *t, const char *what) {
  const int64_t per = pt_loader_batches(t->loader);
  t->env->within.what = what;
  t->env->within.done = t->at.epoch * per + t->at.batch;
  t->env->within.total = t->c.epochs * per;
}

static bool enough(const struct trainer *t, int64_t first) {
  return t->o->stop_after > 0 && t->at.step - first >= t->o->stop_after;
}

/* The next batch; where it does not fit beside the memory of the last step, in its place. */
static int next_batch(struct trainer *t, struct pt_train_batch **b, struct ptv3_error *err) {
  int status = pt_loader_next(t->loader, b, err);
  if (!pt_lacks_memory(status) || !t->room.arena) return status;
  pt_room_free(t->env, &t->room);
  status = pt_loader_start(t->loader, t->at.epoch, t->at.batch, err);
  return status ? status : pt_loader_next(t->loader, b, err);
}

/* Where it was when something went wrong; b NULL: its batch could not be read. */
static int name_place(const struct trainer *t, const struct pt_train_batch *b,
                      struct ptv3_error *err) {
  char scenes[PT_TRAINER_SCENES] = "";
  if (!err || err->status == PTV3_CANCELLED) return err ? err->status : PTV3_INTERNAL;
  if (b) pt_trainer_scenes(b, scenes);
  return pt_prefix(err, "epoch %lld, batch %lld, step %lld%s%s%s",
                   (long long)(b ? b->epoch : t->at.epoch) + 1,
                   (long long)(b ? b->number : t->at.batch) + 1, (long long)t->at.step + 1,
                   b ? " (" : "", scenes, b ? ")" : "");
}

/* The batches of an epoch that are left. */
static int train_epoch(struct trainer *t, int64_t first, struct ptv3_error *err) {
  int status = pt_loader_start(t->loader, t->at.epoch, t->at.batch, err);
  while (!status && !enough(t, first)) {
    struct pt_train_batch *b;
    const double start = pt_seconds();
    show(t, "training");
    t->sound = true;
    status = next_batch(t, &b, err);
    if (status) return name_place(t, NULL, err);
    if (!b) break;
    status = pt_trainer_batch(t, b, err);
    if (status) return name_place(t, b, err);
    t->sound = false;
    t->writing = true;
    status = pt_trainer_log_batch(t, b, pt_seconds() - start, err);
    if (!status && t->part == 0 && t->o->save_every > 0 && t->at.step % t->o->save_every == 0)
      status = pt_trainer_save(t, PT_SAVE_LAST, err);
    t->writing = status != PTV3_OK;
  }
  return status;
}

/* ran: some of its batches just now, so that its loss was not logged before. */
static int end_epoch(struct trainer *t, bool ran, struct ptv3_error *err) {
  bool better = false;
  int status = PTV3_OK;
  show(t, NULL);
  t->at.epoch++;
  t->at.batch = 0;
  t->sum.epochs = t->at.epoch;
  t->writing = true;
  if (ran) status = pt_trainer_log_epoch(t, err);
  t->sound = !status; /* stopped in validation, the epoch is gone on with before it */
  if (!status && t->c.evaluate) status = pt_trainer_validate(t, &better, err);
  if (status) return status;
  t->sound = false;
  if (t->part == 0) pt_trainer_keep(t);
  t->writing = true;
  status = pt_trainer_log_saving(t, err);
  if (!status) status = pt_trainer_save(t, PT_SAVE_LAST, err);
  if (!status && better) status = pt_trainer_save(t, PT_SAVE_BEST, err);
  if (!status && t->c.save_freq > 0 && t->at.epoch % t->c.save_freq == 0)
    status = pt_trainer_save(t, PT_SAVE_EPOCH, err);
  t->writing = status != PTV3_OK;
  return status;
}

/* At the end of a run that is not that of the training: what was done is kept, whether it was
 * stopped on request, is to be gone on with later, or lacks data or memory. */
static int leave(struct trainer *t, int64_t first, int status, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  if (status && status != PTV3_CANCELLED && !(t->sound && t->at.step > first)) return status;
  if (!status && t->sum.finished) return status;
  pt_trainer_put_back(t);
  t->sum.saved = !pt_trainer_save(t, PT_SAVE_LAST, &e);
  if (t->sum.saved) return status;
  if (status && status != PTV3_CANCELLED) return status; /* that comes first */
  t->writing = true;
  *err = e;
  return e.status;
}

static int run(struct trainer *t, struct ptv3_error *err) {
  const int64_t first = t->at.step, batches = pt_loader_batches(t->loader);
  int status = PTV3_OK;
  while (!status && t->at.epoch < t->c.epochs && !enough(t, first)) {
    const bool left = t->at.batch < batches;
    status = train_epoch(t, first, err);
    if (!status && t->at.batch >= batches) status = end_epoch(t, left, err);
  }
  t->sum.finished = !status && t->at.epoch >= t->c.epochs;
  if (t->sum.finished && t->at.step > first) {
    t->writing = true;
    status = pt_trainer_log_best(t, err);
    t->writing = status != PTV3_OK;
  }
  return leave(t, first, status, err);
}

int pt_train(struct pt_env *env, const struct pt_value *root, const struct pt_train_options *o,
             struct pt_train_summary *out, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct trainer t = {.env = env,
                      .root = root,
                      .o = o,
                      .lock = -1,
                      .sum = {.loss = (double)NAN, .miou = (double)NAN, .best = (double)NAN}};
  const double start = pt_seconds();
  int status = build(&t, &e);
  if (!status) status = pt_trainer_resume(&t, &e);
  if (!status) status = pt_trainer_choose_compat(&t, &e);
  if (!status) pt_trainer_keep(&t);
  if (!status && t.c.evaluate) status = pt_trainer_check_validation(&t, &e);
  t.writing = t.writing || !status;
  if (!status) status = pt_trainer_make_folder(&t, &e);
  if (!status) status = pt_trainer_keep_config(&t, &e);
  if (!status) status = pt_trainer_log_begin(&t, &e);
  t.writing = t.writing && status;
  if (!status) status = run(&t, &e);
  t.sum.unwritten = t.writing && status == PTV3_IO;
  env->within.what = NULL;
  pt_trainer_log_end(&t);
  t.sum.seconds = pt_seconds() - start;
  if (out) *out = t.sum;
  release(&t);
  if (status && err) *err = e;
  return status;
}
