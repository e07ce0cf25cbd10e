/* tensors.h - a set of named tensors: the weights of a checkpoint file, or tensors in
 * memory that are to be written as one.
 *
 * Opening maps the file; tensors point into the mapping (or, for compressed records, into
 * blocks the set owns), so that loading costs no memory until data are touched. Nothing
 * here knows a model: matching names to parameters is done in model/. */
#ifndef PT_TENSORS_H
#define PT_TENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "dtype.h"
#include "file.h"

#define PT_TENSOR_DIMS 8

struct pt_tensor {
  const char *name; /* without "module."; owned by the set */
  enum pt_dtype type;
  int ndim;                       /* 0: a scalar */
  int64_t shape[PT_TENSOR_DIMS];  /* [ndim], elements, >= 0 */
  int64_t stride[PT_TENSOR_DIMS]; /* [ndim], elements, >= 0; 0 for expanded dimensions */
  int64_t count;                  /* the product of shape */
  const void *data;               /* first element; little-endian, may be unaligned */
};

/* Something in the file that is not a weight: a top-level key of the pickle ("optimizer",
 * "dict of 2"), an entry of safetensors' __metadata__ (its key and its text), or an entry
 * of the state_dict that is not a dense tensor. A .pth lists at most the first 1000. */
struct pt_extra {
  const char *key;
  const char *text;
};

enum pt_tensors_format {
  PT_TENSORS_MEMORY,
  PT_TENSORS_SAFETENSORS,
  PT_TENSORS_PTH,
  PT_TENSORS_PTH_LEGACY
};

struct pt_tensors {
  struct pt_tensor *item; /* [count], in the order of the file */
  int64_t count, item_cap;
  int64_t *by_name; /* [count], item numbers sorted by name; NULL until indexed */
  enum pt_tensors_format format;
  bool had_module; /* names in the file had the prefix "module." */
  bool has_epoch, has_best;
  int64_t epoch;          /* "epoch": epochs done */
  double best;            /* "best_metric_value" */
  struct pt_extra *extra; /* [extras] */
  int64_t extras, extra_cap;
  /* Private from here on. */
  struct pt_mem *mem;
  struct pt_map map;
  char *path;
  void **owned; /* [owned_count], blocks freed with the set */
  int64_t owned_count, owned_cap;
};

/* Opens a .pth or .safetensors file; which it is is told from its bytes. On failure the
 * set is empty and needs no pt_tensors_free. */
int pt_tensors_open(struct pt_tensors *t, struct pt_mem *mem, const char *path,
                    struct ptv3_error *err);

/* Opens what a .pth keeps under a top-level key other than the weights ("optimizer"):
 * tensors are named by their path ("state.0.exp_avg"), everything else is an extra with its
 * path and value ("param_groups.0.lr", "0.001"; numbers in full). PTV3_DATA if the file
 * does not have the key. */
int pt_tensors_open_part(struct pt_tensors *t, struct pt_mem *mem, const char *path,
                         const char *key, struct ptv3_error *err);

/* As pt_tensors_open, from bytes that the caller keeps alive as long as the set. */
int pt_tensors_read(struct pt_tensors *t, struct pt_mem *mem, struct pt_cursor bytes,
                    struct ptv3_error *err);

void pt_tensors_free(struct pt_tensors *t); /* a zeroed set is allowed */

/* "PyTorch .pth (zip)" and so on. */
const char *pt_tensors_format_text(enum pt_tensors_format f);

/* An empty set, for pt_tensors_add. */
void pt_tensors_init(struct pt_tensors *t, struct pt_mem *mem);

/* Adds a contiguous C-order tensor; name is copied, data [product of shape] stay the
 * caller's. */
int pt_tensors_add(struct pt_tensors *t, const char *name, enum pt_dtype type, int ndim,
                   const int64_t *shape, const void *data, struct ptv3_error *err);

/* The tensor with this name, NULL if there is none. */
const struct pt_tensor *pt_tensors_find(const struct pt_tensors *t, const char *name);

/* The text of an extra, NULL if there is none. */
const char *pt_tensors_extra(const struct pt_tensors *t, const char *key);

bool pt_tensor_contiguous(const struct pt_tensor *t);

/* Copies into dst [t->count] in C order as type `to`; converts as pt_convert does. dst
 * does not overlap the tensor. */
void pt_tensor_copy(const struct pt_tensor *t, enum pt_dtype to, void *dst);
void pt_tensor_copy_f32(const struct pt_tensor *t, float *dst);

/* "[5, 8]"; buf is returned. */
const char *pt_shape_text(const struct pt_tensor *t, char buf[static 192]);

/* ---- writing ---- */

struct pt_tensors_write {
  bool convert;       /* floating point tensors are stored as type; others stay */
  enum pt_dtype type; /* PT_F32, PT_F16, PT_BF16 or PT_F64 */
  bool module_prefix; /* names are written with "module." in front */
};

/* Writes the set with its epoch and best metric where it has them; opt NULL: as they are.
 * A .pth holds {'state_dict': …, 'epoch': …, 'best_metric_value': …} and loads with
 * torch.load(weights_only=True), the metric as a tensor of one number; a .safetensors keeps the
 * two in its __metadata__. Views of one storage are written as tensors of their own. Data are
 * streamed; the file appears when it is complete. */
int pt_tensors_write_pth(struct pt_tensors *t, const char *path,
                         const struct pt_tensors_write *opt, struct ptv3_error *err);
int pt_tensors_write_safetensors(struct pt_tensors *t, const char *path,
                                 const struct pt_tensors_write *opt, struct ptv3_error *err);

/* ---- for the readers and writers in formats/ ---- */

/* Appends a cleared tensor; NULL with err filled on failure. */
struct pt_tensor *pt_tensors_push(struct pt_tensors *t, struct ptv3_error *err);

/* Remembers a block to free with the set; on failure the block is freed at once. */
int pt_tensors_own(struct pt_tensors *t, void *block, struct ptv3_error *err);

/* Adds an extra; both texts are copied (n bytes of key; control characters become '?'). */
int pt_tensors_push_extra(struct pt_tensors *t, const char *key, int64_t n, const char *text,
                          struct ptv3_error *err);

/* Sorts the names for pt_tensors_find; PTV3_FORMAT if one occurs twice. */
int pt_tensors_index(struct pt_tensors *t, const char *file, struct ptv3_error *err);

/* Fills count and C-order strides from shape; false if the size in bytes overflows. */
bool pt_tensor_pack(struct pt_tensor *t);

/* Calls sink with the tensor's elements in C order as type `to`, in pieces of at most
 * PT_TENSOR_PIECE bytes or directly from data where nothing is to be changed. */
#define PT_TENSOR_PIECE 8192
void pt_tensor_stream(const struct pt_tensor *t, enum pt_dtype to,
                      void (*sink)(void *user, const void *data, int64_t bytes), void *user);

/* The type a tensor is written as. */
enum pt_dtype pt_tensors_write_type(const struct pt_tensor *t,
                                    const struct pt_tensors_write *opt);

/* Checks a set before it is written: distinct names, and a size in keeping with the file
 * it came from (an expanded tensor can claim any size). */
int pt_tensors_check_write(struct pt_tensors *t, const char *path,
                           const struct pt_tensors_write *opt, struct ptv3_error *err);

#endif
