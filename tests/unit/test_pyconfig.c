/* test_pyconfig.c - configurations: own files against what Pointcept's Config gives for them
 * (tests/unit/data/config), constructs one by one, messages, getters, every prefix of a file,
 * every failing allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "class_lists.h"
#include "file.h"
#include "pyconfig.h"

#define DATA "tests/unit/data/config/"
#define COUNT(a) ((int64_t)(sizeof(a) / sizeof *(a)))

static const char *const overrides[] = {"model.in_channels=4", "hooks.1.save_freq=5",
                                        "data.train.crop=(1,2.5,[x])", "new.key=True"};

static void same_as_file(const char *config, const char *const *options, int64_t n,
                         const char *expected) {
  struct pt_env env;
  struct ptv3_error err = {0};
  struct pt_map map;
  char *json = NULL;
  int64_t size = 0;
  pt_env_init(&env, 1, 0);
  if (pt_config_json(&env, config, options, n, &json, &size, &err)) fail_msg("%s", err.message);
  assert_int_equal(pt_map_open(&map, expected, &err), 0);
  assert_int_equal(size + 1, map.size); /* the file ends with a newline */
  assert_memory_equal(json, map.data, (size_t)size);
  pt_map_close(&map);
  pt_free(&env.mem, json);
  assert_int_equal(env.mem.used, 0);
}

static void test_files(void **state) {
  (void)state;
  same_as_file(DATA "room-ptv3.py", NULL, 0, DATA "room-ptv3.json");
  same_as_file(DATA "room-ptv3.py", overrides, COUNT(overrides), DATA "room-ptv3.options.json");
}

/* Written as Python and read again it is the same tree. */
static void back_and_forth(struct pt_env *env, const struct pt_config *c) {
  struct pt_out out;
  struct pt_config again;
  struct ptv3_error err = {0};
  char folder[] = "/tmp/ptv3-config-XXXXXX", path[64], *a, *b;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/config.py", folder);
  assert_int_equal(pt_out_open(&out, &env->mem, path, &err), 0);
  assert_int_equal(pt_value_python(&out, c->root, &err), 0);
  assert_int_equal(pt_out_commit(&out, &err), 0);
  if (pt_config_load(env, path, NULL, 0, &again, &err)) fail_msg("%s", err.message);
  assert_int_equal(pt_value_json(&env->mem, c->root, &a, NULL, &err), 0);
  assert_int_equal(pt_value_json(&env->mem, again.root, &b, NULL, &err), 0);
  assert_string_equal(a, b);
  pt_free(&env->mem, a), pt_free(&env->mem, b);
  pt_config_free(&again);
  unlink(path);
  rmdir(folder);
}

static void test_python(void **state) {
  (void)state;
  static const char text[] =
      "a = [1, -2.5, 1e300, 1e-7, -0.0, 1e999, -1e999, True, None, (3,), (), {}, []]\n"
      "b = {1: 'x', 'class': 2, 'a b': 3, None: 4, (True): 5}\n"
      "c = dict(lambda_=1, type=\"q\\\"uo\\\\te\", path='{ {x} }', "
      "nest=[[[dict(a=[dict()])]]])\n"
      "d = 'a\\nb\\tc\\x01\\u00e4\\U0001f600\\ud800'\n"
      "e = '{' + '{ fileDirname }' + '}'\n"
      "f = -9223372036854775807 - 1\n"
      "g = [i for i in range(40)]\n";
  struct pt_env env;
  struct pt_config c;
  struct ptv3_error err = {0};
  pt_env_init(&env, 1, 0);
  if (pt_config_parse(&env, text, (int64_t)strlen(text), "t.py", NULL, 0, &c, &err))
    fail_msg("%s", err.message);
  back_and_forth(&env, &c);
  pt_config_free(&c);
  if (pt_config_load(&env, DATA "room-ptv3.py", overrides, COUNT(overrides), &c, &err))
    fail_msg("%s", err.message);
  back_and_forth(&env, &c);
  pt_config_free(&c);
  assert_int_equal(env.mem.used, 0);
}

static int parse(struct pt_env *env, const char *text, int64_t n, struct pt_config *c,
                 struct ptv3_error *err) {
  char *tight = test_malloc(n ? (size_t)n : 1); /* so that the sanitizer sees overruns */
  memcpy(tight, text, (size_t)n);
  int status = pt_config_parse(env, tight, n, "test.py", NULL, 0, c, err);
  test_free(tight);
  return status;
}

