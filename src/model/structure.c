/* structure.c - see structure.h. */
#include "structure.h"

#include <stdbool.h>
#include <string.h>

#include "size.h"
#include "sort.h"

static void *take(struct pt_env *env, int64_t n, int64_t size, struct ptv3_error *err) {
  return pt_alloc(&env->mem, n, size, PT_MEM_STRUCTURE, err);
}

/* ---- checks ---- */

/* The largest coordinate, or -1 when one is negative. */
static int32_t largest(const int32_t *coord, int64_t n, int threads) {
  int32_t max = 0, min = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(max    \
                                                                         : max) \
    reduction(min                                                               \
              : min)
  for (int64_t i = 0; i < 3 * n; i++) {
    max = coord[i] > max ? coord[i] : max;
    min = coord[i] < min ? coord[i] : min;
  }
  return min < 0 ? -1 : max;
}

static int check_input(const struct pt_structure_in *in, int threads, int *depth,
                       struct ptv3_error *err) {
  if (in->n < 1 || in->n >= INT32_MAX)
    return pt_fail(err, PTV3_DATA, "a batch of %lld voxels: 1 to 2^31 - 2 are possible",
                   (long long)in->n);
  for (int c = 0; c < in->clouds; c++)
    if (in->offset[c + 1] <= in->offset[c])
      return pt_fail(err, PTV3_DATA, "cloud %d of the batch has no voxels", c);
  int64_t max = largest(in->coord, in->n, threads);
  for (int64_t i = 0; i < 3 * in->n && max < 0; i++)
    if (in->coord[i] < 0)
      return pt_fail(err, PTV3_DATA, "grid coordinate %d of voxel %lld is negative",
                     in->coord[i], (long long)(i / 3));
  *depth = pt_curve_depth(max, in->compat_151);
  if (*depth > PT_MAX_DEPTH)
    return pt_fail(err, PTV3_DATA,
                   "the grid is %lld cells wide, %d are possible: use a larger grid size",
                   (long long)max + 1, (1 << PT_MAX_DEPTH) - 1);
  return PTV3_OK;
}

static int fail_duplicate(const int32_t *c, struct ptv3_error *err) {
  return pt_fail(
      err, PTV3_DATA,
      "two voxels of a cloud at grid coordinate (%d, %d, %d): apply GridSample first", c[0],
      c[1], c[2]);
}

/* ---- the finest stage ---- */

/* Sorts the rows of each cloud by a curve: order[p] is the row at position p. */
static int sort_by(struct pt_env *env, enum pt_curve curve, const int32_t *coord, int64_t n,
                   const int64_t *offset, int clouds, int depth, int32_t *order,
                   struct ptv3_error *err) {
  uint64_t *key = take(env, n, sizeof *key, err);
  if (!key) return PTV3_NO_MEMORY;
#pragma omp parallel for num_threads(env->threads) schedule(static)
  for (int64_t i = 0; i < n; i++) key[i] = pt_curve_code(curve, coord + 3 * i, depth);
  int status = PTV3_OK;
  for (int c = 0; c < clouds && !status; c++) {
    int64_t o = offset[c], count = offset[c + 1] - o;
    status = pt_sort64(env, key + o, order + o, count, err);
    if (status) break;
    int64_t twice = count;
#pragma omp parallel for num_threads(env->threads) schedule(static) reduction(min : twice)
    for (int64_t i = 0; i < count; i++) {
      order[o + i] += (int32_t)o;
      if (i && key[o + i] == key[o + i - 1]) twice = pt_min(twice, i);
    }
    if (twice < count) status = fail_duplicate(coord + 3 * (int64_t)order[o + twice], err);
  }
  pt_free(&env->mem, key);
  return status;
}

static bool uses(const struct pt_structure_in *in, int curve) {
  for (int i = 0; i < in->orders; i++)
    if (in->curve[i] == curve) return true;
  return false;
}

