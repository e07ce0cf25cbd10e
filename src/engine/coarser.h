/* coarser.h - which coarser grid would fit a budget that a cloud's voxels do not. */
#ifndef PT_COARSER_H
#define PT_COARSER_H

#include "forward.h"

/* Adds to err, which says that the batch does not fit, the finest of some coarser grid sizes at
 * which it would; nothing where none is found. grid_size: of the batch, metres. Voxels are
 * counted from the batch's own, what they take is estimated (need.h) while the batch and what
 * belongs to it are still allocated. */
void pt_say_coarser(struct pt_env *env, const struct pt_model *model,
                    const struct pt_batch *batch, double grid_size, struct ptv3_error *err);

#endif
