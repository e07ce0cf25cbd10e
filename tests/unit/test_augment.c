/* test_augment.c - what the transforms of training draw: means, ranges and what they leave as
 * it was, over many draws. Source of the distributions: pointcept/datasets/transform.py.
 * What they compute from given draws is compared in tests/reference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline.h"
#include "pyconfig.h"

enum { N = 200, TRIALS = 2000 };
static const double PI = 3.14159265358979323846;

/* ---- a pipeline applied many times ---- */

struct bench {
  struct pt_env env;
  struct pt_config config;
  struct pt_pipeline p;
  struct pt_cloud before;
  int64_t points;
};

/* Points in a box of 4 x 3 x 2 m, its corners among them; colours, normals, labels. */
static void fill_cloud(struct pt_env *env, struct pt_cloud *c, int64_t n) {
  struct ptv3_error err;
  struct pt_draw d = pt_draw_of(99, 0, 0);
  double u[6];
  pt_cloud_init(c, &env->mem, n);
  float *xyz = pt_cloud_add(c, "coord", PT_F32, 3, &err)->data;
  float *rgb = pt_cloud_add(c, "color", PT_F32, 3, &err)->data;
  float *nrm = pt_cloud_add(c, "normal", PT_F32, 3, &err)->data;
  int32_t *seg = pt_cloud_add(c, "segment", PT_I32, 1, &err)->data;
  for (int64_t i = 0; i < n; i++) {
    pt_draw_fill(&d, PT_DRAW_UNIFORM, 0, 1, 6, u, &err);
    for (int k = 0; k < 3; k++) {
      if (i < 2) u[k] = (double)i;
      xyz[3 * i + k] = (float)(u[k] * (4 - k) + 10 * k);
      rgb[3 * i + k] = (float)floor(60 + 100 * u[3 + k]);
      nrm[3 * i + k] = k == i % 3;
    }
    seg[i] = (int32_t)i;
  }
}

static void set(struct bench *b, const char *step, int64_t n) {
  char text[600];
  struct ptv3_error err;
  snprintf(text, sizeof text, "T = [%s]\n", step);
  pt_env_init(&b->env, 1, 0);
  if (pt_config_parse(&b->env, text, (int64_t)strlen(text), "t.py", NULL, 0, &b->config, &err))
    fail_msg("%s", err.message);
  if (pt_pipeline_parse(&b->p, &b->env.mem, pt_get(b->config.root, "T"), &err))
    fail_msg("%s", err.message);
  fill_cloud(&b->env, &b->before, n);
}

static void done(struct bench *b) {
  pt_cloud_free(&b->before);
  pt_pipeline_free(&b->p);
  pt_config_free(&b->config);
  assert_int_equal(b->env.mem.used, 0);
}

/* The cloud after draw number k; freed by the caller. */
static void apply(struct bench *b, int k, struct pt_cloud *c) {
  struct ptv3_error err;
  struct pt_draw d = pt_draw_of(3, 1, (uint64_t)k);
  assert_int_equal(pt_cloud_copy(c, &b->before, &err), 0);
  if (pt_pipeline_apply(&b->p, &b->env, c, &d, false, &err)) fail_msg("%s", err.message);
}

static double at(const struct pt_cloud *c, const char *name, int64_t i, int k) {
  const struct pt_channel *ch = pt_cloud_find(c, name);
  assert_non_null(ch);
  assert_true(i < ch->n && k < ch->width);
  return pt_channel_at(ch, i, k);
}

/* Sums of numbers drawn. */
struct moments {
  int64_t n;
  double sum, square, lo, hi;
};

static void note(struct moments *m, double v) {
  if (!m->n || v < m->lo) m->lo = v;
  if (!m->n || v > m->hi) m->hi = v;
  m->n++;
  m->sum += v;
  m->square += v * v;
}

static double mean(const struct moments *m) { return m->sum / (double)m->n; }
static double deviation(const struct moments *m) {
  return sqrt(m->square / (double)m->n - mean(m) * mean(m));
}

static void near(double got, double want, double within) {
  if (!(fabs(got - want) <= within)) fail_msg("%g is not within %g of %g", got, within, want);
}

/* Uniform over lo .. hi: range, mean and deviation; 5 standard errors. */
static void check_uniform(const struct moments *m, double lo, double hi) {
  double d = (hi - lo) / sqrt(12), e = 5 / sqrt((double)m->n);
  assert_true(m->lo >= lo - 1e-5 && m->hi <= hi + 1e-5);
  near(mean(m), (lo + hi) / 2, d * e);
  near(deviation(m), d, d * e);
  near(m->lo, lo, (hi - lo) * 20 / (double)m->n);
  near(m->hi, hi, (hi - lo) * 20 / (double)m->n);
}

/* A share p of all trials; 5 standard errors. */
static void check_share(int64_t hits, int64_t trials, double p) {
  near((double)hits / (double)trials, p, 5 * sqrt(p * (1 - p) / (double)trials) + 1e-9);
}

/* ---- rotations ---- */

