/* class_lists.h - the class lists of benchmarks that Pointcept's configs import by name. */
#ifndef PT_CLASS_LISTS_H
#define PT_CLASS_LISTS_H

#include <stdbool.h>
#include <stdint.h>

struct pt_class_list {
  const char *module; /* how the last part of the Python module's name begins */
  const char *name;   /* "CLASS_LABELS_200" */
  int64_t n;
  const char *const *label; /* [n] class names in label order; NULL for a list of ids */
  const int16_t *id;        /* [n] label ids of the raw annotation; NULL for names */
};

/* The list called name (NUL-terminated); NULL if there is none. module: the module it is
 * imported from, its last part is compared; NULL: any. */
const struct pt_class_list *pt_class_list_find(const char *module, const char *name);

#endif
