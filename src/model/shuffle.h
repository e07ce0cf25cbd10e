/* shuffle.h - shuffled orders: one permutation of a network's orders a stage, as Pointcept's
 * torch.randperm after serialization and after every pooling. Fisher-Yates with Philox. */
#ifndef PT_SHUFFLE_H
#define PT_SHUFFLE_H

#include <stdint.h>

/* perm [stages, orders] for pt_structure_in.perm. */
void pt_shuffle_orders(int stages, int orders, uint64_t seed, int *perm);

#endif
