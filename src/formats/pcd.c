/* pcd.c - see pcd.h. Binary data are taken to be little-endian, as PCL writes them on the
 * machines it runs on; the format has no mark for the other order. */
#include "pcd.h"

#include <stdio.h>
#include <string.h>

#include "lzf.h"
#include "number.h"
#include "rows.h"
#include "size.h"
#include "text.h"

enum encoding { ASCII, BINARY, COMPRESSED };
enum { MOST_FIELDS = 1024, MOST_COUNT = 1 << 20 };

struct field {
  char name[64];
  int size;       /* bytes of one number */
  char kind;      /* I, U or F */
  int64_t count;  /* numbers */
  int64_t offset; /* in a row */
};

struct header {
  struct field *field; /* [fields] */
  int fields;
  int64_t width, height, points; /* -1: not there */
  int64_t stride;                /* bytes a row */
  enum encoding encoding;
  int64_t line; /* lines read so far */
};

static bool padding(const struct field *f) { return strcmp(f->name, "_") == 0; }

/* ---- header ---- */

struct line {
  const char *p, *eol; /* behind the keyword, the end */
  int64_t at;          /* byte offset */
};

static int bad(const struct header *h, const struct pt_cursor *c, const struct line *l,
               const char *what, struct ptv3_error *err) {
  return pt_fail_at(err, PTV3_FORMAT, l->at,
                    "'%s': its PCD header is malformed at line %lld: %s", c->name,
                    (long long)h->line, what);
}

static bool same(const char *from, const char *to, const char *word) {
  size_t n = strlen(word);
  return (size_t)(to - from) == n && memcmp(from, word, n) == 0;
}

static int fields_line(struct header *h, struct pt_mem *mem, const struct pt_cursor *c,
                       const struct line *l, struct ptv3_error *err) {
  int64_t n = pt_text_fields(l->p, l->eol, ' ');
  if (h->field || n < 1 || n > MOST_FIELDS)
    return bad(h, c, l, "one FIELDS line with 1 to 1024 names is wanted", err);
  struct ptv3_error e;
  h->field = pt_zalloc(mem, n, sizeof *h->field, PT_MEM_OTHER, &e);
  if (!h->field) {
    if (err) *err = e;
    return e.status;
  }
  const char *p = l->p, *from, *to;
  for (; h->fields < n && (p = pt_text_field(p, l->eol, ' ', &from, &to)); h->fields++) {
    struct field *f = &h->field[h->fields];
    *f = (struct field){.size = 4, .kind = 'F', .count = 1};
    snprintf(f->name, sizeof f->name, "%.*s", (int)pt_min(to - from, 63), from);
  }
  return PTV3_OK;
}

/* A line with one value a field: SIZE, TYPE or COUNT. */
static int values_line(struct header *h, const struct pt_cursor *c, const struct line *l,
                       char which, struct ptv3_error *err) {
  const char *p = l->p, *from, *to;
  if (!h->field || pt_text_fields(l->p, l->eol, ' ') != h->fields)
    return bad(h, c, l, "SIZE, TYPE and COUNT come behind FIELDS, with a value for each", err);
  for (int i = 0; i < h->fields && (p = pt_text_field(p, l->eol, ' ', &from, &to)); i++) {
    struct field *f = &h->field[i];
    int64_t v = pt_number_count(from, to);
    if (which == 'S' && (v == 1 || v == 2 || v == 4 || v == 8))
      f->size = (int)v;
    else if (which == 'T' && to - from == 1 && strchr("IUF", *from))
      f->kind = *from;
    else if (which == 'C' && v >= 1 && v <= MOST_COUNT)
      f->count = v;
    else
      return bad(h, c, l, "a SIZE is 1, 2, 4 or 8, a TYPE I, U or F, a COUNT 1 to 1048576",
                 err);
  }
  return PTV3_OK;
}

