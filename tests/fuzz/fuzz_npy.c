/* fuzz_npy.c - NumPy files from arbitrary bytes. */
#include "npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pt_mem mem;
  pt_mem_init(&mem, 64 << 20);
  struct pt_cursor c = {data, (int64_t)size, 0, "fuzz.npy"};
  struct pt_npy a;
  struct ptv3_error err;
  if (pt_npy_parse(&c, &a, &err) == 0) {
    void *copy = pt_alloc(&mem, a.count, pt_dtype(a.type)->bytes, PT_MEM_CLOUD, &err);
    if (copy) pt_npy_copy(&a, copy);
    pt_free(&mem, copy);
  }
  c.pos = 0;
  struct pt_table t;
  if (pt_npy_table(&mem, &c, "coord", &t, &err) == 0) pt_table_free(&t);
  if (mem.used != 0) __builtin_trap(); /* a leak */
  return 0;
}
