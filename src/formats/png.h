/* png.h - writing pictures as PNG, through libpng. Reading is not offered. */
#ifndef PT_PNG_H
#define PT_PNG_H

#include <stdint.h>

#include "mem.h"

/* Writes rgb [height, width, 3], top row first. The file appears when it is complete. */
int pt_png_write(struct pt_mem *mem, const char *path, const uint8_t *rgb, int width,
                 int height, struct ptv3_error *err);

/* The version of libpng that runs: "1.6.39". */
const char *pt_png_version(void);

#endif
