/* optim.h - AdamW, Adam and SGD over a list of parameters, in groups.
 *
 * What is computed is torch.optim's: decoupled weight decay for AdamW, added to the gradient
 * for Adam and SGD; bias corrections with the beta1 of the moment, which a OneCycleLR changes
 * at every step; the first momentum of SGD is the gradient itself. Each element is computed by
 * itself in double and stored as float32, so that bits do not depend on the threads.
 *
 * Groups are those of Pointcept's build_optimizer: group 0 for parameters that no keyword
 * names, and one for each of param_dicts.
 *
 * Order of calls: pt_optim_parse, pt_schedule_init (schedule.h), pt_optim_bind, then for each
 * step pt_schedule_apply, pt_optim_norm, pt_optim_step.
 *
 * Not here: learning rates over time (schedule.h), files (checkpoint.h). Sources:
 * torch/optim/{adam,adamw,sgd}.py, torch/nn/utils/clip_grad.py of PyTorch 2;
 * pointcept/utils/optimizer.py. */
#ifndef PT_OPTIM_H
#define PT_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

#include "env.h"
#include "value.h"

enum pt_optim_kind { PT_OPTIM_ADAMW, PT_OPTIM_ADAM, PT_OPTIM_SGD };

/* "AdamW" */
const char *pt_optim_kind_text(enum pt_optim_kind kind);

struct pt_optim_group {
  char *keyword; /* parameters whose name contains it; NULL for group 0 */
  double lr, weight_decay;
  double beta1, beta2, eps;   /* AdamW, Adam */
  double momentum, dampening; /* SGD */
  bool nesterov;              /* SGD */
  bool amsgrad;               /* AdamW, Adam */
  bool maximize;
  /* Written by the schedule; kept here because torch keeps them in its groups. */
  double initial_lr, max_lr, min_lr, base_momentum, max_momentum;
  int64_t params; /* how many parameters it has */
};

/* What the caller hands over: the arrays stay the caller's. */
struct pt_param_ref {
  const char *name;  /* as in the state_dict, without "module."; kept alive by the caller */
  int64_t n;         /* elements */
  float *value;      /* [n] */
  const float *grad; /* [n]; NULL: never has a gradient, is left alone (as torch does) */
};

struct pt_optim_param {
  struct pt_param_ref ref;
  int32_t group;
  int64_t step; /* steps taken; 0: no state yet */
  /* State [n], parts of pt_optim.state; NULL where the optimiser has none. */
  float *exp_avg;        /* AdamW, Adam: mean of gradients. SGD: momentum_buffer */
  float *exp_avg_sq;     /* AdamW, Adam: mean of squared gradients */
  float *max_exp_avg_sq; /* with amsgrad */
};

struct pt_optim {
  enum pt_optim_kind kind;
  struct pt_mem *mem;
  int threads;
  struct pt_optim_group *group; /* [groups] */
  int32_t groups;
  struct pt_optim_param *param; /* [params], in the order given to pt_optim_bind */
  int64_t params;
  /* Private from here on. */
  float *state;                 /* one block for all parameters */
  struct pt_optim_chunk *chunk; /* [chunks] */
  int64_t chunks;
};

/* Reads `optimizer` and `param_dicts` (NULL or None: one group) of a config. Unknown types,
 * unknown keys and values out of range are PTV3_CONFIG with their place. On failure *o is
 * zeroed. */
int pt_optim_parse(struct pt_optim *o, struct pt_env *env, const struct pt_value *optimizer,
                   const struct pt_value *param_dicts, struct ptv3_error *err);

/* The group of a parameter: the first whose keyword is in its name, else 0. */
int32_t pt_optim_group_of(const struct pt_optim *o, const char *name);

/* Bytes of state that n elements of a group need. */
int64_t pt_optim_state_bytes(const struct pt_optim *o, int32_t group, int64_t n);

/* Sorts the parameters [count] into groups and allocates their state, zeroed. Warns about a
 * keyword that names none. Call it after pt_schedule_init: whether SGD keeps a momentum
 * depends on whether the schedule has one. On failure the groups stay, the rest is as before
 * the call. */
int pt_optim_bind(struct pt_optim *o, struct pt_env *env, const struct pt_param_ref *param,
                  int64_t count, struct ptv3_error *err);

void pt_optim_free(struct pt_optim *o); /* a zeroed one is allowed */

/* The euclidean norm of all gradients times scale: sums in double over chunks of fixed size
 * in fixed order. *bad (NULL allowed): the first parameter with a gradient that is not finite,
 * -1 if there is none; the norm is then not finite either. */
double pt_optim_norm(struct pt_optim *o, double scale, int64_t *bad);

/* What clip_grad_norm_ multiplies gradients of this norm with: min(1, max_norm / (norm +
 * 1e-6)). */
double pt_optim_clip(double norm, double max_norm);

/* One step with the groups' present numbers on gradients times scale (1 / accumulated
 * batches, times what pt_optim_clip gave). */
void pt_optim_step(struct pt_optim *o, double scale);

#endif
