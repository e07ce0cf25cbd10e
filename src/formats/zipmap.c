/* zipmap.c - see zipmap.h. */
#include "zipmap.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "size.h"

#define LOCAL 0x04034b50u
#define CENTRAL 0x02014b50u
#define END 0x06054b50u
#define END64 0x06064b50u
#define LOCATOR64 0x07064b50u
#define END_SIZE 22

static int bad(const struct pt_cursor *f, int64_t at, const char *what,
               struct ptv3_error *err) {
  return pt_fail_at(
      err, PTV3_FORMAT, at,
      "'%s': damaged or incomplete zip archive: %s (byte %lld); get the file again", f->name,
      what, (long long)at);
}

bool pt_zip_probe(const struct pt_cursor *f) {
  return pt_left(f) >= 4 && (pt_le32(f->data) == LOCAL || pt_le32(f->data) == END);
}

/* ---- the end record ---- */

struct end {
  int64_t entries, size, offset; /* of the central directory */
};

/* A 64-bit number of the file as a count; false if it is beyond 2^63. */
static bool get64(const uint8_t *p, int64_t *v) {
  uint64_t u = pt_le64(p);
  *v = (int64_t)(u & INT64_MAX);
  return u <= INT64_MAX;
}

static int read_end64(const struct pt_cursor *f, int64_t locator, struct end *e,
                      struct ptv3_error *err) {
  int64_t at;
  const uint8_t *p = f->data + locator;
  if (!get64(p + 8, &at) || at > locator - 56 || pt_le32(f->data + at) != END64)
    return bad(f, locator, "its zip64 end record is missing", err);
  p = f->data + at;
  if (pt_le32(p + 16) != 0 || pt_le32(p + 20) != 0)
    return bad(f, at, "one of several volumes", err);
  if (!get64(p + 32, &e->entries) || !get64(p + 40, &e->size) || !get64(p + 48, &e->offset))
    return bad(f, at, "sizes beyond any file", err);
  return PTV3_OK;
}

static int read_end(const struct pt_cursor *f, struct end *e, struct ptv3_error *err) {
  int64_t at = f->size - END_SIZE, lowest = pt_max(0, at - 65535);
  while (at >= lowest && !(pt_le32(f->data + at) == END &&
                           at + END_SIZE + pt_le16(f->data + at + 20) == f->size))
    at--;
  if (at < lowest) return bad(f, f->size, "its end record is missing", err);
  const uint8_t *p = f->data + at;
  if (at >= 20 && pt_le32(p - 20) == LOCATOR64) return read_end64(f, at - 20, e, err);
  if (pt_le16(p + 4) != 0 || pt_le16(p + 6) != 0)
    return bad(f, at, "one of several volumes", err);
  *e = (struct end){pt_le16(p + 10), pt_le32(p + 12), pt_le32(p + 16)};
  return PTV3_OK;
}

/* ---- the central directory ---- */

/* The zip64 extra field holds, in this order, those of the four numbers that the entry
 * itself has no room for. */
static bool read_extra64(const uint8_t *p, int64_t n, struct pt_zip_record *r) {
  int64_t *const field[] = {&r->size, &r->packed, &r->header};
  while (n >= 4) {
    int64_t len = pt_le16(p + 2), at = 4;
    if (len > n - 4) return false;
    if (pt_le16(p) == 1) {
      for (int i = 0; i < 3; i++) {
        if (*field[i] != UINT32_MAX) continue;
        if (at + 8 > len + 4 || !get64(p + at, field[i])) return false;
        at += 8;
      }
      return true;
    }
    p += 4 + len;
    n -= 4 + len;
  }
  return true;
}

