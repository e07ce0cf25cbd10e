/* test_datasets.c - scenes of data sets: made here in a temporary folder, and real ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "dataset.h"
#include "file.h"
#include "npy.h"
#include "pyconfig.h"

static char root[200]; /* the temporary folder */

static void make_dirs(const char *below) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s", root, below);
  for (char *p = path + strlen(root) + 1; *p; p++)
    if (*p == '/') {
      *p = 0;
      mkdir(path, 0777);
      *p = '/';
    }
  mkdir(path, 0777);
}

static void write_array(const char *below, const char *name, enum pt_dtype type, int64_t n,
                        int64_t width, const void *data) {
  struct pt_mem mem;
  struct ptv3_error err;
  pt_mem_init(&mem, 0);
  char path[400];
  snprintf(path, sizeof path, "%s/%s/%s.npy", root, below, name);
  const int64_t shape[] = {n, width};
  assert_int_equal(pt_npy_write(&mem, path, type, width > 1 ? 2 : 1, shape, data, &err), 0);
}

static void make_scene(const char *below, const char *segment, int32_t label) {
  const float coord[] = {0, 0, 0, 1, 0, 0, 0, 1, 0};
  const uint8_t color[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const int16_t labels[] = {(int16_t)label, -1, 0};
  make_dirs(below);
  write_array(below, "coord", PT_F32, 3, 3, coord);
  write_array(below, "color", PT_U8, 3, 3, color);
  write_array(below, "pose", PT_F32, 4, 4, (float[16]){0});
  if (segment) write_array(below, segment, PT_I16, 3, 1, labels);
}

static void write_bytes(const char *below, const void *data, size_t n) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s", root, below);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  fclose(f);
}

