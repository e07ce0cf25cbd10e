/* tfevents.h - TensorBoard's event files: scalars, one record each, appended and flushed.
 *
 * A record is the length of its data (8 bytes), a masked CRC-32C of the length, the data, and
 * a masked CRC-32C of the data. The data are a protocol buffer `Event`; only what a scalar
 * needs is written and read. TensorBoard looks for "tfevents" in the file's name.
 *
 * Source: tensorflow/core/lib/io/record_writer.cc, tensorflow/core/util/event.proto,
 * tensorflow/core/framework/summary.proto. */
#ifndef PT_TFEVENTS_H
#define PT_TFEVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "file.h"

struct pt_tfevents {
  int fd; /* -1: closed; a zeroed struct is not valid */
  struct pt_mem *mem;
  char *path;
};

/* One scalar, as it is read. */
struct pt_tfevent {
  double time; /* seconds since 1970 */
  int64_t step;
  const char *tag; /* [tag_len], points into the bytes; NULL: no scalar */
  int64_t tag_len;
  float value;
};

/* Makes a new file, replacing any there is. On failure t is closed. */
int pt_tfevents_create(struct pt_tfevents *t, struct pt_mem *mem, const char *path,
                       struct ptv3_error *err);

/* Goes on with a file: it is cut before the first record that is damaged, incomplete, or for
 * which keep says false. A file that is missing or no event file is made anew. */
int pt_tfevents_continue(struct pt_tfevents *t, struct pt_mem *mem, const char *path,
                         bool (*keep)(void *user, const struct pt_tfevent *event), void *user,
                         struct ptv3_error *err);

/* Appends a scalar with one write. tag: at most 400 bytes of UTF-8. */
int pt_tfevents_scalar(struct pt_tfevents *t, const char *tag, int64_t step, double time,
                       double value, struct ptv3_error *err);

void pt_tfevents_close(struct pt_tfevents *t);

/* The next record at c->pos, which moves behind it. false at the end of what can be read, with
 * c->pos where that is. */
bool pt_tfevents_next(struct pt_cursor *c, struct pt_tfevent *event);

/* CRC-32C (Castagnoli) of n bytes. */
uint32_t pt_crc32c(const uint8_t *data, int64_t n);

#endif
