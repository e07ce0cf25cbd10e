/* test_cloud_load.c - columns to clouds: names, units, the offset, points set aside, channels
 * that are missing, labels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "load.h"

static char warned[600];

static void keep_warning(void *user, const char *message) {
  (void)user;
  strncat(warned, message, sizeof warned - strlen(warned) - 1);
}

static struct pt_env new_env(void) {
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  env.warn = keep_warning;
  warned[0] = 0;
  return env;
}

static void add(struct pt_table *t, const char *name, enum pt_dtype type, int width,
                const void *data) {
  struct ptv3_error err;
  struct pt_column *c = pt_table_add(t, name, type, width, &err);
  assert_non_null(c);
  memcpy(c->data, data, (size_t)(t->n * width * pt_dtype(type)->bytes));
}

static double at(const struct pt_cloud *c, const char *channel, int64_t i, int k) {
  const struct pt_channel *ch = pt_cloud_find(c, channel);
  assert_non_null(ch);
  return pt_channel_at(ch, i, k);
}

/* A LAS-like table: doubles far from the origin, 16-bit colours, codes. */
static void las_like(void **state) {
  (void)state;
  struct pt_env env = new_env();
  struct ptv3_error err;
  struct pt_table t;
  pt_table_init(&t, &env.mem, 3);
  const double x[] = {870000.125, 870001.5, 870002.0625}, y[] = {6618000.25, 6618003, 6618001},
               z[] = {-1.5, 2, 3};
  const uint16_t r[] = {65535, 256, 0}, g[] = {0, 512, 257}, b[] = {1, 2, 25700};
  const uint16_t intensity[] = {0, 65535, 13107};
  const uint8_t code[] = {2, 6, 2};
  add(&t, "X", PT_F64, 1, x), add(&t, "Y", PT_F64, 1, y), add(&t, "Z", PT_F64, 1, z);
  add(&t, "red", PT_U16, 1, r), add(&t, "green", PT_U16, 1, g), add(&t, "blue", PT_U16, 1, b);
  add(&t, "intensity", PT_U16, 1, intensity);
  add(&t, "Classification", PT_U8, 1, code);
  int32_t to[7] = {0};
  to[2] = 5, to[6] = -1;
  const struct pt_label_map map = {"ASPRS", 7, to, PT_LABEL_UNKNOWN};
  const char *want[] = {"color", "strength"};
  const struct pt_load opt = {.want = want, .n_want = 2, .labels = true, .map = &map};
  struct pt_cloud c;
  if (pt_cloud_from_table(&env, &t, "a.las", false, &opt, &c, &err))
    fail_msg("%s", err.message);
  assert_int_equal(c.n, 3);
  assert_null(c.source);
  assert_true(c.offset[0] == 870000 && c.offset[1] == 6618000 && c.offset[2] == -2);
  assert_true(at(&c, "coord", 2, 0) == 2.0625 && at(&c, "coord", 0, 2) == 0.5);
  assert_true(at(&c, "color", 0, 0) == 255 && at(&c, "color", 1, 1) == 2 &&
              at(&c, "color", 2, 2) == 100);
  assert_true(at(&c, "strength", 1, 0) == 1 && fabs(at(&c, "strength", 2, 0) - 0.2) < 1e-6);
  assert_true(at(&c, "segment", 0, 0) == 5 && at(&c, "segment", 1, 0) == -1);
  assert_int_equal(pt_cloud_check_labels(&c, "segment", 6, -1, "a.las", &err), 0);
  assert_int_equal(pt_cloud_check_labels(&c, "segment", 5, -1, "a.las", &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "label 5 of point 0"));
  assert_string_equal(warned, "");
  pt_cloud_free(&c);
  assert_int_equal(env.mem.used, 0);
}

/* n points of a unit square, then some that cannot be used. */
static void put_square(struct pt_table *t, struct pt_env *env, int64_t n, float *xyz) {
  for (int64_t i = 0; i < n; i++) {
    xyz[i * 3] = (float)(i % 10) / 10;
    xyz[i * 3 + 1] = (float)(i / 10 % 10) / 10;
    xyz[i * 3 + 2] = 0;
  }
  pt_table_init(t, &env->mem, n);
}

