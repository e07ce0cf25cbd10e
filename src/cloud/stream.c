/* stream.c - see stream.h. */
#include "stream.h"

#include <string.h>

#include "channels.h"
#include "size.h"
#include "sort.h"
#include "transform.h"
#include "voxel_set.h"

/* ---- opening ---- */

/* Normals that the file lacks and --fill does not give would be estimated from all points. */
static int check_normals(struct pt_stream *s, struct ptv3_error *err) {
  struct pt_table t;
  bool wanted = false, filled = false;
  for (int i = 0; i < s->opt->n_want; i++)
    wanted = wanted || !strcmp(s->opt->want[i], "normal");
  for (int i = 0; i < s->opt->n_fill; i++)
    filled = filled || !strcmp(s->opt->fill[i].name, "normal");
  if (!wanted || filled || s->opt->normals < 1 || s->rows < 1) return PTV3_OK;
  int status = pt_range_read(s->range, 0, 1, &t, err);
  if (status) return status;
  bool there = pt_find_source(&t, "normal").width > 0;
  pt_table_free(&t);
  if (there) return PTV3_OK;
  return pt_fail(err, PTV3_UNSUPPORTED,
                 "'%s' has no normals, and estimating them needs all points at once", s->path);
}

/* Rows of a run so that it takes an eighth of what the budget has left. */
static int64_t choose_run(const struct pt_env *env) {
  enum { ROW = 100, LEAST = 4096 }; /* bytes of a row: columns, channels, keys */
  int64_t left = env->mem.limit - env->mem.used;
  return pt_max(LEAST, pt_min(PT_STREAM_RUN, left / 8 / ROW));
}

int pt_stream_open(struct pt_stream *s, struct pt_env *env, const char *path,
                   const struct pt_load *opt, const struct pt_pipeline *pipeline, int64_t run,
                   struct ptv3_error *err) {
  enum { NAMES = 96 };
  const char *name[NAMES];
  *s = (struct pt_stream){.env = env,
                          .path = path,
                          .opt = opt,
                          .pipeline = pipeline,
                          .run = run > 0 ? run : choose_run(env)};
  int status = pt_pipeline_cut(pipeline, &s->cut, err);
  if (!status)
    status = pt_range_open(env, path, name, pt_load_columns(opt, name, NAMES), &s->range, err);
  if (!status) {
    s->rows = pt_range_rows(s->range);
    status = check_normals(s, err);
  }
  if (status) pt_stream_close(s);
  return status;
}

void pt_stream_close(struct pt_stream *s) {
  if (!s->env) return;
  pt_scan_free(&s->scan);
  pt_range_close(s->range);
  pt_free(&s->env->mem, s->keep);
  pt_free(&s->env->mem, s->id);
  pt_spill_close(&s->ids);
  pt_spill_close(&s->numbers);
  *s = (struct pt_stream){0};
}

static int64_t run_at(const struct pt_stream *s, int64_t first) {
  return pt_min(s->run, s->rows - first);
}

/* ---- what holds for all points ---- */

static int look(struct pt_stream *s, struct ptv3_error *err) {
  struct pt_table t;
  do {
    for (int64_t first = 0; first < s->rows; first += s->run) {
      int status = pt_progress(s->env, "measuring the cloud", first, s->rows, err);
      if (!status) status = pt_range_read(s->range, first, run_at(s, first), &t, err);
      if (status) return status;
      status = pt_scan_look(&s->scan, &t, first, s->keep, err);
      pt_table_free(&t);
      if (status) return status;
    }
  } while (pt_scan_again(&s->scan));
  return pt_scan_end(&s->scan, err);
}

/* ---- runs of rows, transformed ---- */

int pt_stream_points(struct pt_stream *s, int64_t first, int64_t count, struct pt_cloud *c,
                     struct ptv3_error *err) {
  struct pt_table t;
  memset(c, 0, sizeof *c);
  int status = pt_range_read(s->range, first, count, &t, err);
  return status ? status : pt_scan_load(&s->scan, &t, first, s->keep, c, err);
}

