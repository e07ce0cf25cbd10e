/* fuzz_pcd.c - PCD files from arbitrary bytes. */
#include "pcd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pt_env env;
  pt_env_init(&env, 1, 64 << 20);
  struct pt_cursor c = {data, (int64_t)size, 0, "fuzz.pcd"};
  struct pt_table t;
  struct ptv3_error err;
  if (pt_pcd_read(&env, &c, &t, &err) == 0) pt_table_free(&t);
  if (env.mem.used != 0) __builtin_trap(); /* a leak */
  return 0;
}
