/* prediction_api.c - writing what was predicted: NPY labels, coloured PLY, LAS. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "cloud_api.h"
#include "las.h"
#include "npy.h"
#include "palette.h"
#include "ply.h"

struct job {
  struct ptv3_context *ctx;
  const struct ptv3_cloud *cloud;
  const struct ptv3_prediction *p;
  const char *path;
  int64_t n; /* rows of the input */
};

/* ---- NPY ---- */

static int save_npy(const struct job *j, struct ptv3_error *err) {
  return pt_npy_write(pt_ctx_mem(j->ctx), j->path, PT_I32, 1, &j->n, j->p->label, err);
}

int ptv3_save_f32(struct ptv3_context *ctx, const float *data, int64_t rows, int64_t columns,
                  const char *path, struct ptv3_error *err) {
  if (!ctx || !data || !path)
    return pt_api_null("ptv3_save_f32", !ctx ? "ctx" : !data ? "data" : "path", err);
  if (rows < 0 || columns < 0)
    return pt_fail(err, PTV3_INVALID, "ptv3_save_f32: %lld x %lld numbers", (long long)rows,
                   (long long)columns);
  int64_t shape[2] = {rows, columns};
  return pt_npy_write(pt_ctx_mem(ctx), path, PT_F32, 2, shape, data, err);
}

/* ---- coordinates and colours of all input rows ---- */

/* Metres with the offset put back; rows set aside get `none`. */
static void spread_coord(const struct pt_cloud *c, const double none[3],
                         double *out /* [n_input, 3] */) {
  const struct pt_channel *coord = pt_cloud_find(c, "coord");
  for (int64_t i = 0; c->source && i < 3 * c->n_input; i++) out[i] = none[i % 3];
  for (int64_t i = 0; i < c->n; i++) {
    int64_t row = c->source ? c->source[i] : i;
    for (int k = 0; k < 3; k++) out[3 * row + k] = pt_channel_at(coord, i, k) + c->offset[k];
  }
}

static void spread_color(const struct pt_cloud *c, const uint8_t *color /* [c->n, 3] */,
                         uint8_t *out /* [n_input, 3] */) {
  memset(out, 0, (size_t)c->n_input * 3);
  for (int64_t i = 0; i < c->n; i++) {
    int64_t row = c->source ? c->source[i] : i;
    memcpy(out + 3 * row, color + 3 * i, 3);
  }
}

static const char *name_of(const struct ptv3_prediction *p, int32_t label) {
  return p->class_name && label >= 0 && label < p->classes ? p->class_name[label] : NULL;
}

/* ---- PLY ---- */

static int ply_coord(const struct job *j, struct pt_table *t, struct ptv3_error *err) {
  static const char *const axis[] = {"x", "y", "z"};
  struct pt_mem *mem = pt_ctx_mem(j->ctx);
  double *coord = pt_alloc(mem, 3 * j->n, sizeof *coord, PT_MEM_OUTPUT, err);
  if (!coord) return pt_status(err);
  const double none[3] = {(double)NAN, (double)NAN, (double)NAN};
  spread_coord(&j->cloud->points, none, coord);
  for (int k = 0; k < 3; k++) {
    struct pt_column *col = pt_table_add(t, axis[k], PT_F64, 1, err);
    if (!col) break;
    double *to = col->data;
    for (int64_t i = 0; i < j->n; i++) to[i] = coord[3 * i + k];
  }
  pt_free(mem, coord);
  return t->count == 3 ? PTV3_OK : pt_status(err);
}

static int ply_color(const struct job *j, struct pt_table *t, struct ptv3_error *err) {
  static const char *const part[] = {"red", "green", "blue"};
  uint8_t *to[3];
  for (int k = 0; k < 3; k++) {
    struct pt_column *col = pt_table_add(t, part[k], PT_U8, 1, err);
    if (!col) return pt_status(err);
    to[k] = col->data;
  }
  for (int64_t i = 0; i < j->n; i++) {
    uint8_t rgb[3];
    pt_palette(j->p->label[i], name_of(j->p, j->p->label[i]), rgb);
    for (int k = 0; k < 3; k++) to[k][i] = rgb[k];
  }
  return PTV3_OK;
}

