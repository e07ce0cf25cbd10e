/* optim.c - see optim.h. */
#include "optim.h"

#include <math.h>
#include <string.h>

#include "size.h"

#define CHUNK 65536 /* elements; part of what a norm's bits are */

/* A run of elements of one parameter. */
struct pt_optim_chunk {
  int64_t param, first, n;
  double sum; /* of squares of the gradient, of the last pt_optim_norm */
};

const char *pt_optim_kind_text(enum pt_optim_kind kind) {
  static const char *const text[] = {"AdamW", "Adam", "SGD"};
  return text[kind];
}

int32_t pt_optim_group_of(const struct pt_optim *o, const char *name) {
  for (int32_t g = 1; g < o->groups; g++)
    if (strstr(name, o->group[g].keyword)) return g;
  return 0;
}

/* ---- state ---- */

/* Arrays of state an element of a group has. */
static int arrays_of(const struct pt_optim *o, int32_t group) {
  const struct pt_optim_group *g = &o->group[group];
  if (o->kind == PT_OPTIM_SGD) return g->momentum != 0 || g->max_momentum != 0;
  return g->amsgrad ? 3 : 2;
}

/* Arrays of state begin at whole cache lines. */
static int64_t padded(int64_t n) { return pt_round_up(n, 16); }

int64_t pt_optim_state_bytes(const struct pt_optim *o, int32_t group, int64_t n) {
  return arrays_of(o, group) * padded(n) * (int64_t)sizeof(float);
}

static int count_state(const struct pt_optim *o, const struct pt_param_ref *param,
                       int64_t count, int64_t *floats, int64_t *chunks,
                       struct ptv3_error *err) {
  *floats = *chunks = 0;
  for (int64_t i = 0; i < count; i++) {
    if (param[i].n < 0 || param[i].n > INT64_MAX / 64)
      return pt_fail(err, PTV3_INVALID, "parameter '%s': %lld elements", param[i].name,
                     (long long)param[i].n);
    if (!param[i].grad) continue;
    int64_t more = arrays_of(o, pt_optim_group_of(o, param[i].name)) * padded(param[i].n);
    if (!pt_add(*floats, more, floats)) return pt_fail(err, PTV3_BUDGET, "too many parameters");
    *chunks += pt_div_up(param[i].n, CHUNK);
  }
  return PTV3_OK;
}

static void place_param(struct pt_optim *o, struct pt_optim_param *p, float **next) {
  float **slot[3] = {&p->exp_avg, &p->exp_avg_sq, &p->max_exp_avg_sq};
  int arrays = p->ref.grad ? arrays_of(o, p->group) : 0;
  for (int k = 0; k < arrays; k++) {
    *slot[k] = *next;
    *next += padded(p->ref.n);
  }
}

static void place_all(struct pt_optim *o, const struct pt_param_ref *param) {
  float *next = o->state;
  struct pt_optim_chunk *c = o->chunk;
  for (int32_t g = 0; g < o->groups; g++) o->group[g].params = 0;
  for (int64_t i = 0; i < o->params; i++) {
    struct pt_optim_param *p = &o->param[i];
    p->ref = param[i];
    p->group = pt_optim_group_of(o, param[i].name);
    o->group[p->group].params++;
    place_param(o, p, &next);
    for (int64_t at = 0; p->ref.grad && at < p->ref.n; at += CHUNK)
      *c++ = (struct pt_optim_chunk){i, at, pt_min(CHUNK, p->ref.n - at), 0};
  }
}

static void drop_state(struct pt_optim *o) {
  pt_free(o->mem, o->param);
  pt_free(o->mem, o->state);
  pt_free(o->mem, o->chunk);
  o->param = NULL;
  o->state = NULL;
  o->chunk = NULL;
  o->params = o->chunks = 0;
}

int pt_optim_bind(struct pt_optim *o, struct pt_env *env, const struct pt_param_ref *param,
                  int64_t count, struct ptv3_error *err) {
  int64_t floats, chunks;
  if (o->param) return pt_fail(err, PTV3_INVALID, "the optimiser has its parameters already");
  int status = count_state(o, param, count, &floats, &chunks, err);
  if (status) return status;
  struct ptv3_error e = {0};
  o->param = pt_zalloc(o->mem, count, sizeof *o->param, PT_MEM_OPTIMISER, &e);
  if (o->param) o->state = pt_zalloc(o->mem, floats, sizeof(float), PT_MEM_OPTIMISER, &e);
  if (o->state) o->chunk = pt_alloc(o->mem, chunks, sizeof *o->chunk, PT_MEM_OPTIMISER, &e);
  if (!o->chunk) {
    drop_state(o);
    if (err) *err = e;
    return e.status;
  }
  o->params = count;
  o->chunks = chunks;
  place_all(o, param);
  for (int32_t g = 1; g < o->groups; g++)
    if (!o->group[g].params)
      pt_warn(env,
              "param_dicts: no parameter's name contains '%s', or an earlier keyword has them",
              o->group[g].keyword);
  return PTV3_OK;
}

void pt_optim_free(struct pt_optim *o) {
  if (!o->mem) return;
  drop_state(o);
  for (int32_t g = 0; g < o->groups; g++) pt_free(o->mem, o->group[g].keyword);
  pt_free(o->mem, o->group);
  *o = (struct pt_optim){0};
}

/* ---- the norm ---- */

/* Eight sums side by side, so that additions need not wait for each other. The square of a
 * float32 cannot overflow a double. */
