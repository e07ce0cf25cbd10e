/* batchnorm_grad_case.c - problems for the backward pass of BatchNorm: made-up statistics near
 * those of the rows. Depth: GELU's derivative, products. The largest results are the sums over
 * all rows, dgamma and dbeta, in double in both. */
#include "batchnorm_grad.h"
#include "check.h"

static void build(struct problem *p, int64_t n, int c) {
  struct pt_batchnorm_grad *a = make_in(p, 1, sizeof *a);
  float *stats = make_floats(p, 2 * c, 0.0f, 0.3f);
  for (int j = 0; j < c; j++) stats[c + j] = 1.4f + stats[c + j];
  a->n = n, a->c = c;
  a->type = p->type;
  a->y = make_features(p, n * c, 0.0f, 1.5f);
  a->stats = stats;
  a->gamma = make_floats(p, c, 1.0f, 0.5f);
  a->beta = make_floats(p, c, 0.0f, 0.5f);
  a->g = make_features_inout(p, n * c, 1.0f);
  a->dgamma = make_inout(p, c, 1.0f);
  a->dbeta = make_inout(p, c, 1.0f);
  p->op = a;
  p->rows = n;
  p->depth = 4;
  snprintf(p->text, sizeof p->text, "n=%ld c=%d", (long)n, c);
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 255, 256, 257, 64, 1000, 2500};
  static const int c[] = {32, 1, 16, 7, 64, 33, 130, 48};
  build(p, i == 53 ? 20000 : n[i % 9], c[i % 8]);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS) return false;
  build(p, 16 * base_level[i].rows, base_level[i].c);
  return true;
}

const struct op_cases cases_batchnorm_grad = {56, make, bench, true};
