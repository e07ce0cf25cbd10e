/* refcase.h - one case of a reference folder: its meta.json, its tensors, and comparing
 * with them. A case is a folder with meta.json and data.safetensors (see the folder's own
 * README for what the tensors are). */
#ifndef REFCASE_H
#define REFCASE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "env.h"
#include "tensors.h"

struct refcase {
  const char *folder; /* "tiny/eval_one" */
  const char *dir;    /* where it lies */
  json_t *meta;
  struct pt_tensors data;
  struct pt_env *env;
  const char *kernels; /* name of the kernel table, or NULL for the fastest */
  int checks, failures;
  double slack; /* tolerances are multiplied by it; 0: 1 */
  double worst; /* largest error seen, as a part of its tolerance */
};

/* One kind of case: what its meta.json's "what" begins with, and how it is run. */
struct refkind {
  const char *what;
  void (*run)(struct refcase *c);
};
extern const struct refkind refkinds_model[], refkinds_cloud[], refkinds_ops[],
    refkinds_files[], refkinds_optim[], refkinds_loss[],
    refkinds_train[]; /* each ends with what = NULL */

/* Counts a check; prints the reason when it fails. */
void ref_check(struct refcase *c, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

bool ref_has(struct refcase *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A tensor converted to the type asked for, C order; ends the program if it is missing.
 * Freed by ref_free_all at the end of the case. *n (NULL allowed): elements. */
float *ref_f32(struct refcase *c, int64_t *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
double *ref_f64(struct refcase *c, int64_t *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int32_t *ref_i32(struct refcase *c, int64_t *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int64_t *ref_i64(struct refcase *c, int64_t *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const struct pt_tensor *ref_tensor(struct refcase *c, const char *name);

/* Memory for a case, freed with it. */
void *ref_alloc(struct refcase *c, int64_t count, int64_t size);

/* meta[a][b]..., the path separated by '|'; NULL if absent. */
json_t *ref_meta(struct refcase *c, const char *path);
double ref_number(struct refcase *c, const char *path, double def);

/* Compares floats with what is expected [n]. The tolerance is PyTorch's own float32 error,
 * meta[error_path] = {max_abs, rms}, times 10 (largest) and 5 (root mean square), plus 2e-7
 * of the largest expected value. With error_path NULL (not recorded) 1e-6 of the largest
 * expected value stands for that error. */
void ref_compare(struct refcase *c, const char *name, const float *got, const double *want,
                 int64_t n, const char *error_path);

/* Exact integers. */
void ref_compare_i64(struct refcase *c, const char *name, const int64_t *got,
                     const int64_t *want, int64_t n);
void ref_compare_i32(struct refcase *c, const char *name, const int32_t *got,
                     const int32_t *want, int64_t n);

#endif
