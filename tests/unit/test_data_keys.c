/* test_data_keys.c - unknown keys of `data` are told, with the nearest known one; the keys a
 * transform is said to know are those it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data_keys.h"
#include "nearest.h"
#include "pipeline.h"
#include "pyconfig.h"
#include "transform.h"

static void test_nearest(void **state) {
  static const char words[] = "split data_root loop test_mode dropout_application_ratio";
  char near[PT_WORD];
  (void)state;
  assert_true(pt_is_word("loop", words));
  assert_false(pt_is_word("loo", words));
  assert_false(pt_is_word("", words));
  static const char *const pairs[][2] = {
      {"lop", "loop"},           {"lopo", "loop"},
      {"splits", "split"},       {"dataroot", "data_root"},
      {"test_mod", "test_mode"}, {"dropout_aplicaton_ratio", "dropout_application_ratio"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    assert_true(pt_nearest_word(pairs[i][0], words, near));
    assert_string_equal(near, pairs[i][1]);
  }
  assert_false(pt_nearest_word("weight", words, near));
  assert_false(pt_nearest_word("", words, near));
  assert_false(pt_nearest_word("p", "p q", near) && strcmp(near, "p"));
  char longer[200] = "";
  memset(longer, 'x', sizeof longer - 1);
  assert_false(pt_nearest_word(longer, words, near));
}

/* ---- warnings ---- */

struct told {
  int n;
  char text[8][600];
};

static void on_warn(void *user, const char *message) {
  struct told *t = user;
  if (t->n < 8) snprintf(t->text[t->n], sizeof t->text[0], "%s", message);
  t->n++;
}

static void look(const char *text, bool all, struct told *told) {
  struct ptv3_error err;
  struct pt_config c;
  struct pt_env env;
  *told = (struct told){0};
  pt_env_init(&env, 1, 0);
  env.warn = on_warn;
  env.user = told;
  if (pt_config_parse(&env, text, (int64_t)strlen(text), "t.py", NULL, 0, &c, &err))
    fail_msg("%s", err.message);
  pt_data_keys_warn(&env, c.root, all);
  int n = told->n;
  pt_config_warn_unused(&env, c.root); /* told once */
  assert_int_equal(told->n, n);
  pt_config_free(&c);
}

static void is(const struct told *t, int i, const char *text) {
  assert_true(i < t->n);
  assert_string_equal(t->text[i], text);
}

static void test_told(void **state) {
  struct told t;
  (void)state;
  look(
      "data = dict(\n"
      "  num_clases=3, ignore_index=-1,\n"
      "  train=dict(type='S3DISDataset', lr_file='x',\n"
      "    transform=[dict(type='GridSample', gird_size=0.1),\n"
      "               dict(type='NormalizeColor', scale=2)]),\n"
      "  val=dict(type='ScanNetDataset', lr_file=None, transfrom=[]),\n"
      "  test=dict(type='S3DISDataset', test_cfg=dict(voxelise=None,\n"
      "    crop=dict(type='SphereCrop', pointmax=5, mode='all'),\n"
      "    aug_transform=[[dict(type='RandomScale', zzz=1)]])))\n",
      true, &t);
  assert_int_equal(t.n, 8);
  is(&t, 0, "t.py:2: 'data.num_clases' is not used by anything; is 'num_classes' meant?");
  is(&t, 1,
     "t.py:3: 'data.train.lr_file' is not used by anything; known there: type split data_root "
     "transform test_mode test_cfg cache ignore_index loop learning_map");
  is(&t, 2,
     "t.py:4: 'data.train.transform.0.gird_size' is not used by anything; is 'grid_size' "
     "meant?");
  is(&t, 3,
     "t.py:5: 'data.train.transform.1.scale' is not used by anything; nothing but its type is "
     "known there");
  is(&t, 4, "t.py:6: 'data.val.transfrom' is not used by anything; is 'transform' meant?");
  is(&t, 5,
     "t.py:7: 'data.test.test_cfg.voxelise' is not used by anything; is 'voxelize' meant?");
  is(&t, 6,
     "t.py:8: 'data.test.test_cfg.crop.pointmax' is not used by anything; is 'point_max' "
     "meant?");
  is(&t, 7,
     "t.py:9: 'data.test.test_cfg.aug_transform.0.0.zzz' is not used by anything; known there: "
     "scale anisotropic");
}

static void test_not_told(void **state) {
  struct told t;
  (void)state;
  look("data = dict(train=dict(typo=1), test=dict(typo=1), val=dict(lop=2))", false, &t);
  assert_int_equal(t.n, 1); /* a prediction reads data.val alone */
  is(&t, 0, "t.py:1: 'data.val.lop' is not used by anything; is 'loop' meant?");
  look(
      "data = dict(train=dict(type='ConcatDataset', loop=1, datasets=[\n"
      "  dict(type='ScanNetDataset', splt='train')]))",
      true, &t);
  assert_int_equal(t.n, 1);
  is(&t, 0, "t.py:2: 'data.train.datasets.0.splt' is not used by anything; is 'split' meant?");
  look(
      "data = dict(train=dict(type='Mine', if_img=True, transform=[dict(type='Mine', a=1)]),\n"
      "  val=dict(type='WaymoDataset', timestamp=(0,)))",
      true, &t);
  assert_int_equal(t.n, 0); /* what is refused for its type has keys of its own */
  look("data = 5", true, &t);
  look("data = dict(val=3, train=[1], test=dict(transform=7, test_cfg=[2]))", true, &t);
  look("data = None", true, &t);
}

/* ---- the keys of the transforms ---- */

static void test_transform_keys(void **state) {
#define NAME(type) #type,
  static const char *const names[] = {PT_TRANSFORM_LIST(NAME)};
#undef NAME
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char text[1000], key[PT_WORD];
    const char *keys = pt_transform_keys(names[i]);
    assert_non_null(keys);
    int at = snprintf(text, sizeof text, "t = [dict(type='%s'", names[i]), used = 0;
    for (const char *p = keys; sscanf(p, "%63s%n", key, &used) == 1; p += used)
      at += snprintf(text + at, sizeof text - (size_t)at, ", %s=%s", key,
                     strcmp(key, "p") ? "None" : "0.5"); /* not all have a default for it */
    snprintf(text + at, sizeof text - (size_t)at, ")]");
    struct told told = {0};
    struct ptv3_error err;
    struct pt_config c;
    struct pt_pipeline p;
    struct pt_env env;
    pt_env_init(&env, 1, 0);
    env.warn = on_warn;
    env.user = &told;
    assert_int_equal(pt_config_parse(&env, text, (int64_t)strlen(text), "t", NULL, 0, &c, &err),
                     0);
    if (pt_pipeline_parse(&p, &env.mem, pt_get(c.root, "t"), &err))
      fail_msg("%s: %s", names[i], err.message);
    pt_config_warn_unused(&env, c.root);
    if (told.n) fail_msg("%s", told.text[0]);
    pt_pipeline_free(&p);
    pt_config_free(&c);
  }
  assert_null(pt_transform_keys("Nothing"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nearest),
      cmocka_unit_test(test_told),
      cmocka_unit_test(test_not_told),
      cmocka_unit_test(test_transform_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
