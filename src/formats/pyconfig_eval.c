/* pyconfig_eval.c - runs the statements of a configuration over a dict of names. Values
 * are shared the way Python shares objects; pt_py_copy takes them apart at the end. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "class_lists.h"
#include "pyconfig_int.h"
#include "size.h"

/* A name bound by a comprehension, in front of the names it hides. */
struct bound {
  const char *name;
  struct pt_value *value;
  const struct bound *outer;
};

struct ev {
  struct pt_py *py;
  struct pt_value *globals;
  const struct bound *bound;
  int depth;
};

static struct pt_value *eval(struct ev *e, const struct pt_node *n);

/* ---- makers ---- */

bool pt_py_charge(struct pt_py *py, int64_t n, const struct pt_pos *at) {
  if (n <= PT_PY_WORK_MAX - py->work) {
    py->work += n;
    return true;
  }
  pt_fail_pos(py->err, PTV3_CONFIG, at,
              "the configuration makes too many values here (more than %d)", PT_PY_WORK_MAX);
  return false;
}

struct pt_value *pt_py_new(struct pt_py *py, enum pt_kind kind, const struct pt_pos *at) {
  return pt_py_charge(py, 1, at) ? pt_value_new(&py->region, kind, at, py->err) : NULL;
}

struct pt_value *pt_py_int(struct pt_py *py, int64_t i, const struct pt_pos *at) {
  struct pt_value *v = pt_py_new(py, PT_V_INT, at);
  if (v) v->i = i;
  return v;
}

struct pt_value *pt_py_float(struct pt_py *py, double f, const struct pt_pos *at) {
  struct pt_value *v = pt_py_new(py, PT_V_FLOAT, at);
  if (v) v->f = f;
  return v;
}

struct pt_value *pt_py_bool(struct pt_py *py, bool b, const struct pt_pos *at) {
  struct pt_value *v = pt_py_new(py, PT_V_BOOL, at);
  if (v) v->b = b;
  return v;
}

struct pt_value *pt_py_text(struct pt_py *py, const char *s, int64_t n,
                            const struct pt_pos *at) {
  if (!pt_py_charge(py, 1 + n / 64, at)) return NULL;
  return pt_value_str(&py->region, s, n, at, py->err);
}

static struct pt_value *vfail(struct pt_py *py, int status, const struct pt_pos *at,
                              const char *fmt, va_list ap) PT_PRINTF(4, 0);
static struct pt_value *vfail(struct pt_py *py, int status, const struct pt_pos *at,
                              const char *fmt, va_list ap) {
  char text[sizeof py->err->message];
  vsnprintf(text, sizeof text, fmt, ap);
  pt_fail_pos(py->err, status, at, "%s", text);
  return NULL;
}

struct pt_value *pt_py_fail(struct pt_py *py, const struct pt_pos *at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vfail(py, PTV3_CONFIG, at, fmt, ap);
  va_end(ap);
  return NULL;
}

struct pt_value *pt_py_cannot(struct pt_py *py, const struct pt_pos *at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vfail(py, PTV3_UNSUPPORTED, at, fmt, ap);
  va_end(ap);
  return NULL;
}

/* ---- names ---- */

static struct pt_value *eval_name(struct ev *e, const struct pt_node *n) {
  for (const struct bound *b = e->bound; b; b = b->outer)
    if (strcmp(b->name, n->s) == 0) return b->value;
  struct pt_entry *entry = pt_dict_find_str(e->globals, n->s, (int64_t)strlen(n->s));
  if (entry) {
    entry->read = true;
    return entry->value;
  }
  int f = pt_py_builtin(n->s);
  if (f < 0)
    return pt_py_fail(e->py, &n->at,
                      "the name '%.80s' has no value here (names from a _base_ "
                      "file are read as {{ _base_.name }})",
                      n->s);
  struct pt_value *v = pt_py_new(e->py, PT_V_FUNC, &n->at);
  if (v) v->i = f;
  return v;
}

