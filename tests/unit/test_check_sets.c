/* test_check_sets.c - the check of data on every type of data set: one folder each, with one
 * scene for every kind of damage, and a copy of a scene of train in val. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "check.h"
#include "file.h"
#include "npy.h"
#include "pyconfig.h"

enum { POINTS = 100 };
enum wrong { FINE, NO_NUMBER, BAD_LABEL, NO_LABEL, NO_CHANNEL, CUT, KINDS };
static const char *const name_of[KINDS] = {"a_fine",    "b_nan",       "c_label",
                                           "d_nolabel", "e_nochannel", "f_cut"};

static char root[200]; /* the temporary folder */

/* ---- points: those of a name are its own ---- */

static float coord_of(const char *name, int i, int k) {
  int v = k == 0 ? i % 10 : k == 1 ? i / 10 : i % 7;
  return (float)v + (float)(name[0] % 32);
}

static int color_of(int i, int k) { return (i * 7 + k * 50) % 256; }

static int label_of(enum wrong w, int i, int usual, int bad) {
  return w == BAD_LABEL && i == 42 ? bad : usual;
}

/* ---- files ---- */

static void make_folder(const char *path) {
  char part[700];
  snprintf(part, sizeof part, "%s", path);
  for (char *p = part + strlen(root) + 1; *p; p++)
    if (*p == '/') {
      *p = 0;
      mkdir(part, 0777);
      *p = '/';
    }
}

static FILE *begin(const char *path) {
  make_folder(path);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  return f;
}

static void end(FILE *f, const char *path, enum wrong w) {
  assert_int_equal(fclose(f), 0);
  struct stat s;
  assert_int_equal(stat(path, &s), 0);
  if (w == CUT) assert_int_equal(truncate(path, s.st_size - 6), 0);
}

static void write_array(const char *folder, const char *name, enum pt_dtype type, int64_t width,
                        const void *data) {
  struct pt_mem mem;
  struct ptv3_error err;
  char path[600];
  pt_mem_init(&mem, 0);
  snprintf(path, sizeof path, "%s/%s.npy", folder, name);
  const int64_t shape[] = {POINTS, width};
  assert_int_equal(pt_npy_write(&mem, path, type, width > 1 ? 2 : 1, shape, data, &err), 0);
}

static void write_npy(const char *folder, const char *segment, const char *name, enum wrong w) {
  float coord[POINTS * 3];
  uint8_t color[POINTS * 3];
  int16_t label[POINTS];
  char path[600];
  snprintf(path, sizeof path, "%s/", folder);
  make_folder(path);
  for (int i = 0; i < 3 * POINTS; i++) {
    coord[i] = coord_of(name, i / 3, i % 3);
    color[i] = (uint8_t)color_of(i / 3, i % 3);
  }
  for (int i = 0; i < POINTS; i++) label[i] = (int16_t)label_of(w, i, i % 3, 77);
  if (w == NO_NUMBER) coord[20] = NAN;
  write_array(folder, "coord", PT_F32, 3, coord);
  if (w != NO_CHANNEL) write_array(folder, "color", PT_U8, 3, color);
  if (w != NO_LABEL) write_array(folder, segment, PT_I16, 1, label);
  snprintf(path, sizeof path, "%s/coord.npy", folder);
  if (w == CUT) assert_int_equal(truncate(path, 500), 0);
}

/* A scan of `floats` numbers a point. */
static void write_scan(const char *path, int floats, const char *name, enum wrong w) {
  FILE *f = begin(path);
  for (int i = 0; i < POINTS; i++) {
    float v[5] = {coord_of(name, i, 0), coord_of(name, i, 1), coord_of(name, i, 2),
                  (float)i / POINTS, 3};
    if (w == NO_NUMBER && i == 8) v[1] = NAN;
    fwrite(v, sizeof *v, (size_t)floats, f);
  }
  end(f, path, w);
}

