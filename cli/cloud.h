/* cloud.h - what the command line says about how a cloud is to be read. */
#ifndef CLI_CLOUD_H
#define CLI_CLOUD_H

#include "args.h"
#include "ptv3.h"

struct cloud_args {
  const char *columns, *labels;
  int64_t floats;
};

#define CLOUD_ARGS(c)                                                                       \
  {"columns",     0,       ARG_TEXT,                                                        \
   &(c)->columns, "NAMES", "columns of a text file or .bin scan,\ne.g. x,y,z,_,strength",   \
   NULL,          0},                                                                       \
      {"floats",     0,   ARG_INT,                                                          \
       &(c)->floats, "N", "numbers a point of a .bin scan (4; 5 in .pcd.bin)",              \
       NULL,         3},                                                                    \
  {                                                                                         \
    "labels", 0, ARG_TEXT, &(c)->labels, "FILE", "labels of a .bin scan (those beside it)", \
        NULL, 0                                                                             \
  }

/* Normals for clouds that have none. */
struct normals_args {
  bool inside, up;
};

#define NORMALS_ARGS(n)                                                                        \
  {"estimate-normals",                                                                         \
   0,                                                                                          \
   ARG_FLAG,                                                                                   \
   &(n)->inside,                                                                               \
   NULL,                                                                                       \
   "from the points around, where there are none;\nthey point inside, "                        \
   "as those of rooms do",                                                                     \
   NULL,                                                                                       \
   0},                                                                                         \
  {                                                                                            \
    "normals-up", 0, ARG_FLAG, &(n)->up, NULL, "the same for scans from above: they point up", \
        NULL, 0                                                                                \
  }

static inline bool normals_wanted(const struct normals_args *n) { return n->inside || n->up; }

static inline enum ptv3_normal_side normals_side(const struct normals_args *n) {
  return n->up ? PTV3_NORMAL_UP : PTV3_NORMAL_INSIDE;
}

static inline struct ptv3_cloud_options cloud_options(const struct cloud_args *c) {
  return (struct ptv3_cloud_options){.columns = c->columns,
                                     .floats = (int)(c->floats > 4096 ? 4096 : c->floats),
                                     .labels = c->labels};
}

#endif
