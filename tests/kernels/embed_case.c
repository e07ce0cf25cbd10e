/* embed_case.c - problems for the embed kernels. Depth: 125 products of `in` terms, GELU. Some
 * raw. */
#include "embed.h"

#include "check.h"

static void build(struct problem *p, const struct pt_voxels *vox, int in, int c, bool raw) {
  struct pt_embed *a = make_in(p, 1, sizeof *a);
  a->vox = vox;
  a->n = vox->n, a->in = in, a->c = c;
  a->type = p->type;
  a->x = make_floats(p, a->n * in, 0.0f, 1.7f);
  a->w = make_float_mats(p, 125, in, c, 25.0);
  a->raw = raw;
  a->bias = raw ? NULL : make_floats(p, c, 0.0f, 0.3f);
  a->out = make_features_out(p, a->n * c);
  p->op = a;
  p->rows = a->n;
  p->depth = 125 * in;
  snprintf(p->text, sizeof p->text, "n=%ld %d -> %d%s", (long)a->n, in, c, raw ? " raw" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 40, 64, 300, 700};
  static const int in[] = {6, 4, 3, 1, 16, 9}, c[] = {32, 16, 5, 48, 24};
  build(p, make_voxels(p, 1 + i % 3, n[i % 7], i % 4 == 3), in[i % 6], c[i % 5], i / 2 % 2);
}

static bool bench(struct problem *p, int i) {
  static const int in[] = {6, 4};
  if (i >= 2) return false;
  build(p, make_voxels(p, 1, base_level[0].rows, false), in[i], 32, false);
  return true;
}

const struct op_cases cases_embed = {42, make, bench, true};
