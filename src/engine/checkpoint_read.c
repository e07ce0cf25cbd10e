/* checkpoint_read.c - reading; see checkpoint.h. Everything is checked and kept apart before
 * anything that the caller has is changed. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "number.h"
#include "size.h"

/* A part of the file: tensors, and texts by key. */
struct part {
  struct pt_tensors t;
  const struct pt_extra **by_key; /* [t.extras], sorted */
  bool open;
};

struct reading {
  struct pt_checkpoint *c;
  struct pt_env *env;
  const char *path;
  struct part weights, optimizer, scheduler, scaler;
  struct pt_optim_group *group;  /* [groups], as the file has them */
  const struct pt_tensor **slot; /* [params, 4]: step, exp_avg, exp_avg_sq, max_exp_avg_sq */
  int64_t *step;                 /* [params] */
  struct pt_schedule schedule;
  int64_t last_epoch;
  struct pt_scaler scale;
  int warnings;
  struct ptv3_error *err;
};

/* ---- parts ---- */

static int by_key(const void *a, const void *b) {
  return strcmp((*(const struct pt_extra *const *)a)->key,
                (*(const struct pt_extra *const *)b)->key);
}

static int open_part(struct reading *r, struct part *p, const char *key) {
  struct ptv3_error e = {0};
  int status = pt_tensors_open_part(&p->t, &r->env->mem, r->path, key, &e);
  p->open = !status;
  if (!status) {
    p->by_key = pt_alloc(&r->env->mem, p->t.extras, sizeof *p->by_key, PT_MEM_OTHER, &e);
    for (int64_t i = 0; p->by_key && i < p->t.extras; i++) p->by_key[i] = &p->t.extra[i];
    if (p->by_key) qsort(p->by_key, (size_t)p->t.extras, sizeof *p->by_key, by_key);
  }
  if (r->err && e.status) *r->err = e;
  return e.status;
}

static void close_part(struct reading *r, struct part *p) {
  pt_free(&r->env->mem, p->by_key);
  if (p->open) pt_tensors_free(&p->t);
}

static const char *text_of(const struct part *p, const char *key) {
  const struct pt_extra want = {key, NULL}, *at = &want;
  const struct pt_extra **found =
      bsearch(&at, p->by_key, (size_t)p->t.extras, sizeof *p->by_key, by_key);
  return found ? (*found)->text : NULL;
}

/* A number, a truth value (0 or 1), or a tensor of one number; false if it is none. */
static bool number_of(const struct part *p, const char *key, double *out) {
  const char *s = text_of(p, key), *end;
  const struct pt_tensor *t = s ? NULL : pt_tensors_find(&p->t, key);
  if (t && t->count == 1) {
    *out = pt_load(t->data, t->type, 0);
    return true;
  }
  if (!s) return false;
  if (strcmp(s, "True") == 0 || strcmp(s, "False") == 0) {
    *out = s[0] == 'T';
    return true;
  }
  end = pt_number(s, s + strlen(s), out);
  return end && !*end;
}

/* A whole number from 0 to 2^53. */
static bool count_of(const struct part *p, const char *key, int64_t *out) {
  double x;
  if (!number_of(p, key, &x) || !(x >= 0 && x <= 0x1p53) || x != floor(x)) return false;
  *out = (int64_t)x;
  return true;
}

/* ---- weights ---- */

static int check_shape(struct reading *r, const struct pt_tensor *t, const char *what,
                       const struct pt_checkpoint_tensor *x) {
  struct pt_tensor want = {.ndim = x->ndim};
  char a[192], b[192];
  memcpy(want.shape, x->shape, sizeof want.shape);
  bool same = t->ndim == x->ndim;
  for (int d = 0; d < x->ndim && same; d++) same = t->shape[d] == x->shape[d];
  if (same) return PTV3_OK;
  return pt_fail(r->err, PTV3_MISMATCH,
                 "'%s': %s%s is %.120s, the configured network has %.120s; resume with the "
                 "configuration of that training",
                 r->path, what, x->name, pt_shape_text(t, a), pt_shape_text(&want, b));
}

