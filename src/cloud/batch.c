/* batch.c - see batch.h. */
#include "batch.h"

#include <string.h>

#include "size.h"
#include "sort.h"

enum { CELL_BITS = 21 }; /* of a grid coordinate in a key; the curves take no more either */

/* ---- which voxels stay ---- */

static int key_of(const int32_t *c, uint64_t *key, struct ptv3_error *err) {
  *key = 0;
  for (int a = 0; a < 3; a++) {
    if (c[a] < 0 || c[a] >> CELL_BITS)
      return pt_fail(err, PTV3_DATA, "a cell at %d: grid coordinates must be 0 .. %d", c[a],
                     (1 << CELL_BITS) - 1);
    *key = *key << CELL_BITS | (uint64_t)c[a];
  }
  return PTV3_OK;
}

/* Of each run of equal keys all rows but one are marked: keep[order[i]] = 0. */
static int drop_equal(const uint64_t *key, const int32_t *order, int64_t n, uint8_t *keep,
                      struct pt_draw *draw, struct ptv3_error *err) {
  for (int64_t i = 0, end; i < n; i = end) {
    for (end = i + 1; end < n && key[end] == key[i];) end++;
    double u = 0;
    if (end - i < 2) continue;
    int st = pt_draw_fill(draw, PT_DRAW_INTEGER, 0, (double)(end - i), 1, &u, err);
    if (st) return st;
    for (int64_t j = i; j < end; j++) keep[order[j]] = j - i == (int64_t)u;
  }
  return PTV3_OK;
}

/* Rows first .. first + n - 1 of the batch are one mixed cloud. keep [n]: set. */
static int choose(struct pt_train_batch *b, int64_t first, int64_t n, uint8_t *keep,
                  struct pt_draw *draw, struct ptv3_error *err) {
  struct pt_env env = {.threads = 1};
  pt_mem_init_within(&env.mem, b->mem, PT_MEM_CLOUD, 0);
  uint64_t *key = pt_alloc(b->mem, n, sizeof *key, PT_MEM_CLOUD, err);
  int32_t *order = key ? pt_alloc(b->mem, n, sizeof *order, PT_MEM_CLOUD, err) : NULL;
  int st = order ? PTV3_OK : pt_status(err);
  for (int64_t i = 0; !st && i < n; i++) {
    keep[i] = 1;
    st = key_of(b->grid_coord + 3 * (first + i), &key[i], err);
  }
  if (!st) st = pt_sort64(&env, key, order, n, err);
  if (!st) st = drop_equal(key, order, n, keep, draw, err);
  pt_free(b->mem, order);
  pt_free(b->mem, key);
  return st;
}

/* Moves the rows to be kept together; returns their number. */
static int64_t close_up(struct pt_train_batch *b, const uint8_t *keep) {
  int64_t to = 0, at = 0;
  size_t row = (size_t)b->channels * sizeof *b->feat;
  for (int64_t p = 0; p < b->parts; p++) {
    int64_t end = at + b->part[p].rows, before = to;
    for (; at < end; at++) {
      if (!keep[at]) continue;
      memmove(b->coord + 3 * to, b->coord + 3 * at, 3 * sizeof *b->coord);
      memmove(b->grid_coord + 3 * to, b->grid_coord + 3 * at, 3 * sizeof *b->grid_coord);
      memmove(b->feat + b->channels * to, b->feat + b->channels * at, row);
      b->segment[to++] = b->segment[at];
    }
    b->part[p].rows = to - before;
  }
  return to;
}

static int mix(struct pt_train_batch *b, struct pt_draw *draw, struct ptv3_error *err) {
  uint8_t *keep = pt_alloc(b->mem, b->n, 1, PT_MEM_CLOUD, err);
  if (!keep) return pt_status(err);
  memset(keep, 1, (size_t)b->n);
  int st = PTV3_OK;
  int64_t at = 0;
  for (int64_t p = 0; !st && p + 1 < b->parts; p += 2) {
    int64_t n = b->part[p].rows + b->part[p + 1].rows;
    st = choose(b, at, n, keep + at, draw, err);
    at += n;
  }
  if (!st) {
    int64_t n = close_up(b, keep);
    b->dropped = b->n - n;
    b->n = n;
    b->mixed = true;
  }
  pt_free(b->mem, keep);
  return st;
}

/* ---- side by side ---- */

