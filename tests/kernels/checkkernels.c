/* checkkernels.c - every version of every kernel against its reference, and their speed.
 *
 * usage: checkkernels [OP...]                        check
 *        checkkernels --bench [--threads N] [OP...]  time at the base model's sizes
 *
 * The list of ops is kernels.def, the versions are those this processor can run. A check
 * of a version passes if, for one made-up problem (<op>_case.c):
 *   - its result is within the problem's tolerance of "ref" (see check.h),
 *   - other numbers of threads, tile sizes and parts (pt_exec.from, to) give the same bits,
 *   - nothing is written past an array or the scratch, and no input changes; scratch and
 *     outputs hold NaN before, so that reading what was not written shows.
 * All of it with features in float, and with features (and, where a version wants that,
 * weights) in bf16. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "feature.h"
#include "kernels.h"
#include "window.h"

typedef void run_fn(const struct pt_kernels *, const void *, const struct pt_exec *);
typedef int64_t scratch_fn(const struct pt_kernels *, const void *, int tile);

#define KERNEL(op)                                                                           \
  extern const struct op_cases cases_##op;                                                   \
  static void run_##op(const struct pt_kernels *k, const void *a, const struct pt_exec *e) { \
    k->op(a, e);                                                                             \
  }                                                                                          \
  static int64_t scratch_##op(const struct pt_kernels *k, const void *a, int tile) {         \
    return k->op##_scratch(a, tile);                                                         \
  }
#include "kernels.def"
#undef KERNEL

static const struct op {
  const char *name;
  const struct op_cases *cases;
  run_fn *run;
  scratch_fn *scratch;
} ops[] = {
#define KERNEL(op) {#op, &cases_##op, run_##op, scratch_##op},
#include "kernels.def"
#undef KERNEL
};
enum { OPS = sizeof ops / sizeof ops[0], GUARD = 64 };

static const char *type_name(enum pt_dtype t) { return t == PT_BF16 ? "bf16" : "fp32"; }

/* ---- one run ---- */

struct scratch {
  struct pt_exec ex;
  int64_t bytes; /* of all threads; GUARD more follow */
};

static struct scratch scratch_open(const struct op *op, const struct pt_kernels *k,
                                   const void *args, int threads, int tile) {
  int64_t stride = (op->scratch(k, args, tile) + 63) / 64 * 64;
  struct scratch s = {.ex = {.threads = threads, .tile = tile, .scratch_stride = stride}};
  s.bytes = stride * threads;
  s.ex.scratch = check_alloc((size_t)s.bytes + GUARD);
  memset(s.ex.scratch, 0xff, (size_t)s.bytes + GUARD); /* NaN */
  return s;
}

static bool scratch_close(struct scratch *s) {
  bool whole = true;
  for (int i = 0; i < GUARD; i++) whole &= (uint8_t)s->ex.scratch[s->bytes + i] == 0xff;
  free(s->ex.scratch);
  return whole;
}

/* In so many parts, the last first: their order is nothing an op may depend on. */
static void run_parts(const struct op *op, const struct pt_kernels *k, const struct problem *p,
                      struct pt_exec *ex, int parts) {
  int64_t units = pt_op_units((enum pt_op)(op - ops), p->op);
  for (int64_t i = parts - 1; i >= 0; i--) {
    ex->from = units * i / parts;
    ex->to = units * (i + 1) / parts;
    if (ex->to > ex->from) op->run(k, p->op, ex);
  }
}

/* NULL, or what went wrong. */
static const char *run_once(const struct op *op, const struct pt_kernels *k, struct problem *p,
                            int threads, int tile, int parts) {
  struct scratch s = scratch_open(op, k, p->op, threads, tile);
  problem_reset(p);
  if (parts == 1)
    op->run(k, p->op, &s.ex);
  else
    run_parts(op, k, p, &s.ex, parts);
  const char *wrong = problem_damage(p);
  return scratch_close(&s) ? wrong : "wrote past the scratch";
}

/* ---- results of a run, all outputs one after the other ---- */

static bool is_result(const struct data_block *b) {
  return b->kind == BLOCK_OUT || b->kind == BLOCK_INOUT;
}

static int64_t result_bytes(const struct problem *p) {
  size_t n = 0;
  for (int i = 0; i < p->count; i++)
    if (is_result(&p->blocks[i])) n += p->blocks[i].bytes;
  return (int64_t)n;
}

static char *result_of(const struct problem *p) {
  char *all = check_alloc((size_t)result_bytes(p)), *at = all;
  for (int i = 0; i < p->count; i++) {
    if (!is_result(&p->blocks[i])) continue;
    memcpy(at, p->blocks[i].data, p->blocks[i].bytes);
    at += p->blocks[i].bytes;
  }
  return all;
}