static int check_weights(struct reading *r) {
  int64_t found = 0;
  for (int64_t i = 0; i < r->c->tensors; i++) {
    const struct pt_tensor *t = pt_tensors_find(&r->weights.t, r->c->tensor[i].name);
    if (!t)
      return pt_fail(r->err, PTV3_MISMATCH,
                     "'%s' has no '%s'; resume with the configuration of that training",
                     r->path, r->c->tensor[i].name);
    int status = check_shape(r, t, "", &r->c->tensor[i]);
    if (status) return status;
    found++;
  }
  if (r->weights.t.count > found)
    pt_warn(r->env, "'%s': %lld tensors that the configured network does not have are left out",
            r->path, (long long)(r->weights.t.count - found));
  if (!r->weights.t.has_epoch || r->weights.t.epoch < 0)
    return pt_fail(r->err, PTV3_DATA, "'%s' does not say its 'epoch'; use it as `weight`",
                   r->path);
  return PTV3_OK;
}

/* ---- groups ---- */

enum need { ALWAYS, OF_ADAM, OF_SGD, OF_CYCLE, OF_MOMENTUM, IF_THERE };

#define MEMBER(m) offsetof(struct pt_optim_group, m)
static const struct {
  const char *key;
  size_t member;
  enum need need;
  bool below_one; /* else 0 to infinity */
  bool told;      /* a difference from the configuration is worth a warning */
} numbers[] = {
    {"lr", MEMBER(lr), ALWAYS, false, false},
    {"weight_decay", MEMBER(weight_decay), ALWAYS, false, true},
    {"betas.0", MEMBER(beta1), OF_ADAM, true, false},
    {"betas.1", MEMBER(beta2), OF_ADAM, true, true},
    {"eps", MEMBER(eps), OF_ADAM, false, true},
    {"momentum", MEMBER(momentum), OF_SGD, false, false},
    {"dampening", MEMBER(dampening), OF_SGD, false, true},
    {"initial_lr", MEMBER(initial_lr), IF_THERE, false, true},
    {"max_lr", MEMBER(max_lr), OF_CYCLE, false, true},
    {"min_lr", MEMBER(min_lr), OF_CYCLE, false, true},
    {"max_momentum", MEMBER(max_momentum), OF_MOMENTUM, false, true},
    {"base_momentum", MEMBER(base_momentum), OF_MOMENTUM, false, true},
};
#define NUMBERS (sizeof numbers / sizeof *numbers)

static bool has_use(const struct reading *r, enum need need) {
  const struct pt_schedule *s = &r->schedule;
  switch (need) {
    case OF_ADAM: return r->c->optim->kind != PT_OPTIM_SGD;
    case OF_SGD: return r->c->optim->kind == PT_OPTIM_SGD;
    case OF_CYCLE: return s->kind == PT_SCHEDULE_ONE_CYCLE;
    case OF_MOMENTUM: return s->kind == PT_SCHEDULE_ONE_CYCLE && s->cycle_momentum;
    default: return true;
  }
}

/* Tells once that the file's numbers count. */
static void tell(struct reading *r, const char *key, double file, double config) {
  if (r->warnings++) return;
  pt_warn(
      r->env,
      "'%s' was trained with %s %g, the configuration says %g: a resumed training keeps the "
      "numbers of its checkpoint",
      r->path, key, file, config);
}

