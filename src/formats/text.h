/* text.h - lines of numbers into columns: what ascii PLY, ascii PCD and XYZ/CSV have in
 * common. The text is taken in pieces by all threads; the answer, and which error is
 * reported (the first in the file), do not depend on their number. */
#ifndef PT_TEXT_H
#define PT_TEXT_H

#include <stdbool.h>

#include "dtype.h"
#include "env.h"

/* One field of a line. */
struct pt_text_field {
  const char *name; /* for messages */
  bool skip;        /* anything, not looked at */
  bool list;        /* a count and as many fields, skipped (PLY) */
  enum pt_dtype type;
  int width;  /* of the column */
  int at;     /* the number goes to data[row * width + at] */
  void *data; /* [rows, width] of type */
};

/* A block of lines. Blank lines do not count. */
struct pt_text {
  const char *name;    /* the file's path */
  const uint8_t *data; /* [size], the file */
  int64_t size;
  int64_t begin;      /* byte at which the first line starts */
  int64_t first_line; /* its number, from 1 */
  char delimiter;     /* ' ': runs of spaces and tabs; else this byte, with blanks around it */
  bool comments;      /* lines that start with # or // do not count either */
};

/* The number of lines with something on them. */
int pt_text_count(struct pt_env *env, const struct pt_text *t, int64_t *rows,
                  struct ptv3_error *err);

/* Reads the first n such lines. Fewer lines, a field too few or too many, or one that is not
 * a number is PTV3_FORMAT with line, column and byte. */
int pt_text_read(struct pt_env *env, const struct pt_text *t, int64_t n,
                 const struct pt_text_field *field, int count, struct ptv3_error *err);

/* The next field of the line [p, eol): its text without blanks in [*from, *to). Returns
 * where the next one starts, NULL when there is none left. Start with p at the line's start. */
const char *pt_text_field(const char *p, const char *eol, char delimiter, const char **from,
                          const char **to);

/* The number of fields of a line; an empty one behind the last delimiter does not count. */
int64_t pt_text_fields(const char *p, const char *eol, char delimiter);

#endif
