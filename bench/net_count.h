/* net_count.h - the work of a batch that cannot be avoided, counted by op.
 *
 * Counted are the multiply-adds of every matrix product (of the convolutions: one for each
 * neighbour that is there) and the exponentials: one a score of attention, one a value that
 * goes through GELU. Not counted are norms, additions, copies, searches, the loads and stores
 * of all of it, and rows that a patch borrows. An exponential is taken for 5 multiply-adds, the
 * degree of a polynomial that is exact to single precision: what is around it (scaling by a
 * power of two) runs beside multiply-adds at no cost on the processors measured so far. */
#ifndef BENCH_NET_COUNT_H
#define BENCH_NET_COUNT_H

#include "forward.h"
#include "patch.h"

enum { EXP_FLOPS = 10 };

struct counts {
  double flop[PT_OPS]; /* of products: two a multiply-add */
  double exps[PT_OPS];
  struct {
    const struct pt_voxels *vox;
    double pairs;
  } seen[2 * PT_MAX_STAGES];
  int seens;
  double pairs3, pairs5; /* neighbours a voxel at the finest stage, itself included */
  int64_t rows[PT_MAX_STAGES];
};

/* Pairs of a voxel and a neighbour that is there, itself included, up to h away on each axis.
 */
static double count_pairs(const struct pt_voxels *v, int h) {
  const int side = PT_BLOCK + 2 * h, size = 2 * h + 1;
  int32_t table[12 * 12 * 12];
  int64_t sum = 0;
  for (int64_t b = 0; b < v->blocks; b++) {
    pt_block_unfold(v, b, h, table);
    for (int32_t r = v->start[b]; r < v->start[b + 1]; r++) {
      const int32_t *at = v->coord + 3 * (int64_t)r;
      for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
          for (int k = 0; k < size; k++)
            sum +=
                table[(((at[0] & 7) + i) * side + (at[1] & 7) + j) * side + (at[2] & 7) + k] >=
                0;
    }
  }
  return (double)sum;
}

static double pairs_of(struct counts *c, const struct pt_voxels *v) {
  for (int i = 0; i < c->seens; i++)
    if (c->seen[i].vox == v) return c->seen[i].pairs;
  c->seen[c->seens].vox = v;
  return c->seen[c->seens++].pairs = count_pairs(v, 1);
}

/* Query-key pairs of all patches, a head. */
static double scores_of(const struct pt_attention *a) {
  double sum = 0;
  for (int b = 0; b < a->clouds; b++) {
    int64_t n = a->offset[b + 1] - a->offset[b];
    for (int64_t i = 0; i < pt_patch_count(n, a->patch); i++) {
      struct pt_patch p = pt_patch_of(0, n, a->patch, i);
      sum += (double)p.own * p.len;
    }
  }
  return sum;
}

/* Adds a step's work. */
static void count_step(struct counts *c, const struct pt_step *s) {
  double flop = 0, exps = 0;
  switch (s->op) {
    case PT_OP_embed:
      c->pairs3 = pairs_of(c, s->a.embed.vox) / (double)s->a.embed.n;
      c->pairs5 = count_pairs(s->a.embed.vox, 2) / (double)s->a.embed.n;
      flop = 2.0 * s->a.embed.in * s->a.embed.c * c->pairs5 * (double)s->a.embed.n;
      exps = (double)s->a.embed.n * s->a.embed.c;
      break;
    case PT_OP_cpe:
      flop = 2.0 * s->a.cpe.c * s->a.cpe.c * (pairs_of(c, s->a.cpe.vox) + (double)s->a.cpe.n);
      break;
    case PT_OP_attention: {
      const struct pt_attention *a = &s->a.attention;
      const double scores = scores_of(a);
      flop = 8.0 * (double)a->n * a->c * a->c + 4.0 * scores * a->c;
      exps = scores * a->heads;
      break;
    }
    case PT_OP_mlp:
      flop = 4.0 * (double)s->a.mlp.n * s->a.mlp.c * s->a.mlp.hidden;
      exps = (double)s->a.mlp.n * s->a.mlp.hidden;
      break;
    case PT_OP_pool:
      flop = 2.0 * (double)s->a.pool.n * s->a.pool.in * s->a.pool.c;
      exps = (double)s->a.pool.m * s->a.pool.c;
      break;
    case PT_OP_unpool:
      flop = 2.0 * (double)s->a.unpool.n * s->a.unpool.in * s->a.unpool.c;
      exps = (double)s->a.unpool.n * s->a.unpool.c;
      break;
    case PT_OP_head: flop = 2.0 * (double)s->a.head.n * s->a.head.w.k * s->a.head.w.n; break;
    default: break; /* the others are of training */
  }
  c->flop[s->op] += flop;
  c->exps[s->op] += exps;
}

static void count_begin(void *user, const struct pt_structure *s) {
  struct counts *c = user;
  *c = (struct counts){0};
  for (int i = 0; i < s->stages; i++) c->rows[i] = s->stage[i].n;
}

static void count_observe(void *user, const struct pt_step *step, const void *data,
                          enum pt_dtype type, int64_t rows, int channels) {
  (void)data, (void)type, (void)rows, (void)channels;
  count_step(user, step);
}

#endif
