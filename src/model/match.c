/* match.c - see match.h. */
#include "match.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "init.h"

bool pt_fits(const char *pattern, const char *text) {
  const char *star = NULL, *resume = NULL;
  while (*text) {
    if (*pattern == '*') {
      star = pattern++;
      resume = text;
    } else if (*pattern == *text) {
      pattern++;
      text++;
    } else if (star) {
      pattern = star + 1;
      text = ++resume;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == 0;
}

/* ---- the report ---- */

struct names {
  char text[300];
  int shown;
  int64_t count;
};

static void note(struct names *n, const char *fmt, ...) PT_PRINTF(2, 3);
static void note(struct names *n, const char *fmt, ...) {
  if (n->count++ >= 3) return;
  size_t at = strlen(n->text);
  if (at + 2 >= sizeof n->text) return;
  if (at) at += (size_t)snprintf(n->text + at, sizeof n->text - at, ", ");
  va_list ap;
  va_start(ap, fmt);
  if (at < sizeof n->text) vsnprintf(n->text + at, sizeof n->text - at, fmt, ap);
  va_end(ap);
}

static const char *more(const struct names *n, char buf[static 32]) {
  buf[0] = 0;
  if (n->count > 3) snprintf(buf, 32, " and %lld more", (long long)(n->count - 3));
  return buf;
}

/* ---- comparing ---- */

static bool same_shape(const struct pt_param *p, const struct pt_tensor *t) {
  if (t->ndim != p->dims) return false;
  for (int d = 0; d < p->dims; d++)
    if (t->shape[d] != p->shape[d]) return false;
  return true;
}

static bool allowed(const char *name, const char *const *allow, int allows) {
  size_t n = strlen(name), m = strlen("num_batches_tracked");
  if (n > m && strcmp(name + n - m, "num_batches_tracked") == 0) return true;
  for (int i = 0; i < allows; i++)
    if (pt_fits(allow[i], name)) return true;
  return false;
}

static const char *param_shape(const struct pt_param *p, char buf[static 192]) {
  struct pt_tensor t = {.ndim = p->dims};
  for (int d = 0; d < p->dims; d++) t.shape[d] = p->shape[d];
  return pt_shape_text(&t, buf);
}

static void compare(struct pt_match *m, const struct pt_tensors *set, const char *const *allow,
                    int allows, struct names *missing, struct names *wrong) {
  char have[192], want[192];
  for (int64_t i = 0; i < m->params; i++) {
    const struct pt_param *p = &m->param[i];
    const struct pt_tensor *t = pt_tensors_find(set, p->name);
    m->tensor[i] = t && same_shape(p, t) ? t : NULL;
    m->count[!t ? PT_MISSING : m->tensor[i] ? PT_MATCHED : PT_WRONG_SHAPE]++;
    if (m->tensor[i] || allowed(p->name, allow, allows)) continue;
    if (!t)
      note(missing, "%s", p->name);
    else
      note(wrong, "%s is %s, the model wants %s", p->name, pt_shape_text(t, have),
           param_shape(p, want));
  }
}

static bool is_param(const struct pt_match *m, const char *name) {
  for (int64_t i = 0; i < m->params; i++)
    if (strcmp(m->param[i].name, name) == 0) return true;
  return false;
}

static void find_unexpected(struct pt_match *m, const struct pt_tensors *set,
                            struct names *unexpected) {
  for (int64_t i = 0; i < set->count; i++) {
    if (is_param(m, set->item[i].name)) continue;
    m->count[PT_UNEXPECTED]++;
    note(unexpected, "%s", set->item[i].name);
  }
}

static int refuse(const struct pt_match *m, const struct names *missing,
                  const struct names *wrong, struct ptv3_error *err) {
  char a[32], b[32];
  return pt_fail(err, PTV3_MISMATCH,
                 "the weights do not fit the model: %lld of %lld parameters match%s%s%s%s%s%s "
                 "(allow-missing PATTERN starts what fits it untrained)",
                 (long long)m->count[PT_MATCHED], (long long)m->params,
                 missing->count ? "; missing: " : "", missing->text, more(missing, a),
                 wrong->count ? "; other shape: " : "", wrong->text, more(wrong, b));
}

int pt_match_build(struct pt_env *env, const struct pt_ptv3 *cfg, const struct pt_tensors *set,
                   const char *const *allow, int allows, struct pt_match *m,
                   struct ptv3_error *err) {
  struct names missing = {0}, wrong = {0}, unexpected = {0};
  char buf[32];
  *m = (struct pt_match){.mem = &env->mem};
  int status = pt_ptv3_params(m->mem, cfg, &m->param, &m->params, err);
  if (status) return status;
  m->tensor = pt_alloc(m->mem, m->params, sizeof(void *), PT_MEM_OTHER, err);
  if (!m->tensor) {
    pt_match_free(m);
    return err ? err->status : PTV3_NO_MEMORY;
  }
  compare(m, set, allow, allows, &missing, &wrong);
  find_unexpected(m, set, &unexpected);
  if (missing.count || wrong.count) {
    status = refuse(m, &missing, &wrong, err);
    pt_match_free(m);
    return status;
  }
  if (unexpected.count)
    pt_warn(env, "%lld tensors of the checkpoint are not part of the model: %s%s",
            (long long)unexpected.count, unexpected.text, more(&unexpected, buf));
  return PTV3_OK;
}

void pt_match_free(struct pt_match *m) {
  if (!m->mem) return;
  pt_free(m->mem, m->tensor);
  pt_free(m->mem, m->param);
  *m = (struct pt_match){0};
}

static int check_finite(const struct pt_param *p, const float *v, struct ptv3_error *err) {
  for (int64_t i = 0; i < p->size; i++)
    if (!isfinite(v[i]))
      return pt_fail(err, PTV3_DATA,
                     "weight '%s' is %g at element %lld: the checkpoint is of a "
                     "training that had failed",
                     p->name, (double)v[i], (long long)i);
  return PTV3_OK;
}

int pt_match_fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err) {
  const struct pt_match *m = user;
  for (int64_t i = 0; i < m->params; i++) {
    if (strcmp(m->param[i].name, p->name) != 0) continue;
    if (m->tensor[i])
      pt_tensor_copy_f32(m->tensor[i], dst);
    else
      pt_param_init(p, pt_param_fan(m->param, i), m->seed, dst);
    return check_finite(p, dst, err);
  }
  return pt_fail(err, PTV3_INTERNAL, "no parameter '%s'", p->name);
}
