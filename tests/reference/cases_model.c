/* cases_model.c - whole networks: logits, the features after every stage, the structure of
 * every stage, and the degenerate clouds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "refmodel.h"

/* ---- stages ---- */

struct watch {
  struct refcase *c;
  const struct pt_ptv3 *cfg;
  const struct pt_structure *s;
  int32_t *ours[PT_MAX_STAGES]; /* [n] our row of each of the case's rows of a stage */
};

/* Key of a voxel for matching rows: sorted lists of (cloud, x, y, z, row). */
struct voxel {
  int32_t key[4], row;
};
static int by_key(const void *a, const void *b) {
  return memcmp(a, b, sizeof((struct voxel *)0)->key);
}

/* Matches the case's rows of a stage with ours by cloud and grid coordinate. */
static int32_t *match_rows(struct refcase *c, const struct pt_structure *s, int stage,
                           const int32_t *batch, const int32_t *coord, int64_t n) {
  const struct pt_stage *t = &s->stage[stage];
  ref_check(c, n == t->n, "stage %d has %lld rows, expected %lld", stage, (long long)t->n,
            (long long)n);
  if (n != t->n) return NULL;
  struct voxel *a = ref_alloc(c, n, sizeof *a), *b = ref_alloc(c, n, sizeof *b);
  int32_t *ours = ref_alloc(c, n, sizeof *ours), cloud = 0;
  for (int64_t i = 0; i < n; i++) {
    while (i >= t->offset[cloud + 1]) cloud++;
    a[i] = (struct voxel){{batch[i], coord[3 * i], coord[3 * i + 1], coord[3 * i + 2]},
                          (int32_t)i};
    b[i] = (struct voxel){{cloud, t->coord[3 * i], t->coord[3 * i + 1], t->coord[3 * i + 2]},
                          (int32_t)i};
  }
  qsort(a, (size_t)n, sizeof *a, by_key);
  qsort(b, (size_t)n, sizeof *b, by_key);
  int64_t same = 0;
  for (int64_t i = 0; i < n; i++) {
    same += by_key(&a[i], &b[i]) == 0;
    ours[a[i].row] = b[i].row;
  }
  ref_check(c, same == n, "stage %d: %lld voxels differ", stage, (long long)(n - same));
  return same == n ? ours : NULL;
}

/* order[r][p] of the case is our row at position p of the stage's order r. */
static void check_orders(struct refcase *c, const struct pt_structure *s, int stage,
                         const int32_t *ours) {
  const struct pt_stage *t = &s->stage[stage];
  int32_t *want = ref_i32(c, NULL, "stage/enc%d/order", stage);
  for (int o = 0; o < s->orders; o++) {
    const int32_t *got = t->order[t->curve[o]];
    int64_t bad = 0;
    for (int64_t p = 0; p < t->n; p++)
      bad += ours[want[o * t->n + p]] != (got ? got[p] : (int32_t)p);
    ref_check(c, !bad, "stage %d: order %d differs at %lld places", stage, o, (long long)bad);
  }
  ref_check(c, *ref_i32(c, NULL, "stage/enc%d/depth", stage) == t->depth, "stage %d: depth %d",
            stage, t->depth);
}

static void check_cluster(struct watch *w, int stage) {
  const struct pt_stage *t = &w->s->stage[stage - 1];
  int32_t *want = ref_i32(w->c, NULL, "stage/enc%d/cluster", stage);
  int64_t bad = 0;
  for (int64_t i = 0; i < t->n; i++)
    bad += w->ours[stage][want[i]] != t->cluster[w->ours[stage - 1][i]];
  ref_check(w->c, !bad, "stage %d: %lld rows pool elsewhere", stage, (long long)bad);
}

static void begin(void *user, const struct pt_structure *s) {
  struct watch *w = user;
  w->s = s;
  for (int i = 0; i < s->stages; i++) {
    if (!ref_has(w->c, "stage/enc%d/grid_coord", i)) return;
    int64_t n;
    int32_t *batch = ref_i32(w->c, &n, "stage/enc%d/batch", i);
    int32_t *coord = ref_i32(w->c, NULL, "stage/enc%d/grid_coord", i);
    w->ours[i] = match_rows(w->c, s, i, batch, coord, n);
    if (!w->ours[i]) return;
    check_orders(w->c, s, i, w->ours[i]);
    if (i) check_cluster(w, i);
  }
}

/* The name of the stage a step completes ("enc2"), or "" if it is not its last one. */
static void stage_of(const struct watch *w, const struct pt_step *step, char name[16], int *s) {
  char side[8];
  int block;
  name[0] = 0;
  *s = 0;
  if (strcmp(step->label, "embedding") == 0) strcpy(name, "embedding");
  if (step->op != PT_OP_mlp) return;
  if (sscanf(step->label, "%3[a-z]%d.block%d", side, s, &block) != 3) return;
  int depth = side[0] == 'e' ? w->cfg->enc[*s].depth : w->cfg->dec[*s].depth;
  if (block + 1 == depth) snprintf(name, 16, "%s%d", side, *s);
}

