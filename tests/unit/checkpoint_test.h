/* checkpoint_test.h - what the tests of the checkpoint readers share. */
#ifndef CHECKPOINT_TEST_H
#define CHECKPOINT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tensors.h"

/* Reads from a tight copy, so that the sanitizer sees overruns; *copy is to be freed after
 * the set. */
static inline int read_copy(struct pt_tensors *t, struct pt_mem *mem, const void *data,
                            int64_t size, uint8_t **copy, struct ptv3_error *err) {
  *copy = malloc(size > 0 ? (size_t)size : 1);
  assert_non_null(*copy);
  if (size > 0) memcpy(*copy, data, (size_t)size);
  return pt_tensors_read(t, mem, (struct pt_cursor){*copy, size, 0, "test.file"}, err);
}

/* The bytes must be refused with this status and a message that has these words. */
static inline void refuse(const void *data, int64_t size, int status, const char *words) {
  struct pt_mem mem;
  struct pt_tensors t;
  struct ptv3_error err = {0};
  uint8_t *copy;
  pt_mem_init(&mem, 0);
  int got = read_copy(&t, &mem, data, size, &copy, &err);
  if (got != status) fail_msg("status %d, not %d: %s (%s)", got, status, err.message, words);
  if (!strstr(err.message, words)) fail_msg("'%s' lacks '%s'", err.message, words);
  if (!strstr(err.message, "test.file")) fail_msg("'%s' lacks the file", err.message);
  assert_int_equal(mem.used, 0);
  assert_true(mem.peak < 1 << 20); /* no allocation by a lying header */
  free(copy);
}

/* Every prefix is refused, without a leak. */
static inline void every_prefix_fails(const char *path) {
  struct pt_mem mem;
  struct pt_map map;
  pt_mem_init(&mem, 0);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  for (int64_t n = 0; n < map.size; n++) {
    struct pt_tensors t;
    struct ptv3_error err = {0};
    uint8_t *copy;
    if (read_copy(&t, &mem, map.data, n, &copy, &err) == 0)
      fail_msg("%s reads when cut to %d bytes", path, (int)n);
    assert_true(err.message[0] != 0);
    assert_int_equal(mem.used, 0);
    free(copy);
  }
  pt_map_close(&map);
}

/* Every byte changed in turn: read or refused, but without a leak or an overrun. */
static inline void every_byte_changed(const char *path) {
  struct pt_mem mem;
  struct pt_map map;
  pt_mem_init(&mem, 0);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  for (int64_t i = 0; i < map.size; i++)
    for (int k = 0; k < 2; k++) {
      struct pt_tensors t;
      uint8_t *copy = malloc((size_t)map.size);
      assert_non_null(copy);
      memcpy(copy, map.data, (size_t)map.size);
      copy[i] = k ? 0xff : (uint8_t)(copy[i] ^ 1);
      if (pt_tensors_read(&t, &mem, (struct pt_cursor){copy, map.size, 0, "x"}, NULL) == 0) {
        for (int64_t j = 0; j < t.count; j++)
          if (t.item[j].count < 1000) {
            double out[1000];
            pt_tensor_copy(&t.item[j], PT_F64, out);
          }
        pt_tensors_free(&t);
      }
      assert_int_equal(mem.used, 0);
      free(copy);
    }
  pt_map_close(&map);
}

/* Fails the first, second, … allocation until the file opens. */
static inline void every_failing_allocation(const char *path) {
  for (int64_t k = 1;; k++) {
    struct pt_mem mem;
    struct pt_tensors t;
    struct ptv3_error err = {0};
    pt_mem_init(&mem, 0);
    mem.fail_at = k;
    int status = pt_tensors_open(&t, &mem, path, k % 2 ? &err : NULL);
    if (status == 0) {
      pt_tensors_free(&t);
      assert_int_equal(mem.used, 0);
      assert_true(k > 5);
      return;
    }
    assert_int_equal(status, PTV3_NO_MEMORY);
    assert_int_equal(mem.used, 0);
    if (k % 2) assert_non_null(strstr(err.message, "(test)"));
    assert_true(k < 10000);
  }
}

/* Both sets hold the same tensors; a BF16 of one may be an F32 of the other. */
static inline void same_sets(const struct pt_tensors *a, const struct pt_tensors *b) {
  assert_int_equal(a->count, b->count);
  for (int64_t i = 0; i < a->count; i++) {
    const struct pt_tensor *x = &a->item[i], *y = pt_tensors_find(b, a->item[i].name);
    if (!y) fail_msg("no tensor '%s'", x->name);
    enum pt_dtype type = x->type == PT_BF16 ? y->type : x->type;
    assert_int_equal(type, y->type);
    assert_int_equal(x->ndim, y->ndim);
    assert_memory_equal(x->shape, y->shape, sizeof x->shape);
    assert_int_equal(x->count, y->count);
    size_t bytes = (size_t)(x->count * pt_dtype(type)->bytes);
    char *p = malloc(bytes + 1), *q = malloc(bytes + 1);
    assert_true(p && q);
    pt_tensor_copy(x, type, p);
    pt_tensor_copy(y, type, q);
    if (memcmp(p, q, bytes) != 0) fail_msg("tensor '%s' differs", x->name);
    free(p);
    free(q);
  }
}

#endif