static int read_entry(struct pt_cursor *c, struct pt_zip_record *r, struct ptv3_error *err) {
  int64_t at = c->pos;
  const uint8_t *p = pt_take(c, 46, "zip directory", err);
  if (!p) return PTV3_FORMAT;
  if (pt_le32(p) != CENTRAL) return bad(c, at, "a directory entry is missing", err);
  *r = (struct pt_zip_record){.method = pt_le16(p + 10),
                              .crc = pt_le32(p + 16),
                              .packed = pt_le32(p + 20),
                              .size = pt_le32(p + 24),
                              .name_len = pt_le16(p + 28),
                              .header = pt_le32(p + 42)};
  int64_t extra_len = pt_le16(p + 30), comment = pt_le16(p + 32);
  bool encrypted = pt_le16(p + 8) & 1;
  r->name = (const char *)pt_take(c, r->name_len, "zip directory", err);
  const uint8_t *extra = r->name ? pt_take(c, extra_len, "zip directory", err) : NULL;
  if (!extra || !pt_take(c, comment, "zip directory", err)) return PTV3_FORMAT;
  if (!read_extra64(extra, extra_len, r)) return bad(c, at, "a damaged zip64 field", err);
  if (encrypted || (r->method != 0 && r->method != 8))
    return pt_fail_at(err, PTV3_UNSUPPORTED, at,
                      "'%s': the record '%.*s' is %s; save the file again with torch.save",
                      c->name, (int)pt_min(r->name_len, 100), r->name,
                      encrypted ? "encrypted" : "neither stored nor deflated");
  if (r->method == 0 && r->packed != r->size)
    return bad(c, at, "a stored record with two sizes", err);
  return PTV3_OK;
}

static int compare(const char *a, int64_t na, const char *b, int64_t nb) {
  int c = memcmp(a, b, (size_t)pt_min(na, nb));
  return c ? c : (na > nb) - (na < nb);
}

static int by_name(const void *a, const void *b) {
  const struct pt_zip_record *x = a, *y = b;
  return compare(x->name, x->name_len, y->name, y->name_len);
}

int pt_zip_open(struct pt_zip *z, struct pt_mem *mem, struct pt_cursor file,
                struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct end end = {0};
  *z = (struct pt_zip){.mem = mem, .file = file};
  if (read_end(&file, &end, &e)) goto fail;
  struct pt_cursor c = file;
  if (end.offset > file.size || end.size > file.size - end.offset ||
      end.entries > end.size / 46) {
    bad(&file, file.size, "its directory lies outside the file", &e);
    goto fail;
  }
  c.pos = end.offset;
  c.size = end.offset + end.size;
  if (!(z->record = pt_alloc(mem, end.entries, sizeof *z->record, PT_MEM_OTHER, &e))) goto fail;
  for (; z->count < end.entries; z->count++)
    if (read_entry(&c, &z->record[z->count], &e)) goto fail;
  qsort(z->record, (size_t)z->count, sizeof *z->record, by_name);
  for (int64_t i = 1; i < z->count; i++)
    if (by_name(&z->record[i - 1], &z->record[i]) == 0) {
      bad(&file, end.offset, "two records with one name", &e);
      goto fail;
    }
  return PTV3_OK;
fail:
  pt_zip_close(z);
  if (err) *err = e;
  return e.status;
}

void pt_zip_close(struct pt_zip *z) {
  if (!z->mem) return;
  if (z->record)
    for (int64_t i = 0; i < z->count; i++) pt_free(z->mem, z->record[i].inflated);
  pt_free(z->mem, z->record);
  *z = (struct pt_zip){0};
}

struct pt_zip_record *pt_zip_find(const struct pt_zip *z, const char *name, int64_t n) {
  int64_t lo = 0, hi = z->count;
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    struct pt_zip_record *r = &z->record[mid];
    int c = compare(name, n, r->name, r->name_len);
    if (c == 0) return r;
    if (c < 0)
      hi = mid;
    else
      lo = mid + 1;
  }
  return NULL;
}

/* ---- the records ---- */