static int number_line(struct header *h, const struct pt_cursor *c, const struct line *l,
                       int64_t *value, struct ptv3_error *err) {
  const char *from, *to;
  *value = pt_text_field(l->p, l->eol, ' ', &from, &to) ? pt_number_count(from, to) : -1;
  return *value < 0 ? bad(h, c, l, "a count is wanted", err) : PTV3_OK;
}

static int data_line(struct header *h, const struct pt_cursor *c, const struct line *l,
                     struct ptv3_error *err) {
  const char *from, *to;
  if (!pt_text_field(l->p, l->eol, ' ', &from, &to)) from = to = l->p;
  if (same(from, to, "ascii"))
    h->encoding = ASCII;
  else if (same(from, to, "binary"))
    h->encoding = BINARY;
  else if (same(from, to, "binary_compressed"))
    h->encoding = COMPRESSED;
  else
    return bad(h, c, l, "DATA is ascii, binary or binary_compressed", err);
  return PTV3_OK;
}

/* One line; *done when it was the last one of the header. */
static int header_line(struct header *h, struct pt_mem *mem, const struct pt_cursor *c,
                       struct line *l, bool *done, struct ptv3_error *err) {
  const char *from, *to, *next = pt_text_field(l->p, l->eol, ' ', &from, &to);
  if (!next || *from == '#') return PTV3_OK;
  l->p = next;
  if (same(from, to, "FIELDS") || same(from, to, "COLUMNS"))
    return fields_line(h, mem, c, l, err);
  if (same(from, to, "SIZE") || same(from, to, "TYPE") || same(from, to, "COUNT"))
    return values_line(h, c, l, *from, err);
  if (same(from, to, "WIDTH")) return number_line(h, c, l, &h->width, err);
  if (same(from, to, "HEIGHT")) return number_line(h, c, l, &h->height, err);
  if (same(from, to, "POINTS")) return number_line(h, c, l, &h->points, err);
  if (same(from, to, "VERSION") || same(from, to, "VIEWPOINT")) return PTV3_OK;
  if (!same(from, to, "DATA")) return bad(h, c, l, "not a line of a PCD header", err);
  *done = true;
  return data_line(h, c, l, err);
}

/* The number of points and the layout of a row. */
static int finish_header(struct header *h, const struct pt_cursor *c, struct ptv3_error *err) {
  int64_t product = -1;
  int columns = 0;
  if (!h->field)
    return pt_fail(err, PTV3_FORMAT, "'%s': its PCD header has no FIELDS", c->name);
  if (h->width >= 0 && !pt_mul(h->width, pt_max(h->height, 1), &product)) product = INT64_MAX;
  if (h->height == 0) product = 0;
  if (h->points < 0) h->points = product;
  if (h->points < 0)
    return pt_fail(err, PTV3_FORMAT, "'%s': its PCD header has neither POINTS nor WIDTH",
                   c->name);
  if (product >= 0 && product != h->points)
    return pt_fail(err, PTV3_FORMAT,
                   "'%s': its PCD header says POINTS %lld where WIDTH x HEIGHT is %lld",
                   c->name, (long long)h->points, (long long)product);
  for (int i = 0; i < h->fields; i++) {
    struct field *f = &h->field[i];
    if (f->kind == 'F' && f->size < 4)
      return pt_fail(err, PTV3_UNSUPPORTED,
                     "'%s': field '%s' is a float of %d bytes: 4 and 8 can be read", c->name,
                     f->name, f->size);
    f->offset = h->stride;
    h->stride += f->size * f->count; /* below 2^10 x 2^3 x 2^20 */
    columns += !padding(f);
  }
  return columns ? PTV3_OK : pt_fail(err, PTV3_DATA, "'%s' has no fields but padding", c->name);
}

static int read_header(struct header *h, struct pt_mem *mem, struct pt_cursor *c,
                       struct ptv3_error *err) {
  bool done = false;
  while (!done) {
    struct line l = {.at = c->pos};
    int64_t n;
    if (!pt_line(c, &l.p, &n) || c->data[c->pos - 1] != '\n')
      return pt_fail_at(err, PTV3_FORMAT, c->size, "'%s' ends within its PCD header", c->name);
    l.eol = l.p + n;
    h->line++;
    int status = header_line(h, mem, c, &l, &done, err);
    if (status) return status;
  }
  return finish_header(h, c, err);
}

