/* pickle.h - reads Python pickles, protocols 0 to 5, into a tree of plain values.
 *
 * Nothing is imported, called or executed: GLOBAL, REDUCE, NEWOBJ, BUILD and the like
 * leave a record of what they would have done ("an OBJECT made by calling GLOBAL x with
 * these arguments"), which the caller may recognise. Memory is a small multiple of the
 * input: each opcode makes at most a few nodes. Values can be shared and can form cycles
 * (the memo allows both), so a caller must not walk them without a bound.
 *
 * Source: CPython's Lib/pickletools.py, which documents every opcode. */
#ifndef PT_PICKLE_H
#define PT_PICKLE_H

#include <stdbool.h>
#include <stdint.h>

#include "file.h"

enum pt_pkind {
  PT_PK_NONE,
  PT_PK_BOOL,
  PT_PK_INT,
  PT_PK_BIGINT, /* an integer of more than 64 bits; its value is dropped */
  PT_PK_FLOAT,
  PT_PK_STR, /* text, or a byte string of Python 2 */
  PT_PK_BYTES,
  PT_PK_LIST,
  PT_PK_TUPLE,
  PT_PK_DICT,
  PT_PK_SET,
  PT_PK_GLOBAL, /* a class or function, by name */
  PT_PK_OBJECT, /* the result of a call that was not made */
  PT_PK_PERSID, /* a persistent id: torch's reference to a storage */
  PT_PK_OPAQUE  /* an extension code or an out-of-band buffer */
};

typedef uint32_t pt_pref; /* a node's number; 0 is None */

struct pt_pchain { /* a list of cells; a DICT's alternate key, value */
  uint32_t first, last, count;
};

struct pt_pnode {
  enum pt_pkind kind;
  union {
    int64_t i; /* BOOL, INT */
    double f;
    struct {
      const char *s; /* [n], not NUL-terminated, valid as long as the input */
      int64_t n;
    } str;
    struct {
      pt_pref module, name; /* STR */
    } global;
    pt_pref id; /* PERSID: what identifies it */
    struct {
      pt_pref callable, args, state; /* OBJECT; args are a TUPLE, state None if not built */
      struct pt_pchain items;        /* of every container; of an OBJECT, what was added */
    } o;
  };
};

struct pt_pcell {
  pt_pref value;
  uint32_t next; /* 0: the last */
};

struct pt_pickle {
  struct pt_mem *mem;
  struct pt_pnode *node; /* [nodes] */
  struct pt_pcell *cell; /* [cells]; cell 0 is not used */
  int64_t nodes, node_cap, cells, cell_cap;
  void **owned; /* decoded strings of protocol 0 */
  int64_t owned_count, owned_cap;
  pt_pref root;
  int64_t bytes; /* of the input that it took */
};

/* Reads one pickle at c->pos and leaves c behind its STOP. On failure p is empty. */
int pt_pickle_read(struct pt_pickle *p, struct pt_mem *mem, struct pt_cursor *c,
                   struct ptv3_error *err);

void pt_pickle_free(struct pt_pickle *p); /* a zeroed p is allowed */

/* For pickle.c. Decodes backslashes: \uXXXX and \UXXXXXXXX of UNICODE (other bytes are
 * Latin-1 and become UTF-8), or the escapes of a quoted Python string. Returns the end of
 * o, which has room for twice the bytes from s to end. */
char *pt_pickle_unescape(const char *s, const char *end, bool unicode, char *o);

static inline const struct pt_pnode *pt_pnode(const struct pt_pickle *p, pt_pref v) {
  return &p->node[v];
}

/* Whether v is the text s. */
bool pt_pickle_is(const struct pt_pickle *p, pt_pref v, const char *s);

/* Whether v is GLOBAL module.name; module NULL: any. */
bool pt_pickle_is_global(const struct pt_pickle *p, pt_pref v, const char *module,
                         const char *name);

/* Whether v is an OBJECT made by calling GLOBAL module.name. */
bool pt_pickle_is_call(const struct pt_pickle *p, pt_pref v, const char *module,
                       const char *name);

/* Item i of a LIST or TUPLE; false if there is none. Walks i cells. */
bool pt_pickle_item(const struct pt_pickle *p, pt_pref v, uint32_t i, pt_pref *out);

/* The integer v; false if it is not an INT. */
bool pt_pickle_int(const struct pt_pickle *p, pt_pref v, int64_t *out);

/* The last value stored under a text key of a DICT or of an OBJECT used as one. */
bool pt_pickle_get(const struct pt_pickle *p, pt_pref dict, const char *key, pt_pref *out);

/* "dict of 2", "numpy.core.multiarray.scalar object"; buf is returned. */
const char *pt_pickle_kind_text(const struct pt_pickle *p, pt_pref v, char buf[static 160]);

#endif
