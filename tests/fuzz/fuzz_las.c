/* fuzz_las.c - any bytes as a LAS file: columns, or an error, and nothing left allocated. */
#include <stdint.h>
#include <stdlib.h>

#include "las.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pt_env env;
  struct pt_table t;
  struct ptv3_error err = {0};
  pt_env_init(&env, 1, (int64_t)256 << 20);
  struct pt_cursor c = {.data = data, .size = (int64_t)size, .name = "fuzz.las"};
  int status = pt_las_read(&env, &c, NULL, &t, &err);
  if (status != err.status) abort();
  pt_table_free(&t);
  if (env.mem.used != 0) abort();
  return 0;
}
