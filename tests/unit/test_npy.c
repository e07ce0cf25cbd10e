/* test_npy.c - NumPy files: every dtype and order, malformed headers, lying sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "npy.h"

static const char path[] = "/tmp/ptv3_test_npy.npy";

/* A version major.0 file with this header text, data behind it; returns its size. */
static int64_t file_of(uint8_t *out, int major, const char *header, const void *data,
                       int64_t bytes) {
  int64_t n = (int64_t)strlen(header), at = major == 1 ? 10 : 12;
  memcpy(out, "\x93NUMPY", 6);
  out[6] = (uint8_t)major;
  out[7] = 0;
  pt_put32(out + 8, (uint32_t)n);
  memcpy(out + at, header, (size_t)n);
  if (bytes) memcpy(out + at + n, data, (size_t)bytes);
  return at + n + bytes;
}

static int parse(const uint8_t *bytes, int64_t size, struct pt_npy *a, struct ptv3_error *err) {
  struct pt_cursor c = {bytes, size, 0, "test.npy"};
  return pt_npy_parse(&c, a, err);
}

static int parse_header(const char *header, struct ptv3_error *err) {
  uint8_t buf[2048] = {0}, zeros[64] = {0};
  struct pt_npy a;
  int64_t n = file_of(buf, 1, header, zeros, sizeof zeros);
  return parse(buf, n, &a, err);
}

static void every_dtype_round_trips(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  for (int t = 0; t < PT_DTYPE_COUNT; t++) {
    if (!pt_dtype((enum pt_dtype)t)->numpy[0]) continue;
    double v[6] = {0, 1, 1, 0, 100, 27};
    uint8_t data[48];
    pt_convert(data, (enum pt_dtype)t, v, PT_F64, 6);
    int64_t shape[2] = {3, 2};
    assert_int_equal(pt_npy_write(&mem, path, (enum pt_dtype)t, 2, shape, data, NULL), 0);
    struct pt_npy_array a;
    assert_int_equal(pt_npy_read(&mem, path, PT_MEM_CLOUD, &a, NULL), 0);
    assert_int_equal(a.type, t);
    assert_int_equal(a.ndim, 2);
    assert_int_equal(a.shape[0], 3);
    assert_int_equal(a.shape[1], 2);
    assert_memory_equal(a.data, data, (size_t)(6 * pt_dtype((enum pt_dtype)t)->bytes));
    pt_free(&mem, a.data);
    struct pt_npy_view view;
    assert_int_equal(pt_npy_open(&view, path, NULL), 0);
    assert_true(pt_npy_plain(&view.a)); /* aligned: a view needs no copy */
    pt_npy_close(&view);
  }
  assert_int_equal(mem.used, 0);
  unlink(path);
}

static void every_shape_round_trips(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  int64_t shape[PT_NPY_DIMS];
  for (int i = 0; i < PT_NPY_DIMS; i++) shape[i] = 1;
  float v = 2.5f;
  struct pt_npy_array a;
  for (int ndim = 0; ndim <= PT_NPY_DIMS; ndim++) {
    assert_int_equal(pt_npy_write(&mem, path, PT_F32, ndim, shape, &v, NULL), 0);
    assert_int_equal(pt_npy_read(&mem, path, PT_MEM_CLOUD, &a, NULL), 0);
    assert_int_equal(a.ndim, ndim);
    assert_int_equal(a.count, 1);
    assert_true(*(float *)a.data == v);
    pt_free(&mem, a.data);
  }
  int64_t empty[2] = {0, 3}, negative[1] = {-1};
  assert_int_equal(pt_npy_write(&mem, path, PT_F32, 2, empty, &v, NULL), 0);
  assert_int_equal(pt_npy_read(&mem, path, PT_MEM_CLOUD, &a, NULL), 0);
  assert_int_equal(a.count, 0);
  pt_free(&mem, a.data);
  assert_int_equal(pt_npy_write(&mem, path, PT_F32, 1, negative, &v, NULL), PTV3_INVALID);
  assert_int_equal(pt_npy_write(&mem, path, PT_BF16, 1, shape, &v, NULL), PTV3_INVALID);
  assert_int_equal(mem.used, 0);
  unlink(path);
}

static void versions_and_byte_orders(void **state) {
  (void)state;
  const uint8_t big[8] = {0x01, 0x02, 0x03, 0x04, 0xff, 0xff, 0xff, 0xfe};
  for (int major = 1; major <= 3; major++) {
    uint8_t buf[256];
    struct pt_npy a;
    int32_t v[2];
    int64_t n = file_of(buf, major,
                        "{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }\n", big, 8);
    assert_int_equal(parse(buf, n, &a, NULL), 0);
    assert_false(pt_npy_plain(&a));
    pt_npy_copy(&a, v);
    assert_int_equal(v[0], 0x01020304);
    assert_int_equal(v[1], -2);
  }
  assert_int_equal(parse_header("{'descr':'|u1','fortran_order':False,'shape':(2,)}", NULL), 0);
  assert_int_equal(parse_header("{'descr':'=f8','fortran_order':False,'shape':(2,)}", NULL), 0);
  assert_int_equal(
      parse_header("{\"shape\": (2L, 3L), \"fortran_order\": True, 'descr': 'f2'}  ", NULL), 0);
}

