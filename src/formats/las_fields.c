/* las_fields.c - see las_fields.h. */
#include "las_fields.h"

#include <stdio.h>
#include <string.h>

#include "half.h"

static const struct pt_las_layout layouts[PT_LAS_LAST_FORMAT + 1] = {
    {20, -1, -1, -1, -1}, {28, 20, -1, -1, -1}, {26, -1, 20, -1, -1}, {34, 20, 28, -1, -1},
    {57, 20, -1, -1, 28}, {63, 20, 28, -1, 34}, {30, 22, -1, -1, -1}, {36, 22, 30, -1, -1},
    {38, 22, 30, 36, -1}, {59, 22, -1, -1, 30}, {67, 22, 30, 36, 38},
};

const struct pt_las_layout *pt_las_layout(int format) { return &layouts[format]; }

int64_t pt_las_record_size(int format) { return layouts[format].size; }

/* A field of the part of the record that formats 0 to 5, or 6 to 10, have in common. */
struct common {
  const char *name;
  enum pt_dtype type;
  enum pt_las_kind kind;
  uint8_t at, shift, mask;
  enum pt_dtype stored;
  double scale;
};

#define BITS(name, at, shift, mask) \
  { name, PT_U8, PT_LAS_BITS, at, shift, mask, PT_U8, 1 }
#define RAW(name, type, at) \
  { name, type, PT_LAS_RAW, at, 0, 0, type, 1 }

static const struct common old_fields[] = {
    RAW("intensity", PT_U16, 12),
    BITS("return_number", 14, 0, 7),
    BITS("number_of_returns", 14, 3, 7),
    BITS("scan_direction_flag", 14, 6, 1),
    BITS("edge_of_flight_line", 14, 7, 1),
    BITS("classification", 15, 0, 31),
    BITS("synthetic", 15, 5, 1),
    BITS("key_point", 15, 6, 1),
    BITS("withheld", 15, 7, 1),
    {"scan_angle", PT_F32, PT_LAS_NUMBER, 16, 0, 0, PT_I8, 1},
    RAW("user_data", PT_U8, 17),
    RAW("point_source_id", PT_U16, 18),
};

static const struct common new_fields[] = {
    RAW("intensity", PT_U16, 12),
    BITS("return_number", 14, 0, 15),
    BITS("number_of_returns", 14, 4, 15),
    BITS("scan_direction_flag", 15, 6, 1),
    BITS("edge_of_flight_line", 15, 7, 1),
    RAW("classification", PT_U8, 16),
    BITS("synthetic", 15, 0, 1),
    BITS("key_point", 15, 1, 1),
    BITS("withheld", 15, 2, 1),
    BITS("overlap", 15, 3, 1),
    BITS("scanner_channel", 15, 4, 3),
    {"scan_angle", PT_F32, PT_LAS_NUMBER, 18, 0, 0, PT_I16, 0.006},
    RAW("user_data", PT_U8, 17),
    RAW("point_source_id", PT_U16, 20),
};

static void set_field(struct pt_las_field *f, const struct common *s) {
  *f = (struct pt_las_field){.type = s->type, .width = 1, .kind = s->kind, .at = s->at};
  snprintf(f->name, sizeof f->name, "%s", s->name);
  f->shift = s->shift;
  f->mask = s->mask;
  f->stored = s->stored;
  f->scale[0] = s->scale;
}

/* A field that only some formats have; at < 0: this one has not. */
static void set_optional(struct pt_las_field *f, const char *name, enum pt_dtype type, int at) {
  *f = (struct pt_las_field){.type = type, .width = 1, .kind = PT_LAS_RAW, .stored = type};
  f->at = at;
  if (at >= 0) snprintf(f->name, sizeof f->name, "%s", name);
}

bool pt_las_standard_field(const struct pt_las_header *h, int i, struct pt_las_field *f) {
  static const char *const axis[3] = {"x", "y", "z"}, *const rgb[3] = {"red", "green", "blue"};
  const struct pt_las_layout *l = &layouts[h->format];
  const struct common *list = h->format < 6 ? old_fields : new_fields;
  int count = (int)((h->format < 6 ? sizeof old_fields : sizeof new_fields) / sizeof *list);
  if (i < 3) {
    set_field(f, &(struct common){axis[i], PT_F64, PT_LAS_NUMBER, (uint8_t)(4 * i), 0, 0,
                                  PT_I32, h->scale[i]});
    f->offset[0] = h->offset[i];
    return true;
  }
  i -= 3;
  if (i < count) {
    set_field(f, &list[i]);
    return true;
  }
  i -= count;
  if (i == 0)
    set_optional(f, "gps_time", PT_F64, l->gps);
  else if (i < 4)
    set_optional(f, rgb[i - 1], PT_U16, l->rgb < 0 ? -1 : l->rgb + 2 * (i - 1));
  else
    set_optional(f, "nir", PT_U16, l->nir);
  return i <= 4;
}

