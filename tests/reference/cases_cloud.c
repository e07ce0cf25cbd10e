/* cases_cloud.c - grid sampling, transforms, metrics, and the validation and test pipelines
 * with the network at their end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fragments.h"
#include "metrics.h"
#include "refmodel.h"

/* Ends the program: what follows cannot be checked. */
static void need(struct refcase *c, int status, const struct ptv3_error *e) {
  if (!status) return;
  fprintf(stderr, "%s: %s\n", c->folder, e->message);
  exit(2);
}

/* ---- recorded draws, in call order ---- */

struct script {
  const double *number; /* [n] */
  int64_t n, at;
};

/* Chances are always taken; choices fall on the first where none is recorded. */
static int scripted(void *user, enum pt_draw_kind kind, double lo, double hi, int64_t n,
                    double *out, struct ptv3_error *err) {
  struct script *s = user;
  (void)lo, (void)hi;
  for (int64_t i = 0; i < n; i++) {
    out[i] = 0;
    if (kind == PT_DRAW_CHANCE || (kind == PT_DRAW_INTEGER && !s->n)) continue;
    if (s->at == s->n) return pt_fail(err, PTV3_INTERNAL, "no more draws recorded");
    out[i] = s->number[s->at++];
  }
  return PTV3_OK;
}

/* ---- grid sampling ---- */

static void check_key(struct refcase *c, const struct pt_channel *coord, const char *key,
                      enum pt_grid_key type) {
  struct ptv3_error e;
  struct pt_gridsample v;
  double grid = ref_number(c, "grid_size", 0);
  need(c, pt_gridsample_build(&v, c->env, coord, grid, type, &e), &e);
  int64_t m, fragments, n = v.n;
  int32_t *count = ref_i32(c, &m, "%s/voxel_count", key), *got = ref_alloc(c, n, 4);
  int32_t *cells = ref_alloc(c, 3 * n, 4);
  ref_check(c, v.m == m, "%s: %lld voxels, expected %lld", key, (long long)v.m, (long long)m);
  if (v.m != m) exit(1);
  for (int64_t j = 0; j < m; j++) got[j] = v.start[j + 1] - v.start[j];
  ref_compare_i32(c, "voxel_count", got, count, m);
  ref_compare_i64(c, "min_grid", v.min, ref_i64(c, NULL, "min_grid"), 3);
  ref_compare_i32(c, "member_order", v.order, ref_i32(c, NULL, "%s/member_order", key), n);
  ref_compare_i32(c, "voxel_of_point", v.inverse, ref_i32(c, NULL, "%s/voxel_of_point", key),
                  n);
  struct script s = {.number = ref_f64(c, &s.n, "%s/train_draw", key)};
  struct pt_draw draw = {.fill = scripted, .user = &s};
  need(c, pt_gridsample_pick(&v, &draw, got, &e), &e);
  ref_compare_i32(c, "train_select", got, ref_i32(c, NULL, "%s/train_select", key), m);
  pt_gridsample_grid(&v, coord, got, m, cells);
  ref_compare_i32(c, "voxel_grid_coord", cells, ref_i32(c, NULL, "%s/voxel_grid_coord", key),
                  3 * m);
  int32_t *want = ref_i32(c, &fragments, "%s/test_fragments", key);
  ref_check(c, v.max_count * m == fragments, "%lld fragments", (long long)v.max_count);
  for (int64_t i = 0; i < v.max_count && v.max_count * m == fragments; i++) {
    pt_gridsample_fragment(&v, i, got);
    ref_compare_i32(c, "test_fragments", got, want + i * m, m);
  }
  for (int64_t i = 0; i < n; i++) got[i] = (int32_t)i;
  pt_gridsample_grid(&v, coord, got, n, cells);
  ref_compare_i32(c, "grid_coord", cells, ref_i32(c, NULL, "grid_coord"), 3 * n);
  pt_gridsample_free(&v);
}

