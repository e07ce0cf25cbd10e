/* transform_normals.c - EstimateNormals: normals for scans that bring none, in training,
 * validation and prediction alike. An addition of this project; Pointcept takes normals from
 * files.
 *
 *   dict(type="EstimateNormals", neighbours=16, side="inside")
 *
 * Makes the channel "normal" [n, 3] from the points as they are where it stands, in place of
 * one that is there: see normals.h for the direction, and for side, "inside" (of a room) or
 * "up". After GridSample there are fewer points, as dense in every scan, and the normals turn
 * with the rotations before it; rotations and flips after it turn them too. Before SphereCrop
 * the middle is that of the room, not of the crop. */
#include <string.h>

#include "knn.h"
#include "transform.h"

static int normals_parse(struct pt_transform *t, const struct pt_value *d,
                         struct ptv3_error *err) {
  const char *side;
  int64_t k;
  int st = pt_get_int_in(d, "neighbours", 16, 3, PT_KNN_MAX, &k, err);
  if (!st) st = pt_get_str(d, "side", "inside", &side, err);
  if (st) return st;
  t->u.normals.neighbours = (int)k;
  t->u.normals.side = strcmp(side, "up") ? PT_NORMAL_INSIDE : PT_NORMAL_UP;
  if (t->u.normals.side == PT_NORMAL_INSIDE && strcmp(side, "inside"))
    return pt_fail_value(err, pt_get(d, "side"), "must be 'inside' or 'up', not '%s'", side);
  return PTV3_OK;
}

static int normals_apply(const struct pt_transform *t, struct pt_apply *a,
                         struct ptv3_error *err) {
  return pt_estimate_normals(a->env, a->cloud, t->u.normals.neighbours, t->u.normals.side, err);
}

const struct pt_transform_type pt_transform_EstimateNormals = {
    "EstimateNormals", normals_parse, normals_apply, "neighbours side"};
