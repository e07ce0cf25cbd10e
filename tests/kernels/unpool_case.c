/* unpool_case.c - problems for the unpool kernels: with and without the sum of branches,
 * and the Linear alone.
 * Depth: one product, GELU, a sum. */
#include "check.h"
#include "unpool.h"

static void build(struct problem *p, int64_t n, int in, int c, bool sum, bool raw) {
  struct pt_unpool *a = make_in(p, 1, sizeof *a);
  int64_t m = n / 3 + 1;
  a->n = n, a->in = in, a->c = c;
  a->type = p->type;
  a->x = make_features(p, n * in, 0.0f, 2.0f);
  a->up = sum ? make_features(p, m * c, 0.0f, 2.0f) : NULL;
  a->cluster = sum ? make_indices(p, n, m) : NULL;
  a->out = make_features_out(p, n * c);
  a->w = make_mat(p, in, c);
  a->bias = make_floats(p, c, 0.0f, 0.3f);
  a->raw = raw;
  p->op = a;
  p->rows = n;
  p->depth = in + 4;
  snprintf(p->text, sizeof p->text, "n=%ld %d -> %d%s", (long)n, in, c,
           sum   ? " sum"
           : raw ? " raw"
                 : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 16, 17, 64, 100, 257};
  static const int in[] = {64, 1, 32, 7, 128, 33, 48}, c[] = {64, 16, 5, 32, 1, 24, 130};
  build(p, n[i % 8], in[i % 7], c[(i / 2) % 7], i % 2, i % 3 == 2 && i % 2 == 0);
}

static bool bench(struct problem *p, int i) {
  static const struct {
    int64_t n;
    int in, c;
    bool sum;
  } of[] = {{1024, 512, 256, false}, {2048, 256, 256, true}, {2048, 256, 128, false},
            {4096, 128, 128, true},  {4096, 128, 64, false}, {8192, 64, 64, true},
            {8192, 64, 64, false},   {16384, 32, 64, true}};
  if (i >= (int)(sizeof of / sizeof of[0])) return false;
  build(p, of[i].n, of[i].in, of[i].c, of[i].sum, false);
  return true;
}

const struct op_cases cases_unpool = {56, make, bench, true};