static bool is_bound(const struct ev *e, const char *name) {
  for (const struct bound *b = e->bound; b; b = b->outer)
    if (strcmp(b->name, name) == 0) return true;
  return pt_dict_find_str(e->globals, name, (int64_t)strlen(name)) != NULL;
}

/* ---- containers ---- */

/* Adds one item, or with a star all items of a value. */
static bool add_item(struct ev *e, struct pt_value *list, const struct pt_node *n) {
  bool star = n->kind == PT_N_STAR;
  struct pt_value *v = eval(e, star ? n->kid : n);
  if (!v) return false;
  if (!star) return !pt_list_add(&e->py->region, list, v, e->py->err);
  const struct pt_value *items = pt_py_items(e->py, v, &n->at);
  if (!items || !pt_py_charge(e->py, items->n, &n->at)) return false;
  for (int64_t i = 0, count = items->n; i < count; i++)
    if (pt_list_add(&e->py->region, list, items->item[i], e->py->err)) return false;
  return true;
}

static struct pt_value *eval_list(struct ev *e, const struct pt_node *n, enum pt_kind kind) {
  struct pt_value *list = pt_py_new(e->py, kind, &n->at);
  for (const struct pt_node *k = n->kid; list && k; k = k->next)
    if (!add_item(e, list, k)) return NULL;
  return list;
}

static bool put(struct ev *e, struct pt_value *d, struct pt_value *key, struct pt_value *value,
                const struct pt_pos *at) {
  if (!key || !value || !pt_py_key_ok(e->py, key, at)) return false;
  return !pt_dict_put(&e->py->region, d, key, value, at, e->py->err);
}

/* Adds what **n gives; once: a key that is there already is an error (a call's keywords). */
static bool put_all(struct ev *e, struct pt_value *d, const struct pt_node *n, bool once) {
  const struct pt_value *from = eval(e, n->kid);
  if (!from) return false;
  if (from->kind != PT_V_DICT)
    return pt_py_fail(e->py, &n->at, "** takes a dict, not %s", pt_kind_text(from->kind)),
           false;
  if (!pt_py_charge(e->py, from->n, &n->at)) return false;
  for (int64_t i = 0; i < from->n; i++) {
    const struct pt_entry *x = &from->entry[i];
    if (once && x->key->kind != PT_V_STR)
      return pt_py_fail(e->py, &n->at, "** takes keys that are strings, not %s",
                        pt_kind_text(x->key->kind)),
             false;
    if (once && pt_dict_find(d, x->key))
      return pt_py_fail(e->py, &n->at, "the key '%.80s' is given twice", x->key->str), false;
    if (!put(e, d, x->key, x->value, &x->at)) return false;
  }
  return true;
}

static struct pt_value *eval_dict(struct ev *e, const struct pt_node *n) {
  struct pt_value *d = pt_py_new(e->py, PT_V_DICT, &n->at);
  for (const struct pt_node *k = n->kid; d && k; k = k->next) {
    if (k->kind == PT_N_STAR2) {
      if (!put_all(e, d, k, false)) return NULL;
      continue;
    }
    struct pt_value *key = eval(e, k->kid), *value = key ? eval(e, k->kid->next) : NULL;
    if (!put(e, d, key, value, &k->at)) return NULL;
  }
  return d;
}

/* ---- comprehensions ---- */

static bool comp_loop(struct ev *e, const struct pt_node *comp, const struct pt_node *f,
                      struct pt_value *out);

/* The conditions behind cond hold: goes on to the next for, or adds the element. */
static bool comp_inner(struct ev *e, const struct pt_node *comp, const struct pt_node *f,
                       struct pt_value *out) {
  for (const struct pt_node *c = f->kid->next->next; c; c = c->next) {
    const struct pt_value *v = eval(e, c);
    if (!v) return false;
    if (!pt_py_true(v)) return true;
  }
  if (f->next) return comp_loop(e, comp, f->next, out);
  const struct pt_node *x = comp->kid;
  if (x->kind != PT_N_PAIR) return add_item(e, out, x);
  struct pt_value *key = eval(e, x->kid), *value = key ? eval(e, x->kid->next) : NULL;
  return put(e, out, key, value, &x->at);
}

