/* schedule.c - see schedule.h. */
#include "schedule.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "config_keys.h"

#define PI 3.14159265358979323846

static const struct {
  const char *type, *keys;
} types[] = {
    [PT_SCHEDULE_CONSTANT] = {"constant", ""},
    [PT_SCHEDULE_ONE_CYCLE] = {"OneCycleLR",
                               "type max_lr pct_start anneal_strategy cycle_momentum "
                               "base_momentum max_momentum div_factor final_div_factor "
                               "three_phase total_steps last_epoch "},
    [PT_SCHEDULE_COSINE] = {"CosineAnnealingLR", "type eta_min total_steps last_epoch "},
    [PT_SCHEDULE_MULTI_STEP] = {"MultiStepLR", "type milestones gamma total_steps last_epoch "},
    [PT_SCHEDULE_WARMUP] = {"MultiStepWithWarmupLR",
                            "type milestones gamma warmup_rate warmup_scale total_steps "
                            "last_epoch "},
    [PT_SCHEDULE_POLY] = {"PolyLR", "type power total_steps last_epoch "},
    [PT_SCHEDULE_EXP] = {"ExpLR", "type gamma total_steps last_epoch "},
};
#define TYPES (int)(sizeof types / sizeof *types)

const char *pt_schedule_kind_text(enum pt_schedule_kind kind) { return types[kind].type; }

int64_t pt_schedule_steps(int64_t batches, int64_t epochs, int64_t accumulate) {
  return batches * epochs / accumulate;
}

/* ---- the functions ---- */

static double anneal(const struct pt_schedule *s, double from, double to, double part) {
  if (s->linear) return (to - from) * part + from;
  return to + (from - to) / 2.0 * (cos(PI * part) + 1);
}

static void one_cycle(const struct pt_schedule *s, const struct pt_optim_group *g, double step,
                      double *lr, double *momentum) {
  const double rate[] = {g->initial_lr, g->max_lr, s->phases == 3 ? g->initial_lr : g->min_lr,
                         g->min_lr};
  const double moment[] = {g->max_momentum, g->base_momentum, g->max_momentum, g->max_momentum};
  double start = 0;
  int k = 0;
  for (; k < s->phases - 1 && step > s->end[k]; k++) start = s->end[k];
  double length = s->end[k] - start, part = length != 0 ? (step - start) / length : 1;
  *lr = anneal(s, rate[k], rate[k + 1], part);
  if (s->cycle_momentum) *momentum = anneal(s, moment[k], moment[k + 1], part);
}

/* gamma to the number of milestones reached. */
static double steps_down(const struct pt_schedule *s, double step) {
  double factor = 1;
  for (int64_t k = 0; k < s->milestones; k++)
    if (step >= s->milestone[k]) factor *= s->gamma;
  return factor;
}

/* As Pointcept counts: milestones behind one that is not reached yet do not count. */
static double warmed_up(const struct pt_schedule *s, double step) {
  double factor = 1, total = (double)s->total;
  for (int64_t k = 0; k < s->milestones && step >= s->milestone[k]; k++) factor *= s->gamma;
  if (s->warmup_rate > 0 && step <= s->warmup_rate * total)
    factor *= 1 - (1 - step / s->warmup_rate / total) * (1 - s->warmup_scale);
  return factor;
}

void pt_schedule_at(const struct pt_schedule *s, const struct pt_optim_group *group,
                    int64_t step, double *lr, double *momentum) {
  double t = (double)step, total = (double)s->total, base = group->initial_lr;
  switch (s->kind) {
    case PT_SCHEDULE_CONSTANT: *lr = base; return;
    case PT_SCHEDULE_ONE_CYCLE: one_cycle(s, group, t, lr, momentum); return;
    case PT_SCHEDULE_COSINE:
      *lr = s->eta_min + (base - s->eta_min) * (1 + cos(PI * t / total)) / 2;
      return;
    case PT_SCHEDULE_MULTI_STEP: *lr = base * steps_down(s, t); return;
    case PT_SCHEDULE_WARMUP: *lr = base * warmed_up(s, t); return;
    case PT_SCHEDULE_POLY: *lr = base * pow(1 - t / (total + 1), s->power); return;
    case PT_SCHEDULE_EXP: *lr = base * pow(s->gamma, t / total); return;
  }
}

