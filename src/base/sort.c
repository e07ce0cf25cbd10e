/* sort.c - see sort.h. Least significant digit first; every thread counts and moves one run
 * of the keys, so that the moves are stable. */
#include "sort.h"

#include <omp.h>
#include <string.h>

#include "size.h"

enum { BITS = 11, BUCKETS = 1 << BITS };

struct sorter {
  uint64_t *key, *key2; /* [n] */
  int32_t *order, *order2;
  int64_t *count; /* [threads, BUCKETS] */
  int64_t n;
  int threads;
};

static int digit(uint64_t key, int shift) { return (int)(key >> shift & (BUCKETS - 1)); }

static void count_run(const struct sorter *s, int t, int shift) {
  int64_t *count = s->count + (int64_t)t * BUCKETS;
  memset(count, 0, BUCKETS * sizeof *count);
  int64_t end = s->n * (t + 1) / s->threads;
  for (int64_t i = s->n * t / s->threads; i < end; i++) count[digit(s->key[i], shift)]++;
}

/* Counts become the first place of each (digit, run); false when one digit has all keys. */
static bool places(const struct sorter *s) {
  int64_t sum = 0;
  for (int d = 0; d < BUCKETS; d++) {
    int64_t before = sum;
    for (int t = 0; t < s->threads; t++) {
      int64_t *c = &s->count[(int64_t)t * BUCKETS + d], here = *c;
      *c = sum;
      sum += here;
    }
    if (sum - before == s->n) return false;
  }
  return true;
}

static void move_run(const struct sorter *s, int t, int shift) {
  int64_t *place = s->count + (int64_t)t * BUCKETS;
  int64_t end = s->n * (t + 1) / s->threads;
  for (int64_t i = s->n * t / s->threads; i < end; i++) {
    int64_t to = place[digit(s->key[i], shift)]++;
    s->key2[to] = s->key[i];
    s->order2[to] = s->order[i];
  }
}

static void pass(struct sorter *s, int shift) {
#pragma omp parallel for num_threads(s->threads) schedule(static, 1)
  for (int t = 0; t < s->threads; t++) count_run(s, t, shift);
  if (!places(s)) return;
#pragma omp parallel for num_threads(s->threads) schedule(static, 1)
  for (int t = 0; t < s->threads; t++) move_run(s, t, shift);
  uint64_t *k = s->key;
  int32_t *o = s->order;
  s->key = s->key2;
  s->order = s->order2;
  s->key2 = k;
  s->order2 = o;
}

int pt_sort64(struct pt_env *env, uint64_t *key, int32_t *order, int64_t n,
              struct ptv3_error *err) {
  if (n > INT32_MAX)
    return pt_fail(err, PTV3_UNSUPPORTED, "%lld keys: at most %d can be sorted", (long long)n,
                   INT32_MAX);
  struct pt_mem *mem = &env->mem;
  int threads = (int)pt_min(env->threads, n / 65536 + 1);
  struct sorter s = {.key = key, .order = order, .n = n, .threads = threads};
  uint64_t *key2 = s.key2 = pt_alloc(mem, n, sizeof *key, PT_MEM_CLOUD, err);
  int32_t *order2 = s.order2 = key2 ? pt_alloc(mem, n, sizeof *order, PT_MEM_CLOUD, err) : NULL;
  if (order2)
    s.count = pt_alloc(mem, (int64_t)threads * BUCKETS, sizeof *s.count, PT_MEM_CLOUD, err);
  bool ok = s.count != NULL;
  for (int64_t i = 0; ok && i < n; i++) order[i] = (int32_t)i;
  for (int shift = 0; ok && shift < 64; shift += BITS) pass(&s, shift);
  if (ok && s.key != key) {
    memcpy(key, s.key, (size_t)n * sizeof *key);
    memcpy(order, s.order, (size_t)n * sizeof *order);
  }
  pt_free(mem, s.count);
  pt_free(mem, order2);
  pt_free(mem, key2);
  return ok ? PTV3_OK : err ? err->status : PTV3_NO_MEMORY;
}