static void fortran_order(void **state) {
  (void)state;
  uint8_t buf[512];
  struct pt_npy a;
  int16_t f[24], c[24], got[24];
  for (int i = 0; i < 2; i++) /* c[i, j, k] of shape [2, 3, 4] */
    for (int j = 0; j < 3; j++)
      for (int k = 0; k < 4; k++)
        c[(i * 3 + j) * 4 + k] = f[(k * 3 + j) * 2 + i] = (int16_t)(100 * i + 10 * j + k);
  int64_t n = file_of(buf, 1, "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3, 4), }",
                      f, sizeof f);
  assert_int_equal(parse(buf, n, &a, NULL), 0);
  pt_npy_copy(&a, got);
  assert_memory_equal(got, c, sizeof c);
  /* An empty array whose strides would overflow. */
  n = file_of(buf, 1, "{'descr':'<i2','fortran_order':True,'shape':(0,4611686018427387904,9)}",
              f, 0);
  assert_int_equal(parse(buf, n, &a, NULL), 0);
  pt_npy_copy(&a, got);
}

static void refuses(const char *header, int status, const char *word) {
  struct ptv3_error err = {0};
  assert_int_equal(parse_header(header, &err), status);
  if (!strstr(err.message, word)) fail_msg("'%s' lacks '%s'", err.message, word);
  assert_non_null(strstr(err.message, "test.npy"));
}

static void malformed_headers(void **state) {
  (void)state;
  refuses("{'descr':'|O','fortran_order':False,'shape':(2,)}", PTV3_UNSUPPORTED, "pickled");
  refuses("{'descr':[('x','<f4')],'fortran_order':False,'shape':(2,)}", PTV3_UNSUPPORTED,
          "structured");
  refuses("{'descr':'<c8','fortran_order':False,'shape':(2,)}", PTV3_UNSUPPORTED, "<c8");
  refuses("{'descr':'<U4','fortran_order':False,'shape':(2,)}", PTV3_UNSUPPORTED, "<U4");
  refuses("{'descr':'','fortran_order':False,'shape':(2,)}", PTV3_UNSUPPORTED, "dtype");
  refuses("{'descr':'<f4','fortran_order':0,'shape':(2,)}", PTV3_FORMAT, "True or False");
  refuses("{'descr':'<f4','fortran_order':False,'shape':(2)}", PTV3_FORMAT, "comma");
  refuses("{'descr':'<f4','fortran_order':False,'shape':(-2,)}", PTV3_FORMAT, "count");
  refuses("{'descr':'<f4','fortran_order':False,'shape':2}", PTV3_FORMAT, "tuple");
  refuses("{'descr':'<f4','fortran_order':False}", PTV3_FORMAT, "'shape'");
  refuses("{'descr':'<f4','descr':'<f4','fortran_order':False,'shape':(2,)}", PTV3_FORMAT,
          "each key once");
  refuses("{'descr':'<f4','fortran_order':False,'shape':(2,),'x':1}", PTV3_FORMAT, "descr");
  refuses("{'descr':'<f4','fortran_order':False,'shape':(2,)} + 1", PTV3_FORMAT, "end");
  refuses("", PTV3_FORMAT, "'{'");
  struct pt_npy a;
  assert_int_equal(parse((const uint8_t *)"\x93NUMPY\x09\0aaaa", 12, &a, NULL),
                   PTV3_UNSUPPORTED);
  assert_int_equal(parse((const uint8_t *)"PK\3\4........", 12, &a, NULL), PTV3_FORMAT);
}

static void lying_sizes(void **state) {
  (void)state;
  refuses("{'descr':'<f4','fortran_order':False,'shape':(17,)}", PTV3_FORMAT, "ends within");
  refuses("{'descr':'<f4','fortran_order':False,'shape':(1152921504606846976,)}", PTV3_FORMAT,
          "ends within");
  refuses("{'descr':'<f8','fortran_order':False,'shape':(4611686018427387904,)}", PTV3_FORMAT,
          "larger than any file");
  refuses("{'descr':'<f4','fortran_order':False,'shape':(9999999999999999999999,)}",
          PTV3_FORMAT, "below 2^63");
  refuses("{'descr':'<f4','fortran_order':False,'shape':(4294967296,4294967296)}", PTV3_FORMAT,
          "larger than any file");
}

