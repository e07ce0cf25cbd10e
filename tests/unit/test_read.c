/* test_read.c - which reader a path gets; scene folders. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats_test.h"
#include "npy.h"
#include "read.h"

static char dir[64];

static const char *in_dir(const char *name) {
  static char path[4][256];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[0], "%s/%s", dir, name);
  return path[turn];
}

static void put(const char *name, const void *data, size_t size) {
  FILE *f = fopen(in_dir(name), "wb");
  assert_non_null(f);
  if (size) assert_int_equal(fwrite(data, 1, size, f), size);
  fclose(f);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static void put_npy(const char *name, enum pt_dtype type, int ndim, int64_t n, int64_t k) {
  static const double zeros[64];
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  int64_t shape[2] = {n, k};
  assert_int_equal(pt_npy_write(&mem, in_dir(name), type, ndim, shape, zeros, NULL), 0);
}

/* The columns a path gives, as "name:width name:width"; the error's words otherwise. */
static const char *read_path(const char *path, const struct pt_read_options *o, int *status) {
  static char got[600];
  struct pt_env env;
  struct pt_table t;
  struct ptv3_error err = {0};
  pt_env_init(&env, 2, 0);
  got[0] = 0;
  *status = pt_table_read(&env, path, o, &t, &err);
  for (int i = 0; i < t.count; i++)
    snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s:%d", i ? " " : "",
             t.col[i].name, t.col[i].width);
  pt_table_free(&t);
  assert_int_equal(env.mem.used, 0);
  if (*status) snprintf(got, sizeof got, "%s", err.message);
  return got;
}

static void expect(const char *name, const struct pt_read_options *o, const char *want) {
  int status;
  const char *got = read_path(in_dir(name), o, &status);
  if (status) fail_msg("%s", got);
  assert_string_equal(got, want);
}

static void refuse_path(const char *path, const struct pt_read_options *o, int want,
                        const char *words) {
  int status;
  const char *got = read_path(path, o, &status);
  if (status != want || !strstr(got, words))
    fail_msg("%d, '%s' lacks '%s'", status, got, words);
}

static void files(void **state) {
  (void)state;
  float v[20] = {0};
  put_text("a.ply", "ply\nformat ascii 1.0\nelement vertex 1\nproperty int q\nend_header\n1\n");
  put_text("a.pcd", "FIELDS p\nWIDTH 1\nDATA ascii\n1\n");
  put_text("a.csv", "x,y,z,w\n1,2,3,4\n");
  put_text("a.xyz", "1 2 3\n");
  put_text("other", "ply\nformat ascii 1.0\nelement vertex 1\nproperty int r\nend_header\n1\n");
  put("a.bin", v, 16 * 4);
  put("a.pcd.bin", v, 20 * 4);
  put_npy("a.npy", PT_F64, 2, 4, 7);
  expect("a.ply", NULL, "q:1");
  expect("a.pcd", NULL, "p:1");
  expect("a.csv", NULL, "x:1 y:1 z:1 w:1");
  expect("a.xyz", NULL, "x:1 y:1 z:1");
  expect("a.xyz", &(struct pt_read_options){.columns = "a,_,b"}, "a:1 b:1");
  expect("other", NULL, "r:1"); /* by content */
  expect("a.bin", NULL, "x:1 y:1 z:1 remission:1");
  expect("a.bin", &(struct pt_read_options){.floats = 8},
         "x:1 y:1 z:1 field3:1 field4:1 field5:1 field6:1 field7:1");
  expect("a.bin", &(struct pt_read_options){.columns = "x,y,z,_,_,_,strength,_"},
         "x:1 y:1 z:1 strength:1");
  refuse_path(in_dir("a.bin"), &(struct pt_read_options){.columns = "x,y,z", .floats = 4},
              PTV3_INVALID, "are 3 where a point");
  expect("a.pcd.bin", NULL, "x:1 y:1 z:1 intensity:1 ring:1");
  expect("a.npy", NULL, "a:7");
}

