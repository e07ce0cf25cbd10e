/* pyconfig_ops.c - operators on values as Python defines them: floor division and its
 * remainder, / always a float, sequences that add and repeat, comparisons, subscripts.
 * Integers have 64 bits; what would not fit is an error. Source: The Python Language
 * Reference, "Expressions"; CPython's float_divmod for // and % of floats. */
#include <math.h>
#include <string.h>

#include "pyconfig_int.h"
#include "size.h"

#define EXACT (INT64_C(1) << 53) /* integers up to here are exact as doubles */

static bool is_int(const struct pt_value *v) {
  return v->kind == PT_V_INT || v->kind == PT_V_BOOL;
}
static int64_t int_of(const struct pt_value *v) {
  return v->kind == PT_V_BOOL ? (int64_t)v->b : v->i;
}
static bool is_num(const struct pt_value *v) { return is_int(v) || v->kind == PT_V_FLOAT; }
static double num_of(const struct pt_value *v) {
  return v->kind == PT_V_FLOAT ? v->f : (double)int_of(v);
}

bool pt_py_true(const struct pt_value *v) {
  switch (v->kind) {
    case PT_V_NONE: return false;
    case PT_V_BOOL: return v->b;
    case PT_V_INT: return v->i != 0;
    case PT_V_FLOAT: return v->f != 0;
    case PT_V_FUNC: return true;
    default: return v->n > 0;
  }
}

/* "a list + an integer" */
static struct pt_value *mismatch(struct pt_py *py, const char *op, const struct pt_value *a,
                                 const struct pt_value *b, const struct pt_pos *at) {
  return pt_py_fail(py, at, "%s %s %s cannot be computed", pt_kind_text(a->kind), op,
                    pt_kind_text(b->kind));
}

static struct pt_value *too_large(struct pt_py *py, const struct pt_pos *at) {
  return pt_py_fail(py, at, "the result is an integer of more than 64 bits");
}

/* ---- numbers ---- */

static struct pt_value *int_power(struct pt_py *py, int64_t a, int64_t b,
                                  const struct pt_pos *at) {
  int64_t r = 1;
  if (b < 0 && a == 0) return pt_py_fail(py, at, "0 to a negative power");
  if (b < 0) return pt_py_float(py, pow((double)a, (double)b), at);
  if (a == 1 || (a == 0 && b > 0)) return pt_py_int(py, a, at);
  if (a == -1) return pt_py_int(py, b & 1 ? -1 : 1, at);
  for (int64_t i = 0; i < b; i++)
    if (__builtin_mul_overflow(r, a, &r)) return too_large(py, at);
  return pt_py_int(py, r, at);
}

static struct pt_value *int_shift(struct pt_py *py, int64_t a, int64_t b, bool left,
                                  const struct pt_pos *at) {
  if (b < 0) return pt_py_fail(py, at, "a shift by a negative number");
  if (!left) return pt_py_int(py, a >> pt_min(b, 63), at);
  if (a == 0) return pt_py_int(py, 0, at);
  if (b > 62 || a > INT64_MAX >> b || a < -(INT64_MAX >> b)) return too_large(py, at);
  return pt_py_int(py, a * (INT64_C(1) << b), at);
}

static struct pt_value *int_op(struct pt_py *py, int op, int64_t a, int64_t b,
                               const struct pt_pos *at) {
  int64_t r = 0;
  bool over = false;
  bool divides = op == '/' || op == '%' || op == PT_OP2('/', '/');
  if (divides && b == 0) return pt_py_fail(py, at, "a division by zero");
  switch (op) {
    case '+': over = __builtin_add_overflow(a, b, &r); break;
    case '-': over = __builtin_sub_overflow(a, b, &r); break;
    case '*': over = __builtin_mul_overflow(a, b, &r); break;
    case '&': r = a & b; break;
    case '|': r = a | b; break;
    case '^': r = a ^ b; break;
    case '/':
      if (a > EXACT || a < -EXACT || b > EXACT || b < -EXACT)
        return pt_py_fail(py, at, "a division of integers beyond 2**53");
      return pt_py_float(py, (double)a / (double)b, at);
    case PT_OP2('/', '/'):
      if (b == -1) return int_op(py, '-', 0, a, at);
      r = a / b - (a % b != 0 && (a < 0) != (b < 0));
      break;
    case '%':
      if (b == -1) break;
      r = a % b;
      if (r != 0 && (r < 0) != (b < 0)) r += b;
      break;
    case PT_OP2('*', '*'): return int_power(py, a, b, at);
    case PT_OP2('<', '<'): return int_shift(py, a, b, true, at);
    case PT_OP2('>', '>'): return int_shift(py, a, b, false, at);
    default: return pt_py_cannot(py, at, "this operator is not supported");
  }
  return over ? too_large(py, at) : pt_py_int(py, r, at);
}

