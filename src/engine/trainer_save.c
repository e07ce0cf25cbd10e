/* trainer_save.c - checkpoints of the trainer: what is written is the state after the last
 * optimiser step, so that a run that stops between two steps loses at most the batches since.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "file.h"
#include "trainer_int.h"

/* The parameters as a checkpoint has them: running statistics those of the last step, counts
 * of batches as whole numbers. */
struct image {
  struct pt_checkpoint_tensor *tensor; /* [params] */
  int64_t *tracked;                    /* [params] those without dimensions */
};

static void free_image(struct trainer *t, struct image *m) {
  pt_free(&t->env->mem, m->tensor);
  pt_free(&t->env->mem, m->tracked);
}

static int make_image(struct trainer *t, struct image *m, struct ptv3_error *err) {
  struct pt_mem *mem = &t->env->mem;
  *m = (struct image){pt_zalloc(mem, t->w.params, sizeof *m->tensor, PT_MEM_OTHER, err),
                      pt_zalloc(mem, t->w.params, sizeof *m->tracked, PT_MEM_OTHER, err)};
  if (!m->tensor || !m->tracked) {
    free_image(t, m);
    return err->status;
  }
  float *buffer = t->buffers;
  for (int64_t i = 0; i < t->w.params; i++) {
    const struct pt_param *p = &t->w.param[i];
    struct pt_checkpoint_tensor *c = &m->tensor[i];
    *c = (struct pt_checkpoint_tensor){p->name, PT_F32, p->dims, {0}, t->w.value + t->w.at[i]};
    memcpy(c->shape, p->shape, sizeof p->shape);
    if (!p->buffer) continue;
    c->data = buffer;
    if (p->dims == 0) {
      m->tracked[i] = (int64_t)*buffer;
      c->type = PT_I64;
      c->data = &m->tracked[i];
    }
    buffer += p->size;
  }
  return PTV3_OK;
}

/* Counts of batches that were read go where the others are. */
static void take_tracked(struct trainer *t, const struct image *m) {
  float *buffer = t->buffers;
  for (int64_t i = 0; i < t->w.params; i++) {
    if (!t->w.param[i].buffer) continue;
    if (t->w.param[i].dims == 0) *buffer = (float)m->tracked[i];
    buffer += t->w.param[i].size;
  }
}

static struct pt_checkpoint checkpoint_of(struct trainer *t, const struct image *m) {
  return (struct pt_checkpoint){.tensor = m->tensor,
                                .tensors = t->w.params,
                                .optim = &t->c.optim,
                                .schedule = &t->schedule,
                                .epoch = t->whole.epoch,
                                .step = t->whole.step,
                                .scaler = t->scaler,
                                .best = isnan(t->sum.best) ? -INFINITY : t->sum.best};
}

static int make_folder(const char *path, struct ptv3_error *err) {
  char part[4096];
  if (strlen(path) >= sizeof part)
    return pt_fail(err, PTV3_INVALID, "'%s': the path is too long", path);
  for (size_t i = 0; path[i]; i++) {
    part[i] = path[i];
    part[i + 1] = 0;
    if (path[i + 1] && (i == 0 || path[i] != '/')) continue;
    if (mkdir(part, 0777) && errno != EEXIST)
      return pt_fail(err, PTV3_IO, "cannot make the folder '%s': %s", part, strerror(errno));
  }
  return PTV3_OK;
}

/* A process killed between naming a file and putting it in its place leaves it beside:
 * "model_last.pth.tmp-123-0" (file.c). */
static void remove_left(const char *folder) {
  static const char *const ours[] = {"model_",  "epoch_",  "train.", "val.",
                                     "report.", "events.", "config."};
  char path[4500];
  DIR *dir = opendir(folder);
  if (!dir) return;
  for (struct dirent *d; (d = readdir(dir));) {
    bool mine = false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
      mine = mine || strncmp(d->d_name, ours[i], strlen(ours[i])) == 0;
    if (!mine || !strstr(d->d_name, ".tmp-")) continue;
    if (snprintf(path, sizeof path, "%s/%s", folder, d->d_name) < (int)sizeof path)
      unlink(path);
  }
  closedir(dir);
}

int pt_trainer_make_folder(struct trainer *t, struct ptv3_error *err) {
  char models[4200];
  int status = make_folder(t->path, err);
  if (!status && !pt_is_dir(t->path))
    status = pt_fail(err, PTV3_IO, "'%s' is not a folder", t->path);
  if (!status) status = pt_trainer_lock(t, err);
  if (status) return status;
  remove_left(t->path);
  snprintf(models, sizeof models, "%s/model", t->path);
  remove_left(models);
  return PTV3_OK;
}

/* <save_path>/model/<name>, as Pointcept has it. */
static int path_of(const struct trainer *t, enum save what, char folder[static 4150],
                   char path[static 4200], struct ptv3_error *err) {
  if (snprintf(folder, 4150, "%s/model", t->path) >= 4100)
    return pt_fail(err, PTV3_INVALID, "'%s': the path is too long", t->path);
  if (what == PT_SAVE_EPOCH)
    snprintf(path, 4200, "%s/epoch_%lld.pth", folder, (long long)t->at.epoch);
  else
    snprintf(path, 4200, "%s/model_%s.pth", folder, what == PT_SAVE_BEST ? "best" : "last");
  return PTV3_OK;
}

