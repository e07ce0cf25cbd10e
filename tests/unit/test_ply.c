/* test_ply.c - PLY files: encodings, types, lists, other elements, malformed headers. */
#include <math.h>
#include <unistd.h>

#include "formats_test.h"
#include "ply.h"

#define HEAD "ply\nformat ascii 1.0\n"

static void refuse_text(const char *text, int status, const char *words) {
  refuse(pt_ply_read, text, strlen(text), status, words);
}

static void read_text(const char *text, struct pt_env *env, struct pt_table *t) {
  struct ptv3_error err = {0};
  pt_env_init(env, 2, 0);
  if (read_bytes(pt_ply_read, env, text, strlen(text), t, &err)) fail_msg("%s", err.message);
}

static const char ascii[] =
    "ply\r\nformat ascii 1.0\r\ncomment made by hand\r\nobj_info nothing\r\n"
    "element camera 1\r\nproperty list uchar float view\r\nproperty double f\r\n"
    "element vertex 3\r\nproperty double x\r\nproperty float y\r\nproperty float64 z\r\n"
    "property uchar diffuse_red\r\nproperty list uchar int seen\r\nproperty int8 s\r\n"
    "property uint32 u\r\nelement face 1\r\nproperty list uchar int vertex_indices\r\n"
    "end_header\r\n"
    "2 0.5 1 35.0\r\n"
    "500000.123456789 -1.5 1e3 255 2 7 8 -128 4294967295\r\n"
    "\r\n"
    "nan  inf -inf 0 0 127 0\r\n"
    "-0.1 .5 5. 1.0 1 9 2e1 7\r\n"
    "3 0 1 2\r\n";

static void ascii_values(void **state) {
  (void)state;
  struct pt_env env;
  struct pt_table t;
  read_text(ascii, &env, &t);
  assert_int_equal(t.n, 3);
  assert_int_equal(t.count, 6);
  assert_int_equal(type_of_column(&t, "x"), PT_F64);
  assert_int_equal(type_of_column(&t, "y"), PT_F32);
  assert_int_equal(type_of_column(&t, "diffuse_red"), PT_U8);
  assert_int_equal(type_of_column(&t, "s"), PT_I8);
  assert_true(cell(&t, "x", 0, 0) == 500000.123456789);
  assert_true(isnan(cell(&t, "x", 1, 0)));
  assert_true(cell(&t, "x", 2, 0) == -0.1);
  assert_true(isinf(cell(&t, "y", 1, 0)));
  assert_true(cell(&t, "z", 0, 0) == 1000 && cell(&t, "z", 2, 0) == 5);
  assert_true(cell(&t, "diffuse_red", 0, 0) == 255 && cell(&t, "diffuse_red", 2, 0) == 1);
  assert_true(cell(&t, "s", 0, 0) == -128 && cell(&t, "s", 2, 0) == 20);
  assert_true(cell(&t, "u", 0, 0) == 4294967295.0 && cell(&t, "u", 2, 0) == 7);
  pt_table_free(&t);
  assert_int_equal(env.mem.used, 0);
}

/* A binary file with every type; little or big endian; an element with lists before the
 * vertices; with a list in the vertices when `uneven`. Returns its size. */
static size_t binary(uint8_t *out, bool big, bool uneven) {
  static const char *const types[] = {"char", "uchar", "short", "ushort",
                                      "int",  "uint",  "float", "double"};
  static const int bytes[] = {1, 1, 2, 2, 4, 4, 4, 8};
  char *p = (char *)out;
  p += sprintf(p, "ply\nformat binary_%s_endian 1.0\nelement face 2\n", big ? "big" : "little");
  p += sprintf(p, "property list ushort short v\nproperty uchar k\nelement vertex 2\n");
  for (int i = 0; i < 8; i++) {
    p += sprintf(p, "property %s p%d\n", types[i], i);
    if (uneven && i == 3) p += sprintf(p, "property list int double w\n");
  }
  p += sprintf(p, "end_header\n");
  uint8_t *q = (uint8_t *)p;
  static const uint8_t faces_little[] = {2, 0, 1, 0, 2, 0, 9, 0, 0, 8};
  static const uint8_t faces_big[] = {0, 2, 0, 1, 0, 2, 9, 0, 0, 8};
  memcpy(q, big ? faces_big : faces_little, 10);
  q += 10;
  for (int row = 0; row < 2; row++)
    for (int i = 0; i < 8; i++) {
      uint8_t v[8], w[8];
      double d = i % 2 == 0 && i < 7 ? -3 - row : 100 + row;
      if (i == 7) d = 0.1 + row;
      static const enum pt_dtype type[] = {PT_I8,  PT_U8,  PT_I16, PT_U16,
                                           PT_I32, PT_U32, PT_F32, PT_F64};
      pt_convert(v, type[i], &d, PT_F64, 1);
      for (int b = 0; b < bytes[i]; b++) w[b] = v[big ? bytes[i] - 1 - b : b];
      memcpy(q, w, (size_t)bytes[i]);
      q += bytes[i];
      if (uneven && i == 3) {
        memset(q, 0, 12);
        q[big ? 3 : 0] = (uint8_t)row;
        q += 4 + 8 * row;
      }
    }
  return (size_t)(q - out);
}

