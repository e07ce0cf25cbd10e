/* train_log.c - lines and events; see train_log.h. */
#include "train_log.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "size.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of what is finite: a batch left out has no loss. */
static void mean_add(struct pt_mean *m, double v) {
  if (!isfinite(v)) return;
  m->last = v;
  m->sum += v;
  m->n++;
}

static double mean_of(const struct pt_mean *m) { return m->n ? m->sum / (double)m->n : 0; }

const char *pt_log_class(const struct pt_train_log *log, int k, char buf[static 16]) {
  const char *const *name = log->setup.name;
  if (name && name[k]) return name[k];
  snprintf(buf, 16, "%d", k);
  return buf;
}

void pt_log_path(const struct pt_train_log *log, const char *name, char out[static 1024]) {
  snprintf(out, 1024, "%s/%s", log->setup.folder, name);
}

const char *pt_log_clock(double seconds, char buf[static 32]) {
  int64_t s = seconds > 0 && seconds < 1e12 ? (int64_t)seconds : 0;
  snprintf(buf, 32, "%02lld:%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60),
           (long long)(s % 60));
  return buf;
}

/* ---- lines ---- */

static int say_text(struct pt_train_log *log, const char *text, struct ptv3_error *err) {
  struct timespec t;
  struct tm date;
  char stamp[32], path[1024];
  clock_gettime(CLOCK_REALTIME, &t);
  if (!localtime_r(&t.tv_sec, &date) ||
      !strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &date))
    stamp[0] = 0;
  fprintf(log->text, "[%s,%03d INFO ptv3] %s\n", stamp, (int)(t.tv_nsec / 1000000), text);
  if (log->setup.line) log->setup.line(log->setup.user, text);
  if (fflush(log->text) == 0 && !ferror(log->text)) return PTV3_OK;
  pt_log_path(log, "train.log", path);
  return pt_fail(err, PTV3_IO, "'%s': cannot be written: %s", path, strerror(errno));
}

int pt_train_log_say(struct pt_train_log *log, struct ptv3_error *err, const char *fmt, ...) {
  char text[4096];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return say_text(log, text, err);
}

/* ---- opening ---- */

/* Epochs number the tags "train/" and "val/", steps the others. */
static bool keep_event(void *user, const struct pt_tfevent *e) {
  const struct pt_train_log *log = user;
  bool epoch = (e->tag_len > 6 && memcmp(e->tag, "train/", 6) == 0) ||
               (e->tag_len > 4 && memcmp(e->tag, "val/", 4) == 0);
  const struct pt_train_log_setup *u = &log->setup;
  return e->step <= (epoch ? u->epoch : u->epoch * u->batches + u->batch);
}

static int open_events(struct pt_train_log *log, struct ptv3_error *err) {
  char path[1024];
  pt_log_path(log, "events.out.tfevents.ptv3", path);
  if (!log->setup.resume) return pt_tfevents_create(&log->events, &log->env->mem, path, err);
  return pt_tfevents_continue(&log->events, &log->env->mem, path, keep_event, log, err);
}

static int open_text(struct pt_train_log *log, struct ptv3_error *err) {
  char path[1024];
  const struct pt_train_log_setup *u = &log->setup;
  pt_log_path(log, "train.log", path);
  log->text = fopen(path, u->resume ? "a" : "w");
  if (!log->text)
    return pt_fail(err, PTV3_IO, "'%s': cannot be opened for writing: %s", path,
                   strerror(errno));
  if (!u->resume) return PTV3_OK;
  return pt_train_log_say(log, err, "Resuming train at epoch: %lld, batch: %lld",
                          (long long)u->epoch, (long long)u->batch);
}

static void close_all(struct pt_train_log *log) {
  struct pt_mem *mem = &log->env->mem;
  if (log->text) fclose(log->text);
  if (log->steps) fclose(log->steps);
  if (log->vals) fclose(log->vals);
  pt_tfevents_close(&log->events);
  pt_free(mem, log->series);
  pt_free(mem, log->iou);
  *log = (struct pt_train_log){.events = {.fd = -1}};
}

