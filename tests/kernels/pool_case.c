/* pool_case.c - problems for the pool kernels: segments of 1 to 8 rows (a few of 1 to 64),
 * with and without a new order of rows, scales of both signs; the maximum alone as well.
 * Depth: one product, a scale, GELU; gain: scales are up to 1.5. */
#include "check.h"
#include "pool.h"

static void build(struct problem *p, int64_t m, int most, int in, int c, bool reorder,
                  bool raw) {
  struct pt_pool *a = make_in(p, 1, sizeof *a);
  int32_t *start = make_in(p, m + 1, sizeof *start);
  for (int64_t s = 0; s < m; s++) start[s + 1] = start[s] + (int32_t)draw(p, 1, most);
  a->start = start;
  a->n = start[m], a->m = m, a->in = in, a->c = c;
  a->type = p->type;
  a->x = make_features(p, a->n * in, 0.0f, 2.0f);
  a->row = reorder ? make_permutation(p, m) : NULL;
  a->out = make_features_out(p, m * c);
  a->w = make_mat(p, in, c);
  a->bias = make_floats(p, c, 0.0f, 0.3f);
  a->raw = raw;
  a->g = raw ? NULL : make_floats(p, c, 0.2f, 1.3f);
  a->shift = raw ? NULL : make_floats(p, c, 0.0f, 0.5f);
  p->op = a;
  p->rows = a->n;
  p->depth = in + 4;
  p->gain = 1.5;
  snprintf(p->text, sizeof p->text, "n=%ld m=%ld %d -> %d%s%s", (long)a->n, (long)m, in, c,
           reorder ? " reordered" : "", raw ? " raw" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t m[] = {0, 1, 2, 9, 16, 40, 77};
  static const int in[] = {32, 1, 16, 64, 7, 33}, c[] = {64, 5, 16, 128, 1, 40, 24, 17};
  build(p, m[i % 7], i % 5 == 4 ? 64 : 8, in[i % 6], c[i % 8], i % 2, i % 3 == 2);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS - 1) return false;
  build(p, base_level[i].rows / 4, 7, base_level[i].c, base_level[i + 1].c, true, false);
  return true;
}

const struct op_cases cases_pool = {56, make, bench, true};
