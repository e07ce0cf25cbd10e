/* laz.h - the points of LAZ files, through LASzip's C API.
 *
 * LASzip (github.com/LASzip/LASzip, Apache-2.0) is loaded when a LAZ file is read or
 * written, not linked. Only points go through it, as the bytes a LAS file would hold;
 * headers and variable length records are las.c's and las_write.c's. What LASzip allocates
 * is not counted by the budget: a few megabytes, whatever the size of the file. */
#ifndef PT_LAZ_H
#define PT_LAZ_H

#include <stdint.h>

#include "las.h"

/* The variable length record that says how the points are compressed. */
#define PT_LAZ_USER "laszip encoded"
enum { PT_LAZ_ID = 22204 };

struct pt_laz;

/* Opens the points of the LAZ file at path, whose header is *h. Without LASzip on the
 * machine: PTV3_UNSUPPORTED with how to get it. */
int pt_laz_reader(struct pt_mem *mem, const char *path, const struct pt_las_header *h,
                  struct pt_laz **z, struct ptv3_error *err);

/* The next count points as LAS records: records [count, h->record] bytes. */
int pt_laz_read(struct pt_laz *z, uint8_t *records, int64_t count, struct ptv3_error *err);

/* Starts a LAZ file at path (messages call it name) for h->n points of h->format and
 * h->record bytes. Its header says nothing more: the caller takes the compressed points and the
 * record PT_LAZ_ID out of it once pt_laz_finish has ended it. */
int pt_laz_writer(struct pt_mem *mem, const char *name, const char *path,
                  const struct pt_las_header *h, struct pt_laz **z, struct ptv3_error *err);
int pt_laz_write(struct pt_laz *z, const uint8_t *records, int64_t count,
                 struct ptv3_error *err);
int pt_laz_finish(struct pt_laz *z, struct ptv3_error *err);

/* Releases a reader or a writer, finished or not; NULL allowed. */
void pt_laz_close(struct pt_laz *z);

#endif
