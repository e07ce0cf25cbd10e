/* las_made.h - small LAS files made in memory, for the tests of the LAS reader and writer.
 *
 * Every byte is a function of the arguments: point i has values that no other has, so a
 * field read from a wrong place shows. */
#ifndef LAS_MADE_H
#define LAS_MADE_H

#include <stdint.h>
#include <string.h>

#include "file.h"

struct las_made {
  uint8_t data[1 << 15];
  int64_t size;
  int64_t points_at, record, n;
  int minor, format;
};

static const int las_sizes[11] = {20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67};
static const int las_gps[11] = {-1, 20, -1, 20, 20, 20, 22, 22, 22, 22, 22};
static const int las_rgb[11] = {-1, -1, 20, 28, -1, 28, -1, 30, 30, -1, 30};
static const int las_nir[11] = {-1, -1, -1, -1, -1, -1, -1, -1, 36, -1, 36};

static inline void las_put_double(uint8_t *p, double d) {
  uint64_t u;
  memcpy(&u, &d, sizeof u);
  pt_put64(p, u);
}

static inline int32_t las_x(int64_t i, int k) { return (int32_t)(1000 * k - 37 * i + 5); }

/* A file without records: the header (24 bytes longer than it need be when padded), n
 * points with `extra` bytes behind the standard ones. */
static inline void las_begin(struct las_made *m, int minor, int format, int padded) {
  memset(m, 0, sizeof *m);
  m->minor = minor;
  m->format = format;
  uint8_t *d = m->data;
  memcpy(d, "LASF", 4);
  d[24] = 1;
  d[25] = (uint8_t)minor;
  memcpy(d + 26, "a system", 8);
  memcpy(d + 58, "a program", 9);
  int64_t size = (minor == 4 ? 375 : minor == 3 ? 235 : 227) + (padded ? 24 : 0);
  for (int64_t i = size - (padded ? 24 : 0); i < size; i++) d[i] = (uint8_t)(i * 3);
  pt_put16(d + 94, (uint16_t)size);
  d[104] = (uint8_t)format;
  for (int k = 0; k < 3; k++) {
    las_put_double(d + 131 + 8 * k, 0.01 * (k + 1));
    las_put_double(d + 155 + 8 * k, 1000.0 * k - 7);
  }
  m->size = size;
}

/* A variable length record with these bytes. */
static inline void las_vlr(struct las_made *m, const char *user, int id, const uint8_t *bytes,
                           int64_t n) {
  uint8_t *p = m->data + m->size;
  memset(p, 0, 54);
  memcpy(p + 2, user, strlen(user));
  pt_put16(p + 18, (uint16_t)id);
  pt_put16(p + 20, (uint16_t)n);
  if (n > 0) memcpy(p + 54, bytes, (size_t)n);
  m->size += 54 + n;
  pt_put32(m->data + 100, pt_le32(m->data + 100) + 1);
}

/* The 192 bytes that describe an extra dimension. */
static inline void las_describe(uint8_t *p, int type, int options, const char *name,
                                double scale, double offset) {
  memset(p, 0, 192);
  p[2] = (uint8_t)type;
  p[3] = (uint8_t)options;
  memcpy(p + 4, name, strlen(name));
  for (int k = 0; k < 3; k++) {
    las_put_double(p + 112 + 8 * k, scale * (k + 1));
    las_put_double(p + 136 + 8 * k, offset + k);
  }
}

static inline void las_point(const struct las_made *m, int64_t i, uint8_t *p) {
  for (int64_t b = 0; b < m->record; b++) p[b] = (uint8_t)(17 * i + 5 * b + 1);
  for (int k = 0; k < 3; k++) pt_put32(p + 4 * k, (uint32_t)las_x(i, k));
  if (las_gps[m->format] >= 0) las_put_double(p + las_gps[m->format], 0.5 * (double)i - 3);
}

static inline void las_points(struct las_made *m, int64_t n, int64_t extra) {
  uint8_t *d = m->data;
  m->n = n;
  m->points_at = m->size;
  m->record = las_sizes[m->format] + extra;
  pt_put32(d + 96, (uint32_t)m->size);
  pt_put16(d + 105, (uint16_t)m->record);
  if (m->format < 6) pt_put32(d + 107, (uint32_t)n);
  if (m->minor == 4) pt_put64(d + 247, (uint64_t)n);
  for (int64_t i = 0; i < n; i++) las_point(m, i, d + m->size + i * m->record);
  m->size += n * m->record;
}

/* An extended variable length record, after the points. */
static inline void las_evlr(struct las_made *m, const char *user, int id, int64_t n) {
  uint8_t *p = m->data + m->size;
  if (pt_le32(m->data + 243) == 0) pt_put64(m->data + 235, (uint64_t)m->size);
  memset(p, 0, 60);
  memcpy(p + 2, user, strlen(user));
  pt_put16(p + 18, (uint16_t)id);
  pt_put64(p + 20, (uint64_t)n);
  for (int64_t i = 0; i < n; i++) p[60 + i] = (uint8_t)(i * 7 + id);
  m->size += 60 + n;
  pt_put32(m->data + 243, pt_le32(m->data + 243) + 1);
}

static inline struct pt_cursor las_cursor(const struct las_made *m) {
  return (struct pt_cursor){.data = m->data, .size = m->size, .name = "made.las"};
}

#endif
