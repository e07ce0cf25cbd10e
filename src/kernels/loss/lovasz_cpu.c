/* lovasz_cpu.c - Lovasz-softmax: the errors of one class after the other are sorted and walked
 * through by all threads.
 *
 * Errors lie in 0 .. 1, so that the bits of 1 less those of an error are a key of 30 bits that
 * ascends where errors descend: three passes of a radix sort, which is stable, so that equal
 * errors keep the order of rows however many threads take part. Ignored rows get the largest
 * key. The walk knows by counts of integers how many rows of the class lie before a block. */
#include "lovasz.h"

#include "loss_work.h"
#include "softmax_cpu.h"

enum { BITS = 10, DIGITS = 1 << BITS, PASSES = 3 };
enum { LAST_KEY = (1 << BITS * PASSES) - 1, ONE_BITS = 0x3f800000 };

int64_t PT_FN(pt_lovasz_scratch)(const struct pt_loss *a) {
  (void)a;
  return 2 * DIGITS * (int64_t)sizeof(int32_t);
}

/* A class being worked on, and a thread's part of it. */
struct job {
  const struct pt_loss *a;
  const struct pt_exec *x;
  struct pt_loss_parts w;
  int k, c;
  int64_t first, n; /* rows of the image */
  int64_t of;       /* rows of the class */
  int64_t m;        /* rows that count */
  double weigh;
};
struct share {
  int thread, threads;
  int64_t begin, end; /* blocks */
};

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- keys ---- */

static uint32_t key_of(float error) {
  uint32_t bits;
  memcpy(&bits, &error, sizeof bits);
  return ONE_BITS - bits;
}
static float error_of(uint32_t key) {
  const uint32_t bits = ONE_BITS - key;
  float error;
  memcpy(&error, &bits, sizeof error);
  return error;
}

/* p of class c for PT_VW rows from r on, fewer at the end. */
static void probabilities(const struct job *j, int64_t r, int rows, float *p) {
  float d[PT_VW] = {0}, inv[PT_VW] = {0};
  for (int i = 0; i < rows; i++) {
    d[i] = j->a->logits[(r + i) * j->a->classes + j->c] - j->w.top[r + i];
    inv[i] = j->w.inv[r + i];
  }
  const pt_v v = pt_vmul(pt_vexp_below(pt_vload(d)), pt_vload(inv));
  pt_vstore(p, pt_vmin(pt_vset1(1.0f), v));
}

static void make_keys(const struct job *j, const struct share *s) {
  const int64_t end = at_most(s->end * PT_LOSS_ROWS, j->n);
  for (int64_t i = s->begin * PT_LOSS_ROWS; i < end; i += PT_VW) {
    const int rows = (int)at_most(PT_VW, end - i);
    float p[PT_VW];
    probabilities(j, j->first + i, rows, p);
    for (int v = 0; v < rows; v++) {
      const int64_t r = j->first + i + v;
      const bool counts = pt_loss_counts(j->a, j->k, r), hit = j->a->label[r] == j->c;
      j->w.key[0][i + v] = counts ? key_of(hit ? 1.0f - p[v] : p[v]) : LAST_KEY;
      j->w.at[0][i + v] = (int32_t)r;
    }
  }
}

/* ---- sort ---- */

static int32_t *digits_of(const struct job *j, int thread) {
  return (int32_t *)(void *)(j->x->scratch + thread * j->x->scratch_stride);
}

/* One pass, from side `from` to the other. Called by all threads; ends with a barrier. */
static void sort_pass(const struct job *j, const struct share *s, int from, int shift) {
  const uint32_t *key = j->w.key[from];
  const int64_t begin = at_most(s->begin * PT_LOSS_ROWS, j->n);
  const int64_t end = at_most(s->end * PT_LOSS_ROWS, j->n);
  int32_t *mine = digits_of(j, s->thread), *place = mine + DIGITS, sum = 0;
  memset(mine, 0, DIGITS * sizeof *mine);
  for (int64_t i = begin; i < end; i++) mine[key[i] >> shift & (DIGITS - 1)]++;
#pragma omp barrier
  for (int d = 0; d < DIGITS; d++)
    for (int t = 0; t < s->threads; t++) {
      if (t == s->thread) place[d] = sum;
      sum += digits_of(j, t)[d];
    }
  for (int64_t i = begin; i < end; i++) {
    const int32_t to = place[key[i] >> shift & (DIGITS - 1)]++;
    j->w.key[!from][to] = key[i];
    j->w.at[!from][to] = j->w.at[from][i];
  }
#pragma omp barrier
}

