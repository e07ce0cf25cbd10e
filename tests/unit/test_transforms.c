/* test_transforms.c - pipelines from configs: every transform with recorded draws, the
 * validation pipeline of S3DIS, what is refused, running out of memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "fragments.h"
#include "pipeline.h"
#include "pyconfig.h"
#include "transform.h"
#include "vectors.h"

/* ---- draws from a list of recorded arrays, in call order ---- */

struct script {
  const double *number[4]; /* arrays left to use */
  int64_t n[4], at;
  int array, arrays;
};

static int scripted(void *user, enum pt_draw_kind kind, double lo, double hi, int64_t n,
                    double *out, struct ptv3_error *err) {
  struct script *s = user;
  (void)lo, (void)hi;
  for (int64_t i = 0; i < n; i++) {
    out[i] = 0; /* chances are always taken, choices fall on the first */
    if (kind == PT_DRAW_CHANCE || (kind == PT_DRAW_INTEGER && !s->arrays)) continue;
    while (s->array < s->arrays && s->at == s->n[s->array]) s->array++, s->at = 0;
    if (s->array == s->arrays) return pt_fail(err, PTV3_INTERNAL, "no more draws recorded");
    out[i] = s->number[s->array][s->at++];
  }
  return PTV3_OK;
}

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

static void put(struct pt_cloud *c, const char *name, enum pt_dtype type, int width,
                const void *data) {
  struct ptv3_error err;
  struct pt_channel *ch = pt_cloud_add(c, name, type, width, &err);
  assert_non_null(ch);
  memcpy(ch->data, data, (size_t)(c->n * width * pt_dtype(type)->bytes));
}

static bool tensor_shape(struct vectors *v, const char *name, int64_t *count, bool *f64) {
  json_t *t = json_object_get(v->head, name), *x;
  size_t i;
  if (!t) return false;
  *count = 1;
  json_array_foreach(json_object_get(t, "shape"), i, x) *count *= json_integer_value(x);
  *f64 = !strcmp(json_string_value(json_object_get(t, "dtype")), "F64");
  return true;
}

static void check_floats(struct vectors *v, const char *tag, const struct pt_cloud *c,
                         const char *channel, double tolerance) {
  char name[64];
  int64_t count;
  bool f64;
  snprintf(name, sizeof name, "%s/%s", tag, channel);
  bool changed = tensor_shape(v, name, &count, &f64);
  if (!changed) snprintf(name, sizeof name, "in/%s", channel);
  if (!changed) assert_true(tensor_shape(v, name, &count, &f64));
  const void *want = vectors_get(v, name, f64 ? "F64" : "F32", NULL);
  const struct pt_channel *ch = pt_cloud_find(c, channel);
  assert_int_equal(ch->n * 3, count);
  if (changed) assert_int_equal(ch->type, f64 ? PT_F64 : PT_F32);
  for (int64_t i = 0; i < count; i++) {
    double w = f64 ? ((const double *)want)[i] : (double)((const float *)want)[i];
    double g = pt_channel_at(ch, i / 3, (int)(i % 3));
    if (!(fabs(g - w) <= tolerance * fmax(1, fabs(w))))
      fail_msg("%s[%lld] is %.9g, not %.9g", name, (long long)i, g, w);
  }
}

static void check_labels(struct vectors *v, const char *tag, const struct pt_cloud *c) {
  char name[64];
  snprintf(name, sizeof name, "%s/segment", tag);
  if (!vectors_has(v, name)) return;
  int64_t n;
  const int32_t *want = vectors_get(v, name, "I32", &n);
  assert_int_equal(c->n, n);
  assert_memory_equal(pt_cloud_find(c, "segment")->data, want, (size_t)n * 4);
}

static struct script recorded(struct vectors *v, const char *tag) {
  struct script s = {0};
  bool f64;
  for (int k = 0; k < 4; k++) {
    char name[64];
    snprintf(name, sizeof name, "%s/draw%d", tag, k);
    if (!tensor_shape(v, name, &s.n[k], &f64)) break;
    s.number[s.arrays++] = vectors_get(v, name, "F64", NULL);
  }
  if (!strcmp(tag, "chromatic_jitter")) /* recorded after upstream scaled them in place */
    for (int64_t i = 0; i < s.n[0]; i++) ((double *)(uintptr_t)s.number[0])[i] /= 0.05 * 255;
  return s;
}

