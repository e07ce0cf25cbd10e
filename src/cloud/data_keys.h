/* data_keys.h - keys of a config's `data` that nothing reads: misspelt ones, most of the time.
 *
 * Known are what pointcept/datasets/ takes (the constructors of a data set's type and of each
 * transform) and this project's additions. Pointcept itself ends with a TypeError where a
 * constructor does not know a keyword; here it is a warning, so that configs of other versions
 * run. */
#ifndef PT_DATA_KEYS_H
#define PT_DATA_KEYS_H

#include <stdbool.h>

#include "env.h"
#include "value.h"

/* Warns of each unknown key in root's `data`, in data.val and its transforms, and with `all` in
 * data.train and data.test (with test_cfg) too: its place, its path, and the known key that is
 * nearest to it, or all that are known there. Then every key of `data` counts as used. */
void pt_data_keys_warn(struct pt_env *env, const struct pt_value *root, bool all);

#endif
