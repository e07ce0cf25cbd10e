/* up_grad_case.c - problems for sums over runs of rows. Depth: the longest run. */
#include "check.h"
#include "up_grad.h"

static void build(struct problem *p, int64_t m, int most, int c, bool reorder) {
  struct pt_up_grad *a = make_in(p, 1, sizeof *a);
  int32_t *start = make_in(p, m + 1, sizeof *start);
  for (int64_t s = 0; s < m; s++) start[s + 1] = start[s] + (int32_t)draw(p, 1, most);
  a->start = start;
  a->n = start[m], a->m = m, a->c = c;
  a->type = p->type;
  a->g = make_features(p, a->n * c, 0.0f, 1.0f);
  a->row = reorder ? make_permutation(p, m) : NULL;
  a->dx = make_features_out(p, m * c);
  p->op = a;
  p->rows = a->n;
  p->depth = most;
  snprintf(p->text, sizeof p->text, "n=%ld m=%ld c=%d%s", (long)a->n, (long)m, c,
           reorder ? " reordered" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t m[] = {0, 1, 2, 9, 16, 40, 77, 200};
  static const int c[] = {64, 5, 16, 128, 1, 40, 24};
  build(p, m[i % 8], i % 5 == 4 ? 64 : 8, c[i % 7], i % 2);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS - 1) return false;
  build(p, 4 * base_level[i].rows, 7, i ? base_level[i].c : 64, false);
  return true;
}

const struct op_cases cases_up_grad = {56, make, bench, true};
