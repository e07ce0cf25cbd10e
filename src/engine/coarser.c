/* coarser.c - see coarser.h. */
#include "coarser.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "size.h"
#include "voxel_set.h"

/* Voxels of a grid `factor` times as coarse; -1: no memory to count them. */
static int64_t count(struct pt_env *env, const struct pt_batch *b, double factor) {
  enum { RUN = 4096 };
  uint64_t key[RUN];
  int32_t id[RUN];
  struct ptv3_error none;
  struct pt_voxel_set set = {.mem = &env->mem};
  int status = PTV3_OK;
  for (int64_t i = 0; i < b->n && !status; i += RUN) {
    int64_t n = pt_min(RUN, b->n - i);
    for (int64_t k = 0; k < n; k++) {
      key[k] = 0; /* grid coordinates are below 2^16 */
      for (int a = 0; a < 3; a++)
        key[k] = key[k] << 20 | (uint64_t)((double)b->coord[3 * (i + k) + a] / factor);
    }
    status = pt_voxel_set_add(&set, key, n, id, &none);
  }
  int64_t m = status ? -1 : set.m;
  pt_voxel_set_free(&set);
  return m;
}

/* Bytes that m voxels in place of the batch's would take at the least; -1: not known. */
static int64_t least(struct pt_env *env, const struct pt_model *model, const struct pt_batch *b,
                     int64_t m) {
  struct pt_need need = {.mem = &env->mem};
  struct ptv3_error none;
  const int64_t peak = env->mem.peak;
  const int64_t own = env->mem.cat[PT_MEM_CLOUD] + env->mem.cat[PT_MEM_OUTPUT];
  env->mem.peak = env->mem.used; /* what was tried in vain counts for nothing */
  int status =
      pt_need_estimate(env, &model->cfg, &model->w, model->kernels, m, true, &need, &none);
  env->mem.peak = pt_max(peak, env->mem.peak);
  int64_t bytes = need.least - own + (int64_t)((double)own * (double)m / (double)b->n);
  pt_need_free(&need);
  return status ? -1 : bytes;
}

/* Two digits, rounded up, so that the message reads well. */
static double two_digits(double v) {
  double step = pow(10, floor(log10(v)) - 1);
  return ceil(v / step - 1e-6) * step;
}

void pt_say_coarser(struct pt_env *env, const struct pt_model *model,
                    const struct pt_batch *batch, double grid_size, struct ptv3_error *err) {
  static const double factor[] = {1.25, 1.5, 2, 2.5, 3, 4, 6, 8, 12, 16};
  for (size_t f = 0; f < sizeof factor / sizeof *factor && grid_size > 0; f++) {
    double grid = two_digits(grid_size * factor[f]);
    int64_t m = count(env, batch, grid / grid_size);
    int64_t bytes = m < 1 ? -1 : least(env, model, batch, m);
    if (bytes < 0 || bytes > env->mem.limit - env->mem.limit / 20) continue;
    size_t at = strlen(err->message);
    snprintf(err->message + at, sizeof err->message - at,
             "; GridSample's grid_size=%g in place of %g would fit", grid, grid_size);
    return;
  }
}
