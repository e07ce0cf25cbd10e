/* knn.c - see knn.h. */
#include "knn.h"

#include <string.h>

enum { LEAF = 8, TASK = 32768 };

/* a before b on an axis; equal coordinates by number, so that the order is one. */
static bool before(const float *coord, int axis, int32_t a, int32_t b) {
  float x = coord[(int64_t)a * 3 + axis], y = coord[(int64_t)b * 3 + axis];
  return x != y ? x < y : a < b;
}

static void swap(int32_t *a, int32_t *b) {
  int32_t t = *a;
  *a = *b;
  *b = t;
}

/* Puts the item that belongs at place k of order[lo .. hi-1] there, smaller ones before it
 * (Hoare's FIND, median of three). */
static void select_place(int32_t *order, const float *coord, int axis, int64_t lo, int64_t hi,
                         int64_t k) {
  int64_t l = lo, r = hi - 1;
  while (l < r) {
    int64_t mid = l + (r - l) / 2;
    if (before(coord, axis, order[mid], order[l])) swap(&order[mid], &order[l]);
    if (before(coord, axis, order[r], order[l])) swap(&order[r], &order[l]);
    if (before(coord, axis, order[r], order[mid])) swap(&order[r], &order[mid]);
    int32_t pivot = order[mid];
    int64_t i = l, j = r;
    while (i <= j) {
      while (before(coord, axis, order[i], pivot)) i++;
      while (before(coord, axis, pivot, order[j])) j--;
      if (i <= j) swap(&order[i++], &order[j--]);
    }
    if (k <= j)
      r = j;
    else if (k >= i)
      l = i;
    else
      return;
  }
}

static int widest(const int32_t *order, const float *coord, int64_t lo, int64_t hi) {
  float min[3], max[3];
  for (int a = 0; a < 3; a++) min[a] = max[a] = coord[(int64_t)order[lo] * 3 + a];
  for (int64_t i = lo + 1; i < hi; i++)
    for (int a = 0; a < 3; a++) {
      float v = coord[(int64_t)order[i] * 3 + a];
      min[a] = v < min[a] ? v : min[a];
      max[a] = v > max[a] ? v : max[a];
    }
  int best = 0;
  for (int a = 1; a < 3; a++)
    if (max[a] - min[a] > max[best] - min[best]) best = a;
  return best;
}

/* Depth is log2(n): every call halves the run. */
static void build(struct pt_tree *t, const float *coord, int64_t lo, int64_t hi) {
  if (hi - lo <= LEAF) return;
  int64_t mid = lo + (hi - lo) / 2;
  int axis = widest(t->order, coord, lo, hi);
  select_place(t->order, coord, axis, lo, hi, mid);
  t->axis[mid] = (uint8_t)axis;
#pragma omp task if (hi - lo > TASK)
  build(t, coord, lo, mid);
#pragma omp task if (hi - lo > TASK)
  build(t, coord, mid + 1, hi);
#pragma omp taskwait
}

int pt_tree_build(struct pt_tree *t, struct pt_env *env, const float *coord, int64_t n,
                  struct ptv3_error *err) {
  memset(t, 0, sizeof *t);
  if (n > INT32_MAX)
    return pt_fail(err, PTV3_UNSUPPORTED, "%lld points, at most %d in a tree of neighbours",
                   (long long)n, INT32_MAX);
  t->mem = &env->mem;
  t->n = n;
  t->order = pt_alloc(t->mem, n, sizeof *t->order, PT_MEM_CLOUD, err);
  t->xyz = t->order ? pt_alloc(t->mem, n, 3 * sizeof *t->xyz, PT_MEM_CLOUD, err) : NULL;
  t->axis = t->xyz ? pt_zalloc(t->mem, n, 1, PT_MEM_CLOUD, err) : NULL;
  if (!t->axis) {
    pt_tree_free(t);
    return err ? err->status : PTV3_NO_MEMORY;
  }
  for (int64_t i = 0; i < n; i++) t->order[i] = (int32_t)i;
#pragma omp parallel num_threads(env->threads)
#pragma omp single
  build(t, coord, 0, n);
  for (int64_t i = 0; i < n; i++)
    memcpy(t->xyz + i * 3, coord + (int64_t)t->order[i] * 3, 3 * sizeof *t->xyz);
  return PTV3_OK;
}

void pt_tree_free(struct pt_tree *t) {
  if (t->mem) {
    pt_free(t->mem, t->order);
    pt_free(t->mem, t->xyz);
    pt_free(t->mem, t->axis);
  }
  memset(t, 0, sizeof *t);
}

struct search {
  const struct pt_tree *t;
  const float *at; /* [3] */
  int k, found;
  float distance[PT_KNN_MAX]; /* squared, ascending */
  int32_t *near;
};

static void offer(struct search *s, int64_t place) {
  const float *p = s->t->xyz + place * 3;
  float dx = p[0] - s->at[0], dy = p[1] - s->at[1], dz = p[2] - s->at[2];
  float d = dx * dx + dy * dy + dz * dz;
  int32_t number = s->t->order[place];
  int i = s->found;
  while (i > 0 && (d < s->distance[i - 1] ||
                   (d == s->distance[i - 1] && number < s->t->order[s->near[i - 1]])))
    i--;
  if (i == s->k) return;
  if (s->found < s->k) s->found++;
  for (int j = s->found - 1; j > i; j--) {
    s->distance[j] = s->distance[j - 1];
    s->near[j] = s->near[j - 1];
  }
  s->distance[i] = d;
  s->near[i] = (int32_t)place;
}

static void descend(struct search *s, int64_t lo, int64_t hi) {
  if (hi - lo <= LEAF) {
    for (int64_t i = lo; i < hi; i++) offer(s, i);
    return;
  }
  int64_t mid = lo + (hi - lo) / 2;
  int axis = s->t->axis[mid];
  float d = s->at[axis] - s->t->xyz[mid * 3 + axis];
  offer(s, mid);
  if (d < 0)
    descend(s, lo, mid);
  else
    descend(s, mid + 1, hi);
  if (s->found == s->k && d * d > s->distance[s->k - 1]) return;
  if (d < 0)
    descend(s, mid + 1, hi);
  else
    descend(s, lo, mid);
}

void pt_tree_nearest(const struct pt_tree *t, int64_t place, int k, int32_t *near) {
  struct search s = {.t = t, .at = t->xyz + place * 3, .k = k, .near = near};
  descend(&s, 0, t->n);
}