/* The JSON of the text without its line ends and indents. */
static void gives(const char *text, const char *expected) {
  struct pt_env env;
  struct pt_config c;
  struct ptv3_error err = {0};
  char *json, *to;
  pt_env_init(&env, 1, 0);
  if (parse(&env, text, (int64_t)strlen(text), &c, &err)) fail_msg("%s: %s", text, err.message);
  assert_int_equal(pt_value_json(&env.mem, c.root, &json, NULL, &err), 0);
  to = json;
  for (const char *p = json; *p; p++)
    if (*p == '\n')
      p += strspn(p + 1, " ");
    else
      *to++ = *p;
  *to = 0;
  assert_string_equal(json, expected);
  pt_free(&env.mem, json);
  pt_config_free(&c);
  assert_int_equal(env.mem.used, 0);
}

static void refused(const char *text, int status, const char *words) {
  struct pt_env env;
  struct pt_config c;
  struct ptv3_error err = {0};
  pt_env_init(&env, 1, 0);
  int got = parse(&env, text, (int64_t)strlen(text), &c, &err);
  if (got != status || !strstr(err.message, words))
    fail_msg("%.60s: status %d '%s', wanted %d '%s'", text, got, err.message, status, words);
  assert_int_equal(env.mem.used, 0);
}

static void test_constructs(void **state) {
  (void)state;
  gives("", "{}");
  gives("a = 1e-05, 1e16, 100.0, 1/3, -0.0, 0.1 + 0.2, 5e-324, 1e400, -1e400\n",
        "{\"a\": [1e-05,1e+16,100.0,0.3333333333333333,-0.0,0.30000000000000004,5e-324,"
        "Infinity,-Infinity]}");
  gives("a = -7 // 2, -7 % 3, 7.5 // -2, -7.5 % 2, 2**-1, -2**2, 2**3**2",
        "{\"a\": [-4,2,-4.0,0.5,0.5,-4,512]}");
  gives("a = r'\\d' \"\\x41\\t\\\"\\u00e9\" f'{1+1}{{}}' '''x\r\ny'''",
        "{\"a\": \"\\\\dA\\t\\\"\\u00e92{}x\\ny\"}");
  gives("a = {0: 5, True: 2, '0': None}", "{\"a\": {\"0\": 5,\"true\": 2,\"0\": null}}");
  gives("x = dict(b=1); y = x; y['b'] = 2; z = [x] * 2",
        "{\"x\": {\"b\": 2},\"y\": {\"b\": 2},\"z\": [{\"b\": 2},{\"b\": 2}]}");
  gives("a = [i * j for i in range(3) for j in range(i) if i != j]", "{\"a\": [0,0,2]}");
  gives("a = (1,), (1), [*range(2)], {**dict(q=1), 'w': 2}, [1, 2, 3][::-1]",
        "{\"a\": [[1],1,[0,1],{\"q\": 1,\"w\": 2},[3,2,1]]}");
  gives("__a = 1; b = 2; _c = 3; del b", "{\"_c\": 3}");
}

