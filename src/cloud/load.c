/* load.c - see load.h. Everything is read from the table in double or in its own type, and only
 * then made the cloud's: the offset comes off before float32. */
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channels.h"
#include "normals.h"
#include "size.h"

#define FAR_FROM_ORIGIN 1e4 /* metres: float32 steps are 1 mm here */

struct loader {
  const struct pt_scan *scan;
  struct pt_env *env;
  struct pt_table *t;
  const char *name;
  const struct pt_load *opt;
  struct pt_cloud *c;
  const uint8_t *keep; /* [t->n] */
  int64_t first;       /* row of the file that is the table's row 0 */
  struct pt_source coord, segment;
};

/* Row of the table of each kept point in turn; start with -1. */
static int64_t next_row(const struct loader *l, int64_t row) {
  do row++;
  while (!l->keep[row]);
  return row;
}

/* ---- coordinates ---- */

static bool exact_in_float(const struct pt_axis *a) {
  switch (a->col->type) {
    case PT_F32:
    case PT_F16:
    case PT_BF16:
    case PT_I8:
    case PT_U8:
    case PT_I16:
    case PT_U16: return true;
    default: return false;
  }
}

static void choose_offset(struct pt_scan *s) {
  const struct pt_clean *k = &s->clean;
  double largest = 0;
  for (int a = 0; a < 3; a++) largest = fmax(largest, fmax(fabs(k->min[a]), fabs(k->max[a])));
  if (largest <= FAR_FROM_ORIGIN) return;
  if (s->exact) {
    if (largest > 10 * FAR_FROM_ORIGIN)
      pt_warn(s->env,
              "'%s': coordinates up to %g m are stored as float32, which holds them to %.2g m "
              "only; take an offset off before storing them",
              s->name, largest,
              (double)(nextafterf((float)largest, INFINITY) - (float)largest));
    return;
  }
  for (int a = 0; a < 3; a++) s->offset[a] = floor(k->min[a]);
  if (s->as_is)
    pt_warn(s->env,
            "'%s': the offset %.0f %.0f %.0f is taken off coordinates too large for "
            "float32; Pointcept would round them",
            s->name, s->offset[0], s->offset[1], s->offset[2]);
}

static int load_coord(struct loader *l, struct ptv3_error *err) {
  struct pt_channel *ch = pt_cloud_add(l->c, "coord", PT_F32, 3, err);
  if (!ch) return pt_status(err);
  float *out = ch->data;
  for (int64_t i = 0, row = -1; i < l->c->n; i++) {
    row = next_row(l, row);
    for (int a = 0; a < 3; a++)
      out[i * 3 + a] = (float)(pt_axis_at(&l->coord.part[a], row) - l->c->offset[a]);
  }
  return PTV3_OK;
}

static int load_rows(struct loader *l, struct ptv3_error *err) {
  struct pt_cloud *c = l->c;
  if (c->n == l->t->n) return PTV3_OK;
  c->source = pt_alloc(c->mem, c->n, sizeof *c->source, PT_MEM_CLOUD, err);
  if (!c->source) return pt_status(err);
  for (int64_t i = 0, row = -1; i < c->n; i++) c->source[i] = row = next_row(l, row);
  return PTV3_OK;
}

/* ---- channels ---- */

/* What loaded numbers are multiplied by, and whether they fit bytes. */
struct scaling {
  double factor;
  bool bytes; /* whole numbers 0..255 come out */
};

static bool is_float(enum pt_dtype t) {
  return t == PT_F32 || t == PT_F64 || t == PT_F16 || t == PT_BF16;
}

static struct scaling scaling_of(const struct loader *l, const char *channel,
                                 const struct pt_source *s) {
  enum pt_dtype type = s->part[0].col->type;
  struct scaling none = {1, false};
  if (!strcmp(channel, "color")) {
    if (type == PT_U8) return (struct scaling){1, true};
    if (is_float(type) && l->scan->as_is) return none;
    double most = l->scan->brightest;
    if (is_float(type)) return most <= 1 ? (struct scaling){255, false} : none;
    return (struct scaling){most > 255 ? 1.0 / 256 : 1, true};
  }
  if (!strcmp(channel, "strength") && is_float(type) && l->opt->strength > 0)
    return (struct scaling){l->opt->strength, false};
  if (!strcmp(channel, "strength") && type == PT_U8) return (struct scaling){1.0 / 255, false};
  if (!strcmp(channel, "strength") && type == PT_U16)
    return (struct scaling){1.0 / 65535, false};
  return none;
}

