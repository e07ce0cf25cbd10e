/* refcase.c - see refcase.h. */
#include "refcase.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *blocks[4096];
static int block_count;

void *ref_alloc(struct refcase *c, int64_t count, int64_t size) {
  struct ptv3_error e;
  void *p = pt_alloc(&c->env->mem, count, size, PT_MEM_OTHER, &e);
  if (!p || block_count == 4096) {
    fprintf(stderr, "%s: out of memory\n", c->folder);
    exit(2);
  }
  return blocks[block_count++] = p;
}

void ref_free_all(struct refcase *c);
void ref_free_all(struct refcase *c) {
  while (block_count) pt_free(&c->env->mem, blocks[--block_count]);
}

void ref_check(struct refcase *c, bool ok, const char *fmt, ...) {
  c->checks++;
  if (ok) return;
  if (c->failures++ > 5) return;
  va_list ap;
  printf("    %s: ", c->folder);
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  printf("\n");
}

#define FORMAT(buf)                    \
  char buf[160];                       \
  va_list ap;                          \
  va_start(ap, fmt);                   \
  vsnprintf(buf, sizeof buf, fmt, ap); \
  va_end(ap)

bool ref_has(struct refcase *c, const char *fmt, ...) {
  FORMAT(name);
  return pt_tensors_find(&c->data, name) != NULL;
}

const struct pt_tensor *ref_tensor(struct refcase *c, const char *name) {
  const struct pt_tensor *t = pt_tensors_find(&c->data, name);
  if (!t) {
    fprintf(stderr, "%s: no tensor '%s'\n", c->folder, name);
    exit(2);
  }
  return t;
}

static void *convert(struct refcase *c, const char *name, enum pt_dtype type, int64_t *n) {
  const struct pt_tensor *t = ref_tensor(c, name);
  void *p = ref_alloc(c, t->count, pt_dtype(type)->bytes);
  pt_tensor_copy(t, type, p);
  if (n) *n = t->count;
  return p;
}

float *ref_f32(struct refcase *c, int64_t *n, const char *fmt, ...) {
  FORMAT(name);
  return convert(c, name, PT_F32, n);
}
double *ref_f64(struct refcase *c, int64_t *n, const char *fmt, ...) {
  FORMAT(name);
  return convert(c, name, PT_F64, n);
}
int32_t *ref_i32(struct refcase *c, int64_t *n, const char *fmt, ...) {
  FORMAT(name);
  return convert(c, name, PT_I32, n);
}
int64_t *ref_i64(struct refcase *c, int64_t *n, const char *fmt, ...) {
  FORMAT(name);
  return convert(c, name, PT_I64, n);
}

json_t *ref_meta(struct refcase *c, const char *path) {
  json_t *v = c->meta;
  while (v && *path) {
    char key[120];
    size_t n = strcspn(path, "|");
    snprintf(key, sizeof key, "%.*s", (int)n, path);
    v = json_object_get(v, key);
    path += n + (path[n] == '|');
  }
  return v;
}

double ref_number(struct refcase *c, const char *path, double def) {
  json_t *v = ref_meta(c, path);
  return json_is_number(v) ? json_number_value(v) : def;
}

void ref_compare(struct refcase *c, const char *name, const float *got, const double *want,
                 int64_t n, const char *error_path) {
  char path[200];
  snprintf(path, sizeof path, "%s|max_abs", error_path ? error_path : "");
  double max_abs = ref_number(c, path, 0);
  snprintf(path, sizeof path, "%s|rms", error_path ? error_path : "");
  double rms = ref_number(c, path, 0), largest = 0, err = 0, sum = 0;
  for (int64_t i = 0; i < n; i++) {
    double d = fabs((double)got[i] - want[i]);
    if (!(d <= 1e30)) d = 1e30; /* NaN too */
    err = fmax(err, d);
    sum += d * d;
    largest = fmax(largest, fabs(want[i]));
  }
  if (!error_path) max_abs = rms = 1e-6 * largest;
  const double slack = c->slack > 0 ? c->slack : 1;
  double got_rms = n ? sqrt(sum / (double)n) : 0;
  double tol = slack * (10 * max_abs + 2e-7 * largest);
  double tol_rms = slack * (5 * rms + 2e-7 * largest);
  c->worst = fmax(c->worst, fmax(err / (tol + 1e-300), got_rms / (tol_rms + 1e-300)));
  ref_check(c, err <= tol && got_rms <= tol_rms,
            "%s: error %.3g (rms %.3g), allowed %.3g (rms %.3g)", name, err, got_rms, tol,
            tol_rms);
}

void ref_compare_i64(struct refcase *c, const char *name, const int64_t *got,
                     const int64_t *want, int64_t n) {
  int64_t i = 0;
  while (i < n && got[i] == want[i]) i++;
  ref_check(c, i == n, "%s: at %lld: %lld, expected %lld", name, (long long)i,
            (long long)(i < n ? got[i] : 0), (long long)(i < n ? want[i] : 0));
}

void ref_compare_i32(struct refcase *c, const char *name, const int32_t *got,
                     const int32_t *want, int64_t n) {
  int64_t i = 0;
  while (i < n && got[i] == want[i]) i++;
  ref_check(c, i == n, "%s: at %lld: %d, expected %d", name, (long long)i, i < n ? got[i] : 0,
            i < n ? want[i] : 0);
}
