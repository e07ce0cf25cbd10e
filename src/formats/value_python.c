/* value_python.c - a tree as the text of a Python configuration, which pyconfig.h and Python
 * read back as the same tree. ASCII throughout. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* newlocale's declarations on some systems */
#endif
#include <locale.h>
#include <math.h>
#include <string.h>

#include "value.h"

enum { ON_ONE_LINE = 12 }; /* items of a list of numbers or texts */

static void indent(struct pt_out *out, int depth) {
  pt_writef(out, "\n");
  for (int i = 0; i < depth; i++) pt_writef(out, "    ");
}

/* "{{" would be taken for a variable of a base. */
static void put_string(struct pt_out *out, const char *s, int64_t n) {
  uint32_t before = 0;
  pt_writef(out, "\"");
  for (int64_t i = 0; i < n;) {
    const uint32_t c = pt_utf8_next(s, n, &i);
    if (c == '"' || c == '\\')
      pt_writef(out, "\\%c", (int)c);
    else if (c == '\n')
      pt_writef(out, "\\n");
    else if (c < 32 || c == 127 || (c == '{' && before == '{'))
      pt_writef(out, "\\x%02x", (unsigned)c);
    else if (c < 127)
      pt_writef(out, "%c", (int)c);
    else if (c < 0x10000)
      pt_writef(out, "\\u%04x", (unsigned)c);
    else
      pt_writef(out, "\\U%08x", (unsigned)c);
    before = c;
  }
  pt_writef(out, "\"");
}

void pt_python_string(struct pt_out *out, const char *s) {
  put_string(out, s, (int64_t)strlen(s));
}

static void put_float(struct pt_out *out, double f) {
  char buf[32];
  if (isnan(f))
    pt_writef(out, "(1e999 - 1e999)");
  else if (isinf(f))
    pt_writef(out, f > 0 ? "1e999" : "-1e999");
  else
    pt_writef(out, "%s", pt_float_repr(f, buf));
}

static void put_scalar(struct pt_out *out, const struct pt_value *v) {
  switch (v->kind) {
    case PT_V_NONE: pt_writef(out, "None"); break;
    case PT_V_BOOL: pt_writef(out, v->b ? "True" : "False"); break;
    case PT_V_INT:
      if (v->i == INT64_MIN) /* its digits alone are beyond 64 bits */
        pt_writef(out, "(-%lld - 1)", (long long)INT64_MAX);
      else
        pt_writef(out, "%lld", (long long)v->i);
      break;
    case PT_V_FLOAT: put_float(out, v->f); break;
    default: put_string(out, v->str, v->n);
  }
}

bool pt_is_python_keyword(const char *s, int64_t n) {
  static const char *const word[] = {
      "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
      "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
      "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
      "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};
  for (size_t i = 0; i < sizeof word / sizeof *word; i++)
    if ((int64_t)strlen(word[i]) == n && memcmp(word[i], s, (size_t)n) == 0) return true;
  return false;
}

/* Whether a key can stand before "=". */
static bool is_name(const struct pt_value *k) {
  if (k->kind != PT_V_STR || !k->n || (k->str[0] >= '0' && k->str[0] <= '9')) return false;
  for (int64_t i = 0; i < k->n; i++) {
    const char c = k->str[i];
    if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && c != '_')
      return false;
  }
  return !pt_is_python_keyword(k->str, k->n);
}

static bool is_scalar(const struct pt_value *v) { return !pt_is_dict(v) && !pt_is_seq(v); }

static void put_value(struct pt_out *out, const struct pt_value *v, int depth);

static void put_dict(struct pt_out *out, const struct pt_value *v, int depth) {
  bool names = true;
  for (int64_t i = 0; i < v->n && names; i++) names = is_name(v->entry[i].key);
  pt_writef(out, names ? "dict(" : "{");
  for (int64_t i = 0; i < v->n; i++) {
    indent(out, depth + 1);
    if (names) {
      pt_write(out, v->entry[i].key->str, v->entry[i].key->n);
      pt_writef(out, "=");
    } else {
      put_scalar(out, v->entry[i].key);
      pt_writef(out, ": ");
    }
    put_value(out, v->entry[i].value, depth + 1);
    pt_writef(out, ",");
  }
  if (v->n) indent(out, depth);
  pt_writef(out, names ? ")" : "}");
}

static void put_list(struct pt_out *out, const struct pt_value *v, int depth) {
  const bool tuple = v->kind == PT_V_TUPLE;
  bool line = v->n <= ON_ONE_LINE;
  for (int64_t i = 0; i < v->n && line; i++) line = is_scalar(v->item[i]);
  pt_writef(out, tuple ? "(" : "[");
  for (int64_t i = 0; i < v->n; i++) {
    if (!line) indent(out, depth + 1);
    put_value(out, v->item[i], depth + 1);
    if (i + 1 < v->n || !line || (tuple && v->n == 1)) pt_writef(out, ",");
    if (line && i + 1 < v->n) pt_writef(out, " ");
  }
  if (!line) indent(out, depth);
  pt_writef(out, tuple ? ")" : "]");
}

static void put_value(struct pt_out *out, const struct pt_value *v, int depth) {
  if (pt_is_dict(v))
    put_dict(out, v, depth);
  else if (pt_is_seq(v))
    put_list(out, v, depth);
  else
    put_scalar(out, v);
}

int pt_value_python(struct pt_out *out, const struct pt_value *root, struct ptv3_error *err) {
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (c == (locale_t)0) return pt_fail(err, PTV3_NO_MEMORY, "no memory for a locale");
  locale_t old = uselocale(c);
  for (int64_t i = 0; i < root->n; i++) {
    const struct pt_entry *e = &root->entry[i];
    if (!is_name(e->key)) {
      pt_writef(out, "# an entry is left out, as its key is no name in Python\n");
      continue;
    }
    pt_write(out, e->key->str, e->key->n);
    pt_writef(out, " = ");
    put_value(out, e->value, 0);
    pt_writef(out, "\n");
  }
  uselocale(old);
  freelocale(c);
  return PTV3_OK;
}
