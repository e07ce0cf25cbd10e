/* outer_amx.h - the product of outer.h with A and B in bf16 by tiles.h. Included by outer_cpu.c
 * only.
 *
 * Rows come in runs of 256. Of each run up to 128 columns of A are transposed, and as many of B
 * are put in pairs of rows, both in the second cache; blocks of 32 x 32 of C then take the
 * whole run at once. A pair of A's rows is transposed as one number of 32 bits. */
#ifndef PT_OUTER_AMX_H
#define PT_OUTER_AMX_H

#include "outer.h"
#include "pairs.h"
#include "tiles.h"
#include "transpose.h"

#if defined(PT_AMX)

enum {
  AMX_RUN = 256,
  AMX_COLUMNS = 128,
  AMX_STEP = 32,         /* rows that tiles sum at a time */
  AMX_LDA = AMX_RUN + 32 /* of the transpose; no multiple of a page's lines */
};

/* Columns of B as tiles read them: panels [padded / 2, 16, 2]. */
static void amx_pairs(const struct pt_src *s, int64_t first, int64_t rows, int64_t padded,
                      int col, int width, uint16_t *to) {
  const int64_t panel = padded * 16, end = first + rows;
  const __mmask16 rest = pt_vmask_(width % 16);
  for (int64_t r = first; r < first + padded; r += 2, to += 32) {
    const uint16_t *even = pt_pair_row(s, r, end, col), *odd = pt_pair_row(s, r + 1, end, col);
    int j = 0;
    for (; j + 16 <= width; j += 16)
      _mm512_storeu_si512(to + j / 16 * panel, pt_pair(even + j, odd + j, 0xffff));
    if (rest) _mm512_storeu_si512(to + j / 16 * panel, pt_pair(even + j, odd + j, rest));
  }
}

/* Columns of A as rows: [width up to a multiple of 16, rows up to a multiple of 32], lda apart.
 */
static void amx_transposed(const struct pt_src *s, int64_t first, int64_t rows, int col,
                           int width, uint16_t *to, int64_t lda) {
  for (int j = 0; j < width; j += 16, to += 16 * lda) {
    const __mmask16 mask = pt_vmask_(width - j);
    for (int64_t r = 0; r < rows; r += AMX_STEP) {
      pt_v t[16];
      PT_UNROLL for (int i = 0; i < 16; i++) t[i] =
          (pt_v)pt_pair(pt_pair_row(s, first + r + 2 * i, first + rows, col + j),
                        pt_pair_row(s, first + r + 2 * i + 1, first + rows, col + j), mask);
      pt_transpose(t, 16);
      PT_UNROLL for (int i = 0; i < 16; i++) _mm512_storeu_ps(to + i * lda + r, t[i]);
    }
  }
}

/* C of m x n at most 32 x 32 += the run. */
static void amx_block(const uint16_t *a, int64_t lda, const uint16_t *b, int64_t padded, int m,
                      int n, float *c, int64_t ldc) {
  const int64_t ldb = padded * 16;
  const int pairs = (int)padded / 2;
  if (m == 32 && n == 32) {
    pt_tiles(c, ldc, (struct pt_start){c, ldc}, a, lda, b, ldb, 2, 2, pairs);
    return;
  }
  for (int i = 0; i < m; i += 16)
    for (int j = 0; j < n; j += 16) {
      const int rows = m - i < 16 ? m - i : 16;
      const __mmask16 mask = pt_vmask_(n - j);
      float buf[16 * 16] = {0.0f}, *at = c + i * ldc + j;
      for (int r = 0; r < rows; r++)
        pt_vstore(buf + 16 * r, _mm512_maskz_loadu_ps(mask, at + r * ldc));
      pt_tiles(buf, 16, (struct pt_start){buf, 16}, a + i * lda, lda, b + j / 16 * ldb, ldb, 1,
               1, pairs);
      for (int r = 0; r < rows; r++)
        _mm512_mask_storeu_ps(at + r * ldc, mask, pt_vload(buf + 16 * r));
    }
}

static int amx_least(int64_t a, int b) { return a < b ? (int)a : b; }

static int64_t amx_padded(int64_t rows) { return (rows + AMX_STEP - 1) / AMX_STEP * AMX_STEP; }

/* A run of rows, some columns of A and of B. */
static void amx_columns(const uint16_t *a, int64_t lda, const uint16_t *b, int64_t padded,
                        int m, int n, float *c, int64_t ldc) {
  for (int i = 0; i < m; i += 32)
    for (int j = 0; j < n; j += 32)
      amx_block(a + i * lda, lda, b + j * padded, padded, amx_least(m - i, 32),
                amx_least(n - j, 32), c + i * ldc + j, ldc);
}

static void amx_outer(int64_t rows, const struct pt_src *a, const struct pt_src *b, int m,
                      int n, float *c, int64_t ldc) {
  uint16_t at[AMX_COLUMNS * AMX_LDA], bt[AMX_COLUMNS * AMX_RUN];
  pt_tiles_begin();
  for (int64_t first = 0; first < rows; first += AMX_RUN) {
    const int64_t run = amx_least(rows - first, AMX_RUN), padded = amx_padded(run);
    for (int j = 0; j < n; j += AMX_COLUMNS) {
      const int width = amx_least(n - j, AMX_COLUMNS);
      amx_pairs(b, first, run, padded, j, width, bt);
      for (int i = 0; i < m; i += AMX_COLUMNS) {
        const int some = amx_least(m - i, AMX_COLUMNS);
        amx_transposed(a, first, run, i, some, at, AMX_LDA);
        amx_columns(at, AMX_LDA, bt, padded, some, width, c + i * ldc + j, ldc);
      }
    }
  }
  pt_tiles_end();
}

void PT_FN(pt_transposed)(int64_t rows, struct pt_src a, int m, uint16_t *to, int64_t ld) {
  amx_transposed(&a, 0, rows, 0, m, to, ld);
}

void PT_FN(pt_outer_transposed)(int64_t rows, const uint16_t *at, int64_t lda, struct pt_src b,
                                int m, int n, float *c, int64_t ldc) {
  uint16_t bt[AMX_COLUMNS * AMX_RUN];
  pt_tiles_begin();
  for (int64_t first = 0; first < rows; first += AMX_RUN) {
    const int64_t run = amx_least(rows - first, AMX_RUN), padded = amx_padded(run);
    for (int j = 0; j < n; j += AMX_COLUMNS) {
      const int width = amx_least(n - j, AMX_COLUMNS);
      amx_pairs(&b, first, run, padded, j, width, bt);
      amx_columns(at + first, lda, bt, padded, m, width, c + j, ldc);
    }
  }
  pt_tiles_end();
}

#endif
#endif
