/* optim_config.c - `optimizer` and `param_dicts` of a config; see optim.h. Names and defaults
 * are those of torch.optim's constructors. */
#include <math.h>
#include <string.h>

#include "config_keys.h"
#include "optim.h"

static const struct {
  const char *type;
  enum pt_optim_kind kind;
  double weight_decay; /* unless given */
  const char *keys;
} types[] = {
    {"AdamW", PT_OPTIM_ADAMW, 0.01,
     "type lr betas eps weight_decay amsgrad maximize foreach fused capturable "
     "differentiable "},
    {"Adam", PT_OPTIM_ADAM, 0,
     "type lr betas eps weight_decay amsgrad maximize foreach fused capturable differentiable "
     "decoupled_weight_decay "},
    {"SGD", PT_OPTIM_SGD, 0,
     "type lr momentum dampening weight_decay nesterov maximize foreach fused differentiable "},
};
#define TYPES (int)(sizeof types / sizeof *types)

static int type_of(const struct pt_value *cfg, struct ptv3_error *err) {
  const char *name;
  if (pt_need_str(cfg, "type", &name, err)) return -1;
  for (int t = 0; t < TYPES; t++)
    if (strcmp(types[t].type, name) == 0) return t;
  pt_fail_value(err, pt_get(cfg, "type"),
                "'%.60s': not an optimiser here; AdamW, Adam and SGD are", name);
  return -1;
}

/* How PyTorch is to compute it: has no meaning here, but a wrong type is an error. */
static int read_ways(const struct pt_value *cfg, struct ptv3_error *err) {
  static const char *const way[] = {"foreach", "fused", "capturable"};
  bool b;
  int status = PTV3_OK;
  for (int k = 0; k < 3 && !status; k++) status = pt_get_bool(cfg, way[k], false, &b, err);
  if (!status) status = pt_get_bool(cfg, "differentiable", false, &b, err);
  if (!status && b)
    return pt_fail_value(err, pt_get(cfg, "differentiable"),
                         "gradients through the optimiser are not computed; leave it out");
  return status;
}

static int read_adam(const struct pt_value *cfg, struct pt_optim *o, struct pt_optim_group *g,
                     struct ptv3_error *err) {
  double beta[2] = {0.9, 0.999};
  int64_t n;
  bool decoupled = false;
  int status = pt_get_doubles(cfg, "betas", 2, 2, beta, &n, err);
  if (!status) status = pt_get_least(cfg, "eps", 1e-8, 0, &g->eps, err);
  if (!status) status = pt_get_bool(cfg, "amsgrad", false, &g->amsgrad, err);
  if (!status) status = pt_get_bool(cfg, "decoupled_weight_decay", false, &decoupled, err);
  if (status) return status;
  if (decoupled) o->kind = PT_OPTIM_ADAMW;
  g->beta1 = beta[0], g->beta2 = beta[1];
  for (int k = 0; k < 2; k++)
    if (!(beta[k] >= 0 && beta[k] < 1))
      return pt_fail_value(err, pt_get(cfg, "betas"), "%g; betas lie in 0 <= beta < 1",
                           beta[k]);
  return PTV3_OK;
}

static int read_sgd(const struct pt_value *cfg, struct pt_optim_group *g,
                    struct ptv3_error *err) {
  int status = pt_get_least(cfg, "momentum", 0, 0, &g->momentum, err);
  if (!status) status = pt_get_double(cfg, "dampening", 0, &g->dampening, err);
  if (!status) status = pt_get_bool(cfg, "nesterov", false, &g->nesterov, err);
  if (status) return status;
  if (!isfinite(g->dampening))
    return pt_fail_value(err, pt_get(cfg, "dampening"), "not a finite number");
  if (g->nesterov && (g->momentum <= 0 || g->dampening != 0))
    return pt_fail_value(err, pt_get(cfg, "nesterov"),
                         "wants a momentum above 0 and a dampening of 0");
  return PTV3_OK;
}

/* The numbers of group 0, which the other groups start from. */
static int read_defaults(const struct pt_value *cfg, int type, struct pt_optim *o,
                         struct pt_optim_group *g, struct ptv3_error *err) {
  int status = pt_check_keys(cfg, types[type].type, types[type].keys, err);
  if (!status) status = pt_get_least(cfg, "lr", 1e-3, 0, &g->lr, err);
  if (!status)
    status =
        pt_get_least(cfg, "weight_decay", types[type].weight_decay, 0, &g->weight_decay, err);
  if (!status) status = pt_get_bool(cfg, "maximize", false, &g->maximize, err);
  if (!status) status = read_ways(cfg, err);
  if (status) return status;
  o->kind = types[type].kind;
  return o->kind == PT_OPTIM_SGD ? read_sgd(cfg, g, err) : read_adam(cfg, o, g, err);
}

