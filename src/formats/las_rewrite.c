/* las_rewrite.c - a LAS or LAZ file written again with new classes and a confidence.
 *
 * The source is read and written block by block. What is not edited is copied as bytes, so
 * that it cannot change. See pt_las_rewrite in las.h; how the parts of a file are put
 * together is las_out.c's. Source: LAS Specification 1.4-R15. */
#include <string.h>
#include <strings.h>

#include "las_fields.h"
#include "las_out.h"
#include "size.h"

enum { BLOCK = PT_LAS_BLOCK, PROGRESS_BLOCKS = 128, DESCRIPTION = 192, MAX_VLR = 65535 };

struct rewrite {
  struct pt_env *env;
  struct pt_map map;
  struct pt_cursor c;
  struct pt_las_header h; /* of the source */
  const struct pt_las_edit *edit;
  struct pt_las_out w;
  /* Where the confidence goes: in front of byte `at` of a source record, in place of `old`
   * bytes of it. */
  int64_t at, old;
  int64_t described_at; /* its description in the source, -1: it gets a new one */
  int64_t undescribed;  /* extra bytes of the source that no description covers */
  int64_t tail_at;      /* what is behind the points of the source, to its end */
  bool drop_copc;       /* extended records of COPC are left out of the tail */
};

/* ---- what goes where ---- */

/* The classes of n points, the first of them point `first`. */
static int check_classes(const struct rewrite *r, int64_t first, int64_t n,
                         struct ptv3_error *err) {
  const uint8_t *c = r->edit->classification;
  for (int64_t i = 0; c && r->h.format < 6 && i < n; i++)
    if (c[i] > 31)
      return pt_fail(err, PTV3_DATA,
                     "'%s': class %d of point %lld does not fit point format %d, which holds 0 "
                     "to 31; convert the file to point format 6 or above first",
                     r->c.name, c[i], (long long)(first + i), r->h.format);
  return PTV3_OK;
}

static int check_edit(const struct rewrite *r, struct ptv3_error *err) {
  const struct pt_las_edit *e = r->edit;
  if (e->n != r->h.n)
    return pt_fail(err, PTV3_INVALID, "'%s': %lld labels for %lld points", r->c.name,
                   (long long)e->n, (long long)r->h.n);
  return e->fetch ? PTV3_OK : check_classes(r, 0, e->n, err);
}

static int plan_confidence(struct rewrite *r, struct ptv3_error *err) {
  struct pt_las_extra *list;
  int count;
  bool complete;
  int status = pt_las_extras(r->env, &r->c, &r->h, &list, &count, &complete, err);
  if (status) return status;
  int64_t described = pt_las_record_size(r->h.format);
  r->at = r->h.record;
  r->described_at = -1;
  for (int i = 0; i < count; i++) {
    described = list[i].at + list[i].bytes;
    if (strcasecmp(list[i].name, "confidence") != 0 || r->described_at >= 0) continue;
    r->at = list[i].at;
    r->old = list[i].bytes;
    r->described_at = list[i].described_at;
  }
  pt_free(&r->env->mem, list);
  if (!complete)
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "'%s': its extra bytes are described wrongly, so no dimension can be added",
                   r->c.name);
  if (r->described_at < 0) r->undescribed = r->h.record - described;
  if (r->h.record - r->old + 4 > UINT16_MAX)
    return pt_fail(err, PTV3_UNSUPPORTED, "'%s': its points have no room for a dimension more",
                   r->c.name);
  return PTV3_OK;
}

/* Finds what is behind the points, and what of it is kept. */
static int plan_tail(struct rewrite *r, struct ptv3_error *err) {
  const struct pt_las_header *h = &r->h;
  struct pt_las_vlr v = {.end = h->evlr_at};
  int64_t first = pt_min(h->evlr_count > 0 ? h->evlr_at : r->c.size,
                         h->wave_at > 0 ? h->wave_at : r->c.size);
  int64_t dropped = 0, dropped_before_wave = 0;
  r->tail_at = h->compressed ? first : h->points_at + h->n * h->record;
  if (first < r->tail_at || first < h->points_at)
    return pt_fail_at(err, PTV3_FORMAT, first,
                      "'%s': its extended records start at byte %lld, amid the points",
                      r->c.name, (long long)first);
  r->w.evlr_count = h->evlr_count;
  for (int64_t i = 0; i < h->evlr_count; i++) {
    int status = pt_las_vlr_at(&r->c, v.end, r->c.size, true, &v, err);
    if (status) return status;
    if (strcmp(v.user, "copc") != 0) continue;
    r->drop_copc = true;
    r->w.evlr_count--;
    dropped += v.end - v.at;
    if (v.at < h->wave_at) dropped_before_wave = dropped;
  }
  r->w.evlr_at = h->evlr_count > 0 ? h->evlr_at - r->tail_at : 0;
  if (h->wave_at > 0) r->w.wave_at = h->wave_at - r->tail_at - dropped_before_wave;
  return PTV3_OK;
}

