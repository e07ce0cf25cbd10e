/* match.h - a checkpoint's tensors against a network's parameters. */
#ifndef PT_MATCH_H
#define PT_MATCH_H

#include "env.h"
#include "params.h"
#include "tensors.h"

enum pt_match_kind { PT_MATCHED, PT_MISSING, PT_UNEXPECTED, PT_WRONG_SHAPE, PT_MATCH_KINDS };

struct pt_match {
  struct pt_param *param; /* [params], owned */
  int64_t params;
  const struct pt_tensor **tensor; /* [params] the tensor for each, NULL: start untrained */
  int64_t count[PT_MATCH_KINDS];
  uint64_t seed; /* of untrained values; 0 unless changed after pt_match_build */
  struct pt_mem *mem;
};

/* Compares. Refuses (PTV3_MISMATCH, the first few named) when a parameter is missing or of
 * another shape, unless its name fits one of the patterns allow [allows] ('*' is any text).
 * num_batches_tracked may always be missing. Tensors the network does not have are warned
 * about. */
int pt_match_build(struct pt_env *env, const struct pt_ptv3 *cfg, const struct pt_tensors *set,
                   const char *const *allow, int allows, struct pt_match *m,
                   struct ptv3_error *err);

void pt_match_free(struct pt_match *m); /* zeroed is allowed */

/* A pt_fetch over a struct pt_match: the tensor as float32, or untrained values. */
int pt_match_fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err);

/* Whether text fits a pattern in which '*' is any text. */
bool pt_fits(const char *pattern, const char *text);

#endif
