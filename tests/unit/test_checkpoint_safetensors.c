/* test_checkpoint_safetensors.c - .safetensors: headers that lie, and the round trip. */
#include <unistd.h>

#include "checkpoint_test.h"

#define CORPUS "tests/fuzz/corpus/safetensors/"

static const char out_path[] = "/tmp/ptv3_test_checkpoint.safetensors";

/* A file with this header and so many bytes 0, 1, 2, … behind it; returns its size. */
static int64_t file_of(uint8_t out[static 1024], const char *header, int data) {
  size_t n = strlen(header);
  pt_put64(out, n);
  memcpy(out + 8, header, n);
  for (int i = 0; i < data; i++) out[8 + n + (size_t)i] = (uint8_t)i;
  return (int64_t)n + 8 + data;
}

static void refuse_header(const char *header, int data, const char *words) {
  uint8_t b[1024];
  refuse(b, file_of(b, header, data), PTV3_FORMAT, words);
}

#define T(name, dtype, shape, span) \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" span "}"

static void valid_files_read(void **state) {
  (void)state;
  uint8_t b[1024], *copy;
  struct pt_mem mem;
  struct pt_tensors t;
  struct ptv3_error err = {0};
  pt_mem_init(&mem, 0);
  int64_t n =
      file_of(b,
              "{\"__metadata__\":{\"epoch\":\"12\",\"best_metric_value\":\"0.5\",\"who\":"
              "\"me\"}," T("module.b", "BF16", "[2]", "[1,5]") "," T(
                  "module.a", "U8", "[]", "[0,1]") "," T("e", "F64", "[3,0]", "[5,5]") "}  ",
              5);
  if (read_copy(&t, &mem, b, n, &copy, &err)) fail_msg("%s", err.message);
  assert_int_equal(t.count, 3);
  assert_true(t.had_module && t.has_epoch && t.has_best);
  assert_true(t.epoch == 12 && t.best == 0.5);
  assert_string_equal(pt_tensors_extra(&t, "who"), "me");
  const struct pt_tensor *x = pt_tensors_find(&t, "b"); /* at an odd address */
  assert_true(x && x->type == PT_BF16 && x->count == 2);
  float v[2], want[2];
  const uint16_t bits[2] = {0x0201, 0x0403};
  pt_tensor_copy_f32(x, v);
  pt_convert(want, PT_F32, bits, PT_BF16, 2);
  assert_memory_equal(v, want, sizeof v);
  assert_int_equal(pt_tensors_find(&t, "a")->ndim, 0);
  assert_int_equal(pt_tensors_find(&t, "e")->count, 0);
  pt_tensors_free(&t);
  free(copy);
  assert_int_equal(mem.used, 0);
}

static void lies_are_refused(void **state) {
  (void)state;
  refuse_header("{" T("a", "F32", "[2]", "[0,4]") "}", 8, "do not fit its shape");
  refuse_header("{" T("a", "F32", "[2]", "[0,8]") "}", 7, "is incomplete");
  refuse_header("{" T("a", "F32", "[2]", "[0,8]") "}", 9, "goes on after");
  refuse_header("{" T("a", "F32", "[2]", "[4,12]") "}", 12, "a hole");
  refuse_header("{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[4,12]") "}", 12,
                "overlaps");
  refuse_header("{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[0,8]") "}", 8,
                "overlaps");
  refuse_header("{" T("a", "U8", "[1]", "[0,1]") "," T("a", "U8", "[1]", "[1,2]") "}", 2,
                "duplicate");
  refuse_header("{" T("a", "U8", "[1]", "[0,1]") "," T("module.a", "U8", "[1]", "[1,2]") "}", 2,
                "two tensors named");
  refuse_header("{" T("a", "F32", "[-1]", "[0,8]") "}", 8, "no valid shape");
  refuse_header("{" T("a", "F32", "[4611686018427387904,4]", "[0,8]") "}", 8, "no valid shape");
  refuse_header("{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "no valid shape");
  refuse_header("{" T("a", "F32", "[2.0]", "[0,8]") "}", 8, "no valid shape");
  refuse_header("{" T("a", "F32", "7", "[0,8]") "}", 8, "no valid shape");
  refuse_header("{" T("a", "F32", "[2]", "[8,0]") "}", 8, "no valid data_offsets");
  refuse_header("{" T("a", "F32", "[2]", "[-8,0]") "}", 8, "no valid data_offsets");
  refuse_header("{" T("a", "F32", "[2]", "[0,8,9]") "}", 8, "no valid data_offsets");
  refuse_header("{" T("a", "U8", "[9223372036854775807]", "[0,9223372036854775807]") "}", 8,
                "is incomplete");
  refuse_header("{\"a\":7}", 0, "no description");
  refuse_header("{\"a\":", 0, "damaged header");
  refuse_header("{\"a\\u0000\":1}", 0, "damaged header");
  uint8_t b[1024];
  int64_t n = file_of(b, "{" T("a", "F8_E4M3", "[2]", "[0,2]") "}", 2);
  refuse(b, n, PTV3_UNSUPPORTED, "type that is not read");
  pt_put64(b, 90000000);
  refuse(b, n, PTV3_FORMAT, "within its header");
  pt_put64(b, UINT64_MAX);
  refuse(b, n, PTV3_FORMAT, "no checkpoint");
}

