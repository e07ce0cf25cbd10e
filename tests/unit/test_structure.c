/* test_structure.c - the integer pass: the same whatever the number of threads, refused input
 * named, every failing allocation survived. Its values are compared with recorded ones by
 * tests/reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ops_made.h"
#include "structure.h"

enum { SIDE = 64, STAGES = 4, ORDERS = 4 };

struct made {
  struct pt_structure_in in;
  int64_t offset[3];
  int32_t *coord;
};

static const int strides[STAGES - 1] = {2, 4, 2};
static const int curves[ORDERS] = {PT_Z, PT_Z_TRANS, PT_HILBERT, PT_HILBERT_TRANS};
static const int perms[STAGES * ORDERS] = {2, 0, 1, 3, 1, 2, 3, 0, 0, 1, 2, 3, 3, 2, 1, 0};

/* Two clouds: a surface, and every third voxel of it. */
static void make(struct made *m, bool shuffled) {
  struct made_voxel *v = made_room((int64_t)SIDE * SIDE * 4 * (int64_t)sizeof *v);
  m->coord = made_room((int64_t)SIDE * SIDE * 8 * 12);
  made_seed = 1;
  int64_t n = made_sort(v, made_surface(SIDE, v), m->coord);
  m->offset[0] = 0, m->offset[1] = n, m->offset[2] = n;
  for (int64_t i = 0; i < n; i += 3)
    memcpy(m->coord + 3 * m->offset[2]++, m->coord + 3 * i, 3 * sizeof *m->coord);
  free(v);
  m->in = (struct pt_structure_in){.n = m->offset[2],
                                   .coord = m->coord,
                                   .offset = m->offset,
                                   .clouds = 2,
                                   .stages = STAGES,
                                   .stride = strides,
                                   .orders = ORDERS,
                                   .curve = curves,
                                   .perm = shuffled ? perms : NULL,
                                   .maps = 1};
}

static void same(const void *a, const void *b, int64_t n) {
  assert_int_equal(a == NULL, b == NULL);
  if (a) assert_memory_equal(a, b, (size_t)n * sizeof(int32_t));
}

static void same_stage(const struct pt_stage *a, const struct pt_stage *b, int64_t next) {
  assert_int_equal(a->n, b->n);
  same(a->offset, b->offset, 6);
  same(a->coord, b->coord, 3 * a->n);
  for (int c = 0; c < PT_CURVES; c++) same(a->order[c], b->order[c], a->n);
  same(a->start, b->start, next + 1);
  same(a->row, b->row, next);
  same(a->cluster, b->cluster, a->n);
  assert_int_equal(a->vox.blocks, b->vox.blocks);
  same(a->vox.start, b->vox.start, a->vox.blocks + 1);
  same(a->vox.cloud, b->vox.cloud, a->vox.blocks);
  same(a->vox.slot, b->vox.slot, a->vox.slots);
}

static void check_threads(bool shuffled) {
  struct made m;
  struct pt_env env;
  struct pt_structure one, many;
  struct ptv3_error e;
  make(&m, shuffled);
  pt_env_init(&env, 1, 0);
  assert_int_equal(pt_structure_build(&env, &m.in, &one, &e), PTV3_OK);
  for (env.threads = 2; env.threads <= 5; env.threads += 3) {
    assert_int_equal(pt_structure_build(&env, &m.in, &many, &e), PTV3_OK);
    same(one.input, many.input, m.in.n);
    for (int s = 0; s < STAGES; s++) {
      same(one.to[s], many.to[s], m.in.n);
      same_stage(&one.stage[s], &many.stage[s], s + 1 < STAGES ? one.stage[s + 1].n : 0);
    }
    pt_structure_free(&env, &many);
  }
  pt_structure_free(&env, &one);
  assert_int_equal(env.mem.used, 0);
  free(m.coord);
}

static void test_threads(void **state) {
  (void)state;
  check_threads(false);
  check_threads(true);
}

/* What the pooled rows say, checked without the code that made them. */
static void test_pooling(void **state) {
  struct made m;
  struct pt_env env;
  struct pt_structure s;
  struct ptv3_error e;
  (void)state;
  make(&m, true);
  pt_env_init(&env, 3, 0);
  assert_int_equal(pt_structure_build(&env, &m.in, &s, &e), PTV3_OK);
  for (int i = 0; i + 1 < STAGES; i++) {
    const struct pt_stage *t = &s.stage[i], *u = t + 1;
    for (int64_t r = 0; r < t->n; r++) {
      int64_t up = t->cluster[r];
      assert_int_equal(r >= t->offset[1], up >= u->offset[1]);
      for (int a = 0; a < 3; a++)
        assert_int_equal(t->coord[3 * r + a] >> u->shift, u->coord[3 * up + a]);
    }
    for (int64_t p = 0; p < u->n; p++)
      assert_int_equal(t->row ? t->row[p] : p, t->cluster[t->start[p]]);
  }
  pt_structure_free(&env, &s);
  free(m.coord);
}

static void refused(struct made *m, const char *why) {
  struct pt_env env;
  struct pt_structure s;
  struct ptv3_error e;
  pt_env_init(&env, 3, 0);
  assert_int_equal(pt_structure_build(&env, &m->in, &s, &e), PTV3_DATA);
  assert_non_null(strstr(e.message, why));
  assert_int_equal(env.mem.used, 0);
}

static void test_refused(void **state) {
  struct made m;
  (void)state;
  make(&m, false);
  int32_t *c = m.coord + 3 * (m.offset[1] + 1000), old[3];
  memcpy(old, c, sizeof old);
  c[1] = -7;
  refused(&m, "grid coordinate -7 of voxel");
  c[1] = 1 << 22;
  refused(&m, "cells wide");
  memcpy(c, c + 30, sizeof old);
  refused(&m, "two voxels of a cloud");
  memcpy(c, old, sizeof old);
  m.offset[1] = 0;
  refused(&m, "cloud 0 of the batch has no voxels");
  free(m.coord);
}

static void test_faults(void **state) {
  struct made m;
  struct pt_env env;
  struct pt_structure s;
  struct ptv3_error e;
  (void)state;
  make(&m, true);
  for (int64_t k = 1;; k++) {
    pt_env_init(&env, 2, 0);
    env.mem.fail_at = k;
    int status = pt_structure_build(&env, &m.in, &s, &e);
    if (!status) pt_structure_free(&env, &s);
    assert_int_equal(env.mem.used, 0);
    if (!status) break;
    assert_int_equal(status, PTV3_NO_MEMORY);
  }
  free(m.coord);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_pooling),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