static void refusals(void **state) {
  (void)state;
  put_text("b.what", "1 2 3\n");
  put_text("b.ply", "plx\n");
  put_text("empty.ply", "");
  refuse_path(in_dir("b.what"), NULL, PTV3_UNSUPPORTED, "no known kind");
  refuse_path(in_dir("b.ply"), NULL, PTV3_FORMAT, "not a PLY file");
  refuse_path(in_dir("empty.ply"), NULL, PTV3_FORMAT, "empty.ply");
  refuse_path(in_dir("missing.ply"), NULL, PTV3_IO, "cannot open");
  refuse_path(in_dir("a.ply"), &(struct pt_read_options){.columns = "x"}, PTV3_INVALID,
              "is a PLY file");
  refuse_path(in_dir("a.xyz"), &(struct pt_read_options){.floats = 4}, PTV3_INVALID,
              "is a text file");
  refuse_path(in_dir("a.xyz"), &(struct pt_read_options){.labels = "l"}, PTV3_INVALID,
              "labels");
}

static void labels(void **state) {
  (void)state;
  float v[8] = {0};
  mkdir(in_dir("velodyne"), 0777);
  mkdir(in_dir("labels"), 0777);
  put("velodyne/0.bin", v, sizeof v);
  expect("velodyne/0.bin", NULL, "x:1 y:1 z:1 remission:1");
  put("labels/0.label", v, 8);
  expect("velodyne/0.bin", NULL, "x:1 y:1 z:1 remission:1 semantic:1 instance:1");
  expect("velodyne/0.bin", &(struct pt_read_options){.labels = ""}, "x:1 y:1 z:1 remission:1");
  put("seg.bin", v, 2);
  expect("velodyne/0.bin", &(struct pt_read_options){.labels = in_dir("seg.bin")},
         "x:1 y:1 z:1 remission:1 semantic:1");
  put("labels/0.label", v, 7);
  refuse_path(in_dir("velodyne/0.bin"), NULL, PTV3_DATA, "0.label");
  refuse_path(in_dir("velodyne/0.bin"), &(struct pt_read_options){.labels = in_dir("none")},
              PTV3_IO, "cannot open");
}

static void scenes(void **state) {
  (void)state;
  mkdir(in_dir("scene"), 0777);
  refuse_path(in_dir("scene"), NULL, PTV3_DATA, "no coord.npy");
  put_npy("scene/segment20.npy", PT_I16, 1, 4, 0);
  put_npy("scene/color.npy", PT_U8, 2, 4, 3);
  put_npy("scene/coord.npy", PT_F32, 2, 4, 3);
  put_text("scene/meta.json", "{}");
  put_text("scene/.hidden.npy", "no");
  expect("scene", NULL, "coord:3 color:3 segment20:1");
  refuse_path(in_dir("scene"), &(struct pt_read_options){.columns = "x"}, PTV3_INVALID,
              "scene folder");
  for (int64_t k = 1;; k++) { /* every allocation fails once */
    struct pt_env env;
    struct pt_table t;
    pt_env_init(&env, 1, 0);
    env.mem.fail_at = k;
    int status = pt_table_read(&env, in_dir("scene"), NULL, &t, NULL);
    pt_table_free(&t);
    assert_int_equal(env.mem.used, 0);
    if (status == 0) break;
    assert_int_equal(status, PTV3_NO_MEMORY);
    assert_true(k < 100);
  }
  put_npy("scene/normal.npy", PT_F32, 2, 5, 3);
  refuse_path(in_dir("scene"), NULL, PTV3_DATA, "normal.npy' has 5 rows where the cloud has 4");
  put_text("scene/normal.npy", "\x93NUMPY");
  refuse_path(in_dir("scene"), NULL, PTV3_FORMAT, "normal.npy");
}

static int make_dir(void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/ptv3_test_read_XXXXXX");
  return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state) {
  (void)state;
  static const char *const name[] = {"a.ply",
                                     "a.pcd",
                                     "a.csv",
                                     "a.xyz",
                                     "other",
                                     "a.bin",
                                     "a.pcd.bin",
                                     "a.npy",
                                     "b.what",
                                     "b.ply",
                                     "empty.ply",
                                     "velodyne/0.bin",
                                     "labels/0.label",
                                     "seg.bin",
                                     "scene/segment20.npy",
                                     "scene/color.npy",
                                     "scene/coord.npy",
                                     "scene/meta.json",
                                     "scene/.hidden.npy",
                                     "scene/normal.npy",
                                     "velodyne",
                                     "labels",
                                     "scene",
                                     ""};
  for (size_t i = 0; i < sizeof name / sizeof *name; i++) remove(in_dir(name[i]));
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files),
      cmocka_unit_test(refusals),
      cmocka_unit_test(labels),
      cmocka_unit_test(scenes),
  };
  return cmocka_run_group_tests_name("read", tests, make_dir, remove_dir);
}
