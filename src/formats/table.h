/* table.h - a cloud file as it was read: named columns of numbers, a row a point.
 *
 * Readers fill one; they do not interpret. Which column is a coordinate or a colour, what
 * offset comes off, which points are unusable is decided in cloud/. */
#ifndef PT_TABLE_H
#define PT_TABLE_H

#include <stdint.h>

#include "dtype.h"
#include "mem.h"

struct pt_column {
  char name[64]; /* as the file names it, cut to fit: "x", "red", "Classification" */
  enum pt_dtype type;
  int width;  /* numbers a row, >= 1: coord.npy is one column "coord" of width 3 */
  void *data; /* [n, width] of type; owned by the table */
};

struct pt_table {
  int64_t n;             /* rows */
  int count;             /* columns */
  struct pt_column *col; /* [count], owned */
  struct pt_mem *mem;
};

/* An empty table of n rows. */
void pt_table_init(struct pt_table *t, struct pt_mem *mem, int64_t n);

/* Adds a column, its data allocated and not cleared; NULL with err filled on failure. The
 * pointer is valid until the next column is added; the data stays where it is. */
struct pt_column *pt_table_add(struct pt_table *t, const char *name, enum pt_dtype type,
                               int width, struct ptv3_error *err);

/* The column with this name, letters compared without case; NULL if there is none. */
struct pt_column *pt_table_find(const struct pt_table *t, const char *name);

void pt_table_free(struct pt_table *t); /* a zeroed table is allowed */

#endif
