/* test_transforms.c - pipelines from configs: small clouds, what is refused, running out of
 * memory. Against Pointcept's own results: tests/reference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fragments.h"
#include "pipeline.h"
#include "pyconfig.h"
#include "transform.h"

/* ---- helpers ---- */

/* A pipeline from Python text "[dict(...)]"; JSON will do. */
static int parse(struct pt_env *env, const char *text, struct pt_config *config,
                 struct pt_pipeline *p, struct ptv3_error *err) {
  size_t size = strlen(text) + 64;
  char *all = malloc(size);
  snprintf(all, size, "true = True\nfalse = False\nnull = None\nT = %s\n", text);
  int st = pt_config_parse(env, all, (int64_t)strlen(all), "test.py", NULL, 0, config, err);
  free(all);
  if (st) return st;
  st = pt_pipeline_parse(p, &env->mem, pt_get(config->root, "T"), err);
  if (st) pt_config_free(config);
  return st;
}

static void asks(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 2, 0);
  struct ptv3_error err;
  struct pt_config config;
  struct pt_pipeline p;
  const char *need[8], *text =
                           "[dict(type='GridSample', grid_size=0.05, return_grid_coord=True,"
                           "      return_displacement=True),"
                           " dict(type='NormalizeColor'),"
                           " dict(type='Collect', keys=('coord', 'grid_coord'),"
                           "      feat_keys=('color', 'displacement', 'normal'))]";
  assert_int_equal(parse(&env, text, &config, &p, &err), 0);
  assert_int_equal(pt_pipeline_needs(&p, need, 8), 2);
  assert_string_equal(need[0], "color");
  assert_string_equal(need[1], "normal");
  assert_true(pt_pipeline_grid_size(&p) == 0.05);
  pt_pipeline_free(&p);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

/* ---- small clouds ---- */

