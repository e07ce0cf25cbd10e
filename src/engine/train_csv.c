/* train_csv.c - the tables train.csv and val.csv of a training, and reading them back; see
 * train_log.h. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "number.h"
#include "size.h"
#include "train_log.h"

#define HEADER 65536 /* bytes that the first line may have */
#define COLUMNS 4096
#define VAL_COLUMNS 7 /* of val.csv before the classes */

/* ---- writing ---- */

static void put_name(char *out, size_t size, const char *s) {
  size_t n = strlen(out);
  bool quote = strpbrk(s, ",\"\r\n") != NULL;
  if (n + 2 * strlen(s) + 4 > size) return;
  out[n++] = ',';
  if (quote) out[n++] = '"';
  for (; *s; s++) {
    if (*s == '"') out[n++] = '"';
    out[n++] = (unsigned char)*s < ' ' ? ' ' : *s;
  }
  if (quote) out[n++] = '"';
  out[n] = 0;
}

static void step_header(const struct pt_train_log *log, char *out, size_t size) {
  snprintf(out, size, "iteration,epoch,batch,loss");
  for (int k = 0; k < log->parts; k++) put_name(out, size, log->setup.part[k]);
  size_t n = strlen(out);
  snprintf(out + n, size - n, ",lr,grad_norm,data_seconds,seconds,memory_bytes");
}

static void val_header(const struct pt_train_log *log, char *out, size_t size) {
  char buf[16];
  snprintf(out, size, "epoch,iteration,loss,mIoU,mAcc,allAcc,mIoU_present");
  for (int k = 0; k < log->setup.classes; k++) put_name(out, size, pt_log_class(log, k, buf));
}

static int check(const struct pt_train_log *log, FILE *f, const char *name,
                 struct ptv3_error *err) {
  char path[1024];
  if (fflush(f) == 0 && !ferror(f)) return PTV3_OK;
  pt_log_path(log, name, path);
  return pt_fail(err, PTV3_IO, "'%s': cannot be written: %s", path, strerror(errno));
}

/* Steps are counted from 1, as in TensorBoard; epochs and batches as in the log's lines. */
int pt_log_put_step(struct pt_train_log *log, const struct pt_train_step *s,
                    struct ptv3_error *err) {
  FILE *f = log->steps;
  fprintf(f, "%lld,%lld,%lld,%.9g", (long long)(s->epoch * log->setup.batches + s->batch + 1),
          (long long)(s->epoch + 1), (long long)(s->batch + 1), s->loss);
  for (int k = 0; k < log->parts; k++) fprintf(f, ",%.9g", s->part[k]);
  fprintf(f, ",%.9g,%.9g,%.6g,%.6g,%lld\n", s->lr, s->grad_norm, s->data_seconds, s->seconds,
          (long long)s->memory);
  return check(log, f, "train.csv", err);
}

int pt_log_put_val(struct pt_train_log *log, const struct pt_val_row *r, const double *iou,
                   struct ptv3_error *err) {
  FILE *f = log->vals;
  fprintf(f, "%lld,%lld,%.9g,%.9g,%.9g,%.9g,%.9g", (long long)r->epoch, (long long)r->iteration,
          r->loss, r->miou, r->macc, r->allacc, r->miou_present);
  for (int k = 0; k < log->setup.classes; k++) fprintf(f, ",%.9g", iou[k]);
  fprintf(f, "\n");
  return check(log, f, "val.csv", err);
}

/* ---- reading back ---- */

/* The numbers of a row [columns]; false if it has another form. */
static bool read_row(const char *line, int64_t length, double *out, int64_t columns) {
  const char *p = line, *end = line + length;
  for (int64_t k = 0; k < columns; k++) {
    p = pt_number(p, end, &out[k]);
    if (!p || (k + 1 < columns ? p == end || *p++ != ',' : p != end)) return false;
  }
  return true;
}

static struct pt_train_step step_of(const struct pt_train_log *log, const double *v) {
  struct pt_train_step s = {
      .epoch = (int64_t)v[1] - 1, .batch = (int64_t)v[2] - 1, .loss = v[3]};
  const double *rest = v + 4 + log->parts;
  memcpy(s.part, v + 4, sizeof *v * (size_t)log->parts);
  s.lr = rest[0], s.grad_norm = rest[1], s.data_seconds = rest[2], s.seconds = rest[3];
  s.memory = fabs(rest[4]) < 0x1p62 ? (int64_t)rest[4] : 0;
  return s;
}

/* Counts are within +-2^53, or the row is not ours. */
static bool whole(const double *v, int n) {
  for (int k = 0; k < n; k++)
    if (!(fabs(v[k]) < 0x1p53)) return false;
  return true;
}

