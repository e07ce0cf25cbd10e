/* config_keys.c - see config_keys.h. */
#include "config_keys.h"

#include <math.h>
#include <string.h>

/* Whether the word s [n] is one of a list. */
static bool listed(const char *known, const char *s, int64_t n) {
  for (const char *end; (end = strchr(known, ' ')); known = end + 1)
    if (end - known == n && memcmp(known, s, (size_t)n) == 0) return true;
  return false;
}

/* "type lr betas " as "type, lr, betas". */
static void list_text(const char *known, char *out, size_t size) {
  size_t n = 0;
  for (; *known && n + 3 < size; known++) {
    if (*known == ' ' && !known[1]) break;
    if (*known == ' ') out[n++] = ',';
    out[n++] = *known;
  }
  out[n] = 0;
}

int pt_check_keys(const struct pt_value *dict, const char *what, const char *known,
                  struct ptv3_error *err) {
  char list[400];
  list_text(known, list, sizeof list);
  for (int64_t i = 0; i < dict->n; i++) {
    const struct pt_entry *e = &dict->entry[i];
    if (e->key->kind == PT_V_STR && listed(known, e->key->str, e->key->n)) continue;
    return pt_fail_pos(err, PTV3_CONFIG, &e->at, "%s has no option '%.60s'; it has: %s", what,
                       e->key->kind == PT_V_STR ? e->key->str : pt_kind_text(e->key->kind),
                       list);
  }
  return PTV3_OK;
}

int pt_get_least(const struct pt_value *dict, const char *key, double def, double lo,
                 double *out, struct ptv3_error *err) {
  int status = pt_get_double(dict, key, def, out, err);
  if (status || (isfinite(*out) && *out >= lo)) return status;
  return pt_fail_value(err, pt_get(dict, key), "%g; a number of at least %g is wanted", *out,
                       lo);
}
