/* args.c - see args.h. */
#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- nearest name ---- */

static int min3(int a, int b, int c) {
  int m = a < b ? a : b;
  return m < c ? m : c;
}

/* Edits (insert, delete, change) from a to b, for names of up to 31 letters. */
static int edits(const char *a, const char *b) {
  enum { MOST = 32 };
  int row[MOST], n = (int)strlen(b);
  if (n >= MOST || strlen(a) >= MOST) return MOST;
  for (int j = 0; j <= n; j++) row[j] = j;
  for (int i = 0; a[i]; i++) {
    int diagonal = row[0];
    row[0] = i + 1;
    for (int j = 0; j < n; j++) {
      int above = row[j + 1];
      row[j + 1] = min3(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
      diagonal = above;
    }
  }
  return row[n];
}

int args_nearest(const char *text, const char *const *names, int count) {
  int best = -1, least = 3; /* more than two edits is another word */
  for (int i = 0; i < count; i++) {
    int d = edits(text, names[i]);
    if (d < least && d < (int)strlen(names[i])) {
      least = d;
      best = i;
    }
  }
  return best;
}

/* ---- values ---- */

bool args_parse_bytes(const char *text, int64_t *bytes) {
  char *end;
  double v = strtod(text, &end);
  if (end == text || !(v >= 0)) return false;
  while (*end == ' ') end++;
  static const char units[] = "KMGT";
  double scale = 1;
  const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
  if (unit) {
    for (const char *u = units; u <= unit; u++) scale *= 1024;
    end++;
    if (*end == 'i') end++;
  }
  if (*end == 'B' || *end == 'b') end++;
  if (*end || v * scale >= 9e18) return false;
  *bytes = (int64_t)(v * scale);
  return true;
}

static void append(struct arg_list *list, const char *item, int argc) {
  if (!list->item) list->item = calloc((size_t)argc + 1, sizeof *list->item);
  if (!list->item) {
    fprintf(stderr, "ptv3: the system has no more memory\n");
    exit(3);
  }
  list->item[list->count++] = item;
}

void args_free_list(struct arg_list *list) {
  free(list->item);
  *list = (struct arg_list){0};
}

void args_free_table(const struct arg *table) {
  for (const struct arg *a = table; a->name; a++)
    if (a->kind == ARG_LIST || a->kind == ARG_PAIRS) args_free_list(a->value);
}

static bool wrong(const struct args *a, const char *format, const char *x, const char *y) {
  fprintf(stderr, "ptv3 %s: ", a->command);
  fprintf(stderr, format, x, y);
  fprintf(stderr, "\n");
  return false;
}

static bool set_int(const struct args *a, const struct arg *o, const char *text) {
  char *end;
  errno = 0;
  long long v = strtoll(text, &end, 10);
  if (end == text || *end || errno || v < o->min)
    return wrong(a, "--%s: '%s' is not a whole number that will do here", o->name, text);
  *(int64_t *)o->value = v;
  return true;
}

static bool set_real(const struct args *a, const struct arg *o, const char *text) {
  char *end;
  double v = strtod(text, &end);
  if (end == text || *end || !isfinite(v))
    return wrong(a, "--%s: '%s' is not a number", o->name, text);
  *(double *)o->value = v;
  return true;
}

static bool set_choice(const struct args *a, const struct arg *o, const char *text) {
  char known[256] = "";
  for (int i = 0; o->choices[i]; i++) {
    if (strcmp(text, o->choices[i]) == 0) {
      *(int *)o->value = i;
      return true;
    }
    size_t used = strlen(known);
    snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", o->choices[i]);
  }
  wrong(a, "--%s: '%s' is not known", o->name, text);
  fprintf(stderr, "one of: %s\n", known);
  return false;
}

static bool set_value(const struct args *a, const struct arg *o, const char *text, int argc) {
  switch (o->kind) {
    case ARG_FLAG: *(bool *)o->value = true; return true;
    case ARG_INT: return set_int(a, o, text);
    case ARG_REAL: return set_real(a, o, text);
    case ARG_TEXT: *(const char **)o->value = text; return true;
    case ARG_BYTES:
      if (args_parse_bytes(text, o->value)) return true;
      return wrong(a, "--%s: '%s' is not a size such as 6G or 512M", o->name, text);
    case ARG_CHOICE: return set_choice(a, o, text);
    case ARG_LIST: append(o->value, text, argc); return true;
    case ARG_PAIRS:
      if (!strchr(text, '='))
        return wrong(a, "--%s: '%s' is not of the form key=value", o->name, text);
      append(o->value, text, argc);
      return true;
  }
  return false;
}

/* ---- reading ---- */

static const struct arg *find_long(const struct args *a, const char *name, size_t length) {
  for (const struct arg *o = a->table; o->name; o++)
    if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
  return NULL;
}

static const struct arg *find_letter(const struct args *a, char letter) {
  for (const struct arg *o = a->table; o->name; o++)
    if (o->letter && o->letter == letter) return o;
  return NULL;
}

static bool unknown(const struct args *a, const char *given, const char *name, size_t length) {
  const char *names[64];
  char text[64];
  int count = 0;
  for (const struct arg *o = a->table; o->name && count < 64; o++) names[count++] = o->name;
  snprintf(text, sizeof text, "%.*s", (int)(length < 63 ? length : 63), name);
  int near = args_nearest(text, names, count);
  wrong(a, "unknown option '%s'%s", given, "");
  if (near >= 0)
    fprintf(stderr, "did you mean '--%s'?\n", names[near]);
  else
    fprintf(stderr, "'ptv3 help %s' lists the options\n", a->command);
  return false;
}

/* key=value with a key of letters, digits, '_' and '.': what follows --options. */
static bool is_pair(const char *text) {
  size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
  return n > 0 && text[n] == '=';
}

/* The option at argv[*i]; moves *i to the last word it used. */
static bool read_option(const struct args *a, int argc, char **argv, int *i) {
  const char *given = argv[*i], *value = NULL;
  const struct arg *o;
  if (given[1] == '-') {
    const char *name = given + 2;
    size_t length = strcspn(name, "=");
    o = find_long(a, name, length);
    if (!o) return unknown(a, given, name, length);
    if (name[length] == '=') value = name + length + 1;
  } else {
    o = find_letter(a, given[1]);
    if (!o) return unknown(a, given, given + 1, strlen(given + 1));
    if (given[2]) value = given[2] == '=' ? given + 3 : given + 2;
  }
  if (o->kind == ARG_FLAG) {
    if (value) return wrong(a, "--%s takes no value, '%s' was given", o->name, value);
    return set_value(a, o, "", argc);
  }
  if (!value && *i + 1 >= argc)
    return wrong(a, "--%s needs a value: %s", o->name, o->meta ? o->meta : "VALUE");
  if (!value) value = argv[++*i];
  if (!set_value(a, o, value, argc)) return false;
  while (o->kind == ARG_PAIRS && *i + 1 < argc && is_pair(argv[*i + 1]))
    append(o->value, argv[++*i], argc);
  return true;
}

static bool wants_help(int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
  return false;
}

enum args_result args_read(const struct args *a, int argc, char **argv,
                           struct arg_list *operands) {
  *operands = (struct arg_list){0};
  if (wants_help(argc, argv)) {
    args_print_help(a);
    return ARGS_HELP;
  }
  bool fine = true, only_operands = false;
  for (int i = 1; i < argc && fine; i++) {
    const char *word = argv[i];
    if (!only_operands && strcmp(word, "--") == 0)
      only_operands = true;
    else if (!only_operands && word[0] == '-' && word[1])
      fine = read_option(a, argc, argv, &i);
    else if (a->max_operands >= 0 && operands->count >= a->max_operands)
      fine = wrong(a, "'%s' is one word too many%s", word, "");
    else
      append(operands, word, argc);
  }
  if (fine && operands->count < a->min_operands) {
    fine = wrong(a, "something is missing; use: ptv3 %s %s", a->command, a->synopsis);
  }
  if (fine) return ARGS_OK;
  args_free_list(operands);
  return ARGS_WRONG;
}

/* ---- help ---- */

static int option_text(const struct arg *o, char *out, size_t size) {
  char choice[128] = "";
  const char *meta = o->meta;
  if (o->kind == ARG_CHOICE && !meta) {
    for (int i = 0; o->choices[i]; i++) {
      size_t used = strlen(choice);
      snprintf(choice + used, sizeof choice - used, "%s%s", i ? "|" : "", o->choices[i]);
    }
    meta = choice;
  }
  char letter[8] = "    ";
  if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
  return snprintf(out, size, "  %s--%s%s%s", letter, o->name, meta ? " " : "",
                  meta ? meta : "");
}

void args_print_help(const struct args *a) {
  printf("usage: ptv3 %s %s\n\n%s\n\noptions:\n", a->command, a->synopsis, a->description);
  for (const struct arg *o = a->table; o->name; o++) {
    char text[256];
    int n = option_text(o, text, sizeof text);
    const char *line = o->help;
    if (n > 33) {
      printf("%s\n", text);
      text[0] = 0;
    }
    for (;;) { /* further lines of a help text are indented below the first */
      int length = (int)strcspn(line, "\n");
      printf("%-34s%.*s\n", text, length, line);
      if (!line[length]) break;
      line += length + 1;
      text[0] = 0;
    }
  }
}
