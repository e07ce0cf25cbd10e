/* safetensors.c - see safetensors.h. jansson parses the header; it allocates with malloc,
 * a small multiple of the header's length, which is bounded by the file's. */
#include "safetensors.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"

#define HEADER_MAX 100000000 /* bytes; the limit of the reference implementation */

struct span {
  int64_t begin, end; /* bytes from the start of the data */
  int64_t item;
};

static int bad(const struct pt_cursor *c, const char *name, const char *what,
               struct ptv3_error *err) {
  return pt_fail_at(err, PTV3_FORMAT, 8, "'%s': damaged header: tensor '%.200s' %s", c->name,
                    name, what);
}

bool pt_safetensors_probe(const struct pt_cursor *c) {
  return c->size >= 9 && c->data[8] == '{' && pt_le64(c->data) <= HEADER_MAX;
}

/* ---- one tensor ---- */

static bool read_type(const json_t *v, enum pt_dtype *type) {
  const char *s = json_string_value(v);
  for (int i = 0; s && i < PT_DTYPE_COUNT; i++)
    if (strcmp(s, pt_dtype((enum pt_dtype)i)->safetensors) == 0) {
      *type = (enum pt_dtype)i;
      return true;
    }
  return false;
}

static bool read_shape(const json_t *v, struct pt_tensor *x) {
  if (!json_is_array(v) || json_array_size(v) > PT_TENSOR_DIMS) return false;
  x->ndim = (int)json_array_size(v);
  for (int d = 0; d < x->ndim; d++) {
    const json_t *n = json_array_get(v, (size_t)d);
    if (!json_is_integer(n)) return false;
    x->shape[d] = json_integer_value(n);
  }
  return pt_tensor_pack(x);
}

static bool read_span(const json_t *v, struct span *s) {
  const json_t *a = json_array_get(v, 0), *b = json_array_get(v, 1);
  if (json_array_size(v) != 2 || !json_is_integer(a) || !json_is_integer(b)) return false;
  s->begin = json_integer_value(a);
  s->end = json_integer_value(b);
  return s->begin >= 0 && s->end >= s->begin;
}

/* Adds the tensor; data is where the data start, [left] bytes. */
static int read_tensor(struct pt_tensors *t, const struct pt_cursor *c, const char *name,
                       const json_t *v, struct span *span, struct ptv3_error *err) {
  struct pt_tensor x = {0}, *slot;
  const char *bare = strncmp(name, "module.", 7) == 0 ? name + 7 : name;
  if (!json_is_object(v)) return bad(c, name, "has no description", err);
  if (!read_type(json_object_get(v, "dtype"), &x.type))
    return pt_fail_at(err, PTV3_UNSUPPORTED, 8,
                      "'%s': tensor '%.200s' has a type that is not read; convert it to F32",
                      c->name, name);
  if (!read_shape(json_object_get(v, "shape"), &x))
    return bad(c, name, "has no valid shape", err);
  if (!read_span(json_object_get(v, "data_offsets"), span))
    return bad(c, name, "has no valid data_offsets", err);
  if (span->end - span->begin != x.count * pt_dtype(x.type)->bytes)
    return bad(c, name, "has data_offsets that do not fit its shape", err);
  if (span->end > pt_left(c))
    return pt_fail_at(
        err, PTV3_FORMAT, c->size,
        "'%s' is incomplete: tensor '%.200s' needs %lld bytes of data, %lld are there; get the "
        "file again",
        c->name, name, (long long)span->end, (long long)pt_left(c));
  x.data = c->data + c->pos + span->begin;
  struct ptv3_error e = {0};
  char *copy = pt_strdup(t->mem, bare, &e);
  if (copy && pt_tensors_own(t, copy, &e) == PTV3_OK && (slot = pt_tensors_push(t, &e))) {
    x.name = copy;
    *slot = x;
    t->had_module |= bare != name;
    span->item = t->count - 1;
  } else if (err) {
    *err = e;
  }
  return e.status;
}

/* ---- the header ---- */

