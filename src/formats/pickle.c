/* pickle.c - see pickle.h: the opcodes. Looking at the values is in pickle_value.c. */
#include "pickle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"

/* The machine: a stack of values, marks on it, and the memo. Every array's size is bounded
 * by the number of opcodes, or, for the memo, by the number of input bytes. */
struct vm {
  struct pt_pickle *p;
  struct pt_cursor *c;
  struct ptv3_error *err;
  int64_t start; /* of this pickle in c */
  int64_t op;    /* position of the opcode at work */
  pt_pref *stack;
  int64_t depth, stack_cap;
  int64_t *mark; /* stack depths */
  int64_t marks, mark_cap;
  pt_pref *memo; /* [memo_cap]; UNSET where nothing was stored */
  int64_t memo_cap, memoized;
  pt_pref empty_tuple, truth[2];
  bool stop;
};
#define UNSET UINT32_MAX

static int bad(struct vm *m, const char *what) {
  return pt_fail_at(m->err, PTV3_FORMAT, m->op,
                    "'%s': damaged pickle: %s at byte %lld; get the file again", m->c->name,
                    what, (long long)m->op);
}

/* ---- nodes, cells, the stack ---- */

static int new_node(struct vm *m, enum pt_pkind kind, pt_pref *v) {
  struct pt_pickle *p = m->p;
  *v = 0;
  if (p->nodes >= UINT32_MAX - 1) return bad(m, "too many values");
  int status = pt_grow(p->mem, &p->node, &p->node_cap, p->nodes + 1, sizeof *p->node,
                       PT_MEM_OTHER, m->err);
  if (status) return status;
  p->node[p->nodes] = (struct pt_pnode){.kind = kind};
  *v = (pt_pref)p->nodes++;
  return PTV3_OK;
}

static int push(struct vm *m, pt_pref v) {
  int status = pt_grow(m->p->mem, &m->stack, &m->stack_cap, m->depth + 1, sizeof *m->stack,
                       PT_MEM_OTHER, m->err);
  if (!status) m->stack[m->depth++] = v;
  return status;
}

/* A new node on the stack; *n is valid until the next one. */
static int push_new(struct vm *m, enum pt_pkind kind, struct pt_pnode **n) {
  pt_pref v;
  int status = new_node(m, kind, &v);
  if (!status) status = push(m, v);
  *n = &m->p->node[status ? 0 : v];
  return status;
}

static int64_t floor_of(const struct vm *m) { return m->marks ? m->mark[m->marks - 1] : 0; }

static int need(struct vm *m, int64_t n) {
  return m->depth - floor_of(m) >= n ? PTV3_OK : bad(m, "the stack is empty");
}

static int append(struct vm *m, pt_pref container, pt_pref value) {
  struct pt_pickle *p = m->p;
  if (p->cells >= UINT32_MAX - 1) return bad(m, "too many items");
  int status = pt_grow(p->mem, &p->cell, &p->cell_cap, p->cells + 1, sizeof *p->cell,
                       PT_MEM_OTHER, m->err);
  if (status) return status;
  uint32_t at = (uint32_t)p->cells++;
  p->cell[at] = (struct pt_pcell){value, 0};
  struct pt_pchain *list = &p->node[container].o.items;
  if (list->count++)
    p->cell[list->last].next = at;
  else
    list->first = at;
  list->last = at;
  return PTV3_OK;
}

/* Moves the stack's values from position `from` up into the container. */
static int take_items(struct vm *m, int64_t from, pt_pref container) {
  int status = PTV3_OK;
  for (int64_t i = from; i < m->depth && !status; i++)
    status = append(m, container, m->stack[i]);
  m->depth = from;
  return status;
}

static int pop_mark(struct vm *m, int64_t *from) {
  *from = m->depth;
  if (!m->marks) return bad(m, "a mark is missing");
  *from = m->mark[--m->marks];
  return PTV3_OK;
}

/* ---- operands ---- */

/* A line without its end. */
static int line(struct vm *m, const char **s, int64_t *n) {
  const uint8_t *at = m->c->data + m->c->pos;
  const uint8_t *end = pt_left(m->c) > 0 ? memchr(at, '\n', (size_t)pt_left(m->c)) : NULL;
  *s = (const char *)at;
  *n = end ? end - at : 0;
  if (!end) return bad(m, "a line without end");
  m->c->pos += *n + 1;
  return PTV3_OK;
}

