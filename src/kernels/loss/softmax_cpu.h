/* softmax_cpu.h - exponentials of logits, for the files of loss.h. Included by *_cpu.c only. */
#ifndef PT_SOFTMAX_CPU_H
#define PT_SOFTMAX_CPU_H

#include "rows_cpu.h"

/* exp(d) for d <= 0; 2^-126 where it would be less. */
PT_INLINE pt_v pt_vexp_below(pt_v d) {
  return pt_vexp2_mid(pt_vmax(pt_vset1(-126.0f), pt_vmul(d, pt_vset1(1.44269504f))));
}

#endif
