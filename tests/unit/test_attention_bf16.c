/* test_attention_bf16.c - attention on bf16 features beyond what checkkernels looks at: a cloud
 * gives the same bits alone and in a batch, whatever lies beside it; the way without a running
 * maximum agrees with the way with one; not-a-number stays in its patch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feature.h"
#include "kernels.h"
#include "mem.h"

#include "attention.h"

enum { C = 32, HEADS = 2, PATCH = 48, CLOUDS = 3, ROWS = 30 + 131 + 48 };
static const int64_t offset[CLOUDS + 1] = {0, 30, 30 + 131, ROWS};

struct made {
  struct pt_mem mem;
  struct pt_attention a;
  float gamma[C], beta[C], bias[3 * C];
  uint16_t x[ROWS * C], out[ROWS * C];
  char *qkv, *proj;
  struct pt_exec ex;
};

static uint32_t state;
static float draw(float range) {
  state = state * 1664525u + 1013904223u;
  return range * ((float)(state >> 8) * 0x1p-23f - 1.0f);
}

static struct pt_mat matrix(struct made *m, char **data, int n, enum pt_dtype type) {
  float w[3 * C * C];
  for (int i = 0; i < C * n; i++) w[i] = draw(0.3f);
  *data = pt_alloc(&m->mem, 1, pt_mat_size(C, n, type), PT_MEM_OTHER, NULL);
  assert_non_null(*data);
  pt_mat_pack(*data, type, w, C, n, n, 1);
  return (struct pt_mat){*data, C, n, type};
}

static void open_made(struct made *m, const struct pt_kernels *k) {
  state = 7;
  pt_mem_init(&m->mem, 0);
  for (int i = 0; i < C; i++) m->gamma[i] = 1.0f + draw(0.4f), m->beta[i] = draw(0.2f);
  for (int i = 0; i < 3 * C; i++) m->bias[i] = draw(0.2f);
  for (int i = 0; i < ROWS * C; i++) m->x[i] = pt_float_bf16(draw(2.0f));
  m->a = (struct pt_attention){.n = ROWS, .c = C, .heads = HEADS, .patch = PATCH};
  m->a.clouds = CLOUDS, m->a.offset = offset, m->a.type = PT_BF16, m->a.pre_norm = true;
  m->a.gamma = m->gamma, m->a.beta = m->beta, m->a.qkv_bias = m->a.proj_bias = m->bias;
  m->a.qkv = matrix(m, &m->qkv, 3 * C, pt_kernels_mat(k, PT_BF16));
  m->a.proj = matrix(m, &m->proj, C, pt_kernels_mat(k, PT_BF16));
  m->a.scale = 0.25f;
  m->ex.threads = 1;
  m->ex.scratch_stride = k->attention_scratch(&m->a, 0);
  m->ex.scratch = pt_alloc(&m->mem, 1, m->ex.scratch_stride, PT_MEM_OTHER, NULL);
  assert_non_null(m->ex.scratch);
}

static void close_made(struct made *m) {
  pt_free(&m->mem, m->ex.scratch);
  pt_free(&m->mem, m->proj);
  pt_free(&m->mem, m->qkv);
  assert_int_equal(m->mem.used, 0);
}

static void run(struct made *m, const struct pt_kernels *k) {
  memcpy(m->out, m->x, sizeof m->out);
  m->a.x = m->out;
  k->attention(&m->a, &m->ex);
}

static void batches_change_nothing(void **unused) {
  (void)unused;
  static struct made m;
  int count;
  const struct pt_kernels *const *t = pt_kernel_tables(&count);
  for (int v = 0; v < count; v++) {
    open_made(&m, t[v]);
    run(&m, t[v]);
    for (int b = 0; b < CLOUDS; b++) {
      static uint16_t alone[ROWS * C];
      const int64_t n = offset[b + 1] - offset[b], one[2] = {0, n};
      struct pt_attention a = m.a;
      memcpy(alone, m.x + offset[b] * C, (size_t)n * C * sizeof *alone);
      a.n = n, a.clouds = 1, a.offset = one, a.x = alone;
      t[v]->attention(&a, &m.ex);
      assert_memory_equal(alone, m.out + offset[b] * C, (size_t)n * C * sizeof *alone);
    }
    close_made(&m);
  }
}

/* Scores large and small, against the reference. Root of the mean square error: half a unit
 * u = 2^-8 each, at most, of both results' rounding, and, where q and k have 8 bits, scores
 * off by up to about u times their own size, which is that of the scale. With the small
 * scales scores are bounded, with the large ones they are not. */
static void steep_scores_agree(void **unused) {
  (void)unused;
  static const float scale[] = {0.0f, 0.25f, 1.0f, 2.0f, 4.0f, 16.0f};
  static struct made m;
  static uint16_t want[ROWS * C];
  int count;
  const struct pt_kernels *const *t = pt_kernel_tables(&count);
  for (int v = 1; v < count; v++)
    for (size_t s = 0; s < sizeof scale / sizeof scale[0]; s++) {
      double sum = 0, size = 0;
      open_made(&m, t[v]);
      m.a.scale = scale[s];
      struct pt_exec ref = m.ex;
      ref.scratch_stride = t[0]->attention_scratch(&m.a, 0);
      ref.scratch = pt_alloc(&m.mem, 1, ref.scratch_stride, PT_MEM_OTHER, NULL);
      assert_non_null(ref.scratch);
      memcpy(want, m.x, sizeof want);
      m.a.x = want;
      t[0]->attention(&m.a, &ref);
      pt_free(&m.mem, ref.scratch);
      run(&m, t[v]);
      for (int i = 0; i < ROWS * C; i++) {
        double a = (double)pt_bf16_float(want[i]);
        double e = (double)pt_bf16_float(m.out[i]) - a;
        sum += e * e;
        size += a * a;
      }
      double error = sqrt(sum / size), limit = 0x1p-8 * (1 + (double)scale[s]);
      print_message("%-10s scale %5.2f: error %.2g of the outputs, limit %.2g\n", t[v]->name,
                    (double)scale[s], error, limit);
      assert_true(error <= limit);
      close_made(&m);
    }
}

static void nan_stays_in_its_patch(void **unused) {
  (void)unused;
  static struct made m;
  static uint16_t clean[ROWS * C];
  int count;
  const struct pt_kernels *const *t = pt_kernel_tables(&count);
  for (int v = 0; v < count; v++) {
    open_made(&m, t[v]);
    run(&m, t[v]);
    memcpy(clean, m.out, sizeof clean);
    m.x[(30 + 5) * C] = 0x7fc0; /* the second cloud's first patch */
    run(&m, t[v]);
    for (int64_t r = 0; r < ROWS; r++) {
      bool same = memcmp(m.out + r * C, clean + r * C, C * sizeof *clean) == 0;
      bool inside = r >= 30 && r < 30 + PATCH;
      assert_int_equal(same, !inside);
      if (inside) assert_true(isnan((double)pt_bf16_float(m.out[r * C + 1])));
    }
    close_made(&m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(batches_change_nothing),
      cmocka_unit_test(steep_scores_agree),
      cmocka_unit_test(nan_stays_in_its_patch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