/* An unsigned little-endian number of `bytes` bytes. */
static int number(struct vm *m, int bytes, uint64_t *v) {
  const uint8_t *b = pt_take(m->c, bytes, "pickle", m->err);
  *v = 0;
  if (!b) return PTV3_FORMAT;
  for (int i = bytes - 1; i >= 0; i--) *v = *v << 8 | b[i];
  return PTV3_OK;
}

/* A run of bytes whose length stands in front in `bytes` bytes. */
static int counted(struct vm *m, int bytes, const uint8_t **s, int64_t *n) {
  uint64_t v;
  int status = number(m, bytes, &v);
  *s = m->c->data;
  *n = 0;
  if (status) return status;
  if (v > (uint64_t)pt_left(m->c)) return bad(m, "a length beyond the end of the data");
  *n = (int64_t)v;
  *s = pt_take(m->c, *n, "pickle", m->err);
  return *s ? PTV3_OK : PTV3_FORMAT;
}

/* A decimal line as a NUL-terminated text of at most 63 characters; false if longer. */
static bool short_text(const char *s, int64_t n, char buf[64]) {
  if (n > 63) return false;
  memcpy(buf, s, (size_t)n);
  buf[n] = 0;
  return true;
}

/* ---- numbers ---- */

static int push_int(struct vm *m, int64_t value) {
  struct pt_pnode *n;
  int status = push_new(m, PT_PK_INT, &n);
  if (!status) n->i = value;
  return status;
}

/* BININT, BININT1, BININT2: arg is the width; four bytes are signed. */
static int op_binint(struct vm *m, int arg) {
  uint64_t v;
  int status = number(m, arg, &v);
  return status ? status : push_int(m, arg == 4 ? (int32_t)(uint32_t)v : (int64_t)v);
}

/* INT, LONG: a line of decimal digits; arg 1: "00" and "01" are false and true. */
static int op_intline(struct vm *m, int arg) {
  const char *s;
  char buf[64], *end;
  int64_t n;
  struct pt_pnode *node;
  int status = line(m, &s, &n);
  if (status) return status;
  if (arg && n == 2 && s[0] == '0' && (s[1] == '0' || s[1] == '1'))
    return push(m, m->truth[s[1] == '1']);
  if (n == 0) return bad(m, "a number without digits");
  if (!short_text(s, n, buf)) return push_new(m, PT_PK_BIGINT, &node);
  errno = 0;
  long long v = strtoll(buf, &end, 10);
  if (*end == 'L') end++;
  if (*end || end == buf) return bad(m, "a number that is none");
  return errno ? push_new(m, PT_PK_BIGINT, &node) : push_int(m, v);
}

/* LONG1, LONG4: two's complement of any length. */
static int op_long(struct vm *m, int arg) {
  const uint8_t *s;
  int64_t n;
  struct pt_pnode *node;
  int status = counted(m, arg, &s, &n);
  if (status) return status;
  if (n > 8) return push_new(m, PT_PK_BIGINT, &node);
  uint64_t v = n > 0 && s[n - 1] & 0x80 ? UINT64_MAX : 0;
  for (int64_t i = n - 1; i >= 0; i--) v = v << 8 | s[i];
  return push_int(m, (int64_t)v);
}

static int op_binfloat(struct vm *m, int arg) {
  (void)arg;
  const uint8_t *b = pt_take(m->c, 8, "pickle", m->err);
  struct pt_pnode *n;
  if (!b) return PTV3_FORMAT;
  int status = push_new(m, PT_PK_FLOAT, &n);
  uint64_t bits = pt_be64(b);
  if (!status) memcpy(&n->f, &bits, sizeof bits);
  return status;
}

static int op_floatline(struct vm *m, int arg) {
  (void)arg;
  const char *s;
  char buf[64], *end;
  int64_t len;
  struct pt_pnode *n;
  int status = line(m, &s, &len);
  if (status) return status;
  if (len == 0 || !short_text(s, len, buf)) return bad(m, "a number that is none");
  double v = strtod(buf, &end);
  if (*end) return bad(m, "a number that is none");
  status = push_new(m, PT_PK_FLOAT, &n);
  if (!status) n->f = v;
  return status;
}

