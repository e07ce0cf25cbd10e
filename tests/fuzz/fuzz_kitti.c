/* fuzz_kitti.c - scans of floats and their labels from arbitrary bytes: the first byte is the
 * number of floats a point, the second how many points' bytes come before the labels. */
#include "kitti.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  struct pt_env env;
  pt_env_init(&env, 1, 64 << 20);
  int floats = data[0];
  int64_t left = (int64_t)size - 2, scan = 4 * floats * data[1];
  if (scan > left) scan = left;
  struct pt_cursor c = {data + 2, scan, 0, "fuzz.bin"};
  struct pt_cursor l = {data + 2 + scan, left - scan, 0, "fuzz.label"};
  struct pt_table t;
  struct ptv3_error err;
  if (pt_kitti_read(&env, &c, floats, &t, &err) == 0) {
    pt_kitti_labels(&env, &l, &t, &err);
    pt_table_free(&t);
  }
  if (env.mem.used != 0) __builtin_trap(); /* a leak */
  return 0;
}
