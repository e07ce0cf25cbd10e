/* err.h - filling a struct ptv3_error.
 *
 * Use: `return pt_fail(err, PTV3_FORMAT, "'%s': no header", path);` The status comes
 * back, so that a failing function is one line. The first failure is the one that
 * counts: callers pass it up unchanged or put words in front with pt_prefix. */
#ifndef PT_ERR_H
#define PT_ERR_H

#include <stdbool.h>

#include "ptv3_error.h"

#if defined(__GNUC__)
#define PT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define PT_PRINTF(f, a)
#endif

/* Fills err (NULL allowed) and returns status. */
int pt_fail(struct ptv3_error *err, int status, const char *fmt, ...) PT_PRINTF(3, 4);

/* The same with the byte offset at which a file is wrong. */
int pt_fail_at(struct ptv3_error *err, int status, int64_t offset, const char *fmt, ...)
    PT_PRINTF(4, 5);

/* Puts "prefix: " in front of the message in err and returns its status. */
int pt_prefix(struct ptv3_error *err, const char *fmt, ...) PT_PRINTF(2, 3);

/* Whether it may work with more memory free. */
static inline bool pt_lacks_memory(int status) {
  return status == PTV3_BUDGET || status == PTV3_NO_MEMORY;
}

#endif
