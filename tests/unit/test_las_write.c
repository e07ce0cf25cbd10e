/* test_las_write.c - LAS written again with labels, and clouds written as LAS. */
#include <math.h>
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
#include "laz.h"

static struct pt_env env;
static int warnings;
static char folder[64], in_path[96], out_path[96], laz_path[96];

static void count_warning(void *user, const char *message) {
  (void)user;
  (void)message;
  warnings++;
}

static int setup(void **state) {
  (void)state;
  pt_env_init(&env, 1, 0);
  env.warn = count_warning;
  warnings = 0;
  snprintf(folder, sizeof folder, "/tmp/test_las_XXXXXX");
  if (!mkdtemp(folder)) return 1;
  snprintf(in_path, sizeof in_path, "%s/in.las", folder);
  snprintf(out_path, sizeof out_path, "%s/out.las", folder);
  snprintf(laz_path, sizeof laz_path, "%s/out.LAZ", folder);
  return 0;
}

/* The folder must be empty but for these files: nothing temporary is left. */
static int teardown(void **state) {
  (void)state;
  unlink(in_path);
  unlink(out_path);
  unlink(laz_path);
  assert_int_equal(rmdir(folder), 0);
  assert_int_equal(env.mem.used, 0);
  return 0;
}

static struct las_made m, back; /* back: what was written */

static void save(const char *path) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(m.data, 1, (size_t)m.size, f), m.size);
  fclose(f);
}

static void load(const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  memset(&back, 0, sizeof back);
  back.size = (int64_t)fread(back.data, 1, sizeof back.data, f);
  fclose(f);
  back.points_at = pt_le32(back.data + 96);
  back.record = pt_le16(back.data + 105);
}

enum { N = 6 };
static const uint8_t classes[N] = {3, 0, 31, 7, 7, 12},
                     large_classes[N] = {3, 0, 200, 7, 255, 12};
static const float confidence[N] = {0, 0.25f, 1, 0.5f, 0.125f, 0.9f};

static struct pt_las_edit edit_of(void) {
  return (struct pt_las_edit){.n = N,
                              .classification = m.format < 6 ? classes : large_classes,
                              .confidence = confidence};
}

static int rewrite(const char *to, struct ptv3_error *err) {
  struct pt_las_edit edit = edit_of();
  return pt_las_rewrite(&env, in_path, to, &edit, err);
}

/* The records of `back` are those of m but for the class, and with the confidence in place
 * of `old` bytes at `at`. */
static void check_records(int64_t at, int64_t old) {
  const struct pt_las_edit edit = edit_of();
  for (int64_t i = 0; i < N; i++) {
    uint8_t want[512], *p = m.data + m.points_at + i * m.record;
    memcpy(want, p, (size_t)at);
    memcpy(want + at, &confidence[i], 4);
    memcpy(want + at + 4, p + at + old, (size_t)(m.record - at - old));
    if (m.format < 6)
      want[15] = (uint8_t)((p[15] & 0xe0) | edit.classification[i]);
    else
      want[16] = edit.classification[i];
    assert_memory_equal(want, back.data + back.points_at + i * back.record,
                        (size_t)back.record);
  }
}

/* The header is the same but for what has to follow. */
static void check_header(void) {
  int64_t size = pt_le16(m.data + 94);
  for (int64_t i = 0; i < size; i++)
    if ((i < 96 || i >= 107) && (i < 227 || i >= 247))
      assert_int_equal(m.data[i], back.data[i]);
  assert_int_equal(m.data[104], back.data[104]);
}

static const struct pt_column *read_back(struct pt_table *t, const char *name) {
  struct ptv3_error err = {0};
  if (pt_las_read_file(&env, out_path, NULL, t, &err)) fail_msg("%s", err.message);
  return pt_table_find(t, name);
}

static void check_confidence(void) {
  struct pt_table t;
  const struct pt_column *c = read_back(&t, "confidence");
  assert_non_null(c);
  assert_int_equal(c->type, PT_F32);
  assert_memory_equal(c->data, confidence, sizeof confidence);
  assert_memory_equal(pt_table_find(&t, "classification")->data, edit_of().classification, N);
  pt_table_free(&t);
}

