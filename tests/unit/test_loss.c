/* test_loss.c - the criteria of training: gradients of the reference against differences of its
 * values; every version where nothing is left to count, where labels are no classes, and
 * where logits are no numbers. */
#include "differences.h"

#include "kernels.h"
#include "loss.h"
#include "ops_made.h"
#include "val_loss.h"

struct made {
  struct pt_loss a;
  const struct pt_kernels *k;
};

static struct made made(int64_t n, int classes, const struct pt_criterion *k, int criteria) {
  struct made m = {.a = {.n = n, .classes = classes, .criteria = criteria, .clouds = 2}};
  int64_t *offset = made_room(3 * 8);
  int32_t *label = made_room(n * 4);
  memcpy(m.a.criterion, k, (size_t)criteria * sizeof *k);
  offset[0] = 0, offset[1] = n / 3, offset[2] = n;
  for (int64_t r = 0; r < n; r++)
    label[r] = (int32_t)(made_bits() % (uint64_t)(classes + 1)) - 1;
  m.a.offset = offset, m.a.label = label, m.a.scale = 1.0f;
  m.a.logits = made_floats(n * classes, 0.0f, 2.0f);
  m.a.g = made_floats(n * classes, NAN, 0.0f);
  m.a.value = made_room((1 + criteria) * 8), m.a.valid = made_room(criteria * 8);
  m.a.work = made_room(pt_loss_work(&m.a));
  m.k = pt_kernel_table("ref");
  return m;
}

static void drop(struct made *m) {
  free((void *)(uintptr_t)m->a.offset), free((void *)(uintptr_t)m->a.label);
  free((void *)(uintptr_t)m->a.logits), free(m->a.g), free(m->a.value), free(m->a.valid);
  free(m->a.work);
}

static double run(void *user) {
  struct made *m = user;
  const int64_t stride = (m->k->loss_scratch(&m->a, 0) + 63) / 64 * 64;
  struct pt_exec x = {.threads = 2, .scratch = made_room(2 * stride), .scratch_stride = stride};
  m->k->loss(&m->a, &x);
  free(x.scratch);
  return m->a.value[0];
}

static const float weights[] = {0.5f, 2.0f, 1.0f, 0.25f};
static const bool seen[] = {true, false, true, true};
static const struct pt_criterion all_kinds[] = {
    {.kind = PT_CROSS_ENTROPY, .loss_weight = 1.0f, .ignore = -1},
    {.kind = PT_CROSS_ENTROPY, .loss_weight = 0.5f, .ignore = 2, .weight = weights},
    {.loss_weight = 0.7f, .ignore = -1, .weight = weights, .smoothing = 0.2f},
    {.loss_weight = 0.1f, .ignore = -1, .smoothing = 0.1f, .sum = true},
    {.kind = PT_LOVASZ, .loss_weight = 1.0f, .ignore = -1},
    {.kind = PT_LOVASZ, .loss_weight = 2.0f, .ignore = -1, .all = true},
    {.kind = PT_LOVASZ, .loss_weight = 1.0f, .ignore = 0, .seen = seen},
    {.kind = PT_LOVASZ, .loss_weight = 1.0f, .ignore = -1, .per_image = true},
};
enum { KINDS = sizeof all_kinds / sizeof all_kinds[0] };

static void check_kinds(int first, int count) {
  struct made m = made(24, 4, all_kinds + first, count);
  float g[24 * 4];
  run(&m);
  memcpy(g, m.a.g, sizeof g);
  check_slopes("logits", (float *)(uintptr_t)m.a.logits, g, 24 * 4, run, &m, 0x1p-12f, 1e-5);
  drop(&m);
}

/* One by one and several together. With 24 rows no errors are so close that steps of 2^-12
 * would change their order. */
static void test_differences(void **state) {
  (void)state;
  for (int k = 0; k < KINDS; k++) check_kinds(k, 1);
  check_kinds(0, 4);
  check_kinds(2, 4);
  check_kinds(4, 4);
}

#define EACH_VERSION(k)                                             \
  int count_;                                                       \
  const struct pt_kernels *const *all_ = pt_kernel_tables(&count_); \
  for (int v_ = 0; v_ < count_ && ((k) = all_[v_]); v_++)

/* All labels ignored, or none a class: 0, gradient 0, nothing counted. */
static void test_nothing_left(void **state) {
  (void)state;
  for (int k = 0; k < KINDS; k++) {
    struct made m = made(1500, 4, all_kinds + k, 1);
    int32_t *label = (int32_t *)(uintptr_t)m.a.label;
    for (int i = 0; i < 1500; i++)
      label[i] = i % 3 == 0 ? m.a.criterion[0].ignore : i % 3 == 1 ? 4 : INT32_MIN;
    EACH_VERSION(m.k) {
      m.a.value[0] = NAN, m.a.valid[0] = 7;
      assert_true(run(&m) == 0.0 && m.a.value[1] == 0.0 && m.a.valid[0] == 0);
      for (int i = 0; i < 1500 * 4; i++) assert_true(m.a.g[i] == 0.0f);
    }
    drop(&m);
  }
}

