/* need.c - see need.h. */
#include "need.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fit.h"
#include "size.h"

/* ---- work ---- */

static double conv_work(double rows, double taps, double in, double out) {
  return 2 * rows * taps * in * out;
}

/* Neighbours a voxel has on surfaces: 9 of 27, 24 of 125 (docs/speed.md). */
static double work_of(const struct pt_step *s) {
  switch (s->op) {
    case PT_OP_embed: {
      const struct pt_embed *a = &s->a.embed;
      return conv_work((double)a->n, 24, a->in, a->c);
    }
    case PT_OP_cpe: {
      const struct pt_cpe *a = &s->a.cpe;
      return conv_work((double)a->n, 10, a->c, a->c);
    }
    case PT_OP_conv_grad: {
      const struct pt_conv_grad *a = &s->a.conv_grad;
      return 2 * conv_work((double)a->n, a->size == 5 ? 24 : 10, a->in, a->c);
    }
    case PT_OP_cpe_grad: {
      const struct pt_cpe_grad *a = &s->a.cpe_grad;
      return conv_work((double)a->n, 12, a->c, a->c);
    }
    case PT_OP_attention: {
      const struct pt_attention *a = &s->a.attention;
      double n = (double)a->n, keys = fmin(n, a->patch);
      return 8 * n * a->c * a->c + n * keys * (4.0 * a->c + 10.0 * a->heads);
    }
    case PT_OP_mlp: {
      const struct pt_mlp *a = &s->a.mlp;
      return 4 * (double)a->n * a->c * a->hidden;
    }
    case PT_OP_pool: {
      const struct pt_pool *a = &s->a.pool;
      return 2 * (double)a->n * a->in * a->c;
    }
    case PT_OP_unpool: {
      const struct pt_unpool *a = &s->a.unpool;
      return 2 * (double)a->n * a->in * a->c;
    }
    case PT_OP_head: {
      const struct pt_head *a = &s->a.head;
      return 2 * (double)a->n * a->w.k * a->w.n;
    }
    case PT_OP_linear_grad: {
      const struct pt_linear_grad *a = &s->a.linear_grad;
      return (a->dx ? 4 : 2) * (double)a->n * a->in * a->c;
    }
    case PT_OP_attention_grad: {
      const struct pt_attention *a = &s->a.attention_grad.f;
      double n = (double)a->n, keys = fmin(n, a->patch);
      return 22 * n * a->c * a->c + n * keys * (12.0 * a->c + 20.0 * a->heads);
    }
    case PT_OP_mlp_grad: {
      const struct pt_mlp *a = &s->a.mlp_grad.f;
      return 10 * (double)a->n * a->c * a->hidden;
    }
    case PT_OP_batchnorm:
    case PT_OP_batchnorm_grad:
    case PT_OPS: break;
  }
  return 0;
}

double pt_need_seconds(const struct pt_need *need, const struct pt_kernels *kernels,
                       enum pt_dtype type) {
  double rate = 40e9;
  if (strcmp(kernels->name, "ref") == 0) rate = 0.5e9;
  if (strcmp(kernels->name, "avx2") == 0) rate = 95e9;
  if (strncmp(kernels->name, "avx512", 6) == 0) rate = 200e9;
  if (kernels->bf16_mats && type == PT_BF16) rate = 300e9;
  return need->work / (rate * need->threads);
}

/* ---- bytes ---- */

static int64_t alive_at(const struct pt_plan *p, int64_t step) {
  int64_t bytes = 0;
  for (int64_t t = 0; t < p->tensors; t++)
    if (p->tensor[t].first <= step && step <= p->tensor[t].last) bytes += p->tensor[t].bytes;
  return bytes;
}

static int fill_steps(const struct pt_plan *p, struct pt_need *need, struct ptv3_error *err) {
  need->step = pt_alloc(need->mem, p->steps, sizeof *need->step, PT_MEM_OTHER, err);
  if (!need->step) return PTV3_NO_MEMORY;
  need->steps = p->steps;
  for (int64_t i = 0; i < p->steps; i++) {
    const struct pt_step *s = &p->step[i];
    const struct pt_plan_tensor *t = &p->tensor[s->out];
    struct pt_need_step *n = &need->step[i];
    *n = (struct pt_need_step){.op = s->op,
                               .rows = pt_step_rows(p, s),
                               .channels = t->channels,
                               .alive = alive_at(p, i),
                               .work = work_of(s)};
    snprintf(n->label, sizeof n->label, "%s", s->label);
    need->work += n->work;
  }
  return PTV3_OK;
}