/* Turns about an axis through the origin by an angle of this distribution. */
static void check_rotation(const char *step, int axis, double lo, double hi, double p) {
  struct bench b;
  set(&b, step, 4);
  struct moments angle = {0};
  int64_t hits = 0;
  int u = (axis + 1) % 3, v = (axis + 2) % 3;
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    double a[4][3];
    for (int i = 0; i < 4; i++) {
      for (int k = 0; k < 3; k++) a[i][k] = at(&c, "coord", i, k);
      near(a[i][axis], at(&b.before, "coord", i, axis), 1e-5);
    }
    double dx = at(&b.before, "coord", 1, u) - at(&b.before, "coord", 0, u);
    double dy = at(&b.before, "coord", 1, v) - at(&b.before, "coord", 0, v);
    double ex = a[1][u] - a[0][u], ey = a[1][v] - a[0][v];
    near(hypot(ex, ey), hypot(dx, dy), 1e-4); /* lengths stay */
    double turn = atan2(dx * ey - dy * ex, dx * ex + dy * ey);
    if (pt_cloud_find(&c, "coord")->type == PT_F64) {
      hits++;
      note(&angle, turn);
      /* normals turn with the points: that of point 0 is x, of 1 is y, of 2 is z */
      near(at(&c, "normal", u, u), cos(turn), 1e-4);
      near(at(&c, "normal", u, v), sin(turn), 1e-4);
      near(at(&c, "normal", axis, axis), 1, 1e-6);
    } else {
      near(turn, 0, 1e-6);
    }
    pt_cloud_free(&c);
  }
  check_share(hits, TRIALS, p);
  check_uniform(&angle, lo * PI, hi * PI);
  done(&b);
}

static void rotations(void **state) {
  (void)state;
  check_rotation("dict(type='RandomRotate', angle=[-1, 1], axis='z', center=[0, 0, 0], p=0.5)",
                 2, -1, 1, 0.5);
  check_rotation("dict(type='RandomRotate', angle=[-1 / 64, 1 / 64], axis='x', p=0.5)", 0,
                 -1.0 / 64, 1.0 / 64, 0.5);
  check_rotation("dict(type='RandomRotate', angle=[-0.5, 0.25], axis='y', always_apply=True)",
                 1, -0.5, 0.25, 1);
}

static void target_angles(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='RandomRotateTargetAngle', center=[0, 0, 0])", 4);
  int64_t quarter[4] = {0};
  double dx = at(&b.before, "coord", 1, 0) - at(&b.before, "coord", 0, 0);
  double dy = at(&b.before, "coord", 1, 1) - at(&b.before, "coord", 0, 1);
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    double ex = at(&c, "coord", 1, 0) - at(&c, "coord", 0, 0);
    double ey = at(&c, "coord", 1, 1) - at(&c, "coord", 0, 1);
    double turns = atan2(dx * ey - dy * ex, dx * ex + dy * ey) / (PI / 2);
    near(turns, floor(turns + 0.5), 1e-4);
    quarter[((int)floor(turns + 0.5) + 4) % 4]++;
    pt_cloud_free(&c);
  }
  for (int k = 0; k < 4; k++) check_share(quarter[k], TRIALS, 0.25);
  done(&b);
}

/* ---- scale, flip, shift, jitter ---- */

static void scales(void **state) {
  (void)state;
  for (int an = 0; an < 2; an++) {
    struct bench b;
    set(&b,
        an ? "dict(type='RandomScale', scale=[0.9, 1.1], anisotropic=True)"
           : "dict(type='RandomScale', scale=[0.9, 1.1])",
        4);
    struct moments m[3] = {{0}};
    int64_t alike = 0;
    for (int t = 0; t < TRIALS; t++) {
      struct pt_cloud c;
      apply(&b, t, &c);
      double s[3];
      for (int k = 0; k < 3; k++) {
        s[k] = at(&c, "coord", 1, k) / at(&b.before, "coord", 1, k);
        near(at(&c, "coord", 2, k) / at(&b.before, "coord", 2, k), s[k], 1e-5);
        note(&m[k], s[k]);
      }
      alike += fabs(s[0] - s[1]) < 1e-5 && fabs(s[0] - s[2]) < 1e-5;
      pt_cloud_free(&c);
    }
    for (int k = 0; k < 3; k++) check_uniform(&m[k], 0.9, 1.1);
    assert_true(an ? alike < 10 : alike == TRIALS);
    done(&b);
  }
}

static void flips(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='RandomFlip', p=0.3)", 4);
  int64_t seen[4] = {0};
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    int flip[3];
    apply(&b, t, &c);
    for (int k = 0; k < 3; k++) {
      flip[k] = at(&c, "coord", 1, k) < 0;
      for (int i = 0; i < 4; i++) {
        near(at(&c, "coord", i, k), at(&b.before, "coord", i, k) * (flip[k] ? -1 : 1), 0);
        near(at(&c, "normal", i, k), at(&b.before, "normal", i, k) * (flip[k] ? -1 : 1), 0);
      }
    }
    assert_int_equal(flip[2], 0);
    seen[flip[0] + 2 * flip[1]]++;
    pt_cloud_free(&c);
  }
  check_share(seen[0], TRIALS, 0.49); /* the two axes independently */
  check_share(seen[1], TRIALS, 0.21);
  check_share(seen[2], TRIALS, 0.21);
  check_share(seen[3], TRIALS, 0.09);
  done(&b);
}

static void shifts(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='RandomShift', shift=((-0.2, 0.2), (0.1, 0.5), (0, 0)))", 4);
  struct moments m[3] = {{0}};
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    for (int k = 0; k < 3; k++) {
      double by = at(&c, "coord", 0, k) - at(&b.before, "coord", 0, k);
      near(at(&c, "coord", 3, k) - at(&b.before, "coord", 3, k), by, 1e-5);
      note(&m[k], by);
    }
    pt_cloud_free(&c);
  }
  check_uniform(&m[0], -0.2, 0.2);
  check_uniform(&m[1], 0.1, 0.5);
  assert_true(m[2].lo == 0 && m[2].hi == 0);
  done(&b);
}

