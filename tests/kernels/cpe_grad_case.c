/* cpe_grad_case.c - problems for the cpe_grad kernels.
 * Depth: a sum over all rows, after 28 products of c terms; gain: the norm of few channels,
 * forward and backward. Rounded: y, dz. */
#include "cpe_grad.h"

#include <math.h>

#include "check.h"

static void build(struct problem *p, const struct pt_voxels *vox, int c) {
  struct pt_cpe_grad *a = make_in(p, 1, sizeof *a);
  const int64_t n = vox->n;
  a->vox = vox;
  a->n = n, a->c = c;
  a->type = p->type;
  a->in = make_features(p, n * c, 0.0f, 1.7f);
  a->g = make_features(p, n * c, 0.0f, 1.7f / sqrtf((float)n + 1.0f));
  a->dy = make_features_out(p, n * c);
  a->conv_w = make_mats(p, 27, c, c, 9.0);
  a->conv_bias = make_floats(p, c, 0.0f, 0.2f);
  a->w = make_mat(p, c, c);
  a->bias = make_floats(p, c, 0.0f, 0.2f);
  a->gamma = make_floats(p, c, 1.0f, 0.4f);
  a->wt = make_mat(p, c, c);
  a->dw = make_inout(p, (int64_t)c * c, 0.5f);
  a->dbias = make_inout(p, c, 0.5f);
  a->dgamma = make_inout(p, c, 0.5f);
  a->dbeta = make_inout(p, c, 0.5f);
  p->op = a;
  p->rows = n;
  p->depth = (double)n + 28 * c;
  p->gain = c < 16 ? 4 : 1;
  p->rounded = 2;
  snprintf(p->text, sizeof p->text, "n=%ld c=%d", (long)n, c);
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 30, 64, 200, 500};
  static const int c[] = {16, 32, 5, 24, 64, 17};
  build(p, make_voxels(p, 1 + i % 3, n[i % 7], i % 4 == 3), c[i % 6]);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS) return false;
  build(p, make_voxels(p, 1, base_level[i].rows, false), base_level[i].c);
  return true;
}

const struct op_cases cases_cpe_grad = {42, make, bench, true};
