/* cases_train.c - training of whole networks: loss, gradients and running statistics of one
 * step, and the 20 steps of training_run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "criteria.h"
#include "refmodel.h"
#include "schedule.h"
#include "train_step.h"

struct training {
  struct refcase *c;
  struct pt_ptv3 cfg;
  struct pt_config config; /* criteria point into it */
  struct pt_criteria criteria;
  const struct pt_kernels *kernels;
  struct pt_train_weights w;
  uint64_t seed;
};

static struct training begin(struct refcase *c) {
  struct training t = {.c = c, .seed = ref_seed(c)};
  struct ptv3_error e = {0};
  json_t *model = ref_meta(c, "config");
  ref_config(c, model, &t.cfg);
  char *text = ref_python(model), *whole = ref_alloc(c, (int64_t)strlen(text) + 16, 1);
  sprintf(whole, "model = %s\n", text);
  free(text);
  ref_parse(c, whole, &t.config);
  const struct pt_value *dict = pt_get(t.config.root, "model");
  t.kernels = pt_kernel_table(c->kernels);
  if (pt_criteria_parse(&c->env->mem, dict, t.cfg.classes, &t.criteria, &e) ||
      pt_train_weights_build(c->env, &t.cfg, ref_formula_fetch, &t.seed, &t.w, &e)) {
    fprintf(stderr, "%s: %s\n", c->folder, e.message);
    exit(2);
  }
  return t;
}

static void end(struct training *t) {
  pt_train_weights_free(t->c->env, &t->w);
  pt_criteria_free(&t->criteria);
  pt_config_free(&t->config);
}

/* How a step is run, for comparing bits. */
struct way {
  int threads, tile;
  int64_t memory; /* 0: no limit */
};

static struct pt_train_result step(struct training *t, const struct ref_input *in,
                                   const int32_t *label, const int *perm, struct way way) {
  struct ptv3_error e;
  struct pt_train_result r;
  struct pt_room room = {0};
  struct pt_env *env = t->c->env;
  struct pt_loss loss = pt_train_loss(&t->criteria);
  const struct pt_train_job job = {.cfg = &t->cfg,
                                   .w = &t->w,
                                   .kernels = t->kernels,
                                   .tile = way.tile,
                                   .batch = &in->batch,
                                   .label = label,
                                   .loss = &loss,
                                   .perm = perm,
                                   .running = true};
  const int threads = env->threads;
  if (way.threads) env->threads = way.threads;
  if (way.memory) env->mem.limit = env->mem.used + way.memory;
  memset(t->w.grad, 0, (size_t)t->w.numbers * sizeof *t->w.grad);
  int status = pt_train_step(env, &job, &room, &r, &e);
  ref_check(t->c, !status, "%s", status ? e.message : "");
  env->threads = threads;
  env->mem.limit = INT64_MAX;
  pt_room_free(env, &room);
  return r;
}

/* Gradients: all numbers, or the sampled ones. */
static void compare_grads(struct training *t) {
  struct refcase *c = t->c;
  char error[200], name[200];
  for (int64_t i = 0; i < t->w.params; i++) {
    const struct pt_param *p = &t->w.param[i];
    const float *g = t->w.grad + t->w.at[i];
    if (p->buffer) continue;
    snprintf(error, sizeof error, "float32_error|%s", p->name);
    snprintf(name, sizeof name, "grad/%s", p->name);
    if (ref_has(c, "%s", name)) {
      ref_compare(c, name, g, ref_f64(c, NULL, "%s", name), p->size, error);
      continue;
    }
    int64_t n;
    const int64_t *at = ref_i64(c, &n, "grad_sample_index/%s", p->name);
    float *some = ref_alloc(c, n, sizeof *some);
    for (int64_t k = 0; k < n; k++) some[k] = g[at[k]];
    ref_compare(c, name, some, ref_f64(c, NULL, "grad_sample/%s", p->name), n, error);
  }
}

