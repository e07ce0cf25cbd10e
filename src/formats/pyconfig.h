/* pyconfig.h - Pointcept's configuration files, read without Python.
 *
 * Read is the part of Python such files are written in: assignments to names, items and
 * tuples of names; strings of all kinds (f-strings and .format with plain fields too),
 * numbers, lists, tuples, dicts; arithmetic, comparisons, and/or/not, if-else expressions;
 * subscripts and slices; list, dict and generator comprehensions; dict() list() tuple()
 * len() sum() range() min() max() abs() round() int() float() str() bool(); del, pass;
 * imports of the class lists of class_lists.h. Anything else is an error that names the
 * construct and its place.
 *
 * `_base_`, `_delete_`, `{{ _base_.x }}`, `{{ fileDirname }}` and overrides follow
 * Pointcept's pointcept/utils/config.py (mmcv's Config): Config.fromfile, then
 * merge_from_dict of what DictAction makes of the options. Two differences: an option may
 * set an item of a list to a plain value (`hooks.0=x`; Pointcept raises AttributeError), and
 * custom_imports is not followed (a warning says so), for no Python is run. */
#ifndef PT_PYCONFIG_H
#define PT_PYCONFIG_H

#include "env.h"
#include "value.h"

struct pt_config {
  struct pt_region region; /* owns the tree */
  struct pt_value *root;   /* a dict: the merged result */
};

/* Reads path (a .py file) with its bases and applies options "a.b.0.c=value" [n_options] in
 * turn. Relative bases are looked up beside the file that names them. On failure *out is
 * zeroed and nothing stays allocated. */
int pt_config_load(struct pt_env *env, const char *path, const char *const *options,
                   int64_t n_options, struct pt_config *out, struct ptv3_error *err);

/* The same from text [size] that is called name in messages; `_base_` is an error. */
int pt_config_parse(struct pt_env *env, const char *text, int64_t size, const char *name,
                    const char *const *options, int64_t n_options, struct pt_config *out,
                    struct ptv3_error *err);

/* A zeroed config is allowed. */
void pt_config_free(struct pt_config *config);

/* pt_config_load and pt_value_json in one: *json is freed by the caller with
 * pt_free(&env->mem, ...); n (NULL allowed): its bytes. */
int pt_config_json(struct pt_env *env, const char *path, const char *const *options,
                   int64_t n_options, char **json, int64_t *n, struct ptv3_error *err);

/* Warns through env about every key below root (of a config or a part of one) that no getter
 * has read. */
void pt_config_warn_unused(struct pt_env *env, const struct pt_value *root);

#endif
