/* test_number.c - decimal numbers against the C library, bit by bit. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "number.h"
#include "philox.h"

static void same(const char *s) {
  double v = 0, want = strtod(s, NULL); /* the program's locale is "C" */
  const char *end = s + strlen(s);
  if (pt_number(s, end, &v) != end) fail_msg("'%s' was not read whole", s);
  if (memcmp(&v, &want, sizeof v) != 0) fail_msg("'%s': %a, not %a", s, v, want);
}

static void hard_ones(void **state) {
  (void)state;
  static const char *const s[] = {
      "0",
      "-0",
      "0.0",
      "-0.000e5",
      "1",
      "+1",
      "-1.5",
      ".5",
      "5.",
      "1e0",
      "1E+5",
      "1e-5",
      "9007199254740992",
      "9007199254740993",
      "9007199254740995",
      "9007199254740993.0000001",
      "0.1",
      "0.2",
      "0.3",
      "1e22",
      "1e23",
      "1e-22",
      "1e-23",
      "8.5e-27",
      "123456789012345678e5",
      "1e27",
      "9223372036854775807e27",
      "9999999999999999999e27",
      "1e28",
      "1e-27",
      "1e-28",
      "9999999999999999999e-27",
      "1844674407370955161500e-3",
      "2.2250738585072011e-308",
      "2.2250738585072014e-308",
      "4.9e-324",
      "2e-324",
      "1e-400",
      "1.7976931348623157e308",
      "1e400",
      "-1e400",
      "0.000000000000000000000000000000000000001",
      "100000000000000000000000000000000000000000000000001",
      "1797693134862315708145274237317043567980705675258449965989174768031572607800285387605895"
      "58"
      "6327668781715404589535143824642343213268894641827684675467035375169860499105765512820762"
      "45"
      "490090389328944075868508455133942304583236903222948165808559332123347747979e-1",
      "0.500000000000000166533453693773481063544750213623046875",
      "3.518437208883201171875e13",
      "1.00000000000000011102230246251565404",
      "6.8456e+02",
      "5.000000000000000000e-01",
      "1.234567890123456789e+02",
      "0e99999",
      "0e-99999999999"};
  for (size_t i = 0; i < sizeof s / sizeof *s; i++) same(s[i]);
}

static void random_ones(void **state) {
  (void)state;
  static const char *const format[] = {"%.17g", "%.18e", "%.6f", "%.3f",
                                       "%.9g",  "%.19g", "%.25g"};
  for (uint64_t i = 0; i < 200000; i++) {
    uint64_t bits = pt_philox_u64(1, 2, i);
    double v;
    char s[512];
    if (i % 2) { /* any double at all; else one of everyday size */
      memcpy(&v, &bits, sizeof v);
      if (!isfinite(v) || fabs(v) > 1e100) continue;
    } else {
      v = (double)(int64_t)bits * 0x1p-63 * (double)(1 + i % 1000000);
    }
    snprintf(s, sizeof s, format[i / 2 % 7], v);
    same(s);
  }
  /* Numbers half way between two doubles, and a little beside. */
  for (uint64_t i = 0; i < 50000; i++) {
    uint64_t m = (UINT64_C(1) << 52 | pt_philox_u64(3, 4, i) >> 12) * 2 + 1;
    char s[64];
    int shift = (int)(i % 10);
    snprintf(s, sizeof s, "%llu", (unsigned long long)(m << shift));
    same(s);
    snprintf(s, sizeof s, "%llue-%d", (unsigned long long)(m << shift) + i % 3 - 1,
             (int)(i % 28));
    same(s);
  }
}

