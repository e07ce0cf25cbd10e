/* conv_amx.h - the convolution of a tile's rows for few channels, with AMX. Included by
 * conv_cpu.c only.
 *
 * A product for each offset would read and write y for each: with up to 64 channels that takes
 * longer than the product. So the sums of 32 rows (16 where there are more than 32 channels)
 * stay in four registers for all offsets, whose neighbours are gathered one offset after the
 * other, zeros for those that are not there. The same order of the sum, in steps of 32
 * channels. */
#ifndef PT_CONV_AMX_H
#define PT_CONV_AMX_H

#include "conv.h"
#include "tiles.h"

#if defined(PT_AMX)

enum { AMX_CHANNELS = 64, AMX_STEP = 32, AMX_ROWS = 32 };

static bool amx_keeps(const struct pt_conv *v) {
  return v->type == PT_BF16 && v->w.type == PT_BF16 && v->in % AMX_STEP == 0 &&
         v->in <= AMX_CHANNELS && v->c % PT_PANEL == 0 && v->c <= AMX_CHANNELS;
}

/* Rows of x [rows, in] in buf, AMX_CHANNELS numbers apart; false where none is there. */
static bool amx_gather(const struct pt_conv *v, const int32_t *near, int rows, int block,
                       uint16_t *buf) {
  static const uint16_t zeros[AMX_CHANNELS];
  const uint16_t *x = v->x;
  int32_t most = -1;
  for (int i = 0; i < rows; i++) most = near[i] > most ? near[i] : most;
  if (most < 0) return false;
  for (int i = 0; i < block; i++, buf += AMX_CHANNELS) {
    /* Chosen without a branch: which rows are there is hard to predict. */
    const int64_t row = i < rows ? near[i] : -1, none = row >> 63;
    const intptr_t at = ((intptr_t)zeros & none) | ((intptr_t)(x + row * v->in) & ~none);
    const uint16_t *from = (const uint16_t *)at;
    _mm512_storeu_si512(buf, _mm512_loadu_si512(from));
    if (v->in > AMX_STEP)
      _mm512_storeu_si512(buf + AMX_STEP, _mm512_loadu_si512(from + AMX_STEP));
  }
  return true;
}

/* Adds the product with one offset's matrix: registers 0, 1 (first 16 rows) and 2, 3 for two
 * panels, or 0 to 3 for three or four of 16 rows. */
static void amx_add(const struct pt_mat *w, const uint16_t *a) {
  const int64_t panel = pt_mat_panel(w->k, w->type) / 2;
  const uint16_t *b = w->data;
  for (int k = 0; k < w->k; k += AMX_STEP, a += AMX_STEP, b += AMX_STEP * PT_PANEL) {
    PT_TILE_LOAD(4, a, AMX_CHANNELS * 2);
    PT_TILE_LOAD(6, b, 64);
    PT_TILE_DOT(0, 4, 6);
    if (w->n <= 2 * PT_PANEL) {
      PT_TILE_LOAD(4, a + 16 * AMX_CHANNELS, AMX_CHANNELS * 2);
      PT_TILE_DOT(2, 4, 6);
      if (w->n <= PT_PANEL) continue;
      PT_TILE_LOAD(6, b + panel, 64);
      PT_TILE_DOT(3, 4, 6);
      PT_TILE_LOAD(4, a, AMX_CHANNELS * 2);
      PT_TILE_DOT(1, 4, 6);
      continue;
    }
    PT_TILE_LOAD(6, b + panel, 64);
    PT_TILE_DOT(1, 4, 6);
    PT_TILE_LOAD(6, b + 2 * panel, 64);
    PT_TILE_DOT(2, 4, 6);
    if (w->n <= 3 * PT_PANEL) continue;
    PT_TILE_LOAD(6, b + 3 * panel, 64);
    PT_TILE_DOT(3, 4, 6);
  }
}

#define AMX_BIAS(t, panel)                            \
  do {                                                \
    if (v->bias && (panel)*PT_PANEL < v->c)           \
      PT_TILE_LOAD(t, v->bias + (panel)*PT_PANEL, 0); \
    else                                              \
      PT_TILE_ZERO(t);                                \
  } while (0)

static void amx_begin(const struct pt_conv *v) {
  const bool wide = v->c > 2 * PT_PANEL;
  AMX_BIAS(0, 0);
  AMX_BIAS(1, 1);
  AMX_BIAS(2, wide ? 2 : 0);
  AMX_BIAS(3, wide ? 3 : 1);
}

/* y [block, c] = the registers, ld floats from row to row. */
static void amx_give(const struct pt_conv *v, float *y, int64_t ld) {
  const bool wide = v->c > 2 * PT_PANEL;
  float *low = wide ? y + 2 * PT_PANEL : y + 16 * ld;
  PT_TILE_STORE(0, y, ld * 4);
  if (v->c > PT_PANEL) PT_TILE_STORE(1, y + PT_PANEL, ld * 4);
  PT_TILE_STORE(2, low, ld * 4);
  if (v->c > 3 * PT_PANEL || (!wide && v->c > PT_PANEL))
    PT_TILE_STORE(3, low + PT_PANEL, ld * 4);
}

static void amx_rows(const struct pt_conv *v, const struct pt_conv_tile *t, float *y,
                     int64_t ld) {
  const int offsets = v->size * v->size * v->size, self = offsets / 2;
  const int block = v->c > 2 * PT_PANEL ? AMX_ROWS / 2 : AMX_ROWS;
  _Alignas(64) uint16_t buf[2][AMX_ROWS * AMX_CHANNELS];
  _Alignas(64) float rest[AMX_ROWS * AMX_CHANNELS];
  pt_tiles_begin();
  for (int r = 0; r < t->rows; r += block) {
    const int rows = t->rows - r < block ? t->rows - r : block;
    amx_begin(v);
    for (int i = -1; i < offsets; i++) {
      const int k = i < 0 ? self : i;
      if (i == self) continue;
      const struct pt_mat w = pt_conv_mat(v, k);
      if (amx_gather(v, t->near + k * t->stride + r, rows, block, buf[i & 1]))
        amx_add(&w, buf[i & 1]);
    }
    float *to = y + r * ld;
    amx_give(v, rows < block ? rest : to, rows < block ? AMX_CHANNELS : ld);
    for (int i = 0; i < rows && rows < block; i++)
      memcpy(to + i * ld, rest + i * AMX_CHANNELS, (size_t)v->c * sizeof *to);
  }
  pt_tiles_end();
}

#endif
#endif
