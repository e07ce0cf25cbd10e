/* pyconfig_parse.c - tokens to a syntax tree: the expressions of Python by precedence
 * climbing, and the few statements configurations have. Source: The Python Language
 * Reference, "Expressions" (operator precedence) and "Simple statements". */
#include <stdio.h>
#include <string.h>

#include "pyconfig_int.h"

struct parser {
  struct pt_py *py;
  const struct pt_token *t; /* the next token */
  int depth;
};

static struct pt_node *expression(struct parser *p);
static struct pt_node *binary(struct parser *p, int min);

/* ---- nodes and errors ---- */

struct pt_node *pt_py_node(struct pt_py *py, enum pt_nk kind, const struct pt_pos *at) {
  if (!pt_py_charge(py, 1, at)) return NULL;
  struct pt_node *n = pt_region_take(&py->region, (int64_t)sizeof *n, py->err);
  if (!n) return NULL;
  n->kind = kind;
  n->at = *at;
  return n;
}

void pt_py_kid(struct pt_node *parent, struct pt_node *kid) {
  if (parent->last)
    parent->last->next = kid;
  else
    parent->kid = kid;
  parent->last = kid;
  parent->n++;
}

static struct pt_node *node(struct parser *p, enum pt_nk kind, const struct pt_pos *at) {
  return pt_py_node(p->py, kind, at);
}

static struct pt_node *node1(struct parser *p, enum pt_nk kind, const struct pt_pos *at,
                             struct pt_node *kid) {
  struct pt_node *n = kid ? node(p, kind, at) : NULL;
  if (n) pt_py_kid(n, kid);
  return n;
}

static struct pt_node *constant(struct parser *p, struct pt_value *v) {
  struct pt_node *n = v ? node(p, PT_N_CONST, &v->at) : NULL;
  if (n) n->value = v;
  return n;
}

/* "unexpected 'x', expected y" at the next token. */
static struct pt_node *unexpected(struct parser *p, const char *expected) {
  const struct pt_token *t = p->t;
  if (t->kind == PT_TOK_NEWLINE || t->kind == PT_TOK_END)
    pt_py_fail(p->py, &t->at, "the %s ends here, expected %s",
               t->kind == PT_TOK_END ? "text" : "line", expected);
  else
    pt_py_fail(p->py, &t->at, "unexpected '%.*s', expected %s", (int)(t->n < 40 ? t->n : 40),
               t->s, expected);
  return NULL;
}

static bool is_op(const struct parser *p, int op) {
  return p->t->kind == PT_TOK_OP && p->t->op == op;
}

static bool accept(struct parser *p, int op) {
  if (!is_op(p, op)) return false;
  p->t++;
  return true;
}

static bool expect(struct parser *p, int op, const char *what) {
  if (accept(p, op)) return true;
  unexpected(p, what);
  return false;
}

static bool is_word(const struct pt_token *t, const char *word) {
  size_t n = strlen(word);
  return t->kind == PT_TOK_NAME && (size_t)t->n == n && memcmp(t->s, word, n) == 0;
}

static bool accept_word(struct parser *p, const char *word) {
  if (!is_word(p->t, word)) return false;
  p->t++;
  return true;
}

static bool is_keyword(const struct pt_token *t) {
  return t->kind == PT_TOK_NAME && pt_is_python_keyword(t->s, t->n);
}

/* A node for the name at the next token. */
static struct pt_node *name(struct parser *p, const char *what) {
  if (p->t->kind != PT_TOK_NAME || is_keyword(p->t)) return unexpected(p, what);
  struct pt_node *n = node(p, PT_N_NAME, &p->t->at);
  char *s = n ? pt_region_take(&p->py->region, p->t->n + 1, p->py->err) : NULL;
  if (!s) return NULL;
  memcpy(s, p->t->s, (size_t)p->t->n);
  n->s = s;
  p->t++;
  return n;
}

/* ---- atoms ---- */

static struct pt_node *number(struct parser *p) {
  const struct pt_token *t = p->t++;
  struct pt_value v = {0};
  bool overflow = false, zeros = t->n > 1 && t->s[0] == '0' && t->s[1] >= '0' && t->s[1] <= '9';
  bool is = pt_py_number(t->s, t->n, true, &v, &overflow);
  int shown = (int)(t->n < 40 ? t->n : 40);
  if (overflow)
    return constant(
        p, pt_py_fail(p->py, &t->at, "the integer %.*s has more than 64 bits", shown, t->s));
  if (is && zeros && v.kind == PT_V_INT && v.i != 0) is = false; /* Python refuses 012 */
  if (!is)
    return constant(p, pt_py_cannot(p->py, &t->at, "'%.*s' is not a number", shown, t->s));
  struct pt_value *out = pt_py_new(p->py, v.kind, &t->at);
  if (!out) return NULL;
  if (v.kind == PT_V_INT)
    out->i = v.i;
  else
    out->f = v.f;
  return constant(p, out);
}

