/* cases_files.c - checkpoints: every .pth of the folder against the .safetensors with the same
 * tensors, and a network built from them against one built from the formula. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"
#include "refmodel.h"

/* A checkpoint of the folder; ends the program when it cannot be read. */
static struct pt_tensors open_set(struct refcase *c, const char *file, const char *part) {
  char path[1400];
  struct pt_tensors t;
  struct ptv3_error e;
  snprintf(path, sizeof path, "%s/%s", c->dir, file);
  int status = part ? pt_tensors_open_part(&t, &c->env->mem, path, part, &e)
                    : pt_tensors_open(&t, &c->env->mem, path, &e);
  if (status) {
    fprintf(stderr, "%s\n", e.message);
    exit(2);
  }
  return t;
}

/* The word a file's name begins with ("micro" of micro_plain.pth), and the file that holds the
 * same tensors: <name>_expected.safetensors, or <word>.safetensors. */
static void names_of(struct refcase *c, const char *file, char word[80], char expected[160]) {
  char path[1400];
  snprintf(expected, 160, "%.*s_expected.safetensors", (int)strcspn(file, "."), file);
  snprintf(path, sizeof path, "%s/%s", c->dir, expected);
  snprintf(word, 80, "%.*s", (int)strcspn(file, "_."), file);
  if (!pt_is_file(path)) snprintf(expected, 160, "%s.safetensors", word);
}

static bool same_bits(struct refcase *c, const struct pt_tensor *x, const struct pt_tensor *y) {
  enum pt_dtype type = x->type == PT_BF16 ? PT_F32 : x->type; /* BF16 is kept as F32 */
  if (type != y->type || x->ndim != y->ndim || x->count != y->count ||
      memcmp(x->shape, y->shape, (size_t)x->ndim * sizeof *x->shape) != 0)
    return false;
  void *a = ref_alloc(c, x->count + 1, 8), *b = ref_alloc(c, x->count + 1, 8);
  pt_tensor_copy(x, type, a);
  pt_tensor_copy(y, type, b);
  return memcmp(a, b, (size_t)(x->count * pt_dtype(type)->bytes)) == 0;
}

static void compare_sets(struct refcase *c, const char *file, const struct pt_tensors *got,
                         const struct pt_tensors *want) {
  ref_check(c, got->count == want->count, "%s: %lld tensors, expected %lld", file,
            (long long)got->count, (long long)want->count);
  for (int64_t i = 0; i < want->count; i++) {
    const struct pt_tensor *x = pt_tensors_find(got, want->item[i].name);
    ref_check(c, x && same_bits(c, x, &want->item[i]), "%s: '%s' %s", file, want->item[i].name,
              x ? "differs" : "is missing");
  }
}

/* What the file has besides weights, as far as its description says. */
static void check_extras(struct refcase *c, const char *file, const char *text,
                         const struct pt_tensors *t) {
  ref_check(c, t->has_epoch && t->epoch >= 0, "%s: no epoch", file);
  ref_check(c, t->had_module == (strstr(text, "'module.'") != NULL), "%s: 'module.'", file);
  bool best = strstr(text, "best_metric_value") != NULL;
  ref_check(c, t->has_best == best, "%s: best metric", file);
  if (best) {
    const char *value = pt_tensors_extra(t, "best_metric_value");
    ref_check(c, value && t->best == strtod(value, NULL) && t->best > 0 && t->best <= 1,
              "%s: best metric %g", file, t->best);
  }
  if (!strstr(text, "optimizer")) return;
  struct pt_tensors o = open_set(c, file, "optimizer");
  const struct pt_tensor *x = pt_tensors_find(&o, "state.0.exp_avg");
  ref_check(c, x && x->type == PT_F32, "%s: no moments of AdamW", file);
  ref_check(c, pt_tensors_extra(&o, "param_groups.0.lr") != NULL, "%s: no rate", file);
  pt_tensors_free(&o);
}

/* ---- the network ---- */

enum { SIDE = 7, VOXELS = SIDE * SIDE * SIDE };