/* CPython: the remainder has the divisor's sign, the quotient is rounded from (a - r) / b. */
static void float_divmod(double a, double b, double *quotient, double *rest) {
  double r = fmod(a, b), q = (a - r) / b;
  if (r != 0) {
    if ((b < 0) != (r < 0)) r += b, q -= 1;
  } else {
    r = copysign(0.0, b);
  }
  if (q != 0) {
    double down = floor(q);
    *quotient = q - down > 0.5 ? down + 1 : down;
  } else {
    *quotient = copysign(0.0, a / b);
  }
  *rest = r;
}

static struct pt_value *float_op(struct pt_py *py, int op, double a, double b,
                                 const struct pt_pos *at) {
  double q, r;
  bool divides = op == '/' || op == '%' || op == PT_OP2('/', '/');
  if (divides && b == 0) return pt_py_fail(py, at, "a division by zero");
  switch (op) {
    case '+': return pt_py_float(py, a + b, at);
    case '-': return pt_py_float(py, a - b, at);
    case '*': return pt_py_float(py, a * b, at);
    case '/': return pt_py_float(py, a / b, at);
    case '%':
    case PT_OP2('/', '/'):
      float_divmod(a, b, &q, &r);
      return pt_py_float(py, op == '%' ? r : q, at);
    case PT_OP2('*', '*'):
      if (a == 0 && b < 0) return pt_py_fail(py, at, "0 to a negative power");
      r = pow(a, b);
      if (isnan(r) && !isnan(a) && !isnan(b))
        return pt_py_fail(py, at, "a negative number to a power that is not an integer");
      if (isinf(r) && isfinite(a) && isfinite(b))
        return pt_py_fail(py, at, "the result of the power is too large");
      return pt_py_float(py, r, at);
    default: return pt_py_fail(py, at, "this operator does not take floats");
  }
}

static struct pt_value *number_op(struct pt_py *py, int op, const struct pt_value *a,
                                  const struct pt_value *b, const struct pt_pos *at) {
  if (!is_int(a) || !is_int(b)) return float_op(py, op, num_of(a), num_of(b), at);
  bool bits = op == '&' || op == '|' || op == '^';
  if (bits && a->kind == PT_V_BOOL && b->kind == PT_V_BOOL)
    return pt_py_bool(py,
                      op == '&'   ? a->b && b->b
                      : op == '|' ? a->b || b->b
                                  : a->b != b->b,
                      at);
  return int_op(py, op, int_of(a), int_of(b), at);
}

/* ---- sequences ---- */

static struct pt_value *concat(struct pt_py *py, const struct pt_value *a,
                               const struct pt_value *b, const struct pt_pos *at) {
  struct pt_value *out = pt_py_new(py, a->kind, at);
  if (!out || !pt_py_charge(py, a->n + b->n, at)) return NULL;
  bool text = a->kind == PT_V_STR;
  int64_t size = text ? 1 : (int64_t)sizeof *a->item, n = a->n + b->n;
  char *p = pt_region_take(&py->region, n * size + 1, py->err);
  if (!p) return NULL;
  const void *from_a = text ? (const void *)a->str : (const void *)a->item;
  const void *from_b = text ? (const void *)b->str : (const void *)b->item;
  if (a->n) memcpy(p, from_a, (size_t)(a->n * size));
  if (b->n) memcpy(p + a->n * size, from_b, (size_t)(b->n * size));
  if (text)
    out->str = p;
  else
    out->item = (struct pt_value **)(void *)p;
  out->n = n;
  out->cap = text ? 0 : n;
  return out;
}

static struct pt_value *repeat(struct pt_py *py, const struct pt_value *a, int64_t times,
                               const struct pt_pos *at) {
  struct pt_value *out = pt_py_new(py, a->kind, at);
  int64_t n, bytes;
  bool text = a->kind == PT_V_STR;
  int64_t size = text ? 1 : (int64_t)sizeof *a->item;
  if (!pt_mul(a->n, pt_max(times, 0), &n)) n = INT64_MAX;
  if (!out || !pt_py_charge(py, n, at) || !pt_mul(n, size, &bytes)) return NULL;
  char *p = pt_region_take(&py->region, bytes + 1, py->err);
  if (!p) return NULL;
  const void *from = text ? (const void *)a->str : (const void *)a->item;
  for (int64_t i = 0; i < n; i += a->n) memcpy(p + i * size, from, (size_t)(a->n * size));
  if (text)
    out->str = p;
  else
    out->item = (struct pt_value **)(void *)p;
  out->n = n;
  out->cap = text ? 0 : n;
  return out;
}

