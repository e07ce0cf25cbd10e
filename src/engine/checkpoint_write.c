/* checkpoint_write.c - writing; see checkpoint.h. Keys are those of torch 2's state_dict(),
 * which torch 1.13 takes as well. */
#include <string.h>

#include "checkpoint.h"
#include "pth_write.h"

static void put_int(struct pt_pickler *pk, const char *key, int64_t v) {
  pt_pk_str(pk, key);
  pt_pk_int(pk, v);
}

static void put_float(struct pt_pickler *pk, const char *key, double v) {
  pt_pk_str(pk, key);
  pt_pk_float(pk, v);
}

static void put_bool(struct pt_pickler *pk, const char *key, bool v) {
  pt_pk_str(pk, key);
  pt_pk_bool(pk, v);
}

static void put_none(struct pt_pickler *pk, const char *key) {
  pt_pk_str(pk, key);
  pt_pk_none(pk);
}

static void put_text(struct pt_pickler *pk, const char *key, const char *v) {
  pt_pk_str(pk, key);
  pt_pk_str(pk, v);
}

static void open_dict(struct pt_pickler *pk) {
  pt_pk_dict(pk);
  pt_pk_mark(pk);
}

static void open_list(struct pt_pickler *pk) {
  pt_pk_list(pk);
  pt_pk_mark(pk);
}

/* ---- weights ---- */

static struct pt_tensor tensor_of(const struct pt_checkpoint_tensor *x) {
  struct pt_tensor t = {.name = x->name, .type = x->type, .ndim = x->ndim, .data = x->data};
  memcpy(t.shape, x->shape, sizeof t.shape);
  pt_tensor_pack(&t);
  return t;
}

static void put_weights(struct pt_pth_out *o, const struct pt_checkpoint *c) {
  pt_pk_ordered_dict(&o->pk);
  pt_pk_mark(&o->pk);
  for (int64_t i = 0; i < c->tensors; i++) {
    struct pt_tensor t = tensor_of(&c->tensor[i]);
    pt_pk_str(&o->pk, t.name);
    pt_pth_tensor(o, &t, t.type);
  }
  pt_pk_setitems(&o->pk);
}

/* ---- optimizer ---- */

static const struct pt_checkpoint_tensor *find(const struct pt_checkpoint *c,
                                               const char *name) {
  for (int64_t i = 0; i < c->tensors; i++)
    if (strcmp(c->tensor[i].name, name) == 0) return &c->tensor[i];
  return NULL;
}

static void put_moment(struct pt_pth_out *o, const char *key, struct pt_tensor *like,
                       const float *data) {
  if (!data) return;
  like->data = data;
  pt_pk_str(&o->pk, key);
  pt_pth_tensor(o, like, PT_F32);
}

/* step: a number that lives until the file is written. */
static void put_param_state(struct pt_pth_out *o, const struct pt_checkpoint *c,
                            const struct pt_optim_param *p, const float *step) {
  const struct pt_checkpoint_tensor *x = find(c, p->ref.name);
  if (!x) {
    pt_fail(&o->pk.err, PTV3_INVALID, "parameter '%s' is not among the checkpoint's tensors",
            p->ref.name);
    return;
  }
  struct pt_tensor t = tensor_of(x);
  const struct pt_tensor count = {.name = "step", .type = PT_F32, .count = 1, .data = step};
  t.type = PT_F32;
  open_dict(&o->pk);
  if (c->optim->kind == PT_OPTIM_SGD) {
    put_moment(o, "momentum_buffer", &t, p->exp_avg);
  } else {
    pt_pk_str(&o->pk, "step");
    pt_pth_tensor(o, &count, PT_F32);
    put_moment(o, "exp_avg", &t, p->exp_avg);
    put_moment(o, "exp_avg_sq", &t, p->exp_avg_sq);
    put_moment(o, "max_exp_avg_sq", &t, p->max_exp_avg_sq);
  }
  pt_pk_setitems(&o->pk);
}

/* Parameters are numbered group by group. steps [params] is filled. */
static void put_state(struct pt_pth_out *o, const struct pt_checkpoint *c, float *steps) {
  int64_t number = 0;
  pt_pk_str(&o->pk, "state");
  open_dict(&o->pk);
  for (int32_t g = 0; g < c->optim->groups; g++)
    for (int64_t i = 0; i < c->optim->params; i++) {
      const struct pt_optim_param *p = &c->optim->param[i];
      if (p->group != g) continue;
      bool has = p->step > 0 && p->exp_avg;
      steps[i] = (float)p->step;
      if (has) pt_pk_int(&o->pk, number);
      if (has) put_param_state(o, c, p, &steps[i]);
      number++;
    }
  pt_pk_setitems(&o->pk);
}

