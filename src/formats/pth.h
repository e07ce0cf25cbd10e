/* pth.h - checkpoints of torch.save: the zip format of PyTorch 1.6 and later, and the
 * format before it. Which key holds the weights, and what a tensor looks like in the
 * pickle, is in pth_state.c.
 *
 * Source: torch/serialization.py and torch/_utils.py of PyTorch 1.0 to 2.x (formats), and
 * Pointcept's CheckpointSaver (keys). */
#ifndef PT_PTH_H
#define PT_PTH_H

#include "pickle.h"
#include "tensors.h"

/* Whether the bytes start like one of the two formats. */
bool pt_pth_probe(const struct pt_cursor *file);

/* Fills the set (made by pt_tensors_init); tensors point into the bytes. On failure the
 * set may hold part of the file and is to be freed. part: NULL for the weights, or the
 * top-level key of something else (see pt_tensors_open_part). */
int pt_pth_read(struct pt_tensors *t, struct pt_cursor file, const char *part,
                struct ptv3_error *err);

/* ---- between pth.c and pth_state.c ---- */

/* Where the bytes of a storage lie. */
struct pt_storages {
  void *user;
  /* The bytes of the storage named key [n]. */
  int (*find)(void *user, const char *key, int64_t n, const uint8_t **data, int64_t *bytes,
              struct ptv3_error *err);
};

/* A storage as the pickle names it. */
struct pt_storage_ref {
  const char *key; /* [key_len] */
  int64_t key_len;
  int64_t count;  /* elements */
  int64_t offset; /* elements from the start of the storage that the key names */
  enum pt_dtype type;
  bool untyped; /* count in bytes; the tensor says its type */
};

/* Reads a persistent id; false if it is none that torch.save writes. */
bool pt_storage_ref(const struct pt_pickle *p, pt_pref v, struct pt_storage_ref *ref);

/* Adds the weights (part NULL) or a part, and the extras, of an unpickled checkpoint. */
int pt_state_read(struct pt_tensors *t, const struct pt_pickle *p,
                  const struct pt_storages *storages, const struct pt_cursor *file,
                  const char *part, struct ptv3_error *err);

#endif