/* One string token as a node: a constant or an f-string. */
static struct pt_node *string_piece(struct parser *p, const struct pt_token *t) {
  struct pt_py_str str = pt_py_str_split(t);
  const char *s;
  int64_t n;
  if (str.format) return pt_py_fstring(p->py, t, &str, p->depth);
  if (pt_py_unescape(p->py, str.body, str.n, str.raw, &t->at, &s, &n)) return NULL;
  return constant(p, pt_py_text(p->py, s, n, &t->at));
}

/* Adjacent strings are one. */
static struct pt_node *strings(struct parser *p) {
  const struct pt_token *t = p->t++;
  struct pt_node *first = string_piece(p, t);
  if (!first || p->t->kind != PT_TOK_STRING) return first;
  struct pt_node *all = node1(p, PT_N_FSTRING, &t->at, first);
  while (all && p->t->kind == PT_TOK_STRING) {
    struct pt_node *piece = string_piece(p, p->t++);
    if (!piece) return NULL;
    pt_py_kid(all, piece);
  }
  return all;
}

/* for target in iterable [if condition] ..., any number of times, into comp. */
static struct pt_node *comp_target(struct parser *p) {
  bool paren = accept(p, '(');
  struct pt_node *first = name(p, "a name");
  if (!first) return NULL;
  if (is_op(p, ',')) {
    struct pt_node *tuple = node1(p, PT_N_TUPLE, &first->at, first);
    while (tuple && accept(p, ',') && p->t->kind == PT_TOK_NAME && !is_keyword(p->t)) {
      struct pt_node *k = name(p, "a name");
      if (!k) return NULL;
      pt_py_kid(tuple, k);
    }
    first = tuple;
  }
  return paren && !expect(p, ')', "')'") ? NULL : first;
}

static struct pt_node *comprehension(struct parser *p, struct pt_node *element, int op) {
  struct pt_node *comp = node1(p, PT_N_COMP, &element->at, element);
  if (!comp) return NULL;
  comp->op = op;
  while (is_word(p->t, "for")) {
    struct pt_node *f = node(p, PT_N_FOR, &p->t->at);
    p->t++;
    struct pt_node *target = f ? comp_target(p) : NULL;
    if (!target) return NULL;
    if (!accept_word(p, "in")) return unexpected(p, "'in'");
    struct pt_node *iterable = binary(p, 1);
    if (!iterable) return NULL;
    pt_py_kid(f, target);
    pt_py_kid(f, iterable);
    while (accept_word(p, "if")) {
      struct pt_node *condition = binary(p, 1);
      if (!condition) return NULL;
      pt_py_kid(f, condition);
    }
    pt_py_kid(comp, f);
  }
  return comp;
}

static struct pt_node *star_or_expression(struct parser *p) {
  const struct pt_pos at = p->t->at;
  return accept(p, '*') ? node1(p, PT_N_STAR, &at, binary(p, 5)) : expression(p);
}

/* After '(' or '[': items up to close. */
static struct pt_node *sequence(struct parser *p, const struct pt_pos *at, int close) {
  bool paren = close == ')', comma = false;
  struct pt_node *seq = node(p, paren ? PT_N_TUPLE : PT_N_LIST, at);
  while (seq && !is_op(p, close)) {
    struct pt_node *item = star_or_expression(p);
    if (!item) return NULL;
    if (!seq->n && is_word(p->t, "for")) {
      item = comprehension(p, item, paren ? '(' : '[');
      return item && expect(p, close, paren ? "')'" : "']'") ? item : NULL;
    }
    pt_py_kid(seq, item);
    if (!accept(p, ',')) break;
    comma = true;
  }
  if (!seq || !expect(p, close, paren ? "',' or ')'" : "',' or ']'")) return NULL;
  if (paren && seq->n == 1 && !comma && seq->kid->kind != PT_N_STAR) return seq->kid;
  return seq;
}

