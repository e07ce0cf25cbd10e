/* test_xyz.c - points as text: delimiters, headers, names, damaged lines. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats_test.h"
#include "xyz.h"

static int plain(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                 struct ptv3_error *err) {
  return pt_xyz_read(env, c, NULL, t, err);
}

static void refuse_text(const char *text, int status, const char *words) {
  refuse(plain, text, strlen(text), status, words);
}

static int read_named(const char *file, const char *text, const char *columns,
                      struct pt_table *t, struct ptv3_error *err) {
  static struct pt_env env; /* lives as long as the table */
  pt_env_init(&env, 2, 0);
  struct pt_cursor c = {(const uint8_t *)text, (int64_t)strlen(text), 0, file};
  return pt_xyz_read(&env, &c, columns, t, err);
}

/* Reads the text and checks the names of its columns, joined by spaces, its rows, and the
 * sum of all numbers. */
static void expect(const char *text, const char *columns, const char *names, int64_t n,
                   double sum) {
  struct pt_table t;
  struct ptv3_error err = {0};
  char got[256] = "";
  if (read_named("test.txt", text, columns, &t, &err)) fail_msg("%s", err.message);
  for (int i = 0; i < t.count; i++) {
    snprintf(got + strlen(got), sizeof got - strlen(got), i ? " %s" : "%s", t.col[i].name);
    assert_int_equal(t.col[i].type, PT_F64);
    for (int64_t r = 0; r < t.n; r++) sum -= ((double *)t.col[i].data)[r];
  }
  assert_string_equal(got, names);
  assert_int_equal(t.n, n);
  if (fabs(sum) > 1e-12) fail_msg("'%s': sum off by %g", text, sum);
  pt_table_free(&t);
}

static void delimiters(void **state) {
  (void)state;
  expect("1 2 3\n4 5 6\n", NULL, "x y z", 2, 21);
  expect("1\t2\t3\r\n4\t5\t6", NULL, "x y z", 2, 21);
  expect("  1   2 \t 3  \n\n\n4 5 6\n  \n", NULL, "x y z", 2, 21);
  expect("1 2 3\r\r\n4 5 6\r\n", NULL, "x y z", 2, 21);
  expect("1,2,3\n4 , 5 ,\t6\n", NULL, "x y z", 2, 21);
  expect("1;2;3\n4; 5; 6\n", NULL, "x y z", 2, 21);
  expect("1,2,3,\n4,5,6,\n", NULL, "x y z", 2, 21); /* a delimiter behind every field */
  expect("1 2 3 4 5 6\n", NULL, "x y z red green blue", 1, 21);
  expect("-1.5e0 +.5 1.\n", NULL, "x y z", 1, 0);
}

static void headers(void **state) {
  (void)state;
  expect("X Y Z Intensity\n1 2 3 4\n", NULL, "X Y Z Intensity", 1, 10);
  expect("# x y z label\n1 2 3 4\n", NULL, "x y z label", 1, 10);
  expect("//X Y Z R G B Scalar\n1 2 3 4 5 6 7\n", NULL, "X Y Z R G B Scalar", 1, 28);
  expect("//X,Y,Z,Scalar field\n1,2,3,4\n", NULL, "X Y Z Scalar field", 1, 10);
  expect("\"x\",\"y\",\"z\",\"\"\n1,2,3,4\n", NULL, "x y z column4", 1, 10);
  expect("x,y,z\n1 2 3\n", NULL, "x y z", 1, 6);
  expect("\xef\xbb\xbfx,y,z\n1,2,3\n", NULL, "x y z", 1, 6);
  expect("# made on a Tuesday\n# x y z a\n1 2 3 4\n# 5 6 7 8\n// end\n", NULL, "x y z a", 1,
         10);
  expect("# just three words\n1 2 3\n", NULL, "x y z", 1, 6); /* prose is not a header */
  expect("2\n1 2 3\n4 5 6\n", NULL, "x y z", 2, 21);          /* PTS */
  expect("2\nx y z\n1 2 3\n4 5 6\n", NULL, "x y z", 2, 21);
}

