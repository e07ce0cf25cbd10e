/* result.c - see result.h. */
#include "result.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "las.h"
#include "npy.h"
#include "palette.h"
#include "ply.h"
#include "size.h"

enum { BLOCK = PT_RESULT_BLOCK };

/* Labels of a block, and where wanted what goes with them. */
struct block {
  int32_t *label;    /* [rows] */
  float *confidence; /* [rows] or NULL, as all of these */
  double *coord;     /* [rows, 3] */
  uint8_t *color;    /* [rows, 3] */
  uint8_t *classes;  /* [rows] LAS classification */
};

static void free_block(const struct pt_result *r, struct block *b) {
  struct pt_mem *mem = &r->env->mem;
  pt_free(mem, b->label);
  pt_free(mem, b->confidence);
  pt_free(mem, b->coord);
  pt_free(mem, b->color);
  pt_free(mem, b->classes);
  *b = (struct block){0};
}

static int make_block(const struct pt_result *r, int64_t rows, bool points, bool classes,
                      struct block *b, struct ptv3_error *err) {
  struct pt_mem *mem = &r->env->mem;
  struct ptv3_error e = {0};
  *b = (struct block){0};
  b->label = pt_alloc(mem, rows, sizeof *b->label, PT_MEM_OUTPUT, &e);
  if (!e.status && r->confidence)
    b->confidence = pt_alloc(mem, rows, sizeof *b->confidence, PT_MEM_OUTPUT, &e);
  if (!e.status && points)
    b->coord = pt_alloc(mem, 3 * rows, sizeof *b->coord, PT_MEM_OUTPUT, &e);
  if (!e.status && points && r->color) b->color = pt_alloc(mem, 3 * rows, 1, PT_MEM_OUTPUT, &e);
  if (!e.status && classes) b->classes = pt_alloc(mem, rows, 1, PT_MEM_OUTPUT, &e);
  if (!e.status) return PTV3_OK;
  free_block(r, b);
  if (err) *err = e;
  return e.status;
}

static int fill_block(const struct pt_result *r, int64_t first, int64_t count,
                      const struct block *b, struct ptv3_error *err) {
  int status = r->labels(r->user, first, count, b->label, b->confidence, err);
  if (!status && b->coord) status = r->points(r->user, first, count, b->coord, b->color, err);
  return status;
}

/* ---- NPY ---- */

static int save_npy(const struct pt_result *r, const char *path, struct ptv3_error *err) {
  struct pt_out out;
  struct block b;
  int status = make_block(r, BLOCK, false, false, &b, err);
  if (status) return status;
  status = pt_npy_begin(&out, &r->env->mem, path, PT_I32, 1, &r->n, err);
  for (int64_t i = 0; i < r->n && !status; i += BLOCK) {
    int64_t count = pt_min(BLOCK, r->n - i);
    status = r->labels(r->user, i, count, b.label, NULL, err);
    if (!status) pt_write(&out, b.label, count * (int64_t)sizeof *b.label);
  }
  if (!status)
    status = pt_out_commit(&out, err);
  else
    pt_out_abort(&out);
  free_block(r, &b);
  return status;
}

int pt_result_save_probabilities(const struct pt_result *r, const char *path,
                                 struct ptv3_error *err) {
  struct pt_out out = {0};
  int64_t shape[2] = {r->n, r->classes}, block = pt_max(1, BLOCK / r->classes);
  struct ptv3_error e = {0};
  float *p = pt_alloc(&r->env->mem, block, r->classes * (int64_t)sizeof *p, PT_MEM_OUTPUT, &e);
  if (p) pt_npy_begin(&out, &r->env->mem, path, PT_F32, 2, shape, &e);
  for (int64_t i = 0; i < r->n && !e.status; i += block) {
    int64_t count = pt_min(block, r->n - i);
    if (r->probabilities(r->user, i, count, p, &e) == PTV3_OK)
      pt_write(&out, p, count * r->classes * (int64_t)sizeof *p);
  }
  if (!e.status)
    pt_out_commit(&out, &e);
  else
    pt_out_abort(&out);
  pt_free(&r->env->mem, p);
  if (e.status && err) *err = e;
  return e.status;
}

