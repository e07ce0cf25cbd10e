/* test_api.c - the public interface as a program sees it: public headers only. */
#define _DEFAULT_SOURCE /* mkstemps */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ptv3.h"

enum { N = 3000, CLASSES = 3 };

struct fixture {
  struct ptv3_context *ctx;
  struct ptv3_config *config;
  struct ptv3_model *model;
  struct ptv3_cloud *cloud;
  int calls;   /* of progress */
  int stop_at; /* call at which progress says stop, 0: never */
  int warnings;
};

static double xyz[3 * N];
static float strength[N];

static void make_points(void) {
  for (int i = 0; i < N; i++) {
    xyz[3 * i] = 700000 + i % 50 * 0.4; /* map coordinates, too fine for float */
    xyz[3 * i + 1] = 6600000 + i / 50 * 0.4;
    xyz[3 * i + 2] = 100 + i * 7919 % 13 * 0.2;
    strength[i] = (float)(i * 31 % 100) / 100;
  }
}

static bool on_progress(void *user, const char *what, int64_t done, int64_t total) {
  struct fixture *f = user;
  struct ptv3_memory m;
  assert_non_null(what);
  assert_true(done >= 0 && total >= 0);
  ptv3_context_memory(f->ctx, &m);
  assert_true(m.used <= m.peak);
  return ++f->calls != f->stop_at;
}

static void on_warning(void *user, const char *message) {
  assert_non_null(message);
  ((struct fixture *)user)->warnings++;
}

static void open_context(struct fixture *f, int threads, int64_t memory) {
  struct ptv3_options o = {.threads = threads,
                           .memory = memory,
                           .progress = on_progress,
                           .warn = on_warning,
                           .user = f};
  assert_int_equal(ptv3_context_create(&o, &f->ctx, NULL), PTV3_OK);
}

static void open_model(struct fixture *f, int threads) {
  struct ptv3_error err = {0};
  struct ptv3_weights *w;
  *f = (struct fixture){0};
  make_points();
  open_context(f, threads, 0);
  assert_int_equal(ptv3_config_load(f->ctx, "tests/small.py", NULL, 0, &f->config, &err), 0);
  assert_int_equal(ptv3_weights_random(f->ctx, f->config, 7, &w, &err), PTV3_OK);
  if (ptv3_model_create(f->ctx, f->config, w, NULL, &f->model, &err))
    fail_msg("%s", err.message);
  ptv3_weights_free(w);
  struct ptv3_points p = {.n = N, .coord = xyz, .strength = strength};
  if (ptv3_cloud_create(f->ctx, &p, &f->cloud, &err)) fail_msg("%s", err.message);
}

static void close_all(struct fixture *f) {
  struct ptv3_memory m;
  ptv3_cloud_free(f->cloud);
  ptv3_model_free(f->model);
  ptv3_config_free(f->config);
  ptv3_context_memory(f->ctx, &m);
  assert_int_equal(m.used, 0);
  ptv3_context_free(f->ctx);
}

/* ---- version, context, arguments ---- */

static void version(void **state) {
  (void)state;
  const char *name;
  char value[100], tiny[2];
  assert_non_null(strchr(ptv3_version(), '.'));
  int items = 0;
  while (ptv3_build_info(items, &name, value, sizeof value)) {
    assert_true(name[0] && value[0]);
    items++;
  }
  assert_true(items >= 4);
  assert_true(ptv3_build_info(0, &name, tiny, sizeof tiny));
  assert_int_equal(strlen(tiny), 1);
  assert_false(ptv3_build_info(-1, &name, value, sizeof value));
}

