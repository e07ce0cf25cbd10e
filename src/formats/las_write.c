/* las_write.c - a cloud that was not LAS as a new LAS or LAZ file, version 1.4, point format
 * 6 or 7. See pt_las_write in las.h.
 *
 * Not here: changing a LAS file (las_rewrite.c). Source: LAS Specification 1.4-R15. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "las_fields.h"
#include "las_out.h"
#include "size.h"

enum { BLOCK = PT_LAS_BLOCK, PROGRESS_BLOCKS = 128, HEADER = 375 };

struct job {
  const struct pt_las_cloud *cloud;
  double min[3], max[3];      /* of the coordinates */
  double offset[3], scale[3]; /* raw = (coordinate - offset) / scale */
  struct pt_las_out w;
};

/* The block's place in the cloud's arrays. */
static int64_t place_of(const struct pt_las_cloud *c, int64_t first) {
  return c->fetch ? 0 : first;
}

static int fetch(const struct pt_las_cloud *c, int64_t first, int64_t count,
                 struct ptv3_error *err) {
  return c->fetch ? c->fetch(c->user, first, count, err) : PTV3_OK;
}

static int block_bounds(struct job *j, int64_t first, int64_t count, struct ptv3_error *err) {
  const struct pt_las_cloud *c = j->cloud;
  int64_t at = place_of(c, first);
  for (int64_t i = 0; i < count; i++)
    for (int k = 0; k < 3; k++) {
      double v = c->coord[3 * (at + i) + k];
      if (!isfinite(v))
        return pt_fail(err, PTV3_DATA, "'%s': coordinate %c of point %lld is %g", j->w.path,
                       "xyz"[k], (long long)(first + i), v);
      if (v < j->min[k]) j->min[k] = v;
      if (v > j->max[k]) j->max[k] = v;
    }
  return PTV3_OK;
}

static int find_bounds(struct job *j, struct ptv3_error *err) {
  const struct pt_las_cloud *c = j->cloud;
  for (int k = 0; k < 3; k++) {
    j->min[k] = c->n > 0 ? INFINITY : 0;
    j->max[k] = c->n > 0 ? -INFINITY : 0;
  }
  for (int64_t i = 0; i < c->n; i += BLOCK) {
    int64_t count = pt_min(BLOCK, c->n - i);
    int status = fetch(c, i, count, err);
    if (!status) status = block_bounds(j, i, count, err);
    if (status) return status;
  }
  return PTV3_OK;
}

/* Steps of 1 mm, or finer while there are less than a million across. The offset is the
 * whole number below the smallest coordinate. */
static int choose_scale(struct job *j, struct ptv3_error *err) {
  static const char *const axis[3] = {"x", "y", "z"};
  double extent = 0, scale = 1e-3;
  for (int k = 0; k < 3; k++) extent = fmax(extent, j->max[k] - j->min[k]);
  for (int digits = 4; extent > 0 && extent / scale < 1e6 && digits <= 9; digits++)
    scale = pow(10, -digits);
  for (int k = 0; k < 3; k++) {
    j->scale[k] = scale;
    j->offset[k] = floor(j->min[k]);
    double low = j->min[k], high = j->max[k], most = scale * INT32_MAX;
    if (high - j->offset[k] > most)
      return pt_fail(err, PTV3_DATA,
                     "'%s': %s goes from %.3f to %.3f; in steps of 1 mm LAS holds no more than "
                     "%.0f. Remove the outliers, or write another format",
                     j->w.path, axis[k], low, high, most);
  }
  return PTV3_OK;
}

/* ---- header ---- */

