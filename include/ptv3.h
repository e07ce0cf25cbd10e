/* ptv3.h - Point Transformer V3 in C: the public interface.
 *
 * In short: a context holds the threads and the memory budget; a configuration and weights
 * make a model; a model and a cloud make labels.
 *
 *   struct ptv3_context *ctx;  struct ptv3_config *cfg;  struct ptv3_weights *w;
 *   struct ptv3_model *model;  struct ptv3_cloud *cloud; struct ptv3_error err;
 *   ptv3_context_create(NULL, &ctx, &err);
 *   ptv3_config_load(ctx, "semseg-pt-v3m1-0-base.py", NULL, 0, &cfg, &err);
 *   ptv3_weights_load(ctx, "model_best.pth", &w, &err);
 *   ptv3_model_create(ctx, cfg, w, NULL, &model, &err);
 *   ptv3_cloud_create(ctx, &(struct ptv3_points){.n = n, .coord = xyz}, &cloud, &err);
 *   ptv3_predict(model, cloud, NULL, label, NULL, NULL, &err);
 *
 * Rules. Every call that can fail returns a status (0 is success) and fills *err, which may
 * be NULL. On failure an `out` pointer is set to NULL and nothing is kept. Strings are
 * UTF-8 and copied; arrays are borrowed for the length of the call. What a call creates is
 * the caller's, and is freed before the context it was made with. A _free function allows
 * NULL. Options are structs of which zeros mean the defaults. The library never prints,
 * exits or aborts; it has no global state. Objects of one context are used by one thread
 * at a time; contexts are independent of each other. */
#ifndef PTV3_H
#define PTV3_H

#include <stdbool.h>
#include <stdint.h>

#include "ptv3_check.h"
#include "ptv3_cloud.h"
#include "ptv3_error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ptv3_context;
struct ptv3_config;
struct ptv3_weights;
struct ptv3_model;
struct ptv3_evaluation;

/* ---- version ---- */

/* "0.1.0" */
PTV3_API const char *ptv3_version(void);

/* What was built in, and what this machine has: item `index` from 0 as a name ("compiler",
 * "processor", "LAZ") and a value. Returns false past the last item. value is written with
 * its end cut off if size is too small. */
PTV3_API bool ptv3_build_info(int index, const char **name, char *value, int size);

/* ---- context ---- */

struct ptv3_options {
  int threads;    /* 0: every processor the process may use */
  int64_t memory; /* budget in bytes for everything the library allocates; 0: what the system
                     and the process's control group have available, less a margin */
  /* Called with one line on a choice that was made, such as smaller tiles for the sake of the
   * budget; NULL: not told. */
  void (*info)(void *user, const char *message);
  /* Called with one-line warnings (UTF-8, no line end); NULL: they are dropped. */
  void (*warn)(void *user, const char *message);
  /* Called now and then with the thing being done and how far it is (total 0: unknown), on
   * the thread that made the call. Returning false stops the running call, which then
   * returns PTV3_CANCELLED. */
  bool (*progress)(void *user, const char *what, int64_t done, int64_t total);
  void *user; /* handed to all three */
  /* Folder for the temporary file that features go to where the budget is too small for them;
   * it must be on a disk. NULL: $TMPDIR, else /var/tmp. */
  const char *tmp;
};

/* options NULL: defaults. */
PTV3_API int ptv3_context_create(const struct ptv3_options *options, struct ptv3_context **out,
                                 struct ptv3_error *err);
PTV3_API void ptv3_context_free(struct ptv3_context *ctx);

/* Memory of a context, in bytes. */
struct ptv3_memory {
  int64_t limit;
  int64_t used;
  int64_t peak; /* largest value of used so far */
};

/* May be called from within the callbacks. */
PTV3_API void ptv3_context_memory(const struct ptv3_context *ctx, struct ptv3_memory *memory);

/* Category `index` of the memory from 0 ("weights", "cloud", "features" ...) with its bytes
 * now and at its peak; false past the last. */
