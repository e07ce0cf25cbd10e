/* head.h - the segmentation head: Linear on the features, or on features of several stages
 * side by side.
 *
 *   out[r] = [x_0[map_0[r]], x_1[map_1[r]], ...] W + b
 *
 * One source with no map is the usual case; enc_mode concatenates the encoder's stages.
 * Source: Pointcept DefaultSegmentorV2.seg_head; its concatenation over pooling_parent. */
#ifndef PT_HEAD_H
#define PT_HEAD_H

#include <stdint.h>

#include "mat.h"

#define PT_HEAD_SOURCES 8

struct pt_head {
  int64_t n;          /* rows */
  int sources;        /* 1 .. PT_HEAD_SOURCES */
  enum pt_dtype type; /* of the sources: PT_F32 or PT_BF16 */
  struct {
    const void *x;      /* [rows of that stage, c] */
    const int32_t *map; /* [n] or NULL: row r itself */
    int c;              /* channels */
  } src[PT_HEAD_SOURCES];
  int classes;
  struct pt_mat w;   /* (sum of c, classes) */
  const float *bias; /* [classes] */
  float *out;        /* [n, classes] */
};

#endif