int pt_schedule_apply(const struct pt_schedule *s, int64_t step, struct pt_optim *o,
                      struct ptv3_error *err) {
  if (step < 0 || (s->kind == PT_SCHEDULE_ONE_CYCLE && step > s->total))
    return pt_fail(err, PTV3_INVALID,
                   "step %lld of a OneCycleLR of %lld: the schedule ends there; start a new "
                   "training from the weights to train longer",
                   (long long)step, (long long)s->total);
  for (int32_t k = 0; k < o->groups; k++) {
    struct pt_optim_group *g = &o->group[k];
    bool sgd = o->kind == PT_OPTIM_SGD;
    pt_schedule_at(s, g, step, &g->lr, sgd ? &g->momentum : &g->beta1);
  }
  return PTV3_OK;
}

/* ---- the configuration ---- */

/* A number for all groups or a list with one for each, each in lo .. hi. */
static int per_group(const struct pt_value *cfg, const char *key, double def, double hi,
                     struct pt_optim *o, size_t member, struct ptv3_error *err) {
  const struct pt_value *v = pt_get(cfg, key);
  if (pt_is_seq(v) && v->n != o->groups)
    return pt_fail_value(err, v,
                         "%lld numbers, but there are %d parameter groups: one without keyword "
                         "and those of param_dicts",
                         (long long)v->n, (int)o->groups);
  for (int32_t k = 0; k < o->groups; k++) {
    double x = def;
    const struct pt_value *one = pt_is_seq(v) ? pt_item(v, k) : v;
    int status = pt_is_none(one) ? PTV3_OK : pt_as_double(one, &x, err);
    if (status) return status;
    if (!(x >= 0 && x <= hi)) return pt_fail_value(err, one, "%g; out of range", x);
    memcpy((char *)&o->group[k] + member, &x, sizeof x);
  }
  return PTV3_OK;
}
#define MEMBER(m) offsetof(struct pt_optim_group, m)

static void set_phases(struct pt_schedule *s, double pct_start, bool three) {
  double n = (double)s->total;
  s->phases = three ? 3 : 2;
  s->end[0] = pct_start * n - 1;
  s->end[1] = three ? 2 * pct_start * n - 2 : n - 1;
  s->end[2] = n - 1;
}

/* A positive factor to divide by. */
static int divisor(const struct pt_value *cfg, const char *key, double def, double *out,
                   struct ptv3_error *err) {
  int status = pt_get_least(cfg, key, def, 0, out, err);
  if (!status && *out == 0) return pt_fail_value(err, pt_get(cfg, key), "0 cannot divide");
  return status;
}

static int read_anneal(struct pt_schedule *s, const struct pt_value *cfg,
                       struct ptv3_error *err) {
  const char *name;
  int status = pt_get_str(cfg, "anneal_strategy", "cos", &name, err);
  if (status) return status;
  s->linear = strcmp(name, "linear") == 0;
  if (s->linear || strcmp(name, "cos") == 0) return PTV3_OK;
  return pt_fail_value(err, pt_get(cfg, "anneal_strategy"), "'%.40s'; 'cos' or 'linear'", name);
}

static int read_momentum(struct pt_schedule *s, const struct pt_value *cfg, struct pt_optim *o,
                         struct ptv3_error *err) {
  double most = o->kind == PT_OPTIM_SGD ? HUGE_VAL : 1 - 0x1p-53; /* beta1 is below 1 */
  int status = pt_get_bool(cfg, "cycle_momentum", true, &s->cycle_momentum, err);
  if (status) return status;
  pt_ignore(cfg, "base_momentum");
  pt_ignore(cfg, "max_momentum");
  if (!s->cycle_momentum) return PTV3_OK;
  status = per_group(cfg, "base_momentum", 0.85, most, o, MEMBER(base_momentum), err);
  if (!status)
    status = per_group(cfg, "max_momentum", 0.95, most, o, MEMBER(max_momentum), err);
  return status;
}

static int read_one_cycle(struct pt_schedule *s, const struct pt_value *cfg, struct pt_optim *o,
                          struct ptv3_error *err) {
  double pct_start, div, final_div;
  bool three;
  int status = pt_need(cfg, "max_lr", err) ? PTV3_OK : PTV3_CONFIG;
  if (!status) status = per_group(cfg, "max_lr", 0, 1e30, o, MEMBER(max_lr), err);
  if (!status) status = pt_get_double(cfg, "pct_start", 0.3, &pct_start, err);
  if (!status) status = read_anneal(s, cfg, err);
  if (!status) status = divisor(cfg, "div_factor", 25, &div, err);
  if (!status) status = divisor(cfg, "final_div_factor", 1e4, &final_div, err);
  if (!status) status = pt_get_bool(cfg, "three_phase", false, &three, err);
  if (!status) status = read_momentum(s, cfg, o, err);
  if (status) return status;
  if (!(pct_start >= 0 && pct_start <= 1))
    return pt_fail_value(err, pt_get(cfg, "pct_start"), "%g; a number from 0 to 1 is wanted",
                         pct_start);
  if (s->total < 1) return pt_fail_value(err, cfg, "a training of no steps");
  set_phases(s, pct_start, three);
  for (int32_t k = 0; k < o->groups; k++) {
    o->group[k].initial_lr = o->group[k].max_lr / div;
    o->group[k].min_lr = o->group[k].initial_lr / final_div;
  }
  return PTV3_OK;
}