static void after(void *user, const struct pt_step *step, const void *data, enum pt_dtype type,
                  int64_t rows, int channels) {
  struct watch *w = user;
  char name[16], tensor[40], error[64];
  int s;
  stage_of(w, step, name, &s);
  if (!name[0] || !w->ours[s] || !ref_has(w->c, "stage/%s/feat", name)) return;
  double *want = ref_f64(w->c, NULL, "stage/%s/feat", name);
  float *got = ref_alloc(w->c, rows * channels, sizeof *got);
  for (int64_t i = 0; i < rows; i++)
    pt_convert(got + i * channels, PT_F32,
               (const char *)data + w->ours[s][i] * channels * pt_dtype(type)->bytes, type,
               channels);
  snprintf(tensor, sizeof tensor, "stage/%s/feat", name);
  snprintf(error, sizeof error, "float32_error|%s", tensor);
  ref_compare(w->c, tensor, got, want, rows * channels, error);
}

/* ---- logits and labels ---- */

/* The index of the largest, the first of equals; *gap is its distance to the second. */
static int best(const double *v, int n, double *gap) {
  int b = 0;
  double second = -INFINITY;
  for (int i = 1; i < n; i++) {
    if (v[i] > v[b])
      second = v[b], b = i;
    else if (v[i] > second)
      second = v[i];
  }
  *gap = v[b] - second;
  return b;
}

static void compare_logits(struct refcase *c, const char *name, const float *got,
                           const double *want, int64_t n, int classes, const char *error) {
  ref_compare(c, name, got, want, n * classes, error);
  int64_t wrong = 0;
  for (int64_t i = 0; i < n; i++) {
    double gap, row[4096];
    int label = best(want + i * classes, classes, &gap), ours;
    for (int k = 0; k < classes; k++) row[k] = (double)got[i * classes + k];
    double unused;
    ours = best(row, classes, &unused);
    wrong += ours != label && gap > 1e-3; /* below that float32 itself cannot tell */
  }
  ref_check(c, wrong == 0, "%s: %lld labels differ", name, (long long)wrong);
}

static float *forward(struct refcase *c, const struct pt_model *m, const struct ref_input *in,
                      const struct pt_forward *opt) {
  struct ptv3_error e;
  float *logits = ref_alloc(c, in->batch.n * m->cfg.classes, sizeof *logits);
  int status = pt_forward(c->env, m, &in->batch, opt, logits, &e);
  ref_check(c, !status, "%s", status ? e.message : "");
  if (status) memset(logits, 0, (size_t)(in->batch.n * m->cfg.classes) * sizeof *logits);
  return logits;
}

/* Other tile sizes and thread counts give the same bits. */
static void check_bits(struct refcase *c, const struct pt_model *m, const struct ref_input *in,
                       const struct pt_forward *opt, const float *logits) {
  static const int tile[] = {0, 1, 48, 1000}, threads[] = {4, 1, 3, 2};
  struct pt_forward quiet = *opt;
  quiet.observe = NULL;
  quiet.begin = NULL;
  int before = c->env->threads;
  for (int i = 0; i < 4; i++) {
    struct pt_model other = *m;
    other.tile = tile[i];
    c->env->threads = threads[i];
    float *again = forward(c, &other, in, &quiet);
    ref_check(c, memcmp(again, logits, (size_t)(in->batch.n * m->cfg.classes) * 4) == 0,
              "tile %d, %d threads: other bits", tile[i], threads[i]);
  }
  c->env->threads = before;
}

/* Bits an axis of a cloud. */
static int depth_of(const struct pt_batch *b) {
  int32_t max = 0;
  for (int64_t i = 0; i < 3 * b->n; i++) max = b->coord[i] > max ? b->coord[i] : max;
  return pt_curve_depth(max, 0);
}

/* With flash semantics a batch gives the bits of its clouds one by one. Pointcept's depth is
 * common to a batch, and a Hilbert curve of another depth starts in another direction: only
 * clouds as deep as their batch can be compared. */
static void check_batch(struct refcase *c, const struct pt_model *m, const struct ref_input *in,
                        const float *logits) {
  if (in->batch.clouds < 2) return;
  struct pt_model flash = *m;
  flash.cfg.enable_flash = true;
  struct pt_forward none = {0};
  const float *all = m->cfg.enable_flash ? logits : forward(c, &flash, in, &none);
  for (int k = 0; k < in->batch.clouds; k++) {
    int64_t o = in->offset[k], n = in->offset[k + 1] - o, offset[2] = {0, n};
    struct ref_input one = {
        {n, in->batch.coord + 3 * o, in->batch.feat + o * m->cfg.in_channels, 1, offset},
        offset};
    if (depth_of(&one.batch) != depth_of(&in->batch)) continue;
    float *alone = forward(c, &flash, &one, &none);
    ref_check(c, memcmp(alone, all + o * m->cfg.classes, (size_t)(n * m->cfg.classes) * 4) == 0,
              "cloud %d alone: other bits than in the batch", k);
  }
}

