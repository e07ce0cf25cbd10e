/* render_splat.c - points to pixels: camera, depth buffer, shading, reduction. */
#include <math.h>
#include <string.h>

#include "render_parts.h"
#include "size.h"

/* Pixels of the buffers for one of the picture, each way. */
enum { FINER = 2 };

struct camera {
  double right[3], up[3], forward[3]; /* unit length */
  double center[3];                   /* metres */
  double distance;                    /* viewer to centre, metres; 0: orthographic */
  double scale;                       /* pixels a unit of the image plane */
  double x0, y0;                      /* pixel of the image plane's origin */
};

struct buffer {
  int width, height;
  float *depth; /* [height, width], metres from the viewer, INFINITY where there is nothing */
  uint8_t *rgb; /* [height, width, 3] */
};

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(const double a[3], const double b[3], double out[3]) {
  for (int i = 0; i < 3; i++) {
    int j = (i + 1) % 3, k = (i + 2) % 3;
    out[i] = a[j] * b[k] - a[k] * b[j];
  }
}

/* Image plane coordinates (y up) and depth of a point; false behind the viewer. */
static bool project(const struct camera *c, const float p[3], double *x, double *y, double *z) {
  double d[3];
  for (int i = 0; i < 3; i++) d[i] = (double)p[i] - c->center[i];
  *x = dot(d, c->right);
  *y = dot(d, c->up);
  *z = dot(d, c->forward) + c->distance;
  if (c->distance <= 0) return true;
  if (*z < 0.05 * c->distance) return false;
  *x /= *z;
  *y /= *z;
  return true;
}

static void aim(struct camera *c, const struct pt_render *s, const double low[3],
                const double high[3]) {
  const double degree = 3.14159265358979323846 / 180;
  double a = s->azimuth * degree, e = s->elevation * degree, radius = 0;
  bool top = s->view == PT_VIEW_TOP;
  if (top) {
    a = 0;
    e = 90 * degree;
  }
  double forward[3] = {sin(a) * cos(e), cos(a) * cos(e), -sin(e)};
  double right[3] = {cos(a), -sin(a), 0};
  memcpy(c->forward, forward, sizeof forward);
  memcpy(c->right, right, sizeof right);
  cross(right, forward, c->up);
  for (int i = 0; i < 3; i++) {
    c->center[i] = 0.5 * (low[i] + high[i]);
    radius += 0.25 * (high[i] - low[i]) * (high[i] - low[i]);
  }
  c->distance = top ? 0 : fmax(2.6 * sqrt(radius), 1e-3);
}

/* Chooses scale and origin so that the points within [low, high] fill the frame. */
static void fit(struct camera *c, const struct pt_render *s, const double low[3],
                const double high[3], struct pt_frame frame) {
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY, x, y, z;
  for (int64_t i = 0; i < s->n; i++) {
    const float *p = s->coord + 3 * i;
    bool inside = true;
    for (int k = 0; k < 3; k++)
      inside = inside && (double)p[k] >= low[k] && (double)p[k] <= high[k];
    if (!inside || !project(c, p, &x, &y, &z)) continue;
    x0 = fmin(x0, x);
    x1 = fmax(x1, x);
    y0 = fmin(y0, y);
    y1 = fmax(y1, y);
  }
  double w = fmax(x1 - x0, 1e-6), h = fmax(y1 - y0, 1e-6);
  c->scale = 0.97 * fmin(frame.width / w, frame.height / h);
  c->x0 = frame.x + 0.5 * frame.width - c->scale * 0.5 * (x0 + x1);
  c->y0 = frame.y + 0.5 * frame.height + c->scale * 0.5 * (y0 + y1);
}

static void setup(struct camera *c, const struct pt_render *s, struct pt_frame frame) {
  double low[3], high[3];
  for (int k = 0; k < 3; k++) pt_render_range(s, k, &low[k], &high[k]);
  struct pt_frame finer = {frame.x * FINER, frame.y * FINER, frame.width * FINER,
                           frame.height * FINER};
  aim(c, s, low, high);
  fit(c, s, low, high, finer);
}

/* ---- discs ---- */

/* Pixels across that make discs of neighbouring points touch: from how many 8 x 8 cells of
 * the picture hold points. The depth buffer is used as the table of cells. */
static double size_from_density(const struct camera *c, const struct pt_render *s,
                                struct buffer *b) {
  enum { CELL = 8 };
  int64_t cells = 0, points = 0;
  int across = b->width / CELL + 1;
  for (int64_t i = 0; i < s->n; i++) {
    double x, y, z;
    const float *p = s->coord + 3 * i;
    if (!isfinite(p[0] + p[1] + p[2]) || !project(c, p, &x, &y, &z)) continue;
    x = c->x0 + c->scale * x;
    y = c->y0 - c->scale * y;
    if (!(x >= 0 && y >= 0 && x < b->width && y < b->height)) continue;
    float *cell = b->depth + (int64_t)((int)y / CELL) * across + (int)x / CELL;
    cells += isinf(*cell);
    *cell = 0;
    points++;
  }
  for (int64_t i = 0; i < (int64_t)b->width * b->height; i++) b->depth[i] = INFINITY;
  if (!points) return 1;
  double size =
      (c->distance > 0 ? 2.9 : 2.5) * sqrt((double)cells * CELL * CELL / (double)points);
  double most = 0.012 * FINER * sqrt((double)b->width * b->height / (FINER * FINER));
  return fmin(fmax(size, 1.5 * FINER), fmax(most, 3 * FINER));
}