static struct pt_node *dict_item(struct parser *p) {
  const struct pt_pos at = p->t->at;
  if (accept(p, PT_OP2('*', '*'))) return node1(p, PT_N_STAR2, &at, binary(p, 5));
  struct pt_node *pair = node1(p, PT_N_PAIR, &at, expression(p));
  if (!pair) return NULL;
  if (!is_op(p, ':'))
    return pt_py_cannot(p->py, &at, "a set ({...} without ':') is not supported"), NULL;
  p->t++;
  struct pt_node *value = expression(p);
  if (value) pt_py_kid(pair, value);
  return value ? pair : NULL;
}

static struct pt_node *dict(struct parser *p, const struct pt_pos *at) {
  struct pt_node *d = node(p, PT_N_DICT, at);
  while (d && !is_op(p, '}')) {
    struct pt_node *item = dict_item(p);
    if (!item) return NULL;
    if (!d->n && item->kind == PT_N_PAIR && is_word(p->t, "for")) {
      item = comprehension(p, item, '{');
      return item && expect(p, '}', "'}'") ? item : NULL;
    }
    pt_py_kid(d, item);
    if (!accept(p, ',')) break;
  }
  return d && expect(p, '}', "',' or '}'") ? d : NULL;
}

static struct pt_node *word(struct parser *p) {
  const struct pt_token *t = p->t;
  struct pt_py *py = p->py;
  if (accept_word(p, "True")) return constant(p, pt_py_bool(py, true, &t->at));
  if (accept_word(p, "False")) return constant(p, pt_py_bool(py, false, &t->at));
  if (accept_word(p, "None")) return constant(p, pt_py_new(py, PT_V_NONE, &t->at));
  if (is_word(t, "lambda") || is_word(t, "await") || is_word(t, "yield"))
    return pt_py_cannot(py, &t->at, "'%.*s' is not supported in a configuration", (int)t->n,
                        t->s),
           NULL;
  return name(p, "a value");
}

static struct pt_node *atom(struct parser *p) {
  const struct pt_token *t = p->t;
  if (t->kind == PT_TOK_NAME) return word(p);
  if (t->kind == PT_TOK_NUMBER) return number(p);
  if (t->kind == PT_TOK_STRING) return strings(p);
  if (accept(p, '(')) return sequence(p, &t->at, ')');
  if (accept(p, '[')) return sequence(p, &t->at, ']');
  if (accept(p, '{')) return dict(p, &t->at);
  if (t->kind == PT_TOK_BASEVAR) {
    struct pt_value *v = pt_value_str(&p->py->region, t->s, t->n, &t->at, p->py->err);
    if (!v) return NULL;
    v->kind = PT_V_BASEVAR;
    p->t++;
    return constant(p, v);
  }
  if (is_op(p, PT_OP3('.', '.', '.')))
    return pt_py_cannot(p->py, &t->at, "'...' is not supported in a configuration"), NULL;
  return unexpected(p, "a value");
}

/* ---- calls, subscripts, operators ---- */

static struct pt_node *argument(struct parser *p) {
  const struct pt_token *t = p->t;
  if (accept(p, PT_OP2('*', '*'))) return node1(p, PT_N_STAR2, &t->at, expression(p));
  if (t->kind == PT_TOK_NAME && t[1].kind == PT_TOK_OP && t[1].op == '=') {
    struct pt_node *n = name(p, "a name");
    if (!n) return NULL;
    p->t++;
    struct pt_node *kw = node1(p, PT_N_KWARG, &t->at, expression(p));
    if (kw) kw->s = n->s;
    return kw;
  }
  return star_or_expression(p);
}

static struct pt_node *call(struct parser *p, struct pt_node *function) {
  struct pt_node *c = node1(p, PT_N_CALL, &function->at, function);
  while (c && !is_op(p, ')')) {
    struct pt_node *a = argument(p);
    if (!a) return NULL;
    if (is_word(p->t, "for")) {
      if (c->n > 1 || a->kind == PT_N_KWARG || a->kind == PT_N_STAR2)
        return unexpected(p, "',' or ')'");
      a = comprehension(p, a, '(');
      if (!a) return NULL;
      pt_py_kid(c, a);
      break;
    }
    pt_py_kid(c, a);
    if (!accept(p, ',')) break;
  }
  return c && expect(p, ')', "',' or ')'") ? c : NULL;
}

/* One of the parts of a slice, None where it is left out. */
static struct pt_node *slice_part(struct parser *p) {
  if (is_op(p, ':') || is_op(p, ']'))
    return constant(p, pt_py_new(p->py, PT_V_NONE, &p->t->at));
  return expression(p);
}

