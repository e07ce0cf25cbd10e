/* test_las.c - reading LAS: every version and format, extra bytes, lies and truncation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "las.h"
#include "las_made.h"

static struct pt_env env;
static int warnings;

static void count_warning(void *user, const char *message) {
  (void)user;
  (void)message;
  warnings++;
}

static int setup(void **state) {
  (void)state;
  pt_env_init(&env, 2, 0);
  env.warn = count_warning;
  warnings = 0;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  assert_int_equal(env.mem.used, 0);
  return 0;
}

static struct las_made m;

static int read_made(struct pt_table *t, struct ptv3_error *err) {
  struct pt_cursor c = las_cursor(&m);
  return pt_las_read(&env, &c, NULL, t, err);
}

static double value(const struct pt_table *t, const char *name, int64_t i, enum pt_dtype type) {
  const struct pt_column *col = pt_table_find(t, name);
  if (!col) fail_msg("no column %s (format %d)", name, m.format);
  assert_int_equal(col->type, type);
  assert_int_equal(col->width, 1);
  return pt_load(col->data, col->type, i);
}

#define EXPECT(name, type, expected) assert_true(value(t, name, i, type) == (double)(expected))

static void check_old(const struct pt_table *t, int64_t i, const uint8_t *p) {
  EXPECT("return_number", PT_U8, p[14] & 7);
  EXPECT("number_of_returns", PT_U8, p[14] >> 3 & 7);
  EXPECT("scan_direction_flag", PT_U8, p[14] >> 6 & 1);
  EXPECT("edge_of_flight_line", PT_U8, p[14] >> 7);
  EXPECT("classification", PT_U8, p[15] & 31);
  EXPECT("synthetic", PT_U8, p[15] >> 5 & 1);
  EXPECT("key_point", PT_U8, p[15] >> 6 & 1);
  EXPECT("withheld", PT_U8, p[15] >> 7);
  EXPECT("scan_angle", PT_F32, (int8_t)p[16]);
  EXPECT("point_source_id", PT_U16, pt_le16(p + 18));
}

static void check_new(const struct pt_table *t, int64_t i, const uint8_t *p) {
  EXPECT("return_number", PT_U8, p[14] & 15);
  EXPECT("number_of_returns", PT_U8, p[14] >> 4);
  EXPECT("synthetic", PT_U8, p[15] & 1);
  EXPECT("key_point", PT_U8, p[15] >> 1 & 1);
  EXPECT("withheld", PT_U8, p[15] >> 2 & 1);
  EXPECT("overlap", PT_U8, p[15] >> 3 & 1);
  EXPECT("scanner_channel", PT_U8, p[15] >> 4 & 3);
  EXPECT("scan_direction_flag", PT_U8, p[15] >> 6 & 1);
  EXPECT("edge_of_flight_line", PT_U8, p[15] >> 7);
  EXPECT("classification", PT_U8, p[16]);
  EXPECT("scan_angle", PT_F32, (float)((int16_t)pt_le16(p + 18) * 0.006));
  EXPECT("point_source_id", PT_U16, pt_le16(p + 20));
}

static void check_point(const struct pt_table *t, int64_t i) {
  const uint8_t *p = m.data + m.points_at + i * m.record;
  for (int k = 0; k < 3; k++)
    EXPECT(((const char *[]){"x", "y", "z"})[k], PT_F64,
           las_x(i, k) * (0.01 * (k + 1)) + (1000.0 * k - 7));
  EXPECT("intensity", PT_U16, pt_le16(p + 12));
  EXPECT("user_data", PT_U8, p[17]);
  (m.format < 6 ? check_old : check_new)(t, i, p);
  int gps = las_gps[m.format], rgb = las_rgb[m.format], nir = las_nir[m.format];
  if (gps >= 0) EXPECT("gps_time", PT_F64, 0.5 * (double)i - 3);
  for (int k = 0; k < 3 && rgb >= 0; k++)
    EXPECT(((const char *[]){"red", "green", "blue"})[k], PT_U16, pt_le16(p + rgb + 2 * k));
  if (nir >= 0) EXPECT("nir", PT_U16, pt_le16(p + nir));
  assert_true((pt_table_find(t, "gps_time") != NULL) == (gps >= 0));
  assert_true((pt_table_find(t, "red") != NULL) == (rgb >= 0));
  assert_true((pt_table_find(t, "nir") != NULL) == (nir >= 0));
}

static void test_formats(void **state) {
  (void)state;
  static const int last[5] = {1, 1, 3, 5, 10};
  for (int minor = 0; minor <= 4; minor++)
    for (int format = 0; format <= last[minor]; format++)
      for (int padded = 0; padded < 2; padded++) {
        struct pt_table t;
        struct ptv3_error err = {0};
        las_begin(&m, minor, format, padded);
        if (padded) las_vlr(&m, "somebody", 9, (const uint8_t *)"abc", 3);
        m.size += 5 * padded; /* a gap before the points */
        las_points(&m, 7, 3 * padded);
        assert_int_equal(read_made(&t, &err), PTV3_OK);
        assert_int_equal(t.n, 7);
        for (int64_t i = 0; i < 7; i++) check_point(&t, i);
        pt_table_free(&t);
      }
  assert_int_equal(warnings, 0);
}

