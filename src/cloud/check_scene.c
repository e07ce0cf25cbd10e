/* check_scene.c - what is wrong with one scene: its channels, labels, and what the transforms
 * make of it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check_int.h"
#include "size.h"

enum { FEW = 64 }; /* voxels: less than one small patch */

static void grow(struct pt_range *r, int64_t count_before, int64_t v) {
  r->min = count_before ? pt_min(r->min, v) : v;
  r->max = count_before ? pt_max(r->max, v) : v;
  r->sum += v;
}

/* ---- reading ---- */

static void on_warn(void *user, const char *message) {
  struct pt_look *k = user;
  if (k->tolds < PT_CHECK_TOLD) snprintf(k->told[k->tolds++], PT_CHECK_LINE, "%s", message);
}

static int load_scene(struct pt_look *k, int64_t i, struct pt_cloud *c,
                      struct ptv3_error *err) {
  void (*warn)(void *, const char *) = k->env->warn;
  void *user = k->env->user;
  bool (*progress)(void *, const char *, int64_t, int64_t) = k->env->progress;
  k->tolds = 0;
  k->env->warn = on_warn;
  k->env->user = k;
  k->env->progress = NULL;
  int st = pt_dataset_load(&k->s.set, k->env, i, &k->load, c, err);
  k->env->warn = warn;
  k->env->user = user;
  k->env->progress = progress;
  return st;
}

static int note_told(struct pt_look *k, const struct pt_cloud *c, const char *path,
                     struct ptv3_error *err) {
  bool aside = c->n < c->n_input;
  int st = PTV3_OK;
  for (int t = 0; !st && t < k->tolds; t++)
    st = pt_check_note(k, aside ? PT_CHECK_SET_ASIDE : PT_CHECK_SAID, path, k->told[t],
                       aside ? "they are neither trained on nor scored; correct or remove them "
                               "if there are many"
                             : "",
                       err);
  return st;
}

/* A number that clouds with the same points in the same order share, and others hardly (FNV-1a
 * over 64 bits at a time). */
static uint64_t print_of(const struct pt_cloud *c) {
  const struct pt_channel *coord = pt_cloud_find(c, "coord");
  uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)c->n;
  for (int64_t i = 0; coord && i < coord->n; i++)
    for (int k = 0; k < coord->width; k++) {
      double v = pt_channel_at(coord, i, k);
      uint64_t bits;
      memcpy(&bits, &v, sizeof bits);
      h = (h ^ bits ^ bits >> 29) * UINT64_C(0x100000001b3);
    }
  return h ? h : 1;
}

/* ---- channels ---- */

static bool constant(const struct pt_channel *ch) {
  for (int64_t i = 1; i < ch->n; i++)
    for (int w = 0; w < ch->width; w++)
      if (pt_channel_at(ch, i, w) != pt_channel_at(ch, 0, w)) return false;
  return ch->n > 1;
}

static int look_at_channels(struct pt_look *k, const struct pt_cloud *c, const char *path,
                            bool *all, struct ptv3_error *err) {
  char text[300], fix[300];
  int st = PTV3_OK;
  *all = true;
  for (int n = 0; !st && n < k->load.n_also; n++) {
    const char *name = k->load.also[n];
    const struct pt_channel *ch = pt_cloud_find(c, name);
    if (!ch) {
      *all = false;
      snprintf(text, sizeof text, "no channel '%s'", name);
      snprintf(
          fix, sizeof fix,
          "add '%s' to the scene%s, or take it out of feat_keys and lower in_channels", name,
          strcmp(name, "normal") ? ""
                                 : " (the transform EstimateNormals, put first, makes it)");
      st = pt_check_note(k, PT_CHECK_NO_CHANNEL, path, text, fix, err);
    } else if (constant(ch)) {
      snprintf(text, sizeof text, "'%s' is %g for all points", name, pt_channel_at(ch, 0, 0));
      snprintf(fix, sizeof fix,
               "if '%s' was not measured, take it out of feat_keys and lower in_channels",
               name);
      st = pt_check_note(k, PT_CHECK_CONSTANT, path, text, fix, err);
    }
  }
  return st;
}

/* ---- labels ---- */

struct labels {
  int64_t counted, ignored, wrong, first; /* first: point with a wrong one */
  int32_t value;
};

static struct labels count_labels(struct pt_look *k, const struct pt_channel *segment) {
  struct labels l = {0};
  const int32_t *v = segment->data;
  for (int64_t i = 0; i < segment->n; i++) {
    if (v[i] == k->s.set.ignore) {
      l.ignored++;
    } else if (v[i] >= 0 && v[i] < k->opt->classes) {
      l.counted++;
      k->to->labels[v[i]]++;
    } else if (!l.wrong++) {
      l.first = i;
      l.value = v[i];
    }
  }
  k->to->ignored += l.ignored;
  k->to->wrong += l.wrong;
  return l;
}

