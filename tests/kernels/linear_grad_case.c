/* linear_grad_case.c - problems for linear_grad: with and without dx, added to or written, with
 * gradients of the features' type or float, of a whole weight or of some of its columns.
 * Depth: the longest sum, over rows or over outputs. Rounded: g, before it meets the weights.
 */
#include "check.h"
#include "linear_grad.h"

struct shape {
  int64_t n;
  int in, c;
  bool dx, add, bias, float_g;
  int more; /* columns of the weight besides */
};

static void build(struct problem *p, const struct shape *s) {
  struct pt_linear_grad *a = make_in(p, 1, sizeof *a);
  a->n = s->n, a->in = s->in, a->c = s->c, a->type = p->type, a->add = s->add;
  a->gtype = s->float_g ? PT_F32 : p->type;
  a->x = make_features(p, s->n * s->in, 0.0f, 1.0f);
  a->g = s->float_g ? make_floats(p, s->n * s->c, 0.0f, 1.0f)
                    : make_features(p, s->n * s->c, 0.0f, 1.0f);
  if (s->dx)
    a->dx = s->add ? make_features_inout(p, s->n * s->in, 1.0f)
                   : make_features_out(p, s->n * s->in);
  a->wt = make_mat(p, s->c, s->in);
  a->ldw = s->in + s->more;
  a->dw = make_inout(p, s->c * a->ldw, 1.0f);
  a->db = s->bias ? make_inout(p, s->c, 1.0f) : NULL;
  p->op = a;
  p->rows = s->n;
  p->depth = (double)(s->n > s->c ? s->n : s->c);
  p->rounded = 1;
  snprintf(p->text, sizeof p->text, "n=%ld %d of %ld <- %d%s%s%s", (long)s->n, s->in,
           (long)a->ldw, s->c,
           !s->dx   ? " no dx"
           : s->add ? " added"
                    : "",
           s->bias ? "" : " no bias", s->float_g ? " float g" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 16, 17, 64, 100, 257, 700};
  static const int in[] = {64, 1, 32, 7, 128, 33, 48}, c[] = {64, 13, 5, 32, 1, 24, 130, 96};
  const struct shape s = {.n = n[i % 9],
                          .in = in[i % 7],
                          .c = c[i % 8],
                          .dx = i % 5 != 3,
                          .add = i % 3 == 1,
                          .bias = i % 4 != 2,
                          .float_g = i % 2,
                          .more = i % 3 == 2 ? 1 + i % 20 : 0};
  build(p, &s);
}

static bool bench(struct problem *p, int i) {
  static const struct shape of[] = {{16384, 64, 13, true, false, true, true, 0},
                                    {16384, 32, 64, true, false, true, false, 0},
                                    {4096, 128, 64, true, false, true, false, 0},
                                    {1024, 512, 256, true, false, true, false, 0}};
  if (i >= (int)(sizeof of / sizeof of[0])) return false;
  build(p, &of[i]);
  return true;
}

const struct op_cases cases_linear_grad = {63, make, bench, true};