/* NONE (0), NEWFALSE (1), NEWTRUE (2), EMPTY_TUPLE (3): values that need no node each. */
static int op_const(struct vm *m, int arg) {
  const pt_pref v[] = {0, m->truth[0], m->truth[1], m->empty_tuple};
  return push(m, v[arg]);
}

/* ---- text and bytes ---- */

static int push_str(struct vm *m, enum pt_pkind kind, const void *s, int64_t len) {
  struct pt_pnode *n;
  int status = push_new(m, kind, &n);
  if (!status) n->str.s = s, n->str.n = len;
  return status;
}

/* arg: the width of the length, plus 16 for bytes. */
static int op_counted(struct vm *m, int arg) {
  const uint8_t *s;
  int64_t n;
  int status = counted(m, arg & 15, &s, &n);
  return status ? status : push_str(m, arg & 16 ? PT_PK_BYTES : PT_PK_STR, s, n);
}

/* STRING (arg 0, in quotes), UNICODE (arg 1). */
static int op_textline(struct vm *m, int arg) {
  const char *s;
  int64_t n;
  struct pt_pickle *p = m->p;
  int status = line(m, &s, &n);
  if (status) return status;
  if (!arg) {
    if (n < 2 || (s[0] != '\'' && s[0] != '"') || s[n - 1] != s[0])
      return bad(m, "a text without quotes");
    s++, n -= 2;
  }
  status = pt_grow(p->mem, &p->owned, &p->owned_cap, p->owned_count + 1, sizeof(void *),
                   PT_MEM_OTHER, m->err);
  if (status) return status;
  struct ptv3_error e;
  char *o = pt_alloc(p->mem, n, 2, PT_MEM_OTHER, &e);
  if (!o) {
    if (m->err) *m->err = e;
    return e.status;
  }
  p->owned[p->owned_count++] = o;
  return push_str(m, PT_PK_STR, o, pt_pickle_unescape(s, s + n, arg, o) - o);
}

/* ---- containers ---- */

static int op_mark(struct vm *m, int arg) {
  (void)arg;
  int status = pt_grow(m->p->mem, &m->mark, &m->mark_cap, m->marks + 1, sizeof *m->mark,
                       PT_MEM_OTHER, m->err);
  if (!status) m->mark[m->marks++] = m->depth;
  return status;
}

static int op_empty(struct vm *m, int arg) {
  struct pt_pnode *n;
  return push_new(m, (enum pt_pkind)arg, &n);
}

/* Makes a container of everything above `from`. */
static int collect(struct vm *m, enum pt_pkind kind, int64_t from) {
  pt_pref v;
  int status = new_node(m, kind, &v);
  if (!status) status = take_items(m, from, v);
  return status ? status : push(m, v);
}

/* LIST, TUPLE, DICT, FROZENSET: from the mark. */
static int op_collect(struct vm *m, int arg) {
  int64_t from;
  int status = pop_mark(m, &from);
  if (status) return status;
  if (arg == PT_PK_DICT && (m->depth - from) % 2) return bad(m, "a key without value");
  return collect(m, (enum pt_pkind)arg, from);
}

/* TUPLE1, TUPLE2, TUPLE3. */
static int op_tuple(struct vm *m, int arg) {
  int status = need(m, arg);
  return status ? status : collect(m, PT_PK_TUPLE, m->depth - arg);
}

/* APPEND, SETITEM, APPENDS, SETITEMS, ADDITEMS. arg: how many values go into the container
 * below them; 0: those above the mark; +16: pairs. */
static int op_add(struct vm *m, int arg) {
  int64_t from;
  int status = arg & 15 ? need(m, (arg & 15) + 1) : pop_mark(m, &from);
  if (status) return status;
  if (arg & 15) from = m->depth - (arg & 15);
  if (from - floor_of(m) < 1) return bad(m, "nothing to add to");
  if (arg & 16 && (m->depth - from) % 2) return bad(m, "a key without value");
  pt_pref container = m->stack[from - 1];
  switch (m->p->node[container].kind) {
    case PT_PK_LIST:
    case PT_PK_SET:
    case PT_PK_DICT:
    case PT_PK_OBJECT: break;
    default: return bad(m, "items for something that is no container");
  }
  if (m->p->node[container].kind == PT_PK_DICT && !(arg & 16))
    return bad(m, "a key without value");
  return take_items(m, from, container);
}

