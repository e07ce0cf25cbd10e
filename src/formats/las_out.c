/* las_out.c - see las_out.h. */
#include "las_out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "half.h"
#include "size.h"

int pt_bytes_add(struct pt_mem *mem, struct pt_bytes *b, const void *data, int64_t n,
                 struct ptv3_error *err) {
  int status = pt_grow(mem, &b->data, &b->capacity, b->size + n, 1, PT_MEM_OTHER, err);
  if (status) return status;
  if (data && n > 0)
    memcpy(b->data + b->size, data, (size_t)n);
  else if (n > 0)
    memset(b->data + b->size, 0, (size_t)n);
  b->size += n;
  return PTV3_OK;
}

void pt_las_put_float(uint8_t *p, float f) { pt_put32(p, pt_float_bits(f)); }

void pt_las_put_double(uint8_t *p, double d) {
  uint64_t u;
  memcpy(&u, &d, sizeof u);
  pt_put64(p, u);
}

void pt_las_describe_confidence(uint8_t p[static 192]) {
  memset(p, 0, 192);
  p[2] = 9; /* float32 */
  memcpy(p + 4, "confidence", 10);
  memcpy(p + 160, "probability of the class, 0..1", 30);
}

void pt_las_out_init(struct pt_las_out *w, struct pt_env *env, const char *path) {
  char extension[16];
  pt_extension(path, extension);
  *w = (struct pt_las_out){.env = env, .path = path, .zip_file = -1, .wave_at = -1};
  w->laz = strcmp(extension, "laz") == 0;
}

void pt_las_out_free(struct pt_las_out *w) {
  pt_laz_close(w->zip);
  if (w->zip_file >= 0) close(w->zip_file);
  pt_out_abort(&w->out);
  pt_free(&w->env->mem, w->header.data);
  pt_free(&w->env->mem, w->vlrs.data);
  *w = (struct pt_las_out){.env = w->env, .zip_file = -1};
}

int pt_las_add_vlr(struct pt_las_out *w, const char *user, int id, const char *text, int64_t n,
                   int64_t *at, struct ptv3_error *err) {
  int64_t start = w->vlrs.size;
  int status = pt_bytes_add(&w->env->mem, &w->vlrs, NULL, 54 + n, err);
  if (status) return status;
  uint8_t *p = w->vlrs.data + start;
  memcpy(p + 2, user, strlen(user));
  pt_put16(p + 18, (uint16_t)id);
  pt_put16(p + 20, (uint16_t)n);
  memcpy(p + 22, text, strlen(text));
  w->vlr_count++;
  *at = start + 54;
  return PTV3_OK;
}

/* ---- places ---- */

/* Sets what depends on where things are; point_bytes is what the points take. */
static int place(struct pt_las_out *w, int64_t point_bytes, struct ptv3_error *err) {
  uint8_t *p = w->header.data;
  int64_t points_at = w->header.size + w->vlrs.size + w->gap_size, tail_at;
  if (points_at > UINT32_MAX || !pt_add(points_at, point_bytes, &tail_at))
    return pt_fail(err, PTV3_UNSUPPORTED, "'%s': records of %lld bytes do not fit a LAS file",
                   w->path, (long long)w->vlrs.size);
  w->h.points_at = points_at;
  pt_put32(p + 96, (uint32_t)points_at);
  pt_put32(p + 100, (uint32_t)w->vlr_count);
  p[104] = (uint8_t)(w->h.format | (w->laz ? 0x80 : 0));
  pt_put16(p + 105, (uint16_t)w->h.record);
  if (w->wave_at >= 0) pt_put64(p + 227, (uint64_t)(tail_at + w->wave_at));
  if (w->h.minor >= 4) {
    pt_put64(p + 235, w->evlr_count > 0 ? (uint64_t)(tail_at + w->evlr_at) : 0);
    pt_put32(p + 243, (uint32_t)w->evlr_count);
  }
  return PTV3_OK;
}

static int write_front(struct pt_las_out *w, struct ptv3_error *err) {
  int status = pt_out_open(&w->out, &w->env->mem, w->path, err);
  if (status) return status;
  pt_write(&w->out, w->header.data, w->header.size);
  pt_write(&w->out, w->vlrs.data, w->vlrs.size);
  pt_write(&w->out, w->gap, w->gap_size);
  return PTV3_OK;
}

