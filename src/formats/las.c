/* las.c - reading LAS: the header, the records, the points into columns. See las.h.
 *
 * Not here: where a dimension lies (las_fields.c), writing (las_write.c), LASzip (laz.c).
 * Source: LAS Specification 1.4-R15. */
#include "las.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "las_fields.h"
#include "laz.h"
#include "size.h"

enum { BLOCK = 2048, SUPERBLOCK = 512 * BLOCK };

/* A point compressed by LASzip takes a fraction of a bit at the least; a count beyond this
 * many points a byte is a lie. */
enum { MAX_POINTS_PER_BYTE = 4096 };

static double le_double(const uint8_t *p) {
  uint64_t u = pt_le64(p);
  double d;
  memcpy(&d, &u, sizeof d);
  return d;
}

/* An unsigned 64-bit number of a file as a count; INT64_MAX where it does not fit, which
 * no check against the size of a file lets pass. */
static int64_t le_count(const uint8_t *p) {
  uint64_t u = pt_le64(p);
  return u > INT64_MAX ? INT64_MAX : (int64_t)u;
}

/* ---- the header ---- */

static int check_version(struct pt_cursor *c, const uint8_t *p, struct pt_las_header *h,
                         struct ptv3_error *err) {
  if (memcmp(p, "LASF", 4) != 0)
    return pt_fail_at(err, PTV3_FORMAT, 0, "'%s': not a LAS file (it does not start with LASF)",
                      c->name);
  if (p[24] != 1 || p[25] > 4)
    return pt_fail_at(err, PTV3_UNSUPPORTED, 24, "'%s': LAS version %d.%d; 1.0 to 1.4 are read",
                      c->name, p[24], p[25]);
  h->minor = p[25];
  h->size = pt_le16(p + 94);
  int64_t least = h->minor == 4 ? 375 : h->minor == 3 ? 235 : 227;
  if (h->size < least || h->size > c->size)
    return pt_fail_at(err, PTV3_FORMAT, 94,
                      "'%s': a header of %lld bytes; LAS 1.%d has %lld at least, the file %lld",
                      c->name, (long long)h->size, h->minor, (long long)least,
                      (long long)c->size);
  return PTV3_OK;
}

static int check_format(struct pt_cursor *c, const uint8_t *p, struct pt_las_header *h,
                        struct ptv3_error *err) {
  /* LASzip marks a compressed file in the two top bits of the format. */
  h->compressed = (p[104] & 0xc0) == 0x80;
  h->format = h->compressed ? p[104] & 0x3f : p[104];
  h->record = pt_le16(p + 105);
  if (h->format > PT_LAS_LAST_FORMAT)
    return pt_fail_at(err, PTV3_UNSUPPORTED, 104, "'%s': point format %d; 0 to 10 are read",
                      c->name, h->format);
  if (h->record < pt_las_record_size(h->format))
    return pt_fail_at(
        err, PTV3_FORMAT, 105, "'%s': points of %lld bytes, format %d has %lld at least",
        c->name, (long long)h->record, h->format, (long long)pt_las_record_size(h->format));
  return PTV3_OK;
}

static void read_counts(const uint8_t *p, struct pt_las_header *h) {
  h->points_at = pt_le32(p + 96);
  h->vlr_count = pt_le32(p + 100);
  h->n = pt_le32(p + 107);
  bool packets_inside = (pt_le16(p + 6) & 2) != 0 && pt_las_layout(h->format)->wave >= 0;
  if (h->minor >= 3 && packets_inside) h->wave_at = le_count(p + 227);
  if (h->minor < 4) return;
  h->evlr_count = pt_le32(p + 243);
  if (h->evlr_count > 0) h->evlr_at = le_count(p + 235);
  /* Some writers fill in the 32-bit count only. */
  int64_t n = le_count(p + 247);
  if (n > 0) h->n = n;
}

