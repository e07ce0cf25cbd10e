/* channels.h - finding a channel's numbers among a file's columns. The names are listed in
 * load.h. Inside cloud/ only. */
#ifndef PT_CHANNELS_H
#define PT_CHANNELS_H

#include <stdbool.h>
#include "clean.h"

#include "table.h"

enum { PT_PARTS = 16 };

/* Where the numbers of one channel are: part p of row i is pt_axis_at(&part[p], i). */
struct pt_source {
  int width; /* 0: not in the file */
  struct pt_axis part[PT_PARTS];
};

/* The column of this name, a "scalar_" in front of it allowed. */
const struct pt_column *pt_find_column(const struct pt_table *t, const char *name);

/* The numbers of a channel, from one column or from one a number. */
struct pt_source pt_find_source(const struct pt_table *t, const char *channel);

/* Appends to name[*n .. max-1] every column name the channel may be found under. */
void pt_column_wish(int *n, const char **name, int max, const char *channel);

/* "x, y, z, intensity": the table's columns, for messages; buf is returned. */
const char *pt_columns_text(const struct pt_table *t, char *buf, int64_t size);

#endif