/* Of a normal of deviation s cut off at +-c (numbers beyond become c): mean 0, and the
 * deviation by integrating the density. */
static double clipped_deviation(double s, double c) {
  double z = c / s, inside = erf(z / sqrt(2));
  double density = exp(-z * z / 2) / sqrt(2 * PI);
  return s * sqrt(inside - 2 * z * density + z * z * (1 - inside));
}

static void jitters(void **state) {
  (void)state;
  static const struct {
    const char *step;
    double sigma, clip;
  } cases[] = {{"dict(type='RandomJitter', sigma=0.005, clip=0.02)", 0.005, 0.02},
               {"dict(type='RandomJitter', sigma=0.05, clip=0.04)", 0.05, 0.04}};
  for (int i = 0; i < 2; i++) {
    struct bench b;
    set(&b, cases[i].step, N);
    struct moments m = {0};
    for (int t = 0; t < TRIALS / 10; t++) {
      struct pt_cloud c;
      apply(&b, t, &c);
      for (int j = 0; j < 3 * N; j++)
        note(&m, at(&c, "coord", j / 3, j % 3) - at(&b.before, "coord", j / 3, j % 3));
      pt_cloud_free(&c);
    }
    double d = clipped_deviation(cases[i].sigma, cases[i].clip), e = 5 / sqrt((double)m.n);
    near(mean(&m), 0, d * e);
    near(deviation(&m), d, 2 * d * e);
    near(m.lo, -cases[i].clip, i ? 2e-6 : 0.002);
    near(m.hi, cases[i].clip, i ? 2e-6 : 0.002);
    done(&b);
  }
}

/* ---- fewer points, other orders ---- */

static void dropout(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='RandomDropout', dropout_ratio=0.2, dropout_application_ratio=0.3)", N);
  int64_t kept[N] = {0}, hits = 0;
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    bool seen[N] = {false};
    assert_true(c.n == N || c.n == 160);
    for (int64_t i = 0; i < c.n; i++) {
      int id = (int)at(&c, "segment", i, 0);
      assert_false(seen[id]);
      seen[id] = true;
      near(at(&c, "coord", i, 0), at(&b.before, "coord", id, 0), 0); /* channels together */
      if (c.n < N) kept[id]++;
    }
    hits += c.n < N;
    pt_cloud_free(&c);
  }
  check_share(hits, TRIALS, 0.3);
  for (int i = 0; i < N; i++) check_share(kept[i], hits, 0.8);
  done(&b);
}

static void shuffle(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='ShufflePoint')", 10);
  int64_t place[10][10] = {{0}};
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    assert_int_equal(c.n, 10);
    for (int i = 0; i < 10; i++) place[(int)at(&c, "segment", i, 0)][i]++;
    pt_cloud_free(&c);
  }
  for (int i = 0; i < 100; i++) check_share(place[i / 10][i % 10], TRIALS, 0.1);
  done(&b);
}

/* The points kept are the nearest to one of them; none dropped is nearer. */
static int crop_center(const struct bench *b, const struct pt_cloud *c) {
  int center = (int)at(c, "segment", 0, 0); /* sorted by distance: itself first */
  double far = 0;
  bool kept[N] = {false};
  double dist[N];
  for (int i = 0; i < N; i++) {
    dist[i] = 0;
    for (int k = 0; k < 3; k++)
      dist[i] += pow(at(&b->before, "coord", i, k) - at(&b->before, "coord", center, k), 2);
  }
  for (int64_t i = 0; i < c->n; i++) {
    int id = (int)at(c, "segment", i, 0);
    assert_false(kept[id]);
    kept[id] = true;
    assert_true(dist[id] >= far - 1e-5); /* near ones first */
    far = fmax(far, dist[id]);
  }
  for (int i = 0; i < N; i++) assert_true(kept[i] || dist[i] >= far - 1e-5);
  return center;
}

static void crops(void **state) {
  (void)state;
  static const struct {
    const char *step;
    int64_t left;
    bool random;
  } cases[] = {{"dict(type='SphereCrop', point_max=50, mode='random')", 50, true},
               {"dict(type='SphereCrop', sample_rate=0.6, mode='random')", 120, true},
               {"dict(type='SphereCrop', point_max=30, mode='center')", 30, false}};
  for (int i = 0; i < 3; i++) {
    struct bench b;
    set(&b, cases[i].step, N);
    int64_t at_center[N] = {0};
    for (int t = 0; t < TRIALS; t++) {
      struct pt_cloud c;
      apply(&b, t, &c);
      assert_int_equal(c.n, cases[i].left);
      at_center[crop_center(&b, &c)]++;
      pt_cloud_free(&c);
    }
    for (int k = 0; k < N && cases[i].random; k++) check_share(at_center[k], TRIALS, 1.0 / N);
    if (!cases[i].random) assert_int_equal(at_center[N / 2], TRIALS);
    done(&b);
  }
  struct bench b;
  struct pt_cloud c;
  set(&b, "dict(type='SphereCrop', point_max=200, mode='random')", N);
  apply(&b, 0, &c);
  assert_int_equal(c.n, N); /* nothing to do */
  pt_cloud_free(&c);
  done(&b);
}