/* ---- comparisons ---- */

static bool is_text_or_seq(const struct pt_value *v) {
  return v->kind == PT_V_STR || v->kind == PT_V_LIST || v->kind == PT_V_TUPLE;
}

/* 1 equal, 0 not, -1 with err filled (too deep, too much work). */
static int equal(struct pt_py *py, const struct pt_value *a, const struct pt_value *b,
                 int depth, const struct pt_pos *at) {
  if (depth > PT_PY_DEPTH_MAX) return pt_py_fail(py, at, "values nested too deep"), -1;
  if (!pt_py_charge(py, 1, at)) return -1;
  if (is_int(a) && is_int(b)) return int_of(a) == int_of(b);
  if (is_num(a) && is_num(b)) return num_of(a) == num_of(b);
  if (a->kind != b->kind) return 0;
  if (a->kind == PT_V_STR) return a->n == b->n && memcmp(a->str, b->str, (size_t)a->n) == 0;
  if (a->kind == PT_V_NONE) return 1;
  if (a->kind == PT_V_RANGE || a->kind == PT_V_FUNC || a->kind == PT_V_BASEVAR)
    return pt_py_cannot(py, at, "%s in a comparison is not supported", pt_kind_text(a->kind)),
           -1;
  if (a->n != b->n) return 0;
  for (int64_t i = 0; i < a->n; i++) {
    const struct pt_entry *e = a->kind == PT_V_DICT ? pt_dict_find(b, a->entry[i].key) : NULL;
    if (a->kind == PT_V_DICT && !e) return 0;
    int same = a->kind == PT_V_DICT ? equal(py, a->entry[i].value, e->value, depth + 1, at)
                                    : equal(py, a->item[i], b->item[i], depth + 1, at);
    if (same != 1) return same;
  }
  return 1;
}

/* b contains a: as equal(). */
static int contains(struct pt_py *py, const struct pt_value *b, const struct pt_value *a,
                    const struct pt_pos *at) {
  if (b->kind == PT_V_DICT) return pt_py_key_ok(py, a, at) ? pt_dict_find(b, a) != NULL : -1;
  if (b->kind == PT_V_STR && a->kind == PT_V_STR) {
    int64_t work;
    if (!pt_mul(a->n / 64 + 1, b->n, &work)) work = INT64_MAX;
    if (!pt_py_charge(py, work, at)) return -1;
    for (int64_t i = 0; i + a->n <= b->n; i++)
      if (memcmp(b->str + i, a->str, (size_t)a->n) == 0) return 1;
    return 0;
  }
  if (b->kind != PT_V_LIST && b->kind != PT_V_TUPLE) return mismatch(py, "in", a, b, at), -1;
  for (int64_t i = 0; i < b->n; i++) {
    int same = equal(py, b->item[i], a, 0, at);
    if (same) return same;
  }
  return 0;
}

static struct pt_value *truth(struct pt_py *py, int is, bool negate, const struct pt_pos *at) {
  return is < 0 ? NULL : pt_py_bool(py, negate ? !is : is, at);
}

static struct pt_value *order(struct pt_py *py, int op, const struct pt_value *a,
                              const struct pt_value *b, const struct pt_pos *at) {
  bool less, more;
  if (is_int(a) && is_int(b)) {
    less = int_of(a)<int_of(b), more = int_of(a)> int_of(b);
  } else if (is_num(a) && is_num(b)) {
    double x = num_of(a), y = num_of(b);
    if (isnan(x) || isnan(y)) return pt_py_bool(py, false, at);
    less = x<y, more = x> y;
  } else if (a->kind == PT_V_STR && b->kind == PT_V_STR) {
    int c = memcmp(a->str, b->str, (size_t)pt_min(a->n, b->n));
    less = c < 0 || (c == 0 && a->n < b->n), more = c > 0 || (c == 0 && a->n > b->n);
  } else {
    return mismatch(py, op == '<' ? "<" : op == '>' ? ">" : "<= or >=", a, b, at);
  }
  bool or_equal = op == PT_OP2('<', '=') || op == PT_OP2('>', '=');
  bool smaller = op == '<' || op == PT_OP2('<', '=');
  return pt_py_bool(py, or_equal ? !(smaller ? more : less) : smaller ? less : more, at);
}

