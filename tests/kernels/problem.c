/* problem.c - see check.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "feature.h"
#include "philox.h"

#if defined(__SANITIZE_ADDRESS__)
enum { GUARD_BEFORE = 0, GUARD_AFTER = 0 };
#else
enum { GUARD_BEFORE = 64, GUARD_AFTER = 64 };
#endif
#define GUARD_BYTE 0xA5

void *check_alloc(size_t bytes) {
  void *p = NULL;
  if (posix_memalign(&p, 64, bytes ? bytes : 1) != 0) {
    fprintf(stderr, "checkkernels: no memory for %zu bytes\n", bytes);
    exit(2);
  }
  return p;
}

int64_t draw(struct problem *p, int64_t lo, int64_t hi) {
  double u = pt_philox_uniform(p->seed, 1, p->drawn++);
  return lo + (int64_t)(u * (double)(hi - lo + 1));
}

float draw_float(struct problem *p, float range) {
  double u = pt_philox_uniform(p->seed, 1, p->drawn++);
  return (float)((2 * u - 1) * (double)range);
}

static struct data_block *add(struct problem *p, enum block_kind kind, int64_t count,
                              int64_t size) {
  struct data_block *all = realloc(p->blocks, (size_t)(p->count + 1) * sizeof *all);
  if (!all) exit(2);
  p->blocks = all;
  struct data_block *b = &all[p->count++];
  *b = (struct data_block){.kind = kind, .type = PT_F32, .bytes = (size_t)(count * size)};
  b->base = check_alloc(GUARD_BEFORE + b->bytes + GUARD_AFTER);
  b->data = b->base + GUARD_BEFORE;
  memset(b->base, GUARD_BYTE, GUARD_BEFORE + b->bytes + GUARD_AFTER);
  memset(b->data, 0, b->bytes);
  return b;
}

void *make_in(struct problem *p, int64_t count, int64_t size) {
  return add(p, BLOCK_IN, count, size)->data;
}

float *make_floats(struct problem *p, int64_t count, float centre, float range) {
  float *x = make_in(p, count, sizeof(float));
  for (int64_t i = 0; i < count; i++) x[i] = centre + draw_float(p, range);
  return x;
}

float *make_out(struct problem *p, int64_t count) {
  return (float *)(void *)add(p, BLOCK_OUT, count, sizeof(float))->data;
}

void *make_out_of(struct problem *p, int64_t count, enum pt_dtype type) {
  struct data_block *b = add(p, BLOCK_OUT, count, pt_dtype(type)->bytes);
  b->type = type;
  return b->data;
}

void *make_work(struct problem *p, int64_t bytes) { return add(p, BLOCK_WORK, bytes, 1)->data; }

void *make_features(struct problem *p, int64_t count, float centre, float range) {
  void *x = make_in(p, count, pt_feature_bytes(p->type));
  for (int64_t i = 0; i < count; i++) pt_put(x, p->type, i, centre + draw_float(p, range));
  return x;
}

void *make_features_out(struct problem *p, int64_t count) {
  struct data_block *b = add(p, BLOCK_OUT, count, pt_feature_bytes(p->type));
  b->type = p->type;
  return b->data;
}

static char *inout(struct problem *p, int64_t count, float range, enum pt_dtype type) {
  struct data_block *b = add(p, BLOCK_INOUT, count, pt_feature_bytes(type));
  b->type = type;
  b->before = check_alloc(b->bytes);
  for (int64_t i = 0; i < count; i++) pt_put(b->before, type, i, draw_float(p, range));
  return b->data;
}

float *make_inout(struct problem *p, int64_t count, float range) {
  return (float *)(void *)inout(p, count, range, PT_F32);
}

void *make_features_inout(struct problem *p, int64_t count, float range) {
  return inout(p, count, range, p->type);
}

static struct pt_mat mats(struct problem *p, int count, int k, int n, double fan,
                          enum pt_dtype type) {
  int64_t size = pt_mat_size(k, n, type);
  char *packed = make_in(p, count, size);
  float *w = check_alloc((size_t)k * (size_t)n * sizeof(float));
  float range = (float)sqrt(3.0 / (k * fan));
  for (int m = 0; m < count; m++) {
    for (int64_t i = 0; i < (int64_t)k * n; i++) {
      w[i] = draw_float(p, range);
      if (p->type == PT_BF16) w[i] = pt_bf16_float(pt_float_bf16(w[i]));
    }
    pt_mat_pack(packed + m * size, type, w, k, n, n, 1);
  }
  free(w);
  return (struct pt_mat){packed, k, n, type};
}

struct pt_mat make_mats(struct problem *p, int count, int k, int n, double fan) {
  return mats(p, count, k, n, fan, p->mats);
}

struct pt_mat make_float_mats(struct problem *p, int count, int k, int n, double fan) {
  return mats(p, count, k, n, fan, PT_F32);
}

struct pt_mat make_mat(struct problem *p, int k, int n) {
  return make_mats(p, 1, k, n, 1.0);
}

int32_t *make_permutation(struct problem *p, int64_t n) {
  int32_t *at = make_in(p, n, sizeof(int32_t));
  for (int64_t i = 0; i < n; i++) at[i] = (int32_t)i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = draw(p, 0, i);
    int32_t t = at[i];
    at[i] = at[j];
    at[j] = t;
  }
  return at;
}

int32_t *make_indices(struct problem *p, int64_t count, int64_t below) {
  int32_t *at = make_in(p, count, sizeof(int32_t));
  for (int64_t i = 0; i < count; i++) at[i] = (int32_t)draw(p, 0, below - 1);
  return at;
}

/* ---- voxels ---- */