static int set_up(void **state) {
  (void)state;
  snprintf(root, sizeof root, "%s/ptv3-datasets-XXXXXX",
           getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(root)) return -1;
  make_scene("s3dis/Area_5/office_2", "segment", 4);
  make_scene("s3dis/Area_5/office_1", "segment", 3);
  make_scene("s3dis/Area_1/hall", "segment", 2);
  make_dirs("s3dis/empty/not_a_scene");
  make_scene("scannet/val/scene0001_00", "segment20", 7);
  make_scene("st3d/val/scene_1/room_2", "segment", 1);
  make_scene("st3d/val/other_1/room_2", "segment", 1);
  make_dirs("kitti/dataset/sequences/08/velodyne");
  make_dirs("kitti/dataset/sequences/08/labels");
  const float scan[] = {1, 2, 3, 0.5f, 4, 5, 6, 0.25f};
  const uint32_t label[] = {252 | 9 << 16, 99};
  write_bytes("kitti/dataset/sequences/08/velodyne/000003.bin", scan, sizeof scan);
  write_bytes("kitti/dataset/sequences/08/labels/000003.label", label, sizeof label);
  /* what Python's pickle.dumps gives, protocol 2: a list of one dict */
  static const char info[] =
      "\x80\x02]q\0}q\1(X\x0a\0\0\0lidar_pathq\2X\x05\0\0\0a.binq\3X\x0b\0\0\0lidar_tokenq\4"
      "X\x03\0\0\0abcq\5X\x0f\0\0\0gt_segment_pathq\6X\x05\0\0\0l.binq\7ua.";
  const float sweep[] = {1, 2, 3, 51, 0, 4, 5, 6, 255, 1};
  const uint8_t codes[] = {17, 0};
  make_dirs("nuscenes/info");
  make_dirs("nuscenes/raw");
  write_bytes("nuscenes/info/nuscenes_infos_10sweeps_val.pkl", info, sizeof info - 1);
  write_bytes("nuscenes/raw/a.bin", sweep, sizeof sweep);
  write_bytes("nuscenes/raw/l.bin", codes, sizeof codes);
  write_bytes("nuscenes/info/nuscenes_infos_2sweeps_val.pkl", "\x80\x02].", 4);
  write_bytes("nuscenes/info/nuscenes_infos_4sweeps_val.pkl", "\x80\x02]", 3);
  write_bytes("nuscenes/info/nuscenes_infos_3sweeps_val.pkl", "\x80\x02]}a.", 6);
  static const char list[] = "[\"Area_1/hall\", \"Area_5/office_2\"]";
  write_bytes("s3dis/some.json", list, strlen(list));
  write_bytes("s3dis/bad.json", "{}", 2);
  write_bytes("s3dis/none.json", "[]", 2);
  static const char text[] = "0 0 0 255 0 0\n1 1 1 0 255 0\n";
  make_dirs("files/val");
  write_bytes("files/val/b.xyz", text, strlen(text));
  write_bytes("files/val/readme.md", text, strlen(text));
  static const char prose[] = "Two rooms.\n\nScanned on the 3rd of May, 2 stations.\n";
  write_bytes("files/val/README.txt", prose, strlen(prose));
  write_bytes("files/val/scenes.csv", "name,date\nb,2024\n", 17);
  make_dirs("files/text");
  write_bytes("files/text/a.txt", text, strlen(text));
  write_bytes("files/text/b.csv", "x,y,z\n1,2,3\n", 12);
  write_bytes("files/text/c.txt", "", 0);
  write_bytes("files/text/d.xyz", prose, strlen(prose));
  write_bytes("files/text/LICENSE.txt", prose, strlen(prose));
  static const char ply[] =
      "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"
      "property float z\nproperty uchar label\nend_header\n0 0 0 6\n1 1 1 7\n";
  make_dirs("files/some");
  write_bytes("files/some/c.ply", ply, strlen(ply));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

/* Opens D = dict(...) with data_root below the temporary folder. */
static int open_set(struct pt_env *env, const char *dict, const char *below,
                    struct pt_dataset *d, struct ptv3_error *err) {
  char text[500], path[300];
  snprintf(text, sizeof text, "D = %s\n", dict);
  snprintf(path, sizeof path, "%s/%s", root, below);
  struct pt_config config;
  int st = pt_config_parse(env, text, (int64_t)strlen(text), "test.py", NULL, 0, &config, err);
  assert_int_equal(st, 0);
  st = pt_dataset_open(d, env, pt_get(config.root, "D"), path, err);
  pt_config_free(&config);
  return st;
}

static void check_scene(const char *dict, const char *below, int64_t count, const char *name,
                        int32_t first_label) {
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  struct pt_dataset d;
  struct pt_cloud c;
  if (open_set(&env, dict, below, &d, &err)) fail_msg("%s", err.message);
  assert_int_equal(d.count, count);
  assert_string_equal(d.scene[0].name, name);
  const struct pt_load opt = {0};
  if (pt_dataset_load(&d, &env, 0, &opt, &c, &err)) fail_msg("%s", err.message);
  const struct pt_channel *segment = pt_cloud_find(&c, "segment");
  assert_non_null(segment);
  assert_int_equal(((const int32_t *)segment->data)[0], first_label);
  pt_cloud_free(&c);
  pt_dataset_free(&d);
  assert_int_equal(env.mem.used, 0);
}

static void layouts(void **state) {
  (void)state;
  check_scene("dict(type='S3DISDataset', split='Area_5')", "s3dis", 2, "Area_5-office_1", 3);
  check_scene("dict(type='DefaultDataset', split='Area_5')", "s3dis/", 2, "office_1", 3);
  check_scene("dict(type='S3DISDataset', split=('Area_5', 'Area_1'))", "s3dis", 3,
              "Area_1-hall", 2);
  check_scene("dict(type='S3DISDataset', split='some.json')", "s3dis", 2, "Area_1-hall", 2);
  check_scene("dict(type='ScanNetDataset', split='val')", "scannet", 1, "scene0001_00", 7);
  check_scene("dict(type='Structured3DDataset', split='val')", "st3d", 1, "scene_1_room_2", 1);
  check_scene("dict(type='DefaultDataset', split=['Area_5/office_2', 'Area_1'])", "s3dis", 2,
              "hall", 2);
  check_scene("dict(type='DefaultDataset', split='some/c.ply', learning_map={6: 2})", "files",
              1, "c", 2);
  check_scene("dict(type='WaymoDataset', split='val', timestamp=(0,), timing_embedding=True)",
              "st3d", 2, "other_1_room_2", 1);
  check_scene("dict(type='WaymoDataset', split='val', timestamp=None)", "st3d", 2,
              "other_1_room_2", 1);
  check_scene("dict(type='SemanticKITTIDataset', split='val')", "kitti", 1, "08_000003", 0);
  check_scene("dict(type='SemanticKITTIDataset', split=['08'])", "kitti", 1, "08_000003", 0);
  check_scene("dict(type='NuScenesDataset', split='val')", "nuscenes", 1, "abc", 3);
  check_scene("dict(type='DefaultDataset', split='Area_5', learning_map={3: 11})", "s3dis", 2,
              "office_1", 11);
}

/* Text beside scenes that is no cloud is no scene; one that is named itself is taken at its
 * word. */
static void prose(void **state) {
  static const char *const names[] = {"a", "b", "c", "d"};
  struct pt_env env;
  struct ptv3_error err;
  struct pt_dataset d;
  (void)state;
  pt_env_init(&env, 1, 0);
  if (open_set(&env, "dict(type='DefaultDataset', split='text')", "files", &d, &err))
    fail_msg("%s", err.message);
  assert_int_equal(d.count, 4);
  for (int i = 0; i < 4; i++) assert_string_equal(d.scene[i].name, names[i]);
  pt_dataset_free(&d);
  char path[400];
  snprintf(path, sizeof path, "%s/files/text/LICENSE.txt", root);
  assert_int_equal(pt_dataset_of_path(&d, &env, path, &err), 0);
  assert_int_equal(d.count, 1);
  pt_dataset_free(&d);
  assert_int_equal(env.mem.used, 0);
}

static void refuse(const char *dict, const char *below, int status, const char *part) {
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  struct pt_dataset d;
  assert_int_equal(open_set(&env, dict, below, &d, &err), status);
  if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
  assert_int_equal(env.mem.used, 0);
}

static void refusals(void **state) {
  (void)state;
  refuse("dict(type='S3DISDataset', split='Area_9')", "s3dis", PTV3_DATA, "s3dis/Area_9'");
  refuse("dict(type='S3DISDataset', split='empty')", "s3dis", PTV3_DATA, "no scenes in");
  refuse("dict(type='S3DISDataset', split='bad.json')", "s3dis", PTV3_DATA, "JSON list");
  refuse("dict(type='S3DISDataset', split=[])", "s3dis", PTV3_CONFIG,
         "D.split: names no scenes");
  refuse("dict(type='S3DISDataset', split='none.json')", "s3dis", PTV3_DATA,
         "s3dis/none.json' is an empty list");
  refuse("dict(type='SemanticKITTIDataset', split='no')", "kitti", PTV3_CONFIG, "'no'");
  refuse("dict(type='SemanticKITTIDataset', split='train')", "kitti", PTV3_DATA, "sequences");
  refuse("dict(type='SemanticKITTIDataset', split='7')", "kitti", PTV3_DATA, "sequences 07)");
  refuse("dict(type='ScanNetDataset', split='val', lr_file='a.txt')", "scannet", PTV3_CONFIG,
         "lr_file");
  refuse("dict(type='NuScenesDataset', split='val')", "kitti", PTV3_IO, "infos_10sweeps_val");
  refuse("dict(type='NuScenesDataset', split='val')", "kitti", PTV3_IO,
         "list of the scans of 'val'");
  refuse("dict(type='NuScenesDataset', split='val', sweeps=4)", "nuscenes", PTV3_FORMAT,
         "nuscenes_infos_4sweeps_val.pkl' ends within its pickle");
  refuse("dict(type='NuScenesDataset', split='val', sweeps=2)", "nuscenes", PTV3_DATA,
         "no scans");
  refuse("dict(type='NuScenesDataset', split='val', sweeps=3)", "nuscenes", PTV3_DATA,
         "lidar_path");
  static const char *const frames[] = {"(0, -1)", "[0, -1, 1]", "(-1,)", "()", "0", "'0'"};
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    char dict[200];
    snprintf(dict, sizeof dict, "dict(type='WaymoDataset', split='val', timestamp=%s)",
             frames[i]);
    refuse(dict, "st3d", PTV3_CONFIG, "test.py:1:44: D.timestamp: joins other frames");
  }
  refuse("dict(type='SemanticKITTIDataset', split='val', timestamp=(0, -1))", "kitti",
         PTV3_CONFIG, "timestamp=(0,)");
  refuse("dict(type='NoSuchDataset', split='val')", "kitti", PTV3_UNSUPPORTED, "NoSuchDataset");
  refuse("dict(type='ScanNetDatset', split='val')", "kitti", PTV3_UNSUPPORTED,
         "'ScanNetDatset' is not known; is 'ScanNetDataset' meant?");
  refuse("dict(type='SemanticKittiDataset', split='val')", "kitti", PTV3_UNSUPPORTED,
         "is 'SemanticKITTIDataset' meant?");
  refuse("dict(type='NuScenesImagePointDataset', split='val')", "kitti", PTV3_UNSUPPORTED,
         "is not known; folders of");
  refuse("dict(split='val')", "kitti", PTV3_CONFIG, "type");
}

