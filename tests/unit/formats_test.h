/* formats_test.h - what the tests of the point cloud readers share: bytes to a table, every
 * prefix of a file, every failing allocation. */
#ifndef FORMATS_TEST_H
#define FORMATS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env.h"
#include "file.h"
#include "table.h"

typedef int (*read_fn)(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                       struct ptv3_error *err);

static inline int read_bytes(read_fn fn, struct pt_env *env, const void *data, size_t size,
                             struct pt_table *t, struct ptv3_error *err) {
  uint8_t *copy = test_malloc(size ? size : 1); /* tight, so that the sanitizer sees overruns */
  memcpy(copy, data, size);
  struct pt_cursor c = {copy, (int64_t)size, 0, "test.file"};
  int status = fn(env, &c, t, err);
  test_free(copy);
  return status;
}

/* The bytes must be refused with this status and a message that has these words. */
static inline void refuse(read_fn fn, const void *data, size_t size, int status,
                          const char *words) {
  struct pt_env env;
  pt_env_init(&env, 2, 0);
  struct pt_table t;
  struct ptv3_error err = {0};
  int got = read_bytes(fn, &env, data, size, &t, &err);
  if (got != status)
    fail_msg("status %d, not %d: %s (wanted: %s)", got, status, err.message, words);
  if (!strstr(err.message, words)) fail_msg("'%s' lacks '%s'", err.message, words);
  assert_non_null(strstr(err.message, "test.file"));
  assert_int_equal(env.mem.used, 0);
  /* A lying header must not have led to an allocation. */
  assert_true(env.mem.peak < 1 << 20);
}

/* Reads every prefix: an error with a message, or a table; nothing may leak. Returns how
 * many prefixes were read without an error. */
static inline int every_prefix(read_fn fn, const void *data, size_t size) {
  struct pt_env env;
  pt_env_init(&env, 1, 0);
  int good = 0;
  for (size_t k = 0; k < size; k++) {
    struct pt_table t;
    struct ptv3_error err = {0};
    if (read_bytes(fn, &env, data, k, &t, &err) == 0) {
      good++;
      pt_table_free(&t);
    } else {
      assert_true(err.status != 0 && err.message[0] != 0);
    }
    assert_int_equal(env.mem.used, 0);
  }
  return good;
}

/* Fails the first, second, ... allocation until the read succeeds. */
static inline void every_failing_allocation(read_fn fn, const void *data, size_t size) {
  for (int64_t k = 1;; k++) {
    struct pt_env env;
    struct pt_table t;
    pt_env_init(&env, 1, 0);
    env.mem.fail_at = k;
    struct ptv3_error err = {0};
    int status = read_bytes(fn, &env, data, size, &t, k % 2 ? &err : NULL);
    if (status == 0) {
      pt_table_free(&t);
      assert_int_equal(env.mem.used, 0);
      assert_true(k > 2);
      return;
    }
    assert_int_equal(status, PTV3_NO_MEMORY);
    assert_int_equal(env.mem.used, 0);
    assert_true(k < 1000);
  }
}

/* Number w of row i of the column with this name. */
static inline double cell(const struct pt_table *t, const char *name, int64_t i, int w) {
  const struct pt_column *c = pt_table_find(t, name);
  if (!c) fail_msg("no column '%s'", name);
  return pt_load(c->data, c->type, i * c->width + w);
}

static inline enum pt_dtype type_of_column(const struct pt_table *t, const char *name) {
  const struct pt_column *c = pt_table_find(t, name);
  if (!c) fail_msg("no column '%s'", name);
  return c->type;
}

#endif
