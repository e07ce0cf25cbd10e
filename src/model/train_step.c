/* train_step.c - see train_step.h. */
#include "train_step.h"

#include <string.h>

struct pt_loss pt_train_loss(const struct pt_criteria *c) {
  struct pt_loss loss = {.criteria = c->count, .scale = 1};
  memcpy(loss.criterion, c->criterion, sizeof loss.criterion);
  return loss;
}

/* Builds the plan that keeps the most within the budget, without a file; where none does, the
 * one that keeps least, with what it keeps in a file. */
static int build_network(struct pt_env *env, const struct pt_train_job *j,
                         const struct pt_train_task *task, struct pt_room *room,
                         struct pt_train_network *net, enum pt_keep *keep,
                         struct ptv3_error *err) {
  for (int k = PT_KEEP_INPUTS; k < PT_KEEPS; k++) {
    pt_train_network_free(net);
    int status = pt_train_network_build(env, task, (enum pt_keep)k, net, err);
    if (status) return status;
    *keep = (enum pt_keep)k;
    if (pt_room_holds(env, room, &net->plan, j->spare)) break;
  }
  void (*info)(void *, const char *) = env->info;
  if (!j->tell) env->info = NULL;
  if (*keep != PT_KEEP_INPUTS)
    pt_info(env, "to fit the budget: only %s are kept for the backward pass",
            pt_keep_text(*keep));
  int status = pt_room_make(env, room, &net->plan, err);
  env->info = info;
  return status;
}

static int run(struct pt_env *env, const struct pt_train_job *j, const struct pt_structure *s,
               const struct pt_room *room, struct pt_train_network *net, int32_t *label,
               struct ptv3_error *err) {
  struct pt_plan *p = &net->plan;
  pt_room_fill(env, room, p, net->input, j->batch->feat, s->input);
  for (int64_t r = 0; r < j->batch->n; r++) label[r] = j->label[s->input[r]];
  env->mem.sealed = !j->observe;
  int status = pt_plan_run(p, env, room->arena, j->observe, j->user, err);
  env->mem.sealed = false;
  for (int op = 0; op < PT_OPS && j->seconds; op++) j->seconds[op] += p->seconds[op];
  return status;
}

int pt_train_step(struct pt_env *env, const struct pt_train_job *j, struct pt_room *room,
                  struct pt_train_result *result, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_structure s = {0};
  struct pt_train_network net = {0};
  int32_t *label = NULL;
  *result = (struct pt_train_result){0};
  const double start = pt_seconds();
  int status = pt_batch_structure(env, j->cfg, j->batch, j->perm, &s, &e);
  if (j->seconds) j->seconds[PT_OPS] += pt_seconds() - start;
  if (status) goto out;
  label = pt_alloc(&env->mem, j->batch->n, sizeof *label, PT_MEM_STRUCTURE, &e);
  if (!label) goto out;
  struct pt_train_task task = {.cfg = j->cfg,
                               .w = j->w,
                               .s = &s,
                               .label = label,
                               .loss = j->loss,
                               .value = result->value,
                               .valid = result->valid,
                               .seed = j->seed,
                               .iteration = j->iteration,
                               .running = j->running,
                               .kernels = j->kernels,
                               .tile = j->tile};
  status = build_network(env, j, &task, room, &net, &result->keep, &e);
  result->arena = net.plan.arena + net.plan.window;
  result->file = net.plan.file;
  if (!status) status = run(env, j, &s, room, &net, label, &e);
out:
  pt_train_network_free(&net);
  pt_free(&env->mem, label);
  pt_structure_free(env, &s);
  if (e.status && err) *err = e;
  return e.status;
}
