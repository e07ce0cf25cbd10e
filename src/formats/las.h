/* las.h - LAS 1.0 to 1.4, point formats 0 to 10: into a table, and back with labels.
 *
 * Source: ASPRS, LAS Specification 1.4-R15 (and 1.0 to 1.3 for the older headers). LAZ, the
 * compressed form, goes through LASzip (laz.h); the header and the records around the
 * points are read and written here in both cases. Coordinates come out as doubles,
 * raw * scale + offset, nothing subtracted. */
#ifndef PT_LAS_H
#define PT_LAS_H

#include <stdbool.h>
#include <stdint.h>

#include "env.h"
#include "file.h"
#include "table.h"

/* What the public header block says, checked against the size of the file. */
struct pt_las_header {
  int minor;                  /* LAS 1.minor, 0 to 4 */
  int format;                 /* point data record format, 0 to 10 */
  bool compressed;            /* LAZ: the points are LASzip's, everything else is LAS */
  int64_t size;               /* bytes of the header, 227 at least */
  int64_t points_at;          /* byte at which the points start */
  int64_t record;             /* bytes a point, extra bytes included */
  int64_t n;                  /* points */
  double scale[3], offset[3]; /* x, y, z */
  double min[3], max[3];      /* of the coordinates, as the header says; not checked */
  int64_t vlr_count;          /* variable length records, between header and points */
  int64_t evlr_at;            /* byte at which the extended ones start, 0 if there are none */
  int64_t evlr_count;
  int64_t wave_at; /* start of the waveform packets inside the file, 0 if none */
};

/* One variable length record, or an extended one. */
struct pt_las_vlr {
  char user[17]; /* NUL-terminated */
  int id;
  int64_t at; /* byte at which its header starts */
  int64_t data_at, data_size;
  int64_t end; /* byte behind it */
};

/* One dimension held in the extra bytes of each point. */
struct pt_las_extra {
  char name[33];
  int type;          /* 1 to 10 as the specification numbers them; 0: bytes without meaning */
  int width;         /* numbers a point: 1 to 3, or the count of bytes for type 0 */
  int options;       /* bit 3: scale applies, bit 4: offset applies */
  int64_t at, bytes; /* in the point record */
  double scale[3], offset[3];
  int64_t described_at; /* byte of its 192-byte description in the file */
};

/* Which columns to make: names compared without case. names NULL means all. */
struct pt_las_select {
  const char *const *names; /* [count] */
  int count;
};

/* Reads and checks the header, the chain of (extended) variable length records included. */
int pt_las_parse(struct pt_cursor *c, struct pt_las_header *h, struct ptv3_error *err);

/* The record that starts at byte `at`, which must end by `limit`. */
int pt_las_vlr_at(struct pt_cursor *c, int64_t at, int64_t limit, bool extended,
                  struct pt_las_vlr *v, struct ptv3_error *err);

/* The dimensions of the extra bytes, in order, from every Extra Bytes record of the file.
 * *list is the caller's to pt_free, NULL when there are none. A description that does not
 * fit the point record is left out with those behind it, with a warning; *complete (NULL
 * allowed) then is false. */
int pt_las_extras(struct pt_env *env, struct pt_cursor *c, const struct pt_las_header *h,
                  struct pt_las_extra **list, int *count, bool *complete,
                  struct ptv3_error *err);

/* The points of a LAS file in memory. Columns, in this order, where the format has them:
 * x y z (F64), intensity (U16), return_number, number_of_returns, scan_direction_flag,
 * edge_of_flight_line, classification, synthetic, key_point, withheld, overlap,
 * scanner_channel (U8), scan_angle (F32, degrees), user_data (U8), point_source_id (U16),
 * gps_time (F64), red green blue nir (U16), then the extra bytes by their own names: F64
 * where they have a scale or an offset, their own type otherwise. Waveform packets are not
 * made columns. A compressed file is PTV3_UNSUPPORTED here: LASzip wants a path. */
int pt_las_read(struct pt_env *env, struct pt_cursor *c, const struct pt_las_select *select,
                struct pt_table *t, struct ptv3_error *err);

/* The same from a path, LAS or LAZ; which of the two, the header says. */
int pt_las_read_file(struct pt_env *env, const char *path, const struct pt_las_select *select,
                     struct pt_table *t, struct ptv3_error *err);

/* The same a range of points at a time. Compressed points are read in their order: a range
 * before the last one starts again at the first. What was read of a LAS file no longer counts
 * as memory in use. path stays alive as long as the reader; _close allows NULL. */
struct pt_las_reader;
int pt_las_open(struct pt_env *env, const char *path, const struct pt_las_select *select,
                struct pt_las_reader **out, struct ptv3_error *err);
int64_t pt_las_count(const struct pt_las_reader *r); /* points of the file */

/* Points first .. first + count - 1, which are in the file, to a new table. */
int pt_las_take(struct pt_las_reader *r, int64_t first, int64_t count, struct pt_table *t,
                struct ptv3_error *err);
void pt_las_close(struct pt_las_reader *r);

/* Bytes of a point of format 0 to 10 without extra bytes. */
int64_t pt_las_record_size(int format);

/* ---- writing (las_write.c) ---- */

/* Both take arrays of all points, or of PT_LAS_BLOCK at a time: then fetch is called before
 * points first .. first + count - 1 are written (pt_las_write: looked at, too), for blocks that
 * ascend from 0, and puts them into the arrays from their start on. */
enum { PT_LAS_BLOCK = 8192 };
typedef int pt_las_fetch(void *user, int64_t first, int64_t count, struct ptv3_error *err);

/* What to change when a file is written again; n must be the file's number of points. */
struct pt_las_edit {
  int64_t n;
  const uint8_t *classification; /* [n]; NULL: as it was */
  const float *confidence;       /* [n], 0 to 1; NULL: none is added */
  pt_las_fetch *fetch;           /* NULL: the arrays are of all points */
  void *user;
};

/* Writes in_path again to out_path (they may be the same) with the edit applied: every
 * other bit of every point, every variable length record and everything behind the points
 * is kept, offsets in the header follow. The output is LAZ where out_path ends in .laz,
 * else LAS. Confidence becomes the extra dimension "confidence" (float32), replacing one of
 * that name. Formats 0 to 5 hold classes 0 to 31 only: a larger one is PTV3_DATA, naming
 * it. The index of a COPC file does not survive (a warning says so). Holds a block of
 * points in memory, not the file. */
int pt_las_rewrite(struct pt_env *env, const char *in_path, const char *out_path,
                   const struct pt_las_edit *edit, struct ptv3_error *err);

/* A cloud that was not LAS. NULL arrays are dimensions it does not have. */
struct pt_las_cloud {
  int64_t n;
  const double *coord;           /* [n, 3] */
  const void *color;             /* [n, 3] red green blue */
  enum pt_dtype color_type;      /* U8 (0 to 255, stored times 257) or U16 */
  const uint16_t *intensity;     /* [n] */
  const uint8_t *classification; /* [n] */
  const float *confidence;       /* [n], 0 to 1 */
  pt_las_fetch *fetch;           /* NULL: the arrays are of all points */
  void *user;
};

/* Writes it as LAS (LAZ where path ends in .laz) 1.4, point format 6, or 7 with colour. The
 * coordinates are stored in steps of 1 mm, or in finer decimal steps where the cloud has
 * less than a million of them across. A cloud too wide for 2^31 steps of 1 mm is PTV3_DATA,
 * naming its extent; so is a coordinate that is not finite. */
int pt_las_write(struct pt_env *env, const char *path, const struct pt_las_cloud *cloud,
                 struct ptv3_error *err);

#endif
