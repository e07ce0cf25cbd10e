/* las_out.h - putting a LAS or LAZ file together: header, records, points, what is behind.
 *
 * Internal to las_write.c and las_rewrite.c, which fill in what the file says; this knows
 * only where the parts go. A LAZ file's points are compressed into a nameless file first,
 * since the header in front of them cannot be written before their size is known. */
#ifndef PT_LAS_OUT_H
#define PT_LAS_OUT_H

#include "las.h"
#include "laz.h"

struct pt_bytes {
  uint8_t *data; /* [size], of pt_alloc */
  int64_t size, capacity;
};

/* Adds n bytes (zeros where data is NULL). */
int pt_bytes_add(struct pt_mem *mem, struct pt_bytes *b, const void *data, int64_t n,
                 struct ptv3_error *err);

struct pt_las_out {
  struct pt_env *env;
  const char *path;
  /* Filled in by the caller before pt_las_begin: format, record, n, minor. */
  struct pt_las_header h;
  struct pt_bytes header; /* the public header block; place-dependent fields are set here */
  struct pt_bytes vlrs;   /* the variable length records, one behind the other */
  int64_t vlr_count;
  const uint8_t *gap; /* [gap_size] bytes between the records and the points */
  int64_t gap_size;
  int64_t evlr_count; /* extended records in the tail, which they start */
  int64_t evlr_at;    /* from the start of the tail */
  int64_t wave_at;    /* waveform packets from the start of the tail, -1 if none */
  /* Its own. */
  bool laz;
  struct pt_laz *zip;
  int zip_file; /* descriptor of the nameless file, -1 if none */
  struct pt_out out;
};

/* An empty one. LAZ where path ends in ".laz". */
void pt_las_out_init(struct pt_las_out *w, struct pt_env *env, const char *path);

/* Adds a variable length record with room for n bytes of data; they are cleared, and
 * *at is where they start in w->vlrs.data. */
int pt_las_add_vlr(struct pt_las_out *w, const char *user, int id, const char *text, int64_t n,
                   int64_t *at, struct ptv3_error *err);

int pt_las_begin(struct pt_las_out *w, struct ptv3_error *err);

/* The next count points, [count, w->h.record] bytes. */
int pt_las_put(struct pt_las_out *w, const uint8_t *records, int64_t count,
               struct ptv3_error *err);

/* After the last point: everything up to the tail is in w->out, for the caller to write
 * the tail behind. */
int pt_las_end(struct pt_las_out *w, struct ptv3_error *err);

/* Gives the file its name. */
int pt_las_commit(struct pt_las_out *w, struct ptv3_error *err);

/* Releases everything; an uncommitted file is gone. */
void pt_las_out_free(struct pt_las_out *w);

/* The 192-byte description of the extra dimension "confidence". */
void pt_las_describe_confidence(uint8_t p[static 192]);

/* f as the four bytes of a float32. */
void pt_las_put_float(uint8_t *p, float f);
void pt_las_put_double(uint8_t *p, double d);

#endif
