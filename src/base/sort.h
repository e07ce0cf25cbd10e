/* sort.h - stable order of 64-bit keys. */
#ifndef PT_SORT_H
#define PT_SORT_H

#include <stdint.h>

#include "env.h"

/* Sorts key[n] ascending (unsigned) in place and gives in order[n] where each came from;
 * equal keys keep their order. n <= INT32_MAX. Radix sort of 11 bits a pass, passes in which
 * all keys agree left out, on env->threads threads; the result does not depend on their number.
 * Needs 12 bytes a key besides. */
int pt_sort64(struct pt_env *env, uint64_t *key, int32_t *order, int64_t n,
              struct ptv3_error *err);

#endif