static int build_first(struct pt_env *env, const struct pt_structure_in *in, int depth,
                       struct pt_structure *s, struct ptv3_error *err) {
  struct pt_stage *t = &s->stage[0];
  t->n = in->n;
  t->depth = depth;
  if (!(t->offset = take(env, in->clouds + 1, sizeof *t->offset, err)) ||
      !(t->coord = take(env, 3 * in->n, sizeof *t->coord, err)) ||
      !(s->input = take(env, in->n, sizeof *s->input, err)))
    return PTV3_NO_MEMORY;
  memcpy(t->offset, in->offset, (size_t)(in->clouds + 1) * sizeof *t->offset);
  int status = sort_by(env, (enum pt_curve)t->curve[0], in->coord, in->n, in->offset,
                       in->clouds, depth, s->input, err);
  if (status) return status;
#pragma omp parallel for num_threads(env->threads) schedule(static)
  for (int64_t r = 0; r < t->n; r++)
    memcpy(t->coord + 3 * r, in->coord + 3 * (int64_t)s->input[r], 3 * sizeof *t->coord);
  for (int c = 0; c < PT_CURVES; c++) {
    if (!uses(in, c) || c == t->curve[0]) continue;
    if (!(t->order[c] = take(env, t->n, sizeof *t->order[c], err))) return PTV3_NO_MEMORY;
    status = sort_by(env, (enum pt_curve)c, t->coord, t->n, t->offset, in->clouds, depth,
                     t->order[c], err);
    if (status) return status;
  }
  return PTV3_OK;
}

/* ---- pooling ---- */

static bool same_parent(const int32_t *a, const int32_t *b, int shift) {
  return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2])) >> shift == 0;
}

/* The runs of rows of t with a common parent: returns their number. Where given, start gets
 * their first rows, cluster [n] the run of each row, next_offset [clouds + 1] the clouds'
 * first runs. */
static int64_t find_runs(const struct pt_stage *t, int clouds, int shift, int32_t *start,
                         int32_t *cluster, int64_t *next_offset) {
  int64_t m = 0;
  for (int c = 0; c < clouds; c++) {
    if (next_offset) next_offset[c] = m;
    for (int64_t r = t->offset[c]; r < t->offset[c + 1]; r++) {
      bool first =
          r == t->offset[c] || !same_parent(t->coord + 3 * r, t->coord + 3 * r - 3, shift);
      if (first && start) start[m] = (int32_t)r;
      m += first;
      if (cluster) cluster[r] = (int32_t)(m - 1);
    }
  }
  if (start) start[m] = (int32_t)t->n;
  if (next_offset) next_offset[clouds] = m;
  return m;
}

/* The order of a curve one stage up: the parents in the order their children are met. */
static void lift_order(const struct pt_stage *t, int curve, int32_t *up) {
  int32_t last = -1;
  int64_t m = 0;
  for (int64_t p = 0; p < t->n; p++) {
    int32_t parent = t->cluster[t->order[curve] ? t->order[curve][p] : (int32_t)p];
    if (parent != last) up[m++] = parent;
    last = parent;
  }
}

/* When the next stage's first curve is another one, its m rows are numbered along that
 * curve: along [m] is the curve's order in terms of runs. */
static void renumber(struct pt_stage *t, int64_t m, const int32_t *along, int threads) {
  for (int64_t p = 0; p < m; p++) t->row[along[p]] = (int32_t)p;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t r = 0; r < t->n; r++) t->cluster[r] = t->row[t->cluster[r]];
}

static int renumber_along(struct pt_env *env, struct pt_stage *t, int64_t m, int curve,
                          struct ptv3_error *err) {
  int32_t *along = take(env, m, sizeof *along, err);
  if (!along || !(t->row = take(env, m, sizeof *t->row, err))) {
    pt_free(&env->mem, along);
    return PTV3_NO_MEMORY;
  }
  lift_order(t, curve, along);
  renumber(t, m, along, env->threads);
  pt_free(&env->mem, along);
  return PTV3_OK;
}

/* A parent's coordinates, from the first of its children. */
static void lift_coord(const struct pt_stage *t, struct pt_stage *u, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t m = 0; m < u->n; m++) {
    const int32_t *child = t->coord + 3 * (int64_t)t->start[m];
    int32_t *to = u->coord + 3 * (t->row ? (int64_t)t->row[m] : m);
    for (int a = 0; a < 3; a++) to[a] = child[a] >> u->shift;
  }
}

