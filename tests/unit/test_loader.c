/* test_loader.c - batches for training: what is in them, that they are the same however they
 * are made, that everything is given back whatever fails. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "loader.h"
#include "npy.h"
#include "pyconfig.h"

enum { SCENES = 5, POINTS = 60, LOOP = 2, SAMPLES = SCENES * LOOP };

static char root[200]; /* the temporary folder */

static void write_array(const char *folder, const char *name, enum pt_dtype type, int64_t n,
                        int64_t width, const void *data) {
  struct pt_mem mem;
  struct ptv3_error err;
  char path[500];
  pt_mem_init(&mem, 0);
  snprintf(path, sizeof path, "%s/%s.npy", folder, name);
  const int64_t shape[] = {n, width};
  assert_int_equal(pt_npy_write(&mem, path, type, width > 1 ? 2 : 1, shape, data, &err), 0);
}

/* Points on a lattice of 0.1 m, a cell each; colour and label tell scene and point. */
static void make_scene(const char *split, int k, int32_t bad_label) {
  char folder[400];
  float coord[POINTS * 3];
  uint8_t color[POINTS * 3];
  int16_t label[POINTS];
  snprintf(folder, sizeof folder, "%s/%s", root, split);
  mkdir(folder, 0777);
  snprintf(folder, sizeof folder, "%s/%s/scene%d", root, split, k);
  mkdir(folder, 0777);
  for (int i = 0; i < POINTS; i++) {
    coord[3 * i] = 0.05f + 0.1f * (float)(i % 6);
    coord[3 * i + 1] = 0.05f + 0.1f * (float)(i / 6);
    coord[3 * i + 2] = 0.05f + 0.1f * (float)(i * k % 3);
    color[3 * i] = (uint8_t)k;
    color[3 * i + 1] = (uint8_t)i;
    color[3 * i + 2] = 7;
    label[i] = (int16_t)(i == 9 && bad_label ? bad_label : (k + i) % 4 - 1);
  }
  write_array(folder, "coord", PT_F32, POINTS, 3, coord);
  write_array(folder, "color", PT_U8, POINTS, 3, color);
  if (bad_label != -2) write_array(folder, "segment", PT_I16, POINTS, 1, label);
}