static void specials_and_refusals(void **state) {
  (void)state;
  double v;
  static const char *const inf[] = {"inf", "Inf", "INFINITY", "+inf"};
  for (int i = 0; i < 4; i++) {
    assert_non_null(pt_number(inf[i], inf[i] + strlen(inf[i]), &v));
    assert_true(isinf(v) && v > 0);
  }
  const char *s = "-NaN";
  assert_ptr_equal(pt_number(s, s + 4, &v), s + 4);
  assert_true(isnan(v));
  static const char *const not [] = {"",    "-", "+",   ".",  "-.", "e5",
                                     ".e5", "x", "--1", "in", "na", "- 1"};
  for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
    assert_null(pt_number(not [i], not [i] + strlen(not [i]), &v));
  s = "1.5e+x";
  assert_ptr_equal(pt_number(s, s + 6, &v), s + 3); /* the caller sees the rest */
  s = "12345";
  assert_ptr_equal(pt_number(s, s + 3, &v), s + 3); /* nothing behind the end is read */
  assert_true(v == 123);
  char many[2000];
  memset(many, '1', sizeof many);
  assert_null(pt_number(many, many + sizeof many, &v));
}

static void integers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum pt_dtype type;
    int64_t want;
    bool ok;
  } t[] = {{"-128", PT_I8, -128, true},
           {"-129", PT_I8, 0, false},
           {"127", PT_I8, 127, true},
           {"128", PT_I8, 0, false},
           {"255", PT_U8, 255, true},
           {"256", PT_U8, 0, false},
           {"-1", PT_U8, 0, false},
           {"-0", PT_U8, 0, true},
           {"2.0", PT_U8, 2, true},
           {"2.5", PT_U8, 0, false},
           {"2e2", PT_U8, 200, true},
           {"3e2", PT_U8, 0, false},
           {"nan", PT_I32, 0, false},
           {"1", PT_BOOL, 1, true},
           {"2", PT_BOOL, 0, false},
           {"9223372036854775807", PT_I64, INT64_MAX, true},
           {"9223372036854775808", PT_I64, 0, false},
           {"-9223372036854775808", PT_I64, INT64_MIN, true},
           {"-9223372036854775809", PT_I64, 0, false},
           {"18446744073709551615", PT_U64, -1, true},
           {"18446744073709551616", PT_U64, 0, false},
           {"99999999999999999999", PT_U64, 0, false},
           {"+7", PT_U16, 7, true},
           {"", PT_U16, 0, false},
           {"-", PT_I16, 0, false}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    int64_t got[2] = {0, 0};
    const char *end = t[i].text + strlen(t[i].text);
    const char *p = pt_number_store(t[i].text, end, got, t[i].type, 0);
    if ((p == end) != t[i].ok) fail_msg("'%s'", t[i].text);
    if (t[i].ok) assert_memory_equal(got, &t[i].want, (size_t)pt_dtype(t[i].type)->bytes);
  }
  static const char *const count[] = {
      "0", "12", "9223372036854775807", "9223372036854775808", "", "-1", "1.", "1 "};
  static const int64_t want[] = {0, 12, INT64_MAX, -1, -1, -1, -1, -1};
  for (int i = 0; i < 8; i++)
    assert_int_equal(pt_number_count(count[i], count[i] + strlen(count[i])), want[i]);
}

/* A locale with a decimal comma changes nothing. */
static void locales(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
  bool set = false;
  for (int i = 0; i < 4 && !set; i++) set = setlocale(LC_ALL, names[i]) != NULL;
  if (!set) printf("skipped: no locale with a decimal comma\n");
  const char *s = "1.5e-300"; /* goes to the C library */
  double v;
  assert_non_null(pt_number(s, s + 8, &v));
  assert_true(v == 1.5e-300);
  setlocale(LC_ALL, "C");
}

static void quoting(void **state) {
  (void)state;
  char out[48];
  static const char s[] =
      "185\x10"
      "187";
  assert_string_equal(pt_number_quote(s, s + 7, out), "185\\x10187");
  char bytes[100];
  memset(bytes, 1, sizeof bytes);
  assert_true(strlen(pt_number_quote(bytes, bytes + 100, out)) < 48);
  assert_string_equal(pt_number_quote(s, s, out), "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hard_ones),
      cmocka_unit_test(random_ones),
      cmocka_unit_test(specials_and_refusals),
      cmocka_unit_test(integers),
      cmocka_unit_test(locales),
      cmocka_unit_test(quoting),
  };
  return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