/* ---- PLY ---- */

static const char *name_of(const struct pt_result *r, int32_t label) {
  return r->class_name && label >= 0 && label < r->classes ? r->class_name[label] : NULL;
}

/* The columns of n rows, not filled. */
static int ply_columns(const struct pt_result *r, int64_t n, struct pt_table *t,
                       struct ptv3_error *err) {
  static const struct {
    const char *name;
    enum pt_dtype type;
  } column[] = {{"x", PT_F64},    {"y", PT_F64},   {"z", PT_F64},     {"red", PT_U8},
                {"green", PT_U8}, {"blue", PT_U8}, {"label", PT_I32}, {"confidence", PT_F32}};
  pt_table_init(t, &r->env->mem, n);
  for (int i = 0; i < 7 + r->confidence; i++)
    if (!pt_table_add(t, column[i].name, column[i].type, 1, err)) return pt_status(err);
  return PTV3_OK;
}

static void ply_rows(const struct pt_result *r, const struct block *b, struct pt_table *t) {
  for (int64_t i = 0; i < t->n; i++) {
    uint8_t rgb[3];
    pt_palette(b->label[i], name_of(r, b->label[i]), rgb);
    for (int k = 0; k < 3; k++) {
      ((double *)t->col[k].data)[i] = b->coord[3 * i + k];
      ((uint8_t *)t->col[3 + k].data)[i] = rgb[k];
    }
  }
  memcpy(t->col[6].data, b->label, (size_t)t->n * sizeof *b->label);
  if (r->confidence)
    memcpy(t->col[7].data, b->confidence, (size_t)t->n * sizeof *b->confidence);
}