/* Two rows more: the corners of the box, zeros in the other channels. */
static int add_corners(const struct pt_stream *s, struct pt_cloud *c, struct ptv3_error *err) {
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    struct pt_channel *ch = &c->channel[i];
    if (!ch->data) continue;
    int64_t row = ch->width * pt_dtype(ch->type)->bytes;
    void *data = pt_resize(c->mem, ch->data, ch->n + 2, row, PT_MEM_CLOUD, err);
    if (!data) return pt_status(err);
    ch->data = data;
    memset((char *)data + ch->n * row, 0, (size_t)(2 * row));
    if (!strcmp(ch->name, "coord"))
      pt_scan_box(&s->scan, (float *)data + 3 * ch->n, (float *)data + 3 * ch->n + 3);
    ch->n += 2;
  }
  c->n += 2;
  c->n_origin += 2;
  return PTV3_OK;
}

/* The run that starts at row `first`, as it comes to the GridSample; the last two points are
 * the corners. */
static int transformed(struct pt_stream *s, int64_t first, struct pt_cloud *c,
                       struct ptv3_error *err) {
  struct pt_draw none = pt_draw_of(0, 0, 0); /* these steps draw nothing */
  const struct pt_pipeline before = {s->pipeline->mem, s->pipeline->step, s->cut};
  int status = pt_stream_points(s, first, run_at(s, first), c, err);
  if (!status) status = add_corners(s, c, err);
  if (!status) status = pt_pipeline_apply(&before, s->env, c, &none, true, err);
  if (status) pt_cloud_free(c);
  return status;
}

static const struct pt_transform *grid_step(const struct pt_stream *s) {
  return &s->pipeline->step[s->cut];
}

/* The cells that all points span, from the corners. */
static int find_cells(struct pt_stream *s, const struct pt_channel *coord,
                      struct ptv3_error *err) {
  struct pt_channel two = *coord;
  int64_t row = coord->width * pt_dtype(coord->type)->bytes;
  two.data = (char *)coord->data + (coord->n - 2) * row;
  two.n = 2;
  return pt_gridsample_begin(&s->grid, s->env, &two, grid_step(s)->u.grid.grid_size, err);
}

/* ---- numbers of voxels ---- */

/* Numbers first .. first + n - 1 of a file, which does not stay in memory. */
static void put(struct pt_spill *to, int64_t first, const int32_t *from, int64_t n) {
  memcpy(to->data + 4 * first, from, (size_t)(4 * n));
  pt_spill_drop(to, 4 * first, 4 * n);
}

static void get(struct pt_spill *from, int64_t first, int32_t *to, int64_t n) {
  memcpy(to, from->data + 4 * first, (size_t)(4 * n));
  pt_spill_drop(from, 4 * first, 4 * n);
}

/* Numbers of the kept points, in front of id, to their rows; -1 to the others. */
static void spread(const struct pt_stream *s, int64_t kept, int64_t rows, int32_t *id) {
  for (int64_t i = rows - 1; i >= 0; i--) id[i] = s->keep[i] ? id[--kept] : -1;
}

static int number_run(struct pt_stream *s, int64_t first, uint64_t *key,
                      struct pt_voxel_set *set, struct ptv3_error *err) {
  struct pt_cloud c;
  int64_t rows = run_at(s, first);
  int status = transformed(s, first, &c, err);
  if (status) return status;
  const struct pt_channel *coord = pt_cloud_find(&c, "coord");
  int64_t kept = c.n - 2;
  if (first == 0) status = find_cells(s, coord, err);
  if (!status) {
    pt_gridsample_keys(&s->grid, coord, grid_step(s)->u.grid.key, kept, s->env->threads, key);
    status = pt_voxel_set_add(set, key, kept, s->id, err);
  }
  pt_cloud_free(&c);
  if (status) return status;
  spread(s, kept, rows, s->id);
  put(&s->ids, first, s->id, rows);
  return PTV3_OK;
}

static int number_all(struct pt_stream *s, struct pt_voxel_set *set, struct ptv3_error *err) {
  uint64_t *key = pt_alloc(&s->env->mem, s->run, sizeof *key, PT_MEM_CLOUD, err);
  int status = key ? PTV3_OK : pt_status(err);
  for (int64_t first = 0; first < s->rows && !status; first += s->run) {
    status = pt_progress(s->env, "finding voxels", first, s->rows, err);
    if (!status) status = number_run(s, first, key, set, err);
  }
  pt_free(&s->env->mem, key);
  return status;
}

/* Rows of the cloud and chosen members, both by number: row of number i is row[i], and the
 * point with left[i] points of its voxel before it stands for it. Uses up the set. */
