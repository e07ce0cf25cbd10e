/* value.h - the tree a configuration is: None, booleans, numbers, strings, lists, tuples
 * and ordered dicts, each knowing where it was written, and the getters by which the rest
 * of the library reads it.
 *
 * Getters mark a dict entry as used; pt_value_unused then lists what nobody asked for.
 * They name the dotted path, file and line when a value has the wrong type. Marking writes
 * to the tree: read one tree from one thread at a time.
 *
 * Not here: reading Python text (pyconfig.h). */
#ifndef PT_VALUE_H
#define PT_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "file.h"
#include "mem.h"

/* ---- memory: blocks that are freed together ---- */

struct pt_region {
  struct pt_mem *mem;
  struct pt_region_chunk *chunk; /* the newest; older ones are linked behind it */
  int64_t used, cap;             /* bytes of the newest chunk */
};

void pt_region_init(struct pt_region *region, struct pt_mem *mem);
/* bytes, zeroed, aligned for any type; NULL with err filled. */
void *pt_region_take(struct pt_region *region, int64_t bytes, struct ptv3_error *err);
void pt_region_free(struct pt_region *region);

/* ---- the tree ---- */

/* Where something was written. line 0: not in a file, and file says what it is (an
 * override from the command line). */
struct pt_pos {
  const char *file;
  int32_t line, column; /* from 1; columns count characters */
};

enum pt_kind {
  PT_V_NONE,
  PT_V_BOOL,
  PT_V_INT,
  PT_V_FLOAT,
  PT_V_STR,
  PT_V_LIST,
  PT_V_TUPLE,
  PT_V_DICT,
  /* Only while Python text is evaluated, never in a finished tree: */
  PT_V_RANGE,   /* i: first, n: count, cap: step */
  PT_V_FUNC,    /* a built-in function; i: its number */
  PT_V_BASEVAR, /* {{ _base_.path }}; str, n: the path */
};

struct pt_entry;

struct pt_value {
  enum pt_kind kind;
  struct pt_pos at;
  struct pt_value *parent; /* NULL at the root (and everywhere until the tree is finished) */
  int64_t n;               /* bytes of str, items of a list or tuple, entries of a dict */
  union {
    bool b;
    int64_t i;
    double f;
    const char *str;        /* [n], UTF-8 with lone surrogates allowed, NUL behind */
    struct pt_value **item; /* [n] */
    struct pt_entry *entry; /* [n], in the order of insertion */
  };
  int64_t cap;   /* room in item or entry */
  int32_t *slot; /* [n_slot] hash index of a large dict: entry number + 1; NULL: none */
  int64_t n_slot;
};

struct pt_entry {
  struct pt_value *key; /* a string, number, bool or None */
  struct pt_value *value;
  struct pt_pos at;
  uint64_t hash;
  bool used; /* a getter has read it */
  bool read; /* a name that a later expression of the file has read: a helper variable */
};

/* "an integer", "a list": for messages. */
const char *pt_kind_text(enum pt_kind kind);

/* ---- reading ---- */

/* The value of a string key, marked used; NULL when absent or when dict is NULL or not a
 * dict. A key whose value is None is present (kind PT_V_NONE). */
struct pt_value *pt_get(const struct pt_value *dict, const char *key);
/* The same for an integer key ({0: 5, 1: 7}). */
struct pt_value *pt_get_at(const struct pt_value *dict, int64_t key);
/* The same, and PTV3_CONFIG "model: has no 'backbone'" when absent or None. */
struct pt_value *pt_need(const struct pt_value *dict, const char *key, struct ptv3_error *err);
/* pt_need, and it must be a dict / a list or tuple. */
struct pt_value *pt_need_dict(const struct pt_value *dict, const char *key,
                              struct ptv3_error *err);
struct pt_value *pt_need_list(const struct pt_value *dict, const char *key,
                              struct ptv3_error *err);

/* Typed getters. Absent and None give def; another type is PTV3_CONFIG with the path, the
 * place and what was expected. An integer is accepted as a double, 0 and 1 as a bool. */
int pt_get_int(const struct pt_value *dict, const char *key, int64_t def, int64_t *out,
               struct ptv3_error *err);
int pt_get_double(const struct pt_value *dict, const char *key, double def, double *out,
                  struct ptv3_error *err);
int pt_get_bool(const struct pt_value *dict, const char *key, bool def, bool *out,
                struct ptv3_error *err);
/* *out points into the tree (or is def, NULL allowed). */
int pt_get_str(const struct pt_value *dict, const char *key, const char *def, const char **out,
               struct ptv3_error *err);
/* An integer within lo..hi. */
int pt_get_int_in(const struct pt_value *dict, const char *key, int64_t def, int64_t lo,
                  int64_t hi, int64_t *out, struct ptv3_error *err);

/* The same, required: absent or None is an error. */
int pt_need_int(const struct pt_value *dict, const char *key, int64_t *out,
                struct ptv3_error *err);
int pt_need_double(const struct pt_value *dict, const char *key, double *out,
                   struct ptv3_error *err);
int pt_need_bool(const struct pt_value *dict, const char *key, bool *out,
                 struct ptv3_error *err);
int pt_need_str(const struct pt_value *dict, const char *key, const char **out,
                struct ptv3_error *err);

