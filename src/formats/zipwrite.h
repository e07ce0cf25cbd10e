/* zipwrite.h - writes a zip archive of stored records, each starting at a multiple of 64
 * bytes, so that it can be mapped. Zip64 fields appear where a number needs them.
 *
 * Source: PKWARE APPNOTE.TXT 6.3.10; the padding field is the one of PyTorch's writer
 * (caffe2/serialize/inline_container.cc). */
#ifndef PT_ZIPWRITE_H
#define PT_ZIPWRITE_H

#include "file.h"

struct pt_zip_entry {
  char name[56];
  int64_t size, header; /* bytes; offset of the local header */
  uint32_t crc;
};

struct pt_zip_out {
  struct pt_mem *mem;
  struct pt_out *out;
  struct pt_zip_entry *entry; /* [count], owned */
  int64_t count, cap, pos;    /* pos: bytes written */
};

void pt_zip_begin(struct pt_zip_out *z, struct pt_mem *mem, struct pt_out *out);

/* Starts a record of `size` bytes with the checksum crc (zlib's crc32); exactly size bytes
 * follow with pt_zip_write. name has at most 55 bytes. */
int pt_zip_record(struct pt_zip_out *z, const char *name, int64_t size, uint32_t crc,
                  struct ptv3_error *err);

void pt_zip_write(struct pt_zip_out *z, const void *data, int64_t n);

/* Writes the directory and releases z; the file is left to its owner. */
void pt_zip_end(struct pt_zip_out *z);

void pt_zip_abort(struct pt_zip_out *z);

/* zlib's crc32 for any length. */
uint32_t pt_crc32(uint32_t crc, const void *data, int64_t n);

#endif
