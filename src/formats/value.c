/* value.c - the tree and its getters; see value.h. The JSON writer is value_json.c. */
#include "value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "size.h"

#define CHUNK_MIN 4096
#define CHUNK_MAX (256 * 1024)
#define INDEX_FROM 8 /* entries from which a dict gets a hash index */

/* ---- region ---- */

struct pt_region_chunk {
  struct pt_region_chunk *older;
  int64_t unused; /* keeps what follows aligned to 16 bytes */
};

void pt_region_init(struct pt_region *region, struct pt_mem *mem) {
  *region = (struct pt_region){.mem = mem};
}

void *pt_region_take(struct pt_region *region, int64_t bytes, struct ptv3_error *err) {
  if (bytes < 0 || bytes > INT64_MAX / 2) {
    pt_fail(err, PTV3_NO_MEMORY, "a block of %lld bytes is larger than any memory",
            (long long)bytes);
    return NULL;
  }
  bytes = pt_round_up(pt_max(bytes, 1), 16);
  if (bytes > region->cap - region->used) {
    int64_t head = (int64_t)sizeof(struct pt_region_chunk);
    int64_t want = pt_min(pt_max(2 * region->cap, CHUNK_MIN), CHUNK_MAX);
    want = pt_max(want, bytes + head);
    struct pt_region_chunk *c = pt_alloc(region->mem, want, 1, PT_MEM_OTHER, err);
    if (!c) return NULL;
    c->older = region->chunk;
    region->chunk = c;
    region->used = head;
    region->cap = want;
  }
  void *p = (char *)region->chunk + region->used;
  region->used += bytes;
  return memset(p, 0, (size_t)bytes);
}

void pt_region_free(struct pt_region *region) {
  while (region->chunk) {
    struct pt_region_chunk *older = region->chunk->older;
    pt_free(region->mem, region->chunk);
    region->chunk = older;
  }
  region->used = region->cap = 0;
}

/* ---- building ---- */

struct pt_value *pt_value_new(struct pt_region *region, enum pt_kind kind,
                              const struct pt_pos *at, struct ptv3_error *err) {
  struct pt_value *v = pt_region_take(region, (int64_t)sizeof *v, err);
  if (!v) return NULL;
  v->kind = kind;
  v->at = *at;
  return v;
}

struct pt_value *pt_value_str(struct pt_region *region, const char *s, int64_t n,
                              const struct pt_pos *at, struct ptv3_error *err) {
  struct pt_value *v = pt_value_new(region, PT_V_STR, at, err);
  char *c = v ? pt_region_take(region, n + 1, err) : NULL;
  if (!c) return NULL;
  if (n > 0) memcpy(c, s, (size_t)n);
  v->str = c;
  v->n = n;
  return v;
}

/* Makes room for one more item of size bytes in *array. */
static int room(struct pt_region *region, struct pt_value *v, void **array, int64_t size,
                struct ptv3_error *err) {
  if (v->n < v->cap) return PTV3_OK;
  int64_t cap = pt_max(4, 2 * v->cap);
  struct ptv3_error e = {0};
  void *p = pt_region_take(region, cap * size, &e);
  if (!p) {
    if (err) *err = e;
    return e.status;
  }
  if (v->n > 0) memcpy(p, *array, (size_t)(v->n * size));
  *array = p;
  v->cap = cap;
  return PTV3_OK;
}

int pt_list_add(struct pt_region *region, struct pt_value *list, struct pt_value *item,
                struct ptv3_error *err) {
  void *array = list->item;
  int status = room(region, list, &array, (int64_t)sizeof *list->item, err);
  if (status) return status;
  list->item = array;
  list->item[list->n++] = item;
  return PTV3_OK;
}

static uint64_t mix(uint64_t h) {
  h ^= h >> 33;
  h *= UINT64_C(0xff51afd7ed558ccd);
  h ^= h >> 33;
  h *= UINT64_C(0xc4ceb9fe1a85ec53);
  return h ^ h >> 33;
}

static uint64_t hash_bytes(const char *s, int64_t n) {
  uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)n;
  for (int64_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
  return mix(h);
}

static bool is_number(const struct pt_value *v) {
  return v->kind == PT_V_BOOL || v->kind == PT_V_INT || v->kind == PT_V_FLOAT;
}

static double as_number(const struct pt_value *v) {
  return v->kind == PT_V_FLOAT ? v->f : v->kind == PT_V_INT ? (double)v->i : (double)v->b;
}

static uint64_t hash_key(const struct pt_value *k) {
  if (k->kind == PT_V_STR) return hash_bytes(k->str, k->n);
  if (!is_number(k)) return 1;
  double d = as_number(k) + 0.0; /* -0.0 and 0.0 are one key */
  uint64_t u;
  memcpy(&u, &d, sizeof u);
  return mix(u);
}

