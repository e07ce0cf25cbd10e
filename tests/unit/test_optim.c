/* test_optim.c - optimisers and schedules: what configurations are refused, threads, gradients
 * that are not finite, running out of memory. Numbers against PyTorch's: tests/reference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pyconfig.h"
#include "schedule.h"

#define CYCLE "s = dict(type='OneCycleLR', max_lr=[0.02, 0.002], pct_start=0.25)\n"
#define ADAMW "o = dict(type='AdamW', lr=0.02, weight_decay=0.05)\n"
#define BLOCK "d = [dict(keyword='block', lr=0.002)]\n"

struct trial {
  struct pt_env env;
  struct pt_config config;
  struct pt_optim o;
  struct pt_schedule s;
};

static char warned[600];

static void keep_warning(void *user, const char *message) {
  (void)user;
  snprintf(warned, sizeof warned, "%s", message);
}

/* Reads o, d, s of a config text into the optimiser and schedule. */
static int setup(struct trial *t, const char *text, int64_t total, struct ptv3_error *err) {
  int status = pt_config_parse(&t->env, text, (int64_t)strlen(text), "train.py", NULL, 0,
                               &t->config, err);
  if (status) return status;
  const struct pt_value *root = t->config.root;
  status = pt_optim_parse(&t->o, &t->env, pt_get(root, "o"), pt_get(root, "d"), err);
  if (!status) status = pt_schedule_init(&t->s, pt_get(root, "s"), total, &t->o, err);
  return status;
}

static void drop(struct trial *t) {
  pt_optim_free(&t->o);
  pt_config_free(&t->config);
  assert_int_equal(t->env.mem.used, 0);
}

static void refuse(const char *text, const char *words) {
  struct trial t = {0};
  struct ptv3_error err = {0};
  pt_env_init(&t.env, 1, 0);
  int status = setup(&t, text, 10, &err);
  if (status != PTV3_CONFIG || !strstr(err.message, words))
    fail_msg("status %d for %s: '%s' lacks '%s'", status, text, err.message, words);
  drop(&t);
}

static void wrong_optimisers(void **state) {
  (void)state;
  refuse("x = 1\n", "no 'optimizer'");
  refuse("o = 'AdamW'\n", "train.py:1");
  refuse("o = dict(lr=1)\n", "has no 'type'");
  refuse("o = dict(type='Lion')\n", "train.py:1:10: o.type: 'Lion': not an optimiser here");
  refuse("o = dict(type='AdamW',\n         momentum=0.9)\n", "train.py:2:");
  refuse("o = dict(type='AdamW', momentum=0.9)\n", "AdamW has no option 'momentum'");
  refuse("o = dict(type='SGD', betas=(0.9, 0.99))\n", "SGD has no option 'betas'");
  refuse("o = dict(type='AdamW', lr=-1)\n", "o.lr");
  refuse("o = dict(type='AdamW', lr=float('nan'))\n", "o.lr");
  refuse("o = dict(type='AdamW', lr='big')\n", "o.lr");
  refuse("o = dict(type='AdamW', betas=(0.9, 1))\n", "o.betas");
  refuse("o = dict(type='AdamW', betas=(0.9,))\n", "o.betas");
  refuse("o = dict(type='Adam', differentiable=True)\n", "differentiable");
  refuse("o = dict(type='Adam', fused=3)\n", "o.fused");
  refuse("o = dict(type='SGD', nesterov=True)\n", "momentum above 0");
  refuse("o = dict(type='SGD', dampening=float('inf'))\n", "dampening");
  refuse(ADAMW "d = dict(keyword='block')\n", "list of dicts");
  refuse(ADAMW "d = ['block']\n", "'keyword'");
  refuse(ADAMW "d = [dict(lr=1)]\n", "'keyword'");
  refuse(ADAMW "d = [dict(keyword='block', rate=1)]\n", "'rate'");
  refuse(ADAMW "d = [dict(keyword='block', lr=1, lr_scale=0.1)]\n", "not both");
  refuse(ADAMW "d = [dict(keyword='a'), dict(keyword='b', weight_decay=-1)]\n",
         "d.1.weight_decay");
}