/* Binds the names of a target to value and runs what is inside. */
static bool comp_bind(struct ev *e, const struct pt_node *comp, const struct pt_node *f,
                      struct pt_value *value, struct pt_value *out) {
  const struct pt_node *target = f->kid, *k = target->kid;
  const struct bound *before = e->bound;
  struct bound name[8] = {{target->s, value, before}};
  if (target->kind == PT_N_NAME) {
    e->bound = &name[0];
  } else {
    const struct pt_value *items = pt_py_items(e->py, value, &f->at);
    if (!items) return false;
    if (target->n > 8 || items->n != target->n)
      return pt_py_fail(e->py, &f->at, "%lld values for %lld names (at most 8)",
                        (long long)items->n, (long long)target->n),
             false;
    for (int64_t i = 0; i < target->n; i++, k = k->next) {
      name[i] = (struct bound){k->s, items->item[i], e->bound};
      e->bound = &name[i];
    }
  }
  bool ok = pt_py_charge(e->py, 1, &f->at) && comp_inner(e, comp, f, out);
  e->bound = before;
  return ok;
}

static bool comp_loop(struct ev *e, const struct pt_node *comp, const struct pt_node *f,
                      struct pt_value *out) {
  if (e->depth >= PT_PY_EVAL_MAX)
    return pt_py_fail(e->py, &f->at, "an expression nested too deep"), false;
  struct pt_value *from = eval(e, f->kid->next);
  const struct pt_value *items = from ? pt_py_items(e->py, from, &f->at) : NULL;
  if (!items) return false;
  e->depth++;
  bool ok = true;
  for (int64_t i = 0; ok && i < items->n; i++) ok = comp_bind(e, comp, f, items->item[i], out);
  e->depth--;
  return ok;
}

static struct pt_value *eval_comp(struct ev *e, const struct pt_node *n) {
  struct pt_value *out = pt_py_new(e->py, n->op == '{' ? PT_V_DICT : PT_V_LIST, &n->at);
  return out && comp_loop(e, n, n->kid->next, out) ? out : NULL;
}

/* ---- calls ---- */

static bool arguments(struct ev *e, const struct pt_node *n, struct pt_value *args,
                      struct pt_value *kw) {
  for (const struct pt_node *k = n->kid->next; k; k = k->next) {
    if (k->kind == PT_N_STAR2) {
      if (!put_all(e, kw, k, true)) return false;
    } else if (k->kind == PT_N_KWARG) {
      int64_t len = (int64_t)strlen(k->s);
      if (pt_dict_find_str(kw, k->s, len))
        return pt_py_fail(e->py, &k->at, "the key '%.80s' is given twice", k->s), false;
      struct pt_value *v = eval(e, k->kid);
      if (!v || !put(e, kw, pt_py_text(e->py, k->s, len, &k->at), v, &k->at)) return false;
    } else if (kw->n && k->kind != PT_N_STAR) {
      return pt_py_fail(e->py, &k->at, "a value without a name behind one with a name"), false;
    } else if (k->kind == PT_N_COMP && k->op == '(') {
      struct pt_value *v = eval_comp(e, k);
      if (!v || pt_list_add(&e->py->region, args, v, e->py->err)) return false;
    } else if (!add_item(e, args, k)) {
      return false;
    }
  }
  return true;
}

/* 'text'.format(...) and list.index(item), the methods there are. */
static struct pt_value *call_method(struct ev *e, struct pt_value *of, const struct pt_node *n,
                                    const struct pt_value *args, const struct pt_value *kw) {
  const char *name = n->kid->s;
  bool seq = of->kind == PT_V_LIST || of->kind == PT_V_TUPLE;
  if (of->kind == PT_V_STR && strcmp(name, "format") == 0)
    return pt_py_format(e->py, of, args->item, args->n, kw, &n->at);
  if (!seq || strcmp(name, "index") != 0 || args->n != 1 || kw->n)
    return pt_py_cannot(e->py, &n->kid->at, "the method '.%.60s()' of %s is not supported",
                        name, pt_kind_text(of->kind));
  for (int64_t i = 0; i < of->n; i++) {
    const struct pt_value *same =
        pt_py_binary(e->py, PT_OP2('=', '='), of->item[i], args->item[0], &n->at);
    if (!same) return NULL;
    if (same->b) return pt_py_int(e->py, i, &n->at);
  }
  return pt_py_fail(e->py, &n->at, ".index() of a value that is not in the list");
}

