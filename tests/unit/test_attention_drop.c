/* test_attention_drop.c - dropout of the softmax's weights: as many are left out as asked for,
 * the others are scaled, draws next to each other have nothing to do with each other, and the
 * mean of attention's outputs over many draws is what they are without dropout. (That fast
 * versions draw as the reference does, and backwards as forwards: checkkernels,
 * test_attention_grad.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "attention.h"
#include "kernels.h"
#include "ops_made.h"

/* Deviations that the worst of some thousand results may be off. Draws do not change from run
 * to run. */
#define SURE 4.5

/* ---- the draws ---- */

enum { SOFTMAXES = 2000, PLACES = 50, DRAWS = SOFTMAXES * PLACES };

static void rate_and_scale(void **unused) {
  (void)unused;
  static const float chance[] = {0.0f, 1e-6f, 0.05f, 0.1f, 0.3f, 0.5f, 0.9f, 0.999999f};
  for (size_t k = 0; k < sizeof chance / sizeof *chance; k++) {
    const struct pt_drop d = {.attn = chance[k], .seed = 9, .stream = 3};
    const double p = fmin(round((double)chance[k] * 65536), 65535) / 65536;
    int left = 0;
    for (int s = 0; s < SOFTMAXES; s++)
      for (int j = 0; j < PLACES; j++) {
        const float by = pt_drop_attn(&d, s, j);
        if (by == 0.0f)
          left++;
        else
          assert_true(fabs((double)by * (1 - p) - 1) < 1e-6);
      }
    const double off = left - p * DRAWS, deviation = sqrt(DRAWS * p * (1 - p));
    print_message("chance %g: %d of %d left out\n", (double)chance[k], left, DRAWS);
    assert_true(fabs(off) <= SURE * deviation);
  }
}

/* What else a draw depends on, beside its own softmax and place. */
struct other {
  int softmax, place;
  uint64_t seed, stream;
};

/* Draws of two kinds are both left out as often as chance has it. */
static void neighbours_are_independent(void **unused) {
  (void)unused;
  static const struct other other[] = {{.softmax = 1}, {.softmax = 4},   {.place = 1},
                                       {.place = 2},   {.place = 7},     {.place = 8},
                                       {.seed = 1},    {.stream = 1},    {.stream = 1 << 16},
                                       {.place = 256}, {.softmax = 1024}};
  const double p = 0.25, both = p * p;
  for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
    const struct pt_drop a = {.attn = (float)p, .seed = 77, .stream = 5 << 16};
    struct pt_drop b = a;
    b.seed += other[k].seed, b.stream += other[k].stream;
    int count = 0;
    for (int s = 0; s < SOFTMAXES; s++)
      for (int j = 0; j < PLACES; j++)
        count += pt_drop_attn(&a, s, j) == 0.0f &&
                 pt_drop_attn(&b, s + other[k].softmax, j + other[k].place) == 0.0f;
    if (fabs(count - both * DRAWS) > SURE * sqrt(DRAWS * both * (1 - both)))
      fail_msg("softmax + %d, place + %d, seed + %d, stream + %d: both left out %d times of %d",
               other[k].softmax, other[k].place, (int)other[k].seed, (int)other[k].stream,
               count, DRAWS);
  }
}

/* ---- the op ---- */

enum { C = 32, HEADS = 2, PATCH = 30, ROWS = 67, TRIALS = 400 };
static const int64_t offset[2] = {0, ROWS};

struct made {
  struct pt_attention a;
  float *x, *gamma, *beta, *bias, *out, *qkv, *proj;
  struct pt_exec ex;
};

static void open_made(struct made *m, const struct pt_kernels *k) {
  made_seed = 5;
  *m = (struct made){.x = made_floats(ROWS * C, 0.0f, 1.0f)};
  m->gamma = made_floats(C, 1.0f, 0.3f), m->beta = made_floats(C, 0.0f, 0.2f);
  m->bias = made_floats(3 * C, 0.0f, 0.2f), m->out = made_floats(ROWS * C, 0.0f, 0.0f);
  m->a = (struct pt_attention){.n = ROWS, .c = C, .heads = HEADS, .patch = PATCH, .clouds = 1};
  m->a.offset = offset, m->a.type = PT_F32, m->a.pre_norm = true, m->a.scale = 0.25f;
  m->a.in = m->x, m->a.x = m->out, m->a.gamma = m->gamma, m->a.beta = m->beta;
  m->a.qkv = made_mat(1, C, 3 * C, &m->qkv), m->a.qkv_bias = m->bias;
  m->a.proj = made_mat(1, C, C, &m->proj), m->a.proj_bias = m->bias;
  const int64_t bytes = k->attention_scratch(&m->a, 0);
  m->ex = (struct pt_exec){.threads = 1, .scratch_stride = (bytes + 63) / 64 * 64};
  m->ex.scratch = made_room(bytes);
}

static void close_made(struct made *m) {
  free(m->x), free(m->gamma), free(m->beta), free(m->bias), free(m->out), free(m->qkv);
  free(m->proj), free(m->ex.scratch);
}

/* A mean of TRIALS outputs is off by its deviation over their root. */
static void mean_is_that_without(void **unused) {
  (void)unused;
  static double sum[ROWS * C], square[ROWS * C];
  static float want[ROWS * C];
  int count;
  const struct pt_kernels *const *t = pt_kernel_tables(&count);
  for (int v = 0; v < count; v++) {
    struct made m;
    double worst = 0, most = 0;
    open_made(&m, t[v]);
    t[v]->attention(&m.a, &m.ex);
    memcpy(want, m.out, sizeof want);
    memset(sum, 0, sizeof sum);
    memset(square, 0, sizeof square);
    m.a.drop = (struct pt_drop){.attn = 0.2f, .seed = 1};
    for (int k = 0; k < TRIALS; k++) {
      m.a.drop.stream = (uint64_t)k;
      t[v]->attention(&m.a, &m.ex);
      for (int i = 0; i < ROWS * C; i++) {
        const double off = (double)m.out[i] - (double)want[i];
        sum[i] += off;
        square[i] += off * off;
      }
    }
    for (int i = 0; i < ROWS * C; i++) {
      const double deviation = sqrt(square[i] / TRIALS);
      worst = fmax(worst, fabs(sum[i] / TRIALS) * sqrt(TRIALS) / deviation);
      most = fmax(most, deviation);
    }
    print_message("%-10s deviation of an output up to %.2g; means off by %.2f of theirs\n",
                  t[v]->name, most, worst);
    assert_true(most > 0.05);
    assert_true(worst <= SURE);
    close_made(&m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rate_and_scale),
      cmocka_unit_test(neighbours_are_independent),
      cmocka_unit_test(mean_is_that_without),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
