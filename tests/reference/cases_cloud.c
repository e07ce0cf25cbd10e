/* cases_cloud.c - grid sampling, transforms, metrics and the validation pipeline. */
#include "refcase.h"

const struct refkind refkinds_cloud[] = {{NULL, NULL}};