static void arguments(void **state) {
  (void)state;
  struct ptv3_error err;
  struct fixture f;
  struct ptv3_cloud *cloud = (void *)&f;
  struct ptv3_options bad = {.threads = -1};
  assert_int_equal(ptv3_context_create(&bad, &f.ctx, &err), PTV3_INVALID);
  assert_null(f.ctx);
  open_context(&f, 1, 0);
  struct ptv3_points none = {0}, two = {.n = 1, .coord = xyz, .coord_f32 = strength};
  assert_int_equal(ptv3_cloud_create(f.ctx, &none, &cloud, &err), PTV3_INVALID);
  assert_null(cloud);
  assert_int_equal(ptv3_cloud_create(f.ctx, &two, &cloud, &err), PTV3_INVALID);
  assert_int_equal(ptv3_cloud_create(NULL, &two, &cloud, &err), PTV3_INVALID);
  assert_non_null(strstr(err.message, "'ctx'"));
  assert_int_equal(ptv3_cloud_load(f.ctx, NULL, NULL, &cloud, NULL), PTV3_INVALID);
  ptv3_cloud_free(NULL);
  ptv3_model_free(NULL);
  ptv3_weights_free(NULL);
  ptv3_config_free(NULL);
  ptv3_context_free(f.ctx);
  ptv3_context_free(NULL);
}

static void configuration(void **state) {
  (void)state;
  static const char text[] = "a = 1\nmodel = dict(type='X', depths=(2, 3))\n";
  const char *options[] = {"model.type=Y", "b=2.5"}, *json;
  struct fixture f = {0};
  struct ptv3_config *c;
  struct ptv3_error err;
  open_context(&f, 1, 0);
  assert_int_equal(
      ptv3_config_parse(f.ctx, text, sizeof text - 1, "text", options, 2, &c, &err), 0);
  assert_int_equal(ptv3_config_text(c, "model.type", &json, &err), PTV3_OK);
  assert_string_equal(json, "\"Y\"");
  assert_int_equal(ptv3_config_text(c, "model.depths.1", &json, &err), PTV3_OK);
  assert_string_equal(json, "3");
  assert_int_equal(ptv3_config_text(c, "model.depths.2", &json, &err), PTV3_CONFIG);
  assert_int_equal(ptv3_config_text(c, NULL, &json, &err), PTV3_OK);
  assert_non_null(strstr(json, "2.5"));
  ptv3_config_free(c);
  assert_int_equal(ptv3_config_parse(f.ctx, "import os", 9, "x", NULL, 0, &c, &err),
                   PTV3_UNSUPPORTED);
  assert_null(c);
  close_all(&f);
}

/* ---- prediction ---- */

static void predict(void **state) {
  (void)state;
  struct fixture f;
  struct ptv3_error err = {0};
  struct ptv3_model_info info;
  int32_t *label = calloc(N, sizeof *label);
  float *confidence = calloc(N, sizeof *confidence);
  float *probability = calloc((size_t)N * CLASSES, sizeof *probability);
  open_model(&f, 0);
  ptv3_model_get_info(f.model, &info);
  assert_int_equal(info.classes, CLASSES);
  assert_int_equal(info.channels, 4);
  assert_string_equal(info.needs, "strength");
  assert_string_equal(info.class_name[2], "building");
  assert_int_equal(info.las_code[2], 6);
  assert_true(info.parameters > 100000);
  if (ptv3_predict(f.model, f.cloud, NULL, label, confidence, probability, &err))
    fail_msg("%s", err.message);
  for (int i = 0; i < N; i++) {
    const float *p = probability + i * CLASSES;
    assert_in_range(label[i], 0, CLASSES - 1);
    assert_true(fabsf(p[0] + p[1] + p[2] - 1) < 1e-5f);
    assert_true(p[label[i]] == confidence[i]);
    for (int c = 0; c < CLASSES; c++) assert_true(p[c] <= p[label[i]]);
  }
  assert_true(f.calls > 0);
  free(probability);
  free(confidence);
  free(label);
  close_all(&f);
}