/* ---- variable length records ---- */

static bool is_extra_bytes(const struct pt_las_vlr *v) {
  return v->id == 4 && strcmp(v->user, "LASF_Spec") == 0;
}

/* The descriptions that a new confidence needs: of the bytes in front of it that have none
 * (type 0, at most 255 bytes each), then its own. */
static int64_t new_descriptions(const struct rewrite *r) {
  return DESCRIPTION * (pt_div_up(r->undescribed, 255) + 1);
}

static void describe_new(const struct rewrite *r, uint8_t *p) {
  memset(p, 0, (size_t)new_descriptions(r));
  for (int64_t left = r->undescribed; left > 0; left -= 255, p += DESCRIPTION) {
    p[3] = (uint8_t)pt_min(left, 255);
    memcpy(p + 4, "undescribed", 11);
  }
  pt_las_describe_confidence(p);
}

/* Adds the new descriptions to the record that starts at byte `at` of the output's records
 * and is their last, or in a new record where that has no room or there is none (at < 0). */
static int add_descriptions(struct rewrite *r, int64_t at, struct ptv3_error *err) {
  struct pt_las_out *w = &r->w;
  int64_t size = new_descriptions(r), data_at;
  int64_t before = at >= 0 ? pt_le16(w->vlrs.data + at + 20) : 0;
  int status;
  if (at >= 0 && before % DESCRIPTION == 0 && before + size <= MAX_VLR) {
    if ((status = pt_bytes_add(&w->env->mem, &w->vlrs, NULL, size, err))) return status;
    data_at = at + 54 + before;
    pt_put16(w->vlrs.data + at + 20, (uint16_t)(before + size));
    int64_t behind = w->vlrs.size - size - data_at;
    memmove(w->vlrs.data + data_at + size, w->vlrs.data + data_at, (size_t)behind);
  } else {
    if (size > MAX_VLR)
      return pt_fail(err, PTV3_UNSUPPORTED, "'%s': %lld bytes a point without a description",
                     r->c.name, (long long)r->undescribed);
    status = pt_las_add_vlr(w, "LASF_Spec", 4, "extra bytes", size, &data_at, err);
    if (status) return status;
  }
  describe_new(r, w->vlrs.data + data_at);
  return PTV3_OK;
}

/* Copies the variable length records that hold in the new file. */
static int copy_vlrs(struct rewrite *r, struct ptv3_error *err) {
  struct pt_las_out *w = &r->w;
  struct pt_las_vlr v = {.end = r->h.size};
  int64_t extra_at = -1;
  bool copc = r->drop_copc;
  for (int64_t i = 0; i < r->h.vlr_count; i++) {
    int status = pt_las_vlr_at(&r->c, v.end, r->h.points_at, false, &v, err);
    if (status) return status;
    if (v.id == PT_LAZ_ID && strcmp(v.user, PT_LAZ_USER) == 0) continue;
    if (strcmp(v.user, "copc") == 0) {
      copc = true;
      continue;
    }
    int64_t at = w->vlrs.size;
    if (is_extra_bytes(&v)) extra_at = at;
    status = pt_bytes_add(&w->env->mem, &w->vlrs, r->c.data + v.at, v.end - v.at, err);
    if (status) return status;
    w->vlr_count++;
    if (r->edit->confidence && r->described_at >= v.data_at && r->described_at < v.end)
      pt_las_describe_confidence(w->vlrs.data + at + (r->described_at - v.at));
  }
  if (copc)
    pt_warn(r->env, "'%s': the index that makes it a COPC file is left out of '%s'", r->c.name,
            w->path);
  w->gap = r->c.data + v.end;
  w->gap_size = r->h.points_at - v.end;
  return r->edit->confidence && r->described_at < 0 ? add_descriptions(r, extra_at, err)
                                                    : PTV3_OK;
}

/* ---- points ---- */

