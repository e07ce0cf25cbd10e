/* chart.c - see chart.h. */
#include "chart.h"

#include <math.h>
#include <string.h>

/* ---- series ---- */

static void merge_pairs(struct pt_series *s) {
  for (int64_t i = 0; i < s->n / 2; i++) {
    int64_t a = 2 * i, b = 2 * i + 1;
    s->x[i] = (s->x[a] + s->x[b]) / 2;
    s->mean[i] = (s->mean[a] + s->mean[b]) / 2;
    s->lo[i] = fmin(s->lo[a], s->lo[b]);
    s->hi[i] = fmax(s->hi[a], s->hi[b]);
  }
  s->n /= 2;
  s->per *= 2;
  s->last = s->per;
}

void pt_series_add(struct pt_series *s, double x, double y) {
  if (!isfinite(x) || !isfinite(y)) return;
  if (!s->per) s->per = 1;
  if (s->n == PT_SERIES && s->last == s->per) merge_pairs(s);
  if (!s->n || s->last == s->per) {
    int64_t i = s->n++;
    s->x[i] = x;
    s->mean[i] = s->lo[i] = s->hi[i] = y;
    s->last = 1;
    return;
  }
  int64_t i = s->n - 1;
  double part = 1 / (double)++s->last;
  s->x[i] += (x - s->x[i]) * part;
  s->mean[i] += (y - s->mean[i]) * part;
  s->lo[i] = fmin(s->lo[i], y);
  s->hi[i] = fmax(s->hi[i], y);
}

/* ---- axes ---- */

enum { WIDTH = 560, HEIGHT = 250, LEFT = 62, RIGHT = 14, TOP = 34, BOTTOM = 40 };

struct axis {
  double from, to, step; /* log: exponents of 10 */
};

struct view {
  const struct pt_chart *c;
  struct pt_out *out;
  struct axis x, y;
};

/* 1, 2 or 5 times a power of ten, at least v. */
static double nice(double v) {
  double base = pow(10, floor(log10(v)));
  double f = v / base;
  return (f <= 1 + 1e-9 ? 1 : f <= 2 + 1e-9 ? 2 : f <= 5 + 1e-9 ? 5 : 10) * base;
}

static struct axis axis_of(double from, double to, int ticks) {
  if (!(to > from)) to = from + fmax(fabs(from) * 0.1, 1e-12);
  struct axis a = {.step = nice((to - from) / ticks)};
  a.from = floor(from / a.step + 1e-9) * a.step;
  a.to = ceil(to / a.step - 1e-9) * a.step;
  return a;
}

static bool range_of(const struct pt_chart *c, double x[2], double y[2]) {
  bool any = false;
  x[0] = y[0] = INFINITY;
  x[1] = y[1] = -INFINITY;
  for (int k = 0; k < c->lines; k++) {
    const struct pt_series *s = c->line[k].series;
    for (int64_t i = 0; i < s->n; i++) {
      if (c->log && !(s->lo[i] > 0)) continue;
      x[0] = fmin(x[0], s->x[i]), x[1] = fmax(x[1], s->x[i]);
      y[0] = fmin(y[0], s->lo[i] * c->scale), y[1] = fmax(y[1], s->hi[i] * c->scale);
      any = true;
    }
  }
  return any;
}

static bool view_of(struct view *v) {
  double x[2], y[2];
  if (!range_of(v->c, x, y)) return false;
  y[1] = fmax(fmax(y[1], v->c->limit), v->c->top);
  v->x = axis_of(x[0], x[1], 6);
  v->x.from = x[0] > 0 && x[0] < 0.2 * x[1] ? 0 : x[0];
  v->x.to = fmax(x[1], x[0] + 1e-9);
  if (!v->c->log) {
    v->y = axis_of(fmin(0, y[0]), y[1], 5);
    return true;
  }
  v->y = (struct axis){floor(log10(y[0])), ceil(log10(y[1])), 1};
  if (v->y.to <= v->y.from) v->y.to = v->y.from + 1;
  v->y.step = ceil((v->y.to - v->y.from) / 5);
  return true;
}

static double px(const struct view *v, double x) {
  double part = (x - v->x.from) / (v->x.to - v->x.from);
  return LEFT + part * (WIDTH - LEFT - RIGHT);
}

/* y in the unit. */
static double py(const struct view *v, double y) {
  double at = v->c->log ? log10(fmax(y, 1e-300)) : y;
  double part = (at - v->y.from) / (v->y.to - v->y.from);
  return HEIGHT - BOTTOM - fmin(fmax(part, -0.02), 1.02) * (HEIGHT - TOP - BOTTOM);
}

static void put_text(struct view *v, double x, double y, const char *attributes,
                     const char *text) {
  pt_writef(v->out, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, attributes);
  pt_html_text(v->out, text);
  pt_writef(v->out, "</text>\n");
}

static void put_line(struct view *v, double x1, double y1, double x2, double y2,
                     const char *class) {
  pt_writef(v->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
            x1, y1, x2, y2, class);
}