static int best_f32(const float *v, int n, double *gap) {
  double row[4096] = {0};
  for (int k = 0; k < n; k++) row[k] = (double)v[k];
  return best(row, n, gap);
}

static float *forward_bf16(struct refcase *c, const struct pt_model *f32,
                           const struct ref_input *in, const int *perm) {
  struct pt_model m = *f32;
  struct ptv3_error e;
  uint64_t seed = ref_seed(c);
  m.cfg.type = PT_BF16;
  m.cfg.mat = pt_kernels_mat(m.kernels, PT_BF16);
  int status = pt_weights_build(c->env, &m.cfg, ref_formula_fetch, &seed, &m.w, &e);
  ref_check(c, !status, "%s", status ? e.message : "");
  struct pt_forward opt = {.perm = perm};
  float *got = status ? NULL : forward(c, &m, in, &opt);
  pt_weights_free(c->env, &m.w);
  return got;
}

/* The same network in bf16 against its own float32 logits. bf16 carries 16 bits fewer, so the
 * error may be 2^16 times what float32 costs PyTorch, as a part of the logits' size. Labels
 * have to agree where the two best classes are further apart than six errors: with untrained
 * weights many rows are nearly undecided. */
static void check_bf16(struct refcase *c, const struct pt_model *m, const struct ref_input *in,
                       const int *perm, const float *want) {
  const float *got = forward_bf16(c, m, in, perm);
  int64_t n = in->batch.n;
  int classes = m->cfg.classes;
  if (!got) return;
  double sum = 0, clear = 0, clear_same = 0, same = 0, gap, unused;
  for (int64_t i = 0; i < n * classes; i++)
    sum += ((double)want[i] - (double)got[i]) * ((double)want[i] - (double)got[i]);
  double error = sqrt(sum / (double)(n * classes));
  for (int64_t i = 0; i < n; i++) {
    bool agree = best_f32(want + i * classes, classes, &gap) ==
                 best_f32(got + i * classes, classes, &unused);
    same += agree;
    clear += gap > 6 * error;
    clear_same += agree && gap > 6 * error;
  }
  double allowed = 65536 * ref_number(c, "float32_error|logits|rms", 0);
  ref_check(c, error <= allowed, "bf16: error of logits %.3g, allowed %.3g", error, allowed);
  ref_check(c, clear_same >= 0.995 * clear, "bf16: %.2f %% of the clear labels agree",
            100 * clear_same / clear);
  if (n >= 1000)
    printf("       %-44s bf16: %.2f %% of labels as in float32, %.2f %% of the clear ones\n",
           c->folder, 100 * same / (double)n, clear > 0 ? 100 * clear_same / clear : 100);
}

static void run_eval(struct refcase *c) {
  struct pt_model m;
  ref_model(c, ref_meta(c, "config"), ref_seed(c), &m);
  struct ref_input in = ref_input(c, "", m.cfg.in_channels);
  struct watch w = {.c = c, .cfg = &m.cfg};
  struct pt_forward opt = {
      .perm = ref_perms(c, &m.cfg), .observe = after, .begin = begin, .user = &w};
  float *logits = forward(c, &m, &in, &opt);
  compare_logits(c, "logits", logits, ref_f64(c, NULL, "logits"), in.batch.n, m.cfg.classes,
                 "float32_error|logits");
  bool ref_kernels = strcmp(m.kernels->name, "ref") == 0;
  if (in.batch.n <= 10000 && !ref_kernels) {
    check_bits(c, &m, &in, &opt, logits);
    if (!opt.perm) check_batch(c, &m, &in, logits);
  }
  if (!ref_kernels) check_bf16(c, &m, &in, opt.perm, logits);
  ref_model_free(c, &m);
}

static void run_edge_cases(struct refcase *c) {
  const char *name;
  json_t *value;
  json_object_foreach(ref_meta(c, "cases"), name, value) {
    struct pt_model m;
    char prefix[80], tensor[100], error[120];
    ref_model(c, ref_meta(c, "config"), ref_seed(c), &m);
    if (strstr(name, "flash_layout")) m.cfg.enable_flash = true;
    snprintf(prefix, sizeof prefix, "%s/", name);
    snprintf(tensor, sizeof tensor, "%s/logits", name);
    snprintf(error, sizeof error, "cases|%s|float32_error", name);
    struct pt_forward none = {0};
    struct ref_input in = ref_input(c, prefix, m.cfg.in_channels);
    float *logits = forward(c, &m, &in, &none);
    compare_logits(c, tensor, logits, ref_f64(c, NULL, "%s", tensor), in.batch.n, m.cfg.classes,
                   error);
    ref_model_free(c, &m);
  }
}

const struct refkind refkinds_model[] = {
    {"eval-mode forward of the tiny model on degenerate inputs", run_edge_cases},
    {"eval-mode forward", run_eval},
    {NULL, NULL},
};