/* A disc with its depth growing towards the rim, so that overlapping discs meet half way. */
static void disc(struct buffer *b, double x, double y, double z, double r, double slope,
                 const uint8_t rgb[3]) {
  int y0 = (int)fmax(0, ceil(y - r - 0.5)), y1 = (int)fmin(b->height - 1, floor(y + r - 0.5));
  int x0 = (int)fmax(0, ceil(x - r - 0.5)), x1 = (int)fmin(b->width - 1, floor(x + r - 0.5));
  for (int j = y0; j <= y1; j++) {
    for (int i = x0; i <= x1; i++) {
      double dx = i + 0.5 - x, dy = j + 0.5 - y, d2 = dx * dx + dy * dy;
      if (d2 > r * r) continue;
      int64_t at = (int64_t)j * b->width + i;
      float depth = (float)(z + slope * d2 / r);
      if (depth >= b->depth[at]) continue;
      b->depth[at] = depth;
      memcpy(b->rgb + 3 * at, rgb, 3);
    }
  }
}

static int draw_discs(struct pt_env *env, const struct camera *c, const struct pt_render *s,
                      const struct pt_painting *p, double size, struct buffer *b,
                      struct ptv3_error *err) {
  for (int64_t i = 0; i < s->n; i++) {
    double x, y, z;
    uint8_t rgb[3];
    const float *q = s->coord + 3 * i;
    if (i % 262144 == 0 && pt_progress(env, "drawing", i, s->n, err)) return PTV3_CANCELLED;
    if (!isfinite(q[0] + q[1] + q[2]) || !project(c, q, &x, &y, &z)) continue;
    x = c->x0 + c->scale * x;
    y = c->y0 - c->scale * y;
    if (!(x > -200 && y > -200 && x < b->width + 200 && y < b->height + 200)) continue;
    double near = c->distance > 0 ? c->distance / z : 1;
    double metres = c->distance > 0 ? z / c->scale : 1 / c->scale; /* of a pixel there */
    pt_render_point_color(s, p, i, rgb);
    disc(b, x, y, z, fmin(0.5 * size * fmin(near, 4), 200), 0.2 * metres, rgb);
  }
  return pt_progress(env, "drawing", s->n, s->n, err);
}

/* ---- shading ---- */

/* How much nearer the pixels around are, in pixels of depth, each counted up to a limit. */
static double nearer(const struct buffer *b, int x, int y, int radius, double metres) {
  static const int step[8][2] = {{1, 0}, {-1, 0}, {0, 1},  {0, -1},
                                 {1, 1}, {1, -1}, {-1, 1}, {-1, -1}};
  double here = (double)b->depth[(int64_t)y * b->width + x], sum = 0;
  for (int k = 0; k < 8; k++) {
    int i = x + step[k][0] * radius, j = y + step[k][1] * radius;
    if (i < 0 || j < 0 || i >= b->width || j >= b->height) continue;
    double d = (here - (double)b->depth[(int64_t)j * b->width + i]) / (metres * radius);
    if (d > 0) sum += d / (1 + 0.5 * d); /* 2 at most */
  }
  return sum / 8;
}

static void shade(const struct camera *c, const struct buffer *b) {
#pragma omp parallel for schedule(static)
  for (int y = 0; y < b->height; y++) {
    for (int x = 0; x < b->width; x++) {
      int64_t at = (int64_t)y * b->width + x;
      double z = (double)b->depth[at];
      if (isinf(z)) continue;
      double metres = (c->distance > 0 ? z : 1) / c->scale;
      double dark =
          0.6 * nearer(b, x, y, FINER, metres) + 0.8 * nearer(b, x, y, 4 * FINER, metres);
      double light = 0.42 + 0.58 * exp(-dark);
      for (int k = 0; k < 3; k++)
        b->rgb[3 * at + k] = (uint8_t)(0.5 + light * b->rgb[3 * at + k]);
    }
  }
}

static void reduce(const struct buffer *b, struct pt_image *image) {
  for (int y = 0; y < image->height; y++) {
    for (int x = 0; x < image->width; x++) {
      for (int k = 0; k < 3; k++) {
        int sum = 0;
        for (int j = 0; j < FINER; j++)
          for (int i = 0; i < FINER; i++)
            sum += b->rgb[3 * (((int64_t)y * FINER + j) * b->width + x * FINER + i) + k];
        image->rgb[3 * ((int64_t)y * image->width + x) + k] =
            (uint8_t)((sum + FINER * FINER / 2) / (FINER * FINER));
      }
    }
  }
}

int pt_render_points(struct pt_env *env, const struct pt_render *s, const struct pt_painting *p,
                     struct pt_frame frame, struct pt_image *image, double *metre,
                     struct ptv3_error *err) {
  struct buffer b = {image->width * FINER, image->height * FINER, NULL, NULL};
  int64_t pixels = (int64_t)b.width * b.height;
  struct camera c = {0};
  int status = PTV3_OK;
  if (!(b.depth = pt_alloc(&env->mem, pixels, sizeof *b.depth, PT_MEM_OTHER, err))) goto full;
  if (!(b.rgb = pt_alloc(&env->mem, pixels, 3, PT_MEM_OTHER, err))) goto full;
  for (int64_t i = 0; i < pixels; i++) b.depth[i] = INFINITY;
  memset(b.rgb, 255, (size_t)pixels * 3);
  setup(&c, s, frame);
  double size = s->point_size > 0 ? s->point_size * FINER : size_from_density(&c, s, &b);
  status = draw_discs(env, &c, s, p, size, &b, err);
  if (status) goto out;
  if (s->shading) shade(&c, &b);
  reduce(&b, image);
  *metre = c.distance > 0 ? 0 : c.scale / FINER;
  goto out;
full:
  status = err->status;
out:
  pt_free(&env->mem, b.depth);
  pt_free(&env->mem, b.rgb);
  return status;
}
