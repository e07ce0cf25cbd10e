/* outer.h - the other matrix product of training: C += A^T B, weight gradients.
 *
 * A [rows, m] and B [rows, n] are float or bf16, dense or reached through row numbers; C
 * [m, n] is float. Every number of C is one chain of multiply-adds over the rows in
 * ascending order, starting from what is there: a sum over all rows may be made of
 * consecutive calls, and any part of C be computed by any thread, with the same bits. One
 * thread; no allocation.
 *
 * turns_cpu.h is how a backward op uses it with many threads. */
#ifndef PT_OUTER_H
#define PT_OUTER_H

#include "gemm.h"

/* C (m, n; rows ldc apart) += A^T B. Neither A nor B is touched past its m or n columns. */
void PT_FN(pt_outer)(int64_t rows, struct pt_src a, struct pt_src b, int m, int n, float *c,
                     int64_t ldc);

/* The same, but where A and B are bf16 and the processor has AVX-512 BF16 two rows at a time,
 * first the second one's product and then the first one's; with AMX 32 rows at a time, as
 * tiles.h says. Any part of C has the same bits, but consecutive calls only where all of them
 * but the last have a multiple of PT_OUTER_ROWS rows (without AMX, of 2). Where PT_OUTER_PAIRS
 * and both are bf16, -1 in a list stands for a row of zeros. */
#if defined(__AVX512BF16__)
#define PT_OUTER_PAIRS 1
#else
#define PT_OUTER_PAIRS 0
#endif
enum { PT_OUTER_ROWS = 32 };
void PT_FN(pt_outer_pairs)(int64_t rows, struct pt_src a, struct pt_src b, int m, int n,
                           float *c, int64_t ldc);

#if defined(PT_AMX)
/* The same with A's transpose at hand, both bf16, and a row of zeros where B's list says -1:
 * for a convolution, which has one A for all its offsets. to, at: [m up to a multiple of 16,
 * rows up to a multiple of 32], ld numbers from row to row. */
void PT_FN(pt_transposed)(int64_t rows, struct pt_src a, int m, uint16_t *to, int64_t ld);
void PT_FN(pt_outer_transposed)(int64_t rows, const uint16_t *at, int64_t ld, struct pt_src b,
                                int m, int n, float *c, int64_t ldc);
#endif

/* sum[j] += the sum of column j of A [rows, m], likewise one chain of additions. */
void PT_FN(pt_column_sums)(int64_t rows, struct pt_src a, int m, float *sum);

/* sum[j] += the sum over rows of A[r, j] B[r, j], a chain of multiply-adds. */
void PT_FN(pt_column_dots)(int64_t rows, struct pt_src a, struct pt_src b, int m, float *sum);

#endif
