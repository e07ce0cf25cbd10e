/* predict_out.c - see predict_out.h. */
#include "predict_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

const char *out_extension(const char *path) {
  const char *name = base(path), *dot = strrchr(name, '.');
  return dot && dot != name ? dot + 1 : "";
}

bool out_is_folder(const char *out) {
  struct stat st;
  size_t n = strlen(out);
  return (n > 0 && out[n - 1] == '/') || (stat(out, &st) == 0 && S_ISDIR(st.st_mode));
}

/* The length of a path without the slashes at its end. */
static size_t trimmed(const char *path) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') n--;
  return n;
}

char *out_path(const char *out, bool folder, const char *cloud, const char *suffix,
               const char *extension) {
  const char *from = folder ? cloud : out;
  int length = (int)trimmed(from), into = folder ? (int)trimmed(out) : 0;
  size_t room = strlen(out) + strlen(cloud) + strlen(suffix) + strlen(extension) + 4;
  char *whole = malloc((size_t)length + 1), *path = malloc(room);
  if (!whole || !path) {
    free(whole);
    free(path);
    return NULL;
  }
  snprintf(whole, (size_t)length + 1, "%s", from);
  const char *last = base(whole), *dot = strrchr(last, '.');
  int stem = (int)(dot && dot != last ? (size_t)(dot - last) : strlen(last));
  if (folder)
    snprintf(path, room, "%.*s/%.*s%s.%s", into, out, stem, last, suffix, extension);
  else
    snprintf(path, room, "%.*s%s.%s", (int)(last - whole) + stem, whole, suffix, extension);
  free(whole);
  return path;
}