static int64_t sum_of(const struct pt_need *need) {
  int64_t sum = 0;
  for (int c = 0; c < PT_MEM_COUNT; c++) sum += need->bytes[c];
  return sum;
}

int pt_need_fill(struct pt_env *env, struct pt_network *net, const struct pt_structure *s,
                 int64_t weights, struct pt_need *need, struct ptv3_error *err) {
  struct pt_plan *p = &net->plan;
  struct ptv3_error none;
  need->stages = s->stages;
  for (int i = 0; i < s->stages; i++) need->rows[i] = s->stage[i].n;
  need->before += env->mem.peak + weights;
  for (int c = 0; c < PT_MEM_COUNT; c++) need->bytes[c] += env->mem.cat[c];
  need->bytes[PT_MEM_WEIGHTS] += weights;
  int status = fill_steps(p, need, err);
  if (status) return status;

  const int64_t limit = env->mem.limit;
  env->mem.limit = pt_max(0, limit - pt_max(0, sum_of(need) - env->mem.used));
  void (*info)(void *, const char *) = env->info;
  env->info = NULL; /* nothing is chosen here, it is only looked at */
  need->fits = pt_fit(env, p, &none) == PTV3_OK && need->before <= limit;
  env->info = info;
  env->mem.limit = limit;

  need->tile = p->tile, need->threads = p->threads;
  need->features = p->features;
  need->scratch = p->arena - p->features;
  need->bytes[PT_MEM_ARENA] = p->arena;
  need->total = pt_max(need->before, sum_of(need) + PT_BLOCK_HEAD);
  pt_plan_scratch(p, PT_SMALLEST_TILE, 1);
  need->bytes[PT_MEM_ARENA] = p->arena;
  need->least = pt_max(need->before, sum_of(need) + PT_BLOCK_HEAD);
  need->bytes[PT_MEM_ARENA] = need->features + need->scratch;
  return PTV3_OK;
}

/* ---- without a cloud ---- */

#define CHILD_SHARE 0.3
#define CLOUD_BYTES 40

/* Of one stage: coordinates, cluster, runs of the next stage, blocks, and the orders of all
 * curves but the first. */
static int64_t structure_bytes(const struct pt_ptv3 *cfg, int64_t n) {
  bool used[PT_CURVES] = {false};
  int64_t curves = 0;
  for (int o = 0; o < cfg->orders; o++) {
    curves += !used[cfg->curve[o]];
    used[cfg->curve[o]] = true;
  }
  return n * (12 + 4 + 1 + 1 + 4 * (curves - 1));
}

int pt_need_estimate(struct pt_env *env, const struct pt_ptv3 *cfg,
                     const struct pt_ptv3_weights *w, const struct pt_kernels *kernels,
                     int64_t n, struct pt_need *need, struct ptv3_error *err) {
  struct pt_structure s = {.clouds = 1, .stages = cfg->stages, .orders = cfg->orders};
  struct pt_network net = {0};
  int64_t offset[PT_MAX_STAGES][2];
  double rows = (double)n;
  int64_t structure = 4 * n; /* the rows' place in the input */
  for (int i = 0; i < cfg->stages; i++) {
    if (i) rows *= pow(CHILD_SHARE, log2(cfg->stride[i - 1]));
    s.stage[i].n = pt_max(1, (int64_t)rows);
    offset[i][0] = 0, offset[i][1] = s.stage[i].n;
    s.stage[i].offset = offset[i];
    structure += structure_bytes(cfg, s.stage[i].n);
  }
  int status = pt_network_build(env, cfg, w, &s, kernels, 0, &net, err);
  if (status) return status;
  need->bytes[PT_MEM_STRUCTURE] += structure;
  need->bytes[PT_MEM_CLOUD] += CLOUD_BYTES * n;
  need->bytes[PT_MEM_OUTPUT] += n * cfg->classes * (int64_t)sizeof(float);
  status = pt_need_fill(env, &net, &s, pt_weights_bytes(w), need, err);
  pt_network_free(&net);
  return status;
}

void pt_need_free(struct pt_need *need) {
  if (need->mem) pt_free(need->mem, need->step);
  *need = (struct pt_need){0};
}