static void write_kitti(const char *path, const char *name, enum wrong w) {
  char labels[600];
  write_scan(path, 4, name, w);
  const char *velodyne = strstr(path, "velodyne");
  snprintf(labels, sizeof labels, "%.*slabels/%s.label", (int)(velodyne - path), path, name);
  if (w == NO_LABEL) return;
  FILE *f = begin(labels);
  for (int i = 0; i < POINTS; i++) {
    uint32_t v = (uint32_t)label_of(w, i, 40, 7); /* 40: road; 7 is none of its codes */
    fwrite(&v, sizeof v, 1, f);
  }
  fclose(f);
}

static void write_ply(const char *path, const char *name, enum wrong w) {
  FILE *f = begin(path);
  fprintf(f, "ply\nformat ascii 1.0\nelement vertex %d\nproperty float x\nproperty float y\n",
          POINTS);
  fprintf(
      f, "property float z\n%s%send_header\n",
      w == NO_CHANNEL ? "" : "property uchar red\nproperty uchar green\nproperty uchar blue\n",
      w == NO_LABEL ? "" : "property int label\n");
  for (int i = 0; i < POINTS; i++) {
    if (w == NO_NUMBER && i == 5)
      fprintf(f, "nan");
    else
      fprintf(f, "%g", (double)coord_of(name, i, 0));
    fprintf(f, " %g %g", (double)coord_of(name, i, 1), (double)coord_of(name, i, 2));
    for (int k = 0; k < 3 && w != NO_CHANNEL; k++) fprintf(f, " %d", color_of(i, k));
    if (w != NO_LABEL) fprintf(f, " %d", label_of(w, i, i % 3, 77));
    fprintf(f, "\n");
  }
  end(f, path, w);
}

/* LAS 1.2, with colours (point format 2) or without (0). */
static void write_las(const char *path, const char *name, enum wrong w) {
  uint8_t head[227] = "LASF", point[26];
  int size = w == NO_CHANNEL ? 20 : 26;
  const double scale = 0.01;
  head[24] = 1, head[25] = 2;
  pt_put16(head + 94, 227);
  pt_put32(head + 96, 227);
  head[104] = w == NO_CHANNEL ? 0 : 2;
  pt_put16(head + 105, (uint16_t)size);
  pt_put32(head + 107, POINTS);
  for (int k = 0; k < 3; k++) memcpy(head + 131 + 8 * k, &scale, 8);
  FILE *f = begin(path);
  fwrite(head, 1, sizeof head, f);
  for (int i = 0; i < POINTS; i++) {
    memset(point, 0, sizeof point);
    for (int k = 0; k < 3; k++) {
      pt_put32(point + 4 * k, (uint32_t)(100 * coord_of(name, i, k)));
      pt_put16(point + 20 + 2 * k, (uint16_t)(256 * color_of(i, k)));
    }
    point[14] = 9;
    point[15] = (uint8_t)label_of(w, i, i % 3, 17);
    fwrite(point, 1, (size_t)size, f);
  }
  end(f, path, w);
}

/* ---- nuScenes: scans, labels and the pickled list of them ---- */

static void put_text(FILE *f, const char *text) {
  uint8_t n[4];
  pt_put32(n, (uint32_t)strlen(text));
  fputc('X', f);
  fwrite(n, 1, 4, f);
  fputs(text, f);
}

static void write_nuscenes(const char *folder, const char *split, const char *const *names,
                           const enum wrong *wrong, int count) {
  char list[600], path[600], below[100];
  snprintf(list, sizeof list, "%s/info/nuscenes_infos_10sweeps_%s.pkl", folder, split);
  FILE *f = begin(list);
  fputs("\x80\x02]", f);
  for (int n = 0; n < count; n++) {
    snprintf(path, sizeof path, "%s/raw/%s.bin", folder, names[n]);
    write_scan(path, 5, names[n], wrong[n]);
    fputs("}(", f);
    put_text(f, "lidar_path");
    put_text(f, strrchr(path, '/') + 1);
    put_text(f, "lidar_token");
    put_text(f, names[n]);
    if (wrong[n] != NO_LABEL) {
      snprintf(below, sizeof below, "%s.label", names[n]);
      put_text(f, "gt_segment_path");
      put_text(f, below);
      snprintf(path, sizeof path, "%s/raw/%s", folder, below);
      FILE *l = begin(path);
      for (int i = 0; i < POINTS; i++) fputc(label_of(wrong[n], i, 24, 99), l);
      fclose(l);
    }
    fputs("ua", f);
  }
  fputc('.', f);
  fclose(f);
}