/* The record's bytes as they lie in the archive; NULL with err filled. */
static const uint8_t *packed_bytes(const struct pt_zip *z, const struct pt_zip_record *r,
                                   struct ptv3_error *err) {
  struct pt_cursor c = z->file;
  if (pt_seek(&c, r->header, "record", err)) return NULL;
  const uint8_t *p = pt_take(&c, 30, "record", err);
  if (!p) return NULL;
  int64_t n = pt_le16(p + 26), extra = pt_le16(p + 28);
  if (pt_le32(p) != LOCAL || n != r->name_len) {
    bad(&c, r->header, "a record is not where the directory says", err);
    return NULL;
  }
  const uint8_t *name = pt_take(&c, n, "record", err);
  if (!name || !pt_take(&c, extra, "record", err)) return NULL;
  if (memcmp(name, r->name, (size_t)n) != 0) {
    bad(&c, r->header, "a record is not where the directory says", err);
    return NULL;
  }
  return pt_take(&c, r->packed, "record", err);
}

/* zlib counts in 32 bits: feeds it in pieces. */
static bool inflate_all(const uint8_t *in, int64_t n, uint8_t *out, int64_t size) {
  z_stream s = {0};
  if (inflateInit2(&s, -MAX_WBITS) != Z_OK) return false;
  int rc = Z_OK;
  int64_t in_left = n, out_left = size;
  s.next_in = (Bytef *)(uintptr_t)in;
  s.next_out = out;
  while (rc == Z_OK) {
    uInt a = (uInt)pt_min(in_left, 1 << 30), b = (uInt)pt_min(out_left, 1 << 30);
    s.avail_in = a;
    s.avail_out = b;
    rc = inflate(&s, Z_NO_FLUSH);
    in_left -= a - s.avail_in;
    out_left -= b - s.avail_out;
    if (rc == Z_OK && a == s.avail_in && b == s.avail_out) break;
  }
  inflateEnd(&s);
  return rc == Z_STREAM_END && out_left == 0;
}

static uint32_t crc_of(const uint8_t *p, int64_t n) {
  uLong crc = crc32(0, NULL, 0);
  for (int64_t i = 0; i < n; i += 1 << 30)
    crc = crc32(crc, p + i, (uInt)pt_min(n - i, 1 << 30));
  return (uint32_t)crc;
}

/* What pt_zip_data adds to a stored record: unpacking. */
static const uint8_t *inflate_record(struct pt_zip *z, struct pt_zip_record *r,
                                     const uint8_t *packed, struct ptv3_error *err) {
  /* Deflate makes at most 1032 bytes of one: more is a lie, and is not allocated. */
  if (r->size / 1032 > r->packed) {
    bad(&z->file, r->header, "a record larger than its bytes can be", err);
    return NULL;
  }
  uint8_t *out = pt_alloc(z->mem, r->size, 1, PT_MEM_OTHER, err);
  if (!out) return NULL;
  if (!inflate_all(packed, r->packed, out, r->size) || crc_of(out, r->size) != r->crc) {
    pt_free(z->mem, out);
    bad(&z->file, r->header, "a compressed record does not unpack", err);
    return NULL;
  }
  r->inflated = out;
  return out;
}

const uint8_t *pt_zip_data(struct pt_zip *z, struct pt_zip_record *r, struct ptv3_error *err) {
  if (r->inflated) return r->inflated;
  const uint8_t *p = packed_bytes(z, r, err);
  return p && r->method == 8 ? inflate_record(z, r, p, err) : p;
}

int pt_zip_verify(struct pt_zip *z, struct pt_zip_record *r, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  const uint8_t *p = pt_zip_data(z, r, &e);
  if (!p) {
    if (err) *err = e;
    return e.status;
  }
  r->checked = r->checked || r->inflated || crc_of(p, r->size) == r->crc;
  return r->checked ? PTV3_OK : bad(&z->file, r->header, "a record's checksum is wrong", err);
}