static void binary_values(void **state) {
  (void)state;
  for (int k = 0; k < 4; k++) {
    uint8_t buf[1024];
    size_t n = binary(buf, k & 1, k & 2);
    struct pt_env env;
    struct pt_table t;
    struct ptv3_error err = {0};
    pt_env_init(&env, 2, 0);
    if (read_bytes(pt_ply_read, &env, buf, n, &t, &err)) fail_msg("%s", err.message);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.count, 8);
    for (int i = 0; i < 7; i++) {
      assert_true(cell(&t, t.col[i].name, 0, 0) == (i % 2 ? 100 : -3));
      assert_true(cell(&t, t.col[i].name, 1, 0) == (i % 2 ? 101 : -4));
    }
    assert_true(cell(&t, "p7", 0, 0) == 0.1 && cell(&t, "p7", 1, 0) == 1.1);
    pt_table_free(&t);
    assert_int_equal(env.mem.used, 0);
  }
}

static void old_line_ends(void **state) {
  (void)state;
  static const char text[] =
      "ply\rformat binary_little_endian 1.0\relement vertex 1\r"
      "property uchar x\rend_header\r\n";
  struct pt_env env;
  struct pt_table t;
  read_text(text, &env, &t);
  assert_true(cell(&t, "x", 0, 0) == '\n');
  pt_table_free(&t);
  refuse_text("ply\rformat ascii 1.0\relement vertex 1\rproperty uchar x\rend_header\r1\r",
              PTV3_UNSUPPORTED, "CR alone");
}

static void malformed(void **state) {
  (void)state;
  refuse_text("", PTV3_FORMAT, "not a PLY");
  refuse_text("plyx\nformat", PTV3_FORMAT, "not a PLY");
  refuse_text("ply\nformat binary 1.0\nend_header\n", PTV3_FORMAT, "line 2");
  refuse_text("ply\nelement vertex 1\nproperty float x\nend_header\n1\n", PTV3_FORMAT,
              "no format");
  refuse_text(HEAD "property float x\nend_header\n", PTV3_FORMAT, "before the first element");
  refuse_text(HEAD "element vertex -1\nend_header\n", PTV3_FORMAT, "a count");
  refuse_text(HEAD "element vertex\nend_header\n", PTV3_FORMAT, "a count");
  refuse_text(HEAD "element vertex 1\nproperty half x\nend_header\n", PTV3_FORMAT, "type");
  refuse_text(HEAD "element vertex 1\nproperty float x y\nend_header\n", PTV3_FORMAT, "a name");
  refuse_text(HEAD "element vertex 1\nproperty list float int x\nend_header\n", PTV3_FORMAT,
              "length of a list");
  refuse_text(HEAD "element vertex 1\nproperty float x\nproperty int x\nend_header\n",
              PTV3_FORMAT, "one name");
  refuse_text(HEAD "elemen vertex 1\nend_header\n", PTV3_FORMAT, "line 3");
  refuse_text(HEAD "element face 1\nproperty float x\nend_header\n1\n", PTV3_DATA, "no points");
  refuse_text(HEAD "element vertex 1\nend_header\n1\n", PTV3_DATA, "no numbers");
  refuse_text(HEAD "element vertex 1\nproperty list uchar int x\nend_header\n1 1\n", PTV3_DATA,
              "no numbers");
  refuse_text(HEAD "element vertex 2\nproperty float x\nend_header\n1\n2x\n", PTV3_FORMAT,
              "line 7, column 1: \"2x\"");
  refuse_text(HEAD "element vertex 2\nproperty float x\nend_header\n1\n2 3\n", PTV3_FORMAT,
              "line 7 has 2 fields");
  refuse_text(HEAD "element vertex 1\nproperty float x\nproperty float y\nend_header\n1    \n",
              PTV3_FORMAT, "line 7 has 1 fields");
  refuse_text(HEAD "element vertex 1\nproperty uchar x\nend_header\n256\n", PTV3_FORMAT,
              "integer");
  refuse_text(HEAD "element vertex 1\nproperty uchar x\nend_header\n0.5\n", PTV3_FORMAT,
              "integer");
  refuse_text(HEAD "element vertex 1\nproperty uchar x\nend_header\n-1\n", PTV3_FORMAT,
              "integer");
  refuse_text(HEAD
              "element vertex 1\nproperty list int int k\nproperty int x\nend_header\n"
              "-1 3\n",
              PTV3_FORMAT, "fields");
}