static int read_number(struct reading *r, int32_t group, size_t k) {
  char key[64];
  double x, *slot = (double *)(void *)((char *)&r->group[group] + numbers[k].member);
  if (!has_use(r, numbers[k].need)) return PTV3_OK;
  snprintf(key, sizeof key, "param_groups.%d.%s", (int)group, numbers[k].key);
  if (!number_of(&r->optimizer, key, &x)) {
    if (numbers[k].need == IF_THERE) return PTV3_OK;
    return pt_fail(r->err, PTV3_MISMATCH,
                   "'%s': its optimizer has no '%s', so it is not that of %s%s", r->path, key,
                   pt_optim_kind_text(r->c->optim->kind),
                   numbers[k].need >= OF_CYCLE ? " with a OneCycleLR" : "");
  }
  if (!(x >= 0 && isfinite(x)) || (numbers[k].below_one && x >= 1))
    return pt_fail(r->err, PTV3_FORMAT, "'%s': '%s' of its optimizer is %g", r->path, key, x);
  if (numbers[k].told && fabs(x - *slot) > 1e-9 * fabs(x)) tell(r, key + 13, x, *slot);
  *slot = x;
  return PTV3_OK;
}

static int read_flag(struct reading *r, int32_t group, const char *name, bool *flag) {
  char key[64];
  double x;
  snprintf(key, sizeof key, "param_groups.%d.%s", (int)group, name);
  if (number_of(&r->optimizer, key, &x)) *flag = x != 0;
  return PTV3_OK;
}

static int read_group(struct reading *r, int32_t group) {
  struct pt_optim_group *g = &r->group[group];
  bool amsgrad = g->amsgrad;
  int status = PTV3_OK;
  for (size_t k = 0; k < NUMBERS && !status; k++) status = read_number(r, group, k);
  if (status) return status;
  read_flag(r, group, "nesterov", &g->nesterov);
  read_flag(r, group, "maximize", &g->maximize);
  read_flag(r, group, "amsgrad", &g->amsgrad);
  if (amsgrad != g->amsgrad)
    return pt_fail(r->err, PTV3_MISMATCH,
                   "'%s' was trained with amsgrad=%s; configure the same", r->path,
                   g->amsgrad ? "True" : "False");
  if (has_use(r, OF_SGD) && g->momentum != 0 &&
      pt_optim_state_bytes(r->c->optim, group, 1) == 0)
    return pt_fail(r->err, PTV3_MISMATCH,
                   "'%s' was trained with a momentum; configure the same", r->path);
  return PTV3_OK;
}

static int read_groups(struct reading *r) {
  char key[64];
  double x;
  struct pt_optim *o = r->c->optim;
  for (int32_t g = 0; g < o->groups; g++) r->group[g] = o->group[g];
  snprintf(key, sizeof key, "param_groups.%d.lr", (int)o->groups);
  bool more = number_of(&r->optimizer, key, &x);
  snprintf(key, sizeof key, "param_groups.%d.lr", (int)o->groups - 1);
  if (more || !number_of(&r->optimizer, key, &x))
    return pt_fail(r->err, PTV3_MISMATCH,
                   "'%s': its optimizer does not have %d parameter groups as the configuration "
                   "has; resume with its param_dicts",
                   r->path, (int)o->groups);
  int status = PTV3_OK;
  for (int32_t g = 0; g < o->groups && !status; g++) status = read_group(r, g);
  return status;
}

/* ---- state ---- */

static const struct pt_checkpoint_tensor *tensor_named(const struct pt_checkpoint *c,
                                                       const char *name) {
  for (int64_t i = 0; i < c->tensors; i++)
    if (strcmp(c->tensor[i].name, name) == 0) return &c->tensor[i];
  return NULL;
}

/* Array k of parameter i, which the file keeps under the number id. */
static int find_moment(struct reading *r, int64_t i, int64_t id, int k, const char *name) {
  char key[80], what[120];
  const struct pt_optim_param *p = &r->c->optim->param[i];
  snprintf(key, sizeof key, "state.%lld.%s", (long long)id, name);
  const struct pt_tensor *t = pt_tensors_find(&r->optimizer.t, key);
  if (!t) return PTV3_OK;
  const struct pt_checkpoint_tensor *x = tensor_named(r->c, p->ref.name);
  if (!x)
    return pt_fail(r->err, PTV3_INVALID, "parameter '%s' is not among the checkpoint's tensors",
                   p->ref.name);
  snprintf(what, sizeof what, "%s of ", key);
  r->slot[4 * i + k] = t;
  return check_shape(r, t, what, x);
}

