/* las_fields.h - where each dimension of a LAS point lies and how it becomes numbers.
 *
 * Internal to the LAS reader and writer. Source: LAS Specification 1.4-R15, section 2.6. */
#ifndef PT_LAS_FIELDS_H
#define PT_LAS_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "las.h"

enum { PT_LAS_LAST_FORMAT = 10 };

enum pt_las_kind {
  PT_LAS_RAW,    /* numbers of `type`, as they are */
  PT_LAS_BITS,   /* (byte >> shift) & mask, U8 */
  PT_LAS_NUMBER, /* stored as `stored`, times scale, plus offset, to `type` */
};

struct pt_las_field {
  char name[64]; /* of the column; "" for a field this format does not have */
  enum pt_dtype type;
  int width; /* numbers a point */
  enum pt_las_kind kind;
  int64_t at; /* byte in the record */
  int shift;
  int mask;
  enum pt_dtype stored;
  double scale[3], offset[3]; /* NUMBER: of each of the width numbers */
};

/* Field i of h's point format; false when i is past the last. */
bool pt_las_standard_field(const struct pt_las_header *h, int i, struct pt_las_field *f);

void pt_las_extra_field(const struct pt_las_extra *e, struct pt_las_field *f);

/* The field of count records, `record` bytes apart, to out [count, width] of type. */
void pt_las_gather(const struct pt_las_field *f, const uint8_t *records, int64_t record,
                   int64_t count, void *out);

/* Byte offsets of the parts that not every format has, -1 for those it has not. */
struct pt_las_layout {
  uint8_t size;
  int8_t gps, rgb, nir, wave;
};
const struct pt_las_layout *pt_las_layout(int format);

/* The type of an extra dimension numbered 1 to 10 (0 counts as U8). */
enum pt_dtype pt_las_extra_type(int type);

#endif
