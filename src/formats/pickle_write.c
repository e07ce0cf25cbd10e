/* pickle_write.c - see pickle_write.h. */
#include "pickle_write.h"

#include <string.h>

#include "file.h"

static void put(struct pt_pickler *pk, const void *data, int64_t n) {
  if (pk->err.status ||
      pt_grow(pk->mem, &pk->data, &pk->cap, pk->size + n, 1, PT_MEM_OTHER, &pk->err))
    return;
  memcpy(pk->data + pk->size, data, (size_t)n);
  pk->size += n;
}

static void op(struct pt_pickler *pk, char code) { put(pk, &code, 1); }

void pt_pk_begin(struct pt_pickler *pk, struct pt_mem *mem) {
  *pk = (struct pt_pickler){.mem = mem};
  put(pk, "\x80\x02", 2);
}

void pt_pk_none(struct pt_pickler *pk) { op(pk, 'N'); }
void pt_pk_bool(struct pt_pickler *pk, bool v) { put(pk, v ? "\x88" : "\x89", 1); }
void pt_pk_mark(struct pt_pickler *pk) { op(pk, '('); }
void pt_pk_dict(struct pt_pickler *pk) { op(pk, '}'); }
void pt_pk_list(struct pt_pickler *pk) { op(pk, ']'); }
void pt_pk_setitems(struct pt_pickler *pk) { op(pk, 'u'); }
void pt_pk_appends(struct pt_pickler *pk) { op(pk, 'e'); }
void pt_pk_tuple(struct pt_pickler *pk) { op(pk, 't'); }
void pt_pk_reduce(struct pt_pickler *pk) { op(pk, 'R'); }
void pt_pk_persid(struct pt_pickler *pk) { op(pk, 'Q'); }

void pt_pk_int(struct pt_pickler *pk, int64_t v) {
  uint8_t b[10] = {0x8a, 8}; /* LONG1 of 8 bytes */
  if (v >= INT32_MIN && v <= INT32_MAX) {
    b[0] = 'J';
    pt_put32(b + 1, (uint32_t)v);
    put(pk, b, 5);
  } else {
    pt_put64(b + 2, (uint64_t)v);
    put(pk, b, 10);
  }
}

void pt_pk_float(struct pt_pickler *pk, double v) {
  uint8_t b[9] = {'G'};
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  for (int i = 0; i < 8; i++) b[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
  put(pk, b, 9);
}

void pt_pk_str(struct pt_pickler *pk, const char *utf8) {
  uint8_t b[5] = {'X'};
  size_t n = strlen(utf8);
  if (n > UINT32_MAX) {
    pt_fail(&pk->err, PTV3_INVALID, "a text of more than 4 GiB");
    return;
  }
  pt_put32(b + 1, (uint32_t)n);
  put(pk, b, 5);
  put(pk, utf8, (int64_t)n);
}

void pt_pk_global(struct pt_pickler *pk, const char *module, const char *name) {
  op(pk, 'c');
  put(pk, module, (int64_t)strlen(module));
  op(pk, '\n');
  put(pk, name, (int64_t)strlen(name));
  op(pk, '\n');
}

void pt_pk_ordered_dict(struct pt_pickler *pk) {
  pt_pk_global(pk, "collections", "OrderedDict");
  put(pk, ")R", 2);
}

int pt_pk_end(struct pt_pickler *pk, struct ptv3_error *err) {
  op(pk, '.');
  if (pk->err.status && err) *err = pk->err;
  return pk->err.status;
}

void pt_pk_free(struct pt_pickler *pk) {
  if (pk->mem) pt_free(pk->mem, pk->data);
  *pk = (struct pt_pickler){0};
}