static bool same_key(const struct pt_value *a, const struct pt_value *b) {
  if (a->kind == PT_V_STR || b->kind == PT_V_STR)
    return a->kind == b->kind && a->n == b->n && memcmp(a->str, b->str, (size_t)a->n) == 0;
  if (a->kind == PT_V_INT && b->kind == PT_V_INT) return a->i == b->i;
  if (is_number(a) && is_number(b)) return as_number(a) == as_number(b);
  return a->kind == PT_V_NONE && b->kind == PT_V_NONE;
}

static void index_add(struct pt_value *d, int64_t i) {
  uint64_t mask = (uint64_t)d->n_slot - 1, p = d->entry[i].hash & mask;
  while (d->slot[p]) p = (p + 1) & mask;
  d->slot[p] = (int32_t)(i + 1);
}

static struct pt_entry *find(const struct pt_value *d, const struct pt_value *key,
                             uint64_t hash) {
  if (!d->slot) {
    for (int64_t i = 0; i < d->n; i++)
      if (d->entry[i].hash == hash && same_key(d->entry[i].key, key)) return &d->entry[i];
    return NULL;
  }
  uint64_t mask = (uint64_t)d->n_slot - 1;
  for (uint64_t p = hash & mask; d->slot[p]; p = (p + 1) & mask) {
    struct pt_entry *e = &d->entry[d->slot[p] - 1];
    if (e->hash == hash && same_key(e->key, key)) return e;
  }
  return NULL;
}

struct pt_entry *pt_dict_find(const struct pt_value *dict, const struct pt_value *key) {
  return find(dict, key, hash_key(key));
}

struct pt_entry *pt_dict_find_str(const struct pt_value *dict, const char *key, int64_t n) {
  struct pt_value k = {.kind = PT_V_STR, .str = key, .n = n};
  return find(dict, &k, hash_bytes(key, n));
}

/* Gives a dict that has grown an index with at least twice as many slots as entries. */
static int index_grow(struct pt_region *region, struct pt_value *d, struct ptv3_error *err) {
  if (d->n < INDEX_FROM || (d->slot && 2 * d->n < d->n_slot)) return PTV3_OK;
  if (d->n > INT32_MAX / 8)
    return pt_fail(err, PTV3_CONFIG, "a dict with %lld keys", (long long)d->n);
  int64_t n = pt_max(32, 2 * d->n_slot);
  struct ptv3_error e = {0};
  int32_t *slot = pt_region_take(region, n * (int64_t)sizeof *slot, &e);
  if (!slot) {
    if (err) *err = e;
    return e.status;
  }
  d->slot = slot;
  d->n_slot = n;
  for (int64_t i = 0; i < d->n; i++) index_add(d, i);
  return PTV3_OK;
}

int pt_dict_put(struct pt_region *region, struct pt_value *dict, struct pt_value *key,
                struct pt_value *value, const struct pt_pos *at, struct ptv3_error *err) {
  uint64_t hash = hash_key(key);
  struct pt_entry *e = find(dict, key, hash);
  if (e) {
    e->value = value;
    e->at = *at;
    return PTV3_OK;
  }
  void *array = dict->entry;
  int status = index_grow(region, dict, err);
  if (!status) status = room(region, dict, &array, (int64_t)sizeof *dict->entry, err);
  if (status) return status;
  dict->entry = array;
  dict->entry[dict->n++] = (struct pt_entry){key, value, *at, hash, false, false};
  if (dict->slot) index_add(dict, dict->n - 1);
  return PTV3_OK;
}

void pt_dict_remove(struct pt_value *dict, struct pt_entry *entry) {
  int64_t i = entry - dict->entry;
  memmove(entry, entry + 1, (size_t)(dict->n - i - 1) * sizeof *entry);
  dict->n--;
  if (!dict->slot) return;
  memset(dict->slot, 0, (size_t)dict->n_slot * sizeof *dict->slot);
  for (int64_t k = 0; k < dict->n; k++) index_add(dict, k);
}

/* ---- messages ---- */

const char *pt_kind_text(enum pt_kind kind) {
  static const char *const text[] = {"None",
                                     "a bool",
                                     "an integer",
                                     "a float",
                                     "a string",
                                     "a list",
                                     "a tuple",
                                     "a dict",
                                     "a range",
                                     "a function",
                                     "a {{ _base_ }} variable"};
  return text[kind];
}

int pt_fail_pos(struct ptv3_error *err, int status, const struct pt_pos *at, const char *fmt,
                ...) {
  char text[sizeof err->message];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  const char *file = at->file ? at->file : "configuration";
  if (at->line <= 0) return pt_fail(err, status, "%s: %s", file, text);
  return pt_fail(err, status, "%s:%d:%d: %s", file, at->line, at->column, text);
}

