/* mem.h - the only place that allocates: a budget with categories.
 *
 * A struct pt_mem counts every byte handed out, per category, refuses what would pass
 * the limit, and can be sealed: after the plan of a batch is made, an allocation is a
 * mistake. It can also fail the k-th allocation on purpose, which the tests use to walk
 * every error path. Blocks are aligned to 64 bytes (a cache line, an AVX-512 register).
 * Calls on one pt_mem are safe from several threads. */
#ifndef PT_MEM_H
#define PT_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* X(name, text): what memory is used for; `ptv3 plan` reports by these. */
#define PT_MEM_LIST(X)      \
  X(WEIGHTS, "weights")     \
  X(GRADIENTS, "gradients") \
  X(OPTIMISER, "optimiser") \
  X(CLOUD, "cloud")         \
  X(LOADER, "loader")       \
  X(STRUCTURE, "structure") \
  X(ARENA, "features")      \
  X(OUTPUT, "output")       \
  X(OTHER, "other")

enum pt_memcat {
#define PT_MEM_ENUM(name, text) PT_MEM_##name,
  PT_MEM_LIST(PT_MEM_ENUM)
#undef PT_MEM_ENUM
      PT_MEM_COUNT
};

struct pt_mem {
  int64_t limit;                          /* bytes, INT64_MAX: none */
  atomic_bool sealed;                     /* allocating is an error while set */
  _Atomic int64_t used;                   /* bytes handed out now, headers included */
  _Atomic int64_t peak;                   /* largest value of used */
  _Atomic int64_t cat[PT_MEM_COUNT];      /* used, by category */
  _Atomic int64_t cat_peak[PT_MEM_COUNT]; /* peak of each category by itself */
  _Atomic int64_t calls;                  /* allocations asked for so far */
  int64_t fail_at;       /* fail the call with this number (1 is the first); 0: never */
  struct pt_mem *parent; /* what is taken here is also taken there; NULL: none */
  enum pt_memcat as;     /* of which category it is there */
};

/* limit <= 0 means none. */
void pt_mem_init(struct pt_mem *m, int64_t limit);

/* A budget within a budget, with a limit of its own (<= 0: none): every byte counts there as
 * category `as`. Sealing the parent does not seal it: that is what lets a thread at the side
 * read the next clouds while a network runs. The parent outlives it. */
void pt_mem_init_within(struct pt_mem *m, struct pt_mem *parent, enum pt_memcat as,
                        int64_t limit);

/* Counts bytes as taken, or as given back, without a block. */
int pt_mem_reserve(struct pt_mem *m, int64_t bytes, enum pt_memcat cat, struct ptv3_error *err);
void pt_mem_give_back(struct pt_mem *m, int64_t bytes, enum pt_memcat cat);

const char *pt_memcat_text(enum pt_memcat cat);

/* count x size bytes, not cleared; NULL with err filled when it cannot be had. A count of
 * 0 gives a valid pointer. pt_zalloc clears. */
void *pt_alloc(struct pt_mem *m, int64_t count, int64_t size, enum pt_memcat cat,
               struct ptv3_error *err);
void *pt_zalloc(struct pt_mem *m, int64_t count, int64_t size, enum pt_memcat cat,
                struct ptv3_error *err);

/* Makes *p (NULL allowed) hold at least count x size bytes, keeping its contents and its
 * category; *cap is its capacity in items and grows by half at least. On failure *p
 * stays as it was. */
int pt_grow(struct pt_mem *m, void *p, int64_t *cap, int64_t count, int64_t size,
            enum pt_memcat cat, struct ptv3_error *err);

/* A block made exactly count x size bytes (shrunk or grown); NULL on failure, p stays. */
void *pt_resize(struct pt_mem *m, void *p, int64_t count, int64_t size, enum pt_memcat cat,
                struct ptv3_error *err);

void pt_free(struct pt_mem *m, void *p); /* NULL allowed */

/* A copy of a NUL-terminated string, or of n bytes with a NUL behind. */
char *pt_strdup(struct pt_mem *m, const char *s, struct ptv3_error *err);
char *pt_strndup(struct pt_mem *m, const char *s, int64_t n, struct ptv3_error *err);

/* "1.50 GiB"; buf is returned. */
const char *pt_bytes_text(int64_t bytes, char buf[static 24]);

#endif
