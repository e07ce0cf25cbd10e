/* net_inputs.h - what bench_net runs on: synthetic rooms, and scenes in
 * Pointcept's layout (a folder with coord.npy).
 *
 * A synthetic room is made of noisy planes and boxes: floor, ceiling, four walls, a door, a
 * window, eight pieces of furniture turned by some angle; surfaces are sampled uniformly at
 * 5200 points a square metre with 4 mm of noise and taken to a grid of 2 cm. The room is
 * scaled until that gives the voxels wanted, the few too many are taken off at the far ends.
 * Voxels come in random order. */
#ifndef BENCH_NET_INPUTS_H
#define BENCH_NET_INPUTS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"
#include "npy.h"
#include "philox.h"
#include "sort.h"

enum { FEATURES = 6 };

struct input {
  char name[64];
  int64_t n;
  int32_t *coord; /* [n, 3] */
  float *feat;    /* [n, FEATURES] */
};

static void die(const struct ptv3_error *e) {
  fprintf(stderr, "bench: %s\n", e->message);
  exit(1);
}

static void *need(struct pt_env *env, int64_t n, int64_t size) {
  struct ptv3_error e;
  void *p = pt_alloc(&env->mem, n, size, PT_MEM_CLOUD, &e);
  if (!p) die(&e);
  return p;
}

static void input_free(struct pt_env *env, struct input *in) {
  pt_free(&env->mem, in->coord);
  pt_free(&env->mem, in->feat);
}

/* ---- voxels as keys: x, y, z of 21 bits each ---- */

static uint64_t key_of(const double p[3], double grid) {
  uint64_t key = 0;
  for (int a = 0; a < 3; a++) key = key << 21 | (uint64_t)floor(p[a] / grid);
  return key;
}

static int32_t key_axis(uint64_t key, int a) {
  return (int32_t)(key >> (21 * (2 - a)) & 0x1fffff);
}

/* Sorts keys and drops doubles; returns how many are left. */
static int64_t unique_keys(struct pt_env *env, uint64_t *key, int64_t n) {
  struct ptv3_error e;
  int32_t *order = need(env, n, sizeof *order);
  if (pt_sort64(env, key, order, n, &e)) die(&e);
  pt_free(&env->mem, order);
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++)
    if (!i || key[i] != key[i - 1]) key[m++] = key[i];
  return m;
}

/* An input of the voxels key [n], the `keep` nearest the middle, in random order. */
static void input_from_keys(struct pt_env *env, const uint64_t *key, int64_t n, int64_t keep,
                            struct input *in) {
  struct ptv3_error e;
  double middle[3] = {0, 0, 0};
  int32_t low[3] = {INT32_MAX, INT32_MAX, INT32_MAX};
  uint64_t *by = need(env, n, sizeof *by);
  int32_t *near = need(env, n, sizeof *near), *order = need(env, keep, sizeof *order);
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < 3; a++) middle[a] += key_axis(key[i], a) / (double)n;
  for (int64_t i = 0; i < n; i++) {
    double d = 0;
    for (int a = 0; a < 3; a++) d += pow(key_axis(key[i], a) - middle[a], 2);
    by[i] = (uint64_t)(16 * d);
  }
  if (pt_sort64(env, by, near, n, &e)) die(&e);
  for (int64_t i = 0; i < keep; i++) by[i] = pt_philox_u64(2, 0, (uint64_t)i);
  if (pt_sort64(env, by, order, keep, &e)) die(&e);
  in->n = keep;
  in->coord = need(env, 3 * keep, sizeof *in->coord);
  in->feat = need(env, FEATURES * keep, sizeof *in->feat);
  for (int64_t i = 0; i < keep; i++)
    for (int a = 0; a < 3; a++) low[a] = (int32_t)fmin(low[a], key_axis(key[near[i]], a));
  for (int64_t i = 0; i < keep; i++)
    for (int a = 0; a < 3; a++)
      in->coord[3 * i + a] = key_axis(key[near[order[i]]], a) - low[a];
  for (int64_t i = 0; i < FEATURES * keep; i++)
    in->feat[i] = (float)(2 * pt_philox_uniform(3, 0, (uint64_t)i) - 1);
  pt_free(&env->mem, by);
  pt_free(&env->mem, near);
  pt_free(&env->mem, order);
}

/* ---- synthetic rooms ---- */

struct room {
  struct pt_env *env;
  uint64_t *key; /* [n] */
  int64_t n, cap;
  uint64_t draws;
};

static double draw(struct room *r) { return pt_philox_uniform(1, 0, r->draws++); }

static double draw_normal(struct room *r) {
  double u = 1 - draw(r);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * draw(r));
}

/* Samples of the parallelogram o + s u + t v, 0 <= s, t <= 1. */
static void add_rect(struct room *r, const double o[3], const double u[3], const double v[3]) {
  double cross[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2],
                     u[0] * v[1] - u[1] * v[0]};
  double area = sqrt(cross[0] * cross[0] + cross[1] * cross[1] + cross[2] * cross[2]);
  int64_t count = (int64_t)(area * 5200) + 4;
  struct ptv3_error e;
  if (pt_grow(&r->env->mem, &r->key, &r->cap, r->n + count, sizeof *r->key, PT_MEM_CLOUD, &e))
    die(&e);
  for (int64_t i = 0; i < count; i++) {
    double s = draw(r), t = draw(r), off = 0.004 * draw_normal(r), p[3];
    for (int a = 0; a < 3; a++)
      p[a] = 1 + o[a] + s * u[a] + t * v[a] + off * cross[a] / area + 0.0006 * draw_normal(r);
    r->key[r->n++] = key_of(p, 0.02);
  }
}

