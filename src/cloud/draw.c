/* draw.c - see draw.h. Normal numbers: Box and Muller, one a pair of uniforms. */
#include "draw.h"

#include <math.h>

#include "philox.h"

struct pt_draw pt_draw_of(uint64_t seed, uint64_t epoch, uint64_t sample) {
  return (struct pt_draw){.seed = seed, .stream = epoch << 40 ^ sample};
}

static double one(const struct pt_draw *d, enum pt_draw_kind kind, double lo, double hi,
                  uint64_t i) {
  double u = pt_philox_uniform(d->seed, d->stream, 2 * i);
  if (kind == PT_DRAW_CHANCE) return u;
  if (kind == PT_DRAW_UNIFORM) return lo + (hi - lo) * u;
  if (kind == PT_DRAW_INTEGER)
    return (double)pt_philox_below(d->seed, d->stream, 2 * i, (uint64_t)hi);
  double v = pt_philox_uniform(d->seed, d->stream, 2 * i + 1);
  return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v); /* 1 - u is never 0 */
}

int pt_draw_fill(struct pt_draw *d, enum pt_draw_kind kind, double lo, double hi, int64_t n,
                 double *out, struct ptv3_error *err) {
  if (d->fill) return d->fill(d->user, kind, lo, hi, n, out, err);
  for (int64_t i = 0; i < n; i++) out[i] = one(d, kind, lo, hi, d->next + (uint64_t)i);
  d->next += (uint64_t)n;
  return PTV3_OK;
}
