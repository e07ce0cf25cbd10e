/* pyconfig_int.h - what the files of the configuration reader share: tokens, syntax tree,
 * limits. Nobody else includes it. See pyconfig.h. */
#ifndef PT_PYCONFIG_INT_H
#define PT_PYCONFIG_INT_H

#include "pyconfig.h"

/* Far above what configurations need, low enough that no text can exhaust the machine. */
#define PT_PY_FILE_MAX (512 * 1024) /* bytes of one file */
#define PT_PY_WORK_MAX 2000000      /* values made and steps done, all files together */
#define PT_PY_NEST_MAX 100          /* brackets and operators within each other */
#define PT_PY_EVAL_MAX 400          /* levels of one expression */
#define PT_PY_DEPTH_MAX 200         /* levels of the finished tree */
#define PT_PY_BASE_MAX 32           /* files that name each other as _base_ */

/* One load: everything made on the way lies in region and goes when the load ends. */
struct pt_py {
  struct pt_env *env;
  struct pt_region region;
  struct pt_region *keep; /* the configuration's own: what positions point to */
  int64_t work;
  struct ptv3_error *err; /* never NULL: a failure's status is err->status */
};

/* Counts n units of work; false with err filled when there have been too many. */
bool pt_py_charge(struct pt_py *py, int64_t n, const struct pt_pos *at);

/* ---- tokens ---- */

enum pt_tok {
  PT_TOK_END,
  PT_TOK_NEWLINE,
  PT_TOK_NAME,
  PT_TOK_NUMBER,
  PT_TOK_STRING, /* with prefix and quotes */
  PT_TOK_OP,
  PT_TOK_BASEVAR, /* {{ _base_.path }}; s, n: the path */
};

/* An operator of up to three characters as one number. */
#define PT_OP1(a) (a)
#define PT_OP2(a, b) ((a) | (b) << 8)
#define PT_OP3(a, b, c) ((a) | (b) << 8 | (c) << 16)

struct pt_token {
  enum pt_tok kind;
  int op; /* PT_OPn for PT_TOK_OP */
  const char *s;
  int64_t n;
  struct pt_pos at;
};

/* Splits text [n] into *tokens [*count] (in region), the last being PT_TOK_END. at is the
 * position of the first character. inside: newlines do not count (an f-string's field). */
int pt_py_lex(struct pt_py *py, const char *text, int64_t n, struct pt_pos at, bool inside,
              struct pt_token **tokens, int64_t *count);

/* A string token taken apart. */
struct pt_py_str {
  bool raw, format;
  const char *body; /* [n], between the quotes */
  int64_t n;
};
struct pt_py_str pt_py_str_split(const struct pt_token *t);

/* The characters of a string body [n] with its escapes resolved: *out [*n_out] in region. */
int pt_py_unescape(struct pt_py *py, const char *body, int64_t n, bool raw,
                   const struct pt_pos *at, const char **out, int64_t *n_out);

/* c as UTF-8 into out; returns the bytes written. */
int64_t pt_utf8_put(uint32_t c, char out[static 4]);

/* ---- syntax tree ---- */

enum pt_nk {
  PT_N_CONST,     /* value */
  PT_N_NAME,      /* s */
  PT_N_LIST,      /* kids */
  PT_N_TUPLE,     /* kids */
  PT_N_DICT,      /* kids: PAIR, STAR2 */
  PT_N_PAIR,      /* key, value */
  PT_N_STAR,      /* *kid */
  PT_N_STAR2,     /* **kid */
  PT_N_KWARG,     /* s = kid */
  PT_N_CALL,      /* function, arguments ... */
  PT_N_ATTR,      /* kid . s */
  PT_N_SUBSCRIPT, /* kid [ kid or SLICE ] */
  PT_N_SLICE,     /* three kids, CONST None where left out */
  PT_N_UNARY,     /* op kid; op 'n' is not */
  PT_N_BINARY,    /* kid op kid; op 'a' and, 'o' or, 'i' in, 'I' not in, 's' is, 'S' is not */
  PT_N_IFELSE,    /* condition, then, else */
  PT_N_COMP,      /* element (PAIR for a dict), FOR ...; op '[' '{' '(' */
  PT_N_FOR,       /* target, iterable, conditions ... */
  PT_N_FSTRING,   /* kids: pieces, joined as str() */
  /* statements */
  PT_N_EXPR,   /* kid */
  PT_N_ASSIGN, /* value, targets ... */
  PT_N_AUG,    /* target op= value */
  PT_N_DEL,    /* targets ... */
  PT_N_IMPORT, /* s: module; kids: NAME s with a kid NAME (as) */
};

struct pt_node {
  enum pt_nk kind;
  int op;
  struct pt_pos at;
  const char *s; /* NUL-terminated */
  struct pt_value *value;
  struct pt_node *kid, *last, *next;
  int64_t n; /* kids */
};