static int choose(struct pt_stream *s, struct pt_voxel_set *set, struct pt_draw *draw,
                  int32_t **row, int32_t **left, struct ptv3_error *err) {
  struct pt_mem *mem = &s->env->mem;
  int64_t m = s->voxels = set->m;
  int status = PTV3_NO_MEMORY;
  pt_free(mem, set->slot);
  set->slot = NULL;
  int32_t *order = pt_alloc(mem, m, sizeof *order, PT_MEM_CLOUD, err), *member = NULL;
  if (order && !pt_sort64(s->env, set->key, order, m, err)) {
    pt_free(mem, set->key);
    set->key = NULL;
    member = pt_alloc(mem, m, sizeof *member, PT_MEM_CLOUD, err);
  }
  *row = member ? pt_alloc(mem, m, sizeof **row, PT_MEM_CLOUD, err) : NULL;
  if (*row) {
    for (int64_t r = 0; r < m; r++) {
      (*row)[order[r]] = (int32_t)r;
      member[r] = set->count[order[r]];
      s->max_count = pt_max(s->max_count, member[r]);
    }
    status = pt_gridsample_members(s->max_count, m, draw, member, err);
    for (int64_t r = 0; r < m && !status; r++) set->count[order[r]] = member[r];
    *left = set->count;
    set->count = NULL;
  } else {
    status = pt_status(err);
  }
  pt_free(mem, member);
  pt_free(mem, order);
  return status;
}

/* ---- the points that stand for voxels ---- */

/* Channels as the first run has them: [voxels] where they follow the points, in name only where
 * they are of all points. */
static int add_channels(const struct pt_stream *s, const struct pt_cloud *from,
                        struct pt_cloud *out, struct ptv3_error *err) {
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    const struct pt_channel *ch = &from->channel[i];
    if (!ch->data || pt_cloud_find(out, ch->name)) continue;
    bool once = !ch->indexed && !strcmp(ch->name, "min_coord");
    int64_t n = ch->indexed ? s->voxels : once ? ch->n : 0;
    struct pt_channel *to = pt_cloud_add_rows(out, ch->name, ch->type, ch->width, n, err);
    if (!to) return pt_status(err);
    to->indexed = ch->indexed;
    if (once) memcpy(to->data, ch->data, (size_t)(n * ch->width * pt_dtype(ch->type)->bytes));
  }
  out->condition = from->condition;
  memcpy(out->offset, from->offset, sizeof out->offset);
  return PTV3_OK;
}

static void put_rows(const struct pt_cloud *from, const int32_t *to_row, struct pt_cloud *out) {
  for (int i = 0; i < PT_CLOUD_CHANNELS; i++) {
    const struct pt_channel *ch = &from->channel[i];
    const struct pt_channel *to = ch->data && ch->indexed ? pt_cloud_find(out, ch->name) : NULL;
    if (!to) continue;
    size_t row = (size_t)(ch->width * pt_dtype(ch->type)->bytes);
    for (int64_t j = 0; j < from->n; j++)
      memcpy((char *)to->data + (size_t)to_row[j] * row,
             (const char *)ch->data + (size_t)j * row, row);
  }
}

/* As GridSample itself ends (transform_basic.c): the chosen points of a run alone. */
static int select_run(struct pt_stream *s, int64_t first, const int32_t *select, int64_t count,
                      struct pt_cloud *c, struct ptv3_error *err) {
  struct pt_gridsample v = s->grid;
  v.m = count;
  int status = transformed(s, first, c, err);
  if (status) return status;
  pt_cloud_remove(c, "grid_coord");
  pt_cloud_remove(c, "displacement");
  status = pt_grid_extras(grid_step(s), &v, c, c, select, err);
  if (!status) status = pt_cloud_select(c, select, count, err);
  if (!status) pt_grid_follow(c);
  if (status) pt_cloud_free(c);
  return status;
}

/* select becomes the chosen ones among the kept points of a run, id their rows in the cloud of
 * voxels; how many is returned. */
static int64_t find_chosen(const struct pt_stream *s, int64_t rows, const int32_t *row,
                           int32_t *left, int32_t *select) {
  int64_t chosen = 0, kept = 0;
  for (int64_t i = 0; i < rows; i++) {
    if (s->id[i] < 0) continue;
    if (left[s->id[i]]-- == 0) {
      select[chosen] = (int32_t)kept;
      s->id[chosen++] = row[s->id[i]];
    }
    kept++;
  }
  return chosen;
}