static int build_next(struct pt_env *env, const struct pt_structure_in *in, int shift,
                      struct pt_stage *t, struct pt_stage *u, struct ptv3_error *err) {
  if (shift > t->depth) shift = 0;
  u->shift = shift;
  u->depth = t->depth - shift;
  u->n = find_runs(t, in->clouds, shift, NULL, NULL, NULL);
  if (!(u->offset = take(env, in->clouds + 1, sizeof *u->offset, err)) ||
      !(u->coord = take(env, 3 * u->n, sizeof *u->coord, err)) ||
      !(t->start = take(env, u->n + 1, sizeof *t->start, err)) ||
      !(t->cluster = take(env, t->n, sizeof *t->cluster, err)))
    return PTV3_NO_MEMORY;
  find_runs(t, in->clouds, shift, t->start, t->cluster, u->offset);
  if (u->curve[0] != t->curve[0]) {
    int status = renumber_along(env, t, u->n, u->curve[0], err);
    if (status) return status;
  }
  lift_coord(t, u, env->threads);
  for (int c = 0; c < PT_CURVES; c++)
    if (uses(in, c) && c != u->curve[0] &&
        !(u->order[c] = take(env, u->n, sizeof *u->order[c], err)))
      return PTV3_NO_MEMORY;
#pragma omp parallel for num_threads(env->threads) schedule(dynamic, 1)
  for (int c = 0; c < PT_CURVES; c++)
    if (u->order[c]) lift_order(t, c, u->order[c]);
  return PTV3_OK;
}

/* ---- blocks ---- */

static int build_blocks(struct pt_env *env, struct pt_stage *t, int clouds,
                        struct ptv3_error *err) {
  int64_t blocks = pt_block_count(t->coord, t->offset, clouds);
  int64_t slots = pt_block_slots(blocks);
  int32_t *start = take(env, 2 * blocks + 1 + slots, sizeof *start, err);
  if (!start) return PTV3_NO_MEMORY;
  int32_t *cloud = start + blocks + 1, *slot = cloud + blocks;
  pt_block_build(t->coord, t->offset, clouds, blocks, start, cloud, slot, slots);
  t->vox = (struct pt_voxels){t->n, t->coord, blocks, start, cloud, slot, slots};
  return PTV3_OK;
}

/* ---- from the finest rows straight to a stage ---- */

static int build_maps(struct pt_env *env, struct pt_structure *s, struct ptv3_error *err) {
  int64_t n = s->stage[0].n;
  for (int i = 1; i < s->stages; i++) {
    if (!(s->to[i] = take(env, n, sizeof *s->to[i], err))) return PTV3_NO_MEMORY;
#pragma omp parallel for num_threads(env->threads) schedule(static)
    for (int64_t r = 0; r < n; r++)
      s->to[i][r] = s->stage[i - 1].cluster[i > 1 ? s->to[i - 1][r] : (int32_t)r];
  }
  return PTV3_OK;
}

/* ---- all of it ---- */

static int log2_of(int stride) {
  int bits = 0;
  while (1 << bits < stride) bits++;
  return bits;
}

static void set_curves(const struct pt_structure_in *in, struct pt_structure *s) {
  for (int i = 0; i < in->stages; i++)
    for (int o = 0; o < in->orders; o++) {
      int from = in->perm ? in->perm[i * in->orders + o] : o;
      s->stage[i].curve[o] = i ? s->stage[i - 1].curve[from] : in->curve[from];
    }
}

int pt_structure_build(struct pt_env *env, const struct pt_structure_in *in,
                       struct pt_structure *s, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  int depth = 0, status;
  *s = (struct pt_structure){.clouds = in->clouds, .stages = in->stages, .orders = in->orders};
  set_curves(in, s);
  status = check_input(in, env->threads, &depth, &e);
  if (!status) status = build_first(env, in, depth, s, &e);
  for (int i = 1; i < in->stages && !status; i++)
    status =
        build_next(env, in, log2_of(in->stride[i - 1]), &s->stage[i - 1], &s->stage[i], &e);
  for (int i = 0; i < in->stages && !status; i++)
    status = build_blocks(env, &s->stage[i], in->clouds, &e);
  if (in->maps && !status) status = build_maps(env, s, &e);
  if (!status) return PTV3_OK;
  pt_structure_free(env, s);
  if (err) *err = e;
  return e.status;
}

void pt_structure_free(struct pt_env *env, struct pt_structure *s) {
  for (int i = 0; i < s->stages; i++) {
    struct pt_stage *t = &s->stage[i];
    pt_free(&env->mem, t->offset);
    pt_free(&env->mem, t->coord);
    for (int c = 0; c < PT_CURVES; c++) pt_free(&env->mem, t->order[c]);
    pt_free(&env->mem, t->start);
    pt_free(&env->mem, t->row);
    pt_free(&env->mem, t->cluster);
    pt_free(&env->mem, (void *)(uintptr_t)t->vox.start);
    pt_free(&env->mem, s->to[i]);
  }
  pt_free(&env->mem, s->input);
  *s = (struct pt_structure){0};
}
