/* npy.c - see npy.h. The header is a Python dictionary literal; only the forms NumPy
 * itself accepts are read: three keys, a type string, True or False, a tuple of integers. */
#include "npy.h"

#include <stdio.h>
#include <string.h>

#include "size.h"

/* ---- header text ---- */

struct text {
  const char *p, *end;
  int64_t base; /* file offset of the text's first byte */
  const char *start;
  const char *name;
  struct ptv3_error *err;
};

static int bad(struct text *s, const char *what) {
  return pt_fail_at(s->err, PTV3_FORMAT, s->base + (s->p - s->start),
                    "'%s': its NumPy header is malformed at byte %lld: %s wanted", s->name,
                    (long long)(s->base + (s->p - s->start)), what);
}

static void blanks(struct text *s) {
  while (s->p < s->end && strchr(" \t\r\n", *s->p) && *s->p) s->p++;
}

static bool symbol(struct text *s, char c) {
  blanks(s);
  if (s->p >= s->end || *s->p != c) return false;
  s->p++;
  return true;
}

/* A quoted string without escapes, into out. */
static int quoted(struct text *s, char *out, size_t size, const char *what) {
  blanks(s);
  if (s->p >= s->end || (*s->p != '\'' && *s->p != '"')) return bad(s, what);
  char quote = *s->p++;
  size_t n = 0;
  for (; s->p < s->end && *s->p != quote; s->p++) {
    if (n + 1 >= size || *s->p == '\\' || *s->p == 0) return bad(s, what);
    out[n++] = *s->p;
  }
  if (s->p >= s->end) return bad(s, "a closing quote");
  s->p++;
  out[n] = 0;
  return PTV3_OK;
}

static bool word(struct text *s, const char *w) {
  blanks(s);
  size_t n = strlen(w);
  if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0) return false;
  s->p += n;
  return true;
}

static int integer(struct text *s, int64_t *v) {
  blanks(s);
  if (s->p >= s->end || *s->p < '0' || *s->p > '9') return bad(s, "a count");
  *v = 0;
  for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
    if (!pt_mul(*v, 10, v) || !pt_add(*v, *s->p - '0', v)) return bad(s, "a count below 2^63");
  if (s->p < s->end && *s->p == 'L') s->p++; /* Python 2 wrote long integers so */
  return PTV3_OK;
}

static int shape_of(struct text *s, struct pt_npy *a) {
  if (!symbol(s, '(')) return bad(s, "the tuple of the shape");
  while (!symbol(s, ')')) {
    if (a->ndim == PT_NPY_DIMS) return bad(s, "at most 32 dimensions");
    int status = integer(s, &a->shape[a->ndim]);
    if (status) return status;
    a->ndim++;
    if (symbol(s, ',')) continue;
    if (a->ndim == 1) return bad(s, "a comma");
    if (!symbol(s, ')')) return bad(s, "a comma or ')'");
    break;
  }
  return PTV3_OK;
}