/* is: only for the values of which there is one each. */
static struct pt_value *identity(struct pt_py *py, const struct pt_value *a,
                                 const struct pt_value *b, bool negate,
                                 const struct pt_pos *at) {
  bool one = a->kind == PT_V_NONE || a->kind == PT_V_BOOL || b->kind == PT_V_NONE ||
             b->kind == PT_V_BOOL;
  if (!one) return pt_py_cannot(py, at, "'is' with neither None, True nor False");
  bool same = a->kind == b->kind && (a->kind == PT_V_NONE || a->b == b->b);
  return pt_py_bool(py, same != negate, at);
}

struct pt_value *pt_py_binary(struct pt_py *py, int op, struct pt_value *a, struct pt_value *b,
                              const struct pt_pos *at) {
  char text[4] = {(char)(op & 0xff), (char)(op >> 8 & 0xff), (char)(op >> 16 & 0xff), 0};
  if (a->kind == PT_V_BASEVAR || b->kind == PT_V_BASEVAR)
    return pt_py_fail(py, at,
                      "a {{ _base_ }} variable stands for a whole value, it cannot be "
                      "computed with");
  switch (op) {
    case PT_OP2('=', '='): return truth(py, equal(py, a, b, 0, at), false, at);
    case PT_OP2('!', '='): return truth(py, equal(py, a, b, 0, at), true, at);
    case 'i': return truth(py, contains(py, b, a, at), false, at);
    case 'I': return truth(py, contains(py, b, a, at), true, at);
    case 's': return identity(py, a, b, false, at);
    case 'S': return identity(py, a, b, true, at);
    case '<':
    case '>':
    case PT_OP2('<', '='):
    case PT_OP2('>', '='): return order(py, op, a, b, at);
    default: break;
  }
  if (is_num(a) && is_num(b)) return number_op(py, op, a, b, at);
  if (op == '+' && a->kind == b->kind && is_text_or_seq(a)) return concat(py, a, b, at);
  if (op == '*' && is_text_or_seq(a) && is_int(b)) return repeat(py, a, int_of(b), at);
  if (op == '*' && is_text_or_seq(b) && is_int(a)) return repeat(py, b, int_of(a), at);
  if (op == '%' && a->kind == PT_V_STR)
    return pt_py_cannot(py, at, "'text %% values' is not supported: write an f-string");
  return mismatch(py, text, a, b, at);
}

struct pt_value *pt_py_unary(struct pt_py *py, int op, struct pt_value *a,
                             const struct pt_pos *at) {
  if (op == 'n') return pt_py_bool(py, !pt_py_true(a), at);
  if (!is_num(a))
    return pt_py_fail(py, at, "%c before %s cannot be computed", op, pt_kind_text(a->kind));
  if (a->kind == PT_V_FLOAT) {
    if (op == '~') return pt_py_fail(py, at, "~ before a float cannot be computed");
    return pt_py_float(py, op == '-' ? -a->f : a->f, at);
  }
  int64_t i = int_of(a);
  if (op == '~') return pt_py_int(py, ~i, at);
  if (op == '-' && i == INT64_MIN) return too_large(py, at);
  return pt_py_int(py, op == '-' ? -i : i, at);
}

/* ---- items ---- */

static int64_t char_bytes(const struct pt_value *s, int64_t i) {
  int64_t k = i + 1;
  while (k < s->n && (s->str[k] & 0xc0) == 0x80) k++;
  return k - i;
}

struct pt_value *pt_py_items(struct pt_py *py, struct pt_value *v, const struct pt_pos *at) {
  if (v->kind == PT_V_LIST || v->kind == PT_V_TUPLE) return v;
  bool text = v->kind == PT_V_STR;
  if (!text && v->kind != PT_V_RANGE && v->kind != PT_V_DICT)
    return pt_py_fail(py, at, "%s has no items to go through", pt_kind_text(v->kind));
  struct pt_value *out = pt_py_new(py, PT_V_LIST, at);
  if (!out || !pt_py_charge(py, v->n, at)) return NULL;
  for (int64_t i = 0, step; i < v->n; i += step) {
    step = text ? char_bytes(v, i) : 1;
    struct pt_value *item = text                   ? pt_py_text(py, v->str + i, step, at)
                            : v->kind == PT_V_DICT ? v->entry[i].key
                                                   : pt_py_int(py, v->i + i * v->cap, at);
    if (!item || pt_list_add(&py->region, out, item, py->err)) return NULL;
  }
  return out;
}