static void every_prefix_is_an_error(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  uint8_t buf[256];
  float v[6] = {1, 2, 3, 4, 5, 6};
  for (int major = 1; major <= 3; major++) {
    int64_t n =
        file_of(buf, major, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", v,
                sizeof v);
    for (int64_t k = 0; k < n; k++) {
      uint8_t *part = test_malloc(k ? (size_t)k : 1);
      memcpy(part, buf, (size_t)k);
      struct pt_cursor c = {part, k, 0, "test.npy"};
      struct pt_table t;
      struct ptv3_error err = {0};
      assert_int_equal(pt_npy_table(&mem, &c, "coord", &t, &err), PTV3_FORMAT);
      assert_true(err.message[0] != 0);
      test_free(part);
    }
  }
  assert_int_equal(mem.used, 0);
}

static void table_columns(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  uint8_t buf[256];
  float v[6] = {1, 4, 2, 5, 3, 6};
  int64_t n = file_of(buf, 1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", v,
                      sizeof v);
  struct pt_table t;
  int status = -1;
  for (int64_t k = 1; status != 0; k++) { /* every allocation fails once */
    struct pt_cursor c = {buf, n, 0, "test.npy"};
    mem.calls = 0;
    mem.fail_at = k;
    status = pt_npy_table(&mem, &c, "coord", &t, NULL);
    if (status) assert_int_equal(status, PTV3_NO_MEMORY);
    if (status) assert_int_equal(mem.used, 0);
    assert_true(k < 10);
  }
  mem.fail_at = 0;
  assert_int_equal(t.n, 2);
  assert_int_equal(t.count, 1);
  assert_int_equal(t.col[0].width, 3);
  for (int i = 0; i < 6; i++) assert_true(((float *)t.col[0].data)[i] == (float)(i + 1));
  pt_table_free(&t);
  static const char *const shapes[] = {"(1, 2, 3)", "()", "(3, 0)"};
  for (int i = 0; i < 3; i++) {
    char header[128];
    snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': True, 'shape': %s}",
             shapes[i]);
    n = file_of(buf, 1, header, v, sizeof v);
    struct pt_cursor c = {buf, n, 0, "test.npy"};
    assert_int_equal(pt_npy_table(&mem, &c, "coord", &t, NULL), PTV3_DATA);
  }
  assert_int_equal(mem.used, 0);
}

/* Failing writes and reads of a whole file leave nothing behind. */
static void failing_allocations(void **state) {
  (void)state;
  struct pt_mem mem;
  float v[3] = {1, 2, 3};
  int64_t shape[1] = {3};
  int status = -1;
  for (int64_t k = 1; status != 0; k++) {
    pt_mem_init(&mem, 0);
    mem.fail_at = k;
    status = pt_npy_write(&mem, path, PT_F32, 1, shape, v, NULL);
    assert_int_equal(mem.used, 0);
    assert_int_equal(access(path, F_OK) == 0, status == 0);
    assert_true(k < 20);
  }
  struct pt_npy_array a;
  pt_mem_init(&mem, 0);
  mem.fail_at = 1;
  assert_int_equal(pt_npy_read(&mem, path, PT_MEM_CLOUD, &a, NULL), PTV3_NO_MEMORY);
  assert_int_equal(mem.used, 0);
  unlink(path);
  assert_int_equal(pt_npy_read(&mem, path, PT_MEM_CLOUD, &a, NULL), PTV3_IO);
}

/* A scene of the ScanNet sample: shapes and types that NumPy itself shows. */
static void real_scene(void **state) {
  (void)state;
  static const char dir[] = "../shared/data/scannet/val/scene0007_00";
  static const struct {
    const char *name;
    enum pt_dtype type;
    int ndim;
  } want[] = {{"coord.npy", PT_F32, 2}, {"color.npy", PT_U8, 2}, {"segment20.npy", PT_I16, 1}};
  if (!pt_is_dir(dir)) {
    printf("skipped: no %s\n", dir);
    return;
  }
  for (int i = 0; i < 3; i++) {
    char file[256];
    snprintf(file, sizeof file, "%s/%s", dir, want[i].name);
    struct pt_npy_view v;
    assert_int_equal(pt_npy_open(&v, file, NULL), 0);
    assert_int_equal(v.a.type, want[i].type);
    assert_int_equal(v.a.ndim, want[i].ndim);
    assert_int_equal(v.a.shape[0], 50000);
    pt_npy_close(&v);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_dtype_round_trips),  cmocka_unit_test(every_shape_round_trips),
      cmocka_unit_test(versions_and_byte_orders), cmocka_unit_test(fortran_order),
      cmocka_unit_test(malformed_headers),        cmocka_unit_test(lying_sizes),
      cmocka_unit_test(every_prefix_is_an_error), cmocka_unit_test(table_columns),
      cmocka_unit_test(failing_allocations),      cmocka_unit_test(real_scene),
  };
  return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