enum pt_dtype pt_las_extra_type(int type) {
  static const enum pt_dtype types[11] = {PT_U8,  PT_U8,  PT_I8,  PT_U16, PT_I16, PT_U32,
                                          PT_I32, PT_U64, PT_I64, PT_F32, PT_F64};
  return types[type];
}

void pt_las_extra_field(const struct pt_las_extra *e, struct pt_las_field *f) {
  *f = (struct pt_las_field){.width = e->width, .kind = PT_LAS_RAW, .at = e->at};
  snprintf(f->name, sizeof f->name, "%s", e->name[0] ? e->name : "extra_bytes");
  f->stored = f->type = pt_las_extra_type(e->type);
  if (!(e->options & 24)) return;
  f->kind = PT_LAS_NUMBER;
  f->type = PT_F64;
  memcpy(f->scale, e->scale, sizeof f->scale);
  memcpy(f->offset, e->offset, sizeof f->offset);
}

/* ---- gathering ---- */

static double le_number(const uint8_t *p, enum pt_dtype type) {
  switch (type) {
    case PT_U8: return p[0];
    case PT_I8: return (int8_t)p[0];
    case PT_U16: return pt_le16(p);
    case PT_I16: return (int16_t)pt_le16(p);
    case PT_U32: return pt_le32(p);
    case PT_I32: return (int32_t)pt_le32(p);
    case PT_U64: return (double)pt_le64(p);
    case PT_I64: return (double)(int64_t)pt_le64(p);
    case PT_F32: return (double)pt_bits_float(pt_le32(p));
    default: break;
  }
  uint64_t u = pt_le64(p);
  double d;
  memcpy(&d, &u, sizeof d);
  return d;
}

/* Coordinates are most of the work of a file, so they have a loop of their own. */
static void gather_coord(const struct pt_las_field *f, const uint8_t *p, int64_t record,
                         int64_t count, double *out) {
  double scale = f->scale[0], offset = f->offset[0];
  for (int64_t i = 0; i < count; i++)
    out[i] = (int32_t)pt_le32(p + i * record) * scale + offset;
}

static void gather_numbers(const struct pt_las_field *f, const uint8_t *p, int64_t record,
                           int64_t count, void *out) {
  int64_t bytes = pt_dtype(f->stored)->bytes;
  for (int64_t i = 0; i < count; i++)
    for (int k = 0; k < f->width; k++) {
      double v = le_number(p + i * record + k * bytes, f->stored) * f->scale[k] + f->offset[k];
      if (f->type == PT_F32)
        ((float *)out)[i * f->width + k] = (float)v;
      else
        ((double *)out)[i * f->width + k] = v;
    }
}

static void gather_raw(const struct pt_las_field *f, const uint8_t *p, int64_t record,
                       int64_t count, void *out) {
  int64_t bytes = pt_dtype(f->type)->bytes, w = f->width;
  for (int64_t i = 0; i < count; i++, p += record)
    for (int64_t k = 0; k < w; k++) switch (bytes) {
        case 1: ((uint8_t *)out)[i * w + k] = p[k]; break;
        case 2: ((uint16_t *)out)[i * w + k] = pt_le16(p + 2 * k); break;
        case 4: ((uint32_t *)out)[i * w + k] = pt_le32(p + 4 * k); break;
        default: ((uint64_t *)out)[i * w + k] = pt_le64(p + 8 * k); break;
      }
}

void pt_las_gather(const struct pt_las_field *f, const uint8_t *records, int64_t record,
                   int64_t count, void *out) {
  const uint8_t *p = records + f->at;
  if (f->kind == PT_LAS_BITS)
    for (int64_t i = 0; i < count; i++)
      ((uint8_t *)out)[i] = (uint8_t)(p[i * record] >> f->shift & f->mask);
  else if (f->kind == PT_LAS_RAW)
    gather_raw(f, p, record, count, out);
  else if (f->stored == PT_I32 && f->type == PT_F64 && f->width == 1)
    gather_coord(f, p, record, count, out);
  else
    gather_numbers(f, p, record, count, out);
}