static double allowed(const struct problem *p, const struct data_block *b, double scale) {
  double part = 0x1p-24 * (8 + 4 * sqrt(p->depth));
  if (p->type == PT_BF16) part += 0x1p-8 * (2 * (b->type == PT_BF16) + 2.3 * p->rounded);
  return part * p->gain * scale;
}

/* Largest difference of one output as a part of what is allowed; NaN if a result is. */
static double compare_block(const struct problem *p, const struct data_block *b,
                            const char *want, const char *got) {
  const int64_t n = (int64_t)b->bytes / pt_dtype(b->type)->bytes;
  double scale = 1.0, worst = 0.0;
  for (int64_t i = 0; i < n; i++)
    if (b->type != PT_I64) scale = fmax(scale, fabs(pt_load(want, b->type, i)));
  const double limit = allowed(p, b, scale);
  for (int64_t i = 0; i < n; i++) {
    const double x = pt_load(want, b->type, i), y = pt_load(got, b->type, i);
    double e = fabs(x - y) / limit;
    if (b->type == PT_I64) e = x == y ? 0 : INFINITY;
    if (!(e <= worst)) worst = e;
    if (worst != worst) break;
  }
  return worst;
}

/* The largest of all outputs. */
static double compare(const struct problem *p, const char *want, const char *got) {
  double worst = 0.0;
  for (int i = 0; i < p->count; i++) {
    const struct data_block *b = &p->blocks[i];
    if (!is_result(b)) continue;
    const double e = compare_block(p, b, want, got);
    if (!(e <= worst)) worst = e;
    if (worst != worst) break;
    want += b->bytes;
    got += b->bytes;
  }
  return worst;
}

/* ---- checking ---- */

struct tally {
  int passed, failed;
};

static const struct {
  int threads, tile, parts;
} settings[] = {{2, 0, 1},  {3, 1, 1}, {1, 7, 1},  {4, 64, 1},
                {2, 33, 1}, {2, 0, 2}, {1, 33, 5}, {3, 0, 1000}};

/* Same bits with every setting? NULL, or what is wrong; where gets the setting. */
static const char *check_settings(const struct op *op, const struct pt_kernels *k,
                                  struct problem *p, const char *first, int *where) {
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
    *where = (int)i;
    const char *wrong =
        run_once(op, k, p, settings[i].threads, settings[i].tile, settings[i].parts);
    char *got = result_of(p);
    if (!wrong && memcmp(first, got, (size_t)result_bytes(p)) != 0)
      wrong = "other bits than with one thread and its own tile";
    free(got);
    if (wrong) return wrong;
  }
  return NULL;
}

static bool check_version(const struct op *op, const struct pt_kernels *k, struct problem *p,
                          const char *want, double *worst) {
  char place[64] = "";
  int at = 0;
  const char *wrong = run_once(op, k, p, 1, 0, 1);
  char *got = result_of(p);
  double e = compare(p, want, got);
  if (!wrong && !(e <= 1.0)) {
    snprintf(place, sizeof place, " (%.3g times the tolerance)", e);
    wrong = "differs from ref";
  } else if (!wrong) {
    wrong = check_settings(op, k, p, got, &at);
    if (wrong)
      snprintf(place, sizeof place, " (threads %d, tile %d, parts %d)", settings[at].threads,
               settings[at].tile, settings[at].parts);
  }
  if (wrong)
    printf("  %s %s %s: %s: %s%s\n", op->name, k->name, type_name(p->type), p->text, wrong,
           place);
  if (!(e <= *worst)) *worst = e;
  free(got);
  return wrong == NULL;
}

/* Every version that wants such weights, on problem i. want: the reference's result; NULL is
 * replaced by it. The reference must give the same with both types of weights. */
static void check_problem(const struct op *op, int i, enum pt_dtype type, enum pt_dtype mats,
                          char **want, double *worst, struct tally *t) {
  int count;
  const struct pt_kernels *const *k = pt_kernel_tables(&count);
  struct problem p;
  problem_open(&p, (uint64_t)i + 1, type, mats);
  op->cases->make(&p, i);
  problem_seal(&p);
  if (!*want) {
    run_once(op, k[0], &p, 1, 0, 1);
    *want = result_of(&p);
  }
  for (int v = 0; v < count; v++) {
    if (v > 0 && pt_kernels_mat(k[v], type) != mats) continue;
    bool good = check_version(op, k[v], &p, *want, &worst[v]);
    t->passed += good;
    t->failed += !good;
  }
  problem_close(&p);
}

