/* predict_file_api.c - the public call that classifies a file into a file: with the cloud in
 * memory where it fits the budget, and else read in parts (cloud/stream.h). */
#include <string.h>

#include "predict_file.h"
#include "result.h"
#include "size.h"

struct job {
  struct ptv3_model *model;
  const char *path;
  struct ptv3_file_options o; /* its cloud.model is the model */
  int64_t *count;             /* [classes + 1] or NULL */
  struct ptv3_file_result done;
};

static struct pt_env *env_of(const struct job *j) { return &j->model->ctx->env; }

static struct pt_predict how(const struct job *j) {
  return (struct pt_predict){.pipeline = &j->model->pipeline,
                             .seed = j->o.predict.seed,
                             .shuffle_orders = j->o.predict.shuffle_orders,
                             .shuffle_seed = j->o.predict.shuffle_seed,
                             .compat = &j->model->compat};
}

/* ---- writing ---- */

static struct pt_result result_of(const struct job *j) {
  const struct ptv3_model *m = j->model;
  return (struct pt_result){.env = env_of(j),
                            .n = j->done.n,
                            .source = j->path,
                            .classes = m->net.cfg.classes,
                            .class_name = (const char *const *)m->class_name,
                            .code = j->o.code ? j->o.code : m->las_code,
                            .confidence = true,
                            .unusable = j->done.unusable};
}

static int save(struct job *j, const struct pt_result *r, struct ptv3_error *err) {
  j->done.writing = true;
  int status = j->count ? pt_result_count(r, j->count, err) : PTV3_OK;
  if (!status) status = pt_result_save(r, j->o.out, err);
  if (!status && j->o.probabilities)
    status = pt_result_save_probabilities(r, j->o.probabilities, err);
  return status;
}

/* The answer of row r of the network's input (-1: none) as number i of the arrays. */
static void put_answer(const struct pt_answers *a, int64_t r, int64_t i, int32_t *label,
                       float *confidence) {
  label[i] = r < 0 ? PTV3_IGNORE : a->label[r];
  if (confidence) confidence[i] = r < 0 ? 0 : a->confidence[r];
}

static void put_probabilities(const struct pt_answers *a, int64_t r, int64_t i, float *p) {
  size_t row = (size_t)a->classes * sizeof *p;
  if (r < 0)
    memset(p + i * a->classes, 0, row);
  else
    memcpy(p + i * a->classes, a->probability + r * a->classes, row);
}

/* ---- the cloud in memory ---- */

struct in_memory {
  const struct pt_cloud *cloud; /* as loaded */
  struct pt_answers a;
  struct pt_points_of points;
  int64_t place; /* see pt_point_at */
};

static int64_t memory_row(struct in_memory *m, int64_t row) {
  int64_t i = pt_point_at(&m->place, m->cloud, row);
  return i >= 0 && m->a.of.inverse ? m->a.of.inverse[i] : i;
}

static int memory_labels(void *user, int64_t first, int64_t count, int32_t *label,
                         float *confidence, struct ptv3_error *err) {
  struct in_memory *m = user;
  (void)err;
  for (int64_t i = 0; i < count; i++)
    put_answer(&m->a, memory_row(m, first + i), i, label, confidence);
  return PTV3_OK;
}

static int memory_points(void *user, int64_t first, int64_t count, double *coord,
                         uint8_t *color, struct ptv3_error *err) {
  struct in_memory *m = user;
  return pt_points_of(&m->points, first, count, coord, color, err);
}

static int memory_probabilities(void *user, int64_t first, int64_t count, float *p,
                                struct ptv3_error *err) {
  struct in_memory *m = user;
  (void)err;
  for (int64_t i = 0; i < count; i++) put_probabilities(&m->a, memory_row(m, first + i), i, p);
  return PTV3_OK;
}

static int write_memory(struct job *j, struct in_memory *m, const struct ptv3_cloud *cloud,
                        struct ptv3_error *err) {
  struct ptv3_cloud_info info;
  ptv3_cloud_get_info(cloud, &info);
  j->done.n = info.n;
  j->done.unusable = info.unusable;
  j->done.voxels = m->a.n;
  struct pt_result r = result_of(j);
  memcpy(r.lower, info.min, sizeof r.lower);
  r.color = pt_has_colors(&cloud->points);
  r.labels = memory_labels;
  r.points = memory_points;
  r.probabilities = memory_probabilities;
  r.user = m;
  return save(j, &r, err);
}

