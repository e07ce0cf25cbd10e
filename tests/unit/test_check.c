/* test_check.c - what the check of data finds: one data set with everything wrong, one with
 * nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "check.h"
#include "npy.h"
#include "pyconfig.h"

enum { POINTS = 100 };

static char root[200]; /* the temporary folder */

static void write_array(const char *folder, const char *name, enum pt_dtype type, int64_t n,
                        int64_t width, const void *data) {
  struct pt_mem mem;
  struct ptv3_error err;
  char path[500];
  pt_mem_init(&mem, 0);
  snprintf(path, sizeof path, "%s/%s.npy", folder, name);
  const int64_t shape[] = {n, width};
  assert_int_equal(pt_npy_write(&mem, path, type, width > 1 ? 2 : 1, shape, data, &err), 0);
}

/* What is wrong with a scene. */
enum wrong {
  FINE,
  NO_COLOR,
  ONE_COLOR,
  NO_LABEL,
  BAD_LABEL,
  IGNORED,
  NAN_COORD,
  SHORT_COLOR,
  TRUNCATED,
  TINY
};

static void make_scene(const char *split, const char *name, enum wrong w) {
  char folder[400], path[500];
  float coord[POINTS * 3];
  uint8_t color[POINTS * 3];
  int16_t label[POINTS];
  snprintf(folder, sizeof folder, "%s/%s", root, split);
  mkdir(folder, 0777);
  snprintf(folder, sizeof folder, "%s/%s/%s", root, split, name);
  mkdir(folder, 0777);
  for (int i = 0; i < POINTS; i++) {
    for (int k = 0; k < 3; k++) {
      coord[3 * i + k] = (float)(k == 0 ? i % 10 : k == 1 ? i / 10 : i % 7) + (float)name[0];
      color[3 * i + k] = (uint8_t)(w == ONE_COLOR ? 9 : i + k);
    }
    label[i] = (int16_t)(w == IGNORED ? -1 : w == BAD_LABEL && i > 41 ? 7 : i % 3);
    if (w == TINY) coord[3 * i] = coord[3 * i + 1] = coord[3 * i + 2] = 0.001f * (float)i;
  }
  if (w == NAN_COORD) coord[5] = NAN;
  write_array(folder, "coord", PT_F32, POINTS, 3, coord);
  if (w != NO_COLOR)
    write_array(folder, "color", PT_U8, w == SHORT_COLOR ? POINTS - 1 : POINTS, 3, color);
  if (w != NO_LABEL) write_array(folder, "segment", PT_I16, POINTS, 1, label);
  if (w != TRUNCATED) return;
  snprintf(path, sizeof path, "%s/segment.npy", folder);
  assert_int_equal(truncate(path, 150), 0);
}

static int set_up(void **state) {
  (void)state;
  snprintf(root, sizeof root, "%s/ptv3-check-XXXXXX",
           getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(root)) return -1;
  make_scene("good", "a", FINE);
  make_scene("copies", "also_a", FINE);
  make_scene("copies", "x", FINE);
  make_scene("good", "b", FINE);
  make_scene("fine", "c", FINE);
  make_scene("bad", "a_fine", FINE);
  make_scene("bad", "b_no_color", NO_COLOR);
  make_scene("bad", "c_no_color", NO_COLOR);
  make_scene("bad", "d_one_color", ONE_COLOR);
  make_scene("bad", "e_no_label", NO_LABEL);
  make_scene("bad", "f_bad_label", BAD_LABEL);
  make_scene("bad", "g_ignored", IGNORED);
  make_scene("bad", "h_nan", NAN_COORD);
  make_scene("bad", "i_short", SHORT_COLOR);
  make_scene("bad", "j_truncated", TRUNCATED);
  make_scene("bad", "k_tiny", TINY);
  char path[300];
  snprintf(path, sizeof path, "%s/list.json", root);
  FILE *f = fopen(path, "w");
  fputs("[\"good/a\", \"good/gone\"]", f);
  return fclose(f);
}