/* ---- walk ---- */

static bool is_hit(const struct job *j, int64_t i) {
  return j->a->label[j->w.at[PASSES % 2][i]] == j->c;
}

/* Block b of the sorted rows, before which `hits` have the class; returns what it has. */
static int64_t walk_block(const struct job *j, int64_t b, int64_t hits) {
  const int64_t first = b * PT_LOSS_ROWS, end = at_most(first + PT_LOSS_ROWS, j->m);
  const int64_t before = hits;
  double part = 0.0;
  for (int64_t i = first; i < end; i++) {
    const bool hit = is_hit(j, i);
    const float error = error_of(j->w.key[PASSES % 2][i]);
    const double step = pt_jaccard_step(j->of, hits, i - hits, hit);
    hits += hit;
    part += (double)error * step;
    j->a->g[(int64_t)j->w.at[PASSES % 2][i] * j->a->classes + j->c] +=
        (float)(j->weigh * (hit ? -step : step));
  }
  j->w.block[b].part = part;
  return hits - before;
}

static void walk(const struct job *j, const struct share *s) {
  for (int64_t b = s->begin; b < s->end; b++) {
    int64_t hits = 0;
    for (int64_t i = b * PT_LOSS_ROWS; i < at_most((b + 1) * PT_LOSS_ROWS, j->m); i++)
      hits += is_hit(j, i);
    j->w.block[b].count = hits;
  }
#pragma omp barrier
  int64_t hits = 0;
  for (int64_t b = 0; b < s->begin; b++) hits += j->w.block[b].count;
  for (int64_t b = s->begin; b < s->end; b++) hits += walk_block(j, b, hits);
}

static double one_class(const struct job *j) {
  const int64_t blocks = (j->n + PT_LOSS_ROWS - 1) / PT_LOSS_ROWS;
  const int threads = (int)at_most(j->x->threads, blocks / 2 + 1);
#pragma omp parallel num_threads(threads)
  {
    struct share s = {omp_get_thread_num(), omp_get_num_threads(), 0, 0};
    s.begin = blocks * s.thread / s.threads;
    s.end = blocks * (s.thread + 1) / s.threads;
    make_keys(j, &s);
    for (int pass = 0; pass < PASSES; pass++) sort_pass(j, &s, pass % 2, pass * BITS);
    walk(j, &s);
  }
  double value = 0.0;
  for (int64_t b = 0; b < blocks; b++) value += j->w.block[b].part;
  return value;
}

double PT_FN(pt_lovasz)(const struct pt_loss *a, int k, const struct pt_exec *x) {
  const struct pt_criterion *q = &a->criterion[k];
  const int images = pt_loss_images(a, k);
  struct job j = {.a = a, .x = x, .w = pt_loss_parts(a), .k = k};
  int counted = 0;
  double value = 0.0;
  for (int i = 0; i < images; i++)
    counted +=
        pt_loss_count(a, k, pt_loss_first(a, k, i), pt_loss_first(a, k, i + 1), j.w.count) > 0;
  for (int i = 0; i < images; i++) {
    j.first = pt_loss_first(a, k, i), j.n = pt_loss_first(a, k, i + 1) - j.first;
    j.m = pt_loss_count(a, k, j.first, j.first + j.n, j.w.count);
    if (j.m == 0) continue;
    const double terms = (double)counted * pt_loss_classes(a, k, j.w.count);
    j.weigh = (double)q->loss_weight * (double)a->scale / terms;
    for (j.c = 0; j.c < a->classes; j.c++) {
      if (!pt_loss_class(q, j.w.count, j.c)) continue;
      j.of = j.w.count[j.c];
      value += one_class(&j) / terms;
    }
  }
  return (double)q->loss_weight * value;
}
