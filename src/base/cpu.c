/* cpu.c - see cpu.h. The compiler's builtins also ask the system (XGETBV). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* AMX's registers are 8 KiB a thread, so Linux wants to be asked before they are used; what
 * it grants holds for all threads. (Documentation/arch/x86/xstate.rst) */
static bool tiles_granted(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
static inline bool tiles_granted(void) { return false; }
#endif

struct pt_cpu pt_cpu_detect(void) {
  struct pt_cpu c = {0};
#if defined(__x86_64__)
  unsigned a, b, features, d;
  const unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
  __builtin_cpu_init();
  c.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  c.avx512 = c.avx2 && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
  c.bf16 = c.avx512 && __builtin_cpu_supports("avx512bf16");
  c.slow_pairs = c.bf16 && __builtin_cpu_is("intel");
  if (c.bf16 && __get_cpuid_count(7, 0, &a, &b, &d, &features))
    c.amx = (features & amx_bf16) && (features & amx_tile) && tiles_granted();
#endif
  return c;
}