static void run_gridsample(struct refcase *c) {
  const char *type = json_string_value(ref_meta(c, "coord_dtype"));
  bool f64 = type && strcmp(type, "float64") == 0;
  struct pt_channel coord = {.name = "coord", .type = f64 ? PT_F64 : PT_F32, .width = 3};
  coord.data =
      f64 ? (void *)ref_f64(c, &coord.n, "coord") : (void *)ref_f32(c, &coord.n, "coord");
  coord.n /= 3;
  check_key(c, &coord, "fnv", PT_GRID_FNV);
  check_key(c, &coord, "ravel", PT_GRID_RAVEL);
}

/* ---- transforms ---- */

/* A cloud whose channels are the tensors "<folder>/...". */
static void load_cloud(struct refcase *c, const char *folder, struct pt_cloud *cloud) {
  size_t length = strlen(folder);
  bool first = true;
  for (int64_t i = 0; i < c->data.count; i++) {
    const struct pt_tensor *t = &c->data.item[i];
    struct ptv3_error e = {0};
    if (strncmp(t->name, folder, length) != 0 || t->name[length] != '/') continue;
    if (first) pt_cloud_init(cloud, &c->env->mem, t->shape[0]);
    first = false;
    int width = t->ndim > 1 ? (int)t->shape[1] : 1;
    struct pt_channel *ch = pt_cloud_add(cloud, t->name + length + 1, t->type, width, &e);
    need(c, ch ? 0 : e.status, &e);
    pt_tensor_copy(t, t->type, ch->data);
  }
}

/* 1e-6 relative, for values below 1 absolute. */
static void compare_channel(struct refcase *c, const char *tag, const struct pt_cloud *cloud,
                            const char *channel, const struct pt_tensor *t, bool type) {
  const struct pt_channel *ch = pt_cloud_find(cloud, channel);
  bool fits =
      ch && ch->n * ch->width == t->count && (!type || ch->type == t->type) && t->count > 0;
  ref_check(c, fits, "%s/%s: another shape or type", tag, channel);
  if (!fits) return;
  double *want = ref_f64(c, NULL, "%s", t->name), worst = 0;
  for (int64_t i = 0; i < t->count; i++) {
    double d = pt_channel_at(ch, i / ch->width, (int)(i % ch->width)) - want[i];
    worst = fmax(worst, fabs(d) <= 1e30 ? fabs(d) / fmax(1, fabs(want[i])) : 1e30);
  }
  c->worst = fmax(c->worst, worst / 1e-6);
  ref_check(c, worst <= 1e-6, "%s/%s: error %.3g", tag, channel, worst);
}

/* The tensors <tag>/draw0, draw1, ... one after the other. */
static struct script recorded(struct refcase *c, const char *tag, json_t *dict) {
  struct script s = {0};
  int64_t n = 0;
  for (int k = 0; ref_has(c, "%s/draw%d", tag, k); k++) {
    ref_f64(c, &n, "%s/draw%d", tag, k);
    s.n += n;
  }
  double *all = ref_alloc(c, s.n + 1, sizeof *all), *to = all;
  for (int k = 0; ref_has(c, "%s/draw%d", tag, k); k++, to += n) {
    const double *part = ref_f64(c, &n, "%s/draw%d", tag, k);
    memcpy(to, part, (size_t)n * sizeof *to);
  }
  /* recorded after upstream had scaled them in place */
  if (strcmp(json_string_value(json_object_get(dict, "type")), "ChromaticJitter") == 0)
    for (int64_t i = 0; i < s.n; i++)
      all[i] /= json_number_value(json_object_get(dict, "std")) * 255;
  s.number = all;
  return s;
}