static int look_at_labels(struct pt_look *k, const struct pt_cloud *c, const char *path,
                          struct ptv3_error *err) {
  char text[300], fix[300];
  const struct pt_channel *segment = pt_cloud_find(c, "segment");
  if (!segment) {
    if (k->test) return PTV3_OK;
    snprintf(text, sizeof text, "no labels%s%s%s", k->s.set.segment ? " ('" : "",
             k->s.set.segment ? k->s.set.segment : "", k->s.set.segment ? "')" : "");
    return pt_check_note(k, PT_CHECK_NO_LABELS, path, text,
                         "add them, or take the scene out of the split", err);
  }
  struct labels l = count_labels(k, segment);
  if (l.wrong) {
    int64_t row = c->source ? c->source[l.first] : l.first;
    snprintf(text, sizeof text,
             "%lld label%s outside the classes 0 .. %d; the first is %d at point %lld",
             (long long)l.wrong, l.wrong == 1 ? "" : "s", k->opt->classes - 1, l.value,
             (long long)row);
    snprintf(
        fix, sizeof fix,
        "renumber them with learning_map = {label: class} in data.%s, or set num_classes and "
        "ignore_index",
        k->to->name);
    return pt_check_note(k, PT_CHECK_BAD_LABELS, path, text, fix, err);
  }
  if (l.counted) return PTV3_OK;
  return pt_check_note(k, PT_CHECK_ONLY_IGNORED, path, "every label is the ignored one",
                       "the scene teaches nothing; check learning_map, or take it out", err);
}

/* ---- transforms ---- */

static int look_at_sample(struct pt_look *k, const struct pt_sample *s, int64_t points,
                          const char *path, struct ptv3_error *err) {
  char text[300];
  int st = PTV3_OK;
  if (k->opt->in_channels && s->channels != k->opt->in_channels) {
    snprintf(text, sizeof text, "feat_keys give %d channels, model.backbone.in_channels is %d",
             s->channels, k->opt->in_channels);
    st = pt_check_note(k, PT_CHECK_WIDTH, path, text, "change one of them", err);
  }
  int64_t bad = 0, first = 0;
  for (int64_t i = 0; i < s->n * s->channels; i++)
    if (!isfinite(s->feat[i]) && !bad++) first = i;
  if (!st && bad) {
    snprintf(
        text, sizeof text,
        "%lld features are NaN or infinite after the transforms; the first is number %lld of "
        "voxel %lld",
        (long long)bad, (long long)(first % s->channels), (long long)(first / s->channels));
    st = pt_check_note(k, PT_CHECK_FEATURE, path, text,
                       "look at the transforms that divide or scale", err);
  }
  if (st || s->n >= FEW) return st;
  snprintf(text, sizeof text, "%lld voxels of %lld points", (long long)s->n, (long long)points);
  return pt_check_note(k, PT_CHECK_SMALL, path, text,
                       "check grid_size against the unit of the coordinates (metres)", err);
}

/* Draws as the first epoch of seed 0 might. */
static int transform(struct pt_look *k, struct pt_cloud *c, int64_t i, const char *path,
                     struct ptv3_error *err) {
  struct pt_draw draw = pt_draw_of(0, 0, (uint64_t)i);
  struct pt_sample s;
  struct ptv3_error e = {0};
  int st = pt_pipeline_apply(&k->s.pipeline, k->env, c, &draw, k->to != k->check->split, &e);
  if (!st && c->n < 1) st = pt_fail(&e, PTV3_DATA, "the transforms leave no points");
  if (!st) st = pt_sample_view(c, &s, &e);
  if (st && pt_check_ends(st)) {
    if (err) *err = e;
    pt_prefix(err, "'%s'", path);
    return st;
  }
  if (st)
    return pt_check_note(k, PT_CHECK_TRANSFORM, path, e.message,
                         "look at data's transform and at this scene", err);
  grow(&k->to->voxels, k->to->sampled++, s.n);
  return look_at_sample(k, &s, c->n_origin, path, err);
}

/* ---- a scene ---- */

static int look_at_cloud(struct pt_look *k, struct pt_cloud *c, int64_t i, const char *path,
                         struct ptv3_error *err) {
  bool all;
  grow(&k->to->points, k->to->read_ok++, c->n);
  k->print[i] = print_of(c);
  int st = note_told(k, c, path, err);
  if (!st) st = look_at_channels(k, c, path, &all, err);
  if (!st) st = look_at_labels(k, c, path, err);
  if (st || !all || k->test || k->opt->quick) return st;
  return transform(k, c, i, path, err);
}

int pt_check_scene(struct pt_look *k, int64_t i, struct ptv3_error *err) {
  struct pt_cloud c = {0};
  struct ptv3_error e = {0};
  const char *path = k->s.set.scene[i].path;
  k->to->looked++;
  int st = load_scene(k, i, &c, &e);
  if (!st) {
    st = look_at_cloud(k, &c, i, path, err);
  } else if (pt_check_ends(st)) {
    if (err) *err = e;
    if (pt_lacks_memory(st)) pt_prefix(err, "'%s'", path);
  } else {
    st = pt_check_note(k, PT_CHECK_UNREADABLE, path, e.message,
                       "mend the file, or take the scene out of the split", err);
  }
  pt_cloud_free(&c);
  return st;
}