/* ---- the check ---- */

struct set {
  const char *type, *train, *val; /* splits */
  const char *scene;              /* path below data_root/split of a name */
  const char *segment;            /* of .npy folders */
  int classes;
  bool strength; /* feature: strength; else color */
  bool las, ply;
};

static const struct set sets[] = {
    {"DefaultDataset", "train", "val", "%s", "segment", 3, false, false, false},
    {"S3DISDataset", "Area_1", "Area_5", "%s", "segment", 3, false, false, false},
    {"ScanNetDataset", "train", "val", "%s", "segment20", 3, false, false, false},
    {"ScanNet200Dataset", "train", "val", "%s", "segment200", 3, false, false, false},
    {"ScanNetPPDataset", "train", "val", "%s", "segment", 3, false, false, false},
    {"Structured3DDataset", "train", "val", "scene_1/room_%s", "segment", 3, false, false,
     false},
    {"WaymoDataset", "training", "validation", "segment-1/%s", "segment", 3, false, false,
     false},
    {"SemanticKITTIDataset", "00", "08", NULL, NULL, 19, true, false, false},
    {"NuScenesDataset", "train", "val", NULL, NULL, 16, true, false, false},
    {"DefaultDataset", "train", "val", "%s.las", NULL, 3, false, true, false},
    {"DefaultDataset", "train", "val", "%s.ply", NULL, 3, false, false, true}};

static bool is(const struct set *s, const char *type) { return !strcmp(s->type, type); }

static void make_scene(const struct set *s, const char *folder, const char *split,
                       const char *name, const char *like, enum wrong w) {
  char path[500], below[100];
  if (is(s, "SemanticKITTIDataset")) {
    snprintf(path, sizeof path, "%s/dataset/sequences/%s/velodyne/%s.bin", folder, split, name);
    write_kitti(path, like, w);
    if (strcmp(name, like)) { /* labels go by the name of the scan */
      char from[600], to[600];
      snprintf(from, sizeof from, "%s/dataset/sequences/%s/labels/%s.label", folder, split,
               like);
      snprintf(to, sizeof to, "%s/dataset/sequences/%s/labels/%s.label", folder, split, name);
      assert_int_equal(rename(from, to), 0);
    }
    return;
  }
  snprintf(below, sizeof below, s->scene, name);
  snprintf(path, sizeof path, "%s/%s/%s", folder, split, below);
  if (s->las)
    write_las(path, like, w);
  else if (s->ply)
    write_ply(path, like, w);
  else
    write_npy(path, s->segment, like, w);
}

static void make_set(const struct set *s, const char *folder) {
  if (is(s, "NuScenesDataset")) {
    static const char *const val[] = {"y_fine", "a_copy"};
    const enum wrong wrong[KINDS] = {FINE, NO_NUMBER, BAD_LABEL, NO_LABEL, NO_CHANNEL, CUT};
    write_nuscenes(folder, "train", name_of, wrong, KINDS);
    write_nuscenes(folder, "val", val, (enum wrong[]){FINE, FINE}, 2);
    return;
  }
  for (int w = 0; w < KINDS; w++)
    make_scene(s, folder, s->train, name_of[w], name_of[w], (enum wrong)w);
  make_scene(s, folder, s->val, "y_fine", "y_fine", FINE);
  make_scene(s, folder, s->val, "x_copy", "a_fine", FINE);
}

