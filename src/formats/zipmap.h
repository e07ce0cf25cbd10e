/* zipmap.h - the records of a zip archive that lies in memory.
 *
 * Stored records are handed out as pointers into the archive, so that a mapped checkpoint
 * costs no memory; deflated ones are inflated into a block. libzip reads archives too, but
 * does not say where a record's bytes lie, and copying is what is to be avoided here.
 * Zip64 is read; encrypted and multi-volume archives are refused.
 *
 * Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5. */
#ifndef PT_ZIPMAP_H
#define PT_ZIPMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "file.h"

struct pt_zip_record {
  const char *name; /* [name_len], not NUL-terminated, in the archive */
  int64_t name_len;
  int64_t packed, size; /* bytes stored, bytes once inflated */
  int64_t header;       /* offset of its local header */
  uint32_t crc;
  int method;     /* 0 stored, 8 deflated */
  bool checked;   /* its checksum was compared and is right */
  void *inflated; /* [size], owned; NULL until pt_zip_data inflates */
};

struct pt_zip {
  struct pt_mem *mem;
  struct pt_cursor file;
  struct pt_zip_record *record; /* [count], sorted by name */
  int64_t count;
};

/* Whether the bytes start like a zip archive. */
bool pt_zip_probe(const struct pt_cursor *file);

/* Reads the central directory. On failure z is empty. */
int pt_zip_open(struct pt_zip *z, struct pt_mem *mem, struct pt_cursor file,
                struct ptv3_error *err);

void pt_zip_close(struct pt_zip *z); /* a zeroed z is allowed */

/* The record with this name, NULL if there is none. */
struct pt_zip_record *pt_zip_find(const struct pt_zip *z, const char *name, int64_t n);

/* The record's bytes [r->size], valid while the archive (stored) or z (inflated) lives;
 * NULL with err filled on failure. An inflated record's checksum is verified. */
const uint8_t *pt_zip_data(struct pt_zip *z, struct pt_zip_record *r, struct ptv3_error *err);

/* Compares the record's checksum with its bytes, once. */
int pt_zip_verify(struct pt_zip *z, struct pt_zip_record *r, struct ptv3_error *err);

#endif