static void check_op(const struct op *op, enum pt_dtype type, struct tally *sum) {
  int count;
  const struct pt_kernels *const *k = pt_kernel_tables(&count);
  const bool both = pt_kernels_mat(k[count - 1], type) == PT_BF16;
  double worst[16] = {0};
  struct tally t = {0, 0};
  for (int i = 0; i < op->cases->count; i++) {
    char *want = NULL;
    check_problem(op, i, type, PT_F32, &want, worst, &t);
    if (both) check_problem(op, i, type, PT_BF16, &want, worst, &t);
    free(want);
  }
  printf("%-10s %s %3d problems, %3d failed; largest error / tolerance:", op->name,
         type_name(type), op->cases->count, t.failed);
  for (int v = 1; v < count; v++) printf("  %s %.2g", k[v]->name, worst[v]);
  printf("\n");
  fflush(stdout);
  sum->passed += t.passed;
  sum->failed += t.failed;
}

/* ---- timing ---- */

static double now(int threads) {
  struct timespec t;
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

struct timing {
  double low, median, high; /* seconds: smallest, middle, largest */
  int runs;
};

/* At least 5 runs and half a second after one to warm up; a run of a second or more (the
 * reference) stands alone. */
static struct timing time_version(const struct op *op, const struct pt_kernels *k,
                                  struct problem *p, int threads) {
  double t[200], total = 0;
  int n = 0, warm = 1;
  struct scratch s = scratch_open(op, k, p->op, threads, 0);
  while (n < 200 && (n < 5 || total < 0.5)) {
    problem_reset(p);
    double from = now(threads);
    op->run(k, p->op, &s.ex);
    double took = now(threads) - from;
    if (warm-- > 0 && took < 1.0) continue;
    t[n++] = took;
    total += took;
    if (took >= 1.0) break;
  }
  scratch_close(&s);
  qsort(t, (size_t)n, sizeof *t, by_value);
  return (struct timing){t[0], t[n / 2], t[n - 1], n};
}

/* One version at size i of the base model's; false if there is no such size. */
static bool bench_version(const struct op *op, const struct pt_kernels *k, int i,
                          enum pt_dtype type, int threads, double *ref) {
  struct problem p;
  problem_open(&p, (uint64_t)i + 1, type, pt_kernels_mat(k, type));
  const bool there = op->cases->bench(&p, i);
  if (there) {
    struct timing t = time_version(op, k, &p, threads);
    if (strcmp(k->name, "ref") == 0) *ref = t.median;
    printf("  %-34s %-10s %s %10.1f ns/row  (%.1f .. %.1f, %d runs)", p.text, k->name,
           type_name(type), t.median / (double)p.rows * 1e9, t.low / (double)p.rows * 1e9,
           t.high / (double)p.rows * 1e9, t.runs);
    if (*ref > 0) printf("  x%.1f ref", *ref / t.median);
    printf("\n");
    fflush(stdout);
  }
  problem_close(&p);
  return there;
}

static void bench_op(const struct op *op, int threads) {
  int count;
  const struct pt_kernels *const *k = pt_kernel_tables(&count);
  printf("%s\n", op->name);
  for (int i = 0;; i++) {
    double ref = 0;
    for (int v = 0; v < count; v++)
      for (int t = 0; t < 2; t++) {
        const enum pt_dtype type = t ? PT_BF16 : PT_F32;
        if (t && (v == 0 || !op->cases->bf16)) continue;
        if (!bench_version(op, k[v], i, type, threads, &ref)) return;
      }
  }
}

static const struct op *op_named(const char *name) {
  for (int i = 0; i < OPS; i++)
    if (strcmp(ops[i].name, name) == 0) return &ops[i];
  fprintf(stderr, "checkkernels: no op '%s'; there are:", name);
  for (int i = 0; i < OPS; i++) fprintf(stderr, " %s", ops[i].name);
  fprintf(stderr, "\n");
  exit(2);
}

int main(int argc, char **argv) {
  bool bench = false;
  int threads = 1, i = 1;
  struct tally sum = {0, 0};
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (strcmp(argv[i], "--bench") == 0) {
      bench = true;
    } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc && atoi(argv[i + 1]) > 0) {
      threads = atoi(argv[++i]);
    } else {
      fprintf(stderr, "usage: checkkernels [--bench [--threads N]] [OP...]\n");
      return 2;
    }
  }
  if (bench)
    printf("%s, %d thread%s: median (smallest .. largest)\n",
           threads == 1 ? "processor time" : "wall time", threads, threads == 1 ? "" : "s");
  int first = i;
  for (int o = 0; o < (first < argc ? argc - first : OPS); o++) {
    const struct op *op = first < argc ? op_named(argv[first + o]) : &ops[o];
    if (bench) {
      bench_op(op, threads);
      continue;
    }
    check_op(op, PT_F32, &sum);
    if (op->cases->bf16) check_op(op, PT_BF16, &sum);
  }
  if (bench) return 0;
  printf("%d passed, %d failed\n", sum.passed, sum.failed);
  return sum.failed != 0;
}