/* first: of the edit's arrays. */
static void edit_points(const struct rewrite *r, const uint8_t *in, uint8_t *out, int64_t first,
                        int64_t count) {
  const struct pt_las_edit *e = r->edit;
  size_t front = (size_t)r->at, back = (size_t)(r->h.record - r->at - r->old);
  bool old_format = r->h.format < 6;
  for (int64_t i = first; i < first + count; i++, in += r->h.record, out += r->w.h.record) {
    memcpy(out, in, front);
    if (e->confidence) pt_las_put_float(out + front, e->confidence[i]);
    memcpy(out + r->w.h.record - back, in + r->h.record - (int64_t)back, back);
    if (e->classification && old_format)
      out[15] = (uint8_t)((in[15] & 0xe0) | e->classification[i]);
    else if (e->classification)
      out[16] = e->classification[i];
  }
}

static int fetch(const struct rewrite *r, int64_t first, int64_t count,
                 struct ptv3_error *err) {
  int status = r->edit->fetch(r->edit->user, first, count, err);
  return status ? status : check_classes(r, first, count, err);
}

static int copy_points(struct rewrite *r, const char *in_path, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_mem *mem = &r->env->mem;
  struct pt_laz *zip = NULL;
  uint8_t *in = NULL, *out = pt_alloc(mem, BLOCK, r->w.h.record, PT_MEM_OTHER, &e);
  if (!e.status && r->h.compressed) in = pt_alloc(mem, BLOCK, r->h.record, PT_MEM_OTHER, &e);
  if (!e.status && r->h.compressed) pt_laz_reader(mem, in_path, &r->h, &zip, &e);
  for (int64_t i = 0; i < r->h.n && !e.status; i += BLOCK) {
    int64_t count = pt_min(BLOCK, r->h.n - i);
    if (i / BLOCK % PROGRESS_BLOCKS == 0) pt_progress(r->env, "writing points", i, r->h.n, &e);
    if (!e.status && zip) pt_laz_read(zip, in, count, &e);
    if (!e.status && r->edit->fetch) fetch(r, i, count, &e);
    if (e.status) break;
    const uint8_t *from = zip ? in : r->c.data + r->h.points_at + i * r->h.record;
    edit_points(r, from, out, r->edit->fetch ? 0 : i, count);
    if (!zip) pt_map_drop(&r->map, from, from + count * r->h.record);
    pt_las_put(&r->w, out, count, &e);
  }
  pt_laz_close(zip);
  pt_free(mem, in);
  pt_free(mem, out);
  if (e.status && err) *err = e;
  return e.status;
}

static int copy_tail(struct rewrite *r, struct ptv3_error *err) {
  struct pt_las_vlr v = {.end = r->h.evlr_at};
  if (!r->drop_copc) {
    pt_write_mapped(&r->w.out, &r->map, r->tail_at, r->c.size - r->tail_at);
    return PTV3_OK;
  }
  pt_write_mapped(&r->w.out, &r->map, r->tail_at, r->h.evlr_at - r->tail_at);
  for (int64_t i = 0; i < r->h.evlr_count; i++) {
    int status = pt_las_vlr_at(&r->c, v.end, r->c.size, true, &v, err);
    if (status) return status;
    if (strcmp(v.user, "copc") != 0) pt_write(&r->w.out, r->c.data + v.at, v.end - v.at);
  }
  pt_write_mapped(&r->w.out, &r->map, v.end, r->c.size - v.end);
  return PTV3_OK;
}

/* ---- all of it ---- */

static int plan(struct rewrite *r, struct ptv3_error *err) {
  int status = pt_las_parse(&r->c, &r->h, err);
  if (status || (status = check_edit(r, err))) return status;
  r->at = r->h.record;
  r->described_at = -1;
  if (r->edit->confidence && (status = plan_confidence(r, err))) return status;
  if ((status = plan_tail(r, err))) return status;
  r->w.h = r->h;
  r->w.h.record += (r->edit->confidence ? 4 : 0) - r->old;
  status = pt_bytes_add(&r->env->mem, &r->w.header, r->c.data, r->h.size, err);
  return status ? status : copy_vlrs(r, err);
}

int pt_las_rewrite(struct pt_env *env, const char *in_path, const char *out_path,
                   const struct pt_las_edit *edit, struct ptv3_error *err) {
  struct rewrite r = {.env = env, .edit = edit};
  int status = pt_map_open(&r.map, in_path, err);
  if (status) return status;
  r.c = pt_cursor_of(&r.map);
  pt_las_out_init(&r.w, env, out_path);
  if (!(status = plan(&r, err)) && !(status = pt_las_begin(&r.w, err)) &&
      !(status = copy_points(&r, in_path, err)) && !(status = pt_las_end(&r.w, err)) &&
      !(status = copy_tail(&r, err)))
    status = pt_las_commit(&r.w, err);
  pt_las_out_free(&r.w);
  pt_map_close(&r.map);
  return status;
}