/* Train mode: one point a voxel, each with the same chance where the counts divide. */
static void grid(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='GridSample', grid_size=1.0, return_grid_coord=True)", N);
  int64_t chosen[N] = {0}, cell[N], size[N] = {0}, voxels = -1, most = 0;
  double lo[3] = {0, 10, 20};
  for (int i = 0; i < N; i++) {
    cell[i] = 0;
    for (int k = 0; k < 3; k++)
      cell[i] = cell[i] * 10 + (int64_t)floor(at(&b.before, "coord", i, k) - lo[k]);
    for (int j = 0; j <= i; j++) size[i] += cell[j] == cell[i];
  }
  for (int i = 0; i < N; i++)
    for (int j = i + 1; j < N; j++)
      if (cell[j] == cell[i]) size[i] = size[j];
  for (int i = 0; i < N; i++) most = size[i] > most ? size[i] : most;
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    assert_true(voxels < 0 || c.n == voxels);
    voxels = c.n;
    for (int64_t i = 0; i < c.n; i++) {
      int id = (int)at(&c, "segment", i, 0);
      chosen[id]++;
      for (int k = 0; k < 3; k++)
        near(at(&c, "grid_coord", i, k), floor(at(&b.before, "coord", id, k)) - lo[k], 0);
    }
    pt_cloud_free(&c);
  }
  /* draw % count with draw uniform below the fullest voxel's count, as upstream */
  for (int i = 0; i < N; i++) {
    double p = (double)chosen[i] / TRIALS, least = (double)(most / size[i]) / (double)most;
    double top = least + (most % size[i] ? 1.0 / (double)most : 0);
    double e = 5 * sqrt(top / TRIALS);
    assert_true(p > least - e && p < top + e);
  }
  done(&b);
}

/* ---- colours ---- */

static void contrast(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='ChromaticAutoContrast', p=0.2, blend_factor=None)", N);
  double lo[3] = {INFINITY, INFINITY, INFINITY}, hi[3] = {0};
  for (int i = 0; i < 3 * N; i++) {
    lo[i % 3] = fmin(lo[i % 3], at(&b.before, "color", i / 3, i % 3));
    hi[i % 3] = fmax(hi[i % 3], at(&b.before, "color", i / 3, i % 3));
  }
  struct moments blend = {0};
  int64_t hits = 0;
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    double v = at(&b.before, "color", 5, 0), w = at(&c, "color", 5, 0);
    double full = (v - lo[0]) * 255 / (hi[0] - lo[0]), f = (w - v) / (full - v);
    for (int i = 0; i < 3 * N; i += 7) { /* one blend for all */
      double x = at(&b.before, "color", i / 3, i % 3);
      double y = (x - lo[i % 3]) * 255 / (hi[i % 3] - lo[i % 3]);
      near(at(&c, "color", i / 3, i % 3), (1 - f) * x + f * y, 0.01);
    }
    hits += w != v;
    if (w != v) note(&blend, f);
    pt_cloud_free(&c);
  }
  check_share(hits, TRIALS, 0.2);
  check_uniform(&blend, 0, 1);
  done(&b);
}

static void translation(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='ChromaticTranslation', p=0.95, ratio=0.05)", 4);
  struct moments m[3] = {{0}};
  int64_t hits = 0;
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    bool hit = false;
    for (int k = 0; k < 3; k++) {
      double by = at(&c, "color", 0, k) - at(&b.before, "color", 0, k);
      near(at(&c, "color", 3, k) - at(&b.before, "color", 3, k), by, 1e-4);
      hit = hit || by != 0;
      if (by != 0) note(&m[k], by);
    }
    hits += hit;
    pt_cloud_free(&c);
  }
  check_share(hits, TRIALS, 0.95);
  for (int k = 0; k < 3; k++) check_uniform(&m[k], -12.75, 12.75);
  done(&b);
}

static void color_noise(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='ChromaticJitter', p=0.95, std=0.05)", N);
  struct moments m = {0};
  int64_t hits = 0, trials = TRIALS / 4;
  for (int t = 0; t < trials; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    bool hit = at(&c, "color", 0, 0) != at(&b.before, "color", 0, 0);
    hits += hit;
    for (int i = 0; hit && i < 3 * N; i++) {
      double v = at(&c, "color", i / 3, i % 3);
      assert_true(v >= 0 && v <= 255);
      note(&m, v - at(&b.before, "color", i / 3, i % 3));
    }
    pt_cloud_free(&c);
  }
  check_share(hits, trials, 0.95);
  double e = 5 / sqrt((double)m.n);
  near(mean(&m), 0, 12.75 * e);
  near(deviation(&m), 12.75, 2 * 12.75 * e);
  done(&b);
}

/* ---- hues, saturations, grays ---- */

/* One draw of a transform with the same numbers for all points: colours of point 0 onwards. */
static void hue_saturation(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='HueSaturationTranslation', hue_max=0.1, saturation_max=0.2)", N);
  struct pt_channel *color = pt_cloud_find(&b.before, "color");
  float *v = color->data;
  const float first[] = {200, 100, 100, 90, 90, 90, 0, 0, 0}; /* red, gray, black */
  memcpy(v, first, sizeof first);
  struct moments sat = {0}, hue = {0};
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    for (int k = 0; k < 3; k++) {
      near(at(&c, "color", 1, k), 90, 0); /* gray has no hue */
      near(at(&c, "color", 2, k), 0, 0);
    }
    double r = at(&c, "color", 0, 0), g = at(&c, "color", 0, 1), u = at(&c, "color", 0, 2);
    near(r, 200, 0); /* value stays; within a tenth of a turn red is the largest */
    double lo = fmin(g, u), mid = fmax(g, u);
    note(&sat, (200 - lo) / 100);
    note(&hue, (g > u ? 1 : -1) * (mid - lo) / (200 - lo) / 6);
    for (int i = 3; i < 20; i++)
      for (int k = 0; k < 3; k++) {
        double w = at(&c, "color", i, k);
        assert_true(w >= 0 && w <= 255 && w == floor(w));
      }
    pt_cloud_free(&c);
  }
  near(mean(&sat), 1.005, 0.02); /* whole numbers are cut off: half a unit of a hundred */
  near(deviation(&sat), 0.2 / sqrt(3), 0.01);
  assert_true(sat.lo >= 0.8 - 1e-9 && sat.hi <= 1.2 + 0.011);
  near(mean(&hue), 0, 0.006);
  near(deviation(&hue), 0.1 / sqrt(3), 0.004);
  assert_true(hue.lo >= -0.101 && hue.hi <= 0.101);
  done(&b);
}

