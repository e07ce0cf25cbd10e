/* attention_case.c - problems for attention, forward and back: clouds shorter than, equal to,
 * and longer than a patch, with borrowed rows, curve orders, heads of 1 to 128 channels,
 * relative positions within and beyond the table, both norms.
 *
 * Forward. Depth: products of c, d, len and c terms. Gain: an error of the scores, of standard
 * deviation about 1 (2 with rpe, STEEP times as large where said), enters the weights as it is;
 * the norm of few channels may enlarge it once more; dropout makes what it keeps of the softmax
 * 1 / (1 - attn) times as large, errors too. Rounded: the normalised rows, q, k, v, the
 * weights of the softmax, the heads' outputs.
 *
 * Backward. Depth: sums over all rows on top. Rounded: the branch's gradient and those of q, k
 * and v on top. */
#include "attention_grad.h"

#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "feature.h"
#include "kernels.h"

void pt_attention_ref(const struct pt_attention *a, const struct pt_exec *ex);
int64_t pt_attention_scratch_ref(const struct pt_attention *a, int tile);

struct shape {
  int c, heads, patch, clouds;
  int64_t n[4]; /* rows of each cloud */
  bool pre_norm, order, bias, rpe, steep, apart, drop, attn, far, leaves;
  int bound;
};
enum { STEEP = 8 }; /* scores then differ by more than attention_dot.h's BOUND */

static void take_order(struct problem *p, struct pt_attention *a) {
  int32_t *order = make_in(p, a->n, sizeof *order);
  for (int b = 0; b < a->clouds; b++) {
    int64_t first = a->offset[b], end = a->offset[b + 1];
    for (int64_t i = first; i < end; i++) order[i] = (int32_t)i;
    for (int64_t i = end - 1; i > first; i--) {
      int64_t j = draw(p, first, i);
      int32_t t = order[i];
      order[i] = order[j];
      order[j] = t;
    }
  }
  a->order = order;
}

static void take_rpe(struct problem *p, struct pt_attention *a, int bound, bool far) {
  int32_t *coord = make_in(p, 3 * a->n, sizeof *coord);
  for (int64_t i = 0; i < 3 * a->n; i++)
    coord[i] =
        far ? (int32_t)draw(p, 0, 2097151) : 2097000 + (int32_t)draw(p, 0, 3 * bound / 2);
  a->coord = coord;
  a->rpe_bound = bound;
  a->rpe = make_floats(p, 3 * (2 * (int64_t)bound + 1) * a->heads, 0.0f, 1.0f);
}

/* All but the features. */
static void build_op(struct problem *p, const struct shape *s, struct pt_attention *a) {
  int64_t *offset = make_in(p, s->clouds + 1, sizeof *offset);
  for (int b = 0; b < s->clouds; b++) offset[b + 1] = offset[b] + s->n[b];
  a->n = offset[s->clouds], a->c = s->c, a->heads = s->heads, a->patch = s->patch;
  a->clouds = s->clouds, a->offset = offset, a->pre_norm = s->pre_norm;
  if (s->order) take_order(p, a);
  a->type = p->type;
  a->gamma = make_floats(p, s->c, 1.0f, 0.4f);
  a->beta = make_floats(p, s->c, 0.0f, 0.2f);
  a->qkv = make_mat(p, s->c, 3 * s->c);
  a->qkv_bias = s->bias ? make_floats(p, 3 * s->c, 0.0f, 0.2f) : NULL;
  a->proj = make_mat(p, s->c, s->c);
  a->proj_bias = make_floats(p, s->c, 0.0f, 0.2f);
  a->scale = 1.0f / sqrtf((float)(s->c / s->heads));
  if (s->steep) a->scale *= STEEP;
  if (s->rpe) take_rpe(p, a, s->bound, s->far);
  a->drop = (struct pt_drop){.seed = 5, .stream = 3};
  if (s->drop) a->drop.path = 0.2f, a->drop.proj = 0.1f;
  if (s->attn) a->drop.attn = 0.3f;
  p->rows = a->n;
  p->depth = 2 * s->c + s->c / s->heads + s->patch;
  p->gain = (s->rpe ? 2 : 1) * (s->c < 16 ? 4 : 1) * (s->steep ? STEEP : 1) /
            (1 - (double)a->drop.attn);
  p->rounded = 6;
  snprintf(p->text, sizeof p->text, "clouds=%d n=%ld K=%d c=%d heads=%d%s%s%s%s%s%s%s%s",
           s->clouds, (long)a->n, s->patch, s->c, s->heads,
           s->rpe ? s->far ? " rpe far" : " rpe" : "", s->steep ? " steep" : "",
           s->order ? "" : " in row order", s->pre_norm ? "" : " post-norm",
           s->bias ? "" : " no qkv bias", s->apart ? " in apart" : "", s->drop ? " drop" : "",
           s->attn ? " attn drop" : "");
}

static void build(struct problem *p, const struct shape *s) {
  struct pt_attention *a = make_in(p, 1, sizeof *a);
  build_op(p, s, a);
  if (s->apart) {
    a->in = make_features(p, a->n * s->c, 0.0f, 2.0f);
    a->x = make_features_out(p, a->n * s->c);
  } else {
    a->x = make_features_inout(p, a->n * s->c, 2.0f);
  }
  if (s->leaves) {
    a->o = make_features_out(p, a->n * s->c);
    a->lse = make_out(p, a->n * s->heads);
  }
  p->op = a;
}

