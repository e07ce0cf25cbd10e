/* gridsample.c - see gridsample.h. */
#include "gridsample.h"

#include <math.h>
#include <string.h>

#include "size.h"
#include "sort.h"

/* floor(coord / grid) of axis a of point i, before the smallest is taken off; a whole number.
 */
static double cell(const struct pt_channel *coord, double grid, int64_t i, int a) {
  if (coord->type == PT_F32)
    return (double)floorf(((const float *)coord->data)[i * 3 + a] / (float)grid);
  return floor(((const double *)coord->data)[i * 3 + a] / grid);
}

static int check_input(const struct pt_channel *coord, double grid, struct ptv3_error *err) {
  if (!(grid > 0) || !isfinite(grid) || !((float)grid > 0))
    return pt_fail(err, PTV3_INVALID, "GridSample: grid_size %g is not a positive number",
                   grid);
  if (coord->width != 3 || (coord->type != PT_F32 && coord->type != PT_F64))
    return pt_fail(err, PTV3_INVALID, "GridSample: '%s' is not three floats a point",
                   coord->name);
  if (coord->n < 1) return pt_fail(err, PTV3_DATA, "GridSample: the cloud has no points");
  if (coord->n > INT32_MAX)
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "GridSample: %lld points, at most %d in one cloud; split the cloud",
                   (long long)coord->n, INT32_MAX);
  return PTV3_OK;
}

/* Smallest and largest cell of each axis, with the limit on their span. */
static int bounds(struct pt_gridsample *v, const struct pt_channel *coord, int threads,
                  struct ptv3_error *err) {
  double grid = v->grid_size;
  for (int a = 0; a < 3; a++) {
    double lo = INFINITY, hi = -INFINITY;
    int64_t bad = v->n;
#pragma omp parallel for num_threads(threads) reduction(min : lo, bad) reduction(max : hi)
    for (int64_t i = 0; i < v->n; i++) {
      double c = cell(coord, grid, i, a);
      if (!isfinite(c)) bad = pt_min(bad, i);
      lo = c < lo ? c : lo;
      hi = c > hi ? c : hi;
    }
    if (bad < v->n)
      return pt_fail(err, PTV3_DATA, "GridSample: coordinate %c of point %lld is not finite",
                     "xyz"[a], (long long)bad);
    if (hi - lo >= (double)PT_GRID_SPAN || fabs(lo) > 0x1p62 || fabs(hi) > 0x1p62)
      return pt_fail(
          err, PTV3_DATA,
          "GridSample: the cloud spans %.0f cells of %g along %c, the limit is %lld; "
          "use a grid size of at least %.3g or remove points that are far away",
          hi - lo + 1, grid, "xyz"[a], (long long)PT_GRID_SPAN,
          (hi - lo + 2) * grid / (double)(PT_GRID_SPAN - 1));
    v->min[a] = (int64_t)lo;
    v->max[a] = (int64_t)hi;
  }
  return PTV3_OK;
}

static uint64_t key_of(const struct pt_gridsample *v, const struct pt_channel *coord,
                       enum pt_grid_key kind, int64_t i) {
  uint64_t c[3];
  for (int a = 0; a < 3; a++)
    c[a] = (uint64_t)((int64_t)cell(coord, v->grid_size, i, a) - v->min[a]);
  if (kind == PT_GRID_RAVEL)
    return (c[0] * (uint64_t)(v->max[1] - v->min[1] + 1) + c[1]) *
               (uint64_t)(v->max[2] - v->min[2] + 1) +
           c[2];
  uint64_t h = UINT64_C(14695981039346656037);
  for (int a = 0; a < 3; a++) h = (h * UINT64_C(1099511628211)) ^ c[a];
  return h;
}

/* start, inverse and counts from the sorted keys. */
static int number_voxels(struct pt_gridsample *v, const uint64_t *key, struct ptv3_error *err) {
  int64_t m = 1;
  for (int64_t i = 1; i < v->n; i++) m += key[i] != key[i - 1];
  v->m = m;
  v->start = pt_alloc(v->mem, m + 1, sizeof *v->start, PT_MEM_CLOUD, err);
  if (!v->start) return pt_status(err);
  int64_t voxel = -1;
  for (int64_t i = 0; i < v->n; i++) {
    if (i == 0 || key[i] != key[i - 1]) v->start[++voxel] = (int32_t)i;
    v->inverse[v->order[i]] = (int32_t)voxel;
  }
  v->start[m] = (int32_t)v->n;
  for (int64_t j = 0; j < m; j++)
    v->max_count = pt_max(v->max_count, v->start[j + 1] - v->start[j]);
  return PTV3_OK;
}

int pt_gridsample_begin(struct pt_gridsample *v, struct pt_env *env,
                        const struct pt_channel *coord, double grid_size,
                        struct ptv3_error *err) {
  memset(v, 0, sizeof *v);
  int st = check_input(coord, grid_size, err);
  if (st) return st;
  v->mem = &env->mem;
  v->n = coord->n;
  v->grid_size = grid_size;
  return bounds(v, coord, env->threads, err);
}

