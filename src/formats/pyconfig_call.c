/* pyconfig_call.c - the built-in functions configurations may call. Source: The Python
 * Standard Library, "Built-in Functions". */
#include <math.h>
#include <string.h>

#include "pyconfig_int.h"
#include "size.h"

/* One call: its function's name and arguments. */
struct call {
  struct pt_py *py;
  const char *name;
  struct pt_value **arg; /* [n] */
  int64_t n;
  struct pt_value *kw; /* a dict */
  const struct pt_pos *at;
};

static struct pt_value *cannot(const struct call *c) {
  const char *what = c->n ? pt_kind_text(c->arg[0]->kind) : "nothing";
  return pt_py_fail(c->py, c->at, "%s() of %s cannot be computed", c->name, what);
}

static bool is_int(const struct pt_value *v) {
  return v->kind == PT_V_INT || v->kind == PT_V_BOOL;
}
static int64_t int_of(const struct pt_value *v) {
  return v->kind == PT_V_BOOL ? (int64_t)v->b : v->i;
}

/* Puts the pair (a sequence of two) into d. */
static bool put_pair(const struct call *c, struct pt_value *d, struct pt_value *pair) {
  struct pt_value *two = pt_py_items(c->py, pair, c->at);
  if (!two) return false;
  if (two->n != 2)
    return pt_py_fail(c->py, c->at, "dict() takes pairs, one has %lld items",
                      (long long)two->n),
           false;
  if (!pt_py_key_ok(c->py, two->item[0], c->at)) return false;
  return !pt_dict_put(&c->py->region, d, two->item[0], two->item[1], &pair->at, c->py->err);
}

static struct pt_value *call_dict(const struct call *c) {
  struct pt_value *d = pt_py_new(c->py, PT_V_DICT, c->at);
  const struct pt_value *from = c->n ? c->arg[0] : NULL;
  if (!d) return NULL;
  if (from && from->kind == PT_V_DICT) {
    if (!pt_py_charge(c->py, from->n, c->at)) return NULL;
    for (int64_t i = 0; i < from->n; i++) {
      const struct pt_entry *e = &from->entry[i];
      if (pt_dict_put(&c->py->region, d, e->key, e->value, &e->at, c->py->err)) return NULL;
    }
  } else if (from) {
    const struct pt_value *pairs = pt_py_items(c->py, c->arg[0], c->at);
    if (!pairs) return NULL;
    for (int64_t i = 0; i < pairs->n; i++)
      if (!put_pair(c, d, pairs->item[i])) return NULL;
  }
  for (int64_t i = 0; i < c->kw->n; i++) {
    const struct pt_entry *e = &c->kw->entry[i];
    if (pt_dict_put(&c->py->region, d, e->key, e->value, &e->at, c->py->err)) return NULL;
  }
  return d;
}

/* list() and tuple(): a new one with the items of the argument. */
static struct pt_value *call_sequence(const struct call *c, enum pt_kind kind) {
  struct pt_value *out = pt_py_new(c->py, kind, c->at);
  if (!out || !c->n) return out;
  const struct pt_value *from = pt_py_items(c->py, c->arg[0], c->at);
  if (!from || !pt_py_charge(c->py, from->n, c->at)) return NULL;
  for (int64_t i = 0; i < from->n; i++)
    if (pt_list_add(&c->py->region, out, from->item[i], c->py->err)) return NULL;
  return out;
}

static struct pt_value *call_len(const struct call *c) {
  const struct pt_value *v = c->arg[0];
  int64_t n = v->n;
  if (v->kind != PT_V_STR && v->kind != PT_V_LIST && v->kind != PT_V_TUPLE &&
      v->kind != PT_V_DICT && v->kind != PT_V_RANGE)
    return cannot(c);
  if (v->kind == PT_V_STR)
    for (int64_t i = 0; i < v->n; i++) n -= (v->str[i] & 0xc0) == 0x80;
  return pt_py_int(c->py, n, c->at);
}

static struct pt_value *call_sum(const struct call *c) {
  const struct pt_value *items = pt_py_items(c->py, c->arg[0], c->at);
  struct pt_value *sum = c->n > 1 ? c->arg[1] : pt_py_int(c->py, 0, c->at);
  if (!items || !sum) return NULL;
  if (sum->kind == PT_V_STR) return cannot(c);
  for (int64_t i = 0; sum && i < items->n; i++)
    sum = pt_py_binary(c->py, '+', sum, items->item[i], c->at);
  return sum;
}

static struct pt_value *call_range(const struct call *c) {
  int64_t v[3] = {0, 0, 1};
  for (int64_t i = 0; i < c->n; i++) {
    if (!is_int(c->arg[i])) return cannot(c);
    v[c->n == 1 ? 1 : i] = int_of(c->arg[i]);
    if (int_of(c->arg[i]) > INT64_MAX / 4 || int_of(c->arg[i]) < -INT64_MAX / 4)
      return pt_py_fail(c->py, c->at, "a range this large is not supported");
  }
  if (v[2] == 0) return pt_py_fail(c->py, c->at, "the step of a range must not be 0");
  int64_t span = v[2] > 0 ? v[1] - v[0] : v[0] - v[1];
  int64_t step = v[2] > 0 ? v[2] : -v[2];
  struct pt_value *r = pt_py_new(c->py, PT_V_RANGE, c->at);
  if (!r) return NULL;
  r->i = v[0];
  r->n = span > 0 ? pt_div_up(span, step) : 0;
  r->cap = v[2];
  return r;
}

