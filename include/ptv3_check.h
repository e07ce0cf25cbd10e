/* ptv3_check.h - what is wrong with the data a configuration names, before training on them.
 *
 * Part of the public interface; see ptv3.h for the context every call takes, and for the
 * rules on ownership and errors, which hold here too. */
#ifndef PTV3_CHECK_H
#define PTV3_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "ptv3_error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ptv3_context;
struct ptv3_config;
struct ptv3_check;

struct ptv3_check_options {
  int64_t scenes;        /* at most so many of each split are read, evenly spread; 0: all */
  bool quick;            /* files, channels and labels only; the transforms are not applied */
  const char *data_root; /* of every split, in place of the configuration's; NULL: those */
};

/* Something found. What several scenes of a split have alike is one finding. */
struct ptv3_finding {
  bool error;        /* training or validation would stop, or learn nonsense; else a warning */
  const char *kind;  /* "no-channel", "bad-labels" ...: for programs */
  const char *split; /* "train", "val" or "test" */
  const char *path;  /* the scene, the first of them; NULL: it is not about a scene */
  int64_t scenes;    /* that have it, 0 where path is NULL */
  const char *text;  /* what is wrong there */
  const char *fix;   /* what to do, "" where there is nothing to say */
  const char *also;  /* names of the next scenes that have it, "'b', 'c', ..."; "" if none */
};

struct ptv3_check_range {
  int64_t min, max;
  double mean;
};

struct ptv3_check_split {
  const char *name;
  int64_t scenes; /* that it lists */
  int64_t looked; /* that were read */
  int64_t loop;   /* times each is in an epoch */
  struct ptv3_check_range points;
  struct ptv3_check_range voxels; /* the network gets; zeros with `quick` and for test */
  const int64_t *labels;          /* [classes] points of each class */
  int64_t ignored;                /* points with the ignored label */
  int64_t wrong;                  /* points with a label that is no class */
};

struct ptv3_check_info {
  int classes;
  const char *const *class_name; /* [classes], NULL where the configuration names none */
  int splits;
  const struct ptv3_check_split *split; /* [splits] those the configuration has */
  int64_t findings, errors;
  const struct ptv3_finding *finding; /* [findings] by split, errors first */
};

/* Reads the scenes of data.train, data.val and data.test. That something is wrong with them
 * is a finding and not an error of the call. options NULL: defaults.
 * Errors: PTV3_CONFIG (the model cannot be read), PTV3_BUDGET (a scene does not fit, with its
 * name), PTV3_CANCELLED. */
PTV3_API int ptv3_check_create(struct ptv3_context *ctx, const struct ptv3_config *config,
                               const struct ptv3_check_options *options,
                               struct ptv3_check **out, struct ptv3_error *err);
PTV3_API void ptv3_check_free(struct ptv3_check *check);

/* The pointers live as long as the check, names of classes as long as the configuration. */
PTV3_API void ptv3_check_get_info(const struct ptv3_check *check, struct ptv3_check_info *info);

#ifdef __cplusplus
}
#endif
#endif