static struct pt_node *subscript(struct parser *p, struct pt_node *of) {
  const struct pt_pos at = p->t->at;
  struct pt_node *s = node1(p, PT_N_SUBSCRIPT, &of->at, of), *key = NULL;
  if (!s || (is_op(p, ']') && !unexpected(p, "a key"))) return NULL;
  struct pt_node *first = slice_part(p);
  if (!first) return NULL;
  key = first;
  if (is_op(p, ':')) {
    key = node1(p, PT_N_SLICE, &at, first);
    for (int i = 0; key && i < 2; i++) {
      struct pt_node *part = i && !is_op(p, ':') ? constant(p, pt_py_new(p->py, PT_V_NONE, &at))
                                                 : (accept(p, ':'), slice_part(p));
      if (!part) return NULL;
      pt_py_kid(key, part);
    }
  }
  if (!key || !expect(p, ']', "']'")) return NULL;
  pt_py_kid(s, key);
  return s;
}

static struct pt_node *postfix(struct parser *p) {
  struct pt_node *n = atom(p);
  while (n) {
    if (accept(p, '(')) {
      n = call(p, n);
    } else if (accept(p, '[')) {
      n = subscript(p, n);
    } else if (accept(p, '.')) {
      struct pt_node *attr = node1(p, PT_N_ATTR, &n->at, n);
      struct pt_node *of = attr ? name(p, "a name") : NULL;
      if (!of) return NULL;
      attr->s = of->s;
      n = attr;
    } else {
      break;
    }
  }
  return n;
}

static struct pt_node *operator(struct parser *p, int op, const struct pt_pos *at,
                                struct pt_node *a, struct pt_node *b) {
  struct pt_node *n = b ? node1(p, PT_N_BINARY, at, a) : NULL;
  if (!n) return NULL;
  pt_py_kid(n, b);
  n->op = op;
  return n;
}

static struct pt_node *unary(struct parser *p, int min) {
  const struct pt_token *t = p->t;
  struct pt_node *n;
  if (is_word(t, "not") && min > 3) return unexpected(p, "a value");
  if (accept_word(p, "not")) {
    n = node1(p, PT_N_UNARY, &t->at, binary(p, 3));
    if (n) n->op = 'n';
    return n;
  }
  if (is_op(p, '-') || is_op(p, '+') || is_op(p, '~')) {
    p->t++;
    n = node1(p, PT_N_UNARY, &t->at, binary(p, 11));
    if (n) n->op = t->op;
    return n;
  }
  n = postfix(p);
  const struct pt_pos at = p->t->at;
  if (n && accept(p, PT_OP2('*', '*')))
    n = operator(p, PT_OP2('*', '*'), &at, n, binary(p, 11));
  return n;
}

/* The binary operator at the next token: its precedence (0: none), *op, *words. */
static int precedence(const struct parser *p, int *op, int *words) {
  static const struct {
    int op, prec;
  } table[] = {{'|', 5},
               {'^', 6},
               {'&', 7},
               {PT_OP2('<', '<'), 8},
               {PT_OP2('>', '>'), 8},
               {'+', 9},
               {'-', 9},
               {'*', 10},
               {'/', 10},
               {PT_OP2('/', '/'), 10},
               {'%', 10},
               {'@', 10},
               {'<', 4},
               {'>', 4},
               {PT_OP2('=', '='), 4},
               {PT_OP2('!', '='), 4},
               {PT_OP2('<', '='), 4},
               {PT_OP2('>', '='), 4}};
  const struct pt_token *t = p->t;
  *words = 1;
  if (t->kind == PT_TOK_OP) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
      if (table[i].op == t->op) return *op = t->op, table[i].prec;
    return 0;
  }
  if (is_word(t, "or")) return *op = 'o', 1;
  if (is_word(t, "and")) return *op = 'a', 2;
  if (is_word(t, "in")) return *op = 'i', 4;
  if (is_word(t, "is"))
    return *words = 1 + is_word(t + 1, "not"), *op = *words > 1 ? 'S' : 's', 4;
  if (is_word(t, "not") && is_word(t + 1, "in")) return *words = 2, *op = 'I', 4;
  return 0;
}