static struct pt_value *call_extreme(const struct call *c, int op) {
  struct pt_value *const *item = c->arg;
  int64_t n = c->n;
  if (n == 1) {
    const struct pt_value *items = pt_py_items(c->py, c->arg[0], c->at);
    if (!items) return NULL;
    item = items->item;
    n = items->n;
  }
  if (!n) return pt_py_fail(c->py, c->at, "%s() of nothing", c->name);
  struct pt_value *best = item[0];
  for (int64_t i = 1; i < n; i++) {
    const struct pt_value *better = pt_py_binary(c->py, op, item[i], best, c->at);
    if (!better) return NULL;
    if (better->b) best = item[i];
  }
  return best;
}

static struct pt_value *call_abs(const struct call *c) {
  struct pt_value *v = c->arg[0];
  if (v->kind == PT_V_FLOAT) return pt_py_float(c->py, fabs(v->f), c->at);
  if (!is_int(v)) return cannot(c);
  return pt_py_unary(c->py, int_of(v) < 0 ? '-' : '+', v, c->at);
}

static struct pt_value *float_to_int(const struct call *c, double f) {
  if (!(f > -0x1p63 && f < 0x1p63))
    return pt_py_fail(c->py, c->at, "%s() of a float beyond 64-bit integers", c->name);
  return pt_py_int(c->py, (int64_t)f, c->at);
}

/* The number in a string, spaces around it dropped. */
static bool text_number(const struct pt_value *s, struct pt_value *out) {
  int64_t from = 0, to = s->n;
  bool overflow;
  while (from < to && memchr(" \t\n\r\f\v", s->str[from], 6)) from++;
  while (to > from && memchr(" \t\n\r\f\v", s->str[to - 1], 6)) to--;
  return pt_py_number(s->str + from, to - from, false, out, &overflow);
}

static struct pt_value *call_int(const struct call *c) {
  struct pt_value number = {0};
  const struct pt_value *v = c->n ? c->arg[0] : NULL;
  if (!v) return pt_py_int(c->py, 0, c->at);
  if (is_int(v)) return pt_py_int(c->py, int_of(v), c->at);
  if (v->kind == PT_V_FLOAT) return float_to_int(c, trunc(v->f));
  if (v->kind == PT_V_STR && text_number(v, &number) && number.kind == PT_V_INT)
    return pt_py_int(c->py, number.i, c->at);
  return cannot(c);
}

static struct pt_value *call_float(const struct call *c) {
  struct pt_value number = {0};
  const struct pt_value *v = c->n ? c->arg[0] : NULL;
  if (!v) return pt_py_float(c->py, 0, c->at);
  if (v->kind == PT_V_STR && text_number(v, &number)) v = &number;
  if (is_int(v)) return pt_py_float(c->py, (double)int_of(v), c->at);
  return v->kind == PT_V_FLOAT ? pt_py_float(c->py, v->f, c->at) : cannot(c);
}

static struct pt_value *call_round(const struct call *c) {
  const struct pt_value *v = c->arg[0];
  if (is_int(v)) return pt_py_int(c->py, int_of(v), c->at);
  return v->kind == PT_V_FLOAT ? float_to_int(c, rint(v->f)) : cannot(c);
}

static struct pt_value *call_str(const struct call *c) {
  return c->n ? pt_py_to_str(c->py, c->arg[0], c->at) : pt_py_text(c->py, "", 0, c->at);
}
static struct pt_value *call_bool(const struct call *c) {
  return pt_py_bool(c->py, c->n && pt_py_true(c->arg[0]), c->at);
}
static struct pt_value *call_list(const struct call *c) { return call_sequence(c, PT_V_LIST); }
static struct pt_value *call_tuple(const struct call *c) {
  return call_sequence(c, PT_V_TUPLE);
}
static struct pt_value *call_min(const struct call *c) { return call_extreme(c, '<'); }
static struct pt_value *call_max(const struct call *c) { return call_extreme(c, '>'); }

static const struct {
  const char *name;
  int lo, hi; /* how many arguments */
  bool keywords;
  struct pt_value *(*run)(const struct call *c);
} builtin[] = {{"dict", 0, 1, true, call_dict},    {"list", 0, 1, false, call_list},
               {"tuple", 0, 1, false, call_tuple}, {"len", 1, 1, false, call_len},
               {"sum", 1, 2, false, call_sum},     {"range", 1, 3, false, call_range},
               {"min", 1, 1000, false, call_min},  {"max", 1, 1000, false, call_max},
               {"abs", 1, 1, false, call_abs},     {"round", 1, 1, false, call_round},
               {"int", 0, 1, false, call_int},     {"float", 0, 1, false, call_float},
               {"str", 0, 1, false, call_str},     {"bool", 0, 1, false, call_bool}};
#define N_BUILTIN ((int)(sizeof builtin / sizeof *builtin))

int pt_py_builtin(const char *name) {
  for (int i = 0; i < N_BUILTIN; i++)
    if (strcmp(builtin[i].name, name) == 0) return i;
  return -1;
}

struct pt_value *pt_py_call(struct pt_py *py, int64_t function, struct pt_value **args,
                            int64_t n, struct pt_value *keywords, const struct pt_pos *at) {
  struct call c = {py, builtin[function].name, args, n, keywords, at};
  if (keywords->n && !builtin[function].keywords)
    return pt_py_cannot(py, at, "%s() with '%s=' is not supported", c.name,
                        keywords->entry[0].key->str);
  if (n < builtin[function].lo || n > builtin[function].hi)
    return pt_py_cannot(py, at, "%s() with %lld arguments is not supported", c.name,
                        (long long)n);
  return builtin[function].run(&c);
}
