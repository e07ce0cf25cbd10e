/* file.c - see file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "size.h"

/* ---- in ---- */

static int fail_errno(struct ptv3_error *err, const char *doing, const char *path) {
  return pt_fail(err, PTV3_IO, "cannot %s '%s': %s", doing, path, strerror(errno));
}

int pt_map_open(struct pt_map *map, const char *path, struct ptv3_error *err) {
  static const uint8_t nothing[1];
  *map = (struct pt_map){nothing, 0, path};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(err, "open", path);
  struct stat st;
  int status = PTV3_OK;
  if (fstat(fd, &st) != 0) {
    status = fail_errno(err, "read", path);
  } else if (!S_ISREG(st.st_mode)) {
    status = pt_fail(err, PTV3_IO, "'%s' is not a regular file", path);
  } else if (st.st_size > 0) {
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
      status = fail_errno(err, "map", path);
    else
      *map = (struct pt_map){p, (int64_t)st.st_size, path};
  }
  close(fd);
  return status;
}

void pt_map_close(struct pt_map *map) {
  if (map->size > 0) munmap((void *)(uintptr_t)map->data, (size_t)map->size);
  *map = (struct pt_map){0};
}

void pt_map_drop(const struct pt_map *map, const uint8_t *from, const uint8_t *to) {
#ifdef MADV_DONTNEED
  if (map->size <= 0) return;
  const uint8_t *end = map->data + map->size;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (from < map->data || to <= from || to > end) return;
  /* The page in front is shared with what was dropped before; the one behind is still to be
   * read, but at the end of the file. */
  uintptr_t first = (uintptr_t)from & ~(uintptr_t)(page - 1), last = (uintptr_t)to;
  if (to < end) last &= ~(uintptr_t)(page - 1);
  if (last > first) madvise((void *)first, (size_t)(last - first), MADV_DONTNEED);
#else
  (void)map, (void)from, (void)to;
#endif
}

struct pt_cursor pt_cursor_of(const struct pt_map *map) {
  return (struct pt_cursor){map->data, map->size, 0, map->path};
}

const uint8_t *pt_take(struct pt_cursor *c, int64_t n, const char *what,
                       struct ptv3_error *err) {
  if (n < 0 || n > pt_left(c)) {
    pt_fail_at(err, PTV3_FORMAT, c->pos,
               "'%s' ends within its %s: %lld bytes wanted at byte %lld, %lld there", c->name,
               what, (long long)n, (long long)c->pos, (long long)pt_left(c));
    return NULL;
  }
  const uint8_t *p = c->data + c->pos;
  c->pos += n;
  return p;
}

int pt_seek(struct pt_cursor *c, int64_t pos, const char *what, struct ptv3_error *err) {
  if (pos < 0 || pos > c->size)
    return pt_fail_at(err, PTV3_FORMAT, c->pos,
                      "'%s': its %s would start at byte %lld, the file has %lld", c->name, what,
                      (long long)pos, (long long)c->size);
  c->pos = pos;
  return PTV3_OK;
}

bool pt_line(struct pt_cursor *c, const char **line, int64_t *length) {
  if (pt_left(c) <= 0) return false;
  const uint8_t *start = c->data + c->pos;
  const uint8_t *end = memchr(start, '\n', (size_t)pt_left(c));
  int64_t n = end ? end - start : pt_left(c);
  c->pos += n + (end != NULL);
  if (n > 0 && start[n - 1] == '\r') n--;
  *line = (const char *)start;
  *length = n;
  return true;
}

