/* embed_cpu.c - embed.h by tiles: the convolution (conv.h) goes straight to a float output, or
 * to the scratch before one in bf16; GELU follows while the tile is in the cache. */
#include "embed.h"

#include "conv.h"
#include "isa.h"
#include "rows_cpu.h"

enum { TILE_ROWS = 256 };

int64_t PT_FN(pt_embed_scratch)(const struct pt_embed *a, int tile);
void PT_FN(pt_embed)(const struct pt_embed *a, const struct pt_exec *x);

static struct pt_conv conv_of(const struct pt_embed *a, int tile) {
  const int cap = (int)pt_rows_at_most(a->n, tile > 0 ? tile : TILE_ROWS);
  return (struct pt_conv){
      a->vox, 5, a->in, a->c, a->x, PT_F32, a->w, a->raw ? NULL : a->bias, cap, false};
}

int64_t PT_FN(pt_embed_scratch)(const struct pt_embed *a, int tile) {
  const struct pt_conv v = conv_of(a, tile);
  const int64_t y = a->type == PT_BF16 ? pt_floats((int64_t)v.cap * a->c) : 0;
  return PT_FN(pt_conv_scratch)(&v) + y;
}

static float *place(const void *op, int64_t first, char *scratch) {
  const struct pt_embed *a = op;
  return a->type == PT_BF16 ? (float *)scratch : (float *)a->out + first * a->c;
}

static void done(const void *op, int64_t first, int rows, float *y, char *scratch) {
  const struct pt_embed *a = op;
  (void)scratch;
  void *out = pt_at_mut(a->out, a->type, first * a->c);
  if (a->raw)
    pt_narrow_row(out, a->type, y, (int64_t)rows * a->c);
  else
    pt_gelu(out, a->type, y, (int64_t)rows * a->c);
}

void PT_FN(pt_embed)(const struct pt_embed *a, const struct pt_exec *x) {
  const struct pt_conv v = conv_of(a, x->tile);
  const struct pt_conv_sink sink = {place, done, a, a->c};
  const int64_t end = pt_exec_to(x, a->vox->blocks);
  const int64_t first = a->vox->start[x->from], last = a->vox->start[end];
  const int64_t run = pt_conv_run(last - first, v.cap, x);
#pragma omp parallel for num_threads(x->threads) schedule(dynamic)
  for (int64_t r = first; r < last; r += run) {
    char *scratch = pt_scratch(x);
    const int64_t b = pt_block_from(a->vox, r), to = pt_block_from(a->vox, r + run);
    PT_FN(pt_conv)
    (&v, b, to < end ? to : end, &sink, scratch, scratch + PT_FN(pt_conv_scratch)(&v));
  }
}
