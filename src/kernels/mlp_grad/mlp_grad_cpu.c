/* mlp_grad_cpu.c - mlp_grad.h by turns of tiles (turns_cpu.h). A tile's normalised rows, hidden
 * layer and gradients lie in the thread's scratch; what meets weights is stored there in their
 * type. Two arrays as wide as the hidden layer serve four: v becomes h and dh becomes dv where
 * they lie (in bf16, in the front half of their float rows). */
#include "mlp_grad.h"

#include "rows_cpu.h"
#include "turns_cpu.h"

enum { TILE_BYTES = 2 << 20, MIN_ROWS = 192, MAX_ROWS = 384 };

int64_t PT_FN(pt_mlp_grad_scratch)(const struct pt_mlp_grad *a, int tile);
void PT_FN(pt_mlp_grad)(const struct pt_mlp_grad *a, const struct pt_exec *x);

/* A tile. Rows are ldc or ldh floats apart, whatever they hold. */
struct tile {
  int64_t first, rows;
  int64_t ldc, ldh;
  float *hat; /* [rows, c] what the norm made, before gamma and beta */
  float *dn;  /* [rows, c] the gradient of what it made, after */
  float *db;  /* [rows, c] of the branch, type of w2 */
  float *u;   /* [rows, c] pre-norm: what w1 multiplies, in its type. post-norm: the gradient of
                 the norm's input */
  float *h;   /* [rows, hidden] v, then h in the type of w2 */
  float *dv;  /* [rows, hidden] dh, then dv in the type of w1 */
  float *row; /* [c] */
  float *inv; /* [rows] the norm's 1 / deviation; pre-norm only */
};

static int64_t row_floats(const struct pt_mlp *f) {
  return 4 * pt_row_ld(f->c) + 2 * pt_row_ld(f->hidden);
}

static int64_t wished_rows(const struct pt_mlp *f) {
  const int64_t rows = TILE_BYTES / (4 * row_floats(f)) / 12 * 12;
  return rows < MIN_ROWS ? MIN_ROWS : rows > MAX_ROWS ? MAX_ROWS : rows;
}

int64_t PT_FN(pt_mlp_grad_scratch)(const struct pt_mlp_grad *a, int tile) {
  const int64_t rows =
      pt_rows_at_most(a->f.n, pt_turn_rows(tile > 0 ? tile : wished_rows(&a->f)));
  return (rows * row_floats(&a->f) + pt_row_ld(a->f.c)) * (int64_t)sizeof(float) +
         pt_floats(rows);
}

static struct tile tile_at(const struct pt_mlp *f, int64_t first, int64_t rows, char *scratch) {
  struct tile t = {first, rows, .ldc = pt_row_ld(f->c), .ldh = pt_row_ld(f->hidden)};
  t.row = (float *)(void *)scratch;
  t.hat = t.row + t.ldc;
  t.dn = t.hat + rows * t.ldc;
  t.db = t.dn + rows * t.ldc;
  t.u = t.db + rows * t.ldc;
  t.h = t.u + rows * t.ldc;
  t.dv = t.h + rows * t.ldh;
  t.inv = t.dv + rows * t.ldh;
  return t;
}

/* Rows of scratch that hold numbers of a type. */
static struct pt_src rows_of(const float *base, enum pt_dtype type, int64_t ld) {
  return pt_src(base, type, type == PT_BF16 ? 2 * ld : ld);
}

/* What w1 multiplied. */
static struct pt_src input(const struct pt_mlp_grad *a, const struct tile *t) {
  if (a->f.pre_norm) return rows_of(t->u, a->f.w1.type, t->ldc);
  return pt_src(pt_at(a->x, a->f.type, t->first * a->f.c), a->f.type, a->f.c);
}

static struct pt_src hidden(const struct pt_mlp_grad *a, const struct tile *t) {
  return rows_of(t->h, a->f.w2.type, t->ldh);
}

/* h of row r from v, stored as type; leaves out what drop does. to may be v. */
static void activate(const struct pt_mlp *f, int64_t r, float *to, enum pt_dtype type,
                     const float *v) {
  if (f->drop.proj <= 0.0f) {
    pt_gelu(to, type, v, f->hidden);
    return;
  }
  pt_gelu(to, PT_F32, v, f->hidden);
  for (int j = 0; j < f->hidden; j++) to[j] *= pt_drop_hidden(&f->drop, r, f->hidden, j);
  pt_narrow_row(to, type, to, f->hidden);
}

