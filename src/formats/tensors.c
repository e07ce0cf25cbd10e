/* tensors.c - see tensors.h. */
#include "tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"

const char *pt_tensors_format_text(enum pt_tensors_format f) {
  switch (f) {
    case PT_TENSORS_SAFETENSORS: return "safetensors";
    case PT_TENSORS_PTH: return "PyTorch .pth (zip)";
    case PT_TENSORS_PTH_LEGACY: return "PyTorch .pth (before 1.6)";
    default: return "memory";
  }
}

/* ---- the set ---- */

void pt_tensors_init(struct pt_tensors *t, struct pt_mem *mem) {
  *t = (struct pt_tensors){.mem = mem};
}

void pt_tensors_free(struct pt_tensors *t) {
  if (!t->mem) return;
  for (int64_t i = 0; i < t->owned_count; i++) pt_free(t->mem, t->owned[i]);
  pt_free(t->mem, t->owned);
  pt_free(t->mem, t->extra);
  pt_free(t->mem, t->by_name);
  pt_free(t->mem, t->item);
  pt_free(t->mem, t->path);
  pt_map_close(&t->map);
  *t = (struct pt_tensors){0};
}

int pt_tensors_own(struct pt_tensors *t, void *block, struct ptv3_error *err) {
  int status = pt_grow(t->mem, &t->owned, &t->owned_cap, t->owned_count + 1, sizeof(void *),
                       PT_MEM_OTHER, err);
  if (status) {
    pt_free(t->mem, block);
    return status;
  }
  t->owned[t->owned_count++] = block;
  return PTV3_OK;
}

struct pt_tensor *pt_tensors_push(struct pt_tensors *t, struct ptv3_error *err) {
  if (pt_grow(t->mem, &t->item, &t->item_cap, t->count + 1, sizeof *t->item, PT_MEM_OTHER, err))
    return NULL;
  struct pt_tensor *x = &t->item[t->count++];
  *x = (struct pt_tensor){0};
  pt_free(t->mem, t->by_name);
  t->by_name = NULL;
  return x;
}

/* A copy of n bytes that can be printed, owned by the set; NULL with *err filled. */
static char *own_text(struct pt_tensors *t, const char *s, int64_t n, struct ptv3_error *err) {
  char *copy = pt_strndup(t->mem, s, n, err);
  if (!copy || pt_tensors_own(t, copy, err)) return NULL;
  for (int64_t i = 0; i < n; i++)
    if ((unsigned char)copy[i] < 32 || copy[i] == 127) copy[i] = '?';
  return copy;
}

int pt_tensors_push_extra(struct pt_tensors *t, const char *key, int64_t n, const char *text,
                          struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_extra x;
  if (!(x.key = own_text(t, key, n, &e)) ||
      !(x.text = own_text(t, text, (int64_t)strlen(text), &e)) ||
      pt_grow(t->mem, &t->extra, &t->extra_cap, t->extras + 1, sizeof x, PT_MEM_OTHER, &e)) {
    if (err) *err = e;
    return e.status;
  }
  t->extra[t->extras++] = x;
  return PTV3_OK;
}

const char *pt_tensors_extra(const struct pt_tensors *t, const char *key) {
  for (int64_t i = 0; i < t->extras; i++)
    if (strcmp(t->extra[i].key, key) == 0) return t->extra[i].text;
  return NULL;
}

int pt_tensors_add(struct pt_tensors *t, const char *name, enum pt_dtype type, int ndim,
                   const int64_t *shape, const void *data, struct ptv3_error *err) {
  struct pt_tensor x = {.type = type, .ndim = ndim, .data = data};
  if (ndim < 0 || ndim > PT_TENSOR_DIMS)
    return pt_fail(err, PTV3_INVALID, "tensor '%s' has %d dimensions; at most %d", name, ndim,
                   PT_TENSOR_DIMS);
  for (int d = 0; d < ndim; d++) x.shape[d] = shape[d];
  if (!pt_tensor_pack(&x))
    return pt_fail(err, PTV3_INVALID, "tensor '%s': its shape has no size in bytes", name);
  struct ptv3_error e = {0};
  char *copy = pt_strdup(t->mem, name, &e);
  struct pt_tensor *slot = NULL;
  if (copy && pt_tensors_own(t, copy, &e) == PTV3_OK) slot = pt_tensors_push(t, &e);
  if (!slot) {
    if (err) *err = e;
    return e.status;
  }
  x.name = copy;
  *slot = x;
  return PTV3_OK;
}

