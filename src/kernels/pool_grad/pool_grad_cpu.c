/* pool_grad_cpu.c - pool_grad.h by turns of tiles of rows (turns_cpu.h). A tile's x W + b is
 * worked out once more, with the bits that pool had, and becomes dy where it lies. A cell that
 * reaches beyond the tile needs the rows there too: they come a few at a time. dy is stored in
 * the type of the weights it meets; that loses nothing, it holds numbers of g and zeros. */
#include "pool_grad.h"

#include "rows_cpu.h"
#include "turns_cpu.h"

enum { TILE_ROWS = 192, FEW = 16 };

int64_t PT_FN(pt_pool_grad_scratch)(const struct pt_pool_grad *a, int tile);
void PT_FN(pt_pool_grad)(const struct pt_pool_grad *a, const struct pt_exec *x);

/* Rows of y, dy and few are pt_row_ld(c) floats apart, whatever they hold. */
struct room {
  float *max, *g; /* [c] of a cell */
  int32_t *at;    /* [c] the first row that has the maximum */
  float *few;     /* [FEW, c] rows beyond the tile */
  float *y;       /* [rows, c] x W + b, then dy */
  float *sum;     /* [rows, in] dx where it is stored in bf16 */
};

static int64_t sum_ld(const struct pt_pool_grad *a) {
  return a->type == PT_BF16 ? pt_row_ld(a->in) : 0;
}

int64_t PT_FN(pt_pool_grad_scratch)(const struct pt_pool_grad *a, int tile) {
  const int64_t rows = pt_rows_at_most(a->n, pt_turn_rows(tile > 0 ? tile : TILE_ROWS));
  const int64_t floats = (3 + FEW + rows) * pt_row_ld(a->c) + rows * sum_ld(a);
  return floats * (int64_t)sizeof(float);
}

static struct room room(const struct pt_pool_grad *a, int64_t rows, char *scratch) {
  const int64_t ld = pt_row_ld(a->c);
  struct room k = {.max = (float *)(void *)scratch};
  k.g = k.max + ld;
  k.at = (int32_t *)(void *)(k.g + ld);
  k.few = k.g + 2 * ld;
  k.y = k.few + FEW * ld;
  k.sum = k.y + rows * ld;
  return k;
}

static struct pt_src tile_dy(const struct pt_pool_grad *a, const struct room *k) {
  const int64_t ld = pt_row_ld(a->c);
  return pt_src(k->y, a->wt.type, a->wt.type == PT_BF16 ? 2 * ld : ld);
}

/* ---- maxima ---- */

/* y [rows, c] = x W + b of rows from `first` on. */
static void linear(const struct pt_pool_grad *a, int64_t first, int64_t rows, float *y) {
  const struct pt_src x = pt_src(pt_at(a->x, a->type, first * a->in), a->type, a->in);
  PT_FN(pt_gemm)(rows, x, &a->w, pt_dst(y, pt_row_ld(a->c)), PT_GEMM_BIAS, a->bias);
}

/* Takes row r into the maxima and where they are. */
static void take_row(float *restrict max, int32_t *restrict at, const float *restrict row,
                     int32_t r, int c) {
  for (int j = 0; j < c; j++) {
    const bool more = row[j] > max[j];
    max[j] = more ? row[j] : max[j];
    at[j] = more ? r : at[j];
  }
}

/* dy of row r, which has the maxima that `at` says. */
static void give_row(float *restrict dy, const float *restrict g, const int32_t *restrict at,
                     int32_t r, int c) {
  for (int j = 0; j < c; j++) dy[j] = at[j] == r ? g[j] : 0.0f;
}

/* Takes rows first .. end - 1, which lie at y, into the maxima of a cell that begins at row
 * `from`: only a greater number replaces one, so the first row of equals stays. */
static void take_rows(const struct pt_pool_grad *a, const struct room *k, int64_t from,
                      int64_t first, int64_t end, const float *y) {
  for (int64_t r = first; r < end; r++, y += pt_row_ld(a->c)) {
    if (r > from) {
      take_row(k->max, k->at, y, (int32_t)r, a->c);
      continue;
    }
    memcpy(k->max, y, (size_t)a->c * sizeof *y);
    for (int j = 0; j < a->c; j++) k->at[j] = (int32_t)r;
  }
}

