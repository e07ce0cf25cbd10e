/* fuzz_cloud.c - arbitrary numbers as a cloud: cleaned, given normals, transformed, sampled.
 * First byte: float32 or float64 coordinates, labels or not, grid size; the rest: points. */
#include <stdint.h>
#include <string.h>

#include "gridsample.h"
#include "load.h"
#include "pipeline.h"
#include "transform.h"

static void fill(struct pt_column *col, const uint8_t *data, size_t bytes) {
  memcpy(col->data, data, bytes);
}

static void use(struct pt_env *env, struct pt_cloud *c, double grid) {
  struct ptv3_error err;
  struct pt_gridsample v;
  struct pt_transform step[3] = {
      {.type = &pt_transform_CenterShift, .u.center.apply_z = true},
      {.type = &pt_transform_NormalizeColor},
      {.type = &pt_transform_GridSample, .u.grid = {.grid_size = grid, .grid_coord = true}}};
  struct pt_pipeline p = {.mem = &env->mem, .step = step, .count = 3};
  struct pt_draw draw = pt_draw_of(0, 0, 0);
  if (!pt_gridsample_build(&v, env, pt_cloud_find(c, "coord"), grid, PT_GRID_RAVEL, &err))
    pt_gridsample_free(&v);
  pt_pipeline_apply(&p, env, c, &draw, true, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  bool wide = data[0] & 1, labels = data[0] & 2;
  double grid = data[0] & 4 ? 0.02 : 1;
  size_t each = 3 * (wide ? 8 : 4) + 4;
  int64_t n = (int64_t)((size - 1) / each);
  struct pt_env env;
  struct ptv3_error err;
  struct pt_table t;
  struct pt_cloud c;
  pt_env_init(&env, 1, 64 << 20);
  pt_table_init(&t, &env.mem, n);
  struct pt_column *col = pt_table_add(&t, "coord", wide ? PT_F64 : PT_F32, 3, &err);
  if (col) fill(col, data + 1, (size_t)n * (each - 4));
  col = pt_table_add(&t, labels ? "label" : "intensity", labels ? PT_I32 : PT_F32, 1, &err);
  if (col) fill(col, data + 1 + (size_t)n * (each - 4), (size_t)n * 4);
  const char *want[] = {"normal", "color"}, *also[] = {"strength"};
  const struct pt_fill color = {.name = "color", .n = 1, .value = {128}};
  const struct pt_load opt = {.want = want,
                              .n_want = 2,
                              .also = also,
                              .n_also = 1,
                              .labels = labels,
                              .fill = &color,
                              .n_fill = 1,
                              .normals = 6,
                              .grid_size = grid};
  int st = pt_cloud_from_table(&env, &t, "fuzz", false, &opt, &c, &err);
  if (st && env.mem.used) __builtin_trap(); /* a leak */
  if (st) return 0;
  if (c.n < 1 || c.n > n) __builtin_trap();
  use(&env, &c, grid);
  pt_cloud_free(&c);
  if (env.mem.used) __builtin_trap();
  return 0;
}
