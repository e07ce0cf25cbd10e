/* vectors.h - reads a reference case (data.safetensors) for the kernel tests.
 *
 * For trusted files of ours only: it stops the program at the first thing that is wrong.
 * Layout: 8-byte length, JSON header, data (reference/README.md). */
#ifndef TEST_VECTORS_H
#define TEST_VECTORS_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vectors {
  json_t *head;
  char *bytes, *data;
};

static inline void vectors_stop(const char *what, const char *name) {
  fprintf(stderr, "vectors: %s '%s'\n", what, name);
  exit(1);
}

/* False if the file is not there. */
static inline int vectors_open(struct vectors *v, const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) return 0;
  if (fseek(f, 0, SEEK_END) != 0) vectors_stop("cannot read", path);
  long size = ftell(f);
  rewind(f);
  if (size < 8) vectors_stop("too short", path);
  v->bytes = malloc((size_t)size);
  if (!v->bytes || fread(v->bytes, 1, (size_t)size, f) != (size_t)size)
    vectors_stop("cannot read", path);
  fclose(f);
  uint64_t n;
  memcpy(&n, v->bytes, 8);
  if (n > (uint64_t)size - 8) vectors_stop("bad header", path);
  v->head = json_loadb(v->bytes + 8, n, 0, NULL);
  if (!v->head) vectors_stop("bad header", path);
  v->data = v->bytes + 8 + n;
  return 1;
}

static inline void vectors_close(struct vectors *v) {
  json_decref(v->head);
  free(v->bytes);
}

/* Size of axis i of a tensor; -1 if there is no such tensor, 1 past its last axis. */
static inline int64_t vectors_dim(const struct vectors *v, const char *name, size_t i) {
  json_t *t = json_object_get(v->head, name), *s = json_object_get(t, "shape");
  if (!t) return -1;
  return i < json_array_size(s) ? json_integer_value(json_array_get(s, i)) : 1;
}

/* The tensor's bytes after checking its type; NULL if there is no such tensor. */
static inline const void *vectors_get(const struct vectors *v, const char *name,
                                      const char *dtype) {
  json_t *t = json_object_get(v->head, name);
  if (!t) return NULL;
  if (strcmp(json_string_value(json_object_get(t, "dtype")), dtype) != 0)
    vectors_stop("not of the expected type:", name);
  return v->data + json_integer_value(json_array_get(json_object_get(t, "data_offsets"), 0));
}

#endif
