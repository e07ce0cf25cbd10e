/* pyconfig_merge.c - trees taken apart, laid over each other, and changed by options.
 * Source: Pointcept's pointcept/utils/config.py: _merge_a_into_b, merge_from_dict,
 * _substitute_base_vars, DictAction. */
#include <stdio.h>
#include <string.h>

#include "pyconfig_int.h"
#include "size.h"

/* ---- copies that share nothing ---- */

struct copier {
  struct pt_py *py;
  struct pt_region *region;
  const struct pt_value *base;
  int depth;
};

static struct pt_value *copy(struct copier *c, const struct pt_value *v,
                             const struct pt_pos *at);

/* What {{ _base_.a.b }} stands for. */
static const struct pt_value *base_value(struct copier *c, const struct pt_value *v,
                                         const struct pt_pos *at) {
  const struct pt_value *x = c->base;
  if (!x) {
    pt_py_fail(c->py, at, "{{ _base_.%.100s }} in a file without _base_", v->str);
    return NULL;
  }
  for (const char *p = v->str, *end; p; p = end ? end + 1 : NULL) {
    end = strchr(p, '.');
    int64_t n = end ? end - p : (int64_t)strlen(p);
    struct pt_entry *e = x->kind == PT_V_DICT ? pt_dict_find_str(x, p, n) : NULL;
    if (!e) {
      pt_py_fail(c->py, at, "{{ _base_.%.100s }}: the base has no '%.*s'", v->str,
                 (int)pt_min(n, 80), p);
      return NULL;
    }
    e->read = true;
    x = e->value;
  }
  return x;
}

static bool copy_entries(struct copier *c, const struct pt_value *v, struct pt_value *out) {
  for (int64_t i = 0; i < v->n; i++) {
    const struct pt_entry *e = &v->entry[i];
    struct pt_value *key = copy(c, e->key, &e->key->at), *value;
    value = key ? copy(c, e->value, &e->at) : NULL;
    if (!value || pt_dict_put(c->region, out, key, value, &e->at, c->py->err)) return false;
    struct pt_entry *mine = &out->entry[out->n - 1];
    mine->read = e->read;
    value->parent = out;
  }
  return true;
}

static bool copy_items(struct copier *c, const struct pt_value *v, struct pt_value *out) {
  for (int64_t i = 0; i < v->n; i++) {
    struct pt_value *item = copy(c, v->item[i], &v->item[i]->at);
    if (!item || pt_list_add(c->region, out, item, c->py->err)) return false;
    item->parent = out;
  }
  return true;
}

static struct pt_value *copy(struct copier *c, const struct pt_value *v,
                             const struct pt_pos *at) {
  if (v->kind == PT_V_BASEVAR && !(v = base_value(c, v, at))) return NULL;
  if (v->kind == PT_V_RANGE || v->kind == PT_V_FUNC)
    return pt_py_cannot(c->py, at, "%s cannot be the value of a key", pt_kind_text(v->kind));
  if (c->depth > PT_PY_DEPTH_MAX)
    return pt_py_fail(c->py, at, "values within each other, more than %d levels",
                      PT_PY_DEPTH_MAX);
  if (!pt_py_charge(c->py, 1 + (v->kind == PT_V_STR ? v->n / 64 : 0), at)) return NULL;
  if (v->kind == PT_V_STR) return pt_value_str(c->region, v->str, v->n, at, c->py->err);
  struct pt_value *out = pt_value_new(c->region, v->kind, at, c->py->err);
  if (!out) return NULL;
  c->depth++;
  bool ok = true;
  if (v->kind == PT_V_DICT) ok = copy_entries(c, v, out);
  if (v->kind == PT_V_LIST || v->kind == PT_V_TUPLE) ok = copy_items(c, v, out);
  if (v->kind == PT_V_BOOL) out->b = v->b;
  if (v->kind == PT_V_INT) out->i = v->i;
  if (v->kind == PT_V_FLOAT) out->f = v->f;
  c->depth--;
  return ok ? out : NULL;
}

struct pt_value *pt_py_copy(struct pt_py *py, struct pt_region *region,
                            const struct pt_value *v, const struct pt_value *base) {
  struct copier c = {py, region, base, 0};
  return copy(&c, v, &v->at);
}

/* ---- merging ---- */

/* v.pop("_delete_", False) */
static bool pop_delete(struct pt_value *v) {
  struct pt_entry *e = pt_dict_find_str(v, "_delete_", 8);
  if (!e) return false;
  bool on = pt_py_true(e->value);
  pt_dict_remove(v, e);
  return on;
}

