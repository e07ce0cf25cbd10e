/* init.c - see init.h. */
#include "init.h"

#include <math.h>
#include <string.h>

#include "philox.h"

static bool ends(const char *s, const char *tail) {
  size_t a = strlen(s), b = strlen(tail);
  return a >= b && strcmp(s + a - b, tail) == 0;
}

static int64_t own_fan(const struct pt_param *p) {
  return p->dims >= 2 && !ends(p->name, "rpe_table") ? p->size / p->shape[0] : 0;
}

int64_t pt_param_fan(const struct pt_param *param, int64_t i) {
  if (ends(param[i].name, ".bias") && i > 0) return own_fan(&param[i - 1]);
  return own_fan(&param[i]);
}

static uint64_t stream_of(const char *name) {
  uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
  for (; *name; name++) h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
  return h;
}

/* A normal draw of deviation 0.02, cut at +-2 (100 deviations: never met). Box-Muller. */
static double normal(uint64_t seed, uint64_t stream, int64_t i) {
  double u = 1 - pt_philox_uniform(seed, stream, 2 * (uint64_t)i);
  double v = pt_philox_uniform(seed, stream, 2 * (uint64_t)i + 1);
  return 0.02 * sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

void pt_param_init(const struct pt_param *p, int64_t fan_in, uint64_t seed, float *dst) {
  uint64_t stream = stream_of(p->name);
  double bound = fan_in > 0 ? 1 / sqrt((double)fan_in) : 0;
  bool one = ends(p->name, "running_var") || (p->dims == 1 && ends(p->name, ".weight"));
  bool table = ends(p->name, "rpe_table");
  for (int64_t i = 0; i < p->size; i++) {
    double v = one ? 1 : 0;
    if (bound > 0) v = bound * (2 * pt_philox_uniform(seed, stream, (uint64_t)i) - 1);
    if (table) v = normal(seed, stream, i);
    dst[i] = (float)v;
  }
}
