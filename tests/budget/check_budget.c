/* check_budget.c - the promise of the memory budget, on random networks, clouds and budgets.
 *
 * usage: check_budget [CASES [SEED [FIRST]]]      (1000 1 0)
 *
 * For each case: a run without a limit; then, within a budget of 30 to 150 % of what that
 * took, pt_forward either finishes inside the budget with the same bits, or refuses before
 * its first step. The refusal names the least budget, which then is enough, as is the one
 * that pt_forward works out without running (struct pt_need); a little less is not. Nothing
 * is left allocated by any of it. Of some cases every part of every step is run by itself, and
 * the pages it made resident are compared with those that were counted (touch.c). Small cases
 * also fail at each allocation, and some are run again in a process whose address space is
 * limited (limit.c). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "limit.h"
#include "touch.h"

#define SLACK (64 << 10) /* bytes by which a prediction may be wrong, or 3 % */

struct check {
  struct budget_case c;
  struct pt_env env;
  uint64_t seed, number;
  int64_t start;             /* bytes in use before pt_forward: the weights */
  bool file;                 /* tensors were put in a file since the last start */
  int64_t steps;             /* reports of progress within the network since the last start */
  float *want;               /* [n, classes] of the unlimited run */
  float *got;                /* [n, classes] */
  int64_t bytes;             /* of either */
  int64_t peak;              /* of the unlimited run */
  float *collected;          /* where the sink puts them */
  int64_t given, most_given; /* rows the sink got, and may get before it fails */
  int64_t failed;            /* of this case */
  struct ptv3_error err;     /* of the last run */
};

struct tally {
  int64_t passed, failed, done, refused, early, limited, faults, spilled, touched;
};

static bool expect(struct check *k, bool ok, const char *fmt, ...) PT_PRINTF(3, 4);
static bool expect(struct check *k, bool ok, const char *fmt, ...) {
  if (ok) return true;
  va_list ap;
  va_start(ap, fmt);
  printf("case %llu of seed %llu: ", (unsigned long long)k->number,
         (unsigned long long)k->seed);
  vprintf(fmt, ap);
  printf("\n");
  va_end(ap);
  k->failed++;
  return false;
}

static void notice_file(void *user, const char *message) {
  struct check *k = user;
  k->file |= strstr(message, "temporary file") != NULL;
}

static bool count_steps(void *user, const char *what, int64_t done, int64_t total) {
  struct check *k = user;
  (void)done, (void)total;
  k->steps += strcmp(what, "network") == 0;
  return true;
}

/* ---- runs ---- */

/* The logits of some voxels, as a caller without room for all of them gets them. */
static int collect(void *user, const int32_t *index, int64_t rows, const float *logits,
                   struct ptv3_error *err) {
  struct check *k = user;
  const int64_t classes = k->c.model.cfg.classes;
  for (int64_t i = 0; i < rows; i++) {
    float *to = k->collected + index[i] * classes;
    memcpy(to, logits + i * classes, (size_t)classes * sizeof *to);
  }
  k->given += rows;
  if (k->given <= k->most_given) return PTV3_OK;
  return pt_fail(err, PTV3_DATA, "enough");
}

/* One pt_forward within a budget (0: none); its status. Odd cases take the logits by parts. */
static int run(struct check *k, int64_t budget, int threads, struct pt_need *need, float *out) {
  struct pt_forward opt = {.perm = k->c.shuffled ? k->c.perm : NULL, .need = need};
  struct pt_mem *mem = &k->env.mem;
  if (k->number % 2) {
    opt.sink = collect;
    opt.sink_user = k;
    k->collected = out;
    out = NULL;
  }
  k->given = 0;
  mem->limit = budget > 0 ? budget : INT64_MAX;
  mem->peak = mem->used;
  k->env.threads = threads;
  k->steps = 0;
  k->file = false;
  k->err = (struct ptv3_error){0};
  memset(k->got, 0, (size_t)k->bytes);
  int status = pt_forward(&k->env, &k->c.model, &k->c.batch, &opt, out, &k->err);
  mem->limit = INT64_MAX;
  return status;
}

