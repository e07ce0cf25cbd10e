/* test_metrics.c - counts and scores against the reference vectors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "metrics.h"
#include "vectors.h"

static double number(json_t *c, const char *key) {
  return json_number_value(json_object_get(c, key));
}

static const void *tensor(struct vectors *v, const char *name, const char *what,
                          const char *type, int64_t *n) {
  char full[64];
  snprintf(full, sizeof full, "%s/%s", name, what);
  return vectors_get(v, full, type, n);
}

static void check_scores(const struct pt_metrics *m, json_t *c) {
  struct pt_scores s = pt_metrics_scores(m);
  assert_true(fabs(s.miou - number(c, "m_iou")) < 1e-12);
  assert_true(fabs(s.macc - number(c, "m_acc")) < 1e-12);
  assert_true(fabs(s.allacc - number(c, "all_acc")) < 1e-12);
  if (json_is_null(json_object_get(c, "m_iou_present_only")))
    assert_true(isnan(s.miou_present));
  else
    assert_true(fabs(s.miou_present - number(c, "m_iou_present_only")) < 1e-12);
}

static void check_case(struct vectors *v, const char *name, json_t *c) {
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  struct ptv3_error err;
  struct pt_metrics m, half;
  int k = (int)number(c, "K");
  int32_t ignore = (int32_t)number(c, "ignore_index");
  assert_int_equal(pt_metrics_init(&m, &mem, k, ignore, &err), 0);
  assert_int_equal(pt_metrics_init(&half, &mem, k, ignore, &err), 0);
  int64_t n;
  const int32_t *pred = tensor(v, name, "pred", "I32", &n);
  const int32_t *target = tensor(v, name, "target", "I32", NULL);
  pt_metrics_add(&m, pred, target, n / 3);
  pt_metrics_add(&half, pred + n / 3, target + n / 3, n - n / 3);
  pt_metrics_merge(&m, &half);
  const int64_t *inter = tensor(v, name, "intersection", "I64", NULL);
  const int64_t *uni = tensor(v, name, "union", "I64", NULL);
  const int64_t *count = tensor(v, name, "target_count", "I64", NULL);
  for (int i = 0; i < k; i++) {
    assert_int_equal(pt_metrics_intersection(&m, i), inter[i]);
    assert_int_equal(pt_metrics_union(&m, i), uni[i]);
    assert_int_equal(pt_metrics_target(&m, i), count[i]);
  }
  check_scores(&m, c);
  pt_metrics_free(&m);
  pt_metrics_free(&half);
  assert_int_equal(mem.used, 0);
}

static void reference(void **state) {
  (void)state;
  struct vectors v;
  if (!vectors_open(&v, "metrics")) return;
  json_t *meta = vectors_meta("metrics"), *c;
  const char *name;
  int cases = 0;
  json_object_foreach(json_object_get(meta, "cases"), name, c) {
    check_case(&v, name, c);
    cases++;
  }
  assert_int_equal(cases, 5);
  json_decref(meta);
  vectors_close(&v);
}

/* The validation room: labels of the voxels carried to all points, then the counts. */
static void validation(void **state) {
  (void)state;
  struct vectors v;
  if (!vectors_open(&v, "pipeline")) return;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  struct ptv3_error err;
  struct pt_metrics m;
  int64_t voxels, n;
  const float *logits = vectors_get(&v, "val/logits", "F32", &voxels);
  const float *margin = vectors_get(&v, "val/margin", "F32", NULL);
  const int32_t *inverse = vectors_get(&v, "val/inverse", "I32", &n);
  const int32_t *want = vectors_get(&v, "val/pred_full", "I32", NULL);
  int32_t *pred = malloc((size_t)n * sizeof *pred);
  for (int64_t i = 0; i < n; i++) {
    const float *row = logits + (int64_t)inverse[i] * 13;
    pred[i] = 0;
    for (int k = 1; k < 13; k++)
      if (row[k] > row[pred[i]]) pred[i] = k;
    if (margin[inverse[i]] < 1e-3f) pred[i] = want[i];
    assert_int_equal(pred[i], want[i]);
  }
  assert_int_equal(pt_metrics_init(&m, &mem, 13, -1, &err), 0);
  pt_metrics_add(&m, pred, vectors_get(&v, "room/segment", "I32", NULL), n);
  for (int k = 0; k < 13; k++) {
    assert_int_equal(pt_metrics_intersection(&m, k),
                     ((const int64_t *)vectors_get(&v, "val/intersection", "I64", NULL))[k]);
    assert_int_equal(pt_metrics_union(&m, k),
                     ((const int64_t *)vectors_get(&v, "val/union", "I64", NULL))[k]);
    assert_int_equal(pt_metrics_target(&m, k),
                     ((const int64_t *)vectors_get(&v, "val/target", "I64", NULL))[k]);
  }
  free(pred);
  pt_metrics_free(&m);
  vectors_close(&v);
}

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
  const struct CMUnitTest tests[] = {cmocka_unit_test(reference), cmocka_unit_test(validation),
                                     cmocka_unit_test(odd_labels)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
