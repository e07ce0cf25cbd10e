/* test_attention_grad.c - attention's backward reference against differences of its forward
 * reference: the sum of outputs times fixed random numbers, at four points on either side of an
 * input or a weight. Outputs are float, so a difference is right to about 1e-4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "attention_grad.h"
#include "kernels.h"
#include "ops_made.h"

void pt_attention_ref(const struct pt_attention *, const struct pt_exec *);
int64_t pt_attention_scratch_ref(const struct pt_attention *, int);
void pt_attention_grad_ref(const struct pt_attention_grad *, const struct pt_exec *);
int64_t pt_attention_grad_scratch_ref(const struct pt_attention_grad *, int);

enum { C = 8, HEADS = 2, PATCH = 8, CLOUDS = 4, ROWS = 5 + 19 + 16 + 9, BOUND = 3 };
enum { TABLE = 3 * (2 * BOUND + 1) * HEADS };
static const int64_t offset[CLOUDS + 1] = {0, 5, 24, 40, ROWS};

/* What the sum depends on, and its gradient in the same places. */
struct numbers {
  float x[ROWS * C], gamma[C], beta[C], qkv[3 * C * C], qkv_bias[3 * C], proj[C * C],
      proj_bias[C], rpe[TABLE];
};
static const struct {
  const char *name;
  size_t at;
  int count;
} parts[] = {
    {"x", offsetof(struct numbers, x), ROWS *C},
    {"gamma", offsetof(struct numbers, gamma), C},
    {"beta", offsetof(struct numbers, beta), C},
    {"qkv", offsetof(struct numbers, qkv), 3 * C *C},
    {"qkv_bias", offsetof(struct numbers, qkv_bias), 3 * C},
    {"proj", offsetof(struct numbers, proj), C *C},
    {"proj_bias", offsetof(struct numbers, proj_bias), C},
    {"rpe", offsetof(struct numbers, rpe), TABLE},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

struct form {
  bool pre_norm, bias, rpe, drop, order;
};

struct made {
  struct form form;
  struct numbers v;
  float out[ROWS * C], weigh[ROWS * C];
  int32_t order[ROWS], coord[3 * ROWS];
  char *packed[4], *scratch; /* qkv, proj, and those of the backward pass */
  struct pt_attention f;
  struct pt_exec ex;
};

static void fill(float *p, int n, float centre, float scale) {
  for (int i = 0; i < n; i++) p[i] = centre + scale * made_float();
}

static void open_made(struct made *m, struct form form) {
  *m = (struct made){.form = form};
  fill(m->v.x, ROWS * C, 0.0f, 1.0f);
  fill(m->v.gamma, C, 1.0f, 0.4f);
  fill(m->v.beta, C, 0.0f, 0.3f);
  fill(m->v.qkv, 3 * C * C, 0.0f, 0.6f);
  fill(m->v.qkv_bias, 3 * C, 0.0f, 0.3f);
  fill(m->v.proj, C * C, 0.0f, 0.6f);
  fill(m->v.proj_bias, C, 0.0f, 0.3f);
  fill(m->v.rpe, TABLE, 0.0f, 0.5f);
  fill(m->weigh, ROWS * C, 0.0f, 1.0f);
  for (int i = 0; i < 3 * ROWS; i++) m->coord[i] = (int32_t)(made_bits() % 8);
  for (int b = 0; b < CLOUDS; b++)
    for (int64_t i = offset[b]; i < offset[b + 1]; i++) /* backwards */
      m->order[i] = (int32_t)(offset[b] + offset[b + 1] - 1 - i);
  for (int i = 0; i < 4; i++) m->packed[i] = made_room(pt_mat_size(3 * C, 3 * C, PT_F32));
  struct pt_attention f = {.n = ROWS, .c = C, .heads = HEADS, .patch = PATCH};
  f.clouds = CLOUDS, f.offset = offset, f.type = PT_F32, f.pre_norm = form.pre_norm;
  if (form.order) f.order = m->order;
  f.in = m->v.x, f.x = m->out, f.gamma = m->v.gamma, f.beta = m->v.beta;
  f.qkv = (struct pt_mat){m->packed[0], C, 3 * C, PT_F32};
  f.proj = (struct pt_mat){m->packed[1], C, C, PT_F32};
  f.proj_bias = m->v.proj_bias;
  if (form.bias) f.qkv_bias = m->v.qkv_bias;
  if (form.rpe) f.rpe = m->v.rpe, f.rpe_bound = BOUND, f.coord = m->coord;
  f.scale = 0.5f;
  if (form.drop)
    f.drop =
        (struct pt_drop){.path = 0.2f, .proj = 0.3f, .attn = 0.25f, .seed = 11, .stream = 4};
  m->f = f;
  struct pt_attention_grad a = {.f = f};
  int64_t bytes = pt_attention_grad_scratch_ref(&a, 0);
  if (bytes < pt_attention_scratch_ref(&f, 0)) bytes = pt_attention_scratch_ref(&f, 0);
  m->scratch = made_room(bytes);
  m->ex = (struct pt_exec){.threads = 1, .scratch = m->scratch, .scratch_stride = bytes};
}

static void close_made(struct made *m) {
  for (int i = 0; i < 4; i++) free(m->packed[i]);
  free(m->scratch);
}

static double sum_of(struct made *m) {
  double sum = 0;
  pt_mat_pack(m->packed[0], PT_F32, m->v.qkv, C, 3 * C, 1, C);
  pt_mat_pack(m->packed[1], PT_F32, m->v.proj, C, C, 1, C);
  pt_attention_ref(&m->f, &m->ex);
  for (int i = 0; i < ROWS * C; i++) sum += (double)m->weigh[i] * (double)m->out[i];
  return sum;
}

/* The gradient of what sum_of gives; weights' parts are added to a base. */
static void gradient(struct made *m, struct numbers *g, float base) {
  pt_mat_pack(m->packed[0], PT_F32, m->v.qkv, C, 3 * C, 1, C);
  pt_mat_pack(m->packed[1], PT_F32, m->v.proj, C, C, 1, C);
  pt_mat_pack(m->packed[2], PT_F32, m->v.qkv, 3 * C, C, C, 1);
  pt_mat_pack(m->packed[3], PT_F32, m->v.proj, C, C, C, 1);
  for (size_t i = 0; i < sizeof *g / sizeof(float); i++) ((float *)(void *)g)[i] = base;
  memcpy(g->x, m->weigh, sizeof g->x);
  struct pt_attention_grad a = {.f = m->f, .x = m->v.x, .g = g->x};
  a.f.in = NULL, a.f.x = NULL;
  a.qkv_t = (struct pt_mat){m->packed[2], 3 * C, C, PT_F32};
  a.proj_t = (struct pt_mat){m->packed[3], C, C, PT_F32};
  a.dgamma = g->gamma, a.dbeta = g->beta, a.dqkv = g->qkv, a.dproj = g->proj;
  a.dqkv_bias = m->form.bias ? g->qkv_bias : NULL, a.dproj_bias = g->proj_bias;
  a.drpe = m->form.rpe ? g->rpe : NULL;
  pt_attention_grad_ref(&a, &m->ex);
}

/* Fourth-order difference with respect to number i of a part. */
static double difference(struct made *m, float *at) {
  static const int step[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1};
  const float had = *at, h = 0.015625f;
  double sum = 0;
  for (int i = 0; i < 4; i++) {
    *at = had + (float)step[i] * h;
    sum += weight[i] * sum_of(m);
  }
  *at = had;
  return sum / (12 * (double)h);
}

static bool used(const struct form *f, int part) {
  return (strcmp(parts[part].name, "qkv_bias") != 0 || f->bias) &&
         (strcmp(parts[part].name, "rpe") != 0 || f->rpe);
}

static void check(struct form form) {
  static struct made m;
  static struct numbers g, h;
  open_made(&m, form);
  gradient(&m, &g, 0.0f);
  gradient(&m, &h, 0.75f);
  for (int p = 0; p < PARTS; p++) {
    if (!used(&form, p)) continue;
    float *v = (float *)(void *)((char *)&m.v + parts[p].at);
    const float *got = (const float *)(const void *)((char *)&g + parts[p].at);
    const float *more = (const float *)(const void *)((char *)&h + parts[p].at);
    const int stride = parts[p].count > 100 ? 3 : 1;
    double worst = 0, most = 0;
    for (int i = p % stride; i < parts[p].count; i += stride) {
      double want = difference(&m, v + i);
      worst = fmax(worst, fabs(want - (double)got[i]));
      most = fmax(most, fabs(want));
      assert_true(fabs((double)more[i] - (double)got[i] - (p ? 0.75 : 0.0)) < 1e-5);
    }
    if (worst > 1e-4 * fmax(1.0, most) || most < 0.05)
      fail_msg("%s: differences up to %g, off by %g (pre %d bias %d rpe %d drop %d order %d)",
               parts[p].name, most, worst, form.pre_norm, form.bias, form.rpe, form.drop,
               form.order);
  }
  close_made(&m);
}

static void pre_norm(void **unused) {
  (void)unused;
  check((struct form){.pre_norm = true, .bias = true, .order = true});
  check((struct form){.pre_norm = true, .rpe = true});
  check((struct form){.pre_norm = true, .bias = true, .drop = true, .rpe = true});
}

static void post_norm(void **unused) {
  (void)unused;
  check((struct form){.bias = true});
  check((struct form){.order = true, .rpe = true});
  check((struct form){.order = true, .bias = true, .drop = true});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pre_norm), cmocka_unit_test(post_norm)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
