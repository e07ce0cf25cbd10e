/* pyconfig_string.c - numbers and strings of a configuration: escapes, f-strings, str()
 * and str.format. Source: The Python Language Reference, "String and Bytes literals" and
 * "Formatted string literals"; str(), int() and float() of the Python library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pyconfig_int.h"
#include "size.h"

/* ---- numbers ---- */

static int digit_value(int c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/* Digits of a base with single underscores between them. */
static bool integer(const char *s, int64_t n, int base, bool negative, int64_t *out,
                    bool *overflow) {
  int64_t v = 0;
  for (int64_t i = 0; i < n; i++) {
    if (s[i] == '_' && i > 0 && i + 1 < n && s[i - 1] != '_') continue;
    int d = digit_value((unsigned char)s[i]);
    if (d >= base) return false;
    if (__builtin_mul_overflow(v, base, &v) ||
        __builtin_add_overflow(v, negative ? -d : d, &v)) {
      *overflow = true;
      v = 0;
    }
  }
  *out = v;
  return n > 0;
}

static bool same_word(const char *s, int64_t n, const char *word) {
  if (n != (int64_t)strlen(word)) return false;
  for (int64_t i = 0; i < n; i++)
    if ((s[i] | 32) != word[i]) return false;
  return true;
}

/* digits[.digits][e[+-]digits] with underscores between digits, into strtod. */
static bool real(const char *s, int64_t n, double *out) {
  char fixed[64], *copy = n < (int64_t)sizeof fixed ? fixed : NULL;
  int64_t k = 0, digits = 0, exponent = -1;
  bool dot = false;
  if (n < 1 || n > 4000) return false;
  char large[4001];
  if (!copy) copy = large;
  for (int64_t i = 0; i < n; i++) {
    int c = (unsigned char)s[i];
    bool between = i > 0 && i + 1 < n && digit_value((unsigned char)s[i - 1]) < 10 &&
                   digit_value((unsigned char)s[i + 1]) < 10;
    if (c == '_' && between) continue;
    if (digit_value(c) < 10) {
      digits += exponent < 0;
      exponent += exponent >= 0;
    } else if (c == '.' && !dot && exponent < 0) {
      dot = true;
    } else if ((c | 32) == 'e' && exponent < 0 && digits > 0) {
      exponent = 0;
    } else if (!((c == '+' || c == '-') && exponent == 0 && (s[i - 1] | 32) == 'e')) {
      return false;
    }
    copy[k++] = (char)c;
  }
  copy[k] = 0;
  if (!digits || exponent == 0) return false;
  *out = strtod(copy, NULL);
  return true;
}

bool pt_py_number(const char *s, int64_t n, bool literal, struct pt_value *out,
                  bool *overflow) {
  bool negative = n > 0 && s[0] == '-', sign = negative || (n > 0 && s[0] == '+');
  *overflow = false;
  s += sign;
  n -= sign;
  out->kind = PT_V_INT;
  if (integer(s, n, 10, negative, &out->i, overflow)) return !*overflow;
  int base = n > 2 && s[0] == '0' && literal ? (s[1] | 32) == 'x'   ? 16
                                               : (s[1] | 32) == 'o' ? 8
                                               : (s[1] | 32) == 'b' ? 2
                                                                    : 0
                                             : 0;
  *overflow = false;
  if (base) return integer(s + 2, n - 2, base, false, &out->i, overflow) && !*overflow;
  *overflow = false;
  out->kind = PT_V_FLOAT;
  if (same_word(s, n, "inf") || same_word(s, n, "infinity"))
    out->f = strtod("inf", NULL);
  else if (same_word(s, n, "nan"))
    out->f = strtod("nan", NULL);
  else if (!real(s, n, &out->f))
    return false;
  if (negative) out->f = -out->f;
  return true;
}

/* ---- strings ---- */

struct pt_py_str pt_py_str_split(const struct pt_token *t) {
  struct pt_py_str out = {0};
  int64_t k = 0;
  for (; t->s[k] != '"' && t->s[k] != '\''; k++) {
    if ((t->s[k] | 32) == 'r') out.raw = true;
    if ((t->s[k] | 32) == 'f') out.format = true;
  }
  bool triple = t->n - k >= 6 && t->s[k + 1] == t->s[k] && t->s[k + 2] == t->s[k];
  int64_t quotes = triple ? 3 : 1;
  out.body = t->s + k + quotes;
  out.n = t->n - k - 2 * quotes;
  return out;
}

int64_t pt_utf8_put(uint32_t c, char out[static 4]) {
  if (c < 0x80) return out[0] = (char)c, 1;
  int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const int lead[] = {0, 0xc0, 0xe0, 0xf0};
  out[0] = (char)(lead[more] | (int)(c >> 6 * more));
  for (int i = 1; i <= more; i++) out[i] = (char)(0x80 | (int)(c >> 6 * (more - i) & 0x3f));
  return more + 1;
}

/* The value of up to max digits of a base at s; *used is how many there are. */
static uint32_t digits(const char *s, int64_t n, int base, int max, int *used) {
  uint32_t v = 0;
  *used = 0;
  while (*used < max && *used < n && digit_value((unsigned char)s[*used]) < base)
    v = v * (uint32_t)base + (uint32_t)digit_value((unsigned char)s[(*used)++]);
  return v;
}

/* The escape at s[0] == '\\' into out; *n_out bytes. Returns the bytes read, 0 if wrong. */
static int64_t escape(const char *s, int64_t n, char out[static 8], int64_t *n_out) {
  static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
  int c = n > 1 ? (unsigned char)s[1] : 0, used = 0;
  *n_out = 0;
  if (c == '\n') return 2;
  if (c == '\r') return n > 2 && s[2] == '\n' ? 3 : 2;
  const char *simple = c ? strchr(from, c) : NULL;
  if (simple) return out[0] = to[simple - from], *n_out = 1, 2;
  if (c >= '0' && c <= '7') {
    uint32_t v = digits(s + 1, n - 1, 8, 3, &used);
    return *n_out = pt_utf8_put(v, out), 1 + used;
  }
  if (c == 'x' || c == 'u' || c == 'U') {
    int want = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    uint32_t v = digits(s + 2, n - 2, 16, want, &used);
    if (used < want || v > 0x10ffff) return 0;
    return *n_out = pt_utf8_put(v, out), 2 + used;
  }
  if (c == 'N') return 0;
  out[0] = '\\'; /* an unknown escape stays as it is */
  return *n_out = 1, 1;
}

int pt_py_unescape(struct pt_py *py, const char *body, int64_t n, bool raw,
                   const struct pt_pos *at, const char **out, int64_t *n_out) {
  char *s = pt_region_take(&py->region, n + 8, py->err), piece[8];
  int64_t k = 0, len;
  if (!s) return py->err->status;
  for (int64_t i = 0; i < n;) {
    if (body[i] == '\\' && !raw) {
      int64_t used = escape(body + i, n - i, piece, &len);
      if (!used) {
        pt_py_cannot(py, at, "the escape '%.*s' in this string is not one that can be read",
                     (int)pt_min(n - i, 10), body + i);
        return py->err->status;
      }
      memcpy(s + k, piece, (size_t)len);
      k += len;
      i += used;
    } else if (body[i] == '\r') {
      s[k++] = '\n';
      i += i + 1 < n && body[i + 1] == '\n' ? 2 : 1;
    } else {
      s[k++] = body[i++];
    }
  }
  *out = s;
  *n_out = k;
  return PTV3_OK;
}

/* ---- f-strings ---- */

/* The end of the field that begins at body[i] (behind its '{'): the index of its '}', -1
 * when there is none; *bad is set to what it holds that cannot be read. */
static int64_t field_end(const char *body, int64_t n, int64_t i, const char **bad) {
  int depth = 0;
  for (; i < n; i++) {
    int c = body[i];
    if (c == '\'' || c == '"') {
      int64_t k = i + 1;
      while (k < n && body[k] != c) k++;
      i = k;
    } else if (strchr("([{", c)) {
      depth++;
    } else if (c == '}' && depth == 0) {
      return i;
    } else if (strchr(")]}", c)) {
      depth--;
    } else if (depth == 0 && c == '!' && i + 1 < n && body[i + 1] != '=') {
      *bad = "a conversion ('!r')";
    } else if (depth == 0 && c == ':') {
      *bad = "a format ('{x:...}')";
    } else if (c == '\\') {
      *bad = "a backslash";
    }
  }
  return -1;
}

static struct pt_node *literal_piece(struct pt_py *py, const char *s, int64_t n, bool raw,
                                     const struct pt_pos *at) {
  const char *text;
  int64_t len;
  if (pt_py_unescape(py, s, n, raw, at, &text, &len)) return NULL;
  struct pt_value *v = pt_py_text(py, text, len, at);
  struct pt_node *node = v ? pt_py_node(py, PT_N_CONST, at) : NULL;
  if (node) node->value = v;
  return node;
}

/* The field that begins at body[*i], behind its '{'; *i moves behind its '}'. */
static struct pt_node *field(struct pt_py *py, const struct pt_py_str *str, int64_t *i,
                             const struct pt_pos *at, int depth) {
  const char *bad = NULL;
  int64_t end = field_end(str->body, str->n, *i, &bad);
  struct pt_token *tokens;
  if (end < 0) return pt_py_fail(py, at, "a '{' of this f-string has no '}'"), NULL;
  if (bad) return pt_py_cannot(py, at, "%s in an f-string is not supported", bad), NULL;
  if (pt_py_lex(py, str->body + *i, end - *i, *at, true, &tokens, NULL)) return NULL;
  *i = end + 1;
  return pt_py_parse_field(py, tokens, depth);
}

struct pt_node *pt_py_fstring(struct pt_py *py, const struct pt_token *t,
                              const struct pt_py_str *str, int depth) {
  struct pt_node *all = pt_py_node(py, PT_N_FSTRING, &t->at), *piece;
  if (!all) return NULL;
  for (int64_t i = 0, from = 0; i <= str->n;) {
    int c = i < str->n ? str->body[i] : 0;
    bool twice = i + 1 < str->n && str->body[i + 1] == c;
    if (i < str->n && c != '{' && c != '}') {
      i += c == '\\' && !str->raw && i + 1 < str->n ? 2 : 1;
      i = pt_min(i, str->n);
      continue;
    }
    if (c == '}' && !twice)
      return pt_py_fail(py, &t->at, "a '}' of this f-string has no '{'"), NULL;
    piece = literal_piece(py, str->body + from, i - from + (c && twice), str->raw, &t->at);
    if (!piece) return NULL;
    pt_py_kid(all, piece);
    if (i == str->n) break;
    if (twice) {
      from = i += 2;
      continue;
    }
    i++;
    piece = field(py, str, &i, &t->at, depth);
    if (!piece) return NULL;
    pt_py_kid(all, piece);
    from = i;
  }
  return all;
}

/* ---- str() and str.format ---- */

struct pt_value *pt_py_to_str(struct pt_py *py, const struct pt_value *v,
                              const struct pt_pos *at) {
  char buf[32];
  const char *s = buf;
  switch (v->kind) {
    case PT_V_NONE: s = "None"; break;
    case PT_V_BOOL: s = v->b ? "True" : "False"; break;
    case PT_V_INT: snprintf(buf, sizeof buf, "%lld", (long long)v->i); break;
    case PT_V_FLOAT: pt_float_repr(v->f, buf); break;
    case PT_V_STR: return pt_py_text(py, v->str, v->n, at);
    default: return pt_py_cannot(py, at, "%s as text is not supported", pt_kind_text(v->kind));
  }
  return pt_py_text(py, s, (int64_t)strlen(s), at);
}

/* The argument a replacement field [n] names: "" the next one, "0", "name". */
static struct pt_value *format_field(struct pt_py *py, const char *name, int64_t n,
                                     struct pt_value *const *args, int64_t n_args,
                                     const struct pt_value *keywords, int64_t *next,
                                     const struct pt_pos *at) {
  int64_t i = 0;
  bool overflow = false;
  for (int64_t k = 0; k < n; k++)
    if (strchr(":!.[]{", name[k]))
      return pt_py_cannot(py, at, "the field '{%.*s}' of a format is not supported",
                          (int)pt_min(n, 40), name);
  if (n == 0 || (integer(name, n, 10, false, &i, &overflow) && !overflow)) {
    if (n == 0) i = (*next)++;
    if (i < n_args) return pt_py_to_str(py, args[i], at);
    return pt_py_fail(py, at, "format has %lld values, its text wants number %lld",
                      (long long)n_args, (long long)i);
  }
  const struct pt_entry *e = keywords ? pt_dict_find_str(keywords, name, n) : NULL;
  if (e) return pt_py_to_str(py, e->value, at);
  return pt_py_fail(py, at, "format has no value called '%.*s'", (int)pt_min(n, 40), name);
}

struct pt_value *pt_py_format(struct pt_py *py, const struct pt_value *text,
                              struct pt_value *const *args, int64_t n,
                              const struct pt_value *keywords, const struct pt_pos *at) {
  struct pt_value *out = pt_py_text(py, "", 0, at);
  int64_t next = 0;
  const char *s = text->str;
  for (int64_t i = 0, from = 0; out && i <= text->n; i++) {
    int c = i < text->n ? s[i] : 0;
    if (i < text->n && c != '{' && c != '}') continue;
    bool twice = i + 1 < text->n && s[i + 1] == c;
    struct pt_value *piece = pt_py_text(py, s + from, i - from + (c && twice), at);
    out = piece ? pt_py_binary(py, '+', out, piece, at) : NULL;
    if (!out || i == text->n) break;
    i += twice;
    from = i + 1;
    if (twice) continue;
    const char *end = memchr(s + i, '}', (size_t)(text->n - i));
    if (c == '}' || !end) return pt_py_fail(py, at, "a single '%c' in the text of format", c);
    piece = format_field(py, s + i + 1, end - s - i - 1, args, n, keywords, &next, at);
    out = piece ? pt_py_binary(py, '+', out, piece, at) : NULL;
    i = end - s;
    from = i + 1;
  }
  return out;
}