static void same_answer(void **state) {
  (void)state;
  static int32_t one[N], two[N];
  struct fixture a, b;
  open_model(&a, 1);
  open_model(&b, 3);
  assert_int_equal(ptv3_predict(a.model, a.cloud, NULL, one, NULL, NULL, NULL), PTV3_OK);
  assert_int_equal(ptv3_predict(b.model, b.cloud, NULL, two, NULL, NULL, NULL), PTV3_OK);
  assert_memory_equal(one, two, sizeof one);
  assert_int_equal(ptv3_predict(b.model, b.cloud, NULL, two, NULL, NULL, NULL), PTV3_OK);
  assert_memory_equal(one, two, sizeof one); /* a model can be used again */
  close_all(&a);
  close_all(&b);
}

static void unusable_points(void **state) {
  (void)state;
  static int32_t all[N], with[N];
  struct fixture f;
  struct ptv3_cloud *cloud;
  struct ptv3_cloud_info info;
  open_model(&f, 0);
  assert_int_equal(ptv3_predict(f.model, f.cloud, NULL, all, NULL, NULL, NULL), PTV3_OK);
  /* Rows 0 and 5 of n + 2 are no points; the others are those from before. */
  double *c = calloc(3 * (N + 2), sizeof *c);
  float *s = calloc(N + 2, sizeof *s);
  int32_t *label = calloc(N + 2, sizeof *label);
  for (int row = 0, i = 0; row < N + 2; row++) {
    if (row == 0 || row == 5) {
      c[3 * row + row % 3] = (double)NAN;
      continue;
    }
    memcpy(c + 3 * row, xyz + 3 * i, 3 * sizeof *c);
    s[row] = strength[i++];
  }
  struct ptv3_points p = {.n = N + 2, .coord = c, .strength = s};
  assert_int_equal(ptv3_cloud_create(f.ctx, &p, &cloud, NULL), PTV3_OK);
  ptv3_cloud_get_info(cloud, &info);
  assert_int_equal(info.n, N + 2);
  assert_int_equal(info.unusable, 2);
  assert_int_equal(ptv3_predict(f.model, cloud, NULL, label, NULL, NULL, NULL), PTV3_OK);
  assert_int_equal(label[0], PTV3_IGNORE);
  assert_int_equal(label[5], PTV3_IGNORE);
  for (int row = 0, i = 0; row < N + 2; row++)
    if (row != 0 && row != 5) with[i++] = label[row];
  assert_memory_equal(all, with, sizeof all);
  ptv3_cloud_free(cloud);
  free(label);
  free(s);
  free(c);
  close_all(&f);
}

static void missing_feature(void **state) {
  (void)state;
  static int32_t label[N];
  struct fixture f;
  struct ptv3_cloud *cloud;
  struct ptv3_error err;
  open_model(&f, 0);
  struct ptv3_points p = {.n = N, .coord = xyz};
  assert_int_equal(ptv3_cloud_create(f.ctx, &p, &cloud, &err), PTV3_OK);
  assert_int_equal(ptv3_predict(f.model, cloud, NULL, label, NULL, NULL, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "strength"));
  ptv3_cloud_free(cloud);
  close_all(&f);
}

static void cancelled(void **state) {
  (void)state;
  static int32_t label[N];
  struct fixture f;
  struct ptv3_error err;
  open_model(&f, 0);
  f.stop_at = f.calls + 1;
  assert_int_equal(ptv3_predict(f.model, f.cloud, NULL, label, NULL, NULL, &err),
                   PTV3_CANCELLED);
  close_all(&f);
}

/* ---- weights ---- */