static void check_transform(struct refcase *c, const char *tag, json_t *dict) {
  struct ptv3_error e;
  struct pt_config config;
  struct pt_pipeline p;
  struct pt_cloud cloud;
  char *python = ref_python(dict), *text = ref_alloc(c, (int64_t)strlen(python) + 16, 1);
  snprintf(text, strlen(python) + 16, "T = [%s]\n", python);
  free(python);
  ref_parse(c, text, &config);
  need(c, pt_pipeline_parse(&p, &c->env->mem, pt_get(config.root, "T"), &e), &e);
  load_cloud(c, "in", &cloud);
  struct script s = recorded(c, tag, dict);
  struct pt_draw draw = {.fill = scripted, .user = &s};
  need(c, pt_pipeline_apply(&p, c->env, &cloud, &draw, false, &e), &e);
  /* of ChromaticAutoContrast the chance itself was recorded */
  const char *type = json_string_value(json_object_get(dict, "type"));
  ref_check(c, s.at == s.n || strcmp(type, "ChromaticAutoContrast") == 0, "%s: draws left",
            tag);
  for (int64_t i = 0; i < c->data.count; i++) {
    const struct pt_tensor *t = &c->data.item[i];
    char name[120];
    if (strncmp(t->name, "in/", 3) != 0) continue;
    snprintf(name, sizeof name, "%s/%s", tag, t->name + 3);
    const struct pt_tensor *changed = pt_tensors_find(&c->data, name);
    compare_channel(c, tag, &cloud, t->name + 3, changed ? changed : t, changed != NULL);
  }
  pt_cloud_free(&cloud);
  pt_pipeline_free(&p);
  pt_config_free(&config);
}

static void run_transforms(struct refcase *c) {
  const char *tag;
  json_t *dict;
  json_object_foreach(ref_meta(c, "transforms"), tag, dict) check_transform(c, tag, dict);
}

/* ---- metrics ---- */

/* Counts of all classes against <name>/intersection, union and the tensor `target`. */
static void compare_counts(struct refcase *c, const struct pt_metrics *m, const char *name,
                           const char *target) {
  int64_t *got = ref_alloc(c, m->classes, sizeof *got);
  for (int k = 0; k < m->classes; k++) got[k] = pt_metrics_intersection(m, k);
  ref_compare_i64(c, "intersection", got, ref_i64(c, NULL, "%s/intersection", name),
                  m->classes);
  for (int k = 0; k < m->classes; k++) got[k] = pt_metrics_union(m, k);
  ref_compare_i64(c, "union", got, ref_i64(c, NULL, "%s/union", name), m->classes);
  for (int k = 0; k < m->classes; k++) got[k] = pt_metrics_target(m, k);
  ref_compare_i64(c, "target", got, ref_i64(c, NULL, "%s/%s", name, target), m->classes);
}

static void check_score(struct refcase *c, const char *name, json_t *want, double got) {
  bool same = json_is_null(want) ? isnan(got) : fabs(got - json_number_value(want)) < 1e-12;
  ref_check(c, same, "%s: %.15g", name, got);
}

static void run_metrics(struct refcase *c) {
  const char *name;
  json_t *v;
  json_object_foreach(ref_meta(c, "cases"), name, v) {
    struct ptv3_error e;
    struct pt_metrics m, half;
    int classes = (int)json_integer_value(json_object_get(v, "K"));
    int32_t ignore = (int32_t)json_integer_value(json_object_get(v, "ignore_index"));
    need(c, pt_metrics_init(&m, &c->env->mem, classes, ignore, &e), &e);
    need(c, pt_metrics_init(&half, &c->env->mem, classes, ignore, &e), &e);
    int64_t n;
    int32_t *pred = ref_i32(c, &n, "%s/pred", name),
            *target = ref_i32(c, NULL, "%s/target", name);
    pt_metrics_add(&m, pred, target, n / 3);
    pt_metrics_add(&half, pred + n / 3, target + n / 3, n - n / 3);
    pt_metrics_merge(&m, &half);
    compare_counts(c, &m, name, "target_count");
    struct pt_scores s = pt_metrics_scores(&m);
    check_score(c, "m_iou", json_object_get(v, "m_iou"), s.miou);
    check_score(c, "m_acc", json_object_get(v, "m_acc"), s.macc);
    check_score(c, "all_acc", json_object_get(v, "all_acc"), s.allacc);
    check_score(c, "m_iou_present_only", json_object_get(v, "m_iou_present_only"),
                s.miou_present);
    pt_metrics_free(&m);
    pt_metrics_free(&half);
  }
}

