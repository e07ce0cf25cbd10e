/* trainer_step.c - what the trainer does with a batch: gradients, the optimiser's step, and
 * numbers that are not finite. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "half.h"
#include "philox.h"
#include "shuffle.h"
#include "trainer_int.h"

/* Purposes of draws, as streams of the seed. The loader has its own. */
enum { DRAW_DROP = 1, DRAW_ORDERS = 2 };

enum { BAD_AT_MOST = 100 }; /* batches left out one after the other */

/* ---- running statistics ---- */

int64_t pt_trainer_buffers(const struct trainer *t) {
  int64_t n = 0;
  for (int64_t i = 0; i < t->w.params; i++)
    if (t->w.param[i].buffer) n += t->w.param[i].size;
  return n;
}

static void copy_buffers(struct trainer *t, bool back) {
  float *at = t->buffers;
  for (int64_t i = 0; i < t->w.params; i++) {
    const struct pt_param *p = &t->w.param[i];
    float *value = t->w.value + t->w.at[i];
    if (!p->buffer) continue;
    memcpy(back ? value : at, back ? at : value, (size_t)p->size * sizeof *at);
    at += p->size;
  }
}

void pt_trainer_keep(struct trainer *t) {
  copy_buffers(t, false);
  t->whole = t->at;
}

void pt_trainer_put_back(struct trainer *t) { copy_buffers(t, true); }

/* num_batches_tracked of every BatchNorm. */
static void count_batch(struct trainer *t) {
  for (int64_t i = 0; i < t->w.params; i++)
    if (t->w.param[i].buffer && t->w.param[i].dims == 0) t->w.value[t->w.at[i]] += 1.0f;
}

/* ---- numbers that are not finite ---- */

struct search {
  char what[80]; /* the first operation whose result is not finite */
};

static void look(void *user, const struct pt_step *step, const void *data, enum pt_dtype type,
                 int64_t rows, int channels) {
  struct search *s = user;
  if (s->what[0] || !data) return;
  for (int64_t i = 0; i < rows * channels; i++) {
    if (isfinite(type == PT_BF16 ? pt_bf16_float(((const uint16_t *)data)[i])
                                 : ((const float *)data)[i]))
      continue;
    snprintf(s->what, sizeof s->what, "%s of %s", pt_op_name(step->op), step->label);
    return;
  }
}

void pt_trainer_scenes(const struct pt_train_batch *b, char text[static PT_TRAINER_SCENES]) {
  size_t at = 0;
  const size_t size = PT_TRAINER_SCENES;
  text[0] = 0;
  for (int64_t i = 0; i < b->parts && at < size; i++) {
    if (i == 6 || at + strlen(b->part[i].name) + 20 > size) {
      snprintf(text + at, size - at, " and %lld more", (long long)(b->parts - i));
      return;
    }
    at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", b->part[i].name);
  }
}

/* Which parameter of the weights is not finite already; NULL: none. */
static const char *bad_weight(const struct trainer *t) {
  for (int64_t i = 0; i < t->w.params; i++)
    for (int64_t k = 0; k < t->w.param[i].size; k++)
      if (!isfinite(t->w.value[t->w.at[i] + k])) return t->w.param[i].name;
  return NULL;
}

static const char *bad_feature(const struct pt_train_batch *b) {
  for (int64_t i = 0; i < b->n * b->channels; i++)
    if (!isfinite(b->feat[i])) return "a feature of the input";
  return NULL;
}

/* ---- one batch ---- */

/* A batch of the loader as the network takes it. */
struct input {
  struct pt_batch batch;
  struct pt_loss loss;
};

static struct pt_train_job job_of(struct trainer *t, const struct pt_train_batch *b,
                                  const struct input *v, int *perm) {
  const struct pt_ptv3 *cfg = &t->c.cfg;
  const uint64_t number = (uint64_t)(b->epoch * pt_loader_batches(t->loader) + b->number);
  if (cfg->shuffle_orders)
    pt_shuffle_orders(cfg->stages, cfg->orders, pt_philox_u64(t->seed, DRAW_ORDERS, number),
                      perm);
  return (struct pt_train_job){.cfg = cfg,
                               .w = &t->w,
                               .kernels = t->kernels,
                               .batch = &v->batch,
                               .label = b->segment,
                               .loss = &v->loss,
                               .seed = pt_philox_u64(t->seed, DRAW_DROP, 0),
                               .iteration = number,
                               .perm = cfg->shuffle_orders ? perm : NULL,
                               .spare = pt_loader_wants(t->loader),
                               .running = true,
                               .tell = t->sum.steps == 0 && t->part == 0};
}

