/* session.h - what every command that works has: a context with its budget, progress,
 * interrupts, and one way to report a failure. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "args.h"
#include "ptv3.h"
#include "term.h"

/* Exit statuses; documented in the man page. */
enum exit_code {
  EXIT_FINE = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_BUDGET = 3,
  EXIT_INPUT = 4,
  EXIT_WEIGHTS = 5,
  EXIT_INTERRUPT = 130
};

/* Options of every command. */
struct common {
  int64_t threads;
  int64_t memory;
  const char *tmp;
  bool quiet;
};

#define COMMON_ARGS(c)                                                                          \
  {"threads", 0, ARG_INT, &(c)->threads, "N", "processors to use (all)", NULL, 1},              \
      {"memory",     0,      ARG_BYTES,                                                         \
       &(c)->memory, "SIZE", "never use more than this, e.g. 6G\n(what is free, less a tenth)", \
       NULL,         0},                                                                        \
      {"tmp",     0,     ARG_TEXT,                                                              \
       &(c)->tmp, "DIR", "where features go that do not fit\n(TMPDIR, or /var/tmp)",            \
       NULL,      0},                                                                           \
      {"quiet", 'q', ARG_FLAG, &(c)->quiet, NULL, "no progress and no warnings", NULL, 0}, {    \
    "help", 'h', ARG_FLAG, NULL, NULL, "this text", NULL, 0                                     \
  }

struct session {
  const char *command;
  struct common common;
  struct ptv3_context *ctx;
  struct progress progress;
  struct ptv3_error err; /* of the last call */
};

/* Makes the context and catches SIGINT and SIGTERM: the first asks the running call to stop,
 * the second ends the program. Returns an exit code, EXIT_FINE when all is well. */
int session_open(struct session *s, const char *command, const struct common *common);
void session_close(struct session *s);

/* What a command does once its line is read; an exit code. */
typedef int session_work(struct session *s, void *request, const struct arg_list *words);

/* A command whole: reads its line, opens a session, does the work, and frees the lists of the
 * table. common is where the table puts what COMMON_ARGS says. */
int session_main(const struct args *args, int argc, char **argv, const struct common *common,
                 session_work *work, void *request);

/* Prints s->err and gives the exit code for it. Reading is what the default is for; after a
 * failed write use session_fail_write. */
int session_fail(struct session *s);
int session_fail_write(struct session *s);

/* Prints "ptv3 COMMAND: text" to standard error, progress line cleared first. */
void session_say(struct session *s, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* What was done ("wrote x.las"), to standard error, unless --quiet. */
void session_note(struct session *s, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

bool session_interrupted(void);

#endif
