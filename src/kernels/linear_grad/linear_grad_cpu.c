/* linear_grad_cpu.c - linear_grad.h by turns of tiles (turns_cpu.h). The weight gradient reads
 * x and g where they lie. A product with weights in bf16 wants g in bf16: if it is not, it is
 * rounded, a tile at a time; and a gradient of x that is stored in bf16 is summed as float. */
#include "linear_grad.h"

#include "rows_cpu.h"
#include "turns_cpu.h"

enum { TILE_BYTES = 256 << 10, MIN_ROWS = 48, MAX_ROWS = 768 };

int64_t PT_FN(pt_linear_grad_scratch)(const struct pt_linear_grad *a, int tile);
void PT_FN(pt_linear_grad)(const struct pt_linear_grad *a, const struct pt_exec *x);

static int64_t wished_rows(const struct pt_linear_grad *a) {
  const int64_t rows = TILE_BYTES / (4 * ((int64_t)a->in + a->c)) / 12 * 12;
  return rows < MIN_ROWS ? MIN_ROWS : rows > MAX_ROWS ? MAX_ROWS : rows;
}

static bool rounds(const struct pt_linear_grad *a) {
  return a->wt.type == PT_BF16 && a->gtype != PT_BF16;
}

static int64_t sum_ld(const struct pt_linear_grad *a) {
  return a->type == PT_BF16 ? pt_row_ld(a->in) : 0;
}

int64_t PT_FN(pt_linear_grad_scratch)(const struct pt_linear_grad *a, int tile) {
  const int64_t rows = pt_rows_at_most(a->n, pt_turn_rows(tile > 0 ? tile : wished_rows(a)));
  const int64_t g = rounds(a) ? pt_row_ld(a->c) : 0;
  return rows * (g + sum_ld(a)) * (int64_t)sizeof(float);
}

static void work(const void *op, int64_t first, int64_t rows, char *scratch) {
  const struct pt_linear_grad *a = op;
  if (!a->dx) return;
  const int64_t ld = sum_ld(a), ldg = pt_row_ld(a->c);
  float *sum = (float *)(void *)scratch;
  struct pt_src g = pt_src(pt_at(a->g, a->gtype, first * a->c), a->gtype, a->c);
  if (rounds(a)) {
    uint16_t *to = (uint16_t *)(void *)(sum + rows * ld);
    for (int64_t r = 0; r < rows; r++)
      pt_narrow_row(to + r * ldg, PT_BF16, (const float *)g.base + r * a->c, a->c);
    g = pt_src(to, PT_BF16, ldg);
  }
  if (a->type == PT_F32) {
    PT_FN(pt_gemm)
    (rows, g, &a->wt, pt_dst((float *)a->dx + first * a->in, a->in),
     a->add ? PT_GEMM_ADD : PT_GEMM_ZERO, NULL);
    return;
  }
  PT_FN(pt_gemm)(rows, g, &a->wt, pt_dst(sum, ld), PT_GEMM_ZERO, NULL);
  for (int64_t r = 0; r < rows; r++) {
    void *dx = pt_at_mut(a->dx, a->type, (first + r) * a->in);
    if (a->add)
      pt_add_to_row(dx, a->type, sum + r * ld, a->in);
    else
      pt_narrow_row(dx, a->type, sum + r * ld, a->in);
  }
}

static void add(const void *op, const struct pt_turn *t) {
  const struct pt_linear_grad *a = op;
  const int64_t rows = t->end - t->first; /* all tiles of the turn are one run of rows */
  const struct pt_src g = pt_src(pt_at(a->g, a->gtype, t->first * a->c), a->gtype, a->c);
  const struct pt_src x = pt_src(pt_at(a->x, a->type, t->first * a->in), a->type, a->in);
  pt_turn_outer_pairs(t, rows, g, x, a->c, a->in, a->dw, a->ldw);
  if (a->db) pt_turn_sums(t, rows, g, a->c, a->db);
}

void PT_FN(pt_linear_grad)(const struct pt_linear_grad *a, const struct pt_exec *x) {
  pt_turns(x, a->n, pt_turn_rows(pt_tile_rows(a->n, wished_rows(a), x)), work, add, a);
}