/* What the forward op leaves for the one back. */
static void leave(const struct pt_attention_grad *g) {
  struct pt_attention f = g->f;
  struct pt_exec ex = {.threads = 1, .scratch_stride = pt_attention_scratch_ref(&f, 0)};
  ex.scratch = check_alloc((size_t)ex.scratch_stride);
  f.in = g->x;
  f.o = (void *)(uintptr_t)g->o;
  f.lse = (float *)(uintptr_t)g->lse;
  f.x = check_alloc((size_t)(f.n * f.c) * sizeof(float) + 1);
  pt_attention_ref(&f, &ex);
  free(ex.scratch), free(f.x);
}

static void build_grad(struct problem *p, const struct shape *s) {
  struct pt_attention_grad *a = make_in(p, 1, sizeof *a);
  const int64_t c = s->c;
  build_op(p, s, &a->f);
  a->x = make_features(p, a->f.n * c, 0.0f, 2.0f);
  a->o = make_in(p, a->f.n * c, pt_feature_bytes(p->type));
  a->lse = make_in(p, a->f.n * s->heads, sizeof(float));
  a->g = make_features_inout(p, a->f.n * c, 1.0f);
  a->qkv_t = make_mat(p, 3 * s->c, s->c);
  a->proj_t = make_mat(p, s->c, s->c);
  a->dgamma = make_inout(p, c, 1.0f);
  a->dbeta = make_inout(p, c, 1.0f);
  a->dqkv = make_inout(p, 3 * c * c, 1.0f);
  if (s->bias) a->dqkv_bias = make_inout(p, 3 * c, 1.0f);
  a->dproj = make_inout(p, c * c, 1.0f);
  a->dproj_bias = make_inout(p, c, 1.0f);
  if (s->rpe) a->drpe = make_inout(p, 3 * (2 * (int64_t)s->bound + 1) * s->heads, 1.0f);
  p->op = a;
  p->depth += (double)a->f.n;
  p->rounded += 2;
}

static struct shape shape_of(struct problem *p, int i) {
  static const int c[][2] = {{32, 2}, {16, 1}, {64, 4},  {32, 8},  {24, 3},  {64, 8},
                             {64, 2}, {5, 5},  {48, 12}, {128, 1}, {128, 8}, {21, 3},
                             {80, 5}, {96, 6}, {64, 1},  {18, 3}};
  static const int patch[] = {32, 1, 16, 48, 100, 7, 64, 256};
  struct shape s = {.c = c[i % 16][0], .heads = c[i % 16][1], .patch = patch[i / 3 % 8]};
  s.clouds = 1 + i % 4;
  for (int b = 0; b < s.clouds; b++) {
    int64_t most[] = {s.patch, 3 * s.patch, 1, 2 * s.patch + 1};
    s.n[b] = draw(p, 0, 5) == 0 ? 2 * s.patch : draw(p, 0, most[(i + b) % 4]);
  }
  if (i < 16) s.clouds = 1, s.n[0] = (int64_t[]){0, 1, 17, 33, 64, 95, 150, 8}[i % 8];
  s.pre_norm = i % 3 != 1;
  s.order = i % 5 != 2;
  s.bias = i % 7 != 3;
  s.rpe = i % 4 == 1 || i % 16 == 0;
  s.far = i % 12 == 9;
  s.steep = i % 9 == 7;
  s.apart = i % 10 >= 5;
  s.drop = i % 11 == 6 || i == 22;
  s.attn = i % 6 == 2 || i % 16 == 9;
  s.leaves = i % 4 > 1;
  s.bound = i % 8 == 1 ? 7 : i % 8 == 5 ? 31 : 40;
  return s;
}

static void make(struct problem *p, int i) {
  const struct shape s = shape_of(p, i);
  build(p, &s);
}

static void make_grad(struct problem *p, int i) {
  const struct shape s = shape_of(p, i);
  build_grad(p, &s);
  leave(p->op);
}

/* Coordinates as in a scan: a wavy surface along a Z-order curve, a patch a piece 32 wide. */
static void lie_on_surface(const struct pt_attention *a) {
  int32_t *coord = (int32_t *)(uintptr_t)a->coord;
  for (int64_t i = 0; i < a->n; i++) {
    int32_t x = 0, y = 0, *to = coord + 3 * (a->order ? a->order[i] : i);
    for (int bit = 0; bit < 16; bit++) {
      x |= (int32_t)(i >> 2 * bit & 1) << bit;
      y |= (int32_t)(i >> (2 * bit + 1) & 1) << bit;
    }
    to[0] = x, to[1] = y, to[2] = (int32_t)lrint(4 * sin(0.15 * x) + 3 * cos(0.2 * y));
  }
}

/* The base model's levels, then the second of them with relative positions, and with dropout.
 */
static bool bench_shape(struct shape *to, int i) {
  if (i > BASE_LEVELS + 1) return false;
  int level = i < BASE_LEVELS ? i : 1;
  struct shape s = {
      .c = base_level[level].c,
      .heads = base_level[level].heads,
      .patch = 1024,
      .clouds = 1,
      .n = {base_level[level].rows / 4 > 1024 ? base_level[level].rows / 4 : 1024},
      .pre_norm = true,
      .order = true,
      .bias = true,
      .rpe = i == BASE_LEVELS,
      .attn = i == BASE_LEVELS + 1,
      .bound = 31};
  *to = s;
  return true;
}

static bool bench(struct problem *p, int i) {
  struct shape s;
  if (!bench_shape(&s, i)) return false;
  build(p, &s);
  if (s.rpe) lie_on_surface(p->op);
  return true;
}

static bool bench_grad(struct problem *p, int i) {
  struct shape s;
  if (!bench_shape(&s, i)) return false;
  build_grad(p, &s);
  if (s.rpe) lie_on_surface(&((const struct pt_attention_grad *)p->op)->f);
  leave(p->op);
  return true;
}

const struct op_cases cases_attention = {96, make, bench, true};
const struct op_cases cases_attention_grad = {96, make_grad, bench_grad, true};