int64_t pt_py_index(struct pt_py *py, const struct pt_value *v, const struct pt_value *key,
                    const struct pt_pos *at) {
  if (!is_int(key)) {
    pt_py_fail(py, at, "an item of %s is named by an integer, not %s", pt_kind_text(v->kind),
               pt_kind_text(key->kind));
    return -1;
  }
  int64_t i = int_of(key);
  if (i >= 0 ? i < v->n : i >= -v->n) return i >= 0 ? i : i + v->n;
  pt_py_fail(py, at, "item %lld of %s with %lld items", (long long)i, pt_kind_text(v->kind),
             (long long)v->n);
  return -1;
}

bool pt_py_key_ok(struct pt_py *py, const struct pt_value *key, const struct pt_pos *at) {
  if (key->kind <= PT_V_STR) return true;
  pt_py_cannot(py, at, "%s as the key of a dict is not supported", pt_kind_text(key->kind));
  return false;
}

struct pt_value *pt_py_subscript(struct pt_py *py, struct pt_value *v, struct pt_value *key,
                                 const struct pt_pos *at) {
  char shown[64] = "of this name";
  if (v->kind == PT_V_DICT) {
    if (!pt_py_key_ok(py, key, at)) return NULL;
    const struct pt_entry *e = pt_dict_find(v, key);
    if (e) return e->value;
    return pt_py_fail(py, at, "the dict has no key '%.60s'",
                      key->kind == PT_V_STR ? key->str : shown);
  }
  if (v->kind == PT_V_STR || v->kind == PT_V_RANGE) {
    v = pt_py_items(py, v, at);
    if (!v) return NULL;
  }
  if (v->kind != PT_V_LIST && v->kind != PT_V_TUPLE)
    return pt_py_fail(py, at, "%s has no items", pt_kind_text(v->kind));
  int64_t i = pt_py_index(py, v, key, at);
  return i < 0 ? NULL : v->item[i];
}

/* A slice bound: None gives def; negative counts from the end; kept within lo..hi. */
static bool bound(struct pt_py *py, const struct pt_value *part, int64_t def, int64_t n,
                  int64_t lo, int64_t hi, int64_t *out, const struct pt_pos *at) {
  *out = def;
  if (part->kind == PT_V_NONE) return true;
  if (!is_int(part)) return pt_py_fail(py, at, "a slice takes integers"), false;
  int64_t i = int_of(part);
  *out = pt_max(lo, pt_min(hi, i < 0 ? i + n : i));
  return true;
}

struct pt_value *pt_py_slice(struct pt_py *py, struct pt_value *v,
                             struct pt_value *const part[3], const struct pt_pos *at) {
  bool text = v->kind == PT_V_STR;
  int64_t from, to, step = 1;
  if (!text && v->kind != PT_V_LIST && v->kind != PT_V_TUPLE)
    return pt_py_cannot(py, at, "a slice of %s is not supported", pt_kind_text(v->kind));
  if (part[2]->kind != PT_V_NONE) {
    if (!is_int(part[2]) || int_of(part[2]) == 0)
      return pt_py_fail(py, at, "the step of a slice must be an integer other than 0");
    step = pt_max(-PT_PY_WORK_MAX, pt_min(PT_PY_WORK_MAX, int_of(part[2])));
  }
  struct pt_value *of = pt_py_items(py, v, at);
  if (!of) return NULL;
  int64_t n = of->n, lo = step < 0 ? -1 : 0, hi = step < 0 ? n - 1 : n;
  if (!bound(py, part[0], step < 0 ? hi : lo, n, lo, hi, &from, at) ||
      !bound(py, part[1], step < 0 ? lo : hi, n, lo, hi, &to, at))
    return NULL;
  struct pt_value *out = text ? pt_py_text(py, "", 0, at) : pt_py_new(py, v->kind, at);
  for (int64_t i = from; out && (step > 0 ? i < to : i > to); i += step) {
    if (!pt_py_charge(py, 1, at)) return NULL;
    if (text)
      out = concat(py, out, of->item[i], at);
    else if (pt_list_add(&py->region, out, of->item[i], py->err))
      return NULL;
  }
  return out;
}