static void grays(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='RandomColorGrayScale', p=0.3)", 4);
  int64_t hits = 0;
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    bool hit = at(&c, "color", 2, 0) == at(&c, "color", 2, 1);
    hits += hit;
    for (int i = 0; i < 4; i++) {
      double rgb[3], gray;
      for (int k = 0; k < 3; k++) rgb[k] = at(&b.before, "color", i, k);
      gray = 0.2989 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
      for (int k = 0; k < 3; k++) near(at(&c, "color", i, k), hit ? gray : rgb[k], 1e-4);
    }
    pt_cloud_free(&c);
  }
  check_share(hits, TRIALS, 0.3);
  done(&b);
}

static double luma(const struct pt_cloud *c, int64_t i) {
  return 0.2989 * at(c, "color", i, 0) + 0.587 * at(c, "color", i, 1) +
         0.114 * at(c, "color", i, 2);
}

/* The factor of one kind of jitter alone: `with` gives what is faded to. */
static void check_fade(const char *step, int kind, double lo, double hi, double p) {
  struct bench b;
  set(&b, step, N);
  double all = 0;
  for (int i = 0; i < N; i++) all += luma(&b.before, i) / N;
  struct moments m = {0};
  int64_t hits = 0;
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    double by = NAN;
    for (int i = 0; i < 12; i++) {
      double with = kind == 0 ? 0 : kind == 1 ? all : luma(&b.before, i);
      double old = at(&b.before, "color", i, 1), new = at(&c, "color", i, 1);
      if (new <= 0 || new >= 255 || fabs(old - with) < 10) continue;
      double f = (new - with) / (old - with);
      if (!isnan(by)) near(f, by, 1e-3);
      by = f;
    }
    if (isnan(by)) fail_msg("no point tells the factor");
    bool hit = fabs(by - 1) > 1e-5;
    hits += hit;
    if (hit) note(&m, by);
    pt_cloud_free(&c);
  }
  check_share(hits, TRIALS, p);
  check_uniform(&m, lo, hi);
  done(&b);
}

static void color_jitters(void **state) {
  (void)state;
  check_fade("dict(type='RandomColorJitter', brightness=0.3)", 0, 0.7, 1.3, 0.95);
  check_fade("dict(type='RandomColorJitter', contrast=(0.5, 0.9), p=0.4)", 1, 0.5, 0.9, 0.4);
  check_fade("dict(type='RandomColorJitter', saturation=0.4, p=1)", 2, 0.6, 1.4, 1);
  struct bench b;
  set(&b, "dict(type='RandomColorJitter', hue=0.1, p=1)", N);
  float *v = pt_cloud_find(&b.before, "color")->data;
  v[0] = 200, v[1] = v[2] = 100;
  struct moments hue = {0};
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    double g = at(&c, "color", 0, 1), u = at(&c, "color", 0, 2);
    near(at(&c, "color", 0, 0), 200, 1e-4);
    near(fmin(g, u), 100, 1e-4); /* value and saturation stay */
    note(&hue, (g > u ? 1 : -1) * (fmax(g, u) - 100) / 100 / 6);
    for (int i = 1; i < 9; i++) {
      double old[2] = {0, 255}, new[2] = {0, 255};
      for (int k = 0; k < 3; k++) {
        old[0] = fmax(old[0], at(&b.before, "color", i, k));
        old[1] = fmin(old[1], at(&b.before, "color", i, k));
        new[0] = fmax(new[0], at(&c, "color", i, k));
        new[1] = fmin(new[1], at(&c, "color", i, k));
      }
      near(new[0], old[0], 1e-3);
      near(new[1], old[1], 1e-3);
    }
    pt_cloud_free(&c);
  }
  check_uniform(&hue, -0.1, 0.1);
  done(&b);
  /* The order of two is drawn: fading to black and then to the mean is another colour than the
   * other way round. */
  int64_t before = 0, trials = 600;
  set(&b, "dict(type='RandomColorJitter', brightness=(0.5, 0.5), saturation=(0, 0), p=1)", 4);
  for (int t = 0; t < 20; t++) { /* nothing left to draw but the order, which does not show */
    struct pt_cloud c;
    apply(&b, t, &c);
    for (int i = 0; i < 4; i++) near(at(&c, "color", i, 0), luma(&b.before, i) / 2, 1e-3);
    pt_cloud_free(&c);
  }
  done(&b);
  set(&b, "dict(type='RandomColorJitter', brightness=(2, 2), contrast=(0, 0), p=1)", N);
  v = pt_cloud_find(&b.before, "color")->data;
  for (int i = 0; i < 3 * N; i++) v[i] = i < 3 * N / 2 ? 200 : 20;
  for (int t = 0; t < trials; t++) { /* clipped before the mean: (255 + 40) / 2, else 220 */
    struct pt_cloud c;
    apply(&b, t, &c);
    double w = at(&c, "color", 0, 0);
    assert_true(fabs(w - 147.5) < 0.1 || fabs(w - 220) < 0.1);
    before += fabs(w - 147.5) < 0.1;
    pt_cloud_free(&c);
  }
  check_share(before, trials, 0.5);
  done(&b);
}

