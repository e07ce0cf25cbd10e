/* test_api_faults.c - every allocation of the public calls fails once: an error comes back,
 * nothing is kept, and the same call succeeds afterwards. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "context.h"
#include "predict_file.h"
#include "ptv3.h"

enum { N = 300, MOST = 20000 };

static const char text[] =
    "names = ['a', 'b']\n"
    "model = dict(type='DefaultSegmentorV2', num_classes=2, backbone_out_channels=16,\n"
    "  backbone=dict(type='PT-v3m1', in_channels=4, order=('z', 'hilbert'), stride=(2,),\n"
    "    enc_depths=(1, 1), enc_channels=(16, 32), enc_num_head=(1, 2),\n"
    "    enc_patch_size=(64, 64), dec_depths=(1,), dec_channels=(16,), dec_num_head=(1,),\n"
    "    dec_patch_size=(64,), mlp_ratio=2, enable_flash=True))\n"
    "data = dict(names=names, val=dict(type='DefaultDataset', split='val', "
    "transform=[dict(type='GridSample', grid_size=0.5,\n"
    "  hash_type='fnv', mode='train', return_grid_coord=True), dict(type='ToTensor'),\n"
    "  dict(type='Collect', keys=('coord', 'grid_coord'), feat_keys=('coord', 'strength'))]))\n"
    "las_codes = [2, 6]\n";

struct run {
  struct ptv3_context *ctx;
  struct ptv3_config *config;
  struct ptv3_weights *weights;
  struct ptv3_model *model;
  struct ptv3_cloud *cloud;
  const char *folder;
};

static double xyz[3 * N];
static float strength[N];
static uint8_t color[3 * N];

static void make_points(void) {
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < 3; k++) xyz[3 * i + k] = (double)(i * (k + 7) % 23) * 0.7;
    strength[i] = (float)i / N;
  }
  xyz[30] = (double)NAN; /* so that rows are set aside */
}

/* Two labelled scenes, folder/val/a.xyz and b.xyz. */
static void make_scenes(const char *folder) {
  char path[200];
  snprintf(path, sizeof path, "%s/val", folder);
  assert_int_equal(mkdir(path, 0700), 0);
  for (int k = 0; k < 2; k++) {
    snprintf(path, sizeof path, "%s/val/%c.xyz", folder, 'a' + k);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "x y z strength label\n");
    for (int i = 0; i < N; i++)
      fprintf(f, "%d %d %d %g %d\n", i % 20, i / 20, i % (3 + k), (double)strength[i], i % 2);
    assert_int_equal(fclose(f), 0);
  }
}

