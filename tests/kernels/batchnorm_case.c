/* batchnorm_case.c - problems for BatchNorm with the batch's statistics: channels whose mean
 * lies at 0 or, every third, far from it; with and without another branch and running
 * statistics. Depth: a difference, GELU and a sum; gain: 1 / sigma times gamma is up to 3. */
#include "batchnorm.h"
#include "check.h"
#include "feature.h"

static void build(struct problem *p, int64_t n, int c, bool sum, bool running) {
  struct pt_batchnorm *a = make_in(p, 1, sizeof *a);
  const int64_t m = n / 3 + 1;
  a->n = n, a->c = c;
  a->type = p->type;
  void *y = make_features(p, n * c, 0.0f, 1.0f);
  for (int64_t i = 0; i < n * c; i++)
    if (i % c % 3 == 1) pt_put(y, p->type, i, 5.0f + pt_get(y, p->type, i));
  a->y = y;
  a->up = sum ? make_features(p, m * c, 0.0f, 2.0f) : NULL;
  a->cluster = sum ? make_indices(p, n, m) : NULL;
  a->out = make_features_out(p, n * c);
  a->gamma = make_floats(p, c, 1.0f, 0.5f);
  a->beta = make_floats(p, c, 0.0f, 0.5f);
  a->eps = 1e-3f, a->momentum = 0.01f;
  a->stats = make_out(p, 2 * c);
  a->running = running ? make_inout(p, c, 1.0f) : NULL;
  a->running_var = running ? make_inout(p, c, 0.5f) : NULL;
  p->op = a;
  p->rows = n;
  p->depth = 4;
  p->gain = 3;
  snprintf(p->text, sizeof p->text, "n=%ld c=%d%s%s", (long)n, c, sum ? " sum" : "",
           running ? " running" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 40, 255, 256, 257, 64, 1000, 2500};
  static const int c[] = {32, 1, 16, 7, 64, 33, 130};
  build(p, i == 53 ? 20000 : n[i % 8], c[i % 7], i % 2, i % 3 != 0);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS) return false;
  build(p, 16 * base_level[i].rows, base_level[i].c, false, true);
  return true;
}

const struct op_cases cases_batchnorm = {56, make, bench, true};