static int read_adam_state(struct reading *r, int64_t i, int64_t id) {
  const struct pt_optim_param *p = &r->c->optim->param[i];
  char key[64];
  int status = find_moment(r, i, id, 1, "exp_avg");
  if (!status) status = find_moment(r, i, id, 2, "exp_avg_sq");
  if (!status) status = find_moment(r, i, id, 3, "max_exp_avg_sq");
  if (status) return status;
  const struct pt_tensor **slot = r->slot + 4 * i;
  snprintf(key, sizeof key, "state.%lld.step", (long long)id);
  bool steps = count_of(&r->optimizer, key, &r->step[i]);
  if (!steps && !slot[1] && !slot[2]) return PTV3_OK; /* no step was taken yet */
  if (!steps || !slot[1] || !slot[2] || (p->max_exp_avg_sq && !slot[3]))
    return pt_fail(
        r->err, PTV3_FORMAT,
        "'%s': the optimizer's state of '%s' lacks one of step, exp_avg, exp_avg_sq%s", r->path,
        p->ref.name, p->max_exp_avg_sq ? ", max_exp_avg_sq" : "");
  return PTV3_OK;
}

static int read_param_state(struct reading *r, int64_t i, int64_t id) {
  if (r->c->optim->kind != PT_OPTIM_SGD) return read_adam_state(r, i, id);
  int status = find_moment(r, i, id, 1, "momentum_buffer");
  r->step[i] = r->slot[4 * i + 1] ? pt_max(r->last_epoch, 1) : 0;
  return status;
}

/* The number of the k-th parameter of a group. */
static bool param_id(const struct reading *r, int32_t group, int64_t k, int64_t *id) {
  char key[64];
  snprintf(key, sizeof key, "param_groups.%d.params.%lld", (int)group, (long long)k);
  return k >= 0 && count_of(&r->optimizer, key, id);
}

static int read_group_state(struct reading *r, int32_t group) {
  struct pt_optim *o = r->c->optim;
  int64_t count = o->group[group].params, k = 0, id;
  if ((count && !param_id(r, group, count - 1, &id)) || param_id(r, group, count, &id))
    return pt_fail(r->err, PTV3_MISMATCH,
                   "'%s': group %d of its optimizer does not have %lld parameters as the "
                   "configuration gives; resume with its model and param_dicts",
                   r->path, (int)group, (long long)count);
  for (int64_t i = 0; i < o->params; i++) {
    if (o->param[i].group != group) continue;
    if (!param_id(r, group, k, &id))
      return pt_fail(r->err, PTV3_FORMAT, "'%s': parameter %lld of group %d has no number",
                     r->path, (long long)k, (int)group);
    int status = read_param_state(r, i, id);
    if (status) return status;
    k++;
  }
  return PTV3_OK;
}

/* ---- schedule ---- */

static int not_this_schedule(struct reading *r, const char *key) {
  return pt_fail(r->err, PTV3_MISMATCH,
                 "'%s': its scheduler has no usable '%s', so it is not a %s", r->path, key,
                 pt_schedule_kind_text(r->schedule.kind));
}

static int read_one_cycle(struct reading *r) {
  struct pt_schedule *s = &r->schedule;
  const struct part *p = &r->scheduler;
  char key[64];
  double x;
  s->phases = 0;
  for (; s->phases < 3; s->phases++) {
    snprintf(key, sizeof key, "_schedule_phases.%d.end_step", s->phases);
    if (!number_of(p, key, &s->end[s->phases])) break;
    if (!(fabs(s->end[s->phases]) < 0x1p53)) return not_this_schedule(r, key);
  }
  if (s->phases < 2) return not_this_schedule(r, key);
  if (!count_of(p, "total_steps", &s->total) || !s->total)
    return not_this_schedule(r, "total_steps");
  const char *anneal = text_of(p, "_anneal_func_type"); /* since torch 2.1 */
  if (anneal) s->linear = strcmp(anneal, "'linear'") == 0;
  if (number_of(p, "cycle_momentum", &x)) s->cycle_momentum = x != 0;
  return PTV3_OK;
}

