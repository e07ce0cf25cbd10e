/* config_keys.h - keys of a config's dict that the thing it configures does not have. In
 * Python they are a TypeError, so here they are an error as well, not a warning. */
#ifndef PT_CONFIG_KEYS_H
#define PT_CONFIG_KEYS_H

#include "value.h"

/* PTV3_CONFIG with its place for the first key of dict that is not in known, a list of words
 * with a space behind each ("lr eps "); what names the thing ("AdamW"). */
int pt_check_keys(const struct pt_value *dict, const char *what, const char *known,
                  struct ptv3_error *err);

/* A number of dict (def when absent or None), finite and at least lo. */
int pt_get_least(const struct pt_value *dict, const char *key, double def, double lo,
                 double *out, struct ptv3_error *err);

#endif