/* A list that does not fit the budget is named, and so is a JSON one. */
static void named_lists(void **state) {
  static const struct {
    const char *dict, *below, *file;
  } cases[] = {{"dict(type='NuScenesDataset', split='val')", "nuscenes", "10sweeps_val.pkl'"},
               {"dict(type='S3DISDataset', split='some.json')", "s3dis", "s3dis/some.json'"}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int named = 0;
    for (int64_t k = 1; k < 40; k++) {
      struct pt_env env;
      struct ptv3_error err = {0};
      struct pt_dataset d;
      struct pt_config c;
      char text[300], path[300];
      pt_env_init(&env, 1, 0);
      snprintf(text, sizeof text, "D = %s\n", cases[i].dict);
      snprintf(path, sizeof path, "%s/%s", root, cases[i].below);
      assert_int_equal(
          pt_config_parse(&env, text, (int64_t)strlen(text), "t", NULL, 0, &c, &err), 0);
      env.mem.fail_at = env.mem.calls + k;
      int st = pt_dataset_open(&d, &env, pt_get(c.root, "D"), path, &err);
      named += pt_lacks_memory(st) && strstr(err.message, cases[i].file);
      pt_config_free(&c);
      pt_dataset_free(&d);
    }
    if (named < 2) fail_msg("%s: named %d times", cases[i].file, named);
  }
}