static void put_group_numbers(struct pt_pickler *pk, const struct pt_checkpoint *c,
                              const struct pt_optim_group *g) {
  bool sgd = c->optim->kind == PT_OPTIM_SGD;
  put_float(pk, "lr", g->lr);
  if (sgd) {
    put_float(pk, "momentum", g->momentum);
    put_float(pk, "dampening", g->dampening);
    put_bool(pk, "nesterov", g->nesterov);
  } else {
    pt_pk_str(pk, "betas");
    pt_pk_mark(pk);
    pt_pk_float(pk, g->beta1);
    pt_pk_float(pk, g->beta2);
    pt_pk_tuple(pk);
    put_float(pk, "eps", g->eps);
    put_bool(pk, "amsgrad", g->amsgrad);
    put_bool(pk, "capturable", false);
    put_bool(pk, "decoupled_weight_decay", c->optim->kind == PT_OPTIM_ADAMW);
  }
  put_float(pk, "weight_decay", g->weight_decay);
  put_bool(pk, "maximize", g->maximize);
  put_bool(pk, "differentiable", false);
  put_none(pk, "foreach");
  put_none(pk, "fused");
}

static void put_group(struct pt_pickler *pk, const struct pt_checkpoint *c, int32_t group,
                      int64_t *number) {
  const struct pt_optim_group *g = &c->optim->group[group];
  open_dict(pk);
  put_group_numbers(pk, c, g);
  put_float(pk, "initial_lr", g->initial_lr);
  if (c->schedule->kind == PT_SCHEDULE_ONE_CYCLE) {
    put_float(pk, "max_lr", g->max_lr);
    put_float(pk, "min_lr", g->min_lr);
    if (c->schedule->cycle_momentum) {
      put_float(pk, "max_momentum", g->max_momentum);
      put_float(pk, "base_momentum", g->base_momentum);
    }
  }
  pt_pk_str(pk, "params");
  open_list(pk);
  for (int64_t i = 0; i < c->optim->params; i++)
    if (c->optim->param[i].group == group) pt_pk_int(pk, (*number)++);
  pt_pk_appends(pk);
  pt_pk_setitems(pk);
}

static void put_optimizer(struct pt_pth_out *o, const struct pt_checkpoint *c, float *steps) {
  int64_t number = 0;
  open_dict(&o->pk);
  put_state(o, c, steps);
  pt_pk_str(&o->pk, "param_groups");
  open_list(&o->pk);
  for (int32_t g = 0; g < c->optim->groups; g++) put_group(&o->pk, c, g, &number);
  pt_pk_appends(&o->pk);
  pt_pk_setitems(&o->pk);
}

/* ---- scheduler ---- */

static void put_phases(struct pt_pickler *pk, const struct pt_schedule *s) {
  static const char *const rate[] = {"initial_lr", "max_lr", "min_lr"};
  static const char *const rate3[] = {"initial_lr", "max_lr", "initial_lr", "min_lr"};
  static const char *const moment[] = {"max_momentum", "base_momentum", "max_momentum",
                                       "max_momentum"};
  const char *const *lr = s->phases == 3 ? rate3 : rate;
  pt_pk_str(pk, "_schedule_phases");
  open_list(pk);
  for (int k = 0; k < s->phases; k++) {
    open_dict(pk);
    put_float(pk, "end_step", s->end[k]);
    put_text(pk, "start_lr", lr[k]);
    put_text(pk, "end_lr", lr[k + 1]);
    put_text(pk, "start_momentum", moment[k]);
    put_text(pk, "end_momentum", moment[k + 1]);
    pt_pk_setitems(pk);
  }
  pt_pk_appends(pk);
}

/* Counter({step: how often}). */
static void put_milestones(struct pt_pickler *pk, const struct pt_schedule *s) {
  pt_pk_str(pk, "milestones");
  pt_pk_global(pk, "collections", "Counter");
  pt_pk_mark(pk);
  open_dict(pk);
  for (int64_t k = 0; k < s->milestones; k++) {
    int64_t often = 0;
    bool before = false;
    for (int64_t j = 0; j < s->milestones; j++) {
      often += s->milestone[j] == s->milestone[k];
      before |= j < k && s->milestone[j] == s->milestone[k];
    }
    if (before) continue;
    pt_pk_int(pk, (int64_t)s->milestone[k]);
    pt_pk_int(pk, often);
  }
  pt_pk_setitems(pk);
  pt_pk_tuple(pk);
  pt_pk_reduce(pk);
}

