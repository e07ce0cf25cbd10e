/* png.c - see png.h.
 *
 * libpng reports by longjmp; everything that can jump is called from write_picture, whose
 * frame holds nothing that has to be released. */
#include "png.h"

#include <png.h>
#include <stdio.h>

#include "file.h"

/* What libpng's functions are handed: where to write, what pays for memory, what failed. */
struct job {
  struct pt_mem *mem;
  struct pt_out out;
  struct ptv3_error err; /* of the first failure, status 0 while there is none */
};

/* libpng's allocations come out of the budget as well. */
static png_voidp take(png_structp png, png_alloc_size_t size) {
  struct job *job = png_get_mem_ptr(png);
  return pt_alloc(job->mem, (int64_t)size, 1, PT_MEM_OTHER, &job->err);
}

static void give(png_structp png, png_voidp p) {
  struct job *job = png_get_mem_ptr(png);
  pt_free(job->mem, p);
}

static void put(png_structp png, png_bytep data, size_t n) {
  struct job *job = png_get_io_ptr(png);
  pt_write(&job->out, data, (int64_t)n);
}

static void flush(png_structp png) { (void)png; }

static void fail(png_structp png, png_const_charp message) {
  struct job *job = png_get_error_ptr(png);
  if (!job->err.status) pt_fail(&job->err, PTV3_INTERNAL, "libpng: %s", message);
  png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static int write_picture(png_structp png, png_infop info, const uint8_t *rgb, int width,
                         int height) {
  if (setjmp(png_jmpbuf(png))) return PTV3_INTERNAL;
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int y = 0; y < height; y++) png_write_row(png, rgb + (int64_t)y * width * 3);
  png_write_end(png, info);
  return PTV3_OK;
}

int pt_png_write(struct pt_mem *mem, const char *path, const uint8_t *rgb, int width,
                 int height, struct ptv3_error *err) {
  struct job job = {.mem = mem};
  int status = pt_out_open(&job.out, mem, path, err);
  if (status) return status;
  png_structp png =
      png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &job, fail, ignore, &job, take, give);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  status = PTV3_INTERNAL;
  if (info) {
    png_set_write_fn(png, &job, put, flush);
    status = write_picture(png, info, rgb, width, height);
  }
  png_destroy_write_struct(&png, &info);
  if (status == PTV3_OK) return pt_out_commit(&job.out, err);
  pt_out_abort(&job.out);
  if (!job.err.status) pt_fail(&job.err, PTV3_NO_MEMORY, "libpng did not start");
  if (err) *err = job.err;
  pt_prefix(err, "cannot write '%s'", path);
  return job.err.status;
}

const char *pt_png_version(void) { return png_get_libpng_ver(NULL); }
