/* laz.c - see laz.h.
 *
 * The declarations below are those parts of LASzip's documented interface (laszip_api.h,
 * versions 3.2 to 3.5) that are the same in all of them: the point, and the head of the
 * header. What follows the head differs between versions and is not touched. */
#include "laz.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "las_fields.h"

struct laszip_point {
  int32_t X, Y, Z;
  uint16_t intensity;
  uint8_t returns; /* return number 3 bits, number of returns 3, direction 1, edge 1 */
  uint8_t classes; /* classification 5 bits, synthetic 1, key point 1, withheld 1 */
  int8_t scan_angle_rank;
  uint8_t user_data;
  uint16_t point_source_ID;
  int16_t extended_scan_angle;
  uint8_t extended_flags; /* point type 2 bits, scanner channel 2, classification flags 4 */
  uint8_t extended_classification;
  uint8_t extended_returns; /* return number 4 bits, number of returns 4 */
  uint8_t dummy[7];
  double gps_time;
  uint16_t rgb[4];
  uint8_t wave_packet[29];
  int32_t num_extra_bytes;
  uint8_t *extra_bytes;
};

struct laszip_header_head {
  uint16_t file_source_ID, global_encoding;
  uint32_t guid_1;
  uint16_t guid_2, guid_3;
  char guid_4[8];
  uint8_t version_major, version_minor;
  char system_identifier[32], generating_software[32];
  uint16_t day, year, header_size;
  uint32_t offset_to_point_data, number_of_variable_length_records;
  uint8_t point_data_format;
  uint16_t point_data_record_length;
  uint32_t number_of_point_records, by_return[5];
  double scale[3], offset[3], bounds[6];
  uint64_t start_of_waveform_data_packet_record, start_of_first_evlr;
  uint32_t number_of_evlrs;
  uint64_t extended_number_of_point_records, extended_by_return[15];
};

/* X(result, name, arguments): the functions used; `load` finds each by its name. */
#define LASZIP_LIST(X)                                           \
  X(get_version, (uint8_t *, uint8_t *, uint16_t *, uint32_t *)) \
  X(create, (void **))                                           \
  X(destroy, (void *))                                           \
  X(get_error, (void *, char **))                                \
  X(get_header_pointer, (void *, struct laszip_header_head **))  \
  X(get_point_pointer, (void *, struct laszip_point **))         \
  X(set_point_type_and_size, (void *, uint8_t, uint16_t))        \
  X(open_reader, (void *, const char *, int *))                  \
  X(read_point, (void *))                                        \
  X(close_reader, (void *))                                      \
  X(open_writer, (void *, const char *, int))                    \
  X(write_point, (void *))                                       \
  X(close_writer, (void *))

struct pt_laz {
  struct pt_mem *mem;
  char *path;
  struct pt_las_header h;
  void *library;
  void *zip; /* LASzip's object */
  struct laszip_point *point;
  bool reading, writing;
  int64_t done; /* points so far */
#define LASZIP_MEMBER(name, args) int32_t(*name) args;
  LASZIP_LIST(LASZIP_MEMBER)
#undef LASZIP_MEMBER
};

/* ---- the library ---- */

static int open_library(struct pt_laz *z, struct ptv3_error *err) {
  static const char *const names[] = {"liblaszip.so.8", "liblaszip.so", "liblaszip.so.9",
                                      "liblaszip.so.7", "liblaszip.dylib"};
  const char *own = getenv("PTV3_LASZIP");
  if (own && own[0]) {
    if ((z->library = dlopen(own, RTLD_NOW | RTLD_LOCAL))) return PTV3_OK;
    const char *why = dlerror();
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "'%s': the LASzip library that PTV3_LASZIP names cannot be loaded: %s",
                   z->path, why ? why : own);
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if ((z->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL))) return PTV3_OK;
  return pt_fail(err, PTV3_UNSUPPORTED,
                 "'%s': LAZ needs the LASzip library (liblaszip.so), which is not found. "
                 "Install it (conda install -c conda-forge laszip; brew install laszip; or "
                 "build github.com/LASzip/LASzip with cmake and make install), or name the "
                 "file in PTV3_LASZIP; or convert to .las",
                 z->path);
}

static int load(struct pt_laz *z, struct ptv3_error *err) {
  int status = open_library(z, err);
  if (status) return status;
  const char *missing = NULL;
  void *symbol;
  /* memcpy: ISO C has no conversion from void * to a function pointer. */
#define LASZIP_LOAD(name, args)                \
  symbol = dlsym(z->library, "laszip_" #name); \
  memcpy(&z->name, &symbol, sizeof symbol);    \
  if (!symbol && !missing) missing = "laszip_" #name;
  LASZIP_LIST(LASZIP_LOAD)
#undef LASZIP_LOAD
  if (missing)
    return pt_fail(
        err, PTV3_UNSUPPORTED,
        "'%s': the LASzip library on this machine has no function %s; version 3.2 or "
        "newer is needed",
        z->path, missing);
  uint8_t major = 0, minor = 0;
  uint16_t revision;
  uint32_t build;
  if (z->get_version(&major, &minor, &revision, &build) != 0 || major != 3 || minor < 2)
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "'%s': the LASzip library on this machine is version %d.%d; 3.2 or a newer "
                   "3.x is needed",
                   z->path, major, minor);
  return PTV3_OK;
}