/* ---- stack and memo ---- */

static int op_pop(struct vm *m, int arg) {
  (void)arg;
  int64_t from;
  if (m->marks && floor_of(m) == m->depth) return pop_mark(m, &from);
  int status = need(m, 1);
  if (!status) m->depth--;
  return status;
}

static int op_pop_mark(struct vm *m, int arg) {
  (void)arg;
  return pop_mark(m, &m->depth);
}

static int op_dup(struct vm *m, int arg) {
  (void)arg;
  int status = need(m, 1);
  return status ? status : push(m, m->stack[m->depth - 1]);
}

static int store(struct vm *m, uint64_t at) {
  int status = need(m, 1);
  if (status) return status;
  /* Picklers number the memo 0, 1, 2, …; a number beyond the bytes there are is a lie. */
  if (at >= (uint64_t)(m->c->size - m->start)) return bad(m, "a memo number out of range");
  int64_t old = m->memo_cap;
  status = pt_grow(m->p->mem, &m->memo, &m->memo_cap, (int64_t)at + 1, sizeof *m->memo,
                   PT_MEM_OTHER, m->err);
  if (status) return status;
  for (int64_t i = old; i < m->memo_cap; i++) m->memo[i] = UNSET;
  m->memoized += m->memo[at] == UNSET;
  m->memo[at] = m->stack[m->depth - 1];
  return PTV3_OK;
}

static int recall(struct vm *m, uint64_t at) {
  if (at >= (uint64_t)m->memo_cap || m->memo[at] == UNSET)
    return bad(m, "a memo number that was not stored");
  return push(m, m->memo[at]);
}

/* GET, PUT: a decimal line (arg 0) or arg bytes. */
static int memo_number(struct vm *m, int arg, uint64_t *at) {
  const char *s;
  char buf[64], *end;
  int64_t n;
  *at = 0;
  if (arg) return number(m, arg, at);
  int status = line(m, &s, &n);
  if (status) return status;
  if (n == 0 || s[0] < '0' || s[0] > '9' || !short_text(s, n, buf))
    return bad(m, "a memo number that is none");
  *at = strtoull(buf, &end, 10);
  return *end ? bad(m, "a memo number that is none") : PTV3_OK;
}

static int op_put(struct vm *m, int arg) {
  uint64_t at;
  int status = memo_number(m, arg, &at);
  return status ? status : store(m, at);
}

static int op_get(struct vm *m, int arg) {
  uint64_t at;
  int status = memo_number(m, arg, &at);
  return status ? status : recall(m, at);
}

static int op_memoize(struct vm *m, int arg) {
  (void)arg;
  return store(m, (uint64_t)m->memoized);
}

/* ---- what would be executed ---- */

static int push_global(struct vm *m, pt_pref module, pt_pref name) {
  struct pt_pnode *n;
  int status = push_new(m, PT_PK_GLOBAL, &n);
  if (!status) n->global.module = module, n->global.name = name;
  return status;
}

/* Reads "module\nname\n" and leaves both on the stack. */
static int two_lines(struct vm *m) {
  const char *s;
  int64_t n;
  int status = PTV3_OK;
  for (int i = 0; i < 2 && !status; i++) {
    status = line(m, &s, &n);
    if (!status) status = push_str(m, PT_PK_STR, s, n);
  }
  return status;
}

/* The two texts on the stack become a GLOBAL. */
static int op_stack_global(struct vm *m, int arg) {
  (void)arg;
  int status = need(m, 2);
  if (status) return status;
  pt_pref module = m->stack[m->depth - 2], name = m->stack[m->depth - 1];
  if (m->p->node[module].kind != PT_PK_STR || m->p->node[name].kind != PT_PK_STR)
    return bad(m, "a class whose name is no text");
  m->depth -= 2;
  return push_global(m, module, name);
}

static int op_global(struct vm *m, int arg) {
  int status = two_lines(m);
  return status ? status : op_stack_global(m, arg);
}

static int push_object(struct vm *m, pt_pref callable, pt_pref args) {
  struct pt_pnode *n;
  int status = push_new(m, PT_PK_OBJECT, &n);
  if (!status) n->o.callable = callable, n->o.args = args;
  return status;
}

