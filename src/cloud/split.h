/* split.h - one of a config's splits (data.train, data.val), ready to be read: its scenes, its
 * transforms, the channels they need, and how often an epoch goes through them. */
#ifndef PT_SPLIT_H
#define PT_SPLIT_H

#include "dataset.h"
#include "pipeline.h"

enum { PT_SPLIT_NEEDS = 16 };

struct pt_split {
  struct pt_dataset set;
  struct pt_pipeline pipeline;
  const char *need[PT_SPLIT_NEEDS]; /* [needs] channels besides coord; of the config tree */
  int needs;
  struct pt_load load; /* how a scene is read; want is need */
  int64_t loop;        /* times each scene is in an epoch */
};

/* Opens root's data.<which>. root: the whole config; the tree must outlive the split.
 * data_root: in place of the config's; NULL: the config's.
 *
 * loop, as in Pointcept (engines/defaults.py, datasets/defaults.py): of data.train epoch //
 * eval_epoch where the config has both, else the data set's `loop`; 1 with test_mode. Errors:
 * those of pt_dataset_open and pt_pipeline_parse; PTV3_CONFIG where epoch is no multiple of
 * eval_epoch.
 *
 * A split must not be moved once it is open: load points into it. */
int pt_split_open(struct pt_split *s, struct pt_env *env, const struct pt_value *root,
                  const char *which, const char *data_root, struct ptv3_error *err);
void pt_split_free(struct pt_split *s); /* a zeroed one is allowed */

#endif
