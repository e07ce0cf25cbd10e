/* table.c - see table.h. */
#include "table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "size.h"

void pt_table_init(struct pt_table *t, struct pt_mem *mem, int64_t n) {
  *t = (struct pt_table){.n = n, .mem = mem};
}

struct pt_column *pt_table_add(struct pt_table *t, const char *name, enum pt_dtype type,
                               int width, struct ptv3_error *err) {
  int64_t cells;
  if (width < 1 || !pt_mul(t->n, width, &cells)) {
    pt_fail(err, PTV3_FORMAT, "column '%s' of %lld rows x %d is too large", name,
            (long long)t->n, width);
    return NULL;
  }
  struct pt_column *col =
      pt_resize(t->mem, t->col, t->count + 1, sizeof *col, PT_MEM_CLOUD, err);
  if (!col) return NULL;
  t->col = col;
  struct pt_column *c = &col[t->count];
  *c = (struct pt_column){.type = type, .width = width};
  snprintf(c->name, sizeof c->name, "%s", name);
  c->data = pt_alloc(t->mem, cells, pt_dtype(type)->bytes, PT_MEM_CLOUD, err);
  if (!c->data) return NULL;
  t->count++;
  return c;
}

struct pt_column *pt_table_find(const struct pt_table *t, const char *name) {
  for (int i = 0; i < t->count; i++)
    if (strcasecmp(t->col[i].name, name) == 0) return &t->col[i];
  return NULL;
}

void pt_table_free(struct pt_table *t) {
  for (int i = 0; i < t->count; i++) pt_free(t->mem, t->col[i].data);
  if (t->mem) pt_free(t->mem, t->col);
  *t = (struct pt_table){0};
}