PT_INLINE void gelu_back_(float *v, float *dh, const enum pt_dtype type, int n) {
  pt_v d, y;
  int i = 0;
  for (; i + PT_VW <= n; i += PT_VW) {
    y = pt_vgelu_grad(pt_vload(v + i), &d);
    d = pt_vmul(d, pt_vload(dh + i));
    pt_vput(v, type, i, y, PT_VW);
    pt_vput(dh, type, i, d, PT_VW);
  }
  if (i == n) return;
  y = pt_vgelu_grad(pt_vload_n(v + i, n - i), &d);
  d = pt_vmul(d, pt_vload_n(dh + i, n - i));
  pt_vput(v, type, i, y, n - i);
  pt_vput(dh, type, i, d, n - i);
}

/* Row r: v becomes h, dh becomes dv. */
static void gelu_back(const struct pt_mlp *f, int64_t r, float *v, float *dh) {
  const enum pt_dtype type = f->w1.type;
  if (f->drop.proj > 0.0f) {
    for (int j = 0; j < f->hidden; j++) dh[j] *= pt_drop_hidden(&f->drop, r, f->hidden, j);
    gelu_back_(v, dh, PT_F32, f->hidden);
    for (int j = 0; j < f->hidden; j++) v[j] *= pt_drop_hidden(&f->drop, r, f->hidden, j);
    pt_narrow_row(v, type, v, f->hidden);
    pt_narrow_row(dh, type, dh, f->hidden);
  } else if (type == PT_BF16) {
    gelu_back_(v, dh, PT_BF16, f->hidden);
  } else {
    gelu_back_(v, dh, PT_F32, f->hidden);
  }
}

/* db of row r from dy, the gradient of the sum of branch and residual. */
static void branch_grad(const struct pt_mlp *f, const struct tile *t, int64_t r,
                        const float *dy) {
  float *db = t->db + (r - t->first) * t->ldc;
  if (f->drop.path > 0.0f || f->drop.proj > 0.0f) {
    pt_narrow_row(db, PT_F32, dy, f->c);
    pt_drop_row(&f->drop, r, db, f->c);
    dy = db;
  }
  pt_narrow_row(db, f->w2.type, dy, f->c);
}

/* The gradient of row r of the branch by what reads it: the sum, and perhaps something else. */
static const float *of_branch(const struct pt_mlp_grad *a, int64_t r, float *buf) {
  const struct pt_mlp *f = &a->f;
  if (!a->g_branch) return pt_float_row(a->g, f->type, r, f->c, buf);
  pt_widen_row(buf, pt_at(a->g, f->type, r * f->c), f->type, f->c);
  pt_add_row(buf, pt_at(a->g_branch, f->type, r * f->c), f->type, f->c);
  return buf;
}

/* Pre-norm, before the products: u, hat and db. */
static void begin_pre(const struct pt_mlp_grad *a, const struct tile *t) {
  const struct pt_mlp *f = &a->f;
  for (int64_t i = 0; i < t->rows; i++) {
    const int64_t r = t->first + i;
    float *hat = t->hat + i * t->ldc;
    const float *x = pt_float_row(a->x, f->type, r, f->c, t->row);
    const struct pt_norm norm = pt_row_norm(x, f->c);
    t->inv[i] = norm.inv;
    pt_hat_row(hat, x, f->c, norm);
    pt_affine_row(t->u + i * t->ldc, f->w1.type, hat, f->c, f->gamma, f->beta);
    branch_grad(f, t, r, of_branch(a, r, t->row));
  }
}

/* Pre-norm, after the products: dn is there, and g gets what the norm makes of it. */
static void end_pre(const struct pt_mlp_grad *a, const struct tile *t) {
  const struct pt_mlp *f = &a->f;
  for (int64_t i = 0; i < t->rows; i++) {
    pt_layernorm_grad_row(t->row, t->dn + i * t->ldc, t->hat + i * t->ldc, f->c, f->gamma,
                          t->inv[i]);
    pt_add_to_row(pt_at_mut(a->g, f->type, (t->first + i) * f->c), f->type, t->row, f->c);
  }
}

/* Post-norm, before the products of the gradient: the forward pass once more up to the norm
 * (v stays in h), then back through it: dn, hat, the gradient of its input in u, db. */