static void damage_is_refused(void **state) {
  (void)state;
  every_prefix_fails(CORPUS "small.safetensors");
  every_byte_changed(CORPUS "small.safetensors");
  every_failing_allocation(CORPUS "small.safetensors");
}

/* Walks a view whose strides are not those of C order, in every piece size. */
static void strided_views_copy(void **state) {
  (void)state;
  enum { A = 70, B = 60, C = 5 };
  static double data[A * B * C], out[A * B * C];
  for (int i = 0; i < A * B * C; i++) data[i] = i;
  struct pt_tensor x = {.type = PT_F64,
                        .ndim = 3,
                        .shape = {C, A, B}, /* of data [A, B, C] */
                        .stride = {1, B * C, C},
                        .count = A * B * C,
                        .data = data};
  assert_false(pt_tensor_contiguous(&x));
  pt_tensor_copy(&x, PT_F64, out);
  for (int c = 0, i = 0; c < C; c++)
    for (int a = 0; a < A; a++)
      for (int b = 0; b < B; b++, i++) assert_true(out[i] == data[(a * B + b) * C + c]);
}

static void writing_round_trips(void **state) {
  (void)state;
  struct pt_mem mem;
  struct ptv3_error err = {0};
  struct pt_tensors t, back;
  pt_mem_init(&mem, 0);
  if (pt_tensors_open(&t, &mem, "tests/fuzz/corpus/pth/zip_p2.pth", &err))
    fail_msg("%s", err.message);
  for (int prefix = 0; prefix < 2; prefix++) {
    struct pt_tensors_write opt = {.module_prefix = prefix};
    if (pt_tensors_write_safetensors(&t, out_path, &opt, &err)) fail_msg("%s", err.message);
    if (pt_tensors_open(&back, &mem, out_path, &err)) fail_msg("%s", err.message);
    same_sets(&t, &back);
    assert_int_equal(back.had_module, prefix);
    assert_true(back.epoch == 7 && back.best == 0.73);
    for (int64_t i = 0; i < back.count; i++) {
      assert_string_equal(t.item[i].name, back.item[i].name); /* the order is kept */
      assert_int_equal(
          (uintptr_t)back.item[i].data % (size_t)pt_dtype(back.item[i].type)->bytes, 0);
    }
    pt_tensors_free(&back);
  }
  struct pt_tensors_write half = {.convert = true, .type = PT_F16};
  if (pt_tensors_write_safetensors(&t, out_path, &half, &err)) fail_msg("%s", err.message);
  if (pt_tensors_open(&back, &mem, out_path, &err)) fail_msg("%s", err.message);
  assert_int_equal(pt_tensors_find(&back, "a.weight")->type, PT_F16);
  assert_int_equal(pt_tensors_find(&back, "n")->type, PT_I64);
  pt_tensors_free(&back);
  pt_tensors_free(&t);
  unlink(out_path);
  assert_int_equal(mem.used, 0);
}

static void writing_fails_cleanly(void **state) {
  (void)state;
  const float one = 1;
  for (int64_t k = 1;; k++) {
    struct pt_mem mem;
    struct pt_tensors t;
    pt_mem_init(&mem, 0);
    pt_tensors_init(&t, &mem);
    assert_int_equal(pt_tensors_add(&t, "a", PT_F32, 0, NULL, &one, NULL), 0);
    mem.fail_at = mem.calls + k;
    int status = pt_tensors_write_safetensors(&t, out_path, NULL, NULL);
    pt_tensors_free(&t);
    assert_int_equal(mem.used, 0);
    assert_int_equal(status == 0, pt_is_file(out_path));
    if (!status) {
      assert_true(k > 3);
      break;
    }
  }
  unlink(out_path);
  struct pt_mem mem;
  struct pt_tensors t;
  struct ptv3_error err = {0};
  pt_mem_init(&mem, 0);
  pt_tensors_init(&t, &mem);
  assert_int_equal(pt_tensors_add(&t, "\xff", PT_F32, 0, NULL, &one, NULL), 0);
  assert_int_equal(pt_tensors_write_safetensors(&t, out_path, NULL, &err), PTV3_DATA);
  assert_non_null(strstr(err.message, "UTF-8"));
  pt_tensors_free(&t);
  assert_int_equal(mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(valid_files_read),    cmocka_unit_test(lies_are_refused),
      cmocka_unit_test(damage_is_refused),   cmocka_unit_test(strided_views_copy),
      cmocka_unit_test(writing_round_trips), cmocka_unit_test(writing_fails_cleanly),
  };
  return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
