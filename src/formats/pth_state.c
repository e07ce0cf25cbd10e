/* pth_state.c - from an unpickled checkpoint to named tensors; see pth.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pth.h"
#include "size.h"

struct state {
  struct pt_tensors *t;
  const struct pt_pickle *p;
  const struct pt_storages *storages;
  const struct pt_cursor *file;
  int64_t name_bytes; /* of all names so far */
  int64_t visits;     /* values of a part looked at so far */
  struct ptv3_error *err;
};

#define MOST_EXTRAS 1000

/* ---- storages ---- */

static const struct {
  const char *storage, *torch; /* torch.FloatStorage, torch.float32 */
  enum pt_dtype type;
} types[] = {
    {"FloatStorage", "float32", PT_F32}, {"DoubleStorage", "float64", PT_F64},
    {"HalfStorage", "float16", PT_F16},  {"BFloat16Storage", "bfloat16", PT_BF16},
    {"LongStorage", "int64", PT_I64},    {"IntStorage", "int32", PT_I32},
    {"ShortStorage", "int16", PT_I16},   {"CharStorage", "int8", PT_I8},
    {"ByteStorage", "uint8", PT_U8},     {"BoolStorage", "bool", PT_BOOL},
    {"UInt16Storage", "uint16", PT_U16}, {"UInt32Storage", "uint32", PT_U32},
    {"UInt64Storage", "uint64", PT_U64},
};
#define TYPES (sizeof types / sizeof *types)

static bool storage_type(const struct pt_pickle *p, pt_pref v, struct pt_storage_ref *ref) {
  ref->untyped = pt_pickle_is_global(p, v, NULL, "UntypedStorage");
  ref->type = PT_U8;
  if (ref->untyped) return true;
  for (size_t i = 0; i < TYPES; i++)
    if (pt_pickle_is_global(p, v, NULL, types[i].storage)) {
      ref->type = types[i].type;
      return true;
    }
  return false;
}

/* ('storage', type, key, location, count[, None or (view key, offset, count)]) */
bool pt_storage_ref(const struct pt_pickle *p, pt_pref v, struct pt_storage_ref *ref) {
  pt_pref id, tag, type, key, count, view, x;
  if (pt_pnode(p, v)->kind != PT_PK_PERSID) return false;
  id = pt_pnode(p, v)->id;
  if (!pt_pickle_item(p, id, 0, &tag) || !pt_pickle_is(p, tag, "storage") ||
      !pt_pickle_item(p, id, 1, &type) || !pt_pickle_item(p, id, 2, &key) ||
      pt_pnode(p, key)->kind != PT_PK_STR || !pt_pickle_item(p, id, 4, &count) ||
      !pt_pickle_int(p, count, &ref->count) || ref->count < 0 || !storage_type(p, type, ref))
    return false;
  ref->key = pt_pnode(p, key)->str.s;
  ref->key_len = pt_pnode(p, key)->str.n;
  ref->offset = 0;
  if (!pt_pickle_item(p, id, 5, &view) || pt_pnode(p, view)->kind == PT_PK_NONE) return true;
  return pt_pickle_item(p, view, 1, &x) && pt_pickle_int(p, x, &ref->offset) &&
         ref->offset >= 0 && pt_pickle_item(p, view, 2, &x) &&
         pt_pickle_int(p, x, &ref->count) && ref->count >= 0;
}

/* ---- tensors ---- */

/* The arguments of the call that rebuilds a tensor: looks through nn.Parameter and through
 * tensors with attributes. *version is that of _rebuild_tensor. False: not a tensor. */