/* ---- names ---- */

struct named {
  const char *name;
  int64_t i;
};

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

int pt_tensors_index(struct pt_tensors *t, const char *file, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct named *s = pt_alloc(t->mem, t->count, sizeof *s, PT_MEM_OTHER, &e);
  int64_t *index = s ? pt_alloc(t->mem, t->count, sizeof *index, PT_MEM_OTHER, &e) : NULL;
  if (!index) goto out;
  for (int64_t i = 0; i < t->count; i++) s[i] = (struct named){t->item[i].name, i};
  qsort(s, (size_t)t->count, sizeof *s, by_name);
  for (int64_t i = 0; i < t->count && !e.status; i++) {
    index[i] = s[i].i;
    if (i > 0 && strcmp(s[i - 1].name, s[i].name) == 0)
      pt_fail(&e, PTV3_FORMAT, "'%s' has two tensors named '%.200s'", file, s[i].name);
  }
  pt_free(t->mem, t->by_name);
  t->by_name = NULL;
  if (!e.status) {
    t->by_name = index;
    index = NULL;
  }
out:
  pt_free(t->mem, s);
  pt_free(t->mem, index);
  if (e.status && err) *err = e;
  return e.status;
}

static const struct pt_tensor *find_linear(const struct pt_tensors *t, const char *name) {
  for (int64_t i = 0; i < t->count; i++)
    if (strcmp(t->item[i].name, name) == 0) return &t->item[i];
  return NULL;
}

const struct pt_tensor *pt_tensors_find(const struct pt_tensors *t, const char *name) {
  if (!t->by_name) return find_linear(t, name);
  int64_t lo = 0, hi = t->count;
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    const struct pt_tensor *x = &t->item[t->by_name[mid]];
    int c = strcmp(name, x->name);
    if (c == 0) return x;
    if (c < 0)
      hi = mid;
    else
      lo = mid + 1;
  }
  return NULL;
}

/* ---- one tensor ---- */

bool pt_tensor_pack(struct pt_tensor *t) {
  int64_t n = 1, bytes;
  for (int d = t->ndim - 1; d >= 0; d--) {
    t->stride[d] = n;
    /* An empty tensor keeps the strides that torch gives it: as if 0 were 1. */
    if (t->shape[d] < 0 || !pt_mul(n, pt_max(t->shape[d], 1), &n)) return false;
  }
  if (!pt_mul(n, pt_dtype(t->type)->bytes, &bytes)) return false;
  t->count = n;
  for (int d = 0; d < t->ndim; d++)
    if (t->shape[d] == 0) t->count = 0;
  return true;
}

bool pt_tensor_contiguous(const struct pt_tensor *t) {
  int64_t n = 1;
  if (t->count == 0) return true;
  for (int d = t->ndim - 1; d >= 0; d--) {
    if (t->shape[d] != 1 && t->stride[d] != n) return false;
    n *= t->shape[d];
  }
  return true;
}

const char *pt_shape_text(const struct pt_tensor *t, char buf[static 192]) {
  size_t n = 0;
  buf[n++] = '[';
  for (int d = 0; d < t->ndim; d++)
    n += (size_t)snprintf(buf + n, 191 - n, d ? ", %lld" : "%lld", (long long)t->shape[d]);
  buf[n] = ']';
  buf[n + 1] = 0;
  return buf;
}

/* ---- copying ---- */