static int set_up(void **state) {
  (void)state;
  snprintf(root, sizeof root, "%s/ptv3-loader-XXXXXX",
           getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(root)) return -1;
  for (int k = 0; k < SCENES; k++) make_scene("train", k, 0);
  for (int k = 0; k < SCENES; k++) make_scene("bad", k, k == 3 ? 11 : 0);
  for (int k = 0; k < SCENES; k++) make_scene("bare", k, k == 3 ? -2 : 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

static const char plain[] =
    "epoch = 6\neval_epoch = 3\n"
    "data = dict(train=dict(type='DefaultDataset', split='%s', data_root='%s', loop=9,\n"
    "  transform=[%s\n"
    "    dict(type='GridSample', grid_size=0.1, mode='train', return_grid_coord=True),\n"
    "    dict(type='Collect', keys=('coord', 'grid_coord', 'segment'),\n"
    "         feat_keys=('color',))]))\n";

static const char jitter[] =
    "dict(type='RandomDropout', dropout_application_ratio=1.0),\n"
    "dict(type='RandomRotate', angle=[-1, 1], axis='z', p=1),\n"
    "dict(type='ChromaticJitter', p=0.5),";

/* A split of the temporary folder, with the tree it needs. */
struct fixture {
  struct pt_env env;
  struct pt_config config;
  struct pt_split split;
};

static void open_split(struct fixture *f, const char *split, const char *transforms) {
  char text[2000];
  struct ptv3_error err;
  snprintf(text, sizeof text, plain, split, root, transforms);
  pt_env_init(&f->env, 1, 0);
  if (pt_config_parse(&f->env, text, (int64_t)strlen(text), "test.py", NULL, 0, &f->config,
                      &err))
    fail_msg("%s", err.message);
  if (pt_split_open(&f->split, &f->env, f->config.root, "train", NULL, &err))
    fail_msg("%s", err.message);
  assert_int_equal(f->split.loop, LOOP);
  assert_int_equal(f->split.set.count, SCENES);
}

static void close_split(struct fixture *f) {
  pt_split_free(&f->split);
  pt_config_free(&f->config);
  assert_int_equal(f->env.mem.used, 0);
}

static struct pt_loader_options usual(const struct fixture *f) {
  return (struct pt_loader_options){.split = &f->split,
                                    .seed = 5,
                                    .batch_size = 3,
                                    .mix_prob = 0.5,
                                    .shuffle = true,
                                    .classes = 3};
}

static struct pt_loader *open_loader(struct fixture *f, const struct pt_loader_options *o) {
  struct pt_loader *l;
  struct ptv3_error err;
  if (pt_loader_open(&l, &f->env, o, &err)) fail_msg("%s", err.message);
  return l;
}

static uint64_t sum_bytes(uint64_t h, const void *data, size_t n) {
  const uint8_t *p = data;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * UINT64_C(1099511628211);
  return h;
}

/* Of everything the network sees. */
static uint64_t sum_batch(const struct pt_train_batch *b) {
  size_t n = (size_t)b->n;
  uint64_t h = sum_bytes(UINT64_C(14695981039346656037), b->coord, n * 12);
  h = sum_bytes(h, b->grid_coord, n * 12);
  h = sum_bytes(h, b->feat, n * (size_t)b->channels * 4);
  h = sum_bytes(h, b->segment, n * 4);
  return sum_bytes(h, b->offset, ((size_t)b->clouds + 1) * 8);
}

static struct pt_train_batch *next(struct pt_loader *l) {
  struct pt_train_batch *b;
  struct ptv3_error err;
  if (pt_loader_next(l, &b, &err)) fail_msg("%s", err.message);
  return b;
}

static void start(struct pt_loader *l, int64_t epoch, int64_t first) {
  struct ptv3_error err;
  if (pt_loader_start(l, epoch, first, &err)) fail_msg("%s", err.message);
}

/* Sums of the batches of an epoch to sum[max]; returns how many there were. */
static int epoch_sums(struct pt_loader *l, int64_t epoch, int64_t first, uint64_t *sum,
                      int max) {
  int n = 0;
  start(l, epoch, first);
  for (struct pt_train_batch *b; (b = next(l));) {
    assert_true(n < max);
    assert_int_equal(b->number, first + n);
    assert_int_equal(b->epoch, epoch);
    sum[n++] = sum_batch(b);
  }
  return n;
}

/* ---- what is in a batch ---- */

/* Rows of one sample: every point once, with its colour, cell and label. */
static void check_rows(const struct pt_train_batch *b, int64_t first, int64_t rows,
                       int64_t scene) {
  bool seen[POINTS] = {false};
  assert_int_equal(rows, POINTS);
  for (int64_t r = first; r < first + rows; r++) {
    const float *f = b->feat + 3 * r;
    int i = (int)f[1];
    assert_int_equal((int)f[0], scene);
    assert_false(seen[i]);
    seen[i] = true;
    assert_int_equal(b->segment[r], (scene + i) % 4 - 1);
    assert_int_equal(b->grid_coord[3 * r], i % 6);
    assert_int_equal(b->grid_coord[3 * r + 1], i / 6);
    assert_int_equal(b->grid_coord[3 * r + 2], i * (int)scene % 3);
  }
}

static void test_epoch(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", "");
  struct pt_loader_options o = usual(&f);
  o.mix_prob = 0;
  struct pt_loader *l = open_loader(&f, &o);
  assert_int_equal(pt_loader_samples(l), SAMPLES);
  assert_int_equal(pt_loader_batches(l), 4);
  int seen[SCENES][LOOP] = {{0}}, batches = 0;
  start(l, 0, 0);
  for (struct pt_train_batch *b; (b = next(l)); batches++) {
    assert_int_equal(b->parts, batches < 3 ? 3 : 1);
    assert_int_equal(b->clouds, b->parts);
    assert_int_equal(b->channels, 3);
    assert_int_equal(b->offset[0], 0);
    assert_int_equal(b->offset[b->clouds], b->n);
    for (int64_t p = 0; p < b->parts; p++) {
      seen[b->part[p].scene][b->part[p].occurrence]++;
      assert_int_equal(b->part[p].points, POINTS);
      assert_int_equal(b->offset[p + 1] - b->offset[p], b->part[p].rows);
      check_rows(b, b->offset[p], b->part[p].rows, b->part[p].scene);
    }
  }
  assert_int_equal(batches, 4);
  for (int k = 0; k < SAMPLES; k++) assert_int_equal(seen[k / LOOP][k % LOOP], 1);
  assert_null(next(l)); /* and stays so */
  pt_loader_close(l);
  o.drop_last = true;
  l = open_loader(&f, &o);
  assert_int_equal(pt_loader_batches(l), 3);
  pt_loader_close(l);
  close_split(&f);
}

static void order_of(struct pt_loader *l, int64_t epoch, int64_t order[SAMPLES]) {
  start(l, epoch, 0);
  for (int i = 0; i < SAMPLES; i++) {
    struct pt_train_batch *b = next(l);
    order[i] = b->part[0].scene + b->part[0].occurrence * SCENES;
  }
}

static void test_order(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", "");
  struct pt_loader_options o = usual(&f);
  o.batch_size = 1;
  int64_t a[SAMPLES], b[SAMPLES], first[SAMPLES] = {0};
  struct pt_loader *l = open_loader(&f, &o);
  order_of(l, 0, a);
  order_of(l, 1, b);
  assert_memory_not_equal(a, b, sizeof a); /* another order each epoch */
  order_of(l, 0, b);
  assert_memory_equal(a, b, sizeof a);
  enum { EPOCHS = 400 };
  for (int e = 0; e < EPOCHS; e++) {
    start(l, e, 0);
    struct pt_train_batch *one = next(l);
    first[one->part[0].scene + one->part[0].occurrence * SCENES]++;
  }
  for (int i = 0; i < SAMPLES; i++) /* 40 expected, deviation 6 */
    assert_in_range(first[i], 16, 64);
  pt_loader_close(l);
  o.shuffle = false;
  l = open_loader(&f, &o);
  order_of(l, 3, a);
  for (int i = 0; i < SAMPLES; i++) assert_int_equal(a[i], i);
  pt_loader_close(l);
  close_split(&f);
}

/* Sample draws differ by epoch and by occurrence. */
static void test_draws(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", jitter);
  struct pt_loader_options o = usual(&f);
  o.batch_size = 1;
  o.shuffle = false;
  uint64_t a[SAMPLES], b[SAMPLES];
  struct pt_loader *l = open_loader(&f, &o);
  assert_int_equal(epoch_sums(l, 0, 0, a, SAMPLES), SAMPLES);
  assert_int_equal(epoch_sums(l, 1, 0, b, SAMPLES), SAMPLES);
  for (int i = 0; i < SAMPLES; i++) assert_true(a[i] != b[i]);
  for (int i = 0; i < SCENES; i++) assert_true(a[i] != a[i + SCENES]);
  pt_loader_close(l);
  o.seed = 6;
  l = open_loader(&f, &o);
  epoch_sums(l, 0, 0, b, SAMPLES);
  for (int i = 0; i < SAMPLES; i++) assert_true(a[i] != b[i]);
  pt_loader_close(l);
  close_split(&f);
}

/* ---- Mix3D ---- */

static void check_mixed(const struct pt_train_batch *b) {
  assert_true(b->mixed);
  assert_int_equal(b->clouds, 2); /* of three samples */
  assert_int_equal(b->offset[1], b->part[0].rows + b->part[1].rows);
  assert_int_equal(b->offset[2], b->n);
  int64_t rows = 0;
  for (int p = 0; p < 3; p++) rows += b->part[p].rows;
  assert_int_equal(rows, b->n);
  assert_int_equal(b->dropped, 3 * POINTS - b->n);
  for (int c = 0; c < 2; c++)
    for (int64_t i = b->offset[c]; i < b->offset[c + 1]; i++)
      for (int64_t j = b->offset[c]; j < i; j++)
        assert_memory_not_equal(b->grid_coord + 3 * i, b->grid_coord + 3 * j, 12);
  int64_t r = 0;
  for (int p = 0; p < 3; p++) /* each row is its sample's, in its cell, with its label */
    for (int64_t end = r + b->part[p].rows; r < end; r++) {
      int i = (int)b->feat[3 * r + 1];
      assert_int_equal((int)b->feat[3 * r], b->part[p].scene);
      assert_int_equal(b->segment[r], (b->part[p].scene + i) % 4 - 1);
      assert_int_equal(b->grid_coord[3 * r], i % 6);
    }
}

static void test_mix(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", "");
  struct pt_loader_options o = usual(&f);
  int mixed = 0, batches = 0;
  int64_t dropped = 0, kept[2] = {0};
  struct pt_loader *l = open_loader(&f, &o);
  for (int e = 0; e < 100; e++) {
    start(l, e, 0);
    for (struct pt_train_batch *b; (b = next(l)) && b->parts == 3; batches++) {
      mixed += b->mixed;
      dropped += b->dropped;
      assert_int_equal(b->clouds, b->mixed ? 2 : 3);
      if (!b->mixed) continue;
      check_mixed(b);
      kept[0] += b->part[0].rows;
      kept[1] += b->part[1].rows;
    }
  }
  assert_int_equal(batches, 300);
  assert_in_range(mixed, 110, 190); /* half of 300, deviation 9 */
  assert_true(dropped > 100);       /* scenes of every k share cells */
  double share = (double)kept[0] / (double)(kept[0] + kept[1]);
  assert_true(share > 0.48 && share < 0.52); /* neither is preferred */
  pt_loader_close(l);
  o.mix_prob = 1;
  o.batch_size = 1;
  l = open_loader(&f, &o);
  start(l, 0, 0);
  struct pt_train_batch *b = next(l); /* nothing to mix with */
  assert_int_equal(b->clouds, 1);
  assert_int_equal(b->n, POINTS);
  pt_loader_close(l);
  o.batch_size = 4; /* an even number: pairs */
  l = open_loader(&f, &o);
  start(l, 0, 0);
  b = next(l);
  assert_int_equal(b->clouds, 2);
  assert_int_equal(b->offset[1], b->part[0].rows + b->part[1].rows);
  pt_loader_close(l);
  close_split(&f);
}

/* ---- the same however it is made ---- */

static void test_same(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", jitter);
  struct pt_loader_options o = usual(&f);
  uint64_t want[2][4], got[4];
  struct pt_loader *l = open_loader(&f, &o);
  for (int e = 0; e < 2; e++) assert_int_equal(epoch_sums(l, e, 0, want[e], 4), 4);
  pt_loader_close(l);
  static const int threads[] = {1, 2, 4, 7}, slots[] = {1, 2, 3, 9};
  for (int t = 0; t < 4; t++)
    for (int s = 0; s < 4; s++) {
      o.threads = threads[t];
      o.slots = slots[s];
      o.memory = s % 2 ? 1 << 20 : 0;
      l = open_loader(&f, &o);
      for (int e = 0; e < 2; e++) {
        assert_int_equal(epoch_sums(l, e, 0, got, 4), 4);
        assert_memory_equal(got, want[e], sizeof got);
      }
      for (int first = 4; first >= 0; first--) { /* from the middle */
        assert_int_equal(epoch_sums(l, 1, first, got, 4), 4 - first);
        assert_memory_equal(got, want[1] + first, (size_t)(4 - first) * sizeof *got);
      }
      pt_loader_close(l);
    }
  close_split(&f);
}

/* ---- memory ---- */

/* What was read ahead is given back at any moment, and made again the same. */
static void test_yield(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", jitter);
  struct pt_loader_options o = usual(&f);
  uint64_t want[4];
  struct pt_loader *l = open_loader(&f, &o);
  int64_t idle = f.env.mem.used;
  assert_int_equal(epoch_sums(l, 0, 0, want, 4), 4);
  pt_loader_close(l);
  for (int k = 0; k < 40; k++) {
    o.threads = k % 4;
    o.slots = k % 5;
    l = open_loader(&f, &o);
    start(l, 0, 0);
    if (k % 3 == 0) pt_loader_yield(l);
    for (int n = 0; n < 4; n++) {
      struct pt_train_batch *b = next(l);
      struct timespec t = {.tv_nsec = k * 10000};
      nanosleep(&t, NULL);
      pt_loader_yield(l);
      assert_true(sum_batch(b) == want[n]); /* that in use stays */
      if (k % 2) continue;
      pt_loader_release(l);
      pt_loader_yield(l);
      assert_true(f.env.mem.used < idle + 40000); /* no batch is left */
    }
    assert_null(next(l));
    pt_loader_yield(l);
    pt_loader_close(l);
  }
  close_split(&f);
}

static void test_memory(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", jitter);
  struct pt_loader_options o = usual(&f);
  uint64_t want[4], got[4];
  struct ptv3_error err;
  struct pt_loader_times times;
  int64_t before = f.env.mem.used;
  struct pt_loader *l = open_loader(&f, &o);
  assert_int_equal(f.env.mem.used - before, f.env.mem.cat[PT_MEM_LOADER]);
  assert_int_equal(epoch_sums(l, 0, 0, want, 4), 4);
  pt_loader_times(l, &times);
  assert_true(times.peak > 0);
  assert_int_equal(times.batches, 4);
  assert_true(times.made > 0 && times.waited >= times.made);
  pt_loader_close(l);
  /* Room for one batch at a time, and barely: those read ahead make way. */
  o.threads = 3;
  o.slots = 4;
  o.memory = times.peak;
  l = open_loader(&f, &o);
  assert_true(f.env.mem.cat[PT_MEM_LOADER] >= times.peak); /* taken at once */
  atomic_store(&f.env.mem.sealed, true); /* the rest of the budget is not touched */
  for (int k = 0; k < 20; k++) {
    assert_int_equal(epoch_sums(l, 0, 0, got, 4), 4);
    assert_memory_equal(got, want, sizeof got);
  }
  atomic_store(&f.env.mem.sealed, false);
  pt_loader_close(l);
  /* Too little for the largest: an error with the scene's name. */
  o.memory = times.peak / 3;
  l = open_loader(&f, &o);
  start(l, 0, 0);
  struct pt_train_batch *b;
  int st = 0;
  do st = pt_loader_next(l, &b, &err);
  while (!st && b);
  assert_int_equal(st, PTV3_BUDGET);
  assert_non_null(strstr(err.message, "'scene"));
  assert_int_equal(pt_loader_next(l, &b, &err), PTV3_BUDGET); /* and stays so */
  pt_loader_close(l);
  assert_int_equal(f.env.mem.used, before);
  o.memory = INT64_MAX;
  f.env.mem.limit = 1 << 30;
  assert_int_equal(pt_loader_open(&l, &f.env, &o, &err), PTV3_BUDGET);
  assert_int_equal(f.env.mem.used, before);
  close_split(&f);
}

/* Every allocation of an epoch fails once: an error, or the same batches made later. */
static void failing(struct fixture *f, const struct pt_loader_options *o, const uint64_t *want,
                    int *failed) {
  int64_t used = f->env.mem.used, begin = f->env.mem.calls;
  uint64_t got[4];
  struct pt_loader *l = open_loader(f, o);
  epoch_sums(l, 0, 0, got, 4);
  pt_loader_close(l);
  int64_t calls = f->env.mem.calls - begin;
  for (int64_t k = 1; k <= calls; k++) {
    struct ptv3_error err;
    struct pt_train_batch *b;
    f->env.mem.fail_at = f->env.mem.calls + k;
    int st = pt_loader_open(&l, &f->env, o, &err), n = 0;
    if (!st) st = pt_loader_start(l, 0, 0, &err);
    while (!st && !(st = pt_loader_next(l, &b, &err)) && b)
      assert_true(sum_batch(b) == want[n++]);
    if (st) assert_int_equal(st, PTV3_NO_MEMORY);
    if (!st) assert_int_equal(n, 4);
    *failed += st != 0;
    pt_loader_close(l);
    f->env.mem.fail_at = 0;
    assert_int_equal(f->env.mem.used, used);
  }
}

static void test_failures(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", jitter);
  struct pt_loader_options o = usual(&f);
  uint64_t want[4];
  int failed = 0;
  struct pt_loader *l = open_loader(&f, &o);
  epoch_sums(l, 0, 0, want, 4);
  pt_loader_close(l);
  failing(&f, &o, want, &failed);
  assert_true(failed > 3); /* those of opening */
  o.threads = 2;
  failing(&f, &o, want, &failed);
  close_split(&f);
}

/* ---- errors ---- */

static void expect_error(const char *split, const char *words, int threads) {
  struct fixture f;
  open_split(&f, split, "");
  struct pt_loader_options o = usual(&f);
  o.threads = threads;
  o.shuffle = false;
  o.batch_size = 2;
  struct pt_loader *l = open_loader(&f, &o);
  struct ptv3_error err;
  struct pt_train_batch *b;
  start(l, 0, 0);
  assert_non_null(next(l)); /* scenes 0 and 1 are well; scene 3 is in the second batch */
  assert_int_equal(pt_loader_next(l, &b, &err), PTV3_DATA);
  assert_null(b);
  if (!strstr(err.message, words) || !strstr(err.message, "scene3"))
    fail_msg("'%s' lacks '%s' or scene3", err.message, words);
  start(l, 0, 2); /* the loader lives on */
  assert_non_null(next(l));
  pt_loader_close(l);
  close_split(&f);
}

static void test_errors(void **state) {
  (void)state;
  for (int threads = 0; threads < 4; threads++) {
    expect_error("bad", "11", threads);
    expect_error("bare", "label", threads);
  }
  struct fixture f;
  open_split(&f, "train", "");
  struct pt_loader_options o = usual(&f);
  struct ptv3_error err;
  struct pt_loader *l;
  struct pt_train_batch *b;
  o.batch_size = 0;
  assert_int_equal(pt_loader_open(&l, &f.env, &o, &err), PTV3_INVALID);
  o = usual(&f);
  o.mix_prob = (double)NAN;
  assert_int_equal(pt_loader_open(&l, &f.env, &o, &err), PTV3_INVALID);
  o = usual(&f);
  l = open_loader(&f, &o);
  assert_int_equal(pt_loader_next(l, &b, &err), PTV3_INVALID); /* no epoch begun */
  assert_int_equal(pt_loader_start(l, 0, 5, &err), PTV3_INVALID);
  assert_int_equal(pt_loader_start(l, -1, 0, &err), PTV3_INVALID);
  pt_loader_close(l);
  close_split(&f);
}

static bool refuse(void *user, const char *what, int64_t done, int64_t total) {
  (void)what, (void)done, (void)total;
  return --*(int *)user > 0;
}

/* The caller stops, or leaves at any moment. */
static void test_leaving(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", jitter);
  struct pt_loader_options o = usual(&f);
  struct ptv3_error err;
  struct pt_train_batch *b;
  int left = 3;
  f.env.progress = refuse;
  f.env.user = &left;
  struct pt_loader *l = open_loader(&f, &o);
  start(l, 0, 0);
  assert_int_equal(pt_loader_next(l, &b, &err), PTV3_CANCELLED);
  pt_loader_close(l);
  f.env.progress = NULL;
  for (int k = 0; k < 60; k++) {
    o.threads = 1 + k % 5;
    l = open_loader(&f, &o);
    if (k % 6) start(l, k, k % 4);
    for (int i = 0; i < k % 3 && k % 6; i++) next(l);
    if (k % 5 == 4 && k % 6) start(l, k + 1, 0);
    if (k % 7 == 3) pt_loader_release(l);
    struct timespec t = {.tv_nsec = k * 20000};
    nanosleep(&t, NULL);
    pt_loader_close(l);
  }
  pt_loader_close(NULL);
  close_split(&f);
}

static int steps_seen;

static bool stop_at_step(void *user, const char *what, int64_t done, int64_t total) {
  (void)total;
  if (strcmp(what, "preparing")) return true;
  steps_seen++;
  return done < *(int *)user;
}

/* A scene being prepared is left between two of its transforms, which are long on large scans.
 */
static void test_leaving_scene(void **state) {
  (void)state;
  struct fixture f;
  open_split(&f, "train", jitter);
  struct pt_loader_options o = usual(&f);
  struct ptv3_error err;
  struct pt_train_batch *b;
  int last = 2;
  f.env.progress = stop_at_step;
  f.env.user = &last;
  struct pt_loader *l = open_loader(&f, &o); /* no threads: the caller makes the batch */
  start(l, 0, 0);
  assert_int_equal(pt_loader_next(l, &b, &err), PTV3_CANCELLED);
  assert_int_equal(steps_seen, 3);
  pt_loader_close(l);
  f.env.progress = NULL;
  close_split(&f);
}

static void test_loop(void **state) {
  (void)state;
  struct pt_env env;
  struct ptv3_error err;
  struct pt_config config;
  struct pt_split s;
  char text[600];
  pt_env_init(&env, 1, 0);
  static const struct {
    const char *top, *rest;
    int64_t loop;
  } cases[] = {{"", "", 1},
               {"", "loop=7", 7},
               {"epoch = 100\neval_epoch = 100\n", "loop=7", 1},
               {"epoch = 3000\neval_epoch = 100\n", "", 30},
               {"epoch = 3000\neval_epoch = 100\n", "test_mode=True", 1},
               {"epoch = 100\neval_epoch = 30\n", "", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(text, sizeof text,
             "%sdata = dict(train=dict(type='DefaultDataset', data_root='%s', %s))\n",
             cases[i].top, root, cases[i].rest);
    assert_int_equal(
        pt_config_parse(&env, text, (int64_t)strlen(text), "t.py", NULL, 0, &config, &err), 0);
    int st = pt_split_open(&s, &env, config.root, "train", NULL, &err);
    if (cases[i].loop) {
      assert_int_equal(st, 0);
      assert_int_equal(s.loop, cases[i].loop);
      pt_split_free(&s);
    } else {
      assert_int_equal(st, PTV3_CONFIG);
      assert_non_null(strstr(err.message, "eval_epoch"));
    }
    pt_config_free(&config);
  }
  assert_int_equal(env.mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_epoch),    cmocka_unit_test(test_order),
      cmocka_unit_test(test_draws),    cmocka_unit_test(test_mix),
      cmocka_unit_test(test_same),     cmocka_unit_test(test_memory),
      cmocka_unit_test(test_failures), cmocka_unit_test(test_errors),
      cmocka_unit_test(test_leaving),  cmocka_unit_test(test_leaving_scene),
      cmocka_unit_test(test_loop),     cmocka_unit_test(test_yield)};
  return cmocka_run_group_tests_name("loader", tests, set_up, tear_down);
}