static bool tensor_call(const struct pt_pickle *p, pt_pref v, pt_pref *args, int *version) {
  static const char utils[] = "torch._utils";
  for (int i = 0; i < 8; i++) {
    const struct pt_pnode *n = pt_pnode(p, v);
    pt_pref func = n->o.callable;
    if (n->kind != PT_PK_OBJECT) return false;
    *args = n->o.args;
    if (pt_pickle_is_global(p, func, utils, "_rebuild_parameter") ||
        pt_pickle_is_global(p, func, utils, "_rebuild_parameter_with_state")) {
      if (!pt_pickle_item(p, *args, 0, &v)) return false;
      continue;
    }
    if (pt_pickle_is_global(p, func, "torch._tensor", "_rebuild_from_type_v2")) {
      pt_pref list = *args;
      if (!pt_pickle_item(p, list, 0, &func) || !pt_pickle_item(p, list, 2, args)) return false;
    }
    *version = pt_pickle_is_global(p, func, utils, "_rebuild_tensor")      ? 1
               : pt_pickle_is_global(p, func, utils, "_rebuild_tensor_v2") ? 2
               : pt_pickle_is_global(p, func, utils, "_rebuild_tensor_v3") ? 3
                                                                           : 0;
    return *version > 0;
  }
  return false;
}

/* A tuple of at most PT_TENSOR_DIMS counts; -1 if it is none. */
static int read_dims(const struct pt_pickle *p, pt_pref v, int64_t dim[PT_TENSOR_DIMS]) {
  const struct pt_pnode *n = pt_pnode(p, v);
  if (n->kind != PT_PK_TUPLE && n->kind != PT_PK_LIST) return -1;
  if (n->o.items.count > PT_TENSOR_DIMS) return -1;
  int k = 0;
  for (uint32_t c = n->o.items.first; c; c = p->cell[c].next, k++)
    if (!pt_pickle_int(p, p->cell[c].value, &dim[k]) || dim[k] < 0) return -1;
  return k;
}

static bool read_torch_type(const struct pt_pickle *p, pt_pref args, enum pt_dtype *type) {
  pt_pref v;
  if (!pt_pickle_item(p, args, 6, &v)) return false;
  for (size_t i = 0; i < TYPES; i++)
    if (pt_pickle_is_global(p, v, "torch", types[i].torch)) {
      *type = types[i].type;
      return true;
    }
  return false;
}

/* The last element's position + 1, from the start of the view; false on overflow. */
static bool extent_of(const struct pt_tensor *x, int64_t *extent) {
  *extent = x->count > 0;
  for (int d = 0; d < x->ndim && x->count > 0; d++) {
    int64_t step;
    if (!pt_mul(x->shape[d] - 1, x->stride[d], &step) || !pt_add(*extent, step, extent))
      return false;
  }
  return true;
}

/* What a tensor value says. WRONG: a tensor, but one that cannot be. */
enum found { NOT_A_TENSOR, FOUND, WRONG };

struct view {
  struct pt_storage_ref ref;
  int64_t first; /* byte of the first element in the storage that ref.key names */
  int64_t bytes; /* of that storage, at least */
};

static enum found read_view(const struct pt_pickle *p, pt_pref v, struct pt_tensor *x,
                            struct view *w) {
  pt_pref args, storage, offset, size, stride;
  int version;
  int64_t at, extent, stored, strides[PT_TENSOR_DIMS];
  if (!tensor_call(p, v, &args, &version)) return NOT_A_TENSOR;
  if (!pt_pickle_item(p, args, 0, &storage) || !pt_storage_ref(p, storage, &w->ref))
    return NOT_A_TENSOR;
  if (!pt_pickle_item(p, args, 1, &offset) || !pt_pickle_item(p, args, 2, &size) ||
      !pt_pickle_item(p, args, 3, &stride) || !pt_pickle_int(p, offset, &at) || at < 0)
    return WRONG;
  x->type = w->ref.type;
  if (version == 3 && !read_torch_type(p, args, &x->type)) return NOT_A_TENSOR;
  if (version != 3 && w->ref.untyped) return WRONG;
  x->ndim = read_dims(p, size, x->shape);
  if (x->ndim < 0 || !pt_tensor_pack(x) || read_dims(p, stride, strides) != x->ndim)
    return WRONG;
  memcpy(x->stride, strides, sizeof(int64_t) * (size_t)x->ndim);
  int64_t unit = pt_dtype(x->type)->bytes, stored_unit = pt_dtype(w->ref.type)->bytes;
  if (!extent_of(x, &extent) || !pt_add(at, extent, &extent) ||
      !pt_mul(extent, unit, &extent) || !pt_mul(w->ref.count, stored_unit, &stored) ||
      (x->count > 0 && extent > stored))
    return WRONG;
  if (!pt_mul(w->ref.offset, stored_unit, &w->first) || !pt_add(w->first, stored, &w->bytes))
    return WRONG;
  w->first += x->count > 0 ? at * unit : 0;
  return FOUND;
}