/* Parts of the training into steps; MultiStepLR rounds them down. */
static int read_milestones(struct pt_schedule *s, const struct pt_value *cfg,
                           struct ptv3_error *err) {
  if (!pt_need_list(cfg, "milestones", err)) return PTV3_CONFIG;
  int status = pt_get_doubles(cfg, "milestones", 0, PT_SCHEDULE_MILESTONES, s->milestone,
                              &s->milestones, err);
  if (!status) status = pt_get_least(cfg, "gamma", 0.1, 0, &s->gamma, err);
  for (int64_t k = 0; k < s->milestones && !status; k++) {
    double *m = &s->milestone[k];
    if (!(*m >= 0 && isfinite(*m)))
      return pt_fail_value(err, pt_get(cfg, "milestones"),
                           "%g; parts of the training are wanted", *m);
    *m *= (double)s->total;
    if (s->kind == PT_SCHEDULE_MULTI_STEP) *m = trunc(*m);
  }
  return status;
}

static int read_rest(struct pt_schedule *s, const struct pt_value *cfg,
                     struct ptv3_error *err) {
  int status = PTV3_OK;
  if (s->kind == PT_SCHEDULE_COSINE)
    return pt_get_least(cfg, "eta_min", 0, 0, &s->eta_min, err);
  if (s->kind == PT_SCHEDULE_POLY) return pt_get_least(cfg, "power", 0.9, 0, &s->power, err);
  if (s->kind == PT_SCHEDULE_EXP) return pt_get_least(cfg, "gamma", 0.9, 0, &s->gamma, err);
  status = read_milestones(s, cfg, err);
  if (status || s->kind == PT_SCHEDULE_MULTI_STEP) return status;
  status = pt_get_least(cfg, "warmup_rate", 0.05, 0, &s->warmup_rate, err);
  if (!status) status = pt_get_least(cfg, "warmup_scale", 1e-6, 0, &s->warmup_scale, err);
  return status;
}

static int read_kind(struct pt_schedule *s, const struct pt_value *cfg,
                     struct ptv3_error *err) {
  const char *name;
  int64_t last;
  if (!pt_is_dict(cfg)) return pt_fail_value(err, cfg, "a dict with a 'type' is wanted");
  int status = pt_need_str(cfg, "type", &name, err);
  if (status) return status;
  int t = 1;
  while (t < TYPES && strcmp(types[t].type, name) != 0) t++;
  if (t == TYPES)
    return pt_fail_value(err, pt_get(cfg, "type"),
                         "'%.60s': not a schedule here; OneCycleLR, CosineAnnealingLR, "
                         "MultiStepLR, MultiStepWithWarmupLR, PolyLR and ExpLR are",
                         name);
  s->kind = (enum pt_schedule_kind)t;
  status = pt_check_keys(cfg, types[t].type, types[t].keys, err);
  if (!status) status = pt_get_int(cfg, "last_epoch", -1, &last, err);
  if (!status && last != -1)
    return pt_fail_value(err, pt_get(cfg, "last_epoch"),
                         "a schedule starts at its beginning, or where a checkpoint ended");
  pt_ignore(cfg, "total_steps"); /* follows from the data, as in Pointcept's trainer */
  return status;
}

int pt_schedule_init(struct pt_schedule *s, const struct pt_value *scheduler, int64_t total,
                     struct pt_optim *o, struct ptv3_error *err) {
  *s = (struct pt_schedule){.total = total};
  for (int32_t k = 0; k < o->groups; k++) o->group[k].initial_lr = o->group[k].lr;
  if (pt_is_none(scheduler)) return PTV3_OK;
  int status = read_kind(s, scheduler, err);
  if (status) return status;
  status = s->kind == PT_SCHEDULE_ONE_CYCLE ? read_one_cycle(s, scheduler, o, err)
                                            : read_rest(s, scheduler, err);
  if (!status && total < 1) return pt_fail_value(err, scheduler, "a training of no steps");
  return status ? status : pt_schedule_apply(s, 0, o, err);
}
