/* test_checkpoint_pth.c - files of torch.save: PyTorch's own, damaged ones, and ours. */
#include <unistd.h>

#include "checkpoint_test.h"
#include "pth.h"
#include "pth_write.h"
#include "zipwrite.h"

#define CORPUS "tests/fuzz/corpus/pth/"

static const char out_path[] = "/tmp/ptv3_test_checkpoint.pth";

static struct pt_tensors open_file(struct pt_mem *mem, const char *path) {
  struct pt_tensors t;
  struct ptv3_error err = {0};
  if (pt_tensors_open(&t, mem, path, &err)) fail_msg("%s", err.message);
  return t;
}

static double at(const struct pt_tensors *t, const char *name, int64_t i) {
  double v[64];
  const struct pt_tensor *x = pt_tensors_find(t, name);
  if (!x) fail_msg("no tensor '%s'", name);
  assert_true(i < x->count && x->count <= 64);
  pt_tensor_copy(x, PT_F64, v);
  return v[i];
}

/* ---- reading ---- */

/* The same checkpoint by PyTorch 2 with protocols 2 and 4, in the old format, re-zipped
 * with deflate, and written by us. */
static void small_files_agree(void **state) {
  (void)state;
  static const char *const files[] = {"zip_p2",    "zip_p4",   "legacy",
                                      "legacy_p4", "deflated", "ours"};
  for (int i = 0; i < 6; i++) {
    char path[128];
    struct pt_mem mem;
    pt_mem_init(&mem, 0);
    snprintf(path, sizeof path, CORPUS "%s.pth", files[i]);
    struct pt_tensors t = open_file(&mem, path);
    assert_int_equal(t.count, 6);
    assert_int_equal(t.epoch, 7);
    assert_true(t.has_best && t.best == 0.73);
    assert_int_equal(t.had_module, i != 5);
    assert_int_equal(t.format, i == 2 || i == 3 ? PT_TENSORS_PTH_LEGACY : PT_TENSORS_PTH);
    for (int64_t k = 0; k < 6; k++) {
      assert_true(at(&t, "a.weight", k) == (double)k);
      assert_true(at(&t, "a.t", k) == (double)(k / 2 + k % 2 * 3));
    }
    assert_int_equal(pt_tensors_find(&t, "h")->type, PT_F16);
    assert_true(at(&t, "h", 0) == 1.5 && at(&t, "h", 1) == -2);
    assert_int_equal(pt_tensors_find(&t, "n")->ndim, 0);
    assert_true(at(&t, "n", 0) == 1000);
    for (int64_t k = 0; k < 4; k++) assert_true(at(&t, "e", k) == 0.25);
    assert_true(at(&t, "p", 0) == 1);
    assert_null(pt_tensors_find(&t, "module.n"));
    pt_tensors_free(&t);
    assert_int_equal(mem.used, 0);
  }
}

static void other_parts_read(void **state) {
  (void)state;
  struct pt_mem mem;
  struct pt_tensors t;
  struct ptv3_error err = {0};
  pt_mem_init(&mem, 0);
  static const char *const files[] = {CORPUS "zip_p4.pth", CORPUS "legacy.pth"};
  for (int i = 0; i < 2; i++) {
    if (pt_tensors_open_part(&t, &mem, files[i], "optimizer", &err))
      fail_msg("%s", err.message);
    assert_int_equal(t.count, 0);
    assert_string_equal(pt_tensors_extra(&t, "lr"), "0.10000000000000001");
    assert_int_equal(t.epoch, 7);
    pt_tensors_free(&t);
    assert_int_equal(pt_tensors_open_part(&t, &mem, files[i], "scaler", &err), PTV3_DATA);
  }
  assert_int_equal(mem.used, 0);
}

static void damage_is_refused(void **state) {
  (void)state;
  every_prefix_fails(CORPUS "zip_p2.pth");
  every_prefix_fails(CORPUS "legacy.pth");
  every_prefix_fails(CORPUS "deflated.pth");
  every_byte_changed(CORPUS "zip_p4.pth");
  every_byte_changed(CORPUS "legacy.pth");
  every_byte_changed(CORPUS "legacy_p4.pth");
  every_byte_changed(CORPUS "deflated.pth");
}

