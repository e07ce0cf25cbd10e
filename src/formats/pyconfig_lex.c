/* pyconfig_lex.c - the text of a configuration as tokens: names, numbers, strings,
 * operators, line ends. Source: The Python Language Reference, "Lexical analysis". There
 * are no indents: a configuration has no blocks. */
#include <stdio.h>
#include <string.h>

#include "pyconfig_int.h"
#include "size.h"

struct lexer {
  struct pt_py *py;
  const char *s;
  int64_t n, i;
  struct pt_pos at; /* of s[i] */
  int depth;        /* open brackets */
  bool inside;
  struct pt_token *token;
  int64_t count, cap;
};

static int fail(struct lexer *l, const struct pt_pos *at, const char *what) {
  return pt_fail_pos(l->py->err, PTV3_CONFIG, at, "%s", what);
}

static int peek(const struct lexer *l, int64_t k) {
  return l->i + k < l->n ? (unsigned char)l->s[l->i + k] : -1;
}

/* Moves over k bytes, keeping the place. */
static void skip(struct lexer *l, int64_t k) {
  for (; k > 0; k--, l->i++) {
    int c = peek(l, 0);
    if (c == '\n' || (c == '\r' && peek(l, 1) != '\n')) {
      l->at.line++;
      l->at.column = 1;
    } else if ((c & 0xc0) != 0x80 && c != '\r') {
      l->at.column++;
    }
  }
}