static void compare_running(struct training *t) {
  for (int64_t i = 0; i < t->w.params; i++) {
    const struct pt_param *p = &t->w.param[i];
    if (!p->buffer || p->dims == 0) continue;
    char name[200];
    snprintf(name, sizeof name, "after/%s", p->name);
    ref_compare(t->c, name, t->w.value + t->w.at[i], ref_f64(t->c, NULL, "%s", name), p->size,
                NULL);
  }
}

/* Other threads, tiles, and less kept give the same gradients, bit by bit. */
static void check_bits(struct training *t, const struct ref_input *in, const int32_t *label,
                       const int *perm, int64_t arena) {
  static const struct {
    int threads, tile;
    double part; /* of the memory that the first step had */
  } way[] = {{1, 0, 0}, {3, 48, 0}, {2, 0, 0.9}, {2, 0, 0.62}};
  const size_t bytes = (size_t)t->w.numbers * sizeof(float);
  float *want = ref_alloc(t->c, t->w.numbers, sizeof *want);
  memcpy(want, t->w.grad, bytes);
  for (size_t i = 0; i < sizeof way / sizeof *way; i++) {
    const int64_t memory =
        way[i].part > 0 ? (int64_t)(way[i].part * (double)arena) + (1 << 20) : 0;
    struct pt_train_result r =
        step(t, in, label, perm, (struct way){way[i].threads, way[i].tile, memory});
    ref_check(t->c, memcmp(want, t->w.grad, bytes) == 0,
              "other bits with %d threads, tiles of %d, keeping %s", way[i].threads,
              way[i].tile, pt_keep_text(r.keep));
  }
}

static void run_train(struct refcase *c) {
  struct training t = begin(c);
  struct ref_input in = ref_input(c, "", t.cfg.in_channels);
  const int32_t *label = ref_i32(c, NULL, "in/segment");
  const int *perm = ref_perms(c, &t.cfg);
  /* These small networks multiply rounding: with every operation computed in double but one
   * of the forward pass, gradients of micro/all_orders move by up to 3 tolerances. The
   * reference kernels keep to the plain one. */
  const bool ref_kernels = strcmp(t.kernels->name, "ref") == 0;
  if (!ref_kernels) c->slack = 10;
  struct pt_train_result r = step(&t, &in, label, perm, (struct way){0});
  const double want = ref_number(c, "loss", 0), got = r.value[0];
  const double error = fabs(ref_number(c, "loss_float32", want) - want);
  ref_check(c, fabs(got - want) <= 10 * error + 2e-6 * want, "loss %.9g, expected %.9g", got,
            want);
  compare_grads(&t);
  compare_running(&t);
  if (!ref_kernels) check_bits(&t, &in, label, perm, r.arena);
  end(&t);
}

/* ---- training_run: 20 steps of AdamW and OneCycleLR ---- */

/* Optimiser and schedule of the case's meta.json. */
static void begin_optim(struct training *t, struct pt_config *config, struct pt_optim *o,
                        struct pt_schedule *s, int64_t steps) {
  struct refcase *c = t->c;
  struct ptv3_error e = {0};
  json_t *optimizer = json_deep_copy(ref_meta(c, "optimizer")),
         *scheduler = json_deep_copy(ref_meta(c, "scheduler"));
  char *dicts = ref_python(json_object_get(optimizer, "param_dicts"));
  json_object_del(optimizer, "param_dicts");
  json_object_del(scheduler, "total_steps");
  char *a = ref_python(optimizer), *b = ref_python(scheduler);
  const size_t size = strlen(a) + strlen(b) + strlen(dicts) + 80;
  char *text = ref_alloc(c, (int64_t)size, 1);
  snprintf(text, size, "optimizer = %s\nscheduler = %s\nparam_dicts = %s\n", a, b, dicts);
  free(a), free(b), free(dicts);
  json_decref(optimizer), json_decref(scheduler);
  ref_parse(c, text, config);
  struct pt_param_ref *ref = ref_alloc(c, t->w.params, sizeof *ref);
  int64_t count = 0;
  for (int64_t i = 0; i < t->w.params; i++)
    if (!t->w.param[i].buffer)
      ref[count++] = (struct pt_param_ref){t->w.param[i].name, t->w.param[i].size,
                                           t->w.value + t->w.at[i], t->w.grad + t->w.at[i]};
  if (pt_optim_parse(o, c->env, pt_get(config->root, "optimizer"),
                     pt_get(config->root, "param_dicts"), &e) ||
      pt_schedule_init(s, pt_get(config->root, "scheduler"), steps, o, &e) ||
      pt_optim_bind(o, c->env, ref, count, &e)) {
    fprintf(stderr, "%s: %s\n", c->folder, e.message);
    exit(2);
  }
}

