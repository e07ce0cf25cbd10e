/* test_checkpoint_pickle.c - the unpickler: one value written by CPython with each
 * protocol, and pickles that lie. */
#include <math.h>

#include "checkpoint_test.h"
#include "pickle.h"

static struct pt_pickle read_file(struct pt_mem *mem, struct pt_map *map, const char *path) {
  struct pt_pickle p;
  struct ptv3_error err = {0};
  assert_int_equal(pt_map_open(map, path, &err), 0);
  struct pt_cursor c = pt_cursor_of(map);
  if (pt_pickle_read(&p, mem, &c, &err)) fail_msg("%s", err.message);
  assert_int_equal(c.pos, c.size);
  return p;
}

static pt_pref get(const struct pt_pickle *p, const char *key) {
  pt_pref v;
  if (!pt_pickle_get(p, p->root, key, &v)) fail_msg("no key '%s'", key);
  return v;
}

static void check_numbers(const struct pt_pickle *p) {
  static const int64_t want[] = {
      0, 255, 65535, -1, INT32_MAX, INT32_MIN, INT64_C(1) << 40, INT64_MIN};
  pt_pref v;
  int64_t n;
  for (uint32_t i = 0; i < 8; i++) {
    assert_true(pt_pickle_item(p, get(p, "ints"), i, &v));
    assert_true(pt_pickle_int(p, v, &n));
    assert_true(n == want[i]);
  }
  for (uint32_t i = 8; i < 10; i++) {
    assert_true(pt_pickle_item(p, get(p, "ints"), i, &v));
    assert_int_equal(pt_pnode(p, v)->kind, PT_PK_BIGINT);
  }
  assert_false(pt_pickle_item(p, get(p, "ints"), 10, &v));
  assert_true(pt_pnode(p, get(p, "float"))->f == 1.5);
  assert_true(pt_pnode(p, get(p, "tiny"))->f == -2.5e-300);
  assert_int_equal(pt_pnode(p, get(p, "none"))->kind, PT_PK_NONE);
  assert_int_equal(pt_pnode(p, get(p, "true"))->kind, PT_PK_BOOL);
  assert_int_equal(pt_pnode(p, get(p, "true"))->i, 1);
  assert_int_equal(pt_pnode(p, get(p, "false"))->i, 0);
}

static void check_containers(const struct pt_pickle *p) {
  pt_pref v, w;
  int64_t n;
  for (uint32_t i = 0; i < 5; i++) {
    assert_true(pt_pickle_item(p, get(p, "tuples"), i, &v));
    assert_int_equal(pt_pnode(p, v)->kind, PT_PK_TUPLE);
    assert_int_equal(pt_pnode(p, v)->o.items.count, i);
    for (uint32_t k = 0; k < i; k++) {
      assert_true(pt_pickle_item(p, v, k, &w) && pt_pickle_int(p, w, &n));
      assert_int_equal(n, k + 1);
    }
  }
  assert_true(pt_pickle_get(p, get(p, "od"), "b", &v) && pt_pickle_int(p, v, &n));
  assert_int_equal(n, 2);
  assert_true(pt_pickle_is_call(p, get(p, "od"), "collections", "OrderedDict"));
  assert_int_equal(get(p, "one"), get(p, "two")); /* shared, not copied */
  assert_true(pt_pickle_item(p, get(p, "cycle"), 0, &v));
  assert_int_equal(v, get(p, "cycle"));
}