static void test_formats(void **state) {
  (void)state;
  static const int last[5] = {1, 1, 3, 5, 10};
  for (int minor = 0; minor <= 4; minor++)
    for (int format = 0; format <= last[minor]; format++)
      for (int padded = 0; padded < 2; padded++) {
        struct ptv3_error err = {0};
        las_begin(&m, minor, format, padded);
        if (padded) las_vlr(&m, "somebody", 9, (const uint8_t *)"abc", 3);
        m.size += 5 * padded;
        memset(m.data + m.size - 5 * padded, 0xee, 5 * (size_t)padded);
        las_points(&m, N, 3 * padded);
        int64_t tail = m.size;
        if (minor == 4) las_evlr(&m, "somebody", 11, 20);
        save(in_path);
        if (rewrite(out_path, &err)) fail_msg("%s", err.message);
        load(out_path);
        check_header();
        check_records(m.record, 0);
        check_confidence();
        assert_int_equal(back.record, m.record + 4);
        int64_t behind = back.points_at + N * back.record;
        assert_int_equal(back.size - behind, m.size - tail);
        assert_memory_equal(back.data + behind, m.data + tail, (size_t)(m.size - tail));
        if (minor == 4) assert_int_equal(pt_le64(back.data + 235), behind);
        if (padded) {
          int64_t head = pt_le16(m.data + 94);
          assert_memory_equal(back.data + head, m.data + head, 57);
          assert_int_equal(back.data[back.points_at - 1], 0xee);
          assert_int_equal(back.data[back.points_at - 5], 0xee);
        }
      }
}

