/* test_pcd.c - PCD files: the three encodings, all types, colours, malformed headers, LZF. */
#include <math.h>

#include "formats_test.h"
#include "lzf.h"
#include "number.h"
#include "pcd.h"

static void refuse_text(const char *text, int status, const char *words) {
  refuse(pt_pcd_read, text, strlen(text), status, words);
}

static void read_data(const void *data, size_t size, struct pt_env *env, struct pt_table *t) {
  struct ptv3_error err = {0};
  pt_env_init(env, 2, 0);
  if (read_bytes(pt_pcd_read, env, data, size, t, &err)) fail_msg("%s", err.message);
}

#define HEAD(data, size, type, count)                                                         \
  "# .PCD v.7 - Point Cloud Data file format\nVERSION .7\nFIELDS x _ n rgb label\nSIZE " size \
  "\nTYPE " type "\nCOUNT " count                                                             \
  "\nWIDTH 2\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 2\n"                                  \
  "DATA " data "\n"
#define FIELDS(data) HEAD(data, "8 1 4 4 2", "F U F U I", "1 3 2 1 1")

static const char ascii[] = FIELDS("ascii")
    "0.1 0 0 0 1 2 16711935 -7\n\n"
    "nan a b c -1e3 4 255\t32767\r\n";

static void check(const struct pt_table *t) {
  assert_int_equal(t->n, 2);
  assert_int_equal(t->count, 7);
  assert_int_equal(type_of_column(t, "x"), PT_F64);
  assert_int_equal(type_of_column(t, "n"), PT_F32);
  assert_int_equal(type_of_column(t, "label"), PT_I16);
  assert_int_equal(pt_table_find(t, "n")->width, 2);
  assert_true(cell(t, "x", 0, 0) == 0.1 && isnan(cell(t, "x", 1, 0)));
  assert_true(cell(t, "n", 0, 1) == 2 && cell(t, "n", 1, 0) == -1000);
  assert_true(cell(t, "label", 0, 0) == -7 && cell(t, "label", 1, 0) == 32767);
  assert_true(cell(t, "rgb", 0, 0) == 16711935);
  assert_true(cell(t, "red", 0, 0) == 255 && cell(t, "red", 1, 0) == 0);
  assert_true(cell(t, "green", 0, 0) == 0 && cell(t, "blue", 1, 0) == 255);
  assert_int_equal(type_of_column(t, "red"), PT_U8);
}

static void ascii_values(void **state) {
  (void)state;
  struct pt_env env;
  struct pt_table t;
  read_data(ascii, strlen(ascii), &env, &t);
  check(&t);
  pt_table_free(&t);
  assert_int_equal(env.mem.used, 0);
}

/* The two points above as bytes: rows, or field by field. */
static size_t points(uint8_t *out, bool by_field) {
  static const int size[] = {8, 3, 8, 4, 2};
  uint8_t row[2][25] = {{0}};
  double x[2] = {0.1, NAN};
  float n[2][2] = {{1, 2}, {-1000, 4}};
  uint32_t rgb[2] = {0xff00ff, 0xff};
  int16_t label[2] = {-7, 32767};
  for (int i = 0; i < 2; i++) {
    memcpy(row[i], &x[i], 8);
    memcpy(row[i] + 11, n[i], 8);
    memcpy(row[i] + 19, &rgb[i], 4);
    memcpy(row[i] + 23, &label[i], 2);
  }
  if (!by_field) {
    memcpy(out, row, 50);
    return 50;
  }
  for (int f = 0, at = 0; f < 5; at += size[f++])
    for (int i = 0; i < 2; i++, out += size[f]) memcpy(out, row[i] + at, (size_t)size[f]);
  return 50;
}

static size_t binary_file(uint8_t *out) {
  static const char head[] = FIELDS("binary");
  memcpy(out, head, sizeof head - 1);
  return sizeof head - 1 + points(out + sizeof head - 1, false);
}