static int check_points(struct pt_cursor *c, const struct pt_las_header *h,
                        struct ptv3_error *err) {
  static const char *const axis[3] = {"x", "y", "z"};
  if (h->points_at < h->size || h->points_at > c->size)
    return pt_fail_at(err, PTV3_FORMAT, 96,
                      "'%s': its points would start at byte %lld; the header has %lld bytes, "
                      "the file %lld",
                      c->name, (long long)h->points_at, (long long)h->size, (long long)c->size);
  int64_t room = c->size - h->points_at;
  bool fits = h->compressed ? h->n / MAX_POINTS_PER_BYTE <= room : h->n <= room / h->record;
  if (!fits)
    return pt_fail_at(
        err, PTV3_FORMAT, h->points_at,
        "'%s': the header announces %lld points of %lld bytes, %s%lld are there; is "
        "it an incomplete copy?",
        c->name, (long long)h->n, (long long)h->record,
        h->compressed ? "compressed bytes: " : "",
        (long long)(h->compressed ? room : room / h->record));
  if (h->wave_at > c->size)
    return pt_fail_at(err, PTV3_FORMAT, 227,
                      "'%s': its waveforms would start at byte %lld, the file has %lld",
                      c->name, (long long)h->wave_at, (long long)c->size);
  for (int k = 0; k < 3 && h->n > 0; k++) {
    double scale = h->scale[k], offset = h->offset[k];
    if (!isfinite(scale) || scale == 0 || !isfinite(offset))
      return pt_fail_at(err, PTV3_FORMAT, 131 + 8 * k,
                        "'%s': coordinate %s has scale %g and offset %g", c->name, axis[k],
                        scale, offset);
  }
  return PTV3_OK;
}

/* Walks a chain of records; each takes 54 bytes at least, so a count that lies ends at the
 * end of the file. */
static int check_chain(struct pt_cursor *c, int64_t at, int64_t limit, int64_t count,
                       bool extended, struct ptv3_error *err) {
  struct pt_las_vlr v = {0};
  for (int64_t i = 0; i < count; i++) {
    int status = pt_las_vlr_at(c, at, limit, extended, &v, err);
    if (status) return status;
    at = v.end;
  }
  return PTV3_OK;
}

int pt_las_parse(struct pt_cursor *c, struct pt_las_header *h, struct ptv3_error *err) {
  *h = (struct pt_las_header){0};
  int status = pt_seek(c, 0, "header", err);
  if (status) return status;
  const uint8_t *p = pt_take(c, 227, "LAS header", err);
  if (!p) return PTV3_FORMAT;
  if ((status = check_version(c, p, h, err)) || (status = check_format(c, p, h, err)))
    return status;
  read_counts(p, h);
  for (int k = 0; k < 3; k++) {
    h->scale[k] = le_double(p + 131 + 8 * k);
    h->offset[k] = le_double(p + 155 + 8 * k);
    h->max[k] = le_double(p + 179 + 16 * k);
    h->min[k] = le_double(p + 187 + 16 * k);
  }
  if ((status = check_points(c, h, err))) return status;
  if ((status = check_chain(c, h->size, h->points_at, h->vlr_count, false, err))) return status;
  return check_chain(c, h->evlr_at, c->size, h->evlr_count, true, err);
}

int pt_las_vlr_at(struct pt_cursor *c, int64_t at, int64_t limit, bool extended,
                  struct pt_las_vlr *v, struct ptv3_error *err) {
  int64_t head = extended ? 60 : 54;
  const char *what = extended ? "extended variable length record" : "variable length record";
  if (at < 0 || limit > c->size || at > limit || limit - at < head)
    return pt_fail_at(err, PTV3_FORMAT, at, "'%s': a %s at byte %lld passes byte %lld, its end",
                      c->name, what, (long long)at, (long long)limit);
  const uint8_t *p = c->data + at;
  memcpy(v->user, p + 2, 16);
  v->user[16] = 0;
  v->id = pt_le16(p + 18);
  v->at = at;
  v->data_at = at + head;
  v->data_size = extended ? le_count(p + 20) : pt_le16(p + 20);
  if (v->data_size > limit - v->data_at)
    return pt_fail_at(err, PTV3_FORMAT, at + 20,
                      "'%s': a %s of %lld bytes at byte %lld passes byte %lld, its end",
                      c->name, what, (long long)v->data_size, (long long)at, (long long)limit);
  v->end = v->data_at + v->data_size;
  return PTV3_OK;
}