static int read_cosine(struct reading *r) {
  struct pt_schedule *s = &r->schedule;
  if (!count_of(&r->scheduler, "T_max", &s->total) || !s->total)
    return not_this_schedule(r, "T_max");
  if (!number_of(&r->scheduler, "eta_min", &s->eta_min) || !isfinite(s->eta_min))
    return not_this_schedule(r, "eta_min");
  return PTV3_OK;
}

static int read_schedule(struct reading *r) {
  struct pt_schedule *s = &r->schedule;
  int status = PTV3_OK;
  *s = *r->c->schedule;
  if (s->kind == PT_SCHEDULE_ONE_CYCLE) status = read_one_cycle(r);
  if (s->kind == PT_SCHEDULE_COSINE) status = read_cosine(r);
  if (status) return status;
  if (s->kind == PT_SCHEDULE_MULTI_STEP &&
      (!number_of(&r->scheduler, "gamma", &s->gamma) || !isfinite(s->gamma)))
    return not_this_schedule(r, "gamma");
  if (!count_of(&r->scheduler, "last_epoch", &r->last_epoch) ||
      (s->kind == PT_SCHEDULE_ONE_CYCLE && r->last_epoch > s->total))
    return not_this_schedule(r, "last_epoch");
  if (s->total != r->c->schedule->total)
    tell(r, "a schedule of so many steps:", (double)s->total, (double)r->c->schedule->total);
  return PTV3_OK;
}

/* ---- scaler ---- */

static int bad_scaler(struct reading *r, const char *key) {
  return pt_fail(r->err, PTV3_FORMAT, "'%s': its scaler has no usable '%s'", r->path, key);
}

/* Where this training has one and the file too. */
static int read_scaler(struct reading *r) {
  struct pt_scaler *s = &r->scale;
  const struct {
    const char *key;
    double *to;
  } factor[] = {{"scale", &s->scale},
                {"growth_factor", &s->growth_factor},
                {"backoff_factor", &s->backoff_factor}};
  *s = r->c->scaler;
  if (!s->on) return PTV3_OK;
  const int status = open_part(r, &r->scaler, "scaler");
  if (status == PTV3_DATA) { /* a file without one */
    if (r->err) *r->err = (struct ptv3_error){0};
    return PTV3_OK;
  }
  if (status || (!text_of(&r->scaler, "scale") && !pt_tensors_find(&r->scaler.t, "scale")))
    return status; /* None, or the empty one of a GradScaler that is not enabled */
  for (size_t k = 0; k < sizeof factor / sizeof *factor; k++)
    if (!number_of(&r->scaler, factor[k].key, factor[k].to) ||
        !(*factor[k].to > 0 && isfinite(*factor[k].to)))
      return bad_scaler(r, factor[k].key);
  if (!count_of(&r->scaler, "growth_interval", &s->growth_interval))
    return bad_scaler(r, "growth_interval");
  if (!count_of(&r->scaler, "_growth_tracker", &s->growth_tracker))
    return bad_scaler(r, "_growth_tracker");
  return PTV3_OK;
}

/* ---- taking it over ---- */

static void take_state(struct reading *r) {
  struct pt_optim *o = r->c->optim;
  for (int64_t i = 0; i < o->params; i++) {
    struct pt_optim_param *p = &o->param[i];
    float *to[] = {p->exp_avg, p->exp_avg_sq, p->max_exp_avg_sq};
    p->step = r->step[i];
    for (int k = 0; k < 3; k++) {
      const struct pt_tensor *t = r->slot[4 * i + 1 + k];
      if (to[k] && t)
        pt_tensor_copy_f32(t, to[k]);
      else if (to[k])
        memset(to[k], 0, sizeof(float) * (size_t)p->ref.n);
    }
  }
}

