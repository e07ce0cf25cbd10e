/* tempfile.h - a file without a name for what does not fit in memory: gone when it is closed
 * or the process ends, however it ends. */
#ifndef PT_TEMPFILE_H
#define PT_TEMPFILE_H

#include <stdint.h>

#include "err.h"

struct pt_tempfile {
  int fd; /* -1: not open */
  char folder[256];
};

/* In folder; NULL: in $TMPDIR, else in /var/tmp, which unlike /tmp is seldom kept in memory. */
int pt_tempfile_open(struct pt_tempfile *t, const char *folder, struct ptv3_error *err);

/* n bytes at a place; reading what was not written is PTV3_IO. */
int pt_tempfile_write(struct pt_tempfile *t, int64_t at, const void *data, int64_t n,
                      struct ptv3_error *err);
int pt_tempfile_read(const struct pt_tempfile *t, int64_t at, void *data, int64_t n,
                     struct ptv3_error *err);

void pt_tempfile_close(struct pt_tempfile *t); /* one that was never opened is allowed */

#endif
