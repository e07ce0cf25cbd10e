/* size.h - sizes that cannot overflow.
 *
 * Counts of rows and bytes are int64_t everywhere. A count that comes from a file is
 * checked with these before it is used to allocate or to move a pointer. */
#ifndef PT_SIZE_H
#define PT_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/* *r = a * b; false when the product does not fit or an operand is negative. */
static inline bool pt_mul(int64_t a, int64_t b, int64_t *r) {
  return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, r);
}

/* *r = a + b; false when the sum does not fit or an operand is negative. */
static inline bool pt_add(int64_t a, int64_t b, int64_t *r) {
  return a >= 0 && b >= 0 && !__builtin_add_overflow(a, b, r);
}

static inline int64_t pt_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t pt_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* ceil(a / b), a >= 0, b > 0. */
static inline int64_t pt_div_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* a rounded up to a multiple of b, a >= 0, b > 0. */
static inline int64_t pt_round_up(int64_t a, int64_t b) { return pt_div_up(a, b) * b; }

#endif
