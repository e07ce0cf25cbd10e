/* loss_work.h - what lies in the work memory of loss.h; for its own files only. */
#ifndef PT_LOSS_WORK_H
#define PT_LOSS_WORK_H

#include <stddef.h>

#include "loss.h"

/* Rows whose sums are taken one after the other, then added block by block. */
enum { PT_LOSS_ROWS = 1024 };

struct pt_loss_block {
  double value[PT_MAX_CRITERIA], weight[PT_MAX_CRITERIA]; /* of cross entropy: both sums */
  int64_t valid[PT_MAX_CRITERIA];
  double part;   /* of a sorted class: value, */
  int64_t count; /* and rows of that class */
};

struct pt_loss_parts {
  float *top, *inv; /* [n] largest logit of a row; 1 / sum of exp(logit - top) */
  uint32_t *key[2]; /* [n] errors of one class as keys, and sorted; with Lovasz only */
  int32_t *at[2];   /* [n] their rows */
  struct pt_loss_block *block; /* [ceil(n / PT_LOSS_ROWS)] */
  int64_t *count;              /* [classes] rows of each */
  int64_t bytes;
};

/* The parts of a->work, which may be NULL. */
struct pt_loss_parts pt_loss_parts(const struct pt_loss *a);

/* Does row r count for criterion k? */
static inline bool pt_loss_counts(const struct pt_loss *a, int k, int64_t r) {
  const int32_t y = a->label[r];
  return y >= 0 && y < a->classes && y != a->criterion[k].ignore;
}

/* Weight of class c, and the sum of all. */
static inline double pt_class_weight(const struct pt_criterion *k, int c) {
  return k->weight ? (double)k->weight[c] : 1.0;
}
static inline double pt_class_weights(const struct pt_criterion *k, int classes) {
  double sum = 0.0;
  for (int c = 0; c < classes; c++) sum += pt_class_weight(k, c);
  return sum;
}

/* The rows of image i of criterion k, of `images`: a cloud, or all. */
static inline int pt_loss_images(const struct pt_loss *a, int k) {
  return a->criterion[k].per_image ? a->clouds : 1;
}
static inline int64_t pt_loss_first(const struct pt_loss *a, int k, int image) {
  return a->criterion[k].per_image ? a->offset[image] : image ? a->n : 0;
}

/* Counts the rows first .. end - 1 that count for criterion k by class; returns all. */
int64_t pt_loss_count(const struct pt_loss *a, int k, int64_t first, int64_t end,
                      int64_t *count);

/* Classes that enter the mean, of those counts; is class c one of them? */
static inline bool pt_loss_class(const struct pt_criterion *k, const int64_t *count, int c) {
  return (k->all || count[c] > 0) && (!k->seen || k->seen[c]);
}
int pt_loss_classes(const struct pt_loss *a, int k, const int64_t *count);

/* What a step of the Jaccard loss adds when one more row is left out, where `of` rows have
 * the class, `hits` of those and `others` without the class were left out before. */
static inline double pt_jaccard_step(int64_t of, int64_t hits, int64_t others, bool hit) {
  const double sum = (double)(of + others);
  if (hit) return 1.0 / sum;
  if (of == 0) return others == 0 ? 1.0 : 0.0;
  return (double)(of - hits) / (sum * (sum + 1.0));
}

#endif
