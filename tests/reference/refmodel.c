/* refmodel.c - see refmodel.h. */
#include "refmodel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- weights ---- */

static uint64_t name_hash(const char *name, uint64_t seed) {
  uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;
  for (; *name; name++) h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
  return h;
}

/* Uniform in (-1, 1), exact in double. */
static double draw(uint64_t h, int64_t i) {
  uint64_t z = h + (uint64_t)(i + 1) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  z ^= z >> 31;
  return (double)(2 * (int64_t)(z >> 40) + 1 - (1 << 24)) / (1 << 24);
}

static bool ends(const char *s, const char *tail) {
  size_t a = strlen(s), b = strlen(tail);
  return a >= b && strcmp(s + a - b, tail) == 0;
}

void ref_formula(const struct pt_param *p, uint64_t seed, float *dst) {
  double add = 0, mul = 0;
  if (ends(p->name, "running_mean")) {
    mul = 0.3;
  } else if (ends(p->name, "running_var")) {
    add = 1, mul = 0.5;
  } else if (ends(p->name, "rpe_table")) {
    mul = 0.5;
  } else if (ends(p->name, "bias")) {
    mul = 0.2;
  } else if (p->dims == 1) {
    add = 1, mul = 0.4;
  } else if (p->dims == 2) {
    mul = sqrt(3.0 / (double)p->shape[1]);
    if (strstr(p->name, ".qkv.")) mul *= 1.5;
  } else if (p->dims == 5) {
    mul = sqrt(3.0 / (double)(p->shape[2] * p->shape[3] * p->shape[4]));
  }
  uint64_t h = name_hash(p->name, seed);
  for (int64_t i = 0; i < p->size; i++) dst[i] = (float)(add + mul * draw(h, i));
  if (ends(p->name, "num_batches_tracked")) dst[0] = 1000;
}

int ref_formula_fetch(void *user, const struct pt_param *p, float *dst,
                      struct ptv3_error *err) {
  (void)err;
  ref_formula(p, *(const uint64_t *)user, dst);
  return PTV3_OK;
}

uint64_t ref_seed(struct refcase *c) {
  const char *text = json_string_value(ref_meta(c, "weights")), *s;
  if (!text || !(s = strstr(text, "seed "))) {
    fprintf(stderr, "%s: no seed in meta.json's 'weights'\n", c->folder);
    exit(2);
  }
  return strtoull(s + 5, NULL, 10);
}

/* ---- configuration: JSON written as Python, for the reader that users have ---- */

struct text {
  char *s;
  size_t n, cap;
};

static void put(struct text *t, const char *s) {
  size_t n = strlen(s);
  if (t->n + n + 1 > t->cap) t->s = realloc(t->s, t->cap = 2 * (t->n + n + 1));
  if (!t->s) exit(2);
  memcpy(t->s + t->n, s, n + 1);
  t->n += n;
}

static void put_python(struct text *t, const json_t *v) {
  const char *key;
  json_t *item;
  size_t i;
  char *scalar;
  switch (json_typeof(v)) {
    case JSON_NULL: put(t, "None"); return;
    case JSON_TRUE: put(t, "True"); return;
    case JSON_FALSE: put(t, "False"); return;
    case JSON_ARRAY:
      put(t, "[");
      json_array_foreach((json_t *)(uintptr_t)v, i, item) {
        put_python(t, item);
        put(t, ", ");
      }
      put(t, "]");
      return;
    case JSON_OBJECT:
      put(t, "{");
      json_object_foreach((json_t *)(uintptr_t)v, key, item) {
        put(t, "\"");
        put(t, key);
        put(t, "\": ");
        put_python(t, item);
        put(t, ", ");
      }
      put(t, "}");
      return;
    default:
      scalar = json_dumps(v, JSON_ENCODE_ANY);
      put(t, scalar);
      free(scalar);
  }
}

char *ref_python(const json_t *v) {
  struct text t = {0};
  put_python(&t, v);
  return t.s;
}

void ref_parse(struct refcase *c, const char *text, struct pt_config *config) {
  struct ptv3_error e;
  if (pt_config_parse(c->env, text, (int64_t)strlen(text), c->folder, NULL, 0, config, &e)) {
    fprintf(stderr, "%s\n", e.message);
    exit(2);
  }
}

/* meta["compat"] = "1.5.1": the case was recorded with the network of that version. */
static bool is_151(struct refcase *c) {
  const char *compat = json_string_value(ref_meta(c, "compat"));
  return compat && strcmp(compat, "1.5.1") == 0;
}

void ref_config(struct refcase *c, json_t *model, struct pt_ptv3 *cfg) {
  struct text t = {0};
  struct pt_config config = {0};
  struct ptv3_error e;
  put(&t, "model = ");
  put_python(&t, model);
  put(&t, "\n");
  ref_parse(c, t.s, &config);
  if (pt_ptv3_from_value(pt_get(config.root, "model"), cfg, &e)) {
    fprintf(stderr, "%s\n", e.message);
    exit(2);
  }
  cfg->compat_151 = is_151(c);
  pt_config_free(&config);
  free(t.s);
}

void ref_model(struct refcase *c, json_t *model, uint64_t seed, struct pt_model *m) {
  struct ptv3_error e;
  *m = (struct pt_model){0};
  ref_config(c, model, &m->cfg);
  m->kernels = pt_kernel_table(c->kernels);
  if (!m->kernels) {
    fprintf(stderr, "no kernels '%s' here\n", c->kernels ? c->kernels : "(PTV3_KERNELS)");
    exit(2);
  }
  if (pt_weights_build(c->env, &m->cfg, ref_formula_fetch, &seed, &m->w, &e)) {
    fprintf(stderr, "%s: %s\n", c->folder, e.message);
    exit(2);
  }
}

void ref_model_free(struct refcase *c, struct pt_model *m) { pt_weights_free(c->env, &m->w); }

struct ref_input ref_input(struct refcase *c, const char *prefix, int in_channels) {
  struct ref_input in;
  int64_t clouds, n;
  int64_t *end = ref_i64(c, &clouds, "%sin/offset", prefix);
  in.offset = ref_alloc(c, clouds + 1, sizeof *in.offset);
  in.offset[0] = 0;
  memcpy(in.offset + 1, end, (size_t)clouds * sizeof *end);
  in.batch.coord = ref_i32(c, &n, "%sin/grid_coord", prefix);
  in.batch.n = n / 3;
  in.batch.feat = ref_f32(c, &n, "%sin/feat", prefix);
  ref_check(c, n == in.batch.n * in_channels, "feat is not [n, in_channels]");
  in.batch.clouds = (int)clouds;
  in.batch.offset = in.offset;
  return in;
}

int *ref_perms(struct refcase *c, const struct pt_ptv3 *cfg) {
  if (!ref_has(c, "perm/0")) return NULL;
  int *perm = ref_alloc(c, cfg->stages * cfg->orders, sizeof *perm);
  for (int s = 0; s < cfg->stages; s++) {
    int64_t *p = ref_i64(c, NULL, "perm/%d", s);
    for (int o = 0; o < cfg->orders; o++) perm[s * cfg->orders + o] = (int)p[o];
  }
  return perm;
}