/* A run that must succeed within a budget, with the bits of the unlimited one. */
static void check_done(struct check *k, const char *what, int64_t budget, int status) {
  expect(k, !status, "%s, %lld bytes: %s", what, (long long)budget, k->err.message);
  if (status) return;
  expect(k, k->steps > 0, "%s: no step was run", what);
  expect(k, k->env.mem.peak <= budget, "%s: %lld bytes used of %lld", what,
         (long long)k->env.mem.peak, (long long)budget);
  expect(k, memcmp(k->want, k->got, (size_t)k->bytes) == 0, "%s: other bits", what);
}

/* A run that must have been refused before the first step. */
static void check_refused(struct check *k, const char *what, int64_t budget, int status) {
  expect(k, status == PTV3_BUDGET, "%s, %lld bytes: status %d, not refused: %s", what,
         (long long)budget, status, k->err.message);
  expect(k, k->steps == 0, "%s: refused after %lld steps", what, (long long)k->steps);
}

static void check_start(struct check *k, const char *what) {
  expect(k, k->env.mem.used == k->start, "%s: %lld bytes are left allocated", what,
         (long long)(k->env.mem.used - k->start));
}

/* The budget a refusal names, bytes; -1 if it names none. */
static int64_t named_budget(const char *message) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB"};
  const char *at = strstr(message, "at least ");
  char name[4];
  double value;
  if (!at || sscanf(at, "at least %lf %3[A-Za-z]", &value, name) != 2) return -1;
  for (int u = 0; u < 4; u++, value *= 1024)
    if (!strcmp(name, unit[u])) return (int64_t)value;
  return -1;
}

/* ---- what is checked ---- */

static void check_need(struct check *k, int64_t *least) {
  struct pt_need need = {.mem = &k->env.mem};
  int status = run(k, 0, k->c.threads[0], &need, k->got);
  expect(k, !status && k->steps == 0, "planned: status %d, %lld steps", status,
         (long long)k->steps);
  double off = (double)(need.total - k->peak);
  if (off < 0) off = -off;
  expect(k, off <= SLACK || off <= 0.03 * (double)k->peak, "planned %lld bytes, took %lld",
         (long long)need.total, (long long)k->peak);
  *least = need.least;
  pt_need_free(&need);
  check_start(k, "planned");
}

static void check_least(struct check *k, int64_t least, struct tally *t) {
  check_done(k, "the least budget", least, run(k, least, k->c.threads[1], NULL, k->got));
  t->spilled += k->file;
  check_start(k, "the least budget");
  int64_t less = least - least / 100 - 256;
  check_refused(k, "less than the least", less, run(k, less, k->c.threads[1], NULL, k->got));
  check_start(k, "less than the least");
}

static void check_budget(struct check *k, int64_t budget, int64_t least, struct tally *t) {
  int status = run(k, budget, k->c.threads[1], NULL, k->got);
  check_start(k, "the budget");
  if (!status) {
    check_done(k, "the budget", budget, status);
    t->done++;
    t->spilled += k->file;
    return;
  }
  check_refused(k, "the budget", budget, status);
  expect(k, budget < least, "refused at %lld bytes, the least is %lld", (long long)budget,
         (long long)least);
  t->refused++;
  int64_t named = named_budget(k->err.message);
  if (named < 0) { /* not even its structure fits: the least is not known yet */
    expect(k, strstr(k->err.message, "budget") != NULL, "a message of no use: %s",
           k->err.message);
    t->early++;
    return;
  }
  expect(k, named > budget, "refused at %lld bytes: %s", (long long)budget, k->err.message);
  check_done(k, "the budget named", named, run(k, named, k->c.threads[1], NULL, k->got));
}

/* Every allocation fails once, running and planning. */
static void check_faults(struct check *k, struct tally *t) {
  struct pt_mem *mem = &k->env.mem;
  for (int plan = 0; plan < 2; plan++)
    for (int64_t i = 1;; i++) {
      struct pt_need need = {.mem = mem};
      mem->fail_at = mem->calls + i;
      int status = run(k, 0, k->c.threads[1], plan ? &need : NULL, k->got);
      mem->fail_at = 0;
      pt_need_free(&need);
      check_start(k, "an allocation failed");
      if (!status) break;
      t->faults++;
      if (!expect(k, status == PTV3_NO_MEMORY && k->steps == 0,
                  "allocation %lld failed: status %d: %s", (long long)i, status,
                  k->err.message))
        break;
    }
}

