/* cloud.h - a point cloud in memory: named channels over the points, a row a point.
 *
 * It is what Pointcept's data_dict is: "coord", "color", "normal", "strength", "segment",
 * "instance", and what the transforms add ("grid_coord", "inverse", "origin_segment").
 * A channel that is indexed follows the points when some of them are selected
 * (Pointcept's index_valid_keys); the others keep their rows.
 *
 * It is not a file (formats/table.h), and not the network's input (pipeline.h). */
#ifndef PT_CLOUD_H
#define PT_CLOUD_H

#include <stdbool.h>
#include <stdint.h>

#include "dtype.h"
#include "mem.h"

enum { PT_CLOUD_CHANNELS = 24 };

struct pt_channel {
  char name[32];
  enum pt_dtype type; /* F32; F64 after a rotation; U8 for colours as loaded; I32 labels */
  int width;          /* numbers a row, >= 1 */
  bool indexed;       /* follows the points when they are selected */
  int64_t n;          /* rows: the cloud's n when indexed */
  bool borrowed;      /* data belong to another cloud, and are not written to */
  void *data;         /* [n, width] of type, owned by the cloud unless borrowed */
};

/* Units: coord in metres relative to offset; color 0..255 until it is normalised; normal of
 * length 1; strength as the data set has it; segment and instance -1 where there is none. */
struct pt_cloud {
  struct pt_mem *mem;
  int64_t n;             /* points now */
  int64_t n_origin;      /* points as loaded, before any selection */
  int64_t n_input;       /* rows of the input file, those set aside included */
  int64_t *source;       /* [n_origin] row of the input file of each loaded point, ascending;
                            NULL: row i is point i */
  const char *condition; /* set by the transform Update; a string of the config tree, or NULL */
  double offset[3];      /* metres taken off the coordinates of the file */
  struct pt_channel channel[PT_CLOUD_CHANNELS]; /* those with data NULL are free */
};

/* A cloud of n points without channels, nothing set aside. */
void pt_cloud_init(struct pt_cloud *c, struct pt_mem *mem, int64_t n);
void pt_cloud_free(struct pt_cloud *c); /* a zeroed cloud is allowed */

/* The channel with this name; NULL if there is none. It stays where it is until it is
 * removed or replaced. */
struct pt_channel *pt_cloud_find(const struct pt_cloud *c, const char *name);

/* The same; a missing one is PTV3_DATA with err filled, and what names who asks for it. */
struct pt_channel *pt_cloud_need(const struct pt_cloud *c, const char *name, const char *what,
                                 struct ptv3_error *err);

/* Adds a channel of c->n rows, not cleared, in place of one with this name. Indexed when
 * its name is one of Pointcept's index_valid_keys. NULL with err filled on failure. */
struct pt_channel *pt_cloud_add(struct pt_cloud *c, const char *name, enum pt_dtype type,
                                int width, struct ptv3_error *err);

/* The same with n rows, not indexed. */
struct pt_channel *pt_cloud_add_rows(struct pt_cloud *c, const char *name, enum pt_dtype type,
                                     int width, int64_t n, struct ptv3_error *err);

/* The same with data [n, width] that the cloud then owns; on failure it does not. */
struct pt_channel *pt_cloud_give(struct pt_cloud *c, const char *name, enum pt_dtype type,
                                 int width, int64_t n, void *data, struct ptv3_error *err);

/* Removes a channel; one that is not there is allowed. */
void pt_cloud_remove(struct pt_cloud *c, const char *name);

/* Makes a channel's data of another type (see pt_convert). */
int pt_cloud_convert(struct pt_cloud *c, struct pt_channel *ch, enum pt_dtype type,
                     struct ptv3_error *err);

/* Copies the channel `from`, rows and all, to a channel `to` that is indexed only if its name
 * is one of Pointcept's index_valid_keys. */
int pt_cloud_copy_channel(struct pt_cloud *c, const char *from, const char *to,
                          struct ptv3_error *err);

/* Keeps the points index[0 .. m-1], in this order, in every indexed channel. Needs memory
 * for one channel at a time. On failure the cloud may only be freed. */
int pt_cloud_select(struct pt_cloud *c, const int32_t *index, int64_t m,
                    struct ptv3_error *err);

/* dst becomes a cloud of src's points whose channels are src's own until one is changed: what
 * replaces a channel leaves src as it was, and pt_cloud_own comes before writing into one. src
 * outlives dst. source is left out. */
void pt_cloud_borrow(struct pt_cloud *dst, const struct pt_cloud *src);

/* Makes the data of a channel the cloud's own, so that they can be written to. */
int pt_cloud_own(struct pt_cloud *c, struct pt_channel *ch, struct ptv3_error *err);

/* dst becomes a copy of everything in src. */
int pt_cloud_copy(struct pt_cloud *dst, const struct pt_cloud *src, struct ptv3_error *err);

/* The status of a call that failed with err filled (PTV3_NO_MEMORY when err is NULL). */
static inline int pt_status(const struct ptv3_error *err) {
  return err ? err->status : PTV3_NO_MEMORY;
}

/* Number k of point i of a channel, as double. */
static inline double pt_channel_at(const struct pt_channel *ch, int64_t i, int k) {
  int64_t at = i * ch->width + k;
  if (ch->type == PT_F32) return (double)((const float *)ch->data)[at];
  if (ch->type == PT_F64) return ((const double *)ch->data)[at];
  return pt_load(ch->data, ch->type, at);
}

#endif
