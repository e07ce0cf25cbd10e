/* channels.c - see channels.h. */
#include "channels.h"

#include <stdio.h>
#include <string.h>

#include "size.h"

/* A channel's names: as one column, and as one column a number. */
struct names {
  const char *channel;
  int width;          /* numbers; 0: as wide as the column */
  const char *one[8]; /* NULL at the end */
  const char *many[5][3];
};

static const struct names table[] = {
    {"coord", 3, {"coord", NULL}, {{"x", "y", "z"}, {NULL}}},
    {"color",
     3,
     {"color", "colors", NULL},
     {{"red", "green", "blue"},
      {"r", "g", "b"},
      {"diffuse_red", "diffuse_green", "diffuse_blue"},
      {NULL}}},
    {"normal",
     3,
     {"normal", "normals", NULL},
     {{"nx", "ny", "nz"}, {"normal_x", "normal_y", "normal_z"}, {NULL}}},
    {"strength", 0, {"strength", "intensity", "remission", "reflectance", "i", NULL}, {{NULL}}},
    {"segment",
     1,
     {"segment", "semantic", "label", "labels", "classification", "class", NULL},
     {{NULL}}},
    {"instance", 1, {"instance", "instance_id", NULL}, {{NULL}}},
};

static const struct names *names_of(const char *channel) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (!strcmp(table[i].channel, channel)) return &table[i];
  return NULL;
}

void pt_column_wish(int *n, const char **name, int max, const char *channel) {
  const struct names *of = names_of(channel);
  if (!of && *n < max) name[(*n)++] = channel;
  for (int i = 0; of && of->one[i] && *n < max; i++) name[(*n)++] = of->one[i];
  for (int i = 0; of && of->many[i][0]; i++)
    for (int p = 0; p < 3 && *n < max; p++) name[(*n)++] = of->many[i][p];
}

const struct pt_column *pt_find_column(const struct pt_table *t, const char *name) {
  char scalar[80];
  const struct pt_column *col = pt_table_find(t, name);
  if (col) return col;
  snprintf(scalar, sizeof scalar, "scalar_%s", name);
  return pt_table_find(t, scalar);
}

static struct pt_source whole(const struct pt_column *col, int width) {
  struct pt_source s = {.width = width ? width : (int)pt_min(col->width, PT_PARTS)};
  for (int p = 0; p < s.width; p++) s.part[p] = (struct pt_axis){col, p};
  return s;
}

struct pt_source pt_find_source(const struct pt_table *t, const char *channel) {
  const struct names own = {channel, 0, {channel, NULL}, {{NULL}}}, *n = names_of(channel);
  if (!n) n = &own;
  for (int i = 0; n->one[i]; i++) {
    const struct pt_column *col = pt_find_column(t, n->one[i]);
    if (col && col->width >= n->width) return whole(col, n->width);
  }
  for (int i = 0; n->many[i][0]; i++) {
    struct pt_source s = {.width = 3};
    bool all = true;
    for (int p = 0; p < 3; p++) {
      s.part[p] = (struct pt_axis){pt_find_column(t, n->many[i][p]), 0};
      all = all && s.part[p].col;
    }
    if (all) return s;
  }
  return (struct pt_source){0};
}

const char *pt_columns_text(const struct pt_table *t, char *buf, int64_t size) {
  int64_t at = 0;
  buf[0] = 0;
  for (int i = 0; i < t->count && at < size - 1; i++)
    at += snprintf(buf + at, (size_t)(size - at), "%s%.20s", i ? ", " : "", t->col[i].name);
  return buf;
}