static void paths(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  struct pt_dataset d;
  struct pt_cloud c;
  char path[400];
  snprintf(path, sizeof path, "%s/files/val", root);
  assert_int_equal(pt_dataset_of_path(&d, &env, path, &err), 0);
  assert_int_equal(d.count, 1);
  assert_string_equal(d.scene[0].name, "b");
  const char *want[] = {"color"};
  const struct pt_load opt = {.want = want, .n_want = 1};
  if (pt_dataset_load(&d, &env, 0, &opt, &c, &err)) fail_msg("%s", err.message);
  assert_int_equal(c.n, 2);
  assert_true(pt_channel_at(pt_cloud_find(&c, "color"), 1, 1) == 255);
  assert_null(pt_cloud_find(&c, "segment"));
  pt_cloud_free(&c);
  pt_dataset_free(&d);
  snprintf(path, sizeof path, "%s/s3dis/Area_1/hall", root);
  assert_int_equal(pt_dataset_of_path(&d, &env, path, &err), 0);
  assert_string_equal(d.scene[0].name, "hall");
  pt_dataset_free(&d);
  snprintf(path, sizeof path, "%s/s3dis/nowhere", root);
  assert_int_equal(pt_dataset_of_path(&d, &env, path, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "nowhere"));
  assert_int_equal(env.mem.used, 0);
}

static void no_memory_for(const char *text, const char *below) {
  for (int64_t k = 1;; k++) {
    struct pt_env env;
    pt_env_init(&env, 1, 0);
    struct ptv3_error err;
    struct pt_dataset d;
    struct pt_cloud c = {0};
    struct pt_config config;
    assert_int_equal(
        pt_config_parse(&env, text, (int64_t)strlen(text), "t", NULL, 0, &config, &err), 0);
    env.mem.fail_at = env.mem.calls + k;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, below);
    int st = pt_dataset_open(&d, &env, pt_get(config.root, "D"), path, &err);
    const char *want[] = {"strength"};
    const struct pt_load opt = {.want = want, .n_want = 1};
    if (!st) st = pt_dataset_load(&d, &env, 0, &opt, &c, &err);
    pt_config_free(&config);
    pt_dataset_free(&d);
    pt_cloud_free(&c);
    assert_int_equal(env.mem.used, 0);
    if (!st) break;
    assert_true(k < 200);
  }
}