static struct pt_value *eval_call(struct ev *e, const struct pt_node *n) {
  const struct pt_node *f = n->kid;
  bool method = f->kind == PT_N_ATTR;
  if (f->kind == PT_N_NAME && !is_bound(e, f->s) && pt_py_builtin(f->s) < 0)
    return pt_py_cannot(e->py, &f->at, "the function '%.60s()' is not supported", f->s);
  struct pt_value *function = eval(e, method ? f->kid : f);
  if (!function) return NULL;
  if (!method && function->kind != PT_V_FUNC)
    return pt_py_fail(e->py, &f->at, "%s cannot be called", pt_kind_text(function->kind));
  struct pt_value *args = pt_py_new(e->py, PT_V_LIST, &n->at);
  struct pt_value *kw = args ? pt_py_new(e->py, PT_V_DICT, &n->at) : NULL;
  if (!kw || !arguments(e, n, args, kw)) return NULL;
  if (method) return call_method(e, function, n, args, kw);
  return pt_py_call(e->py, function->i, args->item, args->n, kw, &n->at);
}

/* ---- expressions ---- */

static struct pt_value *eval_subscript(struct ev *e, const struct pt_node *n) {
  const struct pt_node *key = n->kid->next;
  struct pt_value *of = eval(e, n->kid), *part[3];
  if (!of) return NULL;
  if (key->kind != PT_N_SLICE) {
    struct pt_value *k = eval(e, key);
    return k ? pt_py_subscript(e->py, of, k, &key->at) : NULL;
  }
  const struct pt_node *p = key->kid;
  for (int i = 0; i < 3; i++, p = p->next)
    if (!(part[i] = eval(e, p))) return NULL;
  return pt_py_slice(e->py, of, part, &key->at);
}

static struct pt_value *eval_binary(struct ev *e, const struct pt_node *n) {
  struct pt_value *a = eval(e, n->kid), *b;
  if (!a) return NULL;
  if (n->op == 'a' && !pt_py_true(a)) return a;
  if (n->op == 'o' && pt_py_true(a)) return a;
  b = eval(e, n->kid->next);
  if (!b || n->op == 'a' || n->op == 'o') return b;
  return pt_py_binary(e->py, n->op, a, b, &n->at);
}

static struct pt_value *eval_fstring(struct ev *e, const struct pt_node *n) {
  struct pt_value *out = pt_py_text(e->py, "", 0, &n->at);
  for (const struct pt_node *k = n->kid; out && k; k = k->next) {
    struct pt_value *v = eval(e, k), *s = v ? pt_py_to_str(e->py, v, &k->at) : NULL;
    if (!s) return NULL;
    out = pt_py_binary(e->py, '+', out, s, &n->at);
  }
  return out;
}

