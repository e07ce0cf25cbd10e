/* fuzz_pickle.c - pickles from arbitrary bytes, and the weights in them over a storage of
 * 64 bytes. A .pth guards its pickle with a checksum that a fuzzer cannot mend; this goes
 * around it. */
#include "pth.h"

static int find(void *user, const char *key, int64_t n, const uint8_t **data, int64_t *bytes,
                struct ptv3_error *err) {
  (void)key, (void)err;
  *data = user;
  *bytes = n ? 64 : 0;
  return PTV3_OK;
}

static void read_state(struct pt_mem *mem, const struct pt_pickle *p,
                       const struct pt_cursor *file, const char *part) {
  uint8_t *bytes = pt_zalloc(mem, 64, 1, PT_MEM_OTHER, NULL);
  struct pt_storages storages = {bytes, find};
  struct pt_tensors t;
  struct ptv3_error err;
  pt_tensors_init(&t, mem);
  if (bytes && pt_state_read(&t, p, &storages, file, part, &err) == 0)
    for (int64_t i = 0; i < t.count && i < 100; i++) {
      static float out[4096];
      if (t.item[i].count <= 4096) pt_tensor_copy_f32(&t.item[i], out);
    }
  pt_tensors_free(&t);
  pt_free(mem, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pt_mem mem;
  pt_mem_init(&mem, 256 << 20);
  struct pt_cursor c = {data, (int64_t)size, 0, "fuzz.pkl"};
  struct pt_pickle p;
  struct ptv3_error err;
  if (pt_pickle_read(&p, &mem, &c, &err) == 0) {
    char text[160];
    for (int64_t i = 0; i < p.nodes; i++) pt_pickle_kind_text(&p, (pt_pref)i, text);
    read_state(&mem, &p, &c, NULL);
    read_state(&mem, &p, &c, "optimizer");
    pt_pickle_free(&p);
  }
  if (mem.used != 0) __builtin_trap(); /* a leak */
  return 0;
}
