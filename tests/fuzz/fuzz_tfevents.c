/* fuzz_tfevents.c - TensorBoard's event files. */
#include "tfevents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pt_cursor c = {data, (int64_t)size, 0, "fuzz"};
  struct pt_tfevent e;
  volatile char last = 0;
  while (pt_tfevents_next(&c, &e))
    if (e.tag_len) last = e.tag[e.tag_len - 1];
  (void)last;
  return 0;
}