/* ---- the compressed points ---- */

static void zip_path(const struct pt_las_out *w, char path[static 40]) {
  snprintf(path, 40, "/proc/self/fd/%d", w->zip_file);
}

/* A file without a name in the folder of the output, so that nothing is left behind. */
static int begin_laz(struct pt_las_out *w, struct ptv3_error *err) {
  struct pt_mem *mem = &w->env->mem;
  char path[40];
  int64_t n = (int64_t)strlen(w->path) + 12;
  char *name = pt_alloc(mem, n, 1, PT_MEM_OTHER, err);
  if (!name) return PTV3_NO_MEMORY;
  snprintf(name, (size_t)n, "%s.zip-XXXXXX", w->path);
  w->zip_file = mkstemp(name);
  if (w->zip_file >= 0) unlink(name);
  pt_free(mem, name);
  if (w->zip_file < 0)
    return pt_fail(err, PTV3_IO, "'%s': cannot create a file beside it: %s", w->path,
                   strerror(errno));
  zip_path(w, path);
  return pt_laz_writer(mem, w->path, path, &w->h, &w->zip, err);
}

static int add_laszip_vlr(struct pt_las_out *w, struct pt_cursor *c,
                          const struct pt_las_header *h, struct ptv3_error *err) {
  struct pt_las_vlr v = {.end = h->size};
  for (int64_t i = 0; i < h->vlr_count; i++) {
    int status = pt_las_vlr_at(c, v.end, h->points_at, false, &v, err);
    if (status) return status;
    if (v.id != PT_LAZ_ID || strcmp(v.user, PT_LAZ_USER) != 0) continue;
    w->vlr_count++;
    return pt_bytes_add(&w->env->mem, &w->vlrs, c->data + v.at, v.end - v.at, err);
  }
  return pt_fail(err, PTV3_INTERNAL, "'%s': LASzip left no description of the points", w->path);
}

/* Copies the compressed points. They start with the place of their chunk table, counted
 * from the start of the file, which moves with them. */
static int copy_laz(struct pt_las_out *w, const struct pt_map *map, struct ptv3_error *err) {
  struct pt_las_header h;
  struct pt_cursor c = pt_cursor_of(map);
  int status = pt_las_parse(&c, &h, err);
  if (status || (status = add_laszip_vlr(w, &c, &h, err))) return status;
  int64_t size = c.size - h.points_at;
  int64_t table = size >= 8 ? (int64_t)pt_le64(c.data + h.points_at) : -1;
  if (table < h.points_at || table > c.size)
    return pt_fail(err, PTV3_INTERNAL, "'%s': LASzip left no table of its chunks", w->path);
  if ((status = place(w, size, err)) || (status = write_front(w, err))) return status;
  uint8_t moved[8];
  pt_put64(moved, (uint64_t)(table - h.points_at + w->h.points_at));
  pt_write(&w->out, moved, 8);
  pt_write_mapped(&w->out, map, h.points_at + 8, size - 8);
  return PTV3_OK;
}

static int end_laz(struct pt_las_out *w, struct ptv3_error *err) {
  struct pt_map map;
  char path[40];
  int status = pt_laz_finish(w->zip, err);
  if (status) return status;
  zip_path(w, path);
  if ((status = pt_map_open(&map, path, err))) return status;
  status = copy_laz(w, &map, err);
  pt_map_close(&map);
  return status;
}

/* ---- in order ---- */

int pt_las_begin(struct pt_las_out *w, struct ptv3_error *err) {
  int64_t bytes;
  if (w->laz) return begin_laz(w, err);
  if (!pt_mul(w->h.n, w->h.record, &bytes))
    return pt_fail(err, PTV3_INVALID, "'%s': too many points", w->path);
  int status = place(w, bytes, err);
  return status ? status : write_front(w, err);
}

int pt_las_put(struct pt_las_out *w, const uint8_t *records, int64_t count,
               struct ptv3_error *err) {
  if (w->laz) return pt_laz_write(w->zip, records, count, err);
  pt_write(&w->out, records, count * w->h.record);
  return PTV3_OK;
}

int pt_las_end(struct pt_las_out *w, struct ptv3_error *err) {
  return w->laz ? end_laz(w, err) : PTV3_OK;
}

int pt_las_commit(struct pt_las_out *w, struct ptv3_error *err) {
  return pt_out_commit(&w->out, err);
}