/* ---- extra bytes ---- */

enum { DESCRIPTION = 192, LAST_EXTRA_TYPE = 30 };

/* Reads one description. Types 11 to 30, deprecated, are two or three numbers of types
 * 1 to 10; type 0 is a count of bytes. */
static void describe(const uint8_t *p, struct pt_las_extra *e) {
  *e = (struct pt_las_extra){.type = p[2], .width = 1, .options = p[3]};
  memcpy(e->name, p + 4, 32);
  if (e->type == 0) {
    e->width = p[3];
    e->options = 0;
  } else {
    e->width = 1 + (e->type - 1) / 10;
    e->type = 1 + (e->type - 1) % 10;
  }
  for (int k = 0; k < 3; k++) {
    e->scale[k] = e->options & 8 ? le_double(p + 112 + 8 * k) : 1;
    e->offset[k] = e->options & 16 ? le_double(p + 136 + 8 * k) : 0;
  }
  e->bytes = pt_dtype(pt_las_extra_type(e->type))->bytes * e->width;
}

struct extra_list {
  struct pt_las_extra *item; /* [count] */
  int64_t count, capacity;
  int64_t at; /* byte in the point record where the next one starts */
  bool ended; /* one was wrong: where those behind it lie is not known */
};

static int add_extras(struct pt_env *env, struct pt_cursor *c, const struct pt_las_header *h,
                      const struct pt_las_vlr *v, struct extra_list *list,
                      struct ptv3_error *err) {
  for (int64_t at = v->data_at; v->end - at >= DESCRIPTION && !list->ended; at += DESCRIPTION) {
    struct pt_las_extra e;
    bool known = c->data[at + 2] <= LAST_EXTRA_TYPE;
    if (known) describe(c->data + at, &e);
    if (!known || e.bytes > h->record - list->at) {
      pt_warn(env,
              "'%s': the extra dimension described at byte %lld %s; it and those behind it are "
              "left out",
              c->name, (long long)at,
              known ? "passes the end of the point record" : "has an unknown type");
      list->ended = true;
    } else if (e.bytes > 0) {
      int status = pt_grow(&env->mem, &list->item, &list->capacity, list->count + 1,
                           sizeof *list->item, PT_MEM_OTHER, err);
      if (status) return status;
      e.at = list->at;
      e.described_at = at;
      list->at += e.bytes;
      list->item[list->count++] = e;
    }
  }
  return PTV3_OK;
}

int pt_las_extras(struct pt_env *env, struct pt_cursor *c, const struct pt_las_header *h,
                  struct pt_las_extra **list, int *count, bool *complete,
                  struct ptv3_error *err) {
  struct extra_list l = {.at = pt_las_record_size(h->format)};
  struct pt_las_vlr v = {.end = h->size};
  int status = PTV3_OK;
  for (int64_t i = 0; i < h->vlr_count && !status; i++) {
    status = pt_las_vlr_at(c, v.end, h->points_at, false, &v, err);
    if (!status && v.id == 4 && strcmp(v.user, "LASF_Spec") == 0)
      status = add_extras(env, c, h, &v, &l, err);
  }
  if (status) {
    pt_free(&env->mem, l.item);
    l = (struct extra_list){0};
  }
  *list = l.item;
  *count = (int)l.count;
  if (complete) *complete = !l.ended;
  return status;
}

