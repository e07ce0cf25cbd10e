/* plan_train_api.c - what a step of training would take, for the public interface: the numbers
 * of model/train_need.h, and what else is in memory while a step runs. */
#include <string.h>

#include "config_api.h"
#include "need.h"
#include "ptv3_train.h"
#include "schedule.h"
#include "size.h"
#include "train_config.h"
#include "train_need.h"
#include "train_step.h"

struct planning {
  struct pt_env *env;
  struct pt_train_config c;
  const struct ptv3_train_plan_options *o;
  const struct pt_value *root;
  const struct pt_kernels *kernels;
  struct pt_train_weights w; /* without memory */
  int64_t *offset;           /* [stages, clouds + 1], owned */
  struct ptv3_train_plan *out;
};

/* ---- the batch ---- */

/* point_max of the last SphereCrop of data.train. */
static int find_crop(struct planning *p, struct ptv3_error *err) {
  const struct pt_value *train = pt_get(pt_get(p->root, "data"), "train"),
                        *list = pt_get(train, "transform");
  int64_t found = 0;
  for (int64_t i = 0; pt_is_seq(list) && i < pt_len(list); i++) {
    const char *type;
    const struct pt_value *d = pt_item(list, i);
    if (!pt_is_dict(d) || pt_need_str(d, "type", &type, NULL)) continue;
    if (strcmp(type, "SphereCrop") != 0) continue;
    int status = pt_get_int_in(d, "point_max", 80000, 1, INT32_MAX, &found, err);
    if (status) return status;
  }
  if (!found)
    return pt_fail(err, PTV3_CONFIG,
                   "data.train has no SphereCrop that says how many voxels a cloud has at "
                   "most: give a number of voxels, or clouds");
  p->out->point_max = found;
  return PTV3_OK;
}

static int voxels_of(struct planning *p, struct ptv3_error *err) {
  struct ptv3_train_plan *out = p->out;
  out->clouds = p->c.batch_size;
  out->voxels = p->o->voxels;
  if (!out->voxels) {
    int status = find_crop(p, err);
    if (status) return status;
    if (out->point_max >= INT32_MAX / out->clouds)
      return pt_fail(err, PTV3_DATA,
                     "batch_size = %lld clouds of %lld voxels are too many: 2^31 - 2 voxels "
                     "are possible",
                     (long long)out->clouds, (long long)out->point_max);
    out->voxels = out->clouds * out->point_max;
  }
  if (out->voxels < 1 || out->voxels >= INT32_MAX)
    return pt_fail(err, PTV3_INVALID,
                   "ptv3_plan_train: %lld voxels; 1 to 2^31 - 2 are possible",
                   (long long)out->voxels);
  out->clouds = pt_min(out->clouds, out->voxels);
  return PTV3_OK;
}

static int make_offsets(struct planning *p, struct ptv3_error *err) {
  p->offset = pt_zalloc(&p->env->mem, p->c.cfg.stages * (p->out->clouds + 1), sizeof *p->offset,
                        PT_MEM_OTHER, err);
  return p->offset ? PTV3_OK : err->status;
}

/* Rows of n voxels in clouds of one size. */
static int guess_batch(struct planning *p, struct ptv3_error *err) {
  const struct pt_ptv3 *cfg = &p->c.cfg;
  struct ptv3_train_plan *out = p->out;
  int status = voxels_of(p, err);
  if (!status) status = make_offsets(p, err);
  if (status) return status;
  out->estimated = true;
  pt_need_guess_rows(cfg, out->voxels, out->rows);
  out->structure = pt_need_guess_structure(cfg, out->rows);
  for (int s = 0; s < cfg->stages; s++)
    for (int64_t c = 0; c <= out->clouds; c++)
      p->offset[s * (out->clouds + 1) + c] =
          (int64_t)((double)out->rows[s] * (double)c / (double)out->clouds);
  return PTV3_OK;
}

