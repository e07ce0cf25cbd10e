/* mlp_case.c - problems for the mlp kernels.
 * Depth: two products, c and hidden terms long. Gain: the norm of few channels may divide by
 * a small deviation. Rounded: the normalised rows, the hidden layer. */
#include "check.h"
#include "mlp.h"

static void build(struct problem *p, int64_t n, int c, int hidden, bool pre_norm, bool branch,
                  bool apart, bool drop) {
  struct pt_mlp *a = make_in(p, 1, sizeof *a);
  a->n = n, a->c = c, a->hidden = hidden, a->pre_norm = pre_norm;
  a->type = p->type;
  if (apart) a->in = make_features(p, n * c, 0.0f, 2.0f);
  a->x = apart ? make_features_out(p, n * c) : make_features_inout(p, n * c, 2.0f);
  if (drop) a->drop = (struct pt_drop){.path = 0.3f, .proj = 0.1f, .seed = 5, .stream = 77};
  if (branch) a->branch = make_features_out(p, n * c);
  a->gamma = make_floats(p, c, 1.0f, 0.4f);
  a->beta = make_floats(p, c, 0.0f, 0.2f);
  a->w1 = make_mat(p, c, hidden);
  a->b1 = make_floats(p, hidden, 0.0f, 0.2f);
  a->w2 = make_mat(p, hidden, c);
  a->b2 = make_floats(p, c, 0.0f, 0.2f);
  p->op = a;
  p->rows = n;
  p->depth = c + hidden;
  p->gain = c < 16 ? 4 : 1;
  p->rounded = 2;
  snprintf(p->text, sizeof p->text, "n=%ld c=%d hidden=%d %s%s%s%s", (long)n, c, hidden,
           pre_norm ? "pre-norm" : "post-norm", branch ? " branch" : "", apart ? " in" : "",
           drop ? " drop" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 15, 16, 17, 63, 64, 65, 129, 300};
  static const int c[] = {16, 5, 32, 24, 64, 13, 48, 128, 7};
  int width = c[i % 9];
  int hidden = i % 4 == 3 ? (int)draw(p, 1, 5 * width) : 4 * width;
  const bool pre_norm = i % 3 != 2;
  build(p, n[i % 11], width, hidden, pre_norm, pre_norm && i % 5 == 4, i % 7 == 2, i % 4 == 2);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS) return false;
  build(p, base_level[i].rows, base_level[i].c, 4 * base_level[i].c, true, false, false, false);
  return true;
}

const struct op_cases cases_mlp = {60, make, bench, true};
