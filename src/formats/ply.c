/* ply.c - see ply.h. */
#include "ply.h"

#include <stdio.h>
#include <string.h>

#include "number.h"
#include "rows.h"
#include "size.h"
#include "text.h"

/* X(name in the file, the other name, type) */
#define PLY_TYPES(X)         \
  X("char", "int8", I8)      \
  X("uchar", "uint8", U8)    \
  X("short", "int16", I16)   \
  X("ushort", "uint16", U16) \
  X("int", "int32", I32)     \
  X("uint", "uint32", U32)   \
  X("float", "float32", F32) \
  X("double", "float64", F64)

enum encoding { UNKNOWN, ASCII, LITTLE, BIG };

struct property {
  char name[64];
  bool list;
  enum pt_dtype type;  /* of the number, or of a list's items */
  enum pt_dtype count; /* of a list's length */
};

struct element {
  char name[64];
  int64_t rows;
  int first, count; /* properties */
};

struct header {
  enum encoding encoding;
  struct property *property; /* [properties] */
  struct element *element;   /* [elements] */
  int properties, elements;
  int64_t property_cap, element_cap;
  int64_t line; /* lines read so far */
  char end;     /* the last byte of a line end: '\n', or '\r' in files of old */
  struct pt_mem *mem;
};

/* ---- header ---- */

enum { WORDS = 6, MOST_PROPERTIES = 4096 }; /* of all elements: names are compared pairwise */

struct line {
  const char *word[WORDS], *stop[WORDS]; /* each word is [word, stop) */
  int words;                             /* WORDS when there are more */
  int64_t at;                            /* byte offset of the line */
};

static bool is(const struct line *l, int i, const char *text) {
  size_t n = strlen(text);
  return i < l->words && (size_t)(l->stop[i] - l->word[i]) == n &&
         memcmp(l->word[i], text, n) == 0;
}

static bool next_line(struct header *h, struct pt_cursor *c, struct line *l) {
  *l = (struct line){.at = c->pos};
  if (pt_left(c) <= 0) return false;
  const char *p = (const char *)c->data + c->pos;
  const char *end = memchr(p, h->end, (size_t)pt_left(c));
  if (!end) return false;
  c->pos += end - p + 1;
  h->line++;
  if (end > p && end[-1] == '\r') end--;
  for (const char *from, *to; l->words < WORDS;) {
    p = pt_text_field(p, end, ' ', &from, &to);
    if (!p) break;
    l->word[l->words] = from;
    l->stop[l->words++] = to;
  }
  return true;
}

static int bad(const struct header *h, const struct pt_cursor *c, const struct line *l,
               const char *what, struct ptv3_error *err) {
  return pt_fail_at(err, PTV3_FORMAT, l->at,
                    "'%s': its PLY header is malformed at line %lld: %s", c->name,
                    (long long)h->line, what);
}

static bool type_of(const struct line *l, int i, enum pt_dtype *type) {
#define TYPE(a, b, t)               \
  if (is(l, i, a) || is(l, i, b)) { \
    *type = PT_##t;                 \
    return true;                    \
  }
  PLY_TYPES(TYPE)
#undef TYPE
  return false;
}

static void name_of(const struct line *l, int i, char out[64]) {
  snprintf(out, 64, "%.*s", (int)pt_min(l->stop[i] - l->word[i], 63), l->word[i]);
}

static int format_line(struct header *h, const struct pt_cursor *c, const struct line *l,
                       struct ptv3_error *err) {
  if (is(l, 1, "ascii"))
    h->encoding = ASCII;
  else if (is(l, 1, "binary_little_endian"))
    h->encoding = LITTLE;
  else if (is(l, 1, "binary_big_endian"))
    h->encoding = BIG;
  else
    return bad(h, c, l, "the format is ascii, binary_little_endian or binary_big_endian", err);
  return PTV3_OK;
}

static int element_line(struct header *h, const struct pt_cursor *c, const struct line *l,
                        struct ptv3_error *err) {
  int64_t rows = l->words == 3 ? pt_number_count(l->word[2], l->stop[2]) : -1;
  if (rows < 0) return bad(h, c, l, "an element has a name and a count", err);
  int status = pt_grow(h->mem, &h->element, &h->element_cap, h->elements + 1,
                       sizeof *h->element, PT_MEM_OTHER, err);
  if (status) return status;
  struct element *e = &h->element[h->elements++];
  *e = (struct element){.rows = rows, .first = h->properties};
  name_of(l, 1, e->name);
  return PTV3_OK;
}

