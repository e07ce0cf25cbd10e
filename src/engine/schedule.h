/* schedule.h - learning rates and momenta over the steps of a training.
 *
 * A schedule is a function of the step alone, so that resuming needs nothing but the number of
 * steps taken. It gives what torch.optim.lr_scheduler gives for Pointcept's subclasses
 * (pointcept/utils/scheduler.py); where torch multiplies the last rate (CosineAnnealingLR,
 * MultiStepLR), the closed form stands here, which differs in rounding only.
 *
 *   OneCycleLR             max_lr pct_start anneal_strategy cycle_momentum base_momentum
 *                          max_momentum div_factor final_div_factor three_phase
 *   CosineAnnealingLR      eta_min
 *   MultiStepLR            milestones (parts of the training), gamma
 *   MultiStepWithWarmupLR  milestones gamma warmup_rate warmup_scale
 *   PolyLR                 power
 *   ExpLR                  gamma
 *   none                   scheduler = None: the rate of the optimiser throughout
 *
 * One difference: a phase of OneCycleLR of no length (pct_start * steps = 1) is an error of
 * division in torch; here its end counts. */
#ifndef PT_SCHEDULE_H
#define PT_SCHEDULE_H

#include "optim.h"

enum pt_schedule_kind {
  PT_SCHEDULE_CONSTANT,
  PT_SCHEDULE_ONE_CYCLE,
  PT_SCHEDULE_COSINE,
  PT_SCHEDULE_MULTI_STEP,
  PT_SCHEDULE_WARMUP,
  PT_SCHEDULE_POLY,
  PT_SCHEDULE_EXP
};

#define PT_SCHEDULE_MILESTONES 64

struct pt_schedule {
  enum pt_schedule_kind kind;
  int64_t total; /* steps of the whole training */
  /* OneCycleLR; its rates and momenta are in the groups of the optimiser */
  int phases;    /* 2 or 3 */
  double end[3]; /* [phases], the step at which a phase ends */
  bool linear;   /* else cosine */
  bool cycle_momentum;
  /* the others */
  double milestone[PT_SCHEDULE_MILESTONES]; /* [milestones], steps, ascending as given */
  int64_t milestones;
  double gamma, power, eta_min, warmup_rate, warmup_scale;
};

/* "OneCycleLR" */
const char *pt_schedule_kind_text(enum pt_schedule_kind kind);

/* The steps of a training as Pointcept's trainer counts them: epochs of `batches` batches,
 * one step for `accumulate` of them (>= 1). */
int64_t pt_schedule_steps(int64_t batches, int64_t epochs, int64_t accumulate);

/* Reads `scheduler` (NULL or None: constant) for a training of total steps, writes what it
 * needs into the groups of o, and applies step 0. Unknown types, keys and wrong values are
 * PTV3_CONFIG with their place. */
int pt_schedule_init(struct pt_schedule *s, const struct pt_value *scheduler, int64_t total,
                     struct pt_optim *o, struct ptv3_error *err);

/* Rate and momentum (beta1 of AdamW and Adam) of a group in force during step `step`, counted
 * from 0. *momentum is untouched where the schedule does not change it. */
void pt_schedule_at(const struct pt_schedule *s, const struct pt_optim_group *group,
                    int64_t step, double *lr, double *momentum);

/* Writes them into all groups. A OneCycleLR is defined up to step = total: beyond it
 * PTV3_INVALID. */
int pt_schedule_apply(const struct pt_schedule *s, int64_t step, struct pt_optim *o,
                      struct ptv3_error *err);

#endif
