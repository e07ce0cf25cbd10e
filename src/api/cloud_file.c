/* cloud_file.c - public clouds from files, and labels from files. */
#include <string.h>

#include "channels.h"
#include "cloud_api.h"
#include "config_api.h"
#include "dataset.h"
#include "kitti.h"
#include "load.h"
#include "model_api.h"
#include "npy.h"
#include "read.h"

/* ---- clouds ---- */

int pt_fills_parse(const char *const *text, int count, struct pt_fill fill[PT_FILLS],
                   struct ptv3_error *err) {
  if (count < 0 || count > PT_FILLS || (count && !text))
    return pt_fail(err, PTV3_INVALID, "%d features to fill; up to %d are offered", count,
                   PT_FILLS);
  for (int i = 0; i < count; i++) {
    int status = pt_fill_parse(text[i], &fill[i], err);
    if (status) return status;
  }
  return PTV3_OK;
}

/* What the model needs and no more; without a model, all that is usual. */
static void choose(const struct ptv3_cloud_options *o, struct pt_load *load) {
  static const char *const usual[] = {"color", "normal", "strength"};
  load->normals = o->estimate_normals ? PT_NORMAL_NEIGHBOURS : 0;
  load->normal_side = pt_normal_side_of(o->normal_side);
  if (o->model) {
    load->want = o->model->need;
    load->n_want = o->model->needs;
    load->grid_size = pt_pipeline_grid_size(&o->model->pipeline);
  } else {
    load->also = usual;
    load->n_also = 3;
    load->labels = true;
  }
}

static bool is_bin(const char *path) {
  char extension[16];
  pt_extension(path, extension);
  return strcmp(extension, "bin") == 0;
}

/* The data set of the configuration says how its labels are numbered, and what its scans
 * are like. */
int pt_cloud_file_begin(struct pt_cloud_file *f, struct pt_env *env, const char *path,
                        const struct ptv3_cloud_options *o, struct ptv3_error *err) {
  const struct pt_value *root = o->model    ? o->model->root
                                : o->config ? o->config->tree.root
                                            : NULL;
  *f = (struct pt_cloud_file){0};
  int status = pt_fills_parse(o->fill, o->fill_count, f->fill, err);
  if (!status)
    status = pt_dataset_rules(&f->rules, env, pt_get(pt_get(root, "data"), "val"), err);
  if (status) return status;
  f->load = (struct pt_load){.segment = f->rules.segment,
                             .scannet = !f->rules.segment,
                             .map = f->rules.mapped ? &f->rules.map : NULL,
                             .fill = f->fill,
                             .n_fill = o->fill_count};
  choose(o, &f->load);
  f->read = (struct pt_read_options){o->columns, o->floats, o->labels};
  if (is_bin(path)) {
    f->load.strength = f->rules.strength;
    if (!f->read.floats) f->read.floats = f->rules.floats;
    if (o->model && !f->read.labels) f->read.labels = "";
  }
  return PTV3_OK;
}

void pt_cloud_file_end(struct pt_cloud_file *f) { pt_dataset_free(&f->rules); }

static int load(struct ptv3_cloud *cloud, const char *path, const struct ptv3_cloud_options *o,
                struct ptv3_error *err) {
  struct pt_env *env = &cloud->ctx->env;
  struct pt_cloud_file f;
  cloud->path = pt_strdup(&env->mem, path, err);
  if (!cloud->path) return err->status;
  int status = pt_cloud_file_begin(&f, env, path, o, err);
  if (status) return status;
  status = pt_cloud_load(env, cloud->path, &f.read, &f.load, &cloud->points, err);
  pt_cloud_file_end(&f);
  return status;
}