/* ---- elastic distortion ---- */

/* Noise of deviation `magnitude` smoothed twice over three nodes an axis: each pass of a box of
 * three, twice, leaves weights 1 2 3 2 1 over 9, and of the variance (19 / 81)^3 at a node;
 * between nodes less. Away from the border. */
static void elastic(void **state) {
  (void)state;
  struct bench b;
  set(&b, "dict(type='ElasticDistortion', distortion_params=[[0.2, 0.4]])", N);
  struct moments m = {0};
  int64_t hits = 0, trials = TRIALS / 4;
  for (int t = 0; t < trials; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    hits += at(&c, "coord", 9, 0) != at(&b.before, "coord", 9, 0);
    for (int i = 2; i < N; i++) {
      bool inner = true;
      for (int k = 0; k < 3; k++) {
        double x = at(&b.before, "coord", i, k) - 10 * k;
        inner = inner && x > 0.5 && x < 4 - k - 0.5;
      }
      for (int k = 0; k < 3; k++) {
        double by = at(&c, "coord", i, k) - at(&b.before, "coord", i, k);
        if (inner) note(&m, by);
      }
    }
    pt_cloud_free(&c);
  }
  check_share(hits, trials, 0.95);
  double node = 0.4 * pow(19.0 / 81, 1.5) * sqrt(0.95);
  near(mean(&m), 0, 0.1 * node);
  assert_true(deviation(&m) < 1.02 * node && deviation(&m) > 0.8 * node);
  done(&b);
}

/* ---- values dropped ---- */

/* A share `ratio` of the points, each as often, loses the channel in a share p of all trials;
 * nothing else changes. */
static void check_drop(const char *step, const char *name, double ratio, double p) {
  struct bench b;
  set(&b, step, N);
  int64_t hits = 0, *lost = calloc(N, sizeof *lost);
  for (int t = 0; t < TRIALS; t++) {
    struct pt_cloud c;
    apply(&b, t, &c);
    int64_t gone = 0;
    for (int64_t i = 0; i < N; i++) {
      bool zero = true;
      for (int k = 0; k < 3; k++) zero = zero && at(&c, name, i, k) == 0;
      for (int k = 0; !zero && k < 3; k++)
        near(at(&c, name, i, k), at(&b.before, name, i, k), 0);
      near(at(&c, "coord", i, 0), at(&b.before, "coord", i, 0), 0);
      gone += zero;
      lost[i] += zero;
    }
    assert_true(gone == 0 || gone == (int64_t)(N * ratio));
    hits += gone > 0;
    pt_cloud_free(&c);
  }
  check_share(hits, TRIALS, p);
  for (int64_t i = 0; i < N; i++) check_share(lost[i], TRIALS, p * ratio);
  free(lost);
  done(&b);
}

static void drops(void **state) {
  (void)state;
  check_drop("dict(type='RandomDropColor')", "color", 0.2, 0.5);
  check_drop("dict(type='RandomDropColor', drop_ratio=1.0, drop_application_ratio=0.3)",
             "color", 1, 0.3);
  check_drop("dict(type='RandomDropNormal')", "normal", 0.2, 0.5);
  check_drop("dict(type='RandomDropNormal', drop_ratio=0.5, drop_application_ratio=1)",
             "normal", 0.5, 1);
  struct bench b; /* bytes as loaded; and without the channel it does nothing */
  struct ptv3_error err;
  struct pt_cloud c;
  set(&b, "dict(type='RandomDropColor', drop_ratio=1, drop_application_ratio=1)", N);
  assert_int_equal(pt_cloud_convert(&b.before, pt_cloud_find(&b.before, "color"), PT_U8, &err),
                   0);
  apply(&b, 0, &c);
  near(at(&c, "color", 7, 1), 0, 0);
  pt_cloud_free(&c);
  pt_cloud_remove(&b.before, "color");
  apply(&b, 0, &c);
  assert_null(pt_cloud_find(&c, "color"));
  pt_cloud_free(&c);
  done(&b);
}

/* ---- height ---- */

static void height_of(const char *step, const float *xyz, int64_t n, double *h) {
  struct bench b;
  struct ptv3_error err;
  struct pt_cloud c;
  set(&b, step, n);
  memcpy(pt_cloud_find(&b.before, "coord")->data, xyz, (size_t)n * 12);
  apply(&b, 0, &c);
  for (int64_t i = 0; i < n; i++) h[i] = at(&c, "height", i, 0);
  int32_t one = 1; /* it follows the points */
  assert_int_equal(pt_cloud_select(&c, &one, 1, &err), 0);
  near(at(&c, "height", 0, 0), h[1], 0);
  pt_cloud_free(&c);
  done(&b);
}