static void every_protocol_reads_the_same(void **state) {
  (void)state;
  for (int proto = 0; proto <= 5; proto++) {
    char path[64], text[160];
    struct pt_mem mem;
    struct pt_map map;
    snprintf(path, sizeof path, "tests/fuzz/corpus/pickle/p%d.pkl", proto);
    pt_mem_init(&mem, 0);
    struct pt_pickle p = read_file(&mem, &map, path);
    assert_int_equal(pt_pnode(&p, p.root)->kind, PT_PK_DICT);
    check_numbers(&p);
    check_containers(&p);
    assert_true(pt_pickle_is(&p, get(&p, "text"),
                             "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \\ \n'\""));
    assert_int_equal(pt_pnode(&p, get(&p, "long"))->str.n, 300);
    /* os.system is a name and nothing more. */
    assert_true(pt_pickle_is_global(&p, get(&p, "function"), "posix", "system"));
    assert_int_equal(pt_pnode(&p, get(&p, "object"))->kind, PT_PK_OBJECT);
    assert_string_equal(pt_pickle_kind_text(&p, get(&p, "tuples"), text), "list of 5");
    if (proto >= 3) assert_int_equal(pt_pnode(&p, get(&p, "bytes"))->kind, PT_PK_BYTES);
    if (proto >= 4) assert_int_equal(pt_pnode(&p, get(&p, "set"))->kind, PT_PK_SET);
    pt_pickle_free(&p);
    pt_map_close(&map);
    assert_int_equal(mem.used, 0);
  }
}

static int unpickle(const void *data, int64_t n, int64_t *peak, struct ptv3_error *err) {
  struct pt_mem mem;
  struct pt_pickle p;
  pt_mem_init(&mem, 0);
  uint8_t *copy = malloc(n ? (size_t)n : 1);
  assert_non_null(copy);
  memcpy(copy, data, (size_t)n);
  struct pt_cursor c = {copy, n, 0, "test.pkl"};
  int status = pt_pickle_read(&p, &mem, &c, err);
  if (!status) pt_pickle_free(&p);
  assert_int_equal(mem.used, 0);
  *peak = mem.peak;
  free(copy);
  return status;
}

static void prefixes_fail_cleanly(void **state) {
  (void)state;
  for (int proto = 0; proto <= 5; proto++) {
    char path[64];
    struct pt_map map;
    snprintf(path, sizeof path, "tests/fuzz/corpus/pickle/p%d.pkl", proto);
    assert_int_equal(pt_map_open(&map, path, NULL), 0);
    for (int64_t n = 0; n < map.size; n++) {
      struct ptv3_error err = {0};
      int64_t peak;
      assert_int_not_equal(unpickle(map.data, n, &peak, &err), 0);
      assert_non_null(strstr(err.message, "test.pkl"));
    }
    pt_map_close(&map);
  }
}

#define LIE(bytes, words) \
  { bytes, sizeof bytes - 1, words }

static void lies_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t n;
    const char *words;
  } lies[] = {
      LIE("\x80\x06N.", "protocol 6"),
      LIE("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", "frame"),
      LIE("\x8b\xff\xff\xff\x7f"
          "1.",
          "a length beyond"),
      LIE("\x8b\xff\xff\xff\xff"
          "1.",
          "a length beyond"),
      LIE("X\xff\xff\xff\xff"
          "abc.",
          "a length beyond"),
      LIE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
          "abc.",
          "a length beyond"),
      LIE("\x8e\x00\x00\x00\x00\x00\x01\x00\x00"
          "abc.",
          "a length beyond"),
      LIE("Nr\xff\xff\xff\x7f.", "memo number out of range"),
      LIE("p99999999999999999999\n.", "stack is empty"),
      LIE("Np99999999999999999999\n.", "memo number out of range"),
      LIE("Np-1\n.", "memo number that is none"),
      LIE("Np+1\n.", "memo number that is none"),
      LIE("h\x05.", "not stored"),
      LIE("j\xff\xff\xff\xff.", "not stored"),
      LIE(".", "stack is empty"),
      LIE("(.", "stack is empty"),
      LIE("t.", "mark is missing"),
      LIE("N(\x85.", "stack is empty"), /* a tuple may not reach below the mark */
      LIE("}(Nu.", "key without value"),
      LIE("(Nd.", "key without value"),
      LIE("}(NNe.", "key without value"),
      LIE("NNa.", "no container"),
      LIE("(Nu.", "nothing to add to"),
      LIE("NNR.", "no tuple"),
      LIE("NN\x93.", "no text"),
      LIE("cos\nsystem", "line without end"),
      LIE("(o.", "stack is empty"),
      LIE("b.", "stack is empty"),
      LIE("I\n.", "without digits"),
      LIE("Iabc\n.", "number that is none"),
      LIE("F1.5x\n.", "number that is none"),
      LIE("Sabc\n.", "without quotes"),
      LIE("S'\n.", "without quotes"),
      LIE("\xff.", "unknown operation"),
  };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    struct ptv3_error err = {0};
    int64_t peak;
    if (unpickle(lies[i].bytes, (int64_t)lies[i].n, &peak, &err) == 0)
      fail_msg("lie %d was believed", (int)i);
    if (!strstr(err.message, lies[i].words))
      fail_msg("'%s' lacks '%s'", err.message, lies[i].words);
    assert_true(peak < 1 << 16);
  }
}

