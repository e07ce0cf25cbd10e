/* head_case.c - problems for the head kernels: one to several sources, with and without maps.
 * Depth: one product over all sources' channels. */
#include "check.h"
#include "head.h"

static void build(struct problem *p, int64_t n, int sources, int c, int classes, bool maps) {
  struct pt_head *a = make_in(p, 1, sizeof *a);
  int k = 0;
  a->n = n, a->sources = sources, a->type = p->type, a->classes = classes;
  for (int s = 0; s < sources; s++) {
    int width = sources == 1 ? c : (int)draw(p, 1, 2 * c);
    bool mapped = maps && (s > 0 || draw(p, 0, 1));
    int64_t rows = mapped ? draw(p, 1, n + 1) : n;
    a->src[s].c = width;
    a->src[s].x = make_features(p, rows * width, 0.0f, 2.0f);
    a->src[s].map = mapped ? make_indices(p, n, rows) : NULL;
    k += width;
  }
  a->w = make_mat(p, k, classes);
  a->bias = make_floats(p, classes, 0.0f, 0.2f);
  a->out = make_out(p, n * classes);
  p->op = a;
  p->rows = n;
  p->depth = k;
  snprintf(p->text, sizeof p->text, "n=%ld sources=%d channels=%d classes=%d%s", (long)n,
           sources, k, classes, maps ? " maps" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 3, 16, 31, 64, 65, 200, 513};
  static const int c[] = {64, 1, 7, 32, 16, 100, 33};
  static const int classes[] = {13, 1, 20, 16, 19, 33, 2, 48};
  int sources = i % 2 ? 1 : 1 + i / 2 % PT_HEAD_SOURCES;
  build(p, n[i % 9], sources, c[i % 7], classes[i % 8], sources > 1 || i % 3 == 0);
}

static bool bench(struct problem *p, int i) {
  static const int classes[] = {13, 20};
  if (i >= 2) return false;
  build(p, 16384, 1, 64, classes[i], false);
  return true;
}

const struct op_cases cases_head = {63, make, bench, true};