/* The six sides of a box at o, turned by yaw about the vertical through o. */
static void add_box(struct room *r, const double o[3], const double size[3], double yaw) {
  const double c = cos(yaw), s = sin(yaw);
  const double e[3][3] = {
      {c * size[0], s * size[0], 0}, {-s * size[1], c * size[1], 0}, {0, 0, size[2]}};
  for (int a = 0; a < 3; a++) {
    double far[3];
    for (int i = 0; i < 3; i++) far[i] = o[i] + e[a][i];
    add_rect(r, o, e[(a + 1) % 3], e[(a + 2) % 3]);
    add_rect(r, far, e[(a + 1) % 3], e[(a + 2) % 3]);
  }
}

static void add_walls(struct room *r, double x, double y, double z) {
  const double zero[3] = {0, 0, 0}, size[3] = {x, y, z};
  add_box(r, zero, size, 0);
  add_rect(r, (double[]){0.3 * x, 0.01, 0}, (double[]){0.25 * x, 0, 0},
           (double[]){0, 0, 0.75 * z});
  add_rect(r, (double[]){0.01, 0.3 * y, 0.4 * z}, (double[]){0, 0.4 * y, 0},
           (double[]){0, 0, 0.35 * z});
}

/* A table, chairs, shelves, a sofa, a board, a bin, a column, a beam: parts of the room. */
static void add_furniture(struct room *r, double x, double y, double z) {
  static const double part[8][3] = {{0.3, 0.25, 0.28},  {0.12, 0.12, 0.33}, {0.08, 0.3, 0.7},
                                    {0.4, 0.2, 0.3},    {0.3, 0.02, 0.3},   {0.1, 0.1, 0.1},
                                    {0.07, 0.07, 0.95}, {0.9, 0.06, 0.08}};
  for (int i = 0; i < 8; i++) {
    double size[3] = {part[i][0] * x, part[i][1] * y, part[i][2] * z}, o[3];
    for (int a = 0; a < 3; a++) size[a] *= 0.8 + 0.4 * draw(r);
    size[2] = fmin(size[2], 0.95 * z);
    o[0] = (0.05 + 0.55 * draw(r)) * x;
    o[1] = (0.05 + 0.55 * draw(r)) * y;
    o[2] = i == 4 || i == 7 ? 0.6 * z : 0;
    add_box(r, o, size, i == 7 ? 0 : 1.2 * draw(r) - 0.6);
  }
}

static struct input input_room(struct pt_env *env, int64_t n) {
  struct input in = {0};
  struct room r = {.env = env};
  int64_t m = 0;
  double f = sqrt((double)n / 190000);
  for (int turn = 0; turn < 12; turn++) {
    r.n = 0, r.draws = 0;
    add_walls(&r, 4.0 * f, 3.0 * f, 2.6 * f);
    add_furniture(&r, 4.0 * f, 3.0 * f, 2.6 * f);
    m = unique_keys(env, r.key, r.n);
    if (m >= n && (double)m <= 1.06 * (double)n) break;
    f *= sqrt(1.03 * (double)n / (double)m);
  }
  if (m < n) fprintf(stderr, "bench_net: no room of %lld voxels\n", (long long)n), exit(1);
  input_from_keys(env, r.key, m, n, &in);
  pt_free(&env->mem, r.key);
  snprintf(in.name, sizeof in.name, "synthetic");
  return in;
}

/* ---- files ---- */

/* dir/<n>.coord.npy int32 [n, 3] and dir/<n>.feat.npy float32: what bench/peer/peer.py reads.
 */
static inline void input_save(struct pt_env *env, const struct input *in, const char *dir) {
  struct ptv3_error e;
  char path[1024];
  snprintf(path, sizeof path, "%.900s/%lld.coord.npy", dir, (long long)in->n);
  if (pt_npy_write(&env->mem, path, PT_I32, 2, (int64_t[]){in->n, 3}, in->coord, &e)) die(&e);
  snprintf(path, sizeof path, "%.900s/%lld.feat.npy", dir, (long long)in->n);
  if (pt_npy_write(&env->mem, path, PT_F32, 2, (int64_t[]){in->n, FEATURES}, in->feat, &e))
    die(&e);
}

/* coord.npy of a scene at a grid of 2 cm; features are random numbers. */
static struct input input_scene(struct pt_env *env, const char *folder) {
  struct ptv3_error e;
  struct pt_npy_array a;
  struct input in = {0};
  char path[1024];
  snprintf(path, sizeof path, "%.1000s/coord.npy", folder);
  if (pt_npy_read(&env->mem, path, PT_MEM_CLOUD, &a, &e)) die(&e);
  if (a.type != PT_F32 || a.ndim != 2 || a.shape[1] != 3) exit(1);
  const float *coord = a.data;
  double low[3] = {INFINITY, INFINITY, INFINITY};
  uint64_t *key = need(env, a.shape[0], sizeof *key);
  for (int64_t i = 0; i < a.count; i++) low[i % 3] = fmin(low[i % 3], (double)coord[i]);
  for (int64_t i = 0; i < a.shape[0]; i++) {
    const double p[3] = {coord[3 * i] - low[0], coord[3 * i + 1] - low[1],
                         coord[3 * i + 2] - low[2]};
    key[i] = key_of(p, 0.02);
  }
  int64_t n = unique_keys(env, key, a.shape[0]);
  input_from_keys(env, key, n, n, &in);
  pt_free(&env->mem, key);
  pt_free(&env->mem, a.data);
  const char *base = strrchr(folder, '/');
  snprintf(in.name, sizeof in.name, "%.60s", base ? base + 1 : folder);
  return in;
}

#endif
