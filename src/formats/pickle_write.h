/* pickle_write.h - writes a pickle of protocol 2, operation by operation.
 *
 * The calls put values on the unpickler's stack, as the opcodes of the same names do; a
 * failure to get memory is kept and reported at the end, so that a run of calls needs one
 * check. No memo: nothing is shared in what is written here. Example, {'a': 1}:
 *   pt_pk_dict(pk); pt_pk_mark(pk); pt_pk_str(pk, "a"); pt_pk_int(pk, 1); pt_pk_setitems(pk);
 *
 * torch.load(weights_only=True) of PyTorch 1.13 knows all of these but a float, for which a
 * tensor of one number does.
 *
 * Source: CPython's Lib/pickletools.py. */
#ifndef PT_PICKLE_WRITE_H
#define PT_PICKLE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

struct pt_pickler {
  struct pt_mem *mem;
  uint8_t *data; /* [size], owned */
  int64_t size, cap;
  struct ptv3_error err; /* the first failure */
};

void pt_pk_begin(struct pt_pickler *pk, struct pt_mem *mem);
void pt_pk_none(struct pt_pickler *pk);
void pt_pk_bool(struct pt_pickler *pk, bool v);
void pt_pk_int(struct pt_pickler *pk, int64_t v);
void pt_pk_float(struct pt_pickler *pk, double v);
void pt_pk_str(struct pt_pickler *pk, const char *utf8);
void pt_pk_global(struct pt_pickler *pk, const char *module, const char *name);
void pt_pk_mark(struct pt_pickler *pk);
void pt_pk_dict(struct pt_pickler *pk);     /* an empty dict */
void pt_pk_list(struct pt_pickler *pk);     /* an empty list */
void pt_pk_setitems(struct pt_pickler *pk); /* mark, key, value, …: into the dict below */
void pt_pk_appends(struct pt_pickler *pk);  /* mark, value, …: into the list below */
void pt_pk_tuple(struct pt_pickler *pk);    /* mark, value, …: a tuple of them */
void pt_pk_reduce(struct pt_pickler *pk);   /* callable, tuple: the call's result */
void pt_pk_persid(struct pt_pickler *pk);   /* a tuple: the object with that persistent id */
void pt_pk_ordered_dict(struct pt_pickler *pk); /* an empty collections.OrderedDict */

/* Ends the pickle: the value on the stack is what it holds. Returns the first failure. */
int pt_pk_end(struct pt_pickler *pk, struct ptv3_error *err);

void pt_pk_free(struct pt_pickler *pk); /* a zeroed pk is allowed */

#endif
