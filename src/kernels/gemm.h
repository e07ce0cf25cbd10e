/* gemm.h - the matrix product all CPU kernels are built on: C = [0 | bias | C] + A B.
 *
 * A is float or bf16, B is packed (mat.h) as float or bf16, C is float. A of bf16 times B of
 * float widens A, which is exact. B of bf16 wants A of bf16 and a processor with AVX-512 BF16.
 * The rows of A and C are reached through views, dense or by a list of
 * row numbers, so that a gather (neighbours of a convolution, rows in curve order) and a
 * scatter with accumulation need no copies. One thread; no allocation.
 *
 * Every output is one chain of multiply-adds over k in ascending order, starting from the
 * initial value, whatever m, the position of the row, or the other columns: results depend
 * on neither tile size nor thread count. avx2 and avx512 fuse each multiply-add and give
 * the same bits; generic rounds the product first. With B in bf16 a step of the chain is a pair
 * of k, and with AMX 32 k (tiles.h): parts of a product then begin at such a multiple. */
#ifndef PT_GEMM_H
#define PT_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "isa.h"
#include "mat.h"

/* Row i lies at base + (row ? row[i] : i) * ld. */
struct pt_src {
  const void *base;
  int64_t ld; /* numbers from one row to the next */
  const int32_t *row;
  enum pt_dtype type; /* PT_F32 or PT_BF16 */
};

struct pt_dst {
  float *base;
  int64_t ld;
  const int32_t *row; /* if given: no number twice */
};

enum pt_gemm_init { PT_GEMM_ZERO, PT_GEMM_BIAS, PT_GEMM_ADD };

/* C (m, b->n) = init + A (m, b->k) B. bias [b->n] is read for PT_GEMM_BIAS only; neither A
 * nor C is touched past its k or n columns. C must not overlap A. */
void PT_FN(pt_gemm)(int64_t m, struct pt_src a, const struct pt_mat *b, struct pt_dst c,
                    enum pt_gemm_init init, const float *bias);

/* The same with rows k .. k + count - 1 of B alone: A has count columns. A product may be
 * made of consecutive parts (the later ones with PT_GEMM_ADD) and has the same bits. */
void PT_FN(pt_gemm_part)(int64_t m, struct pt_src a, const struct pt_mat *b, int k, int count,
                         struct pt_dst c, enum pt_gemm_init init, const float *bias);

/* The arguments, as the parts of an implementation hand them on. */
struct pt_product {
  int64_t m;
  struct pt_src a;
  const struct pt_mat *b;
  struct pt_dst c;
  enum pt_gemm_init init;
  const float *bias;
};

static inline struct pt_src pt_src(const void *base, enum pt_dtype type, int64_t ld) {
  return (struct pt_src){base, ld, 0, type};
}
static inline struct pt_dst pt_dst(float *base, int64_t ld) {
  return (struct pt_dst){base, ld, 0};
}

#endif