static void weights(void **state) {
  (void)state;
  char path[] = "/tmp/ptv3-api-XXXXXX.safetensors";
  struct fixture f = {0};
  struct ptv3_weights *w, *back;
  struct ptv3_weights_info a, b;
  struct ptv3_tensor_info t;
  struct ptv3_error err;
  int fd = mkstemps(path, 12);
  assert_true(fd >= 0);
  close(fd);
  open_context(&f, 1, 0);
  assert_int_equal(ptv3_config_load(f.ctx, "tests/small.py", NULL, 0, &f.config, &err),
                   PTV3_OK);
  assert_int_equal(ptv3_weights_random(f.ctx, f.config, 1, &w, &err), PTV3_OK);
  assert_int_equal(ptv3_weights_save(f.ctx, w, "F33", path, &err), PTV3_INVALID);
  assert_int_equal(ptv3_weights_save(f.ctx, w, NULL, path, &err), PTV3_OK);
  assert_int_equal(ptv3_weights_load(f.ctx, path, &back, &err), PTV3_OK);
  ptv3_weights_get_info(w, &a);
  ptv3_weights_get_info(back, &b);
  assert_int_equal(a.tensors, b.tensors);
  assert_int_equal(a.parameters, b.parameters);
  assert_true(ptv3_weights_tensor(back, 0, &t));
  assert_string_equal(t.type, "F32");
  assert_true(t.dims > 0 && t.shape[0] > 0);
  assert_false(ptv3_weights_tensor(back, ptv3_weights_count(back), &t));
  ptv3_weights_free(w);
  /* The demonstration's weights are not those of a model with another head. */
  const char *options[] = {"model.num_classes=5", "data.num_classes=5",
                           "data.names=[a,b,c,d,e]", "las_codes=[1,2,3,4,5]"};
  struct ptv3_config *other;
  assert_int_equal(ptv3_config_load(f.ctx, "tests/small.py", options, 4, &other, &err),
                   PTV3_OK);
  assert_int_equal(ptv3_model_create(f.ctx, other, back, NULL, &f.model, &err), PTV3_MISMATCH);
  assert_null(f.model);
  assert_non_null(strstr(err.message, "seg_head"));
  ptv3_config_free(other);
  ptv3_weights_free(back);
  unlink(path);
  close_all(&f);
}

/* ---- pictures ---- */

/* Arrays of a scene folder that are not a row a point (a pose) are not in the way. */
static void folder(void **state) {
  (void)state;
  struct fixture f;
  struct ptv3_error err;
  struct ptv3_cloud *cloud;
  struct ptv3_cloud_info info;
  const char *const names[] = {"coord", "strength", "pose"};
  char folder[] = "/tmp/ptv3-folder-XXXXXX", path[64];
  float data[30] = {0};
  for (int i = 0; i < 30; i++) data[i] = (float)(i % 7);
  open_model(&f, 1);
  assert_non_null(mkdtemp(folder));
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s.npy", folder, names[i]);
    int status = ptv3_save_f32(f.ctx, data, i < 2 ? 10 : 4,
                               i == 0   ? 3
                               : i == 1 ? 1
                                        : 4,
                               path, &err);
    assert_int_equal(status, 0);
  }
  for (int with = 0; with < 2; with++) {
    struct ptv3_cloud_options o = {.model = with ? f.model : NULL};
    if (ptv3_cloud_load(f.ctx, folder, &o, &cloud, &err)) fail_msg("%s", err.message);
    ptv3_cloud_get_info(cloud, &info);
    assert_true(info.n == 10 && info.has_strength && !info.has_color);
    ptv3_cloud_free(cloud);
  }
  struct ptv3_cloud_options five = {.floats = 5};
  assert_int_equal(ptv3_cloud_load(f.ctx, folder, &five, &cloud, &err), PTV3_INVALID);
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s.npy", folder, names[i]);
    unlink(path);
  }
  rmdir(folder);
  close_all(&f);
}

/* A prediction leaves the cloud as it was. */
static void again(void **state) {
  (void)state;
  struct fixture f;
  static int32_t first[N], second[N];
  struct ptv3_cloud_info a, b;
  open_model(&f, 1);
  ptv3_cloud_get_info(f.cloud, &a);
  assert_int_equal(ptv3_predict(f.model, f.cloud, NULL, first, NULL, NULL, NULL), PTV3_OK);
  assert_int_equal(ptv3_predict(f.model, f.cloud, NULL, second, NULL, NULL, NULL), PTV3_OK);
  ptv3_cloud_get_info(f.cloud, &b);
  assert_memory_equal(first, second, sizeof first);
  for (int k = 0; k < 3; k++) assert_true(a.min[k] == b.min[k] && a.max[k] == b.max[k]);
  close_all(&f);
}

