/* names.c - see names.h. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

void names_free(struct names *names) {
  free(names->item);
  free(names->text);
  *names = (struct names){0};
}

/* Room for as many names as text may hold, and a copy of text. */
static int start(struct session *s, struct names *names, const char *text) {
  size_t n = strlen(text);
  names->text = malloc(n + 1);
  names->item = calloc(n + 1, sizeof *names->item);
  if (names->text && names->item) {
    strcpy(names->text, text);
    return EXIT_FINE;
  }
  names_free(names);
  session_say(s, "the system has no more memory");
  return EXIT_BUDGET;
}

static int from_list(struct session *s, const char *list, struct names *names) {
  int code = start(s, names, list);
  if (code != EXIT_FINE) return code;
  char *at = names->text;
  names->item[names->count++] = at;
  while ((at = strchr(at, ','))) {
    *at++ = 0;
    names->item[names->count++] = at;
  }
  return EXIT_FINE;
}

/* The strings of a JSON list; escapes other than \" and \\ are kept as they are. */
static int from_json(struct session *s, const char *json, struct names *names) {
  int code = start(s, names, json);
  if (code != EXIT_FINE) return code;
  char *to = names->text;
  for (const char *c = json; *c; c++) {
    if (*c != '"') continue;
    names->item[names->count++] = to;
    for (c++; *c && *c != '"'; c++) {
      if (*c == '\\' && (c[1] == '"' || c[1] == '\\')) c++;
      *to++ = *c;
    }
    *to++ = 0;
    if (!*c) break;
  }
  return EXIT_FINE;
}

int names_get(struct session *s, const char *list, struct ptv3_config *config,
              struct names *names) {
  const char *json;
  struct ptv3_error none;
  *names = (struct names){0};
  if (list) return from_list(s, list, names);
  if (!config || ptv3_config_text(config, "data.names", &json, &none)) return EXIT_FINE;
  return from_json(s, json, names);
}
