/* xyz.c - see xyz.h. The first lines are looked at one by one to find the header and the
 * delimiter; text.c reads the rest. */
#include "xyz.h"

#include <stdio.h>
#include <string.h>

#include "number.h"
#include "size.h"
#include "text.h"

enum { MOST_COLUMNS = 1024 };

struct names {
  char (*name)[64]; /* [count] */
  int64_t count, cap;
  struct pt_mem *mem;
};

struct line {
  const char *p, *eol;
  int64_t number, at; /* line number, byte offset */
};

struct start {
  struct line points;  /* the first line of points */
  struct line comment; /* the last comment before it; p NULL: none */
  struct line header;  /* a line of words in front of the points; p NULL: none */
  int64_t announced;   /* a first line with a number of points; -1: none */
  char delimiter;
  int64_t fields; /* of the first line of points */
};

static bool blank(char c) { return c == ' ' || c == '\t'; }

/* The next line that is not blank. */
static bool next_line(struct pt_cursor *c, int64_t *number, struct line *l) {
  int64_t n;
  do {
    l->at = c->pos;
    if (!pt_line(c, &l->p, &n)) return false;
    l->number = ++*number;
    l->eol = l->p + n;
    while (l->eol > l->p && l->eol[-1] == '\r') l->eol--;
    while (l->p < l->eol && blank(*l->p)) l->p++;
  } while (l->p == l->eol);
  return true;
}

/* The length of the mark of a comment at the start of a line; 0: it is none. */
static int comment_mark(const struct line *l) {
  if (*l->p == '#') return 1;
  return l->eol - l->p > 1 && l->p[0] == '/' && l->p[1] == '/' ? 2 : 0;
}

static char delimiter_of(const struct line *l) {
  size_t n = (size_t)(l->eol - l->p);
  return memchr(l->p, ';', n) ? ';' : memchr(l->p, ',', n) ? ',' : ' ';
}

static bool is_number(const char *from, const char *to) {
  double v;
  return pt_number(from, to, &v) == to;
}

/* A number, or what starts like one: no name of a column. */
static bool looks_like_number(const char *from, const char *to) {
  return is_number(from, to) || (from < to && memchr("0123456789+-.", *from, 13));
}

/* How many fields of the line look like numbers. */
static int64_t numbers_in(const struct line *l, char delimiter) {
  int64_t n = 0;
  const char *p = l->p, *from, *to;
  while ((p = pt_text_field(p, l->eol, delimiter, &from, &to)))
    n += looks_like_number(from, to);
  return n;
}

/* ---- names ---- */

static int add_name(struct names *s, const char *from, const char *to, struct ptv3_error *err) {
  int status =
      pt_grow(s->mem, &s->name, &s->cap, s->count + 1, sizeof *s->name, PT_MEM_OTHER, err);
  if (status) return status;
  if (to - from >= 2 && (*from == '"' || *from == '\'') && to[-1] == *from) from++, to--;
  char *name = s->name[s->count++];
  if (from == to)
    snprintf(name, 64, "column%lld", (long long)s->count);
  else
    snprintf(name, 64, "%.*s", (int)pt_min(to - from, 63), from);
  return PTV3_OK;
}

static int names_of_line(struct names *s, const struct line *l, const char *p,
                         struct ptv3_error *err) {
  const char *from, *to;
  char delimiter = delimiter_of(l); /* a header may have another one than the points */
  int64_t n = pt_text_fields(p, l->eol, delimiter);
  while (s->count < n && (p = pt_text_field(p, l->eol, delimiter, &from, &to))) {
    int status = add_name(s, from, to, err);
    if (status) return status;
  }
  return PTV3_OK;
}

/* A comment names the columns when it has a word for each, x, y and z among them. */
static bool comment_names(const struct start *s, const char **first) {
  const struct line *l = &s->comment;
  if (!l->p) return false;
  bool axis[3] = {0};
  char delimiter = delimiter_of(l);
  const char *p = l->p + comment_mark(l), *from, *to;
  *first = p;
  if (pt_text_fields(p, l->eol, delimiter) != s->fields) return false;
  while ((p = pt_text_field(p, l->eol, delimiter, &from, &to)))
    for (int k = 0; k < 3; k++)
      axis[k] = axis[k] || (to - from == 1 && (*from | 32) == 'x' + k);
  return axis[0] && axis[1] && axis[2];
}