static int property_line(struct header *h, const struct pt_cursor *c, const struct line *l,
                         struct ptv3_error *err) {
  struct property p = {.list = is(l, 1, "list")};
  if (h->elements == 0) return bad(h, c, l, "a property before the first element", err);
  int name = p.list ? 4 : 2;
  if (l->words != name + 1) return bad(h, c, l, "a property has a type and a name", err);
  if (!type_of(l, name - 1, &p.type) || (p.list && !type_of(l, 2, &p.count)))
    return bad(h, c, l, "unknown property type", err);
  if (p.list && (p.count == PT_F32 || p.count == PT_F64))
    return bad(h, c, l, "the length of a list is an integer", err);
  name_of(l, name, p.name);
  struct element *e = &h->element[h->elements - 1];
  for (int i = 0; i < e->count && !p.list; i++)
    if (!h->property[e->first + i].list && strcmp(h->property[e->first + i].name, p.name) == 0)
      return bad(h, c, l, "two properties with one name", err);
  int status = pt_grow(h->mem, &h->property, &h->property_cap, h->properties + 1,
                       sizeof *h->property, PT_MEM_OTHER, err);
  if (status) return status;
  h->property[h->properties++] = p;
  e->count++;
  return h->properties <= MOST_PROPERTIES ? PTV3_OK
                                          : bad(h, c, l, "more than 4096 properties", err);
}

/* The word "ply" and how its line ends, which tells how the others do. */
static int magic(struct header *h, struct pt_cursor *c, struct ptv3_error *err) {
  const uint8_t *p = c->data;
  if (c->size < 5 || memcmp(p, "ply", 3) != 0 || (p[3] != '\n' && p[3] != '\r'))
    return pt_fail_at(err, PTV3_FORMAT, 0,
                      "'%s' is not a PLY file: it does not begin with a line \"ply\"", c->name);
  h->end = p[3] == '\n' || p[4] == '\n' ? '\n' : '\r';
  c->pos = p[3] == '\r' && p[4] == '\n' ? 5 : 4;
  h->line = 1;
  return PTV3_OK;
}

static int read_header(struct header *h, struct pt_cursor *c, struct ptv3_error *err) {
  struct line l;
  int status = magic(h, c, err);
  while (!status) {
    if (!next_line(h, c, &l))
      return pt_fail_at(err, PTV3_FORMAT, c->size, "'%s' ends within its PLY header", c->name);
    if (is(&l, 0, "end_header")) break;
    if (is(&l, 0, "format"))
      status = format_line(h, c, &l, err);
    else if (is(&l, 0, "element"))
      status = element_line(h, c, &l, err);
    else if (is(&l, 0, "property"))
      status = property_line(h, c, &l, err);
    else if (l.words > 0 && !is(&l, 0, "comment") && !is(&l, 0, "obj_info"))
      status = bad(h, c, &l, "not a line of a PLY header", err);
  }
  if (!status && h->encoding == UNKNOWN) status = bad(h, c, &l, "no format line", err);
  return status;
}

/* ---- what comes before the vertices ---- */

/* The least bytes that a row of the element takes; *fixed: all rows take as many. */
static int64_t row_bytes(const struct header *h, const struct element *e, bool *fixed) {
  int64_t bytes = 0;
  *fixed = true;
  for (int i = 0; i < e->count; i++) {
    const struct property *p = &h->property[e->first + i];
    bytes += pt_dtype(p->list ? p->count : p->type)->bytes;
    *fixed = *fixed && !p->list;
  }
  return bytes;
}

static int too_many(const struct pt_cursor *c, const struct element *e,
                    struct ptv3_error *err) {
  return pt_fail_at(err, PTV3_FORMAT, c->pos,
                    "'%s': its header announces %lld of element '%s', the file ends before",
                    c->name, (long long)e->rows, e->name);
}

/* An integer of type t and either byte order at p; -1 when negative. */
static int64_t list_length(const uint8_t *p, enum pt_dtype t, bool big) {
  uint8_t b[4] = {0};
  int n = (int)pt_dtype(t)->bytes;
  for (int i = 0; i < n; i++) b[i] = p[big ? n - 1 - i : i];
  int64_t v = (int64_t)pt_le32(b);
  bool is_signed = t == PT_I8 || t == PT_I16 || t == PT_I32;
  return is_signed && v >> (8 * n - 1) ? -1 : v;
}