static void allocations_fail_cleanly(void **state) {
  (void)state;
  every_failing_allocation(CORPUS "zip_p2.pth");
  every_failing_allocation(CORPUS "legacy.pth");
  every_failing_allocation(CORPUS "deflated.pth");
}

static void mishaps_have_names(void **state) {
  (void)state;
  uint8_t tar[512] = "archive";
  memcpy(tar + 257, "ustar", 5);
  refuse("", 0, PTV3_FORMAT, "is empty");
  refuse(tar, sizeof tar, PTV3_UNSUPPORTED, "tar archive");
  refuse("version https://git-lfs.github.com/spec/v1", 42, PTV3_FORMAT, "git lfs pull");
  refuse("<!DOCTYPE html>", 15, PTV3_FORMAT, "web page");
  refuse("hello", 5, PTV3_FORMAT, "neither");
  refuse("\x80\x02K\x01.", 5, PTV3_FORMAT, "not a file of torch.save");
  refuse("PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, PTV3_FORMAT, "without data.pkl");
}

/* ---- zips made here ---- */

struct made {
  struct pt_mem mem;
  struct pt_out out;
  struct pt_zip_out zip;
};

static void zip_start(struct made *m) {
  pt_mem_init(&m->mem, 0);
  assert_int_equal(pt_out_open(&m->out, &m->mem, out_path, NULL), 0);
  pt_zip_begin(&m->zip, &m->mem, &m->out);
}

static void zip_add(struct made *m, const char *name, const void *data, int64_t n) {
  assert_int_equal(pt_zip_record(&m->zip, name, n, pt_crc32(0, data, n), NULL), 0);
  pt_zip_write(&m->zip, data, n);
}

/* Finishes the zip and expects its reading to end so. */
static void zip_expect(struct made *m, int status, const char *words) {
  struct pt_tensors t;
  struct ptv3_error err = {0};
  pt_zip_end(&m->zip);
  assert_int_equal(pt_out_commit(&m->out, NULL), 0);
  int got = pt_tensors_open(&t, &m->mem, out_path, &err);
  if (got != status) fail_msg("status %d, not %d: %s (%s)", got, status, err.message, words);
  if (status && !strstr(err.message, words)) fail_msg("'%s' lacks '%s'", err.message, words);
  if (!status) pt_tensors_free(&t);
  assert_int_equal(m->mem.used, 0);
  unlink(out_path);
}

/* {'x': a tensor of this geometry over a storage that is said to have `count` floats} */
static void zip_pickle(struct made *m, const char *storage, int64_t count, int64_t offset,
                       int64_t size, int64_t stride) {
  struct pt_pickler pk;
  pt_pk_begin(&pk, &m->mem);
  pt_pk_dict(&pk);
  pt_pk_mark(&pk);
  pt_pk_str(&pk, "x");
  pt_pk_global(&pk, "torch._utils", "_rebuild_tensor_v2");
  pt_pk_mark(&pk);
  pt_pk_mark(&pk);
  pt_pk_str(&pk, "storage");
  pt_pk_global(&pk, "torch", storage);
  pt_pk_str(&pk, "0");
  pt_pk_str(&pk, "cuda:0");
  pt_pk_int(&pk, count);
  pt_pk_tuple(&pk);
  pt_pk_persid(&pk);
  pt_pk_int(&pk, offset);
  pt_pk_mark(&pk), pt_pk_int(&pk, size), pt_pk_tuple(&pk);
  pt_pk_mark(&pk), pt_pk_int(&pk, stride), pt_pk_tuple(&pk);
  pt_pk_bool(&pk, false);
  pt_pk_none(&pk);
  pt_pk_tuple(&pk);
  pt_pk_reduce(&pk);
  pt_pk_setitems(&pk);
  assert_int_equal(pt_pk_end(&pk, NULL), 0);
  zip_add(m, "a/data.pkl", pk.data, pk.size);
  pt_pk_free(&pk);
}

static void geometry_is_checked(void **state) {
  (void)state;
  static const struct {
    int64_t count, offset, size, stride;
    const char *words; /* NULL: valid */
  } cases[] = {
      {4, 0, 4, 1, NULL},
      {4, 3, 1, 1, NULL},
      {4, 1, 2, 2, NULL},
      {4, 0, 100, 0, NULL},
      {4, 99, 0, 1, NULL},
      {4, 1, 4, 1, "do not fit"},
      {4, 4, 1, 1, "do not fit"},
      {4, 0, 2, 4, "do not fit"},
      {4, 0, 2, INT64_MAX, "do not fit"},
      {4, INT64_MAX, 2, 1, "do not fit"},
      {4, 0, INT64_MAX, INT64_MAX, "do not fit"},
      {4, 0, INT64_MAX, 0, "do not fit"},
      {4, 0, -1, 1, "do not fit"},
      {4, 0, 1, -1, "do not fit"},
      {4, -1, 1, 1, "do not fit"},
      {5, 0, 5, 1, "needs 20 bytes"},
      {INT64_MAX, 0, 1, 1, "do not fit"},
  };
  float data[4] = {1, 2, 3, 4};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct made m;
    zip_start(&m);
    zip_pickle(&m, "FloatStorage", cases[i].count, cases[i].offset, cases[i].size,
               cases[i].stride);
    zip_add(&m, "a/data/0", data, sizeof data);
    zip_expect(&m, cases[i].words ? PTV3_FORMAT : 0, cases[i].words);
  }
}