/* The run multiplies rounding (the maximum of a pooling switches): the first steps are held
 * to PyTorch's own error in float32, the later ones to the largest it had. */
static void check_step(struct training *t, int64_t i, double loss, double norm) {
  struct refcase *c = t->c;
  const double want = ref_f64(c, NULL, "loss")[i], size = ref_f64(c, NULL, "grad_norm")[i];
  json_t *first = ref_meta(c, "float32_loss_difference_first_8");
  double allowed = 5 * ref_number(c, "float32_max_loss_difference", 0);
  if (i < 4)
    allowed = fmin(allowed, 20 * json_real_value(json_array_get(first, (size_t)i)) + 5e-6);
  ref_check(c, fabs(loss - want) <= allowed, "step %lld: loss %.8f, expected %.8f +- %.2g",
            (long long)i, loss, want, allowed);
  ref_check(c, fabs(norm - size) <= (i < 4 ? 1e-3 : 0.1) * size,
            "step %lld: norm of the gradients %.6f, expected %.6f", (long long)i, norm, size);
}

static void compare_final(struct training *t) {
  char name[200], error[200];
  t->c->slack = 10;
  for (int64_t i = 0; i < t->w.params; i++) {
    const struct pt_param *p = &t->w.param[i];
    if (p->buffer) continue;
    snprintf(name, sizeof name, "final/%s", p->name);
    snprintf(error, sizeof error, "float32_final_weight_error|%s", p->name);
    ref_compare(t->c, name, t->w.value + t->w.at[i], ref_f64(t->c, NULL, "%s", name), p->size,
                error);
  }
}

static void run_training(struct refcase *c) {
  struct training t = begin(c);
  struct pt_config config;
  struct pt_optim optim;
  struct pt_schedule schedule;
  const int64_t steps = (int64_t)ref_number(c, "steps", 0);
  const double *lr = ref_f64(c, NULL, "lr"), *beta = ref_f64(c, NULL, "beta1");
  begin_optim(&t, &config, &optim, &schedule, steps);
  for (int64_t i = 0; i < steps; i++) {
    struct ptv3_error e = {0};
    char prefix[20];
    snprintf(prefix, sizeof prefix, "batch%d/", (int)(i % 2));
    struct ref_input in = ref_input(c, prefix, t.cfg.in_channels);
    ref_check(c, pt_schedule_apply(&schedule, i, &optim, &e) == PTV3_OK, "%s", e.message);
    for (int g = 0; g < 2; g++)
      ref_check(c,
                fabs(optim.group[g].lr - lr[2 * i + g]) <= 1e-9 &&
                    fabs(optim.group[g].beta1 - beta[2 * i + g]) <= 1e-9,
                "step %lld: rate or beta1 of group %d", (long long)i, g);
    struct pt_train_result r =
        step(&t, &in, ref_i32(c, NULL, "%sin/segment", prefix), NULL, (struct way){0});
    check_step(&t, i, r.value[0], pt_optim_norm(&optim, 1, NULL));
    pt_optim_step(&optim, 1);
    pt_train_weights_pack(&t.w, c->env->threads);
  }
  compare_final(&t);
  pt_optim_free(&optim);
  pt_config_free(&config);
  end(&t);
}

const struct refkind refkinds_train[] = {
    {"train-mode forward", run_train},
    {"20 optimisation steps", run_training},
    {NULL, NULL},
};