PTV3_API bool ptv3_context_memory_of(const struct ptv3_context *ctx, int index,
                                     const char **name, int64_t *used, int64_t *peak);

/* ---- configuration ---- */

/* Reads a configuration file of Pointcept (a Python file, which is read, not run, with the
 * files its _base_ names). options [count] are changes as "a.b.c=value", value written as
 * in Python; later ones win.
 * Errors: PTV3_IO; with file and line in the message PTV3_CONFIG, and PTV3_UNSUPPORTED for
 * Python that is not read. */
PTV3_API int ptv3_config_load(struct ptv3_context *ctx, const char *path,
                              const char *const *options, int count, struct ptv3_config **out,
                              struct ptv3_error *err);

/* The same from text in memory; name is for messages. _base_ is not allowed here. */
PTV3_API int ptv3_config_parse(struct ptv3_context *ctx, const char *text, int64_t length,
                               const char *name, const char *const *options, int count,
                               struct ptv3_config **out, struct ptv3_error *err);

PTV3_API void ptv3_config_free(struct ptv3_config *config);

/* The configuration, bases and changes resolved, as JSON. key NULL: all of it; otherwise the
 * value at "model.backbone.enc_depths.0". *text is valid until the configuration is freed or
 * this is called on it again.
 * Errors: PTV3_CONFIG (no such key), PTV3_BUDGET. */
PTV3_API int ptv3_config_text(struct ptv3_config *config, const char *key, const char **text,
                              struct ptv3_error *err);

/* ---- weights ---- */

/* Reads a checkpoint: .pth as torch.save writes it (read by a restricted unpickler: nothing
 * in it is run) or .safetensors. Tensors are read when they are needed.
 * Errors: PTV3_IO, PTV3_FORMAT, PTV3_UNSUPPORTED, PTV3_BUDGET. */
PTV3_API int ptv3_weights_load(struct ptv3_context *ctx, const char *path,
                               struct ptv3_weights **out, struct ptv3_error *err);

/* Untrained weights for the model of a configuration, the same for the same seed on every
 * machine. For tests, timing and demonstrations: what such a model predicts means nothing. */
PTV3_API int ptv3_weights_random(struct ptv3_context *ctx, const struct ptv3_config *config,
                                 uint64_t seed, struct ptv3_weights **out,
                                 struct ptv3_error *err);

PTV3_API void ptv3_weights_free(struct ptv3_weights *weights);

#define PTV3_MAX_DIMS 8

struct ptv3_tensor_info {
  const char *name; /* as in Pointcept's state_dict, "module." taken off */
  const char *type; /* "F32", "F16", "BF16", "I64" ... */
  int dims;
  int64_t shape[PTV3_MAX_DIMS]; /* [dims] */
  int64_t bytes;
};

PTV3_API int64_t ptv3_weights_count(const struct ptv3_weights *weights);

/* Tensor `index`, 0 <= index < count, in the file's order; false outside of that. The
 * strings live as long as the weights. */
PTV3_API bool ptv3_weights_tensor(const struct ptv3_weights *weights, int64_t index,
                                  struct ptv3_tensor_info *info);

struct ptv3_weights_info {
  const char *format; /* "PyTorch .pth (zip)", "safetensors", "in memory" */
  int64_t tensors;
  int64_t parameters; /* numbers that are learnt; running statistics are not counted */
  bool has_epoch;     /* whether the file says how long it was trained */
  int64_t epoch;      /* epochs done */
  bool has_best;
  double best; /* best metric value so far, as the trainer counted it */
};

PTV3_API void ptv3_weights_get_info(const struct ptv3_weights *weights,
                                    struct ptv3_weights_info *info);

#define PTV3_MAX_STAGES 8

/* What network the weights are for, as far as names and shapes tell: patch sizes, strides and
 * orders leave no trace in weights. */
