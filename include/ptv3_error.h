/* ptv3_error.h - the status codes of the library and the error a call fills in.
 *
 * Every call that can fail returns a status (0 is success) and takes a pointer to a
 * struct ptv3_error that it fills on failure; NULL is allowed where the caller only
 * wants the status. The library never prints, exits or aborts. */
#ifndef PTV3_ERROR_H
#define PTV3_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the libraries export. */
#if defined(__GNUC__) || defined(__clang__)
#define PTV3_API __attribute__((visibility("default")))
#else
#define PTV3_API
#endif

/* X(name, text) - the one list of statuses. */
#define PTV3_STATUS_LIST(X)                     \
  X(OK, "success")                              \
  X(INVALID, "invalid argument")                \
  X(NO_MEMORY, "the system has no more memory") \
  X(BUDGET, "does not fit the memory budget")   \
  X(IO, "input or output failed")               \
  X(FORMAT, "malformed file")                   \
  X(UNSUPPORTED, "not supported")               \
  X(CONFIG, "wrong configuration")              \
  X(MISMATCH, "weights do not match the model") \
  X(DATA, "the data cannot be used")            \
  X(CANCELLED, "cancelled")                     \
  X(INTERNAL, "internal error")

enum ptv3_status {
#define PTV3_STATUS_ENUM(name, text) PTV3_##name,
  PTV3_STATUS_LIST(PTV3_STATUS_ENUM)
#undef PTV3_STATUS_ENUM
};

struct ptv3_error {
  int status;        /* enum ptv3_status */
  int64_t offset;    /* byte offset in the file named by the message, -1 if none */
  char message[500]; /* what failed first, the thing in quotes, what to do; UTF-8, one line */
};

/* A short English text for a status ("malformed file"); never NULL. */
PTV3_API const char *ptv3_status_text(int status);

#ifdef __cplusplus
}
#endif
#endif
