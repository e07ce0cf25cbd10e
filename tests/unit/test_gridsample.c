/* test_gridsample.c - voxels against the reference vectors, and the errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "gridsample.h"
#include "philox.h"
#include "sort.h"
#include "vectors.h"

struct script {
  const int32_t *draw;
  int64_t n, at;
};

static int scripted(void *user, enum pt_draw_kind kind, double lo, double hi, int64_t n,
                    double *out, struct ptv3_error *err) {
  struct script *s = user;
  (void)lo, (void)hi;
  if (kind != PT_DRAW_INTEGER || s->at + n > s->n)
    return pt_fail(err, PTV3_INTERNAL, "not the draws recorded");
  for (int64_t i = 0; i < n; i++) out[i] = s->draw[s->at++];
  return PTV3_OK;
}

static void same_i32(const void *got, const void *want, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (((const int32_t *)got)[i] != ((const int32_t *)want)[i])
      fail_msg("entry %lld is %d, not %d", (long long)i, ((const int32_t *)got)[i],
               ((const int32_t *)want)[i]);
}

static const void *named(struct vectors *v, const char *key, const char *name, const char *type,
                         int64_t *n) {
  char full[64];
  snprintf(full, sizeof full, "%s/%s", key, name);
  return vectors_get(v, full, type, n);
}

static void check_key(struct vectors *ref, const struct pt_channel *coord, double grid,
                      const char *name, enum pt_grid_key key) {
  struct pt_env env;
  pt_env_init(&env, 3, 0);
  struct ptv3_error err = {0};
  struct pt_gridsample v;
  assert_int_equal(pt_gridsample_build(&v, &env, coord, grid, key, &err), 0);
  int64_t m;
  const int32_t *count = named(ref, name, "voxel_count", "I32", &m);
  assert_int_equal(v.m, m);
  for (int64_t j = 0; j < m; j++) assert_int_equal(v.start[j + 1] - v.start[j], count[j]);
  const int64_t *min = vectors_get(ref, "min_grid", "I64", NULL);
  for (int a = 0; a < 3; a++) assert_int_equal(v.min[a], min[a]);
  same_i32(v.order, named(ref, name, "member_order", "I32", NULL), v.n);
  same_i32(v.inverse, named(ref, name, "voxel_of_point", "I32", NULL), v.n);

  int32_t *select = malloc((size_t)v.n * 4), *cells = malloc((size_t)v.n * 12);
  struct script s = {named(ref, name, "train_draw", "I32", NULL), m, 0};
  struct pt_draw draw = {.fill = scripted, .user = &s};
  assert_int_equal(pt_gridsample_pick(&v, &draw, select, &err), 0);
  same_i32(select, named(ref, name, "train_select", "I32", NULL), m);
  pt_gridsample_grid(&v, coord, select, m, cells);
  same_i32(cells, named(ref, name, "voxel_grid_coord", "I32", NULL), m * 3);

  for (int64_t i = 0; i < v.n; i++) select[i] = (int32_t)i;
  pt_gridsample_grid(&v, coord, select, v.n, cells);
  same_i32(cells, vectors_get(ref, "grid_coord", "I32", NULL), v.n * 3);

  int64_t fragments;
  const int32_t *want = named(ref, name, "test_fragments", "I32", &fragments);
  assert_int_equal(v.max_count, fragments);
  for (int64_t i = 0; i < fragments; i++) {
    pt_gridsample_fragment(&v, i, select);
    same_i32(select, want + i * m, m);
  }
  free(select);
  free(cells);
  pt_gridsample_free(&v);
  assert_int_equal(env.mem.used, 0);
}

static void reference(void **state) {
  (void)state;
  static const char *const folders[] = {"dense_f32", "on_boundary_f32", "on_boundary_f64",
                                        "one_point", "one_voxel",       "room_f32",
                                        "room_f64",  "uniform_neg",     "real_fragment_f32"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    char folder[64];
    snprintf(folder, sizeof folder, "gridsample/%s", folders[i]);
    struct vectors ref;
    if (!vectors_open(&ref, folder)) return;
    json_t *meta = vectors_meta(folder);
    bool f64 = !strcmp(json_string_value(json_object_get(meta, "coord_dtype")), "float64");
    struct pt_channel coord = {.name = "coord", .type = f64 ? PT_F64 : PT_F32, .width = 3};
    coord.data = (void *)(uintptr_t)vectors_get(&ref, "coord", f64 ? "F64" : "F32", &coord.n);
    double grid = json_number_value(json_object_get(meta, "grid_size"));
    check_key(&ref, &coord, grid, "fnv", PT_GRID_FNV);
    check_key(&ref, &coord, grid, "ravel", PT_GRID_RAVEL);
    json_decref(meta);
    vectors_close(&ref);
  }
}

static int build(struct pt_gridsample *v, struct pt_env *env, float *xyz, int64_t n,
                 double grid, struct ptv3_error *err) {
  struct pt_channel coord = {.name = "coord", .type = PT_F32, .width = 3, .n = n, .data = xyz};
  return pt_gridsample_build(v, env, &coord, grid, PT_GRID_FNV, err);
}

static void errors(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  struct pt_gridsample v;
  float xyz[] = {0, 0, 0, 1, 90000, 2};
  assert_int_equal(build(&v, &env, xyz, 2, 0.02, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "along y"));
  assert_non_null(strstr(err.message, "at least 0.0429"));
  assert_int_equal(build(&v, &env, xyz, 2, 0.043, &err), 0);
  assert_int_equal(v.m, 2);
  pt_gridsample_free(&v);
  assert_int_equal(build(&v, &env, xyz, 2, 0, &err), PTV3_INVALID);
  assert_int_equal(build(&v, &env, xyz, 2, (double)NAN, &err), PTV3_INVALID);
  assert_int_equal(build(&v, &env, xyz, 0, 1, &err), PTV3_DATA);
  xyz[5] = NAN;
  assert_int_equal(build(&v, &env, xyz, 2, 1, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "z of point 1"));
  xyz[5] = 3e38f;
  assert_int_equal(build(&v, &env, xyz, 2, 0.01, &err), PTV3_DATA);
  assert_int_equal(env.mem.used, 0);
}

static void no_memory(void **state) {
  (void)state;
  float xyz[] = {0, 0, 0, 1, 2, 3, 1, 2, 3.1f};
  for (int64_t k = 1;; k++) {
    struct pt_env env;
    pt_env_init(&env, 1, 0);
    env.mem.fail_at = k;
    struct ptv3_error err = {0};
    struct pt_gridsample v;
    int st = build(&v, &env, xyz, 3, 0.5, &err);
    if (!st) pt_gridsample_free(&v);
    assert_int_equal(env.mem.used, 0);
    if (!st) break;
    assert_int_equal(err.status, st);
    assert_true(k < 20);
  }
}

static void displacement(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  float xyz[] = {-0.5f, 0.25f, 1, 1.75f, 0, 1.5f}, normal[] = {1, 0, 0, 0, 0, 1}, out[6];
  struct pt_channel coord = {.type = PT_F32, .width = 3, .n = 2, .data = xyz};
  struct pt_channel along = {.type = PT_F32, .width = 3, .n = 2, .data = normal};
  struct pt_gridsample v;
  assert_int_equal(pt_gridsample_build(&v, &env, &coord, 1, PT_GRID_RAVEL, &err), 0);
  const int32_t both[] = {0, 1};
  pt_gridsample_displacement(&v, &coord, NULL, both, 2, out);
  const float want[] = {0, -0.25f, -0.5f, 0.25f, -0.5f, 0};
  for (int i = 0; i < 6; i++) assert_true(fabsf(out[i] - want[i]) < 1e-6f);
  pt_gridsample_displacement(&v, &coord, &along, both, 2, out);
  assert_true(fabsf(out[0]) < 1e-6f && fabsf(out[1]) < 1e-6f);
  pt_gridsample_free(&v);
}

/* The same order on any number of threads, equal keys in place. */
static void sorting(void **state) {
  (void)state;
  enum { N = 200000 };
  uint64_t *key = malloc(N * sizeof *key);
  int32_t *order = malloc(N * sizeof *order);
  for (int threads = 1; threads <= 4; threads++) {
    struct pt_env env;
    pt_env_init(&env, threads, 0);
    struct ptv3_error err;
    for (uint64_t i = 0; i < N; i++) key[i] = pt_philox_u64(1, 2, i) & ~UINT64_C(0xfff0ffff);
    assert_int_equal(pt_sort64(&env, key, order, N, &err), 0);
    for (uint64_t i = 0; i < N; i++)
      assert_true(key[i] == (pt_philox_u64(1, 2, (uint64_t)order[i]) & ~UINT64_C(0xfff0ffff)));
    for (int64_t i = 1; i < N; i++)
      assert_true(key[i - 1] < key[i] || (key[i - 1] == key[i] && order[i - 1] < order[i]));
    assert_int_equal(env.mem.used, 0);
  }
  free(key);
  free(order);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reference),    cmocka_unit_test(errors),  cmocka_unit_test(no_memory),
      cmocka_unit_test(displacement), cmocka_unit_test(sorting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
