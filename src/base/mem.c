/* mem.c - see mem.h. Each block carries a 64-byte head with its size and category. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "size.h"

#define ALIGN 64
#define MAGIC UINT64_C(0x70747633626c6f6b) /* "ptv3blok" */

struct head {
  uint64_t magic;
  int64_t bytes; /* with the head, rounded up to ALIGN */
  int cat;
};
_Static_assert(sizeof(struct head) <= ALIGN, "the head fits in front of an aligned block");

static const char *const cat_text[] = {
#define TEXT(name, text) text,
    PT_MEM_LIST(TEXT)
#undef TEXT
};

const char *pt_memcat_text(enum pt_memcat cat) { return cat_text[cat]; }

void pt_mem_init(struct pt_mem *m, int64_t limit) {
  memset(m, 0, sizeof *m);
  m->limit = limit > 0 ? limit : INT64_MAX;
}

static void raise_to(_Atomic int64_t *peak, int64_t value) {
  int64_t seen = atomic_load(peak);
  while (value > seen && !atomic_compare_exchange_weak(peak, &seen, value)) continue;
}

static void account(struct pt_mem *m, int cat, int64_t bytes) {
  int64_t now = atomic_fetch_add(&m->cat[cat], bytes) + bytes;
  if (bytes > 0) raise_to(&m->cat_peak[cat], now);
}

/* Takes bytes from one budget; false when that would pass the limit. */
static bool take_here(struct pt_mem *m, int64_t bytes) {
  int64_t seen = atomic_load(&m->used);
  do {
    if (bytes > m->limit - seen) return false;
  } while (!atomic_compare_exchange_weak(&m->used, &seen, seen + bytes));
  raise_to(&m->peak, seen + bytes);
  return true;
}

/* Gives bytes back to m and to the budgets it lies within, up to but not including end. */
static void give(struct pt_mem *m, const struct pt_mem *end, int cat, int64_t bytes) {
  for (; m != end; cat = (int)m->as, m = m->parent) {
    atomic_fetch_sub(&m->used, bytes);
    account(m, cat, -bytes);
  }
}

/* Takes bytes from m and from the budgets it lies within; on failure from none, err filled. */
static int take(struct pt_mem *m, int cat, int64_t bytes, struct ptv3_error *err) {
  char a[24], b[24], in_use[24];
  int c = cat;
  for (struct pt_mem *p = m; p; c = (int)p->as, p = p->parent) {
    bool injected = atomic_fetch_add(&p->calls, 1) + 1 == p->fail_at;
    if (!injected && take_here(p, bytes)) {
      account(p, c, bytes);
      continue;
    }
    give(m, p, cat, bytes);
    pt_bytes_text(bytes, a);
    if (injected)
      return pt_fail(err, PTV3_NO_MEMORY, "no memory for %s of %s (test)", a, cat_text[cat]);
    return pt_fail(err, PTV3_BUDGET,
                   "%s of %s do not fit the memory budget of %s, of which %s are in use", a,
                   cat_text[cat], pt_bytes_text(p->limit, b), pt_bytes_text(p->used, in_use));
  }
  return PTV3_OK;
}

void pt_mem_init_within(struct pt_mem *m, struct pt_mem *parent, enum pt_memcat as,
                        int64_t limit) {
  pt_mem_init(m, limit);
  m->parent = parent;
  m->as = as;
}

int pt_mem_reserve(struct pt_mem *m, int64_t bytes, enum pt_memcat cat,
                   struct ptv3_error *err) {
  return take(m, (int)cat, bytes, err);
}

void pt_mem_give_back(struct pt_mem *m, int64_t bytes, enum pt_memcat cat) {
  give(m, NULL, (int)cat, bytes);
}