static void check_transform(struct vectors *v, const char *tag, json_t *dict) {
  struct pt_env env;
  pt_env_init(&env, 2, 0);
  struct ptv3_error err;
  struct pt_config config;
  struct pt_pipeline p;
  struct pt_cloud c;
  char *json = json_dumps(dict, 0), text[600];
  snprintf(text, sizeof text, "[%s]", json);
  free(json);
  if (parse(&env, text, &config, &p, &err)) fail_msg("%s", err.message);
  int64_t n;
  const float *coord = vectors_get(v, "in/coord", "F32", &n);
  pt_cloud_init(&c, &env.mem, n);
  put(&c, "coord", PT_F32, 3, coord);
  put(&c, "color", PT_F32, 3, vectors_get(v, "in/color", "F32", NULL));
  put(&c, "normal", PT_F32, 3, vectors_get(v, "in/normal", "F32", NULL));
  put(&c, "segment", PT_I32, 1, vectors_get(v, "in/segment", "I32", NULL));
  struct script s = recorded(v, tag);
  struct pt_draw draw = {.fill = scripted, .user = &s};
  if (pt_pipeline_apply(&p, &env, &c, &draw, false, &err)) fail_msg("%s", err.message);
  check_floats(v, tag, &c, "coord", 1e-6);
  check_floats(v, tag, &c, "color", 1e-6);
  check_floats(v, tag, &c, "normal", 1e-6);
  check_labels(v, tag, &c);
  pt_cloud_free(&c);
  pt_pipeline_free(&p);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

static void reference(void **state) {
  (void)state;
  static const char *const same[] = {"rotate_target_0"};
  struct vectors v;
  if (!vectors_open(&v, "transforms")) return;
  json_t *meta = vectors_meta("transforms"), *dict;
  const char *tag;
  int cases = 0;
  json_object_foreach(json_object_get(meta, "transforms"), tag, dict) {
    if (strcmp(tag, same[0])) check_transform(&v, tag, dict);
    for (int i = 0; i < v.copies; i++) free(v.copy[i]);
    v.copies = 0;
    cases++;
  }
  assert_int_equal(cases, 25);
  json_decref(meta);
  vectors_close(&v);
}

/* ---- the validation pipeline ---- */

static const char s3dis_val[] =
    "[dict(type='CenterShift', apply_z=True),"
    " dict(type='Copy', keys_dict={'segment': 'origin_segment'}),"
    " dict(type='GridSample', grid_size=0.05, hash_type='fnv', mode='train',"
    "      return_grid_coord=True, return_inverse=True),"
    " dict(type='CenterShift', apply_z=False), dict(type='NormalizeColor'), "
    "dict(type='ToTensor'),"
    " dict(type='Collect', keys=('coord', 'grid_coord', 'segment', 'origin_segment', "
    "'inverse'),"
    "      feat_keys=('color', 'normal'))]";

static void load_room(struct vectors *v, struct pt_env *env, struct pt_cloud *c) {
  int64_t n;
  const float *coord = vectors_get(v, "room/coord", "F32", &n);
  pt_cloud_init(c, &env->mem, n);
  put(c, "coord", PT_F32, 3, coord);
  put(c, "color", PT_F32, 3, vectors_get(v, "room/color", "F32", NULL));
  put(c, "normal", PT_F32, 3, vectors_get(v, "room/normal", "F32", NULL));
  put(c, "segment", PT_I32, 1, vectors_get(v, "room/segment", "I32", NULL));
}

static struct script room_draws(struct vectors *v) {
  int64_t n;
  const int32_t *draw = vectors_get(v, "val/draw", "I32", &n);
  double *number = malloc((size_t)n * sizeof *number);
  for (int64_t i = 0; i < n; i++) number[i] = draw[i];
  return (struct script){.number = {number}, .n = {n}, .arrays = 1};
}

static void validation(void **state) {
  (void)state;
  struct vectors v;
  if (!vectors_open(&v, "pipeline")) return;
  struct pt_env env;
  pt_env_init(&env, 2, 0);
  struct ptv3_error err;
  struct pt_config config;
  struct pt_pipeline p;
  struct pt_cloud c;
  assert_int_equal(parse(&env, s3dis_val, &config, &p, &err), 0);
  const char *need[8];
  assert_int_equal(pt_pipeline_needs(&p, need, 8), 2);
  assert_string_equal(need[1], "normal");
  assert_true(pt_pipeline_grid_size(&p) == 0.05);
  load_room(&v, &env, &c);
  struct script s = room_draws(&v);
  struct pt_draw draw = {.fill = scripted, .user = &s};
  if (pt_pipeline_apply(&p, &env, &c, &draw, true, &err)) fail_msg("%s", err.message);
  struct pt_sample got;
  assert_int_equal(pt_sample_view(&c, &got, &err), 0);
  int64_t m, n;
  const int32_t *grid = vectors_get(&v, "val/grid_coord", "I32", &m);
  const int32_t *inverse = vectors_get(&v, "val/inverse", "I32", &n);
  assert_int_equal(got.n, m);
  assert_int_equal(got.n_origin, n);
  assert_int_equal(got.channels, 6);
  assert_memory_equal(got.grid_coord, grid, (size_t)m * 12);
  assert_memory_equal(got.inverse, inverse, (size_t)n * 4);
  assert_memory_equal(got.coord, vectors_get(&v, "val/coord", "F32", NULL), (size_t)m * 12);
  assert_memory_equal(got.feat, vectors_get(&v, "val/feat", "F32", NULL), (size_t)m * 24);
  assert_memory_equal(got.origin_segment, vectors_get(&v, "room/segment", "I32", NULL),
                      (size_t)n * 4);
  free((void *)(uintptr_t)s.number[0]);
  pt_cloud_free(&c);
  pt_pipeline_free(&p);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
  vectors_close(&v);
}

/* ---- the test pipeline: augmentations and fragments ---- */

#define AUG(s) "[dict(type='RandomScale', scale=[" s ", " s "])],"
#define FLIP(s) \
  "[dict(type='RandomScale', scale=[" s ", " s "]), dict(type='RandomFlip', p=1)],"

static const char s3dis_test[] =
    "T = dict("
    " transform=[dict(type='CenterShift', apply_z=True), dict(type='NormalizeColor')],"
    " test_cfg=dict("
    "  voxelize=dict(type='GridSample', grid_size=0.05, hash_type='fnv', mode='test',"
    "                return_grid_coord=True),"
    "  crop=None,"
    "  post_transform=[dict(type='CenterShift', apply_z=False), dict(type='ToTensor'),"
    "   dict(type='Collect', keys=('coord', 'grid_coord', 'index'),"
    "        feat_keys=('color', 'normal'))],"
    "  aug_transform=[" AUG("0.9") AUG("0.95") AUG("1") AUG("1.05") AUG("1.1") FLIP("0.9")
        FLIP("0.95") FLIP("1") FLIP("1.05") FLIP("1.1") "]))";

static double fixed_scale; /* of the last augmentation */

static int same_scale(void *user, enum pt_draw_kind kind, double lo, double hi, int64_t n,
                      double *out, struct ptv3_error *err) {
  (void)user, (void)hi, (void)err;
  for (int64_t i = 0; i < n; i++) out[i] = kind == PT_DRAW_UNIFORM ? lo : 0;
  if (kind == PT_DRAW_UNIFORM) fixed_scale = lo;
  return PTV3_OK;
}

static void first_fragment(struct vectors *v, const struct pt_cloud *f) {
  struct ptv3_error err;
  struct pt_sample s;
  int64_t m;
  const int32_t *index = vectors_get(v, "test/fragment0_index", "I32", &m);
  assert_int_equal(pt_sample_view(f, &s, &err), 0);
  assert_int_equal(s.n, m);
  assert_memory_equal(s.index, index, (size_t)m * 4);
  assert_memory_equal(s.grid_coord, vectors_get(v, "test/fragment0_grid_coord", "I32", NULL),
                      (size_t)m * 12);
  assert_memory_equal(s.coord, vectors_get(v, "test/fragment0_coord", "F32", NULL),
                      (size_t)m * 12);
  assert_memory_equal(s.feat, vectors_get(v, "test/fragment0_feat", "F32", NULL),
                      (size_t)m * 24);
}

/* Runs the whole test plan on a cloud and compares with v, if given. */
static int run_protocol(struct pt_env *env, const struct pt_value *config, struct pt_cloud *c,
                        struct vectors *v, int64_t *fragments, struct ptv3_error *err) {
  struct pt_test test;
  struct pt_test_run r = {0};
  struct pt_draw draw = {.fill = same_scale};
  *fragments = 0;
  int st = pt_test_parse(&test, &env->mem, config, err);
  if (st) return st;
  st = pt_pipeline_apply(&test.transform, env, c, &draw, true, err);
  for (int64_t a = 0; !st && a < test.n_aug; a++) {
    st = pt_test_begin(&r, &test, env, c, a, &draw, err);
    for (int64_t i = 0; !st && i < r.fragments; i++) {
      struct pt_cloud f;
      if ((st = pt_test_fragment(&r, env, i, &draw, &f, err))) break;
      if (v && *fragments == 0) first_fragment(v, &f);
      if (v)
        assert_int_equal(f.n, ((const int32_t *)vectors_get(v, "test/fragment_size", "I32",
                                                            NULL))[*fragments]);
      ++*fragments;
      pt_cloud_free(&f);
    }
    pt_test_end(&r);
  }
  pt_test_free(&test);
  return st;
}

static void precise_test(void **state) {
  (void)state;
  struct vectors v;
  if (!vectors_open(&v, "pipeline")) return;
  struct pt_env env;
  pt_env_init(&env, 2, 0);
  struct ptv3_error err;
  struct pt_config config;
  struct pt_cloud c;
  assert_int_equal(pt_config_parse(&env, s3dis_test, (int64_t)strlen(s3dis_test), "test.py",
                                   NULL, 0, &config, &err),
                   0);
  load_room(&v, &env, &c);
  int64_t fragments;
  if (run_protocol(&env, pt_get(config.root, "T"), &c, &v, &fragments, &err))
    fail_msg("%s", err.message);
  assert_int_equal(fragments, 104);
  assert_true(fixed_scale == 1.1);
  pt_cloud_free(&c);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
  vectors_close(&v);
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
    int st = run_protocol(&env, pt_get(config.root, "T"), &c, NULL, &fragments, &err);
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
      cmocka_unit_test(reference),     cmocka_unit_test(validation),
      cmocka_unit_test(two_grids),     cmocka_unit_test(refusals),
      cmocka_unit_test(random_steps),  cmocka_unit_test(no_memory),
      cmocka_unit_test(precise_test),  cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