/* More points than one block holds, and on several threads. */
static void test_blocks(void **state) {
  (void)state;
  struct pt_table t;
  int64_t n = 5000, size = 227 + n * 20;
  las_begin(&m, 2, 0, 0);
  las_points(&m, 1, 0);
  uint8_t *big = calloc(1, (size_t)size);
  memcpy(big, m.data, 227);
  pt_put32(big + 107, (uint32_t)n);
  for (int64_t i = 0; i < n; i++) las_point(&m, i, big + 227 + i * 20);
  struct pt_cursor c = {.data = big, .size = size, .name = "big.las"};
  assert_int_equal(pt_las_read(&env, &c, NULL, &t, NULL), PTV3_OK);
  for (int64_t i = 0; i < n; i++)
    assert_true(value(&t, "z", i, PT_F64) == las_x(i, 2) * (0.01 * 3) + 1993.0);
  pt_table_free(&t);
  free(big);
}

static void test_empty(void **state) {
  (void)state;
  struct pt_table t;
  las_begin(&m, 2, 3, 0);
  las_points(&m, 0, 0);
  assert_int_equal(read_made(&t, NULL), PTV3_OK);
  assert_int_equal(t.n, 0);
  assert_non_null(pt_table_find(&t, "x"));
  pt_table_free(&t);
}

static void test_select(void **state) {
  (void)state;
  struct pt_table t;
  const char *names[] = {"z", "X", "Classification", "nothing"};
  struct pt_las_select select = {names, 4};
  las_begin(&m, 4, 7, 0);
  las_points(&m, 4, 0);
  struct pt_cursor c = las_cursor(&m);
  assert_int_equal(pt_las_read(&env, &c, &select, &t, NULL), PTV3_OK);
  assert_int_equal(t.count, 3);
  assert_string_equal(t.col[0].name, "x");
  assert_string_equal(t.col[1].name, "z");
  assert_string_equal(t.col[2].name, "classification");
  int64_t i = 3;
  const struct pt_table *p = &t;
  assert_true(value(p, "classification", i, PT_U8) == m.data[m.points_at + 3 * 36 + 16]);
  pt_table_free(&t);
}

/* ---- extra bytes ---- */

static const enum pt_dtype extra_types[11] = {PT_U8,  PT_U8,  PT_I8,  PT_U16, PT_I16, PT_U32,
                                              PT_I32, PT_U64, PT_I64, PT_F32, PT_F64};

/* All types 1 to 30, described in two records. */
static int64_t describe_all(int options) {
  static uint8_t text[15 * 192];
  int64_t bytes = 0;
  for (int type = 1; type <= 30; type++) {
    char name[16];
    snprintf(name, sizeof name, "dim%d", type);
    las_describe(text + (type - 1) % 15 * 192, type, options, name, 0.5, 100);
    bytes += pt_dtype(extra_types[1 + (type - 1) % 10])->bytes * (1 + (type - 1) / 10);
    if (type % 15 == 0) las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  }
  return bytes;
}

