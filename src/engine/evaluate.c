/* evaluate.c - see evaluate.h. */
#include "evaluate.h"

#include <math.h>
#include <string.h>

enum { STEPS = 1000 }; /* parts of a scene that progress counts */

struct run {
  struct pt_env *env;
  const struct pt_evaluate *job;
  struct pt_evaluation *out;
  struct pt_metrics scene; /* of the one at hand */
  int32_t *label, *target; /* [points of the scene at hand] */
  int64_t at;              /* its number */
  void (*warn)(void *user, const char *message);
  void (*info)(void *user, const char *message);
  bool (*progress)(void *user, const char *what, int64_t done, int64_t total);
  void *user;
};

/* ---- progress of all scenes, not of each ---- */

static void on_warn(void *user, const char *message) {
  struct run *r = user;
  r->warn(r->user, message);
}

static void on_info(void *user, const char *message) {
  struct run *r = user;
  r->info(r->user, message);
}

static bool on_progress(void *user, const char *what, int64_t done, int64_t total) {
  struct run *r = user;
  bool network = total > 0 && strcmp(what, "network") == 0;
  int64_t part = network ? (int64_t)((double)done / (double)total * STEPS) : 0;
  return r->progress(r->user, "scenes", r->at * STEPS + part, r->job->set->count * STEPS);
}

/* Puts the run between the library and the caller's callbacks. */
static void wrap(struct run *r) {
  struct pt_env *e = r->env;
  r->warn = e->warn;
  r->info = e->info;
  r->progress = e->progress;
  r->user = e->user;
  if (e->warn) e->warn = on_warn;
  if (e->info) e->info = on_info;
  if (e->progress) e->progress = on_progress;
  e->user = r;
}

static void unwrap(struct run *r) {
  struct pt_env *e = r->env;
  e->warn = r->warn;
  e->info = r->info;
  e->progress = r->progress;
  e->user = r->user;
}

/* ---- one scene ---- */

/* The labels as they were read, one a point: the transforms take theirs apart. */
static int keep_target(struct run *r, const struct pt_cloud *c, const char *path,
                       struct ptv3_error *err) {
  const struct pt_channel *segment = pt_cloud_find(c, "segment");
  if (!segment)
    return pt_fail(err, PTV3_DATA, "'%s' has no labels, which an evaluation needs", path);
  int status = pt_cloud_check_labels(c, "segment", r->job->model->cfg.classes,
                                     r->job->set->ignore, path, err);
  if (status) return status;
  r->label = pt_alloc(&r->env->mem, c->n, sizeof *r->label, PT_MEM_OUTPUT, err);
  if (r->label) r->target = pt_alloc(&r->env->mem, c->n, sizeof *r->target, PT_MEM_OUTPUT, err);
  if (!r->target) return pt_status(err);
  memcpy(r->target, segment->data, (size_t)c->n * sizeof *r->target);
  return PTV3_OK;
}

static int64_t labelled(const struct pt_metrics *m) {
  int64_t n = 0;
  for (int k = 0; k < m->classes; k++) n += pt_metrics_target(m, k);
  return n;
}

static int note(struct run *r, int64_t voxels, double seconds, struct ptv3_error *err) {
  struct pt_scores v = pt_metrics_scores(&r->scene);
  const struct pt_val_loss *asked = r->job->predict.loss;
  const double loss = asked ? pt_val_loss_end(asked) : (double)NAN;
  char *name = pt_strdup(&r->env->mem, r->job->set->scene[r->at].name, err);
  if (!name) return pt_status(err);
  r->out->scene[r->out->scenes++] = (struct pt_scene_score){.name = name,
                                                            .points = labelled(&r->scene),
                                                            .voxels = voxels,
                                                            .miou = v.miou_present,
                                                            .macc = v.macc_labelled,
                                                            .allacc = v.allacc,
                                                            .loss = loss,
                                                            .seconds = seconds};
  return PTV3_OK;
}

static int predict(struct run *r, struct pt_cloud *c, struct ptv3_error *err) {
  double began = pt_seconds();
  int64_t n = c->n;
  struct pt_predicted out = {.label = r->label};
  struct pt_predict how = r->job->predict;
  how.sample = (uint64_t)r->at;
  int status = pt_predict_cloud(r->env, r->job->model, c, &how, &out, err);
  if (status) {
    pt_prefix(err, "'%s'", r->job->set->scene[r->at].name);
    return status;
  }
  pt_metrics_clear(&r->scene);
  pt_metrics_add(&r->scene, r->label, r->target, n);
  pt_metrics_merge(&r->out->total, &r->scene);
  status = note(r, out.voxels, pt_seconds() - began, err);
  if (status || !r->job->done) return status;
  return r->job->done(r->job->user, r->at, &r->out->scene[r->at], err);
}

static int evaluate_scene(struct run *r, struct ptv3_error *err) {
  struct pt_cloud c = {0};
  const struct pt_dataset *set = r->job->set;
  int status = pt_progress(r->env, "reading", 0, 0, err);
  if (!status) status = pt_dataset_load(set, r->env, r->at, r->job->load, &c, err);
  if (!status) status = keep_target(r, &c, set->scene[r->at].path, err);
  if (!status) status = predict(r, &c, err);
  pt_cloud_free(&c);
  pt_free(&r->env->mem, r->label);
  pt_free(&r->env->mem, r->target);
  r->label = r->target = NULL;
  return status;
}

/* ---- all scenes ---- */

static double mean_loss(const struct pt_evaluation *e) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t i = 0; i < e->scenes; i++) {
    if (isnan(e->scene[i].loss)) continue;
    sum += e->scene[i].loss;
    n++;
  }
  return n ? sum / (double)n : (double)NAN;
}

static int start(struct run *r, struct ptv3_error *err) {
  struct pt_mem *mem = &r->env->mem;
  int classes = r->job->model->cfg.classes;
  int32_t ignore = r->job->set->ignore;
  int status = pt_metrics_init(&r->out->total, mem, classes, ignore, err);
  if (!status) status = pt_metrics_init(&r->scene, mem, classes, ignore, err);
  if (status) return status;
  r->out->scene = pt_zalloc(mem, r->job->set->count, sizeof *r->out->scene, PT_MEM_OUTPUT, err);
  return r->out->scene ? PTV3_OK : pt_status(err);
}

int pt_evaluate(struct pt_env *env, const struct pt_evaluate *job, struct pt_evaluation *out,
                struct ptv3_error *err) {
  struct ptv3_error unused;
  struct run r = {.env = env, .job = job, .out = out};
  *out = (struct pt_evaluation){.mem = &env->mem};
  if (!err) err = &unused;
  int status = start(&r, err);
  wrap(&r);
  for (; !status && r.at < job->set->count; r.at++) status = evaluate_scene(&r, err);
  unwrap(&r);
  pt_metrics_free(&r.scene);
  out->loss = mean_loss(out);
  if (status) pt_evaluation_free(out);
  return status;
}

void pt_evaluation_free(struct pt_evaluation *e) {
  for (int64_t i = 0; i < e->scenes; i++) pt_free(e->mem, e->scene[i].name);
  if (e->mem) pt_free(e->mem, e->scene);
  pt_metrics_free(&e->total);
  memset(e, 0, sizeof *e);
}