static int fail_laszip(struct pt_laz *z, int status, const char *what, struct ptv3_error *err) {
  char *text = NULL;
  if (!z->zip || z->get_error(z->zip, &text) != 0 || !text || !text[0])
    text = "no reason given";
  return pt_fail(err, status, "'%s': LASzip cannot %s (point %lld of %lld): %.200s", z->path,
                 what, (long long)z->done, (long long)z->h.n, text);
}

static int start(struct pt_mem *mem, const char *path, const struct pt_las_header *h,
                 struct pt_laz **out, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_laz *z = pt_zalloc(mem, 1, sizeof *z, PT_MEM_OTHER, &e);
  *out = z;
  if (z) {
    z->mem = mem;
    z->h = *h;
    if ((z->path = pt_strdup(mem, path, &e)) && load(z, &e) == PTV3_OK &&
        (z->create(&z->zip) != 0 || !z->zip))
      fail_laszip(z, PTV3_INTERNAL, "start", &e);
  }
  if (e.status && err) *err = e;
  return e.status;
}

void pt_laz_close(struct pt_laz *z) {
  if (!z) return;
  if (z->reading) z->close_reader(z->zip);
  if (z->writing) z->close_writer(z->zip);
  if (z->zip) z->destroy(z->zip);
  if (z->library) dlclose(z->library);
  pt_free(z->mem, z->path);
  pt_free(z->mem, z);
}

/* ---- between LASzip's point and the record of a file ---- */

static int64_t extra_bytes(const struct pt_laz *z) {
  return z->h.record - pt_las_record_size(z->h.format);
}

static void put_double(uint8_t *p, double d) {
  uint64_t u;
  memcpy(&u, &d, sizeof u);
  pt_put64(p, u);
}

static double get_double(const uint8_t *p) {
  uint64_t u = pt_le64(p);
  double d;
  memcpy(&d, &u, sizeof d);
  return d;
}

static void point_to_record(const struct laszip_point *p, int format, uint8_t *r) {
  const struct pt_las_layout *l = pt_las_layout(format);
  pt_put32(r, (uint32_t)p->X);
  pt_put32(r + 4, (uint32_t)p->Y);
  pt_put32(r + 8, (uint32_t)p->Z);
  pt_put16(r + 12, p->intensity);
  r[17] = p->user_data;
  if (format < 6) {
    r[14] = p->returns;
    r[15] = p->classes;
    r[16] = (uint8_t)p->scan_angle_rank;
    pt_put16(r + 18, p->point_source_ID);
  } else {
    r[14] = p->extended_returns;
    r[15] = (uint8_t)(p->extended_flags >> 4 | (p->extended_flags >> 2 & 3) << 4 |
                      (p->returns & 0xc0));
    r[16] = p->extended_classification;
    pt_put16(r + 18, (uint16_t)p->extended_scan_angle);
    pt_put16(r + 20, p->point_source_ID);
  }
  if (l->gps >= 0) put_double(r + l->gps, p->gps_time);
  for (int k = 0; k < 3 && l->rgb >= 0; k++) pt_put16(r + l->rgb + 2 * k, p->rgb[k]);
  if (l->nir >= 0) pt_put16(r + l->nir, p->rgb[3]);
  if (l->wave >= 0) memcpy(r + l->wave, p->wave_packet, 29);
}

/* The old fields of a new point have to agree with the new ones as far as they can hold
 * them: LASzip refuses flags that differ. */
static void new_part_of_point(struct laszip_point *p, const uint8_t *r) {
  uint8_t flags = r[15] & 15, channel = r[15] >> 4 & 3;
  p->extended_returns = r[14];
  p->extended_flags = (uint8_t)(1 | channel << 2 | flags << 4);
  p->extended_classification = r[16];
  p->extended_scan_angle = (int16_t)pt_le16(r + 18);
  p->returns = r[15] & 0xc0;
  p->classes = (uint8_t)((flags & 7) << 5 | (r[16] < 32 ? r[16] : 0));
  p->point_source_ID = pt_le16(r + 20);
}

static void record_to_point(struct laszip_point *p, int format, const uint8_t *r) {
  const struct pt_las_layout *l = pt_las_layout(format);
  p->X = (int32_t)pt_le32(r);
  p->Y = (int32_t)pt_le32(r + 4);
  p->Z = (int32_t)pt_le32(r + 8);
  p->intensity = pt_le16(r + 12);
  p->user_data = r[17];
  if (format < 6) {
    p->returns = r[14];
    p->classes = r[15];
    p->scan_angle_rank = (int8_t)r[16];
    p->point_source_ID = pt_le16(r + 18);
  } else {
    new_part_of_point(p, r);
  }
  if (l->gps >= 0) p->gps_time = get_double(r + l->gps);
  for (int k = 0; k < 3 && l->rgb >= 0; k++) p->rgb[k] = pt_le16(r + l->rgb + 2 * k);
  if (l->nir >= 0) p->rgb[3] = pt_le16(r + l->nir);
  if (l->wave >= 0) memcpy(p->wave_packet, r + l->wave, 29);
}

