/* outer.h - the other matrix product of training: C += A^T B, weight gradients.
 *
 * A [rows, m] and B [rows, n] are float or bf16, dense or reached through row numbers; C
 * [m, n] is float. Every number of C is one chain of multiply-adds over the rows in
 * ascending order, starting from what is there: a sum over all rows may be made of
 * consecutive calls, and any part of C be computed by any thread, with the same bits. One
 * thread; no allocation.
 *
 * How a backward op uses it with many threads: the threads first work out tiles, each in
 * its own part of the scratch (pt_exec.scratch_stride): thread t's is tile t of a turn.
 * After a barrier every thread takes a share of C's rows and adds the tiles of the turn in
 * order; after another the next turn begins. The chain runs through all rows, so the number
 * of threads and the size of tiles do not show. */
#ifndef PT_OUTER_H
#define PT_OUTER_H

#include "gemm.h"

/* C (m, n; rows ldc apart) += A^T B. Neither A nor B is touched past its m or n columns. */
void PT_FN(pt_outer)(int64_t rows, struct pt_src a, struct pt_src b, int m, int n, float *c,
                     int64_t ldc);

#endif