/* ---- columns ---- */

static enum pt_dtype type_of(const struct field *f) {
  if (f->kind == 'F') return f->size == 4 ? PT_F32 : PT_F64;
  static const enum pt_dtype u[] = {PT_U8, PT_U16, PT_U32, PT_U64};
  static const enum pt_dtype i[] = {PT_I8, PT_I16, PT_I32, PT_I64};
  int k = f->size == 1 ? 0 : f->size == 2 ? 1 : f->size == 4 ? 2 : 3;
  return f->kind == 'U' ? u[k] : i[k];
}

static int add_columns(const struct header *h, struct pt_table *t, struct ptv3_error *err) {
  for (int i = 0; i < h->fields; i++) {
    const struct field *f = &h->field[i];
    struct ptv3_error e;
    if (padding(f) || pt_table_add(t, f->name, type_of(f), (int)f->count, &e)) continue;
    if (err) *err = e;
    return e.status;
  }
  return PTV3_OK;
}

/* Red, green and blue beside a packed colour: 0x00RRGGBB. */
static int unpack_colour(struct pt_table *t, struct ptv3_error *err) {
  static const char *const names[] = {"blue", "green", "red"};
  const struct pt_column *c = pt_table_find(t, "rgb");
  if (!c) c = pt_table_find(t, "rgba");
  if (!c || c->width != 1 || pt_dtype(c->type)->bytes != 4) return PTV3_OK;
  const uint32_t *packed = c->data;
  for (int k = 2; k >= 0; k--) {
    if (pt_table_find(t, names[k])) continue;
    struct ptv3_error e;
    struct pt_column *to = pt_table_add(t, names[k], PT_U8, 1, &e);
    if (!to) {
      if (err) *err = e;
      return e.status;
    }
    uint8_t *v = to->data;
    for (int64_t i = 0; i < t->n; i++) v[i] = (uint8_t)(packed[i] >> (8 * k));
  }
  return PTV3_OK;
}

/* ---- data ---- */

static int too_many(const struct pt_cursor *c, int64_t points, struct ptv3_error *err) {
  return pt_fail_at(err, PTV3_FORMAT, c->pos,
                    "'%s': its header announces %lld points, the file ends before", c->name,
                    (long long)points);
}

static int read_ascii(struct pt_env *env, const struct header *h, const struct pt_cursor *c,
                      struct pt_table *t, struct ptv3_error *err) {
  int64_t numbers = 0, bytes;
  for (int i = 0; i < h->fields; i++) numbers += h->field[i].count;
  if (!pt_mul(h->points, 2 * numbers, &bytes) || bytes > pt_left(c) + 1)
    return too_many(c, h->points, err);
  /* Few points with a huge COUNT must not cost memory either. */
  if (h->points == 0) return add_columns(h, t, err);
  struct ptv3_error e = {0};
  struct pt_text_field *text = pt_zalloc(&env->mem, numbers, sizeof *text, PT_MEM_OTHER, &e);
  if (!text || add_columns(h, t, &e)) goto out;
  int64_t k = 0;
  for (int i = 0, column = 0; i < h->fields; i++) {
    const struct field *f = &h->field[i];
    const struct pt_column *col = padding(f) ? NULL : &t->col[column++];
    for (int64_t j = 0; j < f->count; j++)
      text[k++] = (struct pt_text_field){.name = f->name,
                                         .skip = !col,
                                         .type = type_of(f),
                                         .width = (int)f->count,
                                         .at = (int)j,
                                         .data = col ? col->data : NULL};
  }
  struct pt_text lines = {c->name, c->data, c->size, c->pos, h->line + 1, ' ', false};
  pt_text_read(env, &lines, h->points, text, (int)numbers, &e);
out:
  pt_free(&env->mem, text);
  if (e.status && err) *err = e;
  return e.status;
}