/* Moves past one row of an element with lists. Its scalars are copied, one behind the other
 * in the file's byte order, to packed when that is not NULL. */
static int walk_row(const struct header *h, const struct element *e, struct pt_cursor *c,
                    uint8_t *packed, struct ptv3_error *err) {
  for (int i = 0; i < e->count; i++) {
    const struct property *p = &h->property[e->first + i];
    int64_t bytes = pt_dtype(p->list ? p->count : p->type)->bytes;
    const uint8_t *at = pt_take(c, bytes, "points", err);
    if (!at) return PTV3_FORMAT;
    if (p->list) {
      int64_t n = list_length(at, p->count, h->encoding == BIG);
      if (n < 0)
        return pt_fail_at(err, PTV3_FORMAT, c->pos - bytes,
                          "'%s': a list of negative length in element '%s' at byte %lld",
                          c->name, e->name, (long long)(c->pos - bytes));
      if (!pt_take(c, n * pt_dtype(p->type)->bytes, "lists", err)) return PTV3_FORMAT;
    } else if (packed) {
      memcpy(packed, at, (size_t)bytes);
      packed += bytes;
    }
  }
  return PTV3_OK;
}

static int skip_binary(const struct header *h, const struct element *e, struct pt_cursor *c,
                       struct ptv3_error *err) {
  bool fixed;
  int64_t bytes, each = row_bytes(h, e, &fixed);
  if (!pt_mul(e->rows, each, &bytes) || bytes > pt_left(c)) return too_many(c, e, err);
  if (fixed) {
    c->pos += bytes;
    return PTV3_OK;
  }
  for (int64_t i = 0; i < e->rows; i++) {
    int status = walk_row(h, e, c, NULL, err);
    if (status) return status;
  }
  return PTV3_OK;
}

/* An element takes a line a row; blank lines do not count. */
static int skip_ascii(struct header *h, const struct element *e, struct pt_cursor *c,
                      struct ptv3_error *err) {
  struct line l;
  for (int64_t i = 0; i < e->rows && e->count > 0;) {
    if (pt_left(c) <= 0 || !next_line(h, c, &l)) return too_many(c, e, err);
    i += l.words > 0;
  }
  return PTV3_OK;
}

static int find_vertices(struct header *h, struct pt_cursor *c, const struct element **found,
                         struct ptv3_error *err) {
  *found = NULL;
  for (int i = 0; i < h->elements && !*found; i++)
    if (strcmp(h->element[i].name, "vertex") == 0) *found = &h->element[i];
  if (!*found)
    return pt_fail(err, PTV3_DATA, "'%s' has no element 'vertex': it holds no points", c->name);
  for (const struct element *e = h->element; e < *found; e++) {
    int status = h->encoding == ASCII ? skip_ascii(h, e, c, err) : skip_binary(h, e, c, err);
    if (status) return status;
  }
  return PTV3_OK;
}

/* ---- vertices ---- */

/* A column for each scalar property; first checks that the file can hold the rows. */
static int add_columns(struct pt_env *env, const struct header *h, const struct element *e,
                       const struct pt_cursor *c, struct pt_table *t, struct ptv3_error *err) {
  bool fixed;
  int scalars = 0;
  int64_t least = row_bytes(h, e, &fixed), bytes;
  for (int i = 0; i < e->count; i++) scalars += !h->property[e->first + i].list;
  if (scalars == 0)
    return pt_fail(err, PTV3_DATA, "'%s': its element 'vertex' has no numbers", c->name);
  if (h->encoding == ASCII) least = 2 * (int64_t)e->count; /* a digit and what ends it */
  if (!pt_mul(e->rows, least, &bytes) || bytes > pt_left(c) + 1) return too_many(c, e, err);
  pt_table_init(t, &env->mem, e->rows);
  for (int i = 0; i < e->count; i++) {
    const struct property *p = &h->property[e->first + i];
    struct ptv3_error failed;
    if (p->list || pt_table_add(t, p->name, p->type, 1, &failed)) continue;
    if (err) *err = failed;
    return failed.status;
  }
  return PTV3_OK;
}