static int check_setup(const struct pt_train_log_setup *u, struct ptv3_error *err) {
  if (strlen(u->folder) > 900)
    return pt_fail(err, PTV3_INVALID, "'%.60s...': too long", u->folder);
  if (u->epochs < 0 || u->batches < 0 || u->epoch < 0 || u->batch < 0 || u->classes < 0 ||
      u->epochs > INT32_MAX || u->epoch > INT32_MAX || u->batches > INT32_MAX)
    return pt_fail(err, PTV3_INVALID, "a log of %lld epochs of %lld batches",
                   (long long)u->epochs, (long long)u->batches);
  if (!pt_is_dir(u->folder)) return pt_fail(err, PTV3_IO, "'%s' is not a folder", u->folder);
  return PTV3_OK;
}

int64_t pt_train_log_bytes(int classes) {
  return PT_LOG_SERIES * (int64_t)sizeof(struct pt_series) +
         PT_LOG_IOUS * pt_max(classes, 1) * (int64_t)sizeof(double);
}

int pt_train_log_open(struct pt_train_log *log, struct pt_env *env,
                      const struct pt_train_log_setup *setup, struct ptv3_error *err) {
  *log = (struct pt_train_log){.env = env, .setup = *setup, .events = {.fd = -1}};
  struct ptv3_error e = {0};
  struct pt_train_log_setup *u = &log->setup;
  if (!u->resume) u->epoch = u->batch = 0;
  if (!(u->report_seconds > 0)) u->report_seconds = 15;
  while (log->parts < PT_LOG_PARTS && u->part[log->parts]) log->parts++;
  log->remaining = pt_max(0, (u->epochs - u->epoch) * u->batches - u->batch);
  log->left = -1;
  int status = check_setup(u, &e);
  if (!status) {
    log->series = pt_zalloc(&env->mem, PT_LOG_SERIES, sizeof *log->series, PT_MEM_OTHER, &e);
    if (log->series)
      log->iou = pt_zalloc(&env->mem, PT_LOG_IOUS * pt_max(u->classes, 1), sizeof *log->iou,
                           PT_MEM_OTHER, &e);
    status = e.status;
  }
  if (!status) status = pt_log_tables_open(log, &e);
  if (!status) status = open_events(log, &e);
  if (!status) status = open_text(log, &e);
  if (!status) return status;
  close_all(log);
  if (err) *err = e;
  return status;
}

/* ---- the report's numbers ---- */

void pt_log_take_step(struct pt_train_log *log, const struct pt_train_step *s) {
  double x = (double)(s->epoch * log->setup.batches + s->batch + 1);
  struct pt_series *to = log->series;
  log->now = *s;
  pt_series_add(&to[PT_LOG_LOSS], x, s->loss);
  for (int k = 0; k < log->parts; k++) pt_series_add(&to[PT_LOG_PART + k], x, s->part[k]);
  pt_series_add(&to[PT_LOG_LR], x, s->lr);
  pt_series_add(&to[PT_LOG_NORM], x, s->grad_norm);
  pt_series_add(&to[PT_LOG_DATA], x, s->data_seconds);
  pt_series_add(&to[PT_LOG_SECONDS], x, s->seconds);
  pt_series_add(&to[PT_LOG_MEMORY], x, (double)s->memory);
}

void pt_log_take_val(struct pt_train_log *log, const struct pt_val_row *r, const double *iou) {
  const int64_t classes = log->setup.classes;
  const bool first = log->vals_n++ == 0, best = first || !(r->miou <= log->best.miou);
  log->last = *r;
  if (best) log->best = *r;
  for (int64_t k = 0; k < classes; k++) {
    double *top = &log->iou[PT_LOG_IOU_TOP * classes + k];
    log->iou[PT_LOG_IOU_LAST * classes + k] = iou[k];
    if (best) log->iou[PT_LOG_IOU_BEST * classes + k] = iou[k];
    *top = first ? fmax(0, iou[k]) : fmax(*top, iou[k]);
  }
  pt_series_add(&log->series[PT_LOG_VAL_LOSS], (double)r->iteration, r->loss);
  pt_series_add(&log->series[PT_LOG_MIOU], (double)r->epoch, r->miou);
  pt_series_add(&log->series[PT_LOG_MACC], (double)r->epoch, r->macc);
  pt_series_add(&log->series[PT_LOG_ALLACC], (double)r->epoch, r->allacc);
}