/* What takes the logits can end the run. */
static void check_sink(struct check *k) {
  k->most_given = k->c.batch.n - 1;
  int status = run(k, 0, k->c.threads[1], NULL, k->got);
  expect(k, status == PTV3_DATA && !strcmp(k->err.message, "enough"),
         "a sink that fails: status %d: %s", status, k->err.message);
  k->most_given = INT64_MAX;
  check_start(k, "a sink that fails");
}

static void check_limited(struct check *k, int64_t budget, int64_t least, struct tally *t) {
  char text[200];
  if (!limit_possible()) return;
  t->limited++;
  bool fits = budget >= least;
  int64_t most = fits ? budget : least;
  bool same = limit_run(k->seed, k->number, most, k->want, k->bytes, text, sizeof text);
  expect(k, same, "address space limited, budget %lld: %s", (long long)most, text);
}

static void check_touched(struct check *k, struct tally *t) {
  char text[600];
  int wrong = touch_check(&k->env, &k->c, text, sizeof text);
  expect(k, wrong >= 0, "%s", text);
  check_start(k, "parts and what they touch");
  t->touched += wrong == 0;
}

static void check_case(struct check *k, struct tally *t) {
  struct pt_mem *mem = &k->env.mem;
  if (!expect(k, !run(k, 0, k->c.threads[0], NULL, k->want), "%s", k->err.message)) return;
  check_start(k, "no limit");
  k->peak = mem->peak;
  int64_t least = 0, budget = (int64_t)(k->c.share * (double)k->peak);
  check_need(k, &least);
  check_budget(k, budget, least, t);
  check_least(k, least, t);
  if (k->number % 2) check_sink(k);
  if (k->c.batch.n <= 100) check_faults(k, t);
  if (k->number % 4 == 2) check_touched(k, t);
  if (k->number % 8 == 0) check_limited(k, budget, least, t);
}

static void one(uint64_t seed, uint64_t number, struct tally *t) {
  struct check k = {.seed = seed, .number = number, .most_given = INT64_MAX};
  case_make(&k.c, seed, number);
  pt_env_init(&k.env, 1, 0);
  k.env.progress = count_steps;
  k.env.info = notice_file;
  k.env.tmp = "/var/tmp";
  k.env.user = &k;
  k.bytes = k.c.batch.n * k.c.model.cfg.classes * (int64_t)sizeof(float);
  k.want = case_alloc(k.bytes, 1);
  k.got = case_alloc(k.bytes, 1);
  if (expect(&k, !case_weights(&k.env, &k.c, &k.err), "%s", k.err.message)) {
    k.start = k.env.mem.used;
    check_case(&k, t);
  }
  pt_weights_free(&k.env, &k.c.model.w);
  expect(&k, k.env.mem.used == 0, "%lld bytes leak", (long long)k.env.mem.used);
  free(k.want);
  free(k.got);
  case_free(&k.c);
  t->passed += k.failed == 0;
  t->failed += k.failed != 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], LIMIT_ARGUMENT)) return limit_main(argc, argv);
  int64_t cases = argc > 1 ? atoll(argv[1]) : 1000;
  uint64_t seed = argc > 2 ? (uint64_t)atoll(argv[2]) : 1;
  uint64_t first = argc > 3 ? (uint64_t)atoll(argv[3]) : 0;
  struct tally t = {0};
  for (int64_t i = 0; i < cases; i++) one(seed, first + (uint64_t)i, &t);
  printf(
      "%lld finished within the budget, %lld were refused (%lld before the structure was "
      "known), %lld runs put tensors in a file, %lld allocations failed, %lld ran in limited "
      "address space or with their resident set measured, of %lld the pages that parts touch "
      "were compared\n",
      (long long)t.done, (long long)t.refused, (long long)t.early, (long long)t.spilled,
      (long long)t.faults, (long long)t.limited, (long long)t.touched);
  printf("%lld passed, %lld failed\n", (long long)t.passed, (long long)t.failed);
  return t.failed || !t.passed;
}
