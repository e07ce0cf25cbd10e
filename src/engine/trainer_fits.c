/* trainer_fits.c - whether every scene of validation will fit the budget, before training: it
 * should not end after its first epoch.
 *
 * What a scene takes is known when its voxels are, so it has to be read. First an upper bound
 * is worked out from the number of its points, which the headers of files tell: every point a
 * voxel of its own on each level. Scenes are gone through from the most points down; once the
 * bound of one fits, those of the others do, and no more are read. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "evaluate.h"
#include "file.h"
#include "need.h"
#include "range.h"
#include "size.h"
#include "trainer_int.h"

/* Bytes a point takes while it is read, transformed and sampled, at most: six channels of four
 * numbers with their copies, and what is sorted. */
enum { POINT_BYTES = 400 };
/* A line "0 0 0" has six bytes; no uncompressed format takes less for a point. */
enum { LEAST_BYTES = 6 };
/* Names, paths and heads of blocks. */
enum { SLACK = 8192 };

struct sized {
  int64_t points; /* at most; INT64_MAX: not known */
  int64_t scene;
};

static int by_points(const void *a, const void *b) {
  const struct sized *x = a, *y = b;
  if (x->points != y->points) return x->points < y->points ? 1 : -1;
  return x->scene < y->scene ? -1 : 1;
}

static int64_t points_of(struct pt_env *env, const char *path) {
  static const char *const coord[] = {"coord"};
  struct ptv3_error e;
  struct pt_range *r;
  struct stat st;
  if (pt_range_open(env, path, coord, 1, &r, &e) == PTV3_OK) {
    const int64_t n = pt_range_rows(r);
    pt_range_close(r);
    return n;
  }
  char ext[16];
  if (pt_is_dir(path) || stat(path, &st)) return INT64_MAX; /* loading it tells why */
  pt_extension(path, ext);
  if (strcmp(ext, "pcd") == 0 || strcmp(ext, "laz") == 0) return INT64_MAX; /* compressed */
  return st.st_size / LEAST_BYTES;
}

/* Whether any scene of n points fits, whatever it looks like. */
static int surely_fits(struct trainer *t, const struct pt_ptv3_weights *w, int64_t n,
                       bool *fits, struct ptv3_error *err) {
  struct pt_need need = {.mem = &t->env->mem};
  *fits = false;
  if (n >= INT32_MAX / 2) return PTV3_OK;
  const int64_t points = pt_max(n, 1);
  t->env->mem.peak = t->env->mem.used; /* what was done before does not count */
  const int status = pt_need_at_most(t->env, &t->c.cfg, w, t->kernels, points,
                                     points * POINT_BYTES, &need, err);
  *fits = !status && need.fits;
  pt_need_free(&need);
  return pt_lacks_memory(status) ? PTV3_OK : status;
}

/* What one scene takes. */
static int need_of(struct trainer *t, const struct pt_model *model, int64_t scene,
                   struct pt_need *need, struct ptv3_error *err) {
  struct pt_cloud cloud = {0};
  struct pt_predicted out = {0};
  struct pt_val_loss loss = pt_trainer_val_loss(t);
  const struct pt_predict predict = {
      .pipeline = &t->val.pipeline, .sample = (uint64_t)scene, .need = need, .loss = &loss};
  t->env->mem.peak = t->env->mem.used;
  int status = pt_dataset_load(&t->val.set, t->env, scene, &t->val.load, &cloud, err);
  const int64_t labels = 2 * (int64_t)sizeof(int32_t) * cloud.n; /* found, and given */
  if (!status) status = pt_mem_reserve(&t->env->mem, labels, PT_MEM_OUTPUT, err);
  const bool held = !status;
  if (!status) status = pt_predict_cloud(t->env, model, &cloud, &predict, &out, err);
  if (held) pt_mem_give_back(&t->env->mem, labels, PT_MEM_OUTPUT);
  pt_val_loss_free(&loss);
  pt_cloud_free(&cloud);
  if (!pt_lacks_memory(status)) return status;
  return pt_prefix(err, "validation of '%s'", t->val.set.scene[scene].name);
}

struct found {
  int64_t least, scene, count; /* of the scene that needs most; of those that do not fit */
};

static int refuse(struct trainer *t, const struct found *f, struct ptv3_error *err) {
  char least[24], limit[24], others[60] = "";
  if (f->count > 1)
    snprintf(others, sizeof others, "; %lld scenes do not fit, this needs most",
             (long long)f->count);
  return pt_fail(err, PTV3_BUDGET,
                 "validation of '%s' needs a memory budget of at least %s, has %s%s: training "
                 "would stop at the end of its first epoch",
                 t->val.set.scene[f->scene].name, pt_bytes_text(f->least, least),
                 pt_bytes_text(t->env->mem.limit, limit), others);
}

static int check_scenes(struct trainer *t, const struct pt_model *model, struct sized *s,
                        struct ptv3_error *err) {
  const int64_t count = t->val.set.count;
  struct found f = {0};
  int status = PTV3_OK;
  for (int64_t i = 0; i < count; i++)
    s[i] = (struct sized){points_of(t->env, t->val.set.scene[i].path), i};
  qsort(s, (size_t)count, sizeof *s, by_points);
  for (int64_t i = 0; i < count && !status; i++) {
    struct pt_need need = {.mem = &t->env->mem};
    bool fits;
    status = surely_fits(t, &model->w, s[i].points, &fits, err);
    if (!status && fits) break;
    if (!status) status = pt_progress(t->env, "checking validation", i, count, err);
    if (!status) status = need_of(t, model, s[i].scene, &need, err);
    if (!status && !need.fits) {
      f.count++;
      if (need.least > f.least) f.least = need.least, f.scene = s[i].scene;
    }
    pt_need_free(&need);
  }
  return status || !f.count ? status : refuse(t, &f, err);
}

/* What is in memory at a validation and not yet now: the log, and what evaluate.h keeps. */
static int64_t bytes_beside(const struct trainer *t) {
  const int64_t classes = t->c.cfg.classes, number = (int64_t)sizeof(int64_t);
  return pt_train_log_bytes(t->c.cfg.classes) + 2 * number * classes * (classes + 1) +
         t->val.set.count * (int64_t)sizeof(struct pt_scene_score) + SLACK;
}

int pt_trainer_check_validation(struct trainer *t, struct ptv3_error *err) {
  struct pt_mem *mem = &t->env->mem;
  struct pt_model model = {.cfg = t->c.cfg, .kernels = t->kernels};
  const int64_t peak = mem->peak;
  int status = pt_weights_sizes(t->env, &t->c.cfg, &model.w, err);
  if (status || mem->limit == INT64_MAX) return status;
  struct sized *s = pt_alloc(mem, t->val.set.count, sizeof *s, PT_MEM_OTHER, err);
  if (!s) return err->status;
  const int64_t beside = bytes_beside(t);
  status = pt_mem_reserve(mem, beside, PT_MEM_OTHER, err);
  if (!status) {
    status = check_scenes(t, &model, s, err);
    pt_mem_give_back(mem, beside, PT_MEM_OTHER);
  }
  pt_free(mem, s);
  if (mem->peak < peak) mem->peak = peak;
  return status;
}
