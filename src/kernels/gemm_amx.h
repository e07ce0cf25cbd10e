/* gemm_amx.h - the product of gemm.h with B in bf16 by tiles.h. Included by gemm_cpu.c only.
 *
 * Rows of A come 64 at a time, runs of k 512 at a time; two panels of B, at most 32 KiB, then
 * serve two blocks of 32 rows from the first cache. What tiles cannot read or write where it
 * lies goes through buffers: rows reached by a list, the last rows where they are no 16, an
 * end of k that is no 32 (filled with zeros), the last columns.
 *
 * A number of C is a chain over steps of 32 k from the first k of the call on: the same bits
 * whatever m, the row and the other columns, and for parts that begin at multiples of 32. */
#ifndef PT_GEMM_AMX_H
#define PT_GEMM_AMX_H

#include "gemm.h"
#include "tiles.h"

#if defined(PT_AMX)

enum { AMX_ROWS = 64, AMX_BLOCK = 32, AMX_RUN = 512, AMX_STEP = 32 };

struct amx_run {
  const struct pt_product *g;
  int k, count;      /* of A's columns, from the call's first on */
  int whole;         /* of them in whole steps */
  int at;            /* row of B that meets column k */
  int64_t first;     /* row of A and C, counted like m */
  int rows;          /* at most AMX_ROWS */
  const uint16_t *a; /* their numbers, rows lda apart */
  int64_t lda;
  const float *bias; /* of the run's first panel, or NULL */
};

/* Rows of A as tiles read them: [rows up to a multiple of 16, count up to a multiple of 32]. */
static void amx_take_rows(struct amx_run *r, uint16_t *buf) {
  const struct pt_src *s = &r->g->a;
  const bool whole = r->count == r->whole && r->rows % 16 == 0;
  const uint16_t *base = (const uint16_t *)s->base + r->k;
  r->a = base + r->first * s->ld;
  r->lda = s->ld;
  if (whole && !s->row) return;
  r->a = buf;
  r->lda = AMX_RUN;
  const int width = (r->count + AMX_STEP - 1) / AMX_STEP * AMX_STEP;
  for (int i = 0; i < (r->rows + 15) / 16 * 16; i++, buf += AMX_RUN) {
    if (i >= r->rows) {
      memset(buf, 0, (size_t)width * sizeof *buf);
      continue;
    }
    const uint16_t *row = base + (s->row ? s->row[r->first + i] : r->first + i) * s->ld;
    int j = 0;
    for (; j < r->whole; j += 32) _mm512_storeu_si512(buf + j, _mm512_loadu_si512(row + j));
    if (j == width) continue;
    const __mmask32 mask = (1u << (r->count - j)) - 1;
    _mm512_storeu_si512(buf + j, _mm512_maskz_loadu_epi16(mask, row + j));
  }
}

/* The step of B past the last whole one: what there is of it, and zeros. */
static void amx_take_tail(const struct amx_run *r, const uint16_t *b, uint16_t *buf) {
  const int pairs = (r->count - r->whole + 1) / 2;
  memset(buf, 0, 16 * 32 * sizeof *buf);
  memcpy(buf, b + 16 * (int64_t)r->whole, (size_t)pairs * 64);
}

/* C of a block of rows and panels, somewhere. */
static void amx_product(const struct amx_run *r, int row, const uint16_t *b, int64_t ldb,
                        const uint16_t *tail, struct pt_start start, float *c, int64_t ldc,
                        int mt, int nt) {
  const uint16_t *a = r->a + row * r->lda;
  if (r->whole || !tail) {
    if (mt == 2 && nt == 2)
      pt_tiles(c, ldc, start, a, r->lda, b, ldb, 2, 2, r->whole / 2);
    else if (mt == 2)
      pt_tiles(c, ldc, start, a, r->lda, b, ldb, 2, 1, r->whole / 2);
    else if (nt == 2)
      pt_tiles(c, ldc, start, a, r->lda, b, ldb, 1, 2, r->whole / 2);
    else
      pt_tiles(c, ldc, start, a, r->lda, b, ldb, 1, 1, r->whole / 2);
    start = (struct pt_start){c, ldc};
  }
  if (!tail) return;
  for (int i = 0; i < mt; i++)
    for (int j = 0; j < nt; j++) {
      struct pt_start s = {start.base ? start.base + i * 16 * start.ld + j * 16 : NULL,
                           start.ld};
      pt_tiles(c + i * 16 * ldc + j * 16, ldc, s, a + i * 16 * r->lda + r->whole, r->lda,
               tail + j * 512, 0, 1, 1, 16);
    }
}

