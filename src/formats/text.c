/* text.c - see text.h. A piece owns the lines that start in it. One pass counts them, so
 * that each piece knows its first row and line; a second one reads the numbers. */
#include "text.h"

#include <string.h>

#include "number.h"
#include "size.h"

enum { PIECE = 1 << 20, GROUP = 64 };

struct piece {
  int64_t rows, lines; /* in it; after the sum: before it */
};

static inline bool blank(char c) { return c == ' ' || c == '\t'; }

static inline const char *skip_blanks(const char *p, const char *eol) {
  while (p < eol && blank(*p)) p++;
  return p;
}

static const char *line_end(const struct pt_text *t, const char *p) {
  const char *end = (const char *)t->data + t->size;
  const char *eol = memchr(p, '\n', (size_t)(end - p));
  return eol ? eol : end;
}

/* The end of the line's text: a CR in front of the LF is not part of it. One in the middle
 * is; a file whose lines end with CR alone must not pass for one long line. */
static inline const char *text_end(const char *p, const char *eol) {
  while (eol > p && eol[-1] == '\r') eol--;
  return eol;
}

static bool is_row(const struct pt_text *t, const char *p, const char *eol) {
  p = skip_blanks(p, eol);
  if (p == eol) return false;
  return !t->comments || !(*p == '#' || (*p == '/' && p + 1 < eol && p[1] == '/'));
}

/* The first line that starts in piece k, and the byte at which the piece ends. */
static const char *piece_start(const struct pt_text *t, int64_t k, const char **stop) {
  const char *base = (const char *)t->data + t->begin;
  int64_t size = t->size - t->begin;
  const char *p = base + k * PIECE;
  *stop = base + pt_min(size, (k + 1) * PIECE);
  if (k == 0) return p;
  const char *before = memchr(p - 1, '\n', (size_t)(*stop - p));
  return before ? before + 1 : *stop;
}

static struct piece count_piece(const struct pt_text *t, int64_t k) {
  struct piece c = {0};
  const char *stop, *eol;
  for (const char *p = piece_start(t, k, &stop); p < stop; p = eol + 1) {
    eol = line_end(t, p);
    c.lines++;
    c.rows += is_row(t, p, text_end(p, eol));
  }
  return c;
}

static int64_t pieces_of(const struct pt_text *t) {
  return pt_div_up(t->size - t->begin, PIECE);
}

/* The rows and lines before each piece, [pieces + 1]; owned by the caller. */
static struct piece *count_all(struct pt_env *env, const struct pt_text *t,
                               struct ptv3_error *err) {
  int64_t n = pieces_of(t);
  struct piece *c = pt_alloc(&env->mem, n + 1, sizeof *c, PT_MEM_OTHER, err);
  if (!c) return NULL;
#pragma omp parallel for schedule(dynamic) num_threads(env->threads) if (n > 1)
  for (int64_t k = 0; k < n; k++) c[k] = count_piece(t, k);
  struct piece sum = {0};
  for (int64_t k = 0; k <= n; k++) {
    struct piece here = k < n ? c[k] : (struct piece){0};
    c[k] = sum;
    sum.rows += here.rows;
    sum.lines += here.lines;
  }
  return c;
}

int pt_text_count(struct pt_env *env, const struct pt_text *t, int64_t *rows,
                  struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct piece *c = count_all(env, t, &e);
  if (c)
    *rows = c[pieces_of(t)].rows;
  else if (err)
    *err = e;
  pt_free(&env->mem, c);
  return e.status;
}

const char *pt_text_field(const char *p, const char *eol, char delimiter, const char **from,
                          const char **to) {
  if (p > eol) return NULL;
  p = skip_blanks(p, eol);
  *from = p;
  if (delimiter == ' ') {
    if (p == eol) return NULL;
    while (p < eol && !blank(*p)) p++;
    *to = p;
    return skip_blanks(p, eol);
  }
  const char *d = p < eol ? memchr(p, delimiter, (size_t)(eol - p)) : NULL;
  const char *next = d ? d + 1 : eol + 1;
  p = d ? d : eol;
  while (p > *from && blank(p[-1])) p--;
  *to = p;
  return next;
}

int64_t pt_text_fields(const char *p, const char *eol, char delimiter) {
  int64_t n = 0;
  const char *from, *to;
  while ((p = pt_text_field(p, eol, delimiter, &from, &to))) {
    if (delimiter != ' ' && p > eol && from == to) break;
    n++;
  }
  return n;
}

/* ---- reading ---- */

struct where {
  const struct pt_text *t;
  const char *start, *eol; /* the line */
  int64_t line;
};

static int wrong_count(const struct where *w, int count, struct ptv3_error *err) {
  int64_t have = pt_text_fields(w->start, w->eol, w->t->delimiter);
  return pt_fail_at(err, PTV3_FORMAT, w->start - (const char *)w->t->data,
                    "'%s', line %lld has %lld fields where %d are expected", w->t->name,
                    (long long)w->line, (long long)have, count);
}