static void doubling_lists_stay_small(void **state) {
  (void)state;
  /* [[[…], […]], …] sixty levels deep by the memo: 2^60 values if it were walked. */
  uint8_t b[512] = {']'};
  int64_t n = 1, peak;
  struct ptv3_error err = {0};
  for (int level = 0; level < 60; level++) {
    const uint8_t step[] = {'q', 0, 'h', 0, 0x86};
    memcpy(b + n, step, 5);
    n += 5;
  }
  b[n++] = '.';
  assert_int_equal(unpickle(b, n, &peak, &err), 0);
  assert_true(peak < 1 << 16);
}

static void deep_nesting_needs_no_stack(void **state) {
  (void)state;
  int64_t n = 1 << 20, peak;
  struct ptv3_error err = {0};
  uint8_t *b = malloc((size_t)n * 2 + 2);
  assert_non_null(b);
  memset(b, '(', (size_t)n);
  memset(b + n, 't', (size_t)n);
  b[2 * n] = '.';
  assert_int_equal(unpickle(b, 2 * n + 1, &peak, &err), 0);
  assert_true(peak < 200 * n); /* a small multiple of the input */
  free(b);
}

static void allocations_fail_cleanly(void **state) {
  (void)state;
  static const char bytes[] =
      "(S'a\\x41\\n'\nVx\\u00e9\nI5\nF1.5\n(lp0\ng0\na}q\x01U\x01xK\x01st.";
  for (int64_t k = 1;; k++) {
    struct pt_mem mem;
    struct pt_pickle p;
    struct ptv3_error err = {0};
    pt_mem_init(&mem, 0);
    mem.fail_at = k;
    struct pt_cursor c = {(const uint8_t *)bytes, sizeof bytes - 1, 0, "test.pkl"};
    int status = pt_pickle_read(&p, &mem, &c, &err);
    if (!status) {
      pt_pref v;
      assert_true(pt_pickle_item(&p, p.root, 0, &v) && pt_pickle_is(&p, v, "aA\n"));
      assert_true(pt_pickle_item(&p, p.root, 1, &v) && pt_pickle_is(&p, v, "x\xc3\xa9"));
      pt_pickle_free(&p);
    }
    assert_int_equal(mem.used, 0);
    if (!status) {
      assert_true(k > 6);
      return;
    }
    assert_int_equal(status, PTV3_NO_MEMORY);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_protocol_reads_the_same),
      cmocka_unit_test(prefixes_fail_cleanly),
      cmocka_unit_test(lies_are_refused),
      cmocka_unit_test(doubling_lists_stay_small),
      cmocka_unit_test(deep_nesting_needs_no_stack),
      cmocka_unit_test(allocations_fail_cleanly),
  };
  return cmocka_run_group_tests_name("pickle", tests, NULL, NULL);
}
