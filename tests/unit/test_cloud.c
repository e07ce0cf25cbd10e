/* test_cloud.c - channels of a cloud: adding, selecting, copying, running out of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud.h"

static int fill(struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_channel *coord = pt_cloud_add(c, "coord", PT_F32, 3, err);
  if (!coord) return pt_status(err);
  for (int i = 0; i < 12; i++) ((float *)coord->data)[i] = (float)i;
  struct pt_channel *color = pt_cloud_add(c, "color", PT_U8, 3, err);
  if (!color) return pt_status(err);
  for (int i = 0; i < 12; i++) ((uint8_t *)color->data)[i] = (uint8_t)(i * 10);
  struct pt_channel *segment = pt_cloud_add(c, "segment", PT_I32, 1, err);
  if (!segment) return pt_status(err);
  for (int i = 0; i < 4; i++) ((int32_t *)segment->data)[i] = i;
  return pt_cloud_copy_channel(c, "segment", "origin_segment", err);
}

static void select_points(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  struct ptv3_error err = {0};
  struct pt_cloud c;
  pt_cloud_init(&c, &mem, 4);
  assert_int_equal(fill(&c, &err), 0);
  const int32_t index[] = {3, 1};
  assert_int_equal(pt_cloud_select(&c, index, 2, &err), 0);
  assert_int_equal(c.n, 2);
  assert_int_equal(c.n_origin, 4);
  const struct pt_channel *coord = pt_cloud_find(&c, "coord"),
                          *color = pt_cloud_find(&c, "color");
  assert_true(pt_channel_at(coord, 0, 2) == 11 && pt_channel_at(coord, 1, 0) == 3);
  assert_true(pt_channel_at(color, 0, 0) == 90 && pt_channel_at(color, 1, 2) == 50);
  assert_int_equal(pt_cloud_find(&c, "segment")->n, 2);
  assert_int_equal(pt_cloud_find(&c, "origin_segment")->n, 4);
  assert_true(pt_channel_at(pt_cloud_find(&c, "origin_segment"), 2, 0) == 2);
  pt_cloud_remove(&c, "color");
  pt_cloud_remove(&c, "color");
  assert_null(pt_cloud_need(&c, "color", "Collect", &err));
  assert_int_equal(err.status, PTV3_DATA);
  assert_non_null(strstr(err.message, "'color'"));
  pt_cloud_free(&c);
  assert_int_equal(mem.used, 0);
}

static void replace_and_fill_up(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  struct ptv3_error err = {0};
  struct pt_cloud c;
  pt_cloud_init(&c, &mem, 2);
  char name[16] = "a";
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    name[1] = (char)('a' + i);
    assert_non_null(pt_cloud_add(&c, name, PT_F32, 1, &err));
  }
  assert_non_null(pt_cloud_add(&c, name, PT_F64, 2, &err)); /* in place of the last */
  assert_int_equal(pt_cloud_find(&c, name)->width, 2);
  assert_null(pt_cloud_add(&c, "one more", PT_F32, 1, &err));
  assert_int_equal(err.status, PTV3_UNSUPPORTED);
  pt_cloud_free(&c);
  assert_int_equal(mem.used, 0);
}

static int all_of_it(struct pt_mem *mem, struct ptv3_error *err) {
  struct pt_cloud c, d = {0};
  pt_cloud_init(&c, mem, 4);
  const int32_t index[] = {0, 2};
  int st = fill(&c, err);
  if (!st) st = pt_cloud_convert(&c, pt_cloud_find(&c, "color"), PT_F32, err);
  if (!st) st = pt_cloud_copy(&d, &c, err);
  if (!st) st = pt_cloud_select(&c, index, 2, err);
  if (!st) assert_true(pt_channel_at(pt_cloud_find(&c, "color"), 1, 0) == 60);
  if (!st) assert_true(pt_channel_at(pt_cloud_find(&d, "color"), 3, 2) == 110);
  pt_cloud_free(&c);
  pt_cloud_free(&d);
  return st;
}

static void no_memory(void **state) {
  (void)state;
  for (int64_t k = 1;; k++) {
    struct pt_mem mem;
    pt_mem_init(&mem, 0);
    mem.fail_at = k;
    struct ptv3_error err = {0};
    int st = all_of_it(&mem, &err);
    assert_int_equal(mem.used, 0);
    if (!st) break;
    assert_true(k < 40);
  }
}

/* A borrowing cloud changes nothing of the other one, whatever is done to it. */
static void borrow(void **state) {
  (void)state;
  struct pt_mem mem;
  struct ptv3_error err = {0};
  struct pt_cloud a, b;
  pt_mem_init(&mem, 0);
  pt_cloud_init(&a, &mem, 3);
  static const char *const names[] = {"coord", "color", "strength", "normal"};
  for (int i = 0; i < 4; i++) {
    struct pt_channel *ch = pt_cloud_add(&a, names[i], PT_F32, 1, &err);
    assert_non_null(ch);
    for (int k = 0; k < 3; k++) ((float *)ch->data)[k] = (float)(10 * i + k);
  }
  int64_t before = mem.used;
  pt_cloud_borrow(&b, &a);
  assert_int_equal(mem.used, before);
  struct pt_channel *coord = pt_cloud_find(&b, "coord");
  assert_int_equal(pt_cloud_own(&b, coord, &err), 0);
  ((float *)coord->data)[0] = 99;
  pt_cloud_remove(&b, "color");
  assert_int_equal(pt_cloud_convert(&b, pt_cloud_find(&b, "strength"), PT_F64, &err), 0);
  const int32_t index[] = {2, 0};
  assert_int_equal(pt_cloud_select(&b, index, 2, &err), 0);
  assert_true(pt_channel_at(pt_cloud_find(&b, "coord"), 1, 0) == 99);
  assert_true(pt_channel_at(pt_cloud_find(&b, "normal"), 0, 0) == 32);
  pt_cloud_free(&b);
  assert_int_equal(mem.used, before);
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 3; k++)
      assert_true(pt_channel_at(pt_cloud_find(&a, names[i]), k, 0) == 10 * i + k);
  pt_cloud_borrow(&b, &a);
  mem.fail_at = mem.calls + 1;
  assert_int_equal(pt_cloud_own(&b, pt_cloud_find(&b, "coord"), &err), PTV3_NO_MEMORY);
  mem.fail_at = 0;
  pt_cloud_free(&b);
  pt_cloud_free(&a);
  assert_int_equal(mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(select_points),
      cmocka_unit_test(replace_and_fill_up),
      cmocka_unit_test(no_memory),
      cmocka_unit_test(borrow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