static void set_aside(void **state) {
  (void)state;
  enum { N = 100 };
  struct pt_env env = new_env();
  struct ptv3_error err;
  struct pt_table t;
  float xyz[N * 3], color[N * 3] = {0};
  put_square(&t, &env, N, xyz);
  xyz[3 * 4 + 1] = NAN;
  xyz[3 * 50 + 2] = -INFINITY;
  xyz[3 * 60] = 3e30f;
  xyz[3 * 99] = 70; /* within 100 times the size of 0.8: stays */
  color[3 * 70] = NAN;
  color[3 * 71 + 2] = 0.5f;
  const int32_t segment[N] = {[99] = 7};
  add(&t, "coord", PT_F32, 3, xyz), add(&t, "color", PT_F32, 3, color);
  add(&t, "scalar_label", PT_I32, 1, segment);
  const char *want[] = {"color"};
  const struct pt_load opt = {.want = want, .n_want = 1, .labels = true};
  struct pt_cloud c;
  if (pt_cloud_from_table(&env, &t, "a.ply", false, &opt, &c, &err))
    fail_msg("%s", err.message);
  assert_int_equal(c.n, N - 4);
  assert_int_equal(c.n_input, N);
  assert_int_equal(c.source[3], 3);
  assert_int_equal(c.source[4], 5);
  assert_int_equal(c.source[c.n - 1], 99);
  assert_true(at(&c, "segment", c.n - 1, 0) == 7);
  assert_true(at(&c, "color", 67, 2) == 127.5);
  assert_non_null(strstr(warned,
                         "3 points set aside: NaN or infinite numbers (the first: "
                         "'coord' of row 4)"));
  assert_non_null(strstr(warned, "1 point set aside: far outliers (the first: row 60"));
  pt_cloud_free(&c);

  /* with a grid of 1 mm the point 70 m away would need 70000 cells */
  put_square(&t, &env, N, xyz);
  xyz[3 * 99] = 70;
  add(&t, "coord", PT_F32, 3, xyz);
  const struct pt_load fine = {.grid_size = 0.001};
  assert_int_equal(pt_cloud_from_table(&env, &t, "a.ply", false, &fine, &c, &err), 0);
  assert_int_equal(c.n, N - 1);
  pt_cloud_free(&c);
  assert_int_equal(env.mem.used, 0);
}

static int from(struct pt_env *env, int64_t n, enum pt_dtype type, const void *xyz, bool as_is,
                const struct pt_load *opt, struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_table t;
  pt_table_init(&t, &env->mem, n);
  if (xyz) add(&t, "coord", type, 3, xyz);
  return pt_cloud_from_table(env, &t, "a.npy", as_is, opt, c, err);
}