/* The last part of v's path: its key, or its number in a list. */
static void last_part(const struct pt_value *v, char *buf, size_t size) {
  const struct pt_value *p = v->parent;
  char number[32];
  snprintf(buf, size, "?");
  for (int64_t i = 0; i < p->n; i++) {
    if (p->kind != PT_V_DICT) {
      if (p->item[i] == v) snprintf(buf, size, "%lld", (long long)i);
      continue;
    }
    if (p->entry[i].value != v) continue;
    const struct pt_value *k = p->entry[i].key;
    if (k->kind == PT_V_STR) snprintf(buf, size, "%s", k->str);
    if (k->kind == PT_V_INT) snprintf(buf, size, "%lld", (long long)k->i);
    if (k->kind == PT_V_FLOAT) snprintf(buf, size, "%s", pt_float_repr(k->f, number));
    if (k->kind == PT_V_BOOL) snprintf(buf, size, k->b ? "True" : "False");
    if (k->kind == PT_V_NONE) snprintf(buf, size, "None");
  }
}

const char *pt_value_path(const struct pt_value *v, char *buf, int64_t size) {
  char part[256];
  buf[0] = 0;
  for (; v && v->parent; v = v->parent) {
    last_part(v, part, sizeof part);
    int64_t have = (int64_t)strlen(buf), n = (int64_t)strlen(part);
    int64_t add = n + (have > 0);
    int64_t keep = pt_min(have, size - 1 - add);
    if (keep < 0) break; /* the nearer parts say more than the farther ones */
    memmove(buf + add, buf, (size_t)keep);
    buf[add + keep] = 0;
    memcpy(buf, part, (size_t)n);
    if (have) buf[n] = '.';
  }
  return buf;
}

int pt_fail_value(struct ptv3_error *err, const struct pt_value *v, const char *fmt, ...) {
  char text[sizeof err->message], path[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (!v) return pt_fail(err, PTV3_CONFIG, "%s", text);
  pt_value_path(v, path, sizeof path);
  return pt_fail_pos(err, PTV3_CONFIG, &v->at, path[0] ? "%s: %s" : "%s%s", path, text);
}

static int wrong_type(const struct pt_value *v, const char *want, struct ptv3_error *err) {
  return pt_fail_value(err, v, "expected %s, not %s", want, pt_kind_text(v->kind));
}

/* ---- getters ---- */

static struct pt_value *use(struct pt_entry *e) {
  if (!e) return NULL;
  e->used = true;
  return e->value;
}

struct pt_value *pt_get(const struct pt_value *dict, const char *key) {
  if (!pt_is_dict(dict)) return NULL;
  return use(pt_dict_find_str(dict, key, (int64_t)strlen(key)));
}

struct pt_value *pt_get_at(const struct pt_value *dict, int64_t key) {
  struct pt_value k = {.kind = PT_V_INT, .i = key};
  return pt_is_dict(dict) ? use(pt_dict_find(dict, &k)) : NULL;
}

struct pt_value *pt_need(const struct pt_value *dict, const char *key, struct ptv3_error *err) {
  struct pt_value *v = pt_get(dict, key);
  if (!pt_is_none(v)) return v;
  if (v)
    pt_fail_value(err, v, "is None, a value is needed");
  else if (dict && !pt_is_dict(dict))
    pt_fail_value(err, dict, "expected a dict with a key '%s', not %s", key,
                  pt_kind_text(dict->kind));
  else
    pt_fail_value(err, dict, "has no '%s'", key);
  return NULL;
}

struct pt_value *pt_need_dict(const struct pt_value *dict, const char *key,
                              struct ptv3_error *err) {
  struct pt_value *v = pt_need(dict, key, err);
  if (!v || pt_is_dict(v)) return v;
  wrong_type(v, "a dict", err);
  return NULL;
}

struct pt_value *pt_need_list(const struct pt_value *dict, const char *key,
                              struct ptv3_error *err) {
  struct pt_value *v = pt_need(dict, key, err);
  if (!v || pt_is_seq(v)) return v;
  wrong_type(v, "a list", err);
  return NULL;
}

int64_t pt_len(const struct pt_value *v) { return pt_is_seq(v) ? v->n : 0; }

struct pt_value *pt_item(const struct pt_value *v, int64_t i) {
  return i >= 0 && i < pt_len(v) ? v->item[i] : NULL;
}

int pt_as_int(const struct pt_value *v, int64_t *out, struct ptv3_error *err) {
  if (v->kind != PT_V_INT) return wrong_type(v, "an integer", err);
  *out = v->i;
  return PTV3_OK;
}

int pt_as_double(const struct pt_value *v, double *out, struct ptv3_error *err) {
  if (v->kind != PT_V_INT && v->kind != PT_V_FLOAT) return wrong_type(v, "a number", err);
  *out = as_number(v);
  return PTV3_OK;
}

int pt_as_bool(const struct pt_value *v, bool *out, struct ptv3_error *err) {
  bool number = v->kind == PT_V_INT && (v->i == 0 || v->i == 1);
  if (v->kind != PT_V_BOOL && !number) return wrong_type(v, "True or False", err);
  *out = number ? v->i == 1 : v->b;
  return PTV3_OK;
}

int pt_as_str(const struct pt_value *v, const char **out, struct ptv3_error *err) {
  if (v->kind != PT_V_STR) return wrong_type(v, "a string", err);
  if (memchr(v->str, 0, (size_t)v->n)) return pt_fail_value(err, v, "contains a NUL character");
  *out = v->str;
  return PTV3_OK;
}

#define GETTERS(name, type, deftype)                                                      \
  int pt_get_##name(const struct pt_value *dict, const char *key, deftype def, type *out, \
                    struct ptv3_error *err) {                                             \
    const struct pt_value *v = pt_get(dict, key);                                         \
    *out = def;                                                                           \
    return pt_is_none(v) ? PTV3_OK : pt_as_##name(v, out, err);                           \
  }                                                                                       \
  int pt_need_##name(const struct pt_value *dict, const char *key, type *out,             \
                     struct ptv3_error *err) {                                            \
    const struct pt_value *v = pt_need(dict, key, err);                                   \
    return v ? pt_as_##name(v, out, err) : PTV3_CONFIG;                                   \
  }
