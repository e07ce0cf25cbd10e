/* cpe_case.c - problems for the cpe kernels: surfaces and solid heaps of voxels, several
 * clouds, residual apart from the input or in it or in the output, with and without the sum
 * of the unpooled branch.
 * Depth: 27 products of c terms and one of c; gain: the norm of few channels.
 * Rounded: the convolution's result. */
#include "cpe.h"

#include "check.h"

enum shape { RES_IS_IN, RES_APART, RES_IS_OUT };

static void build(struct problem *p, const struct pt_voxels *vox, int c, enum shape shape,
                  bool up) {
  struct pt_cpe *a = make_in(p, 1, sizeof *a);
  int64_t n = vox->n, m = n / 3 + 1;
  a->vox = vox;
  a->n = n, a->c = c;
  a->type = p->type;
  a->in = make_features(p, n * c, 0.0f, 1.7f);
  a->out =
      shape == RES_IS_OUT ? make_features_inout(p, n * c, 2.0f) : make_features_out(p, n * c);
  a->res = shape == RES_IS_OUT  ? a->out
           : shape == RES_IS_IN ? a->in
                                : make_features(p, n * c, 0.0f, 2.0f);
  a->up = up ? make_features(p, m * c, 0.0f, 2.0f) : NULL;
  a->cluster = up ? make_indices(p, n, m) : NULL;
  a->conv_w = make_mats(p, 27, c, c, 9.0);
  a->conv_bias = make_floats(p, c, 0.0f, 0.2f);
  a->w = make_mat(p, c, c);
  a->bias = make_floats(p, c, 0.0f, 0.2f);
  a->gamma = make_floats(p, c, 1.0f, 0.4f);
  a->beta = make_floats(p, c, 0.0f, 0.2f);
  p->op = a;
  p->rows = n;
  p->depth = 28 * c;
  p->gain = c < 16 ? 4 : 1;
  p->rounded = 1;
  snprintf(p->text, sizeof p->text, "n=%ld c=%d %s%s", (long)n, c,
           shape == RES_IS_IN   ? "res=in"
           : shape == RES_APART ? "res apart"
                                : "res=out",
           up ? " up" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 30, 64, 200, 500};
  static const int c[] = {16, 32, 5, 24, 64, 17};
  const struct pt_voxels *vox = make_voxels(p, 1 + i % 3, n[i % 7], i % 4 == 3);
  build(p, vox, c[i % 6], (enum shape)(i / 2 % 3), i % 2);
}

static bool bench(struct problem *p, int i) {
  if (i >= BASE_LEVELS) return false;
  build(p, make_voxels(p, 1, base_level[i].rows, false), base_level[i].c, RES_IS_IN, false);
  return true;
}

const struct op_cases cases_cpe = {42, make, bench, true};