static void archives_are_checked(void **state) {
  (void)state;
  float data[4] = {1, 2, 3, 4};
  struct made m;
  zip_start(&m);
  zip_pickle(&m, "FloatStorage", 4, 0, 4, 1);
  zip_expect(&m, PTV3_FORMAT, "'data/0' is missing");
  zip_start(&m);
  zip_pickle(&m, "ComplexFloatStorage", 4, 0, 4, 1);
  zip_add(&m, "a/data/0", data, sizeof data);
  zip_expect(&m, PTV3_FORMAT, "holds no weights");
  zip_start(&m);
  zip_pickle(&m, "FloatStorage", 4, 0, 4, 1);
  zip_add(&m, "a/byteorder", "big", 3);
  zip_expect(&m, PTV3_UNSUPPORTED, "big-endian");
  zip_start(&m);
  zip_pickle(&m, "FloatStorage", 4, 0, 4, 1);
  zip_add(&m, "a/constants.pkl", "", 0);
  zip_expect(&m, PTV3_UNSUPPORTED, "TorchScript");
  zip_start(&m);
  zip_pickle(&m, "FloatStorage", 4, 0, 4, 1);
  zip_add(&m, "a/data/0", data, sizeof data);
  zip_add(&m, "a/data/0", data, sizeof data);
  zip_expect(&m, PTV3_FORMAT, "two records");
  zip_start(&m);
  assert_int_equal(pt_zip_record(&m.zip, "a/data.pkl", 3, 12345, NULL), 0);
  pt_zip_write(&m.zip, "}N.", 3);
  zip_expect(&m, PTV3_FORMAT, "checksum");
  zip_start(&m);
  zip_pickle(&m, "FloatStorage", 4, 0, 4, 1);
  assert_int_equal(pt_zip_record(&m.zip, "a/data/0", sizeof data, 12345, NULL), 0);
  pt_zip_write(&m.zip, data, sizeof data);
  zip_expect(&m, PTV3_FORMAT, "the record 'data/0'");
}

/* Five levels of 100 references to the level below: 10^10 values in 1 KB. */
static void shared_values_are_not_walked_forever(void **state) {
  (void)state;
  uint8_t b[2048] = "}X\x09\0\0\0optimizer]q\0000";
  int64_t n = 19;
  for (uint8_t level = 0; level < 5; level++) {
    b[n++] = '(';
    for (int i = 0; i < 100; i++) b[n++] = 'h', b[n++] = level;
    const uint8_t end[] = {'t', 'q', (uint8_t)(level + 1), '0'};
    memcpy(b + n, end, 4);
    n += 4;
  }
  memcpy(b + n, "h\5s.", 4);
  n += 4;
  struct made m;
  struct pt_tensors t;
  struct ptv3_error err = {0};
  zip_start(&m);
  zip_add(&m, "a/data.pkl", b, n);
  pt_zip_end(&m.zip);
  assert_int_equal(pt_out_commit(&m.out, NULL), 0);
  assert_int_equal(pt_tensors_open_part(&t, &m.mem, out_path, "optimizer", &err),
                   PTV3_UNSUPPORTED);
  assert_non_null(strstr(err.message, "nest too deeply"));
  assert_int_equal(m.mem.used, 0);
  unlink(out_path);
}

