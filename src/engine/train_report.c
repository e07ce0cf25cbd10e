/* train_report.c - report.html of a training: one page with its charts, light or dark as the
 * reader's system is, without scripts or anything from elsewhere; see train_log.h. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "train_log.h"

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1d2125;--soft:#5d666f;"
    "--grid:#e3e5e7;--edge:#d4d7da;--c0:#2266cc;--c1:#d9730d;--c2:#2f9e5b;--c3:#8a54c7;"
    "--c4:#c2376b;--c5:#7a7f85;--limit:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#16181b;--card:#1e2125;--ink:#e6e8ea;"
    "--soft:#9aa3ab;--grid:#2d3237;--edge:#363b41;--c0:#6ea8ff;--c1:#ffa352;--c2:#62d193;"
    "--c3:#bd93f0;--c4:#f57fa9;--c5:#a5abb1;--limit:#ff7b72}}\n"
    "body{margin:0 auto;max-width:1240px;padding:24px;background:var(--paper);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5em;margin:0}h2{font-size:1.1em;margin:28px 0 8px}"
    "p{margin:4px 0 16px;color:var(--soft)}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 16px}"
    ".tile{flex:1 1 112px;background:var(--card);border:1px solid var(--edge);"
    "border-radius:8px;padding:10px 14px}"
    ".tile b{display:block;font-size:1.35em;font-variant-numeric:tabular-nums}"
    ".tile span{color:var(--soft);font-size:.85em}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));"
    "gap:12px}.charts svg{width:100%;height:auto;background:var(--card);"
    "border:1px solid var(--edge);border-radius:8px;box-sizing:border-box}\n"
    "svg text{font:11.5px system-ui,sans-serif;fill:var(--ink)}svg .title{font-weight:600;"
    "font-size:13px}svg .soft{fill:var(--soft)}svg .grid{stroke:var(--grid)}"
    "svg .axis{stroke:var(--soft)}svg .limit{stroke:var(--limit);stroke-dasharray:5 4}"
    "svg .curve{fill:none;stroke-width:1.8;stroke-linejoin:round}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;background:var(--card);"
    "border:1px solid var(--edge);font-variant-numeric:tabular-nums}"
    "th,td{padding:4px 12px;text-align:right;border-bottom:1px solid var(--grid);"
    "white-space:nowrap}th{color:var(--soft);font-weight:600}"
    "th:first-child,td:first-child{text-align:left}"
    "td svg{display:block;width:160px;height:10px}\n"
    "</style>\n";

struct page {
  struct pt_train_log *log;
  struct pt_out *out;
  double unit; /* bytes of the unit in which memory is shown */
  const char *unit_name;
};

/* ---- the top ---- */

static void put_tile(struct page *p, const char *value, const char *name) {
  pt_writef(p->out, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", value, name);
}

static void put_head(struct page *p) {
  char stamp[40] = "", left[32];
  time_t t = time(NULL);
  struct tm date;
  const struct pt_train_log *log = p->log;
  if (localtime_r(&t, &date)) strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &date);
  pt_writef(p->out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width\">\n");
  if (!log->finished && !log->stopped)
    pt_writef(p->out, "<meta http-equiv=\"refresh\" content=\"30\">\n");
  pt_writef(p->out, "<title>");
  pt_html_text(p->out, log->setup.title);
  pt_writef(p->out, "</title>\n");
  pt_write(p->out, style, (int64_t)sizeof style - 1);
  pt_writef(p->out, "</head><body>\n<h1>");
  pt_html_text(p->out, log->setup.title);
  pt_writef(p->out, "</h1>\n<p>Epoch %lld of %lld, batch %lld of %lld",
            (long long)(log->now.epoch + 1), (long long)log->setup.epochs,
            (long long)(log->now.batch + 1), (long long)log->setup.batches);
  if (log->finished)
    pt_writef(p->out, " &middot; finished");
  else if (log->stopped)
    pt_writef(p->out, " &middot; <b>stopped</b>, not finished; ptv3 train --resume goes on");
  else if (log->left >= 0)
    pt_writef(p->out, " &middot; %s left", pt_log_clock(log->left, left));
  pt_writef(p->out, " &middot; written %s</p>\n", stamp);
}