/* *keep: whether the row is of a step that is not taken again. */
static int take_step_row(struct pt_train_log *log, const double *v, bool *keep,
                         struct ptv3_error *err) {
  (void)err;
  const struct pt_train_log_setup *u = &log->setup;
  *keep = whole(v, 3) && v[0] <= (double)(u->epoch * u->batches + u->batch);
  if (!*keep) return PTV3_OK;
  struct pt_train_step s = step_of(log, v);
  pt_log_take_step(log, &s);
  if (s.epoch != u->epoch) return PTV3_OK;
  if (!isfinite(s.loss)) return PTV3_OK;
  log->loss.sum += s.loss, log->loss.n++; /* the mean of the epoch that goes on */
  for (int k = 0; k < log->parts; k++) log->part[k].sum += s.part[k], log->part[k].n++;
  return PTV3_OK;
}

static int take_val_row(struct pt_train_log *log, const double *v, bool *keep,
                        struct ptv3_error *err) {
  (void)err;
  *keep = whole(v, 2) && v[0] <= (double)log->setup.epoch;
  if (!*keep) return PTV3_OK;
  const struct pt_val_row r = {(int64_t)v[0], (int64_t)v[1], v[2], v[3], v[4], v[5], v[6]};
  pt_log_take_val(log, &r, v + VAL_COLUMNS);
  return PTV3_OK;
}

typedef int take_fn(struct pt_train_log *log, const double *v, bool *keep,
                    struct ptv3_error *err);

/* Copies the rows of an old table that stay. */
static int copy_rows(struct pt_train_log *log, struct pt_cursor *c, int64_t columns,
                     take_fn *take, struct pt_out *out, struct ptv3_error *err) {
  double row[COLUMNS];
  const char *line;
  int64_t length;
  while (pt_line(c, &line, &length)) {
    bool keep = false;
    if (c->data[c->pos - 1] != '\n') break; /* half a row */
    if (!read_row(line, length, row, columns)) continue;
    int status = take(log, row, &keep, err);
    if (status) return status;
    if (!keep) continue;
    pt_write(out, line, length);
    pt_write(out, "\n", 1);
  }
  return PTV3_OK;
}

static int other_columns(const char *path, struct ptv3_error *err) {
  return pt_fail(err, PTV3_DATA,
                 "'%s' has other columns than this training writes; it is of another "
                 "configuration: move it away or choose another folder",
                 path);
}

/* Writes the table anew, with the rows of the old one that stay. */
static int write_table(struct pt_train_log *log, const char *path, const char *header,
                       int64_t columns, take_fn *take, struct ptv3_error *err) {
  struct pt_map map = {0};
  struct pt_out out = {0};
  const char *line;
  int64_t length;
  bool old = log->setup.resume && pt_is_file(path);
  int status = old ? pt_map_open(&map, path, err) : PTV3_OK;
  if (status) return status;
  struct pt_cursor c = pt_cursor_of(&map);
  if (old && pt_line(&c, &line, &length) &&
      (length != (int64_t)strlen(header) || memcmp(line, header, (size_t)length) != 0))
    status = other_columns(path, err);
  if (!status) status = pt_out_open(&out, &log->env->mem, path, err);
  if (!status) {
    pt_writef(&out, "%s\n", header);
    if (old) status = copy_rows(log, &c, columns, take, &out, err);
    if (!status)
      status = pt_out_commit(&out, err);
    else
      pt_out_abort(&out);
  }
  if (old) pt_map_close(&map);
  return status;
}

static int open_table(struct pt_train_log *log, const char *name, const char *header,
                      int64_t columns, take_fn *take, FILE **f, struct ptv3_error *err) {
  char path[1024];
  pt_log_path(log, name, path);
  int status = write_table(log, path, header, columns, take, err);
  if (status) return status;
  *f = fopen(path, "a");
  if (*f) return PTV3_OK;
  return pt_fail(err, PTV3_IO, "'%s': cannot be opened for writing: %s", path, strerror(errno));
}

int pt_log_tables_open(struct pt_train_log *log, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  if (log->setup.classes > COLUMNS - VAL_COLUMNS)
    return pt_fail(err, PTV3_UNSUPPORTED, "%d classes in a log", log->setup.classes);
  char *header = pt_alloc(&log->env->mem, HEADER, 1, PT_MEM_OTHER, &e);
  if (header) {
    step_header(log, header, HEADER);
    open_table(log, "train.csv", header, 9 + log->parts, take_step_row, &log->steps, &e);
  }
  if (header && !e.status) {
    val_header(log, header, HEADER);
    open_table(log, "val.csv", header, VAL_COLUMNS + log->setup.classes, take_val_row,
               &log->vals, &e);
  }
  pt_free(&log->env->mem, header);
  if (err && e.status) *err = e;
  return e.status;
}
