/* names.h - class names given on the command line or by a configuration. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "session.h"

struct names {
  const char **item; /* [count] */
  int count;
  char *text; /* holds them */
};

/* From list ("a,b,c") if given, else data.names of the configuration at path if given, else
 * none. Returns an exit code; a message was printed when it is not EXIT_FINE. */
int names_get(struct session *s, const char *list, const char *path,
              const struct arg_list *options, struct names *names);
void names_free(struct names *names);

#endif