static struct pt_value *eval_kind(struct ev *e, const struct pt_node *n) {
  struct pt_value *v;
  switch (n->kind) {
    case PT_N_CONST: return n->value;
    case PT_N_NAME: return eval_name(e, n);
    case PT_N_LIST: return eval_list(e, n, PT_V_LIST);
    case PT_N_TUPLE: return eval_list(e, n, PT_V_TUPLE);
    case PT_N_DICT: return eval_dict(e, n);
    case PT_N_CALL: return eval_call(e, n);
    case PT_N_SUBSCRIPT: return eval_subscript(e, n);
    case PT_N_BINARY: return eval_binary(e, n);
    case PT_N_FSTRING: return eval_fstring(e, n);
    case PT_N_UNARY:
      v = eval(e, n->kid);
      return v ? pt_py_unary(e->py, n->op, v, &n->at) : NULL;
    case PT_N_IFELSE:
      v = eval(e, n->kid);
      if (!v) return NULL;
      return eval(e, pt_py_true(v) ? n->kid->next : n->kid->next->next);
    case PT_N_COMP:
      if (n->op != '(') return eval_comp(e, n);
      return pt_py_cannot(e->py, &n->at, "a generator (x for ...) outside of a call");
    case PT_N_ATTR:
      return pt_py_cannot(e->py, &n->at, "the attribute '.%.60s' is not supported", n->s);
    case PT_N_STAR: return pt_py_fail(e->py, &n->at, "'*' is not possible here");
    default: return pt_py_fail(e->py, &n->at, "this is not possible here");
  }
}

static struct pt_value *eval(struct ev *e, const struct pt_node *n) {
  if (e->depth >= PT_PY_EVAL_MAX)
    return pt_py_fail(e->py, &n->at, "an expression of more than %d levels", PT_PY_EVAL_MAX);
  if (!pt_py_charge(e->py, 1, &n->at)) return NULL;
  e->depth++;
  struct pt_value *v = eval_kind(e, n);
  e->depth--;
  return v;
}

/* ---- statements ---- */

static bool assign(struct ev *e, const struct pt_node *target, struct pt_value *v);

static bool assign_item(struct ev *e, const struct pt_node *target, struct pt_value *v) {
  const struct pt_node *k = target->kid->next;
  struct pt_value *of = eval(e, target->kid);
  if (!of) return false;
  if (k->kind == PT_N_SLICE)
    return pt_py_cannot(e->py, &k->at, "assignment to a slice is not supported"), false;
  struct pt_value *key = eval(e, k);
  if (!key) return false;
  if (of->kind == PT_V_DICT) return put(e, of, key, v, &target->at);
  if (of->kind != PT_V_LIST)
    return pt_py_fail(e->py, &target->at, "an item of %s cannot be assigned to",
                      pt_kind_text(of->kind)),
           false;
  int64_t i = pt_py_index(e->py, of, key, &k->at);
  if (i >= 0) of->item[i] = v;
  return i >= 0;
}

static bool assign_all(struct ev *e, const struct pt_node *target, struct pt_value *v) {
  const struct pt_value *items = pt_py_items(e->py, v, &target->at);
  const struct pt_node *k = target->kid;
  if (!items) return false;
  if (items->n != target->n)
    return pt_py_fail(e->py, &target->at, "%lld values for %lld names", (long long)items->n,
                      (long long)target->n),
           false;
  for (int64_t i = 0; k; i++, k = k->next)
    if (!assign(e, k, items->item[i])) return false;
  return true;
}

static bool assign(struct ev *e, const struct pt_node *target, struct pt_value *v) {
  if (target->kind == PT_N_SUBSCRIPT) return assign_item(e, target, v);
  if (target->kind != PT_N_NAME) return assign_all(e, target, v);
  struct pt_value *key = pt_py_text(e->py, target->s, (int64_t)strlen(target->s), &target->at);
  return put(e, e->globals, key, v, &target->at);
}

/* target op= value; a list grows in place, as every name of it sees. */
static bool augment(struct ev *e, const struct pt_node *n) {
  const struct pt_node *target = n->kid;
  struct pt_value *old = eval(e, target), *v = old ? eval(e, target->next) : NULL;
  if (!v) return false;
  if (n->op == '+' && old->kind == PT_V_LIST) {
    const struct pt_value *items = pt_py_items(e->py, v, &n->at);
    if (!items || !pt_py_charge(e->py, items->n, &n->at)) return false;
    for (int64_t i = 0, count = items->n; i < count; i++)
      if (pt_list_add(&e->py->region, old, items->item[i], e->py->err)) return false;
    v = old;
  } else if (old->kind == PT_V_LIST || old->kind == PT_V_DICT) {
    return pt_py_cannot(e->py, &n->at, "this operator on %s is not supported",
                        pt_kind_text(old->kind)),
           false;
  } else {
    v = pt_py_binary(e->py, n->op, old, v, &n->at);
  }
  return v && assign(e, target, v);
}