/* Reads the tensor v into x without name; *found says whether it is one. */
static int read_tensor(struct state *s, pt_pref v, const char *name, int name_len,
                       struct pt_tensor *x, enum found *found) {
  struct view w = {0};
  const uint8_t *data;
  int64_t bytes;
  *x = (struct pt_tensor){0};
  *found = read_view(s->p, v, x, &w);
  if (*found == NOT_A_TENSOR) return PTV3_OK;
  if (*found == WRONG)
    return pt_fail(s->err, PTV3_FORMAT,
                   "'%s': tensor '%.*s' has a shape, strides or an offset that do not fit its "
                   "storage; the file is damaged",
                   s->file->name, name_len, name);
  int status =
      s->storages->find(s->storages->user, w.ref.key, w.ref.key_len, &data, &bytes, s->err);
  if (status) return status;
  if (w.bytes > bytes)
    return pt_fail(
        s->err, PTV3_FORMAT,
        "'%s': tensor '%.*s' needs %lld bytes of storage '%.*s', which has %lld; the "
        "file is damaged",
        s->file->name, name_len, name, (long long)w.bytes, (int)pt_min(w.ref.key_len, 60),
        w.ref.key, (long long)bytes);
  x->data = data + w.first;
  return PTV3_OK;
}

/* ---- numbers ---- */

/* The bytes of a numpy scalar: bytes, or text that stands for them in Latin-1. */
static int raw_bytes(const struct pt_pickle *p, pt_pref v, uint8_t out[8]) {
  pt_pref text = v;
  if (pt_pickle_is_call(p, v, "_codecs", "encode") &&
      !pt_pickle_item(p, pt_pnode(p, v)->o.args, 0, &text))
    return 0;
  const struct pt_pnode *n = pt_pnode(p, text);
  if (n->kind != PT_PK_STR && n->kind != PT_PK_BYTES) return 0;
  int count = 0;
  for (int64_t i = 0; i < n->str.n; i++) {
    uint8_t b = (uint8_t)n->str.s[i];
    if (text != v && b >= 0xc2 && b <= 0xc3 && i + 1 < n->str.n) /* U+0080 to U+00FF */
      b = (uint8_t)(b << 6 | ((uint8_t)n->str.s[++i] & 0x3f));
    if (count == 8) return 0;
    out[count++] = b;
  }
  return count;
}

/* numpy.core.multiarray.scalar(dtype, bytes) */
static bool numpy_scalar(const struct pt_pickle *p, pt_pref v, double *out) {
  pt_pref dtype, bytes, kind, order;
  if (!pt_pickle_is_call(p, v, "numpy.core.multiarray", "scalar") &&
      !pt_pickle_is_call(p, v, "numpy._core.multiarray", "scalar"))
    return false;
  pt_pref args = pt_pnode(p, v)->o.args;
  if (!pt_pickle_item(p, args, 0, &dtype) || !pt_pickle_item(p, args, 1, &bytes) ||
      !pt_pickle_is_call(p, dtype, "numpy", "dtype") ||
      !pt_pickle_item(p, pt_pnode(p, dtype)->o.args, 0, &kind))
    return false;
  uint8_t raw[8], swapped[8];
  int n = raw_bytes(p, bytes, raw);
  bool big =
      pt_pickle_item(p, pt_pnode(p, dtype)->o.state, 1, &order) && pt_pickle_is(p, order, ">");
  for (int i = 0; i < n; i++) swapped[i] = raw[big ? n - 1 - i : i];
  for (int t = 0; t < PT_DTYPE_COUNT; t++) {
    const struct pt_dtype_info *info = pt_dtype((enum pt_dtype)t);
    if (info->numpy[0] && pt_pickle_is(p, kind, info->numpy) && info->bytes == n) {
      *out = pt_load(swapped, (enum pt_dtype)t, 0);
      return true;
    }
  }
  return false;
}

