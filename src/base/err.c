/* err.c - see err.h. */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const status_text[] = {
#define TEXT(name, text) text,
    PTV3_STATUS_LIST(TEXT)
#undef TEXT
};

const char *ptv3_status_text(int status) {
  int n = (int)(sizeof status_text / sizeof *status_text);
  return status >= 0 && status < n ? status_text[status] : "unknown status";
}

static void fill(struct ptv3_error *err, int status, int64_t offset, const char *fmt,
                 va_list ap) PT_PRINTF(4, 0);
static void fill(struct ptv3_error *err, int status, int64_t offset, const char *fmt,
                 va_list ap) {
  if (!err) return;
  err->status = status;
  err->offset = offset;
  vsnprintf(err->message, sizeof err->message, fmt, ap);
  /* One line, whatever a hostile file put into a name. */
  for (char *p = err->message; *p; p++)
    if ((unsigned char)*p < ' ' || *p == 127) *p = '?';
}

int pt_fail(struct ptv3_error *err, int status, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fill(err, status, -1, fmt, ap);
  va_end(ap);
  return status;
}

int pt_fail_at(struct ptv3_error *err, int status, int64_t offset, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fill(err, status, offset, fmt, ap);
  va_end(ap);
  return status;
}

int pt_prefix(struct ptv3_error *err, const char *fmt, ...) {
  if (!err) return PTV3_INTERNAL;
  char head[sizeof err->message], tail[sizeof err->message];
  memcpy(tail, err->message, sizeof tail);
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(head, sizeof head, fmt, ap);
  va_end(ap);
  int n = snprintf(err->message, sizeof err->message, "%s: ", head);
  if (n < 0 || (size_t)n >= sizeof err->message) n = (int)sizeof err->message - 1;
  snprintf(err->message + n, sizeof err->message - (size_t)n, "%s", tail);
  return err->status;
}