static int save_ply(const struct job *j, struct ptv3_error *err) {
  struct pt_table t;
  pt_table_init(&t, pt_ctx_mem(j->ctx), j->n);
  int status = ply_coord(j, &t, err);
  if (!status) status = ply_color(j, &t, err);
  struct pt_column *col = status ? NULL : pt_table_add(&t, "label", PT_I32, 1, err);
  if (!status && !col) status = pt_status(err);
  if (!status) memcpy(col->data, j->p->label, (size_t)j->n * sizeof *j->p->label);
  if (!status && j->p->confidence) {
    col = pt_table_add(&t, "confidence", PT_F32, 1, err);
    if (col)
      memcpy(col->data, j->p->confidence, (size_t)j->n * sizeof *j->p->confidence);
    else
      status = pt_status(err);
  }
  if (!status) status = pt_ply_write(pt_ctx_mem(j->ctx), j->path, &t, err);
  pt_table_free(&t);
  return status;
}

/* ---- LAS ---- */

enum { UNCLASSIFIED = 1 };

/* ASPRS LAS 1.4-R15, table 17, by names that models give their classes; -1: not there. */
static int asprs_code(const char *name) {
  static const struct {
    const char *name;
    int code;
  } list[] = {{"unclassified", 1},
              {"ground", 2},
              {"lowvegetation", 3},
              {"mediumvegetation", 4},
              {"highvegetation", 5},
              {"vegetation", 5},
              {"tree", 5},
              {"trees", 5},
              {"building", 6},
              {"buildings", 6},
              {"lownoise", 7},
              {"noise", 7},
              {"water", 9},
              {"rail", 10},
              {"road", 11},
              {"roadsurface", 11},
              {"wireguard", 13},
              {"wire", 14},
              {"wireconductor", 14},
              {"powerline", 14},
              {"transmissiontower", 15},
              {"bridge", 17},
              {"bridgedeck", 17},
              {"highnoise", 18},
              {"overheadstructure", 19}};
  char text[40];
  size_t n = 0;
  for (; *name && n + 1 < sizeof text; name++)
    if (isalnum((unsigned char)*name)) text[n++] = (char)tolower((unsigned char)*name);
  text[n] = 0;
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (strcmp(list[i].name, text) == 0) return list[i].code;
  return -1;
}

/* The codes of all classes: as given, or all by name, or all by number. Mixing the last two
 * could give two classes one code. */
static int make_codes(const struct ptv3_prediction *p, uint8_t code[256],
                      struct ptv3_error *err) {
  bool named = p->class_name != NULL;
  for (int c = 0; named && !p->code && c < p->classes; c++)
    named = p->class_name[c] && asprs_code(p->class_name[c]) >= 0;
  if (p->classes > 256)
    return pt_fail(err, PTV3_DATA, "%d classes, and LAS has room for 256: write .npy or .ply",
                   p->classes);
  for (int c = 0; c < 256; c++) {
    if (p->code && c < p->classes)
      code[c] = p->code[c];
    else if (named && c < p->classes)
      code[c] = (uint8_t)asprs_code(p->class_name[c]);
    else
      code[c] = (uint8_t)c;
  }
  return PTV3_OK;
}

static int classify(const struct job *j, uint8_t *out, struct ptv3_error *err) {
  uint8_t code[256];
  int status = make_codes(j->p, code, err);
  if (status) return status;
  for (int64_t i = 0; i < j->n; i++) {
    int32_t label = j->p->label[i];
    if (label > 255)
      return pt_fail(err, PTV3_DATA, "class %d, and LAS has room for 0 to 255", (int)label);
    out[i] = label < 0 ? UNCLASSIFIED : code[label];
  }
  return PTV3_OK;
}