static void given_columns(void **state) {
  (void)state;
  expect("1 2 3 4\n", "x,y,z,label", "x y z label", 1, 10);
  expect("1 2 3 wall\n", "x, y ,z,_", "x y z", 1, 6);
  expect("wall,,1,2,3\n", "_,_,x,y,z", "x y z", 1, 6);
  expect("a b c\n1 2 3\n", "z,y,x", "z y x", 1, 6);
  expect("1 2 3 4 5 6\n", "x,y,z,nx,ny,nz", "x y z nx ny nz", 1, 21);
  struct pt_table t;
  struct ptv3_error err;
  static const char *const wrong[] = {"x,y", "x,y,z,w", "x,,z", "_,_,_", "x,y,z,"};
  for (int i = 0; i < 5; i++)
    assert_int_equal(read_named("test.txt", "1 2 3\n", wrong[i], &t, &err), PTV3_INVALID);
  assert_int_equal(read_named("a.xyzn", "1 2 3 4 5 6\n", NULL, &t, &err), 0);
  assert_string_equal(t.col[3].name, "nx");
  pt_table_free(&t);
  assert_int_equal(read_named("a.txt", "1 2 3 wall\n", "x,y,z,label", &t, &err), PTV3_FORMAT);
  assert_non_null(strstr(err.message, "\"wall\" is not a number (field 'label')"));
}

static void damaged(void **state) {
  (void)state;
  refuse_text("", PTV3_FORMAT, "no points");
  refuse_text("\n\n# nothing\n", PTV3_FORMAT, "no points");
  refuse_text("x y z\n", PTV3_FORMAT, "no points");
  refuse_text("1 2\n", PTV3_DATA, "--columns");
  refuse_text("1 2 3 4\n", PTV3_DATA, "4 fields a line");
  refuse_text("1 2 3 4 5 6 7\n", PTV3_DATA, "--columns");
  refuse_text("1 2 3\n4 5\n", PTV3_FORMAT, "line 2 has 2 fields where 3");
  refuse_text("1 2 3\n\n4 5 6 7\n", PTV3_FORMAT, "line 3 has 4 fields where 3");
  refuse_text("1,2,3\n4,5,\n", PTV3_FORMAT, "line 2 has 2 fields where 3");
  refuse_text("1,2,3\n4,,6\n", PTV3_FORMAT, "line 2, column 3: \"\" is not a number");
  refuse_text("1 2 3\n4 5x 6\n", PTV3_FORMAT, "line 2, column 3: \"5x\" is not a number");
  refuse_text("1 2 3 wall\n", PTV3_FORMAT, "\"wall\" is not a number; leave a column");
  refuse_text("1,5;2,5;3,5\n", PTV3_FORMAT, "column 1: \"1,5\" is not a number");
  refuse_text("a b c\nd e f\n1 2 3\n", PTV3_FORMAT, "line 2, column 1: \"d\"");
  refuse_text("a b\n1 2 3\n", PTV3_FORMAT, "has 2 names, line 2 has 3 fields");
  refuse_text("3\n1 2 3\n4 5 6\n", PTV3_FORMAT, "announces 3 points");
  refuse_text("9223372036854775807\n1 2 3\n4 5 6\n", PTV3_FORMAT, "announces");
  refuse_text("1 2 3\r4 5 6\r", PTV3_FORMAT, "\"3\\x0d4\" is not a number"); /* not 5 fields */
  /* The byte that S3DIS is known for: Area_5, office_19, ceiling. */
  refuse_text(
      "1 2 3 4 5 6\n-22.07 9.43 2.55 185\x10"
      "187 182 183\n",
      PTV3_FORMAT, "line 2, column 18: \"185\\x10187\" is not a number");
}

/* One long line and a million short ones: refused before memory is taken for them. */
static void lying_first_line(void **state) {
  (void)state;
  enum { WIDE = 1000, SHORT = 200000 };
  char *text = test_malloc(WIDE * 4 + SHORT * 2 + 1), *p = text;
  for (int i = 0; i < WIDE; i++) p += sprintf(p, "x ");
  *p++ = '\n';
  for (int i = 0; i < WIDE; i++) p += sprintf(p, i ? " 1" : "1");
  for (int i = 0; i < SHORT; i++) p += sprintf(p, "\n1");
  refuse(plain, text, (size_t)(p - text), PTV3_FORMAT, "fewer fields than its first");
  test_free(text);
}

static const char small[] =
    "# x y z label\n1.25 -2 3e2 7\n\n4,5 6 7 8\n"; /* wrong on purpose */
static const char good[] = "X;Y;Z;label\r\n1.25;-2;3e2;7\r\n// note\r\n4;5;6;8";

static void prefixes(void **state) {
  (void)state;
  every_prefix(plain, small, strlen(small));
  /* Whole lines, and a number that loses digits, cannot be told from a whole file. */
  assert_int_equal(every_prefix(plain, good, strlen(good)), 3 + 8);
}