static int default_names(struct names *s, const struct start *st, const char *file,
                         struct ptv3_error *err) {
  static const char *const usual[] = {"x", "y", "z", "red", "green", "blue"};
  static const char *const normal[] = {"nx", "ny", "nz"};
  char ext[16];
  pt_extension(file, ext);
  if (st->fields != 3 && st->fields != 6)
    return pt_fail_at(
        err, PTV3_DATA, st->points.at,
        "'%s' has %lld fields a line and no header line that names them: name them "
        "with --columns, \"_\" for one to leave out (--columns x,y,z,intensity,...)",
        file, (long long)st->fields);
  for (int i = 0; i < st->fields; i++) {
    const char *name = i >= 3 && strcmp(ext, "xyzn") == 0 ? normal[i - 3] : usual[i];
    int status = add_name(s, name, name + strlen(name), err);
    if (status) return status;
  }
  return PTV3_OK;
}

/* The caller's list: as many names as the file has fields. */
static int given_names(struct names *s, const char *columns, const struct start *st,
                       const char *file, struct ptv3_error *err) {
  const char *p = columns, *eol = columns + strlen(columns), *from, *to;
  bool any = false;
  while ((p = pt_text_field(p, eol, ',', &from, &to))) {
    if (from == to)
      return pt_fail(err, PTV3_INVALID, "a name is missing in the columns '%s'", columns);
    int status = add_name(s, from, to, err);
    if (status) return status;
    any = any || strcmp(s->name[s->count - 1], "_") != 0;
  }
  if (!any) return pt_fail(err, PTV3_INVALID, "the columns '%s' leave out everything", columns);
  if (s->count != st->fields)
    return pt_fail_at(err, PTV3_INVALID, st->points.at,
                      "the columns '%s' are %lld where '%s' has %lld fields a line", columns,
                      (long long)s->count, file, (long long)st->fields);
  return PTV3_OK;
}

static int find_names(struct names *s, const struct start *st, const char *columns,
                      const char *file, struct ptv3_error *err) {
  const char *first;
  if (columns && columns[0]) return given_names(s, columns, st, file, err);
  if (st->header.p) {
    int64_t n = pt_text_fields(st->header.p, st->header.eol, delimiter_of(&st->header));
    if (n != st->fields)
      return pt_fail_at(
          err, PTV3_FORMAT, st->header.at,
          "'%s': its header in line %lld has %lld names, line %lld has %lld fields", file,
          (long long)st->header.number, (long long)n, (long long)st->points.number,
          (long long)st->fields);
    return names_of_line(s, &st->header, st->header.p, err);
  }
  if (comment_names(st, &first)) return names_of_line(s, &st->comment, first, err);
  return default_names(s, st, file, err);
}

/* ---- the first lines ---- */

static int wrong_word(const struct pt_cursor *c, const struct line *l, char delimiter,
                      struct ptv3_error *err) {
  const char *p = l->p, *from, *to;
  while ((p = pt_text_field(p, l->eol, delimiter, &from, &to)) && is_number(from, to)) continue;
  char text[48];
  const char *line = (const char *)c->data + l->at;
  pt_number_quote(p ? from : l->p, p ? to : l->p, text);
  return pt_fail_at(err, PTV3_FORMAT, l->at,
                    "'%s', line %lld, column %lld: \"%s\" is not a number; leave a column of "
                    "words out with --columns and \"_\"",
                    c->name, (long long)l->number, (long long)((p ? from : l->p) - line + 1),
                    text);
}

static bool numbers_only(const struct line *l, char delimiter) {
  int64_t n = pt_text_fields(l->p, l->eol, delimiter);
  const char *p = l->p, *from, *to;
  while (n > 0 && (p = pt_text_field(p, l->eol, delimiter, &from, &to)) && is_number(from, to))
    n--;
  return n == 0;
}

/* Whether the line is the header: words alone. With the caller's names a line with any
 * number is a line of points; its other fields may be left out. */
static int is_header(const struct pt_cursor *c, const struct line *l, bool named, bool *header,
                     struct ptv3_error *err) {
  char delimiter = delimiter_of(l);
  int64_t numbers = numbers_in(l, delimiter);
  *header = numbers == 0;
  if (*header || named || numbers_only(l, delimiter)) return PTV3_OK;
  return wrong_word(c, l, delimiter, err);
}

/* A line with one whole number in front of lines with more fields. */
static bool is_announcement(const struct pt_cursor *c, const struct line *l, int64_t *value) {
  struct pt_cursor ahead = *c;
  struct line next;
  int64_t number = 0;
  const char *to = l->eol;
  while (to > l->p && blank(to[-1])) to--;
  int64_t v = pt_number_count(l->p, to);
  if (v < 0 || !next_line(&ahead, &number, &next)) return false;
  if (pt_text_fields(next.p, next.eol, delimiter_of(&next)) < 2) return false;
  *value = v;
  return true;
}