static bool is_las(const char *path) {
  char extension[16];
  if (!path) return false;
  pt_extension(path, extension);
  return strcmp(extension, "las") == 0 || strcmp(extension, "laz") == 0;
}

/* LAS has no coordinate that is no number: points set aside go to the lower corner. */
static void place_unusable(const struct job *j, double corner[3]) {
  struct ptv3_cloud_info info;
  ptv3_cloud_get_info(j->cloud, &info);
  for (int k = 0; k < 3; k++) corner[k] = info.min[k];
  if (info.unusable)
    pt_warn(&j->ctx->env,
            "'%s': the %lld points that cannot be used are written at the cloud's lower corner",
            j->path, (long long)info.unusable);
}

static int new_las(const struct job *j, const uint8_t *classes, struct ptv3_error *err) {
  struct pt_mem *mem = pt_ctx_mem(j->ctx);
  const struct pt_cloud *c = &j->cloud->points;
  const uint8_t *color;
  uint8_t *rgb = NULL, *owned;
  int status = pt_cloud_colors(c, &color, &owned, err);
  if (status) return status;
  double *coord = pt_alloc(mem, 3 * j->n, sizeof *coord, PT_MEM_OUTPUT, err);
  if (coord && color) rgb = pt_alloc(mem, 3 * j->n, 1, PT_MEM_OUTPUT, err);
  if (!coord || (color && !rgb)) status = pt_status(err);
  if (!status) {
    double corner[3];
    place_unusable(j, corner);
    spread_coord(c, corner, coord);
    if (color) spread_color(c, color, rgb);
    struct pt_las_cloud las = {.n = j->n,
                               .coord = coord,
                               .color = rgb,
                               .color_type = PT_U8,
                               .classification = classes,
                               .confidence = j->p->confidence};
    status = pt_las_write(&j->ctx->env, j->path, &las, err);
  }
  pt_free(mem, owned);
  pt_free(mem, rgb);
  pt_free(mem, coord);
  return status;
}

static int save_las(const struct job *j, struct ptv3_error *err) {
  struct pt_mem *mem = pt_ctx_mem(j->ctx);
  uint8_t *classes = pt_alloc(mem, j->n, 1, PT_MEM_OUTPUT, err);
  if (!classes) return pt_status(err);
  int status = classify(j, classes, err);
  if (!status && is_las(j->cloud->path)) {
    struct pt_las_edit edit = {j->n, classes, j->p->confidence};
    status = pt_las_rewrite(&j->ctx->env, j->cloud->path, j->path, &edit, err);
  } else if (!status) {
    status = new_las(j, classes, err);
  }
  pt_free(mem, classes);
  return status;
}

int ptv3_prediction_save(struct ptv3_context *ctx, const struct ptv3_cloud *cloud,
                         const struct ptv3_prediction *prediction, const char *path,
                         struct ptv3_error *err) {
  if (!ctx || !cloud || !prediction || !path)
    return pt_api_null("ptv3_prediction_save",
                       !ctx     ? "ctx"
                       : !cloud ? "cloud"
                       : !path  ? "path"
                                : "prediction",
                       err);
  if (!prediction->label) return pt_api_null("ptv3_prediction_save", "prediction->label", err);
  struct ptv3_error inner = {0};
  struct job j = {ctx, cloud, prediction, path, cloud->points.n_input};
  char extension[16];
  pt_extension(path, extension);
  int status;
  if (strcmp(extension, "npy") == 0)
    status = save_npy(&j, &inner);
  else if (strcmp(extension, "ply") == 0)
    status = save_ply(&j, &inner);
  else if (is_las(path))
    status = save_las(&j, &inner);
  else
    status = pt_fail(&inner, PTV3_UNSUPPORTED,
                     "cannot tell how to write '%s': name it .npy, .ply, .las or .laz", path);
  if (status && err) *err = inner;
  return status;
}