/* A walk over the elements in C order. */
struct walk {
  int64_t at[PT_TENSOR_DIMS];
  int64_t pos; /* elements from data */
};

/* Gathers the next n elements of the tensor into buf, unconverted. */
static void gather(const struct pt_tensor *t, struct walk *w, int64_t n, char *buf) {
  size_t size = (size_t)pt_dtype(t->type)->bytes;
  const char *data = t->data;
  for (int64_t i = 0; i < n; i++) {
    memcpy(buf + (size_t)i * size, data + w->pos * (int64_t)size, size);
    for (int d = t->ndim - 1; d >= 0; d--) {
      w->pos += t->stride[d];
      if (++w->at[d] < t->shape[d]) break;
      w->pos -= t->stride[d] * t->shape[d];
      w->at[d] = 0;
    }
  }
}

#define PIECE (PT_TENSOR_PIECE / 8) /* elements; the largest type has 8 bytes */

void pt_tensor_stream(const struct pt_tensor *t, enum pt_dtype to,
                      void (*sink)(void *user, const void *data, int64_t bytes), void *user) {
  char in[PT_TENSOR_PIECE], out[PT_TENSOR_PIECE];
  int64_t from_size = pt_dtype(t->type)->bytes, to_size = pt_dtype(to)->bytes;
  bool flat = pt_tensor_contiguous(t);
  if (t->count == 0) return;
  if (flat && to == t->type) {
    sink(user, t->data, t->count * to_size);
    return;
  }
  struct walk w = {0};
  for (int64_t i = 0; i < t->count; i += PIECE) {
    int64_t n = pt_min(PIECE, t->count - i);
    const char *src = (const char *)t->data + (flat ? i * from_size : 0);
    if (!flat) {
      gather(t, &w, n, in);
      src = in;
    }
    pt_convert(out, to, src, t->type, n);
    sink(user, out, n * to_size);
  }
}

static void append(void *user, const void *data, int64_t bytes) {
  char **dst = user;
  memcpy(*dst, data, (size_t)bytes);
  *dst += bytes;
}

void pt_tensor_copy(const struct pt_tensor *t, enum pt_dtype to, void *dst) {
  char *end = dst;
  pt_tensor_stream(t, to, append, &end);
}

void pt_tensor_copy_f32(const struct pt_tensor *t, float *dst) {
  pt_tensor_copy(t, PT_F32, dst);
}

/* ---- writing ---- */

static bool is_float(enum pt_dtype t) {
  return t == PT_F32 || t == PT_F64 || t == PT_F16 || t == PT_BF16;
}

enum pt_dtype pt_tensors_write_type(const struct pt_tensor *t,
                                    const struct pt_tensors_write *opt) {
  return opt && opt->convert && is_float(t->type) ? opt->type : t->type;
}

int pt_tensors_check_write(struct pt_tensors *t, const char *path,
                           const struct pt_tensors_write *opt, struct ptv3_error *err) {
  if (opt && opt->convert && !is_float(opt->type))
    return pt_fail(err, PTV3_INVALID,
                   "'%s': weights can be stored as F32, F16, BF16 or F64, not %s", path,
                   pt_dtype(opt->type)->safetensors);
  int64_t total = 0, limit = INT64_MAX, bytes;
  if (t->map.size > 0) pt_add(64 << 20, pt_min(t->map.size, INT64_MAX / 128) * 64, &limit);
  for (int64_t i = 0; i < t->count; i++)
    if (!pt_mul(t->item[i].count, pt_dtype(pt_tensors_write_type(&t->item[i], opt))->bytes,
                &bytes) ||
        !pt_add(total, bytes, &total) || total > limit)
      return pt_fail(err, PTV3_DATA,
                     "tensor '%.200s' of '%s' repeats so few numbers so often that writing "
                     "them out would fill the disk; remove it from the file",
                     t->item[i].name, t->path ? t->path : "memory");
  return pt_tensors_index(t, path, err);
}
