/* clean.c - see clean.h. */
#include "clean.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "philox.h"
#include "size.h"

enum { SAMPLE = 65536, CELLS = 65534 }; /* grid coordinates 0 .. 65534 */

static bool is_float(enum pt_dtype t) {
  return t == PT_F32 || t == PT_F64 || t == PT_F16 || t == PT_BF16;
}

/* Clears keep where number k of the column is not finite as float32, which channels are in;
 * c NULL: they are not counted. */
static void drop_not_finite(struct pt_clean *c, const struct pt_clean_rows *r,
                            const struct pt_column *col, int k, uint8_t *keep) {
  struct pt_axis axis = {col, k};
  if (!is_float(col->type)) return;
  for (int64_t i = 0; i < r->n; i++) {
    if (!keep[i] || isfinite((float)pt_axis_at(&axis, i))) continue;
    keep[i] = 0;
    if (c && (!c->not_finite++ || r->first + i < c->first_not_finite)) {
      c->first_not_finite = r->first + i;
      snprintf(c->not_finite_channel, sizeof c->not_finite_channel, "%s", col->name);
    }
  }
}

static void mark_finite(struct pt_clean *c, const struct pt_clean_rows *r, uint8_t *keep) {
  memset(keep, 1, (size_t)r->n);
  for (int a = 0; a < 3; a++) drop_not_finite(c, r, r->xyz[a].col, r->xyz[a].k, keep);
  for (int u = 0; u < r->n_used; u++)
    for (int k = 0; k < r->used[u]->width; k++) drop_not_finite(c, r, r->used[u], k, keep);
}

static bool is_far(const struct pt_axis xyz[3], int64_t i, const double median[3],
                   double reach) {
  for (int a = 0; a < 3; a++)
    if (fabs(pt_axis_at(&xyz[a], i) - median[a]) > reach) return true;
  return false;
}

static void mark_near(const struct pt_clean *c, const struct pt_clean_rows *r, double reach,
                      uint8_t *keep) {
  for (int64_t i = 0; i < r->n && isfinite(reach); i++)
    if (keep[i] && is_far(r->xyz, i, c->median, reach)) keep[i] = 0;
}

void pt_clean_mark(const struct pt_clean *c, const struct pt_clean_rows *r, uint8_t *keep) {
  mark_finite(NULL, r, keep);
  mark_near(c, r, c->reach, keep);
  mark_near(c, r, c->narrow, keep);
}

int pt_clean_begin(struct pt_clean *c, struct pt_mem *mem, const char *name, int64_t n,
                   double grid_size, struct ptv3_error *err) {
  *c = (struct pt_clean){.n = n,
                         .mem = mem,
                         .grid_size = grid_size,
                         .reach = INFINITY,
                         .narrow = INFINITY,
                         .min = {INFINITY, INFINITY, INFINITY},
                         .max = {-INFINITY, -INFINITY, -INFINITY}};
  if (n < 1) return pt_fail(err, PTV3_DATA, "'%s' has no points", name);
  c->sample = pt_alloc(mem, 3 * pt_min(n, SAMPLE), sizeof *c->sample, PT_MEM_CLOUD, err);
  return c->sample ? PTV3_OK : err ? err->status : PTV3_NO_MEMORY;
}

/* An even sample of the kept points of the file. */
static void take_sample(struct pt_clean *c, const struct pt_clean_rows *r,
                        const uint8_t *keep) {
  int64_t step = pt_div_up(c->n, SAMPLE), most = pt_min(c->n, SAMPLE);
  for (int64_t i = pt_round_up(r->first, step) - r->first; i < r->n; i += step) {
    if (!keep[i]) continue;
    for (int a = 0; a < 3; a++) c->sample[a * most + c->samples] = pt_axis_at(&r->xyz[a], i);
    c->samples++;
  }
}

/* Smallest and largest of the kept points, and how many those are. */
static void take_bounds(struct pt_clean *c, const struct pt_clean_rows *r,
                        const uint8_t *keep) {
  for (int64_t i = 0; i < r->n; i++) c->kept += keep[i];
  for (int a = 0; a < 3; a++) {
    double lo = c->min[a], hi = c->max[a];
    for (int64_t i = 0; i < r->n; i++) {
      if (!keep[i]) continue;
      double v = pt_axis_at(&r->xyz[a], i);
      lo = v < lo ? v : lo;
      hi = v > hi ? v : hi;
    }
    c->min[a] = lo;
    c->max[a] = hi;
  }
}

/* Clears keep of those farther off than reach, which this look is the first to tell. */
static void take_far(struct pt_clean *c, const struct pt_clean_rows *r, double reach,
                     uint8_t *keep) {
  for (int64_t i = 0; i < r->n; i++) {
    if (!keep[i] || !is_far(r->xyz, i, c->median, reach)) continue;
    keep[i] = 0;
    if (c->here++) continue;
    c->here_first = r->first + i;
    for (int a = 0; a < 3; a++) c->here_at[a] = pt_axis_at(&r->xyz[a], i);
  }
}

void pt_clean_look(struct pt_clean *c, const struct pt_clean_rows *r, uint8_t *keep) {
  mark_finite(c->looks ? NULL : c, r, keep);
  if (!c->looks)
    take_sample(c, r, keep);
  else if (isfinite(c->narrow)) {
    mark_near(c, r, c->reach, keep);
    take_far(c, r, c->narrow, keep);
  } else {
    take_far(c, r, c->reach, keep);
  }
  take_bounds(c, r, keep);
}