/* A Python or numpy number, or a tensor of one element. */
static bool read_number(struct state *s, pt_pref v, double *out) {
  const struct pt_pnode *n = pt_pnode(s->p, v);
  struct pt_tensor x;
  enum found found;
  struct state quiet = *s;
  quiet.err = NULL;
  switch (n->kind) {
    case PT_PK_BOOL:
    case PT_PK_INT: *out = (double)n->i; return true;
    case PT_PK_FLOAT: *out = n->f; return true;
    case PT_PK_OBJECT: break;
    default: return false;
  }
  if (numpy_scalar(s->p, v, out)) return true;
  if (read_tensor(&quiet, v, "", 0, &x, &found) || found != FOUND || x.count != 1) return false;
  *out = pt_load(x.data, x.type, 0);
  return true;
}

static void read_metrics(struct state *s, pt_pref root) {
  pt_pref v;
  double d;
  struct pt_tensors *t = s->t;
  t->has_best =
      pt_pickle_get(s->p, root, "best_metric_value", &v) && read_number(s, v, &t->best);
  if (!pt_pickle_get(s->p, root, "epoch", &v)) return;
  t->has_epoch = pt_pickle_int(s->p, v, &t->epoch);
  if (!t->has_epoch && read_number(s, v, &d) && fabs(d) < 0x1p53) {
    t->has_epoch = true;
    t->epoch = (int64_t)d;
  }
}

/* ---- the state_dict ---- */

static bool is_dict(const struct pt_pickle *p, pt_pref v) {
  enum pt_pkind k = pt_pnode(p, v)->kind;
  return k == PT_PK_DICT || k == PT_PK_OBJECT;
}

/* The name as the model has it, copied. */
static int copy_name(struct state *s, const char *name, int64_t n, const char **out) {
  if (n >= 7 && memcmp(name, "module.", 7) == 0) {
    name += 7, n -= 7;
    s->t->had_module = true;
  }
  /* Names are distinct and lie in the pickle, so together they are no larger. */
  s->name_bytes += n;
  if (memchr(name, 0, (size_t)n) || s->name_bytes > s->p->bytes)
    return pt_fail(s->err, PTV3_FORMAT, "'%s': damaged tensor names", s->file->name);
  struct ptv3_error e = {0};
  char *copy = pt_strndup(s->t->mem, name, n, &e);
  if (!copy || pt_tensors_own(s->t, copy, &e)) {
    if (s->err) *s->err = e;
    return e.status;
  }
  *out = copy;
  return PTV3_OK;
}

/* What a value is, in words: a numpy number or a tensor says more than its class. */
static void value_text(struct state *s, pt_pref v, char text[static 160]) {
  char shape[192];
  double d;
  struct pt_tensor x;
  enum found found;
  struct state quiet = *s;
  quiet.err = NULL;
  pt_pickle_kind_text(s->p, v, text);
  if (pt_pnode(s->p, v)->kind != PT_PK_OBJECT) return;
  if (read_number(s, v, &d))
    snprintf(text, 160, "%.9g", d);
  else if (read_tensor(&quiet, v, "", 0, &x, &found) == PTV3_OK && found == FOUND)
    snprintf(text, 160, "%s tensor %.120s", pt_dtype(x.type)->safetensors,
             pt_shape_text(&x, shape));
  else if (strncmp(text, "torch._utils._rebuild_", 22) == 0)
    snprintf(text, 160, "tensor of a kind that is not read");
}

