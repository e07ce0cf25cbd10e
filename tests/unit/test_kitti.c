/* test_kitti.c - .bin scans and their labels: SemanticKITTI's and nuScenes'. */
#include "formats_test.h"
#include "kitti.h"

static int read4(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                 struct ptv3_error *err) {
  return pt_kitti_read(env, c, 4, t, err);
}

/* Four floats a point; the same bytes are also labels for four times as many points. */
static int read_labelled(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                         struct ptv3_error *err) {
  struct pt_cursor labels = *c;
  int status = pt_kitti_read(env, c, 4, t, err);
  if (status) return status;
  labels.size = 4 * t->n;
  status = pt_kitti_labels(env, &labels, t, err);
  if (status) assert_int_equal(t->count, 4); /* as it was */
  if (status) pt_table_free(t);
  return status;
}

static void values(void **state) {
  (void)state;
  static const char *const want[7][7] = {{0},
                                         {0},
                                         {0},
                                         {"x", "y", "z"},
                                         {"x", "y", "z", "remission"},
                                         {"x", "y", "z", "intensity", "ring"},
                                         {"x", "y", "z", "field3", "field4", "field5"}};
  float v[60];
  for (int i = 0; i < 60; i++) v[i] = (float)i - 0.5f;
  for (int floats = 3; floats <= 6; floats++) {
    struct pt_env env;
    struct pt_table t;
    pt_env_init(&env, 1, 0);
    struct pt_cursor c = {(const uint8_t *)v, sizeof v, 0, "test.bin"};
    assert_int_equal(pt_kitti_read(&env, &c, floats, &t, NULL), 0);
    assert_int_equal(t.n, 60 / floats);
    assert_int_equal(t.count, floats);
    for (int k = 0; k < floats; k++) {
      assert_string_equal(t.col[k].name, want[floats][k]);
      for (int64_t i = 0; i < t.n; i++)
        assert_true(cell(&t, want[floats][k], i, 0) == (double)v[i * floats + k]);
    }
    pt_table_free(&t);
    assert_int_equal(env.mem.used, 0);
  }
  assert_int_equal(pt_kitti_floats("a/n015__LIDAR_TOP__1.pcd.bin"), 5);
  assert_int_equal(pt_kitti_floats("velodyne/000000.bin"), 4);
  assert_int_equal(pt_kitti_floats("n"), 4);
}

static void labels(void **state) {
  (void)state;
  float v[8] = {0};
  uint8_t packed[8] = {10, 0, 1, 0, 0xfc, 0, 0x34, 0x12}, bytes[2] = {31, 7};
  for (int k = 0; k < 2; k++) {
    struct pt_env env;
    struct pt_table t;
    struct ptv3_error err;
    pt_env_init(&env, 1, 0);
    struct pt_cursor c = {(const uint8_t *)v, sizeof v, 0, "test.bin"};
    assert_int_equal(pt_kitti_read(&env, &c, 4, &t, NULL), 0);
    struct pt_cursor l = {k ? bytes : packed, k ? 2 : 8, 0, "test.label"};
    assert_int_equal(pt_kitti_labels(&env, &l, &t, &err), 0);
    assert_int_equal(type_of_column(&t, "semantic"), k ? PT_U8 : PT_U16);
    assert_true(cell(&t, "semantic", 0, 0) == (k ? 31 : 10));
    assert_true(cell(&t, "semantic", 1, 0) == (k ? 7 : 252));
    if (!k) assert_true(cell(&t, "instance", 0, 0) == 1);
    if (!k) assert_true(cell(&t, "instance", 1, 0) == 0x1234);
    pt_table_free(&t);
    assert_int_equal(env.mem.used, 0);
  }
}

static void wrong_sizes(void **state) {
  (void)state;
  float v[8] = {0};
  for (size_t n = 0; n < sizeof v; n++)
    if (n % 16) refuse(read4, v, n, PTV3_FORMAT, "not a whole number");
  struct pt_env env;
  struct pt_table t;
  struct ptv3_error err;
  pt_env_init(&env, 1, 0);
  struct pt_cursor c = {(const uint8_t *)v, sizeof v, 0, "test.bin"};
  assert_int_equal(pt_kitti_read(&env, &c, 2, &t, NULL), PTV3_INVALID);
  assert_int_equal(pt_kitti_read(&env, &c, 65, &t, NULL), PTV3_INVALID);
  assert_int_equal(pt_kitti_read(&env, &c, 4, &t, NULL), 0);
  for (int64_t n = 0; n < 12; n++) {
    if (n == 2 || n == 8) continue;
    struct pt_cursor l = {(const uint8_t *)v, n, 0, "test.label"};
    assert_int_equal(pt_kitti_labels(&env, &l, &t, &err), PTV3_DATA);
    assert_int_equal(t.count, 4);
    assert_non_null(strstr(err.message, "test.label"));
  }
  pt_table_free(&t);
  assert_int_equal(env.mem.used, 0);
  every_failing_allocation(read4, v, sizeof v);
  every_failing_allocation(read_labelled, v, sizeof v);
}

static void label_paths(void **state) {
  (void)state;
  static const char *const path[][2] = {
      {"a/00/velodyne/000000.bin", "a/00/labels/000000.label"},
      {"velodyne/1.bin", "labels/1.label"},
      {"/velodyne/1.bin", "/labels/1.label"},
      {"xvelodyne/1.bin", NULL},
      {"velodyne/1.txt", NULL},
      {"1.bin", NULL},
      {"/1.bin", NULL},
  };
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  for (int i = 0; i < 7; i++) {
    char *s = pt_kitti_label_path(&mem, path[i][0], NULL);
    if (path[i][1])
      assert_string_equal(s, path[i][1]);
    else
      assert_null(s);
    pt_free(&mem, s);
  }
  assert_int_equal(mem.used, 0);
}

/* A SemanticKITTI scan: as many labels as points, and only ids the data set has. */
static void real_scan(void **state) {
  (void)state;
  static const char dir[] = "../shared/data/semantickitti/sequences/07/velodyne";
  static const char scan[] = "../shared/data/semantickitti/sequences/07/velodyne/000000.bin";
  if (!pt_is_dir(dir)) {
    printf("skipped: no %s\n", dir);
    return;
  }
  struct pt_env env;
  struct pt_table t;
  struct pt_map bin, label;
  pt_env_init(&env, 2, 0);
  char *path = pt_kitti_label_path(&env.mem, scan, NULL);
  assert_int_equal(pt_map_open(&bin, scan, NULL), 0);
  assert_int_equal(pt_map_open(&label, path, NULL), 0);
  struct pt_cursor c = pt_cursor_of(&bin), l = pt_cursor_of(&label);
  assert_int_equal(pt_kitti_read(&env, &c, pt_kitti_floats(scan), &t, NULL), 0);
  assert_int_equal(pt_kitti_labels(&env, &l, &t, NULL), 0);
  assert_int_equal(t.n, 122626);
  double sum = 0;
  for (int64_t i = 0; i < t.n; i++) {
    sum += cell(&t, "semantic", i, 0);
    assert_true(cell(&t, "remission", i, 0) >= 0 && cell(&t, "remission", i, 0) <= 1);
  }
  assert_true(sum == 5604035);
  pt_table_free(&t);
  pt_map_close(&bin);
  pt_map_close(&label);
  pt_free(&env.mem, path);
  assert_int_equal(env.mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values),      cmocka_unit_test(labels),    cmocka_unit_test(wrong_sizes),
      cmocka_unit_test(label_paths), cmocka_unit_test(real_scan),
  };
  return cmocka_run_group_tests_name("kitti", tests, NULL, NULL);
}
