/* known_keys.h - warnings about keys of a configuration that nothing uses.
 *
 * A key counts as known when some part of Pointcept reads it, whether or not a prediction
 * does: hooks, optimiser, data.train and the like give no warning. Sources: Pointcept's
 * configs/_base_/default_runtime.py and the constructors of its data sets. */
#ifndef PT_API_KNOWN_KEYS_H
#define PT_API_KNOWN_KEYS_H

#include "config_api.h"

/* Warns about unknown keys of `model`. Call it before the network is read, so that a
 * misspelt key is told even where its absence is an error. Each key is told once. */
void pt_warn_model_keys(struct ptv3_context *ctx, const struct ptv3_config *config);

/* Warns about unknown keys of the top level and of `data`, all its splits. All others are known
 * from then on: call it after pt_warn_model_keys, where a long run begins that reads the rest
 * as it goes. */
void pt_warn_root_keys(struct ptv3_context *ctx, const struct ptv3_config *config);

/* Warns about unknown keys anywhere but in data.train and data.test. Call it after
 * data.val.transform has been read. */
void pt_warn_keys(struct ptv3_context *ctx, const struct ptv3_config *config);

#endif
