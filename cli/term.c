/* term.c - see term.h. */
#include "term.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool term_color(FILE *f) {
  const char *no = getenv("NO_COLOR"), *kind = getenv("TERM");
  return !(no && *no) && !(kind && strcmp(kind, "dumb") == 0) && isatty(fileno(f));
}

const char *term_bold(FILE *f) { return term_color(f) ? "\033[1m" : ""; }
const char *term_red(FILE *f) { return term_color(f) ? "\033[31m" : ""; }
const char *term_yellow(FILE *f) { return term_color(f) ? "\033[33m" : ""; }
const char *term_plain(FILE *f) { return term_color(f) ? "\033[0m" : ""; }

/* Code points, counting those of East Asian scripts and pictographs as two columns and
 * combining marks as none. Not the whole of Unicode's rules, but what class names hold. */
int term_width(const char *text) {
  int width = 0;
  const unsigned char *s = (const unsigned char *)text;
  while (*s) {
    uint32_t c = *s++;
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    if (more) c &= 0x3Fu >> more;
    while (more-- > 0 && (*s & 0xC0) == 0x80) c = c << 6 | (*s++ & 0x3Fu);
    bool none = (c >= 0x300 && c <= 0x36F) || c == 0x200B || c == 0xFE0F;
    bool two = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
               (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
               (c >= 0xFF00 && c <= 0xFF60) || (c >= 0x1F300 && c <= 0x1FAFF);
    width += none ? 0 : two ? 2 : 1;
  }
  return width;
}

const char *term_bytes(int64_t bytes, char buf[24]) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double v = (double)bytes;
  int u = 0;
  for (; v >= 1024 && u < 4; u++) v /= 1024;
  snprintf(buf, 24, u ? "%.2f %s" : "%.0f %s", v, unit[u]);
  return buf;
}

const char *term_count(double count, char buf[24]) {
  static const char *const unit[] = {"", " k", " M", " G"};
  int u = 0;
  for (; count >= 1000 && u < 3; u++) count /= 1000;
  snprintf(buf, 24, u ? "%.1f%s" : "%.0f%s", count, unit[u]);
  return buf;
}