static void test_refused(void **state) {
  (void)state;
  refused("a = 1\nif a: b = 2\n", PTV3_UNSUPPORTED, "test.py:2:1: the statement 'if'");
  refused("import os", PTV3_UNSUPPORTED, "test.py:1:1: the statement 'import'");
  refused("from os import path", PTV3_UNSUPPORTED, "test.py:1:16: 'from os import path'");
  refused("a = open('x')", PTV3_UNSUPPORTED, "test.py:1:5: the function 'open()'");
  refused("a = [1,\n  b]", PTV3_CONFIG, "test.py:2:3: the name 'b'");
  refused("a = 'x' + 1", PTV3_CONFIG, "test.py:1:9: a string + an integer");
  refused("a = 'x", PTV3_CONFIG, "test.py:1:5: this string");
  refused("a = [0] * 10**9", PTV3_CONFIG, "too many values");
  refused("a = [i for i in range(10**12)]", PTV3_CONFIG, "too many values");
  refused("a = 'x' * 10**15", PTV3_CONFIG, "too many values");
  refused("a = 2**64", PTV3_CONFIG, "64 bits");
  refused("a = 99999999999999999999", PTV3_CONFIG, "64 bits");
  refused("a = {}; a['a'] = a", PTV3_CONFIG, "within each other");
  refused("a=[1]\nb=[a,a]\nc=[b]*1000\nd=[c]*1000\ne=[d]*1000", PTV3_CONFIG, "too many values");
  refused("a = {1, 2}", PTV3_UNSUPPORTED, "a set");
  refused("_base_ = 'x.py'", PTV3_CONFIG, "test.py:1:1: _base_");
  refused("a = '{{ _base_.x }}'", PTV3_CONFIG, "without quotes");
  refused("a = {{ _base_.x }}", PTV3_CONFIG, "without _base_");
  refused("text = 1", PTV3_CONFIG, "reserved");
  refused("a = '\xff'", PTV3_FORMAT, "byte 5");
  refused("a = dict(x=1, x=2)", PTV3_CONFIG, "test.py:1:15: the key 'x' is given twice");
}

static void test_nesting(void **state) {
  char text[4096];
  (void)state;
  memset(text, '[', 4000);
  text[4000] = 0;
  refused(text, PTV3_CONFIG, "levels of brackets");
  memset(text, '-', 4000);
  refused(text, PTV3_CONFIG, "levels of brackets");
  for (int i = 0; i < 4000; i += 2) memcpy(text + i, "1+", 2);
  text[3999] = 0;
  refused(text, PTV3_CONFIG, "levels");
}

static void test_base_errors(void **state) {
  struct pt_env env;
  struct pt_config c;
  struct ptv3_error err = {0};
  static const char *const bad[] = {"model.order.0=z"}, *const list[] = {"hooks.7.x=1"};
  (void)state;
  pt_env_init(&env, 1, 0);
  assert_int_equal(pt_config_load(&env, DATA "none.py", NULL, 0, &c, &err), PTV3_IO);
  assert_int_equal(pt_config_load(&env, DATA "cycle.py", NULL, 0, &c, &err), PTV3_CONFIG);
  assert_non_null(strstr(err.message, "cycle.py:2:10: _base_"));
  assert_int_equal(pt_config_load(&env, DATA "room-ptv3.json", NULL, 0, &c, &err),
                   PTV3_UNSUPPORTED);
  assert_int_equal(pt_config_load(&env, DATA "room-ptv3.py", bad, 1, &c, &err), PTV3_CONFIG);
  assert_non_null(strstr(err.message, "option model.order.0=z: 'order' is a dict here"));
  assert_int_equal(pt_config_load(&env, DATA "room-ptv3.py", list, 1, &c, &err), PTV3_CONFIG);
  assert_non_null(strstr(err.message, "there is no item 7"));
  assert_int_equal(env.mem.used, 0);
}

static void test_getters(void **state) {
  static const char text[] =
      "n = 3\nm = dict(\n  a=5,\n  f=2,\n  s='x',\n  l=[1, 2],\n  z=None,\n  k=[dict(q=1)])\n";
  struct pt_env env;
  struct pt_config c;
  struct ptv3_error err = {0};
  int64_t i, n, ints[4];
  double f;
  bool b;
  const char *s;
  (void)state;
  pt_env_init(&env, 1, 0);
  assert_int_equal(parse(&env, text, (int64_t)strlen(text), &c, &err), 0);
  const struct pt_value *m = pt_need_dict(c.root, "m", &err);
  assert_int_equal(pt_get_int(m, "a", 1, &i, &err), 0);
  assert_int_equal(i, 5);
  assert_int_equal(pt_get_int(m, "z", 7, &i, &err), 0);
  assert_int_equal(i, 7);
  assert_int_equal(pt_get_double(m, "f", 0, &f, &err), 0);
  assert_true(f == 2.0);
  assert_int_equal(pt_get_ints(m, "l", 1, 4, ints, &n, &err), 0);
  assert_true(n == 2 && ints[0] == 1 && ints[1] == 2);
  assert_int_equal(pt_get_ints(m, "l", 3, 3, ints, &n, &err), PTV3_CONFIG);
  assert_string_equal(err.message, "test.py:6:3: m.l: has 2 items, must have 3");
  assert_int_equal(pt_get_bool(m, "s", false, &b, &err), PTV3_CONFIG);
  assert_string_equal(err.message, "test.py:5:3: m.s: expected True or False, not a string");
  assert_int_equal(pt_need_str(m, "none", &s, &err), PTV3_CONFIG);
  assert_string_equal(err.message, "test.py:2:1: m: has no 'none'");
  assert_int_equal(pt_get_int_in(m, "a", 1, 0, 4, &i, &err), PTV3_CONFIG);
  assert_null(pt_need(m, "z", &err));
  assert_int_equal(pt_need_int(pt_item(pt_get(m, "k"), 0), "r", &i, &err), PTV3_CONFIG);
  assert_string_equal(err.message, "test.py:8:6: m.k.0: has no 'r'");
  pt_config_free(&c);
  assert_int_equal(env.mem.used, 0);
}

