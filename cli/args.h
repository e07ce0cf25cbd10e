/* args.h - options of a command, declared in a table and read from the command line.
 *
 * Accepted: --name value, --name=value, -x value, --flag, "--" before operands that begin
 * with a dash. Options and operands may be mixed. A mistake prints one line that names the
 * option, with the nearest known name where one is near. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum arg_kind {
  ARG_FLAG,   /* bool: set to true */
  ARG_INT,    /* int64_t, at least min */
  ARG_REAL,   /* double */
  ARG_TEXT,   /* const char * */
  ARG_BYTES,  /* int64_t: "6G", "512M", "1.5GiB" */
  ARG_CHOICE, /* int: index in choices */
  ARG_LIST,   /* struct arg_list: one more item each time it is given */
  ARG_PAIRS   /* struct arg_list: the value and all key=value operands that follow it */
};

/* Strings of argv in their order. */
struct arg_list {
  const char **item; /* [count], freed by args_free_list */
  int count;
};

struct arg {
  const char *name; /* without dashes; NULL ends a table */
  char letter;      /* one-letter form, 0: none */
  enum arg_kind kind;
  void *value;      /* of the kind's type; left alone when the option is not given */
  const char *meta; /* the value's name in the help */
  const char *help;
  const char *const *choices; /* NULL-terminated, for ARG_CHOICE */
  int64_t min;                /* for ARG_INT */
};

struct args {
  const char *command;     /* "predict" */
  const char *synopsis;    /* "CONFIG --weight W CLOUD... -o OUT" */
  const char *description; /* a paragraph or two, shown by --help */
  const struct arg *table; /* ends with a NULL name */
  int min_operands;
  int max_operands; /* -1: any number */
};

enum args_result { ARGS_OK, ARGS_HELP, ARGS_WRONG };

/* Reads argv[1..argc-1]. ARGS_HELP: --help was given and the help was printed; ARGS_WRONG: a
 * message was printed. operands is filled in the first case and freed with
 * args_free_list. */
enum args_result args_read(const struct args *a, int argc, char **argv,
                           struct arg_list *operands);

void args_free_list(struct arg_list *list);

/* The lists that a table fills. */
void args_free_table(const struct arg *table);

void args_print_help(const struct args *a);

/* "6G" to bytes; false when it is not a size. */
bool args_parse_bytes(const char *text, int64_t *bytes);

/* The index of the name nearest to text among names[count], -1 if none is near. */
int args_nearest(const char *text, const char *const *names, int count);

#endif
