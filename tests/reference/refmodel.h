/* refmodel.h - models of the reference cases: configuration from meta.json, weights by the
 * formula of the reference folder's README. */
#ifndef REFMODEL_H
#define REFMODEL_H

#include "forward.h"
#include "pyconfig.h"
#include "refcase.h"

/* The formula's value of element i of the tensor `name`: seed, name and index in; see the
 * README ("Weight formula"). dims and shape decide the range. */
void ref_formula(const struct pt_param *p, uint64_t seed, float *dst);

/* A pt_fetch whose user is a uint64_t seed. */
int ref_formula_fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err);

/* JSON as Python text, to be freed with free(). */
char *ref_python(const json_t *v);

/* Reads a config text. Ends the program when it cannot be read. */
void ref_parse(struct refcase *c, const char *text, struct pt_config *config);

/* The network of a model dict given as JSON. Ends the program when it cannot be read. */
void ref_config(struct refcase *c, json_t *model, struct pt_ptv3 *cfg);

/* The same with weights of the formula; model_free afterwards. */
void ref_model(struct refcase *c, json_t *model, uint64_t seed, struct pt_model *m);
void ref_model_free(struct refcase *c, struct pt_model *m);

/* The batch of a case: tensors <prefix>in/.... */
struct ref_input {
  struct pt_batch batch;
  int64_t *offset;
};
struct ref_input ref_input(struct refcase *c, const char *prefix, int in_channels);

/* The permutations of a case with shuffled orders [stages, orders]; NULL if it has none. */
int *ref_perms(struct refcase *c, const struct pt_ptv3 *cfg);

/* The seed in meta["weights"] = "formula, seed 21". */
uint64_t ref_seed(struct refcase *c);

#endif