/* One pass over a cube of voxels; logits [VOXELS, classes]. */
static float *forward(struct refcase *c, const struct pt_model *m) {
  int64_t offset[2] = {0, VOXELS};
  int32_t *coord = ref_alloc(c, 3 * VOXELS, 4);
  float *feat = ref_alloc(c, (int64_t)VOXELS * m->cfg.in_channels, 4);
  float *logits = ref_alloc(c, (int64_t)VOXELS * m->cfg.classes, 4);
  for (int32_t i = 0; i < VOXELS; i++) {
    coord[3 * i] = i % SIDE;
    coord[3 * i + 1] = i / SIDE % SIDE;
    coord[3 * i + 2] = i / (SIDE * SIDE);
  }
  for (int i = 0; i < VOXELS * m->cfg.in_channels; i++) feat[i] = (float)(i * 37 % 101) / 101;
  struct pt_batch batch = {VOXELS, coord, feat, 1, offset};
  struct ptv3_error e;
  int status = pt_forward(c->env, m, &batch, NULL, logits, &e);
  ref_check(c, !status, "%s", status ? e.message : "");
  return logits;
}

/* Parameter i as it lies in the file is the formula's. */
static void check_formula(struct refcase *c, const struct pt_match *match, int64_t i,
                          uint64_t seed) {
  const struct pt_param *p = &match->param[i];
  float *got = pt_alloc(&c->env->mem, p->size, 4, PT_MEM_OTHER, NULL);
  float *want = pt_alloc(&c->env->mem, p->size, 4, PT_MEM_OTHER, NULL);
  if (!got || !want) exit(2);
  ref_formula(p, seed, want);
  if (match->tensor[i]) pt_tensor_copy_f32(match->tensor[i], got);
  ref_check(c, match->tensor[i] && memcmp(got, want, (size_t)p->size * 4) == 0,
            "'%s' is not the formula's", p->name);
  pt_free(&c->env->mem, got);
  pt_free(&c->env->mem, want);
}

/* The weights of the file give the bits of the formula's, if the folder says whose network
 * they are: config_<word>, weights_seed_<word>. */
static void check_network(struct refcase *c, const char *file, const char *word,
                          const struct pt_tensors *set) {
  char path[120];
  struct pt_model m, own;
  struct pt_match match = {0};
  struct ptv3_error e;
  snprintf(path, sizeof path, "config_%s", word);
  json_t *config = ref_meta(c, path);
  if (!config) return;
  snprintf(path, sizeof path, "weights_seed_%s", word);
  uint64_t seed = (uint64_t)ref_number(c, path, 0);
  ref_model(c, config, seed, &m);
  own = m;
  if (pt_match_build(c->env, &own.cfg, set, NULL, 0, &match, &e) ||
      pt_weights_build(c->env, &own.cfg, pt_match_fetch, &match, &own.w, &e)) {
    fprintf(stderr, "%s: %s\n", file, e.message);
    exit(2);
  }
  ref_check(c, match.count[PT_UNEXPECTED] == 0 && match.count[PT_MISSING] == 0,
            "%s: names do not match", file);
  for (int64_t i = 0; i < match.params; i++) check_formula(c, &match, i, seed);
  float *a = forward(c, &m), *b = forward(c, &own);
  ref_check(c, memcmp(a, b, VOXELS * (size_t)m.cfg.classes * sizeof *a) == 0,
            "%s: logits are not the formula's", file);
  pt_match_free(&match);
  pt_weights_free(c->env, &own.w);
  ref_model_free(c, &m);
}

static void run_checkpoints(struct refcase *c) {
  const char *file;
  json_t *text;
  int64_t epoch[2] = {-1, -1}; /* files of one network agree: [1] of those with a config */
  json_object_foreach(ref_meta(c, "files"), file, text) {
    char word[80], expected[160], path[100];
    if (!strstr(file, ".pth")) continue;
    names_of(c, file, word, expected);
    struct pt_tensors t = open_set(c, file, NULL), want = open_set(c, expected, NULL);
    compare_sets(c, file, &t, &want);
    check_extras(c, file, json_string_value(text), &t);
    snprintf(path, sizeof path, "config_%s", word);
    int64_t *same = &epoch[ref_meta(c, path) != NULL];
    ref_check(c, *same < 0 || *same == t.epoch, "%s: epoch %lld", file, (long long)t.epoch);
    *same = t.epoch;
    check_network(c, file, word, &t);
    pt_tensors_free(&t);
    pt_tensors_free(&want);
  }
}

const struct refkind refkinds_files[] = {{"real torch.save files", run_checkpoints},
                                         {NULL, NULL}};
