/* env.c - see env.h. */
#include "env.h"

#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

double pt_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void pt_env_init(struct pt_env *env, int threads, int64_t memory) {
  memset(env, 0, sizeof *env);
  pt_mem_init(&env->mem, memory);
  env->threads = threads > 0 ? threads : omp_get_num_procs();
}

void pt_warn(struct pt_env *env, const char *fmt, ...) {
  if (!env->warn) return;
  char text[600];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  env->warn(env->user, text);
}

void pt_info(struct pt_env *env, const char *fmt, ...) {
  if (!env->info) return;
  char text[600];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  env->info(env->user, text);
}

int pt_progress(struct pt_env *env, const char *what, int64_t done, int64_t total,
                struct ptv3_error *err) {
  if (env->within.what) {
    what = env->within.what;
    done = env->within.done;
    total = env->within.total;
  }
  if (!env->progress || env->progress(env->user, what, done, total)) return PTV3_OK;
  return pt_fail(err, PTV3_CANCELLED, "cancelled while at '%s'", what);
}
