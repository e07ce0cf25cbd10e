/* clean.c - see clean.h. */
#include "clean.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"

enum { SAMPLE = 65536, CELLS = 65534 }; /* grid coordinates 0 .. 65534 */

static bool is_float(enum pt_dtype t) {
  return t == PT_F32 || t == PT_F64 || t == PT_F16 || t == PT_BF16;
}

/* Clears keep where number k of the column is not finite as float32, which channels are in. */
static void drop_not_finite(struct pt_clean *c, const struct pt_column *col, int k) {
  struct pt_axis axis = {col, k};
  if (!is_float(col->type)) return;
  for (int64_t i = 0; i < c->n; i++) {
    if (!c->keep[i] || isfinite((float)pt_axis_at(&axis, i))) continue;
    c->keep[i] = 0;
    if (!c->not_finite++ || i < c->first_not_finite) {
      c->first_not_finite = i;
      snprintf(c->not_finite_channel, sizeof c->not_finite_channel, "%s", col->name);
    }
  }
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Median, and the range of the middle 90 % (its ends rounded inwards), of one axis over an even
 * sample of the kept points. */
static void spread(const struct pt_clean *c, const struct pt_axis *axis, double *sample,
                   double *median, double *range) {
  int64_t step = pt_div_up(c->n, SAMPLE), m = 0;
  for (int64_t i = 0; i < c->n; i += step)
    if (c->keep[i]) sample[m++] = pt_axis_at(axis, i);
  *median = *range = 0;
  if (!m) return;
  qsort(sample, (size_t)m, sizeof *sample, by_value);
  *median = sample[m / 2];
  int64_t low = (int64_t)ceil(0.05 * (double)(m - 1)), high = (int64_t)(0.95 * (double)(m - 1));
  if (high > low) *range = sample[high] - sample[low];
}

/* Smallest and largest of the kept points, and how many those are. */
static void bounds(struct pt_clean *c, const struct pt_axis xyz[3]) {
  c->kept = 0;
  for (int64_t i = 0; i < c->n; i++) c->kept += c->keep[i];
  for (int a = 0; a < 3; a++) {
    c->min[a] = INFINITY;
    c->max[a] = -INFINITY;
    for (int64_t i = 0; i < c->n; i++) {
      if (!c->keep[i]) continue;
      double v = pt_axis_at(&xyz[a], i);
      c->min[a] = v < c->min[a] ? v : c->min[a];
      c->max[a] = v > c->max[a] ? v : c->max[a];
    }
  }
}

static bool is_far(const struct pt_axis xyz[3], int64_t i, const double median[3],
                   double reach) {
  for (int a = 0; a < 3; a++)
    if (fabs(pt_axis_at(&xyz[a], i) - median[a]) > reach) return true;
  return false;
}

/* Sets aside what lies farther than reach, unless that would be more than `most` points. */
static void drop_far(struct pt_clean *c, const struct pt_axis xyz[3], const double median[3],
                     double reach, int64_t most) {
  int64_t count = 0, first = -1;
  for (int64_t i = 0; i < c->n; i++)
    if (c->keep[i] && is_far(xyz, i, median, reach) && !count++) first = i;
  if (!count || count > most) return;
  for (int64_t i = first; i < c->n; i++)
    if (c->keep[i] && is_far(xyz, i, median, reach)) c->keep[i] = 0;
  c->first_far = c->far ? pt_min(c->first_far, first) : first;
  c->far += count;
}

static int find_far(struct pt_clean *c, const struct pt_axis xyz[3], double grid_size,
                    struct pt_mem *mem, struct ptv3_error *err) {
  double median[3], range[3], size = 0;
  double *sample = pt_alloc(mem, pt_min(c->n, SAMPLE), sizeof *sample, PT_MEM_CLOUD, err);
  if (!sample) return err ? err->status : PTV3_NO_MEMORY;
  for (int a = 0; a < 3; a++) {
    spread(c, &xyz[a], sample, &median[a], &range[a]);
    size = fmax(size, range[a]);
  }
  pt_free(mem, sample);
  if (size > 0) drop_far(c, xyz, median, 100 * size, c->n);
  bounds(c, xyz);
  bool wide = false;
  for (int a = 0; a < 3; a++)
    wide = wide || (grid_size > 0 && c->max[a] - c->min[a] > CELLS * grid_size);
  if (!wide) return PTV3_OK;
  drop_far(c, xyz, median, CELLS / 2 * grid_size, c->kept / 100);
  bounds(c, xyz);
  return PTV3_OK;
}

static void report(struct pt_env *env, const char *name, const struct pt_clean *c,
                   const struct pt_axis xyz[3]) {
  if (c->not_finite)
    pt_warn(
        env,
        "'%s': %lld points set aside: NaN or infinite numbers (the first: '%s' of row %lld)",
        name, (long long)c->not_finite, c->not_finite_channel, (long long)c->first_not_finite);
  if (!c->far) return;
  int64_t i = c->first_far;
  pt_warn(env,
          "'%s': %lld points set aside: far outliers (the first: row %lld at %g %g %g; the "
          "others lie within %g %g %g and %g %g %g)",
          name, (long long)c->far, (long long)i, pt_axis_at(&xyz[0], i), pt_axis_at(&xyz[1], i),
          pt_axis_at(&xyz[2], i), c->min[0], c->min[1], c->min[2], c->max[0], c->max[1],
          c->max[2]);
}

int pt_clean(struct pt_env *env, const char *name, const struct pt_axis xyz[3], int64_t n,
             const struct pt_column *const *used, int n_used, double grid_size,
             struct pt_clean *c, struct ptv3_error *err) {
  memset(c, 0, sizeof *c);
  if (n < 1) return pt_fail(err, PTV3_DATA, "'%s' has no points", name);
  c->n = n;
  c->keep = pt_alloc(&env->mem, n, 1, PT_MEM_CLOUD, err);
  if (!c->keep) return err ? err->status : PTV3_NO_MEMORY;
  memset(c->keep, 1, (size_t)n);
  for (int a = 0; a < 3; a++) drop_not_finite(c, xyz[a].col, xyz[a].k);
  for (int u = 0; u < n_used; u++)
    for (int k = 0; k < used[u]->width; k++) drop_not_finite(c, used[u], k);
  int st = find_far(c, xyz, grid_size, &env->mem, err);
  if (!st && !c->kept)
    st = pt_fail(err, PTV3_DATA,
                 "'%s': none of its %lld points can be used: all have NaN or infinite numbers "
                 "('%s' of row %lld is the first)",
                 name, (long long)n, c->not_finite_channel, (long long)c->first_not_finite);
  if (st)
    pt_clean_free(c, &env->mem);
  else
    report(env, name, c, xyz);
  return st;
}

void pt_clean_free(struct pt_clean *c, struct pt_mem *mem) {
  pt_free(mem, c->keep);
  c->keep = NULL;
}