static int wrong_number(const struct where *w, const char *from, const char *to,
                        const struct pt_text_field *f, struct ptv3_error *err) {
  char text[48];
  bool real = f->type == PT_F32 || f->type == PT_F64;
  pt_number_quote(from, to, text);
  return pt_fail_at(err, PTV3_FORMAT, from - (const char *)w->t->data,
                    "'%s', line %lld, column %lld: \"%s\" is not %s (field '%s')", w->t->name,
                    (long long)w->line, (long long)(from - w->start + 1), text,
                    real ? "a number" : "an integer that its type can hold", f->name);
}

/* Skips a count and as many fields; NULL if they are not there. */
static const char *skip_list(const char *p, const char *eol) {
  const char *from, *to;
  p = pt_text_field(p, eol, ' ', &from, &to);
  int64_t n = p ? pt_number_count(from, to) : -1;
  if (n < 0) return NULL;
  for (int64_t i = 0; i < n && p; i++) p = pt_text_field(p, eol, ' ', &from, &to);
  return p;
}

/* One line into row `row` of the columns. */
static int read_row(const struct where *w, int64_t row, const struct pt_text_field *field,
                    int count, struct ptv3_error *err) {
  const char *p = skip_blanks(w->start, w->eol), *eol = w->eol, *from, *to;
  char delimiter = w->t->delimiter;
  for (int k = 0; k < count; k++) {
    const struct pt_text_field *f = &field[k];
    if (f->list || f->skip) {
      p = f->list ? skip_list(p, eol) : pt_text_field(p, eol, delimiter, &from, &to);
      if (!p) return wrong_count(w, count, err);
      continue;
    }
    /* The common case: a number with its delimiter behind. */
    const char *q =
        p < eol ? pt_number_store(p, eol, f->data, f->type, row * f->width + f->at) : NULL;
    if (q) {
      const char *after = skip_blanks(q, eol);
      if (delimiter == ' ' ? after > q || after == eol : after == eol || *after == delimiter) {
        p = after + (delimiter != ' ');
        if (delimiter != ' ') p = p < eol ? skip_blanks(p, eol) : p;
        continue;
      }
    }
    if (!pt_text_field(p, eol, delimiter, &from, &to)) return wrong_count(w, count, err);
    if (from == to && pt_text_fields(w->start, eol, delimiter) != count)
      return wrong_count(w, count, err);
    return wrong_number(w, from, to, f, err);
  }
  if (p >= eol || (delimiter != ' ' && skip_blanks(p, eol) == eol)) return PTV3_OK;
  return wrong_count(w, count, err);
}

/* The lines of piece k as far as row n. */
static int read_piece(const struct pt_text *t, int64_t k, struct piece before, int64_t n,
                      const struct pt_text_field *field, int count, struct ptv3_error *err) {
  struct where w = {.t = t, .line = t->first_line + before.lines};
  int64_t row = before.rows;
  const char *stop, *eol;
  for (w.start = piece_start(t, k, &stop); w.start < stop && row < n; w.start = eol + 1) {
    eol = line_end(t, w.start);
    w.eol = text_end(w.start, eol);
    if (is_row(t, w.start, w.eol)) {
      int status = read_row(&w, row++, field, count, err);
      if (status) return status;
    }
    w.line++;
  }
  return PTV3_OK;
}

/* Pieces first .. last - 1; the error of the earliest one counts. */
static int read_group(struct pt_env *env, const struct pt_text *t, const struct piece *before,
                      int64_t first, int64_t last, int64_t n, const struct pt_text_field *field,
                      int count, struct ptv3_error *err) {
  int64_t failed = INT64_MAX;
  struct ptv3_error best = {0};
#pragma omp parallel for schedule(dynamic) num_threads(env->threads) if (last - first > 1)
  for (int64_t k = first; k < last; k++) {
    struct ptv3_error e;
    if (read_piece(t, k, before[k], n, field, count, &e) == PTV3_OK) continue;
#pragma omp critical(pt_text_failed)
    if (k < failed) {
      failed = k;
      best = e;
    }
  }
  if (best.status && err) *err = best;
  return best.status;
}

int pt_text_read(struct pt_env *env, const struct pt_text *t, int64_t n,
                 const struct pt_text_field *field, int count, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  int64_t pieces = pieces_of(t);
  struct piece *before = count_all(env, t, &e);
  if (!before) {
    if (err) *err = e;
    return e.status;
  }
  int status = PTV3_OK;
  if (before[pieces].rows < n)
    status = pt_fail_at(err, PTV3_FORMAT, t->size,
                        "'%s' ends after %lld of the %lld points its header announces", t->name,
                        (long long)before[pieces].rows, (long long)n);
  for (int64_t k = 0; k < pieces && !status && before[k].rows < n; k += GROUP) {
    status = pt_progress(env, "reading points", before[k].rows, n, err);
    int64_t last = pt_min(pieces, k + GROUP);
    if (!status) status = read_group(env, t, before, k, last, n, field, count, err);
  }
  pt_free(&env->mem, before);
  return status;
}
