/* kernels.h - what a kernel runs with, and the tables of kernels.
 *
 * A kernel takes its arguments and a struct pt_exec. It does not allocate, fail, or keep
 * state; it runs its own parallel loop over tiles. Every output value is computed by the
 * same sequence of operations whatever the tile size and thread count, so results are
 * bit-identical for all of them. */
#ifndef PT_KERNELS_H
#define PT_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "dtype.h"

struct pt_exec {
  int threads;            /* of the parallel loop, >= 1 */
  int tile;               /* rows a tile, 0: the kernel's own choice */
  char *scratch;          /* [threads, scratch_stride] bytes, 64-byte aligned */
  int64_t scratch_stride; /* bytes a thread, >= the kernel's <op>_scratch, multiple of 64 */
  /* The part of the work that is to be done: units from .. to - 1; to 0: all of them. A unit
   * is a block of voxels (embed, cpe), a patch with the borrowing one that follows it
   * (attention), a parent cell (pool), a row (mlp, unpool, head): plan/window.h. Runs of all
   * parts, each once, give the bits of one run of all. */
  int64_t from, to;
};

/* Units to be done, of `all`. */
static inline int64_t pt_exec_to(const struct pt_exec *x, int64_t all) {
  return x->to > 0 && x->to < all ? x->to : all;
}

/* Every op: void pt_<op>_<version>(const struct pt_<op> *, const struct pt_exec *), and
 * int64_t pt_<op>_scratch_<version>(const struct pt_<op> *, int tile): bytes of scratch a
 * thread needs; it reads sizes only, never a pointer, so the planner can ask early. */
#define KERNEL(op) struct pt_##op;
#include "kernels.def"
#undef KERNEL

struct pt_kernels {
  const char *name; /* "ref", "generic", "avx2", "avx512", "avx512bf16", "amx" */
  bool bf16_mats;   /* ops on PT_BF16 features want PT_BF16 weights, else PT_F32 */
#define KERNEL(op)                                            \
  void (*op)(const struct pt_##op *, const struct pt_exec *); \
  int64_t (*op##_scratch)(const struct pt_##op *, int tile);
#include "kernels.def"
#undef KERNEL
};

/* The type of the weights that ops of this table want for features of a type. (The stem's
 * are PT_F32: its features are the input's.) */
static inline enum pt_dtype pt_kernels_mat(const struct pt_kernels *k, enum pt_dtype features) {
  return features == PT_BF16 && k->bf16_mats ? PT_BF16 : PT_F32;
}

/* All tables this processor can run, slowest first: "ref" is always [0]; *count is set. */
const struct pt_kernels *const *pt_kernel_tables(int *count);

/* The table by name; NULL: the environment variable PTV3_KERNELS, or else the fastest.
 * NULL comes back for a name this build or processor does not have. */
const struct pt_kernels *pt_kernel_table(const char *name);

#endif