static bool host_little(void) {
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static int type_of(struct text *s, const char *descr, struct pt_npy *a) {
  char order = '=';
  const char *kind = descr;
  if (*kind && strchr("<>|=", *kind)) order = *kind++;
  if (kind[0] == 'O')
    return pt_fail(
        s->err, PTV3_UNSUPPORTED,
        "'%s' holds pickled Python objects, not numbers: save it with a numeric dtype",
        s->name);
  for (int t = 0; t < PT_DTYPE_COUNT; t++) {
    const struct pt_dtype_info *info = pt_dtype((enum pt_dtype)t);
    if (!info->numpy[0] || strcmp(info->numpy, kind) != 0) continue;
    a->type = (enum pt_dtype)t;
    a->swapped = info->bytes > 1 &&
                 ((order == '<' && !host_little()) || (order == '>' && host_little()));
    return PTV3_OK;
  }
  return pt_fail(s->err, PTV3_UNSUPPORTED,
                 "'%s' has dtype '%s': bool, integers of 1 to 8 bytes and floats of 2, 4 or 8 "
                 "bytes can be read",
                 s->name, descr);
}

static int descr_of(struct text *s, struct pt_npy *a) {
  char descr[64];
  blanks(s);
  if (s->p < s->end && *s->p == '[')
    return pt_fail(s->err, PTV3_UNSUPPORTED,
                   "'%s' is a structured array: save each of its fields as an array of its own",
                   s->name);
  int status = quoted(s, descr, sizeof descr, "a dtype string");
  return status ? status : type_of(s, descr, a);
}

static int order_of(struct text *s, struct pt_npy *a) {
  if (word(s, "True"))
    a->fortran = true;
  else if (!word(s, "False"))
    return bad(s, "True or False");
  return PTV3_OK;
}

static int dictionary(struct text *s, struct pt_npy *a) {
  unsigned seen = 0;
  if (!symbol(s, '{')) return bad(s, "'{'");
  while (!symbol(s, '}')) {
    char key[24];
    int status = quoted(s, key, sizeof key, "a key");
    if (status) return status;
    if (!symbol(s, ':')) return bad(s, "':'");
    unsigned bit;
    if (strcmp(key, "descr") == 0)
      bit = 1, status = descr_of(s, a);
    else if (strcmp(key, "fortran_order") == 0)
      bit = 2, status = order_of(s, a);
    else if (strcmp(key, "shape") == 0)
      bit = 4, status = seen & 4 ? bad(s, "one shape") : shape_of(s, a);
    else
      return bad(s, "'descr', 'fortran_order' or 'shape'");
    if (status) return status;
    if (seen & bit) return bad(s, "each key once");
    seen |= bit;
    if (symbol(s, ',')) continue;
    if (!symbol(s, '}')) return bad(s, "',' or '}'");
    break;
  }
  if (seen != 7) return bad(s, "'descr', 'fortran_order' and 'shape'");
  blanks(s);
  return s->p == s->end ? PTV3_OK : bad(s, "the end of the header");
}

/* ---- array ---- */

/* The header's text, past magic, version and length. */
static int header_text(struct pt_cursor *c, struct text *s, struct ptv3_error *err) {
  const uint8_t *p = pt_take(c, 8, "NumPy header", err);
  if (!p) return PTV3_FORMAT;
  if (memcmp(p, "\x93NUMPY", 6) != 0)
    return pt_fail_at(err, PTV3_FORMAT, 0,
                      "'%s' is not a NumPy array file: it does not begin with \\x93NUMPY",
                      c->name);
  int major = p[6], minor = p[7];
  if (major < 1 || major > 3 || minor != 0)
    return pt_fail_at(err, PTV3_UNSUPPORTED, 6,
                      "'%s' is a NumPy file of version %d.%d: 1.0 to 3.0 can be read", c->name,
                      major, minor);
  p = pt_take(c, major == 1 ? 2 : 4, "NumPy header", err);
  if (!p) return PTV3_FORMAT;
  int64_t n = major == 1 ? pt_le16(p) : (int64_t)pt_le32(p);
  int64_t base = c->pos;
  p = pt_take(c, n, "NumPy header", err);
  if (!p) return PTV3_FORMAT;
  *s = (struct text){(const char *)p, (const char *)p + n, base, (const char *)p, c->name, err};
  return PTV3_OK;
}

int pt_npy_parse(struct pt_cursor *c, struct pt_npy *a, struct ptv3_error *err) {
  struct text s = {0};
  *a = (struct pt_npy){.count = 1};
  int status = header_text(c, &s, err);
  if (!status) status = dictionary(&s, a);
  if (status) return status;
  int64_t bytes;
  bool fits = true;
  for (int i = 0; i < a->ndim; i++) fits = fits && pt_mul(a->count, a->shape[i], &a->count);
  if (!fits || !pt_mul(a->count, pt_dtype(a->type)->bytes, &bytes))
    return pt_fail_at(err, PTV3_FORMAT, s.base,
                      "'%s': the shape in its header is larger than any file", c->name);
  a->data = pt_take(c, bytes, "array", err);
  return a->data ? PTV3_OK : PTV3_FORMAT;
}

bool pt_npy_plain(const struct pt_npy *a) {
  bool c_order = !a->fortran || a->ndim < 2;
  return c_order && !a->swapped &&
         (uintptr_t)a->data % (uintptr_t)pt_dtype(a->type)->bytes == 0;
}

/* n elements of `bytes` bytes, `step` bytes apart in src, one behind the other in dst. */
static void gather(uint8_t *dst, const uint8_t *src, int64_t n, int64_t step, int bytes) {
  switch (bytes) {
    case 1:
      for (int64_t i = 0; i < n; i++) dst[i] = src[i * step];
      break;
    case 2:
      for (int64_t i = 0; i < n; i++) memcpy(dst + 2 * i, src + i * step, 2);
      break;
    case 4:
      for (int64_t i = 0; i < n; i++) memcpy(dst + 4 * i, src + i * step, 4);
      break;
    default:
      for (int64_t i = 0; i < n; i++) memcpy(dst + 8 * i, src + i * step, 8);
      break;
  }
}

/* Fortran order to C order: each run of the last index is gathered; index counts the rest. */
static void from_fortran(const struct pt_npy *a, uint8_t *dst) {
  int bytes = (int)pt_dtype(a->type)->bytes, last = a->ndim - 1;
  int64_t step[PT_NPY_DIMS], index[PT_NPY_DIMS] = {0};
  step[0] = bytes;
  for (int d = 1; d <= last; d++) step[d] = step[d - 1] * a->shape[d - 1];
  int64_t run = a->shape[last], at = 0;
  for (int64_t done = 0; done < a->count; done += run) {
    gather(dst + done * bytes, a->data + at, run, step[last], bytes);
    for (int d = last - 1; d >= 0; d--) {
      at += step[d];
      if (++index[d] < a->shape[d]) break;
      at -= index[d] * step[d];
      index[d] = 0;
    }
  }
}

static void swap(uint8_t *p, int64_t n, int bytes) {
  for (int64_t i = 0; i < n; i++, p += bytes)
    for (int a = 0, b = bytes - 1; a < b; a++, b--) {
      uint8_t t = p[a];
      p[a] = p[b];
      p[b] = t;
    }
}

void pt_npy_copy(const struct pt_npy *a, void *dst) {
  int bytes = (int)pt_dtype(a->type)->bytes;
  if (a->count == 0) return; /* the strides of an empty array may overflow */
  if (a->fortran && a->ndim > 1)
    from_fortran(a, dst);
  else
    memcpy(dst, a->data, (size_t)(a->count * bytes));
  if (a->swapped) swap(dst, a->count, bytes);
}

/* ---- files ---- */

int pt_npy_open(struct pt_npy_view *v, const char *path, struct ptv3_error *err) {
  *v = (struct pt_npy_view){0};
  int status = pt_map_open(&v->map, path, err);
  if (status) return status;
  struct pt_cursor c = pt_cursor_of(&v->map);
  status = pt_npy_parse(&c, &v->a, err);
  if (status) pt_npy_close(v);
  return status;
}

void pt_npy_close(struct pt_npy_view *v) {
  pt_map_close(&v->map);
  *v = (struct pt_npy_view){0};
}

int pt_npy_read(struct pt_mem *mem, const char *path, enum pt_memcat cat,
                struct pt_npy_array *out, struct ptv3_error *err) {
  struct pt_npy_view v;
  struct ptv3_error e = {0};
  *out = (struct pt_npy_array){0};
  int status = pt_npy_open(&v, path, err);
  if (status) return status;
  *out = (struct pt_npy_array){.type = v.a.type, .ndim = v.a.ndim, .count = v.a.count};
  memcpy(out->shape, v.a.shape, sizeof out->shape);
  out->data = pt_alloc(mem, v.a.count, pt_dtype(v.a.type)->bytes, cat, &e);
  if (out->data) {
    pt_npy_copy(&v.a, out->data);
  } else {
    *out = (struct pt_npy_array){0};
    if (err) *err = e;
  }
  pt_npy_close(&v);
  return e.status;
}

int pt_npy_column(struct pt_table *t, const char *name, const struct pt_npy *a,
                  const char *file, struct ptv3_error *err) {
  int64_t width = a->ndim == 2 ? a->shape[1] : 1;
  if (a->ndim < 1 || a->ndim > 2 || width < 1 || width > INT32_MAX)
    return pt_fail(
        err, PTV3_DATA,
        "'%s' is an array of %d dimensions (%lld numbers): a column of a cloud is [n] "
        "or [n, k]",
        file, a->ndim, (long long)a->count);
  if (a->shape[0] != t->n)
    return pt_fail(err, PTV3_DATA, "'%s' has %lld rows where the cloud has %lld points", file,
                   (long long)a->shape[0], (long long)t->n);
  struct ptv3_error e = {0};
  struct pt_column *c = pt_table_add(t, name, a->type, (int)width, &e);
  if (c)
    pt_npy_copy(a, c->data);
  else if (err)
    *err = e;
  return e.status;
}

int pt_npy_column_part(struct pt_table *t, const char *name, const struct pt_npy *a,
                       int64_t first, struct ptv3_error *err) {
  int64_t width = a->ndim == 2 ? a->shape[1] : 1, bytes = pt_dtype(a->type)->bytes;
  struct ptv3_error e = {0};
  struct pt_column *c = pt_table_add(t, name, a->type, (int)width, &e);
  if (c) {
    memcpy(c->data, a->data + first * width * bytes, (size_t)(t->n * width * bytes));
    if (a->swapped) swap(c->data, t->n * width, (int)bytes);
  } else if (err) {
    *err = e;
  }
  return e.status;
}

int pt_npy_table(struct pt_mem *mem, struct pt_cursor *c, const char *name, struct pt_table *t,
                 struct ptv3_error *err) {
  struct pt_npy a;
  *t = (struct pt_table){0};
  int status = pt_npy_parse(c, &a, err);
  if (status) return status;
  pt_table_init(t, mem, a.ndim > 0 ? a.shape[0] : 0);
  status = pt_npy_column(t, name, &a, c->name, err);
  if (status) pt_table_free(t);
  return status;
}

/* ---- out ---- */

/* The shape as a Python tuple; out holds PT_NPY_DIMS counts of 20 digits. */
static void shape_text(char *out, size_t size, int ndim, const int64_t *shape) {
  size_t n = (size_t)snprintf(out, size, "(");
  for (int i = 0; i < ndim; i++)
    n += (size_t)snprintf(out + n, size - n,
                          ndim == 1 ? "%lld,"
                          : i       ? ", %lld"
                                    : "%lld",
                          (long long)shape[i]);
  snprintf(out + n, size - n, ")");
}

/* Bytes of the data; false where they overflow or the shape is not one. */
static bool data_bytes(enum pt_dtype type, int ndim, const int64_t *shape, int64_t *bytes) {
  bool fits = ndim >= 0 && ndim <= PT_NPY_DIMS;
  *bytes = pt_dtype(type)->bytes;
  for (int i = 0; i < ndim && fits; i++) fits = pt_mul(*bytes, shape[i], bytes);
  return fits;
}

int pt_npy_begin(struct pt_out *out, struct pt_mem *mem, const char *path, enum pt_dtype type,
                 int ndim, const int64_t *shape, struct ptv3_error *err) {
  const struct pt_dtype_info *info = pt_dtype(type);
  char tuple[PT_NPY_DIMS * 22 + 4], head[1024];
  int64_t bytes;
  bool fits = data_bytes(type, ndim, shape, &bytes);
  *out = (struct pt_out){0};
  if (!fits || !info->numpy[0])
    return pt_fail(err, PTV3_INVALID, "cannot write '%s': %s", path,
                   fits ? "NumPy has no such type" : "the shape is not one");
  shape_text(tuple, sizeof tuple, ndim, shape);
  char order = info->bytes == 1 ? '|' : host_little() ? '<' : '>';
  memset(head, ' ', sizeof head);
  int n = snprintf(head + 10, sizeof head - 10,
                   "{'descr': '%c%s', 'fortran_order': False, 'shape': %s, }", order,
                   info->numpy, tuple);
  int64_t total = pt_round_up(10 + n + 1, 64); /* NumPy aligns the data to 64 bytes */
  head[10 + n] = ' ';
  head[total - 1] = '\n';
  memcpy(head, "\x93NUMPY\1\0", 8);
  pt_put16((uint8_t *)head + 8, (uint16_t)(total - 10));
  int status = pt_out_open(out, mem, path, err);
  if (!status) pt_write(out, head, total);
  return status;
}

int pt_npy_write(struct pt_mem *mem, const char *path, enum pt_dtype type, int ndim,
                 const int64_t *shape, const void *data, struct ptv3_error *err) {
  struct pt_out out;
  int64_t bytes;
  int status = pt_npy_begin(&out, mem, path, type, ndim, shape, err);
  if (status) return status;
  if (data_bytes(type, ndim, shape, &bytes)) pt_write(&out, data, bytes);
  return pt_out_commit(&out, err);
}