/* ---- points into columns ---- */

struct pt_las_reader {
  struct pt_env *env;
  struct pt_map map; /* of pt_las_open; empty where the caller has the bytes */
  struct pt_cursor c;
  struct pt_las_header h;
  struct pt_las_field *field; /* [count]: one a column of a table, in its order */
  int64_t count, capacity;
  struct pt_laz *zip; /* LAZ: open, and `next` points are behind it; NULL else */
  int64_t next;
};

static bool wanted(const struct pt_las_select *s, const char *name) {
  if (!s || !s->names) return true;
  for (int i = 0; i < s->count; i++)
    if (strcasecmp(s->names[i], name) == 0) return true;
  return false;
}

static int add_field(struct pt_las_reader *r, const struct pt_las_select *select,
                     const struct pt_las_field *f, struct ptv3_error *err) {
  if (!wanted(select, f->name)) return PTV3_OK;
  int status = pt_grow(&r->env->mem, &r->field, &r->capacity, r->count + 1, sizeof *f,
                       PT_MEM_OTHER, err);
  if (!status) r->field[r->count++] = *f;
  return status;
}

static int add_fields(struct pt_las_reader *r, const struct pt_las_select *select,
                      struct ptv3_error *err) {
  struct pt_las_field f;
  int status;
  for (int i = 0; pt_las_standard_field(&r->h, i, &f); i++)
    if (f.name[0] && (status = add_field(r, select, &f, err))) return status;
  struct pt_las_extra *extra;
  int count;
  status = pt_las_extras(r->env, &r->c, &r->h, &extra, &count, NULL, err);
  for (int i = 0; i < count && !status; i++) {
    pt_las_extra_field(&extra[i], &f);
    status = add_field(r, select, &f, err);
  }
  pt_free(&r->env->mem, extra);
  return status;
}

/* Records [count] of the file into rows first.. of every column. */
static void fill(const struct pt_las_reader *r, const struct pt_table *t,
                 const uint8_t *records, int64_t first, int64_t count) {
  for (int64_t i = 0; i < r->count; i++) {
    const struct pt_column *col = &t->col[i];
    int64_t row = col->width * pt_dtype(col->type)->bytes;
    pt_las_gather(&r->field[i], records, r->h.record, count, (char *)col->data + first * row);
  }
}

/* Records [t->n] into the table. */
static int read_plain(const struct pt_las_reader *r, const struct pt_table *t,
                      const uint8_t *points, struct ptv3_error *err) {
  struct pt_env *env = r->env;
  int64_t n = t->n;
  for (int64_t start = 0; start < n; start += SUPERBLOCK) {
    int status = n < r->h.n ? PTV3_OK : pt_progress(env, "reading points", start, n, err);
    if (status) return status;
    int64_t blocks = pt_div_up(pt_min(SUPERBLOCK, n - start), BLOCK);
#pragma omp parallel for num_threads(env->threads) schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
      int64_t first = start + b * BLOCK;
      fill(r, t, points + first * r->h.record, first, pt_min(BLOCK, n - first));
    }
  }
  return PTV3_OK;
}

/* Where the compressed points are not at `first`, they are started again and passed over. */
static int go_to(struct pt_las_reader *r, int64_t first, uint8_t *buffer,
                 struct ptv3_error *err) {
  if (!r->zip || first < r->next) {
    pt_laz_close(r->zip);
    r->zip = NULL;
    r->next = 0;
    int status = pt_laz_reader(&r->env->mem, r->c.name, &r->h, &r->zip, err);
    if (status) return status;
  }
  while (r->next < first) {
    int64_t count = pt_min(BLOCK, first - r->next);
    int status = pt_laz_read(r->zip, buffer, count, err);
    if (status) return status;
    r->next += count;
  }
  return PTV3_OK;
}

