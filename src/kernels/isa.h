/* isa.h - names of functions that exist once per instruction set: PT_FN(pt_mlp) is
 * pt_mlp_avx2 in the object compiled with -DPT_ISA=avx2. */
#ifndef PT_ISA_H
#define PT_ISA_H

#define PT_CAT_(a, b) a##_##b
#define PT_CAT(a, b) PT_CAT_(a, b)
#define PT_FN(name) PT_CAT(name, PT_ISA)

/* The instruction sets, each with those before it. What the Makefile names ISAS. */
#if defined(__x86_64__)
#define PT_ISAS(X) X(generic) X(avx2) X(avx512) X(avx512bf16) X(amx)
#else
#define PT_ISAS(X) X(generic)
#endif

/* How many of them, from the first on, this processor can run. */
int pt_isa_count(void);

#endif
