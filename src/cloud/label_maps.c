/* label_maps.c - see label_maps.h. */
#include "label_maps.h"

#include <stddef.h>

/* SemanticKITTI's 19 classes (Behley et al., ICCV 2019; semantic-kitti.yaml of its API):
 * label of the file, class; -1: ignored. Moving things count as what they are. */
static const int16_t kitti[][2] = {
    {0, -1},  {1, -1},  {10, 0},  {11, 1},  {13, 4},  {15, 2},  {16, 4},  {18, 3},  {20, 4},
    {30, 5},  {31, 6},  {32, 7},  {40, 8},  {44, 9},  {48, 10}, {49, 11}, {50, 12}, {51, 13},
    {52, -1}, {60, 8},  {70, 14}, {71, 15}, {72, 16}, {80, 17}, {81, 18}, {99, -1}, {252, 0},
    {253, 6}, {254, 5}, {255, 7}, {256, 4}, {257, 4}, {258, 3}, {259, 4}};

void pt_kitti_map(int32_t to[PT_KITTI_LABELS], int32_t ignore) {
  for (int i = 0; i < PT_KITTI_LABELS; i++) to[i] = PT_LABEL_UNKNOWN;
  for (size_t i = 0; i < sizeof kitti / sizeof *kitti; i++)
    to[kitti[i][0]] = kitti[i][1] < 0 ? ignore : kitti[i][1];
}

/* The 16 classes of the nuScenes-lidarseg challenge (Fong et al., RA-L 2022; the devkit's
 * lidarseg challenge README), by label 0 .. 31; -1: ignored. */
void pt_nuscenes_map(int32_t to[PT_NUSCENES_LABELS], int32_t ignore) {
  static const int8_t classes[PT_NUSCENES_LABELS] = {-1, -1, 6,  6,  6,  -1, 6,  -1, -1, 0,  -1,
                                                     -1, 7,  -1, 1,  2,  2,  3,  4,  -1, -1, 5,
                                                     8,  9,  10, 11, 12, 13, 14, -1, 15, -1};
  for (int i = 0; i < PT_NUSCENES_LABELS; i++) to[i] = classes[i] < 0 ? ignore : classes[i];
}
