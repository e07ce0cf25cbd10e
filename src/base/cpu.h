/* cpu.h - which instruction sets this processor (and its system) can run. */
#ifndef PT_CPU_H
#define PT_CPU_H

#include <stdbool.h>

struct pt_cpu {
  bool avx2;   /* AVX2, FMA, F16C */
  bool avx512; /* AVX-512 F, BW, DQ, VL and the avx2 set */
  bool bf16;   /* AVX-512 BF16 and the avx512 set */
  bool amx;    /* AMX TILE and BF16 and the bf16 set; the system lets this process use them */
  bool slow_pairs; /* dot products of bf16 pairs run at a quarter of the rate of multiply-adds,
                    * and so are slower than those on the same numbers widened */
};

struct pt_cpu pt_cpu_detect(void);

#endif
