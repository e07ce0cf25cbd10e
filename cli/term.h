/* term.h - what the program shows: colour, tables, progress.
 *
 * Results go to standard output, everything else to standard error. Colour and a moving
 * progress line appear on a terminal only; NO_COLOR switches colour off, --quiet switches
 * progress and warnings off. */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Whether to colour what goes to f. */
bool term_color(FILE *f);

/* Escape sequences for f, or "" where it is not to be coloured. */
const char *term_bold(FILE *f);
const char *term_red(FILE *f);
const char *term_yellow(FILE *f);
const char *term_plain(FILE *f);

/* Columns UTF-8 text takes on a terminal. */
int term_width(const char *text);

/* "12.30 MiB", "1.2 M", "0.7 s", "0:12", "1:02:03" */
const char *term_bytes(int64_t bytes, char buf[24]);
const char *term_count(double count, char buf[24]);
const char *term_time(double seconds, char buf[24]);

double term_now(void); /* seconds of a clock that only goes forward */

/* ---- tables ---- */

/* Cells are added row by row; printing lines the columns up. The first row is the head. */
struct table {
  int columns;
  const char *align; /* [columns] of 'l' and 'r' */
  char **cell;       /* [count] */
  int count;
  int capacity;
};

void table_init(struct table *t, const char *align);
void table_cell(struct table *t, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
void table_print(const struct table *t, FILE *f);
void table_free(struct table *t);

/* ---- progress ---- */

struct progress {
  bool quiet;
  bool terminal; /* standard error is one */
  char what[64]; /* the thing being done */
  double began;  /* of it, term_now */
  double first;  /* part of it that was done then */
  double shown;  /* when the line was last written */
  int tenth;     /* last tenth written, for files and pipes */
  bool open;     /* an unfinished line is on the terminal */
};

void progress_init(struct progress *p, bool quiet);

/* done of total (0: unknown) units of what; used and limit are bytes of memory, limit 0:
 * none. */
void progress_show(struct progress *p, const char *what, int64_t done, int64_t total,
                   int64_t used, int64_t limit);

/* Clears the line, before something else is printed. */
void progress_clear(struct progress *p);

#endif