/* ---- steps ---- */

static int step_line(struct pt_train_log *log, const struct pt_train_step *s,
                     struct ptv3_error *err) {
  char clock[32];
  return pt_train_log_say(
      log, err,
      "Train: [%lld/%lld][%lld/%lld] Data %.3f (%.3f) Batch %.3f (%.3f) Remain %s loss: %.4f "
      "Lr: %.5f",
      (long long)(s->epoch + 1), (long long)log->setup.epochs, (long long)(s->batch + 1),
      (long long)log->setup.batches, s->data_seconds, mean_of(&log->data), s->seconds,
      mean_of(&log->batch), pt_log_clock(log->left, clock), s->loss, s->lr);
}

static int step_events(struct pt_train_log *log, const struct pt_train_step *s,
                       struct ptv3_error *err) {
  int64_t at = s->epoch * log->setup.batches + s->batch + 1;
  double time = now();
  struct pt_tfevents *t = &log->events;
  char tag[120];
  int status = pt_tfevents_scalar(t, "params/lr", at, time, s->lr, err);
  if (!status) status = pt_tfevents_scalar(t, "train_batch/loss", at, time, s->loss, err);
  for (int k = 0; k < log->parts && !status; k++) {
    snprintf(tag, sizeof tag, "train_batch/%.100s", log->setup.part[k]);
    status = pt_tfevents_scalar(t, tag, at, time, s->part[k], err);
  }
  if (!status && !isnan(s->grad_norm))
    status = pt_tfevents_scalar(t, "train_batch/grad_norm", at, time, s->grad_norm, err);
  if (!status) status = pt_tfevents_scalar(t, "system/seconds", at, time, s->seconds, err);
  if (!status)
    status =
        pt_tfevents_scalar(t, "system/memory_mib", at, time, (double)s->memory / 1048576, err);
  return status;
}

int pt_train_log_step(struct pt_train_log *log, const struct pt_train_step *s,
                      struct ptv3_error *err) {
  mean_add(&log->data, s->data_seconds);
  mean_add(&log->batch, s->seconds);
  mean_add(&log->loss, s->loss);
  for (int k = 0; k < log->parts; k++) mean_add(&log->part[k], s->part[k]);
  log->remaining = pt_max(0, log->remaining - 1);
  log->left = (double)log->remaining * mean_of(&log->batch);
  pt_log_take_step(log, s);
  int status = step_line(log, s, err);
  if (!status) status = pt_log_put_step(log, s, err);
  if (!status) status = step_events(log, s, err);
  if (s->batch <= log->setup.warmup)
    log->data = log->batch = (struct pt_mean){0}; /* warming up */
  if (!status && pt_seconds() - log->reported > log->setup.report_seconds)
    status = pt_train_log_report(log, err);
  return status;
}

int pt_train_log_epoch(struct pt_train_log *log, int64_t epoch, struct ptv3_error *err) {
  double loss = mean_of(&log->loss), time = now();
  int status = pt_train_log_say(log, err, "Train result: loss: %.4f ", loss);
  if (!status)
    status = pt_tfevents_scalar(&log->events, "train/loss", epoch + 1, time, loss, err);
  for (int k = 0; k < log->parts && !status; k++) {
    char tag[120];
    snprintf(tag, sizeof tag, "train/%.100s", log->setup.part[k]);
    status =
        pt_tfevents_scalar(&log->events, tag, epoch + 1, time, mean_of(&log->part[k]), err);
  }
  log->loss = log->data = log->batch = (struct pt_mean){0};
  memset(log->part, 0, sizeof log->part);
  return status;
}

/* ---- evaluations ---- */

int pt_train_log_val_begin(struct pt_train_log *log, struct ptv3_error *err) {
  return say_text(log, ">>>>>>>>>>>>>>>> Start Evaluation >>>>>>>>>>>>>>>>", err);
}

int pt_train_log_val_scene(struct pt_train_log *log, int64_t scene, int64_t scenes, double loss,
                           struct ptv3_error *err) {
  return pt_train_log_say(log, err, "Test: [%lld/%lld] Loss %.4f ", (long long)(scene + 1),
                          (long long)scenes, loss);
}