static void no_memory(void **state) {
  (void)state;
  no_memory_for("D = dict(type='SemanticKITTIDataset', split=['val'])", "kitti");
  no_memory_for("D = dict(type='NuScenesDataset', split=['val'])", "nuscenes");
}

/* Strengths of nuScenes are 0 .. 255 in the file. */
static void nuscenes_strength(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  struct pt_dataset d;
  struct pt_cloud c;
  assert_int_equal(
      open_set(&env, "dict(type='NuScenesDataset', split='val')", "nuscenes", &d, &err), 0);
  const char *want[] = {"strength"};
  const struct pt_load opt = {.want = want, .n_want = 1};
  if (pt_dataset_load(&d, &env, 0, &opt, &c, &err)) fail_msg("%s", err.message);
  assert_true(fabs(pt_channel_at(pt_cloud_find(&c, "strength"), 0, 0) - 0.2) < 1e-7);
  assert_true(pt_channel_at(pt_cloud_find(&c, "segment"), 1, 0) == -1);
  pt_cloud_free(&c);
  pt_dataset_free(&d);
  assert_int_equal(env.mem.used, 0);
}

/* How a scene is read, known without looking for any. */
static void keep_warning(void *user, const char *message) {
  snprintf(user, 600, "%s", message);
}

static void rules(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  struct ptv3_error err;
  struct pt_dataset d;
  struct pt_config config;
  const char *text =
      "N = dict(type='NuScenesDataset', data_root='none')\n"
      "S = dict(type='ScanNetDataset', ignore_index=-100, learning_map={7: 3})\n"
      "O = dict(type='MyDataset')\n"
      "W = dict(type='WaymoDataset', timestamp=(0, -1))\n"
      "V = dict(type='WaymoDataset', timestamp=(0,))\n";
  assert_int_equal(
      pt_config_parse(&env, text, (int64_t)strlen(text), "t", NULL, 0, &config, &err), 0);
  assert_int_equal(pt_dataset_rules(&d, &env, pt_get(config.root, "N"), &err), 0);
  assert_true(d.floats == 5 && fabs(d.strength * 255 - 1) < 1e-12 && d.mapped);
  assert_int_equal(d.map.to[17], 3); /* car */
  pt_dataset_free(&d);
  assert_int_equal(pt_dataset_rules(&d, &env, pt_get(config.root, "S"), &err), 0);
  assert_string_equal(d.segment, "segment20");
  assert_true(d.map.to[7] == 3 && d.map.to[8] == -100);
  pt_dataset_free(&d);
  assert_int_equal(pt_dataset_rules(&d, &env, pt_get(config.root, "O"), &err), 0);
  assert_true(!d.floats && !d.mapped && !d.segment && d.count == 0);
  pt_dataset_free(&d);
  assert_int_equal(pt_dataset_rules(&d, &env, NULL, &err), 0);
  pt_dataset_free(&d);
  char told[600] = "";
  env.warn = keep_warning;
  env.user = told;
  assert_int_equal(pt_dataset_rules(&d, &env, pt_get(config.root, "V"), &err), 0);
  assert_string_equal(told, "");
  pt_dataset_free(&d);
  assert_int_equal(pt_dataset_rules(&d, &env, pt_get(config.root, "W"), &err), 0);
  assert_non_null(strstr(told, "W.timestamp: joins other frames"));
  pt_dataset_free(&d);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

/* Sequences that are not there are told, not passed over. */
static void told(void *user, const char *message) { snprintf(user, 300, "%s", message); }

static void absent(void **state) {
  (void)state;
  struct pt_env env;
  struct ptv3_error err;
  struct pt_dataset d;
  char message[300] = "";
  pt_env_init(&env, 1, 0);
  env.warn = told;
  env.user = message;
  assert_int_equal(open_set(&env, "dict(type='SemanticKITTIDataset', split=['08', '07', '3'])",
                            "kitti", &d, &err),
                   PTV3_DATA);
  make_dirs("kitti/dataset/sequences/01/velodyne");
  const float scan[] = {1, 2, 3, 0.5f};
  write_bytes("kitti/dataset/sequences/01/velodyne/000000.bin", scan, sizeof scan);
  assert_int_equal(
      open_set(&env, "dict(type='SemanticKITTIDataset', split='train')", "kitti", &d, &err), 0);
  assert_int_equal(d.count, 1);
  assert_non_null(strstr(message, "sequences 00, 02, 03, 04, 05, 06, 07, 09, 10"));
  pt_dataset_free(&d);
  assert_int_equal(env.mem.used, 0);
}

/* Real scenes, where the folder is there: they load, with the labels of their classes. */
static void real(void **state) {
  (void)state;
  static const struct {
    const char *path, *want, *segment;
    int classes; /* 0: not checked */
  } sets[] = {{"../shared/data/s3dis/Area_3", "color", NULL, 13},
              {"../shared/data/scannet/val", "color", "segment20", 20},
              {"../shared/data/pandaset", "strength", NULL, 43},
              {"../shared/data/aerial", "strength", NULL, 256}};
  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
    struct pt_env env;
    pt_env_init(&env, 2, 0);
    struct ptv3_error err;
    struct pt_dataset d;
    if (!pt_is_dir(sets[s].path)) {
      printf("skipped: no %s\n", sets[s].path);
      continue;
    }
    if (pt_dataset_of_path(&d, &env, sets[s].path, &err)) fail_msg("%s", err.message);
    const struct pt_fill fill = {.name = "strength", .n = 1}; /* one scene has only colours */
    const struct pt_load opt = {
        .want = &sets[s].want, .n_want = 1, .fill = &fill, .n_fill = 1, .grid_size = 0.05};
    d.segment = sets[s].segment;
    for (int64_t i = 0; i < d.count; i++) {
      struct pt_cloud c;
      if (pt_dataset_load(&d, &env, i, &opt, &c, &err)) fail_msg("%s", err.message);
      assert_true(c.n > 1000 && c.n <= c.n_input);
      assert_non_null(pt_cloud_find(&c, "segment"));
      if (pt_cloud_check_labels(&c, "segment", sets[s].classes, -1, d.scene[i].path, &err))
        fail_msg("%s", err.message);
      pt_cloud_free(&c);
    }
    pt_dataset_free(&d);
    assert_int_equal(env.mem.used, 0);
  }
}