/* last: there is no other way, should this one not fit. */
static int from_memory(struct job *j, bool last, struct ptv3_error *err) {
  struct ptv3_cloud *cloud;
  struct pt_cloud work = {0}; /* the transforms work in place: what they change is copied */
  struct pt_predict p = how(j);
  p.grid_size = last ? pt_pipeline_grid_size(p.pipeline) : 0;
  int status = ptv3_cloud_load(j->model->ctx, j->path, &j->o.cloud, &cloud, err);
  if (status) return status;
  struct in_memory m = {.cloud = &cloud->points, .points = {.cloud = &cloud->points}};
  pt_cloud_borrow(&work, &cloud->points);
  status = pt_predict_rows(env_of(j), &j->model->net, &work, &p, true,
                           j->o.probabilities != NULL, &m.a, err);
  if (!status) status = write_memory(j, &m, cloud, err);
  pt_answers_free(&m.a);
  pt_cloud_free(&work);
  ptv3_cloud_free(cloud);
  return status;
}

/* ---- the cloud in its file ---- */

struct in_parts {
  struct pt_stream stream;
  struct pt_answers a;
  int32_t *row; /* [voxels of the stream] row of the network's input of each number */
  int32_t *id;  /* [PT_RESULT_BLOCK] scratch */
};

static int64_t parts_row(const struct in_parts *s, int64_t i) {
  return s->id[i] < 0 ? -1 : s->row[s->id[i]];
}

static int parts_labels(void *user, int64_t first, int64_t count, int32_t *label,
                        float *confidence, struct ptv3_error *err) {
  struct in_parts *s = user;
  (void)err;
  pt_stream_ids(&s->stream, first, count, s->id);
  for (int64_t i = 0; i < count; i++) put_answer(&s->a, parts_row(s, i), i, label, confidence);
  return PTV3_OK;
}

static int parts_points(void *user, int64_t first, int64_t count, double *coord, uint8_t *color,
                        struct ptv3_error *err) {
  struct in_parts *s = user;
  for (int64_t i = 0; i < count; i += s->stream.run) {
    struct pt_cloud c;
    int64_t n = pt_min(s->stream.run, count - i);
    int status = pt_stream_points(&s->stream, first + i, n, &c, err);
    if (status) return status;
    struct pt_points_of points = {.cloud = &c};
    status = pt_points_of(&points, 0, n, coord + 3 * i, color ? color + 3 * i : NULL, err);
    pt_cloud_free(&c);
    if (status) return status;
  }
  return PTV3_OK;
}

static int parts_probabilities(void *user, int64_t first, int64_t count, float *p,
                               struct ptv3_error *err) {
  struct in_parts *s = user;
  (void)err;
  pt_stream_ids(&s->stream, first, count, s->id);
  for (int64_t i = 0; i < count; i++) put_probabilities(&s->a, parts_row(s, i), i, p);
  return PTV3_OK;
}

/* Rows of the cloud of voxels to rows of the network's input: another GridSample may have come
 * between. */
static int find_rows(struct in_parts *s, const int32_t *inverse, struct ptv3_error *err) {
  int status = pt_stream_numbers(&s->stream, &s->row, err);
  for (int64_t i = 0; inverse && i < s->stream.voxels && !status; i++)
    s->row[i] = inverse[s->row[i]];
  if (status) return status;
  s->id = pt_alloc(&s->stream.env->mem, PT_RESULT_BLOCK, sizeof *s->id, PT_MEM_OUTPUT, err);
  return s->id ? PTV3_OK : pt_status(err);
}

static int write_parts(struct job *j, struct in_parts *s, struct ptv3_error *err) {
  const struct pt_scan *scan = &s->stream.scan;
  float lo[3], hi[3];
  pt_scan_box(scan, lo, hi);
  j->done.n = s->stream.rows;
  j->done.unusable = s->stream.rows - scan->clean.kept;
  j->done.voxels = s->a.n;
  struct pt_result r = result_of(j);
  for (int k = 0; k < 3; k++) r.lower[k] = (double)lo[k] + scan->offset[k];
  for (int i = 0; i < j->model->needs; i++)
    r.color = r.color || !strcmp(j->model->need[i], "color");
  r.labels = parts_labels;
  r.points = parts_points;
  r.probabilities = parts_probabilities;
  r.user = s;
  return save(j, &r, err);
}

int pt_parts_predict(struct ptv3_model *model, struct pt_stream *stream,
                     const struct pt_predict *p, bool probability, struct pt_cloud *voxels,
                     struct pt_answers *a, struct ptv3_error *err) {
  struct pt_env *env = &model->ctx->env;
  struct pt_draw draw = pt_draw_of(p->seed, 0, p->sample);
  *a = (struct pt_answers){0};
  int status = pt_stream_voxels(stream, &draw, voxels, err);
  if (status) return status;
  struct pt_pipeline rest = pt_stream_rest(stream);
  struct pt_predict q = *p;
  q.pipeline = &rest;
  q.draw = &draw;
  q.grid_size = pt_pipeline_grid_size(p->pipeline);
  return pt_predict_rows(env, &model->net, voxels, &q, true, probability, a, err);
}