/* A list or tuple of lo..hi numbers into out [hi]; *n is how many, 0 when absent or None
 * (out is then untouched). */
int pt_get_ints(const struct pt_value *dict, const char *key, int64_t lo, int64_t hi,
                int64_t *out, int64_t *n, struct ptv3_error *err);
int pt_get_doubles(const struct pt_value *dict, const char *key, int64_t lo, int64_t hi,
                   double *out, int64_t *n, struct ptv3_error *err);
int pt_get_bools(const struct pt_value *dict, const char *key, int64_t lo, int64_t hi,
                 bool *out, int64_t *n, struct ptv3_error *err);

/* Items of a list or tuple (0 for NULL and other kinds), and the i-th; NULL outside. */
int64_t pt_len(const struct pt_value *v);
struct pt_value *pt_item(const struct pt_value *v, int64_t i);

/* One value by itself, with the same acceptance and errors as above. */
int pt_as_int(const struct pt_value *v, int64_t *out, struct ptv3_error *err);
int pt_as_double(const struct pt_value *v, double *out, struct ptv3_error *err);
int pt_as_bool(const struct pt_value *v, bool *out, struct ptv3_error *err);
int pt_as_str(const struct pt_value *v, const char **out, struct ptv3_error *err);

static inline bool pt_is_seq(const struct pt_value *v) {
  return v && (v->kind == PT_V_LIST || v->kind == PT_V_TUPLE);
}
static inline bool pt_is_dict(const struct pt_value *v) { return v && v->kind == PT_V_DICT; }
static inline bool pt_is_none(const struct pt_value *v) { return !v || v->kind == PT_V_NONE; }

/* "model.backbone.enc_depths.2" into buf, cut to size; "" for the root. buf is returned. */
const char *pt_value_path(const struct pt_value *v, char *buf, int64_t size);

/* PTV3_CONFIG "configs/a.py:14:5: model.backbone.depth: <what you say>". */
int pt_fail_value(struct ptv3_error *err, const struct pt_value *v, const char *fmt, ...)
    PT_PRINTF(3, 4);
/* "configs/a.py:14:5: <what you say>" with any status. */
int pt_fail_pos(struct ptv3_error *err, int status, const struct pt_pos *at, const char *fmt,
                ...) PT_PRINTF(4, 5);

/* ---- what nobody used ---- */

/* Marks everything below v, or below one key of dict, as used (known and not needed). */
void pt_mark_used(const struct pt_value *v);
void pt_ignore(const struct pt_value *dict, const char *key);

/* Calls back for each entry that no getter has read, with its dotted path; what lies below
 * such an entry is not listed again. Helper variables (names that a later line of the file
 * has read) are not listed. */
void pt_value_unused(const struct pt_value *root,
                     void (*found)(void *user, const char *path, const struct pt_pos *at),
                     void *user);

/* ---- writing ---- */

/* The text Python's json.dumps(tree, indent=2) gives, without a newline at its end; tuples
 * are arrays. Caller frees *text with pt_free. n (NULL allowed): its bytes. */
int pt_value_json(struct pt_mem *mem, const struct pt_value *v, char **text, int64_t *n,
                  struct ptv3_error *err);

/* The entries of a root as lines of a Python configuration, which read back as the same tree;
 * those whose key is no name in Python are left out, with a comment. A failed write is told by
 * pt_out_commit. */
int pt_value_python(struct pt_out *out, const struct pt_value *root, struct ptv3_error *err);
/* A string as a literal of such a file. */
void pt_python_string(struct pt_out *out, const char *s);
/* Whether the n letters are a word of Python's grammar, and so no name. */
bool pt_is_python_keyword(const char *s, int64_t n);

/* The character at byte *i of n bytes of UTF-8 that were checked when they were read (lone
 * surrogates are possible); moves *i past it. */
uint32_t pt_utf8_next(const char *s, int64_t n, int64_t *i);

/* repr() of a float as Python prints it: 0.006, 1e-05, 1e+16, inf, nan. Call within a "C"
 * numeric locale (pyconfig and pt_value_json see to that themselves). */
const char *pt_float_repr(double f, char buf[static 32]);

/* ---- building (used by the readers) ---- */

struct pt_value *pt_value_new(struct pt_region *region, enum pt_kind kind,
                              const struct pt_pos *at, struct ptv3_error *err);
/* A string value holding a copy of s [n]. */
struct pt_value *pt_value_str(struct pt_region *region, const char *s, int64_t n,
                              const struct pt_pos *at, struct ptv3_error *err);
int pt_list_add(struct pt_region *region, struct pt_value *list, struct pt_value *item,
                struct ptv3_error *err);
/* Keys compare as in Python: 1, 1.0 and True are one key. */
struct pt_entry *pt_dict_find(const struct pt_value *dict, const struct pt_value *key);
struct pt_entry *pt_dict_find_str(const struct pt_value *dict, const char *key, int64_t n);
/* Replaces the value of an equal key (which keeps its place) or appends. */
int pt_dict_put(struct pt_region *region, struct pt_value *dict, struct pt_value *key,
                struct pt_value *value, const struct pt_pos *at, struct ptv3_error *err);
void pt_dict_remove(struct pt_value *dict, struct pt_entry *entry);

#endif
