/* curves.h - the four space-filling curves that order voxels.
 *
 * A code has 3 * depth bits; at a fixed depth it is an octree code: code >> 3 is the code
 * of the parent cell at depth - 1. Up to 21 bits an axis fit (63 bits).
 * z:       bit i of x, y, z goes to bit 3i+2, 3i+1, 3i (Morton; x most significant).
 * hilbert: J. Skilling, "Programming the Hilbert curve", AIP Conf. Proc. 707 (2004): axes to
 *          transpose, then the transpose's bits interleaved as above.
 * -trans:  the same with x and y swapped.
 * Source: Pointcept serialization/{default,z_order,hilbert}.py. */
#ifndef PT_CURVES_H
#define PT_CURVES_H

#include <stdint.h>

enum pt_curve { PT_Z, PT_Z_TRANS, PT_HILBERT, PT_HILBERT_TRANS, PT_CURVES };

#define PT_MAX_DEPTH 21

/* "z", "z-trans", "hilbert", "hilbert-trans"; -1 for another name. */
int pt_curve_by_name(const char *name);
const char *pt_curve_name(enum pt_curve c);

/* Bits an axis for coordinates up to max: bit_length(max + 1); Pointcept 1.5.1 used
 * bit_length(max). */
int pt_curve_depth(int64_t max, int compat_151);

/* The code of (x, y, z), each in 0 .. 2^depth - 1, 0 <= depth <= 21. */
uint64_t pt_curve_code(enum pt_curve c, const int32_t xyz[3], int depth);

#endif
