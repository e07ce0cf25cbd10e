/* cost.c - see cost.h. */
#include "cost.h"

#include <math.h>
#include <string.h>

static double conv_work(double rows, double taps, double in, double out) {
  return 2 * rows * taps * in * out;
}

/* Whether a pointer of the arguments is a tensor; pointers are filled in when a plan runs. */
static bool bound(const struct pt_step *s, size_t field) {
  for (int b = 0; b < s->binds; b++)
    if (s->bind[b].field == field) return true;
  return false;
}

/* Neighbours a voxel has on surfaces: 9 of 27, 24 of 125 (docs/speed.md). */
double pt_step_work(const struct pt_step *s) {
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
      const int products = bound(s, offsetof(struct pt_conv_grad, dx)) ? 2 : 1;
      return products * conv_work((double)a->n, a->size == 5 ? 24 : 10, a->in, a->c);
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
      const int products = bound(s, offsetof(struct pt_linear_grad, dx)) ? 2 : 1;
      return 2.0 * products * (double)a->n * a->in * a->c;
    }
    case PT_OP_attention_grad: {
      const struct pt_attention *a = &s->a.attention_grad.f;
      double n = (double)a->n, keys = fmin(n, a->patch);
      return 22 * n * a->c * a->c + n * keys * (10.0 * a->c + 15.0 * a->heads);
    }
    case PT_OP_mlp_grad: {
      const struct pt_mlp *a = &s->a.mlp_grad.f;
      return 10 * (double)a->n * a->c * a->hidden;
    }
    case PT_OP_pool_grad: {
      const struct pt_pool_grad *a = &s->a.pool_grad;
      return 6 * (double)a->n * a->in * a->c;
    }
    case PT_OP_up_grad:
    case PT_OP_batchnorm:
    case PT_OP_batchnorm_grad:
    case PT_OP_loss:
    case PT_OPS: break;
  }
  return 0;
}

double pt_plan_work(const struct pt_plan *p) {
  double sum = 0;
  for (int64_t i = 0; i < p->steps; i++) sum += pt_step_work(&p->step[i]);
  return sum;
}

double pt_kernels_rate(const struct pt_kernels *kernels, enum pt_dtype type) {
  if (strcmp(kernels->name, "ref") == 0) return 0.5e9;
  const bool amx = strcmp(kernels->name, "amx") == 0;
  if (kernels->bf16_mats && type == PT_BF16) return amx ? 340e9 : 300e9;
  if (amx || strncmp(kernels->name, "avx512", 6) == 0) return 200e9;
  if (strcmp(kernels->name, "avx2") == 0) return 95e9;
  return 40e9;
}

double pt_tile_slowdown(int tile) {
  if (tile <= 0 || tile > 128) return 1;
  return tile > 64 ? 1.02 : tile > 32 ? 1.04 : tile > 16 ? 1.08 : 1.1;
}

double pt_plan_traffic(const struct pt_plan *p) {
  double sum = 0;
  for (int64_t i = 0; i < p->steps; i++)
    for (int b = 0; b < p->step[i].binds; b++) {
      const struct pt_plan_tensor *t = &p->tensor[p->step[i].bind[b].tensor];
      if (t->spilled) sum += (double)t->bytes;
    }
  return sum;
}

double pt_traffic_seconds(double bytes, int threads) {
  return bytes / (1.5e9 * (threads < 4 ? threads : 4));
}
