/* load.h - from a file's columns to a cloud: which column is which channel, units, the
 * offset, unusable points, what to do about missing channels.
 *
 * Columns are found by these names, letters compared without case, a leading "scalar_"
 * (CloudCompare) left out:
 *   coord     coord | x y z
 *   color     color | colors | red green blue | r g b | diffuse_red ...
 *   normal    normal | normals | nx ny nz | normal_x normal_y normal_z
 *   strength  strength | intensity | remission | reflectance | i
 *   segment   segment | semantic | label | labels | classification | class
 *   instance  instance | instance_id
 * and any other channel by its own name.
 *
 * Units. Coordinates: metres, as they are; where the file has more than float32 (doubles, LAS)
 * and a coordinate lies beyond 10 km, floor(min) of each axis is taken off in double first
 * (float32 is then exact to 0.5 mm up to 8 km of extent). Colours: 0..255; 16-bit ones with any
 * value above 255 are divided by 256 (so that 8-bit values stored times 256 or 257 come back
 * exactly), floats that all lie within 0..1 are multiplied by 255. Strength: integers are
 * divided by their type's largest value (255, 65535), floats stay. In Pointcept's folders of
 * .npy files float channels stay as they are. */
#ifndef PT_LOAD_H
#define PT_LOAD_H

#include <stdbool.h>

#include "clean.h"
#include "cloud.h"
#include "env.h"
#include "normals.h"
#include "read.h"
#include "table.h"

/* A label of the file (0 .. n-1) to a class; PT_LABEL_UNKNOWN: the data set has no such. */
#define PT_LABEL_UNKNOWN INT32_MIN

struct pt_label_map {
  const char *name; /* "SemanticKITTI", for messages */
  int32_t n;
  const int32_t *to; /* [n] class, or the ignored label */
  int32_t other;     /* what labels outside 0 .. n-1 become */
};

/* --fill NAME=v or NAME=v,v,v */
struct pt_fill {
  char name[32];
  int n; /* 1 .. 4 numbers */
  double value[4];
};

struct pt_load {
  const char *const *want; /* [n_want] channels that must be there, besides coord */
  int n_want;
  const char *const *also; /* [n_also] channels that are loaded where the file has them */
  int n_also;
  bool labels;                    /* also "segment", where the file has it */
  const char *segment;            /* name of the column with the labels; NULL: see above */
  bool scannet;                   /* with segment NULL: also ScanNet's segment20, segment200 */
  const struct pt_label_map *map; /* NULL: labels are classes already */
  const struct pt_fill *fill;     /* [n_fill] for channels that are missing */
  int n_fill;
  int normals;                     /* neighbours to estimate missing normals from; 0: do not */
  enum pt_normal_side normal_side; /* of those */
  double strength;                 /* factor for strengths stored as floats; 0: 1 */
  double grid_size;                /* metres, for the rule on far outliers; 0: not known */
};

/* Reads "color=128,128,128". */
int pt_fill_parse(const char *text, struct pt_fill *fill, struct ptv3_error *err);

/* Turns a table into a cloud and frees the table, on failure too. name: the file, for
 * messages. as_is: no colour or strength scaling of floats (Pointcept's folders). */
int pt_cloud_from_table(struct pt_env *env, struct pt_table *t, const char *name, bool as_is,
                        const struct pt_load *opt, struct pt_cloud *c, struct ptv3_error *err);

/* The same for a table that comes in runs of rows: what holds for all of them (which points
 * can be used, the offset, the scale of colours) is found first.
 *
 *   pt_scan_begin(&s, env, name, as_is, opt, rows, &err);
 *   do
 *     for each run: pt_scan_look(&s, &table, first, keep, &err);
 *   while (pt_scan_again(&s));
 *   pt_scan_end(&s, &err);
 *   for each run, in any order: pt_scan_load(&s, &table, first, keep, &cloud, &err);
 *   pt_scan_free(&s);
 */
struct pt_scan {
  struct pt_env *env;
  const char *name;          /* the caller's */
  bool as_is;                /* as above */
  const struct pt_load *opt; /* the caller's */
  struct pt_clean clean;
  double offset[3];                   /* metres taken off the coordinates */
  bool exact;                         /* coordinates are stored in types that float32 holds */
  double brightest, brightest_before; /* largest number of the colours; see pt_clean.undone */
};

int pt_scan_begin(struct pt_scan *s, struct pt_env *env, const char *name, bool as_is,
                  const struct pt_load *opt, int64_t rows, struct ptv3_error *err);
void pt_scan_free(struct pt_scan *s); /* a zeroed one is allowed */

/* The run of rows from `first` on; keep[t->n] is scratch. */
int pt_scan_look(struct pt_scan *s, const struct pt_table *t, int64_t first, uint8_t *keep,
                 struct ptv3_error *err);
bool pt_scan_again(struct pt_scan *s);
int pt_scan_end(struct pt_scan *s, struct ptv3_error *err);

/* A run as a cloud: its source counts from the run's first row, NULL where all are kept. The
 * table is freed, on failure too. */
int pt_scan_load(const struct pt_scan *s, struct pt_table *t, int64_t first, uint8_t *keep,
                 struct pt_cloud *c, struct ptv3_error *err);

/* Corners of the box around all loaded points, as pt_scan_load makes coordinates. */
void pt_scan_box(const struct pt_scan *s, float lo[3], float hi[3]);

/* The columns that pt_scan_load looks for, into name[max], the coordinates' first; how many. */
int pt_load_columns(const struct pt_load *opt, const char **name, int max);

/* Reads a file of any format known (read.h), or a folder with coord.npy in it, of which only
 * the arrays in use are read, as of a LAS file the dimensions in use. read: NULL for none. */
int pt_cloud_load(struct pt_env *env, const char *path, const struct pt_read_options *read,
                  const struct pt_load *opt, struct pt_cloud *c, struct ptv3_error *err);

/* PTV3_DATA naming the first label that is neither 0 .. classes-1 nor ignore, and how many
 * there are; a cloud without labels is fine. */
int pt_cloud_check_labels(const struct pt_cloud *c, const char *channel, int classes,
                          int32_t ignore, const char *name, struct ptv3_error *err);

#endif