static void wrong_schedules(void **state) {
  (void)state;
  refuse(ADAMW "s = 1\n", "dict");
  refuse(ADAMW "s = dict(type='StepLR')\n", "'StepLR': not a schedule here");
  refuse(ADAMW "s = dict(type='OneCycleLR')\n", "'max_lr'");
  refuse(ADAMW "s = dict(type='OneCycleLR', max_lr=1, gamma=2)\n", "no option 'gamma'");
  refuse(ADAMW CYCLE, "there are 1 parameter groups");
  refuse(ADAMW BLOCK "s = dict(type='OneCycleLR', max_lr=1, pct_start=1.5)\n", "pct_start");
  refuse(ADAMW "s = dict(type='OneCycleLR', max_lr=1, div_factor=0)\n", "div_factor");
  refuse(ADAMW "s = dict(type='OneCycleLR', max_lr=-1)\n", "max_lr");
  refuse(ADAMW "s = dict(type='OneCycleLR', max_lr=1, max_momentum=1)\n", "max_momentum");
  refuse(ADAMW "s = dict(type='OneCycleLR', max_lr=1, anneal_strategy='exp')\n", "'exp'");
  refuse(ADAMW "s = dict(type='MultiStepLR')\n", "'milestones'");
  refuse(ADAMW "s = dict(type='MultiStepLR', milestones=[-1])\n", "milestones");
  refuse(ADAMW "s = dict(type='PolyLR', last_epoch=3)\n", "last_epoch");
  struct trial t = {0};
  struct ptv3_error err;
  pt_env_init(&t.env, 1, 0);
  assert_int_equal(setup(&t, ADAMW "s = dict(type='ExpLR')\n", 0, &err), PTV3_CONFIG);
  drop(&t);
}

/* What torch cannot do: a first phase of no length. And the end of a schedule. */
static void cycle_ends(void **state) {
  (void)state;
  struct trial t = {0};
  struct ptv3_error err;
  pt_env_init(&t.env, 1, 0);
  assert_int_equal(setup(&t, ADAMW BLOCK CYCLE, 4, &err), 0);
  assert_true(t.o.group[0].lr == 0.02 && t.o.group[1].lr == 0.002);
  assert_true(t.o.group[0].beta1 == 0.85);
  assert_int_equal(pt_schedule_apply(&t.s, 4, &t.o, &err), 0);
  assert_int_equal(pt_schedule_apply(&t.s, 5, &t.o, &err), PTV3_INVALID);
  assert_int_equal(pt_schedule_apply(&t.s, -1, &t.o, &err), PTV3_INVALID);
  drop(&t);
  assert_int_equal(pt_schedule_steps(10, 7, 4), 17);
}

/* ---- steps ---- */

#define N 70000 /* more than a chunk */

static struct pt_param_ref params[3];

static void make_params(void) {
  static const char *const name[] = {"enc.block0.weight", "head.bias", "frozen"};
  for (int i = 0; i < 3; i++) {
    int64_t n = i == 1 ? 13 : N;
    float *value = test_malloc(sizeof(float) * (size_t)n),
          *grad = test_malloc(sizeof(float) * (size_t)n);
    for (int64_t k = 0; k < n; k++) {
      value[k] = (float)sin((double)(k + i));
      grad[k] = (float)cos(0.7 * (double)k);
    }
    params[i] = (struct pt_param_ref){name[i], n, value, grad};
  }
}

static void free_params(void) {
  for (int i = 0; i < 3; i++) {
    test_free(params[i].value);
    test_free((void *)(uintptr_t)params[i].grad);
  }
}

/* Three steps; the first parameter's values into out [N]. Returns the norm. */
static double train(const char *text, int threads, float *out) {
  struct trial t = {0};
  struct ptv3_error err = {0};
  pt_env_init(&t.env, threads, 0);
  make_params();
  float *kept = (float *)(uintptr_t)params[2].grad, before = params[2].value[5];
  params[2].grad = NULL;
  if (setup(&t, text, 4, &err) || pt_optim_bind(&t.o, &t.env, params, 3, &err))
    fail_msg("%s", err.message);
  double norm = pt_optim_norm(&t.o, 0.5, NULL);
  for (int k = 0; k < 3; k++) {
    assert_int_equal(pt_schedule_apply(&t.s, k, &t.o, &err), 0);
    pt_optim_step(&t.o, 0.5);
  }
  assert_int_equal(t.o.param[0].step, 3);
  assert_int_equal(t.o.param[2].step, 0);
  assert_true(params[2].value[5] == before); /* no gradient: left alone */
  assert_int_equal(t.o.param[0].group, t.o.groups - 1);
  assert_int_equal(t.o.param[1].group, 0);
  memcpy(out, params[0].value, sizeof(float) * N);
  params[2].grad = kept;
  free_params();
  drop(&t);
  return norm;
}

