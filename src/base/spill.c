/* spill.c - see spill.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE, madvise */
#endif
#include "spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#include "mem.h"
#include "size.h"

static const char what_to_do[] =
    "name another folder with --tmp or TMPDIR, or grant more memory";

const char *pt_spill_folder(const char *dir) {
  if (dir && *dir) return dir;
  const char *set = getenv("TMPDIR");
  return set && *set ? set : "/var/tmp";
}

static int open_unnamed(const char *dir, struct ptv3_error *err) {
  int fd = -1;
#ifdef O_TMPFILE
  fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
#endif
  if (fd >= 0) return fd;
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/ptv3-XXXXXX", dir);
  if (n > 0 && n < (int)sizeof path) fd = mkostemp(path, O_CLOEXEC);
  if (fd < 0)
    pt_fail(err, PTV3_IO, "cannot make a temporary file in '%s': %s; %s", dir, strerror(errno),
            what_to_do);
  else
    unlink(path);
  return fd;
}

static int check_kind(int fd, const char *dir, int64_t bytes, struct ptv3_error *err) {
#ifdef __linux__
  struct statfs s;
  char text[24];
  if (fstatfs(fd, &s) == 0 && ((uint32_t)s.f_type == 0x01021994u /* tmpfs */ ||
                               (uint32_t)s.f_type == 0x858458f6u /* ramfs */))
    return pt_fail(err, PTV3_IO,
                   "'%s' is itself kept in memory (tmpfs), so that putting %s there would save "
                   "none; %s",
                   dir, pt_bytes_text(bytes, text), what_to_do);
#else
  (void)fd, (void)dir, (void)bytes, (void)err;
#endif
  return PTV3_OK;
}

static int fail_space(int fd, const char *dir, int64_t bytes, struct ptv3_error *err) {
  char need[24], have[24] = "less";
  struct statvfs v;
  if (fstatvfs(fd, &v) == 0) pt_bytes_text((int64_t)v.f_bavail * (int64_t)v.f_frsize, have);
  return pt_fail(err, PTV3_IO, "%s are needed in '%s' for a temporary file, %s are free; %s",
                 pt_bytes_text(bytes, need), dir, have, what_to_do);
}

/* Takes the space on the disk now. A limit on the size of files is asked for first: passing
 * it would end the process by a signal. */
static int take_space(int fd, const char *dir, int64_t bytes, struct ptv3_error *err) {
  char need[24], have[24];
  struct rlimit most;
  if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY &&
      (rlim_t)bytes > most.rlim_cur)
    return pt_fail(
        err, PTV3_IO,
        "a temporary file of %s is needed in '%s', and the process may write files of "
        "%s (ulimit -f)",
        pt_bytes_text(bytes, need), dir, pt_bytes_text((int64_t)most.rlim_cur, have));
  struct statvfs v;
  if (fstatvfs(fd, &v) == 0 && (int64_t)v.f_bavail < pt_div_up(bytes, (int64_t)v.f_frsize))
    return fail_space(fd, dir, bytes, err);
  int failed = posix_fallocate(fd, 0, (off_t)bytes);
  if (failed == ENOSPC || failed == EDQUOT || failed == EFBIG)
    return fail_space(fd, dir, bytes, err);
  if (failed)
    return pt_fail(err, PTV3_IO, "cannot make a temporary file of %s in '%s': %s; %s",
                   pt_bytes_text(bytes, need), dir, strerror(failed), what_to_do);
  return PTV3_OK;
}

/* Maps the file at an aligned address: a fault maps pages within aligned groups. */
static int map_file(struct pt_spill *s, int fd, const char *dir, struct ptv3_error *err) {
  s->reserved = s->size + PT_SPILL_GRAIN;
  s->base = mmap(NULL, (size_t)s->reserved, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (s->base == MAP_FAILED) goto fail;
  uintptr_t at = (uintptr_t)s->base + PT_SPILL_GRAIN - 1;
  char *place = (char *)(at - at % PT_SPILL_GRAIN);
  s->data = mmap(place, (size_t)s->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  if (s->data == MAP_FAILED) {
    munmap(s->base, (size_t)s->reserved);
    goto fail;
  }
  if (madvise(s->data, (size_t)s->size, MADV_RANDOM) == 0) return PTV3_OK;
  munmap(s->base, (size_t)s->reserved);
fail:
  return pt_fail(err, PTV3_IO, "cannot map a temporary file in '%s': %s", dir, strerror(errno));
}

int pt_spill_open(struct pt_spill *s, const char *dir, int64_t bytes, struct ptv3_error *err) {
  *s = (struct pt_spill){.size = pt_round_up(pt_max(bytes, 1), PT_SPILL_GRAIN)};
  dir = pt_spill_folder(dir);
  int fd = open_unnamed(dir, err);
  int status = fd < 0 ? PTV3_IO : check_kind(fd, dir, s->size, err);
  if (!status) status = take_space(fd, dir, s->size, err);
  if (!status) status = map_file(s, fd, dir, err);
  if (fd >= 0) close(fd); /* the mapping keeps the file */
  if (status) *s = (struct pt_spill){0};
  return status;
}

void pt_spill_drop(struct pt_spill *s, int64_t at, int64_t bytes) {
  int64_t page = sysconf(_SC_PAGESIZE), from = pt_round_up(at, page),
          to = pt_min(at + bytes, s->size) / page * page;
  if (to > from) madvise(s->data + from, (size_t)(to - from), MADV_DONTNEED);
}

void pt_spill_fetch(struct pt_spill *s, int64_t at, int64_t bytes) {
  int64_t page = sysconf(_SC_PAGESIZE), from = at / page * page,
          to = pt_min(at + bytes, s->size);
  if (to > from) madvise(s->data + from, (size_t)(to - from), MADV_WILLNEED);
}

void pt_spill_close(struct pt_spill *s) {
  if (s->data) munmap(s->base, (size_t)s->reserved);
  *s = (struct pt_spill){0};
}
