/* cases_loss.c - criteria: values and the gradient of the logits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "criteria.h"
#include "kernels.h"
#include "refmodel.h"

struct run {
  struct refcase *c;
  struct pt_criteria criteria;
  struct pt_loss op;
};

/* The criteria of a JSON list, read as the configuration would be. */
static void parse(struct run *u, json_t *list, int classes) {
  char *part = ref_python(list);
  const size_t size = strlen(part) + 20;
  char *text = ref_alloc(u->c, (int64_t)size, 1);
  struct pt_config config;
  struct ptv3_error e;
  snprintf(text, size, "criteria = %s\n", part);
  free(part);
  ref_parse(u->c, text, &config);
  if (pt_criteria_parse(&u->c->env->mem, config.root, classes, &u->criteria, &e)) {
    fprintf(stderr, "%s: %s\n", u->c->folder, e.message);
    exit(2);
  }
  pt_config_free(&config);
}

static void run_op(struct run *u, const char *labels, int classes) {
  struct refcase *c = u->c;
  const struct pt_kernels *k = pt_kernel_table(c->kernels);
  struct pt_loss *a = &u->op;
  int64_t numbers;
  *a = (struct pt_loss){.classes = classes, .criteria = u->criteria.count, .scale = 1.0f};
  a->logits = ref_f32(c, &numbers, "logits");
  a->label = ref_i32(c, &a->n, "%s", labels);
  ref_check(c, numbers == a->n * classes, "%lld logits", (long long)numbers);
  memcpy(a->criterion, u->criteria.criterion, sizeof a->criterion);
  a->g = ref_alloc(c, numbers, sizeof *a->g);
  a->value = ref_alloc(c, 1 + a->criteria, sizeof *a->value);
  a->valid = ref_alloc(c, a->criteria, sizeof *a->valid);
  a->work = ref_alloc(c, pt_loss_work(a), 1);
  const int64_t stride = (k->loss_scratch(a, 0) + 63) / 64 * 64;
  struct pt_exec x = {.threads = 2, .scratch_stride = stride};
  x.scratch = ref_alloc(c, 2 * stride + 64, 1);
  k->loss(a, &x);
}

/* Compares values (want_value [values], from the total on) and the gradient. */
static void compare(struct run *u, const char *name, const double *want_value, int values,
                    const double *want_grad, const char *value_error, const char *grad_error) {
  float got[1 + PT_MAX_CRITERIA];
  char text[80];
  for (int i = 0; i < values; i++) got[i] = (float)u->op.value[i];
  ref_compare(u->c, name, got, want_value, values, value_error);
  snprintf(text, sizeof text, "gradient of %s", name);
  ref_compare(u->c, text, u->op.g, want_grad, u->op.n * u->op.classes, grad_error);
  pt_criteria_free(&u->criteria);
}

static void run_pair(struct refcase *c) {
  const int classes = (int)ref_number(c, "classes", 0);
  static const char *const name[] = {"ce", "lovasz"};
  static const char *const type[] = {"CrossEntropyLoss", "LovaszLoss"};
  for (int i = 0; i < 2; i++) {
    struct run u = {.c = c};
    json_t *list = json_pack("[{s:s,s:f}]", "type", type[i], "loss_weight", 1.0);
    json_t *one = json_array_get(list, 0);
    json_object_set_new(one, "ignore_index",
                        json_integer((int)ref_number(c, "ignore_index", -1)));
    if (i) json_object_set_new(one, "mode", json_string("multiclass"));
    parse(&u, list, classes);
    json_decref(list);
    run_op(&u, "labels", classes);
    char grad[40], error[2][60];
    snprintf(grad, sizeof grad, "grad_%s", name[i]);
    snprintf(error[0], sizeof error[0], "float32_error|%s", name[i]);
    snprintf(error[1], sizeof error[1], "float32_error|%s", grad);
    compare(&u, name[i], ref_f64(c, NULL, "%s", name[i]), 1, ref_f64(c, NULL, "%s", grad),
            error[0], error[1]);
  }
}

static bool listed(json_t *names, const char *name) {
  for (size_t i = 0; i < json_array_size(names); i++)
    if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) return true;
  return false;
}

static void run_options(struct refcase *c) {
  const int classes = (int)ref_number(c, "classes", 0);
  const char *name;
  json_t *list;
  json_object_foreach(ref_meta(c, "runs"), name, list) {
    struct run u = {.c = c};
    char error[2][80];
    parse(&u, list, classes);
    run_op(&u, listed(ref_meta(c, "without_ignored"), name) ? "labels_all" : "labels", classes);
    snprintf(error[0], sizeof error[0], "float32_error|%s/value", name);
    snprintf(error[1], sizeof error[1], "float32_error|%s/grad", name);
    compare(&u, name, ref_f64(c, NULL, "%s/value", name), 1 + u.op.criteria,
            ref_f64(c, NULL, "%s/grad", name), error[0], error[1]);
  }
}

const struct refkind refkinds_loss[] = {
    {"CrossEntropyLoss and LovaszLoss", run_pair},
    {"criteria of several options", run_options},
    {NULL, NULL},
};
