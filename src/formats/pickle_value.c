/* pickle_value.c - looking at the values that pickle.c made; see pickle.h. */
#include <stdio.h>
#include <string.h>

#include "pickle.h"

bool pt_pickle_is(const struct pt_pickle *p, pt_pref v, const char *s) {
  const struct pt_pnode *n = pt_pnode(p, v);
  return n->kind == PT_PK_STR && (size_t)n->str.n == strlen(s) &&
         memcmp(n->str.s, s, strlen(s)) == 0;
}

bool pt_pickle_is_global(const struct pt_pickle *p, pt_pref v, const char *module,
                         const char *name) {
  const struct pt_pnode *n = pt_pnode(p, v);
  return n->kind == PT_PK_GLOBAL && pt_pickle_is(p, n->global.name, name) &&
         (!module || pt_pickle_is(p, n->global.module, module));
}

bool pt_pickle_is_call(const struct pt_pickle *p, pt_pref v, const char *module,
                       const char *name) {
  const struct pt_pnode *n = pt_pnode(p, v);
  return n->kind == PT_PK_OBJECT && pt_pickle_is_global(p, n->o.callable, module, name);
}

bool pt_pickle_item(const struct pt_pickle *p, pt_pref v, uint32_t i, pt_pref *out) {
  const struct pt_pnode *n = pt_pnode(p, v);
  if ((n->kind != PT_PK_LIST && n->kind != PT_PK_TUPLE) || i >= n->o.items.count) return false;
  uint32_t c = n->o.items.first;
  while (i--) c = p->cell[c].next;
  *out = p->cell[c].value;
  return true;
}

bool pt_pickle_int(const struct pt_pickle *p, pt_pref v, int64_t *out) {
  const struct pt_pnode *n = pt_pnode(p, v);
  if (n->kind == PT_PK_INT) *out = n->i;
  return n->kind == PT_PK_INT;
}

bool pt_pickle_get(const struct pt_pickle *p, pt_pref dict, const char *key, pt_pref *out) {
  const struct pt_pnode *n = pt_pnode(p, dict);
  bool found = false;
  if (n->kind != PT_PK_DICT && n->kind != PT_PK_OBJECT) return false;
  for (uint32_t c = n->o.items.first; c && p->cell[c].next; c = p->cell[p->cell[c].next].next)
    if (pt_pickle_is(p, p->cell[c].value, key)) {
      *out = p->cell[p->cell[c].next].value;
      found = true;
    }
  return found;
}

/* "module.name" of a GLOBAL, cut to fit. */
static void global_text(const struct pt_pickle *p, pt_pref v, char *buf, size_t size) {
  const struct pt_pnode *n = pt_pnode(p, v);
  if (n->kind != PT_PK_GLOBAL) {
    snprintf(buf, size, "unknown");
    return;
  }
  const struct pt_pnode *a = pt_pnode(p, n->global.module), *b = pt_pnode(p, n->global.name);
  snprintf(buf, size, "%.*s.%.*s", (int)(a->str.n < 80 ? a->str.n : 80), a->str.s,
           (int)(b->str.n < 60 ? b->str.n : 60), b->str.s);
}

const char *pt_pickle_kind_text(const struct pt_pickle *p, pt_pref v, char buf[static 160]) {
  const struct pt_pnode *n = pt_pnode(p, v);
  char name[144];
  switch (n->kind) {
    case PT_PK_NONE: snprintf(buf, 160, "None"); break;
    case PT_PK_BOOL: snprintf(buf, 160, n->i ? "True" : "False"); break;
    case PT_PK_INT: snprintf(buf, 160, "%lld", (long long)n->i); break;
    case PT_PK_BIGINT: snprintf(buf, 160, "large integer"); break;
    case PT_PK_FLOAT: snprintf(buf, 160, "%.9g", n->f); break;
    case PT_PK_STR:
      snprintf(buf, 160, "'%.*s'", (int)(n->str.n < 100 ? n->str.n : 100), n->str.s);
      break;
    case PT_PK_BYTES: snprintf(buf, 160, "%lld bytes", (long long)n->str.n); break;
    case PT_PK_LIST: snprintf(buf, 160, "list of %u", n->o.items.count); break;
    case PT_PK_TUPLE: snprintf(buf, 160, "tuple of %u", n->o.items.count); break;
    case PT_PK_DICT: snprintf(buf, 160, "dict of %u", n->o.items.count / 2); break;
    case PT_PK_SET: snprintf(buf, 160, "set of %u", n->o.items.count); break;
    case PT_PK_GLOBAL: global_text(p, v, buf, 160); break;
    case PT_PK_OBJECT:
      global_text(p, n->o.callable, name, sizeof name);
      snprintf(buf, 160, "%s object", name);
      break;
    case PT_PK_PERSID: snprintf(buf, 160, "storage"); break;
    case PT_PK_OPAQUE: snprintf(buf, 160, "unknown value"); break;
  }
  return buf;
}
