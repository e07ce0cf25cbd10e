/* fuzz_pth.c - files of torch.save, zip and old format, from arbitrary bytes. */
#include "tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pt_mem mem;
  pt_mem_init(&mem, 256 << 20);
  struct pt_tensors t;
  struct ptv3_error err;
  if (pt_tensors_read(&t, &mem, (struct pt_cursor){data, (int64_t)size, 0, "fuzz.pth"}, &err) ==
      0) {
    for (int64_t i = 0; i < t.count && i < 100; i++) {
      static float out[4096];
      if (t.item[i].count <= 4096) pt_tensor_copy_f32(&t.item[i], out);
      if (pt_tensors_find(&t, t.item[i].name) != &t.item[i]) __builtin_trap();
    }
    pt_tensors_free(&t);
  }
  if (mem.used != 0) __builtin_trap(); /* a leak */
  return 0;
}
