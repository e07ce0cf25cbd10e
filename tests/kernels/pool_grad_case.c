/* pool_grad_case.c - problems for the backward pass of pooling: segments of 1 to 8 rows (a few
 * of 1 to 64), with equal rows among them.
 *
 * Where two rows of a segment are closer than rounding, versions may find the maximum in
 * different ones, and the gradient goes elsewhere: rows are drawn until none are so close.
 * Depth: the longest sum, over rows or over outputs. Nothing is rounded: dy holds numbers of g.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "feature.h"
#include "pool_grad.h"

/* Is the maximum of a channel of rows first .. end - 1 nearly another row's? Rows that are
 * equal to the one before are not looked at. */
static bool too_close(const struct pt_pool_grad *a, int64_t first, int64_t end,
                      const bool *same) {
  for (int j = 0; j < a->c; j++) {
    double best = -INFINITY, next = -INFINITY;
    for (int64_t r = first; r < end; r++) {
      double y = (double)a->bias[j];
      for (int i = 0; i < a->in && !same[r]; i++)
        y += (double)pt_get(a->x, a->type, r * a->in + i) * (double)pt_mat_at(&a->w, i, j);
      if (same[r]) continue;
      if (y > best)
        next = best, best = y;
      else if (y > next)
        next = y;
    }
    if (best - next < 2e-5) return true;
  }
  return false;
}

static void draw_rows(struct problem *p, const struct pt_pool_grad *a, char *x, bool apart) {
  const int64_t row = a->in * pt_feature_bytes(a->type);
  bool *same = check_alloc((size_t)a->n + 1);
  for (int64_t s = 0; s < a->m; s++) {
    const int64_t first = a->start[s], end = a->start[s + 1];
    for (int tries = 0; tries < 100; tries++) {
      for (int64_t r = first; r < end; r++) {
        same[r] = r > first && draw(p, 0, 5) == 0;
        if (same[r]) memcpy(x + r * row, x + (r - 1) * row, (size_t)row);
        for (int i = 0; i < a->in && !same[r]; i++)
          pt_put(x, a->type, r * a->in + i, draw_float(p, 2.0f));
      }
      if (!apart || !too_close(a, first, end, same)) break;
    }
  }
  free(same);
}

static void build(struct problem *p, int64_t m, int most, int in, int c, int kind) {
  struct pt_pool_grad *a = make_in(p, 1, sizeof *a);
  int32_t *start = make_in(p, m + 1, sizeof *start);
  for (int64_t s = 0; s < m; s++) start[s + 1] = start[s] + (int32_t)draw(p, 1, most);
  a->start = start;
  a->n = start[m], a->m = m, a->in = in, a->c = c;
  a->type = p->type;
  a->add = kind % 3 == 1;
  char *x = make_features(p, a->n * in, 0.0f, 0.0f);
  a->x = x;
  a->w = make_mat(p, in, c);
  a->wt = make_mat(p, c, in); /* any other matrix does */
  a->bias = make_floats(p, c, 0.0f, 0.3f);
  draw_rows(p, a, x, kind < 1000);
  a->g = make_features(p, m * c, 0.0f, 1.0f);
  a->row = kind % 2 ? make_permutation(p, m) : NULL;
  a->dx = a->add ? make_features_inout(p, a->n * in, 1.0f) : make_features_out(p, a->n * in);
  a->dw = make_inout(p, (int64_t)c * in, 1.0f);
  a->db = make_inout(p, c, 1.0f);
  p->op = a;
  p->rows = a->n;
  p->depth = (double)(a->n > c ? a->n : c);
  snprintf(p->text, sizeof p->text, "n=%ld m=%ld %d <- %d%s%s", (long)a->n, (long)m, in, c,
           a->row ? " reordered" : "", a->add ? " added" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t m[] = {0, 1, 2, 9, 16, 40, 77};
  static const int in[] = {32, 1, 16, 64, 7, 33}, c[] = {64, 5, 16, 128, 1, 40, 24, 17};
  build(p, m[i % 7], i % 5 == 4 ? 64 : 8, in[i % 6], c[i % 8], i);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS - 1) return false;
  build(p, base_level[i].rows / 4, 7, base_level[i].c, base_level[i + 1].c, 1002);
  return true;
}

const struct op_cases cases_pool_grad = {56, make, bench, true};
