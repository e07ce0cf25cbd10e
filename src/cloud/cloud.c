/* cloud.c - see cloud.h. */
#include "cloud.h"

#include <stdio.h>
#include <string.h>

/* Pointcept's index_valid_keys (pointcept/datasets/transform.py, index_operator), and the
 * two that GridSample adds to them. */
static bool follows_points(const char *name) {
  static const char *const keys[] = {"coord",      "color",      "normal",
                                     "superpoint", "strength",   "segment",
                                     "instance",   "grid_coord", "displacement"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!strcmp(name, keys[i])) return true;
  return false;
}

void pt_cloud_init(struct pt_cloud *c, struct pt_mem *mem, int64_t n) {
  memset(c, 0, sizeof *c);
  c->mem = mem;
  c->n = c->n_origin = c->n_input = n;
}

/* Gives a channel other data, NULL for none. */
static void replace(struct pt_cloud *c, struct pt_channel *ch, void *data) {
  if (!ch->borrowed) pt_free(c->mem, ch->data);
  ch->borrowed = false;
  ch->data = data;
}

void pt_cloud_free(struct pt_cloud *c) {
  for (int i = 0; c->mem && i < PT_CLOUD_CHANNELS; i++) replace(c, &c->channel[i], NULL);
  if (c->mem) pt_free(c->mem, c->source);
  memset(c, 0, sizeof *c);
}

struct pt_channel *pt_cloud_find(const struct pt_cloud *c, const char *name) {
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++)
    if (c->channel[i].data && !strcmp(c->channel[i].name, name))
      return (struct pt_channel *)&c->channel[i];
  return NULL;
}

struct pt_channel *pt_cloud_need(const struct pt_cloud *c, const char *name, const char *what,
                                 struct ptv3_error *err) {
  struct pt_channel *ch = pt_cloud_find(c, name);
  if (!ch)
    pt_fail(err, PTV3_DATA, "%s needs the channel '%s', which the cloud does not have", what,
            name);
  return ch;
}

/* The channel of this name, or a free one. */
static struct pt_channel *place_for(struct pt_cloud *c, const char *name, int width,
                                    struct ptv3_error *err) {
  if (strlen(name) >= sizeof c->channel[0].name || width < 1) {
    pt_fail(err, PTV3_INVALID, "'%.60s' of width %d cannot be a channel of a cloud", name,
            width);
    return NULL;
  }
  struct pt_channel *ch = pt_cloud_find(c, name);
  for (int i = 0; !ch && i < PT_CLOUD_CHANNELS; i++)
    if (!c->channel[i].data) ch = &c->channel[i];
  if (!ch)
    pt_fail(err, PTV3_UNSUPPORTED, "no room for the channel '%s': a cloud has at most %d", name,
            PT_CLOUD_CHANNELS);
  return ch;
}

struct pt_channel *pt_cloud_give(struct pt_cloud *c, const char *name, enum pt_dtype type,
                                 int width, int64_t n, void *data, struct ptv3_error *err) {
  struct pt_channel *ch = place_for(c, name, width, err);
  if (!ch) return NULL;
  replace(c, ch, NULL);
  *ch = (struct pt_channel){.type = type, .width = width, .n = n, .data = data};
  snprintf(ch->name, sizeof ch->name, "%s", name);
  return ch;
}

struct pt_channel *pt_cloud_add_rows(struct pt_cloud *c, const char *name, enum pt_dtype type,
                                     int width, int64_t n, struct ptv3_error *err) {
  void *data = pt_alloc(c->mem, n, width * pt_dtype(type)->bytes, PT_MEM_CLOUD, err);
  if (!data) return NULL;
  struct pt_channel *ch = pt_cloud_give(c, name, type, width, n, data, err);
  if (!ch) pt_free(c->mem, data);
  return ch;
}

struct pt_channel *pt_cloud_add(struct pt_cloud *c, const char *name, enum pt_dtype type,
                                int width, struct ptv3_error *err) {
  struct pt_channel *ch = pt_cloud_add_rows(c, name, type, width, c->n, err);
  if (ch) ch->indexed = follows_points(name);
  return ch;
}