static int add_extra(struct state *s, pt_pref key, pt_pref value) {
  const struct pt_pnode *k = pt_pnode(s->p, key);
  char kind[160], text[160];
  bool is_text = k->kind == PT_PK_STR;
  if (s->t->extras >= MOST_EXTRAS) return PTV3_OK;
  value_text(s, value, text);
  if (is_text)
    return pt_tensors_push_extra(s->t, k->str.s, pt_min(k->str.n, 200), text, s->err);
  pt_pickle_kind_text(s->p, key, kind);
  return pt_tensors_push_extra(s->t, kind, (int64_t)strlen(kind), text, s->err);
}

static int add_entry(struct state *s, pt_pref key, pt_pref value) {
  const struct pt_pnode *k = pt_pnode(s->p, key);
  struct pt_tensor x, *slot;
  enum found found = NOT_A_TENSOR;
  int status = PTV3_OK;
  if (k->kind == PT_PK_STR)
    status = read_tensor(s, value, k->str.s, (int)pt_min(k->str.n, 200), &x, &found);
  if (status) return status;
  if (found != FOUND) return add_extra(s, key, value);
  status = copy_name(s, k->str.s, k->str.n, &x.name);
  if (status) return status;
  struct ptv3_error e = {0};
  slot = pt_tensors_push(s->t, &e);
  if (slot)
    *slot = x;
  else if (s->err)
    *s->err = e;
  return e.status;
}

/* Calls add for each pair of a dict, except the key `except`. */
static int each_pair(struct state *s, pt_pref dict, const char *except,
                     int (*add)(struct state *s, pt_pref key, pt_pref value)) {
  const struct pt_pickle *p = s->p;
  int status = PTV3_OK;
  uint32_t c = pt_pnode(p, dict)->o.items.first;
  while (c && p->cell[c].next && !status) {
    pt_pref key = p->cell[c].value;
    c = p->cell[c].next;
    if (!except || !pt_pickle_is(p, key, except)) status = add(s, key, p->cell[c].value);
    c = p->cell[c].next;
  }
  return status;
}

static int no_weights(struct state *s, pt_pref root) {
  char text[160];
  return pt_fail(s->err, PTV3_FORMAT,
                 "'%s' holds no weights: its pickle is a %s without tensors, and without a "
                 "'state_dict', 'model_state_dict' or 'model' that has some; save "
                 "model.state_dict()",
                 s->file->name, pt_pickle_kind_text(s->p, root, text));
}

/* ---- another part of the file ---- */

#define PATH_MAX_BYTES 512
#define DEPTH_MAX 8

struct path {
  char text[PATH_MAX_BYTES];
  int64_t n;
};

/* A value that is no container. Numbers are given in full. */
static int add_leaf(struct state *s, const struct path *at, pt_pref v) {
  char text[160];
  double d;
  const struct pt_pnode *n = pt_pnode(s->p, v);
  if (n->kind == PT_PK_FLOAT || (n->kind == PT_PK_OBJECT && read_number(s, v, &d)))
    snprintf(text, sizeof text, "%.17g", n->kind == PT_PK_FLOAT ? n->f : d);
  else
    pt_pickle_kind_text(s->p, v, text);
  return pt_tensors_push_extra(s->t, at->text, at->n, text, s->err);
}

static int add_named(struct state *s, const struct path *at, struct pt_tensor x) {
  struct ptv3_error e = {0};
  struct pt_tensor *slot = NULL;
  char *copy = pt_strndup(s->t->mem, at->text, at->n, &e);
  if (copy && pt_tensors_own(s->t, copy, &e) == PTV3_OK) slot = pt_tensors_push(s->t, &e);
  if (slot) {
    *slot = x;
    slot->name = copy;
  } else if (s->err) {
    *s->err = e;
  }
  return e.status;
}