static void check_extras(const struct pt_table *t, bool scaled, int64_t n) {
  for (int64_t i = 0, at; i < n; i++) {
    at = m.points_at + i * m.record + las_sizes[m.format];
    for (int type = 1; type <= 30; type++) {
      char name[16];
      snprintf(name, sizeof name, "dim%d", type);
      enum pt_dtype stored = extra_types[1 + (type - 1) % 10];
      const struct pt_column *col = pt_table_find(t, name);
      assert_non_null(col);
      assert_int_equal(col->type, scaled ? PT_F64 : stored);
      assert_int_equal(col->width, 1 + (type - 1) / 10);
      for (int k = 0; k < col->width; k++) {
        uint8_t raw[8];
        memcpy(raw, m.data + at, 8);
        double want = pt_load(raw, stored, 0);
        if (scaled) want = want * (0.5 * (k + 1)) + (100 + k);
        assert_true(pt_load(col->data, col->type, i * col->width + k) == want);
        at += pt_dtype(stored)->bytes;
      }
    }
  }
}

static void test_extra_types(void **state) {
  (void)state;
  for (int scaled = 0; scaled < 2; scaled++) {
    struct pt_table t;
    las_begin(&m, 4, 6, 0);
    int64_t bytes = describe_all(scaled ? 24 : 0);
    las_points(&m, 3, bytes + 2); /* two more that nobody describes */
    assert_int_equal(read_made(&t, NULL), PTV3_OK);
    check_extras(&t, scaled, 3);
    pt_table_free(&t);
  }
  assert_int_equal(warnings, 0);
}