/* ---- the pipelines of S3DIS ---- */

/* As configs/s3dis has them; the grid size and the augmentations are the case's. */
static void read_pipelines(struct refcase *c, struct pt_config *config) {
  static const char form[] =
      "grid = %.17g\n"
      "val = [dict(type='CenterShift', apply_z=True),\n"
      "  dict(type='Copy', keys_dict={'segment': 'origin_segment'}),\n"
      "  dict(type='GridSample', grid_size=grid, hash_type='fnv', mode='train',\n"
      "       return_grid_coord=True, return_inverse=True),\n"
      "  dict(type='CenterShift', apply_z=False), dict(type='NormalizeColor'),\n"
      "  dict(type='ToTensor'),\n"
      "  dict(type='Collect', keys=('coord', 'grid_coord', 'segment', 'origin_segment',\n"
      "       'inverse'), feat_keys=('color', 'normal'))]\n"
      "test = dict(\n"
      "  transform=[dict(type='CenterShift', apply_z=True), dict(type='NormalizeColor')],\n"
      "  test_cfg=dict(\n"
      "    voxelize=dict(type='GridSample', grid_size=grid, hash_type='fnv', mode='test',\n"
      "                  return_grid_coord=True),\n"
      "    crop=None,\n"
      "    post_transform=[dict(type='CenterShift', apply_z=False), dict(type='ToTensor'),\n"
      "      dict(type='Collect', keys=('coord', 'grid_coord', 'index'),\n"
      "           feat_keys=('color', 'normal'))],\n"
      "    aug_transform=%s))\n";
  char *aug = ref_python(ref_meta(c, "aug_transform"));
  size_t size = sizeof form + strlen(aug) + 40;
  char *text = ref_alloc(c, (int64_t)size, 1);
  snprintf(text, size, form, ref_number(c, "grid_size", 0), aug);
  free(aug);
  ref_parse(c, text, config);
}

static void compare_floats(struct refcase *c, const char *name, const float *got, int64_t n) {
  int64_t count;
  double *want = ref_f64(c, &count, "%s", name), worst = 0;
  ref_check(c, count == n, "%s: %lld numbers, expected %lld", name, (long long)n,
            (long long)count);
  for (int64_t i = 0; i < n && i < count; i++)
    worst = fmax(worst, fabs((double)got[i] - want[i]) / fmax(1, fabs(want[i])));
  ref_check(c, worst <= 1e-6, "%s: error %.3g", name, worst);
}

/* The network's input against <prefix>grid_coord, coord, feat and a list of indices. */
static bool compare_sample(struct refcase *c, const char *prefix, const struct pt_sample *s,
                           const char *list, const int32_t *got, int64_t n) {
  char name[80];
  int64_t rows, count;
  int32_t *grid = ref_i32(c, &rows, "%sgrid_coord", prefix);
  int32_t *want = ref_i32(c, &count, "%s%s", prefix, list);
  bool same = rows == 3 * s->n && count == n && got;
  ref_check(c, same, "%s: %lld rows", prefix, (long long)s->n);
  if (!same) return false;
  ref_compare_i32(c, "grid_coord", s->grid_coord, grid, rows);
  ref_compare_i32(c, list, got, want, n);
  snprintf(name, sizeof name, "%scoord", prefix);
  compare_floats(c, name, s->coord, rows);
  snprintf(name, sizeof name, "%sfeat", prefix);
  compare_floats(c, name, s->feat, s->n * s->channels);
  return true;
}

static float *forward(struct refcase *c, const struct pt_model *m, const struct pt_sample *s) {
  int64_t offset[2] = {0, s->n};
  struct pt_batch batch = {s->n, s->grid_coord, s->feat, 1, offset};
  struct ptv3_error e;
  float *logits = pt_alloc(&c->env->mem, s->n, m->cfg.classes * 4, PT_MEM_OTHER, &e);
  need(c, logits ? 0 : e.status, &e);
  ref_check(c, s->channels == m->cfg.in_channels, "%d channels", s->channels);
  need(c, pt_forward(c->env, m, &batch, NULL, logits, &e), &e);
  return logits;
}