int ptv3_cloud_load(struct ptv3_context *ctx, const char *path,
                    const struct ptv3_cloud_options *options, struct ptv3_cloud **out,
                    struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!ctx || !path || !out)
    return pt_api_null("ptv3_cloud_load", !ctx ? "ctx" : !path ? "path" : "out", err);
  struct ptv3_error inner = {0};
  struct ptv3_cloud_options o = options ? *options : (struct ptv3_cloud_options){0};
  struct ptv3_cloud *cloud = pt_zalloc(pt_ctx_mem(ctx), 1, sizeof *cloud, PT_MEM_CLOUD, &inner);
  int status = inner.status;
  if (cloud) {
    cloud->ctx = ctx;
    status = load(cloud, path, &o, &inner);
  }
  if (status) {
    ptv3_cloud_free(cloud);
    if (err) *err = inner;
    return status;
  }
  *out = cloud;
  return PTV3_OK;
}

/* ---- labels ---- */

/* The first column that holds labels; an .npy file has one column only. */
static const struct pt_column *label_column(const struct pt_table *t) {
  static const char *const names[] = {"prediction", "label",    "classification",
                                      "segment",    "semantic", "class"};
  for (int i = 0; i < 6; i++) {
    const struct pt_column *c = pt_find_column(t, names[i]);
    if (c && c->width == 1) return c;
  }
  return NULL;
}

static int take_labels(const struct pt_table *t, const struct pt_column *c, const char *path,
                       int64_t n, int32_t *label, struct ptv3_error *err) {
  if (!c) return pt_fail(err, PTV3_DATA, "'%s' has no column of labels", path);
  if (t->n != n)
    return pt_fail(err, PTV3_DATA, "'%s' has %lld labels, the cloud %lld points", path,
                   (long long)t->n, (long long)n);
  pt_convert(label, PT_I32, c->data, c->type, n);
  return PTV3_OK;
}

static int labels_npy(struct ptv3_context *ctx, const char *path, int64_t n, int32_t *label,
                      struct ptv3_error *err) {
  struct pt_npy_array a;
  int status = pt_npy_read(pt_ctx_mem(ctx), path, PT_MEM_OTHER, &a, err);
  if (status) return status;
  bool column = a.ndim == 1 || (a.ndim == 2 && a.shape[1] == 1);
  if (!column)
    status =
        pt_fail(err, PTV3_DATA, "'%s' does not hold one label a point: it has %d dimensions",
                path, a.ndim);
  else if (a.shape[0] != n)
    status = pt_fail(err, PTV3_DATA, "'%s' has %lld labels, the cloud %lld points", path,
                     (long long)a.shape[0], (long long)n);
  else
    pt_convert(label, PT_I32, a.data, a.type, n);
  pt_free(pt_ctx_mem(ctx), a.data);
  return status;
}

static int labels_kitti(struct ptv3_context *ctx, const char *path, int64_t n, int32_t *label,
                        struct ptv3_error *err) {
  struct pt_map map;
  int status = pt_map_open(&map, path, err);
  if (status) return status;
  struct pt_cursor cursor = pt_cursor_of(&map);
  struct pt_table t;
  pt_table_init(&t, pt_ctx_mem(ctx), n);
  status = pt_kitti_labels(&ctx->env, &cursor, &t, err);
  if (!status) status = take_labels(&t, label_column(&t), path, n, label, err);
  pt_table_free(&t);
  pt_map_close(&map);
  return status;
}

static int labels_table(struct ptv3_context *ctx, const char *path, int64_t n, int32_t *label,
                        struct ptv3_error *err) {
  struct pt_table t = {0};
  int status = pt_table_read(&ctx->env, path, NULL, &t, err);
  if (status) return status;
  status = take_labels(&t, label_column(&t), path, n, label, err);
  pt_table_free(&t);
  return status;
}

int ptv3_labels_load(struct ptv3_context *ctx, const char *path, int64_t n, int32_t *label,
                     struct ptv3_error *err) {
  if (!ctx || !path || !label)
    return pt_api_null("ptv3_labels_load", !ctx ? "ctx" : !path ? "path" : "label", err);
  char extension[16];
  pt_extension(path, extension);
  if (strcmp(extension, "npy") == 0) return labels_npy(ctx, path, n, label, err);
  if (strcmp(extension, "label") == 0 || strcmp(extension, "bin") == 0)
    return labels_kitti(ctx, path, n, label, err);
  return labels_table(ctx, path, n, label, err);
}