static void begin_post(const struct pt_mlp_grad *a, const struct tile *t) {
  const struct pt_mlp *f = &a->f;
  const enum pt_dtype type = f->w2.type;
  for (int64_t i = 0; i < t->rows; i++)
    activate(f, t->first + i, t->dv + i * t->ldh, type, t->h + i * t->ldh);
  PT_FN(pt_gemm)
  (t->rows, rows_of(t->dv, type, t->ldh), &f->w2, pt_dst(t->hat, t->ldc), PT_GEMM_BIAS, f->b2);
  for (int64_t i = 0; i < t->rows; i++) {
    const int64_t r = t->first + i;
    float *hat = t->hat + i * t->ldc, *dn = t->dn + i * t->ldc, *dy = t->u + i * t->ldc;
    pt_drop_row(&f->drop, r, hat, f->c);
    pt_add_row(hat, pt_at(a->x, f->type, r * f->c), f->type, f->c);
    const struct pt_norm norm = pt_row_norm(hat, f->c);
    pt_hat_row(hat, hat, f->c, norm);
    pt_widen_row(dn, pt_at(a->g, f->type, r * f->c), f->type, f->c);
    pt_layernorm_grad_row(dy, dn, hat, f->c, f->gamma, norm.inv);
    branch_grad(f, t, r, dy);
  }
}

/* Post-norm, the last product: du is added to the gradient of the norm's input. */
static void end_post(const struct pt_mlp_grad *a, const struct tile *t) {
  const struct pt_mlp *f = &a->f;
  PT_FN(pt_gemm)
  (t->rows, rows_of(t->dv, f->w1.type, t->ldh), &a->w1_t, pt_dst(t->u, t->ldc), PT_GEMM_ADD,
   NULL);
  for (int64_t i = 0; i < t->rows; i++)
    pt_narrow_row(pt_at_mut(a->g, f->type, (t->first + i) * f->c), f->type, t->u + i * t->ldc,
                  f->c);
}

static void work(const void *op, int64_t first, int64_t rows, char *scratch) {
  const struct pt_mlp_grad *a = op;
  const struct pt_mlp *f = &a->f;
  const struct tile t = tile_at(f, first, rows, scratch);
  if (f->pre_norm) begin_pre(a, &t);
  PT_FN(pt_gemm)(rows, input(a, &t), &f->w1, pt_dst(t.h, t.ldh), PT_GEMM_BIAS, f->b1);
  if (!f->pre_norm) begin_post(a, &t);
  PT_FN(pt_gemm)
  (rows, rows_of(t.db, f->w2.type, t.ldc), &a->w2_t, pt_dst(t.dv, t.ldh), PT_GEMM_ZERO, NULL);
  for (int64_t i = 0; i < rows; i++) gelu_back(f, first + i, t.h + i * t.ldh, t.dv + i * t.ldh);
  if (!f->pre_norm) {
    end_post(a, &t);
    return;
  }
  PT_FN(pt_gemm)
  (rows, rows_of(t.dv, f->w1.type, t.ldh), &a->w1_t, pt_dst(t.dn, t.ldc), PT_GEMM_ZERO, NULL);
  end_pre(a, &t);
}

static void add(const void *op, const struct pt_turn *turn) {
  const struct pt_mlp_grad *a = op;
  const struct pt_mlp *f = &a->f;
  for (int i = 0; i < turn->tiles; i++) {
    const int64_t rows = pt_turn_count(turn, i);
    const struct tile t = tile_at(f, pt_turn_first(turn, i), rows, pt_turn_scratch(turn, i));
    const struct pt_src db = rows_of(t.db, f->w2.type, t.ldc);
    const struct pt_src dv = rows_of(t.dv, f->w1.type, t.ldh);
    const struct pt_src hat = pt_src(t.hat, PT_F32, t.ldc), dn = pt_src(t.dn, PT_F32, t.ldc);
    pt_turn_outer_pairs(turn, rows, db, hidden(a, &t), f->c, f->hidden, a->dw2, f->hidden);
    pt_turn_outer_pairs(turn, rows, dv, input(a, &t), f->hidden, f->c, a->dw1, f->c);
    pt_turn_sums(turn, rows, db, f->c, a->db2);
    pt_turn_sums(turn, rows, dv, f->hidden, a->db1);
    pt_turn_dots(turn, rows, dn, hat, f->c, a->dgamma);
    pt_turn_sums(turn, rows, dn, f->c, a->dbeta);
  }
}

void PT_FN(pt_mlp_grad)(const struct pt_mlp_grad *a, const struct pt_exec *x) {
  pt_turns(x, a->f.n, pt_turn_rows(pt_tile_rows(a->f.n, wished_rows(&a->f), x)), work, add, a);
}