static void clear_scenes(const char *folder) {
  static const char *const files[] = {"val/a.xyz", "val/b.xyz", "in.las"};
  char path[200];
  for (int k = 0; k < 3; k++) {
    snprintf(path, sizeof path, "%s/%s", folder, files[k]);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/val", folder);
  rmdir(path);
}

/* ---- the calls ---- */

static int call_config(struct run *r, struct ptv3_error *err) {
  return ptv3_config_parse(r->ctx, text, sizeof text - 1, "text", NULL, 0, &r->config, err);
}

static int call_text(struct run *r, struct ptv3_error *err) {
  const char *json;
  return ptv3_config_text(r->config, "model", &json, err);
}

static int call_weights(struct run *r, struct ptv3_error *err) {
  return ptv3_weights_random(r->ctx, r->config, 1, &r->weights, err);
}

static int call_model(struct run *r, struct ptv3_error *err) {
  return ptv3_model_create(r->ctx, r->config, r->weights, NULL, &r->model, err);
}

static int call_cloud(struct run *r, struct ptv3_error *err) {
  struct ptv3_points p = {.n = N, .coord = xyz, .strength = strength, .color = color};
  return ptv3_cloud_create(r->ctx, &p, &r->cloud, err);
}

static int call_predict(struct run *r, struct ptv3_error *err) {
  static int32_t label[N];
  static float confidence[N], probability[2 * N];
  return ptv3_predict(r->model, r->cloud, NULL, label, confidence, probability, err);
}

static int save(struct run *r, const struct ptv3_cloud *cloud, const char *name,
                struct ptv3_error *err) {
  static int32_t label[N];
  static float confidence[N];
  char path[200];
  struct ptv3_prediction p = {.label = label, .confidence = confidence, .classes = 2};
  snprintf(path, sizeof path, "%s/%s", r->folder, name);
  int status = ptv3_prediction_save(r->ctx, cloud, &p, path, err);
  assert_int_equal(access(path, F_OK) == 0, status == 0); /* no half-written file */
  unlink(path);
  return status;
}

static int call_npy(struct run *r, struct ptv3_error *err) {
  return save(r, r->cloud, "x.npy", err);
}
static int call_ply(struct run *r, struct ptv3_error *err) {
  return save(r, r->cloud, "x.ply", err);
}

static int call_las(struct run *r, struct ptv3_error *err) {
  return save(r, r->cloud, "x.las", err);
}

static int call_evaluate(struct run *r, struct ptv3_error *err) {
  struct ptv3_evaluation *e;
  struct ptv3_eval_options o = {.data_root = r->folder};
  int status = ptv3_evaluate(r->model, &o, &e, err);
  assert_true(!e == (status != 0));
  ptv3_evaluation_free(e);
  return status;
}

static int call_load(struct run *r, struct ptv3_error *err) {
  char path[200];
  struct ptv3_cloud *c;
  snprintf(path, sizeof path, "%s/val/a.xyz", r->folder);
  struct ptv3_cloud_options o = {.model = r->model};
  int status = ptv3_cloud_load(r->ctx, path, &o, &c, err);
  ptv3_cloud_free(c);
  return status;
}

/* What `ptv3 predict in.las -o x.las` calls: LAS in, LAS out. */
static int call_las_to_las(struct run *r, struct ptv3_error *err) {
  static int32_t label[N];
  static float confidence[N];
  char path[200];
  struct ptv3_cloud *c;
  struct ptv3_cloud_options o = {.model = r->model};
  snprintf(path, sizeof path, "%s/in.las", r->folder);
  int status = ptv3_cloud_load(r->ctx, path, &o, &c, err);
  if (!status) status = ptv3_predict(r->model, c, NULL, label, confidence, NULL, err);
  if (!status) status = save(r, c, "x.las", err);
  ptv3_cloud_free(c);
  return status;
}

/* What the program does now, with the points in memory and in their file. */
static int file_to_file(struct run *r, bool parts, const char *name, struct ptv3_error *err) {
  char in[200], out[200], extra[200];
  int64_t count[3];
  struct ptv3_file_result result;
  struct ptv3_file_options o = {.out = out, .probabilities = extra};
  snprintf(in, sizeof in, "%s/in.las", r->folder);
  snprintf(out, sizeof out, "%s/%s", r->folder, name);
  snprintf(extra, sizeof extra, "%s/p.npy", r->folder);
  int status = pt_predict_file(r->model, in, &o, parts, count, &result, err);
  assert_int_equal(access(extra, F_OK) == 0, status == 0);
  if (!status) {
    assert_int_equal(result.in_parts, parts);
    assert_int_equal(result.n, N);
    assert_int_equal(count[0] + count[1] + count[2], N);
    assert_int_equal(count[2], result.unusable);
  }
  unlink(out);
  unlink(extra);
  return status;
}

static int call_memory(struct run *r, struct ptv3_error *err) {
  return file_to_file(r, false, "x.ply", err);
}

static int call_parts_ply(struct run *r, struct ptv3_error *err) {
  return file_to_file(r, true, "x.ply", err);
}

static int call_parts_las(struct run *r, struct ptv3_error *err) {
  return file_to_file(r, true, "x.las", err);
}

static int call_parts_npy(struct run *r, struct ptv3_error *err) {
  return file_to_file(r, true, "x.npy", err);
}

static int call_png(struct run *r, struct ptv3_error *err) {
  char path[200];
  snprintf(path, sizeof path, "%s/x.png", r->folder);
  struct ptv3_render_options o = {.width = 64, .height = 64, .paint = PTV3_PAINT_COLOR};
  int status = ptv3_render_png(r->ctx, r->cloud, &o, path, err);
  assert_int_equal(access(path, F_OK) == 0, status == 0);
  unlink(path);
  return status;
}

static int call_check(struct run *r, struct ptv3_error *err) {
  char root[200];
  const char *options[] = {root};
  struct ptv3_config *config;
  struct ptv3_check *check;
  struct ptv3_check_info info;
  snprintf(root, sizeof root, "data.val.data_root=%s", r->folder);
  int status =
      ptv3_config_parse(r->ctx, text, (int64_t)strlen(text), "c", options, 1, &config, err);
  if (status) return status;
  status = ptv3_check_create(r->ctx, config, NULL, &check, err);
  assert_int_equal(status == 0, check != NULL);
  if (!status) {
    ptv3_check_get_info(check, &info);
    assert_int_equal(info.splits, 1);
    assert_int_equal(info.split[0].looked, 2);
    assert_string_equal(info.class_name[1], "b");
    ptv3_check_free(check);
  }
  ptv3_config_free(config);
  return status;
}

static int call_weights_save(struct run *r, struct ptv3_error *err) {
  char path[200];
  snprintf(path, sizeof path, "%s/x.pth", r->folder);
  int status = ptv3_weights_save(r->ctx, r->weights, "BF16", path, err);
  assert_int_equal(access(path, F_OK) == 0, status == 0);
  unlink(path);
  return status;
}

/* ---- failing each allocation ---- */

static void each(struct run *r, const char *name,
                 int (*call)(struct run *, struct ptv3_error *)) {
  struct pt_mem *mem = &r->ctx->env.mem;
  for (int k = 1;; k++) {
    struct ptv3_error err = {0};
    int64_t before = mem->used;
    mem->fail_at = mem->calls + k;
    int status = call(r, &err);
    mem->fail_at = 0;
    if (status == PTV3_OK) return;
    if (status != PTV3_NO_MEMORY) fail_msg("%s %d: %s", name, k, err.message);
    assert_int_equal(err.status, status);
    assert_true(err.message[0] != 0);
    if (mem->used != before) fail_msg("%s: %s", name, err.message);
    assert_true(k < MOST);
  }
}

static const struct {
  const char *name;
  int (*call)(struct run *, struct ptv3_error *);
} calls[] = {
    {"config", call_config},
    {"text", call_text},
    {"weights", call_weights},
    {"model", call_model},
    {"cloud", call_cloud},
    {"load", call_load},
    {"npy", call_npy},
    {"ply", call_ply},
    {"las", call_las},
    {"png", call_png},
    {"save weights", call_weights_save},
    {"predict", call_predict},
    {"evaluate", call_evaluate},
    {"check", call_check},
    {"LAS to LAS", call_las_to_las},
    {"file, in memory", call_memory},
    {"file, in parts, to PLY", call_parts_ply},
    {"file, in parts, to LAS", call_parts_las},
    {"file, in parts, to NPY", call_parts_npy},
};

static void make_las(struct run *r) {
  static const int32_t label[N];
  char path[200];
  struct ptv3_prediction p = {.label = label, .classes = 2};
  snprintf(path, sizeof path, "%s/in.las", r->folder);
  assert_int_equal(ptv3_prediction_save(r->ctx, r->cloud, &p, path, NULL), PTV3_OK);
}

static void faults(void **state) {
  (void)state;
  char folder[] = "/tmp/ptv3-faults-XXXXXX";
  struct run r = {.folder = mkdtemp(folder)};
  assert_non_null(r.folder);
  make_points();
  make_scenes(folder);
  assert_int_equal(ptv3_context_create(NULL, &r.ctx, NULL), PTV3_OK);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (calls[i].call == call_las_to_las) make_las(&r);
    /* The first write sorts the names, and the weights keep the sorted list. */
    if (calls[i].call == call_weights_save) assert_int_equal(call_weights_save(&r, NULL), 0);
    each(&r, calls[i].name, calls[i].call);
  }
  ptv3_cloud_free(r.cloud);
  ptv3_model_free(r.model);
  ptv3_weights_free(r.weights);
  ptv3_config_free(r.config);
  assert_int_equal(r.ctx->env.mem.used, 0);
  ptv3_context_free(r.ctx);
  clear_scenes(folder);
  assert_int_equal(rmdir(folder), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(faults)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