/* The statements of a token list, linked by next; NULL *out for an empty file. */
int pt_py_parse(struct pt_py *py, const struct pt_token *tokens, struct pt_node **out);
/* A whole token list as one expression (an f-string's field); depth: nesting so far. */
struct pt_node *pt_py_parse_field(struct pt_py *py, const struct pt_token *tokens, int depth);
/* The node of an f-string body; in pyconfig_string.c. */
struct pt_node *pt_py_fstring(struct pt_py *py, const struct pt_token *t,
                              const struct pt_py_str *str, int depth);

struct pt_node *pt_py_node(struct pt_py *py, enum pt_nk kind, const struct pt_pos *at);
void pt_py_kid(struct pt_node *parent, struct pt_node *kid);

/* ---- numbers and strings ---- */

/* The number a text is, as int(), then float() of Python take strings (underscores, sign,
 * inf, nan); literal: also 0x, 0o, 0b. false: no number. *overflow: an integer beyond 64
 * bits. */
bool pt_py_number(const char *s, int64_t n, bool literal, struct pt_value *out, bool *overflow);

/* str() of a value into a new string value. */
struct pt_value *pt_py_to_str(struct pt_py *py, const struct pt_value *v,
                              const struct pt_pos *at);
/* template.format(args [n], keywords dict). */
struct pt_value *pt_py_format(struct pt_py *py, const struct pt_value *text,
                              struct pt_value *const *args, int64_t n,
                              const struct pt_value *keywords, const struct pt_pos *at);

/* ---- evaluation ---- */

/* Runs the statements; the names they leave are the entries of the dict globals. */
int pt_py_exec(struct pt_py *py, const struct pt_node *statements, struct pt_value *globals);

/* a op b for arithmetic, comparison, in and is (not: and, or). pyconfig_ops.c */
struct pt_value *pt_py_binary(struct pt_py *py, int op, struct pt_value *a, struct pt_value *b,
                              const struct pt_pos *at);
struct pt_value *pt_py_unary(struct pt_py *py, int op, struct pt_value *a,
                             const struct pt_pos *at);
bool pt_py_true(const struct pt_value *v);
/* The items of anything that can be iterated, as a list or tuple. */
struct pt_value *pt_py_items(struct pt_py *py, struct pt_value *v, const struct pt_pos *at);
/* v[key] and v[slice]. */
struct pt_value *pt_py_subscript(struct pt_py *py, struct pt_value *v, struct pt_value *key,
                                 const struct pt_pos *at);
struct pt_value *pt_py_slice(struct pt_py *py, struct pt_value *v,
                             struct pt_value *const part[3], const struct pt_pos *at);
/* The item of list v that key (an int, negative from the end) names; -1 with err filled. */
int64_t pt_py_index(struct pt_py *py, const struct pt_value *v, const struct pt_value *key,
                    const struct pt_pos *at);
/* A key that JSON can hold; false with err filled. */
bool pt_py_key_ok(struct pt_py *py, const struct pt_value *key, const struct pt_pos *at);

/* The number of a built-in function, -1 if there is none of that name. pyconfig_call.c */
int pt_py_builtin(const char *name);
/* function(args [n], keywords dict) */
struct pt_value *pt_py_call(struct pt_py *py, int64_t function, struct pt_value **args,
                            int64_t n, struct pt_value *keywords, const struct pt_pos *at);

/* Value makers: NULL with err filled; each charges. */
struct pt_value *pt_py_new(struct pt_py *py, enum pt_kind kind, const struct pt_pos *at);
struct pt_value *pt_py_int(struct pt_py *py, int64_t i, const struct pt_pos *at);
struct pt_value *pt_py_float(struct pt_py *py, double f, const struct pt_pos *at);
struct pt_value *pt_py_bool(struct pt_py *py, bool b, const struct pt_pos *at);
struct pt_value *pt_py_text(struct pt_py *py, const char *s, int64_t n,
                            const struct pt_pos *at);
/* PTV3_CONFIG at a place, and NULL. */
struct pt_value *pt_py_fail(struct pt_py *py, const struct pt_pos *at, const char *fmt, ...)
    PT_PRINTF(3, 4);
/* PTV3_UNSUPPORTED at a place, and NULL. */
struct pt_value *pt_py_cannot(struct pt_py *py, const struct pt_pos *at, const char *fmt, ...)
    PT_PRINTF(3, 4);

/* ---- trees ---- */

/* A copy of v in region in which nothing is shared, entries placed where they were written;
 * ranges and functions are errors, {{ _base_.x }} is looked up in base (NULL: an error). */
struct pt_value *pt_py_copy(struct pt_py *py, struct pt_region *region,
                            const struct pt_value *v, const struct pt_value *base);
/* Config._merge_a_into_b: changes b, which must not share anything. */
int pt_py_merge(struct pt_py *py, struct pt_value *a, struct pt_value *b, bool list_keys);
/* merge_from_dict of the options. */
int pt_py_options(struct pt_py *py, const char *const *options, int64_t n,
                  struct pt_value *root);

#endif