static void test_extra_odd(void **state) {
  (void)state;
  struct pt_table t;
  uint8_t text[4 * 192];
  las_begin(&m, 4, 6, 0);
  las_describe(text, 0, 5, "bytes", 1, 0);
  las_describe(text + 192, 3, 0, "a", 1, 0);
  las_describe(text + 384, 77, 0, "unknown", 1, 0);
  las_describe(text + 576, 3, 0, "behind", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_points(&m, 3, 20);
  assert_int_equal(read_made(&t, NULL), PTV3_OK);
  assert_int_equal(pt_table_find(&t, "bytes")->width, 5);
  assert_true(value(&t, "a", 1, PT_U16) == pt_le16(m.data + m.points_at + m.record + 35));
  assert_null(pt_table_find(&t, "unknown"));
  assert_null(pt_table_find(&t, "behind"));
  assert_int_equal(warnings, 1);
  pt_table_free(&t);
}

static void test_extra_too_long(void **state) {
  (void)state;
  struct pt_table t;
  uint8_t text[192];
  las_begin(&m, 4, 6, 0);
  las_describe(text, 10, 0, "long", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_points(&m, 3, 7);
  assert_int_equal(read_made(&t, NULL), PTV3_OK);
  assert_null(pt_table_find(&t, "long"));
  assert_int_equal(warnings, 1);
  pt_table_free(&t);
}

/* ---- what is wrong ---- */

/* A file with some of everything. */
static void make_rich(void) {
  uint8_t text[192];
  las_begin(&m, 4, 7, 1);
  las_vlr(&m, "somebody", 9, (const uint8_t *)"abc", 3);
  las_describe(text, 9, 0, "reflectance", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_points(&m, 3, 4);
  las_evlr(&m, "somebody", 11, 20);
}

static void test_truncated(void **state) {
  (void)state;
  make_rich();
  for (int64_t n = 0; n <= m.size; n++) {
    struct pt_table t;
    struct ptv3_error err = {0};
    uint8_t *copy = malloc((size_t)n + 1); /* so that a read past the end is seen */
    memcpy(copy, m.data, (size_t)n);
    uint8_t *exact = realloc(copy, n > 0 ? (size_t)n : 1);
    struct pt_cursor c = {.data = exact, .size = n, .name = "cut.las"};
    int status = pt_las_read(&env, &c, NULL, &t, &err);
    assert_int_equal(status, n < m.size ? PTV3_FORMAT : PTV3_OK);
    if (status) assert_non_null(strstr(err.message, "cut.las"));
    pt_table_free(&t);
    free(exact);
  }
}

struct lie {
  int at, bytes;
  uint64_t value;
  int status;
};

static void test_lies(void **state) {
  (void)state;
  static const struct lie lies[] = {
      {0, 1, 'X', PTV3_FORMAT},
      {24, 1, 2, PTV3_UNSUPPORTED},
      {25, 1, 5, PTV3_UNSUPPORTED},
      {94, 2, 374, PTV3_FORMAT},
      {94, 2, 65535, PTV3_FORMAT},
      {96, 4, 100, PTV3_FORMAT},
      {96, 4, 0xffffffff, PTV3_FORMAT},
      {100, 4, 3, PTV3_FORMAT},
      {100, 4, 0xffffffff, PTV3_FORMAT},
      {104, 1, 11, PTV3_UNSUPPORTED},
      {104, 1, 0x47, PTV3_UNSUPPORTED},
      {104, 1, 0x87, PTV3_UNSUPPORTED},
      {105, 2, 35, PTV3_FORMAT},
      {105, 2, 65535, PTV3_FORMAT},
      {247, 8, 6, PTV3_FORMAT},
      {247, 8, 1ull << 60, PTV3_FORMAT},
      {247, 8, UINT64_MAX, PTV3_FORMAT},
      {235, 8, UINT64_MAX, PTV3_FORMAT},
      {235, 8, 1ull << 40, PTV3_FORMAT},
      {243, 4, 0xffffffff, PTV3_FORMAT},
      {131, 8, 0, PTV3_FORMAT},
      {139, 8, 0x7ff8000000000000, PTV3_FORMAT},
      {171, 8, 0x7ff0000000000000, PTV3_FORMAT},
  };
  for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
    struct pt_table t;
    struct ptv3_error err = {0};
    make_rich();
    for (int b = 0; b < lies[k].bytes; b++)
      m.data[lies[k].at + b] = (uint8_t)(lies[k].value >> 8 * b);
    int status = read_made(&t, &err);
    if (status != lies[k].status)
      fail_msg("lie %zu at %d: status %d '%s'", k, lies[k].at, status, err.message);
    assert_int_equal(env.mem.used, 0);
    assert_true(env.mem.peak < 1 << 20);
  }
}

static void test_record_lies(void **state) {
  (void)state;
  struct pt_table t;
  make_rich();
  pt_put16(m.data + 399 + 20, 60000); /* the length of the first record */
  assert_int_equal(read_made(&t, NULL), PTV3_FORMAT);
  make_rich();
  pt_put64(m.data + m.size - 80 + 20, UINT64_MAX); /* and of the extended one */
  assert_int_equal(read_made(&t, NULL), PTV3_FORMAT);
  make_rich();
  pt_put64(m.data + m.size - 80 + 20, 21);
  assert_int_equal(read_made(&t, NULL), PTV3_FORMAT);
}

static void test_legacy_count(void **state) {
  (void)state;
  struct pt_table t;
  las_begin(&m, 4, 3, 0);
  las_points(&m, 5, 0);
  pt_put64(m.data + 247, 0);
  assert_int_equal(read_made(&t, NULL), PTV3_OK);
  assert_int_equal(t.n, 5);
  pt_table_free(&t);
}

static void test_no_memory(void **state) {
  (void)state;
  int status = PTV3_NO_MEMORY;
  make_rich();
  for (int64_t k = 1; status; k++) {
    struct pt_table t;
    struct ptv3_error err = {0};
    env.mem.calls = 0;
    env.mem.fail_at = k;
    status = read_made(&t, &err);
    assert_true(status == PTV3_OK || status == PTV3_NO_MEMORY);
    assert_int_equal(err.status, status);
    pt_table_free(&t);
    assert_int_equal(env.mem.used, 0);
    assert_true(k < 200);
  }
  env.mem.fail_at = 0;
}

static bool stop_now(void *user, const char *what, int64_t done, int64_t total) {
  (void)user, (void)what, (void)done, (void)total;
  return false;
}

static void test_cancelled(void **state) {
  (void)state;
  struct pt_table t;
  make_rich();
  env.progress = stop_now;
  assert_int_equal(read_made(&t, NULL), PTV3_CANCELLED);
  env.progress = NULL;
}

/* ---- files ---- */

static void test_no_laszip(void **state) {
  (void)state;
  char path[] = "/tmp/test_las_XXXXXX";
  struct pt_table t;
  struct ptv3_error err = {0};
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  make_rich();
  m.data[104] |= 0x80;
  assert_int_equal(write(fd, m.data, (size_t)m.size), m.size);
  close(fd);
  char *before = getenv("PTV3_LASZIP");
  char *kept = before ? strdup(before) : NULL;
  setenv("PTV3_LASZIP", "/nowhere/liblaszip.so", 1);
  assert_int_equal(pt_las_read_file(&env, path, NULL, &t, &err), PTV3_UNSUPPORTED);
  assert_non_null(strstr(err.message, "LASzip"));
  assert_non_null(strstr(err.message, "PTV3_LASZIP names"));
  if (kept)
    setenv("PTV3_LASZIP", kept, 1);
  else
    unsetenv("PTV3_LASZIP");
  free(kept);
  unlink(path);
}

/* Reads a file of the shared test data; false when it is not there. */
static bool read_shared(const char *name, struct pt_table *t, struct ptv3_error *err) {
  char path[256];
  snprintf(path, sizeof path, "../shared/data/formats/%s", name);
  if (!pt_is_file(path)) {
    printf("skipped: no %s\n", path);
    return false;
  }
  pt_las_read_file(&env, path, NULL, t, err);
  return true;
}

static void test_real_las(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t n;
    int columns;
  } files[] = {
      {"simple1_1.las", 1065, 16},       {"simple.las", 1065, 19},
      {"simple1_3.las", 999, 16},        {"test1_4.las", 1000, 18},
      {"1_4_w_evlr.las", 1000, 18},      {"extrabytes.las", 1065, 24},
      {"vegetation_1_3.las", 10683, 16}, {"unregistered_extra_bytes.las", 4, 18},
  };
  for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
    struct pt_table t;
    struct ptv3_error err = {0};
    if (!read_shared(files[k].name, &t, &err)) continue;
    assert_int_equal(err.status, PTV3_OK);
    assert_int_equal(t.n, files[k].n);
    assert_int_equal(t.count, files[k].columns);
    pt_table_free(&t);
  }
}

