/* dataset_int.h - what the files of dataset.h share. Inside cloud/ only. */
#ifndef PT_DATASET_INT_H
#define PT_DATASET_INT_H

#include "dataset.h"

/* Adds a scene; takes the three strings, on failure too. A NULL path or name is the failure
 * that err has; labels may be NULL. */
int pt_dataset_add(struct pt_dataset *d, char *path, char *name, char *labels,
                   struct ptv3_error *err);

/* The scans of nuScenes that data_root/info/nuscenes_infos_<sweeps>sweeps_<split>.pkl lists
 * (pointcept/datasets/preprocessing/nuscenes): a pickled list of dicts with lidar_path,
 * lidar_token and, where there are labels, gt_segment_path, both paths below data_root/raw. */
int pt_list_nuscenes(struct pt_dataset *d, const char *root, const char *split, int64_t sweeps,
                     struct ptv3_error *err);

#endif
