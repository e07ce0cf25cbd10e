/* fuzz_xyz.c - text files from arbitrary bytes; the first byte says which columns the
 * caller names. */
#include "xyz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const columns[] = {NULL, "_,x,y,z,_", "x,y,z", "x,y,z,_"};
  if (size < 1) return 0;
  struct pt_env env;
  pt_env_init(&env, 1, 64 << 20);
  struct pt_cursor c = {data + 1, (int64_t)size - 1, 0, "fuzz.txt"};
  struct pt_table t;
  struct ptv3_error err;
  if (pt_xyz_read(&env, &c, columns[data[0] % 4], &t, &err) == 0) pt_table_free(&t);
  if (env.mem.used != 0) __builtin_trap(); /* a leak */
  return 0;
}