/* REDUCE, NEWOBJ (arg 2: callable, args), NEWOBJ_EX (arg 3: and keywords, dropped). */
static int op_call(struct vm *m, int arg) {
  int status = need(m, arg);
  if (status) return status;
  m->depth -= arg;
  pt_pref args = m->stack[m->depth + 1];
  if (m->p->node[args].kind != PT_PK_TUPLE) return bad(m, "arguments that are no tuple");
  return push_object(m, m->stack[m->depth], args);
}

/* INST: the class's name, arguments from the mark. OBJ: the class and arguments from it. */
static int op_inst(struct vm *m, int arg) {
  int64_t from = 0;
  pt_pref cls = 0;
  int status = PTV3_OK;
  if (arg && !(status = two_lines(m)) && !(status = op_stack_global(m, 0)))
    cls = m->stack[--m->depth];
  if (!status) status = pop_mark(m, &from);
  if (status) return status;
  if (!arg && from >= m->depth) return bad(m, "the stack is empty");
  if (!arg) cls = m->stack[from];
  status = collect(m, PT_PK_TUPLE, from + !arg);
  if (status) return status;
  m->depth = from;
  return push_object(m, cls, m->stack[from + !arg]);
}

static int op_build(struct vm *m, int arg) {
  (void)arg;
  int status = need(m, 2);
  if (status) return status;
  pt_pref state = m->stack[--m->depth];
  struct pt_pnode *n = &m->p->node[m->stack[m->depth - 1]];
  if (n->kind == PT_PK_OBJECT) n->o.state = state;
  return PTV3_OK;
}

static int push_persid(struct vm *m, pt_pref id) {
  struct pt_pnode *n;
  int status = push_new(m, PT_PK_PERSID, &n);
  if (!status) n->id = id;
  return status;
}

/* PERSID (arg 1: a line), BINPERSID. */
static int op_persid(struct vm *m, int arg) {
  const char *s = NULL;
  int64_t n = 0;
  int status = arg ? line(m, &s, &n) : need(m, 1);
  if (!status && arg) status = push_str(m, PT_PK_STR, s, n);
  return status ? status : push_persid(m, m->stack[--m->depth]);
}

/* EXT1, EXT2, EXT4 (arg: bytes), NEXT_BUFFER (arg 0). */
static int op_opaque(struct vm *m, int arg) {
  uint64_t v;
  struct pt_pnode *n;
  int status = arg ? number(m, arg, &v) : PTV3_OK;
  return status ? status : push_new(m, PT_PK_OPAQUE, &n);
}

static int op_readonly(struct vm *m, int arg) { return need(m, arg); }

/* ---- framing ---- */

static int op_proto(struct vm *m, int arg) {
  uint64_t v;
  int status = number(m, arg, &v);
  if (status || v <= 5) return status;
  return pt_fail_at(m->err, PTV3_UNSUPPORTED, m->op,
                    "'%s': pickle protocol %d; 0 to 5 are known. Save it again with "
                    "torch.save(…, pickle_protocol=2)",
                    m->c->name, (int)v);
}

static int op_frame(struct vm *m, int arg) {
  uint64_t v;
  int status = number(m, arg, &v);
  if (!status && v > (uint64_t)pt_left(m->c))
    return bad(m, "a frame beyond the end of the data");
  return status;
}

static int op_stop(struct vm *m, int arg) {
  int status = need(m, arg);
  if (status) return status;
  m->p->root = m->stack[m->depth - 1];
  m->stop = true;
  return PTV3_OK;
}

/* ---- the table ---- */

