/* file.h - files in: mapped, read through a bounded cursor. Files out: written beside and
 * renamed, so that a reader never sees half a file and an interrupted write leaves none. */
#ifndef PT_FILE_H
#define PT_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mem.h"

/* ---- in ---- */

/* A whole file, mapped read-only. data is never NULL; size may be 0. */
struct pt_map {
  const uint8_t *data; /* [size] */
  int64_t size;
  const char *path; /* the caller's string, kept alive by the caller */
};

int pt_map_open(struct pt_map *map, const char *path, struct ptv3_error *err);
void pt_map_close(struct pt_map *map); /* a zeroed map is allowed */

/* Gives the pages within [from, to) back to the system, so that a file larger than memory can
 * be read from one end to the other; they may be read again. */
void pt_map_drop(const struct pt_map *map, const uint8_t *from, const uint8_t *to);

/* A position in a block of bytes with a name for messages. Reads past the end fail with
 * PTV3_FORMAT and the offset; nothing is read beyond size. */
struct pt_cursor {
  const uint8_t *data; /* [size] */
  int64_t size;
  int64_t pos;
  const char *name; /* the file's path, for messages */
};

struct pt_cursor pt_cursor_of(const struct pt_map *map);

static inline int64_t pt_left(const struct pt_cursor *c) { return c->size - c->pos; }

/* The next n bytes, and moves on; NULL with err filled when there are fewer. what names
 * the thing being read ("header"). */
const uint8_t *pt_take(struct pt_cursor *c, int64_t n, const char *what,
                       struct ptv3_error *err);

/* Moves to an absolute position, 0 <= pos <= size. */
int pt_seek(struct pt_cursor *c, int64_t pos, const char *what, struct ptv3_error *err);

/* The next text line without its end ("\n" or "\r\n"), not NUL-terminated; false at the
 * end of the data. */
bool pt_line(struct pt_cursor *c, const char **line, int64_t *length);

/* Little-endian and big-endian loads from unaligned bytes. */
static inline uint16_t pt_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t pt_le32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t pt_le64(const uint8_t *p) {
  return (uint64_t)pt_le32(p) | (uint64_t)pt_le32(p + 4) << 32;
}
static inline uint16_t pt_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t pt_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}
static inline uint64_t pt_be64(const uint8_t *p) {
  return (uint64_t)pt_be32(p) << 32 | (uint64_t)pt_be32(p + 4);
}

/* Little-endian stores. */
static inline void pt_put16(uint8_t *p, uint16_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
}
static inline void pt_put32(uint8_t *p, uint32_t v) {
  pt_put16(p, (uint16_t)v);
  pt_put16(p + 2, (uint16_t)(v >> 16));
}
static inline void pt_put64(uint8_t *p, uint64_t v) {
  pt_put32(p, (uint32_t)v);
  pt_put32(p + 4, (uint32_t)(v >> 32));
}

bool pt_is_dir(const char *path);
bool pt_is_file(const char *path);

/* The extension in lower case without its dot ("las"), "" if none; at most 15 letters. */
void pt_extension(const char *path, char out[static 16]);

/* dir + "/" + name (name alone when it is absolute or dir is ""). */
char *pt_join(struct pt_mem *m, const char *dir, const char *name, struct ptv3_error *err);

/* ---- out ---- */

/* A file being written. It has no name until pt_out_commit (where the file system can do
 * that), so a killed process leaves nothing behind. */
struct pt_out {
  FILE *f;
  char *path; /* where it goes */
  char *temp; /* where it is now; NULL while it has no name */
  struct pt_mem *mem;
  int failed; /* errno of the first failed write, 0 if none */
};

int pt_out_open(struct pt_out *out, struct pt_mem *mem, const char *path,
                struct ptv3_error *err);

/* Writes n bytes; a failure is kept and reported by pt_out_commit, so that a run of
 * writes needs one check. */
void pt_write(struct pt_out *out, const void *data, int64_t n);
void pt_writef(struct pt_out *out, const char *fmt, ...) PT_PRINTF(2, 3);

/* The same with n bytes of a mapped file from byte `at` on, whose pages are given back. */
void pt_write_mapped(struct pt_out *out, const struct pt_map *map, int64_t at, int64_t n);

/* Flushes to the disk and gives the file its name. out is released in either case. */
int pt_out_commit(struct pt_out *out, struct ptv3_error *err);

/* Throws the file away; a zeroed or committed out is allowed. */
void pt_out_abort(struct pt_out *out);

#endif