/* Past the byte order mark of UTF-8. */
static void skip_mark(struct pt_cursor *c) {
  if (pt_left(c) >= 3 && memcmp(c->data + c->pos, "\xef\xbb\xbf", 3) == 0) c->pos += 3;
}

static int find_start(struct pt_cursor *c, bool named, struct start *s,
                      struct ptv3_error *err) {
  struct line l;
  int64_t number = 0;
  bool header = false;
  *s = (struct start){.announced = -1};
  skip_mark(c);
  while (next_line(c, &number, &l)) {
    if (comment_mark(&l)) {
      s->comment = l;
      continue;
    }
    if (s->announced < 0 && is_announcement(c, &l, &s->announced)) continue;
    int status = is_header(c, &l, named, &header, err);
    if (status) return status;
    if (!header) {
      s->points = l;
      s->delimiter = delimiter_of(&l);
      s->fields = pt_text_fields(l.p, l.eol, s->delimiter);
      return PTV3_OK;
    }
    if (s->header.p) return wrong_word(c, &l, delimiter_of(&l), err);
    s->header = l;
  }
  return pt_fail_at(err, PTV3_FORMAT, c->size, "'%s' has no points", c->name);
}

bool pt_xyz_has_points(const uint8_t *text, int64_t n) {
  enum { START = 16 << 10 };
  struct pt_cursor c = {text, pt_min(n, START), 0, ""};
  struct line l;
  int64_t number = 0;
  skip_mark(&c);
  while (next_line(&c, &number, &l)) {
    char delimiter = delimiter_of(&l);
    int64_t numbers = 0, fields = pt_text_fields(l.p, l.eol, delimiter);
    const char *p = l.p, *from, *to;
    while ((p = pt_text_field(p, l.eol, delimiter, &from, &to))) numbers += is_number(from, to);
    if (numbers >= 3 && 2 * numbers >= fields) return true;
  }
  return n == 0;
}

/* ---- points ---- */

static int add_columns(struct pt_table *t, const struct names *s, struct pt_text_field *f,
                       struct ptv3_error *err) {
  for (int64_t i = 0; i < s->count; i++) {
    f[i] = (struct pt_text_field){.name = s->name[i], .type = PT_F64, .width = 1};
    f[i].skip = strcmp(s->name[i], "_") == 0;
    if (f[i].skip) continue;
    struct pt_column *c = pt_table_add(t, s->name[i], PT_F64, 1, err);
    if (!c) return PTV3_NO_MEMORY;
    f[i].data = c->data;
  }
  return PTV3_OK;
}

static int read_points(struct pt_env *env, const struct pt_cursor *c, const struct start *s,
                       const struct names *names, struct pt_table *t, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_text text = {c->name,          c->data,      c->size, s->points.at,
                         s->points.number, s->delimiter, true};
  int64_t rows = 0;
  struct pt_text_field *f = NULL;
  if (pt_text_count(env, &text, &rows, &e)) goto out;
  if (s->announced >= 0 && s->announced != rows) {
    pt_fail(&e, PTV3_FORMAT, "'%s' announces %lld points in its first line and has %lld",
            c->name, (long long)s->announced, (long long)rows);
    goto out;
  }
  /* A line takes at least a byte a field and what ends it: a file of short lines with one
   * long one in front must not cost more memory than it is worth. */
  if (rows > 1 + (c->size - s->points.at + 1) / pt_max(s->fields, 1)) {
    pt_fail(&e, PTV3_FORMAT, "'%s' has lines with fewer fields than its first one, line %lld",
            c->name, (long long)s->points.number);
    goto out;
  }
  pt_table_init(t, &env->mem, rows);
  f = pt_zalloc(&env->mem, names->count, sizeof *f, PT_MEM_OTHER, &e);
  if (f && add_columns(t, names, f, &e) == PTV3_OK)
    pt_text_read(env, &text, rows, f, (int)names->count, &e);
out:
  pt_free(&env->mem, f);
  if (e.status && err) *err = e;
  return e.status;
}

int pt_xyz_read(struct pt_env *env, struct pt_cursor *c, const char *columns,
                struct pt_table *t, struct ptv3_error *err) {
  struct names names = {.mem = &env->mem};
  struct start s;
  *t = (struct pt_table){0};
  int status = find_start(c, columns && columns[0], &s, err);
  if (!status && s.fields > MOST_COLUMNS)
    status =
        pt_fail_at(err, PTV3_FORMAT, s.points.at, "'%s', line %lld has %lld fields: too many",
                   c->name, (long long)s.points.number, (long long)s.fields);
  if (!status) status = find_names(&names, &s, columns, c->name, err);
  if (!status) status = read_points(env, c, &s, &names, t, err);
  pt_free(&env->mem, names.name);
  if (status) pt_table_free(t);
  return status;
}