GETTERS(int, int64_t, int64_t)
GETTERS(double, double, double)
GETTERS(bool, bool, bool)
GETTERS(str, const char *, const char *)

int pt_get_int_in(const struct pt_value *dict, const char *key, int64_t def, int64_t lo,
                  int64_t hi, int64_t *out, struct ptv3_error *err) {
  int status = pt_get_int(dict, key, def, out, err);
  const struct pt_value *v = pt_get(dict, key);
  if (status || pt_is_none(v) || (*out >= lo && *out <= hi)) return status;
  return pt_fail_value(err, v, "is %lld, must be in %lld..%lld", (long long)*out, (long long)lo,
                       (long long)hi);
}

/* The list under key with lo..hi items; *list NULL when absent or None. */
static int get_list(const struct pt_value *dict, const char *key, int64_t lo, int64_t hi,
                    const struct pt_value **list, struct ptv3_error *err) {
  const struct pt_value *v = pt_get(dict, key);
  *list = pt_is_none(v) ? NULL : v;
  if (!*list) return PTV3_OK;
  if (!pt_is_seq(v)) return wrong_type(v, "a list", err);
  if (v->n >= lo && v->n <= hi) return PTV3_OK;
  if (lo == hi)
    return pt_fail_value(err, v, "has %lld items, must have %lld", (long long)v->n,
                         (long long)lo);
  return pt_fail_value(err, v, "has %lld items, must have %lld to %lld", (long long)v->n,
                       (long long)lo, (long long)hi);
}

#define LIST_GETTER(name, type)                                                              \
  int pt_get_##name##s(const struct pt_value *dict, const char *key, int64_t lo, int64_t hi, \
                       type *out, int64_t *n, struct ptv3_error *err) {                      \
    const struct pt_value *list;                                                             \
    *n = 0;                                                                                  \
    int status = get_list(dict, key, lo, hi, &list, err);                                    \
    for (int64_t i = 0; !status && i < pt_len(list); i++)                                    \
      status = pt_as_##name(list->item[i], &out[i], err);                                    \
    if (!status) *n = pt_len(list);                                                          \
    return status;                                                                           \
  }
LIST_GETTER(int, int64_t)
LIST_GETTER(double, double)
LIST_GETTER(bool, bool)

/* ---- unused keys ---- */

void pt_mark_used(const struct pt_value *v) {
  if (!v) return;
  for (int64_t i = 0; pt_is_dict(v) && i < v->n; i++) {
    v->entry[i].used = true;
    pt_mark_used(v->entry[i].value);
  }
  for (int64_t i = 0; i < pt_len(v); i++) pt_mark_used(v->item[i]);
}

void pt_ignore(const struct pt_value *dict, const char *key) {
  pt_mark_used(pt_get(dict, key));
}

void pt_value_unused(const struct pt_value *root,
                     void (*found)(void *user, const char *path, const struct pt_pos *at),
                     void *user) {
  char path[512];
  for (int64_t i = 0; i < pt_len(root); i++) pt_value_unused(root->item[i], found, user);
  for (int64_t i = 0; pt_is_dict(root) && i < root->n; i++) {
    const struct pt_entry *e = &root->entry[i];
    if (e->used)
      pt_value_unused(e->value, found, user);
    else if (!e->read)
      found(user, pt_value_path(e->value, path, sizeof path), &e->at);
  }
}