static void put_tiles(struct page *p) {
  const struct pt_train_log *log = p->log;
  char text[120], bytes[24];
  pt_writef(p->out, "<div class=\"tiles\">\n");
  if (log->vals_n) {
    const struct pt_val_row *best = &log->best, *last = &log->last;
    snprintf(text, sizeof text, "%.4f", best->miou);
    char name[60];
    snprintf(name, sizeof name, "best mIoU, epoch %lld", (long long)best->epoch);
    put_tile(p, text, name);
    snprintf(text, sizeof text, "%.4f", last->miou);
    snprintf(name, sizeof name, "last mIoU, epoch %lld", (long long)last->epoch);
    put_tile(p, text, name);
    if (best->miou_present > best->miou) {
      snprintf(text, sizeof text, "%.4f", best->miou_present);
      snprintf(name, sizeof name, "over the classes present, epoch %lld",
               (long long)best->epoch);
      put_tile(p, text, name);
    }
  }
  snprintf(text, sizeof text, "%.4f", log->now.loss);
  put_tile(p, text, "loss");
  snprintf(text, sizeof text, "%.3g", log->now.lr);
  put_tile(p, text, "learning rate");
  snprintf(text, sizeof text, "%.3g s", log->now.seconds);
  put_tile(p, text, "a step");
  put_tile(p, pt_bytes_text(log->now.memory, bytes), "memory, peak");
  pt_writef(p->out, "</div>\n");
}

/* ---- charts ---- */

static void put_loss(struct page *p) {
  const struct pt_train_log *log = p->log;
  struct pt_chart_line line[PT_LOG_PARTS + 2] = {{"loss", &log->series[PT_LOG_LOSS], 0}};
  int n = 1;
  for (int k = 0; k < log->parts && log->parts > 1; k++)
    line[n++] = (struct pt_chart_line){log->setup.part[k], &log->series[PT_LOG_PART + k],
                                       k < 3 ? k + 2 : 5};
  line[n++] = (struct pt_chart_line){"validation", &log->series[PT_LOG_VAL_LOSS], 1};
  const struct pt_chart c = {
      .title = "Loss", .x_label = "step", .unit = "", .scale = 1, .line = line, .lines = n};
  pt_chart_svg(p->out, &c);
}

static void put_miou(struct page *p) {
  const struct pt_series *s = p->log->series;
  const struct pt_chart_line line[] = {{"mIoU", &s[PT_LOG_MIOU], 0},
                                       {"mAcc", &s[PT_LOG_MACC], 2},
                                       {"allAcc", &s[PT_LOG_ALLACC], 5}};
  const struct pt_chart c = {.title = "Validation",
                             .x_label = "epoch",
                             .unit = "",
                             .scale = 1,
                             .line = line,
                             .lines = 3,
                             .top = 1,
                             .dots = true};
  pt_chart_svg(p->out, &c);
}

static void put_one(struct page *p, const char *title, int series, bool log) {
  const struct pt_chart_line line[] = {{title, &p->log->series[series], 0}};
  const struct pt_chart c = {.title = title,
                             .x_label = "step",
                             .unit = "",
                             .scale = 1,
                             .line = line,
                             .lines = 1,
                             .log = log};
  pt_chart_svg(p->out, &c);
}

static void put_time(struct page *p) {
  const struct pt_series *s = p->log->series;
  const struct pt_chart_line line[] = {{"step", &s[PT_LOG_SECONDS], 0},
                                       {"waiting for data", &s[PT_LOG_DATA], 1}};
  const struct pt_chart c = {.title = "Time a step",
                             .x_label = "step",
                             .unit = "s",
                             .scale = 1,
                             .line = line,
                             .lines = 2};
  pt_chart_svg(p->out, &c);
}