/* Large blocks come from the system and go back to it at once: kept by malloc for later, they
 * would make the process larger than the budget says. Sanitizers want to see them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MAPPING INT64_MAX
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MAPPING INT64_MAX
#endif
#endif
#ifndef OWN_MAPPING
#define OWN_MAPPING (INT64_C(1) << 18)
#endif

static void *block_new(int64_t bytes) {
  if (bytes < OWN_MAPPING) return aligned_alloc(ALIGN, (size_t)bytes);
  void *p =
      mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

static void block_free(struct head *h) {
  if (h->bytes < OWN_MAPPING)
    free(h);
  else
    munmap(h, (size_t)h->bytes);
}

static struct head *head_of(void *p) { return (struct head *)((char *)p - ALIGN); }

void *pt_alloc(struct pt_mem *m, int64_t count, int64_t size, enum pt_memcat cat,
               struct ptv3_error *err) {
  char a[24];
  int64_t bytes;
  if (!pt_mul(count, size, &bytes) || !pt_add(bytes, 2 * ALIGN - 1, &bytes)) {
    pt_fail(err, PTV3_NO_MEMORY, "a block of %lld x %lld bytes is larger than any memory",
            (long long)count, (long long)size);
    return NULL;
  }
  bytes = bytes / ALIGN * ALIGN;
  if (atomic_load(&m->sealed)) {
    pt_fail(err, PTV3_INTERNAL, "%s of %s asked for after the plan was made",
            pt_bytes_text(bytes, a), cat_text[cat]);
    return NULL;
  }
  if (take(m, (int)cat, bytes, err)) return NULL;
  struct head *h = block_new(bytes);
  if (!h) {
    give(m, NULL, (int)cat, bytes);
    pt_fail(err, PTV3_NO_MEMORY, "the system has no memory for %s of %s",
            pt_bytes_text(bytes, a), cat_text[cat]);
    return NULL;
  }
  *h = (struct head){MAGIC, bytes, (int)cat};
  return (char *)h + ALIGN;
}

void *pt_zalloc(struct pt_mem *m, int64_t count, int64_t size, enum pt_memcat cat,
                struct ptv3_error *err) {
  void *p = pt_alloc(m, count, size, cat, err);
  if (p) memset(p, 0, (size_t)(count * size));
  return p;
}

void pt_free(struct pt_mem *m, void *p) {
  if (!p) return;
  struct head *h = head_of(p);
  if (h->magic != MAGIC) abort(); /* a stray pointer: memory is already corrupt */
  h->magic = 0;
  give(m, NULL, h->cat, h->bytes);
  block_free(h);
}

void *pt_resize(struct pt_mem *m, void *p, int64_t count, int64_t size, enum pt_memcat cat,
                struct ptv3_error *err) {
  void *q = pt_alloc(m, count, size, cat, err);
  if (!q || !p) return q;
  memcpy(q, p, (size_t)pt_min(head_of(p)->bytes - ALIGN, count * size));
  pt_free(m, p);
  return q;
}

int pt_grow(struct pt_mem *m, void *p, int64_t *cap, int64_t count, int64_t size,
            enum pt_memcat cat, struct ptv3_error *err) {
  if (count <= *cap) return PTV3_OK;
  int64_t want = pt_max(pt_max(count, *cap + *cap / 2), 16);
  void *old;
  memcpy(&old, p, sizeof old); /* p is the address of a pointer of any type */
  struct ptv3_error e;
  void *q = pt_resize(m, old, want, size, cat, &e);
  if (!q) {
    if (err) *err = e;
    return e.status;
  }
  memcpy(p, &q, sizeof q);
  *cap = want;
  return PTV3_OK;
}

char *pt_strndup(struct pt_mem *m, const char *s, int64_t n, struct ptv3_error *err) {
  char *c = pt_alloc(m, n + 1, 1, PT_MEM_OTHER, err);
  if (!c) return NULL;
  memcpy(c, s, (size_t)n);
  c[n] = 0;
  return c;
}

char *pt_strdup(struct pt_mem *m, const char *s, struct ptv3_error *err) {
  return pt_strndup(m, s, (int64_t)strlen(s), err);
}

const char *pt_bytes_text(int64_t bytes, char buf[static 24]) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double v = (double)bytes;
  int u = 0;
  while (v >= 1024 && u < 6) v /= 1024, u++;
  snprintf(buf, 24, u ? "%.2f %s" : "%.0f %s", v, unit[u]);
  return buf;
}
