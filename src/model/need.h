/* need.h - what a batch would take: rows, bytes and time, known before it is run.
 *
 * Filled by pt_forward in place of running (struct pt_forward.need): structure and plan are
 * the real ones, only the arena is not allocated. */
#ifndef PT_NEED_H
#define PT_NEED_H

#include "network.h"

#define PT_NEED_RUNGS 6

struct pt_need_step {
  char label[32];
  enum pt_op op;
  int64_t rows; /* of the result */
  int channels;
  int64_t alive; /* bytes of all tensors that are alive while it runs */
  double work;   /* floating point operations of its products, exponentials counted as 10 */
};

/* A way to run it, whatever the budget. */
struct pt_need_rung {
  int tile, threads;
  int spilled;    /* tensors in a temporary file */
  int64_t total;  /* peak of the whole */
  int64_t disk;   /* bytes of the file */
  double seconds; /* a guess */
};

struct pt_need {
  struct pt_mem *mem; /* set by the caller; step is allocated from it */
  int stages;
  int64_t rows[PT_MAX_STAGES];
  int64_t bytes[PT_MEM_COUNT]; /* while the network runs; ARENA is features and scratch */
  int64_t features, scratch;   /* scratch: of all threads */
  int64_t before; /* the most in use before: loading and transforms, and the weights */
  int64_t total;  /* the peak of the whole: the larger of `before` and the sum of bytes */
  int64_t least;  /* the least peak there is: that of the last rung */
  bool fits;      /* the budget holds it in the way below; if not, that is all in memory */
  int tile, threads;
  int spilled;    /* tensors in a temporary file */
  int64_t disk;   /* bytes of it */
  int64_t window; /* bytes of it in memory at once, part of bytes[PT_MEM_ARENA] */
  double traffic; /* bytes of it that are touched */
  int rungs;      /* ways to run it: all in memory first, the least last */
  struct pt_need_rung rung[PT_NEED_RUNGS];
  double work;               /* of all steps */
  struct pt_need_step *step; /* [steps], owned */
  int64_t steps;
};

/* From a network that is laid out. weights: bytes the weights take that are not allocated. */
int pt_need_fill(struct pt_env *env, struct pt_network *net, const struct pt_structure *s,
                 int64_t weights, struct pt_need *need, struct ptv3_error *err);

/* The same for n voxels of which nothing is known: rows of the next stages as on surfaces. A
 * stage halves a surface's edge: a quarter of the voxels, and some more as scans are noisy;
 * rooms and airborne scans at 2 to 50 cm gave 0.25 to 0.33, 0.3 is taken (a stride of 4: its
 * square). Unless the cloud is loaded, and what the caller wants of it allocated, 40 bytes a
 * voxel are counted for it, and a label and a confidence. */
int pt_need_estimate(struct pt_env *env, const struct pt_ptv3 *cfg,
                     const struct pt_ptv3_weights *w, const struct pt_kernels *kernels,
                     int64_t n, bool loaded, struct pt_need *need, struct ptv3_error *err);

/* The same as an upper bound: n rows on every stage, and `cloud` bytes for the cloud. */
int pt_need_at_most(struct pt_env *env, const struct pt_ptv3 *cfg,
                    const struct pt_ptv3_weights *w, const struct pt_kernels *kernels,
                    int64_t n, int64_t cloud, struct pt_need *need, struct ptv3_error *err);

/* The guess by itself: rows of every stage from those of the first, and bytes of the structure
 * of such rows. */
void pt_need_guess_rows(const struct pt_ptv3 *cfg, int64_t n, int64_t rows[PT_MAX_STAGES]);
int64_t pt_need_guess_structure(const struct pt_ptv3 *cfg, const int64_t rows[PT_MAX_STAGES]);

void pt_need_free(struct pt_need *need); /* zeroed is allowed */

/* A guess of the seconds: work over what the kernels do in practice (docs/speed.md): 200
 * GFLOP/s a thread with AVX-512 (300 in bf16), 95 with AVX2, 40 else, 0.5 for the reference. */
double pt_need_seconds(const struct pt_need *need, const struct pt_kernels *kernels,
                       enum pt_dtype type);

#endif
