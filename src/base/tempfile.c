/* tempfile.c - see tempfile.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include "tempfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the file system has no files without a name: one that loses it at once. */
static int open_and_unlink(const char *folder) {
  char path[300];
  snprintf(path, sizeof path, "%s/ptv3-XXXXXX", folder);
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd >= 0) unlink(path);
  return fd;
}

int pt_tempfile_open(struct pt_tempfile *t, const char *folder, struct ptv3_error *err) {
  if (!folder || !folder[0]) folder = getenv("TMPDIR");
  if (!folder || !folder[0]) folder = "/var/tmp";
  *t = (struct pt_tempfile){.fd = -1};
  if (strlen(folder) >= sizeof t->folder)
    return pt_fail(err, PTV3_IO, "the name of the folder for temporary files is too long");
  snprintf(t->folder, sizeof t->folder, "%s", folder);
#ifdef O_TMPFILE
  t->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
#endif
  if (t->fd < 0) t->fd = open_and_unlink(folder);
  if (t->fd >= 0) return PTV3_OK;
  return pt_fail(err, PTV3_IO,
                 "cannot create a temporary file in '%s': %s; name another folder in TMPDIR",
                 folder, strerror(errno));
}

int pt_tempfile_write(struct pt_tempfile *t, int64_t at, const void *data, int64_t n,
                      struct ptv3_error *err) {
  for (const char *from = data; n > 0;) {
    ssize_t k = pwrite(t->fd, from, (size_t)n, (off_t)at);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0)
      return pt_fail(err, PTV3_IO,
                     "cannot write a temporary file in '%s': %s; name another folder in TMPDIR",
                     t->folder, k < 0 ? strerror(errno) : "nothing was written");
    from += k;
    at += k;
    n -= k;
  }
  return PTV3_OK;
}

int pt_tempfile_read(const struct pt_tempfile *t, int64_t at, void *data, int64_t n,
                     struct ptv3_error *err) {
  for (char *to = data; n > 0;) {
    ssize_t k = pread(t->fd, to, (size_t)n, (off_t)at);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0)
      return pt_fail(err, PTV3_IO, "cannot read a temporary file in '%s': %s", t->folder,
                     k < 0 ? strerror(errno) : "it ends before");
    to += k;
    at += k;
    n -= k;
  }
  return PTV3_OK;
}

void pt_tempfile_close(struct pt_tempfile *t) {
  if (t->folder[0] && t->fd >= 0) close(t->fd);
  *t = (struct pt_tempfile){.fd = -1};
}
