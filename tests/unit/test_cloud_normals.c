/* test_cloud_normals.c - neighbours against brute force; normals of shapes whose normals are
 * known, their signs, and that threads change nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "knn.h"
#include "normals.h"
#include "philox.h"

static void neighbours(void **state) {
  (void)state;
  enum { N = 700, K = 9 };
  static float xyz[N * 3];
  /* coarse coordinates: many equal distances and some equal points */
  for (uint64_t i = 0; i < N * 3; i++) xyz[i] = (float)pt_philox_below(3, 1, i, 9);
  struct pt_env env;
  pt_env_init(&env, 2, 0);
  struct ptv3_error err;
  struct pt_tree t;
  assert_int_equal(pt_tree_build(&t, &env, xyz, N, &err), 0);
  for (int64_t place = 0; place < N; place++) {
    int32_t near[K];
    pt_tree_nearest(&t, place, K, near);
    const float *p = t.xyz + place * 3;
    float last = -1;
    int32_t last_number = -1;
    int closer = 0;
    for (int j = 0; j < K; j++) {
      const float *q = t.xyz + (int64_t)near[j] * 3;
      float d = (p[0] - q[0]) * (p[0] - q[0]) + (p[1] - q[1]) * (p[1] - q[1]) +
                (p[2] - q[2]) * (p[2] - q[2]);
      assert_true(d > last || (d == last && t.order[near[j]] > last_number));
      last = d, last_number = t.order[near[j]];
    }
    for (int64_t i = 0; i < N; i++) {
      const float *q = xyz + i * 3;
      float d = (p[0] - q[0]) * (p[0] - q[0]) + (p[1] - q[1]) * (p[1] - q[1]) +
                (p[2] - q[2]) * (p[2] - q[2]);
      closer += d < last || (d == last && i <= last_number);
    }
    assert_int_equal(closer, K);
  }
  pt_tree_free(&t);
  assert_int_equal(env.mem.used, 0);
}

/* Points on a sphere about (5, 5, 5): every normal must point outwards. */
static void sphere(void **state) {
  (void)state;
  enum { N = 4000 };
  float *first = malloc(N * 3 * sizeof *first);
  for (int threads = 1; threads <= 3; threads++) {
    struct pt_env env;
    pt_env_init(&env, threads, 0);
    struct ptv3_error err;
    struct pt_cloud c;
    pt_cloud_init(&c, &env.mem, N);
    float *xyz = pt_cloud_add(&c, "coord", PT_F32, 3, &err)->data;
    for (uint64_t i = 0; i < N; i++) {
      double z = 2 * pt_philox_uniform(1, 0, 2 * i) - 1, r = sqrt(1 - z * z);
      double a = 6.283185307179586 * pt_philox_uniform(1, 0, 2 * i + 1);
      xyz[i * 3] = (float)(5 + r * cos(a));
      xyz[i * 3 + 1] = (float)(5 + r * sin(a));
      xyz[i * 3 + 2] = (float)(5 + z);
    }
    assert_int_equal(pt_estimate_normals(&env, &c, 16, PT_NORMAL_UP, &err), 0);
    const float *normal = pt_cloud_find(&c, "normal")->data;
    for (int64_t i = 0; i < N; i++) {
      double along = 0;
      for (int a = 0; a < 3; a++)
        along += (double)normal[i * 3 + a] * ((double)xyz[i * 3 + a] - 5);
      assert_true(along > 0.98);
    }
    if (threads == 1) memcpy(first, normal, N * 3 * sizeof *first);
    assert_memory_equal(first, normal, N * 3 * sizeof *first);
    pt_cloud_free(&c);
    assert_int_equal(env.mem.used, 0);
  }
  free(first);
}

/* Point i of a room of 5 x 4 x 3 m whose lower corner is at (100, -20, 1), with the normal that
 * looks into it; every 200th lies far behind the window at x = 105. */