static void put_memory(struct page *p) {
  const struct pt_chart_line line[] = {{"peak", &p->log->series[PT_LOG_MEMORY], 0}};
  int64_t budget = p->log->setup.budget;
  bool limited = budget > 0 && budget < INT64_MAX;
  char name[60], bytes[24];
  snprintf(name, sizeof name, "budget %s", pt_bytes_text(budget, bytes));
  const struct pt_chart c = {.title = "Memory, peak",
                             .x_label = "step",
                             .unit = p->unit_name,
                             .scale = 1 / p->unit,
                             .line = line,
                             .lines = 1,
                             .limit = limited ? (double)budget / p->unit : 0,
                             .limit_name = name};
  pt_chart_svg(p->out, &c);
}

/* Whether a logarithmic axis shows more. */
static bool spread(const struct pt_series *s) {
  double lo = INFINITY, hi = 0;
  for (int64_t i = 0; i < s->n; i++) {
    if (s->mean[i] > 0) lo = fmin(lo, s->mean[i]);
    hi = fmax(hi, s->hi[i]);
  }
  return hi > 30 * lo;
}

/* ---- classes ---- */

static void put_class(struct page *p, int k) {
  const struct pt_train_log *log = p->log;
  int classes = log->setup.classes;
  const double last = log->iou[PT_LOG_IOU_LAST * classes + k];
  const double at_best = log->iou[PT_LOG_IOU_BEST * classes + k];
  const double top = log->iou[PT_LOG_IOU_TOP * classes + k];
  char buf[16];
  pt_writef(p->out, "<tr><td>");
  pt_html_text(p->out, pt_log_class(log, k, buf));
  pt_writef(
      p->out,
      "</td><td>%.4f</td><td><svg viewBox=\"0 0 160 10\"><rect width=\"160\" height=\"10\" "
      "rx=\"2\" style=\"fill:var(--grid)\"/><rect width=\"%.1f\" height=\"10\" rx=\"2\" "
      "style=\"fill:var(--c0)\"/></svg></td><td>%.4f</td><td>%.4f</td></tr>\n",
      last, 160 * fmin(fmax(last, 0), 1), at_best, top);
}

static void put_classes(struct page *p) {
  const struct pt_train_log *log = p->log;
  if (!log->vals_n) return;
  pt_writef(
      p->out,
      "<h2>IoU of each class</h2>\n<div class=\"wide\"><table>\n<tr><th>class</th><th>epoch "
      "%lld</th><th></th><th>epoch %lld (best mIoU)</th><th>highest</th></tr>\n",
      (long long)log->last.epoch, (long long)log->best.epoch);
  for (int k = 0; k < log->setup.classes; k++) put_class(p, k);
  pt_writef(p->out, "</table></div>\n");
}

/* ---- the page ---- */

static void put_page(struct page *p) {
  const struct pt_series *s = p->log->series;
  put_head(p);
  put_tiles(p);
  pt_writef(p->out, "<div class=\"charts\">\n");
  put_loss(p);
  put_miou(p);
  put_one(p, "Learning rate", PT_LOG_LR, false);
  put_one(p, "Norm of the gradients", PT_LOG_NORM, spread(&s[PT_LOG_NORM]));
  put_time(p);
  put_memory(p);
  pt_writef(p->out, "</div>\n");
  put_classes(p);
  pt_writef(
      p->out,
      "<p>Lines are means, bands reach from the smallest to the largest value of as many "
      "steps as a point stands for. Numbers of every step: train.csv; of every evaluation: "
      "val.csv.</p>\n</body></html>\n");
}

int pt_train_log_report(struct pt_train_log *log, struct ptv3_error *err) {
  struct pt_out out;
  char path[1024];
  double most = (double)log->setup.budget;
  const struct pt_series *s = &log->series[PT_LOG_MEMORY];
  if (!(most > 0 && log->setup.budget < INT64_MAX)) most = 0;
  for (int64_t i = 0; i < s->n; i++) most = fmax(most, s->hi[i]);
  bool large = most >= 1073741824.0;
  struct page p = {log, &out, large ? 1073741824.0 : 1048576.0, large ? "GiB" : "MiB"};
  log->reported = pt_seconds();
  pt_log_path(log, "report.html", path);
  int status = pt_out_open(&out, &log->env->mem, path, err);
  if (status) return status;
  put_page(&p);
  return pt_out_commit(&out, err);
}