/* The same for rows beyond the tile. */
static void take_far_rows(const struct pt_pool_grad *a, const struct room *k, int64_t from,
                          int64_t first, int64_t end) {
  for (int64_t r = first; r < end; r += FEW) {
    const int64_t rows = end - r < FEW ? end - r : FEW;
    linear(a, r, rows, k->few);
    take_rows(a, k, from, r, r + rows, k->few);
  }
}

/* The last cell that begins at row r or before. */
static int64_t cell_of(const struct pt_pool_grad *a, int64_t r) {
  int64_t low = 0, high = a->m;
  while (high - low > 1) {
    const int64_t mid = low + (high - low) / 2;
    if (a->start[mid] <= r)
      low = mid;
    else
      high = mid;
  }
  return low;
}

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* dy of the rows of cell s that lie in the tile first .. end - 1; y is there. */
static void one_cell(const struct pt_pool_grad *a, const struct room *k, int64_t s,
                     int64_t first, int64_t end) {
  const int64_t from = a->start[s], to = a->start[s + 1], ld = pt_row_ld(a->c);
  const int64_t begin = at_least(from, first), stop = at_most(to, end);
  float *y = k->y + (begin - first) * ld;
  take_far_rows(a, k, from, from, begin);
  take_rows(a, k, from, begin, stop, y);
  take_far_rows(a, k, from, stop, to);
  pt_widen_row(k->g, pt_at(a->g, a->type, (a->row ? a->row[s] : s) * a->c), a->type, a->c);
  for (int64_t r = begin; r < stop; r++, y += ld) {
    give_row(y, k->g, k->at, (int32_t)r, a->c);
    pt_narrow_row(y, a->wt.type, y, a->c);
  }
}

/* ---- turns ---- */

static void work(const void *op, int64_t first, int64_t rows, char *scratch) {
  const struct pt_pool_grad *a = op;
  const struct room k = room(a, rows, scratch);
  const int64_t end = first + rows, ld = sum_ld(a);
  linear(a, first, rows, k.y);
  for (int64_t s = cell_of(a, first); s < a->m && a->start[s] < end; s++)
    one_cell(a, &k, s, first, end);
  if (a->type == PT_F32) {
    PT_FN(pt_gemm)
    (rows, tile_dy(a, &k), &a->wt, pt_dst((float *)a->dx + first * a->in, a->in),
     a->add ? PT_GEMM_ADD : PT_GEMM_ZERO, NULL);
    return;
  }
  PT_FN(pt_gemm)(rows, tile_dy(a, &k), &a->wt, pt_dst(k.sum, ld), PT_GEMM_ZERO, NULL);
  for (int64_t r = 0; r < rows; r++) {
    void *dx = pt_at_mut(a->dx, a->type, (first + r) * a->in);
    if (a->add)
      pt_add_to_row(dx, a->type, k.sum + r * ld, a->in);
    else
      pt_narrow_row(dx, a->type, k.sum + r * ld, a->in);
  }
}

static void add(const void *op, const struct pt_turn *t) {
  const struct pt_pool_grad *a = op;
  for (int i = 0; i < t->tiles; i++) {
    const int64_t rows = pt_turn_count(t, i), first = pt_turn_first(t, i);
    const struct room k = room(a, rows, pt_turn_scratch(t, i));
    const struct pt_src x = pt_src(pt_at(a->x, a->type, first * a->in), a->type, a->in);
    pt_turn_outer_pairs(t, rows, tile_dy(a, &k), x, a->c, a->in, a->dw, a->in);
    pt_turn_sums(t, rows, tile_dy(a, &k), a->c, a->db);
  }
}

void PT_FN(pt_pool_grad)(const struct pt_pool_grad *a, const struct pt_exec *x) {
  pt_turns(x, a->n, pt_turn_rows(pt_tile_rows(a->n, TILE_ROWS, x)), work, add, a);
}
