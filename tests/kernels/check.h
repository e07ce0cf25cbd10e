/* check.h - made-up problems for the kernels: what the case files (<op>_case.c) build and
 * checkkernels.c runs.
 *
 * A problem owns every array its op reads or writes. Inputs are checked to be unchanged after
 * a run, outputs are filled with NaN (or put back) before it, and a guard before and after
 * each array shows a write past its ends. Under AddressSanitizer the arrays are exact, so it
 * sees reads past the ends as well. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dtype.h"
#include "mat.h"
#include "voxels.h"

enum block_kind { BLOCK_IN, BLOCK_OUT, BLOCK_INOUT, BLOCK_WORK };

struct data_block {
  enum block_kind kind;
  enum pt_dtype type; /* of the numbers of an output */
  char *base, *data;  /* allocation; contents */
  size_t bytes;
  char *before;   /* INOUT: what it holds before a run */
  uint64_t print; /* IN: fingerprint */
};

struct problem {
  char text[160];
  const void *op;     /* struct pt_<op> */
  int64_t rows;       /* of the op: what a timing is divided by */
  enum pt_dtype type; /* of the op's features */
  enum pt_dtype mats; /* of its weights */
  /* A result may be off by 2^-24 * (8 + 4 sqrt(depth)) * gain * max(1, largest |result|):
   * the largest of its own array; depth roundings in the longest chain of operations, whose
   * errors add up like a random walk, four standard deviations and more; gain is by how much
   * the op enlarges an error made inside it. Each case file says where its numbers come from.
   *
   * A number of bf16 is off by up to u = 2^-8 of itself. So with features in bf16
   * u (2 stored + 2.3 rounded) * gain * max(1, largest |result|) more is allowed. stored is
   * 1 where the result is bf16 too: the reference's and the other may round to either side.
   * rounded counts the tensors inside the op that may be rounded before a product. Their
   * errors are at worst even within u of a factor, so of deviation u / sqrt(3) of it, and
   * those of the sum of products have that part of the sum's own deviation, which is below
   * the largest result: four deviations are 2.3 u. */
  double depth, gain, rounded;
  struct data_block *blocks;
  int count;
  uint64_t seed, drawn;
};

struct op_cases {
  int count;                              /* of problems to check */
  void (*make)(struct problem *, int i);  /* the i-th */
  bool (*bench)(struct problem *, int i); /* the i-th of the base model's; false: no more */
  bool bf16;                              /* the fast versions take features in bf16 */
};

/* ---- for the case files ---- */

/* Uniform in lo .. hi. */
int64_t draw(struct problem *p, int64_t lo, int64_t hi);
/* Uniform in [-range, range]. */
float draw_float(struct problem *p, float range);

/* count x size bytes, cleared, an input of the op. */
void *make_in(struct problem *p, int64_t count, int64_t size);
/* Inputs uniform around a centre. */
float *make_floats(struct problem *p, int64_t count, float centre, float range);
/* Outputs; in-place ones get numbers uniform in [-range, range]. */
float *make_out(struct problem *p, int64_t count);
float *make_inout(struct problem *p, int64_t count, float range);
/* Outputs of another type: PT_F64, PT_I64 (which must be equal). */
void *make_out_of(struct problem *p, int64_t count, enum pt_dtype type);
/* Bytes to work in, whose contents do not matter. */
void *make_work(struct problem *p, int64_t bytes);
/* The same for features: p->type. */
void *make_features(struct problem *p, int64_t count, float centre, float range);
void *make_features_out(struct problem *p, int64_t count);
void *make_features_inout(struct problem *p, int64_t count, float range);
/* A packed (k, n) matrix with entries of variance 1 / k: outputs as large as inputs. With
 * features in bf16 the entries are numbers of bf16, whatever type they are packed as. */
struct pt_mat make_mat(struct problem *p, int k, int n);
/* count matrices (k, n) one after the other, of variance 1 / (k fan): the first. */
struct pt_mat make_mats(struct problem *p, int count, int k, int n, double fan);
/* The same of PT_F32 whatever the problem's. */
struct pt_mat make_float_mats(struct problem *p, int count, int k, int n, double fan);
int32_t *make_permutation(struct problem *p, int64_t n);
/* count numbers in 0 .. below - 1. */
int32_t *make_indices(struct problem *p, int64_t count, int64_t below);

/* Voxels of so many clouds of about n rows each, sorted in Z-order: rows on a wavy surface
 * (as in a scan) or, with solid, in a random ball-like heap. n = 0 gives no rows. */
const struct pt_voxels *make_voxels(struct problem *p, int clouds, int64_t n, bool solid);

/* The base model's encoder, level by level: channels, heads, and rows to time with. */
enum { BASE_LEVELS = 5 };
static const struct {
  int c, heads;
  int64_t rows;
} base_level[BASE_LEVELS] = {
    {32, 2, 16384}, {64, 4, 8192}, {128, 8, 4096}, {256, 16, 2048}, {512, 32, 1024}};

/* ---- for checkkernels.c ---- */

/* The same seed draws the same numbers whatever the types. */
void problem_open(struct problem *p, uint64_t seed, enum pt_dtype type, enum pt_dtype mats);
void problem_seal(struct problem *p);  /* after it is made: notes what inputs hold */
void problem_reset(struct problem *p); /* before a run */
/* After a run: NULL, or what is wrong with guards or inputs. */
const char *problem_damage(const struct problem *p);
void problem_close(struct problem *p);

void *check_alloc(size_t bytes); /* 64-byte aligned; stops the program when there is none */

#endif
