/* env.h - what every part of the library is handed: the budget, the threads, where
 * warnings and progress go, and whether the caller wants to stop. */
#ifndef PT_ENV_H
#define PT_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

struct pt_env {
  struct pt_mem mem;
  int threads;                                   /* >= 1 */
  void (*warn)(void *user, const char *message); /* NULL: warnings are dropped */
  /* One line on a choice that was made (not a problem); NULL: dropped. */
  void (*info)(void *user, const char *message);
  /* done of total units of the thing named; NULL: no progress wanted. Returns false to
   * stop: the running call then ends with PTV3_CANCELLED. */
  bool (*progress)(void *user, const char *what, int64_t done, int64_t total);
  void *user;
  /* While `what` is set, this is reported in place of what is really being done: of a long
   * work's many short ones only the whole is worth showing. */
  struct {
    const char *what;
    int64_t done, total;
  } within;
  const char *tmp; /* folder for temporary files, kept alive by the caller; NULL: spill.h's */
};

/* Seconds of a clock that only goes forward. */
double pt_seconds(void);

/* threads <= 0: all processors the process may use. memory <= 0: no limit. */
void pt_env_init(struct pt_env *env, int threads, int64_t memory);

/* Formats a warning and hands it to env->warn. */
void pt_warn(struct pt_env *env, const char *fmt, ...) PT_PRINTF(2, 3);

/* The same for env->info. */
void pt_info(struct pt_env *env, const char *fmt, ...) PT_PRINTF(2, 3);

/* Reports progress; PTV3_CANCELLED with err filled when the caller wants to stop. */
int pt_progress(struct pt_env *env, const char *what, int64_t done, int64_t total,
                struct ptv3_error *err);

#endif
