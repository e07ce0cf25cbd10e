/* cases_files.c - checkpoints. */
#include "refcase.h"

const struct refkind refkinds_files[] = {{NULL, NULL}};