static int small_cloud(struct pt_env *env, struct pt_cloud *c, struct ptv3_error *err) {
  static const float coord[] = {0, 0, 0, 0.1f, 0, 0, 5, 5, 5, 5.1f, 5, 5, 9, 1, 1};
  static const uint8_t color[] = {0, 51, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  pt_cloud_init(c, &env->mem, 5);
  struct pt_channel *ch = pt_cloud_add(c, "coord", PT_F32, 3, err);
  if (ch) memcpy(ch->data, coord, sizeof coord);
  if (!ch || !(ch = pt_cloud_add(c, "color", PT_U8, 3, err))) return pt_status(err);
  memcpy(ch->data, color, sizeof color);
  return PTV3_OK;
}

/* Parses, applies and frees; the cloud remains on success. */
static int run(struct pt_env *env, const char *text, bool keep, struct pt_cloud *c,
               struct ptv3_error *err) {
  struct pt_config config;
  struct pt_pipeline p;
  memset(c, 0, sizeof *c);
  int st = parse(env, text, &config, &p, err);
  if (st) return st;
  struct pt_draw draw = pt_draw_of(7, 0, 0);
  st = small_cloud(env, c, err);
  if (!st) st = pt_pipeline_apply(&p, env, c, &draw, keep, err);
  pt_pipeline_free(&p);
  pt_config_free(&config);
  if (st) pt_cloud_free(c);
  return st;
}

/* Two GridSamples: labels of the coarse voxels reach every point; no labels needed. */
static void two_grids(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  struct pt_cloud c;
  const char *text =
      "[dict(type='Copy', keys_dict={'segment': 'origin_segment'}),"
      " dict(type='GridSample', grid_size=0.5, return_grid_coord=True),"
      " dict(type='GridSample', grid_size=6, return_grid_coord=True, return_displacement=True),"
      " dict(type='NormalizeColor'),"
      " dict(type='Collect', keys=('coord', 'grid_coord', 'segment'),"
      "      feat_keys=['color', 'displacement'])]";
  if (run(&env, text, true, &c, &err)) fail_msg("%s", err.message);
  struct pt_sample s;
  assert_int_equal(pt_sample_view(&c, &s, &err), 0);
  assert_int_equal(s.n, 2);
  assert_int_equal(s.n_origin, 5);
  assert_int_equal(s.channels, 6);
  assert_null(s.origin_segment);
  for (int i = 0; i < 5; i++) assert_true((s.inverse[i] == s.inverse[4]) == (i == 4));
  for (int k = 0; k < 12; k++) assert_true(s.feat[k] >= -0.5f && s.feat[k] <= 1);
  pt_cloud_free(&c);
  assert_int_equal(env.mem.used, 0);
}

static void refuse(const char *text, bool keep, int status, const char *part) {
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err = {0};
  struct pt_cloud c;
  assert_int_equal(run(&env, text, keep, &c, &err), status);
  if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
  assert_int_equal(env.mem.used, 0);
}

static void refusals(void **state) {
  (void)state;
  refuse("[dict(type='NoSuchThing')]", false, PTV3_CONFIG, "test.py:4");
  refuse("[dict(type='NoSuchThing')]", false, PTV3_CONFIG, "'NoSuchThing'");
  refuse("[dict(apply_z=True)]", false, PTV3_CONFIG, "type");
  refuse("[3]", false, PTV3_CONFIG, "dict");
  refuse("4", false, PTV3_CONFIG, "list");
  refuse("[dict(type='GridSample', grid_size=-1)]", false, PTV3_CONFIG, "grid_size");
  refuse("[dict(type='GridSample', mode='no')]", false, PTV3_CONFIG, "'no'");
  refuse("[dict(type='GridSample', mode='test')]", false, PTV3_CONFIG, "voxelize");
  refuse("[dict(type='GridSample', return_displacement=True, project_displacement=True)]",
         false, PTV3_DATA, "'normal'");
  refuse("[dict(type='Collect', keys='coord', feat_keys=['strength'])]", false, PTV3_DATA,
         "'strength'");
  refuse("[dict(type='Collect', keys=['superpoint'])]", false, PTV3_DATA, "'superpoint'");
  refuse("[dict(type='SphereCrop', point_max=2)]", true, PTV3_CONFIG, "SphereCrop");
  refuse("[dict(type='SphereCrop', mode='all')]", false, PTV3_CONFIG,
         "test.py:4:30: T.0.mode: 'all'");
  refuse("[dict(type='SphereCrop', mode='all')]", false, PTV3_CONFIG, "test_cfg.crop");
  refuse("[dict(type='SphereCrop', mode='given')]", false, PTV3_CONFIG, "images");
  refuse("[dict(type='SphereCrop', mode='al')]", false, PTV3_CONFIG, "not 'al'");
  refuse("[dict(type='RandomRotate', axis='w')]", false, PTV3_CONFIG, "axis");
  refuse(
      "[dict(type='RandomDropout', dropout_ratio=1, dropout_application_ratio=1),"
      " dict(type='CenterShift')]",
      false, PTV3_DATA, "no points left");
  refuse("[dict(type='Update', keys_dict=dict(index_valid_keys=['a']))]", false, PTV3_CONFIG,
         "index_valid_keys");
}

/* The default draws: the same for the same seed, whatever the threads. */
static void random_steps(void **state) {
  (void)state;
  const char *text =
      "[dict(type='RandomRotate', p=1), dict(type='RandomScale'), dict(type='RandomFlip'),"
      " dict(type='RandomShift'), dict(type='RandomJitter'), dict(type='ShufflePoint'),"
      " dict(type='ChromaticAutoContrast', p=1), dict(type='ChromaticTranslation', p=1),"
      " dict(type='ChromaticJitter', p=1), dict(type='ElasticDistortion'),"
      " dict(type='PointClip', point_cloud_range=[-9, -9, -9, 9, 9, 9]),"
      " dict(type='Update', keys_dict=dict(condition='S3DIS')),"
      " dict(type='SphereCrop', point_max=4), dict(type='PositiveShift'),"
      " dict(type='GridSample', return_grid_coord=True), dict(type='NormalizeColor'),"
      " dict(type='Collect', keys=('coord', 'grid_coord', 'condition'), feat_keys='color')]";
  float first[12];
  for (int threads = 1; threads < 4; threads++) {
    struct pt_env env;
    pt_env_init(&env, threads, 0);
    struct ptv3_error err;
    struct pt_cloud c;
    if (run(&env, text, false, &c, &err)) fail_msg("%s", err.message);
    struct pt_sample s;
    assert_int_equal(pt_sample_view(&c, &s, &err), 0);
    assert_int_equal(s.n, 4);
    assert_string_equal(s.condition ? "set" : "", "set");
    if (threads == 1) memcpy(first, s.coord, sizeof first);
    assert_memory_equal(first, s.coord, sizeof first);
    for (int i = 0; i < 12; i++) assert_true(s.feat[i] >= 0 && s.feat[i] <= 1);
    pt_cloud_free(&c);
    assert_int_equal(env.mem.used, 0);
  }
}

static void no_memory(void **state) {
  (void)state;
  const char *text =
      "[dict(type='RandomRotate', p=1), dict(type='ElasticDistortion'),"
      " dict(type='SphereCrop', point_max=4), dict(type='ShufflePoint'),"
      " dict(type='GridSample', return_grid_coord=True, return_inverse=True,"
      "      return_displacement=True, return_min_coord=True), dict(type='NormalizeColor'),"
      " dict(type='Collect', keys=('coord', 'grid_coord'), feat_keys=['color', "
      "'displacement'])]";
  for (int64_t k = 1;; k++) {
    struct pt_env env;
    pt_env_init(&env, 1, 0);
    env.mem.fail_at = k;
    struct ptv3_error err;
    struct pt_cloud c;
    int st = run(&env, text, false, &c, &err);
    if (!st) pt_cloud_free(&c);
    assert_int_equal(env.mem.used, 0);
    if (!st) break;
    assert_true(k < 500);
  }
}

/* Runs the whole test plan on a cloud; *fragments counts its fragments. */
static int run_protocol(struct pt_env *env, const struct pt_value *config, struct pt_cloud *c,
                        int64_t *fragments, struct ptv3_error *err) {
  struct pt_test test;
  struct pt_test_run r = {0};
  struct pt_draw draw = pt_draw_of(0, 0, 0);
  *fragments = 0;
  int st = pt_test_parse(&test, &env->mem, config, err);
  if (st) return st;
  st = pt_pipeline_apply(&test.transform, env, c, &draw, true, err);
  for (int64_t a = 0; !st && a < test.n_aug; a++) {
    st = pt_test_begin(&r, &test, env, c, a, &draw, err);
    for (int64_t i = 0; !st && i < r.fragments; i++, ++*fragments) {
      struct pt_cloud f;
      if ((st = pt_test_fragment(&r, env, i, &draw, &f, err))) break;
      pt_cloud_free(&f);
    }
    pt_test_end(&r);
  }
  pt_test_free(&test);
  return st;
}

static void test_no_memory(void **state) {
  (void)state;
  const char *text =
      "T = dict(transform=[dict(type='GridSample', grid_size=0.01, return_inverse=True)],"
      " test_cfg=dict(voxelize=dict(type='GridSample', grid_size=1, mode='test',"
      "   return_grid_coord=True, return_displacement=True),"
      "  post_transform=[dict(type='Collect', keys=['coord', 'grid_coord', 'index'],"
      "   feat_keys='displacement')], aug_transform=[[], [dict(type='RandomFlip', p=1)]]))";
  for (int64_t k = 1;; k++) {
    struct pt_env env;
    pt_env_init(&env, 1, 0);
    struct ptv3_error err;
    struct pt_config config;
    struct pt_cloud c;
    assert_int_equal(
        pt_config_parse(&env, text, (int64_t)strlen(text), "test.py", NULL, 0, &config, &err),
        0);
    assert_int_equal(small_cloud(&env, &c, &err), 0);
    env.mem.fail_at = env.mem.calls + k;
    int64_t fragments;
    int st = run_protocol(&env, pt_get(config.root, "T"), &c, &fragments, &err);
    pt_cloud_free(&c);
    pt_config_free(&config);
    assert_int_equal(env.mem.used, 0);
    if (!st) assert_int_equal(fragments, 3); /* two, and one where the flip parts them */
    if (!st) break;
    assert_true(k < 500);
  }
}

static void test_refusals(void **state) {
  (void)state;
  static const char *const text[][2] = {
      {"T = dict(transform=[])", "test_cfg"},
      {"T = dict(test_cfg=dict(crop=dict(type='SphereCrop')))", "crop"},
      {"T = dict(test_cfg=dict(voxelize=dict(type='GridSample')))", "mode='test'"},
      {"T = dict(test_cfg=dict(voxelize=dict(type='GridSample', mode='test'),"
       " aug_transform=[]))",
       "aug"},
  };
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    struct pt_env env;
    pt_env_init(&env, 1, 0);
    struct ptv3_error err;
    struct pt_config config;
    struct pt_test test;
    assert_int_equal(pt_config_parse(&env, text[i][0], (int64_t)strlen(text[i][0]), "test.py",
                                     NULL, 0, &config, &err),
                     0);
    assert_int_equal(pt_test_parse(&test, &env.mem, pt_get(config.root, "T"), &err),
                     PTV3_CONFIG);
    if (!strstr(err.message, text[i][1])) fail_msg("%s", err.message);
    pt_config_free(&config);
    assert_int_equal(env.mem.used, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(asks),          cmocka_unit_test(two_grids),
      cmocka_unit_test(refusals),      cmocka_unit_test(random_steps),
      cmocka_unit_test(no_memory),     cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
