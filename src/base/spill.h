/* spill.h - memory that lies in a file: for what does not fit the budget.
 *
 * A temporary file without a name, as large as it will ever be from the start (a full disk is
 * an error here, not a crash later), mapped shared. What is touched becomes resident and
 * counts as memory of the process; pt_spill_drop gives it back, the file keeps it. The mapping
 * is made so that an access makes no more resident than the PT_SPILL_GRAIN bytes around it:
 * Linux maps 16 pages on a read (fault_around_bytes), one on a write, and reads ahead nothing
 * in a mapping advised MADV_RANDOM. So the caller can count what will be resident.
 * A process that is killed leaves no file: it has no name, and ends with the mapping. */
#ifndef PT_SPILL_H
#define PT_SPILL_H

#include <stdint.h>

#include "err.h"

#define PT_SPILL_GRAIN 65536

struct pt_spill {
  char *data;   /* [size], aligned to PT_SPILL_GRAIN; NULL: not open */
  int64_t size; /* a multiple of PT_SPILL_GRAIN */
  void *base;   /* of the address range that was reserved */
  int64_t reserved;
};

/* The folder for temporary files: dir, or where that is NULL or "" $TMPDIR, else /var/tmp. */
const char *pt_spill_folder(const char *dir);

/* A file of `bytes` in pt_spill_folder(dir), its contents 0. PTV3_IO: the folder cannot be
 * written, is kept in memory (tmpfs), or has too little space. */
int pt_spill_open(struct pt_spill *s, const char *dir, int64_t bytes, struct ptv3_error *err);

/* Gives back what is resident of bytes at .. at + bytes - 1, rounded inwards to pages; nothing
 * past the end. */
void pt_spill_drop(struct pt_spill *s, int64_t at, int64_t bytes);

/* Starts reading what is to be touched soon; nothing becomes resident by that. */
void pt_spill_fetch(struct pt_spill *s, int64_t at, int64_t bytes);

void pt_spill_close(struct pt_spill *s); /* zeroed is allowed */

#endif
