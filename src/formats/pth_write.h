/* pth_write.h - writes a .pth: a pickle, built with the calls of pickle_write.h, and the
 * tensors that it refers to. pt_tensors_write_pth (tensors.h) writes a set of weights with
 * it; a trainer adds what else it wants to keep.
 *
 * Use: pt_pth_begin; pt_pk_…(&o.pk, …) and pt_pth_tensor in any order; pt_pth_commit. */
#ifndef PT_PTH_WRITE_H
#define PT_PTH_WRITE_H

#include "pickle_write.h"
#include "tensors.h"

struct pt_pth_record {
  struct pt_tensor tensor;
  enum pt_dtype type;
};

struct pt_pth_out {
  struct pt_pickler pk;
  struct pt_pth_record *record; /* [count], owned */
  int64_t count, cap;
};

void pt_pth_begin(struct pt_pth_out *o, struct pt_mem *mem);

/* Puts a tensor on the pickle's stack, to be stored as `type`. Its data are read by
 * pt_pth_commit; name is not used. */
void pt_pth_tensor(struct pt_pth_out *o, const struct pt_tensor *t, enum pt_dtype type);

/* Ends the pickle, writes the file and releases o. */
int pt_pth_commit(struct pt_pth_out *o, const char *path, struct ptv3_error *err);

void pt_pth_abort(struct pt_pth_out *o); /* a zeroed o is allowed */

#endif
