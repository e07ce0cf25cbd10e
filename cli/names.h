/* names.h - class names given on the command line or by a configuration. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "session.h"

struct names {
  const char **item; /* [count] */
  int count;
  char *text; /* holds them */
};

/* From list ("a,b,c") if given, else data.names of config if it has them, else none. Returns
 * an exit code; a message was printed when it is not EXIT_FINE. */
int names_get(struct session *s, const char *list, struct ptv3_config *config,
              struct names *names);
void names_free(struct names *names);

#endif