static int from_parts(struct job *j, const struct pt_cloud_file *f, struct ptv3_error *err) {
  struct in_parts s = {0};
  struct pt_cloud voxels = {0};
  const struct pt_predict p = how(j);
  struct pt_mem *mem = &env_of(j)->mem;
  int status = pt_stream_open(&s.stream, env_of(j), j->path, &f->load, p.pipeline, 0, err);
  if (!status)
    status = pt_parts_predict(j->model, &s.stream, &p, j->o.probabilities != NULL, &voxels,
                              &s.a, err);
  if (!status) status = find_rows(&s, s.a.of.inverse, err);
  pt_cloud_free(&voxels);
  if (!status) status = write_parts(j, &s, err);
  pt_free(mem, s.row);
  pt_free(mem, s.id);
  pt_answers_free(&s.a);
  pt_stream_close(&s.stream);
  return status;
}

/* ---- which of the two ---- */

/* Not all that it takes, but surely as much. */
static int64_t least_at_once(const struct pt_stream *s) {
  int64_t bytes = 12 + 24; /* coordinates, and sorting them by voxel */
  for (int i = 0; i < s->opt->n_want; i++) bytes += strcmp(s->opt->want[i], "color") ? 4 : 3;
  int64_t all;
  return pt_mul(s->rows, bytes, &all) ? all : INT64_MAX;
}

bool pt_parts_decide(struct pt_parts_choice *c, struct ptv3_model *m, const char *path,
                     const struct pt_cloud_file *f) {
  struct pt_stream s;
  struct pt_env *env = &m->ctx->env;
  *c = (struct pt_parts_choice){0};
  const struct pt_read_options *r = &f->read;
  if ((r->columns && r->columns[0]) || r->floats || (r->labels && r->labels[0])) {
    pt_fail(&c->why, PTV3_UNSUPPORTED, "'%s' has no header that says what it holds", path);
    return false;
  }
  if (pt_stream_open(&s, env, path, &f->load, &m->pipeline, 0, &c->why)) return false;
  c->possible = true;
  c->rows = s.rows;
  c->least = least_at_once(&s);
  pt_stream_close(&s);
  return c->least > env->mem.limit - env->mem.used;
}

int pt_parts_refuse(const struct pt_parts_choice *c, struct ptv3_error *err) {
  struct ptv3_error first = *err;
  return pt_fail(err, first.status, "%.300s; nor can it be read in parts: %.180s",
                 first.message, c->why.message);
}

void pt_parts_tell(struct pt_env *env, const struct pt_parts_choice *c, const char *path) {
  char budget[24];
  pt_info(env,
          "'%s': its %lld points do not fit the budget of %s at once; they are read in parts",
          path, (long long)c->rows, pt_bytes_text(env->mem.limit, budget));
}

static int either(struct job *j, bool parts, struct ptv3_error *err) {
  struct pt_cloud_file f;
  struct pt_parts_choice c;
  int status = pt_cloud_file_begin(&f, env_of(j), j->path, &j->o.cloud, err);
  if (status) return status;
  parts = pt_parts_decide(&c, j->model, j->path, &f) || parts;
  if (!parts) {
    status = from_memory(j, !c.possible, err);
    parts = status == PTV3_BUDGET && !j->done.writing;
    if (parts && !c.possible) {
      status = pt_parts_refuse(&c, err);
      parts = false;
    }
  }
  if (parts) {
    pt_parts_tell(env_of(j), &c, j->path);
    j->done.in_parts = true;
    status = from_parts(j, &f, err);
  }
  pt_cloud_file_end(&f);
  return status;
}

int pt_predict_file(struct ptv3_model *model, const char *path,
                    const struct ptv3_file_options *options, bool parts, int64_t *count,
                    struct ptv3_file_result *result, struct ptv3_error *err) {
  struct ptv3_error inner = {0};
  struct job j = {.model = model, .path = path, .o = *options, .count = count};
  j.o.cloud.model = model;
  int status = either(&j, parts, &inner);
  if (result) *result = j.done;
  if (status && err) *err = inner;
  return status;
}

int ptv3_predict_file(struct ptv3_model *model, const char *path,
                      const struct ptv3_file_options *options, int64_t *count,
                      struct ptv3_file_result *result, struct ptv3_error *err) {
  if (result) *result = (struct ptv3_file_result){0};
  if (!model || !path || !options || !options->out)
    return pt_api_null("ptv3_predict_file",
                       !model     ? "model"
                       : !path    ? "path"
                       : !options ? "options"
                                  : "options->out",
                       err);
  if (!model->net.w.data) return pt_fail(err, PTV3_INVALID, "the model has no weights");
  return pt_predict_file(model, path, options, false, count, result, err);
}