static int tear_down(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

/* A config with these splits; NULL: without. */
static const char *text_of(const char *train, const char *val, const char *step,
                           char text[2000]) {
  int n = snprintf(text, 2000, "data = dict(\n");
  for (int s = 0; s < 2; s++) {
    const char *split = s ? val : train;
    if (!split) continue;
    n += snprintf(text + n, 2000 - (size_t)n,
                  " %s=dict(type='DefaultDataset', split='%s', data_root='%s', transform=[%s\n"
                  "  dict(type='GridSample', grid_size=0.1, return_grid_coord=True),\n"
                  "  dict(type='NormalizeColor'),\n"
                  "  dict(type='Collect', keys=('coord', 'grid_coord', 'segment'),\n"
                  "       feat_keys=('color', 'coord'))]),\n",
                  s ? "val" : "train", split, root, step);
  }
  snprintf(text + n, 2000 - (size_t)n, ")\n");
  return text;
}

struct checked {
  struct pt_env env;
  struct pt_config config;
  struct pt_check c;
};

static void look(struct checked *k, const char *text, const struct pt_check_options *o) {
  struct ptv3_error err;
  pt_env_init(&k->env, 1, 0);
  if (pt_config_parse(&k->env, text, (int64_t)strlen(text), "t.py", NULL, 0, &k->config, &err))
    fail_msg("%s", err.message);
  if (pt_check_data(&k->c, &k->env, k->config.root, o, &err)) fail_msg("%s", err.message);
}

static void done(struct checked *k) {
  pt_check_free(&k->c);
  pt_config_free(&k->config);
  assert_int_equal(k->env.mem.used, 0);
}

static const struct pt_check_options usual = {.classes = 3, .in_channels = 6};

/* Finding number i of this kind. */
static const struct pt_finding *find(const struct pt_check *c, enum pt_check_kind kind,
                                     const char *split, int i) {
  for (int64_t k = 0; k < c->findings; k++) {
    const struct pt_finding *f = &c->finding[k];
    if (f->kind == kind && !strcmp(f->split, split) && !i--) return f;
  }
  fail_msg("no such finding %d of %s", (int)kind, split);
  return NULL;
}

/* The finding of this kind: how many scenes have it, the first of them, words of its text. */
static void has(const struct pt_check *c, enum pt_check_kind kind, const char *split,
                int64_t scenes, const char *path, const char *words) {
  for (int64_t i = 0; i < c->findings; i++) {
    const struct pt_finding *f = &c->finding[i];
    if (f->kind != kind || strcmp(f->split, split)) continue;
    if (f->scenes != scenes) fail_msg("%lld scenes: %s", (long long)f->scenes, f->text);
    if (!strstr(f->text, words)) fail_msg("'%s' lacks '%s'", f->text, words);
    if (path && (!f->path || !strstr(f->path, path))) fail_msg("'%s'?", f->path);
    return;
  }
  fail_msg("no finding %d of %s", (int)kind, split);
}

static void nothing_wrong(void **state) {
  (void)state;
  char text[2000];
  struct checked k;
  look(&k, text_of("good", "fine", "", text), &usual);
  assert_int_equal(k.c.findings, 0);
  assert_int_equal(k.c.errors, 0);
  const struct pt_check_split *t = &k.c.split[0];
  assert_true(t->given && k.c.split[1].given && !k.c.split[2].given);
  assert_int_equal(t->scenes, 2);
  assert_int_equal(t->looked, 2);
  assert_int_equal(t->points.sum, 2 * POINTS);
  assert_int_equal(t->points.min, POINTS);
  assert_int_equal(t->labels[0], 68);
  assert_int_equal(t->labels[1], 66);
  assert_int_equal(t->labels[2], 66);
  assert_true(t->voxels.max == 100 && t->voxels.min == 100 && t->sampled == 2);
  done(&k);
}

static void everything_wrong(void **state) {
  (void)state;
  char text[2000];
  struct checked k;
  look(&k, text_of("bad", "bad", "", text), &usual);
  const struct pt_check *c = &k.c;
  has(c, PT_CHECK_NO_CHANNEL, "train", 2, "b_no_color", "'color'");
  has(c, PT_CHECK_CONSTANT, "train", 1, "d_one_color", "'color' is 9");
  has(c, PT_CHECK_NO_LABELS, "train", 1, "e_no_label", "no labels");
  has(c, PT_CHECK_BAD_LABELS, "train", 1, "f_bad_label",
      "58 labels outside the classes 0 .. 2");
  has(c, PT_CHECK_BAD_LABELS, "train", 1, "f_bad_label", "7 at point 42");
  has(c, PT_CHECK_ONLY_IGNORED, "train", 1, "g_ignored", "ignored");
  has(c, PT_CHECK_SET_ASIDE, "train", 1, "h_nan", "NaN");
  has(c, PT_CHECK_UNREADABLE, "train", 1, "i_short", "color");
  assert_non_null(strstr(find(c, PT_CHECK_UNREADABLE, "train", 1)->path, "j_truncated"));
  assert_string_equal(find(c, PT_CHECK_NO_CHANNEL, "train", 0)->also, "'c_no_color'");
  has(c, PT_CHECK_SMALL, "train", 1, "k_tiny", "1 voxels of 100 points");
  has(c, PT_CHECK_SHARED, "val", 11, "a_fine", "data.train");
  has(c, PT_CHECK_BAD_LABELS, "val", 1, "f_bad_label", "58");
  assert_int_equal(c->split[0].wrong, 58);
  assert_int_equal(c->split[0].ignored, 100);
  assert_int_equal(c->split[0].scenes, 11);
  assert_int_equal(c->split[0].looked, 11);
  assert_int_equal(c->split[0].read_ok, 9);
  bool val = false, warned = false;
  for (int64_t i = 0; i < c->findings; i++) { /* by split, errors first */
    const struct pt_finding *f = &c->finding[i];
    if (!val && !strcmp(f->split, "val")) val = true, warned = false;
    assert_string_equal(f->split, val ? "val" : "train");
    assert_false(f->error && warned);
    warned = warned || !f->error;
    assert_true(f->text[0] != 0);
    assert_true(f->fix[0] != 0 || f->kind == PT_CHECK_SAID);
  }
  done(&k);
}

static void splits(void **state) {
  (void)state;
  char text[2000];
  struct checked k;
  look(&k, text_of("nowhere", "list.json", "", text), &usual);
  has(&k.c, PT_CHECK_NO_SPLIT, "train", 0, NULL, "nowhere'");
  has(&k.c, PT_CHECK_NO_SCENE, "val", 1, "gone", "no such");
  assert_int_equal(k.c.errors, 2);
  assert_int_equal(k.c.split[1].read_ok, 1);
  done(&k);
  struct pt_check_options o = usual;
  o.training = true;
  look(&k, text_of("good", NULL, "", text), &o); /* val is needed */
  has(&k.c, PT_CHECK_NO_SPLIT, "val", 0, NULL, "val");
  done(&k);
  text_of("good", NULL, "", text);
  strcat(text, "evaluate = False\n");
  look(&k, text, &o);
  assert_int_equal(k.c.findings, 0);
  done(&k);
  look(&k, text_of("good", "fine", "dict(type='NoSuch'),", text), &usual);
  has(&k.c, PT_CHECK_NO_SPLIT, "train", 0, NULL, "'NoSuch'");
  done(&k);
}

static void classes(void **state) {
  (void)state;
  char text[2000];
  struct checked k;
  struct pt_check_options o = usual;
  o.classes = 5;
  look(&k, text_of("good", "fine", "", text), &o);
  has(&k.c, PT_CHECK_UNSEEN, "train", 0, NULL, "class 3, 4,");
  assert_int_equal(k.c.errors, 0);
  done(&k);
  o.scenes = 1; /* not all were read: nothing can be said */
  look(&k, text_of("good", "fine", "", text), &o);
  assert_int_equal(k.c.findings, 0);
  assert_int_equal(k.c.split[0].looked, 1);
  assert_int_equal(k.c.split[0].scenes, 2);
  done(&k);
  text_of("good", "fine", "", text);
  char *at = strstr(text, "transform=");
  memmove(at + 29, at, strlen(at) + 1);
  memcpy(at, "learning_map={0: 0, 1: 1},   ", 29);
  look(&k, text, &usual);
  has(&k.c, PT_CHECK_ONLY_VAL, "train", 0, NULL, "class 2, which val has");
  done(&k);
}

static void after_transforms(void **state) {
  (void)state;
  char text[2000];
  struct checked k;
  struct pt_check_options o = usual;
  o.in_channels = 4;
  look(&k, text_of("good", NULL, "", text), &o);
  has(&k.c, PT_CHECK_WIDTH, "train", 2, "good/a", "6 channels");
  done(&k);
  look(&k, text_of("good", NULL, "dict(type='GridSample', grid_size=1e-7),", text), &usual);
  has(&k.c, PT_CHECK_TRANSFORM, "train", 2, "good/a", "cells");
  done(&k);
  look(&k, text_of("good", NULL, "dict(type='SphereCrop', sample_rate=0.001),", text), &usual);
  has(&k.c, PT_CHECK_TRANSFORM, "train", 2, "good/a", "no points");
  done(&k);
  look(&k, text_of(NULL, "good", "dict(type='SphereCrop', point_max=10),", text), &usual);
  has(&k.c, PT_CHECK_TRANSFORM, "val", 2, "good/a", "SphereCrop");
  done(&k);
  o = usual;
  o.quick = true;
  look(&k, text_of("good", "fine", "dict(type='GridSample', grid_size=1e-7),", text), &o);
  assert_int_equal(k.c.findings, 0);
  assert_int_equal(k.c.split[0].sampled, 0);
  done(&k);
}

/* The points of a scene of train under another name. */
static void copies(void **state) {
  (void)state;
  char text[2000];
  struct checked k;
  look(&k, text_of("good", "copies", "", text), &usual);
  assert_int_equal(k.c.errors, 0);
  assert_int_equal(k.c.findings, 1);
  has(&k.c, PT_CHECK_SHARED, "val", 1, "copies/also_a", "its points are those of '");
  has(&k.c, PT_CHECK_SHARED, "val", 1, "copies/also_a", "good/a' in data.train");
  done(&k);
}

/* data.val is part of a training unless evaluate=False. */
static void without_val(void **state) {
  (void)state;
  char text[2000];
  struct checked k;
  look(&k, text_of("good", NULL, "", text), &usual);
  has(&k.c, PT_CHECK_NO_SPLIT, "val", 0, NULL, "has no 'val'");
  assert_non_null(strstr(k.c.finding[0].fix, "or set evaluate=False"));
  done(&k);
  text_of("good", NULL, "", text);
  strcat(text, "evaluate = False\n");
  look(&k, text, &usual);
  assert_int_equal(k.c.findings, 0);
  done(&k);
  look(&k, text_of("good", "nowhere", "", text), &usual);
  has(&k.c, PT_CHECK_NO_SPLIT, "val", 0, NULL, "nowhere'");
  assert_non_null(strstr(k.c.finding[0].fix, "evaluate=False trains without data.val"));
  done(&k);
  look(&k, text_of(NULL, "nowhere", "", text), &usual);
  assert_null(strstr(k.c.finding[0].fix, "evaluate"));
  done(&k);
  struct pt_env env;
  struct pt_config config;
  struct pt_check c;
  struct ptv3_error err;
  static const char none[] = "data = dict(\n  names=['a'])\n";
  pt_env_init(&env, 1, 0);
  assert_int_equal(
      pt_config_parse(&env, none, (int64_t)strlen(none), "t.py", NULL, 0, &config, &err), 0);
  assert_int_equal(pt_check_data(&c, &env, config.root, &usual, &err), PTV3_CONFIG);
  assert_non_null(strstr(err.message, "t.py:1:"));
  assert_non_null(strstr(err.message, "data: has no 'train', 'val' or 'test'"));
  pt_config_free(&config);
}

static int before(struct pt_env *env, const char *train, const char *val, char *warned,
                  struct ptv3_error *err) {
  char text[2000];
  struct pt_config config;
  (void)warned;
  text_of(train, val, "", text);
  assert_int_equal(
      pt_config_parse(env, text, (int64_t)strlen(text), "t.py", NULL, 0, &config, err), 0);
  int st = pt_check_before_training(env, config.root, &usual, err);
  pt_config_free(&config);
  assert_int_equal(env->mem.used, 0);
  return st;
}

static void keep(void *user, const char *message) { snprintf(user, 2000, "%s", message); }

static void before_training(void **state) {
  (void)state;
  struct pt_env env;
  struct ptv3_error err;
  char warned[2000] = "";
  pt_env_init(&env, 1, 0);
  env.warn = keep;
  env.user = warned;
  assert_int_equal(before(&env, "good", "fine", warned, &err), 0);
  assert_string_equal(warned, "");
  assert_int_equal(before(&env, "good", "good", warned, &err), 0);
  assert_non_null(strstr(warned, "data.val: "));
  assert_non_null(strstr(warned, "good/a': data.train has it too (and 1 scene more: 'b')"));
  assert_int_equal(before(&env, "bad", "fine", warned, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "data.train: "));
  assert_int_equal(before(&env, "good", NULL, warned, &err), PTV3_DATA);
}

static bool stop(void *user, const char *what, int64_t done_, int64_t total) {
  (void)what, (void)done_, (void)total;
  return --*(int *)user > 0;
}

static void endings(void **state) {
  (void)state;
  char text[2000];
  struct pt_env env;
  struct pt_config config;
  struct pt_check c;
  struct ptv3_error err;
  text_of("bad", "fine", "", text);
  for (int64_t k = 1;; k++) { /* every allocation fails once */
    pt_env_init(&env, 1, 0);
    assert_int_equal(
        pt_config_parse(&env, text, (int64_t)strlen(text), "t.py", NULL, 0, &config, &err), 0);
    env.mem.fail_at = env.mem.calls + k;
    int st = pt_check_data(&c, &env, config.root, &usual, &err);
    pt_check_free(&c);
    pt_config_free(&config);
    assert_int_equal(env.mem.used, 0);
    if (!st) break;
    assert_int_equal(st, PTV3_NO_MEMORY);
  }
  pt_env_init(&env, 1, 0);
  assert_int_equal(
      pt_config_parse(&env, text, (int64_t)strlen(text), "t.py", NULL, 0, &config, &err), 0);
  int left = 4;
  env.progress = stop;
  env.user = &left;
  assert_int_equal(pt_check_data(&c, &env, config.root, &usual, &err), PTV3_CANCELLED);
  env.progress = NULL;
  env.mem.limit = env.mem.used + 20000;
  assert_int_equal(pt_check_data(&c, &env, config.root, &usual, &err), PTV3_BUDGET);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_wrong),    cmocka_unit_test(everything_wrong),
      cmocka_unit_test(splits),           cmocka_unit_test(classes),
      cmocka_unit_test(without_val),      cmocka_unit_test(copies),
      cmocka_unit_test(after_transforms), cmocka_unit_test(before_training),
      cmocka_unit_test(endings)};
  return cmocka_run_group_tests_name("check", tests, set_up, tear_down);
}