static int read_metadata(struct pt_tensors *t, const json_t *v, struct ptv3_error *err) {
  const char *key;
  json_t *text;
  char *end;
  int status = PTV3_OK;
  json_object_foreach((json_t *)(uintptr_t)v, key, text) {
    const char *s = json_string_value(text);
    if (!s) continue;
    if (!status) status = pt_tensors_push_extra(t, key, (int64_t)strlen(key), s, err);
    if (strcmp(key, "epoch") == 0) {
      t->epoch = strtoll(s, &end, 10);
      t->has_epoch = *s && !*end;
    } else if (strcmp(key, "best_metric_value") == 0) {
      t->best = strtod(s, &end);
      t->has_best = *s && !*end;
    }
  }
  return status;
}

static int by_begin(const void *a, const void *b) {
  const struct span *x = a, *y = b;
  if (x->begin != y->begin) return (x->begin > y->begin) - (x->begin < y->begin);
  return (x->end > y->end) - (x->end < y->end);
}

/* The tensors cover the data without overlap and without holes. */
static int check_spans(const struct pt_tensors *t, const struct pt_cursor *c, struct span *span,
                       struct ptv3_error *err) {
  int64_t end = 0;
  qsort(span, (size_t)t->count, sizeof *span, by_begin);
  for (int64_t i = 0; i < t->count; i++) {
    if (span[i].begin != end)
      return bad(
          c, t->item[span[i].item].name,
          span[i].begin < end ? "overlaps another one" : "has a hole in front of its data",
          err);
    end = span[i].end;
  }
  if (end == pt_left(c)) return PTV3_OK;
  return pt_fail_at(err, PTV3_FORMAT, c->pos + end,
                    "'%s' goes on after its last tensor, at byte %lld; get the file again",
                    c->name, (long long)(c->pos + end));
}

static int read_header(struct pt_tensors *t, const struct pt_cursor *c, const json_t *root,
                       struct ptv3_error *err) {
  const char *key;
  json_t *v;
  struct ptv3_error e = {0};
  int64_t n = (int64_t)json_object_size(root);
  struct span *span = pt_alloc(t->mem, n, sizeof *span, PT_MEM_OTHER, &e);
  if (span) {
    json_object_foreach((json_t *)(uintptr_t)root, key, v) {
      if (e.status) break;
      if (strcmp(key, "__metadata__") == 0)
        read_metadata(t, v, &e);
      else
        read_tensor(t, c, key, v, &span[t->count], &e);
    }
    if (!e.status) check_spans(t, c, span, &e);
  }
  pt_free(t->mem, span);
  if (!e.status) pt_tensors_index(t, c->name, &e);
  if (e.status && err) *err = e;
  return e.status;
}

int pt_safetensors_read(struct pt_tensors *t, struct pt_cursor c, struct ptv3_error *err) {
  t->format = PT_TENSORS_SAFETENSORS;
  const uint8_t *head = pt_take(&c, 8, "header", err);
  if (!head) return PTV3_FORMAT;
  uint64_t n = pt_le64(head);
  if (n > HEADER_MAX)
    return pt_fail_at(err, PTV3_FORMAT, 0,
                      "'%s': a header of %llu bytes; at most %d are allowed", c.name,
                      (unsigned long long)n, HEADER_MAX);
  const uint8_t *text = pt_take(&c, (int64_t)n, "header", err);
  if (!text) return PTV3_FORMAT;
  json_error_t je;
  json_t *root = json_loadb((const char *)text, (size_t)n, JSON_REJECT_DUPLICATES, &je);
  if (!root)
    return pt_fail_at(err, PTV3_FORMAT, 8 + je.position,
                      "'%s': damaged header: %s (byte %d); get the file again", c.name, je.text,
                      8 + je.position);
  int status = json_is_object(root)
                   ? read_header(t, &c, root, err)
                   : pt_fail_at(err, PTV3_FORMAT, 8, "'%s': its header is no table", c.name);
  json_decref(root);
  return status;
}