static void put_kind(struct pt_pickler *pk, const struct pt_checkpoint *c) {
  const struct pt_schedule *s = c->schedule;
  switch (s->kind) {
    case PT_SCHEDULE_ONE_CYCLE:
      put_int(pk, "total_steps", s->total);
      put_phases(pk, s);
      put_text(pk, "_anneal_func_type", s->linear ? "linear" : "cos");
      put_bool(pk, "cycle_momentum", s->cycle_momentum);
      if (s->cycle_momentum) put_bool(pk, "use_beta1", c->optim->kind != PT_OPTIM_SGD);
      return;
    case PT_SCHEDULE_COSINE:
      put_int(pk, "T_max", s->total);
      put_float(pk, "eta_min", s->eta_min);
      return;
    case PT_SCHEDULE_MULTI_STEP:
      put_milestones(pk, s);
      put_float(pk, "gamma", s->gamma);
      return;
    default: /* a LambdaLR, which keeps no functions */
      pt_pk_str(pk, "lr_lambdas");
      open_list(pk);
      for (int32_t g = 0; g < c->optim->groups; g++) pt_pk_none(pk);
      pt_pk_appends(pk);
  }
}

static void put_rates(struct pt_pickler *pk, const char *key, const struct pt_optim *o,
                      bool initial) {
  pt_pk_str(pk, key);
  open_list(pk);
  for (int32_t g = 0; g < o->groups; g++)
    pt_pk_float(pk, initial ? o->group[g].initial_lr : o->group[g].lr);
  pt_pk_appends(pk);
}

static void put_scheduler(struct pt_pickler *pk, const struct pt_checkpoint *c) {
  open_dict(pk);
  put_kind(pk, c);
  put_rates(pk, "base_lrs", c->optim, true);
  put_int(pk, "last_epoch", c->step);
  put_int(pk, "_step_count", c->step + 1);
  put_bool(pk, "_is_initial", false);
  put_bool(pk, "_get_lr_called_within_step", false);
  put_rates(pk, "_last_lr", c->optim, false);
  pt_pk_setitems(pk);
}

/* ---- scaler ---- */

static void put_scaler(struct pt_pickler *pk, const struct pt_scaler *s) {
  if (!s->on) {
    put_none(pk, "scaler");
    return;
  }
  pt_pk_str(pk, "scaler");
  open_dict(pk);
  put_float(pk, "scale", s->scale);
  put_float(pk, "growth_factor", s->growth_factor);
  put_float(pk, "backoff_factor", s->backoff_factor);
  put_int(pk, "growth_interval", s->growth_interval);
  put_int(pk, "_growth_tracker", s->growth_tracker);
  pt_pk_setitems(pk);
}

/* ---- the file ---- */

static void put_notes(struct pt_pickler *pk, const struct pt_checkpoint_note *note,
                      int64_t notes) {
  open_dict(pk);
  for (int64_t i = 0; i < notes; i++)
    if (note[i].text)
      put_text(pk, note[i].key, note[i].text);
    else
      put_int(pk, note[i].key, note[i].number);
  pt_pk_setitems(pk);
}

int pt_checkpoint_write(const struct pt_checkpoint *c, const struct pt_checkpoint_note *note,
                        int64_t notes, struct pt_env *env, const char *path,
                        struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_pth_out o;
  float *steps = pt_alloc(&env->mem, c->optim->params, sizeof *steps, PT_MEM_OTHER, &e);
  /* The numbers of the step to come, which is where torch's schedulers stand. */
  if (!steps || pt_schedule_apply(c->schedule, c->step, c->optim, &e)) {
    pt_free(&env->mem, steps);
    if (err) *err = e;
    return e.status;
  }
  pt_pth_begin(&o, &env->mem);
  open_dict(&o.pk);
  put_int(&o.pk, "epoch", c->epoch);
  pt_pk_str(&o.pk, "state_dict");
  put_weights(&o, c);
  pt_pk_str(&o.pk, "optimizer");
  put_optimizer(&o, c, steps);
  pt_pk_str(&o.pk, "scheduler");
  put_scheduler(&o.pk, c);
  put_scaler(&o.pk, &c->scaler);
  put_float(&o.pk, "best_metric_value", c->best);
  pt_pk_str(&o.pk, "ptv3");
  put_notes(&o.pk, note, notes);
  pt_pk_setitems(&o.pk);
  int status = pt_pth_commit(&o, path, err);
  pt_free(&env->mem, steps);
  return status;
}

int pt_checkpoint_copy(struct pt_mem *mem, const char *from, const char *to,
                       struct ptv3_error *err) {
  struct pt_map map;
  struct pt_out out;
  int status = pt_map_open(&map, from, err);
  if (status) return status;
  status = pt_out_open(&out, mem, to, err);
  if (!status) {
    pt_write(&out, map.data, map.size);
    status = pt_out_commit(&out, err);
  }
  pt_map_close(&map);
  return status;
}
