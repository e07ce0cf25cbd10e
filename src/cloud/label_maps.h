/* label_maps.h - what the labels in a data set's files mean. Inside cloud/ only. */
#ifndef PT_LABEL_MAPS_H
#define PT_LABEL_MAPS_H

#include "load.h"

enum { PT_KITTI_LABELS = 260, PT_NUSCENES_LABELS = 32 };

/* SemanticKITTI's labels to its 19 classes; others are PT_LABEL_UNKNOWN. */
void pt_kitti_map(int32_t to[PT_KITTI_LABELS], int32_t ignore);

/* nuScenes-lidarseg's 32 labels to its 16 classes. */
void pt_nuscenes_map(int32_t to[PT_NUSCENES_LABELS], int32_t ignore);

#endif