/* The finding of this kind about this scene. */
static void found(const struct pt_check *c, const struct set *s, enum pt_check_kind kind,
                  const char *split, const char *scene, const char *words) {
  for (int64_t i = 0; i < c->findings; i++) {
    const struct pt_finding *f = &c->finding[i];
    if (f->kind != kind || strcmp(f->split, split) || !f->path || !strstr(f->path, scene))
      continue;
    if (!strstr(f->text, words)) fail_msg("%s: '%s' lacks '%s'", s->type, f->text, words);
    assert_true(f->fix[0] != 0);
    return;
  }
  for (int64_t i = 0; i < c->findings; i++)
    print_message("  %s %s: %s\n", c->finding[i].split, c->finding[i].path, c->finding[i].text);
  fail_msg("%s: nothing of kind %d about %s", s->type, (int)kind, scene);
}

static void expect(const struct pt_check *c, const struct set *s) {
  bool codes = s->strength; /* labels are codes of the data set's own, mapped when read */
  if (!s->las) found(c, s, PT_CHECK_SET_ASIDE, "train", "b_nan", "1 point set aside: NaN");
  if (codes)
    found(c, s, PT_CHECK_UNREADABLE, "train", "c_label", " of point 42 is not one of ");
  else
    found(c, s, PT_CHECK_BAD_LABELS, "train", "c_label",
          s->las ? "1 label outside the classes 0 .. 2; the first is 17 at point 42"
                 : "1 label outside the classes 0 .. 2; the first is 77 at point 42");
  if (!s->las) found(c, s, PT_CHECK_NO_LABELS, "train", "d_nolabel", "no labels");
  if (!codes) found(c, s, PT_CHECK_NO_CHANNEL, "train", "e_nochannel", "no channel 'color'");
  found(c, s, PT_CHECK_UNREADABLE, "train", "f_cut", "f_cut");
  found(c, s, PT_CHECK_SHARED, "val", "_copy", "a_fine");
  assert_int_equal(c->findings, (s->las ? 3 : 5) + !codes);
  assert_int_equal(c->split[0].scenes, KINDS);
  assert_int_equal(c->split[1].scenes, 2);
  assert_int_equal(c->split[1].read_ok, 2);
}

static void check_set(const struct set *s, const char *folder) {
  char text[1500];
  int n = 0;
  for (int v = 0; v < 2; v++)
    n += snprintf(text + n, sizeof text - (size_t)n,
                  "%s dict(type='%s', split='%s', data_root='%s', transform=[\n"
                  " dict(type='GridSample', grid_size=0.1, return_grid_coord=True),\n"
                  " dict(type='Collect', keys=('coord', 'grid_coord', 'segment'),\n"
                  "      feat_keys=('coord', '%s'))])%s",
                  v ? ", val=" : "data = dict(train=", s->type, v ? s->val : s->train, folder,
                  s->strength ? "strength" : "color", v ? ")\n" : "");
  struct pt_env env;
  struct pt_config config;
  struct pt_check c;
  struct ptv3_error err;
  const struct pt_check_options o = {.classes = s->classes, .in_channels = s->strength ? 4 : 6};
  pt_env_init(&env, 1, 0);
  if (pt_config_parse(&env, text, (int64_t)strlen(text), "t.py", NULL, 0, &config, &err))
    fail_msg("%s", err.message);
  if (pt_check_data(&c, &env, config.root, &o, &err)) fail_msg("%s", err.message);
  expect(&c, s);
  pt_check_free(&c);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

static void damaged_sets(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s/set%zu", root, i);
    mkdir(folder, 0777);
    make_set(&sets[i], folder);
    check_set(&sets[i], folder);
  }
}

static int set_up(void **state) {
  (void)state;
  snprintf(root, sizeof root, "%s/ptv3-sets-XXXXXX",
           getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_sets)};
  return cmocka_run_group_tests_name("check_sets", tests, set_up, tear_down);
}