struct ptv3_model_guess {
  int in_channels;
  int classes; /* 0: without a head */
  int stages;
  int enc_depths[PTV3_MAX_STAGES]; /* [stages] */
  int enc_channels[PTV3_MAX_STAGES];
  int enc_num_head[PTV3_MAX_STAGES]; /* 0: not to be told, which is so without enable_rpe */
  int dec_depths[PTV3_MAX_STAGES];   /* [stages - 1], 0 with enc_mode */
  int dec_channels[PTV3_MAX_STAGES];
  int dec_num_head[PTV3_MAX_STAGES];
  double mlp_ratio;
  bool qkv_bias;
  bool enable_rpe;
  bool enc_mode;
};

/* False when they are not of a PT-v3m1. */
PTV3_API bool ptv3_weights_guess(const struct ptv3_weights *weights,
                                 struct ptv3_model_guess *guess);

/* Writes the weights as .safetensors or .pth, by the extension of path. type NULL keeps the
 * types; "F32", "F16", "BF16" or "F64" stores all floating point tensors as that. The file
 * appears under its name only when it is complete. */
PTV3_API int ptv3_weights_save(struct ptv3_context *ctx, struct ptv3_weights *weights,
                               const char *type, const char *path, struct ptv3_error *err);

/* ---- model ---- */

enum ptv3_compat {
  PTV3_COMPAT_CURRENT, /* Pointcept v1.5.2 and later; a warning is given when the first cloud
                          shows that the weights look older */
  PTV3_COMPAT_1_5_1,   /* weights trained before 2024-03-26: a block's convolution sees the
                          branch of the MLP before it, not the sum */
  PTV3_COMPAT_AUTO     /* the one whose features on the first cloud are nearer to the running
                          statistics in the weights; in doubt the current one */
};

/* What features are stored in, and the products computed in where the processor can
 * (AVX-512 BF16; elsewhere stored in 16 bits and computed in 32). Sums, norms, softmax and
 * logits are 32-bit floats in either case. */
enum ptv3_precision { PTV3_PRECISION_F32, PTV3_PRECISION_BF16 };

struct ptv3_model_options {
  enum ptv3_compat compat;
  enum ptv3_precision precision;
  double grid_size; /* metres, in place of the configuration's GridSample; 0: as it says */
  /* Patterns ("seg_head.*", '*' is any text) of weights that may be absent; they are then
   * initialised from seed 0. Any other weight that is absent or of another shape is an
   * error that lists the first few. */
  const char *const *allow_missing; /* [allow_missing_count] */
  int allow_missing_count;
};

/* Builds the network of config and fills it from weights. weights may be freed afterwards,
 * config is read until the model is freed. weights NULL: a model that ptv3_plan_create takes
 * and ptv3_predict does not.
 * Errors: PTV3_CONFIG, PTV3_MISMATCH, PTV3_UNSUPPORTED, PTV3_BUDGET. */
PTV3_API int ptv3_model_create(struct ptv3_context *ctx, const struct ptv3_config *config,
                               const struct ptv3_weights *weights,
                               const struct ptv3_model_options *options,
                               struct ptv3_model **out, struct ptv3_error *err);
PTV3_API void ptv3_model_free(struct ptv3_model *model);

struct ptv3_model_info {
  int classes;
  int channels; /* input features a point */
  int stages;   /* levels of the encoder */
  int64_t parameters;
  double grid_size;  /* metres, edge of a voxel */
  const char *needs; /* what a cloud has to bring besides coordinates: "color,normal" */
  const char *const *class_name; /* [classes], NULL where the configuration names none */
  const uint8_t *las_code; /* [classes] LAS classification of each class: the configuration's
                              las_codes, an addition of this project; NULL without it */
};

/* The pointers live as long as the model. */
PTV3_API void ptv3_model_get_info(const struct ptv3_model *model, struct ptv3_model_info *info);

/* ---- prediction ---- */

struct ptv3_predict_options {
  bool shuffle_orders; /* draw the order of the curves as Pointcept does, from shuffle_seed;
                          otherwise the configured order is used at every level */
  uint64_t shuffle_seed;
  uint64_t seed; /* of the draws of the transforms: which point stands for a voxel */
};

