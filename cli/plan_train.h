/* plan_train.h - ptv3 plan --train. */
#ifndef CLI_PLAN_TRAIN_H
#define CLI_PLAN_TRAIN_H

#include "ptv3_train.h"
#include "session.h"

/* Plans and prints; returns an exit code, EXIT_BUDGET when no way fits. */
int plan_train_show(struct session *s, const struct ptv3_config *config,
                    const struct ptv3_train_plan_options *options, bool json);

#endif