static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_name_start(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_name(int c) { return is_name_start(c) || is_digit(c); }
static bool is_space(int c) { return c == ' ' || c == '\t' || c == '\f'; }
static bool is_line_end(int c) { return c == '\n' || c == '\r'; }

static int add(struct lexer *l, struct pt_token t) {
  if (l->count == l->cap) {
    int64_t cap = pt_max(64, 2 * l->cap);
    struct pt_token *p = pt_region_take(&l->py->region, cap * (int64_t)sizeof *p, l->py->err);
    if (!p) return l->py->err->status;
    if (l->count) memcpy(p, l->token, (size_t)l->count * sizeof *p);
    l->token = p;
    l->cap = cap;
  }
  l->token[l->count++] = t;
  return PTV3_OK;
}

/* Adds the next k bytes as a token. */
static int add_next(struct lexer *l, enum pt_tok kind, int64_t k) {
  struct pt_token t = {kind, 0, l->s + l->i, k, l->at};
  skip(l, k);
  return add(l, t);
}

/* The length of "{{ _base_.path }}" at s[i], 0 if there is none; *path, *np: its path. */
static int64_t base_var(const char *s, int64_t n, const char **path, int64_t *np) {
  int64_t i = 2;
  if (n < 4 || s[0] != '{' || s[1] != '{') return 0;
  while (i < n && (is_space(s[i]) || is_line_end(s[i]))) i++;
  if (n - i < 7 || memcmp(s + i, "_base_.", 7) != 0) return 0;
  i += 7;
  *path = s + i;
  while (i < n && (is_name((unsigned char)s[i]) || s[i] == '.')) i++;
  *np = s + i - *path;
  while (i < n && (is_space(s[i]) || is_line_end(s[i]))) i++;
  return *np > 0 && n - i >= 2 && s[i] == '}' && s[i + 1] == '}' ? i + 2 : 0;
}

/* The length of a string's prefix (r, u, f, b and pairs) when a quote follows, else -1. */
static int64_t string_prefix(const struct lexer *l) {
  int64_t k = 0;
  while (k < 3 && peek(l, k) > 0 && strchr("rRuUfFbB", peek(l, k))) k++;
  int q = peek(l, k);
  return k < 3 && (q == '"' || q == '\'') ? k : -1;
}

static int lex_string(struct lexer *l, int64_t prefix) {
  struct pt_pos at = l->at;
  int q = peek(l, prefix);
  bool triple = peek(l, prefix + 1) == q && peek(l, prefix + 2) == q;
  int64_t k = prefix + (triple ? 3 : 1), np;
  const char *path;
  for (int64_t p = 0; p < prefix; p++)
    if (peek(l, p) == 'b' || peek(l, p) == 'B')
      return pt_fail_pos(l->py->err, PTV3_UNSUPPORTED, &at,
                         "a bytes string (b'...') is not supported in a configuration");
  for (;; k++) {
    int c = peek(l, k);
    if (c < 0 || (!triple && is_line_end(c)))
      return fail(l, &at, "this string has no closing quote");
    if (c == q && (!triple || (peek(l, k + 1) == q && peek(l, k + 2) == q))) break;
    if (c == '{' && base_var(l->s + l->i + k, l->n - l->i - k, &path, &np))
      return fail(l, &at, "{{ _base_... }} stands for a whole value: write it without quotes");
    if (c == '\\') k += peek(l, k + 1) == '\r' && peek(l, k + 2) == '\n' ? 2 : 1;
  }
  return add_next(l, PT_TOK_STRING, k + (triple ? 3 : 1));
}

static int lex_number(struct lexer *l) {
  int64_t k = 0;
  bool hex = peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X');
  for (;; k++) {
    int c = peek(l, k), before = k ? peek(l, k - 1) : 0;
    bool sign = (c == '+' || c == '-') && !hex && (before == 'e' || before == 'E');
    if (!is_name(c) && c != '.' && !sign) break;
  }
  return add_next(l, PT_TOK_NUMBER, k);
}

static int lex_op(struct lexer *l) {
  static const char *const ops[] = {"**=", "//=", ">>=", "<<=", "...", "**", "//", ">>",
                                    "<<",  "==",  "!=",  "<=",  ">=",  "+=", "-=", "*=",
                                    "/=",  "%=",  "&=",  "|=",  "^=",  "@=", "->", ":="};
  int64_t left = l->n - l->i, k = 0;
  for (size_t o = 0; o < sizeof ops / sizeof *ops && !k; o++) {
    int64_t len = (int64_t)strlen(ops[o]);
    if (len <= left && memcmp(l->s + l->i, ops[o], (size_t)len) == 0) k = len;
  }
  int c = peek(l, 0);
  if (!k && c > 0 && strchr("+-*/%@&|^~<>()[]{},:.;=", c)) k = 1;
  if (!k && c >= 0x80)
    return fail(l, &l->at, "a character that is not ASCII outside of a string or comment");
  if (!k) {
    char text[64];
    snprintf(text, sizeof text, "unexpected character '%c' (byte 0x%02x)", c > 31 ? c : '?', c);
    return fail(l, &l->at, text);
  }
  if (k == 1 && strchr("([{", c)) l->depth++;
  if (k == 1 && strchr(")]}", c) && l->depth > 0) l->depth--;
  struct pt_token t = {PT_TOK_OP, 0, l->s + l->i, k, l->at};
  for (int64_t b = 0; b < k; b++) t.op |= peek(l, b) << 8 * b;
  skip(l, k);
  return add(l, t);
}

/* Spaces, comments and joined lines; newlines too where they do not end a statement. */
static int skip_blank(struct lexer *l) {
  for (;;) {
    int c = peek(l, 0);
    if (c == '#') {
      while (peek(l, 0) >= 0 && !is_line_end(peek(l, 0))) skip(l, 1);
    } else if (c == '\\') {
      int64_t k = peek(l, 1) == '\r' && peek(l, 2) == '\n' ? 3 : 2;
      if (!is_line_end(peek(l, 1)))
        return fail(l, &l->at, "a backslash outside of a string must end its line");
      skip(l, k);
    } else if (is_space(c) || (is_line_end(c) && (l->depth > 0 || l->inside))) {
      skip(l, 1);
    } else {
      return PTV3_OK;
    }
  }
}

/* A statement must begin in the first column. */
static int check_indent(struct lexer *l) {
  bool first = !l->count || l->token[l->count - 1].kind == PT_TOK_NEWLINE;
  if (!first || l->inside || l->at.column == 1 || peek(l, 0) < 0) return PTV3_OK;
  return pt_fail_pos(l->py->err, PTV3_UNSUPPORTED, &l->at,
                     "an indented line: blocks (if, for, def ...) are not supported in a "
                     "configuration");
}

static int lex_one(struct lexer *l) {
  int c = peek(l, 0);
  const char *path = NULL;
  int64_t np = 0, prefix = string_prefix(l);
  if (is_line_end(c)) {
    struct pt_token t = {PT_TOK_NEWLINE, 0, l->s + l->i, 1, l->at};
    skip(l, c == '\r' && peek(l, 1) == '\n' ? 2 : 1);
    if (!l->count || l->token[l->count - 1].kind == PT_TOK_NEWLINE) return PTV3_OK;
    return add(l, t);
  }
  int status = check_indent(l);
  if (status) return status;
  if (prefix >= 0) return lex_string(l, prefix);
  if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) return lex_number(l);
  if (is_name_start(c)) {
    int64_t k = 1;
    while (is_name(peek(l, k))) k++;
    return add_next(l, PT_TOK_NAME, k);
  }
  int64_t k = base_var(l->s + l->i, l->n - l->i, &path, &np);
  if (!k) return lex_op(l);
  struct pt_token t = {PT_TOK_BASEVAR, 0, path, np, l->at};
  skip(l, k);
  return add(l, t);
}

int pt_py_lex(struct pt_py *py, const char *text, int64_t n, struct pt_pos at, bool inside,
              struct pt_token **tokens, int64_t *count) {
  struct lexer l = {.py = py, .s = text, .n = n, .at = at, .inside = inside};
  int status = PTV3_OK;
  while (!status) {
    status = skip_blank(&l);
    if (status || l.i >= l.n) break;
    status = lex_one(&l);
  }
  if (!status) status = add(&l, (struct pt_token){PT_TOK_NEWLINE, 0, text + n, 0, l.at});
  if (!status) status = add(&l, (struct pt_token){PT_TOK_END, 0, text + n, 0, l.at});
  if (status) return status;
  *tokens = l.token;
  if (count) *count = l.count;
  return PTV3_OK;
}