static int save(struct trainer *t, enum save what, struct ptv3_error *err) {
  char folder[4150], path[4200], last[4200];
  int status = path_of(t, what, folder, path, err);
  if (!status) status = make_folder(folder, err);
  if (status) return status;
  if (what != PT_SAVE_LAST) { /* it was written a moment ago */
    status = path_of(t, PT_SAVE_LAST, folder, last, err);
    return status ? status : pt_checkpoint_copy(&t->env->mem, last, path, err);
  }
  struct image m;
  status = make_image(t, &m, err);
  if (status) return status;
  const struct pt_checkpoint c = checkpoint_of(t, &m);
  struct pt_checkpoint_note note[PT_TRAINER_NOTES];
  const int notes = pt_trainer_notes(t, note);
  status = pt_checkpoint_write(&c, note, notes, t->env, path, err);
  free_image(t, &m);
  return status;
}

/* Where the network's arena and batches read ahead fill the budget, they make room. */
int pt_trainer_save(struct trainer *t, enum save what, struct ptv3_error *err) {
  int status = save(t, what, err);
  if (!pt_lacks_memory(status)) return status;
  pt_loader_yield(t->loader);
  pt_room_free(t->env, &t->room);
  return save(t, what, err);
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The training that this run goes on with; or that it will write over, which is told. What is
 * in the folder comes before `weight`, which is what a training there began with; where the
 * folder has none, weight is a checkpoint to go on from, as with Pointcept's resume. */
static int find_last(struct trainer *t, const char **path, char last[static 4200],
                     struct ptv3_error *err) {
  char folder[4150];
  const char *weight = t->o->weight ? t->o->weight : t->c.weight;
  int status = path_of(t, PT_SAVE_LAST, folder, last, err);
  *path = last;
  if (status) return status;
  const bool there = pt_is_file(last);
  if (t->o->resume || t->c.resume) {
    if (there && weight && !same_file(weight, last))
      pt_info(t->env, "goes on from '%s'; the weights '%s' are not read again", last, weight);
    if (!there && weight) *path = weight;
    return there || weight ? PTV3_OK
                           : pt_fail(err, PTV3_IO,
                                     "there is no checkpoint '%s' to go on from; begin without "
                                     "--resume",
                                     last);
  }
  if (there)
    pt_warn(t->env,
            "'%s' holds a training, which this one writes over; --resume would go on with it",
            t->path);
  return PTV3_OK;
}

static void tell_resumed(const struct trainer *t, const char *path) {
  if (t->at.epoch >= t->c.epochs)
    pt_info(t->env, "'%s' is finished: %lld of %lld epochs are done", path,
            (long long)t->at.epoch, (long long)t->c.epochs);
  else if (t->at.batch >= pt_loader_batches(t->loader))
    pt_info(t->env, "resumed '%s' at the end of epoch %lld of %lld", path,
            (long long)t->at.epoch + 1, (long long)t->c.epochs);
  else
    pt_info(t->env, "resumed '%s' at epoch %lld of %lld, batch %lld of %lld", path,
            (long long)t->at.epoch + 1, (long long)t->c.epochs, (long long)t->at.batch + 1,
            (long long)pt_loader_batches(t->loader));
}

int pt_trainer_resume(struct trainer *t, struct ptv3_error *err) {
  char last[4200], buf[100];
  const bool resume = t->o->resume || t->c.resume;
  const char *path;
  int status = find_last(t, &path, last, err);
  if (status || !resume) return status;
  struct image m;
  struct pt_notes notes = {0};
  status = make_image(t, &m, err);
  if (status) return status;
  struct pt_checkpoint c = checkpoint_of(t, &m);
  status = pt_checkpoint_read(&c, &notes, t->env, path, err);
  if (!status)
    status = pt_trainer_take_compat(t, pt_notes_text(&notes, "compat", buf, NULL), path, err);
  if (!status) {
    take_tracked(t, &m);
    pt_trainer_put_back(t);
    pt_train_weights_pack(&t->w, t->env->threads);
    t->at = (struct position){c.epoch, pt_notes_number(&notes, "batch", 0), c.step};
    t->resumed = true;
    t->scaler = c.scaler;
    t->sum.steps = c.step;
    t->sum.epochs = c.epoch;
    t->sum.best = isfinite(c.best) ? c.best : (double)NAN;
    t->sum.best_epoch = pt_notes_number(&notes, "best_epoch", 0);
    t->sum.skipped = pt_notes_number(&notes, "skipped", 0);
    status = pt_trainer_compare(t, &notes, path, err);
  }
  if (!status) tell_resumed(t, path);
  pt_notes_free(&notes);
  free_image(t, &m);
  return status;
}