static float *amx_row_of_c(const struct amx_run *r, int row, int col) {
  const struct pt_dst *c = &r->g->c;
  const int64_t i = r->first + row;
  return c->base + (c->row ? c->row[i] : i) * c->ld + col;
}

/* The same by way of a buffer [32, 32]: rows of C reached by a list, or not all of a tile. */
static void amx_buffered(const struct amx_run *r, int row, int rows, int col, int cols,
                         const uint16_t *b, int64_t ldb, const uint16_t *tail,
                         struct pt_start start, int mt, int nt) {
  float buf[AMX_BLOCK * AMX_BLOCK];
  const __mmask16 m0 = pt_vmask_(cols), m1 = pt_vmask_(cols > 16 ? cols - 16 : 0);
  if (start.ld) {
    for (int i = 0; i < 16 * mt; i++) {
      const float *c = i < rows ? amx_row_of_c(r, row + i, col) : NULL;
      pt_v v0 = pt_vset1(0.0f), v1 = v0;
      if (c) v0 = _mm512_maskz_loadu_ps(m0, c), v1 = _mm512_maskz_loadu_ps(m1, c + 16);
      pt_vstore(buf + i * AMX_BLOCK, v0);
      pt_vstore(buf + i * AMX_BLOCK + 16, v1);
    }
    start = (struct pt_start){buf, AMX_BLOCK};
  }
  amx_product(r, row, b, ldb, tail, start, buf, AMX_BLOCK, mt, nt);
  for (int i = 0; i < rows; i++) {
    float *c = amx_row_of_c(r, row + i, col);
    _mm512_mask_storeu_ps(c, m0, pt_vload(buf + i * AMX_BLOCK));
    if (m1) _mm512_mask_storeu_ps(c + 16, m1, pt_vload(buf + i * AMX_BLOCK + 16));
  }
}

/* All rows of the run against nt panels from column col on. */
static void amx_panels(const struct amx_run *r, int col, int nt) {
  const struct pt_mat *m = r->g->b;
  const int64_t ldb = pt_mat_panel(m->k, m->type) / 2;
  const uint16_t *b = (const uint16_t *)m->data + col / PT_PANEL * ldb + 16 * (int64_t)r->at;
  const int cols = m->n - col < 16 * nt ? m->n - col : 16 * nt;
  uint16_t tail[2 * 512];
  float bias[AMX_BLOCK];
  const bool uneven = r->whole < r->count;
  for (int j = 0; j < nt && uneven; j++) amx_take_tail(r, b + j * ldb, tail + j * 512);
  struct pt_start begin = {NULL, 0};
  if (r->bias) {
    for (int j = 0; j < 16 * nt; j++) bias[j] = j < cols ? r->bias[col + j] : 0.0f;
    begin.base = bias;
  }
  for (int i = 0; i < r->rows; i += AMX_BLOCK) {
    const int rows = r->rows - i < AMX_BLOCK ? r->rows - i : AMX_BLOCK;
    const int mt = rows > 16 ? 2 : 1;
    float *c = amx_row_of_c(r, i, col);
    struct pt_start start = begin;
    if (r->g->init == PT_GEMM_ADD || r->k) start = (struct pt_start){c, r->g->c.ld};
    if (r->g->c.row || rows < 16 * mt || cols < 16 * nt)
      amx_buffered(r, i, rows, col, cols, b, ldb, uneven ? tail : NULL, start, mt, nt);
    else
      amx_product(r, i, b, ldb, uneven ? tail : NULL, start, c, r->g->c.ld, mt, nt);
  }
}

/* Rows k .. k + count - 1 of B, k even. */
static void amx_part(const struct pt_product *g, int k, int count) {
  uint16_t buf[AMX_ROWS * AMX_RUN];
  struct amx_run r = {.g = g};
  pt_tiles_begin();
  for (r.first = 0; r.first < g->m; r.first += r.rows) {
    r.rows = g->m - r.first < AMX_ROWS ? (int)(g->m - r.first) : AMX_ROWS;
    r.k = 0;
    do {
      r.at = k + r.k;
      r.count = count - r.k < AMX_RUN ? count - r.k : AMX_RUN;
      r.whole = r.count / AMX_STEP * AMX_STEP;
      r.bias = g->init == PT_GEMM_BIAS && !r.k ? g->bias : NULL;
      amx_take_rows(&r, buf);
      for (int col = 0, nt; col < g->b->n; col += 16 * nt) {
        nt = g->b->n - col > 16 ? 2 : 1;
        amx_panels(&r, col, nt);
      }
      r.k += r.count;
    } while (r.k < count);
  }
  pt_tiles_end();
}

#endif
#endif
