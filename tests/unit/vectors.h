/* vectors.h - reads the reference vectors (safetensors files) for the tests; a bad file ends
 * the test. Not a reader for users: formats/safetensors.h is. */
#ifndef TEST_VECTORS_H
#define TEST_VECTORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vectors {
  char *bytes; /* the whole file */
  json_t *head;
  const char *data; /* behind the header */
  void *copy[256];  /* tensors handed out */
  int copies;
};

#define REFERENCE "../shared/reference"

/* False with a printed line when the file is not there. */
static inline bool vectors_open(struct vectors *v, const char *folder) {
  char path[300];
  snprintf(path, sizeof path, REFERENCE "/%s/data.safetensors", folder);
  FILE *f = fopen(path, "rb");
  if (!f) {
    printf("skipped: no %s\n", path);
    return false;
  }
  fseek(f, 0, SEEK_END);
  size_t size = (size_t)ftell(f), head;
  rewind(f);
  v->bytes = malloc(size);
  if (!v->bytes || fread(v->bytes, 1, size, f) != size) abort();
  fclose(f);
  uint64_t n;
  memcpy(&n, v->bytes, 8);
  head = (size_t)n;
  v->head = json_loadb(v->bytes + 8, head, 0, NULL);
  if (!v->head) abort();
  v->data = v->bytes + 8 + head;
  v->copies = 0;
  return true;
}

static inline void vectors_close(struct vectors *v) {
  for (int i = 0; i < v->copies; i++) free(v->copy[i]);
  json_decref(v->head);
  free(v->bytes);
}

static inline bool vectors_has(const struct vectors *v, const char *name) {
  return json_object_get(v->head, name) != NULL;
}

/* Data of a tensor; its type must be as given; *n (NULL allowed) becomes its first extent. A
 * copy, for alignment, that lives until vectors_close. */
static inline const void *vectors_get(struct vectors *v, const char *name, const char *type,
                                      int64_t *n) {
  json_t *t = json_object_get(v->head, name);
  if (!t || strcmp(json_string_value(json_object_get(t, "dtype")), type)) {
    fprintf(stderr, "no tensor '%s' of type %s\n", name, type);
    abort();
  }
  json_t *o = json_object_get(t, "data_offsets");
  size_t from = (size_t)json_integer_value(json_array_get(o, 0));
  size_t to = (size_t)json_integer_value(json_array_get(o, 1));
  if (n) *n = json_integer_value(json_array_get(json_object_get(t, "shape"), 0));
  void *copy = malloc(to - from + 1);
  if (!copy || v->copies == 256) abort();
  v->copy[v->copies++] = copy;
  memcpy(copy, v->data + from, to - from);
  return copy;
}

/* meta.json of a folder. */
static inline json_t *vectors_meta(const char *folder) {
  char path[300];
  snprintf(path, sizeof path, REFERENCE "/%s/meta.json", folder);
  json_t *j = json_load_file(path, 0, NULL);
  if (!j) abort();
  return j;
}

#endif
