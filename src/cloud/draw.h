/* draw.h - where the transforms take their random numbers from.
 *
 * The default is Philox, keyed by (seed, sample, epoch) and counted in call order: what a
 * sample draws depends on nothing else. A caller may give a function instead, which the tests
 * use to prescribe the numbers that the reference vectors were recorded with. */
#ifndef PT_DRAW_H
#define PT_DRAW_H

#include <stdint.h>

#include "err.h"

enum pt_draw_kind {
  PT_DRAW_CHANCE,  /* in [0, 1): whether a transform is applied at all */
  PT_DRAW_UNIFORM, /* in [lo, hi) */
  PT_DRAW_NORMAL,  /* mean 0, deviation 1; lo and hi unused */
  PT_DRAW_INTEGER  /* whole numbers in [0, hi) */
};

struct pt_draw {
  uint64_t seed, stream;
  uint64_t next; /* counter: draws taken so far */
  int (*fill)(void *user, enum pt_draw_kind kind, double lo, double hi, int64_t n, double *out,
              struct ptv3_error *err); /* NULL: Philox */
  void *user;
};

/* Stream of one sample of one epoch; evaluation uses seed 0, epoch 0. */
struct pt_draw pt_draw_of(uint64_t seed, uint64_t epoch, uint64_t sample);

/* n numbers of a kind to out[n]. */
int pt_draw_fill(struct pt_draw *d, enum pt_draw_kind kind, double lo, double hi, int64_t n,
                 double *out, struct ptv3_error *err);

#endif