void pt_gridsample_keys(const struct pt_gridsample *v, const struct pt_channel *coord,
                        enum pt_grid_key kind, int64_t n, int threads, uint64_t *out) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; i++) out[i] = key_of(v, coord, kind, i);
}

int pt_gridsample_build(struct pt_gridsample *v, struct pt_env *env,
                        const struct pt_channel *coord, double grid_size, enum pt_grid_key kind,
                        struct ptv3_error *err) {
  int st = pt_gridsample_begin(v, env, coord, grid_size, err);
  if (st) return st;
  uint64_t *key = pt_alloc(v->mem, v->n, sizeof *key, PT_MEM_CLOUD, err);
  v->order = key ? pt_alloc(v->mem, v->n, sizeof *v->order, PT_MEM_CLOUD, err) : NULL;
  if (!v->order) goto fail;
  pt_gridsample_keys(v, coord, kind, v->n, env->threads, key);
  if (pt_sort64(env, key, v->order, v->n, err)) goto fail;
  v->inverse = pt_alloc(v->mem, v->n, sizeof *v->inverse, PT_MEM_CLOUD, err);
  if (!v->inverse || number_voxels(v, key, err)) goto fail;
  pt_free(v->mem, key);
  return PTV3_OK;
fail:
  pt_free(&env->mem, key);
  pt_gridsample_free(v);
  return pt_status(err);
}

void pt_gridsample_free(struct pt_gridsample *v) {
  if (v->mem) {
    pt_free(v->mem, v->order);
    pt_free(v->mem, v->start);
    pt_free(v->mem, v->inverse);
  }
  memset(v, 0, sizeof *v);
}

int pt_gridsample_members(int64_t max_count, int64_t m, struct pt_draw *draw, int32_t *member,
                          struct ptv3_error *err) {
  enum { RUN = 512 };
  double drawn[RUN];
  for (int64_t j = 0; j < m; j += RUN) {
    int64_t k = pt_min(RUN, m - j);
    int st = pt_draw_fill(draw, PT_DRAW_INTEGER, 0, (double)max_count, k, drawn, err);
    if (st) return st;
    for (int64_t i = j; i < j + k; i++)
      member[i] = (int32_t)((int64_t)drawn[i - j] % member[i]);
  }
  return PTV3_OK;
}

int pt_gridsample_pick(const struct pt_gridsample *v, struct pt_draw *draw, int32_t *select,
                       struct ptv3_error *err) {
  for (int64_t i = 0; i < v->m; i++) select[i] = v->start[i + 1] - v->start[i];
  int st = pt_gridsample_members(v->max_count, v->m, draw, select, err);
  for (int64_t i = 0; !st && i < v->m; i++) select[i] = v->order[v->start[i] + select[i]];
  return st;
}

void pt_gridsample_fragment(const struct pt_gridsample *v, int64_t i, int32_t *select) {
  for (int64_t j = 0; j < v->m; j++)
    select[j] = v->order[v->start[j] + i % (v->start[j + 1] - v->start[j])];
}

void pt_gridsample_grid(const struct pt_gridsample *v, const struct pt_channel *coord,
                        const int32_t *select, int64_t m, int32_t *grid_coord) {
  for (int64_t j = 0; j < m; j++)
    for (int a = 0; a < 3; a++)
      grid_coord[j * 3 + a] =
          (int32_t)((int64_t)cell(coord, v->grid_size, select[j], a) - v->min[a]);
}

/* As numpy rounds it: float32 coordinates stay float32 until the cell is taken off. */
static double inside(const struct pt_gridsample *v, const struct pt_channel *coord, int64_t i,
                     int a) {
  double c = cell(coord, v->grid_size, i, a) - (double)v->min[a], scaled;
  if (coord->type == PT_F32) {
    float q = ((const float *)coord->data)[i * 3 + a] / (float)v->grid_size;
    scaled = (double)(float)((double)q - (double)v->min[a]);
  } else {
    scaled = ((const double *)coord->data)[i * 3 + a] / v->grid_size - (double)v->min[a];
  }
  return scaled - c - 0.5;
}

void pt_gridsample_displacement(const struct pt_gridsample *v, const struct pt_channel *coord,
                                const struct pt_channel *normal, const int32_t *select,
                                int64_t m, float *out) {
  for (int64_t j = 0; j < m; j++) {
    double d[3], along = 0;
    for (int a = 0; a < 3; a++) {
      d[a] = inside(v, coord, select[j], a);
      if (normal)
        along += d[a] * pt_channel_at(normal, select[j], a);
      else
        out[j * 3 + a] = (float)d[a];
    }
    if (normal) out[j] = (float)along;
  }
}
