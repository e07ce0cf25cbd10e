/* sort.h - stable radix sort of 64-bit keys with the rows they belong to. */
#ifndef PT_SORT_H
#define PT_SORT_H

#include <stdint.h>

/* Sorts key [n] ascending (unsigned) and carries row [n] along; equal keys keep their order.
 * Only the low `bits` bits of the keys may differ. spare_key and spare_row [n] are working
 * memory. Least significant digit first, 11 bits a pass, passes whose digit is the same
 * everywhere are skipped. */
void pt_radix_sort(uint64_t *key, int32_t *row, uint64_t *spare_key, int32_t *spare_row,
                   int64_t n, int bits);

#endif