static int32_t best(const float *v, int n, double *gap) {
  int32_t b = 0;
  float second = -INFINITY;
  for (int32_t k = 1; k < n; k++)
    if (v[k] > v[b])
      second = v[b], b = k;
    else if (v[k] > second)
      second = v[k];
  *gap = (double)v[b] - (double)second;
  return b;
}

/* Labels and counts of <name>, where labels that cannot be told in float32 (close [n]) are
 * taken as expected. */
static void compare_labels(struct refcase *c, const char *name, const char *tensor,
                           int32_t *label, const bool *close, int64_t n, int classes) {
  struct ptv3_error e;
  struct pt_metrics m;
  json_t *criteria = json_array_get(ref_meta(c, "config|criteria"), 0);
  json_t *ignore = json_object_get(criteria, "ignore_index");
  int64_t count;
  int32_t *want = ref_i32(c, &count, "%s", tensor), *segment = ref_i32(c, NULL, "room/segment");
  ref_check(c, count == n, "%s: %lld labels", tensor, (long long)n);
  for (int64_t i = 0; i < n && count == n; i++)
    if (close[i]) label[i] = want[i];
  ref_compare_i32(c, tensor, label, want, n < count ? n : count);
  need(c,
       pt_metrics_init(&m, &c->env->mem, classes,
                       ignore ? (int32_t)json_integer_value(ignore) : -1, &e),
       &e);
  pt_metrics_add(&m, label, segment, n);
  compare_counts(c, &m, name, "target");
  pt_metrics_free(&m);
}

static void check_val(struct refcase *c, const struct pt_model *m,
                      const struct pt_value *list) {
  struct ptv3_error e;
  struct pt_pipeline p;
  struct pt_cloud cloud;
  struct pt_sample s;
  need(c, pt_pipeline_parse(&p, &c->env->mem, list, &e), &e);
  load_cloud(c, "room", &cloud);
  struct script draws = {.number = ref_f64(c, &draws.n, "val/draw")};
  struct pt_draw draw = {.fill = scripted, .user = &draws};
  need(c, pt_pipeline_apply(&p, c->env, &cloud, &draw, true, &e), &e);
  need(c, pt_sample_view(&cloud, &s, &e), &e);
  if (compare_sample(c, "val/", &s, "inverse", s.inverse, s.n_origin)) {
    int k = m->cfg.classes;
    double gap, *want = ref_f64(c, NULL, "val/logits");
    float *logits = forward(c, m, &s), *margin = ref_f32(c, NULL, "val/margin");
    ref_compare(c, "val/logits", logits, want, s.n * k, NULL);
    int32_t *label = ref_alloc(c, s.n_origin, 4);
    bool *close = ref_alloc(c, s.n_origin, sizeof *close);
    for (int64_t i = 0; i < s.n_origin; i++) {
      label[i] = best(logits + (int64_t)s.inverse[i] * k, k, &gap);
      close[i] = margin[s.inverse[i]] < 1e-3f;
    }
    ref_compare_i32(c, "origin_segment", s.origin_segment, ref_i32(c, NULL, "room/segment"),
                    s.n_origin);
    compare_labels(c, "val", "val/pred_full", label, close, s.n_origin, k);
    pt_free(&c->env->mem, logits);
  }
  pt_cloud_free(&cloud);
  pt_pipeline_free(&p);
}

/* votes[index] += softmax(logits) */
static void vote(const struct pt_sample *s, const float *logits, int k, double *votes) {
  for (int64_t i = 0; i < s->n; i++, logits += k) {
    double *to = votes + (int64_t)s->index[i] * k, most = -INFINITY, sum = 0;
    for (int j = 0; j < k; j++) most = fmax(most, (double)logits[j]);
    for (int j = 0; j < k; j++) sum += exp((double)logits[j] - most);
    for (int j = 0; j < k; j++) to[j] += exp((double)logits[j] - most) / sum;
  }
}

