/* plan.h - a list of steps over tensors: made first, sized, then run.
 *
 * A builder declares tensors (bytes only) and appends steps: an op, its arguments, and which
 * pointer of the arguments is which tensor. A tensor lives from the first step that names it
 * to the last. pt_plan_layout gives every tensor an offset in one arena so that tensors
 * alive at the same time do not overlap; the peak is then known and nothing was allocated.
 * pt_plan_run takes the arena, fills in the pointers and runs the steps.
 *
 * Tensors marked as spilled get an offset in a temporary file instead, found the same way. A
 * step that touches some is run in parts, as many units at a time as keep what they touch of
 * the file within p->window bytes (window.h); between parts that is given back.
 *
 * Offsets: the largest tensor first, each at the lowest place free during its life, as
 * XNNPACK's memory planner and TensorFlow Lite's greedy-by-size planner do. */
#ifndef PT_PLAN_H
#define PT_PLAN_H

#include <stddef.h>

#include "attention.h"
#include "attention_grad.h"
#include "batchnorm.h"
#include "batchnorm_grad.h"
#include "conv_grad.h"
#include "cpe.h"
#include "cpe_grad.h"
#include "embed.h"
#include "env.h"
#include "head.h"
#include "kernels.h"
#include "linear_grad.h"
#include "loss.h"
#include "mlp.h"
#include "mlp_grad.h"
#include "pool.h"
#include "pool_grad.h"
#include "spill.h"
#include "unpool.h"
#include "up_grad.h"

enum pt_op {
#define KERNEL(op) PT_OP_##op,
#include "kernels.def"
#undef KERNEL
  PT_OPS
};

const char *pt_op_name(enum pt_op op);

#define PT_STEP_BINDS 10

struct pt_step {
  enum pt_op op;
  union {
#define KERNEL(op) struct pt_##op op;
#include "kernels.def"
#undef KERNEL
  } a;
  int binds;
  struct {
    int tensor;
    size_t field;  /* offset of the pointer within `a` */
    int64_t least; /* see pt_window_least */
  } bind[PT_STEP_BINDS];
  char label[32]; /* "enc0.block1", for reports and observers */
  int out;        /* the tensor that holds the step's result */
  int64_t rows;   /* of the result; 0: those of the tensor. More than the tensor has where the
                     result is given away a part at a time (PT_OP_head, see pt_plan.give) */
};

struct pt_plan_tensor {
  int64_t rows;
  int channels;
  enum pt_dtype type;
  int64_t bytes;   /* a multiple of 64 */
  int first, last; /* steps; first > last: never used */
  bool spilled;    /* lies in the file, not in the arena */
  int rank;        /* for the caller: which is spilled first */
  int64_t offset;  /* in the arena, or in the file */
};

/* Takes rows first .. first + rows - 1 of a result [rows, channels] that no tensor holds as a
 * whole; in the order of rows, on the calling thread. Must not allocate. */
typedef int pt_giver(void *user, int64_t first, int64_t rows, const float *data,
                     struct ptv3_error *err);

struct pt_plan {
  struct pt_mem *mem;
  const struct pt_kernels *kernels;
  int threads, tile;
  struct pt_step *step;
  int64_t steps, step_cap;
  struct pt_plan_tensor *tensor;
  int64_t tensors, tensor_cap;
  int64_t features;       /* bytes of the arena that tensors take; after pt_plan_layout */
  int64_t scratch;        /* bytes a thread */
  int64_t stamps;         /* bytes that windows on spilled tensors take; 0: none are */
  int64_t arena;          /* bytes in all: features + threads x scratch + stamps */
  int64_t file;           /* bytes of the file that spilled tensors take */
  int64_t window;         /* bytes of it that may be resident at once; set before pt_plan_run */
  struct pt_spill *spill; /* the file; set before pt_plan_run where file > 0 */
  double seconds[PT_OPS]; /* spent by op, added up by pt_plan_run */
  pt_giver *give;         /* gets the logits, or NULL; set before pt_plan_run */
  void *give_user;
};

void pt_plan_init(struct pt_plan *p, struct pt_mem *mem, const struct pt_kernels *kernels,
                  int threads, int tile);

/* A tensor [rows, channels] of PT_F32 or PT_BF16; its number, or -1 with err filled. */
int pt_plan_tensor(struct pt_plan *p, int64_t rows, int channels, enum pt_dtype type,
                   struct ptv3_error *err);

/* Appends a step with cleared arguments to be filled in; NULL with err filled on failure.
 * The pointer is valid until the next call. */
struct pt_step *pt_plan_step(struct pt_plan *p, enum pt_op op, const char *label,
                             struct ptv3_error *err);

/* Says that the pointer at offset `field` of the step's arguments is a tensor:
 * pt_bind(s, offsetof(struct pt_mlp, x), t). Negative tensors are ignored (NULL pointer). */
void pt_bind(struct pt_step *s, size_t field, int tensor);

/* Lifetimes, offsets, scratch. `keep` is read after the last step (the result), or -1. */
int pt_plan_layout(struct pt_plan *p, int keep, struct ptv3_error *err);

/* Offsets and sizes again, after `spilled` of tensors was changed. */
int pt_plan_place(struct pt_plan *p, struct ptv3_error *err);

/* Changes tile and threads of a plan that is laid out: only its scratch depends on them. */
void pt_plan_scratch(struct pt_plan *p, int tile, int threads);

/* Called after each step of a run; data is the step's result [rows, channels], or NULL where
 * that was given away in parts. */
typedef void pt_observer(void *user, const struct pt_step *step, const void *data,
                         enum pt_dtype type, int64_t rows, int channels);

/* Runs all steps in an arena of p->arena bytes, 64-byte aligned, in which the builder has
 * already placed the inputs. Reports progress through env; may be cancelled between steps. */
int pt_plan_run(struct pt_plan *p, struct pt_env *env, char *arena, pt_observer *observe,
                void *user, struct ptv3_error *err);

/* Rows of the result of a step. */
static inline int64_t pt_step_rows(const struct pt_plan *p, const struct pt_step *s) {
  return s->rows ? s->rows : p->tensor[s->out].rows;
}

void pt_plan_free(struct pt_plan *p);

#endif
