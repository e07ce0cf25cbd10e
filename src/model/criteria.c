/* criteria.c - see criteria.h. */
#include "criteria.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "err.h"
#include "value.h"

static int unsupported(struct ptv3_error *err, int status) {
  if (err) err->status = PTV3_UNSUPPORTED;
  return status == PTV3_CONFIG ? PTV3_UNSUPPORTED : status;
}

/* A key that Pointcept's class would not take is most likely misspelt. */
static int check_keys(const struct pt_value *d, const char *type, const char *const *key,
                      struct ptv3_error *err) {
  for (int64_t i = 0; i < d->n; i++) {
    const struct pt_value *k = d->entry[i].key;
    bool known = false;
    for (int j = 0; key[j]; j++) known |= k->kind == PT_V_STR && strcmp(k->str, key[j]) == 0;
    if (!known)
      return pt_fail_value(err, d->entry[i].value, "%s takes no '%s'", type,
                           k->kind == PT_V_STR ? k->str : "key that is not a string");
  }
  return PTV3_OK;
}

/* A number that a float holds, within lo .. hi. */
static int get_float(const struct pt_value *d, const char *key, double def, double lo,
                     double hi, float *out, struct ptv3_error *err) {
  double v;
  int status = pt_get_double(d, key, def, &v, err);
  if (status) return status;
  if (!(v >= lo && v <= hi))
    return pt_fail_value(err, pt_get(d, key), "%g is not within %g .. %g", v, lo, hi);
  *out = (float)v;
  return PTV3_OK;
}

static int get_common(const struct pt_value *d, int64_t ignore, struct pt_criterion *k,
                      struct ptv3_error *err) {
  int64_t i;
  int status = get_float(d, "loss_weight", 1.0, -FLT_MAX, FLT_MAX, &k->loss_weight, err);
  if (!status) status = pt_get_int_in(d, "ignore_index", ignore, INT32_MIN, INT32_MAX, &i, err);
  if (!status) k->ignore = (int32_t)i;
  return status;
}

/* ---- cross entropy ---- */

static int get_weights(struct pt_mem *mem, const struct pt_value *d, int classes,
                       struct pt_criterion *k, struct ptv3_error *err) {
  const struct pt_value *v = pt_get(d, "weight");
  if (pt_is_none(v)) return PTV3_OK;
  if (!pt_is_seq(v) || pt_len(v) != classes)
    return pt_fail_value(err, v, "a list of %d numbers is needed, one a class", classes);
  float *w = pt_alloc(mem, classes, sizeof *w, PT_MEM_OTHER, err);
  if (!w) return PTV3_NO_MEMORY;
  k->weight = w;
  for (int c = 0; c < classes; c++) {
    double x;
    int status = pt_as_double(pt_item(v, c), &x, err);
    if (status) return status;
    if (!(x >= 0 && x <= (double)FLT_MAX))
      return pt_fail_value(err, pt_item(v, c), "%g is no weight of a class", x);
    w[c] = (float)x;
  }
  return PTV3_OK;
}

static int get_entropy(struct pt_mem *mem, const struct pt_value *d, int classes,
                       struct pt_criterion *k, struct ptv3_error *err) {
  static const char *const keys[] = {"type",        "weight",       "size_average",
                                     "reduce",      "reduction",    "label_smoothing",
                                     "loss_weight", "ignore_index", NULL};
  const char *reduction;
  int status = check_keys(d, "CrossEntropyLoss", keys, err);
  for (int i = 2; i < 4 && !status; i++)
    if (!pt_is_none(pt_get(d, keys[i])))
      status =
          unsupported(err, pt_fail_value(err, pt_get(d, keys[i]),
                                         "no longer used by torch: set reduction instead"));
  if (!status) status = get_common(d, -1, k, err);
  if (!status) status = get_float(d, "label_smoothing", 0.0, 0.0, 1.0, &k->smoothing, err);
  if (!status) status = pt_get_str(d, "reduction", "mean", &reduction, err);
  if (status) return status;
  k->sum = strcmp(reduction, "sum") == 0;
  if (!k->sum && strcmp(reduction, "mean") != 0)
    return unsupported(err, pt_fail_value(err, pt_get(d, "reduction"),
                                          "'%s' is neither mean nor sum", reduction));
  return get_weights(mem, d, classes, k, err);
}

