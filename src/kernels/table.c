/* table.c - the tables of kernels and the choice between them. See kernels.h. */
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "isa.h"
#include "kernels.h"

#define DECLARE(op, v)                                                \
  void pt_##op##_##v(const struct pt_##op *, const struct pt_exec *); \
  int64_t pt_##op##_scratch_##v(const struct pt_##op *, int tile);
#define ENTRY(op, v) .op = pt_##op##_##v, .op##_scratch = pt_##op##_scratch_##v,

#define KERNEL(op) DECLARE(op, ref) DECLARE(op, generic)
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
#define KERNEL(op) \
  DECLARE(op, avx2) DECLARE(op, avx512) DECLARE(op, avx512bf16) DECLARE(op, amx)
#include "kernels.def"
#undef KERNEL
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
static const struct pt_kernels table_amx = {
    .name = "amx",
    .bf16_mats = true,
#define KERNEL(op) ENTRY(op, amx)
#include "kernels.def"
#undef KERNEL
};
#endif

int pt_isa_count(void) {
  const struct pt_cpu cpu = pt_cpu_detect();
  return 1 + cpu.avx2 + cpu.avx512 + cpu.bf16 + cpu.amx;
}

const struct pt_kernels *const *pt_kernel_tables(int *count) {
#define TABLE(v) &table_##v,
  static const struct pt_kernels *const all[] = {&table_ref, PT_ISAS(TABLE)};
  *count = 1 + pt_isa_count();
  return all;
}

const struct pt_kernels *pt_kernel_table(const char *name) {
  int count;
  const struct pt_kernels *const *t = pt_kernel_tables(&count);
  if (!name) name = getenv("PTV3_KERNELS");
  if (!name || !*name) {
    const struct pt_cpu cpu = pt_cpu_detect();
    return t[count - 1 - (cpu.slow_pairs && !cpu.amx)];
  }
  for (int i = 0; i < count; i++)
    if (strcmp(t[i]->name, name) == 0) return t[i];
  return NULL;
}
