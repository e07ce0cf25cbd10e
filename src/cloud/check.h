/* check.h - looks at the data a config names before anything is trained on them: what is
 * missing, what is wrong, in which file, and what to do about it.
 *
 * A finding is an error where training or validation would stop or learn nonsense, a warning
 * where it may be meant. What many scenes of a split have alike is one finding that counts
 * them and names some. */
#ifndef PT_CHECK_H
#define PT_CHECK_H

#include <stdbool.h>

#include "env.h"
#include "value.h"

/* X(name, severity): all kinds of findings. */
#define PT_CHECK_LIST(X)                                                            \
  X(NO_SPLIT, true)      /* the config has no such split, or it cannot be opened */ \
  X(NO_SCENE, true)      /* a listed scene is not there */                          \
  X(UNREADABLE, true)    /* a scene that cannot be read: damaged, of wrong shape */ \
  X(NO_CHANNEL, true)    /* a channel of feat_keys is missing */                    \
  X(CONSTANT, false)     /* a channel has one value in a whole scene */             \
  X(NO_LABELS, true)     /* a scene without labels */                               \
  X(BAD_LABELS, true)    /* labels that are no classes */                           \
  X(ONLY_IGNORED, false) /* a scene in which no label counts */                     \
  X(SET_ASIDE, false)    /* points that cannot be used: NaN, infinite, far off */   \
  X(SAID, false)         /* what reading the scene warned of */                     \
  X(TRANSFORM, true)     /* a transform fails on it */                              \
  X(WIDTH, true)         /* features of another width than in_channels */           \
  X(FEATURE, true)       /* a feature is NaN or infinite after the transforms */    \
  X(SMALL, false)        /* very few voxels */                                      \
  X(SHARED, false)       /* a scene of train is also in val or test */              \
  X(UNSEEN, false)       /* a class that no label of train has */                   \
  X(ONLY_VAL, false)     /* a class that val has and train has not */

enum pt_check_kind {
#define PT_CHECK_ENUM(name, error) PT_CHECK_##name,
  PT_CHECK_LIST(PT_CHECK_ENUM)
#undef PT_CHECK_ENUM
      PT_CHECK_KINDS
};

struct pt_finding {
  bool error; /* else a warning */
  enum pt_check_kind kind;
  const char *split; /* "train", "val", "test" */
  int64_t scenes;    /* that have it; 0: it is not a scene's */
  char *path;        /* the first of them, or NULL; owned */
  char also[200];    /* names of the next of them, "'b', 'c', ..." */
  char text[600];    /* what is wrong there */
  char fix[300];     /* what to do */
};

/* Least, most and sum over the scenes looked at. */
struct pt_range {
  int64_t min, max, sum;
};

struct pt_check_split {
  const char *name;
  bool given;      /* the config has it */
  int64_t scenes;  /* that it lists */
  int64_t looked;  /* that were read */
  int64_t loop;    /* times each is in an epoch */
  int64_t read_ok; /* that the numbers below are of */
  struct pt_range points;
  int64_t sampled;        /* scenes the transforms were applied to */
  struct pt_range voxels; /* the network gets of them */
  int64_t *labels;        /* [classes] points of each class */
  int64_t ignored;        /* points with the ignored label */
  int64_t wrong;          /* points with a label that is no class */
};

enum { PT_CHECK_SPLITS = 3 };

struct pt_check {
  struct pt_mem *mem;
  int classes;
  struct pt_check_split split[PT_CHECK_SPLITS]; /* train, val, test */
  struct pt_finding *finding;                   /* [findings] by split, errors first */
  int64_t findings, cap, errors;
};

struct pt_check_options {
  int classes;           /* of the network */
  int in_channels;       /* 0: not checked */
  int64_t scenes;        /* at most so many of a split are read, evenly spread; 0: all */
  bool quick;            /* without the transforms: files, channels and labels only */
  bool training;         /* train and val are needed; otherwise only what the config has */
  const char *data_root; /* in place of that of every split; NULL: the config's */
};

/* Looks at root's data. That something is wrong is a finding, not a failure: the status is for
 * what ends the check (PTV3_BUDGET, PTV3_CANCELLED, ...). */
int pt_check_data(struct pt_check *c, struct pt_env *env, const struct pt_value *root,
                  const struct pt_check_options *options, struct ptv3_error *err);
void pt_check_free(struct pt_check *c); /* a zeroed one is allowed */

/* For a trainer, before it starts: the quick check of at most `scenes` scenes a split. Warnings
 * are given as such; the first error is the status, PTV3_DATA. */
int pt_check_before_training(struct pt_env *env, const struct pt_value *root,
                             const struct pt_check_options *options, struct ptv3_error *err);

#endif
