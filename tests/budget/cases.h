/* cases.h - random cases of the budget test: a network, a batch of clouds and how to run it.
 *
 * A case depends on (seed, number) alone, so that one that fails can be run by itself. */
#ifndef CASES_H
#define CASES_H

#include "forward.h"

struct budget_case {
  struct pt_model model; /* cfg, kernels and tile; the weights are made by case_weights */
  struct pt_batch batch; /* its arrays are owned by the case */
  int perm[PT_MAX_STAGES * PT_MAX_ORDERS]; /* [stages, orders] */
  bool shuffled;                           /* perm is to be used */
  int threads[2];                          /* of the unlimited run, of the others; 1 .. 4 */
  double share; /* the budget, as a share of what the unlimited run used: 0.3 .. 1.5 */
  uint64_t seed;
};

/* Ends the program when the system has no memory: the inputs are no part of the test. */
void case_make(struct budget_case *c, uint64_t seed, uint64_t number);
void case_free(struct budget_case *c);

/* Untrained weights, in env's budget. */
int case_weights(struct pt_env *env, struct budget_case *c, struct ptv3_error *err);

/* malloc that ends the program when it fails. */
void *case_alloc(int64_t count, int64_t size);

#endif
