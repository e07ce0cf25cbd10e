/* data_keys.c - see data_keys.h. The keys of a transform are its type's (transform.h). */
#include "data_keys.h"

#include <stdio.h>
#include <string.h>

#include "nearest.h"
#include "transform.h"

static const char data_keys[] = "num_classes ignore_index names train val test";
static const char test_keys[] = "voxelize crop post_transform aug_transform";

/* Of every type of data set; learning_map is not Pointcept's. */
#define SET_KEYS \
  "type split data_root transform test_mode test_cfg cache ignore_index loop learning_map"

static const struct set_keys {
  const char *type, *keys;
} sets[] = {{"DefaultDataset", SET_KEYS},
            {"S3DISDataset", SET_KEYS},
            {"ScanNetDataset", SET_KEYS " lr_file la_file"},
            {"ScanNet200Dataset", SET_KEYS " lr_file la_file"},
            {"ScanNetPPDataset", SET_KEYS " multilabel"},
            {"HM3DDataset", SET_KEYS " force_label"},
            {"Structured3DDataset", SET_KEYS},
            {"WaymoDataset", SET_KEYS " timestamp reference_label timing_embedding"},
            {"SemanticKITTIDataset", SET_KEYS},
            {"NuScenesDataset", SET_KEYS " sweeps"},
            {"ConcatDataset", "type datasets loop"}};

/* Of the rest, which are not read here. */
static const char other_keys[] = SET_KEYS
    " lr_file la_file multilabel force_label timestamp reference_label timing_embedding sweeps"
    " crop_h crop_w patch_size interpolation if_img if_color if_normal if_sweep sweeps_max"
    " sweep_gap img_num use_camera data_num depth_scale class_names num_points datasets"
    " uniform_sampling save_record num_parts meta_path";

/* ---- a dict ---- */

static void tell(struct pt_env *env, const struct pt_entry *e, const char *key,
                 const char *keys) {
  char path[300], line[24] = "", near[PT_WORD], why[400];
  if (pt_nearest_word(key, keys, near))
    snprintf(why, sizeof why, "is '%s' meant?", near);
  else if (*keys)
    snprintf(why, sizeof why, "known there: %s", keys);
  else
    snprintf(why, sizeof why, "nothing but its type is known there");
  if (e->at.line > 0) snprintf(line, sizeof line, ":%d", e->at.line);
  pt_warn(env, "%s%s: '%s' is not used by anything; %s",
          e->at.file ? e->at.file : "configuration", line,
          pt_value_path(e->value, path, sizeof path), why);
}

/* `besides`: keys that are known as well, and not worth naming. */
static void look(struct pt_env *env, const struct pt_value *dict, const char *keys,
                 const char *besides) {
  for (int64_t i = 0; pt_is_dict(dict) && i < dict->n; i++) {
    const struct pt_entry *e = &dict->entry[i];
    const char *key = e->key->kind == PT_V_STR ? e->key->str : "";
    if (!pt_is_word(key, keys) && !pt_is_word(key, besides)) tell(env, e, key, keys);
  }
}

static const char *type_of(const struct pt_value *dict) {
  const char *type = "";
  return pt_get_str(dict, "type", "", &type, NULL) ? "" : type;
}

/* ---- transforms ---- */

static void look_at_transform(struct pt_env *env, const struct pt_value *t) {
  if (!pt_is_dict(t)) return;
  const char *type = type_of(t), *keys = pt_transform_keys(type);
  if (keys) look(env, t, keys, "type");
}

static void look_at_list(struct pt_env *env, const struct pt_value *list) {
  for (int64_t i = 0; i < pt_len(list); i++) look_at_transform(env, pt_item(list, i));
}

static void look_at_test(struct pt_env *env, const struct pt_value *cfg) {
  look(env, cfg, test_keys, "");
  look_at_transform(env, pt_get(cfg, "voxelize"));
  look_at_transform(env, pt_get(cfg, "crop"));
  look_at_list(env, pt_get(cfg, "post_transform"));
  const struct pt_value *aug = pt_get(cfg, "aug_transform");
  for (int64_t i = 0; i < pt_len(aug); i++) look_at_list(env, pt_item(aug, i));
}

/* ---- data sets ---- */

static void look_at_set(struct pt_env *env, const struct pt_value *set) {
  const char *type = type_of(set), *keys = other_keys;
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
    if (!strcmp(sets[i].type, type)) keys = sets[i].keys;
  look(env, set, keys, "");
  look_at_list(env, pt_get(set, "transform"));
  look_at_test(env, pt_get(set, "test_cfg"));
}

static void look_at_split(struct pt_env *env, const struct pt_value *set) {
  if (!pt_is_dict(set)) return;
  look_at_set(env, set);
  const struct pt_value *parts = pt_get(set, "datasets");
  for (int64_t i = 0; i < pt_len(parts); i++)
    if (pt_is_dict(pt_item(parts, i))) look_at_set(env, pt_item(parts, i));
}

void pt_data_keys_warn(struct pt_env *env, const struct pt_value *root, bool all) {
  const struct pt_value *data = pt_get(root, "data");
  if (!pt_is_dict(data)) return;
  look(env, data, data_keys, "");
  if (all) look_at_split(env, pt_get(data, "train"));
  look_at_split(env, pt_get(data, "val"));
  if (all) look_at_split(env, pt_get(data, "test"));
  pt_mark_used(data);
}