static int read_ascii(struct pt_env *env, const struct header *h, const struct element *e,
                      const struct pt_cursor *c, struct pt_table *t, struct ptv3_error *err) {
  struct ptv3_error failed = {0};
  if (h->end == '\r' && e->rows > 0)
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "'%s' is an ascii PLY file whose lines end with CR alone: convert the line "
                   "ends to LF",
                   c->name);
  struct pt_text_field *f = pt_zalloc(&env->mem, e->count, sizeof *f, PT_MEM_OTHER, &failed);
  if (!f) {
    if (err) *err = failed;
    return failed.status;
  }
  for (int i = 0, k = 0; i < e->count; i++) {
    const struct property *p = &h->property[e->first + i];
    f[i] =
        (struct pt_text_field){.name = p->name, .list = p->list, .type = p->type, .width = 1};
    if (!p->list) f[i].data = t->col[k++].data;
  }
  struct pt_text text = {c->name, c->data, c->size, c->pos, h->line + 1, ' ', false};
  int status = pt_text_read(env, &text, e->rows, f, e->count, err);
  pt_free(&env->mem, f);
  return status;
}

static bool host_big(void) {
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 0;
}

/* Rows with lists: their scalars are packed into one row of scratch each. */
static int read_uneven(struct pt_env *env, const struct header *h, const struct element *e,
                       struct pt_cursor *c, const struct pt_field *f, int count,
                       uint8_t *scratch, struct ptv3_error *err) {
  bool swapped = (h->encoding == BIG) != host_big();
  for (int64_t i = 0; i < e->rows; i++) {
    int status = i % 1000000 ? PTV3_OK : pt_progress(env, "reading points", i, e->rows, err);
    if (!status) status = walk_row(h, e, c, scratch, err);
    if (status) return status;
    pt_rows_one(scratch, i, f, count, swapped);
  }
  return PTV3_OK;
}

static int read_binary(struct pt_env *env, const struct header *h, const struct element *e,
                       struct pt_cursor *c, struct pt_table *t, struct ptv3_error *err) {
  bool fixed;
  struct ptv3_error failed = {0};
  int64_t stride = 0;
  row_bytes(h, e, &fixed);
  struct pt_field *f = pt_alloc(&env->mem, t->count, sizeof *f, PT_MEM_OTHER, &failed);
  if (!f) goto out;
  for (int i = 0; i < t->count; i++) {
    int bytes = (int)pt_dtype(t->col[i].type)->bytes;
    f[i] = (struct pt_field){stride, bytes, 1, t->col[i].data};
    stride += bytes;
  }
  if (fixed) {
    const uint8_t *rows = pt_take(c, e->rows * stride, "points", &failed);
    bool swapped = (h->encoding == BIG) != host_big();
    if (rows) pt_rows_read(env, rows, e->rows, stride, f, t->count, swapped, &failed);
  } else {
    uint8_t *scratch = pt_alloc(&env->mem, stride, 1, PT_MEM_OTHER, &failed);
    if (scratch) read_uneven(env, h, e, c, f, t->count, scratch, &failed);
    pt_free(&env->mem, scratch);
  }
  pt_free(&env->mem, f);
out:
  if (failed.status && err) *err = failed;
  return failed.status;
}

int pt_ply_read(struct pt_env *env, struct pt_cursor *c, struct pt_table *t,
                struct ptv3_error *err) {
  struct header h = {.mem = &env->mem};
  const struct element *e = NULL;
  *t = (struct pt_table){0};
  int status = read_header(&h, c, err);
  if (!status) status = find_vertices(&h, c, &e, err);
  if (!status) status = add_columns(env, &h, e, c, t, err);
  if (!status && h.encoding == ASCII)
    status = read_ascii(env, &h, e, c, t, err);
  else if (!status)
    status = read_binary(env, &h, e, c, t, err);
  pt_free(&env->mem, h.element);
  pt_free(&env->mem, h.property);
  if (status) pt_table_free(t);
  return status;
}

/* ---- a range of rows ---- */

