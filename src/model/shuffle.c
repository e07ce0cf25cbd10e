/* shuffle.c - see shuffle.h. */
#include "shuffle.h"

#include "philox.h"

void pt_shuffle_orders(int stages, int orders, uint64_t seed, int *perm) {
  for (int s = 0; s < stages; s++) {
    int *p = perm + s * orders;
    for (int i = 0; i < orders; i++) {
      uint64_t j = pt_philox_below(seed, (uint64_t)s, (uint64_t)i, (uint64_t)i + 1);
      p[i] = p[j];
      p[j] = i;
    }
  }
}