/* ---- writing ---- */

static const float some[6] = {1, -2.5f, 3e-5f, 65504, 1e30f, 0};
static const int64_t many = 1000;

static struct pt_tensors make_set(struct pt_mem *mem) {
  struct pt_tensors t;
  const int64_t shape[] = {2, 3}, empty[] = {0, 4};
  pt_tensors_init(&t, mem);
  assert_int_equal(pt_tensors_add(&t, "a.weight", PT_F32, 2, shape, some, NULL), 0);
  assert_int_equal(pt_tensors_add(&t, "a.flags", PT_BOOL, 1, shape, "\1\0", NULL), 0);
  assert_int_equal(pt_tensors_add(&t, "a.n", PT_I64, 0, NULL, &many, NULL), 0);
  assert_int_equal(pt_tensors_add(&t, "caf\xc3\xa9", PT_U8, 1, shape + 1, "abc", NULL), 0);
  assert_int_equal(pt_tensors_add(&t, "none", PT_F64, 2, empty, "", NULL), 0);
  t.has_epoch = t.has_best = true;
  t.epoch = INT64_C(1) << 40;
  t.best = 0.1;
  return t;
}

static void writing_round_trips(void **state) {
  (void)state;
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  for (int prefix = 0; prefix < 2; prefix++) {
    struct pt_tensors t = make_set(&mem);
    struct pt_tensors_write opt = {.module_prefix = prefix};
    assert_int_equal(pt_tensors_write_pth(&t, out_path, &opt, NULL), 0);
    struct pt_tensors back = open_file(&mem, out_path);
    same_sets(&t, &back);
    for (int64_t i = 0; i < t.count; i++) {
      assert_string_equal(t.item[i].name, back.item[i].name);
      assert_int_equal((uintptr_t)back.item[i].data % 64, 0); /* records are aligned */
    }
    assert_int_equal(back.had_module, prefix);
    assert_true(back.epoch == t.epoch && back.best == t.best);
    pt_tensors_free(&back);
    pt_tensors_free(&t);
  }
  unlink(out_path);
  assert_int_equal(mem.used, 0);
}

static void writing_converts(void **state) {
  (void)state;
  static const enum pt_dtype types[] = {PT_F16, PT_BF16, PT_F64};
  struct pt_mem mem;
  pt_mem_init(&mem, 0);
  for (int i = 0; i < 3; i++) {
    struct pt_tensors t = make_set(&mem);
    struct pt_tensors_write opt = {.convert = true, .type = types[i]};
    assert_int_equal(pt_tensors_write_pth(&t, out_path, &opt, NULL), 0);
    struct pt_tensors back = open_file(&mem, out_path);
    const struct pt_tensor *x = pt_tensors_find(&back, "a.weight");
    assert_int_equal(x->type, types[i]);
    assert_int_equal(pt_tensors_find(&back, "a.n")->type, PT_I64);
    uint8_t want[48];
    pt_convert(want, types[i], some, PT_F32, 6);
    assert_memory_equal(want, x->data, (size_t)(6 * pt_dtype(types[i])->bytes));
    pt_tensors_free(&back);
    opt.type = PT_I32;
    assert_int_equal(pt_tensors_write_pth(&t, out_path, &opt, NULL), PTV3_INVALID);
    pt_tensors_free(&t);
  }
  unlink(out_path);
}

