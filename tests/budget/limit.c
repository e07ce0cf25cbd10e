/* limit.c - see limit.h. Where tensors are spilled it is the resident set that is held against
 * the budget. The program runs itself again rather than only forking: OpenMP's
 * threads do not survive a fork. */
#include "limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

/* Address space that a run may take beside its budget, once code and libraries are loaded and
 * the weights and inputs are there: what malloc keeps between blocks. The run has one thread:
 * OpenMP ends a program that has no address space for another thread's stack and malloc arena,
 * whose size is the system's affair; bits do not depend on threads. */
#define OTHER_SPACE (INT64_C(1) << 20)

enum { SAME, OTHER_BITS, FAILED, NOT_SET_UP, TOO_LARGE };

bool limit_possible(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return false;
#endif
#endif
  return access("/proc/self/statm", R_OK) == 0;
}

static uint64_t hash_of(const void *data, int64_t bytes) {
  const uint8_t *p = data;
  uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
  for (int64_t i = 0; i < bytes; i++) h = (h ^ p[i]) * UINT64_C(0x100000001b3);
  return h;
}

bool limit_run(uint64_t seed, uint64_t number, int64_t budget, const void *want, int64_t bytes,
               char *text, size_t size) {
  char arg[4][24];
  snprintf(arg[0], sizeof arg[0], "%" PRIu64, seed);
  snprintf(arg[1], sizeof arg[1], "%" PRIu64, number);
  snprintf(arg[2], sizeof arg[2], "%" PRId64, budget);
  snprintf(arg[3], sizeof arg[3], "%" PRIx64, hash_of(want, bytes));
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    execl("/proc/self/exe", "check_budget", LIMIT_ARGUMENT, arg[0], arg[1], arg[2], arg[3],
          (char *)NULL);
    _exit(NOT_SET_UP);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) {
    snprintf(text, size, "no process could be started");
    return false;
  }
  static const char *const what[] = {"the same", "other bits", "it failed", "not set up",
                                     "more memory was resident"};
  if (WIFSIGNALED(status))
    snprintf(text, size, "killed by signal %d", WTERMSIG(status));
  else
    snprintf(text, size, "%s", what[WEXITSTATUS(status) % 5]);
  return WIFEXITED(status) && WEXITSTATUS(status) == SAME;
}

/* Bytes of address space in use; -1 if unknown. */
static int64_t space_used(void) {
  long long pages = -1;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f && fscanf(f, "%lld", &pages) != 1) pages = -1;
  if (f) fclose(f);
  return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

static int limit_space(int64_t more) {
  int64_t used = space_used();
  if (used < 0) return -1;
  struct rlimit space = {(rlim_t)(used + more), (rlim_t)(used + more)};
  return setrlimit(RLIMIT_AS, &space);
}

/* ---- what is resident ---- */

static int64_t status_of(const char *key) {
  char line[256];
  long long kib = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && kib < 0 && fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key))) sscanf(line + strlen(key), ":%lld", &kib);
  if (f) fclose(f);
  return kib < 0 ? -1 : 1024 * kib;
}

/* Forgets the largest resident set so far; what is resident now, or -1. */
static int64_t begin_resident(void) {
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (!f) return -1;
  bool written = fputs("5", f) >= 0;
  return fclose(f) == 0 && written ? status_of("VmRSS") : -1;
}

/* Whether a run within the budget puts tensors in a file, whose mapping takes address space
 * that is no memory. */
static bool spills(struct pt_env *env, const struct budget_case *c, struct pt_forward opt) {
  struct ptv3_error e;
  struct pt_need need = {.mem = &env->mem};
  opt.need = &need;
  int status = pt_forward(env, &c->model, &c->batch, &opt, NULL, &e);
  bool found = !status && need.spilled > 0;
  pt_need_free(&need);
  return found;
}

int limit_main(int argc, char **argv) {
  struct budget_case c;
  struct pt_env env;
  struct ptv3_error e = {0};
  if (argc != 6) return NOT_SET_UP;
  int64_t budget = atoll(argv[4]);
  case_make(&c, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
  pt_env_init(&env, 1, 0);
  env.tmp = "/var/tmp";
  if (case_weights(&env, &c, &e)) return NOT_SET_UP;
  int64_t bytes = c.batch.n * c.model.cfg.classes * (int64_t)sizeof(float);
  float *got = case_alloc(bytes, 1);
  struct pt_forward opt = {.perm = c.shuffled ? c.perm : NULL};
  env.mem.limit = budget;
  const int64_t more = budget - env.mem.used;
  const bool file = spills(&env, &c, opt);
  memset(got, 1, (size_t)bytes); /* resident before the run */
  const int64_t start = file ? begin_resident() : 0;
  if (start < 0 || (!file && limit_space(more + OTHER_SPACE))) return NOT_SET_UP;
  int status = pt_forward(&env, &c.model, &c.batch, &opt, got, &e);
  if (status) printf("%s\n", e.message);
  if (!status)
    status = hash_of(got, bytes) == strtoull(argv[5], NULL, 16) ? SAME : OTHER_BITS;
  else
    status = FAILED;
  if (file && status == SAME && status_of("VmHWM") - start > more + OTHER_SPACE) {
    printf("resident: %lld bytes more, %lld allowed\n", (long long)(status_of("VmHWM") - start),
           (long long)more);
    status = TOO_LARGE;
  }
  pt_weights_free(&env, &c.model.w);
  free(got);
  case_free(&c);
  return status;
}