int pt_ply_find(struct pt_env *env, struct pt_cursor *c, struct pt_ply_rows *r,
                struct ptv3_error *err) {
  struct header h = {.mem = &env->mem};
  const struct element *e = NULL;
  bool fixed = true;
  *r = (struct pt_ply_rows){0};
  int status = read_header(&h, c, err);
  if (!status) status = find_vertices(&h, c, &e, err);
  if (!status) r->stride = row_bytes(&h, e, &fixed);
  if (!status && (h.encoding == ASCII || !fixed))
    status = pt_fail(err, PTV3_UNSUPPORTED, "'%s' is a PLY file %s", c->name,
                     fixed ? "in ascii" : "whose vertices have lists");
  if (!status) {
    struct element none = *e; /* checks the count as for all rows, makes columns of none */
    struct pt_cursor here = *c;
    int64_t bytes;
    if (!pt_mul(e->rows, r->stride, &bytes) || bytes > pt_left(c)) {
      status = too_many(c, e, err);
    } else {
      none.rows = 0;
      status = add_columns(env, &h, &none, &here, &r->columns, err);
    }
  }
  if (!status) {
    r->n = e->rows;
    r->data = c->data + c->pos;
    r->swapped = (h.encoding == BIG) != host_big();
  } else {
    pt_table_free(&r->columns);
  }
  pt_free(&env->mem, h.element);
  pt_free(&env->mem, h.property);
  return status;
}

int pt_ply_take(struct pt_env *env, const struct pt_ply_rows *r, int64_t first, int64_t count,
                struct pt_table *t, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  int64_t offset = 0;
  pt_table_init(t, &env->mem, count);
  struct pt_field *f = pt_alloc(&env->mem, r->columns.count, sizeof *f, PT_MEM_OTHER, &e);
  for (int i = 0; f && i < r->columns.count && !e.status; i++) {
    const struct pt_column *from = &r->columns.col[i];
    struct pt_column *to = pt_table_add(t, from->name, from->type, 1, &e);
    if (!to) break;
    f[i] = (struct pt_field){offset, (int)pt_dtype(from->type)->bytes, 1, to->data};
    offset += f[i].bytes;
  }
  if (!e.status)
    pt_rows_read(env, r->data + first * r->stride, count, r->stride, f, t->count, r->swapped,
                 &e);
  pt_free(&env->mem, f);
  if (!e.status) return PTV3_OK;
  pt_table_free(t);
  if (err) *err = e;
  return e.status;
}

/* ---- out ---- */

/* The type a column is written with. */
static enum pt_dtype written(enum pt_dtype t) {
  switch (t) {
    case PT_F16:
    case PT_BF16: return PT_F32;
    case PT_BOOL: return PT_U8;
    case PT_I64:
    case PT_U64: return PT_I32;
    default: return t;
  }
}

