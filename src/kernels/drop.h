/* drop.h - what training leaves out at random: stochastic depth and dropout.
 *
 * A draw depends on (seed, stream, row, channel) alone, so that a backward pass, or a forward
 * pass run again, leaves out the same; the trainer gives every op of every step a stream of its
 * own. Kept numbers are scaled by 1 / (1 - p). All zero: nothing is left out.
 * Source: torch.nn.Dropout; Pointcept DropPath (timm), one draw a point, applied by
 * PointSequential to the features of all points. */
#ifndef PT_DROP_H
#define PT_DROP_H

#include "philox.h"

struct pt_drop {
  float path; /* chance that a row's branch is left out */
  float proj; /* chance that a number of the branch's output, or of an mlp's hidden layer, is
                 (proj_drop) */
  float attn; /* chance that a weight of the softmax is (attn_drop), rounded to 1/65536 */
  uint64_t seed, stream;
};

/* What the branch of a row is multiplied by: 0 or 1 / (1 - path). */
static inline float pt_drop_path(const struct pt_drop *d, int64_t row) {
  if (d->path <= 0.0f) return 1.0f;
  const double u = pt_philox_uniform(d->seed, d->stream << 2, (uint64_t)row);
  return u < (double)d->path ? 0.0f : 1.0f / (1.0f - d->path);
}

static inline float pt_drop_number_(const struct pt_drop *d, uint64_t kind, int64_t row, int c,
                                    int channel) {
  if (d->proj <= 0.0f) return 1.0f;
  const uint64_t at = (uint64_t)row * (uint64_t)c + (uint64_t)channel;
  const double u = pt_philox_uniform(d->seed, d->stream << 2 | kind, at);
  return u < (double)d->proj ? 0.0f : 1.0f / (1.0f - d->proj);
}

/* The same for a number of the branch's output. */
static inline float pt_drop_proj(const struct pt_drop *d, int64_t row, int c, int channel) {
  return pt_drop_number_(d, 1, row, c, channel);
}

/* The same for a number of the hidden layer [c] of an mlp, after GELU. */
static inline float pt_drop_hidden(const struct pt_drop *d, int64_t row, int c, int channel) {
  return pt_drop_number_(d, 2, row, c, channel);
}

/* The same for a weight of the softmax, after its division by the sum. `softmax` numbers the
 * rows of weights: query's row times heads, plus head; `place` is the key's in the patch. A
 * result of Philox serves eight places with 16 bits each. */
enum { PT_DROP_PLACES = 8, PT_DROP_ONE = 65536 };

/* The chance times PT_DROP_ONE. */
static inline uint32_t pt_drop_attn_chance(const struct pt_drop *d) {
  const float chance = d->attn * PT_DROP_ONE + 0.5f;
  return chance < PT_DROP_ONE - 1 ? (uint32_t)chance : PT_DROP_ONE - 1;
}

/* The chance that a weight is kept. */
static inline float pt_drop_attn_kept(const struct pt_drop *d) {
  return (float)(PT_DROP_ONE - pt_drop_attn_chance(d)) / PT_DROP_ONE;
}

/* Index of the draw for places 8 group .. 8 group + 7; softmax < 2^40. */
static inline uint64_t pt_drop_attn_index(uint64_t softmax, uint64_t group) {
  return softmax + (group << 40);
}

static inline uint64_t pt_drop_attn_stream(const struct pt_drop *d) {
  return d->stream << 2 | 3;
}

static inline float pt_drop_attn(const struct pt_drop *d, int64_t softmax, int place) {
  uint32_t r[4];
  if (d->attn <= 0.0f) return 1.0f;
  const uint64_t group = (uint64_t)place / PT_DROP_PLACES;
  const int at = place % PT_DROP_PLACES;
  pt_philox(d->seed, pt_drop_attn_stream(d), pt_drop_attn_index((uint64_t)softmax, group), r);
  const uint32_t number = r[at / 2] >> at % 2 * 16 & 0xffff;
  return number < pt_drop_attn_chance(d) ? 0.0f : 1.0f / pt_drop_attn_kept(d);
}

/* Multiplies a row's branch [c] by path and proj. */
static inline void pt_drop_row(const struct pt_drop *d, int64_t row, float *branch, int c) {
  if (d->path <= 0.0f && d->proj <= 0.0f) return;
  const float path = pt_drop_path(d, row);
  for (int i = 0; i < c; i++) branch[i] *= path * pt_drop_proj(d, row, c, i);
}

#endif