static void same_for_all_threads(void **state) {
  (void)state;
  static const char *const text[] = {
      ADAMW BLOCK CYCLE, "o = dict(type='Adam', amsgrad=True)\n",
      "o = dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True)\n" BLOCK CYCLE,
      "o = dict(type='SGD', lr=0.1)\n"};
  float *a = test_malloc(sizeof(float) * N), *b = test_malloc(sizeof(float) * N);
  for (int k = 0; k < 4; k++) {
    double one = train(text[k], 1, a), five = train(text[k], 5, b);
    assert_true(one == five);
    assert_true(fabs(one - 0.5 * sqrt(N / 2.0)) < 0.1);
    assert_memory_equal(a, b, sizeof(float) * N);
  }
  test_free(a);
  test_free(b);
}

static void not_finite(void **state) {
  (void)state;
  struct trial t = {0};
  struct ptv3_error err;
  int64_t bad;
  pt_env_init(&t.env, 2, 0);
  make_params();
  assert_int_equal(setup(&t, ADAMW, 4, &err), 0);
  assert_int_equal(pt_optim_bind(&t.o, &t.env, params, 3, &err), 0);
  assert_int_equal(pt_optim_bind(&t.o, &t.env, params, 3, &err), PTV3_INVALID);
  assert_true(fabs(pt_optim_norm(&t.o, 1, &bad)) < 1e9);
  assert_int_equal(bad, -1);
  ((float *)(uintptr_t)params[2].grad)[N - 1] = NAN;
  ((float *)(uintptr_t)params[1].grad)[12] = -INFINITY;
  assert_false(pt_optim_norm(&t.o, 1, &bad) < 1e9);
  assert_int_equal(bad, 1);
  assert_true(pt_optim_clip(2, 1) < 0.5 && pt_optim_clip(2, 1) > 0.499999);
  assert_true(pt_optim_clip(0, 1) == 1);
  free_params();
  drop(&t);
}

static void groups_and_state(void **state) {
  (void)state;
  struct trial t = {0};
  struct ptv3_error err;
  pt_env_init(&t.env, 2, 0);
  t.env.warn = keep_warning;
  make_params();
  assert_int_equal(setup(&t,
                         ADAMW "d = [dict(keyword='bias', lr_scale=0.5, momentum=0.3),"
                               " dict(keyword='none', weight_decay=0)]\n",
                         4, &err),
                   0);
  assert_non_null(strstr(warned, "'momentum' of 'bias' has no effect on AdamW"));
  assert_true(t.o.group[1].lr == 0.01 && t.o.group[1].weight_decay == 0.05);
  assert_true(t.o.group[2].lr == 0.02 && t.o.group[2].weight_decay == 0);
  assert_int_equal(pt_optim_bind(&t.o, &t.env, params, 3, &err), 0);
  assert_non_null(strstr(warned, "contains 'none'"));
  assert_int_equal(t.o.group[0].params, 2);
  assert_int_equal(t.o.group[1].params, 1);
  assert_true(t.env.mem.cat[PT_MEM_OPTIMISER] >= 2 * 4 * (2 * N + 13));
  assert_int_equal(pt_optim_state_bytes(&t.o, 0, 13), 2 * 4 * 16);
  free_params();
  drop(&t);
  /* a schedule that cycles it makes SGD keep a momentum */
  assert_int_equal(setup(&t, "o = dict(type='SGD')\n", 4, &err), 0);
  assert_int_equal(pt_optim_state_bytes(&t.o, 0, 16), 0);
  drop(&t);
  assert_int_equal(setup(&t, "o = dict(type='SGD')\n" BLOCK CYCLE, 4, &err), 0);
  assert_int_equal(pt_optim_state_bytes(&t.o, 0, 16), 64);
  drop(&t);
}

static void every_allocation_fails(void **state) {
  (void)state;
  struct trial t = {0};
  struct ptv3_error err = {0};
  make_params();
  for (int64_t k = 1;; k++) {
    pt_env_init(&t.env, 1, 0);
    t.env.mem.fail_at = k;
    int status = setup(&t, ADAMW BLOCK CYCLE, 4, &err);
    if (!status) status = pt_optim_bind(&t.o, &t.env, params, 3, &err);
    if (status) assert_int_equal(status, err.status);
    drop(&t);
    if (!status) break;
    assert_true(k < 1000);
  }
  free_params();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_optimisers),
      cmocka_unit_test(wrong_schedules),
      cmocka_unit_test(cycle_ends),
      cmocka_unit_test(same_for_all_threads),
      cmocka_unit_test(not_finite),
      cmocka_unit_test(groups_and_state),
      cmocka_unit_test(every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