static double sum_of_squares(const float *g, int64_t n) {
  double s[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int k = 0; k < 8; k++) s[k] += (double)g[i + k] * (double)g[i + k];
  for (int k = 0; i + k < n; k++) s[k] += (double)g[i + k] * (double)g[i + k];
  return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

double pt_optim_norm(struct pt_optim *o, double scale, int64_t *bad) {
#pragma omp parallel for num_threads(o->threads) schedule(dynamic, 4)
  for (int64_t c = 0; c < o->chunks; c++)
    o->chunk[c].sum =
        sum_of_squares(o->param[o->chunk[c].param].ref.grad + o->chunk[c].first, o->chunk[c].n);
  double sum = 0;
  if (bad) *bad = -1;
  for (int64_t c = 0; c < o->chunks; c++) {
    sum += o->chunk[c].sum;
    if (bad && *bad < 0 && !isfinite(o->chunk[c].sum)) *bad = o->chunk[c].param;
  }
  return sqrt(sum) * fabs(scale);
}

double pt_optim_clip(double norm, double max_norm) {
  double coefficient = max_norm / (norm + 1e-6);
  return coefficient > 1 ? 1 : coefficient;
}

/* ---- the step ---- */

/* What the elements of one parameter have in common. */
struct factors {
  double sign;  /* of the gradient, with its scale */
  double keep;  /* AdamW: 1 - lr * weight_decay */
  double decay; /* Adam, SGD: weight_decay */
  double rate1; /* 1 - beta1 */
  double beta2;
  double step; /* lr / (1 - beta1^t) */
  double root; /* sqrt(1 - beta2^t) */
  double eps;
};

static struct factors adam_factors(const struct pt_optim *o, const struct pt_optim_param *p,
                                   double scale) {
  const struct pt_optim_group *g = &o->group[p->group];
  bool decoupled = o->kind == PT_OPTIM_ADAMW;
  double t = (double)p->step;
  return (struct factors){.sign = g->maximize ? -scale : scale,
                          .keep = decoupled ? 1 - g->lr * g->weight_decay : 1,
                          .decay = decoupled ? 0 : g->weight_decay,
                          .rate1 = 1 - g->beta1,
                          .beta2 = g->beta2,
                          .step = g->lr / (1 - pow(g->beta1, t)),
                          .root = 1 / sqrt(1 - pow(g->beta2, t)),
                          .eps = g->eps};
}

/* A loop of its own, so that the compiler can vectorise the usual one. */
static void adam_amsgrad(const struct factors *f, float *w, const float *grad, float *m,
                         float *v, float *max, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    double x = (double)w[i] * f->keep, g = (double)grad[i] * f->sign + f->decay * x;
    double a = (double)m[i] + (g - (double)m[i]) * f->rate1;
    double b = (double)v[i] * f->beta2 + (1 - f->beta2) * g * g;
    double top = b <= (double)max[i] ? (double)max[i] : b; /* NaN goes through */
    w[i] = (float)(x - f->step * a / (sqrt(top) * f->root + f->eps));
    m[i] = (float)a, v[i] = (float)b, max[i] = (float)top;
  }
}

static void adam(const struct factors *f, float *restrict w, const float *restrict grad,
                 float *restrict m, float *restrict v, int64_t n) {
  const struct factors c = *f;
  for (int64_t i = 0; i < n; i++) {
    double x = (double)w[i] * c.keep, g = (double)grad[i] * c.sign + c.decay * x;
    double a = (double)m[i] + (g - (double)m[i]) * c.rate1;
    double b = (double)v[i] * c.beta2 + (1 - c.beta2) * g * g;
    w[i] = (float)(x - c.step * a / (sqrt(b) * c.root + c.eps));
    m[i] = (float)a;
    v[i] = (float)b;
  }
}

/* buffer: NULL without momentum. */
static void sgd(const struct pt_optim_group *s, bool first, double scale, float *w,
                const float *grad, float *buffer, int64_t n) {
  double sign = s->maximize ? -scale : scale;
  for (int64_t i = 0; i < n; i++) {
    double g = (double)grad[i] * sign + s->weight_decay * (double)w[i];
    if (buffer) {
      double b = first ? g : (double)buffer[i] * s->momentum + (1 - s->dampening) * g;
      buffer[i] = (float)b;
      g = s->nesterov ? g + s->momentum * b : b;
    }
    w[i] = (float)((double)w[i] - s->lr * g);
  }
}

static void step_chunk(const struct pt_optim *o, const struct pt_optim_chunk *c, double scale) {
  const struct pt_optim_param *p = &o->param[c->param];
  const struct pt_optim_group *g = &o->group[p->group];
  int64_t at = c->first;
  float *w = p->ref.value + at;
  const float *grad = p->ref.grad + at;
  if (o->kind == PT_OPTIM_SGD) {
    sgd(g, p->step == 1, scale, w, grad, g->momentum != 0 ? p->exp_avg + at : NULL, c->n);
    return;
  }
  struct factors f = adam_factors(o, p, scale);
  if (g->amsgrad)
    adam_amsgrad(&f, w, grad, p->exp_avg + at, p->exp_avg_sq + at, p->max_exp_avg_sq + at,
                 c->n);
  else
    adam(&f, w, grad, p->exp_avg + at, p->exp_avg_sq + at, c->n);
}

void pt_optim_step(struct pt_optim *o, double scale) {
  for (int64_t i = 0; i < o->params; i++) o->param[i].step += o->param[i].ref.grad != NULL;
#pragma omp parallel for num_threads(o->threads) schedule(dynamic, 4)
  for (int64_t c = 0; c < o->chunks; c++) step_chunk(o, &o->chunk[c], scale);
}