static void collect(void *user, const char *path, const struct pt_pos *at) {
  char *all = user;
  snprintf(all + strlen(all), 200 - strlen(all), "%s:%d ", path, at->line);
}

static void test_unused(void **state) {
  static const char text[] =
      "lr = 1\nm = dict(a=lr,\n  b=2)\nl = [dict(x=1, y=2)]\nu = dict(v=1)";
  struct pt_env env;
  struct pt_config c;
  struct ptv3_error err = {0};
  char all[200] = "";
  (void)state;
  pt_env_init(&env, 1, 0);
  assert_int_equal(parse(&env, text, (int64_t)strlen(text), &c, &err), 0);
  pt_get(pt_get(c.root, "m"), "a");
  pt_get(pt_item(pt_get(c.root, "l"), 0), "x");
  pt_value_unused(c.root, collect, all);
  assert_string_equal(all, "m.b:3 l.0.y:4 u:5 ");
  pt_ignore(c.root, "u");
  pt_mark_used(c.root);
  all[0] = 0;
  pt_value_unused(c.root, collect, all);
  assert_string_equal(all, "");
  pt_config_free(&c);
}

static void test_class_lists(void **state) {
  (void)state;
  const struct pt_class_list *l =
      pt_class_list_find("a.b.scannet200_constants", "CLASS_LABELS_200");
  assert_int_equal(l->n, 200);
  assert_string_equal(l->label[199], "mattress");
  assert_int_equal(pt_class_list_find(NULL, "CLASS_LABELS_PP")->n, 100);
  assert_int_equal(pt_class_list_find(NULL, "INST_LABELS_PP")->n, 84);
  assert_null(pt_class_list_find("os", "CLASS_LABELS_200"));
}

/* Every prefix of a real file gives a tree or an error, and leaves nothing behind. */
static void test_prefixes(void **state) {
  struct pt_env env;
  struct pt_config c;
  struct pt_map map;
  struct ptv3_error err = {0};
  (void)state;
  pt_env_init(&env, 1, 0);
  assert_int_equal(pt_map_open(&map, DATA "_base_/rooms.py", &err), 0);
  for (int64_t n = 0; n < map.size; n++) {
    int status = parse(&env, (const char *)map.data, n, &c, &err);
    if (!status) pt_config_free(&c);
    assert_int_equal(env.mem.used, 0);
    assert_true(status == 0 || err.message[0]);
  }
  pt_map_close(&map);
}

static void test_failing_allocations(void **state) {
  (void)state;
  for (int64_t k = 1, status = 1; status; k++) {
    struct pt_env env;
    struct ptv3_error err = {0};
    char *json;
    pt_env_init(&env, 1, 0);
    env.mem.fail_at = k;
    status = pt_config_json(&env, DATA "room-ptv3.py", overrides, COUNT(overrides), &json, NULL,
                            &err);
    if (!status) pt_free(&env.mem, json);
    assert_true(status == 0 || status == PTV3_NO_MEMORY);
    assert_int_equal(env.mem.used, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_files),
      cmocka_unit_test(test_python),
      cmocka_unit_test(test_constructs),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_nesting),
      cmocka_unit_test(test_base_errors),
      cmocka_unit_test(test_getters),
      cmocka_unit_test(test_unused),
      cmocka_unit_test(test_class_lists),
      cmocka_unit_test(test_prefixes),
      cmocka_unit_test(test_failing_allocations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