/* Classifies every point of a cloud: voxels are sampled as the configuration's validation
 * transforms say, one pass of the network, labels carried back to all points.
 *   label        [n] 0 to classes - 1; PTV3_IGNORE for unusable points
 *   confidence   [n] probability of that label, or NULL
 *   probability  [n, classes] or NULL
 * Labels do not depend on the number of threads or on the budget.
 * Errors: PTV3_DATA (features missing, no usable point), PTV3_BUDGET (with the smallest
 * budget that would do), PTV3_CANCELLED. */
PTV3_API int ptv3_predict(struct ptv3_model *model, const struct ptv3_cloud *cloud,
                          const struct ptv3_predict_options *options, int32_t *label,
                          float *confidence, float *probability, struct ptv3_error *err);

/* A file to a file. */
struct ptv3_file_options {
  struct ptv3_cloud_options cloud; /* how it is read; the model is the call's */
  struct ptv3_predict_options predict;
  const char *out;           /* .npy, .ply, .las or .laz: see ptv3_prediction_save */
  const char *probabilities; /* .npy [n, classes], or NULL */
  const uint8_t *code;       /* [classes] LAS classification of each class; NULL: the
                                configuration's, else as in ptv3_prediction */
};

struct ptv3_file_result {
  int64_t n;        /* points of the file */
  int64_t unusable; /* of which so many could not be used */
  int64_t voxels;   /* the network saw */
  bool in_parts;    /* the points did not fit the budget at once */
  bool writing;     /* for a call that failed: whether it was writing by then */
};

/* Classifies every point of a file and writes the result, as ptv3_cloud_load, ptv3_predict and
 * ptv3_prediction_save do. Where the points do not fit the budget at once, the file is read in
 * parts, several times over, with a temporary file of 4 bytes a point in $TMPDIR (else
 * /var/tmp), and what is written is the same: LAS, LAZ, binary PLY and folders of .npy, and
 * where no transform before GridSample needs all points at once.
 *   count   [classes + 1] points of each class, then the unusable ones; or NULL
 *   result  may be NULL; filled on failure too
 * Errors: as of those three. */
PTV3_API int ptv3_predict_file(struct ptv3_model *model, const char *path,
                               const struct ptv3_file_options *options, int64_t *count,
                               struct ptv3_file_result *result, struct ptv3_error *err);

/* ---- planning ---- */

struct ptv3_plan_part {
  const char *name; /* "weights", "cloud", "loader", "structure", "features", "output",
                       "other" */
  int64_t bytes;
};

struct ptv3_plan_step {
  const char *label; /* "enc0.block1" */
  const char *op;    /* "attention" */
  int64_t rows;
  int channels;
  int64_t alive; /* bytes of the features alive while it runs */
  double work;   /* floating point operations */
};

/* A way to run it, whatever the budget. */
struct ptv3_plan_rung {
  int64_t memory; /* peak of the whole */
  int64_t disk;   /* bytes of a temporary file */
  int spilled;    /* tensors in it */
  int tile;       /* rows a tile, 0: each operation's own choice */
  int threads;
  double seconds; /* a guess, of the network alone */
};

/* What a prediction would take. */
struct ptv3_plan_info {
  bool estimated; /* rows are a guess: no cloud was given */
  bool in_parts;  /* of a file: it would be read in parts, see ptv3_predict_file */
  int64_t voxels;
  double grid_size; /* metres */
  int stages;
  const int64_t *rows; /* [stages] */
  int parts;
  const struct ptv3_plan_part *part; /* [parts] while the network runs */
  int64_t features;                  /* of the part "features": tensors, */
  int64_t scratch;                   /* and working memory of all threads */
  int64_t before;                    /* the peak of loading and transforms, weights included */
  int64_t total;                     /* the peak of the whole */
  int64_t budget;                    /* the context's */
  int64_t least;                     /* the smallest budget that would do, the points in
                                        memory, or read in parts, as here */
  bool fits;
  int tile; /* rows a tile, 0: each operation's own choice */
  int threads;
  int spilled;    /* tensors in a temporary file */
  int64_t disk;   /* bytes of it */
  int64_t window; /* bytes of it in memory at a time, counted as features */
  double seconds; /* a guess, of the network alone */
  int rungs;
  const struct ptv3_plan_rung *rung; /* [rungs] all in memory first, the least last */
  int steps;
  const struct ptv3_plan_step *step; /* [steps] */
};