static uint64_t spread(uint64_t x) {
  uint64_t r = 0;
  for (int i = 0; i < 21; i++) r |= (x >> i & 1) << 3 * i;
  return r;
}

static int32_t gather(uint64_t code) {
  uint64_t r = 0;
  for (int i = 0; i < 21; i++) r |= (code >> 3 * i & 1) << i;
  return (int32_t)r;
}

static int by_code(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Sorted codes of about n distinct voxels; returns how many. */
static int64_t draw_codes(struct problem *p, uint64_t *code, int64_t n, bool solid) {
  const int64_t top = (1 << 21) - 1;
  int64_t side =
      solid ? (int64_t)cbrt(2.0 * (double)n) + 1 : (int64_t)sqrt((double)n / 1.6) + 1;
  int64_t from = draw(p, 0, 2) == 0 ? top - side - 12 : draw(p, 0, 2) == 0 ? 0 : 1000;
  for (int64_t i = 0; i < n; i++) {
    int64_t x = draw(p, 0, side), y = draw(p, 0, side), z = draw(p, 0, side);
    if (!solid)
      z = (int64_t)(4.0 + 3.0 * sin(0.1 * (double)x) + sin(0.2 * (double)y)) + draw(p, 0, 1);
    code[i] = spread((uint64_t)(from + x)) << 2 | spread((uint64_t)(from + y)) << 1 |
              spread((uint64_t)(from + z));
  }
  qsort(code, (size_t)n, sizeof *code, by_code);
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++)
    if (m == 0 || code[m - 1] != code[i]) code[m++] = code[i];
  return m;
}

const struct pt_voxels *make_voxels(struct problem *p, int clouds, int64_t n, bool solid) {
  struct pt_voxels *v = make_in(p, 1, sizeof *v);
  uint64_t *code = check_alloc((size_t)(clouds * n) * sizeof *code);
  int64_t *offset = check_alloc((size_t)(clouds + 1) * sizeof *offset);
  offset[0] = 0;
  for (int c = 0; c < clouds; c++)
    offset[c + 1] = offset[c] + draw_codes(p, code + offset[c], n, solid);
  v->n = offset[clouds];
  int32_t *coord = make_in(p, 3 * v->n, sizeof *coord);
  for (int64_t r = 0; r < v->n; r++)
    for (int a = 0; a < 3; a++) coord[3 * r + a] = gather(code[r] >> (2 - a));
  v->coord = coord;
  v->blocks = pt_block_count(coord, offset, clouds);
  v->slots = pt_block_slots(v->blocks);
  int32_t *start = make_in(p, v->blocks + 1, 4), *cloud = make_in(p, v->blocks, 4);
  int32_t *slot = make_in(p, v->slots, 4);
  pt_block_build(coord, offset, clouds, v->blocks, start, cloud, slot, v->slots);
  v->start = start;
  v->cloud = cloud;
  v->slot = slot;
  free(code);
  free(offset);
  return v;
}

/* ---- running ---- */

static uint64_t fingerprint(const struct data_block *b) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < b->bytes; i++) h = (h ^ (uint8_t)b->data[i]) * 0x100000001b3u;
  return h;
}

void problem_open(struct problem *p, uint64_t seed, enum pt_dtype type, enum pt_dtype mats) {
  *p = (struct problem){.seed = seed, .type = type, .mats = mats, .gain = 1.0};
}

void problem_seal(struct problem *p) {
  for (int i = 0; i < p->count; i++)
    if (p->blocks[i].kind == BLOCK_IN) p->blocks[i].print = fingerprint(&p->blocks[i]);
}

void problem_reset(struct problem *p) {
  for (int i = 0; i < p->count; i++) {
    struct data_block *b = &p->blocks[i];
    if (b->kind == BLOCK_OUT || b->kind == BLOCK_WORK)
      memset(b->data, 0xff, b->bytes); /* NaN */
    if (b->kind == BLOCK_INOUT) memcpy(b->data, b->before, b->bytes);
  }
}

static bool guarded(const struct data_block *b) {
#if !defined(__SANITIZE_ADDRESS__)
  for (size_t g = 0; g < GUARD_BEFORE; g++)
    if ((uint8_t)b->base[g] != GUARD_BYTE) return false;
  for (size_t g = 0; g < GUARD_AFTER; g++)
    if ((uint8_t)b->data[b->bytes + g] != GUARD_BYTE) return false;
#else
  (void)b;
#endif
  return true;
}

const char *problem_damage(const struct problem *p) {
  for (int i = 0; i < p->count; i++) {
    const struct data_block *b = &p->blocks[i];
    if (!guarded(b)) return "wrote outside an array";
    if (b->kind == BLOCK_IN && b->print != fingerprint(b)) return "changed an input";
  }
  return NULL;
}

void problem_close(struct problem *p) {
  for (int i = 0; i < p->count; i++) {
    free(p->blocks[i].before);
    free(p->blocks[i].base);
  }
  free(p->blocks);
}
