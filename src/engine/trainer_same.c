/* trainer_same.c - whether a training that is resumed is the one that was stopped. What is in a
 * batch follows from seed, data, batch_size and the place in the epoch; which rate a step has,
 * from how many there are in all. */
#include <string.h>

#include "trainer_int.h"

/* Numbers that settle the batches of an epoch, by their notes. */
struct fact {
  const char *key, *what;
  int64_t now;
};
enum { FACTS = 4 };

/* FNV-1a, going on from h, over a text and the NUL at its end. */
static uint64_t add_text(uint64_t h, const char *s) {
  do h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
  while (*s++);
  return h;
}
static const uint64_t NO_TEXT = UINT64_C(0xcbf29ce484222325);

/* 48 bits, which a note holds anywhere. */
static int64_t mark_of(uint64_t h) { return (int64_t)(h >> 16); }

/* Of the names of the scenes in order. */
static int64_t scenes_mark(const struct pt_dataset *d) {
  uint64_t h = NO_TEXT;
  for (int64_t i = 0; i < d->count; i++) h = add_text(h, d->scene[i].name);
  return mark_of(h);
}

int pt_trainer_mark_recipe(struct trainer *t, struct ptv3_error *err) {
  const struct pt_value *root = t->root, *data = pt_get(pt_get(root, "data"), "train");
  const struct pt_value *const part[] = {pt_get(root, "model"), pt_get(data, "transform"),
                                         pt_get(root, "mix_prob"), pt_get(root, "clip_grad")};
  uint64_t h = NO_TEXT;
  for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
    char *json;
    if (pt_is_none(part[i])) {
      h = add_text(h, "null");
      continue;
    }
    const int status = pt_value_json(&t->env->mem, part[i], &json, NULL, err);
    if (status) return status;
    h = add_text(h, json);
    pt_free(&t->env->mem, json);
  }
  t->recipe = mark_of(h);
  return PTV3_OK;
}

static void facts_of(const struct trainer *t, struct fact f[static FACTS]) {
  f[0] = (struct fact){"batch_size", "batches of %lld scenes", t->c.batch_size};
  f[1] = (struct fact){"batches", "%lld batches an epoch", pt_loader_batches(t->loader)};
  f[2] = (struct fact){"accumulate", "%lld batches a step", t->c.accumulate};
  f[3] = (struct fact){"data", NULL, scenes_mark(&t->train.set)};
}

int pt_trainer_notes(const struct trainer *t,
                     struct pt_checkpoint_note note[static PT_TRAINER_NOTES]) {
  struct fact f[FACTS];
  int n = 0;
  facts_of(t, f);
  for (int k = 0; k < FACTS; k++)
    note[n++] = (struct pt_checkpoint_note){f[k].key, NULL, f[k].now};
  note[n++] = (struct pt_checkpoint_note){"batch", NULL, t->whole.batch};
  note[n++] = (struct pt_checkpoint_note){"epochs", NULL, t->c.epochs};
  note[n++] = (struct pt_checkpoint_note){"recipe", NULL, t->recipe};
  note[n++] = (struct pt_checkpoint_note){"seed", NULL, (int64_t)t->seed};
  note[n++] = (struct pt_checkpoint_note){"best_epoch", NULL, t->sum.best_epoch};
  note[n++] = (struct pt_checkpoint_note){"skipped", NULL, t->sum.skipped};
  note[n++] =
      (struct pt_checkpoint_note){"precision", t->c.cfg.type == PT_BF16 ? "bf16" : "fp32", 0};
  note[n++] = (struct pt_checkpoint_note){"compat", pt_trainer_compat_text(t), 0};
  return n;
}

/* What is another now: "batches of 2 scenes, now 4". false: nothing. */
static bool find_change(const struct trainer *t, const struct pt_notes *n, char *text,
                        size_t size) {
  struct fact f[FACTS];
  facts_of(t, f);
  for (int k = 0; k < FACTS; k++) {
    const int64_t was = pt_notes_number(n, f[k].key, f[k].now);
    if (was == f[k].now) continue;
    if (f[k].what) {
      int at = snprintf(text, size, f[k].what, (long long)was);
      if (at > 0 && (size_t)at < size)
        snprintf(text + at, size - (size_t)at, ", now %lld", (long long)f[k].now);
    } else {
      snprintf(text, size, "other scenes, or in another order, in data.train");
    }
    return true;
  }
  return false;
}

/* A OneCycleLR has no rate for steps after its last. */
static int check_schedule(const struct trainer *t, const char *path, struct ptv3_error *err) {
  const int64_t batches =
      (t->c.epochs - t->at.epoch) * pt_loader_batches(t->loader) - t->at.batch;
  const int64_t left = batches > 0 ? batches / t->c.accumulate : 0;
  if (t->schedule.kind != PT_SCHEDULE_ONE_CYCLE || t->at.step + left <= t->schedule.total)
    return PTV3_OK;
  return pt_fail(
      err, PTV3_MISMATCH,
      "the OneCycleLR of '%s' is for %lld steps; %lld are done and %lld would follow: "
      "resume with the epochs and batches it was begun with, or begin a new training "
      "with it as `weight`",
      path, (long long)t->schedule.total, (long long)t->at.step, (long long)left);
}

int pt_trainer_compare(struct trainer *t, const struct pt_notes *n, const char *path,
                       struct ptv3_error *err) {
  char change[160], buf[100];
  const int64_t seed = pt_notes_number(n, "seed", (int64_t)t->seed);
  const int64_t epochs = pt_notes_number(n, "epochs", t->c.epochs);
  const char *type = t->c.cfg.type == PT_BF16 ? "bf16" : "fp32";
  const char *was = pt_notes_text(n, "precision", buf, type);
  if (seed != (int64_t)t->seed)
    return pt_fail(err, PTV3_MISMATCH,
                   "'%s' was begun with seed %lld, this run has %lld: resume with --seed %lld",
                   path, (long long)seed, (long long)t->seed, (long long)seed);
  if (find_change(t, n, change, sizeof change)) {
    if (t->at.batch > 0)
      return pt_fail(
          err, PTV3_MISMATCH,
          "'%s' was saved in epoch %lld after %lld batches, with %s: what is left of "
          "that epoch is no longer known. Resume with data and batches as they were, "
          "or from a checkpoint of the end of an epoch",
          path, (long long)t->at.epoch + 1, (long long)t->at.batch, change);
    pt_warn(t->env,
            "'%s' was made with %s: the epochs to come differ from those it would have had",
            path, change);
  }
  if (pt_notes_number(n, "recipe", t->recipe) != t->recipe)
    pt_warn(
        t->env,
        "'%s' was made with another model, data.train.transform, mix_prob or clip_grad: from "
        "here on it is another training",
        path);
  if (epochs != t->c.epochs)
    pt_warn(t->env, "'%s' was to have %lld epochs, this run has %lld", path, (long long)epochs,
            (long long)t->c.epochs);
  if (strcmp(was, type) != 0)
    pt_warn(t->env, "'%s' was made in %s, this run computes in %s: its results will differ",
            path, was, type);
  return check_schedule(t, path, err);
}