static int save_ply(const struct pt_result *r, const char *path, struct ptv3_error *err) {
  struct pt_ply_writer w = {.mem = &r->env->mem};
  struct pt_result plain = *r; /* the colours are the classes' */
  struct pt_table t = {0};
  struct block b = {0};
  plain.color = false;
  int status = make_block(&plain, pt_min(BLOCK, r->n), true, false, &b, err);
  if (!status) status = ply_columns(r, pt_min(BLOCK, r->n), &t, err);
  if (!status) status = pt_ply_begin(&w, &r->env->mem, path, r->n, &t, err);
  for (int64_t i = 0; i < r->n && !status; i += BLOCK) {
    t.n = pt_min(BLOCK, r->n - i);
    status = pt_progress(r->env, "writing points", i, r->n, err);
    if (!status) status = fill_block(&plain, i, t.n, &b, err);
    if (status) break;
    ply_rows(r, &b, &t);
    status = pt_ply_put(&w, &t, err);
  }
  int end = pt_ply_end(&w, !status, err);
  pt_table_free(&t);
  free_block(r, &b);
  return status ? status : end;
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
static int make_codes(const struct pt_result *p, uint8_t code[256], struct ptv3_error *err) {
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

struct las_job {
  const struct pt_result *r;
  struct block b;
  uint8_t code[256];
};

static int classify(const struct las_job *j, int64_t count, struct ptv3_error *err) {
  for (int64_t i = 0; i < count; i++) {
    int32_t label = j->b.label[i];
    if (label > 255)
      return pt_fail(err, PTV3_DATA, "class %d, and LAS has room for 0 to 255", (int)label);
    j->b.classes[i] = label < 0 ? UNCLASSIFIED : j->code[label];
  }
  return PTV3_OK;
}

/* pt_las_fetch. LAS has no coordinate that is no number: points set aside go to the lower
 * corner. */
static int fetch(void *user, int64_t first, int64_t count, struct ptv3_error *err) {
  const struct las_job *j = user;
  int status = fill_block(j->r, first, count, &j->b, err);
  if (!status) status = classify(j, count, err);
  for (int64_t i = 0; i < 3 * count && j->b.coord && !status; i++)
    if (isnan(j->b.coord[i])) j->b.coord[i] = j->r->lower[i % 3];
  return status;
}

static bool is_las(const char *path) {
  char extension[16];
  if (!path) return false;
  pt_extension(path, extension);
  return strcmp(extension, "las") == 0 || strcmp(extension, "laz") == 0;
}

static int new_las(struct las_job *j, const char *path, struct ptv3_error *err) {
  const struct pt_result *r = j->r;
  if (r->unusable)
    pt_warn(r->env,
            "'%s': the %lld points that cannot be used are written at the cloud's lower corner",
            path, (long long)r->unusable);
  struct pt_las_cloud las = {.n = r->n,
                             .coord = j->b.coord,
                             .color = j->b.color,
                             .color_type = PT_U8,
                             .classification = j->b.classes,
                             .confidence = j->b.confidence,
                             .fetch = fetch,
                             .user = j};
  return pt_las_write(r->env, path, &las, err);
}

static int save_las(const struct pt_result *r, const char *path, struct ptv3_error *err) {
  struct las_job j = {.r = r};
  bool again = is_las(r->source);
  int status = make_codes(r, j.code, err);
  if (!status) status = make_block(r, PT_LAS_BLOCK, !again, true, &j.b, err);
  if (!status && again) {
    struct pt_las_edit edit = {.n = r->n,
                               .classification = j.b.classes,
                               .confidence = j.b.confidence,
                               .fetch = fetch,
                               .user = &j};
    status = pt_las_rewrite(r->env, r->source, path, &edit, err);
  } else if (!status) {
    status = new_las(&j, path, err);
  }
  free_block(r, &j.b);
  return status;
}

/* ---- all of it ---- */

int pt_result_save(const struct pt_result *r, const char *path, struct ptv3_error *err) {
  char extension[16];
  pt_extension(path, extension);
  if (strcmp(extension, "npy") == 0) return save_npy(r, path, err);
  if (strcmp(extension, "ply") == 0) return save_ply(r, path, err);
  if (is_las(path)) return save_las(r, path, err);
  return pt_fail(err, PTV3_UNSUPPORTED,
                 "cannot tell how to write '%s': name it .npy, .ply, .las or .laz", path);
}

int pt_result_count(const struct pt_result *r, int64_t *count, struct ptv3_error *err) {
  struct block b;
  memset(count, 0, ((size_t)r->classes + 1) * sizeof *count);
  int status = make_block(r, BLOCK, false, false, &b, err);
  for (int64_t i = 0; i < r->n && !status; i += BLOCK) {
    int64_t rows = pt_min(BLOCK, r->n - i);
    status = r->labels(r->user, i, rows, b.label, NULL, err);
    for (int64_t k = 0; k < rows && !status; k++)
      count[b.label[k] < 0 ? r->classes : b.label[k]]++;
  }
  free_block(r, &b);
  return status;
}

/* ---- points of a cloud in memory ---- */

int pt_points_of(struct pt_points_of *p, int64_t first, int64_t count, double *coord,
                 uint8_t *color, struct ptv3_error *err) {
  const struct pt_cloud *c = p->cloud;
  const struct pt_channel *at = pt_cloud_find(c, "coord"), *rgb = pt_cloud_find(c, "color");
  (void)err;
  if (color) memset(color, 0, (size_t)(3 * count));
  for (int64_t row = first; row < first + count; row++, coord += 3) {
    int64_t i = pt_point_at(&p->place, c, row);
    for (int k = 0; k < 3; k++)
      coord[k] = i < 0 ? (double)NAN : pt_channel_at(at, i, k) + c->offset[k];
    if (color && i >= 0) /* rounds and saturates */
      pt_convert(color + 3 * (row - first), PT_U8,
                 (const char *)rgb->data + i * 3 * pt_dtype(rgb->type)->bytes, rgb->type, 3);
  }
  return PTV3_OK;
}

int64_t pt_point_at(int64_t *place, const struct pt_cloud *c, int64_t row) {
  if (!c->source) return row;
  int64_t j = row == 0 ? 0 : *place;
  while (j > 0 && c->source[j - 1] >= row) j--;
  while (j < c->n_origin && c->source[j] < row) j++;
  *place = j;
  return j < c->n_origin && c->source[j] == row ? j : -1;
}

bool pt_has_colors(const struct pt_cloud *c) {
  const struct pt_channel *ch = pt_cloud_find(c, "color");
  return ch && ch->width == 3;
}