static void real_kitti(void **state) {
  (void)state;
  struct pt_env env;
  pt_env_init(&env, 2, 0);
  struct ptv3_error err;
  struct pt_dataset d;
  struct pt_config config;
  struct pt_cloud c;
  const char *at = "../shared/data/semantickitti";
  if (!pt_is_dir(at)) {
    printf("skipped: no %s\n", at);
    return;
  }
  const char *text = "D = dict(type='SemanticKITTIDataset', split='train')";
  assert_int_equal(
      pt_config_parse(&env, text, (int64_t)strlen(text), "t", NULL, 0, &config, &err), 0);
  if (pt_dataset_open(&d, &env, pt_get(config.root, "D"), at, &err))
    fail_msg("%s", err.message);
  for (int64_t i = 0; i < d.count; i++) {
    const char *want[] = {"strength"};
    const struct pt_load opt = {.want = want, .n_want = 1, .grid_size = 0.05};
    if (pt_dataset_load(&d, &env, i, &opt, &c, &err)) fail_msg("%s", err.message);
    if (pt_cloud_check_labels(&c, "segment", 19, -1, d.scene[i].name, &err))
      fail_msg("%s", err.message);
    assert_true(c.n > 50000 && c.n == c.n_input);
    pt_cloud_free(&c);
  }
  pt_dataset_free(&d);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layouts),
      cmocka_unit_test(prose),
      cmocka_unit_test(refusals),
      cmocka_unit_test(paths),
      cmocka_unit_test(named_lists),
      cmocka_unit_test(no_memory),
      cmocka_unit_test(nuscenes_strength),
      cmocka_unit_test(rules),
      cmocka_unit_test(absent),
      cmocka_unit_test(real),
      cmocka_unit_test(real_kitti),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