void pt_cloud_remove(struct pt_cloud *c, const char *name) {
  struct pt_channel *ch = pt_cloud_find(c, name);
  if (!ch) return;
  replace(c, ch, NULL);
  memset(ch, 0, sizeof *ch);
}

int pt_cloud_convert(struct pt_cloud *c, struct pt_channel *ch, enum pt_dtype type,
                     struct ptv3_error *err) {
  if (ch->type == type) return PTV3_OK;
  void *data = pt_alloc(c->mem, ch->n, ch->width * pt_dtype(type)->bytes, PT_MEM_CLOUD, err);
  if (!data) return pt_status(err);
  pt_convert(data, type, ch->data, ch->type, ch->n * ch->width);
  replace(c, ch, data);
  ch->type = type;
  return PTV3_OK;
}

int pt_cloud_copy_channel(struct pt_cloud *c, const char *from, const char *to,
                          struct ptv3_error *err) {
  const struct pt_channel *src = pt_cloud_need(c, from, "Copy", err);
  if (!src) return PTV3_DATA;
  if (!strcmp(from, to)) return PTV3_OK;
  struct pt_channel *dst = pt_cloud_add_rows(c, to, src->type, src->width, src->n, err);
  if (!dst) return pt_status(err);
  dst->indexed = src->n == c->n && follows_points(to);
  memcpy(dst->data, src->data, (size_t)(src->n * src->width * pt_dtype(src->type)->bytes));
  return PTV3_OK;
}

/* dst row j = src row index[j]; size bytes a row. */
static void gather(void *dst, const void *src, const int32_t *index, int64_t m, int64_t size) {
  if (size == 4) {
    for (int64_t j = 0; j < m; j++) ((uint32_t *)dst)[j] = ((const uint32_t *)src)[index[j]];
    return;
  }
  for (int64_t j = 0; j < m; j++)
    memcpy((char *)dst + j * size, (const char *)src + index[j] * size, (size_t)size);
}

int pt_cloud_select(struct pt_cloud *c, const int32_t *index, int64_t m,
                    struct ptv3_error *err) {
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    struct pt_channel *ch = &c->channel[i];
    if (!ch->data || !ch->indexed) continue;
    int64_t size = ch->width * pt_dtype(ch->type)->bytes;
    void *data = pt_alloc(c->mem, m, size, PT_MEM_CLOUD, err);
    if (!data) return pt_status(err);
    gather(data, ch->data, index, m, size);
    replace(c, ch, data);
    ch->n = m;
  }
  c->n = m;
  return PTV3_OK;
}

void pt_cloud_borrow(struct pt_cloud *dst, const struct pt_cloud *src) {
  *dst = *src;
  dst->source = NULL;
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) dst->channel[i].borrowed = true;
}

int pt_cloud_own(struct pt_cloud *c, struct pt_channel *ch, struct ptv3_error *err) {
  int64_t size = ch->width * pt_dtype(ch->type)->bytes;
  if (!ch->borrowed) return PTV3_OK;
  void *data = pt_alloc(c->mem, ch->n, size, PT_MEM_CLOUD, err);
  if (!data) return pt_status(err);
  memcpy(data, ch->data, (size_t)(ch->n * size));
  replace(c, ch, data);
  return PTV3_OK;
}

int pt_cloud_copy(struct pt_cloud *dst, const struct pt_cloud *src, struct ptv3_error *err) {
  *dst = *src;
  dst->source = NULL;
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    dst->channel[i].data = NULL;
    dst->channel[i].borrowed = false;
  }
  if (src->source) {
    dst->source = pt_alloc(src->mem, src->n_origin, sizeof *dst->source, PT_MEM_CLOUD, err);
    if (!dst->source) goto fail;
    memcpy(dst->source, src->source, (size_t)src->n_origin * sizeof *dst->source);
  }
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    const struct pt_channel *ch = &src->channel[i];
    if (!ch->data) continue;
    int64_t size = ch->width * pt_dtype(ch->type)->bytes;
    void *data = pt_alloc(src->mem, ch->n, size, PT_MEM_CLOUD, err);
    if (!data) goto fail;
    memcpy(data, ch->data, (size_t)(ch->n * size));
    dst->channel[i].data = data;
  }
  return PTV3_OK;
fail:
  pt_cloud_free(dst);
  return pt_status(err);
}
