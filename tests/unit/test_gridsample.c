/* test_gridsample.c - voxels: errors, displacement, sorting. Against Pointcept's own results:
 * tests/reference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gridsample.h"
#include "philox.h"
#include "sort.h"

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
      cmocka_unit_test(errors),
      cmocka_unit_test(no_memory),
      cmocka_unit_test(displacement),
      cmocka_unit_test(sorting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