static void writing_fails_cleanly(void **state) {
  (void)state;
  for (int64_t k = 1;; k++) {
    struct pt_mem mem;
    struct ptv3_error err = {0};
    pt_mem_init(&mem, 0);
    struct pt_tensors t = make_set(&mem);
    mem.fail_at = mem.calls + k;
    int status = pt_tensors_write_pth(&t, out_path, NULL, &err);
    pt_tensors_free(&t);
    assert_int_equal(mem.used, 0);
    assert_int_equal(status == 0, pt_is_file(out_path)); /* no half file */
    if (!status) {
      assert_true(k > 5);
      break;
    }
    assert_int_equal(status, PTV3_NO_MEMORY);
  }
  unlink(out_path);
  struct pt_mem mem;
  struct ptv3_error err = {0};
  pt_mem_init(&mem, 0);
  struct pt_tensors t = make_set(&mem);
  assert_int_equal(pt_tensors_write_pth(&t, "/tmp/no/such/folder.pth", NULL, &err), PTV3_IO);
  assert_int_equal(pt_tensors_add(&t, "u", PT_U32, 0, NULL, some, NULL), 0);
  assert_int_equal(pt_tensors_write_pth(&t, out_path, NULL, &err), PTV3_UNSUPPORTED);
  assert_non_null(strstr(err.message, "'u'"));
  assert_int_equal(pt_tensors_add(&t, "u", PT_F32, 0, NULL, some, NULL), 0);
  assert_int_equal(pt_tensors_write_pth(&t, out_path, NULL, &err), PTV3_FORMAT);
  pt_tensors_free(&t);
  assert_int_equal(mem.used, 0);
}

static void expanded_bombs_are_not_written(void **state) {
  (void)state;
  float one = 1;
  struct made m;
  struct pt_tensors t;
  struct ptv3_error err = {0};
  zip_start(&m);
  zip_pickle(&m, "FloatStorage", 1, 0, INT64_C(1) << 40, 0);
  zip_add(&m, "a/data/0", &one, sizeof one);
  pt_zip_end(&m.zip);
  assert_int_equal(pt_out_commit(&m.out, NULL), 0);
  assert_int_equal(pt_tensors_open(&t, &m.mem, out_path, NULL), 0);
  assert_int_equal(pt_tensors_write_pth(&t, "/tmp/ptv3_test_bomb.pth", NULL, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "'x'"));
  pt_tensors_free(&t);
  unlink(out_path);
}

/* More records than 16 bits count: a zip64 directory, written and read. */
static void many_tensors_need_zip64(void **state) {
  (void)state;
  struct pt_mem mem;
  struct pt_tensors t, back;
  struct ptv3_error err = {0};
  enum { N = 65536 };
  static uint8_t value[N];
  pt_mem_init(&mem, 0);
  pt_tensors_init(&t, &mem);
  for (int i = 0; i < N; i++) {
    char name[16];
    snprintf(name, sizeof name, "t%d", i);
    value[i] = (uint8_t)(i * 7);
    assert_int_equal(pt_tensors_add(&t, name, PT_U8, 0, NULL, &value[i], NULL), 0);
  }
  if (pt_tensors_write_pth(&t, out_path, NULL, &err)) fail_msg("%s", err.message);
  if (pt_tensors_open(&back, &mem, out_path, &err)) fail_msg("%s", err.message);
  same_sets(&t, &back);
  pt_tensors_free(&back);
  pt_tensors_free(&t);
  unlink(out_path);
  assert_int_equal(mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_files_agree),
      cmocka_unit_test(other_parts_read),
      cmocka_unit_test(damage_is_refused),
      cmocka_unit_test(allocations_fail_cleanly),
      cmocka_unit_test(mishaps_have_names),
      cmocka_unit_test(geometry_is_checked),
      cmocka_unit_test(archives_are_checked),
      cmocka_unit_test(shared_values_are_not_walked_forever),
      cmocka_unit_test(writing_round_trips),
      cmocka_unit_test(writing_converts),
      cmocka_unit_test(writing_fails_cleanly),
      cmocka_unit_test(expanded_bombs_are_not_written),
      cmocka_unit_test(many_tensors_need_zip64),
  };
  return cmocka_run_group_tests_name("pth", tests, NULL, NULL);
}