/* Nothing to change: the same file again, byte for byte. */
static void test_no_edit(void **state) {
  (void)state;
  struct pt_las_edit edit = {.n = N};
  uint8_t text[192];
  las_begin(&m, 4, 10, 1);
  las_describe(text, 2, 0, "a", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_points(&m, N, 3);
  las_evlr(&m, "LASF_Spec", 65535, 30);
  m.data[6] = 2; /* its waveform packets are inside */
  pt_put64(m.data + 227, pt_le64(m.data + 235));
  save(in_path);
  assert_int_equal(pt_las_rewrite(&env, in_path, out_path, &edit, NULL), PTV3_OK);
  load(out_path);
  assert_int_equal(back.size, m.size);
  assert_memory_equal(back.data, m.data, (size_t)m.size);
}

static void test_in_place(void **state) {
  (void)state;
  las_begin(&m, 2, 3, 0);
  las_points(&m, N, 0);
  save(in_path);
  assert_int_equal(rewrite(in_path, NULL), PTV3_OK);
  load(in_path);
  check_records(m.record, 0);
}

static void test_waveforms(void **state) {
  (void)state;
  las_begin(&m, 3, 4, 0);
  las_points(&m, N, 0);
  m.data[6] = 2;
  pt_put64(m.data + 227, (uint64_t)m.size);
  memset(m.data + m.size, 0x5a, 100);
  m.size += 100;
  save(in_path);
  assert_int_equal(rewrite(out_path, NULL), PTV3_OK);
  load(out_path);
  assert_int_equal(pt_le64(back.data + 227), back.size - 100);
  assert_int_equal(back.data[back.size - 100], 0x5a);
  check_records(m.record, 0);
}

/* A confidence is there: in its place, whatever its type; the dimensions around it stay. */
static void test_confidence_replaced(void **state) {
  (void)state;
  static const int types[] = {1, 9, 10, 4};
  static const int sizes[] = {1, 4, 8, 2};
  for (int k = 0; k < 4; k++) {
    uint8_t text[3 * 192];
    struct pt_table t;
    las_begin(&m, 4, 6, 0);
    las_describe(text, 3, 0, "before", 1, 0);
    las_describe(text + 192, types[k], 24, "Confidence", 0.01, 3);
    las_describe(text + 384, 5, 8, "behind", 0.5, 0);
    las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
    las_points(&m, N, 2 + sizes[k] + 4);
    save(in_path);
    assert_int_equal(rewrite(out_path, NULL), PTV3_OK);
    load(out_path);
    check_records(32, sizes[k]);
    check_confidence();
    const struct pt_column *c = read_back(&t, "behind");
    for (int64_t i = 0; i < N; i++)
      assert_true(pt_load(c->data, PT_F64, i) ==
                  0.5 * pt_le32(m.data + m.points_at + i * m.record + 32 + sizes[k]));
    assert_int_equal(pt_le32(back.data + 100), 1);
    pt_table_free(&t);
  }
}

/* Several Extra Bytes records, a record behind them, bytes that nobody describes. */
static void test_extra_records(void **state) {
  (void)state;
  uint8_t text[192];
  struct pt_table t;
  las_begin(&m, 4, 7, 0);
  las_describe(text, 3, 0, "a", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_describe(text, 1, 0, "b", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_vlr(&m, "somebody", 9, (const uint8_t *)"xyz", 3);
  las_points(&m, N, 3 + 260);
  save(in_path);
  assert_int_equal(rewrite(out_path, NULL), PTV3_OK);
  load(out_path);
  check_records(m.record, 0);
  check_confidence();
  assert_memory_equal(back.data + back.points_at - 57, m.data + m.points_at - 57, 57);
  const struct pt_column *b = read_back(&t, "b");
  assert_int_equal(((const uint8_t *)b->data)[2],
                   m.data[m.points_at + 2 * m.record + las_sizes[7] + 2]);
  pt_table_free(&t);
}

static void test_copc(void **state) {
  (void)state;
  uint8_t info[160] = {0};
  las_begin(&m, 4, 7, 0);
  las_vlr(&m, "copc", 1, info, sizeof info);
  las_points(&m, N, 0);
  las_evlr(&m, "copc", 1000, 64);
  las_evlr(&m, "somebody", 5, 10);
  save(in_path);
  assert_int_equal(rewrite(out_path, NULL), PTV3_OK);
  assert_int_equal(warnings, 1);
  load(out_path);
  check_records(m.record, 0);
  int64_t behind = back.points_at + N * back.record;
  assert_int_equal(back.size - behind, 70);
  assert_int_equal(pt_le64(back.data + 235), behind);
  assert_int_equal(pt_le32(back.data + 243), 1);
  assert_memory_equal(back.data + behind, m.data + m.size - 70, 70);
  assert_int_equal(pt_le32(back.data + 100), 1); /* the confidence's */
}

static void test_refused(void **state) {
  (void)state;
  struct ptv3_error err = {0};
  struct pt_las_edit edit = {.n = N, .classification = large_classes};
  las_begin(&m, 2, 3, 0);
  las_points(&m, N, 0);
  save(in_path);
  assert_int_equal(pt_las_rewrite(&env, in_path, out_path, &edit, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "class 200 of point 2"));
  edit.n = N - 1;
  assert_int_equal(pt_las_rewrite(&env, in_path, out_path, &edit, &err), PTV3_INVALID);
  las_begin(&m, 4, 3, 0);
  las_points(&m, N, 0);
  las_evlr(&m, "somebody", 5, 10);
  pt_put64(m.data + 235, (uint64_t)m.points_at); /* amid the points */
  memset(m.data + m.points_at, 0, (size_t)m.record * 2);
  save(in_path);
  assert_int_equal(rewrite(out_path, &err), PTV3_FORMAT);
  uint8_t text[192];
  las_begin(&m, 4, 7, 0);
  las_describe(text, 88, 0, "unknown", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_points(&m, N, 8);
  save(in_path);
  assert_int_equal(rewrite(out_path, &err), PTV3_UNSUPPORTED);
  assert_false(pt_is_file(out_path));
}

static void test_truncated(void **state) {
  (void)state;
  las_begin(&m, 4, 7, 0);
  las_vlr(&m, "somebody", 9, (const uint8_t *)"xyz", 3);
  las_points(&m, N, 2);
  las_evlr(&m, "somebody", 5, 10);
  int64_t size = m.size;
  for (m.size = 0; m.size < size; m.size++) {
    save(in_path);
    assert_int_equal(rewrite(out_path, NULL), PTV3_FORMAT);
    assert_false(pt_is_file(out_path));
    assert_int_equal(env.mem.used, 0);
  }
}

static bool laszip_found(void) {
  struct pt_laz *z = NULL;
  struct ptv3_error err = {0};
  struct pt_las_header h = {.format = 0, .record = 20, .n = 0};
  int status = pt_laz_writer(&env.mem, "trial", laz_path, &h, &z, &err);
  if (status == PTV3_UNSUPPORTED) printf("skipped: %s\n", err.message);
  pt_laz_close(z);
  return status == PTV3_OK;
}

/* To LAZ and back: the same file, byte for byte. */
static void test_laz_round_trip(void **state) {
  (void)state;
  if (!laszip_found()) return;
  struct pt_las_edit edit = {.n = N};
  for (int format = 0; format <= 10; format++) {
    struct ptv3_error err = {0};
    las_begin(&m, 4, format, 1);
    las_vlr(&m, "somebody", 9, (const uint8_t *)"xyz", 3);
    las_points(&m, N, format % 2 ? 3 : 0);
    las_evlr(&m, "somebody", 5, 10);
    save(in_path);
    if (pt_las_rewrite(&env, in_path, laz_path, &edit, &err)) fail_msg("%s", err.message);
    load(laz_path);
    assert_int_equal(back.data[104], format | 0x80);
    if (pt_las_rewrite(&env, laz_path, out_path, &edit, &err)) fail_msg("%s", err.message);
    load(out_path);
    assert_int_equal(back.size, m.size);
    assert_memory_equal(back.data, m.data, (size_t)m.size);
  }
}

static void test_laz_library_named(void **state) {
  (void)state;
  struct pt_laz *z = NULL;
  struct ptv3_error err = {0};
  struct pt_las_header h = {.format = 0, .record = 20, .n = 0};
  const char *before = getenv("PTV3_LASZIP");
  char *kept = before ? strdup(before) : NULL;
  setenv("PTV3_LASZIP", "/no/such/liblaszip.so", 1);
  assert_int_equal(pt_laz_writer(&env.mem, "trial", laz_path, &h, &z, &err), PTV3_UNSUPPORTED);
  assert_non_null(strstr(err.message, "PTV3_LASZIP"));
  assert_non_null(strstr(err.message, "/no/such/liblaszip.so"));
  pt_laz_close(z);
  unsetenv("PTV3_LASZIP");
  if (kept) setenv("PTV3_LASZIP", kept, 1);
  free(kept);
}

/* ---- new files ---- */

static const double coord[N * 3] = {500000.1234, 4000000, -3,  500100.5, 4000100.25, 7.0005,
                                    500002,      4000003, 0.5, 500003,   4000009.9,  1,
                                    500050,      4000001, 2,   500060,   4000002,    3};
static const uint8_t colors[N * 3] = {0, 128, 255, 1,  2,  3,  4,  5,  6,
                                      7, 8,   9,   10, 11, 12, 13, 14, 15};

static void test_new(void **state) {
  (void)state;
  static const char *const names[6] = {"x", "y", "z", "red", "green", "blue"};
  struct pt_las_cloud cloud = {.n = N,
                               .coord = coord,
                               .color = colors,
                               .color_type = PT_U8,
                               .classification = large_classes,
                               .confidence = confidence};
  struct ptv3_error err = {0};
  struct pt_table t;
  m.format = 7;
  if (pt_las_write(&env, out_path, &cloud, &err)) fail_msg("%s", err.message);
  check_confidence();
  assert_non_null(read_back(&t, "x"));
  assert_int_equal(t.n, N);
  for (int64_t i = 0; i < N; i++)
    for (int k = 0; k < 3; k++) {
      const struct pt_column *c = pt_table_find(&t, names[k]);
      assert_true(fabs(pt_load(c->data, PT_F64, i) - coord[3 * i + k]) < 0.51e-4);
      c = pt_table_find(&t, names[3 + k]);
      assert_int_equal(((const uint16_t *)c->data)[i], colors[3 * i + k] * 257);
    }
  assert_int_equal(((const uint8_t *)pt_table_find(&t, "return_number")->data)[0], 1);
  pt_table_free(&t);
}

static void test_new_plain(void **state) {
  (void)state;
  struct pt_las_cloud cloud = {.n = N, .coord = coord};
  struct pt_table t;
  assert_int_equal(pt_las_write(&env, out_path, &cloud, NULL), PTV3_OK);
  assert_null(read_back(&t, "confidence"));
  assert_null(pt_table_find(&t, "red"));
  pt_table_free(&t);
  cloud.n = 0;
  assert_int_equal(pt_las_write(&env, out_path, &cloud, NULL), PTV3_OK);
  assert_non_null(read_back(&t, "x"));
  assert_int_equal(t.n, 0);
  pt_table_free(&t);
}

/* A coordinate goes to the nearest step, negative ones too; the header's bounds are those of
 * the points. */
static void test_new_bounds(void **state) {
  (void)state;
  static const double at[9] = {-2000.0004, 0, 7, -1000.9996, 0, 8, 1999.9996, 0, -9};
  static const double want[3] = {-2000, -1001, 2000};
  static const double bounds[6] = {1999.9996, -2000.0004, 0, 0, 8, -9};
  struct pt_las_cloud cloud = {.n = 3, .coord = at};
  struct pt_table t;
  assert_int_equal(pt_las_write(&env, out_path, &cloud, NULL), PTV3_OK);
  const struct pt_column *x = read_back(&t, "x");
  assert_non_null(x);
  for (int64_t i = 0; i < 3; i++)
    assert_true(fabs(pt_load(x->data, PT_F64, i) - want[i]) < 1e-9);
  pt_table_free(&t);
  load(out_path);
  assert_memory_equal(back.data + 179, bounds, sizeof bounds);
}

static void test_new_refused(void **state) {
  (void)state;
  double bad[6] = {0, 0, 0, 1, 3e6, 1};
  struct pt_las_cloud cloud = {.n = 2, .coord = bad};
  struct ptv3_error err = {0};
  assert_int_equal(pt_las_write(&env, out_path, &cloud, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "y goes from 0.000 to 3000000.000"));
  bad[4] = NAN;
  assert_int_equal(pt_las_write(&env, out_path, &cloud, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "coordinate y of point 1"));
  bad[4] = 1e300;
  assert_int_equal(pt_las_write(&env, out_path, &cloud, &err), PTV3_DATA);
  bad[4] = 2147480; /* just fits */
  assert_int_equal(pt_las_write(&env, out_path, &cloud, &err), PTV3_OK);
}

static void test_new_laz(void **state) {
  (void)state;
  if (!laszip_found()) return;
  struct pt_las_cloud cloud = {.n = N,
                               .coord = coord,
                               .color = colors,
                               .color_type = PT_U8,
                               .classification = large_classes,
                               .confidence = confidence};
  struct pt_las_edit edit = {.n = N};
  m.format = 7;
  assert_int_equal(pt_las_write(&env, laz_path, &cloud, NULL), PTV3_OK);
  assert_int_equal(pt_las_rewrite(&env, laz_path, out_path, &edit, NULL), PTV3_OK);
  check_confidence();
}

/* ---- failures ---- */

static void test_no_memory(void **state) {
  (void)state;
  struct pt_las_cloud cloud = {.n = N, .coord = coord, .confidence = confidence};
  uint8_t text[192];
  las_begin(&m, 4, 7, 0);
  las_describe(text, 3, 0, "a", 1, 0);
  las_vlr(&m, "LASF_Spec", 4, text, sizeof text);
  las_points(&m, N, 3);
  las_evlr(&m, "somebody", 5, 10);
  save(in_path);
  for (int which = 0; which < 2; which++) {
    int status = PTV3_NO_MEMORY;
    for (int64_t k = 1; status; k++) {
      struct ptv3_error err = {0};
      env.mem.calls = 0;
      env.mem.fail_at = k;
      status = which ? pt_las_write(&env, out_path, &cloud, &err) : rewrite(out_path, &err);
      assert_true(status == PTV3_OK || status == PTV3_NO_MEMORY);
      assert_int_equal(err.status, status);
      assert_int_equal(env.mem.used, 0);
      assert_true(pt_is_file(out_path) == (status == PTV3_OK));
      assert_true(k < 200);
    }
    env.mem.fail_at = 0;
    unlink(out_path);
  }
}

static bool stop_now(void *user, const char *what, int64_t done, int64_t total) {
  (void)user, (void)what, (void)done, (void)total;
  return false;
}

static void test_cancelled(void **state) {
  (void)state;
  struct pt_las_cloud cloud = {.n = N, .coord = coord};
  las_begin(&m, 2, 3, 0);
  las_points(&m, N, 0);
  save(in_path);
  env.progress = stop_now;
  assert_int_equal(rewrite(out_path, NULL), PTV3_CANCELLED);
  assert_int_equal(pt_las_write(&env, out_path, &cloud, NULL), PTV3_CANCELLED);
  env.progress = NULL;
  assert_false(pt_is_file(out_path));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_formats),
      TEST(test_no_edit),
      TEST(test_in_place),
      TEST(test_waveforms),
      TEST(test_confidence_replaced),
      TEST(test_extra_records),
      TEST(test_copc),
      TEST(test_refused),
      TEST(test_truncated),
      TEST(test_laz_round_trip),
      TEST(test_laz_library_named),
      TEST(test_new),
      TEST(test_new_plain),
      TEST(test_new_bounds),
      TEST(test_new_refused),
      TEST(test_new_laz),
      TEST(test_no_memory),
      TEST(test_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