static int load_channel(struct loader *l, const char *name, const struct pt_source *s,
                        struct ptv3_error *err) {
  struct scaling k = scaling_of(l, name, s);
  struct pt_channel *ch = pt_cloud_add(l->c, name, k.bytes ? PT_U8 : PT_F32, s->width, err);
  if (!ch) return pt_status(err);
  for (int64_t i = 0, row = -1; i < l->c->n; i++) {
    row = next_row(l, row);
    for (int p = 0; p < s->width; p++) {
      double v = pt_axis_at(&s->part[p], row) * k.factor;
      if (k.bytes)
        ((uint8_t *)ch->data)[i * s->width + p] = (uint8_t)fmin(255, fmax(0, v));
      else
        ((float *)ch->data)[i * s->width + p] = (float)v;
    }
  }
  return PTV3_OK;
}

static int load_fill(struct loader *l, const struct pt_fill *f, struct ptv3_error *err) {
  bool three = !strcmp(f->name, "color") || !strcmp(f->name, "normal");
  int width = three ? 3 : f->n;
  struct pt_channel *ch = pt_cloud_add(l->c, f->name, PT_F32, width, err);
  if (!ch) return pt_status(err);
  float *out = ch->data;
  for (int64_t i = 0; i < l->c->n * width; i++) out[i] = (float)f->value[i % width % f->n];
  return PTV3_OK;
}

static int missing(struct loader *l, const char *name, struct ptv3_error *err) {
  char columns[160];
  bool normal = !strcmp(name, "normal");
  for (int i = 0; i < l->opt->n_fill; i++)
    if (!strcmp(l->opt->fill[i].name, name)) return load_fill(l, &l->opt->fill[i], err);
  if (normal && l->opt->normals > 0)
    return pt_estimate_normals(l->env, l->c, l->opt->normals, l->opt->normal_side, err);
  return pt_fail(err, PTV3_DATA,
                 "'%s' has no channel '%s', which the model's features need; give it with "
                 "--fill %s=%s%s. Found: %s",
                 l->name, name, name,
                 normal                   ? "0,0,1"
                 : !strcmp(name, "color") ? "128,128,128"
                                          : "0",
                 normal ? " or --estimate-normals" : "",
                 pt_columns_text(l->t, columns, sizeof columns));
}

static int load_wanted(struct loader *l, struct ptv3_error *err) {
  int st = PTV3_OK;
  for (int i = 0; !st && i < l->opt->n_want; i++) {
    const char *name = l->opt->want[i];
    struct pt_source s = pt_find_source(l->t, name);
    st = s.width ? load_channel(l, name, &s, err) : missing(l, name, err);
  }
  for (int i = 0; !st && i < l->opt->n_also; i++) {
    const char *name = l->opt->also[i];
    struct pt_source s = pt_find_source(l->t, name);
    if (s.width && !pt_cloud_find(l->c, name)) st = load_channel(l, name, &s, err);
  }
  return st;
}

static bool in_use(const struct loader *l, const struct pt_column *col) {
  const struct pt_load *o = l->opt;
  for (int i = 0; i < o->n_want + o->n_also; i++) {
    struct pt_source s =
        pt_find_source(l->t, i < o->n_want ? o->want[i] : o->also[i - o->n_want]);
    for (int p = 0; p < s.width; p++)
      if (s.part[p].col == col) return true;
  }
  return false;
}

/* Frees the columns that are no longer looked at: coordinates are most of a table. */
static void drop_columns(struct loader *l) {
  for (int i = 0; i < l->t->count; i++) {
    if (in_use(l, &l->t->col[i])) continue;
    pt_free(l->t->mem, l->t->col[i].data);
    l->t->col[i].data = NULL;
  }
}

/* ---- labels ---- */

static int load_labels(struct loader *l, struct ptv3_error *err) {
  if (!l->segment.width) return PTV3_OK;
  const struct pt_label_map *map = l->opt->map;
  struct pt_channel *ch = pt_cloud_add(l->c, "segment", PT_I32, 1, err);
  if (!ch) return pt_status(err);
  for (int64_t i = 0, row = -1; i < l->c->n; i++) {
    row = next_row(l, row);
    double v = pt_axis_at(&l->segment.part[0], row);
    if (v != floor(v))
      return pt_fail(err, PTV3_DATA, "'%s': the label %g of point %lld is no whole number",
                     l->name, v, (long long)(l->first + row));
    int32_t label = v >= INT32_MIN && v <= INT32_MAX ? (int32_t)v : PT_LABEL_UNKNOWN;
    if (map) label = label >= 0 && label < map->n ? map->to[label] : map->other;
    if (label == PT_LABEL_UNKNOWN)
      return pt_fail(
          err, PTV3_DATA, "'%s': the label %g of point %lld is not one of %s's%s", l->name, v,
          (long long)(l->first + row), map ? map->name : "this data set",
          map ? "; where it is meant, list it in learning_map = {label: class}" : "");
    ((int32_t *)ch->data)[i] = label;
  }
  return PTV3_OK;
}

