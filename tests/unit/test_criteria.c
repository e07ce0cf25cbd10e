/* test_criteria.c - the criteria of a configuration: what is taken, what is refused and where,
 * and that nothing is lost when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "criteria.h"
#include "pyconfig.h"

/* Parses "criteria = <text>" for three classes. */
static int parse(struct pt_env *env, const char *text, struct pt_criteria *c,
                 struct ptv3_error *err) {
  char all[1000];
  struct pt_config config;
  snprintf(all, sizeof all, "criteria = %s\n", text);
  if (pt_config_parse(env, all, (int64_t)strlen(all), "t.py", NULL, 0, &config, err))
    fail_msg("%s", err->message);
  const int status = pt_criteria_parse(&env->mem, config.root, 3, c, err);
  pt_config_free(&config);
  return status;
}

static void test_taken(void **state) {
  (void)state;
  struct pt_env env;
  struct pt_criteria c;
  struct ptv3_error err;
  pt_env_init(&env, 0, 0);
  const char *text =
      "[dict(type='CrossEntropyLoss', loss_weight=1.0, ignore_index=-1),\n"
      " dict(type='LovaszLoss', mode='multiclass', loss_weight=0.5, ignore_index=255),\n"
      " dict(type='CrossEntropyLoss', weight=(1, 0.5, 2), size_average=None, reduce=None,\n"
      "      reduction='sum', label_smoothing=0.1),\n"
      " dict(type='LovaszLoss', mode='multiclass', class_seen=[0, 2], per_image=True)]";
  if (parse(&env, text, &c, &err)) fail_msg("%s", err.message);
  assert_int_equal(c.count, 4);
  const struct pt_criterion *k = c.criterion;
  assert_true(k[0].kind == PT_CROSS_ENTROPY && k[0].loss_weight == 1.0f && k[0].ignore == -1);
  assert_true(!k[0].weight && k[0].smoothing == 0.0f && !k[0].sum);
  assert_true(k[1].kind == PT_LOVASZ && k[1].loss_weight == 0.5f && k[1].ignore == 255);
  assert_true(!k[1].all && !k[1].per_image && !k[1].seen);
  assert_true(k[2].weight[0] == 1.0f && k[2].weight[1] == 0.5f && k[2].weight[2] == 2.0f);
  assert_true(k[2].sum && k[2].smoothing == 0.1f && k[2].ignore == -1);
  assert_true(k[3].seen[0] && !k[3].seen[1] && k[3].seen[2] && k[3].per_image);
  assert_true(k[3].ignore == INT32_MIN);
  pt_criteria_free(&c);
  assert_true(env.mem.used == 0);
}

static void test_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
    int status;
  } of[] = {
      {"None", "criteria", PTV3_CONFIG},
      {"[]", "0 losses", PTV3_CONFIG},
      {"dict(type='CrossEntropyLoss')", "criteria", PTV3_CONFIG},
      {"['CrossEntropyLoss']", "criteria.0: a dict with a type", PTV3_CONFIG},
      {"[dict(loss_weight=1.0)]", "type", PTV3_CONFIG},
      {"[dict(type='DiceLoss')]", "criteria.0.type: 'DiceLoss'", PTV3_UNSUPPORTED},
      {"[dict(type='CrossEntropyLoss', smoothing=0.1)]", "takes no 'smoothing'", PTV3_CONFIG},
      {"[dict(type='CrossEntropyLoss', reduction='none')]", "'none'", PTV3_UNSUPPORTED},
      {"[dict(type='CrossEntropyLoss', reduce=False)]", "reduction", PTV3_UNSUPPORTED},
      {"[dict(type='CrossEntropyLoss', label_smoothing=1.5)]", "1.5", PTV3_CONFIG},
      {"[dict(type='CrossEntropyLoss', loss_weight='a')]", "loss_weight", PTV3_CONFIG},
      {"[dict(type='CrossEntropyLoss', ignore_index=2**40)]", "ignore_index", PTV3_CONFIG},
      {"[dict(type='CrossEntropyLoss', weight=[1, 2])]", "3 numbers", PTV3_CONFIG},
      {"[dict(type='CrossEntropyLoss', weight=2)]", "3 numbers", PTV3_CONFIG},
      {"[dict(type='CrossEntropyLoss', weight=[1, 2, -3])]", "weight.2: -3", PTV3_CONFIG},
      {"[dict(type='LovaszLoss')]", "mode", PTV3_CONFIG},
      {"[dict(type='LovaszLoss', mode='binary')]", "'binary'", PTV3_UNSUPPORTED},
      {"[dict(type='LovaszLoss', mode='multiclass', classes='all')]", "takes no 'classes'",
       PTV3_CONFIG},
      {"[dict(type='LovaszLoss', mode='multiclass', class_seen=[3])]", "no class 3",
       PTV3_CONFIG},
      {"[dict(type='CrossEntropyLoss')] * 5", "5 losses", PTV3_CONFIG},
  };
  for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
    struct pt_env env;
    struct pt_criteria c;
    struct ptv3_error err = {0};
    pt_env_init(&env, 0, 0);
    const int status = parse(&env, of[i].text, &c, &err);
    if (status != of[i].status || err.status != status || !strstr(err.message, of[i].says) ||
        (i > 0 && !strstr(err.message, "t.py:1:")))
      fail_msg("%s: %d, %s", of[i].text, status, err.message);
    assert_true(c.count == 0 && env.mem.used == 0);
  }
}

static void test_memory(void **state) {
  (void)state;
  const char *text =
      "[dict(type='CrossEntropyLoss', weight=[1, 2, 3]),"
      " dict(type='LovaszLoss', mode='multiclass', class_seen=[0, 1])]";
  char all[1000];
  struct pt_env env;
  struct pt_config config;
  struct ptv3_error err;
  pt_env_init(&env, 0, 0);
  snprintf(all, sizeof all, "criteria = %s\n", text);
  assert_int_equal(
      pt_config_parse(&env, all, (int64_t)strlen(all), "t.py", NULL, 0, &config, &err), 0);
  for (int k = 1, status = 1; status; k++) {
    struct pt_criteria c;
    const int64_t before = env.mem.used;
    env.mem.calls = 0;
    env.mem.fail_at = k;
    status = pt_criteria_parse(&env.mem, config.root, 3, &c, &err);
    env.mem.fail_at = 0;
    assert_true((status != 0) == (k <= 2));
    pt_criteria_free(&c);
    assert_true(env.mem.used == before);
  }
  pt_config_free(&config);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_taken),
                                     cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
