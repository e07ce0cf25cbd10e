/* loss.c - sizes and counts that all versions of loss.h share. */
#include "loss_work.h"

static char *take(const struct pt_loss *a, int64_t *bytes, int64_t count, int64_t size) {
  char *p = a->work ? (char *)a->work + *bytes : NULL;
  *bytes += (count * size + 63) / 64 * 64;
  return p;
}

struct pt_loss_parts pt_loss_parts(const struct pt_loss *a) {
  struct pt_loss_parts w = {0};
  bool sorts = false;
  for (int k = 0; k < a->criteria; k++) sorts |= a->criterion[k].kind == PT_LOVASZ;
  w.top = (float *)(void *)take(a, &w.bytes, a->n, 4);
  w.inv = (float *)(void *)take(a, &w.bytes, a->n, 4);
  for (int i = 0; i < 2 && sorts; i++) {
    w.key[i] = (uint32_t *)(void *)take(a, &w.bytes, a->n, 4);
    w.at[i] = (int32_t *)(void *)take(a, &w.bytes, a->n, 4);
  }
  const int64_t blocks = (a->n + PT_LOSS_ROWS - 1) / PT_LOSS_ROWS;
  w.block = (struct pt_loss_block *)(void *)take(a, &w.bytes, blocks, sizeof *w.block);
  w.count = (int64_t *)(void *)take(a, &w.bytes, a->classes, sizeof *w.count);
  return w;
}

int64_t pt_loss_work(const struct pt_loss *a) {
  struct pt_loss sizes = *a;
  sizes.work = NULL;
  return pt_loss_parts(&sizes).bytes;
}

int64_t pt_loss_count(const struct pt_loss *a, int k, int64_t first, int64_t end,
                      int64_t *count) {
  int64_t all = 0;
  for (int c = 0; c < a->classes; c++) count[c] = 0;
  for (int64_t r = first; r < end; r++)
    if (pt_loss_counts(a, k, r)) count[a->label[r]]++, all++;
  return all;
}

int pt_loss_classes(const struct pt_loss *a, int k, const int64_t *count) {
  int classes = 0;
  for (int c = 0; c < a->classes; c++) classes += pt_loss_class(&a->criterion[k], count, c);
  return classes;
}
