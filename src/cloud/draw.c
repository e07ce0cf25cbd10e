/* draw.c - see draw.h. Normal numbers: Box and Muller, two of two uniforms. */
#include "draw.h"

#include <math.h>

#include "philox.h"

struct pt_draw pt_draw_of(uint64_t seed, uint64_t epoch, uint64_t sample) {
  return (struct pt_draw){.seed = seed, .stream = epoch << 40 ^ sample};
}

static double one(const struct pt_draw *d, enum pt_draw_kind kind, double lo, double hi,
                  uint64_t i) {
  if (kind == PT_DRAW_INTEGER)
    return (double)pt_philox_below(d->seed, d->stream, 2 * i, (uint64_t)hi);
  double u = pt_philox_uniform(d->seed, d->stream, 2 * i);
  return kind == PT_DRAW_CHANCE ? u : lo + (hi - lo) * u;
}

/* Normal numbers i and i + 1, i even: both from one block of bits. */
static void pair(const struct pt_draw *d, uint64_t i, double z[2]) {
  uint32_t r[4];
  pt_philox(d->seed, d->stream, 2 * i + 1, r);
  double u = (double)(((uint64_t)r[0] << 32 | r[1]) >> 11) * 0x1p-53;
  double v = (double)(((uint64_t)r[2] << 32 | r[3]) >> 11) * 0x1p-53;
  double radius = sqrt(-2 * log(1 - u)); /* 1 - u is never 0 */
  z[0] = radius * cos(6.283185307179586 * v);
  z[1] = radius * sin(6.283185307179586 * v);
}

static void fill_normal(const struct pt_draw *d, int64_t n, double *out) {
  double z[2] = {0};
  for (int64_t k = 0; k < n; k++) {
    uint64_t i = d->next + (uint64_t)k;
    if (!k || i % 2 == 0) pair(d, i - i % 2, z);
    out[k] = z[i % 2];
  }
}

int pt_draw_fill(struct pt_draw *d, enum pt_draw_kind kind, double lo, double hi, int64_t n,
                 double *out, struct ptv3_error *err) {
  if (d->fill) return d->fill(d->user, kind, lo, hi, n, out, err);
  if (kind == PT_DRAW_NORMAL)
    fill_normal(d, n, out);
  else
    for (int64_t k = 0; k < n; k++) out[k] = one(d, kind, lo, hi, d->next + (uint64_t)k);
  d->next += (uint64_t)n;
  return PTV3_OK;
}