static const char *type_name(enum pt_dtype t) {
#define NAME(a, b, type) \
  if (t == PT_##type) return a;
  PLY_TYPES(NAME)
#undef NAME
  return "";
}

static int check_column(const struct pt_column *c, int64_t n, const char *path,
                        struct ptv3_error *err) {
  if (c->name[0] == 0 || strpbrk(c->name, " \t\r\n"))
    return pt_fail(err, PTV3_INVALID,
                   "cannot write '%s': a PLY property is one word, '%s' is not", path, c->name);
  if (c->type != PT_I64 && c->type != PT_U64) return PTV3_OK;
  for (int64_t i = 0; i < n * c->width; i++) {
    double v = pt_load(c->data, c->type, i);
    if (v < -0x1p31 || v >= 0x1p31)
      return pt_fail(err, PTV3_DATA,
                     "cannot write '%s': %.0f in column '%s' does not fit PLY's int", path, v,
                     c->name);
  }
  return PTV3_OK;
}

static void write_header(struct pt_out *out, int64_t n, const struct pt_table *t) {
  pt_writef(out, "ply\nformat binary_little_endian 1.0\nelement vertex %lld\n", (long long)n);
  for (int i = 0; i < t->count; i++) {
    const struct pt_column *c = &t->col[i];
    const char *type = type_name(written(c->type));
    for (int w = 0; w < c->width; w++)
      if (c->width == 1)
        pt_writef(out, "property %s %s\n", type, c->name);
      else
        pt_writef(out, "property %s %s_%d\n", type, c->name, w);
  }
  pt_writef(out, "end_header\n");
}

/* n cells of a column into the rows at dst, converted and in little-endian order. */
static void pack_any(const struct pt_column *c, const uint8_t *src, int64_t n, int64_t stride,
                     uint8_t *dst) {
  int64_t from = pt_dtype(c->type)->bytes, to = pt_dtype(written(c->type))->bytes;
  for (int64_t i = 0; i < n; i++, src += c->width * from, dst += stride) {
    pt_convert(dst, written(c->type), src, c->type, c->width);
    for (int64_t w = 0; host_big() && w < c->width; w++)
      for (int64_t a = w * to, b = a + to - 1; a < b; a++, b--) {
        uint8_t swap = dst[a];
        dst[a] = dst[b];
        dst[b] = swap;
      }
  }
}

/* The same for cells of `bytes` bytes that are written as they are. */
static void pack_plain(const uint8_t *src, int bytes, int64_t n, int64_t stride, uint8_t *dst) {
  switch (bytes) {
    case 1:
      for (int64_t i = 0; i < n; i++) dst[i * stride] = src[i];
      break;
    case 2:
      for (int64_t i = 0; i < n; i++) memcpy(dst + i * stride, src + 2 * i, 2);
      break;
    case 4:
      for (int64_t i = 0; i < n; i++) memcpy(dst + i * stride, src + 4 * i, 4);
      break;
    default:
      for (int64_t i = 0; i < n; i++) memcpy(dst + i * stride, src + 8 * i, 8);
      break;
  }
}

/* Rows first .. first + n - 1, stride bytes each, into buf. */
static void pack(const struct pt_table *t, int64_t first, int64_t n, int64_t stride,
                 uint8_t *buf) {
  int64_t offset = 0;
  for (int k = 0; k < t->count; k++) {
    const struct pt_column *c = &t->col[k];
    int64_t bytes = pt_dtype(c->type)->bytes;
    const uint8_t *src = (const uint8_t *)c->data + first * c->width * bytes;
    if (c->width == 1 && written(c->type) == c->type && !host_big())
      pack_plain(src, (int)bytes, n, stride, buf + offset);
    else
      pack_any(c, src, n, stride, buf + offset);
    offset += pt_dtype(written(c->type))->bytes * c->width;
  }
}

int pt_ply_begin(struct pt_ply_writer *w, struct pt_mem *mem, const char *path, int64_t n,
                 const struct pt_table *columns, struct ptv3_error *err) {
  *w = (struct pt_ply_writer){.mem = mem};
  for (int i = 0; i < columns->count; i++)
    w->stride += pt_dtype(written(columns->col[i].type))->bytes * columns->col[i].width;
  w->block = pt_max(65536 / pt_max(w->stride, 1), 1);
  struct ptv3_error e = {0};
  w->buf = pt_alloc(mem, w->block, w->stride, PT_MEM_OTHER, &e);
  if (w->buf && pt_out_open(&w->out, mem, path, &e) == PTV3_OK) {
    write_header(&w->out, n, columns);
    return PTV3_OK;
  }
  if (err) *err = e;
  return e.status;
}

int pt_ply_put(struct pt_ply_writer *w, const struct pt_table *t, struct ptv3_error *err) {
  for (int i = 0; i < t->count; i++) {
    int status = check_column(&t->col[i], t->n, w->out.path, err);
    if (status) return status;
  }
  for (int64_t i = 0; i < t->n; i += w->block) {
    int64_t n = pt_min(w->block, t->n - i);
    pack(t, i, n, w->stride, w->buf);
    pt_write(&w->out, w->buf, n * w->stride);
  }
  return PTV3_OK;
}

int pt_ply_end(struct pt_ply_writer *w, bool ok, struct ptv3_error *err) {
  int status = PTV3_OK;
  if (ok)
    status = pt_out_commit(&w->out, err);
  else
    pt_out_abort(&w->out);
  pt_free(w->mem, w->buf);
  w->buf = NULL;
  return status;
}

int pt_ply_write(struct pt_mem *mem, const char *path, const struct pt_table *t,
                 struct ptv3_error *err) {
  struct pt_ply_writer w;
  for (int i = 0; i < t->count; i++) { /* before a file is there */
    int status = check_column(&t->col[i], t->n, path, err);
    if (status) return status;
  }
  int status = pt_ply_begin(&w, mem, path, t->n, t, err);
  if (!status) status = pt_ply_put(&w, t, err);
  int end = pt_ply_end(&w, !status, err);
  return status ? status : end;
}