/* ---- reading ---- */

int pt_laz_reader(struct pt_mem *mem, const char *path, const struct pt_las_header *h,
                  struct pt_laz **z, struct ptv3_error *err) {
  int status = start(mem, path, h, z, err), compressed = 0;
  if (status) return status;
  if ((*z)->open_reader((*z)->zip, path, &compressed) != 0)
    return fail_laszip(*z, PTV3_FORMAT, "open the file", err);
  (*z)->reading = true;
  if ((*z)->get_point_pointer((*z)->zip, &(*z)->point) != 0 || !(*z)->point)
    return fail_laszip(*z, PTV3_INTERNAL, "hand out its point", err);
  int64_t extra = extra_bytes(*z);
  if (extra > 0 && ((*z)->point->num_extra_bytes != extra || !(*z)->point->extra_bytes))
    return pt_fail(err, PTV3_FORMAT,
                   "'%s': the header says %lld extra bytes a point, the compressed points have "
                   "%d",
                   path, (long long)extra, (*z)->point->num_extra_bytes);
  return PTV3_OK;
}

int pt_laz_read(struct pt_laz *z, uint8_t *records, int64_t count, struct ptv3_error *err) {
  int64_t extra = extra_bytes(z);
  for (int64_t i = 0; i < count; i++, records += z->h.record) {
    if (z->read_point(z->zip) != 0) return fail_laszip(z, PTV3_FORMAT, "read on", err);
    point_to_record(z->point, z->h.format, records);
    if (extra > 0) memcpy(records + z->h.record - extra, z->point->extra_bytes, (size_t)extra);
    z->done++;
  }
  return PTV3_OK;
}

/* ---- writing ---- */

static void fill_header(struct laszip_header_head *head, const struct pt_las_header *h) {
  bool large = h->format >= 6 || h->n > UINT32_MAX;
  head->version_major = 1;
  head->version_minor = large ? 4 : h->format >= 4 ? 3 : 2;
  head->header_size = large ? 375 : h->format >= 4 ? 235 : 227;
  head->offset_to_point_data = head->header_size;
  head->number_of_point_records = large ? 0 : (uint32_t)h->n;
  head->extended_number_of_point_records = large ? (uint64_t)h->n : 0;
  head->point_data_format = (uint8_t)h->format;
  head->point_data_record_length = (uint16_t)h->record;
  for (int k = 0; k < 3; k++) head->scale[k] = 1;
}

int pt_laz_writer(struct pt_mem *mem, const char *name, const char *path,
                  const struct pt_las_header *h, struct pt_laz **out, struct ptv3_error *err) {
  int status = start(mem, name, h, out, err);
  if (status) return status;
  struct pt_laz *z = *out;
  struct laszip_header_head *head = NULL;
  if (z->get_header_pointer(z->zip, &head) != 0 || !head)
    return fail_laszip(z, PTV3_INTERNAL, "hand out its header", err);
  fill_header(head, h);
  if (z->set_point_type_and_size(z->zip, (uint8_t)h->format, (uint16_t)h->record) != 0)
    return fail_laszip(z, PTV3_UNSUPPORTED, "compress this point format", err);
  if (z->open_writer(z->zip, path, 1) != 0)
    return fail_laszip(z, PTV3_IO, "start a compressed file", err);
  z->writing = true;
  if (z->get_point_pointer(z->zip, &z->point) != 0 || !z->point)
    return fail_laszip(z, PTV3_INTERNAL, "hand out its point", err);
  if (extra_bytes(z) > 0 &&
      (z->point->num_extra_bytes != extra_bytes(z) || !z->point->extra_bytes))
    return fail_laszip(z, PTV3_INTERNAL, "take extra bytes", err);
  return PTV3_OK;
}

int pt_laz_write(struct pt_laz *z, const uint8_t *records, int64_t count,
                 struct ptv3_error *err) {
  int64_t extra = extra_bytes(z);
  for (int64_t i = 0; i < count; i++, records += z->h.record) {
    record_to_point(z->point, z->h.format, records);
    if (extra > 0) memcpy(z->point->extra_bytes, records + z->h.record - extra, (size_t)extra);
    if (z->write_point(z->zip) != 0) return fail_laszip(z, PTV3_IO, "write on", err);
    z->done++;
  }
  return PTV3_OK;
}

int pt_laz_finish(struct pt_laz *z, struct ptv3_error *err) {
  z->writing = false;
  if (z->close_writer(z->zip) != 0) return fail_laszip(z, PTV3_IO, "end its file", err);
  return PTV3_OK;
}