int pt_cloud_check_labels(const struct pt_cloud *c, const char *channel, int classes,
                          int32_t ignore, const char *name, struct ptv3_error *err) {
  const struct pt_channel *ch = pt_cloud_find(c, channel);
  int64_t bad = 0, first = 0;
  for (int64_t i = 0; ch && i < ch->n; i++) {
    int32_t v = ((const int32_t *)ch->data)[i];
    if (v != ignore && (v < 0 || v >= classes) && !bad++) first = i;
  }
  if (!bad) return PTV3_OK;
  return pt_fail(
      err, PTV3_DATA,
      "'%s': the label %d of point %lld is neither a class (0 .. %d) nor the ignored "
      "label %d; so are %lld labels in all. Renumber them with learning_map = {label: class} "
      "in the data set's dict, or check num_classes and ignore_index",
      name, ((const int32_t *)ch->data)[first], (long long)first, classes - 1, ignore,
      (long long)bad);
}

/* ---- columns ---- */

static int find_coord(struct loader *l, struct ptv3_error *err) {
  char columns[200];
  l->coord = pt_find_source(l->t, "coord");
  if (!l->coord.width)
    return pt_fail(err, PTV3_DATA, "'%s' has no coordinates x, y, z or coord; it has: %s",
                   l->name, pt_columns_text(l->t, columns, sizeof columns));
  if (!l->opt->labels) return PTV3_OK;
  const struct pt_column *own = l->opt->segment ? pt_find_column(l->t, l->opt->segment) : NULL;
  if (!l->opt->segment) l->segment = pt_find_source(l->t, "segment");
  if (!l->segment.width && l->opt->scannet) own = pt_find_column(l->t, "segment20");
  if (!l->segment.width && l->opt->scannet && !own) own = pt_find_column(l->t, "segment200");
  if (own) l->segment = (struct pt_source){1, {{own, 0}}};
  return PTV3_OK;
}

/* ---- what holds for all rows ---- */

enum { MOST = 32 };

/* The columns whose NaNs matter: those of the wanted channels. */
static int used_columns(const struct pt_load *o, const struct pt_table *t,
                        const struct pt_column *used[MOST]) {
  int n = 0;
  for (int i = 0; i < o->n_want + o->n_also; i++) {
    struct pt_source s = pt_find_source(t, i < o->n_want ? o->want[i] : o->also[i - o->n_want]);
    for (int p = 0; p < s.width && n < MOST; p++)
      if (!p || s.part[p].col != s.part[p - 1].col) used[n++] = s.part[p].col;
  }
  return n;
}

static struct loader loader_of(const struct pt_scan *s, struct pt_table *t, int64_t first,
                               uint8_t *keep, struct pt_cloud *c) {
  return (struct loader){.scan = s,
                         .env = s->env,
                         .t = t,
                         .name = s->name,
                         .opt = s->opt,
                         .c = c,
                         .keep = keep,
                         .first = first};
}

int pt_scan_begin(struct pt_scan *s, struct pt_env *env, const char *name, bool as_is,
                  const struct pt_load *opt, int64_t rows, struct ptv3_error *err) {
  *s = (struct pt_scan){.env = env,
                        .name = name,
                        .as_is = as_is,
                        .opt = opt,
                        .exact = true,
                        .brightest = -INFINITY};
  return pt_clean_begin(&s->clean, &env->mem, name, rows, opt->grid_size, err);
}

void pt_scan_free(struct pt_scan *s) { pt_clean_free(&s->clean); }

/* Colours in bytes need no look. */
static void look_at_colors(struct pt_scan *s, const struct pt_table *t, const uint8_t *keep) {
  struct pt_source color = pt_find_source(t, "color");
  double most = s->brightest;
  for (int p = 0; p < color.width && color.part[0].col->type != PT_U8; p++)
    for (int64_t i = 0; i < t->n; i++) {
      double v = keep[i] ? pt_axis_at(&color.part[p], i) : -INFINITY;
      most = v > most ? v : most;
    }
  s->brightest = most;
}

