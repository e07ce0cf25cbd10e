/* test_stream.c - a cloud read in runs of rows gives what the cloud in memory gives, bit for
 * bit: formats, lengths of runs, points set aside, offsets, scales of colours; and what cannot
 * be read in runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "file.h"
#include "las.h"
#include "npy.h"
#include "philox.h"
#include "ply.h"
#include "pyconfig.h"
#include "stream.h"

static char folder[] = "/tmp/test_stream_XXXXXX", path[200], warned[1200];

static void keep_warning(void *user, const char *message) {
  (void)user;
  strncat(warned, message, sizeof warned - strlen(warned) - 1);
}

static struct pt_env new_env(int threads) {
  struct pt_env env;
  pt_env_init(&env, threads, 0);
  env.warn = keep_warning;
  warned[0] = 0;
  return env;
}

static double unit(int64_t i) { return pt_philox_uniform(5, 0, (uint64_t)i); }

static void parse(struct pt_env *env, const char *text, struct pt_config *config,
                  struct pt_pipeline *p) {
  struct ptv3_error err;
  char all[2000];
  snprintf(all, sizeof all, "T = %s\n", text);
  if (pt_config_parse(env, all, (int64_t)strlen(all), "test.py", NULL, 0, config, &err) ||
      pt_pipeline_parse(p, &env->mem, pt_get(config->root, "T"), &err))
    fail_msg("%s", err.message);
}

#define COLLECT                                                               \
  "dict(type='ToTensor'), dict(type='Collect', keys=('coord', 'grid_coord', " \
  "'origin_coord', 'inverse'), feat_keys=('coord', 'color'))]"
static const char usual[] =
    "[dict(type='CenterShift', apply_z=True), dict(type='Copy', keys_dict={'coord': "
    "'origin_coord', 'segment': 'origin_segment'}), dict(type='GridSample', grid_size=0.25, "
    "mode='train', return_grid_coord=True, return_inverse=True), dict(type='CenterShift', "
    "apply_z=False), dict(type='NormalizeColor'), " COLLECT;
static const char odd[] =
    "[dict(type='NormalizeColor'), dict(type='PointClip', point_cloud_range=(-4, -4, -1, 9, 9, "
    "3)), dict(type='PositiveShift'), dict(type='Update', keys_dict={'condition': 'x'}), "
    "dict(type='GridSample', grid_size=0.3, hash_type='ravel', return_grid_coord=True, "
    "return_min_coord=True, return_displacement=True), dict(type='GridSample', grid_size=0.5, "
    "return_grid_coord=True, return_displacement=True), dict(type='Collect', keys=('coord', "
    "'grid_coord', 'min_coord'), "
    "feat_keys=('coord', 'color', 'displacement'))]";

/* ---- one cloud both ways ---- */

static void same_sample(const struct pt_sample *a, const struct pt_sample *b) {
  assert_int_equal(a->n, b->n);
  assert_int_equal(a->channels, b->channels);
  assert_memory_equal(a->grid_coord, b->grid_coord, (size_t)a->n * 3 * sizeof *a->grid_coord);
  assert_memory_equal(a->coord, b->coord, (size_t)a->n * 3 * sizeof *a->coord);
  assert_memory_equal(a->feat, b->feat, (size_t)a->n * (size_t)a->channels * sizeof *a->feat);
  assert_true((!a->condition && !b->condition) || !strcmp(a->condition, b->condition));
}

/* The network's row of each row of the input, -1 for those set aside. */
static int32_t *rows_in_memory(const struct pt_cloud *c, const struct pt_sample *s) {
  int32_t *row = malloc((size_t)c->n_input * sizeof *row);
  for (int64_t i = 0; i < c->n_input; i++) row[i] = -1;
  for (int64_t i = 0; i < c->n_origin; i++) row[c->source ? c->source[i] : i] = s->inverse[i];
  return row;
}