static int read_laz(struct pt_las_reader *r, const struct pt_table *t, int64_t first,
                    struct ptv3_error *err) {
  struct ptv3_error e = {0};
  uint8_t *buffer = pt_alloc(&r->env->mem, BLOCK, r->h.record, PT_MEM_OTHER, &e);
  if (buffer) go_to(r, first, buffer, &e);
  for (int64_t i = 0; i < t->n && !e.status; i += BLOCK) {
    int64_t count = pt_min(BLOCK, t->n - i);
    if (i % SUPERBLOCK == 0 && t->n == r->h.n)
      pt_progress(r->env, "reading points", i, t->n, &e);
    if (e.status || pt_laz_read(r->zip, buffer, count, &e)) break;
    r->next += count;
    fill(r, t, buffer, i, count);
  }
  pt_free(&r->env->mem, buffer);
  if (e.status && err) *err = e;
  return e.status;
}

int pt_las_take(struct pt_las_reader *r, int64_t first, int64_t count, struct pt_table *t,
                struct ptv3_error *err) {
  struct ptv3_error e = {0};
  pt_table_init(t, &r->env->mem, count);
  for (int64_t i = 0; i < r->count && !e.status; i++)
    pt_table_add(t, r->field[i].name, r->field[i].type, r->field[i].width, &e);
  if (!e.status && r->h.compressed) {
    read_laz(r, t, first, &e);
  } else if (!e.status) {
    const uint8_t *points = r->c.data + r->h.points_at + first * r->h.record;
    read_plain(r, t, points, &e);
    pt_map_drop(&r->map, points, points + count * r->h.record);
  }
  if (!e.status) return PTV3_OK;
  pt_table_free(t);
  if (err) *err = e;
  return e.status;
}

int64_t pt_las_count(const struct pt_las_reader *r) { return r->h.n; }

static void release(struct pt_las_reader *r) {
  pt_laz_close(r->zip);
  pt_free(&r->env->mem, r->field);
  pt_map_close(&r->map);
}

void pt_las_close(struct pt_las_reader *r) {
  if (!r) return;
  release(r);
  pt_free(&r->env->mem, r);
}

int pt_las_open(struct pt_env *env, const char *path, const struct pt_las_select *select,
                struct pt_las_reader **out, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_las_reader *r = pt_zalloc(&env->mem, 1, sizeof *r, PT_MEM_OTHER, &e);
  *out = NULL;
  if (r) {
    r->env = env;
    if (pt_map_open(&r->map, path, &e) == PTV3_OK) {
      r->c = pt_cursor_of(&r->map);
      if (pt_las_parse(&r->c, &r->h, &e) == PTV3_OK) add_fields(r, select, &e);
    }
  }
  if (!e.status) {
    *out = r;
    return PTV3_OK;
  }
  pt_las_close(r);
  if (err) *err = e;
  return e.status;
}

int pt_las_read(struct pt_env *env, struct pt_cursor *c, const struct pt_las_select *select,
                struct pt_table *t, struct ptv3_error *err) {
  struct pt_las_reader r = {.env = env, .c = *c};
  *t = (struct pt_table){0};
  int status = pt_las_parse(&r.c, &r.h, err);
  if (!status && r.h.compressed)
    status = pt_fail(err, PTV3_UNSUPPORTED, "'%s': LAZ can be read from a file only", c->name);
  if (!status) status = add_fields(&r, select, err);
  if (!status) status = pt_las_take(&r, 0, r.h.n, t, err);
  release(&r);
  return status;
}

int pt_las_read_file(struct pt_env *env, const char *path, const struct pt_las_select *select,
                     struct pt_table *t, struct ptv3_error *err) {
  struct pt_las_reader *r;
  *t = (struct pt_table){0};
  int status = pt_las_open(env, path, select, &r, err);
  if (!status) status = pt_las_take(r, 0, r->h.n, t, err);
  pt_las_close(r);
  return status;
}