static struct pt_node *binary(struct parser *p, int min) {
  if (p->depth >= PT_PY_NEST_MAX)
    return pt_py_fail(p->py, &p->t->at, "more than %d levels of brackets and operators",
                      PT_PY_NEST_MAX),
           NULL;
  p->depth++;
  struct pt_node *n = unary(p, min);
  int op, words, prec, before = 0;
  while (n && (prec = precedence(p, &op, &words)) >= min && prec > 0) {
    const struct pt_pos at = p->t->at;
    if (prec == 4 && before == 4)
      return pt_py_cannot(p->py, &at, "a chain of comparisons is not supported"), NULL;
    p->t += words;
    n = operator(p, op, &at, n, binary(p, prec + 1));
    before = prec;
  }
  p->depth--;
  return n;
}

static struct pt_node *expression(struct parser *p) {
  struct pt_node *n = binary(p, 1);
  const struct pt_pos at = p->t->at;
  if (n && is_op(p, PT_OP2(':', '=')))
    return pt_py_cannot(p->py, &at, "':=' is not supported in a configuration"), NULL;
  if (!n || !accept_word(p, "if")) return n;
  struct pt_node *condition = binary(p, 1);
  struct pt_node *choice = node1(p, PT_N_IFELSE, &at, condition);
  if (!choice) return NULL;
  if (!accept_word(p, "else")) return unexpected(p, "'else'");
  if (p->depth >= PT_PY_NEST_MAX) return unexpected(p, "fewer levels");
  p->depth++;
  struct pt_node *other = expression(p);
  p->depth--;
  if (!other) return NULL;
  pt_py_kid(choice, n);
  pt_py_kid(choice, other);
  return choice;
}

/* ---- statements ---- */

/* Expressions with commas between them are a tuple. */
static struct pt_node *expression_list(struct parser *p) {
  const struct pt_pos at = p->t->at;
  struct pt_node *first = star_or_expression(p);
  if (!first || (!is_op(p, ',') && first->kind != PT_N_STAR)) return first;
  struct pt_node *tuple = node1(p, PT_N_TUPLE, &at, first);
  while (tuple && accept(p, ',')) {
    if (p->t->kind != PT_TOK_NAME && p->t->kind != PT_TOK_NUMBER &&
        p->t->kind != PT_TOK_STRING && p->t->kind != PT_TOK_BASEVAR && !is_op(p, '(') &&
        !is_op(p, '[') && !is_op(p, '{') && !is_op(p, '-') && !is_op(p, '+') &&
        !is_op(p, '*') && !is_op(p, '~'))
      break;
    struct pt_node *item = star_or_expression(p);
    if (!item) return NULL;
    pt_py_kid(tuple, item);
  }
  return tuple;
}

static bool is_target(const struct pt_node *n) {
  if (n->kind == PT_N_NAME || n->kind == PT_N_SUBSCRIPT) return true;
  if (n->kind != PT_N_TUPLE && n->kind != PT_N_LIST) return false;
  for (const struct pt_node *k = n->kid; k; k = k->next)
    if (!is_target(k)) return false;
  return n->n > 0;
}

static struct pt_node *bad_target(struct parser *p, const struct pt_node *n) {
  return pt_py_cannot(p->py, &n->at,
                      "only names and items (x, x['key']) can be assigned to or deleted"),
         NULL;
}

/* x op= value */
static struct pt_node *augmented(struct parser *p, struct pt_node *target) {
  const struct pt_token *t = p->t++;
  if (target->kind != PT_N_NAME && target->kind != PT_N_SUBSCRIPT) return bad_target(p, target);
  struct pt_node *n = node1(p, PT_N_AUG, &t->at, target);
  struct pt_node *value = n ? expression_list(p) : NULL;
  if (!value) return NULL;
  n->op = t->n == 3 ? t->op & 0xffff : t->op & 0xff;
  pt_py_kid(n, value);
  return n;
}

static struct pt_node *assignment(struct parser *p) {
  struct pt_node *first = expression_list(p), *targets[16];
  if (!first) return NULL;
  const struct pt_token *t = p->t;
  if (t->kind == PT_TOK_OP && t->n > 1 && t->s[t->n - 1] == '=' && !strchr("=!<>:", t->s[0]))
    return augmented(p, first);
  if (is_op(p, PT_OP3('<', '<', '=')) || is_op(p, PT_OP3('>', '>', '=')))
    return augmented(p, first);
  if (is_op(p, ':'))
    return pt_py_cannot(p->py, &t->at, "a type annotation is not supported"), NULL;
  if (!is_op(p, '=')) return node1(p, PT_N_EXPR, &first->at, first);
  int count = 0;
  while (accept(p, '=')) {
    if (!is_target(first)) return bad_target(p, first);
    if (count == 16)
      return pt_py_cannot(p->py, &t->at, "more than 16 targets of one assignment"), NULL;
    targets[count++] = first;
    first = expression_list(p);
    if (!first) return NULL;
  }
  struct pt_node *n = node1(p, PT_N_ASSIGN, &targets[0]->at, first);
  for (int i = 0; n && i < count; i++) pt_py_kid(n, targets[i]);
  return n;
}