static void height(void **state) {
  (void)state;
  enum { SIDE = 60, POINTS = SIDE * SIDE };
  static float xyz[3 * POINTS];
  static double h[POINTS];
  for (int i = 0; i < POINTS; i++) { /* 1 m apart; flat ground at 100, a roof of 8 m */
    int x = i % SIDE, y = i / SIDE;
    xyz[3 * i] = (float)x;
    xyz[3 * i + 1] = (float)y;
    xyz[3 * i + 2] = x >= 20 && x < 30 && y >= 20 && y < 30 ? 108 : 100;
  }
  height_of("dict(type='HeightAboveLowest', cell=10)", xyz, POINTS, h);
  for (int i = 0; i < POINTS; i++) near(h[i], (double)xyz[3 * i + 2] - 100, 1e-6);
  xyz[2] = -500; /* one echo far below the ground changes nothing but itself */
  height_of("dict(type='HeightAboveLowest', cell=10, quantile=0.02, limit=20, scale=0.1)", xyz,
            POINTS, h);
  near(h[0], -2, 1e-6);
  for (int i = 1; i < POINTS; i++) near(h[i], ((double)xyz[3 * i + 2] - 100) / 10, 1e-6);
  for (int i = 0; i < POINTS; i++) xyz[3 * i + 2] = 0.2f * (float)(i % SIDE); /* a slope */
  height_of("dict(type='HeightAboveLowest', cell=10, quantile=0)", xyz, POINTS, h);
  for (int i = 0; i < POINTS; i++) { /* never below, and at most two and a half cells' rise */
    assert_true(h[i] >= -1e-5 && h[i] <= 5);
    int x = i % SIDE;
    if (x >= 20 && x < 40) near(h[i], 3, 0.11); /* one and a half away from the border */
  }
  for (int i = 0; i < POINTS; i++) xyz[3 * i + 2] = 7; /* places without any point between */
  for (int i = 100; i < POINTS; i++) xyz[3 * i] += 1000;
  height_of("dict(type='HeightAboveLowest', cell=3)", xyz, POINTS, h);
  for (int i = 0; i < POINTS; i++) near(h[i], 0, 1e-6);
}

/* Two of them beside each other; neither has to come with the cloud. */
static void heights(void **state) {
  (void)state;
  struct bench b;
  struct pt_cloud c;
  const char *need[8];
  set(&b,
      "dict(type='HeightAboveLowest', cell=1, quantile=0), "
      "dict(type='HeightAboveLowest', cell=9, quantile=0, key='height_wide', scale=2), "
      "dict(type='GridSample', grid_size=0.01, return_grid_coord=True), "
      "dict(type='Collect', keys=('coord', 'grid_coord'), "
      "     feat_keys=('height', 'height_wide', 'color', 'height_else'))",
      N);
  assert_int_equal(pt_pipeline_needs(&b.p, need, 8), 2);
  assert_string_equal(need[0], "color");
  assert_string_equal(need[1], "height_else");
  b.p.count = 3;
  apply(&b, 0, &c);
  for (int64_t i = 0; i < c.n; i++)
    assert_true(at(&c, "height_wide", i, 0) >= 2 * at(&c, "height", i, 0) - 1e-5);
  pt_cloud_free(&c);
  done(&b);
}

static void height_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"cell=0", "quantile=2", "limit=0", "key='coord'",
                                      "cell=1e-9"};
  for (int i = 0; i < 5; i++) {
    struct bench b;
    struct ptv3_error err;
    char text[200];
    struct pt_draw d = pt_draw_of(0, 0, 0);
    set(&b, "", N);
    pt_pipeline_free(&b.p);
    pt_config_free(&b.config);
    snprintf(text, sizeof text, "T = [dict(type='HeightAboveLowest', %s)]\n", wrong[i]);
    assert_int_equal(
        pt_config_parse(&b.env, text, (int64_t)strlen(text), "t", NULL, 0, &b.config, &err), 0);
    int st = pt_pipeline_parse(&b.p, &b.env.mem, pt_get(b.config.root, "T"), &err);
    if (!st) st = pt_pipeline_apply(&b.p, &b.env, &b.before, &d, false, &err);
    assert_int_equal(st, i < 4 ? PTV3_CONFIG : PTV3_DATA);
    done(&b);
  }
  for (int64_t k = 1;; k++) { /* every allocation fails once */
    struct bench b;
    struct ptv3_error err;
    struct pt_draw d = pt_draw_of(0, 0, 0);
    set(&b, "dict(type='HeightAboveLowest')", N);
    b.env.mem.fail_at = b.env.mem.calls + k;
    int st = pt_pipeline_apply(&b.p, &b.env, &b.before, &d, false, &err);
    done(&b);
    if (!st) break;
    assert_int_equal(st, PTV3_NO_MEMORY);
  }
}

/* ---- normals ---- */

/* A cube of 2 m about (1, 2, 3): how far normals look out of its sides, least and most. */
static void normals_of(const char *step, double along[2]) {
  enum { SIDE = 12, POINTS = 6 * SIDE * SIDE };
  struct bench b;
  struct pt_cloud c;
  set(&b, step, POINTS);
  float *xyz = pt_cloud_find(&b.before, "coord")->data;
  pt_cloud_remove(&b.before, "normal");
  for (int i = 0; i < POINTS; i++) {
    int side = i / (SIDE * SIDE), u = i / SIDE % SIDE, v = i % SIDE, axis = side / 2;
    float *p = xyz + (ptrdiff_t)3 * i;
    p[axis] = side % 2 ? 1 : -1;
    p[(axis + 1) % 3] = (float)(2 * u + 1) / SIDE - 1;
    p[(axis + 2) % 3] = (float)(2 * v + 1) / SIDE - 1;
    for (int k = 0; k < 3; k++) p[k] += (float)(k + 1);
  }
  apply(&b, 0, &c);
  along[0] = 1, along[1] = -1;
  for (int i = 0; i < POINTS; i++) {
    int u = i / SIDE % SIDE, v = i % SIDE;
    if (u < 3 || v < 3 || u > SIDE - 4 || v > SIDE - 4) continue; /* planes over an edge */
    double sum = 0;
    for (int k = 0; k < 3; k++) {
      double from = at(&c, "coord", i, k) - (k + 1);
      sum += at(&c, "normal", i, k) * from;
    }
    along[0] = fmin(along[0], sum);
    along[1] = fmax(along[1], sum);
  }
  pt_cloud_free(&c);
  done(&b);
}

