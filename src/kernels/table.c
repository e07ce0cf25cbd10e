/* table.c - the tables of kernels and the choice between them. See kernels.h. */
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "kernels.h"

#define DECLARE(op, v)                                                \
  void pt_##op##_##v(const struct pt_##op *, const struct pt_exec *); \
  int64_t pt_##op##_scratch_##v(const struct pt_##op *, int tile);
#define ENTRY(op, v) .op = pt_##op##_##v, .op##_scratch = pt_##op##_scratch_##v,

#define KERNEL(op) \
  DECLARE(op, ref) \
  DECLARE(op, generic) DECLARE(op, avx2) DECLARE(op, avx512) DECLARE(op, avx512bf16)
#include "kernels.def"
#undef KERNEL

static const struct pt_kernels table_ref = {
    .name = "ref",
#define KERNEL(op) ENTRY(op, ref)
#include "kernels.def"
#undef KERNEL
};
static const struct pt_kernels table_generic = {
    .name = "generic",
#define KERNEL(op) ENTRY(op, generic)
#include "kernels.def"
#undef KERNEL
};
#if defined(__x86_64__)
static const struct pt_kernels table_avx2 = {
    .name = "avx2",
#define KERNEL(op) ENTRY(op, avx2)
#include "kernels.def"
#undef KERNEL
};
static const struct pt_kernels table_avx512 = {
    .name = "avx512",
#define KERNEL(op) ENTRY(op, avx512)
#include "kernels.def"
#undef KERNEL
};
static const struct pt_kernels table_avx512bf16 = {
    .name = "avx512bf16",
    .bf16_mats = true,
#define KERNEL(op) ENTRY(op, avx512bf16)
#include "kernels.def"
#undef KERNEL
};
#endif

const struct pt_kernels *const *pt_kernel_tables(int *count) {
  static const struct pt_kernels *const all[] = {
    &table_ref,
    &table_generic,
#if defined(__x86_64__)
    &table_avx2,
    &table_avx512,
    &table_avx512bf16,
#endif
  };
  struct pt_cpu cpu = pt_cpu_detect();
  *count = 2 + cpu.avx2 + cpu.avx512 + cpu.bf16;
  return all;
}

const struct pt_kernels *pt_kernel_table(const char *name) {
  int count;
  const struct pt_kernels *const *t = pt_kernel_tables(&count);
  if (!name) name = getenv("PTV3_KERNELS");
  if (!name || !*name) return t[count - 1];
  for (int i = 0; i < count; i++)
    if (strcmp(t[i]->name, name) == 0) return t[i];
  return NULL;
}
