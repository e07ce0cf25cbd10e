/* safetensors_write.c - pt_tensors_write_safetensors of tensors.h. The header lists the
 * tensors in their order; the data lie sorted by element size, largest first, so that every
 * element is aligned in a mapped file. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"
#include "tensors.h"

/* Sets a text in the metadata; false without memory or for a text that is not UTF-8. */
static bool set_text(json_t *meta, const char *key, const char *text) {
  return json_object_set_new(meta, key, json_string(text)) == 0;
}

static json_t *make_metadata(const struct pt_tensors *t) {
  char text[40];
  json_t *meta = json_object();
  bool ok = meta && set_text(meta, "format", "pt");
  for (int64_t i = 0; i < t->extras && ok && t->format == PT_TENSORS_SAFETENSORS; i++)
    ok = set_text(meta, t->extra[i].key, t->extra[i].text);
  if (ok && t->has_epoch) {
    snprintf(text, sizeof text, "%lld", (long long)t->epoch);
    ok = set_text(meta, "epoch", text);
  }
  if (ok && t->has_best) {
    snprintf(text, sizeof text, "%.17g", t->best);
    ok = set_text(meta, "best_metric_value", text);
  }
  if (ok) return meta;
  json_decref(meta);
  return NULL;
}

static json_t *make_entry(const struct pt_tensor *x, enum pt_dtype type, int64_t begin) {
  json_t *shape = json_array();
  bool ok = shape != NULL;
  for (int d = 0; d < x->ndim && ok; d++)
    ok = json_array_append_new(shape, json_integer(x->shape[d])) == 0;
  if (!ok) {
    json_decref(shape);
    return NULL;
  }
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", pt_dtype(type)->safetensors, "shape", shape,
                   "data_offsets", (json_int_t)begin,
                   (json_int_t)(begin + x->count * pt_dtype(type)->bytes));
}

/* Where the data of elements of 8, 4, 2 and 1 bytes start. */
static void place(const struct pt_tensors *t, const struct pt_tensors_write *opt,
                  int64_t start[9]) {
  int64_t at = 0;
  for (int size = 8; size >= 1; size /= 2) {
    start[size] = at;
    for (int64_t i = 0; i < t->count; i++) {
      int64_t bytes = pt_dtype(pt_tensors_write_type(&t->item[i], opt))->bytes;
      if (bytes == size) at += t->item[i].count * bytes;
    }
  }
}

/* The header's text, to be freed with free; NULL when it cannot be made. */
static char *make_header(const struct pt_tensors *t, const struct pt_tensors_write *opt) {
  int64_t at[9];
  char name[1024], *text = NULL;
  json_t *root = json_object();
  bool ok = root && json_object_set_new(root, "__metadata__", make_metadata(t)) == 0;
  place(t, opt, at);
  for (int64_t i = 0; i < t->count && ok; i++) {
    const struct pt_tensor *x = &t->item[i];
    enum pt_dtype type = pt_tensors_write_type(x, opt);
    int64_t size = pt_dtype(type)->bytes;
    int n = snprintf(name, sizeof name, "%s%s", opt && opt->module_prefix ? "module." : "",
                     x->name);
    ok = n < (int)sizeof name &&
         json_object_set_new(root, name, make_entry(x, type, at[size])) == 0;
    at[size] += x->count * size;
  }
  if (ok) text = json_dumps(root, JSON_COMPACT);
  json_decref(root);
  return text;
}

static void sink_out(void *user, const void *data, int64_t n) { pt_write(user, data, n); }

static void write_file(const struct pt_tensors *t, const struct pt_tensors_write *opt,
                       struct pt_out *out, const char *header) {
  uint8_t length[8];
  int64_t n = (int64_t)strlen(header), padded = pt_round_up(n, 8);
  pt_put64(length, (uint64_t)padded);
  pt_write(out, length, 8);
  pt_write(out, header, n);
  pt_write(out, "        ", padded - n);
  for (int size = 8; size >= 1; size /= 2)
    for (int64_t i = 0; i < t->count; i++) {
      enum pt_dtype type = pt_tensors_write_type(&t->item[i], opt);
      if (pt_dtype(type)->bytes == size) pt_tensor_stream(&t->item[i], type, sink_out, out);
    }
}

int pt_tensors_write_safetensors(struct pt_tensors *t, const char *path,
                                 const struct pt_tensors_write *opt, struct ptv3_error *err) {
  struct pt_out out;
  int status = pt_tensors_check_write(t, path, opt, err);
  if (status) return status;
  char *header = make_header(t, opt);
  if (!header)
    return pt_fail(err, PTV3_DATA,
                   "'%s': no header can be made: a tensor name is not UTF-8 or has more than "
                   "1000 bytes, or there is no memory",
                   path);
  status = pt_out_open(&out, t->mem, path, err);
  if (!status) {
    write_file(t, opt, &out, header);
    status = pt_out_commit(&out, err);
  }
  free(header);
  return status;
}