/* The same points compressed and not give the same columns. */
static void test_real_laz(void **state) {
  (void)state;
  static const char *const pairs[][2] = {{"simple.las", "laz/simple.laz"},
                                         {"1_4_w_evlr.las", "laz/1_4_w_evlr.laz"},
                                         {"extrabytes.las", "laz/extra.laz"}};
  for (int k = 0; k < 3; k++) {
    struct pt_table a, b;
    struct ptv3_error err = {0}, laz = {0};
    if (!read_shared(pairs[k][0], &a, &err)) continue;
    read_shared(pairs[k][1], &b, &laz);
    if (laz.status == PTV3_UNSUPPORTED) printf("skipped: %s\n", laz.message);
    if (laz.status == PTV3_OK) {
      assert_int_equal(a.n, b.n);
      assert_int_equal(a.count, b.count);
      for (int i = 0; i < a.count; i++)
        assert_memory_equal(a.col[i].data, b.col[i].data,
                            (size_t)(a.n * a.col[i].width * pt_dtype(a.col[i].type)->bytes));
      pt_table_free(&b);
    } else {
      assert_int_equal(laz.status, PTV3_UNSUPPORTED);
    }
    pt_table_free(&a);
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_formats),     TEST(test_blocks),         TEST(test_empty),
      TEST(test_select),      TEST(test_extra_types),    TEST(test_extra_odd),
      TEST(test_truncated),   TEST(test_extra_too_long), TEST(test_lies),
      TEST(test_record_lies), TEST(test_legacy_count),   TEST(test_no_memory),
      TEST(test_cancelled),   TEST(test_no_laszip),      TEST(test_real_las),
      TEST(test_real_laz),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