/* Rows of the given clouds side by side. */
static int join_batch(struct planning *p, struct ptv3_error *err) {
  struct ptv3_train_plan *out = p->out;
  const int stages = p->c.cfg.stages;
  out->clouds = p->o->clouds;
  int status = make_offsets(p, err);
  if (status) return status;
  for (int64_t c = 0; c < out->clouds; c++) {
    struct ptv3_plan_info info;
    ptv3_plan_get_info(p->o->cloud[c], &info);
    if (info.stages != stages)
      return pt_fail(err, PTV3_INVALID,
                     "ptv3_plan_train: cloud %lld was planned for a network of %d levels, this "
                     "one has %d",
                     (long long)c, info.stages, stages);
    for (int s = 0; s < stages; s++) {
      out->rows[s] += info.rows[s];
      p->offset[s * (out->clouds + 1) + c + 1] = out->rows[s];
    }
    out->structure += info.part[PT_MEM_STRUCTURE].bytes;
  }
  out->voxels = out->rows[0];
  if (out->voxels >= INT32_MAX)
    return pt_fail(err, PTV3_DATA, "%lld voxels in one batch: 2^31 - 2 are possible",
                   (long long)out->voxels);
  return PTV3_OK;
}

/* ---- what else is in memory ---- */

static void add_parameters(struct planning *p) {
  struct ptv3_train_plan *out = p->out;
  const struct pt_train_weights *w = &p->w;
  const int64_t number = (int64_t)sizeof(float);
  out->weights = w->numbers * number + w->packed_bytes;
  out->gradients = w->numbers * number;
  for (int64_t i = 0; i < w->params; i++) {
    const struct pt_param *a = &w->param[i];
    if (a->buffer) {
      out->weights += a->size * number; /* the trainer's copy of running statistics */
      continue;
    }
    out->parameters += a->size;
    if (pt_train_frozen(&p->c, a->name)) continue;
    out->optimiser +=
        pt_optim_state_bytes(&p->c.optim, pt_optim_group_of(&p->c.optim, a->name), a->size);
  }
}

static void add_batch(struct planning *p) {
  struct ptv3_train_plan *out = p->out;
  const int64_t reading = (p->env->threads + 3) / 4; /* as the trainer has it */
  const int64_t row = 3 * 4 + 3 * 4 + 4 + 4 * (int64_t)p->c.cfg.in_channels;
  out->loader = (1 + reading) * out->voxels * row;
  out->structure += out->voxels * (int64_t)sizeof(int32_t); /* labels in row order */
}

/* ---- the network ---- */

static int fill_ways(struct planning *p, struct ptv3_error *err) {
  struct ptv3_train_plan *out = p->out;
  struct pt_structure s = {
      .clouds = (int)out->clouds, .stages = p->c.cfg.stages, .orders = p->c.cfg.orders};
  for (int i = 0; i < s.stages; i++) {
    s.stage[i].n = out->rows[i];
    s.stage[i].offset = p->offset + i * (out->clouds + 1);
  }
  const struct pt_loss loss = pt_train_loss(&p->c.criteria);
  const struct pt_train_task task = {
      .cfg = &p->c.cfg, .w = &p->w, .s = &s, .loss = &loss, .kernels = p->kernels};
  const int64_t others =
      out->weights + out->gradients + out->optimiser + out->structure + out->loader;
  struct pt_train_need need;
  int status = pt_train_need(p->env, &task, others, &need, err);
  if (status) return status;
  for (int k = 0; k < PT_KEEPS; k++) {
    const struct pt_train_way *w = &need.way[k];
    out->way[k] = (struct ptv3_train_way){pt_keep_text((enum pt_keep)k),
                                          w->features,
                                          w->scratch,
                                          w->total,
                                          w->work,
                                          w->seconds,
                                          w->fits};
  }
  out->chosen = need.chosen, out->fits = need.fits;
  out->tile = need.tile, out->threads = need.threads;
  out->spilled = need.spilled, out->disk = need.disk, out->window = need.window;
  out->total = need.total, out->least = need.least;
  return PTV3_OK;
}