const char *term_time(double seconds, char buf[24]) {
  long s = seconds > 0 && seconds < 1e9 ? lround(seconds) : 0;
  if (seconds > 0 && seconds < 0.995)
    snprintf(buf, 24, "%.2f s", seconds);
  else if (seconds > 0 && seconds < 9.95)
    snprintf(buf, 24, "%.1f s", seconds);
  else if (s >= 3600)
    snprintf(buf, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    snprintf(buf, 24, "%ld:%02ld", s / 60, s % 60);
  return buf;
}

double term_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- tables ---- */

static void *must(void *p) {
  if (p) return p;
  fprintf(stderr, "ptv3: the system has no more memory\n");
  exit(3);
}

void table_init(struct table *t, const char *align) {
  *t = (struct table){.columns = (int)strlen(align), .align = align};
}

void table_cell(struct table *t, const char *format, ...) {
  char text[512];
  va_list ap;
  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  if (t->count == t->capacity) {
    t->capacity = t->capacity ? 2 * t->capacity : 64;
    t->cell = must(realloc(t->cell, (size_t)t->capacity * sizeof *t->cell));
  }
  char *copy = must(malloc(strlen(text) + 1));
  strcpy(copy, text);
  t->cell[t->count++] = copy;
}

static void print_cell(FILE *f, const char *text, int width, char align, bool last) {
  int pad = width - term_width(text);
  if (align == 'r')
    fprintf(f, "%*s%s", pad, "", text);
  else if (last)
    fprintf(f, "%s", text);
  else
    fprintf(f, "%s%*s", text, pad, "");
}

void table_print(const struct table *t, FILE *f) {
  int *width = must(calloc((size_t)t->columns, sizeof *width));
  for (int i = 0; i < t->count; i++) {
    int w = term_width(t->cell[i]);
    if (w > width[i % t->columns]) width[i % t->columns] = w;
  }
  for (int i = 0; i < t->count; i++) {
    int c = i % t->columns;
    bool last = c == t->columns - 1;
    if (i == 0) fputs(term_bold(f), f);
    fputs(c ? "  " : "", f);
    print_cell(f, t->cell[i], width[c], t->align[c], last);
    if (last && i < t->columns) fputs(term_plain(f), f);
    if (last) fputc('\n', f);
  }
  free(width);
}

void table_free(struct table *t) {
  for (int i = 0; i < t->count; i++) free(t->cell[i]);
  free(t->cell);
  *t = (struct table){0};
}

/* ---- progress ---- */

void progress_init(struct progress *p, bool quiet) {
  *p = (struct progress){.quiet = quiet, .terminal = isatty(STDERR_FILENO)};
}

void progress_clear(struct progress *p) {
  if (p->open) fputs("\r\033[K", stderr);
  p->open = false;
}

/* "  12.3 k/s" of points; the rate of other things says little. */
static const char *rate_text(const char *what, double done, double spent, char buf[40]) {
  char count[24];
  buf[0] = 0;
  if (strstr(what, "points") && spent > 0 && done > 0)
    snprintf(buf, 40, "  %s/s", term_count(done / spent, count));
  return buf;
}

/* first: what was done already when it began. */
static const char *left_text(double part, double first, double spent, char buf[40]) {
  char time[24];
  buf[0] = 0;
  if (part > first)
    snprintf(buf, 40, "  %s left", term_time(spent * (1 - part) / (part - first), time));
  return buf;
}

/* "  12 of 480" of what is few and slow. */
static const char *count_text(const char *what, int64_t done, int64_t total, char buf[40]) {
  buf[0] = 0;
  if (strcmp(what, "training") == 0)
    snprintf(buf, 40, "  batch %lld of %lld", (long long)done, (long long)total);
  return buf;
}

static void draw_line(struct progress *p, double part, const char *rate, const char *left,
                      int64_t used, int64_t limit) {
  enum { BAR = 20 };
  char bar[BAR + 1], a[24], b[24];
  for (int i = 0; i < BAR; i++) bar[i] = i < (int)(part * BAR) ? '#' : '-';
  bar[BAR] = 0;
  fprintf(stderr, "\r\033[K%-18.24s [%s] %3.0f %%%s%s  %s", p->what, bar, floor(100 * part),
          rate, left, term_bytes(used, a));
  if (limit) fprintf(stderr, " of %s", term_bytes(limit, b));
  fflush(stderr);
  p->open = true;
}

void progress_show(struct progress *p, const char *what, int64_t done, int64_t total,
                   int64_t used, int64_t limit) {
  if (p->quiet) return;
  double now = term_now();
  double part = total > 0 ? (double)done / (double)total : 0;
  if (part > 1) part = 1;
  if (strncmp(p->what, what, sizeof p->what - 1) != 0) {
    progress_clear(p);
    snprintf(p->what, sizeof p->what, "%s", what);
    p->began = now;
    p->first = part;
    p->shown = p->terminal ? 0 : now;
    p->tenth = 0;
  }
  char rate[40], left[40];
  double spent = now - p->began;
  if (!*count_text(what, done, total, rate)) rate_text(what, (double)done, spent, rate);
  left_text(part, p->first, spent, left);
  if (p->terminal) {
    if (now - p->shown < 0.1 && part < 1) return;
    draw_line(p, part, rate, left, used, limit);
    p->shown = now;
    if (part >= 1) progress_clear(p);
    return;
  }
  /* A log gets a line each tenth, and none for what is over within a second. */
  int tenth = (int)(part * 10);
  if (tenth <= p->tenth || now - p->shown < 1) return;
  fprintf(stderr, "%s: %d %%%s%s\n", p->what, tenth * 10, rate, left);
  p->tenth = tenth;
  p->shown = now;
}