static bool is_number(const struct pt_value *key) {
  for (int64_t i = 0; i < key->n; i++)
    if (key->str[i] < '0' || key->str[i] > '9') return false;
  return key->n > 0;
}

/* Item e of the options into the list b. */
static int merge_item(struct pt_py *py, const struct pt_entry *e, struct pt_value *b) {
  struct pt_value number = {0};
  bool overflow = false;
  if (e->key->kind != PT_V_STR || !is_number(e->key)) {
    pt_py_fail(py, &e->at, "this changes a list: name its item by a number, not '%.80s'",
               e->key->kind == PT_V_STR ? e->key->str : "?");
    return py->err->status;
  }
  bool fits = pt_py_number(e->key->str, e->key->n, false, &number, &overflow);
  if (!fits || number.i >= b->n) {
    pt_py_fail(py, &e->at, "there is no item %.40s, the list has %lld", e->key->str,
               (long long)b->n);
    return py->err->status;
  }
  struct pt_value **item = &b->item[number.i];
  if (e->value->kind != PT_V_DICT) {
    *item = e->value;
    return PTV3_OK;
  }
  if ((*item)->kind == PT_V_DICT || (*item)->kind == PT_V_LIST)
    return pt_py_merge(py, e->value, *item, true);
  pt_py_fail(py, &e->at, "item %.40s is %s, it has no keys to change", e->key->str,
             pt_kind_text((*item)->kind));
  return py->err->status;
}

static int merge_entry(struct pt_py *py, const struct pt_entry *e, struct pt_value *b,
                       bool list_keys) {
  struct pt_entry *old = pt_dict_find(b, e->key);
  if (old) old->read |= e->read;
  if (e->value->kind == PT_V_DICT && old && !pop_delete(e->value)) {
    enum pt_kind kind = old->value->kind;
    if (kind == PT_V_DICT || (list_keys && kind == PT_V_LIST))
      return pt_py_merge(py, e->value, old->value, list_keys);
    pt_py_fail(py, &e->at,
               "'%.80s' is a dict here but %s in what it changes: write the whole value (for a "
               "dict with _delete_=True)",
               e->key->kind == PT_V_STR ? e->key->str : "?", pt_kind_text(kind));
    return py->err->status;
  }
  int status = pt_dict_put(&py->region, b, e->key, e->value, &e->at, py->err);
  if (!status && !old) b->entry[b->n - 1].read = e->read;
  return status;
}

int pt_py_merge(struct pt_py *py, struct pt_value *a, struct pt_value *b, bool list_keys) {
  for (int64_t i = 0; i < a->n; i++) {
    const struct pt_entry *e = &a->entry[i];
    int status = b->kind == PT_V_LIST ? merge_item(py, e, b) : merge_entry(py, e, b, list_keys);
    if (status) return status;
  }
  return PTV3_OK;
}

/* ---- options ---- */

struct option {
  struct pt_py *py;
  struct pt_pos at;
  int depth;
};

static bool both_ends(const char *s, int64_t n, char open, char close) {
  return n >= 2 && s[0] == open && s[n - 1] == close;
}

/* The index of the first comma outside of brackets, n if there is none; -1 with err filled
 * when brackets do not match. */
static int64_t next_comma(struct option *o, const char *s, int64_t n) {
  int64_t round = 0, square = 0, end = -1;
  for (int64_t i = 0; i < n; i++) {
    if (s[i] == ',' && round == 0 && square == 0 && end < 0) end = i;
    round += (s[i] == '(') - (s[i] == ')');
    square += (s[i] == '[') - (s[i] == ']');
  }
  if (round == 0 && square == 0) return end < 0 ? n : end;
  pt_py_fail(o->py, &o->at, "brackets in '%.*s' do not match", (int)pt_min(n, 80), s);
  return -1;
}

