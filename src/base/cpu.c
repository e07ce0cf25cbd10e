/* cpu.c - see cpu.h. The compiler's builtins also ask the system (XGETBV). */
#include "cpu.h"

struct pt_cpu pt_cpu_detect(void) {
  struct pt_cpu c = {0};
#if defined(__x86_64__)
  __builtin_cpu_init();
  c.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  c.avx512 = c.avx2 && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
  c.bf16 = c.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
  return c;
}
