/* train_config.h - what a configuration says about training, read and checked.
 *
 * Keys and defaults are those of Pointcept's configs/_base_/default_runtime.py, of its hooks
 * and of model.criteria. Data sets and transforms are read by cloud/split.h. */
#ifndef PT_TRAIN_CONFIG_H
#define PT_TRAIN_CONFIG_H

#include "criteria.h"
#include "optim.h"
#include "ptv3_config.h"

struct pt_train_config {
  struct pt_ptv3 cfg; /* type and mat are the caller's to set */
  struct pt_criteria criteria;
  struct pt_optim optim;            /* its groups; not bound to parameters */
  const struct pt_value *scheduler; /* part of the tree */
  int64_t batch_size;
  int64_t epochs;     /* eval_epoch: how often the (looped) data are gone through */
  int64_t accumulate; /* gradient_accumulation_steps */
  int64_t save_freq;  /* epochs between checkpoints that are kept; 0: none are */
  int64_t warmup;     /* IterationTimer: batches of an epoch after which means begin anew */
  bool class_events;  /* SemSegEvaluator: write_cls_iou */
  bool precise;       /* a PreciseEvaluator is asked for, which is not run here */
  const char *rename_from, *rename_to; /* CheckpointLoader, of the tree: in the names of the
                                          weights, with "module." in front; "": as they are */
  bool strict;      /* CheckpointLoader: the weights must have nothing else */
  bool grouped;     /* there are param_dicts */
  double clip_grad; /* largest norm of all gradients together; 0: as they are */
  double mix_prob;
  int64_t seed; /* -1: none was given */
  bool evaluate;
  bool amp;              /* enable_amp */
  const char *amp_dtype; /* of the tree */
  const char *save_path; /* of the tree */
  const char *weight;    /* of the tree, NULL: none */
  bool resume;
  const char **class_name; /* [cfg.classes] or NULL; owned, the strings are the tree's */
};

/* root: the whole configuration, which must outlive c. Errors: PTV3_CONFIG and
 * PTV3_UNSUPPORTED with file and line. */
int pt_train_config_read(struct pt_env *env, const struct pt_value *root,
                         struct pt_train_config *c, struct ptv3_error *err);

/* Whether a parameter is left as it is (model.freeze_backbone). */
bool pt_train_frozen(const struct pt_train_config *c, const char *name);

/* The part of `hooks`. */
int pt_train_hooks_read(const struct pt_value *root, struct pt_train_config *c,
                        struct ptv3_error *err);

void pt_train_config_free(struct pt_env *env,
                          struct pt_train_config *c); /* zeroed is allowed */

#endif