/* Says what went wrong, the batch computed once more to find where. */
static int explain(struct trainer *t, const struct pt_train_batch *b, struct pt_train_job *job,
                   struct ptv3_error *err) {
  struct search s = {{0}};
  struct pt_train_result unused;
  const char *where = bad_feature(b);
  pt_trainer_put_back(t);
  if (!where) where = bad_weight(t);
  if (!where) {
    job->observe = look;
    job->user = &s;
    int status = pt_train_step(t->env, job, &t->room, &unused, err);
    pt_trainer_put_back(t);
    if (status) return status;
    where = s.what[0] ? s.what : "the gradient of a weight";
  }
  return pt_fail(
      err, PTV3_DATA,
      "the loss or a gradient is not finite: first %s. Checkpoints stay as they were; a lower "
      "learning rate, clip_grad, or --on-nan skip may help",
      where);
}

static int step(struct trainer *t, struct ptv3_error *err) {
  int status = pt_schedule_apply(&t->schedule, t->at.step, &t->c.optim, err);
  if (status) return status;
  const double scale = t->c.clip_grad > 0 ? pt_optim_clip(t->norm, t->c.clip_grad) : 1;
  pt_optim_step(&t->c.optim, scale);
  pt_train_weights_pack(&t->w, t->env->threads);
  t->at.step++;
  t->sum.steps = t->at.step;
  return PTV3_OK;
}

static void begin_part(struct trainer *t) {
  pt_train_weights_clear(&t->w, t->env->threads);
  t->part = 0;
}

int pt_trainer_batch(struct trainer *t, struct pt_train_batch *b, struct ptv3_error *err) {
  int perm[PT_MAX_STAGES * PT_MAX_ORDERS];
  struct input v = {{b->n, b->grid_coord, b->feat, b->clouds, b->offset},
                    pt_train_loss(&t->c.criteria)};
  v.loss.scale = 1.0f / (float)t->c.accumulate;
  struct pt_train_job job = job_of(t, b, &v, perm);
  if (t->part == 0) begin_part(t);
  int status = pt_train_step(t->env, &job, &t->room, &t->result, err);
  if (pt_lacks_memory(status)) { /* without what was read ahead */
    pt_loader_yield(t->loader);
    pt_room_free(t->env, &t->room);
    status = pt_train_step(t->env, &job, &t->room, &t->result, err);
  }
  if (status) return status;
  count_batch(t);
  if (t->result.valid[0] == 0) {
    char scenes[PT_TRAINER_SCENES];
    pt_trainer_scenes(b, scenes);
    pt_warn(t->env, "epoch %lld, batch %lld (%s) has no point with a label that counts",
            (long long)b->epoch + 1, (long long)b->number + 1, scenes);
  }
  const bool last = t->part + 1 == t->c.accumulate;
  if (last) t->norm = pt_optim_norm(&t->c.optim, 1, NULL);
  if (!isfinite(t->result.value[0]) || (last && !isfinite(t->norm))) {
    t->sound = false;
    if (!t->o->skip_nan || ++t->bad > BAD_AT_MOST) return explain(t, b, &job, err);
    char scenes[PT_TRAINER_SCENES];
    pt_trainer_scenes(b, scenes);
    pt_warn(t->env,
            "epoch %lld, batch %lld (%s): the loss or a gradient is not finite; left out",
            (long long)b->epoch + 1, (long long)b->number + 1, scenes);
    pt_trainer_put_back(t);
    t->sum.skipped++;
    t->part = 0;
    t->at.batch = b->number + 1;
    pt_trainer_keep(t);
    return PTV3_OK;
  }
  t->bad = 0;
  t->part++;
  t->at.batch = b->number + 1;
  if (!last) return PTV3_OK;
  if ((status = step(t, err))) return status;
  t->part = 0;
  pt_trainer_keep(t);
  return PTV3_OK;
}
