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
 * first the second one's product and then the first one's. Any part of C has the same bits, but
 * consecutive calls only where all of them but the last have an even number of rows. */
void PT_FN(pt_outer_pairs)(int64_t rows, struct pt_src a, struct pt_src b, int m, int n,
                           float *c, int64_t ldc);

/* sum[j] += the sum of column j of A [rows, m], likewise one chain of additions. */
void PT_FN(pt_column_sums)(int64_t rows, struct pt_src a, int m, float *sum);

/* sum[j] += the sum over rows of A[r, j] B[r, j], a chain of multiply-adds. */
void PT_FN(pt_column_dots)(int64_t rows, struct pt_src a, struct pt_src b, int m, float *sum);

#endif
