/* criteria.h - the `criteria` list of a configuration's model: the losses of training.
 *
 * Taken are Pointcept's CrossEntropyLoss (weight, reduction, label_smoothing, loss_weight,
 * ignore_index) and LovaszLoss (mode "multiclass", class_seen, per_image, loss_weight,
 * ignore_index) with Pointcept's defaults. Keys that ask for something else (reduction "none",
 * a binary mode, torch's size_average and reduce) and keys and losses that are not listed here
 * are errors. per_image=True means a loss a cloud, see loss.h.
 * Source: Pointcept models/losses/misc.py, lovasz.py, builder.py. */
#ifndef PT_CRITERIA_H
#define PT_CRITERIA_H

#include "loss.h"
#include "mem.h"

struct pt_value;

struct pt_criteria {
  struct pt_mem *mem;
  int count;                                      /* 1 .. PT_MAX_CRITERIA */
  struct pt_criterion criterion[PT_MAX_CRITERIA]; /* weight and seen are owned */
};

/* Reads model["criteria"] for so many classes. On failure *out is zeroed and nothing stays
 * allocated. Errors: PTV3_CONFIG, PTV3_UNSUPPORTED with the place in the file, PTV3_NO_MEMORY,
 * PTV3_BUDGET. */
int pt_criteria_parse(struct pt_mem *mem, const struct pt_value *model, int classes,
                      struct pt_criteria *out, struct ptv3_error *err);

/* A zeroed one is allowed. */
void pt_criteria_free(struct pt_criteria *c);

#endif
