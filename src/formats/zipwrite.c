/* zipwrite.c - see zipwrite.h. */
#include "zipwrite.h"

#include <string.h>
#include <zlib.h>

#include "size.h"

#define ALIGN 64
#define DATE 0x21 /* 1980-01-01, the first day that zip knows: same input, same file */
#define FULL INT64_C(0xffffffff)

uint32_t pt_crc32(uint32_t crc, const void *data, int64_t n) {
  const Bytef *p = data;
  for (int64_t i = 0; i < n; i += 1 << 30)
    crc = (uint32_t)crc32(crc, p + i, (uInt)pt_min(n - i, 1 << 30));
  return crc;
}

void pt_zip_begin(struct pt_zip_out *z, struct pt_mem *mem, struct pt_out *out) {
  *z = (struct pt_zip_out){.mem = mem, .out = out};
}

void pt_zip_write(struct pt_zip_out *z, const void *data, int64_t n) {
  pt_write(z->out, data, n);
  z->pos += n;
}

static uint32_t low32(int64_t v) { return (uint32_t)pt_min(v, FULL); }

/* The part that local and central headers share, from "version needed" to the sizes. */
static void put_common(uint8_t *p, const struct pt_zip_entry *e, bool zip64) {
  pt_put16(p, zip64 ? 45 : 20);
  pt_put16(p + 8, DATE);
  pt_put32(p + 10, e->crc);
  pt_put32(p + 14, zip64 ? UINT32_MAX : (uint32_t)e->size);
  pt_put32(p + 18, zip64 ? UINT32_MAX : (uint32_t)e->size);
  pt_put16(p + 22, (uint16_t)strlen(e->name));
}

int pt_zip_record(struct pt_zip_out *z, const char *name, int64_t size, uint32_t crc,
                  struct ptv3_error *err) {
  uint8_t head[30] = {'P', 'K', 3, 4}, extra[20 + 4 + ALIGN] = {0};
  int64_t n = (int64_t)strlen(name), used = 0;
  if (n > 55) return pt_fail(err, PTV3_INTERNAL, "the record name '%s' is too long", name);
  int status =
      pt_grow(z->mem, &z->entry, &z->cap, z->count + 1, sizeof *z->entry, PT_MEM_OTHER, err);
  if (status) return status;
  struct pt_zip_entry *e = &z->entry[z->count++];
  *e = (struct pt_zip_entry){.size = size, .header = z->pos, .crc = crc};
  memcpy(e->name, name, (size_t)n);
  bool zip64 = size >= FULL;
  if (zip64) {
    pt_put16(extra, 1);
    pt_put16(extra + 2, 16);
    pt_put64(extra + 4, (uint64_t)size);
    pt_put64(extra + 12, (uint64_t)size);
    used = 20;
  }
  int64_t start = z->pos + 30 + n + used + 4, pad = pt_round_up(start, ALIGN) - start;
  memcpy(extra + used, "FB", 2);
  pt_put16(extra + used + 2, (uint16_t)pad);
  memset(extra + used + 4, 'Z', (size_t)pad);
  used += 4 + pad;
  put_common(head + 4, e, zip64);
  pt_put16(head + 28, (uint16_t)used);
  pt_zip_write(z, head, 30);
  pt_zip_write(z, name, n);
  pt_zip_write(z, extra, used);
  return PTV3_OK;
}

static void write_central(struct pt_zip_out *z, const struct pt_zip_entry *e) {
  uint8_t head[46] = {'P', 'K', 1, 2, 45}, extra[28] = {1};
  bool big = e->size >= FULL;
  int64_t used = 4;
  for (int i = 0; i < 2 && big; i++, used += 8) pt_put64(extra + used, (uint64_t)e->size);
  if (e->header >= FULL) {
    pt_put64(extra + used, (uint64_t)e->header);
    used += 8;
  }
  pt_put16(extra + 2, (uint16_t)(used - 4));
  if (used == 4) used = 0;
  put_common(head + 6, e, big);
  pt_put16(head + 6, used ? 45 : 20);
  pt_put16(head + 30, (uint16_t)used);
  pt_put32(head + 42, low32(e->header));
  pt_zip_write(z, head, 46);
  pt_zip_write(z, e->name, (int64_t)strlen(e->name));
  pt_zip_write(z, extra, used);
}

static void write_end64(struct pt_zip_out *z, int64_t start, int64_t size) {
  uint8_t end[56] = {'P', 'K', 6, 6, 44}, locator[20] = {'P', 'K', 6, 7};
  int64_t at = z->pos;
  pt_put16(end + 12, 45);
  pt_put16(end + 14, 45);
  pt_put64(end + 24, (uint64_t)z->count);
  pt_put64(end + 32, (uint64_t)z->count);
  pt_put64(end + 40, (uint64_t)size);
  pt_put64(end + 48, (uint64_t)start);
  pt_put64(locator + 8, (uint64_t)at);
  pt_put32(locator + 16, 1);
  pt_zip_write(z, end, 56);
  pt_zip_write(z, locator, 20);
}

void pt_zip_end(struct pt_zip_out *z) {
  uint8_t end[22] = {'P', 'K', 5, 6};
  int64_t start = z->pos;
  for (int64_t i = 0; i < z->count; i++) write_central(z, &z->entry[i]);
  int64_t size = z->pos - start;
  if (z->count >= 0xffff || start >= FULL || size >= FULL) write_end64(z, start, size);
  uint16_t count = (uint16_t)pt_min(z->count, 0xffff);
  pt_put16(end + 8, count);
  pt_put16(end + 10, count);
  pt_put32(end + 12, low32(size));
  pt_put32(end + 16, low32(start));
  pt_zip_write(z, end, 22);
  pt_zip_abort(z);
}

void pt_zip_abort(struct pt_zip_out *z) {
  if (z->mem) pt_free(z->mem, z->entry);
  *z = (struct pt_zip_out){0};
}