static int look(struct pt_train_batch *b, const struct pt_cloud *c, int64_t p,
                struct pt_sample *s, struct ptv3_error *err) {
  int st = c->n > 0 ? pt_sample_view(c, s, err)
                    : pt_fail(err, PTV3_DATA, "its transforms leave no points");
  if (!st && !s->segment)
    st = pt_fail(err, PTV3_DATA,
                 "no labels after its transforms: training needs a label a point, and "
                 "'segment' among the keys of Collect");
  if (!st && p && s->channels != b->channels)
    st = pt_fail(err, PTV3_DATA, "%d channels of features, the sample before it has %d",
                 s->channels, b->channels);
  if (st) return pt_prefix(err, "'%s'", b->part[p].name);
  b->channels = s->channels;
  b->part[p].rows = s->n;
  b->n += s->n;
  if (!p) b->condition = s->condition;
  return PTV3_OK;
}

static int measure(struct pt_train_batch *b, const struct pt_cloud *cloud,
                   struct ptv3_error *err) {
  for (int64_t p = 0; p < b->parts; p++) {
    struct pt_sample s;
    int st = look(b, &cloud[p], p, &s, err);
    if (st) return st;
  }
  return PTV3_OK;
}

static int make_room(struct pt_train_batch *b, struct ptv3_error *err) {
  const enum pt_memcat cat = PT_MEM_CLOUD;
  int64_t numbers;
  if (!pt_mul(b->n, b->channels, &numbers))
    return pt_fail(err, PTV3_NO_MEMORY, "a batch of %lld voxels is too large", (long long)b->n);
  if (!(b->offset = pt_alloc(b->mem, b->parts + 1, sizeof *b->offset, cat, err)) ||
      !(b->coord = pt_alloc(b->mem, 3 * b->n, sizeof *b->coord, cat, err)) ||
      !(b->grid_coord = pt_alloc(b->mem, 3 * b->n, sizeof *b->grid_coord, cat, err)) ||
      !(b->feat = pt_alloc(b->mem, numbers, sizeof *b->feat, cat, err)) ||
      !(b->segment = pt_alloc(b->mem, b->n, sizeof *b->segment, cat, err)))
    return pt_status(err);
  return PTV3_OK;
}

static void copy_part(struct pt_train_batch *b, const struct pt_cloud *c, int64_t at) {
  struct pt_sample s;
  if (pt_sample_view(c, &s, NULL)) return; /* looked at before */
  memcpy(b->coord + 3 * at, s.coord, (size_t)s.n * 3 * sizeof *b->coord);
  memcpy(b->grid_coord + 3 * at, s.grid_coord, (size_t)s.n * 3 * sizeof *b->grid_coord);
  memcpy(b->feat + b->channels * at, s.feat,
         (size_t)s.n * (size_t)b->channels * sizeof *b->feat);
  memcpy(b->segment + at, s.segment, (size_t)s.n * sizeof *b->segment);
}

/* offset and clouds from the rows of the parts. */
static void place_clouds(struct pt_train_batch *b) {
  int64_t at = 0;
  b->offset[0] = 0;
  b->clouds = 0;
  for (int64_t p = 0; p < b->parts; p++) {
    at += b->part[p].rows;
    if (b->mixed && p % 2 == 0 && p + 1 < b->parts) continue;
    b->offset[++b->clouds] = at;
  }
}

int pt_batch_join(struct pt_train_batch *b, struct pt_mem *mem, struct pt_cloud *cloud,
                  const struct pt_batch_part *part, int64_t count, bool mixed,
                  struct pt_draw *draw, struct ptv3_error *err) {
  *b = (struct pt_train_batch){.mem = mem, .parts = count};
  int st = count > 0 && count <= INT32_MAX
               ? PTV3_OK
               : pt_fail(err, PTV3_INVALID, "a batch of %lld samples", (long long)count);
  if (!st) b->part = pt_alloc(mem, count, sizeof *b->part, PT_MEM_CLOUD, err);
  if (!st && !b->part) st = pt_status(err);
  if (!st) {
    memcpy(b->part, part, (size_t)count * sizeof *part);
    st = measure(b, cloud, err);
  }
  if (!st) st = make_room(b, err);
  int64_t at = 0;
  for (int64_t p = 0; p < count; p++) {
    if (!st) {
      copy_part(b, &cloud[p], at);
      at += b->part[p].rows;
    }
    pt_cloud_free(&cloud[p]);
  }
  if (!st && mixed && count > 1) st = mix(b, draw, err);
  if (!st) place_clouds(b);
  if (st) pt_batch_free(b);
  return st;
}

void pt_batch_free(struct pt_train_batch *b) {
  if (b->mem) {
    pt_free(b->mem, b->part);
    pt_free(b->mem, b->offset);
    pt_free(b->mem, b->coord);
    pt_free(b->mem, b->grid_coord);
    pt_free(b->mem, b->feat);
    pt_free(b->mem, b->segment);
  }
  memset(b, 0, sizeof *b);
}