/* ---- the call ---- */

static int read_config(struct planning *p, struct ptv3_error *err) {
  struct pt_schedule schedule;
  int status = pt_train_config_read(p->env, p->root, &p->c, err);
  /* Whether SGD keeps a momentum is the schedule's to say; for how many steps is not. */
  if (!status) status = pt_schedule_init(&schedule, p->c.scheduler, 1000, &p->c.optim, err);
  if (status) return status;
  p->kernels = pt_kernel_table(NULL);
  if (!p->kernels)
    return pt_fail(err, PTV3_INVALID,
                   "PTV3_KERNELS names kernels that this build or processor does not have");
  const enum ptv3_train_precision wish = p->o->precision;
  p->out->bf16 = wish == PTV3_TRAIN_BF16 || (wish == PTV3_TRAIN_AS_CONFIGURED && p->c.amp);
  p->c.cfg.type = p->out->bf16 ? PT_BF16 : PT_F32;
  p->c.cfg.mat = pt_kernels_mat(p->kernels, p->c.cfg.type);
  p->c.cfg.compat_151 = p->o->compat == PTV3_COMPAT_1_5_1;
  p->out->stages = p->c.cfg.stages;
  return PTV3_OK;
}

static int fill(struct planning *p, struct ptv3_error *err) {
  int status = read_config(p, err);
  if (!status) status = p->o->cloud ? join_batch(p, err) : guess_batch(p, err);
  if (!status) status = pt_train_weights_build(p->env, &p->c.cfg, NULL, NULL, &p->w, err);
  if (status) return status;
  add_parameters(p);
  add_batch(p);
  return fill_ways(p, err);
}

int ptv3_plan_train(struct ptv3_context *ctx, const struct ptv3_config *config,
                    const struct ptv3_train_plan_options *options, struct ptv3_train_plan *plan,
                    struct ptv3_error *err) {
  static const struct ptv3_train_plan_options none;
  _Static_assert((int)PT_KEEPS == (int)PTV3_TRAIN_WAYS, "a way for each level of what is kept");
  _Static_assert((int)PT_MAX_STAGES == (int)PTV3_TRAIN_LEVELS, "rows of every level");
  if (plan) *plan = (struct ptv3_train_plan){0};
  if (!ctx || !config || !plan)
    return pt_api_null("ptv3_plan_train", !ctx ? "ctx" : !config ? "config" : "plan", err);
  struct ptv3_error e = {0};
  struct planning p = {
      .env = &ctx->env, .root = config->tree.root, .o = options ? options : &none, .out = plan};
  int status = PTV3_OK;
  if (p.o->cloud && p.o->clouds < 1)
    status = pt_fail(&e, PTV3_INVALID, "ptv3_plan_train: %d clouds", p.o->clouds);
  for (int c = 0; p.o->cloud && c < p.o->clouds && !status; c++)
    if (!p.o->cloud[c]) status = pt_api_null("ptv3_plan_train", "cloud", &e);
  if (!status && ((int)p.o->precision < 0 || p.o->precision > PTV3_TRAIN_BF16))
    status = pt_fail(&e, PTV3_INVALID, "ptv3_plan_train: no precision %d", (int)p.o->precision);
  if (!status && ((int)p.o->compat < 0 || p.o->compat > PTV3_COMPAT_AUTO))
    status = pt_fail(&e, PTV3_INVALID, "ptv3_plan_train: no compat %d", (int)p.o->compat);
  plan->budget = p.env->mem.limit;
  if (!status) status = fill(&p, &e);
  pt_train_weights_free(p.env, &p.w);
  pt_train_config_free(p.env, &p.c);
  pt_free(&p.env->mem, p.offset);
  if (status && err) *err = e;
  return status;
}