static int gather(struct pt_stream *s, const int32_t *row, int32_t *left, struct pt_cloud *out,
                  struct ptv3_error *err) {
  int32_t *select = pt_alloc(&s->env->mem, s->run, sizeof *select, PT_MEM_CLOUD, err);
  int status = select ? PTV3_OK : pt_status(err);
  pt_cloud_init(out, &s->env->mem, s->voxels);
  for (int64_t first = 0; first < s->rows && !status; first += s->run) {
    struct pt_cloud c;
    status = pt_progress(s->env, "gathering voxels", first, s->rows, err);
    if (!status) pt_stream_ids(s, first, run_at(s, first), s->id);
    int64_t n = status ? 0 : find_chosen(s, run_at(s, first), row, left, select);
    if (status || n == 0) continue;
    status = select_run(s, first, select, n, &c, err);
    if (status) break;
    status = add_channels(s, &c, out, err);
    if (!status) put_rows(&c, s->id, out);
    pt_cloud_free(&c);
  }
  pt_free(&s->env->mem, select);
  return status;
}

/* Every voxel's label is its own. */
static int add_inverse(struct pt_cloud *out, struct ptv3_error *err) {
  struct pt_channel *ch = pt_cloud_add_rows(out, "inverse", PT_I32, 1, out->n, err);
  for (int64_t i = 0; ch && i < out->n; i++) ((int32_t *)ch->data)[i] = (int32_t)i;
  return ch ? PTV3_OK : pt_status(err);
}

static int make_voxels(struct pt_stream *s, struct pt_draw *draw, struct pt_cloud *out,
                       struct ptv3_error *err) {
  struct pt_mem *mem = &s->env->mem;
  struct pt_voxel_set set = {.mem = mem};
  int32_t *row = NULL, *left = NULL;
  int status = number_all(s, &set, err);
  if (!status) status = choose(s, &set, draw, &row, &left, err);
  pt_voxel_set_free(&set);
  if (!status) status = pt_spill_open(&s->numbers, s->env->tmp, 4 * s->voxels, err);
  for (int64_t i = 0; i < s->voxels && !status; i += s->run)
    put(&s->numbers, i, row + i, pt_min(s->run, s->voxels - i));
  if (!status) status = gather(s, row, left, out, err);
  pt_free(mem, left);
  pt_free(mem, row);
  return status ? status : add_inverse(out, err);
}

/* ---- all of it ---- */

int pt_stream_voxels(struct pt_stream *s, struct pt_draw *draw, struct pt_cloud *out,
                     struct ptv3_error *err) {
  struct pt_mem *mem = &s->env->mem;
  memset(out, 0, sizeof *out);
  int status =
      pt_scan_begin(&s->scan, s->env, s->path, pt_range_folder(s->range), s->opt, s->rows, err);
  if (status) return status;
  s->run = pt_min(s->run, s->rows);
  s->keep = pt_alloc(mem, s->run, 1, PT_MEM_CLOUD, err);
  s->id = s->keep ? pt_alloc(mem, s->run, sizeof *s->id, PT_MEM_CLOUD, err) : NULL;
  status = s->id ? pt_spill_open(&s->ids, s->env->tmp, 4 * s->rows, err) : pt_status(err);
  if (!status) status = look(s, err);
  if (!status) status = make_voxels(s, draw, out, err);
  if (status) pt_cloud_free(out);
  return status;
}

struct pt_pipeline pt_stream_rest(const struct pt_stream *s) {
  const struct pt_pipeline *p = s->pipeline;
  return (struct pt_pipeline){p->mem, p->step + s->cut + 1, p->count - s->cut - 1};
}

int pt_stream_numbers(struct pt_stream *s, int32_t **row, struct ptv3_error *err) {
  *row = pt_alloc(&s->env->mem, s->voxels, sizeof **row, PT_MEM_OUTPUT, err);
  if (!*row) return pt_status(err);
  for (int64_t i = 0; i < s->voxels; i += s->run)
    get(&s->numbers, i, *row + i, pt_min(s->run, s->voxels - i));
  return PTV3_OK;
}

void pt_stream_ids(struct pt_stream *s, int64_t first, int64_t count, int32_t *id) {
  get(&s->ids, first, id, count);
}
