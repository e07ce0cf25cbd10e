/* tfevents.c - see tfevents.h. */
#include "tfevents.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAG_MAX 400
#define RECORD_MAX (TAG_MAX + 100)

uint32_t pt_crc32c(const uint8_t *data, int64_t n) {
  uint32_t crc = UINT32_MAX;
  for (int64_t i = 0; i < n; i++) {
    crc ^= data[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
  }
  return ~crc;
}

/* A checksum that is stored beside what it is of, so that it can be part of other checksums. */
static uint32_t masked(const uint8_t *data, int64_t n) {
  uint32_t crc = pt_crc32c(data, n);
  return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

/* ---- protocol buffers, as far as needed ---- */

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct message {
  uint8_t data[RECORD_MAX];
  int64_t n;
};

static void put_varint(struct message *m, uint64_t v) {
  for (; v > 127; v >>= 7) m->data[m->n++] = (uint8_t)(v | 128);
  m->data[m->n++] = (uint8_t)v;
}

static void put_key(struct message *m, uint64_t field, enum wire wire) {
  put_varint(m, field << 3 | wire);
}

static void put_bytes(struct message *m, uint64_t field, const void *data, int64_t n) {
  put_key(m, field, BYTES);
  put_varint(m, (uint64_t)n);
  memcpy(m->data + m->n, data, (size_t)n);
  m->n += n;
}

static void put_double(struct message *m, uint64_t field, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  put_key(m, field, FIXED64);
  pt_put64(m->data + m->n, bits);
  m->n += 8;
}

static void put_float(struct message *m, uint64_t field, float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  put_key(m, field, FIXED32);
  pt_put32(m->data + m->n, bits);
  m->n += 4;
}

/* A field of a message; data [n] of BYTES and the fixed ones, number of VARINT. */
struct field {
  uint64_t number;
  enum wire wire;
  uint64_t value;
  const uint8_t *data;
  int64_t n;
};

static bool take_varint(struct pt_cursor *c, uint64_t *v) {
  *v = 0;
  for (int shift = 0; shift < 64 && pt_left(c) > 0; shift += 7) {
    uint8_t b = c->data[c->pos++];
    *v |= (uint64_t)(b & 127) << shift;
    if (b < 128) return true;
  }
  return false;
}

static bool take_field(struct pt_cursor *c, struct field *f) {
  uint64_t key, n = 0;
  if (!take_varint(c, &key)) return false;
  f->number = key >> 3;
  f->wire = (enum wire)(key & 7);
  switch (key & 7) {
    case VARINT: return take_varint(c, &f->value);
    case FIXED64: n = 8; break;
    case FIXED32: n = 4; break;
    case BYTES:
      if (!take_varint(c, &n)) return false;
      break;
    default: return false;
  }
  if (n > (uint64_t)pt_left(c)) return false;
  f->data = c->data + c->pos;
  f->n = (int64_t)n;
  c->pos += f->n;
  return true;
}

/* Summary.Value: tag = 1, simple_value = 2. */
static void read_value(const struct field *value, struct pt_tfevent *e) {
  struct pt_cursor c = {value->data, value->n, 0, NULL};
  struct field f;
  while (take_field(&c, &f)) {
    if (f.number == 1 && f.wire == BYTES) e->tag = (const char *)f.data, e->tag_len = f.n;
    if (f.number == 2 && f.wire == FIXED32) {
      uint32_t bits = pt_le32(f.data);
      memcpy(&e->value, &bits, sizeof bits);
    }
  }
}

/* Event: wall_time = 1, step = 2, summary = 5 { value = 1 }. The first value counts. */
static void read_event(struct pt_cursor c, struct pt_tfevent *e) {
  struct field f, value;
  *e = (struct pt_tfevent){0};
  while (take_field(&c, &f)) {
    if (f.number == 1 && f.wire == FIXED64) {
      uint64_t bits = pt_le64(f.data);
      memcpy(&e->time, &bits, sizeof bits);
    }
    if (f.number == 2 && f.wire == VARINT) e->step = (int64_t)f.value;
    if (f.number != 5 || f.wire != BYTES || e->tag) continue;
    struct pt_cursor summary = {f.data, f.n, 0, NULL};
    if (take_field(&summary, &value) && value.number == 1 && value.wire == BYTES)
      read_value(&value, e);
  }
}

bool pt_tfevents_next(struct pt_cursor *c, struct pt_tfevent *event) {
  const uint8_t *p = c->data + c->pos;
  if (pt_left(c) < 16) return false;
  uint64_t n = pt_le64(p);
  if (masked(p, 8) != pt_le32(p + 8) || n > (uint64_t)pt_left(c) - 16) return false;
  if (masked(p + 12, (int64_t)n) != pt_le32(p + 12 + n)) return false;
  read_event((struct pt_cursor){p + 12, (int64_t)n, 0, NULL}, event);
  c->pos += (int64_t)n + 16;
  return true;
}

/* ---- the file ---- */

static int fail_io(struct pt_tfevents *t, const char *what, struct ptv3_error *err) {
  return pt_fail(err, PTV3_IO, "'%s': %s: %s", t->path, what, strerror(errno));
}

static int write_record(struct pt_tfevents *t, const struct message *m,
                        struct ptv3_error *err) {
  uint8_t record[RECORD_MAX + 16];
  pt_put64(record, (uint64_t)m->n);
  pt_put32(record + 8, masked(record, 8));
  memcpy(record + 12, m->data, (size_t)m->n);
  pt_put32(record + 12 + m->n, masked(m->data, m->n));
  for (int64_t at = 0, n = m->n + 16; at < n;) {
    ssize_t k = write(t->fd, record + at, (size_t)(n - at));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return fail_io(t, "cannot be written", err);
    at += k;
  }
  return PTV3_OK;
}

static int open_file(struct pt_tfevents *t, struct pt_mem *mem, const char *path, int flags,
                     struct ptv3_error *err) {
  struct ptv3_error e = {0};
  *t = (struct pt_tfevents){.fd = -1, .mem = mem, .path = pt_strdup(mem, path, &e)};
  if (!t->path) {
    if (err) *err = e;
    return e.status;
  }
  t->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | flags, 0666);
  if (t->fd >= 0) return PTV3_OK;
  int status = fail_io(t, "cannot be opened for writing", err);
  pt_tfevents_close(t);
  return status;
}

int pt_tfevents_create(struct pt_tfevents *t, struct pt_mem *mem, const char *path,
                       struct ptv3_error *err) {
  struct message m = {.n = 0};
  struct timespec now;
  int status = open_file(t, mem, path, O_TRUNC, err);
  if (status) return status;
  clock_gettime(CLOCK_REALTIME, &now);
  put_double(&m, 1, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
  put_bytes(&m, 3, "brain.Event:2", 13); /* file_version */
  status = write_record(t, &m, err);
  if (status) pt_tfevents_close(t);
  return status;
}

/* Bytes of the file that stay; 0: none. */
static int64_t kept_bytes(const char *path, bool (*keep)(void *, const struct pt_tfevent *),
                          void *user) {
  struct pt_map map;
  struct pt_tfevent e;
  if (!pt_is_file(path) || pt_map_open(&map, path, NULL)) return 0;
  struct pt_cursor c = pt_cursor_of(&map);
  int64_t end = 0;
  while (pt_tfevents_next(&c, &e) && (!e.tag || keep(user, &e))) end = c.pos;
  pt_map_close(&map);
  return end;
}

int pt_tfevents_continue(struct pt_tfevents *t, struct pt_mem *mem, const char *path,
                         bool (*keep)(void *user, const struct pt_tfevent *event), void *user,
                         struct ptv3_error *err) {
  int64_t end = kept_bytes(path, keep, user);
  if (!end) return pt_tfevents_create(t, mem, path, err);
  int status = open_file(t, mem, path, 0, err);
  if (status) return status;
  if (ftruncate(t->fd, end)) {
    status = fail_io(t, "cannot be cut", err);
    pt_tfevents_close(t);
  }
  return status;
}

int pt_tfevents_scalar(struct pt_tfevents *t, const char *tag, int64_t step, double time,
                       double value, struct ptv3_error *err) {
  struct message v = {.n = 0}, s = {.n = 0}, m = {.n = 0};
  int64_t n = (int64_t)strlen(tag);
  if (n > TAG_MAX) return pt_fail(err, PTV3_INVALID, "a tag of %lld bytes", (long long)n);
  put_bytes(&v, 1, tag, n);
  put_float(&v, 2, (float)value);
  put_bytes(&s, 1, v.data, v.n);
  put_double(&m, 1, time);
  put_key(&m, 2, VARINT);
  put_varint(&m, (uint64_t)step);
  put_bytes(&m, 5, s.data, s.n);
  return write_record(t, &m, err);
}

void pt_tfevents_close(struct pt_tfevents *t) {
  if (t->fd >= 0) close(t->fd);
  if (t->mem) pt_free(t->mem, t->path);
  *t = (struct pt_tfevents){.fd = -1};
}