bool pt_is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool pt_is_file(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

void pt_extension(const char *path, char out[static 16]) {
  const char *slash = strrchr(path, '/');
  const char *dot = strrchr(slash ? slash : path, '.');
  size_t n = 0;
  if (dot)
    for (const char *p = dot + 1; *p && n < 15; p++)
      out[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
  out[n] = 0;
}

char *pt_join(struct pt_mem *m, const char *dir, const char *name, struct ptv3_error *err) {
  if (name[0] == '/' || dir[0] == 0) return pt_strdup(m, name, err);
  size_t a = strlen(dir), b = strlen(name);
  char *s = pt_alloc(m, (int64_t)(a + b + 2), 1, PT_MEM_OTHER, err);
  if (s) snprintf(s, a + b + 2, dir[a - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
  return s;
}

/* ---- out ---- */

/* The folder of path, "." if it names none. */
static char *folder_of(struct pt_mem *m, const char *path, struct ptv3_error *err) {
  const char *slash = strrchr(path, '/');
  if (!slash) return pt_strdup(m, ".", err);
  return pt_strndup(m, path, slash == path ? 1 : slash - path, err);
}

static int open_named(struct pt_out *out, struct ptv3_error *err) {
  size_t n = strlen(out->path) + 16;
  out->temp = pt_alloc(out->mem, (int64_t)n, 1, PT_MEM_OTHER, err);
  if (!out->temp) return -1;
  snprintf(out->temp, n, "%s.tmp-XXXXXX", out->path);
  int fd = mkostemp(out->temp, O_CLOEXEC);
  if (fd < 0) {
    fail_errno(err, "create a file beside", out->path);
    pt_free(out->mem, out->temp);
    out->temp = NULL;
  }
  return fd;
}

int pt_out_open(struct pt_out *out, struct pt_mem *mem, const char *path,
                struct ptv3_error *err) {
  struct ptv3_error e = {0};
  *out = (struct pt_out){.mem = mem};
  int fd = -1;
  char *folder = NULL;
  if (!(out->path = pt_strdup(mem, path, &e)) || !(folder = folder_of(mem, path, &e)))
    goto fail;
#ifdef O_TMPFILE
  fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
#endif
  if (fd < 0) fd = open_named(out, &e);
  if (fd < 0) goto fail;
  out->f = fdopen(fd, "wb");
  if (!out->f) {
    fail_errno(&e, "write", path);
    close(fd);
    goto fail;
  }
  pt_free(mem, folder);
  return PTV3_OK;
fail:
  pt_free(mem, folder);
  pt_out_abort(out);
  if (err) *err = e;
  return e.status;
}

void pt_write(struct pt_out *out, const void *data, int64_t n) {
  if (!out->failed && n > 0 && fwrite(data, 1, (size_t)n, out->f) != (size_t)n)
    out->failed = errno ? errno : EIO;
}

void pt_writef(struct pt_out *out, const char *fmt, ...) {
  if (out->failed) return;
  va_list ap;
  va_start(ap, fmt);
  if (vfprintf(out->f, fmt, ap) < 0) out->failed = errno ? errno : EIO;
  va_end(ap);
}

void pt_write_mapped(struct pt_out *out, const struct pt_map *map, int64_t at, int64_t n) {
  const int64_t piece = INT64_C(4) << 20;
  for (int64_t end = at + n; at < end; at += piece) {
    const uint8_t *from = map->data + at;
    int64_t k = pt_min(piece, end - at);
    pt_write(out, from, k);
    pt_map_drop(map, from, from + k);
  }
}

/* Gives an unnamed file a temporary name beside its place, for rename to take. */
static int name_it(struct pt_out *out, struct ptv3_error *err) {
  char from[64];
  size_t n = strlen(out->path) + 40;
  snprintf(from, sizeof from, "/proc/self/fd/%d", fileno(out->f));
  out->temp = pt_alloc(out->mem, (int64_t)n, 1, PT_MEM_OTHER, err);
  if (!out->temp) return PTV3_NO_MEMORY;
  for (int i = 0; i < 1000; i++) {
    snprintf(out->temp, n, "%s.tmp-%ld-%d", out->path, (long)getpid(), i);
    if (linkat(AT_FDCWD, from, AT_FDCWD, out->temp, AT_SYMLINK_FOLLOW) == 0) return PTV3_OK;
    if (errno != EEXIST) break;
  }
  int status = fail_errno(err, "create a file beside", out->path);
  pt_free(out->mem, out->temp);
  out->temp = NULL;
  return status;
}

static mode_t new_file_mode(void) {
  mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

int pt_out_commit(struct pt_out *out, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  if (!out->failed && (fflush(out->f) != 0 || fsync(fileno(out->f)) != 0)) out->failed = errno;
  if (out->failed) {
    errno = out->failed;
    fail_errno(&e, "write", out->path);
  } else if (out->temp && fchmod(fileno(out->f), new_file_mode()) != 0) {
    fail_errno(&e, "write", out->path);
  } else if (out->temp || name_it(out, &e) == PTV3_OK) {
    if (rename(out->temp, out->path) != 0) {
      fail_errno(&e, "create", out->path);
    } else {
      pt_free(out->mem, out->temp);
      out->temp = NULL;
    }
  }
  pt_out_abort(out);
  if (e.status && err) *err = e;
  return e.status;
}

void pt_out_abort(struct pt_out *out) {
  if (out->f) fclose(out->f);
  if (out->temp) unlink(out->temp);
  if (out->mem) {
    pt_free(out->mem, out->temp);
    pt_free(out->mem, out->path);
  }
  *out = (struct pt_out){0};
}
