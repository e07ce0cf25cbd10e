/* make_scan.c - a large scan out of a small one: its points repeated over a square of tiles,
 * each point moved by up to a few centimetres, to a LAS or LAZ file.
 *
 *   make_scan IN.las POINTS OUT.las [COPIES]
 *
 * COPIES (8) times the points of IN lie over one another in a tile: a denser scan. No more than
 * IN and a block of points is held in memory. Draws are Philox's, so that the file is the same
 * everywhere. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels.h"
#include "las.h"
#include "philox.h"

#define JITTER 0.04 /* metres, either way */

struct scan {
  struct pt_table tile;
  struct pt_source xyz, color, intensity;
  double size[2];  /* of a tile, metres */
  int64_t across;  /* tiles of a row */
  int64_t in_tile; /* points of one */
  double coord[3 * PT_LAS_BLOCK];
  uint16_t rgb[3 * PT_LAS_BLOCK], strength[PT_LAS_BLOCK];
};

static void make_point(struct scan *s, int64_t n, int64_t at) {
  int64_t tile = n / s->in_tile, from = n % s->in_tile % s->tile.n;
  double shift[3] = {(double)(tile % s->across) * s->size[0],
                     (double)(tile / s->across) * s->size[1], 0};
  for (int k = 0; k < 3; k++) {
    double u = pt_philox_uniform(1, 0, (uint64_t)(3 * n + k));
    s->coord[3 * at + k] = pt_axis_at(&s->xyz.part[k], from) + shift[k] + JITTER * (2 * u - 1);
    if (s->color.width) s->rgb[3 * at + k] = (uint16_t)pt_axis_at(&s->color.part[k], from);
  }
  if (s->intensity.width) s->strength[at] = (uint16_t)pt_axis_at(&s->intensity.part[0], from);
}

static int fetch(void *user, int64_t first, int64_t count, struct ptv3_error *err) {
  (void)err;
  for (int64_t i = 0; i < count; i++) make_point(user, first + i, i);
  return PTV3_OK;
}

static void measure(struct scan *s) {
  for (int k = 0; k < 2; k++) {
    double lo = INFINITY, hi = -INFINITY;
    for (int64_t i = 0; i < s->tile.n; i++) {
      lo = fmin(lo, pt_axis_at(&s->xyz.part[k], i));
      hi = fmax(hi, pt_axis_at(&s->xyz.part[k], i));
    }
    s->size[k] = hi - lo;
  }
}

int main(int argc, char **argv) {
  struct pt_env env;
  struct ptv3_error err = {0};
  struct scan *s = calloc(1, sizeof *s);
  int64_t points = argc > 2 ? (int64_t)strtod(argv[2], NULL) : 0;
  int64_t copies = argc > 4 ? strtol(argv[4], NULL, 10) : 8;
  if (!s || argc < 4 || points < 1 || copies < 1) {
    fprintf(stderr, "usage: make_scan IN.las POINTS OUT.las [COPIES]\n");
    return 2;
  }
  pt_env_init(&env, 1, 0);
  int status = pt_las_read_file(&env, argv[1], NULL, &s->tile, &err);
  if (!status) {
    s->xyz = pt_find_source(&s->tile, "coord");
    s->color = pt_find_source(&s->tile, "color");
    s->intensity = pt_find_source(&s->tile, "strength");
    s->in_tile = s->tile.n * copies;
    s->across = (int64_t)ceil(sqrt((double)points / (double)s->in_tile));
    measure(s);
    struct pt_las_cloud las = {.n = points,
                               .coord = s->coord,
                               .color = s->color.width ? s->rgb : NULL,
                               .color_type = PT_U16,
                               .intensity = s->intensity.width ? s->strength : NULL,
                               .fetch = fetch,
                               .user = s};
    status = pt_las_write(&env, argv[3], &las, &err);
  }
  if (status) fprintf(stderr, "make_scan: %s\n", err.message);
  pt_table_free(&s->tile);
  free(s);
  return status != 0;
}
