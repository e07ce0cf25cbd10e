/* cases_optim.c - optimisers and schedules: prescribed gradients, parameters after each step.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "refmodel.h"
#include "schedule.h"

#define MOST_PARAMS 16

struct run {
  struct refcase *c;
  struct pt_config config; /* optimizer, param_dicts, scheduler */
  struct pt_optim o;
  struct pt_schedule s;
  struct pt_param_ref param[MOST_PARAMS];
  float *grad[MOST_PARAMS]; /* [steps, n] */
  int count;
};

static void need(struct refcase *c, int status, const struct ptv3_error *e) {
  if (!status) return;
  fprintf(stderr, "%s: %s\n", c->folder, e->message);
  exit(2);
}

static void parse(struct run *r, json_t *optimizer, json_t *dicts, json_t *scheduler) {
  char *part[3] = {ref_python(optimizer), ref_python(dicts ? dicts : json_null()),
                   ref_python(scheduler ? scheduler : json_null())};
  size_t size = strlen(part[0]) + strlen(part[1]) + strlen(part[2]) + 20;
  char *text = ref_alloc(r->c, (int64_t)size, 1);
  snprintf(text, size, "o = %s\nd = %s\ns = %s\n", part[0], part[1], part[2]);
  for (int k = 0; k < 3; k++) free(part[k]);
  ref_parse(r->c, text, &r->config);
}

static void add_param(struct run *r, const char *name) {
  struct pt_param_ref *p = &r->param[r->count];
  if (r->count == MOST_PARAMS) return;
  p->name = name;
  p->value = ref_f32(r->c, &p->n, "init/%s", name);
  p->grad = r->grad[r->count++] = ref_f32(r->c, NULL, "grad/%s", name);
}

static void begin(struct run *r, int64_t total, bool bind) {
  struct ptv3_error e;
  struct refcase *c = r->c;
  const struct pt_value *root = r->config.root;
  need(c, pt_optim_parse(&r->o, c->env, pt_get(root, "o"), pt_get(root, "d"), &e), &e);
  need(c, pt_schedule_init(&r->s, pt_get(root, "s"), total, &r->o, &e), &e);
  const char *name;
  json_t *shape, *order = ref_meta(c, "params"); /* the order of the model */
  if (bind && order) json_object_foreach(order, name, shape) add_param(r, name);
  for (int64_t i = 0; bind && !order && i < c->data.count; i++)
    if (strncmp(c->data.item[i].name, "init/", 5) == 0) add_param(r, c->data.item[i].name + 5);
  if (bind) need(c, pt_optim_bind(&r->o, c->env, r->param, r->count, &e), &e);
}

static void end(struct run *r) {
  pt_optim_free(&r->o);
  pt_config_free(&r->config);
}

/* Rates and momenta are computed in double on both sides. */
static void compare_number(struct refcase *c, const char *name, int64_t step, double got,
                           double want) {
  ref_check(c, fabs(got - want) <= 1e-12 * fmax(1e-3, fabs(want)),
            "%s at step %lld: %.17g, expected %.17g", name, (long long)step, got, want);
}

static double momentum_of(const struct pt_optim *o, int32_t g) {
  return o->kind == PT_OPTIM_SGD ? o->group[g].momentum : o->group[g].beta1;
}

/* Steps from `first` on; compares with the tensors lr, momentum [steps, groups] at a stride,
 * and with <after>/<parameter> [steps, n]. norm: NULL or [steps]. */
static void steps(struct run *r, int64_t first, int64_t count, double clip, const double *lr,
                  const double *momentum, int64_t stride, const double *norm,
                  const char *after) {
  struct ptv3_error e;
  struct refcase *c = r->c;
  for (int64_t t = first; t < count; t++) {
    need(c, pt_schedule_apply(&r->s, t, &r->o, &e), &e);
    for (int32_t g = 0; g < r->o.groups; g++) {
      int64_t at = (t * r->o.groups + g) * stride;
      compare_number(c, "lr", t, r->o.group[g].lr, lr[at]);
      compare_number(c, "momentum", t, momentum_of(&r->o, g), momentum[at]);
    }
    for (int i = 0; i < r->count; i++) r->o.param[i].ref.grad = r->grad[i] + t * r->param[i].n;
    double length = pt_optim_norm(&r->o, 1, NULL);
    if (norm) compare_number(c, "norm", t, length, norm[t]);
    pt_optim_step(&r->o, clip > 0 ? pt_optim_clip(length, clip) : 1);
    for (int i = 0; i < r->count; i++) {
      const double *want = ref_f64(c, NULL, "%s/%s", after, r->param[i].name);
      ref_compare(c, r->param[i].name, r->param[i].value, want + t * r->param[i].n,
                  r->param[i].n, NULL);
    }
  }
}

/* ---- the project's own case ---- */