/* LZF of literals alone, in two items. */
static size_t compressed_file(uint8_t *out) {
  static const char head[] = FIELDS("binary_compressed");
  uint8_t raw[50], *p = out + sizeof head - 1;
  memcpy(out, head, sizeof head - 1);
  points(raw, true);
  pt_put32(p, 52);
  pt_put32(p + 4, 50);
  p[8] = 31;
  memcpy(p + 9, raw, 32);
  p[41] = 17;
  memcpy(p + 42, raw + 32, 18);
  return (size_t)(p + 60 - out);
}

static void binary_values(void **state) {
  (void)state;
  uint8_t buf[1024];
  struct pt_env env;
  struct pt_table t;
  read_data(buf, binary_file(buf), &env, &t);
  check(&t);
  pt_table_free(&t);
  read_data(buf, compressed_file(buf), &env, &t);
  check(&t);
  pt_table_free(&t);
  assert_int_equal(env.mem.used, 0);
}

/* Every type that PCD has, ascii and binary. */
static void every_type(void **state) {
  (void)state;
  static const char *const type[] = {"I", "I", "I", "I", "U", "U", "U", "U", "F", "F"};
  static const int size[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  static const enum pt_dtype want[] = {PT_I8,  PT_I16, PT_I32, PT_I64, PT_U8,
                                       PT_U16, PT_U32, PT_U64, PT_F32, PT_F64};
  static const char *const text[] = {"-128", "-32768", "-2147483648", "-9223372036854775808",
                                     "255",  "65535",  "4294967295",  "18446744073709551615",
                                     "0.25", "1e300"};
  for (int k = 0; k < 20; k++) {
    int i = k / 2;
    char file[256];
    uint8_t value[8];
    assert_non_null(pt_number_store(text[i], text[i] + strlen(text[i]), value, want[i], 0));
    int n = snprintf(file, sizeof file, "FIELDS v\nSIZE %d\nTYPE %s\nWIDTH 1\nDATA %s\n",
                     size[i], type[i], k % 2 ? "ascii" : "binary");
    if (k % 2)
      n += snprintf(file + n, sizeof file - (size_t)n, "%s", text[i]);
    else
      memcpy(file + n, value, (size_t)size[i]), n += size[i];
    struct pt_env env;
    struct pt_table t;
    read_data(file, (size_t)n, &env, &t);
    assert_int_equal(t.n, 1);
    assert_int_equal(type_of_column(&t, "v"), want[i]);
    assert_memory_equal(t.col[0].data, value, (size_t)size[i]);
    pt_table_free(&t);
  }
}

/* Colours packed in a float's bits, as PCL has written them since it began; a file with its
 * own red keeps it; a header of the oldest kind. */
static void colours_and_old_headers(void **state) {
  (void)state;
  uint8_t file[256];
  static const char head[] =
      "VERSION .5\nCOLUMNS rgba\nSIZE 4\nTYPE F\nPOINTS 1\nDATA binary\n";
  memcpy(file, head, sizeof head - 1);
  pt_put32(file + sizeof head - 1, 0xff0a141e);
  struct pt_env env;
  struct pt_table t;
  read_data(file, sizeof head - 1 + 4, &env, &t);
  assert_int_equal(t.count, 4);
  assert_true(cell(&t, "red", 0, 0) == 10 && cell(&t, "green", 0, 0) == 20);
  assert_true(cell(&t, "blue", 0, 0) == 30);
  pt_table_free(&t);
  static const char own[] = "FIELDS red rgb\nWIDTH 2\nHEIGHT 2\nDATA ascii\n1 0\n2 0\n3 0\n4 0";
  read_data(own, strlen(own), &env, &t);
  assert_int_equal(t.n, 4);
  assert_int_equal(t.count, 4);
  assert_true(cell(&t, "red", 3, 0) == 4);
  pt_table_free(&t);
}

#define XYZ "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"

static void malformed(void **state) {
  (void)state;
  refuse_text("", PTV3_FORMAT, "ends within its PCD header");
  refuse_text("ply\n", PTV3_FORMAT, "line 1");
  refuse_text("WIDTH 1\nDATA ascii\n", PTV3_FORMAT, "no FIELDS");
  refuse_text("SIZE 4\n", PTV3_FORMAT, "behind FIELDS");
  refuse_text("FIELDS x\nFIELDS x\n", PTV3_FORMAT, "one FIELDS");
  refuse_text("FIELDS\n", PTV3_FORMAT, "one FIELDS");
  refuse_text("FIELDS x y\nSIZE 4\n", PTV3_FORMAT, "a value for each");
  refuse_text("FIELDS x\nSIZE 3\n", PTV3_FORMAT, "a SIZE is");
  refuse_text("FIELDS x\nTYPE X\n", PTV3_FORMAT, "a TYPE");
  refuse_text("FIELDS x\nCOUNT 0\n", PTV3_FORMAT, "a COUNT");
  refuse_text("FIELDS x\nCOUNT 2000000000\n", PTV3_FORMAT, "a COUNT");
  refuse_text("FIELDS x\nSIZE 2\nTYPE F\nWIDTH 1\nDATA binary\nab", PTV3_UNSUPPORTED,
              "2 bytes");
  refuse_text(XYZ "WIDTH -1\n", PTV3_FORMAT, "a count");
  refuse_text(XYZ "DATA ascii\n", PTV3_FORMAT, "neither POINTS");
  refuse_text(XYZ "WIDTH 2\nHEIGHT 2\nPOINTS 3\nDATA ascii\n", PTV3_FORMAT, "POINTS 3");
  refuse_text(XYZ "WIDTH 1\nDATA text\n", PTV3_FORMAT, "DATA is");
  refuse_text("FIELDS _\nWIDTH 1\nDATA ascii\n1\n", PTV3_DATA, "padding");
  refuse_text(XYZ "WIDTH 2\nDATA ascii\n1.5 2.5 3.5\n4 5\n", PTV3_FORMAT,
              "line 8 has 2 fields");
  refuse_text(XYZ "WIDTH 2\nDATA ascii\n1 2 3\n4 5 6 7\n", PTV3_FORMAT, "line 8 has 4 fields");
  refuse_text(XYZ "WIDTH 2\nDATA ascii\n1 2 3\n4 5 z\n", PTV3_FORMAT, "\"z\" is not a number");
}

static void lying_sizes(void **state) {
  (void)state;
  refuse_text(XYZ "WIDTH 1152921504606846976\nDATA ascii\n1 2 3\n", PTV3_FORMAT, "announces");
  refuse_text(XYZ "WIDTH 1152921504606846976\nDATA binary\n1 2 3\n", PTV3_FORMAT, "announces");
  refuse_text(XYZ "WIDTH 4294967296\nHEIGHT 4294967296\nDATA binary\n", PTV3_FORMAT,
              "announces");
  refuse_text(XYZ
              "WIDTH 357913941\nDATA binary_compressed\n\x04\x00\x00\x00\xfc\xff\xff\xff"
              "abcd",
              PTV3_FORMAT, "ends within");
  uint8_t buf[256];
  static const char head[] = XYZ "WIDTH 357913941\nDATA binary_compressed\n";
  memcpy(buf, head, sizeof head - 1);
  pt_put32(buf + sizeof head - 1, 4);
  pt_put32(buf + sizeof head + 3, 0xfffffffc);
  refuse(pt_pcd_read, buf, sizeof head - 1 + 12, PTV3_FORMAT, "cannot become");
  pt_put32(buf + sizeof head + 3, 12);
  refuse(pt_pcd_read, buf, sizeof head - 1 + 12, PTV3_FORMAT, "are announced");
  size_t n = compressed_file(buf);
  uint8_t *stream = buf + n - 52;
  stream[0] = 32;
  refuse(pt_pcd_read, buf, n, PTV3_FORMAT, "damaged");
}

static void lzf_items(void **state) {
  (void)state;
  uint8_t out[300];
  /* "ab", then 4 bytes from 2 back (overlapping), then a long copy of 9 + 3. */
  static const uint8_t good[] = {1, 'a', 'b', 2 << 5, 1, 7 << 5, 3, 5};
  assert_int_equal(pt_lzf(good, sizeof good, out, 18), -1);
  assert_memory_equal(out, "ababababababababab", 18);
  assert_int_equal(pt_lzf(good, sizeof good, out, 17), 5);           /* does not fit */
  assert_int_equal(pt_lzf(good, sizeof good, out, 19), sizeof good); /* too short */
  for (int64_t k = 0; k < (int64_t)sizeof good; k++) assert_true(pt_lzf(good, k, out, 18) >= 0);
  static const uint8_t before[] = {0, 'a', 1 << 5, 1}; /* from before the start */
  assert_int_equal(pt_lzf(before, sizeof before, out, 4), 2);
  assert_int_equal(pt_lzf(NULL, 0, out, 0), -1);
}

static void prefixes(void **state) {
  (void)state;
  uint8_t buf[1024];
  assert_int_equal(every_prefix(pt_pcd_read, buf, binary_file(buf)), 0);
  assert_int_equal(every_prefix(pt_pcd_read, buf, compressed_file(buf)), 0);
  /* The last digits and the line end are not missed. */
  assert_int_equal(every_prefix(pt_pcd_read, ascii, strlen(ascii)), 6);
}

static void failing_allocations(void **state) {
  (void)state;
  uint8_t buf[1024];
  every_failing_allocation(pt_pcd_read, ascii, strlen(ascii));
  every_failing_allocation(pt_pcd_read, buf, binary_file(buf));
  every_failing_allocation(pt_pcd_read, buf, compressed_file(buf));
}

/* Sums of the real files' columns as Python's pypcd4 and NumPy give them. */
static void real_files(void **state) {
  (void)state;
  static const struct {
    const char *path;
    int64_t n;
    double sum[3];
  } want[] = {
      {"../shared/data/formats/pcd/milk.pcd",
       12575,
       {3138.9827186763287, -1214.4541694926297, -8762.243225038052}},
      {"../shared/data/formats/pcd/samp41-utm-ground.pcd",
       5602,
       {2875590468.53125, 30271584327.5, 1673474.2195129395}},
      {"../shared/data/formats/pcd/min_cut_segmentation_tutorial.pcd",
       9311,
       {643781.6043319702, -180419.42869091034, 6232.319962752983}},
  };
  for (int k = 0; k < 3; k++) {
    struct pt_map map;
    struct pt_env env;
    struct pt_table t;
    if (!pt_is_file(want[k].path)) {
      printf("skipped: no %s\n", want[k].path);
      continue;
    }
    pt_env_init(&env, 2, 0);
    assert_int_equal(pt_map_open(&map, want[k].path, NULL), 0);
    struct pt_cursor c = pt_cursor_of(&map);
    struct ptv3_error err;
    if (pt_pcd_read(&env, &c, &t, &err)) fail_msg("%s", err.message);
    assert_int_equal(t.n, want[k].n);
    for (int i = 0; i < 3; i++) {
      double sum = 0;
      for (int64_t r = 0; r < t.n; r++) sum += pt_load(t.col[i].data, t.col[i].type, r);
      assert_true(fabs(sum - want[k].sum[i]) <= 1e-9 * fabs(want[k].sum[i]));
    }
    pt_table_free(&t);
    pt_map_close(&map);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ascii_values),        cmocka_unit_test(binary_values),
      cmocka_unit_test(every_type),          cmocka_unit_test(colours_and_old_headers),
      cmocka_unit_test(malformed),           cmocka_unit_test(lying_sizes),
      cmocka_unit_test(lzf_items),           cmocka_unit_test(prefixes),
      cmocka_unit_test(failing_allocations), cmocka_unit_test(real_files),
  };
  return cmocka_run_group_tests_name("pcd", tests, NULL, NULL);
}