/* Adds ".key" to a path; false if it gets too long. */
static bool path_add(const struct pt_pickle *p, struct path *at, pt_pref key, int64_t index) {
  char text[160];
  const struct pt_pnode *k = pt_pnode(p, key);
  const char *s = text;
  if (index >= 0)
    snprintf(text, sizeof text, "%lld", (long long)index);
  else if (k->kind != PT_PK_STR)
    pt_pickle_kind_text(p, key, text);
  int64_t n = (int64_t)strlen(text);
  if (index < 0 && k->kind == PT_PK_STR) s = k->str.s, n = k->str.n;
  if (at->n + n + 2 > PATH_MAX_BYTES || memchr(s, 0, (size_t)n)) return false;
  if (at->n) at->text[at->n++] = '.';
  memcpy(at->text + at->n, s, (size_t)n);
  at->n += n;
  return true;
}

/* Values can be shared, so that few bytes describe a huge tree: no more values are visited
 * than the pickle has bytes. */
static int walk(struct state *s, struct path *at, pt_pref v, int depth) {
  const struct pt_pickle *p = s->p;
  const struct pt_pnode *n = pt_pnode(p, v);
  struct pt_tensor x;
  enum found found;
  int status = read_tensor(s, v, at->text, (int)at->n, &x, &found);
  if (status) return status;
  if (found == FOUND) return add_named(s, at, x);
  bool pairs = n->kind == PT_PK_DICT || (n->kind == PT_PK_OBJECT && n->o.items.count);
  bool list = n->kind == PT_PK_LIST || n->kind == PT_PK_TUPLE;
  if (!pairs && !list) return add_leaf(s, at, v);
  int64_t length = at->n, index = 0;
  for (uint32_t c = n->o.items.first; c && !status; c = p->cell[c].next) {
    pt_pref key = p->cell[c].value;
    if (pairs && !(c = p->cell[c].next)) break;
    if (++s->visits > p->bytes || depth == DEPTH_MAX ||
        !path_add(p, at, key, list ? index++ : -1))
      return pt_fail(s->err, PTV3_UNSUPPORTED, "'%s': the values under '%.*s' nest too deeply",
                     s->file->name, (int)at->n, at->text);
    status = walk(s, at, p->cell[c].value, depth + 1);
    at->n = length;
  }
  return status;
}

static int read_part(struct state *s, const char *part) {
  pt_pref v;
  struct path at = {.n = 0};
  if (!pt_pickle_get(s->p, s->p->root, part, &v))
    return pt_fail(s->err, PTV3_DATA, "'%s' has no '%s'", s->file->name, part);
  int status = walk(s, &at, v, 0);
  if (status) return status;
  read_metrics(s, s->p->root);
  return pt_tensors_index(s->t, s->file->name, s->err);
}

/* ---- the checkpoint ---- */

int pt_state_read(struct pt_tensors *t, const struct pt_pickle *p,
                  const struct pt_storages *storages, const struct pt_cursor *file,
                  const char *part, struct ptv3_error *err) {
  static const char *const keys[] = {"state_dict", "model_state_dict", "model"};
  struct state s = {t, p, storages, file, 0, 0, err};
  pt_pref weights = p->root, v;
  const char *key = NULL;
  if (part) return read_part(&s, part);
  for (size_t i = 0; i < 3 && !key; i++)
    if (pt_pickle_get(p, p->root, keys[i], &v) && is_dict(p, v)) {
      key = keys[i];
      weights = v;
    }
  if (!is_dict(p, weights)) return no_weights(&s, p->root);
  int status = each_pair(&s, weights, NULL, add_entry);
  if (!status && key) status = each_pair(&s, p->root, key, add_extra);
  if (status) return status;
  if (!t->count) return no_weights(&s, p->root);
  read_metrics(&s, p->root);
  return pt_tensors_index(t, file->name, err);
}
