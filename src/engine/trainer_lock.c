/* trainer_lock.c - one training a folder: train.lock there is locked while one runs. The
 * system frees the lock however the process ends; the file is then no obstacle. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "trainer_int.h"

enum { PATH = 4200 };

static int refuse(struct trainer *t, int fd, struct ptv3_error *err) {
  char who[32] = "";
  const ssize_t n = pread(fd, who, sizeof who - 1, 0);
  who[n > 0 ? n : 0] = 0;
  who[strspn(who, "0123456789")] = 0;
  return pt_fail(err, PTV3_IO,
                 "'%s' is in use by another training%s%s: wait until it has ended, or choose "
                 "another folder",
                 t->path, *who ? ", process " : "", who);
}

/* Whether path is still what fd was opened as: whoever ends removes it. */
static bool current(int fd, const char *path) {
  struct stat a, b;
  return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int take(struct trainer *t, int fd, struct ptv3_error *err) {
  char who[32];
  if (flock(fd, LOCK_EX | LOCK_NB)) {
    if (errno == EWOULDBLOCK) return refuse(t, fd, err);
    pt_warn(t->env,
            "'%s': the file system has no locks (%s): see to it that no other training "
            "writes there",
            t->path, strerror(errno));
  }
  const int n = snprintf(who, sizeof who, "%lld\n", (long long)getpid());
  if (ftruncate(fd, 0) || pwrite(fd, who, (size_t)n, 0) != n)
    return pt_fail(err, PTV3_IO, "'%s/train.lock': cannot be written: %s", t->path,
                   strerror(errno));
  return PTV3_OK;
}

int pt_trainer_lock(struct trainer *t, struct ptv3_error *err) {
  char path[PATH];
  if (t->lock >= 0 || !pt_is_dir(t->path)) return PTV3_OK;
  if (snprintf(path, sizeof path, "%s/train.lock", t->path) >= PATH)
    return pt_fail(err, PTV3_INVALID, "'%s': the path is too long", t->path);
  for (;;) {
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
      return pt_fail(err, PTV3_IO, "'%s': cannot be opened for writing: %s", path,
                     strerror(errno));
    const int status = take(t, fd, err);
    if (!status && current(fd, path)) {
      t->lock = fd;
      return PTV3_OK;
    }
    close(fd);
    if (status) return status;
  }
}

void pt_trainer_unlock(struct trainer *t) {
  char path[PATH];
  if (t->lock < 0) return;
  if (snprintf(path, sizeof path, "%s/train.lock", t->path) < PATH) unlink(path);
  close(t->lock);
  t->lock = -1;
}