#define BINARY "ply\nformat binary_little_endian 1.0\n"

static void lying_sizes(void **state) {
  (void)state;
  refuse_text(HEAD "element vertex 1152921504606846976\nproperty float x\nend_header\n1\n",
              PTV3_FORMAT, "announces");
  refuse_text(HEAD "element vertex 99999999999999999999\nproperty float x\nend_header\n1\n",
              PTV3_FORMAT, "a count");
  refuse_text(BINARY "element vertex 1152921504606846976\nproperty double x\nend_header\n1\n",
              PTV3_FORMAT, "announces");
  refuse_text(BINARY "element vertex 9223372036854775807\nproperty double x\nend_header\n1\n",
              PTV3_FORMAT, "announces");
  refuse_text(BINARY
              "element face 1152921504606846976\nproperty list uchar int x\n"
              "element vertex 1\nproperty uchar x\nend_header\n1\n",
              PTV3_FORMAT, "announces");
  refuse_text(BINARY
              "element face 1\nproperty list uint double x\n"
              "element vertex 1\nproperty uchar x\nend_header\n\xff\xff\xff\xff 1\n",
              PTV3_FORMAT, "lists");
  refuse_text(BINARY
              "element face 1\nproperty list int double x\n"
              "element vertex 1\nproperty uchar x\nend_header\n\xff\xff\xff\xff 1\n",
              PTV3_FORMAT, "negative");
  refuse_text(HEAD
              "element face 1152921504606846976\nproperty float y\nelement vertex 1\n"
              "property float x\nend_header\n1\n",
              PTV3_FORMAT, "announces");
}

static void too_many_properties(void **state) {
  (void)state;
  enum { N = 4097 };
  char *text = test_malloc(N * 24 + 200), *p = text;
  p += sprintf(p, HEAD "element vertex 1\n");
  for (int i = 0; i < N; i++) {
    if (i == N / 2) p += sprintf(p, "element face 1\n");
    p += sprintf(p, "property uchar p%d\n", i);
  }
  struct pt_env env;
  struct pt_table t;
  struct ptv3_error err;
  pt_env_init(&env, 1, 0);
  assert_int_equal(read_bytes(pt_ply_read, &env, text, (size_t)(p - text), &t, &err),
                   PTV3_FORMAT);
  assert_non_null(strstr(err.message, "more than 4096"));
  assert_int_equal(env.mem.used, 0);
  test_free(text);
}

static void prefixes(void **state) {
  (void)state;
  uint8_t buf[1024];
  for (int k = 0; k < 4; k++)
    assert_int_equal(every_prefix(pt_ply_read, buf, binary(buf, k & 1, k & 2)), 0);
  /* The faces behind the points are not looked at, nor is the last line end. */
  assert_int_equal(every_prefix(pt_ply_read, ascii, strlen(ascii)),
                   (int)strlen("\r\n3 0 1 2\r\n"));
}

static void failing_allocations(void **state) {
  (void)state;
  uint8_t buf[1024];
  every_failing_allocation(pt_ply_read, ascii, strlen(ascii));
  every_failing_allocation(pt_ply_read, buf, binary(buf, false, false));
  every_failing_allocation(pt_ply_read, buf, binary(buf, true, true));
}

static int64_t write_and_read(struct pt_env *env, const struct pt_table *t,
                              struct pt_table *back) {
  static const char path[] = "/tmp/ptv3_test_ply.ply";
  struct pt_map map;
  struct ptv3_error err = {0};
  if (pt_ply_write(&env->mem, path, t, &err)) return err.status;
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  struct pt_cursor c = pt_cursor_of(&map);
  if (pt_ply_read(env, &c, back, &err)) fail_msg("%s", err.message);
  assert_int_equal(pt_left(&c), 0);
  pt_map_close(&map);
  unlink(path);
  return PTV3_OK;
}