/* Goes on from a checkpoint of PyTorch. */
static int64_t resume(struct run *r, const char *name) {
  struct ptv3_error e;
  struct pt_notes notes;
  struct pt_checkpoint_tensor tensor[MOST_PARAMS];
  char path[1100];
  for (int i = 0; i < r->count; i++) {
    char init[80];
    snprintf(init, sizeof init, "init/%s", r->param[i].name);
    const struct pt_tensor *t = ref_tensor(r->c, init);
    tensor[i] = (struct pt_checkpoint_tensor){
        .name = r->param[i].name, .type = PT_F32, .ndim = t->ndim, .data = r->param[i].value};
    memcpy(tensor[i].shape, t->shape, sizeof t->shape);
  }
  struct pt_checkpoint at = {
      .tensor = tensor, .tensors = r->count, .optim = &r->o, .schedule = &r->s};
  snprintf(path, sizeof path, "%s/%s.pth", r->c->dir, name);
  need(r->c, pt_checkpoint_read(&at, &notes, r->c->env, path, &e), &e);
  ref_check(r->c, at.epoch == 1 && at.best == 0.25, "%s: epoch %lld, best %g", name,
            (long long)at.epoch, at.best);
  ref_check(r->c, pt_notes_number(&notes, "iteration", -1) == -1, "%s: a note", name);
  pt_notes_free(&notes);
  return at.step;
}

static void run_one(struct refcase *c, const char *name, json_t *v, bool resumed) {
  struct run r = {.c = c};
  int64_t count = (int64_t)ref_number(c, "steps", 0), n;
  parse(&r, json_object_get(v, "optimizer"), json_object_get(v, "param_dicts"),
        json_object_get(v, "scheduler"));
  begin(&r, count, true);
  const double *numbers = ref_f64(c, &n, "%s/numbers", name);
  char after[80];
  snprintf(after, sizeof after, "%s/after", name);
  int64_t first = resumed ? resume(&r, name) : 0;
  ref_check(c, !resumed || first == (int64_t)ref_number(c, "saved_after", 0), "%s: step %lld",
            name, (long long)first);
  ref_check(c, n == (count + 1) * r.o.groups * 2, "%s: %d groups", name, (int)r.o.groups);
  steps(&r, first, count, json_number_value(json_object_get(v, "clip_grad")), numbers,
        numbers + 1, 2, ref_f64(c, NULL, "%s/norm", name), after);
  end(&r);
}

/* A schedule alone: rows [steps, groups, 2] of rate and momentum. */
static void run_schedule(struct run *r, const char *name, const double *row, int64_t count) {
  struct ptv3_error e;
  for (int64_t t = 0; t < count; t++) {
    need(r->c, pt_schedule_apply(&r->s, t, &r->o, &e), &e);
    for (int32_t g = 0; g < r->o.groups; g++, row += 2) {
      compare_number(r->c, name, t, r->o.group[g].lr, row[0]);
      compare_number(r->c, name, t, momentum_of(&r->o, g), row[1]);
    }
  }
}

static void run_optimisers(struct refcase *c) {
  const char *name;
  json_t *v;
  json_object_foreach(ref_meta(c, "runs"), name, v) run_one(c, name, v, false);
  size_t k;
  json_array_foreach(ref_meta(c, "saved"), k, v) {
    name = json_string_value(v);
    run_one(c, name, json_object_get(ref_meta(c, "runs"), name), true);
  }
  json_object_foreach(ref_meta(c, "schedules"), name, v) {
    struct run r = {.c = c};
    int64_t n, total = json_integer_value(json_object_get(v, "total"));
    json_t *adamw = json_pack("{s:s, s:f}", "type", "AdamW", "lr", 0.02);
    json_t *dicts = ref_meta(c, "runs|adamw_cycle_clip|param_dicts");
    parse(&r, adamw, dicts, json_object_get(v, "scheduler"));
    json_decref(adamw);
    begin(&r, total, false);
    const double *row = ref_f64(c, &n, "schedule/%s", name);
    run_schedule(&r, name, row, n / 2 / r.o.groups);
    end(&r);
  }
}

/* ---- AdamW and OneCycleLR ---- */

static void run_adamw(struct refcase *c) {
  struct run r = {.c = c};
  int64_t count = (int64_t)ref_number(c, "steps", 0);
  json_t *optimizer = json_copy(ref_meta(c, "optimizer"));
  json_object_del(optimizer, "param_dicts");
  parse(&r, optimizer, ref_meta(c, "optimizer|param_dicts"), ref_meta(c, "scheduler"));
  json_decref(optimizer);
  begin(&r, count, true);
  steps(&r, 0, count, 0, ref_f64(c, NULL, "lr"), ref_f64(c, NULL, "beta1"), 1, NULL, "after");
  end(&r);
  /* schedule0: "schedule0: total 100 pct .05" */
  json_t *text, *cfg = json_deep_copy(ref_meta(c, "scheduler"));
  size_t k;
  json_array_foreach(ref_meta(c, "schedules"), k, text) {
    struct run alone = {.c = c};
    char name[16];
    int total;
    double pct;
    int64_t n;
    if (sscanf(json_string_value(text), "%15[^:]: total %d pct %lf", name, &total, &pct) != 3)
      exit(2);
    json_object_set_new(cfg, "max_lr", json_real(ref_number(c, "optimizer|lr", 0)));
    json_object_set_new(cfg, "pct_start", json_real(pct));
    json_t *adamw = json_pack("{s:s}", "type", "AdamW");
    parse(&alone, adamw, NULL, cfg);
    json_decref(adamw);
    begin(&alone, total, false);
    const double *row = ref_f64(c, &n, "%s", name);
    run_schedule(&alone, name, row, n / 2);
    end(&alone);
  }
  json_decref(cfg);
}

const struct refkind refkinds_optim[] = {
    {"optimisers of PyTorch", run_optimisers}, {"AdamW + OneCycleLR", run_adamw}, {NULL, NULL}};