static void take_over(struct reading *r) {
  struct pt_checkpoint *c = r->c;
  for (int64_t i = 0; i < c->tensors; i++)
    pt_tensor_copy(pt_tensors_find(&r->weights.t, c->tensor[i].name), c->tensor[i].type,
                   c->tensor[i].data);
  take_state(r);
  for (int32_t g = 0; g < c->optim->groups; g++) c->optim->group[g] = r->group[g];
  *c->schedule = r->schedule;
  c->scaler = r->scale;
  c->epoch = r->weights.t.epoch;
  c->step = r->last_epoch;
  c->best = r->weights.t.has_best ? r->weights.t.best : -INFINITY;
  pt_schedule_apply(c->schedule, c->step, c->optim, NULL);
}

static int read_all(struct reading *r) {
  struct pt_mem *mem = &r->env->mem;
  struct pt_optim *o = r->c->optim;
  struct ptv3_error e = {0};
  int status = open_part(r, &r->weights, NULL);
  if (!status) status = open_part(r, &r->optimizer, "optimizer");
  if (!status) status = open_part(r, &r->scheduler, "scheduler");
  if (status == PTV3_DATA)
    return pt_prefix(r->err,
                     "a training cannot be resumed from weights alone; use them as `weight`");
  if (status) return status;
  r->group = pt_alloc(mem, o->groups, sizeof *r->group, PT_MEM_OTHER, &e);
  r->slot = pt_zalloc(mem, o->params, 4 * sizeof *r->slot, PT_MEM_OTHER, &e);
  r->step = pt_zalloc(mem, o->params, sizeof *r->step, PT_MEM_OTHER, &e);
  if (!r->group || !r->slot || !r->step) {
    if (r->err) *r->err = e;
    return e.status;
  }
  status = check_weights(r);
  if (!status) status = read_schedule(r);
  if (!status) status = read_scaler(r);
  if (!status) status = read_groups(r);
  for (int32_t g = 0; g < o->groups && !status; g++) status = read_group_state(r, g);
  return status;
}

int pt_checkpoint_read(struct pt_checkpoint *c, struct pt_notes *notes, struct pt_env *env,
                       const char *path, struct ptv3_error *err) {
  struct reading r = {.c = c, .env = env, .path = path, .err = err};
  struct ptv3_error e = {0};
  if (notes) *notes = (struct pt_notes){0};
  int status = read_all(&r);
  if (!status && notes && pt_tensors_open_part(&notes->part, &env->mem, path, "ptv3", &e) &&
      e.status != PTV3_DATA) {
    if (err) *err = e;
    status = e.status;
  }
  if (!status) take_over(&r);
  pt_free(&env->mem, r.group);
  pt_free(&env->mem, r.slot);
  pt_free(&env->mem, r.step);
  close_part(&r, &r.weights);
  close_part(&r, &r.optimizer);
  close_part(&r, &r.scheduler);
  close_part(&r, &r.scaler);
  return status;
}

/* ---- notes ---- */

int64_t pt_notes_number(const struct pt_notes *n, const char *key, int64_t def) {
  const char *s = pt_tensors_extra(&n->part, key);
  int64_t v;
  if (!s || !*s || *s == '\'') return def;
  const char *end = s + strlen(s);
  return pt_number_store(s, end, &v, PT_I64, 0) == end ? v : def;
}

const char *pt_notes_text(const struct pt_notes *n, const char *key, char buf[static 100],
                          const char *def) {
  const char *s = pt_tensors_extra(&n->part, key);
  size_t length = s ? strlen(s) : 0;
  if (length < 2 || s[0] != '\'' || s[length - 1] != '\'' || length - 2 >= 100) return def;
  memcpy(buf, s + 1, length - 2);
  buf[length - 2] = 0;
  return buf;
}

void pt_notes_free(struct pt_notes *n) {
  if (n->part.mem) pt_tensors_free(&n->part);
  *n = (struct pt_notes){0};
}
