/* mlp_grad_case.c - problems for mlp_grad.
 * Depth: the longest sum, over rows or channels. Gain: as mlp's; gradients through the norm of
 * few channels are as much larger. Rounded: the normalised rows, the hidden layer, and both
 * their gradients. */
#include "check.h"
#include "mlp_grad.h"

struct shape {
  int64_t n;
  int c, hidden;
  bool pre_norm, drop, branch;
};

static void build(struct problem *p, const struct shape *s) {
  struct pt_mlp_grad *a = make_in(p, 1, sizeof *a);
  struct pt_mlp *f = &a->f;
  const int c = s->c, hidden = s->hidden;
  f->n = s->n, f->c = c, f->hidden = hidden, f->pre_norm = s->pre_norm, f->type = p->type;
  if (s->drop) f->drop = (struct pt_drop){.path = 0.3f, .proj = 0.1f, .seed = 9, .stream = 7};
  f->gamma = make_floats(p, c, 1.0f, 0.4f);
  f->beta = make_floats(p, c, 0.0f, 0.2f);
  f->w1 = make_mat(p, c, hidden);
  f->b1 = make_floats(p, hidden, 0.0f, 0.2f);
  f->w2 = make_mat(p, hidden, c);
  f->b2 = make_floats(p, c, 0.0f, 0.2f);
  a->x = make_features(p, s->n * c, 0.0f, 2.0f);
  a->g = make_features_inout(p, s->n * c, 1.0f);
  if (s->branch) a->g_branch = make_features(p, s->n * c, 0.0f, 1.0f);
  a->w1_t = make_mat(p, hidden, c);
  a->w2_t = make_mat(p, c, hidden);
  a->dgamma = make_inout(p, c, 1.0f);
  a->dbeta = make_inout(p, c, 1.0f);
  a->dw1 = make_inout(p, (int64_t)c * hidden, 1.0f);
  a->db1 = make_inout(p, hidden, 1.0f);
  a->dw2 = make_inout(p, (int64_t)c * hidden, 1.0f);
  a->db2 = make_inout(p, c, 1.0f);
  p->op = a;
  p->rows = s->n;
  p->depth = (double)s->n + c + hidden;
  p->gain = c < 16 ? 4 : 1;
  p->rounded = 4;
  snprintf(p->text, sizeof p->text, "n=%ld c=%d hidden=%d %s%s%s", (long)s->n, c, hidden,
           s->pre_norm ? "pre-norm" : "post-norm", s->drop ? " drop" : "",
           s->branch ? " branch" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 15, 16, 17, 63, 64, 65, 129, 300};
  static const int c[] = {16, 5, 32, 24, 64, 13, 48, 128, 7};
  const int width = c[i % 9];
  struct shape s = {.n = n[i % 11], .c = width, .hidden = 4 * width};
  if (i % 4 == 3) s.hidden = (int)draw(p, 1, 5 * width);
  s.pre_norm = i % 3 != 2, s.drop = i % 5 == 2;
  s.branch = s.pre_norm && i % 4 == 1;
  build(p, &s);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS) return false;
  const int c = base_level[i].c;
  build(p, &(struct shape){base_level[i].rows, c, 4 * c, true, false, false});
  return true;
}

const struct op_cases cases_mlp_grad = {66, make, bench, true};