static void compare_votes(struct refcase *c, const double *votes, int64_t n, int k) {
  float *got = ref_alloc(c, n * k, 4);
  int32_t *label = ref_alloc(c, n, 4);
  bool *close = ref_alloc(c, n, sizeof *close);
  for (int64_t i = 0; i < n; i++) {
    double gap;
    for (int j = 0; j < k; j++) got[i * k + j] = (float)votes[i * k + j];
    label[i] = best(got + i * k, k, &gap);
    close[i] = gap < 1e-3;
  }
  ref_compare(c, "test/votes", got, ref_f64(c, NULL, "test/votes"), n * k, NULL);
  compare_labels(c, "test", "test/pred", label, close, n, k);
}

/* All fragments of one augmentation; *done counts them. */
static void run_augmentation(struct refcase *c, const struct pt_model *m, struct pt_test_run *r,
                             int64_t *done, double *votes) {
  struct ptv3_error e;
  struct pt_draw draw = pt_draw_of(0, 0, 0);
  int64_t count;
  int32_t *size = ref_i32(c, &count, "test/fragment_size");
  for (int64_t i = 0; i < r->fragments; i++, ++*done) {
    struct pt_cloud f;
    struct pt_sample s;
    need(c, pt_test_fragment(r, c->env, i, &draw, &f, &e), &e);
    need(c, pt_sample_view(&f, &s, &e), &e);
    ref_check(c, *done < count && s.n == size[*done], "fragment %lld has %lld points",
              (long long)*done, (long long)s.n);
    if (*done == 0) compare_sample(c, "test/fragment0_", &s, "index", s.index, s.n);
    float *logits = forward(c, m, &s);
    vote(&s, logits, m->cfg.classes, votes);
    pt_free(&c->env->mem, logits);
    pt_cloud_free(&f);
  }
}

static void check_test(struct refcase *c, const struct pt_model *m, const struct pt_value *v) {
  struct ptv3_error e;
  struct pt_test test;
  struct pt_cloud cloud;
  struct pt_draw draw = pt_draw_of(0, 0, 0);
  int64_t done = 0;
  need(c, pt_test_parse(&test, &c->env->mem, v, &e), &e);
  load_cloud(c, "room", &cloud);
  double *votes = ref_alloc(c, cloud.n * m->cfg.classes, sizeof *votes);
  memset(votes, 0, (size_t)(cloud.n * m->cfg.classes) * sizeof *votes);
  need(c, pt_pipeline_apply(&test.transform, c->env, &cloud, &draw, true, &e), &e);
  for (int64_t a = 0; a < test.n_aug; a++) {
    struct pt_test_run r = {0};
    need(c, pt_test_begin(&r, &test, c->env, &cloud, a, &draw, &e), &e);
    run_augmentation(c, m, &r, &done, votes);
    pt_test_end(&r);
  }
  ref_check(c, done == (int64_t)ref_number(c, "n_fragments", 0), "%lld fragments",
            (long long)done);
  compare_votes(c, votes, cloud.n, m->cfg.classes);
  pt_cloud_free(&cloud);
  pt_test_free(&test);
}

static void run_pipeline(struct refcase *c) {
  struct pt_config config;
  struct pt_model m;
  read_pipelines(c, &config);
  ref_model(c, ref_meta(c, "config"), ref_seed(c), &m);
  check_val(c, &m, pt_get(config.root, "val"));
  check_test(c, &m, pt_get(config.root, "test"));
  ref_model_free(c, &m);
  pt_config_free(&config);
}

const struct refkind refkinds_cloud[] = {
    {"GridSample hash", run_gridsample},
    {"data transforms", run_transforms},
    {"intersection_and_union", run_metrics},
    {"raw room -> S3DIS val pipeline", run_pipeline},
    {NULL, NULL},
};
