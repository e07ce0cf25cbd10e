/* value_json.c - a tree as the text Python's json.dumps(tree, indent=2) gives, and Python's
 * repr of a float: the shortest digits that read back as the same double, in positional
 * notation for exponents -4..15. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* newlocale's declarations on some systems */
#endif
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"
#include "value.h"

struct text {
  struct pt_mem *mem;
  char *s;
  int64_t n, cap;
  int status; /* of the first failure; later writes do nothing */
  struct ptv3_error *err;
};

static void put(struct text *t, const char *s, int64_t n) {
  if (t->status) return;
  int64_t want;
  if (!pt_add(t->n, n + 1, &want)) want = INT64_MAX;
  t->status = pt_grow(t->mem, &t->s, &t->cap, want, 1, PT_MEM_OTHER, t->err);
  if (t->status) return;
  memcpy(t->s + t->n, s, (size_t)n);
  t->n += n;
  t->s[t->n] = 0;
}

static void puts_(struct text *t, const char *s) { put(t, s, (int64_t)strlen(s)); }

const char *pt_float_repr(double f, char buf[static 32]) {
  char digits[20];
  if (!isfinite(f)) return strcpy(buf, isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
  for (int p = 0; p < 17; p++) {
    snprintf(buf, 32, "%.*e", p, f);
    if (strtod(buf, NULL) == f) break;
  }
  /* buf is [-]d[.ddd]e[+-]xx: take the digits and the exponent apart. */
  const char *sign = f < 0 || signbit(f) ? "-" : "";
  char *e = strchr(buf, 'e');
  int exp = atoi(e + 1), n = 0;
  for (const char *p = buf; p < e; p++)
    if (*p >= '0' && *p <= '9' && n < 18) digits[n++] = *p;
  digits[n] = 0;
  if (exp < -4 || exp > 15)
    snprintf(buf, 32, "%s%c%s%.17se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1,
             exp < 0 ? '-' : '+', abs(exp) % 1000);
  else if (exp < 0)
    snprintf(buf, 32, "%s0.%.*s%s", sign, -exp - 1, "000", digits);
  else if (n <= exp + 1)
    snprintf(buf, 32, "%s%s%.*s.0", sign, digits, (exp + 1 - n) & 15, "000000000000000");
  else
    snprintf(buf, 32, "%s%.*s.%s", sign, exp + 1, digits, digits + exp + 1);
  return buf;
}

uint32_t pt_utf8_next(const char *s, int64_t n, int64_t *i) {
  const unsigned char *u = (const unsigned char *)s;
  uint32_t c = u[(*i)++];
  int more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
  if (more) c &= 0x3fu >> more;
  while (more-- > 0 && *i < n) c = c << 6 | (u[(*i)++] & 0x3f);
  return c;
}

static void put_string(struct text *t, const char *s, int64_t n) {
  char esc[16];
  puts_(t, "\"");
  for (int64_t i = 0; i < n && !t->status;) {
    uint32_t c = pt_utf8_next(s, n, &i);
    const char *at = c && c < 128 ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", (int)c) : NULL;
    if (at && (c == '"' || c == '\\' || c < 32))
      snprintf(esc, sizeof esc, "\\%c", at[1]);
    else if (c >= 32 && c < 127)
      snprintf(esc, sizeof esc, "%c", (int)c);
    else if (c < 0x10000)
      snprintf(esc, sizeof esc, "\\u%04x", c);
    else
      snprintf(esc, sizeof esc, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
    puts_(t, esc);
  }
  puts_(t, "\"");
}

static void indent(struct text *t, int depth) {
  puts_(t, "\n");
  for (int i = 0; i < depth; i++) puts_(t, "  ");
}

static void put_scalar(struct text *t, const struct pt_value *v) {
  char buf[32];
  switch (v->kind) {
    case PT_V_NONE: puts_(t, "null"); break;
    case PT_V_BOOL: puts_(t, v->b ? "true" : "false"); break;
    case PT_V_INT:
      snprintf(buf, sizeof buf, "%lld", (long long)v->i);
      puts_(t, buf);
      break;
    case PT_V_FLOAT:
      if (isfinite(v->f))
        puts_(t, pt_float_repr(v->f, buf));
      else
        puts_(t, isnan(v->f) ? "NaN" : v->f > 0 ? "Infinity" : "-Infinity");
      break;
    default: put_string(t, v->str, v->n);
  }
}

static void put_key(struct text *t, const struct pt_value *k) {
  if (k->kind != PT_V_STR) puts_(t, "\"");
  put_scalar(t, k);
  if (k->kind != PT_V_STR) puts_(t, "\"");
  puts_(t, ": ");
}

static void put_value(struct text *t, const struct pt_value *v, int depth) {
  bool dict = v->kind == PT_V_DICT;
  if (!dict && !pt_is_seq(v)) {
    put_scalar(t, v);
    return;
  }
  puts_(t, dict ? "{" : "[");
  for (int64_t i = 0; i < v->n && !t->status; i++) {
    if (i) puts_(t, ",");
    indent(t, depth + 1);
    if (dict) put_key(t, v->entry[i].key);
    put_value(t, dict ? v->entry[i].value : v->item[i], depth + 1);
  }
  if (v->n) indent(t, depth);
  puts_(t, dict ? "}" : "]");
}

int pt_value_json(struct pt_mem *mem, const struct pt_value *v, char **text, int64_t *n,
                  struct ptv3_error *err) {
  struct text t = {.mem = mem, .err = err};
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (c == (locale_t)0) return pt_fail(err, PTV3_NO_MEMORY, "no memory for a locale");
  locale_t old = uselocale(c);
  put_value(&t, v, 0);
  uselocale(old);
  freelocale(c);
  if (t.status) {
    pt_free(mem, t.s);
    return t.status;
  }
  *text = t.s;
  if (n) *n = t.n;
  return PTV3_OK;
}