static int stream_cloud(struct pt_env *env, const struct pt_load *opt,
                        const struct pt_pipeline *p, int64_t run, struct pt_stream *s,
                        struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_draw draw = pt_draw_of(3, 0, 9);
  memset(c, 0, sizeof *c);
  int st = pt_stream_open(s, env, path, opt, p, run, err);
  if (!st) st = pt_stream_voxels(s, &draw, c, err);
  struct pt_pipeline rest = {0};
  if (!st) rest = pt_stream_rest(s);
  if (!st) st = pt_pipeline_apply(&rest, env, c, &draw, true, err);
  return st;
}

static void both(const char *transforms, const struct pt_load *opt, int64_t run, int threads) {
  struct ptv3_error err = {0};
  struct pt_env env = new_env(threads);
  struct pt_config config;
  struct pt_pipeline p;
  struct pt_cloud a, b;
  struct pt_sample x, y;
  struct pt_stream s;
  char first[sizeof warned];
  parse(&env, transforms, &config, &p);
  struct pt_draw draw = pt_draw_of(3, 0, 9);
  if (pt_cloud_load(&env, path, NULL, opt, &a, &err) ||
      pt_pipeline_apply(&p, &env, &a, &draw, true, &err) || pt_sample_view(&a, &x, &err))
    fail_msg("%s", err.message);
  int32_t *want = rows_in_memory(&a, &x);
  memcpy(first, warned, sizeof first);
  warned[0] = 0;
  if (stream_cloud(&env, opt, &p, run, &s, &b, &err) || pt_sample_view(&b, &y, &err))
    fail_msg("run %lld: %s", (long long)run, err.message);
  assert_string_equal(first, warned);
  same_sample(&x, &y);
  assert_int_equal(s.rows, a.n_input);
  assert_memory_equal(a.offset, b.offset, sizeof a.offset);
  int32_t *row, *id = malloc((size_t)s.rows * sizeof *id);
  if (pt_stream_numbers(&s, &row, &err)) fail_msg("%s", err.message);
  pt_stream_ids(&s, 0, s.rows, id);
  for (int64_t i = 0; i < s.rows; i++)
    assert_int_equal(want[i], id[i] < 0 ? -1 : y.inverse[row[id[i]]]);
  pt_free(&env.mem, row);
  free(id);
  free(want);
  pt_stream_close(&s);
  pt_cloud_free(&a);
  pt_cloud_free(&b);
  pt_pipeline_free(&p);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

static void all_runs(const char *transforms, const struct pt_load *opt) {
  static const int64_t run[] = {1, 7, 256, 1000, 1001, 0};
  for (size_t i = 0; i < sizeof run / sizeof *run; i++) both(transforms, opt, run[i], 2);
}

/* ---- files ---- */

static void no_error(int status, const struct ptv3_error *err) {
  if (status) fail_msg("%s", err->message);
}

/* The extent is some metres; rows come in the order of nothing. */
static void make_las(const char *name, int64_t n, double far, int color_max) {
  struct ptv3_error err;
  struct pt_env env = new_env(1);
  double *xyz = malloc((size_t)n * 3 * sizeof *xyz);
  uint16_t *color = malloc((size_t)n * 3 * sizeof *color);
  for (int64_t i = 0; i < 3 * n; i++) {
    xyz[i] = far * (1 + (double)(i % 3)) + 6 * unit(i) * unit(i + 1);
    color[i] = (uint16_t)(unit(i + 7) * color_max);
  }
  struct pt_las_cloud las = {.n = n, .coord = xyz, .color = color, .color_type = PT_U16};
  snprintf(path, sizeof path, "%s/%s", folder, name);
  no_error(pt_las_write(&env, path, &las, &err), &err);
  free(xyz);
  free(color);
}

static const char *const color[] = {"color"};

static void las(void **state) {
  (void)state;
  const struct pt_load opt = {.want = color, .n_want = 1, .grid_size = 0.25};
  make_las("far.las", 1000, 700000, 65535);
  all_runs(usual, &opt);
  all_runs(odd, &opt);
  make_las("near.las", 1000, 1, 255); /* 8-bit colours in 16 bits stay as they are */
  all_runs(usual, &opt);
  make_las("one.las", 1, 0, 200);
  all_runs(usual, &opt);
}

static void laz(void **state) {
  (void)state;
  struct ptv3_error err;
  struct pt_env env = new_env(1);
  struct pt_las_reader *r;
  const struct pt_load opt = {.want = color, .n_want = 1};
  double one[3] = {0};
  struct pt_las_cloud las = {.n = 1, .coord = one};
  snprintf(path, sizeof path, "%s/none.laz", folder);
  if (pt_las_write(&env, path, &las, &err) == PTV3_UNSUPPORTED) {
    print_message("no LASzip here: skipped\n");
    return;
  }
  make_las("far.laz", 1000, 5e6, 65535);
  all_runs(usual, &opt);
  /* ranges in any order */
  struct pt_table t, u;
  no_error(pt_las_open(&env, path, NULL, &r, &err), &err);
  no_error(pt_las_take(r, 900, 100, &t, &err), &err);
  no_error(pt_las_take(r, 950, 10, &u, &err), &err);
  assert_memory_equal((double *)t.col[0].data + 50, u.col[0].data, 10 * sizeof(double));
  pt_table_free(&t);
  pt_table_free(&u);
  pt_las_close(r);
  assert_int_equal(env.mem.used, 0);
}

enum { N = 1000 };

/* Coordinates of which some are no numbers, one is absurd, and some are far. */
static void fill_bad(float *xyz, float *rgb, float far) {
  for (int64_t i = 0; i < 3 * N; i++) {
    xyz[i] = (float)(8 * unit(i) - 3);
    rgb[i] = (float)unit(i + 3);
  }
  xyz[3 * 0 + 1] = NAN;
  xyz[3 * 6 + 2] = INFINITY;
  xyz[3 * 7] = 4e20f;
  rgb[3 * 500 + 2] = NAN;
  xyz[3 * 998 + 1] = far;
  rgb[3 * 998] = 200; /* where it is set aside, colours are 0 to 1, else 0 to 255 */
  xyz[3 * 999] = -NAN;
}

static void write_npy(const char *name, const char *scene, enum pt_dtype type, int64_t n,
                      int width, const void *data) {
  struct ptv3_error err;
  struct pt_env env = new_env(1);
  char file[300];
  snprintf(path, sizeof path, "%s/%s", folder, scene);
  mkdir(path, 0777);
  snprintf(file, sizeof file, "%s/%s.npy", path, name);
  const int64_t shape[2] = {n, width};
  no_error(pt_npy_write(&env.mem, file, type, width > 1 ? 2 : 1, shape, data, &err), &err);
}

static void npy(void **state) {
  (void)state;
  static float xyz[3 * N], rgb[3 * N];
  const struct pt_load opt = {.want = color, .n_want = 1, .grid_size = 0.25};
  fill_bad(xyz, rgb, 1);
  write_npy("coord", "scene", PT_F32, N, 3, xyz);
  write_npy("color", "scene", PT_F32, N, 3, rgb);
  all_runs(usual, &opt);
  all_runs(odd, &opt);
}

static void write_ply(const char *name, const float *xyz, const float *rgb) {
  static const char *const names[] = {"x", "y", "z", "red", "green", "blue"};
  struct ptv3_error err;
  struct pt_env env = new_env(1);
  struct pt_table t;
  pt_table_init(&t, &env.mem, N);
  for (int k = 0; k < 6; k++) {
    struct pt_column *c = pt_table_add(&t, names[k], PT_F32, 1, &err);
    assert_non_null(c);
    for (int i = 0; i < N; i++)
      ((float *)c->data)[i] = k < 3 ? xyz[3 * i + k] : rgb[3 * i + k - 3];
  }
  snprintf(path, sizeof path, "%s/%s", folder, name);
  no_error(pt_ply_write(&env.mem, path, &t, &err), &err);
  pt_table_free(&t);
}

static void ply(void **state) {
  (void)state;
  static float xyz[3 * N], rgb[3 * N];
  struct pt_load opt = {.want = color, .n_want = 1, .grid_size = 0.0001};
  fill_bad(xyz, rgb, 700); /* within 100 times the size, but not within 65534 cells */
  write_ply("bad.ply", xyz, rgb);
  both(usual, &opt, 100, 1);
  assert_non_null(strstr(warned, "far outliers"));
  opt.grid_size = 0.25;
  all_runs(usual, &opt);
  all_runs(odd, &opt);
  for (int i = 0; i < N; i++) /* too many to be outliers: all stay, colours are 0 to 255 */
    if (i % 2 && i != 7) xyz[3 * i] += 690;
  write_ply("wide.ply", xyz, rgb);
  opt.grid_size = 0.009;
  all_runs(usual, &opt);
}

/* A real scan. */
static void real(void **state) {
  (void)state;
  static const char *const strength[] = {"strength"};
  static const char text[] =
      "[dict(type='CenterShift'), dict(type='GridSample', grid_size=0.5, "
      "return_grid_coord=True), dict(type='Collect', keys=('coord', 'grid_coord'), "
      "feat_keys=('coord', 'strength'))]";
  const struct pt_load opt = {.want = strength, .n_want = 1, .grid_size = 0.5};
  snprintf(path, sizeof path, "demo/val/ign_77060_627760.las");
  both(text, &opt, 10000, 2);
  both(text, &opt, 0, 1);
}

/* ---- what cannot be read so ---- */

static void refused(const char *transforms, const struct pt_load *opt, const char *says) {
  struct ptv3_error err = {0};
  struct pt_env env = new_env(1);
  struct pt_config config;
  struct pt_pipeline p;
  struct pt_stream s;
  parse(&env, transforms, &config, &p);
  assert_int_equal(pt_stream_open(&s, &env, path, opt, &p, 0, &err), PTV3_UNSUPPORTED);
  if (!strstr(err.message, says)) fail_msg("%s", err.message);
  pt_pipeline_free(&p);
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
}

static void refusals(void **state) {
  (void)state;
  static const char *const normal[] = {"normal"};
  const struct pt_load opt = {0}, estimate = {.want = normal, .n_want = 1, .normals = 8};
  make_las("a.las", 10, 1, 255);
  refused("[dict(type='RandomJitter'), dict(type='GridSample')]", &opt, "'RandomJitter'");
  refused("[dict(type='CenterShift')]", &opt, "no GridSample");
  refused("[dict(type='Copy', keys_dict={'color': 'coord'}), dict(type='GridSample')]", &opt,
          "'Copy'");
  refused(usual, &estimate, "normals");
  snprintf(path, sizeof path, "%s/a.xyz", folder);
  FILE *f = fopen(path, "w");
  fputs("1 2 3\n", f);
  fclose(f);
  refused(usual, &opt, "a part at a time");
  snprintf(path, sizeof path, "%s/ascii.ply", folder);
  f = fopen(path, "w");
  fputs("ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n", f);
  fclose(f);
  refused(usual, &opt, "in ascii");
}

/* ---- memory ---- */

static void no_memory(void **state) {
  (void)state;
  struct ptv3_error err = {0};
  const struct pt_load opt = {.want = color, .n_want = 1, .grid_size = 0.25};
  make_las("few.las", 60, 700000, 65535);
  for (int64_t k = 1;; k++) {
    struct pt_env env = new_env(1);
    struct pt_config config;
    struct pt_pipeline p;
    struct pt_cloud c;
    struct pt_stream s;
    int32_t *row = NULL;
    parse(&env, usual, &config, &p);
    env.mem.fail_at = env.mem.calls + k;
    int st = stream_cloud(&env, &opt, &p, 25, &s, &c, &err);
    if (!st) st = pt_stream_numbers(&s, &row, &err);
    env.mem.fail_at = 0;
    pt_free(&env.mem, row);
    pt_stream_close(&s);
    pt_cloud_free(&c);
    pt_pipeline_free(&p);
    pt_config_free(&config);
    assert_int_equal(env.mem.used, 0);
    if (!st) break;
    assert_int_equal(st, err.status);
    assert_true(k < 2000);
  }
}

static int setup(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int cleanup(void **state) {
  (void)state;
  char command[100];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(las),      cmocka_unit_test(laz),
                                     cmocka_unit_test(npy),      cmocka_unit_test(ply),
                                     cmocka_unit_test(real),     cmocka_unit_test(refusals),
                                     cmocka_unit_test(no_memory)};
  return cmocka_run_group_tests(tests, setup, cleanup);
}