/* The model of demo.py, told from its weights. */
static void guess(void **state) {
  (void)state;
  struct fixture f;
  struct ptv3_weights *w;
  struct ptv3_model_guess g;
  open_model(&f, 1);
  assert_int_equal(ptv3_weights_random(f.ctx, f.config, 7, &w, NULL), PTV3_OK);
  assert_true(ptv3_weights_guess(w, &g));
  assert_true(g.in_channels == 4 && g.classes == 3 && g.stages == 4 && g.mlp_ratio == 4);
  assert_true(g.qkv_bias && !g.enable_rpe && !g.enc_mode);
  static const int channels[] = {16, 32, 64, 128, 32, 32, 64}, depths[] = {1, 1, 2, 1, 1, 1, 1};
  for (int s = 0; s < 7; s++) {
    bool enc = s < 4;
    assert_int_equal(enc ? g.enc_channels[s] : g.dec_channels[s - 4], channels[s]);
    assert_int_equal(enc ? g.enc_depths[s] : g.dec_depths[s - 4], depths[s]);
  }
  ptv3_weights_free(w);
  static const char *const rpe[] = {
      "model.backbone.enable_rpe=True", "model.backbone.enable_flash=False",
      "model.backbone.enc_mode=True", "model.backbone_out_channels=240"};
  struct ptv3_config *config;
  struct ptv3_error err = {0};
  if (ptv3_config_load(f.ctx, "tests/small.py", rpe, 4, &config, &err) ||
      ptv3_weights_random(f.ctx, config, 7, &w, &err))
    fail_msg("%s", err.message);
  assert_true(ptv3_weights_guess(w, &g) && g.enable_rpe && g.enc_mode);
  assert_true(g.enc_num_head[0] == 1 && g.enc_num_head[3] == 8 && g.dec_depths[0] == 0);
  ptv3_weights_free(w);
  ptv3_config_free(config);
  close_all(&f);
}

static void picture(void **state) {
  (void)state;
  enum { W = 160, H = 120 };
  static uint8_t rgb[H * W * 3], label_rgb[3];
  static int32_t label[N];
  struct fixture f;
  struct ptv3_error err;
  open_model(&f, 0);
  for (int i = 0; i < N; i++) label[i] = 2;
  const char *names[] = {"ground", "vegetation", "building"};
  struct ptv3_render_options o = {.width = W,
                                  .height = H,
                                  .paint = PTV3_PAINT_PREDICTION,
                                  .no_legend = true,
                                  .no_shading = true,
                                  .prediction = label,
                                  .classes = 3,
                                  .class_name = names};
  if (ptv3_render_rgb(f.ctx, f.cloud, &o, rgb, &err)) fail_msg("%s", err.message);
  ptv3_class_color(2, "building", label_rgb);
  assert_memory_equal(rgb + 3 * (H / 2 * W + W / 2), label_rgb, 3); /* the middle is painted */
  static const uint8_t white[3] = {255, 255, 255};
  assert_memory_equal(rgb, white, 3);
  o.paint = PTV3_PAINT_LABEL;
  assert_int_equal(ptv3_render_rgb(f.ctx, f.cloud, &o, rgb, &err), PTV3_DATA);
  o.width = 0;
  assert_int_equal(ptv3_render_rgb(f.ctx, f.cloud, &o, rgb, &err), PTV3_INVALID);
  close_all(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(version),         cmocka_unit_test(arguments),
      cmocka_unit_test(configuration),   cmocka_unit_test(predict),
      cmocka_unit_test(same_answer),     cmocka_unit_test(unusable_points),
      cmocka_unit_test(missing_feature), cmocka_unit_test(cancelled),
      cmocka_unit_test(weights),         cmocka_unit_test(picture),
      cmocka_unit_test(folder),          cmocka_unit_test(guess),
      cmocka_unit_test(again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