static void missing_channels(void **state) {
  (void)state;
  struct pt_env env = new_env();
  struct ptv3_error err;
  struct pt_cloud c;
  const float xyz[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0};
  const char *want[] = {"color", "normal", "height"};
  struct pt_load opt = {.want = want, .n_want = 2};
  assert_int_equal(from(&env, 4, PT_F32, xyz, false, &opt, &c, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "no channel 'color'"));
  assert_non_null(strstr(err.message, "--fill color=128,128,128"));
  struct pt_fill fill[2];
  assert_int_equal(pt_fill_parse("color=10,20,30", &fill[0], &err), 0);
  assert_int_equal(pt_fill_parse("height=-1.5", &fill[1], &err), 0);
  opt.fill = fill, opt.n_fill = 2;
  assert_int_equal(from(&env, 4, PT_F32, xyz, false, &opt, &c, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "--estimate-normals"));
  opt.normals = 3, opt.n_want = 3;
  if (from(&env, 4, PT_F32, xyz, false, &opt, &c, &err)) fail_msg("%s", err.message);
  assert_true(at(&c, "color", 3, 1) == 20 && at(&c, "height", 2, 0) == -1.5);
  for (int i = 0; i < 4; i++) assert_true(at(&c, "normal", i, 2) == 1);
  pt_cloud_free(&c);
  assert_int_equal(from(&env, 4, PT_F32, NULL, false, &opt, &c, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "no coordinates"));
  const char *bad[] = {"color", "=3", "color=", "color=1,2,3,4,5", "color=1,x", "color=nan"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(pt_fill_parse(bad[i], &fill[0], &err), PTV3_INVALID);
  assert_int_equal(env.mem.used, 0);
}

static void offsets(void **state) {
  (void)state;
  struct pt_env env = new_env();
  struct ptv3_error err;
  struct pt_cloud c;
  const struct pt_load opt = {0};
  const double near[] = {-9000.1, 2, 3}, far[] = {500000.3, 20, 3, 500010, 30, 4};
  assert_int_equal(from(&env, 1, PT_F64, near, true, &opt, &c, &err), 0);
  assert_true(c.offset[0] == 0 && at(&c, "coord", 0, 0) == (double)(float)-9000.1);
  pt_cloud_free(&c);
  assert_string_equal(warned, "");
  assert_int_equal(from(&env, 2, PT_F64, far, true, &opt, &c, &err), 0);
  assert_true(c.offset[0] == 500000 && at(&c, "coord", 1, 1) == 10);
  assert_non_null(strstr(warned, "Pointcept would round"));
  pt_cloud_free(&c);
  const float lossy[] = {500000.3f, 20, 3};
  warned[0] = 0;
  assert_int_equal(from(&env, 1, PT_F32, lossy, true, &opt, &c, &err), 0);
  assert_true(c.offset[0] == 0);
  assert_non_null(strstr(warned, "float32"));
  pt_cloud_free(&c);
  const float none[] = {NAN, 0, 0};
  assert_int_equal(from(&env, 1, PT_F32, none, true, &opt, &c, &err), PTV3_DATA);
  assert_int_equal(from(&env, 0, PT_F32, none, true, &opt, &c, &err), PTV3_DATA);
  assert_int_equal(env.mem.used, 0);
}

static void unknown_label(void **state) {
  (void)state;
  struct pt_env env = new_env();
  struct ptv3_error err;
  struct pt_table t;
  struct pt_cloud c;
  const float xyz[] = {0, 0, 0, 1, 0, 0};
  const uint16_t label[] = {1, 3};
  const int32_t to[] = {-1, 0, PT_LABEL_UNKNOWN, PT_LABEL_UNKNOWN};
  const struct pt_label_map map = {"Mine", 4, to, PT_LABEL_UNKNOWN};
  const struct pt_load opt = {.labels = true, .map = &map};
  pt_table_init(&t, &env.mem, 2);
  add(&t, "coord", PT_F32, 3, xyz), add(&t, "semantic", PT_U16, 1, label);
  assert_int_equal(pt_cloud_from_table(&env, &t, "a.bin", false, &opt, &c, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "label 3 of point 1 is not one of Mine's"));
  const float part[] = {1, 0.5f};
  pt_table_init(&t, &env.mem, 2);
  add(&t, "coord", PT_F32, 3, xyz), add(&t, "label", PT_F32, 1, part);
  assert_int_equal(pt_cloud_from_table(&env, &t, "a.ply", false, &opt, &c, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "label 0.5 of point 1 is no whole number"));
  assert_int_equal(env.mem.used, 0);
}

static void no_memory(void **state) {
  (void)state;
  const double xyz[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, (double)NAN, 1, 0};
  const char *want[] = {"color", "normal"};
  struct pt_fill fill;
  struct ptv3_error err;
  assert_int_equal(pt_fill_parse("color=1", &fill, &err), 0);
  for (int64_t k = 1;; k++) {
    struct pt_env env = new_env();
    struct pt_table t;
    struct pt_cloud c;
    pt_table_init(&t, &env.mem, 4);
    add(&t, "coord", PT_F64, 3, xyz);
    env.mem.fail_at = env.mem.calls + k;
    const struct pt_load opt = {
        .want = want, .n_want = 2, .fill = &fill, .n_fill = 1, .normals = 3};
    int st = pt_cloud_from_table(&env, &t, "a", false, &opt, &c, &err);
    if (!st) pt_cloud_free(&c);
    assert_int_equal(env.mem.used, 0);
    if (!st) break;
    assert_int_equal(st, err.status);
    assert_true(k < 60);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(las_like),         cmocka_unit_test(set_aside),
      cmocka_unit_test(missing_channels), cmocka_unit_test(offsets),
      cmocka_unit_test(unknown_label),    cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