static void put_y_axis(struct view *v) {
  char text[40];
  for (int k = 0; k < 20; k++) {
    double t = v->y.from + k * v->y.step;
    if (t > v->y.to + v->y.step * 0.01) break;
    double value = v->c->log ? pow(10, t) : t;
    if (fabs(value) < v->y.step * 1e-6 && !v->c->log) value = 0;
    put_line(v, LEFT, py(v, value), WIDTH - RIGHT, py(v, value), k ? "grid" : "axis");
    snprintf(text, sizeof text, "%.5g", value);
    put_text(v, LEFT - 7, py(v, value) + 4, " text-anchor=\"end\"", text);
  }
}

static void put_x_axis(struct view *v) {
  char text[40];
  double first = ceil(v->x.from / v->x.step - 1e-9) * v->x.step;
  for (int k = 0; k < 20; k++) {
    double t = first + k * v->x.step;
    if (t > v->x.to + v->x.step * 1e-6) break;
    if (v->x.step < 1 && t != floor(t)) continue; /* steps and epochs are whole */
    put_line(v, px(v, t), HEIGHT - BOTTOM, px(v, t), HEIGHT - BOTTOM + 4, "axis");
    snprintf(text, sizeof text, "%.7g", t);
    put_text(v, px(v, t), HEIGHT - BOTTOM + 17, " text-anchor=\"middle\"", text);
  }
  put_text(v, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6,
           " text-anchor=\"middle\" class=\"soft\"", v->c->x_label);
}

/* ---- lines ---- */

static bool drawn(const struct view *v, const struct pt_series *s, int64_t i) {
  return !v->c->log || s->lo[i] > 0;
}

/* From the smallest to the largest of each run. */
static void put_band(struct view *v, const struct pt_chart_line *l) {
  const struct pt_series *s = l->series;
  if (s->per < 2) return;
  pt_writef(v->out, "<polygon style=\"fill:var(--c%d)\" opacity=\".18\" points=\"", l->color);
  for (int64_t i = 0; i < s->n; i++)
    if (drawn(v, s, i))
      pt_writef(v->out, "%.1f,%.1f ", px(v, s->x[i]), py(v, s->hi[i] * v->c->scale));
  for (int64_t i = s->n - 1; i >= 0; i--)
    if (drawn(v, s, i))
      pt_writef(v->out, "%.1f,%.1f ", px(v, s->x[i]), py(v, s->lo[i] * v->c->scale));
  pt_writef(v->out, "\"/>\n");
}

static void put_series(struct view *v, const struct pt_chart_line *l) {
  const struct pt_series *s = l->series;
  put_band(v, l);
  pt_writef(v->out,
            "<polyline class=\"curve\" fill=\"none\" style=\"stroke:var(--c%d)\" points=\"",
            l->color);
  for (int64_t i = 0; i < s->n; i++)
    if (drawn(v, s, i))
      pt_writef(v->out, "%.1f,%.1f ", px(v, s->x[i]), py(v, s->mean[i] * v->c->scale));
  pt_writef(v->out, "\"/>\n");
  for (int64_t i = 0; (v->c->dots || s->n == 1) && s->n <= 60 && i < s->n; i++)
    if (drawn(v, s, i))
      pt_writef(v->out,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\" style=\"fill:var(--c%d)\"/>\n",
                px(v, s->x[i]), py(v, s->mean[i] * v->c->scale), l->color);
}

/* One text, so that names do not run into each other in any font. */
static void put_legend(struct view *v) {
  if (v->c->lines < 2) return;
  pt_writef(v->out, "<text x=\"%d\" y=\"18\" text-anchor=\"end\">", WIDTH - RIGHT);
  for (int k = 0; k < v->c->lines; k++) {
    const struct pt_chart_line *l = &v->c->line[k];
    if (!l->series->n) continue;
    pt_writef(v->out, "<tspan style=\"fill:var(--c%d)\">&#160;&#160;&#9632;&#160;</tspan>",
              l->color);
    pt_html_text(v->out, l->name);
  }
  pt_writef(v->out, "</text>\n");
}

static void put_limit(struct view *v) {
  if (!(v->c->limit > 0)) return;
  double y = py(v, v->c->limit);
  put_line(v, LEFT, y, WIDTH - RIGHT, y, "limit");
  put_text(v, WIDTH - RIGHT - 4, y + 14, " text-anchor=\"end\" class=\"soft\"",
           v->c->limit_name);
}

void pt_chart_svg(struct pt_out *out, const struct pt_chart *c) {
  struct view v = {.c = c, .out = out};
  char title[120];
  snprintf(title, sizeof title, "%.80s%s%.20s", c->title, c->unit[0] ? ", " : "", c->unit);
  pt_writef(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH, HEIGHT);
  put_text(&v, 4, 18, " class=\"title\"", title);
  if (view_of(&v)) {
    put_y_axis(&v);
    put_x_axis(&v);
    put_limit(&v);
    for (int k = 0; k < c->lines; k++) put_series(&v, &c->line[k]);
    put_legend(&v);
  } else {
    put_text(&v, WIDTH / 2.0, HEIGHT / 2.0, " text-anchor=\"middle\" class=\"soft\"",
             "nothing yet");
  }
  pt_writef(out, "</svg>\n");
}

void pt_html_text(struct pt_out *out, const char *s) {
  for (; *s; s++) {
    const char *is = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : NULL;
    if (*s == '"') is = "&quot;";
    if (is)
      pt_write(out, is, (int64_t)strlen(is));
    else if ((unsigned char)*s >= ' ')
      pt_write(out, s, 1);
  }
}