/* int, float, true/false, else the text as it is. */
static struct pt_value *option_scalar(struct option *o, const char *s, int64_t n) {
  struct pt_value number = {0};
  bool overflow = false;
  char word[8] = "";
  if (pt_py_number(s, n, false, &number, &overflow))
    return number.kind == PT_V_INT ? pt_py_int(o->py, number.i, &o->at)
                                   : pt_py_float(o->py, number.f, &o->at);
  if (overflow) return pt_py_fail(o->py, &o->at, "an integer of more than 64 bits");
  for (int64_t i = 0; i < n && n < 8; i++)
    word[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
  if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
    return pt_py_bool(o->py, word[0] == 't', &o->at);
  return pt_py_text(o->py, s, n, &o->at);
}

/* DictAction._parse_iterable: quotes around and spaces within are dropped, commas make a
 * list, brackets a list or tuple. */
static struct pt_value *option_value(struct option *o, const char *text, int64_t n) {
  while (n > 0 && (text[0] == '\'' || text[0] == '"')) text++, n--;
  while (n > 0 && (text[n - 1] == '\'' || text[n - 1] == '"')) n--;
  char *s = pt_region_take(&o->py->region, n + 1, o->py->err);
  if (!s || !pt_py_charge(o->py, 1 + n / 64, &o->at)) return NULL;
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++)
    if (text[i] != ' ') s[k++] = text[i];
  n = k;
  bool tuple = both_ends(s, n, '(', ')');
  if (!tuple && !both_ends(s, n, '[', ']')) {
    if (!memchr(s, ',', (size_t)n)) return option_scalar(o, s, n);
  } else {
    s++, n -= 2;
  }
  struct pt_value *list = pt_py_new(o->py, tuple ? PT_V_TUPLE : PT_V_LIST, &o->at);
  if (o->depth >= 64) return pt_py_fail(o->py, &o->at, "this value cannot be taken apart");
  o->depth++;
  while (list && n > 0) {
    int64_t comma = next_comma(o, s, n);
    struct pt_value *item = comma < 0 ? NULL : option_value(o, s, comma);
    if (!item || pt_list_add(&o->py->region, list, item, o->py->err)) return NULL;
    s += pt_min(comma + 1, n);
    n -= pt_min(comma + 1, n);
  }
  o->depth--;
  return list;
}

/* "a.b=value" into the flat dict of options. */
static int parse_option(struct pt_py *py, const char *text, struct pt_value *flat) {
  struct option o = {.py = py};
  int64_t n = (int64_t)strlen(text);
  char *file = pt_region_take(py->keep, n + 16, py->err);
  if (!file) return py->err->status;
  snprintf(file, (size_t)n + 16, "option %s", text);
  o.at.file = file;
  const char *equals = strchr(text, '=');
  if (!equals || equals == text) {
    pt_py_fail(py, &o.at, "an option is written as key.key=value");
    return py->err->status;
  }
  if (n > 65536) {
    pt_py_fail(py, &o.at, "longer than 65536 characters");
    return py->err->status;
  }
  struct pt_value *key = pt_py_text(py, text, equals - text, &o.at), *value;
  value = key ? option_value(&o, equals + 1, (int64_t)strlen(equals + 1)) : NULL;
  if (!value || pt_dict_put(&py->region, flat, key, value, &o.at, py->err))
    return py->err->status;
  return PTV3_OK;
}

/* Puts one flat option where its path leads in the tree of options. */
static int nest_option(struct pt_py *py, const struct pt_entry *e, struct pt_value *tree) {
  const char *p = e->key->str, *dot;
  int depth = 0;
  for (; (dot = strchr(p, '.')); p = dot + 1) {
    struct pt_entry *old = pt_dict_find_str(tree, p, dot - p);
    struct pt_value *next = old ? old->value : pt_py_new(py, PT_V_DICT, &e->at);
    struct pt_value *key = next && !old ? pt_py_text(py, p, dot - p, &e->at) : NULL;
    if (!next || (!old && !key)) return py->err->status;
    if (++depth > PT_PY_DEPTH_MAX || next->kind != PT_V_DICT) {
      pt_py_fail(py, &e->at, "another option gives '%.*s' a value", (int)pt_min(dot - p, 80),
                 p);
      return py->err->status;
    }
    if (!old && pt_dict_put(&py->region, tree, key, next, &e->at, py->err))
      return py->err->status;
    tree = next;
  }
  struct pt_value *key = pt_py_text(py, p, (int64_t)strlen(p), &e->at);
  if (!key || pt_dict_put(&py->region, tree, key, e->value, &e->at, py->err))
    return py->err->status;
  return PTV3_OK;
}

int pt_py_options(struct pt_py *py, const char *const *options, int64_t n,
                  struct pt_value *root) {
  const struct pt_pos at = {"options", 0, 0};
  struct pt_value *flat = pt_py_new(py, PT_V_DICT, &at);
  struct pt_value *tree = flat ? pt_py_new(py, PT_V_DICT, &at) : NULL;
  int status = tree ? PTV3_OK : py->err->status;
  for (int64_t i = 0; !status && i < n; i++) status = parse_option(py, options[i], flat);
  for (int64_t i = 0; !status && i < flat->n; i++)
    status = nest_option(py, &flat->entry[i], tree);
  return status ? status : pt_py_merge(py, tree, root, true);
}