struct ptv3_plan;

/* Works out what ptv3_predict of a cloud would take, computing no feature: the cloud is
 * voxelised and structured, the network planned. With cloud NULL a number of voxels is
 * planned for, and the rows of its levels are guessed. That it does not fit the budget is an
 * answer here, not an error (though loading may fail by it). */
PTV3_API int ptv3_plan_create(struct ptv3_model *model, const struct ptv3_cloud *cloud,
                              int64_t voxels, struct ptv3_plan **out, struct ptv3_error *err);

/* The same for ptv3_predict_file; options NULL: defaults. */
PTV3_API int ptv3_plan_file(struct ptv3_model *model, const char *path,
                            const struct ptv3_cloud_options *options, struct ptv3_plan **out,
                            struct ptv3_error *err);
PTV3_API void ptv3_plan_free(struct ptv3_plan *plan);

/* The pointers live as long as the plan. */
PTV3_API void ptv3_plan_get_info(const struct ptv3_plan *plan, struct ptv3_plan_info *info);

/* ---- evaluation ---- */

struct ptv3_eval_options {
  struct ptv3_predict_options predict;
  const char *data_root;   /* NULL: the configuration's data.val.data_root */
  const char *const *fill; /* [fill_count], as in ptv3_cloud_options */
  int fill_count;
  bool estimate_normals; /* and normal_side, as in ptv3_cloud_options */
  enum ptv3_normal_side normal_side;
};

/* Scores of one scene or of all: counts are Pointcept's intersection, union and target. */
struct ptv3_scene_score {
  const char *name;
  int64_t points; /* with a label */
  int64_t voxels; /* the network saw */
  double miou;    /* over the classes present in labels or prediction of the scene */
  double macc;
  double allacc;
  double seconds;
};

struct ptv3_class_score {
  const char *name;
  int64_t points; /* with this label */
  double iou;
  double accuracy;
};

struct ptv3_scores {
  int classes;
  int64_t scenes;
  double miou; /* mean over all classes, absent ones counting 0, as Pointcept has it */
  double macc;
  double allacc;
  double miou_present;                      /* mean over the classes present in the labels */
  const struct ptv3_class_score *per_class; /* [classes] */
  const struct ptv3_scene_score *per_scene; /* [scenes] */
  const int64_t *confusion; /* [classes, classes], row: label, column: prediction */
};

/* Pointcept's validation protocol over a split: each scene is voxelised, predicted once,
 * carried back to its points, and counted; points labelled PTV3_IGNORE are left out.
 * Errors: as ptv3_predict; PTV3_IO where scenes cannot be read. */
PTV3_API int ptv3_evaluate(struct ptv3_model *model, const struct ptv3_eval_options *options,
                           struct ptv3_evaluation **out, struct ptv3_error *err);

PTV3_API void ptv3_evaluation_free(struct ptv3_evaluation *evaluation);

/* The numbers; pointers live as long as the evaluation. */
PTV3_API void ptv3_evaluation_scores(const struct ptv3_evaluation *evaluation,
                                     struct ptv3_scores *scores);

/* Writes the numbers as .json or .csv, by the extension of path. */
PTV3_API int ptv3_evaluation_save(const struct ptv3_evaluation *evaluation, const char *path,
                                  struct ptv3_error *err);

#ifdef __cplusplus
}
#endif
#endif
