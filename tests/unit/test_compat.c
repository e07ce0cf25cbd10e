/* test_compat.c - which Pointcept a checkpoint is for, told from BatchNorm's statistics.
 *
 * A network is made whose running statistics are those of its own features on one cloud, under
 * one of the two meanings; on another cloud it must be told which. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat.h"
#include "init.h"
#include "philox.h"
#include "pyconfig.h"

static const char text[] =
    "model = dict(type='DefaultSegmentorV2', num_classes=5, backbone_out_channels=16,\n"
    "  backbone=dict(type='PT-v3m1', in_channels=4, order=('z', 'hilbert'), stride=(2, 2),\n"
    "    enc_depths=(2, 3, 1), enc_channels=(16, 32, 48), enc_num_head=(2, 4, 6),\n"
    "    enc_patch_size=(32, 32, 32), dec_depths=(1, 1), dec_channels=(16, 32),\n"
    "    dec_num_head=(2, 4), dec_patch_size=(32, 32), pre_norm=%s, shuffle_orders=False,\n"
    "    enable_flash=False))\n";

static void read_network(struct pt_env *env, const char *pre_norm, struct pt_model *m) {
  char all[1000];
  struct pt_config config;
  struct ptv3_error err;
  *m = (struct pt_model){.kernels = pt_kernel_table(NULL)};
  snprintf(all, sizeof all, text, pre_norm);
  if (pt_config_parse(env, all, (int64_t)strlen(all), "test.py", NULL, 0, &config, &err) ||
      pt_ptv3_from_value(pt_get(config.root, "model"), &m->cfg, &err))
    fail_msg("%s", err.message);
  pt_config_free(&config);
}

/* A shell of voxels; the features depend on the place. */
enum { MOST = 3000 };
struct shell {
  int32_t coord[3 * MOST];
  float feat[4 * MOST];
  int64_t offset[2];
  struct pt_batch batch;
};

static void make_shell(struct shell *s, int radius, uint64_t seed) {
  int64_t n = 0;
  for (int x = 0; x <= 2 * radius; x++)
    for (int y = 0; y <= 2 * radius; y++)
      for (int z = 0; z <= 2 * radius; z++) {
        double d = hypot(hypot(x - radius, y - radius), z - radius);
        if (fabs(d - radius) > 0.5 || n == MOST) continue;
        s->coord[3 * n] = x, s->coord[3 * n + 1] = y, s->coord[3 * n + 2] = z;
        for (int k = 0; k < 3; k++)
          s->feat[4 * n + k] = (float)s->coord[3 * n + k] / (float)radius - 1;
        s->feat[4 * n + 3] = (float)(pt_philox_u64(seed, 1, (uint64_t)n) >> 40) / (1 << 24);
        n++;
      }
  s->offset[0] = 0, s->offset[1] = n;
  s->batch = (struct pt_batch){n, s->coord, s->feat, 1, s->offset};
}

/* ---- setting the running statistics to those of a cloud ---- */

static void calibrate(void *user, const struct pt_step *step, const void *data,
                      enum pt_dtype type, int64_t rows, int channels) {
  enum { LIFT = 16, MOST_CHANNELS = 64 };
  struct pt_model *m = user;
  (void)data;
  if (step->op != PT_OP_pool) return;
  for (int s = 1; s < m->cfg.stages; s++) {
    struct pt_linear_weights *w = &m->w.down[s];
    if (w->g != step->a.pool.g) continue;
    float one[MOST_CHANNELS], lift[MOST_CHANNELS];
    float *out = malloc((size_t)(rows * channels) * 4);
    struct pt_pool a = step->a.pool;
    struct pt_exec x = {.threads = 1,
                        .scratch_stride = (m->kernels->pool_scratch(&a, 0) + 63) / 64 * 64};
    x.scratch = aligned_alloc(64, (size_t)x.scratch_stride);
    assert_true(type == PT_F32 && channels <= MOST_CHANNELS && out && x.scratch);
    for (int j = 0; j < channels; j++) one[j] = 1, lift[j] = LIFT;
    a.g = one, a.shift = lift, a.out = out;
    m->kernels->pool(&a, &x);
    for (int j = 0; j < channels; j++) {
      double mean = 0, var = 0;
      for (int64_t r = 0; r < rows; r++) mean += (double)out[r * channels + j] / (double)rows;
      for (int64_t r = 0; r < rows; r++)
        var += pow((double)out[r * channels + j] - mean, 2) / (double)rows;
      ((float *)(uintptr_t)w->mean)[j] = (float)(mean - LIFT);
      ((float *)(uintptr_t)w->var)[j] = (float)var;
      ((float *)(uintptr_t)w->g)[j] = (float)(1 / sqrt(var + 1e-3));
      ((float *)(uintptr_t)w->shift)[j] = -(float)((mean - LIFT) / sqrt(var + 1e-3));
    }
    free(x.scratch);
    free(out);
  }
}