static struct pt_node *delete (struct parser *p, const struct pt_pos *at) {
  struct pt_node *n = node(p, PT_N_DEL, at), *what = n ? expression_list(p) : NULL;
  if (!what) return NULL;
  if (!is_target(what)) return bad_target(p, what);
  if (what->kind == PT_N_TUPLE)
    for (struct pt_node *k = what->kid, *next; k; k = next) {
      next = k->next;
      k->next = NULL;
      pt_py_kid(n, k);
    }
  else
    pt_py_kid(n, what);
  return n;
}

/* from a.b.c import X [as Y], ... */
static struct pt_node *import(struct parser *p, const struct pt_pos *at) {
  struct pt_node *n = node(p, PT_N_IMPORT, at);
  const struct pt_token *first = p->t;
  while (is_op(p, '.') || is_op(p, PT_OP3('.', '.', '.')) ||
         (p->t->kind == PT_TOK_NAME && !is_word(p->t, "import")))
    p->t++;
  int64_t len = p->t > first ? p->t[-1].s + p->t[-1].n - first->s : 0;
  char *module = n ? pt_region_take(&p->py->region, len + 1, p->py->err) : NULL;
  if (!module) return NULL;
  memcpy(module, first->s, (size_t)len);
  n->s = module;
  if (!accept_word(p, "import")) return unexpected(p, "'import'");
  bool paren = accept(p, '(');
  do {
    if (paren && n->n && is_op(p, ')')) break;
    if (is_op(p, '*'))
      return pt_py_cannot(p->py, &p->t->at, "'import *' is not supported"), NULL;
    struct pt_node *what = name(p, "a name");
    if (!what) return NULL;
    if (accept_word(p, "as")) {
      struct pt_node *as = name(p, "a name");
      if (!as) return NULL;
      pt_py_kid(what, as);
    }
    pt_py_kid(n, what);
  } while (accept(p, ','));
  return paren && !expect(p, ')', "',' or ')'") ? NULL : n;
}

static struct pt_node *statement(struct parser *p) {
  const struct pt_token *t = p->t;
  if (accept_word(p, "pass"))
    return node1(p, PT_N_EXPR, &t->at, constant(p, pt_py_new(p->py, PT_V_NONE, &t->at)));
  if (accept_word(p, "del")) return delete (p, &t->at);
  if (accept_word(p, "from")) return import(p, &t->at);
  bool value = is_word(t, "not") || is_word(t, "True") || is_word(t, "False") ||
               is_word(t, "None") || is_word(t, "lambda");
  if ((is_keyword(t) && !value) || is_op(p, '@'))
    return pt_py_cannot(p->py, &t->at,
                        "the statement '%.*s' is not supported in a configuration", (int)t->n,
                        t->s),
           NULL;
  return assignment(p);
}

int pt_py_parse(struct pt_py *py, const struct pt_token *tokens, struct pt_node **out) {
  struct parser p = {.py = py, .t = tokens};
  struct pt_node all = {0};
  while (p.t->kind != PT_TOK_END) {
    if (p.t->kind == PT_TOK_NEWLINE) {
      p.t++;
      continue;
    }
    struct pt_node *s = statement(&p);
    if (!s) return py->err->status;
    pt_py_kid(&all, s);
    if (accept(&p, ';')) continue;
    if (p.t->kind != PT_TOK_NEWLINE) {
      unexpected(&p, "the end of the line");
      return py->err->status;
    }
  }
  *out = all.kid;
  return PTV3_OK;
}

struct pt_node *pt_py_parse_field(struct pt_py *py, const struct pt_token *tokens, int depth) {
  struct parser p = {.py = py, .t = tokens, .depth = depth + 1};
  if (depth + 1 >= PT_PY_NEST_MAX)
    return pt_py_fail(py, &tokens->at, "more than %d levels of brackets and operators",
                      PT_PY_NEST_MAX),
           NULL;
  struct pt_node *n = expression_list(&p);
  if (n && p.t->kind != PT_TOK_NEWLINE) return unexpected(&p, "'}'");
  return n;
}
