/* loss_case.c - problems for the criteria: cross entropy and Lovasz losses of all kinds, alone
 * and together, with ignored rows, classes that no row has, and rows that are equal.
 *
 * Where the errors of two rows are closer than rounding, versions may sort them differently,
 * and the gradient of both changes: for Lovasz losses rows are drawn until none is so close.
 * Depth: the classes of a row; a step of the Jaccard loss is exact. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "loss.h"

/* Errors of a row's classes, and by how much each may be off. */
static void errors_of(const float *l, int32_t label, int c, double *error, double *off) {
  double top = -INFINITY, sum = 0;
  for (int i = 0; i < c; i++) top = fmax(top, (double)l[i]);
  for (int i = 0; i < c; i++) sum += exp((double)l[i] - top);
  for (int i = 0; i < c; i++) {
    const double p = exp((double)l[i] - top) / sum;
    error[i] = fabs((i == label) - p);
    off[i] = 1e-6 * p + 1e-9;
  }
}

static bool too_close(const double *a, const double *a_off, const double *b,
                      const double *b_off, int c) {
  for (int i = 0; i < c; i++)
    if (fabs(a[i] - b[i]) <= a_off[i] + b_off[i]) return true;
  return false;
}

static void draw_rows(struct problem *p, int64_t n, int c, float *l, int32_t *label,
                      bool apart) {
  double *error = check_alloc((size_t)(2 * n * c) * sizeof *error), *off = error + n * c;
  for (int64_t r = 0; r < n; r++) {
    label[r] = (int32_t)draw(p, -1, c > 3 ? c - 3 : c - 1); /* two classes stay empty */
    if (label[r] == 1) label[r] = (int32_t)draw(p, 0, c > 3 ? c - 3 : c - 1);
    const int64_t same = r && draw(p, 0, 9) == 0 ? draw(p, 0, r - 1) : -1;
    bool again = true;
    for (int tries = 0; tries < 1000 && again; tries++) {
      for (int i = 0; i < c; i++) l[r * c + i] = draw_float(p, 4.0f);
      again = false;
      if (same >= 0) {
        memcpy(l + r * c, l + same * c, (size_t)c * sizeof *l);
        label[r] = label[same];
        tries = 1000;
      }
      errors_of(l + r * c, label[r], c, error + r * c, off + r * c);
      for (int64_t q = 0; q < r && apart && same < 0 && !again; q++)
        again = label[q] >= 0 && label[r] >= 0 &&
                too_close(error + r * c, off + r * c, error + q * c, off + q * c, c);
    }
  }
  free(error);
}

enum { KINDS = 10 };

static struct pt_criterion criterion(struct problem *p, int kind, int classes) {
  struct pt_criterion k = {.kind = PT_CROSS_ENTROPY, .loss_weight = 1.0f, .ignore = -1};
  if (kind >= 4) k.kind = PT_LOVASZ;
  if (kind == 1 || kind == 2) k.weight = make_floats(p, classes, 1.0f, 0.7f);
  if (kind == 2 || kind == 3) k.smoothing = 0.1f;
  if (kind == 3) k.sum = true, k.loss_weight = 0.01f;
  if (kind == 5) k.all = true;
  if (kind == 6) {
    bool *seen = make_in(p, classes, sizeof *seen);
    for (int c = 0; c < classes; c++) seen[c] = draw(p, 0, 2) > 0;
    k.seen = seen, k.loss_weight = 0.5f;
  }
  if (kind == 7) k.per_image = true, k.ignore = 0;
  return k;
}

static void build(struct problem *p, int64_t n, int classes, int kind) {
  struct pt_loss *a = make_in(p, 1, sizeof *a);
  float *l = make_in(p, n * classes, sizeof *l);
  int32_t *label = make_in(p, n, sizeof *label);
  int64_t *offset = make_in(p, 4, sizeof *offset);
  a->n = n, a->classes = classes, a->clouds = 3;
  draw_rows(p, n, classes, l, label, kind >= 4 && n < 10000);
  offset[1] = n / 3, offset[2] = n / 3, offset[3] = n; /* one cloud is empty */
  a->offset = offset, a->logits = l, a->label = label;
  if (kind < 8)
    a->criterion[a->criteria++] = criterion(p, kind, classes);
  else
    for (int k = 0; k < (kind == 8 ? 2 : 4); k++)
      a->criterion[a->criteria++] = criterion(p, kind == 8 ? 4 * k : 1 + 2 * k, classes);
  a->g = make_out(p, n * classes);
  a->value = make_out_of(p, 1 + a->criteria, PT_F64);
  a->valid = make_out_of(p, a->criteria, PT_I64);
  a->scale = (float)(n > 0 ? n : 1); /* so that the gradient's numbers are near 1 */
  a->work = make_work(p, pt_loss_work(a));
  p->op = a;
  p->rows = n;
  p->depth = 4 * classes;
  snprintf(p->text, sizeof p->text, "n=%ld classes=%d kind=%d", (long)n, classes, kind);
}

static void make(struct problem *p, int i) {
  static const int64_t n[] = {0, 1, 2, 40, 16, 333, 100};
  static const int classes[] = {13, 2, 20, 16, 5, 17, 33, 8, 1};
  if (i % 10 == 9)
    build(p, 2500 + i, 2, i / 10);
  else
    build(p, n[i % 7], classes[i % 9], i % KINDS);
}

static bool bench(struct problem *p, int i) {
  static const int classes[] = {13, 20, 13, 20};
  if (i >= 4) return false;
  build(p, 200000, classes[i], i < 2 ? 0 : 8);
  return true;
}

const struct op_cases cases_loss = {100, make, bench, false};