static const struct op {
  int (*run)(struct vm *m, int arg);
  int arg;
} ops[256] = {
    /* clang-format off */
    ['K'] = {op_binint, 1}, ['M'] = {op_binint, 2}, ['J'] = {op_binint, 4},
    ['I'] = {op_intline, 1}, ['L'] = {op_intline, 0}, [0x8a] = {op_long, 1},
    [0x8b] = {op_long, 4}, ['G'] = {op_binfloat, 0}, ['F'] = {op_floatline, 0},
    ['N'] = {op_const, 0}, [0x89] = {op_const, 1}, [0x88] = {op_const, 2},
    [')'] = {op_const, 3}, ['S'] = {op_textline, 0}, ['V'] = {op_textline, 1},
    ['U'] = {op_counted, 1}, ['T'] = {op_counted, 4}, [0x8c] = {op_counted, 1},
    ['X'] = {op_counted, 4}, [0x8d] = {op_counted, 8}, ['C'] = {op_counted, 16 + 1},
    ['B'] = {op_counted, 16 + 4}, [0x8e] = {op_counted, 16 + 8}, [0x96] = {op_counted, 16 + 8},
    ['('] = {op_mark, 0}, [']'] = {op_empty, PT_PK_LIST}, ['}'] = {op_empty, PT_PK_DICT},
    [0x8f] = {op_empty, PT_PK_SET}, ['l'] = {op_collect, PT_PK_LIST},
    ['t'] = {op_collect, PT_PK_TUPLE}, ['d'] = {op_collect, PT_PK_DICT},
    [0x91] = {op_collect, PT_PK_SET}, [0x85] = {op_tuple, 1}, [0x86] = {op_tuple, 2},
    [0x87] = {op_tuple, 3}, ['a'] = {op_add, 1}, ['e'] = {op_add, 0}, ['s'] = {op_add, 16 + 2},
    ['u'] = {op_add, 16}, [0x90] = {op_add, 0}, ['0'] = {op_pop, 0}, ['1'] = {op_pop_mark, 0},
    ['2'] = {op_dup, 0}, ['p'] = {op_put, 0}, ['q'] = {op_put, 1}, ['r'] = {op_put, 4},
    ['g'] = {op_get, 0}, ['h'] = {op_get, 1}, ['j'] = {op_get, 4}, [0x94] = {op_memoize, 0},
    ['c'] = {op_global, 0}, [0x93] = {op_stack_global, 0}, ['R'] = {op_call, 2},
    [0x81] = {op_call, 2}, [0x92] = {op_call, 3}, ['i'] = {op_inst, 1}, ['o'] = {op_inst, 0},
    ['b'] = {op_build, 0}, ['P'] = {op_persid, 1}, ['Q'] = {op_persid, 0},
    [0x82] = {op_opaque, 1}, [0x83] = {op_opaque, 2}, [0x84] = {op_opaque, 4},
    [0x97] = {op_opaque, 0}, [0x98] = {op_readonly, 1}, [0x80] = {op_proto, 1},
    [0x95] = {op_frame, 8}, ['.'] = {op_stop, 1},
    /* clang-format on */
};

/* Node 0 is None; cell 0 stands for the end of a chain. */
static int prepare(struct vm *m) {
  pt_pref none;
  struct pt_pickle *p = m->p;
  int status = new_node(m, PT_PK_NONE, &none);
  if (!status) status = new_node(m, PT_PK_TUPLE, &m->empty_tuple);
  for (int i = 0; i < 2 && !status; i++) {
    status = new_node(m, PT_PK_BOOL, &m->truth[i]);
    if (!status) p->node[m->truth[i]].i = i;
  }
  if (!status)
    status = pt_grow(p->mem, &p->cell, &p->cell_cap, 1, sizeof *p->cell, PT_MEM_OTHER, m->err);
  p->cells = 1;
  return status;
}

int pt_pickle_read(struct pt_pickle *p, struct pt_mem *mem, struct pt_cursor *c,
                   struct ptv3_error *err) {
  *p = (struct pt_pickle){.mem = mem};
  struct vm m = {.p = p, .c = c, .err = err, .start = c->pos};
  int status = prepare(&m);
  while (!status && !m.stop) {
    m.op = c->pos;
    const uint8_t *b = pt_take(c, 1, "pickle", err);
    if (!b)
      status = PTV3_FORMAT;
    else if (!ops[*b].run)
      status = bad(&m, "an unknown operation");
    else
      status = ops[*b].run(&m, ops[*b].arg);
  }
  p->bytes = c->pos - m.start;
  pt_free(mem, m.stack);
  pt_free(mem, m.mark);
  pt_free(mem, m.memo);
  if (status) pt_pickle_free(p);
  return status;
}

void pt_pickle_free(struct pt_pickle *p) {
  if (!p->mem) return;
  for (int64_t i = 0; i < p->owned_count; i++) pt_free(p->mem, p->owned[i]);
  pt_free(p->mem, p->owned);
  pt_free(p->mem, p->node);
  pt_free(p->mem, p->cell);
  *p = (struct pt_pickle){0};
}