static void normals(void **state) {
  (void)state;
  double along[2];
  normals_of("dict(type='EstimateNormals')", along);
  near(along[0], -1, 1e-3); /* towards the middle: against the way out */
  near(along[1], -1, 1e-3);
  normals_of("dict(type='EstimateNormals', neighbours=9, side='up')", along);
  near(along[0], 1, 1e-3); /* the top looks up, and the rest with it: out */
  near(along[1], 1, 1e-3);
  normals_of(
      "dict(type='RandomRotate', angle=[0.2, 0.3], axis='z', center=[1, 2, 3], p=1), "
      "dict(type='EstimateNormals')",
      along);
  near(along[0], -1, 1e-3);
  near(along[1], -1, 1e-3);
  normals_of(
      "dict(type='EstimateNormals'), "
      "dict(type='RandomRotate', angle=[0.2, 0.3], axis='z', center=[1, 2, 3], p=1)",
      along);
  near(along[0], -1, 1e-3);
  near(along[1], -1, 1e-3);
}

/* The cloud need not bring what the transform makes; three numbers a point. */
static void normals_needed(void **state) {
  (void)state;
  struct bench b;
  struct ptv3_error err;
  const char *need[8];
#define NORMAL_COLLECT                                  \
  "dict(type='Collect', keys=('coord', 'grid_coord'), " \
  "     feat_keys=('color', 'normal'))"
  set(&b, NORMAL_COLLECT, N);
  assert_int_equal(pt_pipeline_needs(&b.p, need, 8), 2);
  done(&b);
  set(&b, "dict(type='EstimateNormals'), " NORMAL_COLLECT, N);
  assert_int_equal(pt_pipeline_needs(&b.p, need, 8), 1);
  assert_string_equal(need[0], "color");
  assert_int_equal(pt_pipeline_check_width(&b.p, 6, &err), 0);
  assert_int_equal(pt_pipeline_check_width(&b.p, 4, &err), PTV3_CONFIG);
  done(&b);
}

/* What a list with one transform of wrong parameters says. */
static void refused(const char *step, const char *says) {
  struct bench b;
  struct ptv3_error err;
  char text[200];
  set(&b, "", N);
  pt_pipeline_free(&b.p);
  pt_config_free(&b.config);
  snprintf(text, sizeof text, "T = [dict(type=%s)]\n", step);
  assert_int_equal(
      pt_config_parse(&b.env, text, (int64_t)strlen(text), "t", NULL, 0, &b.config, &err), 0);
  assert_int_equal(pt_pipeline_parse(&b.p, &b.env.mem, pt_get(b.config.root, "T"), &err),
                   PTV3_CONFIG);
  if (!strstr(err.message, says)) fail_msg("'%s' is not in: %s", says, err.message);
  done(&b);
}

static void normals_refused(void **state) {
  (void)state;
  refused("'RandomDropColor', drop_ratio=1.5", "within 0 and 1");
  refused("'EstimateNormals', side='out'", "'inside' or 'up'");
  refused("'EstimateNormals', neighbours=2", "neighbours");
  refused("'EstimateNormals', neighbours=65", "neighbours");
  for (int side = 0; side < 2; side++)
    for (int64_t k = 1;; k++) { /* every allocation fails once */
      struct bench b;
      struct ptv3_error err;
      struct pt_draw d = pt_draw_of(0, 0, 0);
      set(&b, side ? "dict(type='EstimateNormals', side='up')" : "dict(type='EstimateNormals')",
          N);
      b.env.mem.fail_at = b.env.mem.calls + k;
      int st = pt_pipeline_apply(&b.p, &b.env, &b.before, &d, false, &err);
      done(&b);
      if (!st) break;
      assert_int_equal(st, PTV3_NO_MEMORY);
    }
}

static void colors_refused(void **state) {
  (void)state;
  refused("'RandomColorGrayScale'", "needs p");
  refused("'RandomColorJitter', hue=0.6", "T.0.hue: must lie within -0.5 and 0.5");
  refused("'RandomColorJitter', hue=(-0.6, 0)", "within -0.5 and 0.5");
  refused("'RandomColorJitter', brightness=-1", "T.0.brightness: must not be negative");
  refused("'RandomColorJitter', contrast=(2, 1)", "the lower first");
  refused("'RandomColorJitter', saturation=(1, 2, 3)", "saturation");
  refused("'RandomColorJitter', saturation='a'", "saturation");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rotations),      cmocka_unit_test(target_angles),
      cmocka_unit_test(scales),         cmocka_unit_test(flips),
      cmocka_unit_test(shifts),         cmocka_unit_test(jitters),
      cmocka_unit_test(dropout),        cmocka_unit_test(shuffle),
      cmocka_unit_test(crops),          cmocka_unit_test(grid),
      cmocka_unit_test(contrast),       cmocka_unit_test(translation),
      cmocka_unit_test(color_noise),    cmocka_unit_test(hue_saturation),
      cmocka_unit_test(grays),          cmocka_unit_test(colors_refused),
      cmocka_unit_test(color_jitters),  cmocka_unit_test(elastic),
      cmocka_unit_test(drops),          cmocka_unit_test(height),
      cmocka_unit_test(heights),        cmocka_unit_test(height_refused),
      cmocka_unit_test(normals),        cmocka_unit_test(normals_needed),
      cmocka_unit_test(normals_refused)};
  return cmocka_run_group_tests_name("augment", tests, NULL, NULL);
}
