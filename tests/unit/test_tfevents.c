/* test_tfevents.c - event files: what is written is read, going on with a file, damage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tfevents.h"

static char path[64];

static void checksum(void **state) {
  (void)state;
  uint8_t zero[32] = {0};
  assert_int_equal(pt_crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
  assert_int_equal(pt_crc32c(zero, 32), 0x8a9136aa); /* RFC 3720, B.4 */
}

static void write_some(struct pt_mem *mem, int count) {
  struct pt_tfevents t;
  assert_int_equal(pt_tfevents_create(&t, mem, path, NULL), 0);
  for (int i = 0; i < count; i++)
    assert_int_equal(pt_tfevents_scalar(&t, i % 3 ? "train_batch/loss" : "val/mIoU", i * 100,
                                        1e9 + 0.5 * i, 0.25 * i, NULL),
                     0);
  pt_tfevents_close(&t);
}

static int count_records(const uint8_t *data, int64_t size, int64_t *end) {
  struct pt_cursor c = {data, size, 0, path};
  struct pt_tfevent e;
  int n = 0;
  while (pt_tfevents_next(&c, &e)) n++;
  *end = c.pos;
  return n;
}

static void what_is_written_is_read(void **state) {
  (void)state;
  struct pt_mem mem;
  struct pt_map map;
  struct pt_tfevent e;
  pt_mem_init(&mem, 0);
  write_some(&mem, 10);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  struct pt_cursor c = pt_cursor_of(&map);
  assert_true(pt_tfevents_next(&c, &e) && !e.tag && e.time > 1.7e9);
  for (int i = 0; i < 10; i++) {
    assert_true(pt_tfevents_next(&c, &e));
    assert_int_equal(e.step, i * 100);
    assert_true(e.time == 1e9 + 0.5 * i && e.value == 0.25f * (float)i);
    assert_int_equal(e.tag_len, i % 3 ? 16 : 8);
    assert_memory_equal(e.tag, i % 3 ? "train_batch/loss" : "val/mIoU", (size_t)e.tag_len);
  }
  assert_false(pt_tfevents_next(&c, &e));
  assert_int_equal(c.pos, map.size);
  pt_map_close(&map);
  unlink(path);
  assert_int_equal(mem.used, 0);
}

static bool below_600(void *user, const struct pt_tfevent *e) {
  (void)user;
  return e->step < 600;
}

static void going_on(void **state) {
  (void)state;
  struct pt_mem mem;
  struct pt_map map;
  struct pt_tfevents t;
  int64_t end;
  pt_mem_init(&mem, 0);
  write_some(&mem, 10);
  assert_int_equal(pt_tfevents_continue(&t, &mem, path, below_600, NULL, NULL), 0);
  assert_int_equal(pt_tfevents_scalar(&t, "x", 601, 0, NAN, NULL), 0);
  pt_tfevents_close(&t);
  FILE *f = fopen(path, "ab"); /* half a record */
  fwrite("\5\0\0\0\0", 1, 5, f);
  fclose(f);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  assert_int_equal(count_records(map.data, map.size, &end), 1 + 6 + 1);
  assert_int_equal(end + 5, map.size);
  pt_map_close(&map);
  assert_int_equal(pt_tfevents_continue(&t, &mem, path, below_600, NULL, NULL), 0);
  pt_tfevents_close(&t);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  assert_int_equal(count_records(map.data, map.size, &end), 1 + 6);
  assert_int_equal(end, map.size);
  pt_map_close(&map);
  unlink(path);
  assert_int_equal(pt_tfevents_continue(&t, &mem, path, below_600, NULL, NULL), 0);
  pt_tfevents_close(&t);
  assert_true(pt_is_file(path));
  unlink(path);
  assert_int_equal(mem.used, 0);
}

/* Every prefix and every changed byte: fewer records, never more, nothing beyond the end. */
static void damage(void **state) {
  (void)state;
  struct pt_mem mem;
  struct pt_map map;
  int64_t end;
  pt_mem_init(&mem, 0);
  write_some(&mem, 4);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  for (int64_t n = 0; n < map.size; n++) {
    uint8_t *copy = test_malloc((size_t)n + 1);
    memcpy(copy, map.data, (size_t)n);
    assert_true(count_records(copy, n, &end) < 5 && end <= n);
    test_free(copy);
  }
  uint8_t *copy = test_malloc((size_t)map.size);
  for (int64_t k = 0; k < map.size; k++) {
    memcpy(copy, map.data, (size_t)map.size);
    copy[k] ^= 0x10;
    assert_true(count_records(copy, map.size, &end) < 5);
  }
  test_free(copy);
  pt_map_close(&map);
  unlink(path);
}

/* Records with right checksums around data that are no event. */
static void strange_data(void **state) {
  (void)state;
  static const char *const data[] = {"",
                                     "\x2a",
                                     "\x2a\x7f",
                                     "\x2a\x03\x0a\x01\x0a",
                                     "\x10",
                                     "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                     "\x07\x07",
                                     "\x09\x01",
                                     "\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
                                     "\x2a\x05\x0a\x03\x12\x01x"};
  for (size_t k = 0; k < sizeof data / sizeof *data; k++) {
    size_t n = strlen(data[k]);
    uint8_t *r = test_malloc(n + 16);
    struct pt_tfevent e;
    pt_put64(r, n);
    memcpy(r + 12, data[k], n);
    for (int part = 0; part < 2; part++) {
      uint32_t crc = part ? pt_crc32c(r + 12, (int64_t)n) : pt_crc32c(r, 8);
      pt_put32(part ? r + 12 + n : r + 8, (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8));
    }
    struct pt_cursor c = {r, (int64_t)n + 16, 0, "x"};
    assert_true(pt_tfevents_next(&c, &e));
    assert_false(pt_tfevents_next(&c, &e));
    test_free(r);
  }
}

static void mishaps(void **state) {
  (void)state;
  struct pt_mem mem;
  struct pt_tfevents t;
  struct ptv3_error err;
  char tag[500] = {0};
  pt_mem_init(&mem, 0);
  assert_int_equal(pt_tfevents_create(&t, &mem, "/no/such/folder/tfevents", &err), PTV3_IO);
  assert_non_null(strstr(err.message, "/no/such/folder"));
  mem.fail_at = mem.calls + 1;
  int status = pt_tfevents_create(&t, &mem, path, &err);
  assert_int_equal(status, err.status);
  assert_int_not_equal(status, 0);
  mem.fail_at = 0;
  assert_int_equal(pt_tfevents_create(&t, &mem, path, &err), 0);
  memset(tag, 'x', 450);
  assert_int_equal(pt_tfevents_scalar(&t, tag, 0, 0, 0, &err), PTV3_INVALID);
  pt_tfevents_close(&t);
  pt_tfevents_close(&t);
  unlink(path);
  assert_int_equal(mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(checksum),     cmocka_unit_test(what_is_written_is_read),
      cmocka_unit_test(going_on),     cmocka_unit_test(damage),
      cmocka_unit_test(strange_data), cmocka_unit_test(mishaps),
  };
  snprintf(path, sizeof path, "/tmp/ptv3-%d.tfevents", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
