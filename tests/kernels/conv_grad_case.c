/* conv_grad_case.c - problems for the conv_grad kernels: both sizes of kernel, the stem's few
 * input channels in float, with and without dx, added to or written, and dbias.
 * Depth: a number of dw or dbias is a chain through all rows, one of dx has 125 products of c
 * terms; gradients are small where rows are many, as those of a mean loss are. */
#include "conv_grad.h"

#include <math.h>

#include "check.h"

enum dx { NONE, ADDED, WRITTEN };

static void build(struct problem *p, const struct pt_voxels *vox, int size, int in, int c,
                  enum dx dx, bool dbias) {
  static const char *const text[] = {"", " dx", " new dx"};
  struct pt_conv_grad *a = make_in(p, 1, sizeof *a);
  const int offsets = size * size * size;
  const bool stem = size == 5 && in < 16;
  a->vox = vox;
  a->n = vox->n, a->size = size, a->in = in, a->c = c;
  a->type = p->type;
  a->xtype = stem ? PT_F32 : p->type;
  a->x = stem ? (void *)make_floats(p, a->n * in, 0.0f, 1.7f)
              : make_features(p, a->n * in, 0.0f, 1.7f);
  a->g = make_features(p, a->n * c, 0.0f, 1.7f / sqrtf((float)a->n + 1.0f));
  a->add = dx == ADDED;
  if (dx == ADDED) a->dx = make_features_inout(p, a->n * in, 1.0f);
  if (dx == WRITTEN) a->dx = make_features_out(p, a->n * in);
  a->wt = make_mats(p, offsets, c, in, size * size);
  a->dw = make_inout(p, (int64_t)c * offsets * in, 0.5f);
  a->dbias = dbias ? make_inout(p, c, 0.5f) : NULL;
  p->op = a;
  p->rows = a->n;
  p->depth = fmax((double)a->n, offsets * c);
  snprintf(p->text, sizeof p->text, "n=%ld %d^3 %d -> %d%s%s", (long)a->n, size, in, c,
           text[dx], dbias ? " dbias" : "");
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 30, 64, 150, 400};
  static const int in[] = {6, 16, 5, 32, 3, 40, 17}, c[] = {32, 16, 5, 24, 48, 33};
  static const enum dx dx[] = {ADDED, NONE, ADDED, WRITTEN, WRITTEN};
  const int size = i % 3 ? 3 : 5;
  build(p, make_voxels(p, 1 + i % 3, n[i % 7], i % 4 == 3), size, in[i / 3 % 7], c[i % 6],
        dx[i % 5], i / 2 % 2);
}

static bool bench(struct problem *p, int i) {
  if (i > BASE_LEVELS) return false;
  if (i == BASE_LEVELS)
    build(p, make_voxels(p, 1, base_level[0].rows, false), 5, 6, 32, NONE, false);
  else
    build(p, make_voxels(p, 1, base_level[i].rows, false), 3, base_level[i].c, base_level[i].c,
          ADDED, true);
  return true;
}

const struct op_cases cases_conv_grad = {42, make, bench, true};