/* ---- Lovasz-softmax ---- */

static int get_seen(struct pt_mem *mem, const struct pt_value *d, int classes,
                    struct pt_criterion *k, struct ptv3_error *err) {
  const struct pt_value *v = pt_get(d, "class_seen");
  if (pt_is_none(v)) return PTV3_OK;
  if (!pt_is_seq(v)) return pt_fail_value(err, v, "a list of classes is needed");
  bool *seen = pt_alloc(mem, classes, sizeof *seen, PT_MEM_OTHER, err);
  if (!seen) return PTV3_NO_MEMORY;
  k->seen = seen;
  for (int c = 0; c < classes; c++) seen[c] = false;
  for (int64_t i = 0; i < pt_len(v); i++) {
    int64_t c;
    int status = pt_as_int(pt_item(v, i), &c, err);
    if (status) return status;
    if (c < 0 || c >= classes)
      return pt_fail_value(err, pt_item(v, i), "there is no class %lld, only 0 to %d",
                           (long long)c, classes - 1);
    seen[c] = true;
  }
  return PTV3_OK;
}

static int get_lovasz(struct pt_mem *mem, const struct pt_value *d, int classes,
                      struct pt_criterion *k, struct ptv3_error *err) {
  static const char *const keys[] = {"type",         "mode",        "class_seen", "per_image",
                                     "ignore_index", "loss_weight", NULL};
  const char *mode;
  k->kind = PT_LOVASZ;
  int status = check_keys(d, "LovaszLoss", keys, err);
  if (!status) status = pt_need_str(d, "mode", &mode, err);
  if (status) return status;
  if (strcmp(mode, "multiclass") != 0)
    return unsupported(err,
                       pt_fail_value(err, pt_get(d, "mode"), "'%s' is not multiclass", mode));
  /* Without ignore_index no class is ignored; labels outside the classes always are. */
  status = get_common(d, INT32_MIN, k, err);
  if (!status) status = pt_get_bool(d, "per_image", false, &k->per_image, err);
  return status ? status : get_seen(mem, d, classes, k, err);
}

/* ---- the list ---- */

static int get_criterion(struct pt_mem *mem, const struct pt_value *d, int classes,
                         struct pt_criterion *k, struct ptv3_error *err) {
  const char *type;
  int status = pt_need_str(d, "type", &type, err);
  if (status) return status;
  if (strcmp(type, "CrossEntropyLoss") == 0) return get_entropy(mem, d, classes, k, err);
  if (strcmp(type, "LovaszLoss") == 0) return get_lovasz(mem, d, classes, k, err);
  return unsupported(err,
                     pt_fail_value(err, pt_get(d, "type"),
                                   "'%s' is not one of CrossEntropyLoss, LovaszLoss", type));
}

int pt_criteria_parse(struct pt_mem *mem, const struct pt_value *model, int classes,
                      struct pt_criteria *out, struct ptv3_error *err) {
  *out = (struct pt_criteria){.mem = mem};
  const struct pt_value *list = pt_need_list(model, "criteria", err);
  if (!list) return PTV3_CONFIG;
  if (pt_len(list) < 1 || pt_len(list) > PT_MAX_CRITERIA)
    return pt_fail_value(err, list, "%lld losses: 1 to %d are possible",
                         (long long)pt_len(list), PT_MAX_CRITERIA);
  int status = PTV3_OK;
  for (int64_t i = 0; i < pt_len(list) && !status; i++) {
    const struct pt_value *d = pt_item(list, i);
    if (!pt_is_dict(d))
      status = pt_fail_value(err, d, "a dict with a type is needed");
    else
      status = get_criterion(mem, d, classes, &out->criterion[out->count++], err);
  }
  if (status) pt_criteria_free(out);
  return status;
}

void pt_criteria_free(struct pt_criteria *c) {
  for (int i = 0; i < c->count; i++) {
    pt_free(c->mem, (void *)(uintptr_t)c->criterion[i].weight);
    pt_free(c->mem, (void *)(uintptr_t)c->criterion[i].seen);
  }
  *c = (struct pt_criteria){0};
}