static void round_trip(void **state) {
  (void)state;
  struct pt_env env;
  struct pt_table t, back;
  pt_env_init(&env, 2, 0);
  enum { N = 40000 }; /* several blocks */
  pt_table_init(&t, &env.mem, N);
  for (int k = 0; k < PT_DTYPE_COUNT; k++) {
    char name[16];
    snprintf(name, sizeof name, "c%d", k);
    struct pt_column *c = pt_table_add(&t, name, (enum pt_dtype)k, 1 + (k == 1), NULL);
    for (int64_t i = 0; i < N * c->width; i++) {
      double v = (double)(i % 101);
      pt_convert((uint8_t *)c->data + i * pt_dtype(c->type)->bytes, c->type, &v, PT_F64, 1);
    }
  }
  assert_int_equal(write_and_read(&env, &t, &back), 0);
  assert_int_equal(back.n, N);
  assert_int_equal(back.count, PT_DTYPE_COUNT + 1); /* c1 is two */
  assert_int_equal(type_of_column(&back, "c1_0"), PT_F64);
  for (int64_t i = 0; i < N; i++) {
    assert_true(cell(&back, "c0", i, 0) == (double)(i % 101));
    assert_true(cell(&back, "c1_1", i, 0) == (double)((2 * i + 1) % 101));
    assert_true(cell(&back, "c11", i, 0) == (double)(i % 101)); /* U64 as int */
    assert_true(cell(&back, "c12", i, 0) == (i % 101 != 0));
  }
  pt_table_free(&back);
  ((int64_t *)pt_table_find(&t, "c10")->data)[7] = INT64_C(1) << 31;
  assert_int_equal(write_and_read(&env, &t, &back), PTV3_DATA);
  ((int64_t *)pt_table_find(&t, "c10")->data)[7] = 0;
  for (int64_t k = 1, status = 1; status; k++) {
    env.mem.calls = 0;
    env.mem.fail_at = k;
    int64_t used = env.mem.used;
    status = pt_ply_write(&env.mem, "/tmp/ptv3_test_ply.ply", &t, NULL);
    assert_int_equal(env.mem.used, used);
    assert_true(k < 20);
  }
  unlink("/tmp/ptv3_test_ply.ply");
  pt_table_free(&t);
  assert_int_equal(env.mem.used, 0);
}

static bool stop(void *user, const char *what, int64_t done, int64_t total) {
  (void)user, (void)what, (void)done, (void)total;
  return false;
}

static void cancelling(void **state) {
  (void)state;
  struct pt_env env;
  struct pt_table t;
  pt_env_init(&env, 1, 0);
  env.progress = stop;
  assert_int_equal(read_bytes(pt_ply_read, &env, ascii, strlen(ascii), &t, NULL),
                   PTV3_CANCELLED);
  assert_int_equal(env.mem.used, 0);
}

/* A mesh of the ScanNet sample; values as Python's plyfile shows them. */
static void real_mesh(void **state) {
  (void)state;
  static const char path[] = "../shared/data/formats/scene0000_00_vh_clean_2.ply";
  struct pt_map map;
  if (!pt_is_file(path)) {
    printf("skipped: no %s\n", path);
    return;
  }
  struct pt_env env;
  struct pt_table t;
  pt_env_init(&env, 2, 0);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  struct pt_cursor c = pt_cursor_of(&map);
  assert_int_equal(pt_ply_read(&env, &c, &t, NULL), 0);
  assert_int_equal(t.n, 81369);
  assert_int_equal(t.count, 7);
  assert_int_equal(type_of_column(&t, "alpha"), PT_U8);
  pt_table_free(&t);
  pt_map_close(&map);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ascii_values),  cmocka_unit_test(binary_values),
      cmocka_unit_test(old_line_ends), cmocka_unit_test(malformed),
      cmocka_unit_test(lying_sizes),   cmocka_unit_test(too_many_properties),
      cmocka_unit_test(prefixes),      cmocka_unit_test(failing_allocations),
      cmocka_unit_test(round_trip),    cmocka_unit_test(cancelling),
      cmocka_unit_test(real_mesh),
  };
  return cmocka_run_group_tests_name("ply", tests, NULL, NULL);
}