/* The value does not change where ignored rows are added; their gradient is 0. */
static void test_ignored_rows(void **state) {
  (void)state;
  const struct pt_criterion both[2] = {all_kinds[2], all_kinds[4]};
  struct made m = made(3000, 4, both, 2), half = made(1500, 4, both, 2);
  int32_t *label = (int32_t *)(uintptr_t)m.a.label;
  memset((void *)(uintptr_t)m.a.logits, 0, 3000 * 4 * sizeof(float));
  for (int i = 0; i < 3000; i++) {
    label[i] = i % 2 ? half.a.label[i / 2] : i % 4 ? 99 : -1;
    for (int c = 0; c < 4 && i % 2; c++)
      ((float *)(uintptr_t)m.a.logits)[4 * i + c] = half.a.logits[i / 2 * 4 + c];
  }
  EACH_VERSION(m.k) {
    half.k = m.k;
    run(&m), run(&half);
    for (int i = 0; i < 2; i++) {
      assert_true(m.a.valid[i] == half.a.valid[i]);
      assert_true(fabs(m.a.value[i] - half.a.value[i]) < 1e-12);
    }
    for (int i = 0; i < 3000 * 4; i++)
      assert_true(m.a.g[i] == (i / 4 % 2 ? half.a.g[i / 8 * 4 + i % 4] : 0.0f));
  }
  drop(&m), drop(&half);
}

/* Equal rows are taken in order: errors 1/2 of four rows, of which the second has the class. */
static void test_ties(void **state) {
  (void)state;
  const struct pt_criterion one = {.kind = PT_LOVASZ, .loss_weight = 1.0f, .ignore = -1};
  struct made m = made(4, 2, &one, 1);
  const int32_t labels[4] = {0, 1, 0, 0};
  memcpy((void *)(uintptr_t)m.a.label, labels, sizeof labels);
  memset((void *)(uintptr_t)m.a.logits, 0, 4 * 2 * sizeof(float));
  EACH_VERSION(m.k) {
    run(&m);
    /* class 1: steps 1/2, 1/2, 0, 0; class 0: steps 1/3, 1/6, 1/4 ... */
    const double zero[4] = {1.0 / 3, 2.0 / 3 / 4, 1.0 / 4, 1.0 / 4}, one_[4] = {0.5, 0.5, 0, 0};
    for (int r = 0; r < 4; r++) {
      const double q0 = (labels[r] == 0 ? -zero[r] : zero[r]) / 2;
      const double q1 = (labels[r] == 1 ? -one_[r] : one_[r]) / 2;
      if (!(fabs((double)m.a.g[2 * r] - (q0 - q1) / 4) < 1e-7))
        fail_msg("%s: row %d: %g, not %g", m.k->name, r, (double)m.a.g[2 * r], (q0 - q1) / 4);
    }
  }
  drop(&m);
}

/* Not-a-number comes out, and nothing worse happens. */
static void test_not_a_number(void **state) {
  (void)state;
  for (int k = 0; k < KINDS; k++) {
    struct made m = made(2100, 4, all_kinds + k, 1);
    float *l = (float *)(uintptr_t)m.a.logits;
    for (int i = 0; i < 2100; i += 100) {
      l[4 * i + i / 100 % 4] = i % 200 ? NAN : -NAN;
      ((int32_t *)(uintptr_t)m.a.label)[i] = 3;
    }
    EACH_VERSION(m.k) assert_true(isnan(run(&m)));
    drop(&m);
  }
}

/* Validation's values, in parts of any size and in another order of rows, are those of the
 * definition: cross entropy to rounding, Lovasz-softmax to the width of its bins. */
static void test_validation(void **state) {
  (void)state;
  struct pt_mem mem;
  struct ptv3_error err;
  int32_t index[700];
  float part[700 * 4];
  pt_mem_init(&mem, 0);
  for (int k = 0; k < KINDS - 1; k++) { /* the last is a loss a cloud */
    struct made m = made(700, 4, all_kinds + k, 1);
    struct pt_criteria list = {.count = 1, .criterion = {all_kinds[k]}};
    struct pt_val_loss l = {.mem = &mem, .criteria = &list, .classes = 4};
    for (int i = 0; i < 700; i++) {
      index[i] = (i * 13) % 700;
      memcpy(part + 4 * i, m.a.logits + 4 * index[i], 4 * sizeof *part);
    }
    const double want = run(&m);
    assert_int_equal(pt_val_loss_begin(&l, m.a.label, 700, &err), PTV3_OK);
    for (int i = 0, n; i < 700; i += n) {
      n = i % 3 ? 97 : 64;
      if (n > 700 - i) n = 700 - i;
      pt_val_loss_rows(&l, index + i, n, part + 4 * i);
    }
    const bool sorts = all_kinds[k].kind == PT_LOVASZ;
    const double got = pt_val_loss_end(&l),
                 most = sorts ? (double)all_kinds[k].loss_weight * 1.25e-4 : 1e-9 * fabs(want);
    if (!(fabs(got - want) <= most)) fail_msg("criterion %d: %.9g, not %.9g", k, got, want);
    assert_true(want > 0.1);
    assert_int_equal(pt_val_loss_begin(&l, m.a.label, 0, &err), PTV3_OK);
    assert_true(isnan(pt_val_loss_end(&l))); /* nothing counts */
    assert_int_equal(pt_val_loss_begin(&l, NULL, 700, &err), PTV3_OK);
    pt_val_loss_rows(&l, index, 700, part);
    assert_true(isnan(pt_val_loss_end(&l)));
    pt_val_loss_free(&l);
    drop(&m);
  }
  assert_int_equal(mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_differences),  cmocka_unit_test(test_nothing_left),
      cmocka_unit_test(test_ignored_rows), cmocka_unit_test(test_ties),
      cmocka_unit_test(test_not_a_number), cmocka_unit_test(test_validation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