static void room_point(uint64_t i, double at[3], double in[3]) {
  static const double size[3] = {5, 4, 3}, corner[3] = {100, -20, 1};
  int axis = (int)(i % 3), far = (int)(i / 3 % 2);
  for (int a = 0; a < 3; a++) {
    double share = pt_philox_uniform(2, (uint64_t)a, i);
    at[a] = corner[a] + size[a] * (a == axis ? far : share);
    in[a] = a == axis ? 1 - 2 * far : 0;
  }
  if (i % 200 == 0) at[0] += 40;
}

/* Walls, floor and ceiling of a room look inside, whatever is seen through its window, in
 * either type of coordinates, on any number of threads; those that look up would leave it. */
static void room(void **state) {
  (void)state;
  enum { N = 6000 };
  float *first = malloc(N * 3 * sizeof *first);
  for (int run = 0; run < 4; run++) {
    struct pt_env env;
    pt_env_init(&env, 1 + run % 2, 0);
    struct ptv3_error err;
    struct pt_cloud c;
    pt_cloud_init(&c, &env.mem, N);
    struct pt_channel *coord = pt_cloud_add(&c, "coord", run < 2 ? PT_F32 : PT_F64, 3, &err);
    double at[3], in[3];
    for (uint64_t i = 0; i < N; i++) {
      room_point(i, at, in);
      for (uint64_t a = 0; a < 3; a++)
        if (run < 2)
          ((float *)coord->data)[i * 3 + a] = (float)at[a];
        else
          ((double *)coord->data)[i * 3 + a] = (double)(float)at[a];
    }
    assert_int_equal(pt_estimate_normals(&env, &c, 16, PT_NORMAL_INSIDE, &err), 0);
    assert_int_equal(pt_cloud_find(&c, "coord")->type, run < 2 ? PT_F32 : PT_F64);
    const float *normal = pt_cloud_find(&c, "normal")->data;
    int wrong = 0;
    for (uint64_t i = 0; i < N; i++) {
      room_point(i, at, in);
      double along = 0;
      for (int a = 0; a < 3; a++) along += in[a] * (double)normal[i * 3 + (uint64_t)a];
      if (i % 200) wrong += along < 0.3; /* at the edges a plane of both */
    }
    assert_true(wrong < N / 50);
    if (!run) memcpy(first, normal, N * 3 * sizeof *first);
    assert_memory_equal(first, normal, N * 3 * sizeof *first);
    assert_int_equal(pt_estimate_normals(&env, &c, 16, PT_NORMAL_UP, &err), 0);
    normal = pt_cloud_find(&c, "normal")->data;
    wrong = 0;
    for (uint64_t i = 0; i < N; i++) {
      room_point(i, at, in);
      wrong += in[2] < 0 && normal[i * 3 + 2] > 0.9F; /* of the ceiling */
    }
    assert_true(wrong > N / 8);
    pt_cloud_free(&c);
    assert_int_equal(env.mem.used, 0);
  }
  free(first);
}

/* Degenerate clouds give (0, 0, 1), and k out of range is refused. */
static void degenerate(void **state) {
  (void)state;
  for (int64_t n = 1; n < 30; n++) {
    struct pt_env env;
    pt_env_init(&env, 1, 0);
    struct ptv3_error err;
    struct pt_cloud c;
    pt_cloud_init(&c, &env.mem, n);
    float *xyz = pt_cloud_add(&c, "coord", PT_F32, 3, &err)->data;
    for (int64_t i = 0; i < n * 3; i++)
      xyz[i] = n % 2 ? 1 : (float)(i / 3); /* a point, a line */
    for (int side = PT_NORMAL_INSIDE; side <= PT_NORMAL_UP; side++) {
      enum pt_normal_side to = (enum pt_normal_side)side;
      assert_int_equal(pt_estimate_normals(&env, &c, 2, to, &err), PTV3_INVALID);
      assert_int_equal(pt_estimate_normals(&env, &c, 8, to, &err), 0);
      const float *normal = pt_cloud_find(&c, "normal")->data;
      for (int64_t i = 0; i < n; i++) assert_true(normal[i * 3 + 2] == 1 && normal[i * 3] == 0);
    }
    pt_cloud_free(&c);
    assert_int_equal(env.mem.used, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(neighbours),
      cmocka_unit_test(sphere),
      cmocka_unit_test(room),
      cmocka_unit_test(degenerate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