static int read_lr(const struct pt_value *dict, struct pt_optim_group *g,
                   struct ptv3_error *err) {
  double scale;
  bool both = !pt_is_none(pt_get(dict, "lr")) && !pt_is_none(pt_get(dict, "lr_scale"));
  if (both)
    return pt_fail_value(err, pt_get(dict, "lr_scale"), "give lr or lr_scale, not both");
  int status = pt_get_least(dict, "lr_scale", 1, 0, &scale, err);
  if (!status) status = pt_get_least(dict, "lr", g->lr * scale, 0, &g->lr, err);
  return status;
}

/* One of param_dicts into *g, which holds the defaults. */
static int read_group(struct pt_optim *o, struct pt_env *env, const struct pt_value *dict,
                      struct pt_optim_group *g, struct ptv3_error *err) {
  const char *keyword;
  g->keyword = NULL;
  if (!pt_is_dict(dict)) return pt_fail_value(err, dict, "a dict with a 'keyword' is wanted");
  int status = pt_check_keys(dict, "an item of param_dicts",
                             "keyword lr lr_scale weight_decay momentum force_adamw ", err);
  if (!status) status = pt_need_str(dict, "keyword", &keyword, err);
  if (!status) status = read_lr(dict, g, err);
  if (!status)
    status = pt_get_least(dict, "weight_decay", g->weight_decay, 0, &g->weight_decay, err);
  if (!status) status = pt_get_least(dict, "momentum", g->momentum, 0, &g->momentum, err);
  if (status) return status;
  pt_ignore(dict, "force_adamw"); /* of another optimiser, Muon */
  if (o->kind != PT_OPTIM_SGD && !pt_is_none(pt_get(dict, "momentum")))
    pt_warn(env, "param_dicts: 'momentum' of '%.80s' has no effect on %s", keyword,
            pt_optim_kind_text(o->kind));
  struct ptv3_error e = {0};
  g->keyword = pt_strdup(o->mem, keyword, &e);
  if (!g->keyword && err) *err = e;
  return e.status;
}

static int read_groups(struct pt_optim *o, struct pt_env *env, const struct pt_value *dicts,
                       const struct pt_optim_group *defaults, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  int64_t n = pt_len(dicts);
  if (!pt_is_none(dicts) && !pt_is_seq(dicts))
    return pt_fail_value(err, dicts, "a list of dicts is wanted");
  if (n > 10000) return pt_fail_value(err, dicts, "%lld groups", (long long)n);
  o->group = pt_zalloc(o->mem, n + 1, sizeof *o->group, PT_MEM_OPTIMISER, &e);
  if (!o->group) {
    if (err) *err = e;
    return e.status;
  }
  o->group[0] = *defaults;
  int status = PTV3_OK;
  for (o->groups = 1; o->groups <= n && !status; o->groups++) {
    o->group[o->groups] = *defaults;
    status = read_group(o, env, pt_item(dicts, o->groups - 1), &o->group[o->groups], err);
  }
  return status;
}

int pt_optim_parse(struct pt_optim *o, struct pt_env *env, const struct pt_value *optimizer,
                   const struct pt_value *param_dicts, struct ptv3_error *err) {
  struct pt_optim_group defaults = {0};
  *o = (struct pt_optim){.mem = &env->mem, .threads = env->threads};
  int status = PTV3_OK, type = 0;
  if (!pt_is_dict(optimizer))
    status = optimizer ? pt_fail_value(err, optimizer, "a dict with a 'type' is wanted")
                       : pt_fail(err, PTV3_CONFIG, "the config has no 'optimizer'");
  if (!status && (type = type_of(optimizer, err)) < 0) status = PTV3_CONFIG;
  if (!status) status = read_defaults(optimizer, type, o, &defaults, err);
  if (!status) status = read_groups(o, env, param_dicts, &defaults, err);
  for (int32_t g = 0; g < o->groups && !status; g++) o->group[g].initial_lr = o->group[g].lr;
  if (status) pt_optim_free(o);
  return status;
}