static int init_fetch(void *user, const struct pt_param *p, float *dst,
                      struct ptv3_error *err) {
  (void)err;
  pt_param_init(p, p->dims > 1 ? p->size / p->shape[0] : 0, *(const uint64_t *)user, dst);
  return PTV3_OK;
}

static void trained(struct pt_env *env, struct pt_model *m, uint64_t seed, bool old,
                    const struct shell *s) {
  struct ptv3_error err;
  float *logits = malloc(MOST * 5 * sizeof *logits);
  read_network(env, "True", m);
  if (pt_weights_build(env, &m->cfg, init_fetch, &seed, &m->w, &err))
    fail_msg("%s", err.message);
  m->cfg.compat_151 = old;
  struct pt_forward opt = {.observe = calibrate, .user = m};
  for (int round = 0; round < 2; round++) /* a stage's statistics settle after those before */
    assert_int_equal(pt_forward(env, m, &s->batch, &opt, logits, &err), 0);
  m->cfg.compat_151 = false;
  free(logits);
}

static void told_apart(void **state) {
  (void)state;
  static struct shell train, other;
  make_shell(&train, 14, 1);
  make_shell(&other, 12, 2);
  for (int k = 0; k < 6; k++) {
    struct pt_env env;
    struct pt_model m;
    struct pt_compat found;
    struct ptv3_error err;
    pt_env_init(&env, 2, 0);
    trained(&env, &m, (uint64_t)(k / 2), k % 2, &train);
    assert_true(pt_compat_matters(&m.cfg));
    if (pt_compat_measure(&env, &m, &other.batch, &found, &err)) fail_msg("%s", err.message);
    print_message("of %s: current %.3f, old %.3f\n", k % 2 ? "1.5.1" : "today", found.current,
                  found.old);
    assert_int_equal(found.layers, 2);
    assert_int_equal(pt_compat_is_old(&found), k % 2);
    if (k % 2 == 0) assert_true(found.current < found.old);
    pt_weights_free(&env, &m.w);
    assert_int_equal(env.mem.used, 0);
  }
}

/* Statistics that fit neither, as in weights nobody trained, are taken as today's. */
static void in_doubt(void **state) {
  (void)state;
  static struct shell s;
  struct pt_env env;
  struct pt_model m;
  struct pt_compat found;
  struct ptv3_error err;
  uint64_t seed = 7;
  pt_env_init(&env, 2, 0);
  make_shell(&s, 12, 1);
  read_network(&env, "False", &m);
  assert_false(pt_compat_matters(&m.cfg));
  read_network(&env, "True", &m);
  assert_int_equal(pt_weights_build(&env, &m.cfg, init_fetch, &seed, &m.w, &err), 0);
  assert_int_equal(pt_compat_measure(&env, &m, &s.batch, &found, &err), 0);
  assert_false(pt_compat_is_old(&found));
  s.offset[1] = s.batch.n = 5; /* too few rows for a variance */
  assert_int_equal(pt_compat_measure(&env, &m, &s.batch, &found, &err), 0);
  assert_int_equal(found.layers, 0);
  assert_false(pt_compat_is_old(&found));
  pt_weights_free(&env, &m.w);
  assert_int_equal(env.mem.used, 0);
}

static void no_memory(void **state) {
  (void)state;
  static struct shell s;
  struct pt_env env;
  struct pt_model m;
  struct pt_compat found;
  uint64_t seed = 7;
  pt_env_init(&env, 1, 0);
  make_shell(&s, 6, 1);
  read_network(&env, "True", &m);
  assert_int_equal(pt_weights_build(&env, &m.cfg, init_fetch, &seed, &m.w, NULL), 0);
  int64_t before = env.mem.used;
  for (int64_t k = 1;; k++) {
    struct ptv3_error err = {0};
    env.mem.fail_at = env.mem.calls + k;
    int status = pt_compat_measure(&env, &m, &s.batch, &found, &err);
    assert_int_equal(env.mem.used, before);
    assert_null(env.progress);
    if (!status) break;
    assert_int_equal(status, PTV3_NO_MEMORY);
    assert_int_equal(err.status, status);
    assert_true(k < 2000);
  }
  pt_weights_free(&env, &m.w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(told_apart),
      cmocka_unit_test(in_doubt),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