int pt_scan_look(struct pt_scan *s, const struct pt_table *t, int64_t first, uint8_t *keep,
                 struct ptv3_error *err) {
  struct loader l = loader_of(s, (struct pt_table *)t, first, keep, NULL);
  const struct pt_column *used[MOST];
  int status = find_coord(&l, err);
  if (status) return status;
  const struct pt_clean_rows rows = {l.coord.part, used, used_columns(s->opt, t, used), first,
                                     t->n};
  pt_clean_look(&s->clean, &rows, keep);
  for (int a = 0; a < 3; a++) s->exact = s->exact && exact_in_float(&l.coord.part[a]);
  look_at_colors(s, t, keep);
  return PTV3_OK;
}

bool pt_scan_again(struct pt_scan *s) {
  bool again = pt_clean_again(&s->clean);
  if (again) {
    s->brightest_before = s->brightest;
    s->brightest = -INFINITY;
  } else if (s->clean.undone) {
    s->brightest = s->brightest_before;
  }
  return again;
}

int pt_scan_end(struct pt_scan *s, struct ptv3_error *err) {
  int status = pt_clean_end(&s->clean, s->env, s->name, err);
  if (!status) choose_offset(s);
  return status;
}

void pt_scan_box(const struct pt_scan *s, float lo[3], float hi[3]) {
  for (int a = 0; a < 3; a++) { /* rounding keeps the order, so corners become corners */
    lo[a] = (float)(s->clean.min[a] - s->offset[a]);
    hi[a] = (float)(s->clean.max[a] - s->offset[a]);
  }
}

/* ---- all of it ---- */

static int load_run(struct loader *l, uint8_t *keep, struct ptv3_error *err) {
  const struct pt_column *used[MOST];
  int st = find_coord(l, err);
  if (st) return st;
  const struct pt_clean_rows rows = {l->coord.part, used, used_columns(l->opt, l->t, used),
                                     l->first, l->t->n};
  pt_clean_mark(&l->scan->clean, &rows, keep);
  int64_t kept = 0;
  for (int64_t i = 0; i < l->t->n; i++) kept += keep[i];
  pt_cloud_init(l->c, &l->env->mem, kept);
  l->c->n_input = l->t->n;
  memcpy(l->c->offset, l->scan->offset, sizeof l->c->offset);
  st = load_rows(l, err);
  if (!st) st = load_coord(l, err);
  if (!st) st = load_labels(l, err);
  drop_columns(l);
  return st ? st : load_wanted(l, err);
}

int pt_scan_load(const struct pt_scan *s, struct pt_table *t, int64_t first, uint8_t *keep,
                 struct pt_cloud *c, struct ptv3_error *err) {
  struct loader l = loader_of(s, t, first, keep, c);
  memset(c, 0, sizeof *c);
  int st = load_run(&l, keep, err);
  pt_table_free(t);
  if (st) pt_cloud_free(c);
  return st;
}

int pt_cloud_from_table(struct pt_env *env, struct pt_table *t, const char *name, bool as_is,
                        const struct pt_load *opt, struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_scan s;
  memset(c, 0, sizeof *c);
  int st = pt_scan_begin(&s, env, name, as_is, opt, t->n, err);
  uint8_t *keep = st ? NULL : pt_alloc(&env->mem, t->n, 1, PT_MEM_CLOUD, err);
  if (!st && !keep) st = pt_status(err);
  do
    if (!st) st = pt_scan_look(&s, t, 0, keep, err);
  while (!st && pt_scan_again(&s));
  if (!st) st = pt_scan_end(&s, err);
  if (!st)
    st = pt_scan_load(&s, t, 0, keep, c, err);
  else
    pt_table_free(t);
  pt_free(&env->mem, keep);
  pt_scan_free(&s);
  return st;
}

int pt_fill_parse(const char *text, struct pt_fill *f, struct ptv3_error *err) {
  memset(f, 0, sizeof *f);
  const char *at = strchr(text, '=');
  if (!at || at == text || at - text >= (int)sizeof f->name) goto fail;
  memcpy(f->name, text, (size_t)(at - text));
  do {
    char *end;
    if (f->n == 4) goto fail;
    f->value[f->n] = strtod(at + 1, &end);
    if (end == at + 1 || !isfinite(f->value[f->n])) goto fail;
    f->n++;
    at = end;
  } while (*at == ',');
  if (!*at) return PTV3_OK;
fail:
  return pt_fail(err, PTV3_INVALID,
                 "'%.60s' is not a channel with 1 to 4 numbers, such as color=128,128,128",
                 text);
}