static bool delete_one(struct ev *e, const struct pt_node *target) {
  struct pt_value *of = e->globals, *key;
  if (target->kind == PT_N_NAME) {
    key = pt_py_text(e->py, target->s, (int64_t)strlen(target->s), &target->at);
  } else if (target->kind == PT_N_SUBSCRIPT && target->kid->next->kind != PT_N_SLICE) {
    of = eval(e, target->kid);
    key = of ? eval(e, target->kid->next) : NULL;
  } else {
    return pt_py_cannot(e->py, &target->at, "this 'del' is not supported"), false;
  }
  if (!key || !pt_py_charge(e->py, of->n, &target->at)) return false;
  if (of->kind == PT_V_DICT && pt_py_key_ok(e->py, key, &target->at)) {
    struct pt_entry *entry = pt_dict_find(of, key);
    if (!entry) return pt_py_fail(e->py, &target->at, "'del' of what is not there"), false;
    pt_dict_remove(of, entry);
    return true;
  }
  if (of->kind != PT_V_LIST)
    return pt_py_fail(e->py, &target->at, "'del' of an item of %s is not possible",
                      pt_kind_text(of->kind)),
           false;
  int64_t i = pt_py_index(e->py, of, key, &target->at);
  if (i < 0) return false;
  memmove(of->item + i, of->item + i + 1, (size_t)(of->n - i - 1) * sizeof *of->item);
  of->n--;
  return true;
}

/* A class list as the tuple it is in Pointcept. */
static struct pt_value *class_list(struct ev *e, const struct pt_class_list *list,
                                   const struct pt_pos *at) {
  struct pt_value *v = pt_py_new(e->py, PT_V_TUPLE, at);
  for (int64_t i = 0; v && i < list->n; i++) {
    struct pt_value *item =
        list->label ? pt_py_text(e->py, list->label[i], (int64_t)strlen(list->label[i]), at)
                    : pt_py_int(e->py, list->id[i], at);
    if (!item || pt_list_add(&e->py->region, v, item, e->py->err)) return NULL;
  }
  return v;
}

static bool import(struct ev *e, const struct pt_node *n) {
  for (const struct pt_node *k = n->kid; k; k = k->next) {
    const struct pt_class_list *list = pt_class_list_find(n->s, k->s);
    if (!list)
      return pt_py_cannot(e->py, &k->at,
                          "'from %.100s import %.60s': no Python is run, and "
                          "this is not one of the known class lists",
                          n->s, k->s),
             false;
    struct pt_value *v = class_list(e, list, &k->at);
    const struct pt_node *as = k->kid ? k->kid : k;
    if (!v || !assign(e, as, v)) return false;
    pt_dict_find_str(e->globals, as->s, (int64_t)strlen(as->s))->read = true;
  }
  return true;
}

static bool statement(struct ev *e, const struct pt_node *n) {
  if (n->kind == PT_N_EXPR) return eval(e, n->kid) != NULL;
  if (n->kind == PT_N_AUG) return augment(e, n);
  if (n->kind == PT_N_IMPORT) return import(e, n);
  if (n->kind == PT_N_DEL) {
    for (const struct pt_node *k = n->kid; k; k = k->next)
      if (!delete_one(e, k)) return false;
    return true;
  }
  struct pt_value *v = eval(e, n->kid);
  for (const struct pt_node *k = n->kid->next; v && k; k = k->next)
    if (!assign(e, k, v)) return false;
  return v != NULL;
}

int pt_py_exec(struct pt_py *py, const struct pt_node *statements, struct pt_value *globals) {
  struct ev e = {.py = py, .globals = globals};
  for (const struct pt_node *n = statements; n; n = n->next)
    if (!statement(&e, n)) return py->err->status;
  return PTV3_OK;
}