static void failing_allocations(void **state) {
  (void)state;
  every_failing_allocation(plain, good, strlen(good));
}

/* Several megabytes: pieces meet inside lines; threads do not change the answer, nor which
 * error is reported. */
static void pieces(void **state) {
  (void)state;
  enum { N = 150000 };
  size_t cap = N * 40;
  char *text = test_malloc(cap), *p = text;
  for (int i = 0; i < N; i++)
    p += sprintf(p, "%s%d.%03d %d %s%d\n", i % 50 ? "" : "\n# note\n", i, i % 1000, -i,
                 i % 7 ? "" : "   ", i % 13);
  for (int threads = 1; threads <= 5; threads += 2) {
    struct pt_env env;
    struct pt_table t;
    pt_env_init(&env, threads, 0);
    struct pt_cursor c = {(uint8_t *)text, p - text, 0, "test.txt"};
    assert_int_equal(pt_xyz_read(&env, &c, NULL, &t, NULL), 0);
    assert_int_equal(t.n, N);
    const double *x = t.col[0].data, *y = t.col[1].data, *z = t.col[2].data;
    for (int i = 0; i < N; i++) {
      assert_true(fabs(x[i] - (i + (i % 1000) * 0.001)) < 1e-9);
      assert_true(y[i] == -i && z[i] == i % 13);
    }
    pt_table_free(&t);
    char keep[2] = {text[2000000], p[-2]};
    text[2000000] = p[-2] = '?';
    struct ptv3_error err;
    c.pos = 0;
    assert_int_equal(pt_xyz_read(&env, &c, NULL, &t, &err), PTV3_FORMAT);
    assert_in_range(err.offset, 2000000 - 20, 2000000);
    int line = 1;
    char words[32];
    for (int64_t b = 0; b < err.offset; b++) line += text[b] == '\n';
    snprintf(words, sizeof words, "line %d, column", line);
    if (!strstr(err.message, words)) fail_msg("'%s' lacks '%s'", err.message, words);
    text[2000000] = keep[0];
    p[-2] = keep[1];
    assert_int_equal(env.mem.used, 0);
  }
  test_free(text);
}

/* A raw S3DIS object: sums as NumPy's loadtxt gives them. */
static void real_object(void **state) {
  (void)state;
  static const char path[] =
      "../shared/data/formats/S3DIS_raw/Area_3/hallway_3/Annotations/door_1.txt";
  static const double want[6] = {5137.470999999918, 938.0380000000018, 8450.331999999977,
                                 778667.0,          849640.0,          702430.0};
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
  assert_int_equal(pt_xyz_read(&env, &c, NULL, &t, NULL), 0);
  assert_int_equal(t.n, 6939);
  assert_int_equal(t.count, 6);
  for (int k = 0; k < 6; k++) {
    double sum = 0;
    for (int64_t i = 0; i < t.n; i++) sum += ((double *)t.col[k].data)[i];
    assert_true(fabs(sum - want[k]) < 1e-6);
  }
  pt_table_free(&t);
  pt_map_close(&map);
}

static void prose_and_points(void **state) {
  static const struct {
    const char *text;
    bool points;
  } cases[] = {{"1 2 3\n", true},
               {"x,y,z,label\n1.5,2,-3e4,wall\n", true},
               {"# a comment\n\n3\n1 2 3 4 5 6\n", true},
               {"\xef\xbb\xbf"
                "1;2;3",
                true},
               {"", true}, /* reading it says what is wrong */
               {"one two three\n1 2 3 wall floor lamp\n", true},
               {"1 2 3 of the four walls\n", false},
               {"These are 2 scenes of 3 rooms, 10 m by 20 m.\n\nSee LICENCE.\n", false},
               {"MIT License\n\nCopyright (c) 2020, 2021, 2022 Us\n", false},
               {"1 2\n3 4\n", false},
               {"\n\n  \n", false}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (pt_xyz_has_points((const uint8_t *)cases[i].text, (int64_t)strlen(cases[i].text)) !=
        cases[i].points)
      fail_msg("%s", cases[i].text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prose_and_points), cmocka_unit_test(delimiters),
      cmocka_unit_test(headers),          cmocka_unit_test(given_columns),
      cmocka_unit_test(damaged),          cmocka_unit_test(lying_first_line),
      cmocka_unit_test(prefixes),         cmocka_unit_test(failing_allocations),
      cmocka_unit_test(pieces),           cmocka_unit_test(real_object),
  };
  return cmocka_run_group_tests_name("xyz", tests, NULL, NULL);
}
