/* test_metrics.c - labels that are no classes, and running out of memory. Counts and scores
 * against Pointcept's: tests/reference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "metrics.h"

static void odd_labels(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  struct ptv3_error err;
  struct pt_metrics m;
  assert_int_equal(pt_metrics_init(&m, &mem, 0, -1, &err), PTV3_INVALID);
  assert_int_equal(pt_metrics_init(&m, &mem, 3, -1, &err), 0);
  const int32_t pred[] = {0, 1, -1, 2, 1, 7}, target[] = {0, -1, 0, 9, 2, 1};
  pt_metrics_add(&m, pred, target, 6);
  assert_int_equal(m.ignored, 1);
  assert_int_equal(m.out_of_range, 1);
  assert_int_equal(m.out_of_range_label, 9);
  assert_int_equal(m.unpredicted[0], 1);
  assert_int_equal(pt_metrics_target(&m, 0), 2);
  assert_int_equal(pt_metrics_union(&m, 0), 2);
  assert_int_equal(pt_metrics_union(&m, 1), 2);
  assert_int_equal(pt_metrics_scores(&m).labelled, 3);
  pt_metrics_clear(&m);
  assert_int_equal(pt_metrics_target(&m, 0), 0);
  pt_metrics_free(&m);
  mem.fail_at = mem.calls + 1;
  int st = pt_metrics_init(&m, &mem, 3, -1, &err);
  assert_int_equal(st, err.status);
  assert_int_not_equal(st, 0);
  assert_int_equal(mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(odd_labels)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
