/* train_blocks.h - the blocks of a stage in the plan of a training step, forward and backward:
 * what is kept of them, and what is computed again. The rest of the network is train_network.c.
 */
#ifndef PT_TRAIN_BLOCKS_H
#define PT_TRAIN_BLOCKS_H

#include "builder.h"
#include "train_network.h"

/* What a block's backward pass reads. */
struct pt_kept {
  int x0, up; /* input of the block; the upsampled rows that are added to it, or -1 */
  int conv;   /* what its convolution sees: x0, or the branch of the MLP before it
                 (pt_conv_sees_branch) */
  int x1, x2; /* inputs of attention and of mlp; read where they were kept or computed
                 again */
  int o, lse; /* what attention leaves for its backward pass, likewise */
};

/* A plan being built. */
struct pt_train_build {
  struct pt_builder b;
  const struct pt_train_task *task;
  enum pt_keep keep;
  int patch[PT_MAX_STAGES];
  struct stage_kept *stage; /* [stages] of train_network.c */
};

/* The blocks of one side of a stage. */
struct pt_side {
  bool decoder;
  int stage;
  const struct pt_ptv3_stage *g;
  const struct pt_train_block *w; /* [g->depth] */
  struct pt_kept *kept;           /* [g->depth] */
};

/* Rows of a stage, and a tensor of features. */
static inline const struct pt_stage *pt_build_rows(const struct pt_train_build *k, int stage) {
  return &k->b.s->stage[stage];
}
static inline int pt_build_tensor(struct pt_train_build *k, int64_t rows, int channels) {
  return pt_add_tensor(&k->b, rows, channels, k->b.cfg->type);
}

/* All blocks of a side from x [+ up, the upsampled rows, or -1]; keeps what k->keep says.
 * Returns the result. */
int pt_add_blocks(struct pt_train_build *k, const struct pt_side *d, int x, int up);

/* The same backwards: g, the gradient of the result, becomes that of x. Where the first adds
 * upsampled rows, *up becomes the tensor with their gradient. */
void pt_add_blocks_grad(struct pt_train_build *k, const struct pt_side *d, int g, int *up);

/* The gradient of a convolution whose size, in, c, xtype and add `shape` gives; dx -1: not
 * wanted. */
void pt_add_conv_grad(struct pt_train_build *k, const char *label, int stage,
                      const struct pt_conv_grad *shape, const struct pt_train_linear *w, int x,
                      int g, int dx);

/* The gradient of rows that were upsampled to those of `stage`, from g [rows, c]; a new tensor
 * of the same type. */
int pt_add_up_grad(struct pt_train_build *k, const char *label, int stage, int c,
                   enum pt_dtype type, int g);

#endif
