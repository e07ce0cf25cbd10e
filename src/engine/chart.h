/* chart.h - line charts as SVG within an HTML page, and the series they draw.
 *
 * Colours are CSS variables of the page (--ink, --grid, --c0 ...), so that it decides on light
 * or dark. No scripts. */
#ifndef PT_CHART_H
#define PT_CHART_H

#include <stdbool.h>
#include <stdint.h>

#include "file.h"

#define PT_SERIES 400

/* Values over x in at most PT_SERIES runs of as many values each: their mean, smallest and
 * largest. When the room is used up, two runs become one. Zeroed: empty. */
struct pt_series {
  int64_t n;    /* runs */
  int64_t per;  /* values in a run */
  int64_t last; /* values in the last run, 1 .. per */
  double x[PT_SERIES], mean[PT_SERIES], lo[PT_SERIES], hi[PT_SERIES];
};

/* x ascending; a y that is not finite is left out. */
void pt_series_add(struct pt_series *s, double x, double y);

struct pt_chart_line {
  const char *name;
  const struct pt_series *series;
  int color; /* 0 .. 5: --c0 ... */
};

struct pt_chart {
  const char *title, *x_label;
  const char *unit; /* of y, "" for none */
  double scale;     /* y is multiplied with it to be in that unit */
  const struct pt_chart_line *line;
  int lines;
  double top;   /* the axis reaches at least here (in the unit); 0: as the values need */
  double limit; /* a dashed line (in the unit); 0: none */
  const char *limit_name;
  bool log;  /* logarithmic; values of 0 and less are then left out */
  bool dots; /* a mark at each value */
};

/* Writes an <svg>. A chart without values says so. */
void pt_chart_svg(struct pt_out *out, const struct pt_chart *c);

/* Text with & < > " escaped. */
void pt_html_text(struct pt_out *out, const char *s);

#endif