/* Number k of v [n] in ascending order, which is moved to v[k]; smaller ones come before it,
 * larger ones behind (Hoare's selection; pivots are drawn, so that no order of the numbers is
 * slow by nature). */
static double nth(double *v, int64_t n, int64_t k) {
  int64_t first = 0, last = n - 1;
  for (uint64_t draw = 0; first < last; draw++) {
    double pivot =
        v[first + (int64_t)pt_philox_below(0, 0, draw, (uint64_t)(last - first + 1))];
    int64_t i = first, j = last;
    while (i <= j) {
      while (v[i] < pivot) i++;
      while (v[j] > pivot) j--;
      if (i > j) break;
      double swap = v[i];
      v[i++] = v[j];
      v[j--] = swap;
    }
    if (k <= j)
      last = j;
    else if (k >= i)
      first = i;
    else
      break; /* between the two lie equals of the pivot */
  }
  return v[k];
}

/* Median of one axis over the sample, and the range of its middle 90 % (the ends rounded
 * inwards). */
static double spread(double *sample, int64_t m, double *median) {
  *median = 0;
  if (!m) return 0;
  int64_t low = (int64_t)ceil(0.05 * (double)(m - 1)), high = (int64_t)(0.95 * (double)(m - 1));
  *median = nth(sample, m, m / 2);
  return high > low ? nth(sample, m, high) - nth(sample, m, low) : 0;
}

/* Keeps what was found, and starts counting for another look. */
static bool look_again(struct pt_clean *c) {
  c->before = c->kept;
  c->kept = c->here = 0;
  for (int a = 0; a < 3; a++) {
    c->before_min[a] = c->min[a];
    c->before_max[a] = c->max[a];
    c->min[a] = INFINITY;
    c->max[a] = -INFINITY;
  }
  return true;
}

static void count_far(struct pt_clean *c) {
  if (!c->here) return;
  if (!c->far || c->here_first < c->first_far) {
    c->first_far = c->here_first;
    memcpy(c->first_far_at, c->here_at, sizeof c->first_far_at);
  }
  c->far += c->here;
}

/* After the first look: rule 2 of clean.h. */
static bool outliers(struct pt_clean *c) {
  int64_t most = pt_min(c->n, SAMPLE);
  double size = 0;
  for (int a = 0; a < 3; a++)
    size = fmax(size, spread(c->sample + a * most, c->samples, &c->median[a]));
  pt_free(c->mem, c->sample);
  c->sample = NULL;
  bool some = false;
  for (int a = 0; a < 3 && c->kept > 0 && size > 0; a++)
    some = some || fabs(c->min[a] - c->median[a]) > 100 * size ||
           fabs(c->max[a] - c->median[a]) > 100 * size;
  if (some) c->reach = 100 * size;
  return some;
}

/* Rule 3. */
static bool too_wide(struct pt_clean *c) {
  bool wide = false;
  for (int a = 0; a < 3; a++)
    wide = wide || (c->grid_size > 0 && c->max[a] - c->min[a] > CELLS * c->grid_size);
  if (wide) c->narrow = CELLS / 2 * c->grid_size;
  return wide;
}

/* Rule 3 holds for few points only: else all stay. */
static void settle(struct pt_clean *c) {
  if (c->here && c->here <= c->before / 100) {
    count_far(c);
    return;
  }
  c->undone = c->here > 0;
  c->narrow = INFINITY;
  c->kept = c->before;
  memcpy(c->min, c->before_min, sizeof c->min);
  memcpy(c->max, c->before_max, sizeof c->max);
}

bool pt_clean_again(struct pt_clean *c) {
  bool first = c->looks++ == 0;
  if (first && outliers(c)) return look_again(c);
  if (isfinite(c->narrow)) {
    settle(c);
    return false;
  }
  if (!first) count_far(c);
  return too_wide(c) && look_again(c);
}

static void report(struct pt_env *env, const char *name, const struct pt_clean *c) {
  if (c->not_finite)
    pt_warn(
        env,
        "'%s': %lld point%s set aside: NaN or infinite numbers (the first: '%s' of row %lld)",
        name, (long long)c->not_finite, c->not_finite == 1 ? "" : "s", c->not_finite_channel,
        (long long)c->first_not_finite);
  if (!c->far) return;
  const double *at = c->first_far_at;
  pt_warn(env,
          "'%s': %lld point%s set aside: far outliers (the first: row %lld at %g %g %g; the "
          "others lie within %g %g %g and %g %g %g)",
          name, (long long)c->far, c->far == 1 ? "" : "s", (long long)c->first_far, at[0],
          at[1], at[2], c->min[0], c->min[1], c->min[2], c->max[0], c->max[1], c->max[2]);
}

int pt_clean_end(const struct pt_clean *c, struct pt_env *env, const char *name,
                 struct ptv3_error *err) {
  if (!c->kept)
    return pt_fail(err, PTV3_DATA,
                   "'%s': none of its %lld points can be used: all have NaN or infinite "
                   "numbers ('%s' of row %lld is the first)",
                   name, (long long)c->n, c->not_finite_channel,
                   (long long)c->first_not_finite);
  report(env, name, c);
  return PTV3_OK;
}

void pt_clean_free(struct pt_clean *c) {
  if (c->mem) pt_free(c->mem, c->sample);
  c->sample = NULL;
}
