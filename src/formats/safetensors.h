/* safetensors.h - reads .safetensors files: 8 bytes with the header's length, a JSON
 * header, the data. Writing is pt_tensors_write_safetensors in tensors.h.
 *
 * Source: the format section of github.com/huggingface/safetensors, README.md. */
#ifndef PT_SAFETENSORS_H
#define PT_SAFETENSORS_H

#include "tensors.h"

/* Whether the bytes start like a safetensors file. */
bool pt_safetensors_probe(const struct pt_cursor *file);

/* Fills the set (made by pt_tensors_init); tensors point into the bytes. On failure the
 * set may hold part of the file and is to be freed. */
int pt_safetensors_read(struct pt_tensors *t, struct pt_cursor file, struct ptv3_error *err);

#endif
