/* isa.h - names of functions that exist once per instruction set: PT_FN(pt_mlp) is
 * pt_mlp_avx2 in the object compiled with -DPT_ISA=avx2. */
#ifndef PT_ISA_H
#define PT_ISA_H

#define PT_CAT_(a, b) a##_##b
#define PT_CAT(a, b) PT_CAT_(a, b)
#define PT_FN(name) PT_CAT(name, PT_ISA)

#endif