static int make_header(struct job *j, struct ptv3_error *err) {
  struct pt_las_out *w = &j->w;
  int status = pt_bytes_add(&w->env->mem, &w->header, NULL, HEADER, err);
  if (status) return status;
  uint8_t *p = w->header.data;
  memcpy(p, "LASF", 4);
  p[6] = 16; /* a coordinate system, if there were one, would be WKT: formats 6 up want it */
  p[24] = 1;
  p[25] = 4;
  memcpy(p + 26, "OTHER", 5);
  snprintf((char *)p + 58, 32, "ptv3 %s", PTV3_VERSION);
  pt_put16(p + 94, HEADER);
  for (int k = 0; k < 3; k++) {
    pt_las_put_double(p + 131 + 8 * k, j->scale[k]);
    pt_las_put_double(p + 155 + 8 * k, j->offset[k]);
    pt_las_put_double(p + 179 + 16 * k, j->max[k]);
    pt_las_put_double(p + 187 + 16 * k, j->min[k]);
  }
  pt_put64(p + 247, (uint64_t)w->h.n);
  pt_put64(p + 255, (uint64_t)w->h.n); /* each the first return of its pulse */
  if (!j->cloud->confidence) return PTV3_OK;
  int64_t at;
  status = pt_las_add_vlr(w, "LASF_Spec", 4, "extra bytes", 192, &at, err);
  if (!status) pt_las_describe_confidence(w->vlrs.data + at);
  return status;
}

/* ---- points ---- */

static uint16_t color_of(const struct pt_las_cloud *c, int64_t i) {
  return c->color_type == PT_U8 ? (uint16_t)(((const uint8_t *)c->color)[i] * 257)
                                : ((const uint16_t *)c->color)[i];
}

/* first: of the cloud's arrays. */
static void make_points(const struct job *j, int64_t first, int64_t count, uint8_t *p) {
  const struct pt_las_cloud *c = j->cloud;
  int64_t record = j->w.h.record;
  memset(p, 0, (size_t)(count * record));
  for (int64_t i = first; i < first + count; i++, p += record) {
    for (int k = 0; k < 3; k++) {
      /* Never negative: the offset is at or below the smallest coordinate. */
      double raw = (c->coord[3 * i + k] - j->offset[k]) / j->scale[k];
      pt_put32(p + 4 * k, (uint32_t)(raw + 0.5));
    }
    if (c->intensity) pt_put16(p + 12, c->intensity[i]);
    p[14] = 0x11; /* return 1 of 1 */
    if (c->classification) p[16] = c->classification[i];
    for (int k = 0; k < 3 && c->color; k++) pt_put16(p + 30 + 2 * k, color_of(c, 3 * i + k));
    if (c->confidence) pt_las_put_float(p + record - 4, c->confidence[i]);
  }
}

static int put_points(struct job *j, struct ptv3_error *err) {
  struct pt_env *env = j->w.env;
  struct ptv3_error e = {0};
  uint8_t *block = pt_alloc(&env->mem, BLOCK, j->w.h.record, PT_MEM_OTHER, &e);
  for (int64_t i = 0; i < j->cloud->n && !e.status; i += BLOCK) {
    int64_t count = pt_min(BLOCK, j->cloud->n - i);
    if (i / BLOCK % PROGRESS_BLOCKS == 0)
      pt_progress(env, "writing points", i, j->cloud->n, &e);
    if (!e.status) fetch(j->cloud, i, count, &e);
    if (e.status) break;
    make_points(j, place_of(j->cloud, i), count, block);
    pt_las_put(&j->w, block, count, &e);
  }
  pt_free(&env->mem, block);
  if (e.status && err) *err = e;
  return e.status;
}

int pt_las_write(struct pt_env *env, const char *path, const struct pt_las_cloud *cloud,
                 struct ptv3_error *err) {
  struct job j = {.cloud = cloud};
  if (cloud->n < 0 ||
      (cloud->color && cloud->color_type != PT_U8 && cloud->color_type != PT_U16))
    return pt_fail(err, PTV3_INVALID, "'%s': LAS colours are 8 or 16 bits", path);
  pt_las_out_init(&j.w, env, path);
  j.w.h.minor = 4;
  j.w.h.format = cloud->color ? 7 : 6;
  j.w.h.n = cloud->n;
  j.w.h.record = pt_las_record_size(j.w.h.format) + (cloud->confidence ? 4 : 0);
  int status = find_bounds(&j, err);
  if (!status && !(status = choose_scale(&j, err)) && !(status = make_header(&j, err)) &&
      !(status = pt_las_begin(&j.w, err)) && !(status = put_points(&j, err)) &&
      !(status = pt_las_end(&j.w, err)))
    status = pt_las_commit(&j.w, err);
  pt_las_out_free(&j.w);
  return status;
}