/* The rows at src, one behind the other. */
static int read_rows(struct pt_env *env, const struct header *h, const uint8_t *src,
                     struct pt_table *t, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_field *f = pt_alloc(&env->mem, h->fields, sizeof *f, PT_MEM_OTHER, &e);
  if (!f || add_columns(h, t, &e)) goto out;
  int n = 0;
  for (int i = 0; i < h->fields; i++) {
    const struct field *from = &h->field[i];
    if (padding(from)) continue;
    f[n] = (struct pt_field){from->offset, from->size, (int)from->count, t->col[n].data};
    n++;
  }
  pt_rows_read(env, src, h->points, h->stride, f, n, false, &e);
out:
  pt_free(&env->mem, f);
  if (e.status && err) *err = e;
  return e.status;
}

static int read_binary(struct pt_env *env, const struct header *h, struct pt_cursor *c,
                       struct pt_table *t, struct ptv3_error *err) {
  int64_t bytes;
  if (!pt_mul(h->points, h->stride, &bytes) || bytes > pt_left(c))
    return too_many(c, h->points, err);
  return read_rows(env, h, pt_take(c, bytes, "points", err), t, err);
}

/* Compressed data lie field by field: all of x, all of y, ... */
static int read_compressed(struct pt_env *env, const struct header *h, struct pt_cursor *c,
                           struct pt_table *t, struct ptv3_error *err) {
  const uint8_t *sizes = pt_take(c, 8, "compressed sizes", err);
  if (!sizes) return PTV3_FORMAT;
  int64_t in = (int64_t)pt_le32(sizes), out = (int64_t)pt_le32(sizes + 4), bytes;
  if (!pt_mul(h->points, h->stride, &bytes) || bytes != out)
    return pt_fail_at(
        err, PTV3_FORMAT, c->pos - 4,
        "'%s': its compressed data unpack to %lld bytes where %lld points of %lld "
        "bytes are announced",
        c->name, (long long)out, (long long)h->points, (long long)h->stride);
  int64_t at = c->pos;
  const uint8_t *src = pt_take(c, in, "compressed points", err);
  if (!src) return PTV3_FORMAT;
  if (out > pt_lzf_most(in))
    return pt_fail_at(err, PTV3_FORMAT, at,
                      "'%s': %lld compressed bytes cannot become the %lld announced", c->name,
                      (long long)in, (long long)out);
  struct ptv3_error e = {0};
  uint8_t *raw = pt_alloc(&env->mem, out, 1, PT_MEM_OTHER, &e);
  int64_t wrong = raw ? pt_lzf(src, in, raw, out) : -1;
  if (wrong >= 0)
    pt_fail_at(&e, PTV3_FORMAT, at + wrong,
               "'%s': its compressed data are damaged at byte %lld", c->name,
               (long long)(at + wrong));
  if (!e.status && add_columns(h, t, &e) == PTV3_OK)
    for (int i = 0, column = 0; i < h->fields; i++) {
      const struct field *f = &h->field[i];
      if (padding(f)) continue;
      memcpy(t->col[column++].data, raw + f->offset * h->points,
             (size_t)(f->size * f->count * h->points));
    }
  pt_free(&env->mem, raw);
  if (e.status && err) *err = e;
  return e.status;
}

int pt_pcd_read(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                struct ptv3_error *err) {
  struct header h = {.width = -1, .height = -1, .points = -1};
  *t = (struct pt_table){0};
  int status = read_header(&h, &env->mem, c, err);
  pt_table_init(t, &env->mem, h.points);
  if (!status) switch (h.encoding) {
      case ASCII: status = read_ascii(env, &h, c, t, err); break;
      case BINARY: status = read_binary(env, &h, c, t, err); break;
      case COMPRESSED: status = read_compressed(env, &h, c, t, err); break;
    }
  if (!status) status = unpack_colour(t, err);
  pt_free(&env->mem, h.field);
  if (status) pt_table_free(t);
  return status;
}