static int val_lines(struct pt_train_log *log, const struct pt_val_row *r,
                     const struct pt_metrics *m, struct ptv3_error *err) {
  char buf[16];
  int status = pt_train_log_say(log, err, "Val result: mIoU/mAcc/allAcc %.4f/%.4f/%.4f.",
                                r->miou, r->macc, r->allacc);
  const struct pt_scores s = pt_metrics_scores(m);
  if (!status && s.labelled < m->classes)
    status =
        pt_train_log_say(log, err, "Val result: mIoU %.4f over the %d of %d classes present.",
                         s.miou_labelled, s.labelled, m->classes);
  for (int k = 0; k < log->setup.classes && !status; k++)
    status = pt_train_log_say(log, err, "Class_%d-%s Result: iou/accuracy %.4f/%.4f", k,
                              pt_log_class(log, k, buf), pt_metrics_iou(m, k),
                              pt_metrics_accuracy(m, k));
  if (!status)
    status = say_text(log, "<<<<<<<<<<<<<<<<< End Evaluation <<<<<<<<<<<<<<<<<", err);
  return status;
}

static int val_events(struct pt_train_log *log, const struct pt_val_row *r, const double *iou,
                      struct ptv3_error *err) {
  static const char *const tag[] = {"val/loss", "val/mIoU", "val/mAcc", "val/allAcc"};
  const double value[] = {r->loss, r->miou, r->macc, r->allacc};
  struct pt_tfevents *t = &log->events;
  double time = now();
  char class[200], buf[16];
  int status = PTV3_OK;
  for (int k = isnan(r->loss); k < 4 && !status; k++) /* no loss, no event */
    status = pt_tfevents_scalar(t, tag[k], r->epoch, time, value[k], err);
  for (int k = 0; log->setup.class_events && k < log->setup.classes && !status; k++) {
    snprintf(class, sizeof class, "val/cls_%d-%.150s IoU", k, pt_log_class(log, k, buf));
    status = pt_tfevents_scalar(t, class, r->epoch, time, iou[k], err);
  }
  return status;
}

static int put_val(struct pt_train_log *log, const struct pt_val_row *r,
                   const struct pt_metrics *m, double *iou, struct ptv3_error *err) {
  for (int k = 0; k < log->setup.classes; k++) iou[k] = pt_metrics_iou(m, k);
  int status = val_lines(log, r, m, err);
  if (!status) pt_log_take_val(log, r, iou);
  if (!status) status = pt_log_put_val(log, r, iou, err);
  if (!status) status = val_events(log, r, iou, err);
  if (!status) status = pt_train_log_report(log, err);
  return status;
}

int pt_train_log_val_end(struct pt_train_log *log, int64_t epoch, const struct pt_metrics *m,
                         double loss, struct ptv3_error *err) {
  struct ptv3_error e = {0};
  struct pt_scores s = pt_metrics_scores(m);
  const struct pt_val_row r = {
      epoch + 1,      log->now.epoch * log->setup.batches + log->now.batch + 1,
      loss,           s.miou,
      s.macc,         s.allacc,
      s.miou_labelled};
  if (m->classes != log->setup.classes)
    return pt_fail(err, PTV3_INVALID, "a log of %d classes, metrics of %d", log->setup.classes,
                   m->classes);
  double *iou = pt_alloc(&log->env->mem, m->classes, sizeof *iou, PT_MEM_OTHER, &e);
  if (iou) put_val(log, &r, m, iou, &e);
  pt_free(&log->env->mem, iou);
  if (err && e.status) *err = e;
  return e.status;
}

int pt_train_log_best(struct pt_train_log *log, const char *metric, double current, double best,
                      struct ptv3_error *err) {
  int status = PTV3_OK;
  if (current > best)
    status = pt_train_log_say(log, err, "Best validation %s updated to: %.4f", metric, current);
  if (status) return status;
  return pt_train_log_say(log, err, "Currently Best %s: %.4f", metric, fmax(current, best));
}

void pt_train_log_close(struct pt_train_log *log, bool finished) {
  if (!log->env || !log->text) return;
  log->finished = finished;
  log->stopped = !finished;
  pt_train_log_report(log, NULL);
  close_all(log);
}
